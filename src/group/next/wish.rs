//! Who resolves a subscription: the coordinator, or this client (rule 9.16).

use std::sync::Arc;

use super::beat::Wish;
use crate::error::Result;
use crate::group::{Pattern, Subscribed, Subscription};

/// How a subscription is told to the coordinator.
#[derive(Clone, Debug)]
pub(super) enum Telling {
    /// As it is.
    Plain(Wish),
    /// By the names that this client finds it to mean, again and again.
    Resolved(Subscribed),
}

/// A coordinator takes one pattern, has no exceptions, and leaves out none of the brokers' own topics.
///
/// `INVALID_REGULAR_EXPRESSION` for a pattern that nobody could resolve.
pub(super) fn telling(asked: &Subscription, exclude_internal: bool) -> Result<Telling> {
    let plain = |pattern: Option<&Arc<str>>| {
        let (names, pattern) = (asked.topics.clone(), pattern.cloned());
        Ok(Telling::Plain(Wish { names, pattern }))
    };
    match asked.patterns.as_slice() {
        [] => plain(None),
        [pattern] if asked.except.is_empty() => match Pattern::new(pattern) {
            Ok(read) if exclude_internal && read.meets_internal() => resolved(asked, true),
            // The coordinator's language is a little larger than ours.
            _ => plain(Some(pattern)),
        },
        _ => resolved(asked, exclude_internal),
    }
}

/// The same for a coordinator that takes no pattern.
pub(super) fn resolved(asked: &Subscription, exclude_internal: bool) -> Result<Telling> {
    Ok(Telling::Resolved(Subscribed::new(asked, exclude_internal)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(topics: &[&str], patterns: &[&str], except: &[&str], internal: bool) -> Option<Wish> {
        let list = |texts: &[&str]| texts.iter().map(|text| Arc::from(*text)).collect();
        let asked =
            Subscription { topics: list(topics), patterns: list(patterns), except: list(except) };
        match telling(&asked, internal).expect("read") {
            Telling::Plain(wish) => Some(wish),
            Telling::Resolved(_) => None,
        }
    }

    #[test]
    fn rule_9_16_one_plain_pattern_is_the_coordinators_and_all_else_is_resolved_here() {
        let pattern = |text: &str| Some(Arc::from(text));
        let orders = told(&["a"], &["orders-.*"], &[], true).expect("the coordinator's");
        assert_eq!((orders.names.len(), orders.pattern), (1, pattern("orders-.*")));
        assert_eq!(told(&["a"], &[], &[], true).expect("names").pattern, None);
        assert_eq!(told(&[], &["a", "b"], &[], true), None, "two");
        assert_eq!(told(&[], &["a.*"], &["ab"], true), None, "an exception");
        assert_eq!(told(&[], &[".*"], &[], true), None, "it meets internal topics");
        let all = told(&[], &[".*"], &[], false).expect("they are wanted");
        assert_eq!(all.pattern, pattern(".*"));
        let unicode = told(&[], &[r"\p{Greek}"], &[], true).expect("RE2 only");
        assert_eq!(unicode.pattern, pattern(r"\p{Greek}"));
    }
}
