//! The servers of a ZooKeeper and where below its root Kafka lives, as in `zookeeper.connect`.

use std::fmt;

use super::address::Address;
use crate::error::{Code, Error, Result};

/// The port of a server that is named without one.
const PORT: u16 = 2181;

/// `host:port,host:port/chroot`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ensemble {
    /// The servers, each once; never empty.
    pub servers: Vec<Address>,
    /// The path under which everything is, with a slash in front and none at the end; empty for the
    /// root.
    pub chroot: String,
}

impl Ensemble {
    /// Reads `zookeeper.connect`. Hosts without a port have 2181, IPv6 addresses stand in brackets;
    /// spaces and empty places are skipped, and so are slashes at the end.
    ///
    /// `INVALID_PROPERTY` says what is wrong.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let (hosts, chroot) = match text.find('/') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let mut servers = Vec::new();
        for entry in hosts.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let server = Address::parse_list(&with_port(entry)).map_err(|error| {
                let text = error.message().replace("bootstrap.servers", "zookeeper.connect");
                invalid(text)
            })?;
            for server in server {
                if !servers.contains(&server) {
                    servers.push(server);
                }
            }
        }
        if servers.is_empty() {
            let text = "zookeeper.connect names no server: give host:port,host:port/chroot";
            return Err(invalid(text.to_owned()));
        }
        let chroot = chroot.trim_end_matches('/').to_owned();
        let bad =
            |name: &str| matches!(name, "" | "." | "..") || name.chars().any(char::is_control);
        if chroot.split('/').skip(1).any(bad) {
            return Err(invalid(format!("zookeeper.connect: `{chroot}` is no path")));
        }
        if chroot.contains(',') {
            let text = format!(
                "zookeeper.connect: the path stands once, after the last server, but there is \
                 `{chroot}`"
            );
            return Err(invalid(text));
        }
        Ok(Self { servers, chroot })
    }
}

fn with_port(entry: &str) -> String {
    let bare = match entry.rsplit_once(']') {
        Some((_, after)) => after.is_empty(),
        None => !entry.contains(':'),
    };
    if bare { format!("{entry}:{PORT}") } else { entry.to_owned() }
}

fn invalid(text: String) -> Error {
    Error::new(Code::INVALID_PROPERTY, text).with_property("zookeeper.connect")
}

impl fmt::Display for Ensemble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, server) in self.servers.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{server}")?;
        }
        f.write_str(&self.chroot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_a_path_are_read() {
        for (text, expected) in [
            ("a:1", "a:1"),
            ("a", "a:2181"),
            (" a:1, b ,,a:1/kafka ", "a:1,b:2181/kafka"),
            ("a:1/x/y/", "a:1/x/y"),
            ("a:1/", "a:1"),
            ("[::1]:7,[fe80::2],10.0.0.1/c", "[::1]:7,[fe80::2]:2181,10.0.0.1:2181/c"),
        ] {
            assert_eq!(Ensemble::parse(text).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_under_the_property_s_name() {
        for (text, expected) in [
            ("", "names no server"),
            ("/kafka", "names no server"),
            ("a:0", "1 to 65535"),
            ("a:x", "1 to 65535"),
            ("::1:2181", "without brackets"),
            ("[::1", "closing bracket"),
            ("a:1/x//y", "no path"),
            ("a:1/../y", "no path"),
            ("a:1/x,b:1/y", "stands once"),
            ("a:1/x,b:1", "stands once"),
        ] {
            let error = Ensemble::parse(text).unwrap_err();
            assert!(error.message().contains(expected), "{text}: {error}");
            assert!(error.message().contains("zookeeper.connect"), "{error}");
            assert_eq!(error.property(), Some("zookeeper.connect"));
        }
    }
}
