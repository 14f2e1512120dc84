//! The remembered wake-up: "ends every wait in progress, or else the next one".

use std::sync::atomic::{AtomicU64, Ordering};

/// One word: bit 0, a wake-up is pending; bits 1–31, how many wait; bits 32–63, the number of the
/// last wake-up that met somebody waiting. One word, so that a signal handler decides by one
/// compare-and-swap between "for those who wait" and "for the next".
#[derive(Debug, Default)]
pub(super) struct Wakeups {
    state: AtomicU64,
}

const PENDING: u64 = 1;
const WAITER: u64 = 2;
const WAITERS: u64 = 0xFFFF_FFFE;
const NUMBER: u64 = 1 << 32;

/// A wait in progress; counted as long as it lives.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    wakeups: &'a Wakeups,
    /// The number of wake-ups that this wait has answered for.
    answered: std::cell::Cell<u64>,
}

impl Wakeups {
    /// Posts a wake-up. Lock-free; allowed in a signal handler.
    pub(super) fn post(&self) {
        self.change(|state| {
            if state & WAITERS == 0 { state | PENDING } else { state.wrapping_add(NUMBER) }
        });
    }

    /// Begins a wait; `None` when it ends at once by the remembered wake-up, which is then used up.
    pub(super) fn enter(&self) -> Option<Visit<'_>> {
        let before = self
            .change(|state| if state & PENDING == 0 { state + WAITER } else { state & !PENDING });
        if before & PENDING != 0 {
            return None;
        }
        Some(Visit { wakeups: self, answered: std::cell::Cell::new(before >> 32) })
    }

    pub(super) fn take_pending(&self) -> bool {
        self.is_pending() && self.state.fetch_and(!PENDING, Ordering::SeqCst) & PENDING != 0
    }

    pub(super) fn is_pending(&self) -> bool {
        self.state.load(Ordering::SeqCst) & PENDING != 0
    }

    /// Returns the state before the change.
    fn change(&self, next: impl Fn(u64) -> u64) -> u64 {
        let mut state = self.state.load(Ordering::SeqCst);
        loop {
            let next = next(state);
            match self.state.compare_exchange_weak(state, next, Ordering::SeqCst, Ordering::SeqCst)
            {
                Ok(_) => return state,
                Err(now) => state = now,
            }
        }
    }
}

impl Visit<'_> {
    /// Whether a wake-up came during this wait; it is then answered.
    pub(super) fn take(&self) -> bool {
        let number = self.wakeups.state.load(Ordering::SeqCst) >> 32;
        self.answered.replace(number) != number
    }
}

impl Drop for Visit<'_> {
    /// A wake-up that came during the wait and was not answered (the wait ended with a result) is
    /// remembered for the next. With several waiters one more WOKEN than needed may come of it; one
    /// too few would be a thread that nobody can stop.
    fn drop(&mut self) {
        self.wakeups.change(|state| {
            let left = state - WAITER;
            if state >> 32 == self.answered.get() { left } else { left | PENDING }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wakeup_without_waiters_is_remembered_once() {
        let wakeups = Wakeups::default();
        wakeups.post();
        wakeups.post();
        assert!(wakeups.is_pending());
        assert!(wakeups.enter().is_none(), "the next wait ends at once");
        assert!(wakeups.enter().is_some(), "the one after it does not");
    }

    #[test]
    fn a_wakeup_reaches_everyone_who_waits_and_is_not_remembered() {
        let wakeups = Wakeups::default();
        let (one, two) = (wakeups.enter().unwrap(), wakeups.enter().unwrap());
        wakeups.post();
        assert!(one.take() && two.take());
        assert!(!one.take(), "one wake-up ends a wait once");
        drop((one, two));
        assert!(!wakeups.is_pending());
    }

    #[test]
    fn rule_13_8_a_wakeup_that_met_a_finished_wait_is_kept_for_the_next() {
        let wakeups = Wakeups::default();
        let visit = wakeups.enter().unwrap();
        wakeups.post();
        drop(visit);
        assert!(wakeups.take_pending());
        assert!(!wakeups.take_pending());
    }

    #[test]
    fn the_number_of_wakeups_wraps_without_touching_the_waiters() {
        let wakeups = Wakeups { state: AtomicU64::new(u64::from(u32::MAX) << 32) };
        let visit = wakeups.enter().unwrap();
        wakeups.post();
        assert!(visit.take());
        drop(visit);
        assert_eq!(wakeups.state.load(Ordering::SeqCst), 0);
    }
}
