//! From a Produce response to what became of each batch: pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::super::accumulator::{Answer, Flight};
use super::super::outcome::RecordError;
use super::classify::{classify, classify_failure};
use crate::cluster::{BrokerInfo, LeaderHint, Topic};
use crate::config::Acks;
use crate::error::{Code, Error, Persistence};
use crate::protocol::modern::Uuid;
use crate::protocol::modern::messages::produce::{PartitionProduceResponse, ProduceResponse};

/// The answer of each flight. A partition that the broker left out was perhaps written.
pub(super) fn answers(
    response: ProduceResponse,
    flights: Vec<Flight>,
    ids: Option<&BTreeMap<usize, Uuid>>,
    acks: Acks,
) -> Vec<(Flight, Answer)> {
    // Where each partition's answer is: brokers answer in any order.
    let (mut places, mut found) = (Vec::with_capacity(flights.len()), Vec::new());
    let mut names = Names::new(&flights, ids);
    for topic in response.responses {
        let Some(asked) = names.topic(topic.topic_id, &topic.name) else { continue };
        let asked = asked.index();
        for partition in topic.partition_responses {
            places.push((asked, partition.index, found.len()));
            found.push(Some(partition));
        }
    }
    // Nearly always in the order of the request.
    let in_order = places.len() == flights.len()
        && places.iter().zip(&flights).all(|(place, flight)| (place.0, place.1) == flight.place);
    if !in_order {
        places.sort_unstable();
    }
    let mut take = |at: usize, (topic, index): (usize, i32)| {
        if in_order {
            return found.get_mut(at)?.take();
        }
        // The last one, should a broker answer twice.
        let behind = places.partition_point(|place| (place.0, place.1) <= (topic, index));
        let place = places.get(behind.checked_sub(1)?)?;
        found.get_mut(place.2).filter(|_| (place.0, place.1) == (topic, index))?.take()
    };
    let answer_of = |(at, flight): (usize, Flight)| {
        let answer = match take(at, flight.place) {
            Some(partition) => answer(partition, acks, flight.can_split),
            None => refused(&left_out()),
        };
        (flight, answer)
    };
    flights.into_iter().enumerate().map(answer_of).collect()
}

/// The answer of a flight whose request failed as a whole.
pub(crate) fn refused(error: &Error) -> Answer {
    let action = classify_failure(error);
    Answer::Refused { action, error: error.clone(), records: Vec::new(), log_start: -1 }
}

fn left_out() -> Error {
    Error::new(Code::PROTOCOL, "the broker's answer does not name the partition")
        .with_persistence(Persistence::PossiblyPersisted)
}

fn answer(partition: PartitionProduceResponse, acks: Acks, can_split: bool) -> Answer {
    let code = Code::from(partition.error_code);
    if code == Code::NONE {
        return Answer::Written {
            base_offset: partition.base_offset,
            log_append_time: partition.log_append_time_ms,
        };
    }
    let records = partition.record_errors.into_iter().filter_map(|record| {
        let index = u32::try_from(record.batch_index).ok()?;
        Some(RecordError { index, message: record.batch_index_error_message })
    });
    let error = match partition.error_message {
        Some(message) if !message.is_empty() => {
            Error::new(code, format!("{}: {message}", code.text()))
        }
        _ => Error::new(code, code.text()),
    };
    let (action, log_start) = (classify(code, acks, can_split), partition.log_start_offset);
    Answer::Refused { action, error, records: records.collect(), log_start }
}

