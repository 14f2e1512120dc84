//! What a poll-like handle waits on: waiters, the remembered wake-up, the descriptor, poison.
//!
//! Three things come together here without a lock, because a signal handler may be one of the parties:
//!
//! - the **wait word**, bumped by everything that may end a wait;
//! - the **wake-up state**, one 64-bit word (see [`Wakeups`]);
//! - the **descriptor**, made when somebody asks for it, readable while a poll would not wait.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use once_cell::sync::OnceCell;

use crate::error::{Code, Error, Result};
use crate::os::fork::Era;
use crate::os::wait::{Ticket, WaitWord};
use crate::os::wake::WakeDescriptor;

use super::wakeups::Wakeups;

/// The place where the threads that call a handle wait, and where tasks, other threads and signal
/// handlers reach them. Share it by `Arc`; any method from any thread.
#[derive(Debug)]
pub struct Signal {
    era: Era,
    word: WaitWord,
    wakeups: Wakeups,
    /// `OnceCell::get` is one atomic load, so that a signal handler may look; a handler that finds it
    /// empty while another thread makes it is seen by that thread's look at `wakeups` afterwards.
    descriptor: OnceCell<WakeDescriptor>,
    /// True only while the descriptor is readable or its write is on the way; spares the write.
    armed: AtomicBool,
    failure: OnceCell<Error>,
}

impl Signal {
    /// A signal of the calling process's fork era.
    #[must_use]
    pub fn new() -> Self {
        Self {
            era: Era::current(),
            word: WaitWord::new(),
            wakeups: Wakeups::default(),
            descriptor: OnceCell::new(),
            armed: AtomicBool::new(false),
            failure: OnceCell::new(),
        }
    }

    /// Tells that the state changed: waiters look again, and the descriptor, if there is one, becomes
    /// readable. Call it **after** the change. Cheap when nobody waits.
    pub fn notify(&self) {
        if self.era.is_current() {
            self.word.notify_all();
            self.arm();
        }
    }

    /// Makes waiters look again without making the descriptor readable: for what concerns only calls
    /// in progress.
    pub fn nudge(&self) {
        if self.era.is_current() {
            self.word.notify_all();
        }
    }

    /// Ends every wait in progress with `WOKEN`, or else the next one; remembered once.
    ///
    /// Allowed in a signal handler: atomics, a futex wake, one `write`; no lock, no allocation, `errno`
    /// is kept. In a forked child it does nothing (the descriptor is shared with the parent).
    pub fn wakeup(&self) {
        if self.era.is_current() {
            self.wakeups.post();
            self.word.notify_from_signal();
            self.arm();
        }
    }

    /// Takes the remembered wake-up, if there is one: for calls that check without waiting.
    #[must_use]
    pub fn take_wakeup(&self) -> bool {
        self.wakeups.take_pending()
    }

