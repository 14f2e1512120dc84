//! The task that drives a consumer's group: it moves steps on, commits by the clock, and notices an
//! application that reads no more. Idle, it sleeps until something is handed out or waits to be read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::apply::Mode;
use super::commits::{How, Item, Then};
use super::liveness::{LOOKS, Verdict};
use super::place::COMMIT_AGAIN;
use crate::consumer::core::Core;
use crate::consumer::state::State;
use crate::error::{Code, Error};
use crate::group::Done;
use crate::runtime::{Task, inject_panic};

/// Commits by the clock are not sent more often than this.
const LEAST_INTERVAL: Duration = Duration::from_millis(10);

/// Starts the task; a panic in it poisons the consumer.
pub(super) fn start(core: &Arc<Core>) -> Task {
    let (shared, core) = (Arc::clone(core), Arc::clone(core));
    core.cluster.runtime().spawn("group", move |error| shared.fail(error), run(core))
}

async fn run(core: Arc<Core>) {
    loop {
        inject_panic("group");
        let next = round(&core);
        let pause = async {
            match next {
                None => std::future::pending().await,
                Some(next) => tokio::time::sleep_until(next.into()).await,
            }
        };
        tokio::select! {
            () = core.part.kick.notified() => {}
            () = pause => {}
        }
    }
}

/// What one look decided, to be done without the lock.
#[derive(Default)]
struct Plan {
    orders: Vec<(Vec<Item>, Instant, Then)>,
    dones: Vec<Done>,
    moved: bool,
    expired: bool,
    back: bool,
    news: bool,
    /// The application's next poll is watched for.
    watches: bool,
    next: Option<Instant>,
}

/// Looks at everything once; gives when to look again if nothing happens.
fn round(core: &Arc<Core>) -> Option<Instant> {
    let now = Instant::now();
    let mut state = core.lock();
    let plan = plan(core, &mut state, now);
    core.look_around(&state);
    drop(state);
    // The membership hears without our lock held.
    drop(plan.dones);
    for (items, deadline, then) in plan.orders {
        core.send_commit(items, false, deadline, then);
    }
    if let Some(member) = core.part.made() {
        if plan.expired {
            member.membership.step_out();
        }
        if plan.back {
            member.membership.step_in();
        }
    }
    if plan.moved {
        core.kick.notify_one();
    }
    if plan.news || plan.moved {
        core.signal.notify();
    }
    plan.next
}

fn plan(core: &Core, state: &mut State, now: Instant) -> Plan {
    let config = &core.config.group;
    let mut plan = Plan::default();
    let late = state.group.farewell.as_mut().map(|late| late.overdue(now));
    let (late, until) = late.unwrap_or_default();
    plan.next = until;
    if state.closed || state.group.ending {
        plan.dones = state.take_dones();
        plan.dones.extend(late);
        return plan;
    }
    let limit = config.max_poll_interval;
    plan.moved = state.release_late(now, limit);
    let errands = state.advance(config.auto_commit);
    plan.moved |= errands.moved;
    if let Some((id, indices)) = errands.commit {
        let items = state.items(&indices, How::Auto, now);
        // A rebalance does not wait longer for a commit than for the application (8.11).
        plan.orders.push((items, now + limit, Then::Step(id)));
    }
    live(state, now, limit, &mut plan);
    timed(core, state, now, &mut plan);
    // Once in a while is enough: what rang is not asked to ring at once again. A clock that rests is: what
    // rang may be that messages came, and the next that they are handed out, which is to be committed.
    let (rang, rests) = (std::mem::take(&mut state.group.woken), state.group.timed.rests());
    if rests || !rang && !plan.watches {
        state.group.alarm = Some(Arc::clone(&core.part.kick));
    } else if rang {
        plan.sooner(now + limit / LOOKS);
    }
    let (held, live) = (state.group.steps.held.iter(), &state.group.liveness);
    if let Some(end) = held.map(|held| live.end(held.since, limit)).min() {
        plan.sooner(end);
    }
    plan.dones = state.take_dones();
    plan.dones.extend(late);
    plan.news = state.has_news();
    plan
}

/// Whether the application still reads (8.24, 9.15).
fn live(state: &mut State, now: Instant, limit: Duration, plan: &mut Plan) {
    if std::mem::take(&mut state.group.back) {
        plan.back = true;
    }
    if !state.group.is_subscribed() || state.group.out {
        return;
    }
    let waits = state.has_news() || state.group.steps.is_waiting();
    let polls = state.group.polls;
    match state.group.liveness.look(now, polls, waits, limit) {
        Verdict::Idle => {}
        Verdict::Alive(next) => {
            plan.watches = true;
            plan.sooner(next);
        }
        Verdict::Expired => {
            state.group.out = true;
            plan.expired = true;
            state.report_general(not_polled(limit));
        }
    }
}

/// Commits by the clock; not while partitions change hands (11.11).
fn timed(core: &Core, state: &mut State, now: Instant, plan: &mut Plan) {
    let config = &core.config.group;
    if !config.auto_commit || state.group.mode == Mode::Idle {
        return;
    }
    if state.group.woken {
        // What is handed out after a rest is committed an interval later.
        state.group.timed.resume();
    }
    let interval = config.auto_commit_interval.max(LEAST_INTERVAL);
    if state.group.steps.is_moving() {
        return;
    }
    if state.group.timed.is_due(now, interval) {
        let all = state.assigned();
        let items = state.items(&all, How::Auto, now);
        if !items.is_empty() {
            state.group.timed.begin();
            plan.orders.push((items, now + core.config.request_timeout, Then::Timed));
        } else if state.is_at_work(&all) {
            // Nothing rings when the application has done with what it holds: looked at again (11.2).
            plan.sooner(now + interval);
        } else {
            state.group.timed.rest();
            plan.sooner(now + COMMIT_AGAIN / 12);
        }
    } else if let Some(next) = state.group.timed.next() {
        plan.sooner(next);
    }
}

impl Plan {
    fn sooner(&mut self, next: Instant) {
        self.next = Some(self.next.map_or(next, |before| before.min(next)));
    }
}

fn not_polled(limit: Duration) -> Error {
    let text = format!(
        "messages or a rebalance waited for longer than max.poll.interval.ms={} without a poll: the \
         member left its group, and joins again with the next poll; process less between two polls \
         (max.poll.records), raise it, or ask for time with samsa_consumer_extend",
        limit.as_millis()
    );
    Error::new(Code::MAX_POLL_EXCEEDED, text).with_property("max.poll.interval.ms")
}
