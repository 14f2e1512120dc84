//! How application threads reach a task that serves queues: a sender, or the keeper.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore};

use super::accumulator::Queue;
use super::identity::BATCHES_IN_FLIGHT;
use super::sender::Office;
use crate::error::{Code, Error, Result};
use crate::net::{Broker, Versions};
use crate::protocol::modern::messages::init_producer_id::InitProducerIdRequest;
use crate::protocol::modern::messages::produce::ProduceRequest;
use crate::protocol::record::{Compression, Format};

/// The first version of Produce that takes zstd.
const ZSTD_SINCE: i16 = 7;

/// The first version of Produce whose brokers remember the last five batches of a producer.
const REMEMBERS_FIVE_SINCE: i16 = 4;

/// The letter box of one task. The lock is a leaf: it may be taken under a queue's lock.
#[derive(Debug)]
pub(crate) struct Mail {
    /// The broker it is for, −1 for the keeper.
    broker: i32,
    inbox: Mutex<Inbox>,
    bell: Notify,
    /// Has no permits, and is closed when the task is to end: whoever acquires waits for that.
    end: Semaphore,
    /// What is known of the broker since its first connection.
    profile: Mutex<Option<Arc<Profile>>>,
    /// The broker, and why it could not be reached: for the error of records that expire meanwhile.
    contact: Mutex<Contact>,
    /// Requests without an answer yet.
    in_flight: AtomicUsize,
    /// The last attempt to reach the broker failed.
    unreachable: AtomicBool,
    /// Who sends.
    pub(super) office: Office,
    task: OnceLock<()>,
}

#[derive(Debug, Default)]
struct Contact {
    broker: Option<Arc<Broker>>,
    failure: Option<Error>,
}

#[derive(Debug, Default)]
struct Inbox {
    ready: Vec<Arc<Queue>>,
    timers: Vec<(Instant, Arc<Queue>)>,
    /// The answers of requests, by their numbers.
    answers: Vec<(u64, Result<Bytes>)>,
    /// The earliest time the task wakes by itself; none = it is awake, or sleeps without end.
    wakes_at: Option<Instant>,
    /// The task looks at nothing but answers now: spare it the bell.
    saturated: bool,
    stopped: bool,
    /// Since when something waits and no request left; none if nothing waits, as far as is known.
    waits_since: Option<Instant>,
}

/// What a sender learned from its broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    /// The version of Produce that is spoken.
    pub(crate) version: i16,
    /// The record format that goes with it.
    pub(crate) format: Format,
    /// How many batches of one partition may be in flight, with an identity: before 1.0 brokers
    /// remember one of a producer, then five (invariant 5.3).
    pub(crate) window: usize,
    /// Whether it gives out producer ids.
    pub(crate) gives_ids: bool,
    /// The broker's release, as far as it can be told.
    pub(crate) release: String,
    /// The broker's address and id.
    pub(crate) address: String,
}

impl Profile {
    /// What the sender of a connection to `versions`' broker should know.
    pub(crate) fn of(versions: &Versions) -> Result<Self> {
        if versions.is_legacy() {
            // Kafka 0.7: no versions. Its queues have a form of their own, and one batch in flight.
            let (release, address) = (versions.release().to_owned(), versions.broker().to_string());
            let (format, window, gives_ids) = (Format::V0, 1, false);
            return Ok(Self { version: 0, format, window, gives_ids, release, address });
        }
        let version = versions.pick::<ProduceRequest>()?;
        let format = match version {
            0 | 1 => Format::V0,
            2 => Format::V1,
            _ => Format::V2,
        };
        let window = if version < REMEMBERS_FIVE_SINCE { 1 } else { BATCHES_IN_FLIGHT };
        let (release, address) = (versions.release().to_owned(), versions.broker().to_string());
        let gives_ids = versions.pick::<InitProducerIdRequest>().is_ok();
        Ok(Self { version, format, window, gives_ids, release, address })
    }

