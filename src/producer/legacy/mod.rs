//! Publishing on Kafka 0.7.
//!
//! Records take the same way as on later releases: partitioner, the partition's queue, a batch that is
//! encoded by the thread that sends, the sender of the broker. What is different has its place here:
//!
//! - `set`: the open batch is a message set, whose messages have a payload and nothing else;
//! - `slots`: a partition belongs to a broker and goes with it. Each has two queues: one for records
//!   that belong there (a key, or the caller, says so), one for those that may go anywhere;
//! - `call`: a broker acknowledges nothing. With acks=all or 1 an Offsets request goes out behind each
//!   produce, on the same connection, which the broker serves strictly in order: its answer proves that
//!   the produce was processed without a close;
//! - `rescue`: what was not proved, or cannot be sent, moves to another live partition, in order, unless
//!   it belongs to its own. So a record is written to at least one node as long as one is up;
//! - `check`: what 0.7 has no place for is refused before it is sent.

mod call;
mod check;
mod rescue;
mod set;
mod slots;

pub(crate) use call::launch;
pub(crate) use set::{SealedSet, SetBuilder};
pub(crate) use slots::Slots;

/// The partition of Kafka 0.7 that a queue is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    /// `broker << 32 | number`.
    pub(crate) number: i64,
    /// Its records may be written to any other partition as well.
    pub(crate) is_free: bool,
    /// The largest payload that a broker is sent, in bytes.
    pub(crate) largest: usize,
}
