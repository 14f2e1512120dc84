//! Who sends to a broker: its sender task, or a calling thread that finds the office free.
//!
//! What goes out is taken from its queue and written by one thread at a time, so that requests leave in
//! the order in which their batches were taken and stamped (invariants 4.4, 5.6). Nobody waits for the
//! office. A calling thread that finds it taken tells the task of its record instead. The task says that it
//! came, and whoever leaves rings for it.

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::call::Call;
use crate::net::Connection;
use crate::producer::mail::{Mail, Profile};

/// A connection that is ready, and what is known of the broker at its other end.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(super) connection: Connection,
    pub(super) profile: Arc<Profile>,
}

#[derive(Debug)]
pub(crate) struct Office {
    /// The connection, as the task opened it; it may have broken since.
    desk: Mutex<Option<Live>>,
    /// The task came while the office was taken.
    wanted: AtomicBool,
    /// The task has queues in its list: who comes now is behind them.
    backlog: AtomicBool,
    /// The task is to end, or has ended.
    over: AtomicBool,
    calls: Mutex<Calls>,
}

/// Requests whose answers are awaited.
#[derive(Debug, Default)]
struct Calls {
    next: u64,
    /// In the order of sending; some few.
    open: Vec<(u64, Call)>,
    over: bool,
}

impl Office {
    pub(crate) fn new() -> Self {
        Self {
            desk: Mutex::new(None),
            wanted: AtomicBool::new(false),
            backlog: AtomicBool::new(false),
            over: AtomicBool::new(false),
            calls: Mutex::default(),
        }
    }

    /// For a calling thread: the office, if it is free and nobody is before it.
    pub(super) fn enter<'a>(&'a self, mail: &'a Mail) -> Option<Seat<'a>> {
        if self.backlog.load(Ordering::Relaxed) {
            return None;
        }
        self.try_enter(mail)
    }

    /// For the task: the office, or the promise that the bell rings when it is free.
    pub(super) fn enter_or_be_rung_for<'a>(&'a self, mail: &'a Mail) -> Option<Seat<'a>> {
        if let Some(seat) = self.try_enter(mail) {
            return Some(seat);
        }
        self.wanted.store(true, Ordering::SeqCst);
        // Whoever left before this store did not see it; then the office is free now. Whoever leaves
        // after it does (see `Seat::drop`, which looks after it has left).
        fence(Ordering::SeqCst);
        self.try_enter(mail)
    }

    fn try_enter<'a>(&'a self, mail: &'a Mail) -> Option<Seat<'a>> {
        let desk = match self.desk.try_lock() {
            Ok(desk) => desk,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(Seat { office: self, mail, desk: Some(desk) })
    }

    /// Notes whether the task has queues that could not go yet.
    pub(super) fn set_backlog(&self, some: bool) {
        self.backlog.store(some, Ordering::Relaxed);
    }

    /// Keeps a request until it is answered, under the number that it gets; none when everything is over:
    /// its batches have their outcomes.
    pub(super) fn keep(&self, call: Call) -> Option<u64> {
        let mut calls = self.calls();
        if calls.over {
            drop(calls);
            return None; // and the call is dropped without the lock
        }
        calls.next += 1;
        let number = calls.next;
        calls.open.push((number, call));
        Some(number)
    }

    /// The request of this number, unless it was forgotten.
    pub(super) fn take(&self, number: u64) -> Option<Call> {
        let mut calls = self.calls();
        let at = calls.open.iter().position(|(open, _)| *open == number)?;
        Some(calls.open.remove(at).1)
    }

    /// Lets go of the connection, and of the requests whose answers nobody waits for any more. Waits for
    /// nobody: a thread that is in the office now does the rest when it leaves.
    pub(crate) fn close(&self, mail: &Mail) {
        self.over.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        drop(self.try_enter(mail));
        let open = {
            let mut calls = self.calls();
            calls.over = true;
            std::mem::take(&mut calls.open)
        };
        drop(open);
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The office, taken. Leaving it never waits.
#[derive(Debug)]
pub(super) struct Seat<'a> {
    office: &'a Office,
    mail: &'a Mail,
    desk: Option<MutexGuard<'a, Option<Live>>>,
}

impl Seat<'_> {
    /// The connection, if there is one that can be written to.
    pub(super) fn live(&self) -> Option<Live> {
        let live = self.desk.as_ref().and_then(|desk| desk.as_ref())?;
        live.connection.is_open().then(|| live.clone())
    }

    /// From now on requests go there.
    pub(super) fn set_live(&mut self, live: Live) {
        if let Some(desk) = &mut self.desk {
            **desk = Some(live);
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let office = self.office;
        self.desk = None;
        // After leaving: see `enter_or_be_rung_for` and `close`.
        fence(Ordering::SeqCst);
        if office.over.load(Ordering::SeqCst) {
            // If somebody else is in there now, the same is before him.
            let left = office.desk.try_lock().ok().and_then(|mut desk| desk.take());
            drop(left);
        }
        if office.wanted.swap(false, Ordering::SeqCst) {
            self.mail.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn rule_13_3_a_task_that_found_the_office_taken_is_rung_for() {
        const TURNS: usize = 20_000;
        let mail = Mail::new(1);
        let done = AtomicBool::new(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let waits = std::thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        drop(mail.office.enter(&mail));
                    }
                });
            }
            let (mut turns, mut waits) = (0, 0);
            let end = Instant::now() + Duration::from_secs(60);
            // However the machine shares its processors: until they have met.
            while turns < TURNS || (waits == 0 && Instant::now() < end) {
                turns += 1;
                while mail.office.enter_or_be_rung_for(&mail).is_none() {
                    waits += 1;
                    let limit = Instant::now() + Duration::from_secs(20);
                    runtime.block_on(mail.sleep(Some(limit)));
                    assert!(Instant::now() < limit, "nobody rang");
                }
            }
            done.store(true, Ordering::Relaxed);
            waits
        });
        assert!(waits > 0, "the two never met");
    }

    #[test]
    fn who_has_a_backlog_is_served_before_callers() {
        let mail = Mail::new(1);
        mail.office.set_backlog(true);
        assert!(mail.office.enter(&mail).is_none());
        assert!(mail.office.enter_or_be_rung_for(&mail).is_some());
        mail.office.set_backlog(false);
        let seat = mail.office.enter(&mail).unwrap();
        assert!(mail.office.enter(&mail).is_none(), "one at a time");
        drop(seat);
        assert!(mail.office.enter(&mail).is_some());
    }
}
