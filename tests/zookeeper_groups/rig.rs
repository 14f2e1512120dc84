//! Consumers that read on threads of their own, and a book of what each has read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use samsa::Code;
use samsa::cluster::Cluster;
use samsa::config::Config;
use samsa::consumer::Consumer;
use samsa::embedded::zookeeper::Server;

/// No test waits longer than this for something that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// What each reader has read, in order.
#[derive(Debug, Default)]
pub(crate) struct Book {
    read: Mutex<BTreeMap<&'static str, Vec<String>>>,
    changed: Condvar,
}

impl Book {
    fn note(&self, reader: &'static str, value: String) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.entry(reader).or_default().push(value);
        self.changed.notify_all();
    }

    /// What this reader has read, sorted.
    pub(crate) fn of(&self, reader: &str) -> Vec<String> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let mut values = read.get(reader).cloned().unwrap_or_default();
        values.sort();
        values
    }

    /// Waits until these readers together have read so many; gives all, sorted.
    pub(crate) fn wait(&self, readers: &[&'static str], count: usize) -> Vec<String> {
        let end = soon();
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let mut all: Vec<String> = readers
                .iter()
                .flat_map(|name| read.get(name).cloned().unwrap_or_default())
                .collect();
            if all.len() >= count {
                all.sort();
                return all;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{readers:?} have not read {count}: {read:?}");
            let waited = self.changed.wait_timeout(read, left);
            read = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A member with a cluster of its own, as if in a process of its own.
pub(crate) fn member(
    zookeeper: &Server,
    group: &str,
    properties: &[(&str, &str)],
) -> Arc<Consumer> {
    member_at(&zookeeper.address(), group, properties)
}

/// The same of a ZooKeeper at this address.
pub(crate) fn member_at(address: &str, group: &str, properties: &[(&str, &str)]) -> Arc<Consumer> {
    Consumer::new(&cluster_at(address, group, properties), None).expect("a consumer")
}

/// A cluster as if in a process of its own, with what its consumers say.
pub(crate) fn cluster_at(address: &str, group: &str, properties: &[(&str, &str)]) -> Arc<Cluster> {
    let mut config = Config::new();
    let usual = [
        ("zookeeper.connect", address),
        ("zookeeper.session.timeout.ms", "3000"),
        ("group.id", group),
        ("auto.offset.reset", "earliest"),
        ("rebalance.backoff.ms", "100"),
        ("reconnect.backoff.ms", "10"),
        ("reconnect.backoff.max.ms", "50"),
        ("retry.backoff.ms", "10"),
        ("retry.backoff.max.ms", "50"),
        ("fetch.max.wait.ms", "20"),
    ];
    for (name, value) in usual.iter().chain(properties) {
        config.set(name, value).expect("a property");
    }
    Cluster::open(&config).expect("opened")
}

/// A consumer that reads until it is told to leave.
pub(crate) struct Reader {
    consumer: Arc<Consumer>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    pub(crate) fn start(consumer: Arc<Consumer>, name: &'static str, book: &Arc<Book>) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let (own, ended, book) = (Arc::clone(&consumer), Arc::clone(&ends), Arc::clone(book));
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::SeqCst) {
                match own.poll(1_000) {
                    Ok(batch) => {
                        for record in batch.iter() {
                            let value = String::from_utf8_lossy(record.value().expect("a value"));
                            book.note(name, value.into_owned());
                        }
                    }
                    Err(error) if matches!(error.code(), Code::NOTHING | Code::WOKEN) => {}
                    Err(error) if error.is_retriable() => eprintln!("{name}: {error}"),
                    Err(error) => panic!("{name}: {error}"),
                }
            }
        });
        Self { consumer, ends, thread: Some(thread) }
    }

    /// Commits, leaves the group, and is gone.
    pub(crate) fn close(mut self) {
        self.ends.store(true, Ordering::SeqCst);
        self.consumer.wakeup();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it read to its end");
        }
        self.consumer.close(30_000).expect("closed");
    }
}

/// Waits until a topic's partitions have owner nodes of so many members, each of its own.
pub(crate) fn wait_owners(zookeeper: &Server, group: &str, topic: &str, wanted: &[usize]) {
    let parent = format!("/consumers/{group}/owners/{topic}");
    let shares = |zookeeper: &Server| {
        let mut owned: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for node in zookeeper.children(&parent) {
            if let Some(node) = zookeeper.node(&format!("{parent}/{node}")) {
                *owned.entry(node.data).or_default() += 1;
            }
        }
        let mut shares: Vec<usize> = owned.into_values().collect();
        shares.sort_unstable();
        shares
    };
    let there = zookeeper.wait_until(soon(), |zookeeper| shares(zookeeper) == wanted);
    assert!(there.is_ok(), "{:?}, not {wanted:?}", shares(zookeeper));
}
