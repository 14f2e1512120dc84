//! Flush, purge, close, and the end without a close.

use std::cell::RefCell;
use std::ptr;
use std::time::Instant;

use super::accumulator::{Purge, Stretch};
use super::core::{Core, Life};
use super::send::Seals;
use super::{Deliveries, Producer};
use crate::error::{Code, Error, Result};
use crate::runtime;

/// What runs on the caller's thread for deliveries that come during a flush or a close.
pub(super) type OnDeliveries<'a> = &'a mut dyn FnMut(Deliveries);

thread_local! {
    /// The producers whose deliveries this thread hands to the application now, the innermost last: a
    /// callback may poll another producer, whose callback comes back to the first.
    static TELLING: RefCell<Vec<*const Core>> = const { RefCell::new(Vec::new()) };
}

/// What [`Producer::purge`] ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PurgeWhat {
    /// Records that are with no broker now.
    pub queued: bool,
    /// Records whose answer is awaited: they are possibly persisted.
    pub in_flight: bool,
}

/// What a producer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Batches without an outcome.
    pub batches: u64,
    /// The part of `buffer.memory` that records and unread outcomes take.
    pub bytes: u64,
}

impl Producer {
    /// What it holds now.
    ///
    /// # Errors
    /// CLOSED, FORKED, PANIC.
    pub fn load(&self) -> Result<Load> {
        self.core.era.check()?;
        let ledger = &self.core.ledger;
        ledger.check_open()?;
        Ok(Load { batches: ledger.pending.batches() as u64, bytes: ledger.budget.used() as u64 })
    }

    /// Sends what was accepted before, without waiting out any linger time, and waits until each such
    /// record has its outcome. Gives how many outcomes since the last flush were failures, also when
    /// it fails itself. Deliveries that come meanwhile go to `on_deliveries`, if there is one, on this
    /// thread and under no lock; else they wait for a poll.
    ///
    /// # Errors
    /// TIMED_OUT when `timeout_ms` is over (0: do not wait, −1: no limit) and something is left; WOKEN,
    /// CLOSED, FORKED, PANIC.
    pub fn flush(
        &self,
        timeout_ms: i32,
        on_deliveries: Option<&mut dyn FnMut(Deliveries)>,
    ) -> (u64, Result<()>) {
        let result = self.core.era.check().and_then(|()| self.flush_all(timeout_ms, on_deliveries));
        (self.core.ledger.outbox.take_failed(), result)
    }

    fn flush_all(
        &self,
        timeout_ms: i32,
        mut on_deliveries: Option<&mut dyn FnMut(Deliveries)>,
    ) -> Result<()> {
        let core = &self.core;
        core.ledger.check_open()?;
        let deadline = runtime::deadline(timeout_ms)?;
        // The order matters: a batch that opens after the cut is not waited for, and one that opened
        // before it is there to be closed (invariant 4.11).
        let stretch = core.ledger.pending.cut();
        core.finish_open_batches();
        loop {
            let waited = core.signal.wait_for_result(deadline, || {
                if core.ledger.pending.is_settled(stretch) {
                    return Some(Ok(true));
                }
                if on_deliveries.is_some() && !core.ledger.outbox.is_empty() {
                    return Some(Ok(false));
                }
                core.ledger.check_open().err().map(Err)
            });
            core.hand_out(&mut on_deliveries);
            match waited {
                Ok(Ok(true)) => return Ok(()),
                // Others may send for ever: the time is over all the same.
                Ok(Ok(false)) if is_over(deadline) && !core.ledger.pending.is_settled(stretch) => {
                    return Err(core.late("flush"));
                }
                Ok(Ok(false)) => {}
                Ok(Err(error)) => return Err(error),
                Err(error) if error.code() == Code::NOTHING => return Err(core.late("flush")),
                Err(error) => return Err(error),
            }
        }
    }

    /// Runs `call`, which hands deliveries to the application. A send within it never waits, whatever its
    /// timeout: this thread may be the only one that makes room (invariant 4.12).
    pub fn telling<R>(&self, call: impl FnOnce() -> R) -> R {
        self.core.telling(call)
    }

    /// Ends records that have no outcome yet: they get PURGED, "possibly persisted" if they may have
    /// been written. Gives how many. Later records are not concerned.
    pub fn purge(&self, what: PurgeWhat) -> Result<u64> {
        self.core.era.check()?;
        self.core.ledger.check_open()?;
        let purge = Purge { queued: what.queued, in_flight: what.in_flight };
        let error = Error::new(Code::PURGED, "the application purged it");
        Ok(self.core.purge(purge, &error))
    }

    /// Accepts nothing more, and decides every outcome within the time: what is left then is purged.
    /// Deliveries go to `on_deliveries` as in [`flush`](Self::flush), or can be polled during and
    /// after. No wake-up ends it. A second close gives Ok, once the first is through.
    ///
    /// # Errors
    /// TIMED_OUT when records had to be purged; FORKED, PANIC.
    pub fn close(
        &self,
        timeout_ms: i32,
        on_deliveries: Option<&mut dyn FnMut(Deliveries)>,
    ) -> Result<()> {
        self.core.era.check()?;
        self.close_by(runtime::deadline(timeout_ms)?, on_deliveries)
    }

    /// The first part of a close, that waits for nothing. False if it has had it before.
    pub(super) fn begin_to_close(&self) -> bool {
        let core = &self.core;
        let begins = core.era.is_current() && core.life() == Life::Open;
        if begins {
            core.refuse_records();
            core.finish_open_batches();
        }
        begins
    }

