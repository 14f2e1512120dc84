//! Our choices against the tables that other clients wrote (`tests/golden/golden-partitioners.sh`).

use std::sync::Arc;

use super::load::Loads;
use super::sticky::Sticky;
use super::*;
use crate::cluster::Topic;

const JAVA: &str = include_str!("../../../tests/golden/partitioners-java-4.3.1.txt");
const LIBRDKAFKA: &str = include_str!("../../../tests/golden/partitioners-librdkafka-2.16.1.txt");
const PYKAFKA: &str = include_str!("../../../tests/golden/partitioners-pykafka-2.8.0.txt");

fn chooser(partitioner: Partitioner, group_size: u32) -> Chooser {
    let partitioning = Partitioning {
        partitioner,
        ignore_keys: false,
        adaptive: true,
        availability_timeout: None,
        group_size,
    };
    Chooser::new(partitioning, 1)
}

/// The words of each line that begins with `kind`.
fn lines<'a>(table: &'a str, kind: &'a str) -> impl Iterator<Item = Vec<&'a str>> {
    table.lines().filter_map(move |line| {
        let mut words = line.split(' ');
        (words.next() == Some(kind)).then(|| words.collect())
    })
}

fn numbers<T: std::str::FromStr>(text: &str, between: char) -> Vec<T>
where
    T::Err: std::fmt::Debug,
{
    text.split(between).map(|number| number.parse().unwrap()).collect()
}

fn key(text: &str) -> Option<Vec<u8>> {
    let hex = text.strip_prefix('x')?;
    Some(
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect(),
    )
}

fn choose(chooser: &Chooser, key: Option<&[u8]>, partitions: u32) -> Result<(i32, bool)> {
    let topic: Arc<Topic> = Topic::lone("orders", 0);
    chooser.choose(&Record { key, ..Record::new(&topic, b"") }, partitions)
}

/// Checks the `key` lines of a table; gives how many there were.
fn check_keys(table: &str, partitioner: Partitioner, name: &str) -> usize {
    let counts: Vec<u32> =
        lines(table, "counts").next().unwrap().iter().map(|n| n.parse().unwrap()).collect();
    let chooser = chooser(partitioner, 1);
    let mut checked = 0;
    for line in lines(table, "key").filter(|line| line[0] == name) {
        let (key, expected) = (key(line[1]), &line[2..]);
        for (at, partitions) in counts.iter().enumerate() {
            let chosen = choose(&chooser, key.as_deref(), *partitions);
            match expected[0] {
                "random" => assert!(chosen.unwrap().1, "{name}: {} is not bound by a key", line[1]),
                "refused" => assert_eq!(chosen.unwrap_err().code(), Code::INVALID_ARGUMENT),
                _ => {
                    let (partition, free) = chosen.unwrap();
                    assert_eq!(
                        partition.to_string(),
                        expected[at],
                        "{name} of {partitions}: {}",
                        line[1]
                    );
                    assert!(!free);
                }
            }
        }
        checked += 1;
    }
    checked
}

#[test]
fn keys_go_where_javas_default_partitioner_sends_them() {
    assert_eq!(check_keys(JAVA, Partitioner::Default, "default"), 41);
}

#[test]
fn keys_go_where_librdkafkas_partitioners_send_them_null_and_empty_ones_too() {
    for (partitioner, name) in [
        (Partitioner::Consistent, "consistent"),
        (Partitioner::ConsistentRandom, "consistent_random"),
        (Partitioner::Murmur2, "murmur2"),
        (Partitioner::Default, "murmur2_random"),
        (Partitioner::Fnv1a, "fnv1a"),
        (Partitioner::Fnv1aRandom, "fnv1a_random"),
    ] {
        assert_eq!(check_keys(LIBRDKAFKA, partitioner, name), 42, "{name}");
    }
}

#[test]
fn keys_go_where_pykafkas_hashing_partitioner_sends_them() {
    assert_eq!(check_keys(PYKAFKA, Partitioner::Hashing, "hashing"), 42);
}

