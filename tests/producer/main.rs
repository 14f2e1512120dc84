//! The producer against the embedded broker: what becomes of records, whatever the broker does.

#![cfg(feature = "embedded")]

mod bench;
mod codes;
mod direct;
mod ends;
mod faults;
mod idempotence;
mod idle;
mod kept;
mod memory;
mod partitioning;
mod publish;
mod releases;
mod send;
mod stranded;
mod topics;
