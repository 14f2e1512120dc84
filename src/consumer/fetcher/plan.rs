//! What the next fetch asks a broker for: pure.
//!
//! One fetch a broker is on its way while the application reads the answer before it. Every
//! partition that wants data is asked for each time, also while data of it waits here: nothing then
//! sits out somebody else's long poll, and the session does not shrink and grow with what is read (6.7).

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Instant;

use super::session::{ENDS, Forgotten, Words};
use crate::cluster::partition_within;
use crate::consumer::budget::Seat;
use crate::consumer::name::Name;
use crate::consumer::partition::{Partition, Phase};
use crate::consumer::state::{Led, Slot, State};
use crate::protocol::modern::Uuid;
use crate::protocol::modern::messages::fetch;

/// From here on there are sessions.
pub(super) const FIRST_VERSION_WITH_SESSIONS: i16 = 7;
/// From here on topics go by id.
pub(super) const FIRST_VERSION_WITH_IDS: i16 = 13;
/// From here on a request can ask for committed data only.
pub(super) const FIRST_VERSION_WITH_ISOLATION: i16 = 4;
/// From here on the first batch comes whole, whatever its size (KIP-74).
pub(super) const FIRST_VERSION_WITH_SOFT_LIMITS: i16 = 3;
/// Answers that may wait to be read before no further one is asked for: the one that is being read
/// and the next.
const ANSWERS_AHEAD: usize = 2;

/// One partition of a request.
#[derive(Clone, Debug)]
pub(in crate::consumer) struct Asked {
    pub(in crate::consumer) slot: Slot,
    /// The cluster's number of the topic.
    pub(in crate::consumer) topic: usize,
    pub(in crate::consumer) name: Name,
    pub(in crate::consumer) id: Uuid,
    pub(in crate::consumer) number: i32,
    pub(in crate::consumer) offset: i64,
    pub(in crate::consumer) leader_epoch: i32,
    pub(in crate::consumer) size: i32,
}

impl Asked {
    /// Topic and partition, whatever the topic's id.
    pub(in crate::consumer) fn key(&self) -> (usize, i32) {
        (self.topic, self.number)
    }

    /// Whether an answer counts: nothing moved since (6.11), and what was read is not being validated
    /// with a newer leader (6.16).
    pub(in crate::consumer) fn still_counts(&self, partition: &Partition) -> bool {
        partition.phase == Phase::Fetch
            && partition.fetch_offset == self.offset
            && partition.leader_epoch == self.leader_epoch
    }
}

/// The numbers of a request that do not depend on partitions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) max_wait_ms: i32,
    pub(super) min_bytes: i32,
    pub(super) max_bytes: i32,
    pub(super) isolation: i8,
}

/// The partitions to ask this broker for, in order of priority; or how long there is nothing to
/// ask (`None` = until something changes).
pub(in crate::consumer) fn choose(
    state: &State,
    (broker, led): (i32, &Led),
    now: Instant,
) -> ControlFlow<Option<Instant>, Vec<Asked>> {
    let mut asked = Vec::with_capacity(led.order.len());
    let mut next_due = None::<Instant>;
    for &index in &led.order {
        let Some(partition) = state.partitions.get(index) else { continue };
        // One that goes to another replica stands here until it is moved (6.18).
        if !partition.wants_data() || partition.source() != broker {
            continue;
        }
        // A partition in error ends the long poll at once, for all: it is left out until its
        // back-off is over (6.10).
        match partition.retry.due(now) {
            Some(due) => next_due = Some(next_due.map_or(due, |n| n.min(due))),
            None => asked.push(ask(partition, index)),
        }
    }
    if asked.is_empty() || is_ahead(state, &led.seat) {
        return ControlFlow::Break(next_due);
    }
    ControlFlow::Continue(asked)
}

fn ask(partition: &Partition, index: usize) -> Asked {
    Asked {
        slot: Slot { index, era: partition.era },
        topic: partition.topic.index(),
        name: partition.name.clone(),
        id: partition.topic_id,
        number: partition_within(partition.number),
        offset: partition.fetch_offset,
        leader_epoch: partition.leader_epoch,
        size: partition.fetch_size,
    }
}

/// Whether enough answers wait to be read; those of paused partitions alone do not count.
fn is_ahead(state: &State, seat: &Seat) -> bool {
    let unread = seat.unread();
    unread >= ANSWERS_AHEAD && unread >= ANSWERS_AHEAD + only_paused(state, seat)
}

