//! Starts real Kafka brokers and ZooKeepers on loopback and never leaves one behind.

pub mod broker;
pub mod cluster;
pub mod describe;
pub mod ensemble;
pub mod jars;
pub mod java;
pub mod probe;
pub mod process;
pub mod proxy;
pub mod topics;
pub mod versions;
pub mod zookeeper;

pub use cluster::Cluster;
pub use versions::{Need, RELEASES, Release};
