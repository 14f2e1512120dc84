//! When positions are committed by themselves: pure.

use std::time::{Duration, Instant};

use super::place::COMMIT_AGAIN;

/// The clock of `auto.commit.interval.ms`.
#[derive(Debug, Default)]
pub(in crate::consumer) struct Timed {
    /// None: the interval begins at the next look.
    due: Option<Instant>,
    /// A timed commit is on its way.
    busy: bool,
    /// There was nothing to commit at the last look.
    rests: bool,
}

impl Timed {
    /// The interval begins anew, with an assignment (11.11).
    pub(super) fn restart(&mut self) {
        self.due = None;
        self.rests = false;
    }

    /// Whether it is time; counts as begun.
    pub(super) fn is_due(&mut self, now: Instant, interval: Duration) -> bool {
        let due = *self.due.get_or_insert(now + interval);
        if self.busy || self.rests && now < due + COMMIT_AGAIN / 12 || now < due {
            return false;
        }
        self.due = Some(now + interval);
        self.rests = false;
        true
    }

    /// There was nothing to commit: nothing is due until something is handed out.
    pub(super) fn rest(&mut self) {
        self.rests = true;
    }

    /// Whether it waits for something to be handed out.
    pub(super) fn rests(&self) -> bool {
        self.rests
    }

    /// Something was handed out, after a rest.
    pub(super) fn resume(&mut self) {
        if std::mem::take(&mut self.rests) {
            self.due = None;
        }
    }

    /// When to look again.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.filter(|_| !self.busy && !self.rests)
    }

    /// A commit began.
    pub(super) fn begin(&mut self) {
        self.busy = true;
    }

    /// It ended; after a failure the next comes after a back-off (11.11).
    pub(super) fn end(&mut self, again: Option<Instant>) {
        self.busy = false;
        if let Some(again) = again {
            self.due = Some(self.due.map_or(again, |due| due.min(again)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);

    #[test]
    fn rule_11_11_the_interval_begins_with_the_assignment_and_a_failure_comes_back_sooner() {
        let (mut timed, now) = (Timed::default(), Instant::now());
        assert!(!timed.is_due(now, INTERVAL) && timed.next() == Some(now + INTERVAL));
        assert!(timed.is_due(now + INTERVAL, INTERVAL));
        timed.begin();
        assert!(!timed.is_due(now + INTERVAL * 3, INTERVAL), "one at a time");
        timed.end(Some(now + INTERVAL * 3));
        assert!(timed.is_due(now + INTERVAL * 3, INTERVAL));
        timed.restart();
        assert!(!timed.is_due(now + INTERVAL * 9, INTERVAL));
    }
}
