//! Bytes only: no I/O, no clock, and no allocation that the input can inflate.

pub mod legacy;
pub mod modern;
pub mod record;
pub mod zookeeper;
