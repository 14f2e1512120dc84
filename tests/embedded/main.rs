//! The embedded broker, asked with raw requests over a plain socket: no client of ours is between.

#![cfg(feature = "embedded")]

mod faults;
mod groups;
mod hostile;
mod legacy;
mod lifecycle;
mod next_groups;
mod partition_faults;
mod peer;
mod releases;
mod sessions;
mod wire;
mod zookeeper;
