//! What peers write in transactions: who reads committed data sees exactly what was committed.

use std::io::{BufRead, BufReader, Write};
use std::process::Command;

use samsa::Code;
use samsa::consumer::{Consumer, Name, Position};

use crate::ground::Ground;
use crate::harness::java;
use crate::ours;
use crate::peers::python::Client;
use crate::programs::{talk, text};

/// Records of the script that were committed before the transaction that stays open.
const KEPT: usize = 15 + 1;
/// All of them, in order of the log: kept, dropped, plain, and behind them an open transaction.
const WRITTEN: usize = 15 + 12 + 1 + 5 + 1;

/// Kafka's own client.
pub fn java(ground: &Ground) {
    for codec in ["none", "gzip"] {
        let topic = ground.topic("java-transactions");
        let mut command = java::program(ground.release, "Transactions.java");
        command.args([&ground.address, &topic, codec]);
        read_through(ground, &topic, &command);
    }
}

/// librdkafka.
pub fn confluent(ground: &Ground) {
    let (release, address) = (ground.release, &ground.address);
    for codec in ["none", "lz4"] {
        let topic = ground.topic("librdkafka-transactions");
        let command = Client::Confluent.transactions(release, address, &topic, codec);
        read_through(ground, &topic, &command);
    }
}

fn read_through(ground: &Ground, topic: &str, command: &Command) {
    let (address, context) = (&ground.address, format!("{topic} on {}", ground.release.version));
    let mut writer = talk(command);
    let mut said = String::new();
    let mut out = BufReader::new(writer.stdout.take().expect("a pipe"));
    let read = out.read_line(&mut said);
    if said != "open\n" {
        let output = writer.wait_with_output().expect("its end");
        panic!("{context}: {read:?} {said:?} {}", text(&output.stderr));
    }

    let committed = [("isolation.level", "read_committed")];
    let careful = ours::reader(address, topic, &committed).expect("a consumer");
    let bold = ours::reader(address, topic, &[]).expect("a consumer");
    let all = take(&bold, WRITTEN);
    let kept = take(&careful, KEPT);
    let wanted: Vec<_> = all.iter().filter(|r| is_kept(&r.1)).cloned().collect();
    assert_eq!(kept, wanted, "{context}: what was committed, where it is, in order");
    let (last_stable, _) = *all.iter().find(|r| r.1.starts_with("late")).expect("the open one");

    // Nothing behind the last stable offset, which is the end for who reads committed data.
    assert_eq!(careful.poll(300).expect_err("nothing more").code(), Code::NOTHING, "{context}");
    let place = Position::new(Name::new(topic).expect("a name"), 0);
    assert_eq!(careful.lag(&place).expect("a lag"), Some(0), "{context}");
    let at = careful.position(None).expect("positions")[0].offset;
    assert_eq!(at, Some(last_stable), "{context}: past markers and dropped records");
    assert_eq!(end_of(&careful, &place), last_stable, "{context}");
    let (_, last) = all.last().expect("records");
    assert_eq!(last, "behind 0", "{context}");
    assert!(end_of(&bold, &place) > last_stable, "{context}");

    writer.stdin.take().expect("a pipe").write_all(b"\n").expect("it waits");
    let late = take(&careful, 6);
    let wanted = ["late 0", "late 1", "late 2", "late 3", "late 4", "behind 0"];
    assert_eq!(late.iter().map(|r| &*r.1).collect::<Vec<_>>(), wanted, "{context}");
    let output = writer.wait_with_output().expect("its end");
    assert!(output.status.success(), "{context}: {}", text(&output.stderr));
    // The marker is behind the last record.
    let end = end_of(&bold, &place);
    assert_eq!(end_of(&careful, &place), end, "{context}: no transaction is open");
    assert_eq!(careful.poll(100).expect_err("nothing more").code(), Code::NOTHING, "{context}");
    assert_eq!(careful.position(None).expect("positions")[0].offset, Some(end), "{context}");
}

fn is_kept(value: &str) -> bool {
    value.starts_with("kept") || value.starts_with("plain")
}

/// The next `count` records: offset and value.
fn take(consumer: &Consumer, count: usize) -> Vec<(i64, String)> {
    let mut records = Vec::new();
    while records.len() < count {
        let batch = consumer.poll(60_000).expect("records");
        records.extend(batch.iter().map(|r| (r.offset(), text(r.value().unwrap_or_default()))));
    }
    assert_eq!(records.len(), count, "{records:?}");
    records
}

/// The end of the log by ListOffsets, with the consumer's isolation level.
fn end_of(consumer: &Consumer, place: &Position) -> i64 {
    let (_, end) = consumer.watermarks(place, 60_000).expect("the ends of the log");
    end
}
