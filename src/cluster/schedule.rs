//! When to ask for metadata: pure, time is an argument.
//!
//! Triggers are merged, never refused: each only says how soon. A wish for topics is asked at once; an
//! urgent refresh too, unless answers have come back identical (invariant 1.11); the rest waits for the
//! back-off. What fails backs off as a whole, since each attempt has tried every broker.

use std::time::{Duration, Instant};

use crate::net::Backoff;

/// How soon a trigger wants to be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// After the back-off.
    Polite,
    /// At once, unless it has been of no use lately.
    Urgent,
    /// Somebody waits for topics never asked for: at once.
    Wish,
}

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Every topic that is wanted.
    Everything,
    /// Topics that nobody has asked about yet: with thousands of topics, one more is not their sum.
    Wishes,
}

/// The timing of the metadata loop.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    max_age: Duration,
    backoff: Backoff,
    /// Why everything is to be asked again.
    trigger: Option<(Urgency, &'static str)>,
    /// Why somebody waits for new topics.
    wish: Option<&'static str>,
    asking: Option<Scope>,
    ended: Option<Instant>,
    succeeded: Option<Instant>,
    failing_since: Option<Instant>,
    failures: u32,
    identical: u32,
}

impl Schedule {
    pub(super) fn new(max_age: Duration, backoff: Backoff) -> Self {
        Self {
            max_age,
            backoff,
            trigger: Some((Urgency::Urgent, "first contact")),
            wish: None,
            asking: None,
            ended: None,
            succeeded: None,
            failing_since: None,
            failures: 0,
            identical: 0,
        }
    }

    /// Somebody wants metadata; the more urgent reason is kept and logged.
    pub(super) fn trigger(&mut self, urgency: Urgency, why: &'static str) {
        if urgency == Urgency::Wish {
            self.identical = 0;
            self.wish.get_or_insert(why);
        } else if self.trigger.is_none_or(|(known, _)| urgency > known) {
            self.trigger = Some((urgency, why));
        }
    }

    /// When to ask next, and why; none while an answer is under way. `jitter` from 0 to 1.
    pub(super) fn due(&self, now: Instant, jitter: f64) -> Option<(Instant, &'static str)> {
        if self.asking.is_some() {
            return None;
        }
        let wish = self.wish.map(|why| (self.after(0, now, jitter), why));
        let everything = self.everything_due(now, jitter);
        let (at, why) = [everything, wish].into_iter().flatten().min_by_key(|(at, _)| *at)?;
        // Whatever the reason, what fails is not repeated without a pause.
        Some((at.max(self.after(self.failures, now, jitter)), why))
    }

    /// What a question that leaves now is about. After a failure it is everything: nobody knows what
    /// the failed one covered.
    pub(super) fn scope(&self, now: Instant, jitter: f64) -> Scope {
        let overdue = self.everything_due(now, jitter).is_some_and(|(at, _)| at <= now);
        if self.wish.is_none() || overdue || self.failures > 0 || self.succeeded.is_none() {
            Scope::Everything
        } else {
            Scope::Wishes
        }
    }