#[test]
fn a_group_of_partitions_shares_a_key_as_in_pykafka() {
    let mut checked = 0;
    for line in lines(PYKAFKA, "group") {
        let chooser = chooser(Partitioner::GroupHashing, line[0].parse().unwrap());
        let (partitions, key) = (line[1].parse().unwrap(), key(line[2]));
        if line[3] == "refused" {
            assert_eq!(
                choose(&chooser, key.as_deref(), partitions).unwrap_err().code(),
                Code::INVALID_ARGUMENT
            );
        } else {
            let mut chosen: Vec<i32> =
                (0..300).map(|_| choose(&chooser, key.as_deref(), partitions).unwrap().0).collect();
            chosen.sort_unstable();
            chosen.dedup();
            assert_eq!(chosen, numbers::<i32>(&line[3..].join(" "), ' '), "{line:?}");
        }
        checked += 1;
    }
    assert_eq!(checked, 78);
}

#[test]
fn kip_794_tables_and_choices_are_javas() {
    let table = |queues: &str, partitions: &str, count: &str| {
        let queues = numbers::<u32>(queues, ',');
        let queues: Vec<_> = numbers::<i32>(partitions, ',').into_iter().zip(queues).collect();
        Loads::new(&queues, count.parse().unwrap())
    };
    let mut checked = 0;
    for line in lines(JAVA, "load") {
        // load QUEUES PARTITIONS of COUNT SUMS
        let loads = table(line[0], line[1], line[3]);
        if line[4] == "uniform" {
            assert_eq!(loads, None, "{line:?}");
        } else {
            let tickets: u64 = numbers::<u64>(line[4], ',').pop().unwrap();
            assert_eq!(loads.unwrap().tickets(), tickets, "{line:?}");
        }
        checked += 1;
    }
    for line in lines(JAVA, "draw") {
        // draw RANDOM QUEUES PARTITIONS of COUNT PARTITION
        let (random, loads) = (line[0].parse::<u64>().unwrap(), table(line[1], line[2], line[4]));
        let loads = loads.unwrap();
        let chosen = loads.partition(random % loads.tickets()).unwrap();
        assert_eq!(chosen.to_string(), line[5], "{line:?}");
        checked += 1;
    }
    assert_eq!(checked, 16 + 143);
}

#[test]
fn turns_go_round_among_partitions_with_a_leader_as_in_java_and_in_pykafka() {
    for (client, table, first) in [("Java", JAVA, 0), ("PyKafka", PYKAFKA, 1)] {
        for line in lines(table, "turns") {
            // turns AVAILABLE of COUNT PARTITION…
            let count = line[2].parse().unwrap();
            let available = if line[0] == "-" { Vec::new() } else { numbers(line[0], ',') };
            let sticky = Sticky::new(1, true);
            sticky.set_available(available, count);
            // PyKafka's counter is one ahead.
            (0..first).for_each(|_| assert!(sticky.turn(count) == 0));
            let chosen: Vec<String> =
                line[3..].iter().map(|_| sticky.turn(count).to_string()).collect();
            assert_eq!(chosen, line[3..], "{client}: {line:?}");
        }
    }
}

#[test]
fn rule_4_17_keys_count_all_partitions_whoever_leads_them() {
    for partitioner in
        [Partitioner::Default, Partitioner::Consistent, Partitioner::Fnv1a, Partitioner::Hashing]
    {
        let chooser = chooser(partitioner, 1);
        let places = || -> Vec<i32> {
            let place = |key: u32| choose(&chooser, Some(&key.to_be_bytes()), 12).unwrap().0;
            (0..100).map(place).collect()
        };
        let before = places();
        chooser.set_available(vec![3], 12);
        assert_eq!(before, places());
        assert!(before.iter().all(|partition| (0..12).contains(partition)));
    }
}

#[test]
fn kip_794_keys_are_ignored_on_request_by_the_default_partitioner_alone() {
    for (partitioner, free) in [(Partitioner::Default, true), (Partitioner::Murmur2, false)] {
        let mut chooser = chooser(partitioner, 1);
        chooser = Chooser::new(Partitioning { ignore_keys: true, ..chooser.partitioning }, 1);
        assert_eq!(choose(&chooser, Some(b"key"), 12).unwrap().1, free);
    }
}
