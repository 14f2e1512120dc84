//! What a broker of 0.7 writes into ZooKeeper: itself, and for each topic that was written to how many
//! partitions it has. Nothing else tells clients of it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::state::State;
use crate::discovery::zookeeper::{Claim, Failure, Outcome, Session, Settings, Watcher, ZooKeeper};
use crate::error::{Code, Error, Result};
use crate::log::Logger;
use crate::runtime::{Completion, Runtime, Task};

/// How long starting waits until a broker is registered.
const PATIENCE: Duration = Duration::from_secs(20);
/// What starting gives the registration besides to say why it failed.
const LAST_WORD: Duration = Duration::from_secs(2);
/// How long stopping waits until ZooKeeper has heard of it.
const FAREWELL: Duration = Duration::from_secs(2);
/// The pause after a failure of ZooKeeper's that trying again may mend.
const PAUSE: Duration = Duration::from_millis(50);

/// A broker's presence in ZooKeeper, as long as it lives.
#[derive(Debug)]
pub(super) struct Registration {
    zookeeper: ZooKeeper,
    task: Task,
}

impl Registration {
    /// Registers a broker and its topics, and whatever topics it gets; again after each expiry of its
    /// session. Returns when the broker is registered.
    ///
    /// # Errors
    /// INVALID_PROPERTY for an address that is none; TIMED_OUT, ZOOKEEPER.
    pub(super) fn begin(state: &Arc<State>, broker: i32, connect: &str) -> Result<Self> {
        let runtime = Runtime::get(None)?;
        let settings = Settings::of(connect, state.options.zookeeper_session_timeout)?;
        let zookeeper = ZooKeeper::start(settings, runtime, &Logger::none());
        let (registered, wait) = Completion::new();
        let registrar = Registrar {
            state: Arc::clone(state),
            broker,
            zookeeper: zookeeper.clone(),
            creator: format!("127.0.0.1-{}", milliseconds()),
        };
        let told = Arc::clone(state);
        let on_panic = move |error| told.fail_with(error);
        let task = runtime.spawn("embedded registration", on_panic, async move {
            registered.send(registrar.register(Instant::now() + PATIENCE).await);
            registrar.keep().await;
        });
        let registration = Self { zookeeper, task };
        let limit = Instant::now() + PATIENCE + LAST_WORD;
        wait.wait(Some(limit), None).map_err(|error| {
            let text = format!("broker {broker} cannot be registered in ZooKeeper {connect}");
            Error::new(error.code(), text).caused_by(error)
        })?;
        Ok(registration)
    }

    /// Ends these sessions: the brokers' nodes go at once, if ZooKeeper hears of it.
    pub(super) fn end(registrations: impl IntoIterator<Item = Self>) {
        let deadline = Instant::now() + FAREWELL;
        let close = |registration: Self| {
            registration.task.abort();
            registration.zookeeper.close(deadline);
            registration.zookeeper
        };
        let closing: Vec<ZooKeeper> = registrations.into_iter().map(close).collect();
        let Ok(runtime) = Runtime::get(None) else { return };
        let (closed, wait) = Completion::new();
        runtime.spawn("embedded registration", drop, async move {
            for zookeeper in closing {
                zookeeper.closed().await;
            }
            closed.send(Ok(()));
        });
        // Who is not heard goes with his session's time.
        let _bounded = wait.wait(Some(deadline), None);
    }
}

fn milliseconds() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

struct Registrar {
    state: Arc<State>,
    broker: i32,
    zookeeper: ZooKeeper,
    creator: String,
}

impl Registrar {
    /// Registers everything in the session of now.
    async fn register(&self, deadline: Instant) -> Result<()> {
        loop {
            let session = self.zookeeper.session(deadline).await?;
            match self.register_in(&session, deadline).await {
                Ok(()) => return Ok(()),
                Err(Failure::Expired | Failure::Lost(_)) if Instant::now() < deadline => {}
                // All parents but the chroot are made on the way.
                Err(failure) if failure.is_no_node() => {
                    let text = format!("there is no {}: make it first", session.ensemble().chroot);
                    return Err(Error::new(Code::ZOOKEEPER, text).caused_by(Error::from(failure)));
                }
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    async fn register_in(&self, session: &Session, deadline: Instant) -> Outcome<()> {
        session.ensure("/brokers/ids", deadline).await?;
        session.ensure("/brokers/topics", deadline).await?;
        let address = self.state.broker(self.broker)?.address;
        let data = format!("{}:{}:{}", self.creator, address.ip(), address.port());
        let node = format!("/brokers/ids/{}", self.broker);
        claim(session, &node, data.as_bytes(), deadline).await?;
        self.register_topics(session, deadline).await
    }

    async fn register_topics(&self, session: &Session, deadline: Instant) -> Outcome<()> {
        let topics = self.state.broker(self.broker)?.topics().names();
        for topic in topics {
            let parent = format!("/brokers/topics/{topic}");
            session.ensure(&parent, deadline).await?;
            let count = self.state.options.partitions_of(&topic).to_string();
            let node = format!("{parent}/{}", self.broker);
            claim(session, &node, count.as_bytes(), deadline).await?;
        }
        Ok(())
    }

    /// Registers topics as they come, and everything again after an expiry.
    async fn keep(&self) {
        let mut status = self.zookeeper.status();
        let mut registered = status.borrow_and_update().session;
        loop {
            let Ok(broker) = self.state.broker(self.broker) else { return };
            tokio::select! {
                () = broker.new_topic.notified() => {}
                changed = status.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let now = status.borrow_and_update();
                    if now.session == registered || !now.is_connected() {
                        continue;
                    }
                }
            }
            let number = status.borrow().session;
            match self.register(Instant::now() + PATIENCE).await {
                Ok(()) => registered = number,
                Err(error) if matches!(error.code(), Code::CLOSED | Code::FORKED) => return,
                Err(_) => {
                    tokio::time::sleep(PAUSE).await;
                    broker.new_topic.notify_one();
                }
            }
        }
    }
}

/// Makes an ephemeral node; waits while one of an earlier session is still there.
async fn claim(session: &Session, path: &str, data: &[u8], deadline: Instant) -> Outcome<()> {
    loop {
        let Claim::Held { .. } = session.claim(path, data, deadline).await? else { return Ok(()) };
        let (watcher, mut watches) = Watcher::new();
        if session.exists(path, Some(&watcher), deadline).await?.is_none() {
            continue;
        }
        if tokio::time::timeout_at(deadline.into(), watches.next()).await.is_err() {
            let text =
                format!("{path} is held by another session: is the broker registered twice?");
            return Err(Failure::Other(Error::new(Code::TIMED_OUT, text)));
        }
    }
}
