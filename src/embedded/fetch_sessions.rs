//! The fetch sessions of one broker (KIP-227): who asked for what, and what they were told of it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::error::Code;
use crate::protocol::modern::Uuid;
use crate::protocol::modern::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchableTopicResponse, PartitionData,
};

const NONE: i32 = 0;
const OPENS: i32 = 0;
const FIRST_VERSION: i16 = 7;
const FIRST_TOPIC_ID: i16 = 13;
/// For so long a session is safe from others that want its place (Kafka's constant).
const SAFE: Duration = Duration::from_secs(120);

/// A partition as a session names it: the topic by id or by name, never both.
type Key = (Uuid, String, i32);

/// How a fetch relates to sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// To none.
    Sessionless,
    /// It makes one, if there is a place.
    Opens,
    /// To this one, which then waits for the request with this epoch.
    Within { session: i32, next: i32 },
}

#[derive(Debug)]
struct Known {
    asked: FetchPartition,
    /// As the client was last told; −1 makes it be told again.
    high_watermark: i64,
    log_start: i64,
    /// Its place in the order: those that delivered go last.
    rank: u64,
}

#[derive(Debug)]
struct Session {
    epoch: i32,
    by_id: bool,
    made: Instant,
    used: Instant,
    partitions: HashMap<Key, Known>,
    last_rank: u64,
}

/// Every open session.
#[derive(Debug, Default)]
pub(super) struct FetchSessions {
    open: HashMap<i32, Session>,
    last_id: i32,
}

impl FetchSessions {
    /// How many are open.
    pub(super) fn count(&self) -> usize {
        self.open.len()
    }

    /// Forgets all of them, as a restart does.
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    /// The topics that a request is about: within a session all that it holds, with this request's
    /// changes. Changes nothing.
    pub(super) fn meant(&self, request: &FetchRequest, version: i16) -> Vec<FetchTopic> {
        let session = self.within(request, version).ok().flatten();
        let Some(session) = session else { return request.topics.clone() };
        let mut topics = session.list();
        topics.extend(request.topics.iter().cloned());
        topics
    }

    /// Takes a request: applies what it changes, and puts all partitions of the session in place of
    /// those that it named.
    pub(super) fn begin(
        &mut self,
        request: &mut FetchRequest,
        version: i16,
        now: Instant,
    ) -> Result<Scope, Code> {
        if self.within(request, version)?.is_none() {
            if version < FIRST_VERSION {
                return Ok(Scope::Sessionless);
            }
            // A whole list closes the session that it names.
            self.open.remove(&request.session_id);
            let opens = request.session_epoch == OPENS;
            return Ok(if opens { Scope::Opens } else { Scope::Sessionless });
        }
        let Some(session) = self.open.get_mut(&request.session_id) else {
            return Err(Code::FETCH_SESSION_ID_NOT_FOUND);
        };
        session.change(request);
        request.topics = session.list();
        if session.partitions.is_empty() {
            self.open.remove(&request.session_id);
            return Ok(Scope::Sessionless);
        }
        session.epoch = following(session.epoch);
        session.used = now;
        Ok(Scope::Within { session: request.session_id, next: session.epoch })
    }

    /// The session of an incremental request; none for a whole list.
    fn within(&self, request: &FetchRequest, version: i16) -> Result<Option<&Session>, Code> {
        if version < FIRST_VERSION || request.session_epoch <= OPENS {
            return Ok(None);
        }
        let session = self.open.get(&request.session_id);
        let session = session.ok_or(Code::FETCH_SESSION_ID_NOT_FOUND)?;
        if session.epoch != request.session_epoch {
            return Err(Code::INVALID_FETCH_SESSION_EPOCH);
        }
        match session.by_id == (version >= FIRST_TOPIC_ID) {
            true => Ok(Some(session)),
            false => Err(Code::FETCH_SESSION_TOPIC_ID_ERROR),
        }
    }

    /// Makes of an answer about every partition what the client is told.
    pub(super) fn finish(
        &mut self,
        scope: Scope,
        request: &FetchRequest,
        response: &mut FetchResponse,
        (slots, now): (usize, Instant),
    ) {
        match scope {
            Scope::Sessionless => {}
            Scope::Opens => response.session_id = self.make(request, response, slots, now),
            Scope::Within { session: id, next } => {
                response.session_id = id;
                match self.open.get_mut(&id) {
                    Some(session) if session.epoch == next => session.keep_news(response),
                    // Another request of the session came meanwhile.
                    Some(_) => {
                        response.responses.clear();
                        response.error_code = super::serve::wire(Code::INVALID_FETCH_SESSION_EPOCH);
                    }
                    // It was evicted while this request waited: the last answer is a good one.
                    None => {}
                }
            }
        }
    }

