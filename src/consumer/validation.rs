//! Asking leaders whether their logs still hold what was read (KIP-320), until they answer.

use std::sync::Arc;
use std::time::Instant;

use super::core::Core;
use super::event::Event;
use super::partition::{Partition, Phase};
use super::state::{Slot, State};
use super::truncation::judge;
use crate::cluster::{EpochEnd, EpochQuestion, partition_within};
use crate::error::{Code, Error, Result};
use crate::runtime::Task;

/// So often metadata is asked for a leader epoch as new as the position's before the leader is asked
/// all the same: after an unclean election nobody may know the higher epoch again (1.3).
const INSISTENCE: u32 = 5;

/// What was asked about a partition. The answer counts only if all of it still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticket {
    slot: Slot,
    leader: i32,
    leader_epoch: i32,
    fetch_offset: i64,
    fetch_epoch: i32,
}

impl Ticket {
    fn of(slot: Slot, partition: &Partition) -> Self {
        Self {
            slot,
            leader: partition.leader,
            leader_epoch: partition.leader_epoch,
            fetch_offset: partition.fetch_offset,
            fetch_epoch: partition.fetch_epoch,
        }
    }
}

/// What an answer asks for beyond itself.
#[derive(Debug, Default)]
struct Aftermath {
    refresh: bool,
    truncated: Vec<(Slot, EpochEnd)>,
}

/// Asks `leader` about these partitions; a panic poisons the consumer.
pub(super) fn start(core: &Arc<Core>, leader: i32, slots: Vec<Slot>) -> Task {
    let (shared, core) = (Arc::clone(core), Arc::clone(core));
    let run = run(core.clone(), leader, slots);
    core.cluster.runtime().spawn("epochs", move |error| shared.fail(error), run)
}

async fn run(core: Arc<Core>, leader: i32, slots: Vec<Slot>) {
    let (tickets, questions, early) = prepare(&mut core.lock(), leader, &slots);
    let mut outcomes: Vec<(Ticket, Result<Option<EpochEnd>>)> =
        early.into_iter().map(|ticket| (ticket, Err(epoch_ahead()))).collect();
    if !questions.is_empty() {
        let deadline = Instant::now() + core.config.request_timeout;
        match core.cluster.epoch_ends(leader, &questions, deadline).await {
            Ok(Some(ends)) => {
                let ends = ends.into_iter().map(|end| end.map(Some));
                outcomes.extend(tickets.into_iter().zip(ends));
            }
            // The leader is too old to tell: there is nothing to wait for.
            Ok(None) => outcomes.extend(tickets.into_iter().map(|ticket| (ticket, Ok(None)))),
            Err(error) => {
                outcomes.extend(tickets.into_iter().map(|ticket| (ticket, Err(error.clone()))));
            }
        }
    }
    conclude(&core, outcomes);
}

/// The questions, stamped with what is known now (6.16); apart from them the partitions whose epoch
/// metadata has yet to reach (7.11).
fn prepare(
    state: &mut State,
    leader: i32,
    slots: &[Slot],
) -> (Vec<Ticket>, Vec<EpochQuestion>, Vec<Ticket>) {
    let (mut tickets, mut questions, mut early) = (Vec::new(), Vec::new(), Vec::new());
    for &slot in slots {
        let Some(partition) = state.current(slot) else { continue };
        let ticket = Ticket::of(slot, partition);
        if partition.phase != (Phase::Validate { asked: true }) {
            continue;
        }
        if ticket.leader != leader {
            // It moved since: another task asks the right one.
            partition.phase = Phase::Validate { asked: false };
        } else if ticket.fetch_epoch > ticket.leader_epoch
            && partition.retry.failures() < INSISTENCE
        {
            early.push(ticket);
        } else {
            tickets.push(ticket);
            questions.push(EpochQuestion {
                topic: Arc::clone(partition.topic.name()),
                partition: partition_within(partition.number),
                current_leader_epoch: ticket.leader_epoch,
                epoch: ticket.fetch_epoch,
            });
        }
    }
    (tickets, questions, early)
}

fn epoch_ahead() -> Error {
    Error::new(Code::UNKNOWN_LEADER_EPOCH, "metadata is older than the epoch of the position")
}

fn conclude(core: &Arc<Core>, outcomes: Vec<(Ticket, Result<Option<EpochEnd>>)>) {
    let now = Instant::now();
    let mut state = core.lock();
    let mut aftermath = Aftermath::default();
    for (ticket, outcome) in outcomes {
        apply(core, &mut state, ticket, outcome, now, &mut aftermath);
    }
    for &(slot, end) in &aftermath.truncated {
        tell(core, &mut state, slot, end);
    }
    let news = state.has_news();
    state.wake_fetchers();
    drop(state);
    core.kick.notify_one();
    if news {
        core.signal.notify();
    }
    if aftermath.refresh {
        core.cluster.refresh("a leader could not validate a position");
    }
}

/// An answer counts only if the position and the leader are still those that were asked about; a
/// failed question is asked again, whatever failed, and never becomes a reset (6.16).
fn apply(
    core: &Core,
    state: &mut State,
    ticket: Ticket,
    outcome: Result<Option<EpochEnd>>,
    now: Instant,
    aftermath: &mut Aftermath,
) {
    let Some(partition) = state.current(ticket.slot) else { return };
    let waits = partition.phase == Phase::Validate { asked: true };
    if !waits || Ticket::of(ticket.slot, partition) != ticket {
        return;
    }
    match outcome {
        Ok(None) => partition.phase = Phase::Fetch,
        Ok(Some(end)) => {
            let finding = judge(end, partition.position, partition.fetch_offset);
            if let Some(end) = state.validated(ticket.slot.index, finding) {
                aftermath.truncated.push((state.slot(ticket.slot.index), end));
            }
        }
        Err(error) => {
            partition.phase = Phase::Validate { asked: false };
            core.config.back_off(&mut partition.retry, now);
            aftermath.refresh = true;
            if !error.is_retriable() && partition.tell_once(error.code(), -1) {
                state.report(ticket.slot, error);
            }
        }
    }
}

/// Records that the application has read are gone: never in silence.
fn tell(core: &Core, state: &mut State, slot: Slot, end: EpochEnd) {
    let Some(partition) = state.current(slot) else { return };
    let (topic, number) = (partition.name.clone(), partition.number);
    let goes_on = partition.phase == Phase::Fetch;
    let EpochEnd { epoch, offset } = end;
    core.cluster.logger().warn(
        "consumer",
        format_args!(
            "topic {topic}, partition {number}: the log was truncated to offset {offset} (leader \
             epoch {epoch}), below what was read"
        ),
    );
    if goes_on && core.config.events.log_truncated {
        state.push_event(Event::LogTruncated { topic, partition: number, offset });
    }
}
