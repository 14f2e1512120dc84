//! The five requests.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::fault::FaultKind;
use super::log::{Log, Now};
use super::state::{Broker, State};
use super::topics::{Topics, is_legal};
use super::validate::{Verdict, judge};
use crate::error::{Code, Error, Result};
use crate::protocol::legacy::{
    EARLIEST, Fetch, LATEST, Offsets, Produce, RANDOM_PARTITION, Request, answer_fetch,
    answer_multi_fetch, answer_offsets,
};

/// What the connection has to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Write these bytes, of which there may be none, and go on.
    Answer(Vec<u8>),
    /// Write these bytes and close.
    Close(Vec<u8>),
    /// Say nothing more.
    Mute,
}

/// Does a request that came to a broker.
pub(super) fn frame(state: &State, id: i32, frame: &Bytes) -> Step {
    let (Ok(broker), Ok(request)) = (state.broker(id), Request::decode(frame)) else {
        return Step::Close(Vec::new());
    };
    let fault = state.fault(id, request.id());
    match fault {
        Some(FaultKind::CloseBefore) => return Step::Close(Vec::new()),
        Some(FaultKind::Silence) => return Step::Mute,
        _ => {}
    }
    let code = match fault {
        Some(FaultKind::Code(code)) => Some(code),
        _ => None,
    };
    let step = Serving { state, broker, frame, code, now: now() }.serve(&request);
    state.count(id, request.id());
    match (fault, step) {
        (Some(FaultKind::CloseAfter), _) => Step::Close(Vec::new()),
        (Some(FaultKind::Cut(length)), Step::Answer(mut answer)) => {
            answer.truncate(length);
            Step::Close(answer)
        }
        (_, step) => step,
    }
}

fn now() -> Now {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { instant: Instant::now(), ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX) }
}

struct Serving<'a> {
    state: &'a State,
    broker: &'a Broker,
    frame: &'a Bytes,
    /// What a fault says to answer to fetches.
    code: Option<i16>,
    now: Now,
}

