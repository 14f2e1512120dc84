//! A regular expression that a member of the Scala client reads topics by: pure.

use crate::group::Pattern;

/// Topics of the brokers' own, which the old consumer leaves out of its patterns.
const INTERNAL: [&str; 2] = ["__consumer_offsets", "__transaction_state"];

/// Which topics a pattern brings in.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    pattern: Pattern,
    /// Those that do not match.
    is_black: bool,
}

impl Filter {
    /// A whitelist or a blacklist; none if the expression cannot be read.
    ///
    /// The Scala client changes what it was given before it compiles it, also what it reads of other
    /// members: commas mean "or", spaces go, and so do quotes around it.
    pub(super) fn new(text: &str, is_black: bool) -> Option<Self> {
        let quote = |c: char| matches!(c, '"' | '\'');
        let text = text.trim().replace(',', "|").replace(' ', "");
        let text = text.trim_start_matches(quote).trim_end_matches(quote);
        Some(Self { pattern: Pattern::new(text).ok()?, is_black })
    }

    /// Whether `text` means the same to the Scala client as it does by itself.
    pub(super) fn keeps(text: &str) -> bool {
        !text.contains([',', ' ', '"', '\'']) && text.trim() == text
    }

    /// Whether this topic is brought in.
    pub(super) fn allows(&self, topic: &str, exclude_internal: bool) -> bool {
        let internal = exclude_internal && INTERNAL.contains(&topic);
        self.pattern.matches(topic) != self.is_black && !internal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_as_the_scala_client_reads_it() {
        for (text, is_black, topic, allowed) in [
            ("w.", false, "wa", true),
            ("w.", false, "wab", false),
            ("a,b", false, "b", true),
            (" \"a , b\" ", false, "a", true),
            ("'w.*'", false, "w", true),
            ("w.", true, "wa", false),
            ("w.", true, "x", true),
            (".*", false, "__consumer_offsets", false),
            ("w", true, "__transaction_state", false),
        ] {
            let filter = Filter::new(text, is_black).unwrap();
            assert_eq!(filter.allows(topic, true), allowed, "{text} {topic}");
        }
        assert!(Filter::new(".*", false).unwrap().allows("__consumer_offsets", false));
        assert!(Filter::new("(?=a)", false).is_none());
    }

    #[test]
    fn what_the_scala_client_would_change_is_known() {
        assert!(Filter::keeps(r"a\.b|c-.*"));
        for changed in ["a{1,2}", "a b", "'a'", "a\"", "a\n"] {
            assert!(!Filter::keeps(changed), "{changed:?}");
        }
    }
}
