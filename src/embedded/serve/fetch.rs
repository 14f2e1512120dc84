//! Fetch: slices of what is stored, at once or when enough has come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{is_topic, resolve, wire};
use crate::embedded::fault::Verdict;
use crate::embedded::fetch_sessions::Scope;
use crate::embedded::log::Entry;
use crate::embedded::partition::State;
use crate::embedded::state::{Seat, Shared};
use crate::embedded::topics::Topic;
use crate::error::{Code, Result};
use crate::protocol::modern::header;
use crate::protocol::modern::messages::fetch::{
    EpochEndOffset, FetchPartition, FetchRequest, FetchResponse, FetchTopic,
    FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};

/// The first version that never cuts the first batch (KIP-74).
const FIRST_WHOLE: i16 = 3;
/// The first version that takes record batches (magic 2); version 2 takes messages of magic 1.
const FIRST_V2: i16 = 4;
const FIRST_V1: i16 = 2;
const FIRST_SESSION: i16 = 7;
/// The first version that may be given zstd.
const FIRST_ZSTD: i16 = 10;
/// The first version whose answer may name a nearer replica, and that followers answer.
const FIRST_RACK: i16 = 11;
const FIRST_DIVERGING: i16 = 12;
const FIRST_TOPIC_ID: i16 = 13;
/// The first version whose answer says where the leader is that should be asked (KIP-951).
const FIRST_ENDPOINTS: i16 = 16;
const ZSTD: u8 = 4;
/// The most that one answer carries, whatever is asked for (Kafka's `fetch.max.bytes`).
const RESPONSE_MAX: usize = 55 * 1024 * 1024;
/// The longest wait that a client may ask for.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// Whether a fetch of these topics names this topic and this partition (None: any).
pub(super) fn names(
    topics: &[FetchTopic],
    shared: &Shared,
    topic: Option<&str>,
    partition: Option<i32>,
) -> bool {
    let of = |t: &FetchTopic| {
        is_topic(shared, topic, &t.topic, t.topic_id)
            && partition.is_none_or(|p| t.partitions.iter().any(|f| f.partition == p))
    };
    topics.iter().any(of)
}

/// A fetch that may have to wait.
#[derive(Debug)]
pub(crate) struct Fetch {
    broker: i32,
    version: i16,
    correlation: i32,
    /// With all partitions of its session.
    request: FetchRequest,
    /// Its session, or the error of the request as a whole.
    scope: Result<Scope, i16>,
    verdict: Verdict,
    /// When it is answered with what there is.
    pub(crate) deadline: Instant,
}

/// What one look at the partitions gave.
struct Look {
    response: FetchResponse,
    /// Bytes of records in the answer.
    bytes: usize,
    /// Bytes of records that there are, of those asked for.
    ready: usize,
    /// Whether the answer must not wait: a partition has an error, or other news.
    urgent: bool,
}

impl Fetch {
    /// Takes the request, and with it what it changes in its session.
    pub(super) fn new(
        shared: &Shared,
        (seat, broker): (&Seat, i32),
        (version, correlation): (i16, i32),
        mut request: FetchRequest,
        verdict: Verdict,
    ) -> Self {
        let now = Instant::now();
        let scope = match injected(&verdict, version) {
            Some(code) => Err(code),
            None => seat.sessions().begin(&mut request, version, now).map_err(wire),
        };
        shared.progress.notify_all();
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        let deadline = now + wait.min(WAIT_MAX);
        Self { broker, version, correlation, request, scope, verdict, deadline }
    }

    /// The answer's frame, if there is enough to answer with or it is due; else None, and the waiter
    /// is notified when a partition changes.
    ///
    /// An answer that its version cannot express is a bug of this room; the connection closes, as a
    /// broker's does on its own bugs.
    pub(crate) fn poll(
        &self,
        shared: &Shared,
        waiter: &Arc<Notify>,
        due: bool,
    ) -> Option<Result<Vec<Bytes>>> {
        let mut look = self.look(shared, (!due).then_some(waiter));
        // As Kafka since 2.5: nobody waits for more than the answer may hold (below v3 it has no limit).
        let most = if self.request.max_bytes > 0 { self.request.max_bytes } else { i32::MAX };
        let enough = usize::try_from(self.request.min_bytes.min(most)).unwrap_or(0);
        let at_once = due || look.urgent || self.request.max_wait_ms <= 0;
        if !at_once && look.ready < enough {
            return None;
        }
        if let (Ok(scope), Ok(seat)) = (self.scope, shared.seat(self.broker)) {
            let (slots, now) = (shared.options().fetch_session_slots, Instant::now());
            seat.sessions().finish(scope, &self.request, &mut look.response, (slots, now));
            shared.progress.notify_all();
        }
        let (version, correlation) = (self.version, self.correlation);
        Some(header::encode_response::<FetchRequest>(version, correlation, &look.response))
    }