/// The new leaders that the broker told of (KIP-951), and where they are.
pub(super) fn hints(
    response: &ProduceResponse,
    flights: &[Flight],
    ids: Option<&BTreeMap<usize, Uuid>>,
) -> (Vec<LeaderHint>, Vec<BrokerInfo>) {
    let mut hints = Vec::new();
    let mut names = Names::new(flights, ids);
    for topic in &response.responses {
        let has_news = |told: &&PartitionProduceResponse| told.current_leader.leader_id >= 0;
        let mut told = topic.partition_responses.iter().filter(has_news).peekable();
        if told.peek().is_none() {
            continue;
        }
        let Some(asked) = names.topic(topic.topic_id, &topic.name) else { continue };
        for told in told {
            hints.push(LeaderHint {
                topic: Arc::clone(asked.name()),
                partition: told.index,
                leader: told.current_leader.leader_id,
                leader_epoch: told.current_leader.leader_epoch,
            });
        }
    }
    let endpoints = response.node_endpoints.iter().filter_map(|node| {
        let port = u16::try_from(node.port).ok()?;
        let (host, rack) = (node.host.clone(), node.rack.clone());
        Some(BrokerInfo { id: node.node_id, host, port, rack })
    });
    (hints, endpoints.collect())
}

/// How a response names a topic.
#[derive(PartialEq, Eq, Hash)]
enum Name<'a> {
    Id(Uuid),
    Text(&'a str),
}

/// The topics of the flights by what a response calls them. A request may be about thousands, and the I/O
/// thread reads its answer: each is found in one step if it comes in the order of the request, and by a map
/// if not.
struct Names<'a> {
    flights: &'a [Flight],
    ids: Option<&'a BTreeMap<usize, Uuid>>,
    /// The flight whose topic is expected next.
    next: usize,
    all: Option<HashMap<Name<'a>, &'a Arc<Topic>>>,
}

impl<'a> Names<'a> {
    fn new(flights: &'a [Flight], ids: Option<&'a BTreeMap<usize, Uuid>>) -> Self {
        Self { flights, ids, next: 0, all: None }
    }

