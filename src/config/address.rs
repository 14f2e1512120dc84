//! `host:port`, as in `bootstrap.servers`.

use std::fmt;

use crate::error::{Code, Error, Result};

/// A broker's address: a name or an IP address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// Name, IPv4 or IPv6 address (without brackets).
    pub host: String,
    /// TCP port, not 0.
    pub port: u16,
}

impl Address {
    /// An address from its parts, as a broker announces them.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// A comma-separated list; spaces and empty places are skipped, what stands twice counts once.
    ///
    /// `INVALID_PROPERTY` says which entry is wrong and how it should look.
    pub fn parse_list(list: &str) -> Result<Vec<Self>> {
        let mut found = Vec::new();
        for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let address = parse(entry).map_err(|why| {
                Error::new(Code::INVALID_PROPERTY, format!("bootstrap.servers: `{entry}` {why}"))
                    .with_property("bootstrap.servers")
            })?;
            if !found.contains(&address) {
                found.push(address);
            }
        }
        Ok(found)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// `host:port`, `[ipv6]:port`, either with `PLAINTEXT://` before it.
fn parse(entry: &str) -> std::result::Result<Address, String> {
    let rest = match entry.split_once("://") {
        None => entry,
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("plaintext") => rest,
        Some((scheme, _)) => {
            return Err(format!("has the protocol {scheme}: only PLAINTEXT is there"));
        }
    };
    let (host, port) = if let Some(inner) = rest.strip_prefix('[') {
        let (host, after) = inner.split_once(']').ok_or("lacks the closing bracket")?;
        (host, after.strip_prefix(':').ok_or("has no port: write [address]:port")?)
    } else {
        let (host, port) = rest.rsplit_once(':').ok_or("has no port: write host:port")?;
        if host.contains(':') {
            return Err("is an IPv6 address without brackets: write [address]:port".to_owned());
        }
        (host, port)
    };
    if host.is_empty() || host.contains(char::is_whitespace) || host.contains('/') {
        return Err("has no valid host: write host:port".to_owned());
    }
    // `parse` alone would take "+9092".
    match port.parse::<u16>() {
        Ok(number) if number > 0 && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(Address::new(host, number))
        }
        _ => Err(format!("has the port `{port}`: give a number from 1 to 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_hold_names_and_addresses_of_both_families() {
        let list =
            Address::parse_list(" a:1, 10.0.0.1:9092 ,[::1]:65535,,PLAINTEXT://b:2,a:1").unwrap();
        let text: Vec<String> = list.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["a:1", "10.0.0.1:9092", "[::1]:65535", "b:2"]);
        assert_eq!(list[2].host, "::1");
        assert_eq!(Address::parse_list(" , ").unwrap(), []);
    }

    #[test]
    fn a_bad_entry_is_named_with_what_is_missing() {
        for (entry, expected) in [
            ("localhost", "has no port"),
            ("localhost:", "has the port ``"),
            ("localhost:0", "from 1 to 65535"),
            ("localhost:65536", "from 1 to 65535"),
            ("localhost:+9", "from 1 to 65535"),
            ("localhost:kafka", "from 1 to 65535"),
            (":9092", "no valid host"),
            ("a b:9092", "no valid host"),
            ("host/path:9092", "no valid host"),
            ("::1:9092", "without brackets"),
            ("[::1]", "has no port"),
            ("[::1:9092", "closing bracket"),
            ("SSL://a:1", "only PLAINTEXT"),
        ] {
            let error = Address::parse_list(&format!("good:1,{entry}")).unwrap_err();
            let message = error.message();
            assert!(message.contains(expected), "{entry}: {message}");
            assert!(message.contains(&format!("`{entry}`")), "{message}");
            assert_eq!(error.property(), Some("bootstrap.servers"));
        }
    }
}