    fn look(&self, shared: &Shared, waiter: Option<&Arc<Notify>>) -> Look {
        let throttle_time_ms = self.verdict.throttle_ms();
        let response = FetchResponse { throttle_time_ms, ..FetchResponse::default() };
        let mut look = Look { response, bytes: 0, ready: 0, urgent: true };
        if let Err(code) = self.scope {
            look.response.error_code = code;
            return look;
        }
        look.urgent = self.request.topics.is_empty();
        for topic in &self.request.topics {
            let by_id = self.version >= FIRST_TOPIC_ID;
            let found = resolve(shared, by_id, &topic.topic, topic.topic_id);
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for asked in &topic.partitions {
                let data = match &found {
                    Ok(topic) => self.partition(shared, topic, asked, &mut look, waiter),
                    Err(code) => refused(*code),
                };
                look.urgent |= data.error_code != 0
                    || data.diverging_epoch.epoch >= 0
                    || data.preferred_read_replica >= 0;
                partitions.push(PartitionData { partition_index: asked.partition, ..data });
            }
            look.response.responses.push(FetchableTopicResponse {
                topic: topic.topic.clone(),
                topic_id: topic.topic_id,
                partitions,
            });
        }
        self.name_leaders(shared, &mut look.response);
        look
    }

    fn partition(
        &self,
        shared: &Shared,
        topic: &Topic,
        asked: &FetchPartition,
        look: &mut Look,
        waiter: Option<&Arc<Notify>>,
    ) -> PartitionData {
        if let Some((code, _)) = self.verdict.code(&topic.name, asked.partition) {
            let mut data = refused(Code(code.into()));
            let named = self.verdict.named_leader(&topic.name, asked.partition);
            if let Some((leader_id, leader_epoch)) = named.filter(|_| self.names_leaders()) {
                data.current_leader = LeaderIdAndEpoch { leader_id, leader_epoch };
            }
            return data;
        }
        let Some(partition) = topic.partition(asked.partition) else {
            return refused(Code::UNKNOWN_TOPIC_OR_PARTITION);
        };
        let mut state = partition.lock();
        if let Some(to) = self.verdict.leader_move(&topic.name, asked.partition) {
            // Asked again after a wait the move is no move: the leader is there already.
            if state.leader != to {
                state.move_leader(to);
            }
        }
        if let Some(refusal) = self.refusal(&state, asked) {
            return refusal;
        }
        // Registered before the log is read, under the same lock: nothing can come between.
        if let Some(waiter) = waiter {
            state.register(waiter);
        }
        let nearer = self.nearer(shared, &state);
        let mut data = self.read(&mut state, asked, look, nearer.is_none());
        data.preferred_read_replica = nearer.unwrap_or(-1);
        data
    }

    /// The replica in the client's rack, if the leader is in another one (KIP-392).
    fn nearer(&self, shared: &Shared, state: &State) -> Option<i32> {
        let rack = self.request.rack_id.as_str();
        if self.version < FIRST_RACK || rack.is_empty() || state.leader != self.broker {
            return None;
        }
        let options = shared.options().clone();
        if !options.rack_aware || options.rack(self.broker) == Some(rack) {
            return None;
        }
        let mut near = state.replicas.iter().filter(|r| options.rack(**r) == Some(rack));
        near.find(|replica| shared.is_alive(**replica)).copied()
    }

    /// The first version that has diverging epochs has leaders too.
    fn names_leaders(&self) -> bool {
        self.version >= FIRST_DIVERGING
    }

    fn refusal(&self, state: &State, asked: &FetchPartition) -> Option<PartitionData> {
        let claimed = asked.current_leader_epoch;
        // Since KIP-392 followers serve consumers too.
        let follows = self.version >= FIRST_RACK
            && state.leader >= 0
            && state.replicas.contains(&self.broker);
        let code = if state.leader != self.broker && !follows {
            Code::NOT_LEADER_OR_FOLLOWER
        } else if claimed >= 0 && claimed < state.leader_epoch {
            Code::FENCED_LEADER_EPOCH
        } else if claimed > state.leader_epoch {
            Code::UNKNOWN_LEADER_EPOCH
        } else if asked.fetch_offset < state.log.start_offset()
            || asked.fetch_offset > state.log.end_offset()
        {
            let mut refusal = refused(Code::OFFSET_OUT_OF_RANGE);
            refusal.log_start_offset = state.log.start_offset();
            return Some(refusal);
        } else {
            return None;
        };
        let mut refusal = refused(code);
        let elsewhere = matches!(code, Code::NOT_LEADER_OR_FOLLOWER | Code::FENCED_LEADER_EPOCH);
        if elsewhere && self.names_leaders() {
            refusal.current_leader =
                LeaderIdAndEpoch { leader_id: state.leader, leader_epoch: state.leader_epoch };
        }
        Some(refusal)
    }

