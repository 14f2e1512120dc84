//! Kafka 0.7 through ZooKeeper, as applications use it: embedded brokers and an embedded ZooKeeper, on
//! the real wire.

mod cluster;
mod failover;
mod publish;
mod refusals;
mod rig;
mod send;
