//! Where a partition starts, and where it goes on when its position does not exist: pure decisions.
//!
//! Order (invariant 7.1): explicit offset, committed offset, policy. The policy is followed only
//! on a broker's clear word, never because a question failed.

use std::time::Duration;

use super::position::{EARLIEST, LATEST, Start};
use crate::config::Reset;

/// What the brokers must be asked before a partition can be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    Earliest,
    Latest,
    /// The first record with at least this timestamp, else the end.
    Time(i64),
    /// The first record at most so old, else the end.
    Age(Duration),
    /// The end of the log that lies nearest to an offset that does not exist.
    Nearest(i64),
}

/// What to do about a partition without a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Fetch here.
    At(i64),
    /// Ask the group first.
    Committed,
    /// Ask first.
    Ask(Lookup),
    /// The policy is "none": tell the application.
    Refuse,
}

/// The first step of a partition that was assigned or sought.
pub(super) fn begin(start: Start, policy: Reset, in_group: bool) -> Step {
    match start {
        Start::Default if in_group => Step::Committed,
        Start::Offset(offset) => Step::At(offset),
        Start::Earliest => Step::Ask(Lookup::Earliest),
        Start::Latest => Step::Ask(Lookup::Latest),
        Start::Time(time) => Step::Ask(Lookup::Time(time)),
        Start::Default | Start::Policy => match policy {
            // Nothing was ever read: all that there is is nearest, and nothing is lost.
            Reset::Earliest | Reset::Nearest => Step::Ask(Lookup::Earliest),
            Reset::Latest => Step::Ask(Lookup::Latest),
            Reset::ByDuration(age) => Step::Ask(Lookup::Age(age)),
            Reset::None => Step::Refuse,
        },
    }
}

/// The step after the leader said that `offset` is out of range.
pub(super) fn out_of_range(offset: i64, policy: Reset) -> Step {
    match policy {
        Reset::Earliest => Step::Ask(Lookup::Earliest),
        Reset::Latest => Step::Ask(Lookup::Latest),
        Reset::Nearest => Step::Ask(Lookup::Nearest(offset)),
        Reset::ByDuration(age) => Step::Ask(Lookup::Age(age)),
        Reset::None => Step::Refuse,
    }
}

/// The time (ms since 1970) that was `age` before `now`; never a special time (7.7).
pub(super) fn time_before(now: i64, age: Duration) -> i64 {
    let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    now.saturating_sub(age).max(0)
}

/// The step after the leader's log turned out to part at `end` from what was read.
pub(super) fn truncated(end: i64, policy: Reset) -> Step {
    match policy {
        Reset::None => Step::Refuse,
        _ => Step::At(end),
    }
}

impl Lookup {
    /// An age becomes a time when it is asked for; `now` in milliseconds since 1970.
    pub(super) fn at(self, now: i64) -> Self {
        match self {
            Lookup::Age(age) => Lookup::Time(time_before(now, age)),
            other => other,
        }
    }

    /// The times to ask ListOffsets for, one after the other.
    ///
    /// For a time the end is asked *first*: a record appended between the two answers is then read,
    /// not skipped.
    pub(super) fn questions(self) -> (i64, Option<i64>) {
        match self {
            Lookup::Earliest => (EARLIEST, None),
            Lookup::Latest => (LATEST, None),
            Lookup::Time(time) => (LATEST, Some(time)),
            // Not asked before it is a time.
            Lookup::Age(_) => (LATEST, None),
            Lookup::Nearest(_) => (EARLIEST, Some(LATEST)),
        }
    }

    /// The offset to fetch, from the answers to [`Lookup::questions`]. A second answer is `None`
    /// when nothing lies at or after the time (rule 7.6).
    pub(super) fn settle(self, first: i64, second: Option<i64>) -> i64 {
        match self {
            Lookup::Earliest | Lookup::Latest | Lookup::Age(_) => first,
            Lookup::Time(_) => second.unwrap_or(first),
            Lookup::Nearest(offset) => {
                let end = second.unwrap_or(first);
                // Within the log again: another leader, or one that caught up.
                offset.clamp(first.min(end), end.max(first))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn rule_7_1_an_explicit_place_wins_over_every_policy() {
        let by_age = Reset::ByDuration(HOUR);
        for policy in [Reset::Earliest, Reset::Latest, Reset::Nearest, by_age, Reset::None] {
            for in_group in [false, true] {
                let begin = |start| begin(start, policy, in_group);
                assert_eq!(begin(Start::Offset(7)), Step::At(7));
                assert_eq!(begin(Start::Earliest), Step::Ask(Lookup::Earliest));
                assert_eq!(begin(Start::Latest), Step::Ask(Lookup::Latest));
                assert_eq!(begin(Start::Time(9)), Step::Ask(Lookup::Time(9)));
            }
            assert_eq!(begin(Start::Default, policy, true), Step::Committed);
        }
    }

    #[test]
    fn rule_7_1_the_policy_decides_when_nothing_was_given_or_the_offset_is_gone() {
        let table = [
            (Reset::Earliest, Step::Ask(Lookup::Earliest), Step::Ask(Lookup::Earliest)),
            (Reset::Latest, Step::Ask(Lookup::Latest), Step::Ask(Lookup::Latest)),
            (Reset::Nearest, Step::Ask(Lookup::Earliest), Step::Ask(Lookup::Nearest(40))),
            (Reset::ByDuration(HOUR), Step::Ask(Lookup::Age(HOUR)), Step::Ask(Lookup::Age(HOUR))),
            (Reset::None, Step::Refuse, Step::Refuse),
        ];
        for (policy, at_start, when_gone) in table {
            assert_eq!(begin(Start::Default, policy, false), at_start, "{policy:?}");
            assert_eq!(begin(Start::Policy, policy, true), at_start, "{policy:?}");
            assert_eq!(out_of_range(40, policy), when_gone, "{policy:?}");
        }
    }

    #[test]
    fn kip_1106_an_age_is_counted_from_the_look_up_and_never_a_special_time() {
        assert_eq!(Lookup::Age(HOUR).at(10_000_000), Lookup::Time(6_400_000));
        assert_eq!(Lookup::Age(HOUR).at(5), Lookup::Time(0));
        assert_eq!(Lookup::Latest.at(5), Lookup::Latest);
    }

    #[test]
    fn rule_6_17_a_truncated_log_is_read_on_where_it_parted_unless_there_is_no_policy() {
        for policy in [Reset::Earliest, Reset::Latest, Reset::Nearest, Reset::ByDuration(HOUR)] {
            assert_eq!(truncated(70, policy), Step::At(70));
        }
        assert_eq!(truncated(70, Reset::None), Step::Refuse);
    }

    #[test]
    fn nearest_goes_to_the_closer_end_and_stays_where_the_log_has_the_offset() {
        let nearest = |offset| Lookup::Nearest(offset).settle(100, Some(200));
        assert_eq!((nearest(40), nearest(900), nearest(150)), (100, 200, 150));
        assert_eq!(Lookup::Nearest(5).settle(100, Some(90)), 90, "an odd answer does not panic");
    }

    #[test]
    fn a_time_after_the_last_record_means_the_end_as_it_was_before_the_question() {
        assert_eq!(Lookup::Time(5).questions(), (LATEST, Some(5)));
        assert_eq!(Lookup::Time(5).settle(200, None), 200);
        assert_eq!(Lookup::Time(5).settle(200, Some(20)), 20);
    }
}
