//! Discovery through ZooKeeper: the brokers that are registered there now.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout_at;

use super::zookeeper::{
    Follow, Generation, Keeper, Listener, Registry, Settings, ZooKeeper, everything,
};
use super::{Discovery, Found, Snapshot};
use crate::config::{Address, ClientConfig, ZooKeeperConfig};
use crate::error::{Code, Error};
use crate::runtime::{Completion, Runtime};

/// How long a look for seeds waits for ZooKeeper before it says what it knows.
const PATIENCE: Duration = Duration::from_secs(10);

/// The registry of a ZooKeeper, with the bootstrap list behind it.
#[derive(Debug)]
pub struct ThroughZooKeeper {
    config: ZooKeeperConfig,
    bootstrap: Vec<Address>,
    listener: Listener,
    zookeeper: ZooKeeper,
    runtime: Runtime,
    registry: watch::Receiver<Arc<Registry>>,
    follow: watch::Sender<Follow>,
}

impl ThroughZooKeeper {
    /// Starts the client and its live maps; does not wait.
    #[must_use]
    pub fn start(client: &ClientConfig, config: &ZooKeeperConfig, runtime: Runtime) -> Self {
        let settings = Settings::new(client, config);
        let zookeeper = ZooKeeper::start(settings, runtime, &client.logger);
        let (sender, registry) = watch::channel(Arc::default());
        let sender = Arc::new(sender);
        let initial = if client.events.topics { Follow::All } else { Follow::Nothing };
        let (follow, followed) = watch::channel(initial);
        let told = Arc::clone(&sender);
        let keeper = Keeper::new(zookeeper.clone(), client.logger.clone(), sender, followed);
        let on_panic = move |panic: Error| {
            told.send_replace(Arc::new(Registry::failed(panic)));
        };
        runtime.spawn("registry", on_panic, keeper.run());
        Self {
            bootstrap: client.bootstrap_servers.clone(),
            // Connections are in clear text so far.
            listener: Listener {
                protocol: "PLAINTEXT".to_owned(),
                name: config.listener_name.clone(),
            },
            config: config.clone(),
            zookeeper,
            runtime,
            registry,
            follow,
        }
    }

    fn addresses(&self, registry: &Registry) -> Vec<Address> {
        let modern = registry.brokers.values();
        let modern = modern.filter(|broker| broker.generation() == Generation::Modern);
        modern.filter_map(|broker| broker.address(&self.listener).ok().cloned()).collect()
    }

    /// Why nothing new is known.
    fn away(&self, registry: &Registry) -> Error {
        let text = format!("ZooKeeper {} cannot be asked", self.config.ensemble);
        let error = Error::new(Code::ZOOKEEPER, text);
        let offline = self.zookeeper.status().borrow().trouble.clone();
        let cause = registry.trouble.clone().or(offline);
        cause.map_or(error.clone(), |cause| error.caused_by(cause))
    }

    /// Why there are no seeds.
    fn nobody(&self, registry: &Registry) -> Error {
        let text = format!("no broker is known from ZooKeeper {}", self.config.ensemble);
        let unfit =
            registry.brokers.values().find_map(|broker| broker.address(&self.listener).err());
        let offline = self.zookeeper.status().borrow().trouble.clone();
        let error = Error::new(Code::BROKER_NOT_AVAILABLE, text);
        let nobody = || {
            let text = if registry.is_live {
                "none is registered at the moment"
            } else {
                "no server has answered yet"
            };
            Error::new(Code::BROKER_NOT_AVAILABLE, text)
        };
        error.caused_by(registry.trouble.clone().or(unfit).or(offline).unwrap_or_else(nobody))
    }
}

impl Discovery for ThroughZooKeeper {
    fn seeds(&self) -> Found<'_> {
        Box::pin(async {
            let mut registry = self.registry.clone();
            let told = |registry: &Arc<Registry>| {
                !self.addresses(registry).is_empty() || registry.trouble.is_some()
            };
            // The bootstrap list need not wait for a ZooKeeper that is away.
            let patience = if self.bootstrap.is_empty() { PATIENCE } else { PATIENCE / 10 };
            let end = Instant::now() + patience;
            let _ = timeout_at(end.into(), registry.wait_for(told)).await;
            let registry = registry.borrow().clone();
            let found = self.addresses(&registry);
            match (found.is_empty(), self.bootstrap.is_empty()) {
                (false, _) => Ok(found),
                (true, false) => Ok(self.bootstrap.clone()),
                (true, true) => Err(self.nobody(&registry)),
            }
        })
    }

    fn origin(&self) -> String {
        format!("zookeeper.connect={}", self.config.ensemble)
    }

    fn registry(&self) -> Option<watch::Receiver<Arc<Registry>>> {
        Some(self.registry.clone())
    }

    fn snapshot(&self, deadline: Instant) -> Snapshot<'_> {
        Box::pin(async move {
            let session = self.zookeeper.session(deadline).await.map_err(Error::from)?;
            let read = timeout_at(deadline.into(), everything(&session)).await;
            read.unwrap_or_else(|_| Err(self.nobody(&self.registry.borrow()))).map(Some)
        })
    }

    fn trouble(&self) -> Option<Error> {
        let registry = self.registry.borrow().clone();
        // Brokers of 0.7 are no seeds, for they tell nothing; but they are there.
        if registry.generation() == Some(Generation::Legacy) {
            // The registry may still wait for an answer that will not come.
            let connected = self.zookeeper.status().borrow().is_connected();
            return (!registry.is_live || !connected).then(|| self.away(&registry));
        }
        self.addresses(&registry).is_empty().then(|| self.nobody(&registry))
    }

    fn listener(&self) -> Option<&Listener> {
        Some(&self.listener)
    }

    fn follow(&self, follow: Follow) {
        self.follow.send_if_modified(|known| {
            let changed = *known != Follow::All && *known != follow;
            if changed {
                *known = follow;
            }
            changed
        });
    }

    fn end(&self, deadline: Instant) -> Option<Completion<()>> {
        self.zookeeper.close(deadline);
        let zookeeper = self.zookeeper.clone();
        let (sender, completion) = Completion::new();
        self.runtime.spawn("zookeeper close", |_| {}, async move {
            zookeeper.closed().await;
            sender.send(Ok(()));
        });
        Some(completion)
    }
}
