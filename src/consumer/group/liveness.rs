//! Whether the application still reads (rule 8.24): pure.

use std::time::{Duration, Instant};

/// The clock of `max.poll.interval.ms`. It runs only while something waits to be read.
#[derive(Debug, Default)]
pub(super) struct Liveness {
    /// The number of polls at the last look.
    polls: u64,
    /// Since when nobody polled, as far as is known.
    since: Option<Instant>,
    /// The application asked for time until then.
    extended: Option<Instant>,
}

/// What a look says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing waits to be read.
    Idle,
    /// To be looked at again then.
    Alive(Instant),
    /// The application is gone.
    Expired,
}

/// So many looks fall into one interval: a poll takes no time down, so that it stays cheap.
pub(super) const LOOKS: u32 = 16;

impl Liveness {
    /// Looks: how often it was polled in all, and whether something waits.
    pub(super) fn look(
        &mut self,
        now: Instant,
        polls: u64,
        waits: bool,
        limit: Duration,
    ) -> Verdict {
        if !waits || polls != self.polls {
            self.polls = polls;
            self.since = None;
        }
        if !waits {
            return Verdict::Idle;
        }
        let since = *self.since.get_or_insert(now);
        let end = self.end(since, limit);
        if now >= end {
            self.since = None;
            return Verdict::Expired;
        }
        Verdict::Alive(end.min(now + limit / LOOKS))
    }

    /// When the time is over of what began then.
    pub(super) fn end(&self, since: Instant, limit: Duration) -> Instant {
        let end = since + limit;
        self.extended.map_or(end, |extended| extended.max(end))
    }

    /// The application asks for time.
    pub(super) fn extend(&mut self, until: Instant) {
        self.extended = Some(self.extended.map_or(until, |extended| extended.max(until)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(160);

    #[test]
    fn rule_8_24_only_polls_reset_the_clock_and_it_runs_only_while_something_waits() {
        let (mut live, now) = (Liveness::default(), Instant::now());
        assert_eq!(live.look(now, 1, false, LIMIT), Verdict::Idle);
        let later = now + LIMIT * 10;
        let next = later + LIMIT / LOOKS;
        assert_eq!(live.look(later, 1, true, LIMIT), Verdict::Alive(next), "it begins now");
        assert!(matches!(live.look(later + LIMIT / 2, 2, true, LIMIT), Verdict::Alive(_)));
        assert!(matches!(live.look(later + LIMIT, 2, true, LIMIT), Verdict::Alive(_)));
        assert_eq!(live.look(later + LIMIT * 3 / 2, 2, true, LIMIT), Verdict::Expired);
    }

    #[test]
    fn time_that_the_application_asked_for_is_given() {
        let (mut live, now) = (Liveness::default(), Instant::now());
        live.look(now, 1, true, LIMIT);
        live.extend(now + LIMIT * 3);
        live.extend(now + LIMIT);
        assert!(matches!(live.look(now + LIMIT * 2, 1, true, LIMIT), Verdict::Alive(_)));
        assert_eq!(live.look(now + LIMIT * 3, 1, true, LIMIT), Verdict::Expired);
    }
}