    fn make(
        &mut self,
        request: &FetchRequest,
        response: &FetchResponse,
        slots: usize,
        now: Instant,
    ) -> i32 {
        let mut session = Session {
            epoch: following(OPENS),
            by_id: request.topics.iter().any(|t| !t.topic_id.is_zero()),
            made: now,
            used: now,
            partitions: HashMap::new(),
            last_rank: 0,
        };
        session.change(request);
        session.note(response);
        if session.partitions.is_empty() || !self.make_room(session.partitions.len(), slots, now) {
            return NONE;
        }
        loop {
            self.last_id = following(self.last_id);
            if !self.open.contains_key(&self.last_id) {
                self.open.insert(self.last_id, session);
                return self.last_id;
            }
        }
    }

    /// Frees a place if all are taken and one may be: first what nobody used for long, then what is
    /// old and smaller.
    fn make_room(&mut self, size: usize, slots: usize, now: Instant) -> bool {
        if self.open.len() < slots {
            return true;
        }
        let unused = self.open.iter().min_by_key(|(_, s)| s.used);
        let unused = unused.filter(|(_, s)| now.saturating_duration_since(s.used) > SAFE);
        let old = |s: &&Session| now.saturating_duration_since(s.made) > SAFE;
        let small = self.open.iter().filter(|(_, s)| old(s) && s.partitions.len() < size);
        let small = small.min_by_key(|(_, s)| s.partitions.len());
        let Some(id) = unused.or(small).map(|(id, _)| *id) else { return false };
        self.open.remove(&id).is_some() && self.open.len() < slots
    }
}

impl Session {
    /// Applies what a request names and then, as Kafka does, what it forgets: who is in both is gone.
    fn change(&mut self, request: &FetchRequest) {
        for topic in &request.topics {
            for asked in &topic.partitions {
                self.last_rank += 1;
                let key = (topic.topic_id, topic.topic.clone(), asked.partition);
                let rank = self.last_rank;
                let fresh = |asked| Known { asked, high_watermark: -1, log_start: -1, rank };
                let known = self.partitions.entry(key).or_insert_with(|| fresh(asked.clone()));
                known.asked = asked.clone();
            }
        }
        for gone in &request.forgotten_topics_data {
            for partition in &gone.partitions {
                self.partitions.remove(&(gone.topic_id, gone.topic.clone(), *partition));
            }
        }
    }

    /// All partitions in their order; a topic stands as often as the order needs it.
    fn list(&self) -> Vec<FetchTopic> {
        let mut known: Vec<_> = self.partitions.iter().collect();
        known.sort_unstable_by_key(|(_, known)| known.rank);
        let mut topics: Vec<FetchTopic> = Vec::new();
        for ((topic_id, topic, _), known) in known {
            let same = |last: &&mut FetchTopic| last.topic == *topic && last.topic_id == *topic_id;
            match topics.last_mut().filter(same) {
                Some(last) => last.partitions.push(known.asked.clone()),
                None => topics.push(FetchTopic {
                    topic: topic.clone(),
                    topic_id: *topic_id,
                    partitions: vec![known.asked.clone()],
                }),
            }
        }
        topics
    }

    /// Remembers what the client is told.
    fn note(&mut self, response: &FetchResponse) {
        for topic in &response.responses {
            for data in &topic.partitions {
                self.told(topic, data);
            }
        }
    }

    /// Leaves out what the client knows.
    fn keep_news(&mut self, response: &mut FetchResponse) {
        for mut topic in std::mem::take(&mut response.responses) {
            let mut partitions = std::mem::take(&mut topic.partitions);
            partitions.retain(|data| self.told(&topic, data));
            if !partitions.is_empty() {
                response.responses.push(FetchableTopicResponse { partitions, ..topic });
            }
        }
    }

    /// Whether this is news to the client, who is told it now.
    fn told(&mut self, topic: &FetchableTopicResponse, data: &PartitionData) -> bool {
        let key = (topic.topic_id, topic.topic.clone(), data.partition_index);
        let Some(known) = self.partitions.get_mut(&key) else { return true };
        if data.error_code != 0 {
            // When the error goes away that is news too.
            known.high_watermark = -1;
            return true;
        }
        let delivers = data.records.as_ref().is_some_and(|records| !records.is_empty());
        if delivers {
            self.last_rank += 1;
            known.rank = self.last_rank;
        }
        let marks = (data.high_watermark, data.log_start_offset);
        let moved = (known.high_watermark, known.log_start) != marks;
        (known.high_watermark, known.log_start) = marks;
        delivers
            || moved
            || data.preferred_read_replica >= 0
            || data.diverging_epoch.epoch >= 0
            || data.diverging_epoch.end_offset >= 0
    }
}

