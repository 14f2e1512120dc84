//! How far a workload may go and how far it came: whoever troubles the brokers says when.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longer than brokers take to die, to be missed and to come back on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

#[derive(Debug, Default)]
struct State {
    /// Records that may be sent.
    allowed: u64,
    /// Records that have their outcome.
    settled: u64,
    /// Somebody failed: nobody waits any longer.
    over: bool,
}

/// A gate that opens further and further.
#[derive(Debug, Default)]
pub struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits for the state to be so; false when somebody failed.
    fn wait(&self, what: &str, holds: impl Fn(&State) -> bool) -> bool {
        let end = Instant::now() + PATIENCE;
        let mut state = self.lock();
        while !holds(&state) && !state.over {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what} never came: {state:?}");
            state =
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        !state.over
    }

    /// Lets so many records be sent in all.
    pub fn allow(&self, records: u64) {
        self.change(|state| state.allowed = records);
    }

    /// Waits until the record of this number may be sent.
    pub fn pass(&self, record: u64) -> bool {
        self.wait("leave to send", |state| record < state.allowed)
    }

    /// Notes that so many more records have their outcome.
    pub fn settle(&self, records: u64) {
        self.change(|state| state.settled += records);
    }

    /// Waits until so many records in all have their outcome.
    pub fn wait_settled(&self, records: u64) {
        let going = self.wait("the outcomes", |state| state.settled >= records);
        assert!(going, "the workload failed before {records} records had their outcome");
    }

    /// Whether somebody failed.
    pub fn is_over(&self) -> bool {
        self.lock().over
    }

    /// Dropped in a panic it ends every wait, so that the other threads end too.
    pub fn guard(&self) -> impl Drop + '_ {
        struct Guard<'a>(&'a Gate);
        impl Drop for Guard<'_> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    self.0.change(|state| state.over = true);
                }
            }
        }
        Guard(self)
    }
}
