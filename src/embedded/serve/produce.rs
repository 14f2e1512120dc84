//! Produce: batches are checked by their heads and stored as they were sent.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::{Call, Serve, Served, is_topic, resolve, wire};
use crate::embedded::batch::{HEAD, Head, LEAST_RECORD};
use crate::embedded::log::Placing;
use crate::embedded::partition::State;
use crate::embedded::sequence::{Judgement, Seat};
use crate::embedded::state::Shared;
use crate::embedded::topics::{Settings, Topic};
use crate::error::{Code, Error, Result};
use crate::protocol::modern::messages::produce::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceData,
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData,
    TopicProduceResponse,
};
use crate::protocol::record::{Assignment, Format, assign_offsets};

/// The first version that carries record batches (magic 2), and exactly one a partition.
const FIRST_V2: i16 = 3;
/// The first version that carries messages of magic 1.
const FIRST_V1: i16 = 2;
/// The first version that may carry zstd.
const FIRST_ZSTD: i16 = 7;
/// The first version whose answer names the leader that should have been asked (KIP-951).
const FIRST_LEADER: i16 = 10;
const FIRST_TOPIC_ID: i16 = 13;
const ZSTD: u8 = 4;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
/// No request holds so many records: the offsets that a log needs to take another one.
const OFFSETS_LEFT: i64 = 1 << 32;
const MAX_DECOMPRESSED: usize = 100 * 1024 * 1024;

impl Serve for ProduceRequest {
    fn names(&self, shared: &Shared, topic: Option<&str>, partition: Option<i32>) -> bool {
        let of = |t: &TopicProduceData| {
            is_topic(shared, topic, &t.name, t.topic_id)
                && partition.is_none_or(|p| t.partition_data.iter().any(|d| d.index == p))
        };
        self.topic_data.iter().any(of)
    }

    fn serve(self, call: &Call<'_>) -> Served<ProduceResponse> {
        let acks = self.acks;
        let mut response = ProduceResponse::default();
        for topic in self.topic_data {
            let found =
                resolve(call.shared, call.version >= FIRST_TOPIC_ID, &topic.name, topic.topic_id);
            let answers = topic.partition_data.into_iter().map(|data| {
                let outcome = match &found {
                    _ if !(-1..=1).contains(&acks) => Err(Code::INVALID_REQUIRED_ACKS.into()),
                    Ok(topic) => produce(topic, data, call),
                    Err(code) => Err((*code).into()),
                };
                outcome.unwrap_or_else(|refusal: Refusal| refusal.answer(call.version))
            });
            response.responses.push(TopicProduceResponse {
                name: topic.name,
                topic_id: topic.topic_id,
                partition_responses: answers.collect(),
            });
        }
        call.shared.progress.notify_all();
        let partitions = || response.responses.iter().flat_map(|t| &t.partition_responses);
        if acks == 0 {
            // Who wants no answer learns of an error by the connection's end, and refreshes.
            let failed = partitions().any(|p| p.error_code != 0);
            return if failed { Served::Close } else { Served::Silent };
        }
        response.node_endpoints = endpoints(call, partitions());
        Served::Answer(response)
    }

    fn throttle(response: &mut ProduceResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }
}

/// Why a partition's batch was not stored.
struct Refusal {
    index: i32,
    error: Error,
    leader: LeaderIdAndEpoch,
    /// The record that is to blame.
    record: Option<i32>,
    /// Where the log begins: told when a producer's identity is refused, −1 else (KIP-192).
    log_start: i64,
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Error::bare(code).into()
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let leader = LeaderIdAndEpoch::default();
        Self { index: -1, error, leader, record: None, log_start: -1 }
    }
}

impl Refusal {
    fn answer(self, version: i16) -> PartitionProduceResponse {
        let blamed = |batch_index| BatchIndexAndErrorMessage {
            batch_index,
            batch_index_error_message: Some(format!("record {batch_index} is refused")),
        };
        PartitionProduceResponse {
            record_errors: self.record.map(blamed).into_iter().collect(),
            index: self.index,
            error_code: wire(self.error.code()),
            base_offset: -1,
            log_start_offset: self.log_start,
            error_message: Some(self.error.message()),
            // An older answer cannot name a leader, and must not be asked to.
            current_leader: match version {
                FIRST_LEADER.. => self.leader,
                _ => LeaderIdAndEpoch::default(),
            },
            ..PartitionProduceResponse::default()
        }
    }
}

