//! What happens besides messages; only what `samsa.events` asks for.

use super::name::Name;

/// Something that an application may want to know in its place among the messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Every message of the partition up to `offset` was handed out, and there was none after it
    /// when the broker was last asked.
    PartitionEnd {
        /// The topic.
        topic: Name,
        /// The partition's number.
        partition: i32,
        /// The end: the offset that the next message will have at least.
        offset: i64,
    },
}
