//! What a broker answers: one file per API, and here the way from a frame to a step.

mod api_versions;
mod coordinator;
mod fetch;
mod groups;
mod leader_epoch;
mod list_offsets;
mod metadata;
mod produce;
mod topics;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::fault::{Facts, FaultKind, Verdict};
use super::ledger::SeenRequest;
use super::partition::State;
use super::release::{Range, Unknown};
use super::state::Shared;
use super::topics::Topic;
use crate::error::Code;
use crate::protocol::modern::messages::{
    api_versions::ApiVersionsRequest, consumer_group_describe::ConsumerGroupDescribeRequest,
    consumer_group_heartbeat::ConsumerGroupHeartbeatRequest, create_topics::CreateTopicsRequest,
    delete_groups::DeleteGroupsRequest, delete_topics::DeleteTopicsRequest,
    describe_groups::DescribeGroupsRequest, fetch::FetchRequest,
    find_coordinator::FindCoordinatorRequest, heartbeat::HeartbeatRequest,
    init_producer_id::InitProducerIdRequest, join_group::JoinGroupRequest,
    leave_group::LeaveGroupRequest, list_groups::ListGroupsRequest,
    list_offsets::ListOffsetsRequest, metadata::MetadataRequest,
    offset_commit::OffsetCommitRequest, offset_delete::OffsetDeleteRequest,
    offset_fetch::OffsetFetchRequest, offset_for_leader_epoch::OffsetForLeaderEpochRequest,
    produce::ProduceRequest, sync_group::SyncGroupRequest,
};
use crate::protocol::modern::{ApiKey, Reader, Request, Uuid, header};

pub(super) use fetch::Fetch;
pub(super) use groups::Wait;

/// The most bytes of a client id that are kept.
const CLIENT_ID_KEPT: usize = 255;

/// Who asks: which broker was reached, over which connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) broker: i32,
    pub(super) connection: u64,
}

/// What a connection does next.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) answer: Answer,
    pub(super) fate: Fate,
}

/// The answer to a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// There is none.
    None,
    /// A frame, its length in front.
    Frame(Vec<Bytes>),
    /// A fetch, which may have to wait.
    Fetch(Box<Fetch>),
    /// An answer that the other members of a group decide.
    Group(Box<Wait>),
}

/// What becomes of the answer and of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The answer is sent.
    Send,
    /// So many milliseconds later.
    Delay(u32),
    /// The connection is closed instead.
    Close,
    /// The connection says nothing more.
    Mute,
    /// Something else is sent, and the connection closed.
    Garbage,
    /// A frame without sense is sent under the answer's correlation id.
    Malformed,
    /// Half of it is sent, and the connection closed.
    Half,
    /// The answer is sent, then for so many milliseconds nothing is read.
    Quiet(u32),
}

impl Step {
    fn close() -> Self {
        Self { answer: Answer::None, fate: Fate::Close }
    }

    fn nothing() -> Self {
        Self { answer: Answer::None, fate: Fate::Send }
    }
}

/// What an API needs besides its request.
pub(super) struct Call<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) broker: i32,
    pub(super) version: i16,
    pub(super) verdict: &'a Verdict,
}

/// What a handler gives.
pub(super) enum Served<R> {
    Answer(R),
    /// The request asked for no answer.
    Silent,
    /// The connection is closed: the only way to tell an error to who wants no answer.
    Close,
}

/// An API that is answered at once.
trait Serve: Request {
    /// Whether the request names this topic and this partition (None: any).
    fn names(&self, shared: &Shared, topic: Option<&str>, partition: Option<i32>) -> bool;

