//! libsamsa: a Kafka client as a C shared library with a Rust core.
//!
//! The rooms and the direction of their imports are drawn in `docs/architecture.md`.

pub mod cluster;
pub mod config;
pub mod consumer;
pub mod discovery;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod error;
#[allow(unsafe_code, reason = "the C boundary; every block carries its SAFETY")]
pub mod ffi;
pub mod group;
pub mod log;
pub mod net;
#[allow(unsafe_code, reason = "the operating system boundary; every block carries its SAFETY")]
pub mod os;
pub mod producer;
pub mod protocol;
pub mod runtime;

pub use error::{Code, Error, Result};
