//! Taking in an answer: each partition's share is checked against what was asked and what counts
//! now (6.11), then queued. On the I/O thread: slices and batch headers, no record.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use super::answer::{Verdict, classify};
use super::plan::{Asked, FIRST_VERSION_WITH_SOFT_LIMITS};
use crate::cluster::{BrokerInfo, LeaderHint};
use crate::config::{ConsumerConfig, IsolationLevel};
use crate::consumer::aborted::Aborted;
use crate::consumer::budget::{Lease, Unread};
use crate::consumer::decode::{Outline, Reader, Source, outline};
use crate::consumer::name::Name;
use crate::consumer::partition::{Item, Marks, Partition, Phase};
use crate::consumer::share::Share;
use crate::consumer::state::State;
use crate::error::{Code, Error};
use crate::protocol::modern::Uuid;
use crate::protocol::modern::messages::fetch::{
    FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};

/// What an answer is taken in with.
pub(super) struct Context<'a> {
    pub(super) config: &'a ConsumerConfig,
    pub(super) broker: i32,
    pub(super) version: i16,
    pub(super) now: Instant,
    pub(super) lease: Option<Arc<Lease>>,
    pub(super) unread: Arc<Unread>,
}

/// What an answer asks for beyond itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Aftermath {
    /// New leaders that the broker told of (KIP-951), and where they are.
    pub(super) hints: Vec<LeaderHint>,
    pub(super) endpoints: Vec<BrokerInfo>,
    /// Metadata is old.
    pub(super) refresh: bool,
    /// Partitions are to be read elsewhere from now on.
    pub(super) elsewhere: bool,
    /// Those that go to a nearer replica: topic, partition, broker.
    pub(super) nearer: Vec<(Name, i32, i32)>,
    /// Whether the answer held what it must and nothing else (6.2).
    pub(super) sound: bool,
    /// A log parted from what was read: the leader is to be asked where.
    pub(super) diverged: bool,
    /// Positions that do not exist: topic, partition, offset. They need a look-up.
    pub(super) gone: Vec<(Name, i32, i64)>,
}

/// The partitions that were asked for, and which of them were answered.
struct Outstanding<'a> {
    asked: &'a [Asked],
    answered: Vec<bool>,
    cursor: usize,
    /// Indices in the order of topic and partition, made when an answer leaves the order asked: in a
    /// session of a thousand partitions three may have news.
    sorted: Option<Vec<usize>>,
}

/// How a share of an answer relates to what was asked.
enum Match<'a> {
    /// It is the answer to this.
    Asked(&'a Asked),
    /// That was answered before in the same answer.
    Again,
    /// Nobody asked for it.
    Unasked,
}

impl<'a> Outstanding<'a> {
    fn new(asked: &'a [Asked]) -> Self {
        Self { asked, answered: vec![false; asked.len()], cursor: 0, sorted: None }
    }

    /// The question that this share answers, once: an unasked partition and a second answer give
    /// nothing (6.2, 6.23). Brokers mostly answer in the order asked.
    fn take(&mut self, topic: &FetchableTopicResponse, number: i32) -> Match<'a> {
        let wanted = (topic.topic_id, topic.topic.as_str(), number);
        let by_id = !topic.topic_id.is_zero();
        let next = self.asked.get(self.cursor);
        let at = match next.is_some_and(|a| place(a, by_id) == wanted) {
            true => Some(self.cursor),
            false => self.find(wanted, by_id),
        };
        let Some((at, asked)) = at.and_then(|at| Some((at, self.asked.get(at)?))) else {
            return Match::Unasked;
        };
        self.cursor = at + 1;
        match self.answered.get_mut(at).map(|answered| std::mem::replace(answered, true)) {
            Some(false) => Match::Asked(asked),
            _ => Match::Again,
        }
    }

    fn find(&mut self, wanted: (Uuid, &str, i32), by_id: bool) -> Option<usize> {
        let asked = self.asked;
        let key = |at: usize| asked.get(at).map(|a| place(a, by_id));
        let sorted = self.sorted.get_or_insert_with(|| {
            let mut sorted: Vec<usize> = (0..asked.len()).collect();
            sorted.sort_unstable_by_key(|&at| key(at));
            sorted
        });
        let found = sorted.binary_search_by(|&at| key(at).cmp(&Some(wanted)));
        found.ok().and_then(|found| sorted.get(found).copied())
    }

    fn unanswered(&self) -> impl Iterator<Item = &'a Asked> {
        self.asked.iter().zip(&self.answered).filter(|(_, answered)| !**answered).map(|(a, _)| a)
    }
}

/// A partition as answers name it: with ids or with names, the same for a whole answer.
fn place(asked: &Asked, by_id: bool) -> (Uuid, &str, i32) {
    match by_id {
        true => (asked.id, "", asked.number),
        false => (Uuid::ZERO, asked.name.as_str(), asked.number),
    }
}

