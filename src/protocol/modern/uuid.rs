//! Topic ids and directory ids.

use std::fmt;

/// A 128-bit identifier, in network byte order; the default is [`Uuid::ZERO`], "none".
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid(pub [u8; 16]);

const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Uuid {
    /// No id: what a broker sends that has none, and what asks "by name" in a request.
    pub const ZERO: Uuid = Uuid([0; 16]);

    /// Whether this is [`Uuid::ZERO`].
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

impl fmt::Display for Uuid {
    /// As Kafka's tools print it: base64 with `-` and `_`, no padding, 22 characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = u128::from_be_bytes(self.0);
        // 128 bits are 21 whole digits of 6 bits and one of 2, which base64 pads on the right.
        let whole = (0..21).map(|i| number >> (122 - 6 * i));
        for digit in whole.chain(std::iter::once(number << 4)) {
            let index = usize::try_from(digit & 63).unwrap_or(0);
            write!(f, "{}", char::from(URL_SAFE[index]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_prints_as_kafkas_tools_print_it() {
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        // The cluster metadata topic's id in every KRaft cluster.
        let one = Uuid(1_u128.to_be_bytes());
        assert_eq!(one.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(Uuid([0xff; 16]).to_string(), "_____________________w");
        assert!(Uuid::ZERO.is_zero() && !one.is_zero());
    }
}
