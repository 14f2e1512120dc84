//! The books of one partition: which era its batches are stamped with, which sequence number is next,
//! and what is doubtful. Pure: the queue says what happened and asks what may be done.

use std::time::{Duration, Instant};

use super::sequence::{Era, Stamp, after, is_before};
use super::verdict::Why;

/// After so long without an acknowledgement one batch has to come back before several may be in
/// flight: the broker may have forgotten the producer (invariant 5.16), and then it takes whatever
/// comes first for the beginning.
const UNPROVEN_AFTER: Duration = Duration::from_secs(60);

/// How a partition begins anew; the stronger wish wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Renewal {
    /// With the next epoch of its producer id; with another id if there is none.
    Epoch,
    /// With another producer id.
    Id,
    /// Without identity, for good.
    Without,
}

/// The books of one partition.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// In force; none before the first stamp, and when another id is needed.
    era: Option<Era>,
    /// The id that is used up.
    spent: Option<i64>,
    /// The sequence number of the next record.
    next: i32,
    /// When the leader of now last acknowledged a batch of this era. Before the first one it may know
    /// nothing of this producer, and would take the second batch for the first (invariant 4.14).
    proven: Option<Instant>,
    /// The sequence that follows the last batch which ended without being acknowledged. Until that is
    /// settled nothing new gets a number (invariant 5.12).
    hole: Option<i32>,
    /// The partition begins anew as soon as nothing is in flight.
    renewal: Option<(Renewal, Why)>,
    /// The partition does without identity.
    without: bool,
    /// The offset of the last record that was acknowledged.
    last_offset: Option<i64>,
}

impl Books {
    /// Books that begin elsewhere than at 0: a broker without memory takes any beginning.
    #[cfg(test)]
    pub(crate) fn at(era: Era, next: i32) -> Self {
        Self { era: Some(era), next, ..Self::default() }
    }

    /// Whether another batch may leave while some are in flight.
    pub(crate) fn is_steady(&self) -> bool {
        self.proven.is_some() && self.hole.is_none() && self.renewal.is_none()
    }

    /// Nothing is in flight: does what had to wait for that. `unresolved`: the next batch to leave has
    /// a stamp already. Says why when the partition begins anew: then every stamp that its waiting
    /// batches have is void.
    pub(crate) fn settle(&mut self, unresolved: bool, now: Instant) -> Option<Why> {
        if self.proven.is_some_and(|at| now.saturating_duration_since(at) > UNPROVEN_AFTER) {
            self.proven = None;
        }
        // With a batch behind the hole, that one will tell (invariant 5.12).
        let closed = self.hole.is_some() && !unresolved;
        let hole = closed.then_some((Renewal::Epoch, Why::Hole));
        let (renewal, why) = self.renewal.take().or(hole)?;
        self.begin_anew(renewal);
        Some(why)
    }

    fn begin_anew(&mut self, renewal: Renewal) {
        self.without |= renewal == Renewal::Without;
        let next_epoch = |era: &Era| era.epoch.checked_add(1).filter(|_| renewal == Renewal::Epoch);
        if let Some(era) = self.era {
            match next_epoch(&era) {
                Some(epoch) => self.era = Some(Era { epoch, ..era }),
                None => (self.era, self.spent) = (None, Some(era.producer_id)), // invariant 5.8
            }
        }
        (self.next, self.proven, self.hole) = (0, None, None);
    }

    /// Whether the partition does without identity.
    pub(crate) fn is_without(&self) -> bool {
        self.without
    }

    /// The era in force; none if a producer id is needed first.
    pub(crate) fn era(&self) -> Option<Era> {
        self.era
    }

    /// The id that is used up here: another one is needed.
    pub(crate) fn spent(&self) -> Option<i64> {
        self.spent
    }

    /// Begins with a new producer id, if one is needed.
    pub(crate) fn adopt(&mut self, producer_id: i64) {
        if self.era.is_none() {
            self.era = Some(Era { producer_id, epoch: 0 });
        }
    }

    /// The numbers of the next `count` records: for the first send of a batch (invariant 5.2).
    pub(crate) fn stamp(&mut self, count: u32) -> Option<Stamp> {
        let stamp = Stamp { era: self.era?, base_sequence: self.next };
        self.next = after(self.next, count);
        Some(stamp)
    }