/// Takes in a whole answer. `full`: it must hold every partition that was asked for (6.4).
pub(super) fn accept(
    state: &mut State,
    asked: &[Asked],
    full: bool,
    response: FetchResponse,
    context: &Context<'_>,
) -> Aftermath {
    let endpoints = response.node_endpoints.into_iter().filter_map(endpoint).collect();
    let mut aftermath = Aftermath { endpoints, sound: true, ..Aftermath::default() };
    let mut delivered = HashSet::new();
    let throttled = response.throttle_time_ms > 0 && response.responses.is_empty();
    let mut outstanding = Outstanding::new(asked);
    for mut topic in response.responses {
        for data in std::mem::take(&mut topic.partitions) {
            let asked = match outstanding.take(&topic, data.partition_index) {
                Match::Asked(asked) => asked,
                Match::Again => continue,
                Match::Unasked => {
                    aftermath.sound = false;
                    continue;
                }
            };
            // Another era, another leader's, or an offset that is not the one to be fetched now: void.
            let current = state.current(asked.slot);
            if current.is_some_and(|p| asked.still_counts(p)) {
                if data.records.as_ref().is_some_and(|records| !records.is_empty()) {
                    delivered.insert(asked.slot.index);
                }
                take_share(state, asked, data, context, &mut aftermath);
            } else if data.error_code == 0 {
                state.learn(asked.key(), asked.leader_epoch, marks(&data));
            }
        }
    }
    if !full && context.config.events.partition_end {
        // A partition that came to its end by a seek hears no more of it in a session (6.4).
        for asked in outstanding.unanswered() {
            if state.current(asked.slot).is_some_and(|p| asked.still_counts(p)) {
                announce_end(state, asked, context);
            }
        }
    }
    // A full answer holds all partitions; an empty one with a throttle time is a quota's notice
    // (6.4). Anything else is odd: not asked again at once.
    if full && !throttled {
        for asked in outstanding.unanswered() {
            aftermath.sound = false;
            if let Some(partition) = state.current(asked.slot) {
                context.config.back_off(&mut partition.retry, context.now);
            }
        }
    }
    // Below v3 a request may leave partitions out: whoever had a turn, with data or without, goes behind
    // these, or idle partitions would keep the others from ever being asked.
    let takes_turns = context.version < FIRST_VERSION_WITH_SOFT_LIMITS;
    let asked = asked.iter().map(|asked| asked.slot.index).filter(|_| takes_turns);
    let asked: HashSet<usize> = asked.collect();
    state.rotate(context.broker, |index| (asked.contains(&index), delivered.contains(&index)));
    aftermath
}

fn endpoint(node: NodeEndpoint) -> Option<BrokerInfo> {
    let NodeEndpoint { node_id: id, host, port, rack, .. } = node;
    Some(BrokerInfo { id, host, port: u16::try_from(port).ok()?, rack })
}

fn take_share(
    state: &mut State,
    asked: &Asked,
    data: PartitionData,
    context: &Context<'_>,
    aftermath: &mut Aftermath,
) {
    let Some(partition) = state.current(asked.slot) else { return };
    let code = Code::from(data.error_code);
    let verdict = classify(code);
    let served_nearer = partition.replica.nearer() == Some(context.broker);
    match verdict {
        // A follower may lag, or be none any more: the leader is asked with the same offset (6.19).
        Verdict::Reset | Verdict::Move if served_nearer => {
            partition.replica.shun(context.now + context.config.metadata_max_age);
            aftermath.elsewhere = true;
            aftermath.refresh |= verdict == Verdict::Move;
            return;
        }
        // Another broker is read from by now: this one's trouble says nothing of what that one has.
        Verdict::Reset | Verdict::Move | Verdict::Wait | Verdict::Tell
            if partition.source() != context.broker =>
        {
            return;
        }
        Verdict::Data if data.diverging_epoch.epoch >= 0 => {
            partition.doubt();
            if partition.phase == Phase::Fetch {
                // Nothing is known that could be validated: not asked again at once (6.10).
                context.config.back_off(&mut partition.retry, context.now);
            }
            aftermath.diverged = true;
            return;
        }
        Verdict::Data => {
            let named = data.preferred_read_replica;
            take_data(state, asked, data, context);
            let elsewhere = named >= 0 && named != context.broker;
            if elsewhere && take_preference(state, asked, named, context) {
                aftermath.elsewhere = true;
                aftermath.nearer.push((asked.name.clone(), asked.number, named));
            }
            return;
        }
        Verdict::Reset => {
            aftermath.gone.push((asked.name.clone(), asked.number, asked.offset));
            state.out_of_range(asked.slot.index);
            return;
        }
        Verdict::Move | Verdict::Wait | Verdict::Tell => {
            context.config.back_off(&mut partition.retry, context.now);
            aftermath.refresh |= verdict == Verdict::Move;
            let LeaderIdAndEpoch { leader_id: leader, leader_epoch } = data.current_leader;
            if leader >= 0 && leader_epoch >= 0 {
                let (topic, partition) = (Arc::clone(partition.topic.name()), asked.number);
                aftermath.hints.push(LeaderHint { topic, partition, leader, leader_epoch });
            }
        }
    }
    if verdict == Verdict::Tell && partition.tell_once(code, asked.offset) {
        let error = of_partition(partition, code, asked.offset, code.text());
        state.report(asked.slot, error);
    }
}

