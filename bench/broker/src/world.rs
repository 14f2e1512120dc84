//! What all connections share.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use samsa::protocol::modern::Uuid;

use crate::log::Log;
use crate::options::Options;

/// The brokers and their topics.
pub struct World {
    pub options: Options,
    pub ports: Vec<u16>,
    pub log: Log,
    topics: Mutex<Topics>,
    next_producer: AtomicI64,
    /// Messages acknowledged and served.
    pub messages: AtomicU64,
}

/// The topics that were ever named, and where the next batch of each partition goes.
#[derive(Default)]
pub struct Topics {
    names: HashMap<Uuid, String>,
    ends: HashMap<(Uuid, i32), i64>,
}

impl World {
    pub fn new(options: Options, ports: Vec<u16>) -> Result<Self, String> {
        let log = Log::new(&options)?;
        Ok(Self {
            options,
            ports,
            log,
            topics: Mutex::default(),
            next_producer: AtomicI64::new(1),
            messages: AtomicU64::new(0),
        })
    }

    /// Every broker's address, comma-separated.
    pub fn bootstrap(&self) -> String {
        let hosts: Vec<_> = self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        hosts.join(",")
    }

    /// The broker that leads a partition; ids count from 1.
    pub fn leader(&self, partition: i32) -> i32 {
        partition.rem_euclid(i32::from(self.options.brokers)) + 1
    }

    pub fn topics(&self) -> MutexGuard<'_, Topics> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn producer_id(&self) -> i64 {
        self.next_producer.fetch_add(1, Ordering::Relaxed)
    }

    /// CPU time of this process per message, for people.
    pub fn cost(&self) -> String {
        let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: the kernel fills the structure; all zero is a valid one.
        let usage = unsafe {
            libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
            usage.assume_init()
        };
        let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
        let cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime);
        let messages = self.messages.load(Ordering::Relaxed);
        let each = cpu * 1e9 / messages.max(1) as f64;
        let log = &self.log;
        format!(
            "null broker: {messages} messages, {each:.1} ns of CPU each; its batches: {} records, \
             {} bytes",
            log.records_in(log.batch_bytes()),
            log.batch_bytes()
        )
    }
}

impl Topics {
    /// The id of a topic, which exists from now on.
    pub fn id(&mut self, name: &str) -> Uuid {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, name).hash(&mut hasher);
            hasher.finish().to_be_bytes()
        };
        let mut id = [0; 16];
        id[..8].copy_from_slice(&half(1));
        id[8..].copy_from_slice(&half(2));
        self.names.entry(Uuid(id)).or_insert_with(|| name.to_owned());
        Uuid(id)
    }

    pub fn name(&self, id: Uuid) -> Option<String> {
        self.names.get(&id).cloned()
    }

    pub fn all(&self) -> Vec<String> {
        self.names.values().cloned().collect()
    }

    /// Takes so many records; gives the offset of the first.
    pub fn append(&mut self, topic: Uuid, partition: i32, records: i64) -> i64 {
        let end = self.ends.entry((topic, partition)).or_default();
        let base = *end;
        *end += records;
        base
    }
}
