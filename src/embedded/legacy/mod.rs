//! Brokers of Kafka 0.7 in this process, on the real wire, in memory.
//!
//! They answer as a 0.7.2 broker was seen to answer: with bytes, with silence, or by closing. What is
//! surprising in it is Kafka's: a produce is never answered; a message above `max.message.size` makes
//! its whole set vanish with the connection open; a topic exists before what is written to it was
//! looked at; consumers see what was flushed only; a fetch reads any byte position, and never across
//! a segment.
//!
//! With [`Options::zookeeper`] they register themselves there as 0.7 does, each in a session of its own:
//! that is how clients find them. A [`zookeeper`](super::zookeeper) of this process will do.

mod cluster;
mod connection;
mod fault;
mod log;
mod options;
mod registration;
mod serve;
mod state;
mod topics;
mod validate;

pub use cluster::Cluster;
pub use fault::{Fault, FaultKind};
pub use options::Options;
