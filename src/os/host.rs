//! What this machine is called.

use super::sys;

/// The name of this host, `localhost` if it has none that is text.
#[must_use]
pub fn name() -> String {
    sys::host::name().filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_host_has_a_name_without_white_space() {
        let name = super::name();
        assert!(!name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '\0'));
    }
}