    fn serve(self, call: &Call<'_>) -> Served<Self::Response>;

    /// Tells the client in the answer for how many milliseconds it is to be quiet.
    fn throttle(response: &mut Self::Response, ms: i32);
}

/// The head of a request, as every version has it.
struct Head {
    api: i16,
    version: i16,
    correlation: i32,
}

/// Turns a frame into what the connection does next. Nothing here waits.
pub(super) fn frame(shared: &Arc<Shared>, caller: Caller, frame: Bytes) -> Step {
    let Some(head) = peek(&frame) else { return Step::close() };
    shared.note(SeenRequest {
        broker: caller.broker,
        connection: caller.connection,
        api: head.api,
        version: head.version,
        client_id: client_id(&frame),
        size: frame.len(),
    });
    let Ok(seat) = shared.seat(caller.broker) else { return Step::close() };
    let (release, limits) = {
        let conduct = seat.conduct();
        (conduct.release, conduct.limits.get(&head.api).copied())
    };
    let served = defined(head.api)
        .and_then(|range| release.advertised(head.api, range))
        .and_then(|range| narrowed(range, limits));
    let Some((min, max)) = served else {
        return match release.on_unknown_api() {
            Unknown::Close => Step::close(),
            Unknown::Forget => Step::nothing(),
        };
    };
    let fits = (min..=max).contains(&head.version) && release.answers(head.api, head.version);
    match ApiKey::try_from(head.api) {
        Ok(ApiKey::ApiVersions) if !fits => {
            api_versions::unsupported(&head, release.names_api_versions_on_error(), (min, max))
        }
        Ok(ApiKey::Metadata) if !fits && release.metadata_is_always_v0() => {
            dispatch(shared, caller, &Head { version: 0, ..head }, frame)
        }
        _ if !fits => Step::close(),
        _ => dispatch(shared, caller, &head, frame),
    }
}

fn dispatch(shared: &Arc<Shared>, caller: Caller, head: &Head, frame: Bytes) -> Step {
    match ApiKey::try_from(head.api) {
        Ok(ApiKey::Produce) => at_once::<ProduceRequest>(shared, caller, head, frame),
        Ok(ApiKey::Fetch) => fetch(shared, caller, head, frame),
        Ok(ApiKey::ListOffsets) => at_once::<ListOffsetsRequest>(shared, caller, head, frame),
        Ok(ApiKey::Metadata) => at_once::<MetadataRequest>(shared, caller, head, frame),
        Ok(ApiKey::FindCoordinator) => {
            at_once::<FindCoordinatorRequest>(shared, caller, head, frame)
        }
        Ok(ApiKey::ApiVersions) => at_once::<ApiVersionsRequest>(shared, caller, head, frame),
        Ok(ApiKey::CreateTopics) => at_once::<CreateTopicsRequest>(shared, caller, head, frame),
        Ok(ApiKey::DeleteTopics) => at_once::<DeleteTopicsRequest>(shared, caller, head, frame),
        Ok(ApiKey::InitProducerId) => at_once::<InitProducerIdRequest>(shared, caller, head, frame),
        Ok(ApiKey::OffsetForLeaderEpoch) => {
            at_once::<OffsetForLeaderEpochRequest>(shared, caller, head, frame)
        }
        Ok(key) => of_groups(key, shared, caller, head, frame),
        Err(_) => Step::close(),
    }
}

fn of_groups(key: ApiKey, shared: &Arc<Shared>, caller: Caller, head: &Head, frame: Bytes) -> Step {
    match key {
        ApiKey::JoinGroup => groups::join(shared, caller, head, frame),
        ApiKey::SyncGroup => groups::sync(shared, caller, head, frame),
        ApiKey::Heartbeat => at_once::<HeartbeatRequest>(shared, caller, head, frame),
        ApiKey::LeaveGroup => at_once::<LeaveGroupRequest>(shared, caller, head, frame),
        ApiKey::OffsetCommit => at_once::<OffsetCommitRequest>(shared, caller, head, frame),
        ApiKey::OffsetFetch => at_once::<OffsetFetchRequest>(shared, caller, head, frame),
        ApiKey::OffsetDelete => at_once::<OffsetDeleteRequest>(shared, caller, head, frame),
        ApiKey::DescribeGroups => at_once::<DescribeGroupsRequest>(shared, caller, head, frame),
        ApiKey::ListGroups => at_once::<ListGroupsRequest>(shared, caller, head, frame),
        ApiKey::DeleteGroups => at_once::<DeleteGroupsRequest>(shared, caller, head, frame),
        ApiKey::ConsumerGroupHeartbeat => groups::heartbeat(shared, caller, head, frame),
        ApiKey::ConsumerGroupDescribe => {
            at_once::<ConsumerGroupDescribeRequest>(shared, caller, head, frame)
        }
        _ => Step::close(),
    }
}

/// The APIs that [`dispatch`] serves, with the versions that are defined.
fn served_apis() -> [(i16, Range); 22] {
    fn of<R: Request>() -> (i16, Range) {
        (R::KEY as i16, (*R::VERSIONS.start(), *R::VERSIONS.end()))
    }
    [
        of::<ProduceRequest>(),
        of::<FetchRequest>(),
        of::<ListOffsetsRequest>(),
        of::<MetadataRequest>(),
        of::<FindCoordinatorRequest>(),
        of::<ApiVersionsRequest>(),
        of::<CreateTopicsRequest>(),
        of::<DeleteTopicsRequest>(),
        of::<InitProducerIdRequest>(),
        of::<OffsetForLeaderEpochRequest>(),
        of::<OffsetCommitRequest>(),
        of::<OffsetFetchRequest>(),
        of::<JoinGroupRequest>(),
        of::<HeartbeatRequest>(),
        of::<LeaveGroupRequest>(),
        of::<SyncGroupRequest>(),
        of::<DescribeGroupsRequest>(),
        of::<ListGroupsRequest>(),
        of::<DeleteGroupsRequest>(),
        of::<OffsetDeleteRequest>(),
        of::<ConsumerGroupHeartbeatRequest>(),
        of::<ConsumerGroupDescribeRequest>(),
    ]
}

fn defined(api: i16) -> Option<Range> {
    served_apis().into_iter().find(|(key, _)| *key == api).map(|(_, range)| range)
}

fn narrowed(range: Range, limits: Option<Range>) -> Option<Range> {
    let Some((min, max)) = limits else { return Some(range) };
    let range = (range.0.max(min), range.1.min(max));
    (range.0 <= range.1).then_some(range)
}

fn at_once<R: Serve>(shared: &Arc<Shared>, caller: Caller, head: &Head, frame: Bytes) -> Step {
    let Some(request) = decode::<R>(head, frame) else { return Step::close() };
    let names = |topic: Option<&str>, partition| request.names(shared, topic, partition);
    let verdict = shared.meet(&Facts { broker: caller.broker, api: head.api, names: &names });
    let fate = match before(&verdict) {
        Ok(fate) => fate,
        Err(step) => return step,
    };
    let call = Call { shared, broker: caller.broker, version: head.version, verdict: &verdict };
    match request.serve(&call) {
        Served::Answer(mut response) => {
            R::throttle(&mut response, verdict.throttle_ms());
            match encode::<R>(head, &response) {
                Some(frame) => Step { answer: Answer::Frame(frame), fate },
                None => Step::close(),
            }
        }
        Served::Silent => Step { answer: Answer::None, fate },
        Served::Close => Step::close(),
    }
}

fn fetch(shared: &Arc<Shared>, caller: Caller, head: &Head, frame: Bytes) -> Step {
    let Some(request) = decode::<FetchRequest>(head, frame) else { return Step::close() };
    let Ok(seat) = shared.seat(caller.broker) else { return Step::close() };
    // Within a session a fault meets the request whether the partition is named again or not.
    let names = |topic: Option<&str>, partition| {
        let meant = seat.sessions().meant(&request, head.version);
        fetch::names(&meant, shared, topic, partition)
    };
    let verdict = shared.meet(&Facts { broker: caller.broker, api: head.api, names: &names });
    let fate = match before(&verdict) {
        Ok(fate) => fate,
        Err(step) => return step,
    };
    let (version, correlation) = (head.version, head.correlation);
    let fetch = Fetch::new(shared, (seat, caller.broker), (version, correlation), request, verdict);
    Step { answer: Answer::Fetch(Box::new(fetch)), fate }
}

/// What a fault does before the request is looked at, or else to its answer.
fn before(verdict: &Verdict) -> Result<Fate, Step> {
    let mute = Step { answer: Answer::None, fate: Fate::Mute };
    match verdict.action {
        Some(FaultKind::DisconnectBefore) => Err(Step::close()),
        Some(FaultKind::Silence) if !verdict.applied => Err(mute),
        Some(FaultKind::Silence) => Ok(Fate::Mute),
        Some(FaultKind::DisconnectAfter) => Ok(Fate::Close),
        Some(FaultKind::Delay(ms)) => Ok(Fate::Delay(ms)),
        Some(FaultKind::Garbage) => Ok(Fate::Garbage),
        Some(FaultKind::Malformed) => Ok(Fate::Malformed),
        Some(FaultKind::CloseMidFrame) => Ok(Fate::Half),
        // What is no action changes answers, and is found there.
        _ => Ok(verdict.throttle.map_or(Fate::Send, Fate::Quiet)),
    }
}

fn peek(frame: &[u8]) -> Option<Head> {
    let [a, b, c, d, e, f, g, h] = *frame.first_chunk::<8>()?;
    Some(Head {
        api: i16::from_be_bytes([a, b]),
        version: i16::from_be_bytes([c, d]),
        correlation: i32::from_be_bytes([e, f, g, h]),
    })
}

fn client_id(frame: &[u8]) -> String {
    let Some((length, rest)) = frame.get(8..).and_then(|f| f.split_first_chunk::<2>()) else {
        return String::new();
    };
    let length = usize::try_from(i16::from_be_bytes(*length)).unwrap_or(0);
    let id = rest.get(..length).unwrap_or_default();
    String::from_utf8_lossy(id.get(..CLIENT_ID_KEPT).unwrap_or(id)).into_owned()
}

/// The request's body, if it is one.
fn decode<R: Request>(head: &Head, frame: Bytes) -> Option<R> {
    let mut reader = Reader::new(frame);
    // Key, version and correlation id are known already.
    reader.bytes(8).ok()?;
    if let Some(client_id) = reader.short_length().ok()? {
        reader.bytes(client_id).ok()?;
    }
    if head.version >= R::FLEXIBLE {
        reader.skip_tagged_fields().ok()?;
    }
    R::decode(head.version, &mut reader).ok()
}

/// The frame of an answer. An answer that its version cannot express is a bug of this room; the
/// connection closes as a broker's does on its own bugs.
fn encode<R: Request>(head: &Head, response: &R::Response) -> Option<Vec<Bytes>> {
    header::encode_response::<R>(head.version, head.correlation, response).ok()
}

/// What a web server says to a Kafka client; read as a length it is 1.2 GB.
pub(super) fn garbage() -> Bytes {
    Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
}

/// A frame with the correlation id of `answer` and a body that no decoder takes: every length in
/// it is negative or larger than what is left.
pub(super) fn malformed(answer: &[Bytes]) -> Bytes {
    let whole = answer.concat();
    let correlation = whole.get(4..8).unwrap_or(&[0; 4]);
    let mut frame = BytesMut::with_capacity(64);
    frame.extend_from_slice(&(4_i32 + 40).to_be_bytes());
    frame.extend_from_slice(correlation);
    frame.extend_from_slice(&[0x7f; 40]);
    frame.freeze()
}

/// The first half of an answer.
pub(super) fn half(answer: &[Bytes]) -> Bytes {
    let whole = answer.concat();
    Bytes::copy_from_slice(whole.get(..whole.len().div_ceil(2)).unwrap_or_default())
}

/// The topic that a request means, by id from the version on that has ids.
fn resolve(shared: &Shared, by_id: bool, name: &str, id: Uuid) -> Result<Arc<Topic>, Code> {
    let topics = shared.topics();
    if by_id {
        return topics.identified(id).cloned().ok_or(Code::UNKNOWN_TOPIC_ID);
    }
    topics.named(name).cloned().ok_or(Code::UNKNOWN_TOPIC_OR_PARTITION)
}

/// Asks a partition that this broker leads in the era that the client claims (−1: any); what a fault
/// wants comes first.
fn ask_leader<T>(
    call: &Call<'_>,
    topic: &str,
    index: i32,
    claimed: i32,
    ask: impl FnOnce(&mut State) -> Result<T, Code>,
) -> Result<T, Code> {
    if let Some((code, _)) = call.verdict.code(topic, index) {
        return Err(Code(code.into()));
    }
    let partition = call.shared.partition(topic, index).map_err(|error| error.code())?;
    let mut state = partition.lock();
    if let Some(to) = call.verdict.leader_move(topic, index) {
        state.move_leader(to);
    }
    if state.leader != call.broker {
        return Err(Code::NOT_LEADER_OR_FOLLOWER);
    }
    if claimed >= 0 && claimed < state.leader_epoch {
        return Err(Code::FENCED_LEADER_EPOCH);
    }
    if claimed > state.leader_epoch {
        return Err(Code::UNKNOWN_LEADER_EPOCH);
    }
    ask(&mut state)
}

/// Whether a topic of a request, by name or by id, is the one that a fault names.
fn is_topic(shared: &Shared, wanted: Option<&str>, name: &str, id: Uuid) -> bool {
    let Some(wanted) = wanted else { return true };
    name == wanted || (name.is_empty() && shared.topic(wanted).is_ok_and(|t| t.id == id))
}

/// Kafka's number of a code.
pub(super) fn wire(code: Code) -> i16 {
    i16::try_from(code.0).unwrap_or(-1)
}