    pub(super) fn close_by(
        &self,
        deadline: Option<Instant>,
        mut on_deliveries: Option<OnDeliveries<'_>>,
    ) -> Result<()> {
        let core = &self.core;
        core.era.check()?;
        match core.live_on(Life::Closing) {
            Life::Open => {}
            _ => return core.await_other_close(deadline),
        }
        core.refuse_records();
        core.finish_open_batches();
        // No batch opens after the walk that finished them: all are older than this.
        let last = core.ledger.pending.cut();
        let decided = core.await_all(last, deadline, &mut on_deliveries);
        let result = match decided {
            Ok(()) => Ok(()),
            Err(error) if error.code() == Code::NOTHING => {
                // Counted before: the purge changes it.
                let late = core.late("close");
                let text = "the producer was closed before its outcome was known";
                core.purge(
                    Purge { queued: true, in_flight: true },
                    &Error::new(Code::CLOSED, text),
                );
                Err(late)
            }
            Err(error) => Err(error),
        };
        core.end();
        core.hand_out(&mut on_deliveries);
        result
    }
}

fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|limit| Instant::now() >= limit)
}

impl Core {
    /// Closes every open batch and finishes it on this thread.
    fn finish_open_batches(&self) {
        let mut seals = Seals::default();
        seals.list().extend(self.close_open_batches());
    }

    /// No record is accepted from here on, and every queue that ever accepted one can be walked.
    fn refuse_records(&self) {
        self.ledger.close();
        drop(self.topics.grow());
        // Whoever waits for room or in a flush looks again and finds it closed.
        self.signal.nudge();
    }

    /// Waits until every batch of `last` and all before it has its outcome. `NOTHING` at the deadline.
    fn await_all(
        &self,
        last: Stretch,
        deadline: Option<Instant>,
        on_deliveries: &mut Option<OnDeliveries<'_>>,
    ) -> Result<()> {
        loop {
            let waited = self.signal.wait_through_wakeups(deadline, || {
                if self.ledger.pending.is_settled(last) {
                    return Some(true);
                }
                (on_deliveries.is_some() && !self.ledger.outbox.is_empty()).then_some(false)
            });
            self.hand_out(on_deliveries);
            if waited? {
                return Ok(());
            }
            // What is queued may be much, and the callback slow: the time is over all the same.
            if is_over(deadline) && !self.ledger.pending.is_settled(last) {
                return Err(Error::bare(Code::NOTHING));
            }
        }
    }

    fn await_other_close(&self, deadline: Option<Instant>) -> Result<()> {
        if self.is_telling() {
            // A callback of that very close closes the cluster: it would wait for itself.
            return Err(Error::bare(Code::IN_CALLBACK));
        }
        let closed = || (self.life() == Life::Closed).then_some(());
        match self.signal.wait_through_wakeups(deadline, closed) {
            Err(error) if error.code() == Code::NOTHING => Err(self.late("close")),
            result => result,
        }
    }

    /// Every record has its outcome: tasks end, polls give CLOSED when all is read.
    fn end(&self) {
        self.live_on(Life::Closed);
        self.stop_tasks();
        self.release_topics();
        self.signal.notify();
    }

    fn telling<R>(&self, call: impl FnOnce() -> R) -> R {
        struct Told;
        impl Drop for Told {
            fn drop(&mut self) {
                let _ = TELLING.try_with(|telling| telling.borrow_mut().pop());
            }
        }
        TELLING.with_borrow_mut(|telling| telling.push(self));
        let _told = Told;
        call()
    }

    /// Whether this thread is handing this producer's deliveries to the application.
    pub(super) fn is_telling(&self) -> bool {
        // A thread that ends has no list any more, and tells nothing.
        let among = |telling: &RefCell<Vec<*const Core>>| {
            telling.borrow().iter().any(|core| ptr::eq(*core, self))
        };
        TELLING.try_with(among).unwrap_or(false)
    }

    /// Hands out what waits now; not what comes while the application looks at it, which may never end.
    fn hand_out(&self, on_deliveries: &mut Option<OnDeliveries<'_>>) {
        let Some(call) = on_deliveries else { return };
        let mut left = self.ledger.outbox.len();
        while left > 0
            && let Some(entries) = self.ledger.outbox.take()
        {
            left = left.saturating_sub(entries.len());
            self.telling(|| call(Deliveries::new(entries)));
        }
    }

    /// The error of a flush or close out of time: how much is left, and what holds it up.
    fn late(&self, what: &str) -> Error {
        let records = self.undecided();
        let text = format!("{what} ran out of time: {records} records have no outcome yet");
        let error = Error::new(Code::TIMED_OUT, text);
        match self.trouble() {
            Some(trouble) => error.caused_by(trouble),
            None => error,
        }
    }
}

impl Drop for Producer {
    /// Without a close before it: abandons what is queued, and says how much. Waits for nothing. In a
    /// forked child neither locks nor threads are touched.
    fn drop(&mut self) {
        let core = &self.core;
        if !core.era.is_current() || core.life() == Life::Closed {
            return;
        }
        core.live_on(Life::Closing);
        core.refuse_records();
        let error = Error::new(Code::CLOSED, "the producer was freed without being closed");
        let records = core.purge(Purge { queued: true, in_flight: true }, &error);
        if records > 0 {
            core.cluster.logger().warn(
                "producer",
                format_args!(
                    "freed without being closed: {records} records were abandoned before their \
                     outcome was known"
                ),
            );
        }
        core.end();
    }
}
