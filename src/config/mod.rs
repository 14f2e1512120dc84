//! One property table: name, type, range, default, doc and aliases; the parser, the typed structs, the
//! error messages and `docs/configuration.md` come from it.
//!
//! [`Config`] is what an application fills, name by name; each value is checked when it is set.
//! [`ClientConfig`], [`ProducerConfig`] and [`ConsumerConfig`] are made from it once, and are what the
//! other rooms read: plain numbers, durations and enums.

mod address;
mod docs;
mod ensemble;
mod iso_duration;
mod kind;
mod properties_file;
mod store;
mod suggest;
mod table;
mod typed;

pub use address::Address;
pub use docs::markdown;
pub use ensemble::Ensemble;
pub use kind::Kind;
pub use properties_file::PropertiesFile;
pub use store::{Config, Explicit};
pub use table::{Alias, Owner, Property, properties, property};
pub use typed::{
    Acks, Assignor, ClientConfig, Compression, ConsumerConfig, DeliveryReport, Events, GroupConfig,
    GroupProtocol, IsolationLevel, OffsetsStorage, Partitioner, Partitioning, ProducerConfig,
    Reset, TopicConsumerConfig, TopicProducerConfig, ZooKeeperAuth, ZooKeeperConfig,
    ZooKeeperGroupConfig, ZooKeeperLayout,
};
