//! Kafka 0.7 behind a real ZooKeeper: embedded brokers of 0.7 that register themselves there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::time::{Duration, Instant};

use samsa::Code;
use samsa::cluster::Cluster;
use samsa::consumer::Consumer;
use samsa::embedded::legacy::{Cluster as Brokers, Options};
use samsa::producer::{Producer, Record};
use samsa::protocol::legacy::MessageSet;

use super::zookeeper::{PATIENCE, Place, config, soon};
use crate::harness::process::wait_until;
use crate::harness::proxy::Proxy;
use crate::programs::{end, program, rows, run, talk, text};

/// Brokers that register themselves there, as theirs do.
fn brokers(place: &Place, count: usize) -> Brokers {
    let zookeeper = Some(place.connect());
    let options = Options { brokers: count, partitions: 2, zookeeper, ..Options::default() };
    Brokers::start(options).expect("the embedded brokers")
}

/// Every message of a topic, by broker, partition and order.
fn messages(brokers: &Brokers, topic: &str) -> Vec<String> {
    let mut found = Vec::new();
    for broker in (0_i32..).take(brokers.brokers()) {
        for partition in 0..2 {
            let log = brokers.log(broker, topic, partition).expect("a broker");
            for message in MessageSet::new(log.into(), 0) {
                let opened = message.expect("whole").open(true, 1 << 24).expect("sound");
                for inner in opened.messages() {
                    let payload = inner.payload.of(&opened.buffer).expect("bytes");
                    found.push(text(payload));
                }
            }
        }
    }
    found
}

fn open(place: &Place, options: &[(&str, &str)]) -> Arc<Cluster> {
    let cluster = Cluster::open(&config(&place.connect(), options)).expect("open does not wait");
    cluster.wait_ready(Some(soon())).expect("the registry is all there is to know");
    cluster
}

fn publish(cluster: &Arc<Cluster>, topic: &str, broker: i64, value: &str) {
    let publisher = Producer::publisher(cluster).expect("a publisher");
    let topic = cluster.topic(topic).expect("a name");
    let record = Record::new(&topic, value.as_bytes()).to_partition(broker << 32);
    publisher.publish(&[record], Some(soon())).expect("published");
    publisher.close(5_000, None).expect("closed");
}

/// What brokers registered, and the group's nodes, are one user's. Who gives the password finds the cluster
/// and is a member; nobody else is.
pub fn closed(place: &Place) {
    const USER: &str = "me:pass:word";
    let options = Options { brokers: 1, partitions: 1, zookeeper: None, ..Options::default() };
    let brokers = Brokers::start(options).expect("the embedded broker");
    let port = brokers.address(0).expect("a broker").port();
    let witness = place.witness();
    for path in ["/brokers", "/brokers/ids", "/brokers/topics", "/brokers/topics/t", "/consumers"] {
        witness.create_closed(path, b"", USER);
    }
    let broker = format!("127.0.0.1-1:127.0.0.1:{port}");
    witness.create_closed("/brokers/ids/0", broker.as_bytes(), USER);
    witness.create_closed("/brokers/topics/t/0", b"1", USER);

    let stranger = Cluster::open(&config(&place.connect(), &[])).expect("open does not wait");
    let refused = stranger.wait_ready(Some(Instant::now() + Duration::from_secs(2)));
    let refused = refused.expect_err("it may read nothing").to_string();
    assert!(stranger.metadata().brokers.is_empty(), "{refused}");

    let known = ("samsa.zookeeper.auth", "digest:me:pass:word");
    let cluster = open(place, &[known]);
    publish(&cluster, "t", 0, "one");
    let options = [known, ("group.id", "g"), ("auto.offset.reset", "earliest")];
    let cluster = open(place, &options);
    let member = Consumer::new(&cluster, None).expect("a consumer");
    member.subscribe(&["t"]).expect("subscribed");
    let message = member.next(60_000).expect("a message");
    assert_eq!(message.record().value(), Some(&b"one"[..]));
    drop(message);
    assert_eq!(witness.children("/consumers/g/owners/t"), ["0-0"]);
    member.close(60_000).expect("committed and left");
    let (offset, _) = witness.get("/consumers/g/offsets/t/0-0").expect("committed");
    assert_eq!(offset, brokers.log_end(0, "t", 0).expect("a broker").to_string().as_bytes());
}

