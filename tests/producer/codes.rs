//! Every error code of Produce, and codes of brokers newer than we are: what becomes of the records.
//!
//! The table is written down beside the library's own, from Kafka's documentation of each code and
//! the rules 2.9, 4.6, 4.7, 4.8 and 5.14. Each row is met by a record that is alone in its batch, with
//! more batches of its partition behind it and another partition in the same request.

use std::collections::BTreeSet;

use samsa::Code;
use samsa::embedded::{FaultKind, Options};
use samsa::error::Persistence;
use samsa::producer::Record;
use samsa::protocol::modern::ApiKey;

use crate::bench::{Bench, MAYBE, NOT, Seen, THERE, WAIT, bench, bench_on, on_produce, soon};

/// What becomes of a batch that is answered with a code once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is sent again until it is there. `leader`: who leads is looked up again. `known`: what its
    /// outcome says if the code never goes away.
    Retried { leader: bool, known: Persistence },
    /// It is the repetition of one that is there: success at an unknown offset.
    Acknowledged,
    /// It fails with the code, once, and what follows goes on.
    Failed(Persistence),
}

const SAME: Fate = Fate::Retried { leader: false, known: NOT };
const SAME_MAYBE: Fate = Fate::Retried { leader: false, known: MAYBE };
const MOVED: Fate = Fate::Retried { leader: true, known: NOT };
const MOVED_MAYBE: Fate = Fate::Retried { leader: true, known: MAYBE };
const REFUSED: Fate = Fate::Failed(NOT);
const UNHEARD: Fate = Fate::Failed(MAYBE);

/// With acks=all.
const FATES: &[(Fate, &[i16])] = &[
    // The broker is there and could not or would not now; it wrote nothing.
    (SAME, &[2, 19, 89]),
    // Written, but not by enough replicas, or not in time.
    (SAME_MAYBE, &[7, 20]),
    // Another broker is to be asked; this one looked and wrote nothing.
    (MOVED, &[5, 9, 74, 75, 100, 103]),
    // Appended by a leader that lost its office while it waited for the replicas (4.6).
    (MOVED_MAYBE, &[3, 6]),
    // A connection or a disk broke half way.
    (MOVED_MAYBE, &[13, 56]),
    // Retriable by Kafka's judgement, and never an answer to Produce: nothing is known.
    (MOVED_MAYBE, &[14, 15, 16, 41, 51, 70, 71, 72, 78, 80, 83, 84, 88, 106, 122, 123, 133]),
    // Numbers that this version does not know (2.9).
    (MOVED_MAYBE, &[999, 31_999, -2, -999]),
    (Fate::Acknowledged, &[46]),
    // The broker does not say how far it came. Numbers of this library are nothing that a broker may say.
    (UNHEARD, &[-1, -100, -114]),
    // The record, the topic or the permission; 10 and 18 because there is nothing to split.
    (REFUSED, &[10, 17, 18, 21, 29, 31, 32, 35, 42, 44, 53, 76, 87]),
    // About the identity, which then begins anew (5.7, 5.15, 5.17).
    (SAME, &[45, 47, 59]),
    // Identities and transactions.
    (REFUSED, &[48, 49, 50, 52, 90, 105, 120]),
    // Never an answer to Produce: it says nothing of the batch.
    (UNHEARD, &[1, 4, 8, 11, 12, 22, 23, 24, 25, 26, 27, 28, 30, 33, 34, 36, 37, 38, 39, 40]),
    (UNHEARD, &[54, 55, 57, 58, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 73, 77, 79, 81, 82, 85]),
    (UNHEARD, &[86, 91, 92, 93, 94, 95, 96, 97, 98, 99, 101, 102, 104, 107, 108, 109, 110, 111]),
    (UNHEARD, &[112, 113, 114, 115, 116, 117, 118, 119, 121, 124, 125, 126, 127, 128, 129]),
    (UNHEARD, &[130, 131, 132]),
    // Last: the partition does without identity from then on (5.18).
    (SAME, &[43]),
];