    /// Refuses zstd where it is not known: 76 reaches the user (invariant 3.12).
    pub(crate) fn check(&self, compression: Compression) -> Result<()> {
        if compression == Compression::Zstd && self.version < ZSTD_SINCE {
            let text = "compression.type=zstd needs brokers 2.1 or later";
            return Err(self.blame(Error::new(Code::UNSUPPORTED_COMPRESSION_TYPE, text)));
        }
        Ok(())
    }

    /// Adds to an error that the broker's generation causes which broker and which release it is.
    pub(crate) fn blame(&self, error: Error) -> Error {
        let code = error.code();
        if !matches!(code, Code::UNSUPPORTED_FEATURE | Code::UNSUPPORTED_COMPRESSION_TYPE) {
            return error;
        }
        let text = format!("broker {} is a Kafka {}", self.address, self.release);
        Error::new(code, text).with_broker(self.address.clone()).caused_by(error)
    }
}

/// What a task finds in its box.
#[derive(Debug, Default)]
pub(crate) struct Letters {
    pub(crate) ready: Vec<Arc<Queue>>,
    pub(crate) timers: Vec<(Instant, Arc<Queue>)>,
    pub(crate) answers: Vec<(u64, Result<Bytes>)>,
    pub(crate) stopped: bool,
}

impl Mail {
    pub(crate) fn new(broker: i32) -> Arc<Self> {
        Arc::new(Self {
            broker,
            inbox: Mutex::default(),
            bell: Notify::new(),
            end: Semaphore::new(0),
            profile: Mutex::new(None),
            contact: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            unreachable: AtomicBool::new(false),
            office: Office::new(),
            task: OnceLock::new(),
        })
    }

    pub(crate) fn broker(&self) -> i32 {
        self.broker
    }

    /// True for the first caller: it starts the task.
    pub(crate) fn claim_start(&self) -> bool {
        self.task.set(()).is_ok()
    }

    /// This queue has something to send.
    pub(crate) fn post(&self, queue: Arc<Queue>) {
        let ring = {
            let mut inbox = self.lock();
            if inbox.stopped {
                return;
            }
            inbox.ready.push(queue);
            inbox.waits_since.get_or_insert_with(Instant::now);
            inbox.ready.len() == 1 && !inbox.saturated
        };
        if ring {
            self.bell.notify_one();
        }
    }

    /// Look at this queue at `at`.
    pub(crate) fn time(&self, at: Instant, queue: Arc<Queue>) {
        let ring = {
            let mut inbox = self.lock();
            if inbox.stopped {
                return;
            }
            inbox.timers.push((at, queue));
            // Only an earlier time wakes the task (invariant 13.3): it takes the others in when it
            // wakes. Awake or without a timer, it must see the first one.
            match inbox.wakes_at {
                Some(wakes_at) => at < wakes_at,
                None => inbox.timers.len() == 1,
            }
        };
        if ring {
            self.bell.notify_one();
        }
    }

    /// The request of this number was answered, or never will be.
    pub(super) fn answer(&self, number: u64, frame: Result<Bytes>) {
        let ring = {
            let mut inbox = self.lock();
            if inbox.stopped {
                return;
            }
            inbox.answers.push((number, frame));
            inbox.answers.len() == 1
        };
        if ring {
            self.bell.notify_one();
        }
    }

    /// Whether answers lie in the box.
    pub(super) fn has_answers(&self) -> bool {
        !self.lock().answers.is_empty()
    }

    /// Whether somebody waits to be sent whom the task has not seen yet.
    pub(super) fn has_letters(&self) -> bool {
        let inbox = self.lock();
        inbox.stopped || !inbox.ready.is_empty()
    }

    /// Rings whatever the box holds.
    pub(crate) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Ends the task at its next look.
    pub(crate) fn stop(&self) {
        {
            let mut inbox = self.lock();
            inbox.stopped = true;
            // Queues hold mail and mail holds queues: the circle ends here.
            inbox.ready.clear();
            inbox.timers.clear();
            inbox.answers.clear();
        }
        self.office.close(self);
        self.end.close();
        self.ring();
    }