fn following(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(session: i32, epoch: i32, partitions: &[i32]) -> FetchRequest {
        let partition = |&n: &i32| FetchPartition { partition: n, ..FetchPartition::default() };
        let topic = FetchTopic {
            topic: "t".to_owned(),
            topic_id: Uuid::ZERO,
            partitions: partitions.iter().map(partition).collect(),
        };
        let topics = if partitions.is_empty() { Vec::new() } else { vec![topic] };
        FetchRequest {
            session_id: session,
            session_epoch: epoch,
            topics,
            ..FetchRequest::default()
        }
    }

    fn numbers(topics: &[FetchTopic]) -> Vec<i32> {
        topics.iter().flat_map(|t| &t.partitions).map(|p| p.partition).collect()
    }

    /// Opens a session over these partitions.
    fn open(sessions: &mut FetchSessions, partitions: &[i32], slots: usize, now: Instant) -> i32 {
        let mut first = request(0, 0, partitions);
        let scope = sessions.begin(&mut first, 12, now).unwrap();
        let mut response = FetchResponse::default();
        sessions.finish(scope, &first, &mut response, (slots, now));
        response.session_id
    }

    #[test]
    fn an_incremental_request_is_about_all_that_the_session_holds() {
        let (mut sessions, now) = (FetchSessions::default(), Instant::now());
        let id = open(&mut sessions, &[0, 1, 2], 10, now);
        let mut second = request(id, 1, &[3]);
        second.forgotten_topics_data =
            vec![crate::protocol::modern::messages::fetch::ForgottenTopic {
                topic: "t".to_owned(),
                topic_id: Uuid::ZERO,
                partitions: vec![1],
            }];
        assert_eq!(
            sessions.begin(&mut second, 12, now),
            Ok(Scope::Within { session: id, next: 2 })
        );
        assert_eq!(numbers(&second.topics), [0, 2, 3]);
    }

    #[test]
    fn another_epoch_an_unknown_session_and_another_naming_are_refused() {
        let (mut sessions, now) = (FetchSessions::default(), Instant::now());
        let id = open(&mut sessions, &[0], 10, now);
        let refused = |s: &mut FetchSessions, mut r: FetchRequest, v| s.begin(&mut r, v, now);
        let codes = [
            refused(&mut sessions, request(id, 2, &[]), 12),
            refused(&mut sessions, request(id + 1, 1, &[]), 12),
            refused(&mut sessions, request(id, 1, &[]), 13),
        ];
        assert_eq!(codes.map(|c| c.unwrap_err().0), [71, 70, 106]);
    }

    #[test]
    fn of_two_requests_of_a_session_at_once_the_first_is_refused() {
        let (mut sessions, now) = (FetchSessions::default(), Instant::now());
        let id = open(&mut sessions, &[0], 10, now);
        let (mut first, mut second) = (request(id, 1, &[]), request(id, 2, &[]));
        let scope = sessions.begin(&mut first, 12, now).unwrap();
        sessions.begin(&mut second, 12, now).unwrap();
        let mut response = FetchResponse::default();
        sessions.finish(scope, &first, &mut response, (10, now));
        assert_eq!(response.error_code, 71);
    }

    #[test]
    fn the_place_of_a_session_is_taken_when_it_is_unused_or_old_and_smaller() {
        let (mut sessions, now) = (FetchSessions::default(), Instant::now());
        let id = open(&mut sessions, &[0], 1, now);
        assert_eq!(open(&mut sessions, &[0, 1], 1, now), NONE, "no session");
        let later = now + SAFE + Duration::from_secs(1);
        sessions.begin(&mut request(id, 1, &[]), 12, later).unwrap();
        assert_eq!(open(&mut sessions, &[0], 1, later), NONE, "in use, and not smaller");
        assert_ne!(open(&mut sessions, &[0, 1], 1, later), NONE, "in use, but smaller");
        assert_eq!(sessions.count(), 1);
        assert_ne!(open(&mut sessions, &[0], 1, later + SAFE + SAFE), NONE, "unused");
        assert_eq!(sessions.count(), 1);
    }

    #[test]
    fn a_whole_list_and_a_farewell_close_the_session_that_they_name() {
        let (mut sessions, now) = (FetchSessions::default(), Instant::now());
        let id = open(&mut sessions, &[0], 10, now);
        assert_eq!(sessions.begin(&mut request(id, -1, &[]), 12, now), Ok(Scope::Sessionless));
        assert_eq!(sessions.count(), 0);
        let id = open(&mut sessions, &[0], 10, now);
        assert_eq!(sessions.begin(&mut request(id, 0, &[0]), 12, now), Ok(Scope::Opens));
        assert_eq!(sessions.count(), 0);
    }
}