fn rows() -> impl Iterator<Item = (i16, Fate)> {
    FATES.iter().flat_map(|(fate, codes)| codes.iter().map(|code| (*code, *fate)))
}

/// What identity mends is refused without one (`enable.idempotence=false`).
fn without_identity(code: i16, fate: Fate) -> Fate {
    if [43, 45, 47, 59].contains(&code) { REFUSED } else { fate }
}

fn retried() -> impl Iterator<Item = (i16, bool, Persistence)> {
    rows().filter_map(|(code, fate)| match fate {
        Fate::Retried { leader, known } => Some((code, leader, known)),
        _ => None,
    })
}

#[test]
fn the_table_names_every_code_once() {
    let kafkas = Code::ALL.iter().map(|info| info.code.0).filter(|number| *number >= -1);
    let kafkas: BTreeSet<i32> = kafkas.filter(|number| *number != 0).collect();
    let named: Vec<i32> = rows().map(|(code, _)| code.into()).collect();
    let distinct: BTreeSet<i32> = named.iter().copied().collect();
    assert_eq!(distinct.len(), named.len(), "a code stands there twice");
    let unnamed: Vec<_> = kafkas.difference(&distinct).collect();
    assert!(unnamed.is_empty(), "without a fate: {unnamed:?}");
}

/// One record a batch, and so little memory that a batch lost to each code would use it up.
const TIGHT: [(&str, &str); 4] =
    [("acks", "all"), ("batch.size", "1200"), ("buffer.memory", "64000"), ("max.block.ms", "5000")];

/// The `n`-th record of a row: alone in a batch of [`TIGHT`].
fn value(code: i16, n: u64) -> String {
    format!("{code}:{n}{}", " ".repeat(1_000))
}

fn send(bench: &Bench, code: i16, n: u64, partition: i32) {
    let value = value(code, n);
    let record = Record::new(&bench.topic, value.as_bytes()).with_opaque(n).to_partition(partition);
    bench.producer.send(&record, WAIT).unwrap();
}

fn end(bench: &Bench, partition: i32) -> i64 {
    bench.kafka.log_end_offset("orders", partition).unwrap()
}

/// Sends four records through a fault that meets the first, and one to another partition; gives the
/// four outcomes in order of their marks.
fn meet(bench: &Bench, code: i16) -> Vec<Seen> {
    let other = end(bench, 1);
    let fault = bench.kafka.inject(on_produce(FaultKind::ErrorCode(code)).partition(0));
    (0..4).for_each(|n| send(bench, code, n, 0));
    send(bench, code, 4, 1);
    let mut outcomes = bench.outcomes(5);
    assert_eq!(bench.kafka.injected(fault), 1, "{code}");
    outcomes.sort_by_key(|outcome| outcome.0);
    assert_eq!(outcomes.pop(), Some((4, Code::NONE, THERE, other)), "{code} of another partition");
    assert_eq!(end(bench, 1), other + 1, "{code} of another partition: written once");
    outcomes
}

/// The outcomes of records `from..4`, written once and in order from `offset` on.
fn there(from: u64, offset: i64) -> Vec<Seen> {
    (from..4).zip(offset..).map(|(n, offset)| (n, Code::NONE, THERE, offset)).collect()
}

/// Meets every code once; the records that the log then holds, in order, are in its order.
fn walk(bench: &Bench, fates: impl Iterator<Item = (i16, Fate)>) {
    let mut written = Vec::new();
    for (code, fate) in fates {
        let offset = end(bench, 0);
        let outcomes = meet(bench, code);
        let first_written = match fate {
            Fate::Retried { .. } => {
                assert_eq!(outcomes, there(0, offset), "{code}");
                0
            }
            Fate::Acknowledged => {
                assert_eq!(outcomes[0], (0, Code::NONE, THERE, -1), "{code}");
                assert_eq!(outcomes[1..], there(1, offset), "{code}: what follows");
                1
            }
            Fate::Failed(known) => {
                assert_eq!(outcomes[0], (0, Code::from(code), known, -1), "{code}");
                assert_eq!(outcomes[1..], there(1, offset), "{code}: what follows");
                1
            }
        };
        written.extend((first_written..4).map(|n| value(code, n)));
    }
    assert_eq!(bench.stored(), written, "each once, in the order of sending");
}