    /// The broker has the batch. `by_leader`: the leader of now said so.
    pub(crate) fn acknowledged(
        &mut self,
        stamp: Stamp,
        count: u32,
        base_offset: i64,
        by_leader: bool,
        now: Instant,
    ) {
        if base_offset >= 0 {
            self.last_offset = Some(base_offset.saturating_add(i64::from(count) - 1));
        }
        if self.era != Some(stamp.era) {
            return;
        }
        if by_leader {
            self.proven = Some(now);
        }
        let end = after(stamp.base_sequence, count);
        // A broker takes no batch but the next: what was doubtful before it is there.
        self.hole = self.hole.filter(|hole| is_before(end, *hole));
    }

    /// The batch ended without being acknowledged: nobody uses its numbers again in this era.
    pub(crate) fn left(&mut self, stamp: Stamp, count: u32) {
        if self.era != Some(stamp.era) {
            return;
        }
        let end = after(stamp.base_sequence, count);
        if self.hole.is_none_or(|hole| is_before(hole, end)) {
            self.hole = Some(end);
        }
    }

    /// Whether a batch before this stamp is known to have ended without being acknowledged.
    pub(crate) fn has_hole_before(&self, stamp: Stamp) -> bool {
        let reached = |hole: i32| !is_before(stamp.base_sequence, hole);
        self.era == Some(stamp.era) && self.hole.is_some_and(reached)
    }

    /// The partition has to begin anew.
    pub(crate) fn renew(&mut self, renewal: Renewal, why: Why) {
        if self.renewal.is_none_or(|(pending, _)| pending < renewal) {
            self.renewal = Some((renewal, why));
        }
    }

    /// Another leader, or the same one elected anew.
    pub(crate) fn new_leader(&mut self) {
        self.proven = None;
    }

    /// Another log (invariant 4.19).
    pub(crate) fn new_log(&mut self) {
        self.last_offset = None;
        if self.era.is_some() {
            self.renew(Renewal::Epoch, Why::Recreated);
        }
    }