/// Brokers register themselves as those of 0.7 do, unregister as they stop, and register again when
/// their session is over; seen by a client that somebody else wrote.
pub fn registration(place: &Place) {
    let (witness, proxy) = (place.witness(), Proxy::before(&place.server));
    let options = Options {
        brokers: 2,
        partitions: 3,
        zookeeper: Some(place.through(&proxy.address())),
        zookeeper_session_timeout: Duration::from_secs(2),
        ..Options::default()
    };
    let brokers = Brokers::start(options).expect("the embedded brokers");
    assert_eq!(witness.children("/brokers/ids"), ["0", "1"]);
    assert_eq!(witness.get("/brokers/topics").expect("made").1, 0, "persistent");
    let registered = |id: i32| {
        let (data, session) = witness.get(&format!("/brokers/ids/{id}"))?;
        let text = String::from_utf8(data).expect("text");
        let fields: Vec<&str> = text.split(':').collect();
        let port = brokers.address(id).expect("a broker").port().to_string();
        // creator:host:port, and the creator is host-milliseconds.
        let [creator, host, at] = fields[..] else { panic!("{text}") };
        let (named, time) = creator.rsplit_once('-').expect("a time");
        assert_eq!((host, at, named), ("127.0.0.1", &*port, host), "{text}");
        assert!(time.parse::<u64>().expect("milliseconds") > 1_700_000_000_000, "{text}");
        Some(session)
    };
    let sessions = [registered(0).expect("there"), registered(1).expect("there")];
    assert!(sessions[0] != 0 && sessions[1] != 0 && sessions[0] != sessions[1], "ephemeral");

    assert!(witness.children("/brokers/topics").is_empty(), "until it is written to");
    let cluster = open(place, &[]);
    publish(&cluster, "t", 1, "m");
    let there = || witness.get("/brokers/topics/t/1");
    assert!(
        wait_until(PATIENCE, || there() == Some((b"3".to_vec(), sessions[1]))),
        "{:?}",
        there()
    );
    assert_eq!(witness.get("/brokers/topics/t"), Some((Vec::new(), 0)), "persistent, without data");
    assert_eq!(witness.children("/brokers/topics/t"), ["1"]);

    brokers.stop_broker(1).expect("stopped");
    assert!(wait_until(PATIENCE, || witness.children("/brokers/ids") == ["0"]));
    assert!(
        witness.children("/brokers/topics/t").is_empty()
            && witness.get("/brokers/topics/t").is_some()
    );
    brokers.start_broker(1).expect("started");
    assert_eq!(witness.children("/brokers/ids"), ["0", "1"]);
    assert!(wait_until(PATIENCE, || there().is_some()), "with its topics");

    proxy.set_silent(true);
    assert!(wait_until(PATIENCE, || witness.children("/brokers/ids").is_empty()), "expired");
    proxy.set_silent(false);
    assert!(wait_until(PATIENCE, || witness.children("/brokers/ids") == ["0", "1"]));
    assert!(wait_until(PATIENCE, || there().is_some()), "with its topics");
    assert_ne!(registered(0), Some(sessions[0]), "in another session");
    cluster.close(Some(soon())).expect("closed");
}

/// Brokers die and come back under a stream of messages: each is written once at least.
pub fn publishing(place: &Place) {
    let brokers = brokers(place, 3);
    let cluster = open(place, &[("linger.ms", "1"), ("batch.size", "500")]);
    let topic = cluster.topic("t").expect("a name");
    let producer = Producer::new(&cluster, None).expect("a producer");
    let mut sent = 0;
    for victim in 0..3 {
        for step in 0..3 {
            for _ in 0..300 {
                let value = sent.to_string();
                producer.send(&Record::new(&topic, value.as_bytes()), -1).expect("accepted");
                sent += 1;
            }
            match step {
                0 => brokers.close_connections(Some(victim)).expect("closed"),
                1 => brokers.stop_broker(victim).expect("stopped"),
                _ => brokers.start_broker(victim).expect("started"),
            }
        }
    }
    let (failed, flushed) = producer.flush(60_000, None);
    flushed.expect("every outcome is there");
    assert_eq!(failed, 0);
    let mut written = messages(&brokers, "t");
    written.sort_by_key(|value| value.parse::<u32>().expect("a number"));
    written.dedup();
    let expected: Vec<String> = (0..sent).map(|number| number.to_string()).collect();
    assert!(written == expected, "{} of {sent} messages were written", written.len());
    cluster.close(Some(soon())).expect("closed");
}