    fn everything_due(&self, now: Instant, jitter: f64) -> Option<(Instant, &'static str)> {
        let asked_for = self.trigger.map(|(urgency, why)| {
            let times = match urgency {
                Urgency::Wish | Urgency::Urgent => self.identical,
                Urgency::Polite => self.identical + 1,
            };
            (self.after(times, now, jitter), why)
        });
        let age = self.succeeded.map(|at| (at + self.max_age, "metadata.max.age.ms"));
        [asked_for, age].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    fn after(&self, times: u32, now: Instant, jitter: f64) -> Instant {
        self.ended.map_or(now, |end| end + self.backoff.delay(times, jitter))
    }

    /// A question leaves; triggers from now on want another one (invariant 1.10).
    pub(super) fn asked(&mut self, scope: Scope) {
        self.asking = Some(scope);
        self.wish = None;
        if scope == Scope::Everything {
            self.trigger = None;
        }
    }

    /// An answer was merged, and changed something or not. One about new topics alone refreshes nothing:
    /// neither age nor back-off begin anew.
    pub(super) fn answered(&mut self, changed: bool, now: Instant) {
        self.failing_since = None;
        self.failures = 0;
        if self.asking.take() == Some(Scope::Wishes) {
            return;
        }
        self.ended = Some(now);
        self.succeeded = Some(now);
        self.identical = if changed { 0 } else { self.identical.saturating_add(1) };
    }

    /// No broker answered.
    pub(super) fn failed(&mut self, why: &'static str, now: Instant) {
        self.asking = None;
        self.ended = Some(now);
        self.failing_since.get_or_insert(now);
        self.failures = self.failures.saturating_add(1);
        self.trigger(Urgency::Polite, why);
    }

    /// Since when every attempt failed (invariant 1.16 counts from the first failure).
    pub(super) fn failing_since(&self) -> Option<Instant> {
        self.failing_since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn schedule() -> Schedule {
        let backoff = Backoff { first: 100 * MS, most: 1_000 * MS };
        Schedule::new(300_000 * MS, backoff)
    }

    fn wait(schedule: &Schedule, now: Instant) -> Option<u128> {
        let (at, _) = schedule.due(now, 0.5)?;
        Some(at.saturating_duration_since(now).as_millis())
    }

    #[test]
    fn the_first_question_is_asked_at_once_and_then_by_age_alone() {
        let now = Instant::now();
        let mut schedule = schedule();
        assert_eq!(schedule.due(now, 0.5), Some((now, "first contact")));
        schedule.asked(Scope::Everything);
        assert_eq!(wait(&schedule, now), None, "one question at a time");
        schedule.answered(true, now);
        assert_eq!(schedule.due(now, 0.5), Some((now + 300_000 * MS, "metadata.max.age.ms")));
    }

    #[test]
    fn rule_1_10_a_wish_during_a_question_wants_another_question() {
        let now = Instant::now();
        let mut schedule = schedule();
        schedule.asked(Scope::Everything);
        schedule.trigger(Urgency::Wish, "a new topic");
        schedule.answered(true, now);
        assert_eq!(schedule.due(now, 0.5), Some((now, "a new topic")));
    }

    #[test]
    fn rule_1_11_identical_answers_back_off_and_a_wish_resets_that() {
        let now = Instant::now();
        let mut schedule = schedule();
        schedule.asked(Scope::Everything);
        schedule.answered(true, now);
        let mut waits = Vec::new();
        for _ in 0..6 {
            schedule.trigger(Urgency::Urgent, "not leader");
            waits.push(wait(&schedule, now).unwrap());
            schedule.asked(Scope::Everything);
            schedule.answered(false, now);
        }
        assert_eq!(waits, [0, 100, 200, 400, 800, 1_000]);
        schedule.trigger(Urgency::Wish, "a new topic");
        assert_eq!(wait(&schedule, now), Some(0));
        schedule.asked(Scope::Everything);
        schedule.answered(true, now);
        schedule.trigger(Urgency::Urgent, "not leader");
        assert_eq!(wait(&schedule, now), Some(0), "it is of use again");
    }

    #[test]
    fn rule_13_3_triggers_merge_and_the_more_urgent_one_wins() {
        let now = Instant::now();
        let mut schedule = schedule();
        schedule.asked(Scope::Everything);
        schedule.answered(true, now);
        schedule.trigger(Urgency::Polite, "retry");
        assert_eq!(schedule.due(now, 0.5), Some((now + 100 * MS, "retry")));
        schedule.trigger(Urgency::Urgent, "not leader");
        schedule.trigger(Urgency::Polite, "retry");
        assert_eq!(schedule.due(now, 0.5), Some((now, "not leader")));
    }

    #[test]
    fn failures_back_off_whatever_is_wished() {
        let now = Instant::now();
        let mut schedule = schedule();
        let mut waits = Vec::new();
        for _ in 0..6 {
            schedule.asked(Scope::Everything);
            schedule.failed("no broker answered", now);
            schedule.trigger(Urgency::Wish, "a new topic");
            waits.push(wait(&schedule, now).unwrap());
        }
        assert_eq!(waits, [100, 200, 400, 800, 1_000, 1_000]);
    }

    #[test]
    fn rule_1_16_the_clock_of_failure_starts_with_the_first_failed_refresh() {
        let now = Instant::now();
        let mut schedule = schedule();
        schedule.asked(Scope::Everything);
        schedule.answered(true, now);
        assert_eq!(schedule.failing_since(), None);
        schedule.failed("x", now + 50_000 * MS);
        schedule.failed("x", now + 60_000 * MS);
        assert_eq!(schedule.failing_since(), Some(now + 50_000 * MS));
        schedule.answered(true, now + 70_000 * MS);
        assert_eq!(schedule.failing_since(), None);
    }

    #[test]
    fn a_wish_is_asked_for_alone_unless_everything_is_due_anyway() {
        let now = Instant::now();
        let mut schedule = schedule();
        schedule.trigger(Urgency::Wish, "a new topic");
        assert_eq!(schedule.scope(now, 0.5), Scope::Everything, "nobody has answered yet");
        schedule.asked(Scope::Everything);
        schedule.answered(true, now);
        schedule.trigger(Urgency::Wish, "a new topic");
        schedule.trigger(Urgency::Polite, "retry");
        assert_eq!((schedule.scope(now, 0.5), wait(&schedule, now)), (Scope::Wishes, Some(0)));
        schedule.asked(Scope::Wishes);
        schedule.answered(true, now + 60 * MS);
        assert_eq!(
            schedule.due(now, 0.5),
            Some((now + 100 * MS, "retry")),
            "a stream of new topics does not put off what is due for all"
        );
        let later = now + 100 * MS;
        schedule.trigger(Urgency::Wish, "a new topic");
        assert_eq!(schedule.scope(later, 0.5), Scope::Everything);
        schedule.asked(Scope::Wishes);
        schedule.failed("no broker answered", later);
        schedule.trigger(Urgency::Wish, "a new topic");
        assert_eq!(schedule.scope(later, 0.5), Scope::Everything);
    }
}