impl Serving<'_> {
    fn serve(&self, request: &Request<'_>) -> Step {
        match request {
            Request::Produce(produce) => self.produce(std::slice::from_ref(produce)),
            Request::MultiProduce(produces) => self.produce(produces),
            Request::Fetch(fetch) => self.fetch(fetch),
            Request::MultiFetch(fetches) => self.multi_fetch(fetches),
            Request::Offsets(offsets) => match self.offsets(offsets) {
                Ok(offsets) => {
                    let mut answer = Vec::new();
                    answer_offsets(&mut answer, &offsets);
                    Step::Answer(answer)
                }
                Err(_) => Step::Close(Vec::new()),
            },
        }
    }

    /// Sets one after the other: what came before one that is refused stays.
    fn produce(&self, produces: &[Produce<'_>]) -> Step {
        let mut topics = self.broker.topics();
        for produce in produces {
            if self.append(&mut topics, produce).is_err() {
                return Step::Close(Vec::new());
            }
        }
        Step::Answer(Vec::new())
    }

    fn append(&self, topics: &mut Topics, produce: &Produce<'_>) -> Result<()> {
        let options = &self.state.options;
        let partitions = options.partitions_of(produce.topic);
        let partition = match produce.partition {
            RANDOM_PARTITION => random(partitions),
            partition => partition,
        };
        if !is_legal(produce.topic) || !(0..partitions).contains(&partition) {
            return Err(Error::bare(Code::INVALID_ARGUMENT));
        }
        // The topic is there before its first set is looked at.
        if !topics.contains(produce.topic) {
            self.broker.new_topic.notify_one();
        }
        let log = topics.log_or_new(produce.topic, partition, self.now);
        let set = self.frame.slice_ref(produce.set);
        match judge(&set, options.max_message_size)? {
            Verdict::Drop => {}
            Verdict::Append { length, messages } => {
                log.append(set.get(..length).unwrap_or_default(), messages, options, self.now);
            }
        }
        Ok(())
    }

    fn fetch(&self, fetch: &Fetch<'_>) -> Step {
        let mut topics = self.broker.topics();
        let (code, set) = self.read(&mut topics, fetch);
        let mut answer = Vec::with_capacity(6 + set.len());
        answer_fetch(&mut answer, code, set);
        if fetch.max_size < 0 && code == 0 {
            // The broker writes a size that counts the negative number in, then fails.
            let size = 2_i32.saturating_add(fetch.max_size);
            answer.splice(..4, size.to_be_bytes());
            return Step::Close(answer);
        }
        Step::Answer(answer)
    }

    fn multi_fetch(&self, fetches: &[Fetch<'_>]) -> Step {
        let mut topics = self.broker.topics();
        if fetches.iter().any(|fetch| fetch.max_size < 0) {
            return Step::Close(Vec::new());
        }
        // An answer without parts, to which each is added: sets are copied once.
        let mut answer = Vec::new();
        answer_multi_fetch(&mut answer, &[]);
        for fetch in fetches {
            let (code, set) = self.read(&mut topics, fetch);
            answer_fetch(&mut answer, code, set);
        }
        let size = u32::try_from(answer.len() - 4).unwrap_or(u32::MAX);
        answer.splice(..4, size.to_be_bytes());
        Step::Answer(answer)
    }

    /// The code and the bytes for one partition.
    fn read<'t>(&self, topics: &'t mut Topics, fetch: &Fetch<'_>) -> (i16, &'t [u8]) {
        let number = |code: Code| i16::try_from(code.0).unwrap_or(-1);
        if let Some(code) = self.code {
            return (code, &[]);
        }
        if !is_legal(fetch.topic) {
            return (number(Code::UNKNOWN_SERVER_ERROR), &[]);
        }
        let options = &self.state.options;
        if !(0..options.partitions_of(fetch.topic)).contains(&fetch.partition) {
            return (number(Code::UNKNOWN_TOPIC_OR_PARTITION), &[]);
        }
        // Without a log any position is an empty one.
        let Some(log) = topics.log(fetch.topic, fetch.partition, options, self.now) else {
            return (0, &[]);
        };
        let most = usize::try_from(fetch.max_size).unwrap_or(0);
        match log.read(fetch.offset, most) {
            Some(set) => (0, set),
            None => (number(Code::OFFSET_OUT_OF_RANGE), &[]),
        }
    }

    /// An error closes the connection.
    fn offsets(&self, offsets: &Offsets<'_>) -> Result<Vec<i64>> {
        let options = &self.state.options;
        let partitions = options.partitions_of(offsets.topic);
        if !is_legal(offsets.topic) || !(0..partitions).contains(&offsets.partition) {
            return Err(Error::bare(Code::INVALID_ARGUMENT));
        }
        let mut topics = self.broker.topics();
        match topics.log(offsets.topic, offsets.partition, options, self.now) {
            Some(log) => before(log, offsets, self.now.ms),
            None if matches!(offsets.time, LATEST | EARLIEST) => Ok(vec![0]),
            None => Ok(Vec::new()),
        }
    }
}

/// Where segments begin, and the end, at or before a time; newest first.
fn before(log: &Log, offsets: &Offsets<'_>, now_ms: i64) -> Result<Vec<i64>> {
    let Ok(most) = usize::try_from(offsets.max_number) else {
        return Err(Error::bare(Code::INVALID_ARGUMENT));
    };
    let (mut candidates, end) = log.marks();
    if log.last_has_bytes() {
        candidates.push((end, now_ms));
    }
    let newest_first = candidates.iter().rev();
    let begin = match offsets.time {
        LATEST => 0,
        EARLIEST => candidates.len().saturating_sub(1),
        time => newest_first.clone().take_while(|(_, written)| *written > time).count(),
    };
    Ok(newest_first.skip(begin).take(most).map(|(offset, _)| *offset).collect())
}

/// A number below `below`, as the broker throws dice for partition −1.
fn random(below: i32) -> i32 {
    let below = u64::try_from(below).unwrap_or(0).max(1);
    i32::try_from(RandomState::new().hash_one(0) % below).unwrap_or(0)
}