/// A topic is virtual until it is written to, and what the broker registers then is seen.
pub fn virtual_partitions(place: &Place) {
    let brokers = brokers(place, 2);
    let cluster = open(place, &[]);
    let topic = cluster.topic("new").expect("a name");
    let known = cluster.wait_topic(&topic, Some(soon())).expect("every topic exists");
    assert!((0..2).all(|index| known.is_virtual(index)) && known.partitions.len() == 2);
    let publisher = Producer::publisher(&cluster).expect("a publisher");
    let record = Record::new(&topic, b"m").to_partition(1_i64 << 32);
    assert_eq!(publisher.publish(&[record], Some(soon())).expect("published"), (1 << 32, -1));
    assert!(brokers.has_topic(1, "new").expect("a broker"));
    let numbers = || {
        let known = topic.metadata().expect("known");
        (0..known.partitions.len())
            .map(|index| (known.number(index), known.is_virtual(index)))
            .collect::<Vec<_>>()
    };
    let wanted = [(0, true), (1 << 32, false), (1 << 32 | 1, false)];
    assert!(wait_until(PATIENCE, || numbers() == wanted), "{:?}", numbers());
    publisher.close(5_000, None).expect("closed");
    cluster.close(Some(soon())).expect("closed");
}

/// A member of a group that begins with the oldest message.
fn member(place: &Place, group: &str) -> Arc<Consumer> {
    let options = [
        ("group.id", group),
        ("group.protocol", "zookeeper"),
        ("auto.offset.reset", "earliest"),
        ("rebalance.backoff.ms", "200"),
        ("fetch.max.wait.ms", "50"),
        ("reconnect.backoff.max.ms", "200"),
    ];
    let cluster = open(place, &options);
    let consumer = Consumer::new(&cluster, None).expect("a consumer");
    consumer.subscribe(&["t"]).expect("subscribed");
    consumer
}

/// How often each group has read each message.
type Read = BTreeMap<String, u32>;

/// Lets a member read what there is at this moment.
fn turn(consumer: &Consumer, read: &mut Read) {
    match consumer.poll(50) {
        Ok(batch) => {
            for record in batch.iter() {
                *read.entry(text(record.value().expect("a value"))).or_default() += 1;
            }
        }
        Err(error) if error.code() == Code::NOTHING || error.is_retriable() => {}
        Err(error) => panic!("{error}"),
    }
}

/// Two members of one group share a queue, another group has all of it; brokers die and come back
/// meanwhile, publishing goes on, and nobody misses a message.
pub fn groups(place: &Place) {
    let brokers = brokers(place, 3);
    let cluster = open(place, &[("linger.ms", "1")]);
    let topic = cluster.topic("t").expect("a name");
    let producer = Producer::new(&cluster, None).expect("a producer");
    let members = [member(place, "queue"), member(place, "queue"), member(place, "topic")];
    let mut ledgers = [Read::new(), Read::new(), Read::new()];
    let mut sent = 0_u32;
    let wait_all = |sent: u32, ledgers: &mut [Read; 3]| {
        let end = soon();
        loop {
            for (member, read) in members.iter().zip(ledgers.iter_mut()) {
                turn(member, read);
            }
            let [a, b, c] = &*ledgers;
            let shared = a.keys().chain(b.keys().filter(|value| !a.contains_key(*value))).count();
            if (shared, c.len()) == (sent as usize, sent as usize) {
                return;
            }
            assert!(std::time::Instant::now() < end, "{shared} and {} of {sent}", c.len());
        }
    };
    for victim in [None, Some(0), Some(1), Some(2)] {
        victim.map_or(Ok(()), |broker| brokers.stop_broker(broker)).expect("stopped");
        for _ in 0..200 {
            producer.send(&Record::new(&topic, sent.to_string().as_bytes()), -1).expect("accepted");
            sent += 1;
        }
        producer.flush(60_000, None).1.expect("written to those that are left");
        if let Some(broker) = victim {
            brokers.start_broker(broker).expect("started");
        }
        wait_all(sent, &mut ledgers);
    }
    // Members that were slow to share find more to share.
    let end = soon();
    while ledgers[..2].iter().any(BTreeMap::is_empty) {
        assert!(std::time::Instant::now() < end, "one member reads everything");
        for _ in 0..50 {
            producer.send(&Record::new(&topic, sent.to_string().as_bytes()), -1).expect("accepted");
            sent += 1;
        }
        producer.flush(60_000, None).1.expect("written");
        wait_all(sent, &mut ledgers);
    }
    // What the brokers have twice is read twice. Else a group reads again only what a member had not
    // committed when a broker, and with it the partition, went.
    let written = messages(&brokers, "t").len() as u32;
    let all = ledgers[2].values().sum::<u32>();
    assert!(all >= sent && all <= 2 * written, "{all} of {written}, {sent} different ones");
    for member in members {
        member.close(30_000).expect("closed");
    }
    assert!(place.witness().children("/consumers/queue/ids").is_empty());
    cluster.close(Some(soon())).expect("closed");
}

