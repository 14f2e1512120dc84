//! A place that can be committed, and what a partition's own books say of commits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::handed::Outstanding;
use crate::consumer::partition::Era;
use crate::group::Committed;

/// An offset and the leader epoch of the record before it; −1 is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::consumer) struct Place {
    pub(in crate::consumer) offset: i64,
    pub(in crate::consumer) epoch: i32,
}

impl Place {
    /// Whether it lies behind `other` in the log: by epoch first, if both are known (11.4).
    pub(in crate::consumer) fn is_after(self, other: Place) -> bool {
        match self.epoch >= 0 && other.epoch >= 0 && self.epoch != other.epoch {
            true => self.epoch > other.epoch,
            false => self.offset > other.offset,
        }
    }

    /// What is committed for it.
    pub(in crate::consumer) fn committed(self, metadata: Option<Arc<str>>) -> Committed {
        let leader_epoch = (self.epoch >= 0).then_some(self.epoch);
        Committed { offset: self.offset, leader_epoch, metadata }
    }
}

impl From<&Committed> for Place {
    fn from(committed: &Committed) -> Self {
        Self { offset: committed.offset, epoch: committed.leader_epoch.unwrap_or(-1) }
    }
}

/// Brokers before 2.1 forget an offset by the age of its commit, at worst after a day: what stands still
/// is committed again so often (11.8).
pub(super) const COMMIT_AGAIN: Duration = Duration::from_secs(12 * 3600);

/// What is to be committed of a partition, for an application that stores offsets by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::consumer) struct Stored {
    pub(in crate::consumer) place: Place,
    pub(in crate::consumer) metadata: Option<Arc<str>>,
}

/// What one partition's commits need. It begins anew with each assignment (11.3).
#[derive(Debug, Default)]
pub(in crate::consumer) struct Books {
    /// Since when its position grows without a jump; what was noted in another life is void.
    pub(in crate::consumer) life: Era,
    /// What was handed out and is not freed.
    pub(in crate::consumer) out: Outstanding,
    /// What the group has, as far as is known, and since when.
    pub(in crate::consumer) committed: Option<(Place, Instant)>,
    /// Positions are not committed before this place, which was committed in the same life (11.4).
    pub(in crate::consumer) floor: Option<Place>,
    /// What the application stored.
    pub(in crate::consumer) stored: Option<Stored>,
}

impl Books {
    /// The partition jumped.
    pub(in crate::consumer) fn moved(&mut self, life: Era) {
        self.life = life;
        self.out.clear();
        self.floor = None;
    }

    /// A commit of this place succeeded.
    pub(in crate::consumer) fn note(&mut self, place: Place, life: Era, now: Instant) {
        match self.life == life {
            true => (self.committed, self.floor) = (Some((place, now)), Some(place)),
            // What the group has now is not sure: nothing is left out because of it.
            false => self.committed = None,
        }
    }

    /// The group has this place. `ages`: and forgets it by the age of its commit, which is not known: it
    /// is committed again, once in each assignment (11.8).
    pub(in crate::consumer) fn fetched(&mut self, place: Place, now: Instant, ages: bool) {
        self.note(place, self.life, now);
        self.committed = self.committed.filter(|_| !ages);
    }

    /// Whether a commit of this place would tell the group nothing.
    pub(in crate::consumer) fn is_known(&self, place: Place, now: Instant) -> bool {
        self.committed.is_some_and(|(known, since)| {
            known.offset == place.offset && now.saturating_duration_since(since) < COMMIT_AGAIN
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: i64, epoch: i32) -> Place {
        Place { offset, epoch }
    }

    #[test]
    fn rule_11_4_places_are_compared_by_epoch_only_if_both_are_known() {
        assert!(at(5, -1).is_after(at(4, 9)), "an epoch that is not known decides nothing");
        assert!(at(5, 3).is_after(at(4, 3)) && !at(4, 3).is_after(at(4, 3)));
        assert!(at(2, 4).is_after(at(90, 3)), "a topic that was made anew");
    }

    #[test]
    fn rule_11_8_what_stands_still_is_committed_again_twice_a_day() {
        let (mut books, now) = (Books::default(), Instant::now());
        books.note(at(5, 1), books.life, now);
        assert!(books.is_known(at(5, 1), now + COMMIT_AGAIN / 2));
        assert!(!books.is_known(at(5, 1), now + COMMIT_AGAIN));
        assert!(!books.is_known(at(6, 1), now));
    }

    #[test]
    fn rule_11_8_what_was_fetched_from_a_broker_that_forgets_is_committed_again() {
        let (mut books, now) = (Books::default(), Instant::now());
        books.fetched(at(5, 1), now, false);
        assert!(books.is_known(at(5, 1), now));
        books.fetched(at(5, 1), now, true);
        assert!(!books.is_known(at(5, 1), now));
        assert_eq!(books.floor, Some(at(5, 1)));
        books.note(at(5, 1), books.life, now);
        assert!(books.is_known(at(5, 1), now), "once");
    }

    #[test]
    fn rule_11_4_a_floor_is_that_of_one_life() {
        let (mut books, now) = (Books::default(), Instant::now());
        books.moved(Era(1));
        books.note(at(5, 1), Era(1), now);
        assert_eq!(books.floor, Some(at(5, 1)));
        books.moved(Era(2));
        assert_eq!(books.floor, None);
        books.note(at(7, 1), Era(1), now);
        assert_eq!(books.floor, None, "a commit from before the seek");
    }
}
