//! Topics of one broker, and which names they may have.

use std::collections::{BTreeMap, HashMap};

use super::log::{Log, Now};
use super::options::Options;

/// Kafka 0.7.2's `max.topic.name.length`.
const NAME_MAX: usize = 255;

/// The topics that a broker has been written to, each with the logs of its partitions.
#[derive(Debug, Default)]
pub(super) struct Topics(HashMap<String, BTreeMap<i32, Log>>);

impl Topics {
    /// The log of a partition, made if it is not there, with its topic.
    pub(super) fn log_or_new(&mut self, topic: &str, partition: i32, now: Now) -> &mut Log {
        let logs = self.0.entry(topic.to_owned()).or_default();
        logs.entry(partition).or_insert_with(|| Log::new(now))
    }

    /// The log of a partition, flushed if its time has come.
    pub(super) fn log(
        &mut self,
        topic: &str,
        partition: i32,
        options: &Options,
        now: Now,
    ) -> Option<&Log> {
        let log = self.0.get_mut(topic)?.get_mut(&partition)?;
        log.flush_if_due(options.flush_interval, now);
        Some(log)
    }

    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.0.keys().cloned().collect();
        names.sort();
        names
    }

    pub(super) fn contains(&self, topic: &str) -> bool {
        self.0.contains_key(topic)
    }
}

/// Whether 0.7.2 takes a topic of this name. Java counts in UTF-16.
pub(super) fn is_legal(name: &str) -> bool {
    let characters = name.encode_utf16().count();
    let is_illegal = |c: char| {
        matches!(c, '/' | '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}'
            | '\u{fff0}'..='\u{ffff}')
            // Outside the first plane Java sees surrogates.
            || u32::from(c) > 0xffff
    };
    (1..=NAME_MAX).contains(&characters)
        && !matches!(name, "." | "..")
        && !name.chars().any(is_illegal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_as_0_7_2_judges_them() {
        let longest = "z".repeat(255);
        for legal in ["t", "...", "x-y-z", "a b", "tö", &longest, "#*?"] {
            assert!(is_legal(legal), "{legal}");
        }
        let longer = "z".repeat(256);
        for illegal in ["", ".", "..", "a/b", "a\0", "\u{7f}", "\u{e000}", "😀", &longer] {
            assert!(!is_legal(illegal), "{illegal}");
        }
    }
}
