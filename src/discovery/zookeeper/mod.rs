//! A ZooKeeper client on the library's own runtime, and what Kafka's brokers register there.
//!
//! | what | for |
//! |---|---|
//! | [`ZooKeeper`] | keeps a session over connections and servers, opens a new one when it expired |
//! | [`Session`] | one session's requests: create, claim, delete, exists, get, set, children, sync |
//! | [`Watcher`], [`Watches`] | who hears of changes; registered with a read, fires once |
//! | [`Status`], [`Phase`] | connecting, connected, suspended, ended; the number of the session |
//! | [`Registry`], [`Follow`] | the live maps of registered brokers and topics |
//! | [`RegisteredBroker`], [`RegisteredTopic`] | what Kafka 0.7 and later releases write |
//! | [`Failure`] | refused, lost (perhaps done), expired, or another error |
//!
//! One task per client (`task`, `serve`) owns the session and its connection; the rest is pure and
//! tested alone: which server next (`reconnect`), when to ping and give up (`timing`), what waits for
//! an answer (`inflight`), who watches what (`watches`).

mod client;
mod failure;
mod inflight;
mod link;
mod reading;
mod reconnect;
mod registration;
mod registry;
mod serve;
mod settings;
mod status;
mod task;
mod timing;
mod together;
mod watches;

pub use client::{Claim, Outcome, Session, ZooKeeper};
pub use failure::Failure;
pub(in crate::discovery) use reading::everything;
pub use registration::{
    Endpoint, Form, Generation, Listener, RegisteredBroker, RegisteredTopic, partition_count,
    partitions,
};
pub(in crate::discovery) use registry::Keeper;
pub use registry::{Follow, Registry};
pub use settings::Settings;
pub use status::{Phase, Status};
pub(crate) use together::together;
pub use watches::{WatchEvent, Watcher, Watches};

#[cfg(test)]
pub(crate) mod script;
#[cfg(test)]
mod tests;