/// The programs that publish to today's brokers, and consume from them, do so with 0.7 with another
/// address and nothing else.
pub fn programs(place: &Place) {
    // Brokers that a program in C has started.
    let mut started = program("embedded");
    let mut started = talk(started.args(["legacy", "2", "2", &place.connect()]));
    let mut said = String::new();
    BufReader::new(started.stdout.as_mut().expect("a pipe")).read_line(&mut said).expect("a line");
    assert_eq!(said.trim(), place.connect());
    assert_eq!(place.witness().children("/brokers/ids"), ["0", "1"]);

    let through = format!("zookeeper.connect={}", place.connect());
    let done = |name: &str, arguments: &[&str], input: &str| {
        let output = run(program(name).args(arguments).arg(&through), input.as_bytes());
        assert!(output.status.success(), "{name} failed: {}", text(&output.stderr));
        output.stdout
    };
    let read = |arguments: &[&str]| rows(&done("consume", arguments, ""));
    let consumed = |arguments: &[&str]| -> Vec<String> {
        read(arguments).into_iter().map(|row| row[5].clone()).collect()
    };
    done("publish", &["fruit"], "");
    let fruit = consumed(&["-n", "6", "fruit"]);
    for one in ["an apple", "a banana", "a cherry"] {
        assert_eq!(fruit.iter().filter(|value| *value == one).count(), 1, "{fruit:?}");
    }
    let list = ["a date", "an elderberry", "a fig"];
    assert!(fruit.windows(3).any(|window| window == list), "in order: {fruit:?}");

    let lines: Vec<String> = (0..2_000).map(|number| format!("line {number}")).collect();
    done("produce", &["lines"], &(lines.join("\n") + "\n"));
    let mut places = BTreeSet::new();
    for arguments in [&["-n", "2000", "lines"][..], &["-n", "2000", "-g", "basket", "lines"]] {
        let mut rows = read(arguments);
        rows.sort_by_key(|row| row[5][5..].parse::<u32>().expect("a number"));
        assert!(rows.iter().map(|row| &row[5]).eq(&lines), "{arguments:?}: {rows:?}");
        places.extend(rows.into_iter().map(|row| row[0].clone()));
    }
    // Where the group has come to: at least where it has read. A partition without messages counts too, and
    // a broker that was never written to has none.
    let offsets = BTreeSet::from_iter(place.witness().children("/consumers/basket/offsets/lines"));
    let all = ["0-0", "0-1", "1-0", "1-1"].map(str::to_owned).into();
    assert!(places.is_subset(&offsets) && offsets.is_subset(&all), "{offsets:?} of {places:?}");

    let told = text(&done("log_publisher", &["log"], "first\nsecond\n"));
    assert!(told.contains("lines published, 0 not, 0 dropped"), "{told}");
    let logged = consumed(&["-n", "2", "log"]);
    assert_eq!(logged, ["program: first", "program: second"]);

    let shown = text(&done("cluster", &[], ""));
    assert!(shown.contains("fruit") && shown.contains("lines"), "{shown}");
    end(started);
    assert!(place.witness().children("/brokers/ids").is_empty(), "they left politely");
}