    fn topic(&mut self, id: Uuid, name: &str) -> Option<&'a Arc<Topic>> {
        let told = match self.ids {
            Some(_) => Name::Id(id),
            None => Name::Text(name),
        };
        let expected = self.flights.get(self.next).map(|flight| flight.queue.topic());
        if let Some(topic) = expected.filter(|topic| self.name_of(topic).as_ref() == Some(&told)) {
            let rest = self.flights.iter().skip(self.next);
            self.next += rest.take_while(|flight| flight.place.0 == topic.index()).count();
            return Some(topic);
        }
        if self.all.is_none() {
            let topics = self.flights.iter().map(|flight| flight.queue.topic());
            let named = topics.filter_map(|topic| Some((self.name_of(topic)?, topic)));
            self.all = Some(named.collect());
        }
        let all: &HashMap<Name<'_>, &'a Arc<Topic>> = self.all.as_ref()?;
        all.get(&told).copied()
    }

    fn name_of(&self, topic: &'a Arc<Topic>) -> Option<Name<'a>> {
        match self.ids {
            Some(ids) => ids.get(&topic.index()).map(|id| Name::Id(*id)),
            None => Some(Name::Text(topic.name())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::producer::accumulator::test_flight;
    use crate::producer::sender::Action;
    use crate::protocol::modern::messages::produce::{LeaderIdAndEpoch, TopicProduceResponse};

    fn flights() -> Vec<Flight> {
        let (one, two) = (Topic::lone("one", 0), Topic::lone("two", 1));
        vec![test_flight(&one, 0), test_flight(&two, 0), test_flight(&one, 7)]
    }

    fn partition(index: i32, error_code: i16, base_offset: i64) -> PartitionProduceResponse {
        PartitionProduceResponse { index, error_code, base_offset, ..Default::default() }
    }

    fn topic(
        name: &str,
        partition_responses: Vec<PartitionProduceResponse>,
    ) -> TopicProduceResponse {
        TopicProduceResponse { name: name.to_owned(), partition_responses, ..Default::default() }
    }

    fn response(responses: Vec<TopicProduceResponse>) -> ProduceResponse {
        ProduceResponse { responses, ..Default::default() }
    }

    /// Per flight: its base offset, or its action.
    fn told(answers: Vec<(Flight, Answer)>) -> Vec<Result<i64, Action>> {
        let one = |(_, answer)| match answer {
            Answer::Written { base_offset, .. } => Ok(base_offset),
            Answer::Refused { action, .. } => Err(action),
            Answer::Unacknowledged => panic!("there is an answer"),
        };
        answers.into_iter().map(one).collect()
    }

    #[test]
    fn topics_are_found_in_order_out_of_order_and_twice() {
        let topics: Vec<_> = (0..9).map(|index| Topic::lone(&format!("t{index}"), index)).collect();
        let flights: Vec<_> = topics.iter().map(|topic| test_flight(topic, 0)).collect();
        let ids: BTreeMap<_, _> = topics
            .iter()
            .map(|topic| (topic.index(), Uuid([topic.index() as u8 + 1; 16])))
            .collect();
        for order in [[0, 1, 2, 3, 4], [0, 1, 7, 3, 3], [8, 6, 4, 2, 0]] {
            let (mut by_name, mut by_id) =
                (Names::new(&flights, None), Names::new(&flights, Some(&ids)));
            for index in order {
                let named = by_name.topic(Uuid::ZERO, &format!("t{index}")).unwrap();
                assert_eq!(named.index(), index, "{order:?}");
                assert_eq!(by_id.topic(ids[&index], "").unwrap().index(), index, "{order:?}");
            }
            assert!(by_name.topic(Uuid::ZERO, "other").is_none());
            assert!(by_id.topic(Uuid::ZERO, "t1").is_none());
        }
    }

    #[test]
    fn each_batch_gets_its_own_answer_whatever_their_order() {
        let response = response(vec![
            topic("two", vec![partition(0, 0, 22)]),
            topic("one", vec![partition(7, 0, 17), partition(0, 29, -1)]),
        ]);
        let refused = Err(Action::Fail(Persistence::NotPersisted));
        let answers = answers(response, flights(), None, Acks::All);
        assert_eq!(told(answers), [refused, Ok(22), Ok(17)]);
    }

    #[test]
    fn answers_in_the_order_of_the_request_are_told_apart_as_well() {
        let flights: Vec<_> = flights().into_iter().filter(|flight| flight.place.0 == 0).collect();
        let in_order = vec![topic("one", vec![partition(0, 0, 10), partition(7, 29, -1)])];
        let refused = Err(Action::Fail(Persistence::NotPersisted));
        let answers = answers(response(in_order), flights, None, Acks::All);
        assert_eq!(told(answers), [Ok(10), refused]);
    }

    #[test]
    fn a_partition_that_is_left_out_may_be_written_and_strangers_are_ignored() {
        let response = response(vec![
            topic("three", vec![partition(0, 0, 1)]),
            topic("one", vec![partition(0, 0, 5), partition(-1, 0, 6)]),
        ]);
        let maybe = Err(Action::Retry { refresh: true, maybe_written: true });
        let answers = answers(response, flights(), None, Acks::All);
        assert_eq!(told(answers), [Ok(5), maybe, maybe]);
    }

    #[test]
    fn topics_are_told_by_id_where_ids_were_sent() {
        let ids = BTreeMap::from([(0, Uuid([1; 16])), (1, Uuid([2; 16]))]);
        let by_id = |id: u8, partitions| TopicProduceResponse {
            topic_id: Uuid([id; 16]),
            partition_responses: partitions,
            ..Default::default()
        };
        let response = response(vec![
            by_id(2, vec![partition(0, 0, 2)]),
            by_id(1, vec![partition(0, 0, 1), partition(7, 0, 7)]),
        ]);
        let answers = answers(response, flights(), Some(&ids), Acks::All);
        assert_eq!(told(answers), [Ok(1), Ok(2), Ok(7)]);
    }

    #[test]
    fn rule_1_12_hints_name_topic_and_partition_and_only_known_leaders() {
        let mut moved = partition(7, 6, -1);
        moved.current_leader = LeaderIdAndEpoch { leader_id: 4, leader_epoch: 9 };
        let response = response(vec![topic("one", vec![partition(0, 6, -1), moved])]);
        let (hints, endpoints) = hints(&response, &flights(), None);
        let [hint] = &hints[..] else { panic!("{hints:?}") };
        assert_eq!(
            (&*hint.topic, hint.partition, hint.leader, hint.leader_epoch),
            ("one", 7, 4, 9)
        );
        assert!(endpoints.is_empty());
    }
}