#[test]
fn every_code_has_its_fate_and_costs_nothing_but_its_own_batch() {
    walk(&bench_on(Options::default(), 2, &TIGHT), rows());
}

#[test]
fn without_identity_every_code_has_its_fate_and_order_is_kept_too() {
    let more: Vec<_> = TIGHT.iter().copied().chain([("enable.idempotence", "false")]).collect();
    let fates = rows().map(|(code, fate)| (code, without_identity(code, fate)));
    walk(&bench_on(Options::default(), 2, &more), fates);
}

/// The broker appends the batch and answers with the code all the same, while four more follow.
#[test]
fn rule_5_2_a_batch_that_was_appended_before_its_code_is_there_once_with_an_identity() {
    let bench = bench_on(Options::default(), 2, &TIGHT);
    // Those of the identity say that the batch is not there.
    for (code, ..) in retried().filter(|(code, ..)| ![43, 45, 47, 59].contains(code)) {
        let (offset, other) = (end(&bench, 0), end(&bench, 1));
        let fault = on_produce(FaultKind::ErrorCode(code)).partition(0).applied();
        let fault = bench.kafka.inject(fault);
        (0..4).for_each(|n| send(&bench, code, n, 0));
        send(&bench, code, 4, 1);
        let mut outcomes = bench.outcomes(5);
        outcomes.sort_by_key(|outcome| outcome.0);
        assert_eq!(bench.kafka.injected(fault), 1, "{code}");
        assert_eq!(outcomes.pop(), Some((4, Code::NONE, THERE, other)), "{code}");
        assert_eq!(outcomes, there(0, offset), "{code}: its own offset, though it was repeated");
        assert_eq!(end(&bench, 0), offset + 4, "{code}: once");
    }
}

#[test]
fn a_batch_that_was_appended_before_its_code_is_there_at_least_once_without_an_identity() {
    let more: Vec<_> = TIGHT.iter().copied().chain([("enable.idempotence", "false")]).collect();
    let bench = bench_on(Options::default(), 2, &more);
    for (code, ..) in retried().filter(|(code, ..)| ![43, 45, 47, 59].contains(code)) {
        let offset = end(&bench, 0);
        bench.kafka.inject(on_produce(FaultKind::ErrorCode(code)).partition(0).applied());
        (0..4).for_each(|n| send(&bench, code, n, 0));
        let mut outcomes = bench.outcomes(4);
        outcomes.sort_by_key(|outcome| outcome.0);
        assert_eq!(outcomes, there(0, offset + 1), "{code}: where the second copy is");
        assert_eq!(end(&bench, 0), offset + 5, "{code}: the first was written twice");
    }
}

#[test]
fn a_retriable_code_that_never_goes_away_becomes_the_outcome_and_says_what_is_known() {
    let more: Vec<_> = TIGHT.iter().copied().chain([("retries", "1")]).collect();
    let bench = bench_on(Options::default(), 2, &more);
    for (code, _, known) in retried() {
        let fault = bench.kafka.inject(on_produce(FaultKind::ErrorCode(code)).always());
        send(&bench, code, 1, 0);
        let deliveries = bench.producer.poll(WAIT).unwrap();
        let error = deliveries.error(0).unwrap();
        assert_eq!((error.code(), error.persistence()), (Code::from(code), known), "{code}");
        let one: Vec<_> = deliveries.iter().map(|one| (one.offset, one.status)).collect();
        assert_eq!(one, [(-1, known)], "{code}");
        assert_eq!((error.topic(), error.partition()), (Some("orders"), Some(0)), "{code}");
        assert!(error.broker().is_some_and(|broker| broker.contains("127.0.0.1")), "{error:?}");
        assert_eq!(bench.kafka.injected(fault), 2, "{code}: sent and sent again, no more");
        bench.kafka.withdraw(fault);
    }
    assert!(bench.stored().is_empty());
    send(&bench, 0, 9, 0);
    assert_eq!(bench.outcomes(1), [(9, Code::NONE, THERE, 0)], "the producer goes on");
}

