//! Regular expressions of topic names.

use regex_lite::Regex;

use crate::error::{Code, Error, Result};

/// The names of topics that are the brokers' own on every release, for patterns that a broker resolves:
/// it leaves none out.
const INTERNAL: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// A regular expression that a topic's whole name has to match. Its language is that of RE2, which the
/// brokers use too, without classes of Unicode; it takes time linear in the name, whatever it says.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Understands a pattern, which comes without the `^` that marks one in a list of topics, or with it.
    ///
    /// # Errors
    /// INVALID_REGULAR_EXPRESSION with what is wrong with it.
    pub fn new(text: &str) -> Result<Self> {
        // By itself first, so that no parenthesis of the frame completes one of the text.
        let whole = Regex::new(text).and_then(|_| Regex::new(&format!(r"\A(?:{text})\z")));
        whole.map(Self).map_err(|error| {
            let text = format!("{text:?} is no pattern of topics: {error}");
            Error::new(Code::INVALID_REGULAR_EXPRESSION, text)
        })
    }

    /// Whether a topic's whole name matches.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        self.0.is_match(topic)
    }

    /// Whether topics match that belong to the brokers.
    #[must_use]
    pub fn meets_internal(&self) -> bool {
        INTERNAL.iter().any(|topic| self.matches(topic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names() {
        let cases = [
            ("a.*", "abc", true),
            ("a", "abc", false),
            ("b|ab", "abc", false),
            ("^abc$", "abc", true),
            (r"[a-c]{3}", "abc", true),
            (r"(?i)ABC", "abc", true),
        ];
        for (pattern, topic, matches) in cases {
            assert_eq!(Pattern::new(pattern).unwrap().matches(topic), matches, "{pattern} {topic}");
        }
    }

    #[test]
    fn what_is_no_regular_expression_is_refused() {
        for wrong in ["a)|(b", "*", "(?=a)b", r"(a)\1", "[", "(?x)a # b"] {
            let error = Pattern::new(wrong).unwrap_err();
            assert_eq!(error.code(), Code::INVALID_REGULAR_EXPRESSION, "{wrong}");
        }
    }

    #[test]
    fn a_pattern_that_meets_the_brokers_own_topics_is_known() {
        assert!(Pattern::new(".*").unwrap().meets_internal());
        assert!(!Pattern::new("orders-.*").unwrap().meets_internal());
    }
}