/// How many answers of this seat wait only because their partitions are paused: these must not stop
/// the broker (6.7), wherever the partitions have gone since.
fn only_paused(state: &State, seat: &Seat) -> usize {
    let (mut paused, mut active) = (Vec::new(), Vec::new());
    for partition in &state.partitions {
        let list = if partition.paused { &mut paused } else { &mut active };
        list.extend(partition.queue.iter().filter_map(|item| item.answer(seat)));
    }
    paused.sort_unstable();
    paused.dedup();
    paused.retain(|answer| !active.contains(answer));
    paused.len()
}

/// How many bytes to ask for: `wish`; but below v3, where a request has no total size, what all partitions
/// may have, up to `most`.
pub(super) fn wish_of(asked: &[Asked], version: i16, wish: usize, most: usize) -> usize {
    if version >= FIRST_VERSION_WITH_SOFT_LIMITS {
        return wish;
    }
    let sizes = asked.iter().map(|a| usize::try_from(a.size).unwrap_or(0));
    sizes.fold(0, usize::saturating_add).clamp(wish, most.max(wish))
}

/// Below v3 a request has no total size: as many partitions as fit into `grant`, at least one. Gives how
/// many such requests a turn of all of them takes: they share the time of a long poll.
pub(super) fn cut_to_fit(asked: &mut Vec<Asked>, version: i16, grant: usize) -> usize {
    if version >= FIRST_VERSION_WITH_SOFT_LIMITS {
        return 1;
    }
    let mut left = grant;
    let fits = asked.iter().take_while(|a| {
        let size = usize::try_from(a.size).unwrap_or(0);
        let fits = left >= size;
        left = left.saturating_sub(size);
        fits
    });
    let count = fits.count().max(1);
    let turns = asked.len().div_ceil(count);
    asked.truncate(count);
    turns.max(1)
}

/// Whether topics can go by id: only when every one has an id (2.6).
pub(super) fn all_have_ids(asked: &[Asked]) -> bool {
    asked.iter().all(|a| !a.id.is_zero())
}

/// One partition's worth for a broker, whatever is held (principle 15): that of the topic with the
/// largest `max.partition.fetch.bytes`.
pub(super) fn worth(asked: &[Asked]) -> usize {
    asked.iter().map(|a| usize::try_from(a.size).unwrap_or(0)).max().unwrap_or(0)
}

/// The request: what the session has to hear of `wanted`; `rack` is ours, or empty.
pub(super) fn request(
    wanted: &[Asked],
    words: &Words,
    version: i16,
    limits: Limits,
    rack: &str,
) -> fetch::FetchRequest {
    let by_id = |id: Uuid| if version >= FIRST_VERSION_WITH_IDS { id } else { Uuid::ZERO };
    let mut topics: Vec<fetch::FetchTopic> = Vec::new();
    let mut places = HashMap::new();
    for a in words.named.iter().filter_map(|&at| wanted.get(at)) {
        let partition = fetch::FetchPartition {
            partition: a.number,
            current_leader_epoch: a.leader_epoch,
            fetch_offset: a.offset,
            partition_max_bytes: a.size,
            ..Default::default()
        };
        // Order is priority (6.8): topics in the order of their first partition.
        let at = *places.entry(a.topic).or_insert(topics.len());
        if at == topics.len() {
            topics.push(fetch::FetchTopic {
                topic: a.name.as_str().to_owned(),
                topic_id: by_id(a.id),
                partitions: Vec::new(),
            });
        }
        topics[at].partitions.push(partition);
    }
    fetch::FetchRequest {
        max_wait_ms: limits.max_wait_ms,
        min_bytes: limits.min_bytes,
        max_bytes: limits.max_bytes,
        isolation_level: limits.isolation,
        session_id: words.session,
        session_epoch: words.epoch,
        topics,
        forgotten_topics_data: forgotten(&words.forgotten, by_id),
        rack_id: rack.to_owned(),
        ..Default::default()
    }
}

fn forgotten(gone: &[Forgotten], by_id: impl Fn(Uuid) -> Uuid) -> Vec<fetch::ForgottenTopic> {
    let mut topics: Vec<fetch::ForgottenTopic> = Vec::new();
    let mut places = HashMap::new();
    for Forgotten { name, id, number, .. } in gone {
        let at = *places.entry((name.as_str(), *id)).or_insert(topics.len());
        if at == topics.len() {
            topics.push(fetch::ForgottenTopic {
                topic: name.as_str().to_owned(),
                topic_id: by_id(*id),
                partitions: Vec::new(),
            });
        }
        topics[at].partitions.push(*number);
    }
    topics
}

/// The request that closes a session: nobody waits for its answer.
pub(super) fn closing(session: i32) -> fetch::FetchRequest {
    fetch::FetchRequest { session_id: session, session_epoch: ENDS, ..Default::default() }
}
