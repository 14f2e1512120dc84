//! What a subscription means: names and patterns, resolved against the topics that there are.

use std::sync::Arc;
use std::time::Instant;

use super::{Pattern, Subscription};
use crate::cluster::{Cluster, TopicMetadata, check_name};
use crate::error::{Code, Error, Result};

/// A subscription that can be held against topics.
#[derive(Clone, Debug)]
pub struct Subscribed {
    asked: Subscription,
    patterns: Vec<Pattern>,
    except: Vec<Pattern>,
    exclude_internal: bool,
}

impl Subscribed {
    /// Reads a subscription. With `exclude_internal` patterns leave out the brokers' own topics.
    ///
    /// `INVALID_ARGUMENT` for a name that Kafka does not allow, or an expression that cannot be read.
    pub fn new(asked: &Subscription, exclude_internal: bool) -> Result<Self> {
        asked.topics.iter().try_for_each(|name| check_name(name))?;
        let all = |patterns: &[Arc<str>]| patterns.iter().map(|p| read(p)).collect::<Result<_>>();
        Ok(Self {
            patterns: all(&asked.patterns)?,
            except: all(&asked.except)?,
            asked: asked.clone(),
            exclude_internal,
        })
    }

    /// What was asked for.
    #[must_use]
    pub fn asked(&self) -> &Subscription {
        &self.asked
    }

    /// Whether it depends on which topics there are.
    #[must_use]
    pub fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// Whether a topic of this name is meant, were it there.
    #[must_use]
    pub fn means(&self, name: &str) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(name));
        self.asked.topics.iter().any(|topic| **topic == *name)
            || (any(&self.patterns) && !any(&self.except))
    }

    /// The topics that are meant, sorted, each once: the names that were given, whether or not they
    /// are there, and what patterns bring in of `all`.
    #[must_use]
    pub fn resolve(&self, all: &[Arc<TopicMetadata>]) -> Vec<Arc<str>> {
        let named = |name: &Arc<str>| self.asked.topics.contains(name);
        let found = all.iter().filter(|topic| {
            !named(&topic.name)
                && topic.error.is_none()
                && !(self.exclude_internal && topic.internal)
                && self.means(&topic.name)
        });
        let found = found.map(|topic| Arc::clone(&topic.name));
        let mut topics: Vec<Arc<str>> = self.asked.topics.iter().cloned().chain(found).collect();
        topics.sort();
        topics.dedup();
        topics
    }

    /// As [`resolve`](Self::resolve), against the topics of this moment; without patterns nobody is
    /// asked.
    ///
    /// The errors of [`Cluster::all_topics`].
    pub async fn resolve_now(&self, cluster: &Cluster, deadline: Instant) -> Result<Vec<Arc<str>>> {
        let all = match self.has_patterns() {
            true => cluster.all_topics_async(deadline).await?,
            false => Vec::new(),
        };
        Ok(self.resolve(&all))
    }
}

/// A bad pattern is the caller's mistake.
fn read(pattern: &str) -> Result<Pattern> {
    Pattern::new(pattern).map_err(|cause| {
        let text = format!("a subscription to {pattern:?} means nothing");
        Error::new(Code::INVALID_ARGUMENT, text).caused_by(cause)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str, internal: bool) -> Arc<TopicMetadata> {
        Arc::new(TopicMetadata {
            name: Arc::from(name),
            id: [0; 16],
            error: None,
            partitions: Vec::new(),
            internal,
            places: None,
        })
    }

    fn subscription(topics: &[&str], patterns: &[&str], except: &[&str]) -> Subscription {
        let list = |texts: &[&str]| texts.iter().map(|text| Arc::from(*text)).collect();
        Subscription { topics: list(topics), patterns: list(patterns), except: list(except) }
    }

    fn resolved(asked: &Subscription, exclude_internal: bool) -> Vec<String> {
        let all = [("a", false), ("ab", false), ("b", false), ("__offsets", true)];
        let all: Vec<_> = all.iter().map(|(name, internal)| topic(name, *internal)).collect();
        let topics = Subscribed::new(asked, exclude_internal).expect("read").resolve(&all);
        topics.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_are_meant_also_if_they_are_not_there_and_each_topic_comes_once() {
        let asked = subscription(&["z", "a"], &["a.*"], &[]);
        assert_eq!(resolved(&asked, true), ["a", "ab", "z"]);
    }

    #[test]
    fn a_pattern_means_whole_names_also_with_alternatives() {
        assert_eq!(resolved(&subscription(&[], &["a|b"], &[]), true), ["a", "b"]);
        assert_eq!(resolved(&subscription(&[], &["a"], &[]), true), ["a"]);
    }

    #[test]
    fn what_is_excepted_comes_by_name_only() {
        assert_eq!(resolved(&subscription(&[], &[".*"], &["a.*"]), true), ["b"]);
        assert_eq!(resolved(&subscription(&["ab"], &[".*"], &["a.*"]), true), ["ab", "b"]);
    }

    #[test]
    fn rule_9_16_patterns_leave_out_internal_topics_unless_they_are_wanted() {
        assert_eq!(resolved(&subscription(&[], &[".*"], &[]), true), ["a", "ab", "b"]);
        let with = resolved(&subscription(&[], &["__.*"], &[]), false);
        assert_eq!(with, ["__offsets"]);
        assert_eq!(resolved(&subscription(&["__offsets"], &[], &[]), true), ["__offsets"]);
    }

    #[test]
    fn a_topic_that_may_not_be_read_is_not_brought_in() {
        let mut refused = TopicMetadata::clone(&topic("a", false));
        refused.error = Some(Error::bare(Code::TOPIC_AUTHORIZATION_FAILED));
        let subscribed = Subscribed::new(&subscription(&[], &[".*"], &[]), true).expect("read");
        assert!(subscribed.resolve(&[Arc::new(refused)]).is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_refused_at_once() {
        for asked in [
            subscription(&["a b"], &[], &[]),
            subscription(&[], &["("], &[]),
            subscription(&[], &["a"], &["["]),
            subscription(&[], &["a)|(b"], &[]),
        ] {
            let refused = Subscribed::new(&asked, true).expect_err("refused");
            assert_eq!(refused.code(), Code::INVALID_ARGUMENT, "{asked:?}");
        }
    }
}