fn produce(
    topic: &Topic,
    data: PartitionProduceData,
    call: &Call<'_>,
) -> Result<PartitionProduceResponse, Refusal> {
    let index = data.index;
    let injected = call.verdict.code(&topic.name, index);
    let stored = match injected {
        Some((code, false)) => Err(Code(code.into()).into()),
        _ => store(topic, data, call),
    };
    let stored = match injected {
        Some((code, true)) => Err(Code(code.into()).into()),
        _ => stored,
    };
    let verdict = call.verdict;
    match stored {
        Ok(mut answer) => {
            if verdict.hides_offset(&topic.name, index) {
                answer.base_offset = -1;
            }
            Ok(answer)
        }
        Err(mut refusal) => {
            if let Some((leader_id, leader_epoch)) = verdict.named_leader(&topic.name, index) {
                refusal.leader = LeaderIdAndEpoch { leader_id, leader_epoch };
            }
            refusal.record = verdict.record(&topic.name, index);
            Err(Refusal { index, ..refusal })
        }
    }
}

fn store(
    topic: &Topic,
    data: PartitionProduceData,
    call: &Call<'_>,
) -> Result<PartitionProduceResponse, Refusal> {
    let index = data.index;
    let partition = topic.partition(index).ok_or(Code::UNKNOWN_TOPIC_OR_PARTITION)?;
    if let Some(to) = call.verdict.leader_move(&topic.name, index) {
        partition.lock().move_leader(to);
    }
    let records = data.records.unwrap_or_default();
    let head = check(&records, call.version, topic.settings.message_max_bytes)?;
    let append_time = topic.settings.log_append_time.then(now);
    let mut state = partition.lock();
    if state.leader != call.broker {
        return Err(Refusal {
            leader: LeaderIdAndEpoch { leader_id: state.leader, leader_epoch: state.leader_epoch },
            ..Refusal::from(Code::NOT_LEADER_OR_FOLLOWER)
        });
    }
    if state.log.end_offset() > i64::MAX - OFFSETS_LEFT {
        return refuse(Code::KAFKA_STORAGE_ERROR, "the log has no offsets left".to_owned());
    }
    let (base_offset, log_append_time_ms) = match head {
        Some(head) => append(&mut state, &records, &head, append_time, call)?,
        None => append_old(&mut state, records, append_time)?,
    };
    retain(&mut state, topic.settings);
    state.wake();
    Ok(PartitionProduceResponse {
        index,
        base_offset,
        log_append_time_ms,
        log_start_offset: state.log.start_offset(),
        ..PartitionProduceResponse::default()
    })
}

/// Checks what can be checked without the log. Some: one batch of v2. None: a set of old messages,
/// which [`assign_offsets`] checks while it reads them.
fn check(records: &Bytes, version: i16, max_bytes: usize) -> Result<Option<Head>, Refusal> {
    let head = Head::read(records)?;
    if head.length > max_bytes {
        return refuse(
            Code::MESSAGE_TOO_LARGE,
            format!("a batch of {} bytes is larger than {max_bytes}", head.length),
        );
    }
    if head.codec() == ZSTD && version < FIRST_ZSTD {
        let why = format!("zstd in Produce version {version}");
        return refuse(Code::UNSUPPORTED_COMPRESSION_TYPE, why);
    }
    let fits = match version {
        FIRST_V2.. => head.magic == 2,
        FIRST_V1.. => head.magic <= 1,
        _ => head.magic == 0,
    };
    if !fits {
        let why = format!("magic {} in Produce version {version}", head.magic);
        return refuse(Code::INVALID_RECORD, why);
    }
    if head.magic != 2 {
        return Ok(None);
    }
    check_batch(&head, records)?;
    Ok(Some(head))
}