#[test]
fn a_code_that_puts_the_leader_in_doubt_has_it_looked_up_and_no_other_code_does() {
    for (code, leader, _) in retried() {
        let bench = bench(&[("acks", "all")]);
        bench.send(1);
        bench.outcomes(1);
        let before = bench.kafka.requests(ApiKey::Metadata);
        bench.kafka.inject(on_produce(FaultKind::ErrorCode(code)));
        bench.send(2);
        bench.outcomes(1);
        if leader {
            bench.kafka.wait_requests(ApiKey::Metadata, before + 1, soon()).unwrap();
        } else {
            bench.send(3);
            bench.outcomes(1);
            assert_eq!(bench.kafka.requests(ApiKey::Metadata), before, "{code}");
        }
    }
}

#[test]
fn rule_4_7_a_batch_of_several_records_that_is_too_large_is_split_and_arrives_in_order() {
    for code in [10, 18] {
        let bench = bench_on(Options::default(), 2, &[("linger.ms", "50"), ("acks", "all")]);
        let fault = bench.kafka.inject(on_produce(FaultKind::ErrorCode(code)).partition(0));
        (0..7).for_each(|mark| bench.send(mark));
        let record = Record::new(&bench.topic, b"x").with_opaque(7).to_partition(1);
        bench.producer.send(&record, WAIT).unwrap();
        let mut outcomes = bench.outcomes(8);
        outcomes.sort_by_key(|outcome| outcome.0);
        assert_eq!(outcomes.pop(), Some((7, Code::NONE, THERE, 0)), "{code}");
        let all = (0..7).zip(0..).map(|(mark, offset)| (mark, Code::NONE, THERE, offset));
        assert_eq!(outcomes, all.collect::<Vec<_>>(), "{code}");
        assert_eq!(bench.stored(), ["0", "1", "2", "3", "4", "5", "6"]);
        assert_eq!(bench.kafka.injected(fault), 1);
    }
}

#[test]
fn rule_4_8_the_record_that_is_to_blame_has_its_error_and_the_others_may_be_sent_again() {
    let bench = bench_on(Options::default(), 2, &[("linger.ms", "50"), ("acks", "all")]);
    let kind = FaultKind::RecordError { code: 87, record: 2 };
    bench.kafka.inject(on_produce(kind).partition(0));
    (0..4).for_each(|mark| bench.send(mark));
    assert_eq!(bench.flush(), 4);
    let deliveries = bench.producer.poll(WAIT).unwrap();
    for (n, delivery) in deliveries.iter().enumerate() {
        let error = deliveries.error(n).unwrap();
        assert_eq!((delivery.status, delivery.offset), (NOT, -1));
        assert_eq!(delivery.code == Code::INVALID_RECORD, n == 2, "{n}: {error}");
        assert_eq!(error.is_retriable(), n != 2, "{n}: {error}");
        assert_eq!(error.message().contains("record 2 is refused"), n == 2, "{n}: {error}");
    }
    assert!(bench.stored().is_empty());
    bench.send(9);
    assert_eq!(bench.outcomes(1), [(9, Code::NONE, THERE, 0)]);
}

#[test]
fn rule_4_9_a_success_without_offset_is_a_success_at_an_unknown_offset() {
    let bench = bench(&[("linger.ms", "50")]);
    bench.kafka.inject(on_produce(FaultKind::NoOffset));
    (0..3).for_each(|mark| bench.send(mark));
    let expected: Vec<Seen> = (0..3).map(|mark| (mark, Code::NONE, THERE, -1)).collect();
    assert_eq!(bench.outcomes(3), expected, "never -1 and its place in the batch");
    assert_eq!(bench.stored().len(), 3);
}
