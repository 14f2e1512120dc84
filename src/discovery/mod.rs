//! How a cluster is found: the bootstrap list, or what its brokers register in ZooKeeper.

mod through_zookeeper;
pub mod zookeeper;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

pub use through_zookeeper::ThroughZooKeeper;

use self::zookeeper::{Follow, Listener, Registry};
use crate::config::{Address, ClientConfig};
use crate::error::{Error, Result};
use crate::runtime::{Completion, Runtime};

/// The brokers to begin with, when they are known.
pub type Found<'a> = Pin<Box<dyn Future<Output = Result<Vec<Address>>> + Send + 'a>>;

/// What is registered, when it was read.
pub type Snapshot<'a> = Pin<Box<dyn Future<Output = Result<Option<Registry>>> + Send + 'a>>;

/// A way to find the first brokers of a cluster. It is asked again whenever no broker that the cluster
/// itself named can be reached (invariant 1.16), so that its answer may change over time: a registry
/// in ZooKeeper lists the brokers that live now.
pub trait Discovery: fmt::Debug + Send + Sync + 'static {
    /// Addresses in the order in which they should be tried; an error names the registry.
    fn seeds(&self) -> Found<'_>;

    /// What the seeds come from, for messages: `bootstrap.servers=a:9092,b:9092`.
    fn origin(&self) -> String;

    /// The live registry, for a discovery that has one: it tells of brokers and topics that come,
    /// change and go.
    fn registry(&self) -> Option<watch::Receiver<Arc<Registry>>> {
        None
    }

    /// Which of the registered listeners is connected to.
    fn listener(&self) -> Option<&Listener> {
        None
    }

    /// Everything that is registered at this moment, every topic included, read anew before `deadline`;
    /// none where there is no registry.
    fn snapshot(&self, _deadline: Instant) -> Snapshot<'_> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Why the registry gives no broker now, if that is known.
    fn trouble(&self) -> Option<Error> {
        None
    }

    /// Says which topics the registry shall tell of, besides the brokers.
    fn follow(&self, _topics: Follow) {}

    /// The cluster is over: lets go of the registry, within `deadline`. Does not wait; what it gives can
    /// be waited for.
    fn end(&self, _deadline: Instant) -> Option<Completion<()>> {
        None
    }
}

/// The list that the application gave.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    servers: Vec<Address>,
}

impl Bootstrap {
    /// These servers.
    #[must_use]
    pub fn new(servers: Vec<Address>) -> Self {
        Self { servers }
    }
}

impl Discovery for Bootstrap {
    fn seeds(&self) -> Found<'_> {
        // Names are resolved by whoever connects, each time anew (invariant 1.17).
        Box::pin(std::future::ready(Ok(self.servers.clone())))
    }

    fn origin(&self) -> String {
        let servers: Vec<String> = self.servers.iter().map(Address::to_string).collect();
        format!("bootstrap.servers={}", servers.join(","))
    }
}

/// The discovery that a configuration asks for; started, if it has something to start.
#[must_use]
pub fn of(config: &ClientConfig, runtime: Runtime) -> Box<dyn Discovery> {
    match &config.zookeeper {
        Some(zookeeper) => Box::new(ThroughZooKeeper::start(config, zookeeper, runtime)),
        None => Box::new(Bootstrap::new(config.bootstrap_servers.clone())),
    }
}
