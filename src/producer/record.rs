//! A record on its way in.

use std::fmt;
use std::sync::Arc;

use crate::cluster::Topic;
use crate::protocol::record::{Headers, NewRecord};

/// A record to be sent. Everything is borrowed for the call alone: what is accepted was copied.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// Where to; a topic of the producer's own cluster.
    pub topic: &'a Arc<Topic>,
    /// The partition; none lets the partitioner choose. On Kafka 0.7 `broker << 32 | number`.
    pub partition: Option<i64>,
    /// Milliseconds since the epoch, ≥ 0; none means now, to within a tick of the kernel's clock.
    pub timestamp: Option<i64>,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value, or null.
    pub value: Option<&'a [u8]>,
    /// The headers; `&()` for none.
    pub headers: &'a dyn Headers,
    /// The caller's own mark, given back with the outcome; 0 costs nothing.
    pub opaque: u64,
}

impl<'a> Record<'a> {
    /// A record with nothing but a topic and a value.
    #[must_use]
    pub fn new(topic: &'a Arc<Topic>, value: &'a [u8]) -> Self {
        Self {
            topic,
            partition: None,
            timestamp: None,
            key: None,
            value: Some(value),
            headers: &(),
            opaque: 0,
        }
    }

    /// The same with a key.
    #[must_use]
    pub fn with_key(mut self, key: &'a [u8]) -> Self {
        self.key = Some(key);
        self
    }

    /// The same for one partition.
    #[must_use]
    pub fn to_partition(mut self, partition: impl Into<i64>) -> Self {
        self.partition = Some(partition.into());
        self
    }

    /// The same with the caller's mark.
    #[must_use]
    pub fn with_opaque(mut self, opaque: u64) -> Self {
        self.opaque = opaque;
        self
    }

    /// What the batch takes in.
    #[inline]
    pub(crate) fn to_new(self, timestamp: i64) -> NewRecord<'a> {
        NewRecord { timestamp, key: self.key, value: self.value, headers: self.headers }
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("topic", self.topic.name())
            .field("partition", &self.partition)
            .field("timestamp", &self.timestamp)
            .field("key_length", &self.key.map(<[u8]>::len))
            .field("value_length", &self.value.map(<[u8]>::len))
            .field("headers", &self.headers.count())
            .finish_non_exhaustive()
    }
}