    /// Waits until `ready` gives something.
    ///
    /// Otherwise an error: the poison of [`fail`](Self::fail); the condition `WOKEN` after a wake-up,
    /// also one that was remembered, and then nothing is taken from `ready`; the condition `NOTHING` at
    /// `deadline` (`None`: no limit; one that is past looks once), with the descriptor cleared;
    /// `FORKED` in a child. `ready` runs on the calling thread, several times, without any lock of ours.
    ///
    /// A wake-up that meets a wait which ends with a result all the same is remembered for the next.
    pub fn wait<T>(
        &self,
        deadline: Option<Instant>,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<T> {
        self.era.check()?;
        let Some(visit) = self.wakeups.enter() else {
            return self.failure().map_or(Err(Error::bare(Code::WOKEN)), Err);
        };
        loop {
            let ticket = self.word.prepare();
            if let Some(error) = self.failure() {
                return Err(error);
            }
            if visit.take() {
                return Err(Error::bare(Code::WOKEN));
            }
            if let Some(result) = ready() {
                return Ok(result);
            }
            if is_due(deadline) {
                self.clear_unless_changed(ticket);
                return Err(Error::bare(Code::NOTHING));
            }
            self.word.wait(ticket, deadline);
        }
    }

    /// As [`wait`](Self::wait), for the outcome of one operation: a result that is there comes before
    /// poison and wake-up, and the descriptor is left alone.
    pub fn wait_for_result<T>(
        &self,
        deadline: Option<Instant>,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<T> {
        self.era.check()?;
        if let Some(result) = ready() {
            return Ok(result);
        }
        let Some(visit) = self.wakeups.enter() else {
            return Err(Error::bare(Code::WOKEN));
        };
        loop {
            let ticket = self.word.prepare();
            if let Some(result) = ready() {
                return Ok(result);
            }
            if let Some(error) = self.failure() {
                return Err(error);
            }
            if visit.take() {
                return Err(Error::bare(Code::WOKEN));
            }
            if is_due(deadline) {
                return Err(Error::bare(Code::NOTHING));
            }
            self.word.wait(ticket, deadline);
        }
    }

    /// As [`wait_for_result`](Self::wait_for_result), but no wake-up ends it: for `close`
    /// (invariant 13.8). Poison does, when there is no result.
    pub fn wait_through_wakeups<T>(
        &self,
        deadline: Option<Instant>,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<T> {
        self.era.check()?;
        loop {
            let ticket = self.word.prepare();
            if let Some(result) = ready() {
                return Ok(result);
            }
            if let Some(error) = self.failure() {
                return Err(error);
            }
            if is_due(deadline) {
                return Err(Error::bare(Code::NOTHING));
            }
            self.word.wait(ticket, deadline);
        }
    }

    /// The descriptor for an event loop, made at the first call; readable until a
    /// [`wait`](Self::wait) finds nothing. It starts readable, so that nothing that came before is
    /// missed. Closed when the signal is dropped. `IO` when the process has no descriptor left.
    pub fn fd(&self) -> Result<isize> {
        self.era.check()?;
        let mut made = false;
        let descriptor = self.descriptor.get_or_try_init(|| {
            made = true;
            WakeDescriptor::new()
        })?;
        if made {
            // Only after it is published: a notification that came before the publication is covered
            // by this write, one that comes after finds the descriptor.
            self.arm_always(descriptor);
        }
        Ok(descriptor.as_raw())
    }

    /// Sets the descriptor's level by hand. Clearing loses a notification that races with it: clear
    /// while holding the lock under which the condition changes, or use [`wait`](Self::wait), which
    /// clears safely.
    pub fn set_readable(&self, readable: bool) {
        if !self.era.is_current() {
            return;
        }
        match (readable, self.descriptor.get()) {
            (true, _) => self.arm(),
            (false, Some(descriptor)) => {
                descriptor.clear();
                self.armed.store(false, Ordering::SeqCst);
            }
            (false, None) => {}
        }
    }

    /// Poisons the handle: every waiter and every later wait gets this error. The first one stays.
    pub fn fail(&self, error: Error) {
        if self.failure.set(error).is_ok() {
            self.notify();
        }
    }

    /// The poison, if there is any.
    #[must_use]
    pub fn failure(&self) -> Option<Error> {
        self.failure.get().cloned()
    }

    fn arm(&self) {
        if let Some(descriptor) = self.descriptor.get() {
            if !self.armed.swap(true, Ordering::SeqCst) {
                descriptor.set();
            }
        }
    }

    fn arm_always(&self, descriptor: &WakeDescriptor) {
        self.armed.store(true, Ordering::SeqCst);
        descriptor.set();
    }

    /// Clears the descriptor, unless something came after `ticket` was taken.
    ///
    /// The race: a notifier changes the word, sees `armed`, and spares its write; we drain. So: drain,
    /// then `armed = false`, then look at the word again. A notifier that saw `armed` did so before our
    /// store, hence changed the word before our look: we write for it. In this order (and not the store
    /// first) `armed` is never left true over a drained descriptor: whoever sets it writes afterwards,
    /// and a drain of that write is followed by its own store of false.
    fn clear_unless_changed(&self, ticket: Ticket) {
        if let Some(descriptor) = self.descriptor.get() {
            descriptor.clear();
            self.armed.store(false, Ordering::SeqCst);
            if self.word.changed_since(ticket) || self.wakeups.is_pending() {
                self.arm_always(descriptor);
            }
        }
    }
}

impl Default for Signal {
    fn default() -> Self {
        Self::new()
    }
}

fn is_due(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

#[cfg(test)]
mod tests;