/// Checks the one batch of a request (invariant 3.15).
fn check_batch(head: &Head, records: &[u8]) -> Result<(), Refusal> {
    if head.length != records.len() {
        let why = format!("{} bytes follow the one batch", records.len() - head.length);
        return refuse(Code::INVALID_RECORD, why);
    }
    if !head.checksum_fits(records) {
        return refuse(Code::CORRUPT_MESSAGE, "the checksum of the batch does not fit".to_owned());
    }
    if head.count < 1 || head.last_offset_delta != head.count - 1 {
        let (count, delta) = (head.count, head.last_offset_delta);
        let why = format!("a batch of {count} records with a last offset delta of {delta}");
        return refuse(Code::INVALID_RECORD, why);
    }
    let room = head.length - HEAD;
    if head.codec() == 0 && usize::try_from(head.count).is_ok_and(|c| c > room / LEAST_RECORD) {
        let why = format!("a batch of {} records in {room} bytes", head.count);
        return refuse(Code::INVALID_RECORD, why);
    }
    if head.attributes & LOG_APPEND_TIME != 0 {
        let why = "a producer cannot say that its time is the broker's".to_owned();
        return refuse(Code::INVALID_TIMESTAMP, why);
    }
    if head.attributes & CONTROL != 0 {
        return refuse(Code::INVALID_RECORD, "a client sent a control batch".to_owned());
    }
    if head.attributes & TRANSACTIONAL != 0 {
        return refuse(Code::INVALID_TXN_STATE, "there is no transaction".to_owned());
    }
    if head.producer_id >= 0 && (head.producer_epoch < 0 || head.base_sequence < 0) {
        return refuse(Code::INVALID_RECORD, "a producer id without its sequence".to_owned());
    }
    Ok(())
}

fn refuse<T>(code: Code, why: String) -> Result<T, Refusal> {
    Err(Error::new(code, why).into())
}

/// Appends one batch of v2; the first offset and the append time, also of the batch of which this
/// is the repetition.
fn append(
    state: &mut State,
    batch: &[u8],
    head: &Head,
    append_time: Option<i64>,
    call: &Call<'_>,
) -> Result<(i64, i64), Refusal> {
    let seat = (head.producer_id >= 0).then_some(Seat {
        producer_id: head.producer_id,
        epoch: head.producer_epoch,
        base_sequence: head.base_sequence,
        count: head.count,
    });
    if let Some(seat) = &seat {
        let release = call.shared.seat(call.broker)?.conduct().release;
        match state.producers.judge(seat, release.strictness()) {
            Judgement::Append => {}
            Judgement::Duplicate { base_offset, append_time } => {
                return Ok((base_offset, append_time));
            }
            Judgement::Refuse(code) => {
                let why = format!(
                    "{}: producer {} epoch {} sequence {}",
                    code.text(),
                    seat.producer_id,
                    seat.epoch,
                    seat.base_sequence
                );
                let log_start = state.log.start_offset();
                return Err(Refusal { log_start, ..Error::new(code, why).into() });
            }
        }
    }
    let placing =
        Placing { leader_epoch: state.leader_epoch, append_time, span: i64::from(head.count) };
    let base = state.log.append(batch, head, placing);
    let time = append_time.unwrap_or(-1);
    if let Some(seat) = &seat {
        let remembered = call.shared.seat(call.broker)?.conduct().release.strictness().remembered;
        state.producers.remember(seat, base, time, remembered);
    }
    Ok((base, time))
}

/// Appends messages of v0 and v1. Only the inside of a compressed wrapper says how many offsets it
/// takes, so these are read; the wrapper is kept as sent wherever its inner offsets allow it.
fn append_old(
    state: &mut State,
    records: Bytes,
    append_time: Option<i64>,
) -> Result<(i64, i64), Refusal> {
    let base_offset = state.log.end_offset();
    let assignment = Assignment {
        base_offset,
        leader_epoch: state.leader_epoch,
        append_time,
        check_records: false,
        max_decompressed: MAX_DECOMPRESSED,
    };
    let stored = assign_offsets(records, &assignment)?;
    if stored.iter().any(|batch| batch.format == Format::V2) {
        return refuse(Code::INVALID_RECORD, "a batch v2 behind old messages".to_owned());
    }
    for batch in stored {
        state.log.append_stored(&batch);
    }
    Ok((base_offset, append_time.unwrap_or(-1)))
}

fn retain(state: &mut State, settings: Settings) {
    if let Some(bytes) = settings.retention_bytes {
        state.log.retain(bytes);
    }
}

/// Where the leaders are that the answers name, each once.
fn endpoints<'a>(
    call: &Call<'_>,
    answers: impl Iterator<Item = &'a PartitionProduceResponse>,
) -> Vec<NodeEndpoint> {
    let mut endpoints: Vec<NodeEndpoint> = Vec::new();
    if call.version < FIRST_LEADER {
        return endpoints;
    }
    for leader in answers.map(|a| a.current_leader.leader_id).filter(|id| *id >= 0) {
        let Ok(seat) = call.shared.seat(leader) else { continue };
        if endpoints.iter().all(|e| e.node_id != leader) {
            endpoints.push(NodeEndpoint {
                node_id: leader,
                host: seat.address.ip().to_string(),
                port: i32::from(seat.address.port()),
                rack: None,
            });
        }
    }
    endpoints
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
