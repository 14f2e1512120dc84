//! How a cluster is found: the bootstrap list (ZooKeeper has its seat here).

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::config::{Address, ClientConfig};
use crate::error::Result;

/// The brokers to begin with, when they are known.
pub type Found<'a> = Pin<Box<dyn Future<Output = Result<Vec<Address>>> + Send + 'a>>;

/// A way to find the first brokers of a cluster. It is asked again whenever no broker that the cluster
/// itself named can be reached (invariant 1.16), so that its answer may change over time: a registry
/// in ZooKeeper lists the brokers that live now.
pub trait Discovery: fmt::Debug + Send + Sync + 'static {
    /// Addresses in the order in which they should be tried; an error names the registry.
    fn seeds(&self) -> Found<'_>;

    /// What the seeds come from, for messages: `bootstrap.servers=a:9092,b:9092`.
    fn origin(&self) -> String;
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

/// The discovery that a configuration asks for.
#[must_use]
pub fn of(config: &ClientConfig) -> Box<dyn Discovery> {
    Box::new(Bootstrap::new(config.bootstrap_servers.clone()))
}
