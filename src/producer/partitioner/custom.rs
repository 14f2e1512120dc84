//! A partitioner of the application's own.

use std::fmt;

use crate::error::{Code, Error, Result};
use crate::producer::record::Record;

/// The application's own choice for records that name no partition; runs on the sending thread, under no
/// lock. Attach it to a [`Config`](crate::config::Config): producers made with it ask it first.
pub struct CustomPartitioner {
    choose: Choose,
}

/// Gives the partition of a record among so many, or none to leave it to the property `partitioner`.
type Choose = Box<dyn Fn(&Record<'_>, u32) -> Option<i64> + Send + Sync>;

impl CustomPartitioner {
    /// A partitioner that asks `choose`, which gives a partition below the count it is told, or none.
    pub fn new(choose: impl Fn(&Record<'_>, u32) -> Option<i64> + Send + Sync + 'static) -> Self {
        Self { choose: Box::new(choose) }
    }

    /// The partition chosen.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a partition that the topic has not.
    pub(crate) fn choose(&self, record: &Record<'_>, partitions: u32) -> Result<Option<i32>> {
        let Some(chosen) = (self.choose)(record, partitions) else { return Ok(None) };
        match i32::try_from(chosen) {
            Ok(partition) if (0..i64::from(partitions)).contains(&chosen) => Ok(Some(partition)),
            _ => {
                let name = record.topic.name();
                let text = format!(
                    "the partitioner callback chose partition {chosen} of topic {name}, which has \
                     {partitions}"
                );
                Err(Error::new(Code::INVALID_ARGUMENT, text)
                    .with_topic(&**name)
                    .with_partition(chosen))
            }
        }
    }
}

impl fmt::Debug for CustomPartitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomPartitioner")
    }
}
