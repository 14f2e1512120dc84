//! Consumer groups: who reads which partitions, and how members agree on it.
//!
//! [`assignor`] has the assignors of the classic protocol, as pure functions.

pub mod assignor;
