//! Consuming: positions, a fetcher per broker, and batches of messages that are views into what
//! was fetched.
//!
//! The way of a message: a fetcher ([`fetcher`]) asks its broker for every partition it leads and
//! queues the answer's shares unread ([`partition`]); a poll ([`handover`]) takes one share after
//! the other out of the queues, decodes it on the calling thread ([`decode`]) and checks that the
//! partition did not move meanwhile; the [`Batch`] holds the fetched buffers until it is dropped,
//! and so do [`Message`]s. Look-ups ([`lookup`]) give partitions without an offset one; the task in
//! [`leaders`] moves partitions between brokers. Brokers of Kafka 0.7 have fetchers and shares of their
//! own ([`legacy`]).

mod aborted;
mod absent;
mod batch;
mod bell;
mod budget;
mod buffers;
mod columns;
mod contact;
mod core;
mod decode;
#[cfg(test)]
mod decode_tests;
mod due;
mod event;
mod fetcher;
#[cfg(test)]
mod fixture;
mod front;
mod group;
mod handover;
mod leaders;
mod legacy;
mod lookup;
mod message;
mod name;
mod partition;
mod position;
mod recall;
mod replica;
mod reset;
mod settings;
mod share;
mod state;
mod truncation;
mod validation;
mod view;
mod whole_topic;

pub use batch::{Batch, Record, Run};
pub use columns::{ABSENT, Columns};
pub use event::{Event, Partitions};
pub use front::Consumer;
pub use group::{Callbacks, MakeMember, Tell};
pub use lookup::topic_offsets;
pub use message::Message;
pub use name::Name;
pub use position::{EARLIEST, LATEST, Position};
pub use view::{LOG_APPEND_TIME, MessageView};