    /// Waits until the task is to end: what it awaits must not keep the producer alive.
    pub(crate) async fn ended(&self) {
        let _ = self.end.acquire().await;
    }

    /// Takes everything out of the box. The task is awake from now on.
    pub(crate) fn collect(&self) -> Letters {
        let mut inbox = self.lock();
        inbox.wakes_at = None;
        inbox.saturated = false;
        Letters {
            ready: std::mem::take(&mut inbox.ready),
            timers: std::mem::take(&mut inbox.timers),
            answers: std::mem::take(&mut inbox.answers),
            stopped: inbox.stopped,
        }
    }

    /// Notes how long the task will sleep; false if something came since it looked: then it must look
    /// again. `saturated`: only answers matter until then. `idle`: nothing of what it took out before
    /// waits for it.
    pub(crate) fn may_sleep(&self, until: Option<Instant>, saturated: bool, idle: bool) -> bool {
        let mut inbox = self.lock();
        let fresh = !saturated && !inbox.ready.is_empty() || !inbox.timers.is_empty();
        if fresh || !inbox.answers.is_empty() || inbox.stopped {
            return false;
        }
        if idle && inbox.ready.is_empty() {
            inbox.waits_since = None;
        }
        inbox.wakes_at = until;
        inbox.saturated = saturated;
        true
    }

    /// Sleeps until the bell or `until`.
    pub(crate) async fn sleep(&self, until: Option<Instant>) {
        let bell = self.bell.notified();
        match until {
            None => bell.await,
            Some(until) => {
                let timer = tokio::time::sleep_until(tokio::time::Instant::from_std(until));
                tokio::select! {
                    () = bell => {}
                    () = timer => {}
                }
            }
        }
    }

    pub(crate) fn profile(&self) -> Option<Arc<Profile>> {
        self.profile.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_profile(&self, profile: Arc<Profile>) {
        *self.profile.lock().unwrap_or_else(PoisonError::into_inner) = Some(profile);
    }

    /// Why the broker cannot be reached now, if so: the last failure, or how far the attempt under way
    /// has come.
    pub(crate) fn trouble(&self) -> Option<Error> {
        let contact = self.contact.lock().unwrap_or_else(PoisonError::into_inner);
        let broker = contact.broker.as_ref().and_then(|broker| broker.trouble());
        broker.or_else(|| contact.failure.clone())
    }

    /// Whether the broker could not be reached and has not been due for another try since.
    pub(crate) fn is_doubtful(&self) -> bool {
        let contact = self.contact.lock().unwrap_or_else(PoisonError::into_inner);
        contact.broker.as_ref().is_some_and(|broker| broker.is_doubtful(Instant::now()))
    }

    /// Whether the last attempt to reach the broker failed.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.unreachable.load(Ordering::Relaxed)
    }

    /// Notes the broker that is about to be reached.
    pub(crate) fn set_broker(&self, broker: Arc<Broker>) {
        self.contact.lock().unwrap_or_else(PoisonError::into_inner).broker = Some(broker);
    }

    /// Notes why it could not be reached; none when it could.
    pub(crate) fn set_failure(&self, failure: Option<Error>) {
        self.unreachable.store(failure.is_some(), Ordering::Relaxed);
        self.contact.lock().unwrap_or_else(PoisonError::into_inner).failure = failure;
    }

    /// Counts a request that leaves; it is over when the guard is dropped, whatever way that happens.
    pub(crate) fn take_off(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.lock().waits_since = None;
        InFlight { mail: Arc::clone(self) }
    }

    /// Whether something has waited for `patience` without any request leaving
    /// (`partitioner.availability.timeout.ms`).
    pub(crate) fn is_stalled(&self, patience: Duration) -> bool {
        self.lock().waits_since.is_some_and(|since| since.elapsed() > patience)
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request on its way.
#[derive(Debug)]
pub(crate) struct InFlight {
    mail: Arc<Mail>,
}

impl InFlight {
    /// Waits until nobody is interested in the answer any more.
    pub(crate) async fn ended(&self) {
        self.mail.ended().await;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.mail.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.mail.ring();
    }
}
