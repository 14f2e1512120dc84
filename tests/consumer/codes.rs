//! Every error code of Fetch, of a partition and of the answer as a whole, and codes of brokers newer
//! than we are: what the application hears, and that position and records are as if nothing had been.
//!
//! The table is written down beside the library's own, from Kafka's documentation of each code and
//! the rules 2.9, 6.2, 6.10, 6.15 and 6.19.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use samsa::Code;
use samsa::consumer::Consumer;
use samsa::embedded::{Fault, FaultKind};
use samsa::protocol::modern::ApiKey;

use crate::rig::{FETCH, Rig, deadline, place};

/// What a partition's code does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Stays inside: back off, ask who leads now, fetch again from the same position.
    Moved,
    /// Stays inside: back off and fetch again from the same position.
    Waits,
    /// The application hears of it once; the position stays, and it goes on when the code goes away.
    Told,
    /// The position does not exist: the policy decides.
    Reset,
}

const FATES: &[(Fate, &[i16])] = &[
    (Fate::Reset, &[1]),
    // Somebody else leads, or will soon, or the topic is another one now.
    (Fate::Moved, &[3, 5, 6, 9, 56, 74, 78, 100, 103]),
    // The broker has not heard of its new epoch yet; metadata would say nothing new.
    (Fate::Waits, &[75]),
    // Retriable by Kafka's judgement, and no answer of a partition: nothing to be learnt from it.
    (Fate::Waits, &[-1, 7, 13, 14, 15, 16, 19, 20, 41, 51, 72, 80, 83, 84, 88, 89, 122, 123, 133]),
    // Numbers of this library, which no broker may say.
    (Fate::Waits, &[-100, -114]),
    // Numbers that this version does not know (2.9).
    (Fate::Waits, &[999, 31_999, -2, -999]),
    // Permission, and data that cannot be read: the user must act.
    (Fate::Told, &[2, 29, 76]),
    // Never an answer to Fetch: to be seen, since nobody can say what it means.
    (Fate::Told, &[4, 8, 10, 11, 12, 17, 18, 21, 22, 23, 24, 25, 26, 27, 28, 30, 31, 32, 33, 34]),
    (Fate::Told, &[35, 36, 37, 38, 39, 40, 42, 43, 44, 45, 46, 47, 48, 49, 50, 52, 53, 54, 55]),
    (Fate::Told, &[57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 73, 77, 79, 81, 82, 85]),
    (Fate::Told, &[86, 87, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 101, 102, 104, 105, 107, 108]),
    (Fate::Told, &[109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 124, 125]),
    (Fate::Told, &[126, 127, 128, 129, 130, 131, 132]),
];

/// Codes of the answer as a whole: the session's stay inside, whatever else they say.
const SESSION: [i16; 3] = [70, 71, 106];

const EACH: i64 = 5;

fn rows() -> impl Iterator<Item = (i16, Fate)> {
    FATES.iter().flat_map(|(fate, codes)| codes.iter().map(|code| (*code, *fate)))
}

#[test]
fn the_table_names_every_code_once() {
    let kafkas = Code::ALL.iter().map(|info| info.code.0).filter(|number| *number >= -1);
    let kafkas: BTreeSet<i32> = kafkas.filter(|number| *number != 0).collect();
    let all = rows().map(|(code, _)| code).chain(SESSION);
    let named: Vec<i32> = all.map(i32::from).collect();
    let distinct: BTreeSet<i32> = named.iter().copied().collect();
    assert_eq!(distinct.len(), named.len(), "a code stands there twice");
    let unnamed: Vec<_> = kafkas.difference(&distinct).collect();
    assert!(unnamed.is_empty(), "without a fate: {unnamed:?}");
}

/// A consumer of both partitions. What is asked again waits behind the long poll of what is not, so
/// that one is short here.
fn reader(rig: &Rig) -> Arc<Consumer> {
    let consumer = rig.consumer(&[("fetch.max.wait.ms", "10")]);
    consumer.assign(&[place(0), place(1)]).unwrap();
    consumer
}

/// What came until both partitions were read to their ends: offsets by partition, and errors.
fn read_both(consumer: &Consumer) -> (BTreeMap<i64, Vec<i64>>, Vec<samsa::Error>) {
    let (mut offsets, mut errors) = (BTreeMap::<i64, Vec<i64>>::new(), Vec::new());
    let limit = deadline();
    while offsets.values().map(Vec::len).sum::<usize>() < 2 * EACH as usize {
        assert!(Instant::now() < limit, "{offsets:?} {errors:?}");
        match consumer.poll(1_000) {
            Ok(batch) => {
                for record in batch.iter() {
                    offsets.entry(record.partition()).or_default().push(record.offset());
                }
            }
            Err(error) if error.code() == Code::NOTHING => {}
            Err(error) => errors.push(error),
        }
    }
    (offsets, errors)
}

fn all_of_both() -> BTreeMap<i64, Vec<i64>> {
    BTreeMap::from([(0, (0..EACH).collect()), (1, (0..EACH).collect())])
}

