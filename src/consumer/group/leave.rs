//! Leaving the group: at close for good, at unsubscribe until the next subscription.

use std::sync::Arc;
use std::time::Instant;

use super::apply::Mode;
use super::commits::{How, Item, Then, are_over};
use super::handed::thread;
use super::part::Tell;
use super::steps::{Route, Turn};
use super::subscribe::understand;
use crate::consumer::core::Core;
use crate::consumer::event::{Event, Partitions};
use crate::consumer::front::Consumer;
use crate::consumer::position::Position;
use crate::error::{Code, Error, Result};
use crate::group::{Done, Subscription};
use crate::runtime::{self, Completion};

/// What is done, in this order (8.25): nothing more is handed out; the membership ends the rebalance that
/// is under way, or goes on without it; the application's callback, which may commit; the automatic
/// commit; then the membership leaves.
struct Farewell<'a> {
    /// What the application is told of, if by a callback.
    revoked: Vec<Position>,
    /// The last: the membership hears of it behind the rest.
    end: End<'a>,
}

/// The end of a farewell, when it is dropped, also by a callback that panics: else what the group says
/// later would wait for it, and no later subscription would be told.
///
/// Partitions are given up only now, also those whose revocation was not told yet (10.1): until then they
/// can be committed. So of several threads that end subscriptions the last one does it; but who leaves for
/// good waits for none of them, for it may run in their callback.
struct End<'a> {
    core: &'a Core,
    for_good: bool,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        match self.for_good {
            // The membership hears without our lock held.
            true => {
                let late = self.core.lock().group.farewell.take();
                drop(late);
            }
            false => self.end_subscription(),
        }
    }
}

impl End<'_> {
    /// Tells the membership that the subscription ended, and of the one that the application made meanwhile
    /// (in the callback, or in another thread) and that was not told for that reason.
    fn end_subscription(&self) {
        let core = self.core;
        let _telling = core.part.telling();
        let Some(member) = core.part.made() else { return };
        let late = {
            let mut state = core.lock();
            if state.group.unsubscribing > 1 || state.group.ending {
                state.group.unsubscribing = state.group.unsubscribing.saturating_sub(1);
                return;
            }
            // What was assigned by hand since is not the group's.
            if state.group.mode != Mode::Assigned {
                state.assigned().into_iter().for_each(|index| state.remove(index));
            }
            state.group.farewell.take()
        };
        core.kick.notify_one();
        drop(late);
        member.membership.subscribe(Subscription::default());
        let (mode, others) = {
            let mut state = core.lock();
            state.group.unsubscribing = state.group.unsubscribing.saturating_sub(1);
            (state.group.mode.clone(), state.group.unsubscribing > 0)
        };
        if mode == Mode::Idle {
            core.let_topics_go();
        }
        if let (Mode::Subscribed(entries), false) = (mode, others) {
            let entries: Vec<&str> = entries.iter().map(|entry| &**entry).collect();
            // It was understood once.
            if let Ok(subscription) = understand(&entries, |_| Ok(())) {
                member.membership.subscribe(subscription);
            }
        }
    }
}

/// Steps of the membership that are answered after the last commit: what is given up before cannot be
/// committed any more (10.1).
#[derive(Debug)]
pub(super) struct Late {
    dones: Vec<Done>,
    /// A callback that never returns holds up the group no longer than an application that never polls.
    until: Instant,
}

impl Late {
    /// A revocation that came since the farewell began.
    pub(super) fn push(&mut self, done: Done) {
        self.dones.push(done);
    }

    /// What is not to wait any longer, and until when the rest may.
    pub(super) fn overdue(&mut self, now: Instant) -> (Vec<Done>, Option<Instant>) {
        match now < self.until {
            true => (Vec::new(), Some(self.until)),
            false => (std::mem::take(&mut self.dones), None),
        }
    }
}

impl Consumer {
    /// Ends the subscription: the callback hears of all partitions as revoked, what was handed out and
    /// freed is committed with `enable.auto.commit` (but not what another thread got that lives and did not
    /// poll again), and the group is left. No event is made. Does nothing without a subscription; one that
    /// is made meanwhile begins when this one has ended. `timeout_ms` bounds it; 0: does not wait for the
    /// commit; −1: as long as a request may take.
    ///
    /// # Errors
    /// TIMED_OUT, or why the commit failed: the subscription has ended all the same.
    pub fn unsubscribe(&self, timeout_ms: i32, tell: Option<&mut Tell<'_>>) -> Result<()> {
        let limit = runtime::deadline(timeout_ms)?;
        drop(self.open()?);
        self.core().leave_group(limit, tell, false)
    }
}

impl Core {
    /// Leaves the group, if the consumer is in one, within `limit` (none: as long as requests may take).
    pub(in crate::consumer) fn leave_group(
        self: &Arc<Self>,
        limit: Option<Instant>,
        mut tell: Option<&mut Tell<'_>>,
        for_good: bool,
    ) -> Result<()> {
        let Some(member) = self.part.made() else { return Ok(()) };
        // With no time at all nothing is waited for, and nothing missed; but a callback may take all of it.
        let had_time = limit.is_none_or(|limit| limit > Instant::now());
        let Some(mut farewell) = self.begin_farewell(for_good) else { return Ok(()) };
        // First: the callback may commit too, and neither waits for a rebalance of others (8.25).
        member.membership.finish();
        if let Some(tell) = tell.as_deref_mut().filter(|_| !farewell.revoked.is_empty()) {
            let revoked = std::mem::take(&mut farewell.revoked);
            tell(Event::Revoked(Partitions::new(revoked, None)));
        }
        let waits = limit.is_none_or(|limit| limit > Instant::now());
        // A coordinator that never answers does not hold up who waits without a limit.
        let limit = limit.unwrap_or_else(|| Instant::now() + self.config.request_timeout);
        let committed = self.last_commit(limit, had_time, for_good);
        if for_good {
            self.tell_open_commits();
        }
        if let Some(tell) = tell {
            // How the commits ended that the application sent before.
            self.take_turn(tell);
        }
        drop(farewell.end);
        if !for_good {
            return committed;
        }
        if !waits {
            drop(member.membership.leave());
            return committed;
        }
        let left = member.membership.leave_within(limit).wait(Some(limit), None);
        committed.and(left.or_else(|error| match error.code() {
            Code::TIMED_OUT => Err(Error::new(
                Code::TIMED_OUT,
                "the group did not confirm in time that it was left",
            )),
            // Nobody is left to be told.
            Code::ABANDONED => Ok(()),
            _ => Err(error),
        }))
    }

