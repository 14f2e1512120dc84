//! Where partitions start that a group committed offsets of.

use std::sync::Arc;
use std::time::Instant;

use super::place::Place;
use crate::consumer::core::Core;
use crate::consumer::partition::Phase;
use crate::consumer::position::Start;
use crate::consumer::state::{Slot, State};
use crate::error::{Code, Error, Result};
use crate::group::{Committed, TopicPartition};
use crate::runtime::Task;

/// Looks up what the group committed for these partitions; a panic poisons the consumer.
pub(in crate::consumer) fn start(core: &Arc<Core>, slots: Vec<Slot>) -> Task {
    let (shared, core) = (Arc::clone(core), Arc::clone(core));
    core.cluster.runtime().spawn("committed", move |error| shared.fail(error), run(core, slots))
}

async fn run(core: Arc<Core>, slots: Vec<Slot>) {
    let (slots, names) = names(&mut core.lock(), &slots);
    if slots.is_empty() {
        return;
    }
    let deadline = Instant::now() + core.config.request_timeout;
    let found = match core.part.made() {
        Some(member) => member.offsets.fetch(names, deadline).await,
        None => Err(Error::bare(Code::ABANDONED)),
    };
    let mut found = match found {
        Ok(found) => found,
        Err(error) => slots.iter().map(|_| Err(error.clone())).collect(),
    };
    found.resize_with(slots.len(), || Err(Error::bare(Code::ABANDONED)));
    let ages = core.part.made().is_some_and(|member| member.offsets.ages());
    apply(&core, slots, found, ages);
}

fn names(state: &mut State, slots: &[Slot]) -> (Vec<Slot>, Vec<TopicPartition>) {
    let named = slots.iter().filter_map(|&slot| {
        let partition = state.current(slot)?;
        let waits = matches!(partition.phase, Phase::Committed { .. });
        let topic = Arc::clone(partition.topic.name());
        waits.then_some((slot, TopicPartition { topic, partition: partition.number }))
    });
    named.unzip()
}

/// An answer counts only in the era that asked (7.4): a seek meanwhile decided, and a partition that was
/// taken away and came back asks anew (8.13). A failed question is asked again and never becomes a reset.
fn apply(core: &Core, slots: Vec<Slot>, found: Vec<Result<Option<Committed>>>, ages: bool) {
    let now = Instant::now();
    let mut state = core.lock();
    for (slot, found) in slots.into_iter().zip(found) {
        let Some(partition) = state.current(slot) else { continue };
        let Phase::Committed { asked } = &mut partition.phase else { continue };
        *asked = false;
        match found {
            Ok(Some(committed)) if committed.offset >= 0 => {
                let place = Place::from(&committed);
                state.restart(slot.index, Start::Offset(place.offset), place.epoch);
                if let Some(partition) = state.partitions.get_mut(slot.index) {
                    partition.books.fetched(place, now, ages);
                }
            }
            Ok(_) => state.restart(slot.index, Start::Policy, -1),
            Err(error) => {
                core.config.back_off(&mut partition.retry, now);
                if !error.is_retriable() && partition.tell_once(error.code(), -1) {
                    state.report(slot, error);
                }
            }
        }
    }
    let news = state.has_news();
    state.wake_fetchers();
    // Where a partition stands can be committed now.
    state.ring();
    drop(state);
    core.kick.notify_one();
    match news {
        true => core.signal.notify(),
        // Who subscribed may wait for the start.
        false => core.signal.nudge(),
    }
}
