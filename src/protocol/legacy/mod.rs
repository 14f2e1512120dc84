//! Kafka 0.7: five requests, message sets whose offsets are byte positions.
//!
//! Nothing of it has a version, a correlation id or a client id. Answers come in the order of their
//! requests, and a produce has none. Error codes are int16 with the numbers that modern Kafka kept
//! for the same meanings, so that [`Code`](crate::error::Code) reads them.
//!
//! Writing: [`append_message`], [`wrap`] and a [`Request`]. Reading: [`read_answer`] cuts a frame,
//! [`MessageSet`] walks the messages of a fetched set, [`Message::open`] decompresses one.

mod answer;
mod fields;
mod message;
mod message_set;
mod request;
mod resync;
mod sums;
mod wrapper;

pub use answer::{Answer, read_answer, read_multi_fetch, read_offsets};
pub use answer::{answer_fetch, answer_multi_fetch, answer_offsets};
pub use message::{MESSAGE_OVERHEAD, Message, append_message, message_head};
pub use message_set::{MessageSet, Tail};
pub use request::{
    EARLIEST, Fetch, LATEST, Offsets, Produce, RANDOM_PARTITION, Request, RequestId, produce_head,
};
pub use resync::{Search, resynchronise};
pub use wrapper::{Inner, Opened, wrap};
