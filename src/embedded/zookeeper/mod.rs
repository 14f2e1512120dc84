//! A ZooKeeper in this process, on the real wire, in memory.
//!
//! ```no_run
//! use samsa::embedded::zookeeper::Server;
//!
//! let zookeeper = Server::start()?;
//! zookeeper.ensure("/kafka", b"")?;
//! println!("zookeeper.connect={}/kafka", zookeeper.address());
//! for session in zookeeper.sessions() {
//!     zookeeper.expire(session)?;
//! }
//! # Ok::<(), samsa::Error>(())
//! ```
//!
//! It has sessions with time-outs and passwords, ephemeral and sequential nodes, versions, one-shot
//! watches, and watches set again; `create`, `create2`, `delete`, `exists`, `getData`, `setData`,
//! `getChildren` and `getChildren2`, `sync`, `ping`, `getACL` and `setACL`, authentication by digest,
//! `setWatches` and `closeSession`. It has no access lists (everything is open to everybody), no
//! transactions (`multi`), no quotas, and none of what came with 3.5 and later. Nothing is kept when it
//! stops.
//!
//! Inside, from the socket inwards: `connection`, `request` and `serve`; below them `world` (sessions and
//! who is told what), `tree` and `watches`, which know no wire.

mod connection;
mod fault;
mod options;
mod request;
mod serve;
mod server;
mod state;
mod tree;
mod watches;
mod world;

pub use fault::{Fault, FaultKind};
pub use options::Options;
pub use server::{Node, Server};