/// Partition 0 is answered with the code three times; partition 1 of the same broker never.
#[test]
fn every_code_of_a_partition_has_its_consequence_and_none_moves_a_position() {
    let rig = Rig::new(2);
    rig.write(0, EACH);
    rig.write(1, EACH);
    for (code, fate) in rows().filter(|(_, fate)| *fate != Fate::Reset) {
        let fault = Fault::new(FaultKind::ErrorCode(code)).api(FETCH).topic("t").partition(0);
        let id = rig.kafka.inject(fault.times(3));
        let consumer = reader(&rig);
        let (offsets, errors) = read_both(&consumer);
        assert_eq!(offsets, all_of_both(), "{code}: each once, in order");
        rig.kafka.wait_injected(id, 3, deadline()).unwrap();
        let heard: Vec<_> = errors.iter().map(|e| (e.code(), e.topic(), e.partition())).collect();
        match fate {
            Fate::Told => {
                assert_eq!(heard, [(Code::from(code), Some("t"), Some(0))], "told once");
                assert!(errors[0].message().contains("offset 0"), "{}", errors[0]);
            }
            _ => assert!(heard.is_empty(), "{code} stays inside: {heard:?}"),
        }
    }
}

#[test]
fn rule_6_15_a_code_that_puts_the_leader_in_doubt_has_it_looked_up_and_no_other_code_does() {
    for (code, fate) in rows() {
        if !matches!(fate, Fate::Moved | Fate::Waits) {
            continue;
        }
        let rig = Rig::new(2);
        rig.write(0, EACH);
        rig.write(1, EACH);
        let consumer = rig.reader(&[1]);
        consumer.poll(20_000).unwrap();
        let before = rig.kafka.requests(ApiKey::Metadata);
        let fault = Fault::new(FaultKind::ErrorCode(code)).api(FETCH).topic("t").partition(0);
        rig.kafka.inject(fault);
        consumer.assign(&[place(0)]).unwrap();
        consumer.poll(20_000).unwrap();
        if fate == Fate::Moved {
            rig.kafka.wait_requests(ApiKey::Metadata, before + 1, deadline()).unwrap();
        } else {
            assert_eq!(rig.kafka.requests(ApiKey::Metadata), before, "{code}");
        }
    }
}

#[test]
fn rule_6_19_out_of_range_from_the_leader_is_decided_by_the_policy_of_that_partition_alone() {
    for (policy, first) in [("earliest", 2), ("latest", EACH), ("none", -1)] {
        let rig = Rig::new(2);
        rig.write(0, EACH);
        rig.write(1, EACH);
        rig.kafka.delete_records("t", 0, 2).unwrap();
        let consumer = rig.consumer(&[("auto.offset.reset", policy)]);
        consumer.assign(&[place(0).at(0), place(1).at(0)]).unwrap();
        let (mut seen, mut told, limit) = (BTreeMap::<i64, Vec<i64>>::new(), 0, deadline());
        let wanted = if first == 2 { 8 } else { 5 };
        while seen.values().map(Vec::len).sum::<usize>() < wanted || (first < 0 && told == 0) {
            assert!(Instant::now() < limit, "{policy}: {seen:?}");
            match consumer.poll(500) {
                Ok(batch) => batch.iter().for_each(|record| {
                    seen.entry(record.partition()).or_default().push(record.offset());
                }),
                Err(error) if error.code() == Code::NOTHING => {}
                Err(error) => {
                    assert_eq!(error.code(), Code::NO_OFFSET, "{policy}: {error}");
                    assert_eq!((error.topic(), error.partition()), (Some("t"), Some(0)));
                    told += 1;
                }
            }
        }
        assert_eq!(seen[&1], (0..EACH).collect::<Vec<_>>(), "{policy}: the other partition");
        let expected = if first == 2 { vec![2, 3, 4] } else { Vec::new() };
        assert_eq!(seen.get(&0).cloned().unwrap_or_default(), expected, "{policy}");
        assert_eq!(told, usize::from(first < 0), "{policy}");
        if first == EACH {
            while consumer.position(Some(&[place(0)])).unwrap()[0].offset != Some(EACH) {
                assert!(Instant::now() < limit, "it never reaches the end");
                let _ = consumer.poll(10);
            }
            rig.write(0, 1);
            let batch = consumer.poll(20_000).unwrap();
            assert_eq!(batch.iter().map(|r| r.offset()).collect::<Vec<_>>(), [EACH], "{policy}");
        }
    }
}

/// The answer as a whole is refused three times.
#[test]
fn rule_6_2_every_code_of_an_answer_as_a_whole_is_retried_and_told_once_if_it_is_no_passing_one() {
    let rig = Rig::new(2);
    rig.write(0, EACH);
    rig.write(1, EACH);
    let codes = rows().map(|(code, _)| code).chain(SESSION);
    for code in codes {
        let id = rig.kafka.inject(Fault::new(FaultKind::RequestError(code)).api(FETCH).times(3));
        let consumer = reader(&rig);
        let (offsets, errors) = read_both(&consumer);
        assert_eq!(offsets, all_of_both(), "{code}: each once, in order");
        assert_eq!(rig.kafka.injected(id), 3, "{code}");
        let heard: Vec<_> = errors.iter().map(samsa::Error::code).collect();
        let passing = Code::from(code).is_retriable();
        let expected = if passing { Vec::new() } else { vec![Code::from(code)] };
        assert_eq!(heard, expected, "{code}");
    }
}
