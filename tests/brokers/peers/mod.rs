//! Kafka clients that no one here wrote: the judges of the wire.

pub mod java;
pub mod kcat;
pub mod message;
pub mod python;

pub use message::Message;