fn marks(data: &PartitionData) -> Marks {
    Marks {
        high_watermark: data.high_watermark,
        last_stable: data.last_stable_offset,
        log_start: data.log_start_offset,
    }
}

fn take_data(state: &mut State, asked: &Asked, data: PartitionData, context: &Context<'_>) {
    let Some(partition) = state.current(asked.slot) else { return };
    partition.marks.learn(marks(&data));
    let records = data.records.unwrap_or_default();
    let known = outline(&records, asked.offset);
    match known {
        // Never advance on an answer without batches (6.13).
        Outline::Empty => {
            partition.retry.clear();
            if partition.position == asked.offset {
                // What waits to be read before it may still be what was told of.
                partition.reported = None;
            }
        }
        Outline::Cut => {
            if let Some(error) = grow(partition, asked, context) {
                state.report(asked.slot, error);
            }
            return;
        }
        Outline::UpTo(end, epoch) => {
            partition.fetch_offset = end;
            partition.fetch_epoch = epoch;
            partition.fetch_size = partition.own.max_partition_fetch_bytes;
        }
        Outline::Unclear => partition.awaits_reader = true,
    }
    if let (Some(lease), false) = (&context.lease, known == Outline::Empty) {
        let source = Source {
            topic: partition.name.clone(),
            partition: partition.number,
            marks: partition.marks,
        };
        let keep = (Arc::clone(lease), Arc::clone(&context.unread));
        let committed = context.config.isolation_level == IsolationLevel::ReadCommitted;
        let aborted = data.aborted_transactions.unwrap_or_default();
        let aborted = committed.then(|| Aborted::new(&aborted));
        let (at, how) = ((records, asked.offset), context.config.decoding());
        let reader = Reader::new(source, at, how, aborted, keep);
        state.push(asked.slot, Item::Data(Share::Batches(Box::new(reader))));
    }
    announce_end(state, asked, context);
}

/// The leader named a nearer replica (6.18). It sent no records with that, and would go on so: when
/// that replica is not to be had, the leader is not told our rack for a while.
fn take_preference(state: &mut State, asked: &Asked, named: i32, context: &Context<'_>) -> bool {
    let Some(partition) = state.current(asked.slot) else { return false };
    if partition.leader != context.broker {
        return false;
    }
    let until = context.now + context.config.metadata_max_age;
    let preferred = partition.replica.prefer(named, context.now, until);
    if let (Err(until), Some(led)) = (preferred, state.led.get_mut(&context.broker)) {
        led.rackless_until = Some(until);
    }
    preferred.is_ok()
}

/// A record larger than the fetch size: below v3 brokers cut it off, so ask for more next time, up
/// to `fetch.max.bytes` (6.9). From v3 on the first batch comes whole and a cut one is a fault.
fn grow(partition: &mut Partition, asked: &Asked, context: &Context<'_>) -> Option<Error> {
    let most = context.config.fetch_max_bytes;
    let (code, why) = if context.version >= FIRST_VERSION_WITH_SOFT_LIMITS {
        (Code::PROTOCOL, "the broker's answer cuts off its first batch".to_owned())
    } else if asked.size < most {
        partition.fetch_size = asked.size.saturating_mul(2).min(most);
        return None;
    } else {
        (Code::RECORD_TOO_LARGE, format!("a message is larger than fetch.max.bytes ({most})"))
    };
    context.config.back_off(&mut partition.retry, context.now);
    let news = partition.tell_once(code, asked.offset);
    news.then(|| {
        let error = of_partition(partition, code, asked.offset, &why);
        match code == Code::RECORD_TOO_LARGE {
            true => error.with_property("fetch.max.bytes"),
            false => error,
        }
    })
}

/// Marks the end of the partition in its place, once, if the application asked for it.
fn announce_end(state: &mut State, asked: &Asked, context: &Context<'_>) {
    let Some(partition) = state.current(asked.slot) else { return };
    let offset = partition.fetch_offset;
    let at_end =
        partition.end(context.config.isolation_level) == Some(offset) && !partition.awaits_reader;
    if context.config.events.partition_end && at_end && partition.announced_end != offset {
        partition.announced_end = offset;
        state.push(asked.slot, Item::End(offset));
    }
}

fn of_partition(partition: &Partition, code: Code, offset: i64, why: &str) -> Error {
    let Partition { name, number, .. } = partition;
    let text = format!("fetching topic {name}, partition {number}, at offset {offset}: {why}");
    Error::new(code, text).with_topic(name.as_str()).with_partition(*number)
}