    /// What the log holds from the offset on; without records if they are to be read elsewhere.
    fn read(
        &self,
        state: &mut State,
        asked: &FetchPartition,
        look: &mut Look,
        records: bool,
    ) -> PartitionData {
        let end = state.log.end_offset();
        let mut data = PartitionData {
            high_watermark: end,
            last_stable_offset: end,
            log_start_offset: state.log.start_offset(),
            aborted_transactions: (self.request.isolation_level == 1).then(Vec::new),
            records: Some(Bytes::new()),
            ..PartitionData::default()
        };
        if let Some(diverging) = self.diverging(state, asked) {
            data.diverging_epoch = diverging;
            return data;
        }
        if !records {
            return data;
        }
        if let Some(code) = state.log.entry_at(asked.fetch_offset).and_then(|e| self.unreadable(e))
        {
            return refused(code);
        }
        let size = |bytes: i32| usize::try_from(bytes).unwrap_or(0);
        let whole_answer = if self.version >= FIRST_WHOLE {
            size(self.request.max_bytes).min(RESPONSE_MAX)
        } else {
            RESPONSE_MAX
        };
        let room = whole_answer.saturating_sub(look.bytes).min(size(asked.partition_max_bytes));
        let at_least_one = self.version >= FIRST_WHOLE && look.bytes == 0;
        let found = state.log.read(asked.fetch_offset, room, at_least_one);
        look.ready += found.ready;
        // Since KIP-74 a batch that does not fit is left out; before, its beginning is sent.
        if found.whole || self.version < FIRST_WHOLE {
            look.bytes += found.bytes.len();
            data.records = Some(found.bytes);
        }
        data
    }

    /// Why a batch cannot be given to who asks in this version: nothing is converted here.
    fn unreadable(&self, batch: &Entry) -> Option<Code> {
        let magic = match self.version {
            FIRST_V2.. => 2,
            FIRST_V1.. => 1,
            _ => 0,
        };
        if batch.magic > magic {
            return Some(Code::UNSUPPORTED_FOR_MESSAGE_FORMAT);
        }
        let unknown = batch.codec == ZSTD && self.version < FIRST_ZSTD;
        unknown.then_some(Code::UNSUPPORTED_COMPRESSION_TYPE)
    }

    /// Where the log parted from what the client fetched last (KIP-595 carried KIP-320's answer
    /// into Fetch).
    fn diverging(&self, state: &State, asked: &FetchPartition) -> Option<EpochEndOffset> {
        if self.version < FIRST_DIVERGING || asked.last_fetched_epoch < 0 {
            return None;
        }
        let (epoch, end_offset) = state.log.end_of_epoch(asked.last_fetched_epoch)?;
        let parted = epoch < asked.last_fetched_epoch || end_offset < asked.fetch_offset;
        parted.then_some(EpochEndOffset { epoch, end_offset })
    }

    fn name_leaders(&self, shared: &Shared, response: &mut FetchResponse) {
        if self.version < FIRST_ENDPOINTS {
            return;
        }
        let partitions = response.responses.iter().flat_map(|t| &t.partitions);
        let mut leaders: Vec<i32> = partitions.map(|p| p.current_leader.leader_id).collect();
        leaders.retain(|id| *id >= 0);
        leaders.sort_unstable();
        leaders.dedup();
        for leader in leaders {
            let Ok(seat) = shared.seat(leader) else { continue };
            response.node_endpoints.push(NodeEndpoint {
                node_id: leader,
                host: seat.address.ip().to_string(),
                port: i32::from(seat.address.port()),
                rack: shared.options().rack(leader).map(str::to_owned),
            });
        }
    }
}

/// An injected error of the request as a whole.
fn injected(verdict: &Verdict, version: i16) -> Option<i16> {
    const SESSION_ERRORS: [Code; 3] = [
        Code::FETCH_SESSION_ID_NOT_FOUND,
        Code::INVALID_FETCH_SESSION_EPOCH,
        Code::FETCH_SESSION_TOPIC_ID_ERROR,
    ];
    if version < FIRST_SESSION {
        return None;
    }
    if let Some(code) = verdict.whole_code() {
        return Some(code);
    }
    let (code, _) = verdict.request_code()?;
    SESSION_ERRORS.iter().any(|c| wire(*c) == code).then_some(code)
}

fn refused(code: Code) -> PartitionData {
    PartitionData {
        error_code: wire(code),
        high_watermark: -1,
        aborted_transactions: None,
        records: Some(Bytes::new()),
        ..PartitionData::default()
    }
}
