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
        partition: i64,
        /// The end: the offset that the next message will have at least.
        offset: i64,
    },
    /// Records of the partition that were handed out are lost: the leader's log parts from what was
    /// read at `offset`, where reading goes on (KIP-320).
    LogTruncated {
        /// The topic.
        topic: Name,
        /// The partition's number.
        partition: i64,
        /// The first offset that may hold another record than the one that was read.
        offset: i64,
    },
}