    /// Whether the calling thread is to close the consumer. Another one that wants to at the same time
    /// waits for it: what the first has still to commit is lost with the partitions.
    ///
    /// ```text
    ///   first:   stops delivery, runs the callback …           commits what is left │ leaves │ shuts
    ///   second:                    finds nothing to leave, shuts: nothing is left ▲
    /// ```
    ///
    /// The callback of the first may close too: that has nothing to wait for. TIMED_OUT when the first
    /// is not done within `limit`.
    pub(in crate::consumer) fn begins_close(&self, limit: Option<Instant>) -> Result<bool> {
        let me = thread();
        {
            let mut state = self.lock();
            match state.group.closing {
                _ if state.closed => return Ok(false),
                None => {
                    state.group.closing = Some(me);
                    return Ok(true);
                }
                Some(first) if first == me => return Ok(false),
                Some(_) => {}
            }
        }
        if limit.is_some_and(|limit| limit <= Instant::now()) {
            return Ok(false);
        }
        let closed = || self.lock().closed.then_some(());
        match self.signal.wait_through_wakeups(limit, closed) {
            Err(error) if error.code() == Code::NOTHING => {
                let text = "another thread closes the consumer, and was not done in time";
                Err(Error::new(Code::TIMED_OUT, text))
            }
            // Closed, or broken meanwhile.
            _ => Ok(false),
        }
    }

    /// The consumer goes without a close: the group is told, and nobody waits.
    pub(in crate::consumer) fn abandon_group(&self) {
        let closed = std::mem::replace(&mut self.lock().group.ending, true);
        if let Some(member) = self.part.made().filter(|_| !closed) {
            drop(member.membership.leave());
        }
    }

    /// Stops delivery; none if there is nothing to leave.
    fn begin_farewell(&self, for_good: bool) -> Option<Farewell<'_>> {
        let mut state = self.lock();
        let subscribed = state.group.is_subscribed();
        if state.closed || state.group.ending || !(subscribed || for_good) {
            return None;
        }
        state.group.ending = for_good;
        // Who leaves has come back, also for the last commit of another thread that leaves meanwhile; what
        // other threads got they may still work on.
        state.group.readers.came_back(thread());
        let mut revoked = Vec::new();
        for index in state.assigned() {
            state.fence(index);
            revoked.extend(state.position(index).filter(|_| !state.is_told_revoked(index)));
        }
        if !subscribed || state.group.steps.routes.of(Turn::Revoked) != Route::Callback {
            revoked.clear();
        }
        // From here on the membership's steps are answered by themselves.
        state.group.mode = Mode::Idle;
        state.group.out = false;
        state.group.steps.end();
        let dones = std::mem::take(&mut state.group.steps.dones);
        let until = Instant::now() + self.config.group.max_poll_interval;
        match &mut state.group.farewell {
            // Another thread ends the subscription at this moment.
            Some(late) => late.dones.extend(dones),
            none => *none = Some(Late { dones, until }),
        }
        self.look_around(&state);
        state.group.unsubscribing += usize::from(!for_good);
        drop(state);
        // The task that drives the group keeps that time.
        self.part.kick();
        Some(Farewell { revoked, end: End { core: self, for_good } })
    }

    /// The automatic commit of what was handed out and freed, and what the threads that got it came back
    /// for: the one that leaves has.
    fn last_commit(self: &Arc<Self>, limit: Instant, had_time: bool, for_good: bool) -> Result<()> {
        let now = Instant::now();
        let mut state = self.lock();
        // What was assigned by hand since is not the group's.
        let by_hand = !for_good && state.group.mode == Mode::Assigned;
        let assigned = if by_hand { Vec::new() } else { state.assigned() };
        let items = match self.config.group.auto_commit {
            true => state.items(&assigned, How::Auto, now),
            false => Vec::new(),
        };
        let out = state.group.commits_out.take_ends();
        drop(state);
        let last = self.commit_last(items, limit, now);
        // What the application sent is not cut off by the end; it is bounded by the same time.
        if had_time && !are_over(out, limit) {
            return last.and_then(|()| Err(late()));
        }
        last
    }

    fn commit_last(self: &Arc<Self>, items: Vec<Item>, limit: Instant, now: Instant) -> Result<()> {
        if items.is_empty() {
            return Ok(());
        }
        let (sender, answer) = Completion::new();
        // Who does not wait lets it go its way.
        let deadline = if limit <= now { now + self.config.request_timeout } else { limit };
        // Not one of the tasks that the end of the consumer stops.
        drop(self.start_commit(items, false, deadline, Then::Last(sender)));
        if limit <= now {
            return Ok(());
        }
        let outcome: Vec<Position> = answer.wait(Some(limit), None).map_err(|_| late())?;
        outcome.into_iter().find_map(|position| position.error).map_or(Ok(()), Err)
    }
}

fn late() -> Error {
    Error::new(Code::TIMED_OUT, "the positions were not committed in time")
}
