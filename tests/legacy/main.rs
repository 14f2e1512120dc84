//! Kafka 0.7 through ZooKeeper, as applications use it: embedded brokers and an embedded ZooKeeper, on
//! the real wire.

mod cluster;
mod consume_faults;
mod consume_offsets;
mod consume_reading;
mod consume_rig;
mod failover;
mod idle;
mod publish;
mod refusals;
mod rig;
mod samsa;
mod send;
mod storm;