    /// The offset of the last record that was acknowledged.
    pub(crate) fn last_offset(&self) -> Option<i64> {
        self.last_offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books() -> Books {
        let mut books = Books::default();
        books.adopt(7);
        books
    }

    fn era(producer_id: i64, epoch: i16) -> Era {
        Era { producer_id, epoch }
    }

    /// Stamps and acknowledges a batch.
    fn through(books: &mut Books, count: u32) -> Stamp {
        let stamp = books.stamp(count).unwrap();
        books.acknowledged(stamp, count, 0, true, Instant::now());
        stamp
    }

    #[test]
    fn numbers_count_records_and_wrap() {
        let mut books = books();
        let bases: Vec<_> = [3, 1, 5].map(|count| through(&mut books, count).base_sequence).into();
        assert_eq!(bases, [0, 3, 4]);
        books.next = i32::MAX - 1;
        assert_eq!(through(&mut books, 4).base_sequence, i32::MAX - 1);
        assert_eq!(through(&mut books, 1).base_sequence, 2, "rule 5.1");
    }

    #[test]
    fn rule_4_14_several_are_in_flight_only_once_the_leader_of_now_has_acknowledged_one() {
        let mut books = books();
        assert!(!books.is_steady());
        let stamp = through(&mut books, 1);
        assert!(books.is_steady());
        books.new_leader();
        books.acknowledged(stamp, 1, 5, false, Instant::now());
        assert!(!books.is_steady(), "an answer of the old leader earns the new one nothing");
        through(&mut books, 1);
        assert!(books.is_steady());
    }

    #[test]
    fn rule_5_16_after_a_long_pause_one_batch_goes_first() {
        let mut books = books();
        through(&mut books, 1);
        let now = Instant::now();
        assert!(books.settle(false, now + Duration::from_secs(30)).is_none() && books.is_steady());
        assert!(books.settle(false, now + Duration::from_secs(90)).is_none() && !books.is_steady());
    }

    #[test]
    fn rule_5_12_a_hole_stops_new_numbers_until_the_next_batch_is_accepted() {
        let mut books = books();
        through(&mut books, 1);
        let (lost, next) = (books.stamp(10).unwrap(), books.stamp(5).unwrap());
        books.left(lost, 10);
        assert!(!books.is_steady());
        assert!(books.settle(true, Instant::now()).is_none(), "the batch behind it will tell");
        books.acknowledged(next, 5, 90, true, Instant::now());
        assert!(books.is_steady(), "it was there after all");
        assert_eq!(books.stamp(1).unwrap().base_sequence, 16, "in the same era");
    }

    #[test]
    fn rule_5_12_what_follows_a_hole_is_known_to_follow_it() {
        let mut books = books();
        let [first, second, third] = [2, 1, 1].map(|count| books.stamp(count).unwrap());
        books.left(second, 1);
        let follow = [first, second, third].map(|stamp| books.has_hole_before(stamp));
        assert_eq!(follow, [false, false, true]);
    }

    #[test]
    fn rule_5_12_a_hole_that_nothing_follows_ends_the_era() {
        let mut books = books();
        through(&mut books, 1);
        let lost = books.stamp(10).unwrap();
        books.left(lost, 10);
        assert!(books.settle(false, Instant::now()).is_some());
        assert_eq!(books.stamp(1), Some(Stamp { era: era(7, 1), base_sequence: 0 }));
        // The late answer comes for another era.
        books.acknowledged(lost, 10, 1, true, Instant::now());
        assert!(!books.is_steady());
    }

    #[test]
    fn rule_5_12_a_late_acknowledgement_of_the_lost_batch_itself_closes_its_hole() {
        let mut books = books();
        through(&mut books, 1);
        let lost = books.stamp(10).unwrap();
        books.left(lost, 10);
        books.acknowledged(lost, 10, 1, true, Instant::now());
        assert!(books.is_steady() && books.settle(false, Instant::now()).is_none());
        assert_eq!(books.stamp(1).unwrap().base_sequence, 11);
    }

    #[test]
    fn rule_5_12_of_two_holes_only_what_follows_the_second_closes_both() {
        let mut books = books();
        through(&mut books, 1);
        let stamps: Vec<_> = (0..4).map(|_| books.stamp(2).unwrap()).collect();
        books.left(stamps[2], 2);
        books.left(stamps[0], 2);
        books.acknowledged(stamps[1], 2, 9, true, Instant::now());
        assert!(!books.is_steady(), "the third is still doubtful");
        books.acknowledged(stamps[3], 2, 13, true, Instant::now());
        assert!(books.is_steady());
    }

    #[test]
    fn rule_5_8_the_epoch_is_bumped_locally_and_after_the_last_one_comes_another_id() {
        let mut books = books();
        for epoch in 0..=i16::MAX {
            assert_eq!(books.stamp(3), Some(Stamp { era: era(7, epoch), base_sequence: 0 }));
            books.renew(Renewal::Epoch, Why::Gap);
            assert!(books.settle(true, Instant::now()).is_some());
        }
        assert_eq!((books.era(), books.spent()), (None, Some(7)));
        assert_eq!(books.stamp(1), None, "nothing is stamped without an era");
        books.adopt(8);
        assert_eq!(books.stamp(3), Some(Stamp { era: era(8, 0), base_sequence: 0 }));
    }

    #[test]
    fn rule_5_17_where_an_epoch_is_fenced_another_id_is_taken() {
        let mut books = books();
        books.renew(Renewal::Id, Why::Fenced);
        books.renew(Renewal::Epoch, Why::Gap);
        assert!(books.settle(true, Instant::now()).is_some(), "the stronger wish wins");
        assert_eq!((books.era(), books.spent()), (None, Some(7)));
    }

    #[test]
    fn rule_5_18_a_partition_may_go_on_without_identity_once_nothing_is_in_flight() {
        let mut books = books();
        through(&mut books, 1);
        books.renew(Renewal::Epoch, Why::Gap);
        books.renew(Renewal::Without, Why::OldFormat);
        assert!(!books.is_without() && !books.is_steady());
        assert_eq!(books.settle(true, Instant::now()), Some(Why::OldFormat));
        assert!(books.is_without() && !books.is_steady());
    }

    #[test]
    fn rule_4_19_another_log_begins_a_new_era() {
        let mut books = books();
        through(&mut books, 4);
        books.new_log();
        assert!(!books.is_steady() && books.last_offset().is_none());
        assert!(books.settle(true, Instant::now()).is_some());
        assert_eq!(books.stamp(1), Some(Stamp { era: era(7, 1), base_sequence: 0 }));
    }
}
