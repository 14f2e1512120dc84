//! Topics that the application named and that cannot be read: told once each, until they can.
//!
//! Of what is subscribed to the topic is told: it has no partitions before it is there, and nobody who would
//! say why nothing comes. A partition that is assigned by hand says so itself (`leaders.rs`), when it is time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cluster::Metadata;
use crate::error::{Code, Error};

/// A new topic spreads slowly, and one may be made for being asked for: it is unknown for so long first.
pub(super) const UNKNOWN_AFTER: Duration = Duration::from_secs(5);

/// What is known of the topics that are watched.
#[derive(Debug, Default)]
pub(super) struct Absent(HashMap<Arc<str>, Standing>);

#[derive(Clone, Copy, Debug)]
enum Standing {
    There,
    Refused(Code, Instant),
    Told(Code),
}

/// A topic that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Watched {
    pub(super) name: Arc<str>,
    /// It is known to have been there.
    pub(super) was_there: bool,
    /// Its partitions say of themselves that they cannot be read.
    pub(super) by_partition: bool,
}

impl Absent {
    /// What is to be told of these topics now, and when to look again.
    pub(super) fn look(
        &mut self,
        watched: &[Watched],
        metadata: &Metadata,
        now: Instant,
    ) -> (Vec<Error>, Option<Instant>) {
        self.0.retain(|name, _| watched.iter().any(|watched| watched.name == *name));
        let (mut told, mut next) = (Vec::new(), None);
        for Watched { name, was_there, by_partition } in watched {
            let Some(topic) = metadata.topic(name) else { continue };
            let before = self.0.get(name).copied().or(was_there.then_some(Standing::There));
            let Some(error) = &topic.error else {
                if !topic.partitions.is_empty() {
                    self.0.insert(Arc::clone(name), Standing::There);
                }
                continue;
            };
            let code = error.code();
            let since = match before {
                Some(Standing::Told(other)) if other == code => continue,
                Some(Standing::Refused(other, since)) if other == code => since,
                // Of a topic that was there metadata says so only after a long doubt (1.6).
                Some(Standing::There) => now.checked_sub(UNKNOWN_AFTER).unwrap_or(now),
                _ => now,
            };
            let due = since + UNKNOWN_AFTER;
            let standing = if code != Code::UNKNOWN_TOPIC_OR_PARTITION || now >= due {
                if !by_partition {
                    let was_there = matches!(before, Some(Standing::There));
                    told.push(cannot_be_read(name, was_there, error));
                }
                Standing::Told(code)
            } else {
                next = Some(next.map_or(due, |next: Instant| next.min(due)));
                Standing::Refused(code, since)
            };
            self.0.insert(Arc::clone(name), standing);
        }
        (told, next)
    }

    /// Whether it is time to say of a watched topic that it cannot be read for this reason.
    pub(super) fn is_told(&self, name: &str, code: Code) -> bool {
        matches!(self.0.get(name), Some(Standing::Told(told)) if *told == code)
    }
}

fn cannot_be_read(name: &Arc<str>, was_there: bool, why: &Error) -> Error {
    let text = match (why.code(), was_there) {
        (Code::UNKNOWN_TOPIC_OR_PARTITION, true) => {
            format!("topic {name} is there no more: nothing of it is read until it is made again")
        }
        (Code::UNKNOWN_TOPIC_OR_PARTITION, false) => {
            format!("topic {name} does not exist: nothing of it is read until it is made")
        }
        _ => format!("topic {name} cannot be read"),
    };
    Error::new(why.code(), text).with_topic(&**name).caused_by(why.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{PartitionMetadata, TopicMetadata};

    fn metadata(error: Option<Code>) -> Metadata {
        let mut topic = TopicMetadata::unknown(&Arc::from("t"));
        topic.error = error.map(Error::bare);
        if error.is_none() {
            topic.partitions.push(PartitionMetadata::unknown());
        }
        let mut metadata = Metadata::empty();
        metadata.topics.insert(Arc::from("t"), Arc::new(topic));
        metadata
    }

    fn codes((told, next): (Vec<Error>, Option<Instant>)) -> (Vec<Code>, Option<Instant>) {
        (told.iter().map(Error::code).collect(), next)
    }

    fn watched() -> Watched {
        Watched { name: Arc::from("t"), was_there: false, by_partition: false }
    }

    const UNKNOWN: Code = Code::UNKNOWN_TOPIC_OR_PARTITION;

    #[test]
    fn rule_13_7_a_topic_that_does_not_exist_is_told_once_an_episode_and_not_at_once() {
        let (mut absent, now, names) = (Absent::default(), Instant::now(), [watched()]);
        let mut look = |error, after: u64| {
            let now = now + Duration::from_secs(after);
            codes(absent.look(&names, &metadata(error), now))
        };
        assert_eq!(look(Some(UNKNOWN), 0), (vec![], Some(now + UNKNOWN_AFTER)));
        assert_eq!(look(Some(UNKNOWN), 4), (vec![], Some(now + UNKNOWN_AFTER)));
        assert_eq!(look(Some(UNKNOWN), 5), (vec![UNKNOWN], None));
        assert_eq!(look(Some(UNKNOWN), 60), (vec![], None), "once");
        assert_eq!(look(None, 61), (vec![], None), "it is made");
        assert_eq!(look(Some(UNKNOWN), 62), (vec![UNKNOWN], None), "it is deleted");
        assert_eq!(look(Some(UNKNOWN), 63), (vec![], None), "once");
    }

    #[test]
    fn a_topic_that_is_refused_is_told_at_once_and_one_that_nobody_asked_for_yet_is_not() {
        let (mut absent, now, names) = (Absent::default(), Instant::now(), [watched()]);
        assert_eq!(codes(absent.look(&names, &Metadata::empty(), now)), (vec![], None));
        let refused = metadata(Some(Code::TOPIC_AUTHORIZATION_FAILED));
        let told = codes(absent.look(&names, &refused, now));
        assert_eq!(told, (vec![Code::TOPIC_AUTHORIZATION_FAILED], None));
        assert_eq!(codes(absent.look(&names, &refused, now)), (vec![], None));
        // Subscribed to anew it is told anew.
        assert_eq!(codes(absent.look(&[], &refused, now)), (vec![], None));
        assert_eq!(codes(absent.look(&names, &refused, now)).0.len(), 1);
    }

    #[test]
    fn a_partition_says_so_itself_when_it_is_time() {
        let (mut absent, now) = (Absent::default(), Instant::now());
        let mine = [Watched { by_partition: true, ..watched() }];
        let unknown = metadata(Some(UNKNOWN));
        let told = codes(absent.look(&mine, &unknown, now));
        assert_eq!(told, (vec![], Some(now + UNKNOWN_AFTER)));
        assert!(!absent.is_told("t", UNKNOWN));
        assert_eq!(codes(absent.look(&mine, &unknown, now + UNKNOWN_AFTER)), (vec![], None));
        assert!(absent.is_told("t", UNKNOWN));
        assert!(!absent.is_told("t", Code::TOPIC_AUTHORIZATION_FAILED));
        let (mut absent, [mine]) = (Absent::default(), mine);
        absent.look(&[Watched { was_there: true, ..mine }], &unknown, now);
        assert!(absent.is_told("t", UNKNOWN), "after the cluster's own doubt");
    }
}
