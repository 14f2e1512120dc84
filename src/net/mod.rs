//! One connection, version negotiation, and one broker's connections by purpose.
//!
//! From the outside in:
//!
//! - [`Broker`]: a node id and a connection per [`Purpose`], opened on demand, shared, backed off;
//! - [`Network`]: what the brokers of a cluster share: settings, the dialer, what addresses taught;
//! - `negotiate`, `memory`, [`Versions`]: the first words on a connection, and the version of each
//!   request after them;
//! - [`Connection`]: typed requests; under it `wire` (whoever sends also writes, one task reads and
//!   keeps time) and `books` (what was sent and still waits: pure);
//! - `legacy`: the same for Kafka 0.7, where nothing is negotiated and answers come in order;
//! - [`Transport`]: the stream, with seats for TLS and SASL behind [`Dialer`].

mod backoff;
mod books;
mod broker;
mod connection;
mod dial;
#[cfg(test)]
pub(crate) mod duplex;
mod frame;
mod legacy;
mod memory;
mod negotiate;
mod network;
mod release;
mod resolve;
#[cfg(test)]
pub(crate) mod script;
mod throttle;
mod transport;
mod versions;
mod wire;

pub use backoff::{Backoff, jitter};
pub use books::Listener;
pub use broker::Broker;
pub use connection::{Answer, Connection};
pub use dial::{Dialed, Dialer, Stage, TcpDialer};
pub(crate) use frame::{FrameReader, Progress};
pub use legacy::{Dialect, LegacyAnswer};
pub use network::{Network, Settings};
pub use release::Old;
pub use transport::{TcpTransport, Transport};
pub use versions::Versions;
pub use wire::Flush;

/// What a connection is for. Each purpose has a connection of its own to each broker: a broker
/// serves one connection's requests strictly one after the other, so that a long poll or a throttle
/// delays everything behind it (invariant 1.18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Metadata, offsets look-ups, topic administration: short questions.
    Control = 0,
    /// Produce requests; at most one live connection per broker (invariant 1.19).
    Produce = 1,
    /// Fetch requests, which wait at the broker: each fetcher has them on a [`Broker::twin`] of its own.
    Fetch = 2,
    /// Group membership, whose joins wait at the broker.
    Coordinator = 3,
}

impl Purpose {
    /// All of them; the index is the discriminant.
    pub const ALL: [Self; 4] = [Self::Control, Self::Produce, Self::Fetch, Self::Coordinator];
}
