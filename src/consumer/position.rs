//! A place in a partition, as applications give it and get it back.

use std::sync::Arc;

use super::name::Name;
use crate::error::{Code, Error, Result};

/// Stands for the end of a partition where an offset is asked for.
pub const LATEST: i64 = -1;
/// Stands for the first offset that a partition still has.
pub const EARLIEST: i64 = -2;

/// A partition and, if known, a place in it. One type in both directions: what one call returns,
/// another takes.
#[derive(Clone, Debug)]
pub struct Position {
    /// The topic.
    pub topic: Name,
    /// The partition's number; on Kafka 0.7 `broker << 32 | number`.
    pub partition: i64,
    /// An offset (0 or more), [`EARLIEST`] or [`LATEST`]; `None` = not given, or not known.
    pub offset: Option<i64>,
    /// Milliseconds since 1970; `None` = not given. An offset wins over a time.
    pub timestamp: Option<i64>,
    /// The leader epoch of the record before the offset; `None` = not known.
    pub leader_epoch: Option<i32>,
    /// What the application keeps beside a committed offset.
    pub metadata: Option<Arc<str>>,
    /// What went wrong with this partition alone.
    pub error: Option<Error>,
}

impl Position {
    /// A partition without a place in it.
    #[must_use]
    pub fn new(topic: Name, partition: i64) -> Self {
        Self {
            topic,
            partition,
            offset: None,
            timestamp: None,
            leader_epoch: None,
            metadata: None,
            error: None,
        }
    }

    /// The same partition at `offset`, [`EARLIEST`] or [`LATEST`].
    #[must_use]
    pub fn at(mut self, offset: i64) -> Self {
        self.offset = Some(offset);
        self
    }

    /// The same partition at the first record not older than `timestamp` (ms).
    #[must_use]
    pub fn at_time(mut self, timestamp: i64) -> Self {
        self.timestamp = Some(timestamp);
        self
    }

    /// Where reading is to start. [`Code::INVALID_ARGUMENT`] for a partition, an offset or a time
    /// out of range.
    pub(super) fn start(&self) -> Result<Start> {
        if self.partition < 0 {
            return Err(self.refuse(format_args!("partition {} is negative", self.partition)));
        }
        match (self.offset, self.timestamp) {
            (Some(EARLIEST), _) => Ok(Start::Earliest),
            (Some(LATEST), _) => Ok(Start::Latest),
            (Some(offset), _) if offset >= 0 => Ok(Start::Offset(offset)),
            (Some(offset), _) => Err(self.refuse(format_args!(
                "offset {offset} is neither 0 or more, nor EARLIEST (-2) or LATEST (-1)"
            ))),
            // Below 0 a broker reads special meanings into times (rule 7.7).
            (None, Some(time)) if time < 0 => {
                Err(self.refuse(format_args!("time {time} lies before 1970")))
            }
            (None, Some(time)) => Ok(Start::Time(time)),
            (None, None) => Ok(Start::Default),
        }
    }

    fn refuse(&self, why: std::fmt::Arguments<'_>) -> Error {
        Error::new(Code::INVALID_ARGUMENT, format!("topic {}: {why}", self.topic))
            .with_topic(self.topic.as_str())
            .with_partition(self.partition)
    }
}

/// Where reading of a partition starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// The committed offset, or else the policy `auto.offset.reset`.
    Default,
    /// The policy, whatever is committed.
    Policy,
    /// The first offset that is kept.
    Earliest,
    /// The end.
    Latest,
    /// The first record with at least this timestamp (ms), or the end.
    Time(i64),
    /// Exactly here.
    Offset(i64),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position() -> Position {
        Position::new(Name::new("t").unwrap(), 3)
    }

    #[test]
    fn an_offset_wins_over_a_time_and_nothing_means_default() {
        assert_eq!(position().start().unwrap(), Start::Default);
        assert_eq!(position().at(0).start().unwrap(), Start::Offset(0));
        assert_eq!(position().at(EARLIEST).start().unwrap(), Start::Earliest);
        assert_eq!(position().at(LATEST).start().unwrap(), Start::Latest);
        assert_eq!(position().at_time(5).start().unwrap(), Start::Time(5));
        assert_eq!(position().at(7).at_time(5).start().unwrap(), Start::Offset(7));
    }

    #[test]
    fn numbers_out_of_range_are_refused_with_topic_and_partition() {
        for wrong in [position().at(-3), position().at_time(-1)] {
            let error = wrong.start().unwrap_err();
            assert_eq!(error.code(), Code::INVALID_ARGUMENT);
            assert_eq!((error.topic(), error.partition()), (Some("t"), Some(3)));
        }
        let negative = Position::new(Name::new("t").unwrap(), -1);
        assert!(negative.start().is_err());
    }
}
