//! Records in, records on the broker, outcomes back.

use samsa::Code;
use samsa::cluster::Cluster;
use samsa::config::Config;
use samsa::embedded::{self, FaultKind, Options};
use samsa::producer::{Producer, Record, partitioner};
use samsa::protocol::modern::ApiKey;
use samsa::protocol::record::Header;

use crate::bench::{NOT, THERE, WAIT, bench, bench_on, on_produce, seen, soon};

#[test]
fn every_record_arrives_as_it_was_given_and_its_outcome_says_where() {
    let bench = bench(&[]);
    let headers = [
        Header { name: b"a", value: Some(b"1") },
        Header { name: b"a", value: None },
        Header { name: b"b", value: Some(b"") },
    ];
    let record = Record {
        timestamp: Some(1_700_000_000_123),
        headers: &headers,
        value: None,
        ..Record::new(&bench.topic, b"").with_key(b"").with_opaque(42).to_partition(0)
    };
    bench.producer.send(&record, WAIT).unwrap();
    let deliveries = bench.producer.poll(WAIT).unwrap();
    let delivery = deliveries.iter().next().unwrap();
    assert_eq!(seen(&delivery), (42, Code::NONE, THERE, 0));
    assert_eq!((delivery.partition, delivery.timestamp), (0, 1_700_000_000_123));
    assert_eq!(&**deliveries.runs().next().unwrap().topic.name(), "orders");
    assert!(deliveries.error(0).is_none());
    let stored = bench.kafka.records("orders", 0).unwrap();
    let [stored] = &stored[..] else { panic!("{stored:?}") };
    assert_eq!(stored.timestamp, 1_700_000_000_123);
    assert_eq!((stored.key.as_deref(), stored.value.as_deref()), (Some(&b""[..]), None));
    let headers: Vec<_> = stored.headers.iter().map(|(n, v)| (&n[..], v.as_deref())).collect();
    assert_eq!(headers, [(&b"a"[..], Some(&b"1"[..])), (b"a", None), (b"b", Some(b""))]);
}

#[test]
fn keyed_records_go_where_javas_default_partitioner_sends_them() {
    let bench = bench_on(Options::default(), 12, &[]);
    for key in 0..100_u32 {
        let key = key.to_be_bytes();
        let record = Record::new(&bench.topic, b"v").with_key(&key);
        bench.producer.send(&record, WAIT).unwrap();
    }
    assert_eq!(bench.flush(), 0);
    for partition in 0..12 {
        for record in bench.kafka.records("orders", partition).unwrap() {
            assert_eq!(partitioner::keyed(&record.key.unwrap(), 12), partition);
        }
    }
}

#[test]
fn keyless_records_fill_batches_and_reach_every_partition() {
    let bench = bench_on(Options::default(), 4, &[("batch.size", "1000"), ("linger.ms", "50")]);
    for _ in 0..400 {
        bench.producer.send(&Record::new(&bench.topic, &[7; 90]), WAIT).unwrap();
    }
    assert_eq!(bench.flush(), 0);
    let counts: Vec<_> = (0..4).map(|partition| bench.stored_in(partition).len()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 400);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    let requests = bench.kafka.requests(ApiKey::Produce);
    assert!(requests <= 90, "batches, not records, travel: {requests} requests");
}

#[test]
fn every_codec_arrives_and_one_topic_can_have_its_own() {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let bench = bench(&[("topic.orders.compression.type", codec), ("linger.ms", "20")]);
        (0..50).for_each(|mark| bench.send(mark));
        assert_eq!(bench.flush(), 0, "{codec}");
        let expected: Vec<_> = (0..50).map(|mark| mark.to_string()).collect();
        assert_eq!(bench.stored(), expected, "{codec}");
        let attributes = bench.kafka.batches("orders", 0).unwrap()[0][22];
        let id = ["none", "gzip", "snappy", "lz4", "zstd"].iter().position(|it| *it == codec);
        assert_eq!(usize::from(attributes & 7), id.unwrap());
    }
}

#[test]
fn a_batch_call_counts_what_it_accepted_up_to_the_refused_one() {
    let bench = bench(&[]);
    let good = Record::new(&bench.topic, b"good").to_partition(0);
    let bad = Record { timestamp: Some(-5), ..good };
    let (accepted, result) = bench.producer.send_batch([good, good, bad, good], WAIT);
    assert_eq!(accepted, 2);
    assert_eq!(result.unwrap_err().code(), Code::INVALID_ARGUMENT);
    assert_eq!(bench.outcomes(2).len(), 2, "refused records have no outcome");
}

#[test]
fn with_timeout_0_a_topic_that_is_not_known_yet_is_looked_up_and_told() {
    let bench = bench(&[]);
    let record = Record::new(&bench.topic, b"x").to_partition(0);
    let refused = bench.producer.send(&record, 0);
    if let Err(error) = refused {
        assert_eq!(error.code(), Code::WOULD_BLOCK);
        let deadline = soon().unwrap();
        while let Err(error) = bench.producer.send(&record, 0) {
            assert_eq!(error.code(), Code::WOULD_BLOCK);
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        }
    }
    assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
}

#[test]
fn topics_are_created_when_brokers_allow_it_and_refused_in_time_when_not() {
    let kafka =
        embedded::Cluster::start_with(Options { auto_create_topics: false, ..Options::default() });
    let bench = crate::bench::on(kafka.unwrap(), &[("max.block.ms", "300")]);
    let error = bench.producer.send(&Record::new(&bench.topic, b"x"), -1).unwrap_err();
    assert!(
        matches!(error.code(), Code::UNKNOWN_TOPIC_OR_PARTITION | Code::TIMED_OUT),
        "{error:?}"
    );
    assert_eq!(error.topic(), Some("orders"), "{error}");

    let bench = crate::bench::on(embedded::Cluster::start(1).unwrap(), &[]);
    bench.send(1);
    assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
}

#[test]
fn a_send_that_gets_no_metadata_names_the_broker_that_keeps_silent() {
    // The system accepts the connections; nobody ever answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let mut config = Config::new();
    config.set("bootstrap.servers", &address).unwrap();
    let cluster = Cluster::open(&config).unwrap();
    let topic = cluster.topic("orders").unwrap();
    let producer = Producer::new(&cluster, None).unwrap();
    let error = producer.send(&Record::new(&topic, b"x"), 300).unwrap_err();
    assert_eq!((error.code(), error.topic()), (Code::TIMED_OUT, Some("orders")));
    let text = error.to_string();
    assert!(text.contains(&address) && !text.contains("max.block.ms"), "{text}");
}

#[test]
fn bad_records_are_refused_at_once_and_named() {
    let bench = bench(&[("max.request.size", "2000")]);
    let large = vec![0; 2_001];
    let error = bench.producer.send(&Record::new(&bench.topic, &large), WAIT).unwrap_err();
    assert_eq!(error.code(), Code::RECORD_TOO_LARGE);
    assert_eq!((error.topic(), error.property()), (Some("orders"), Some("max.request.size")));

    let nowhere = Record::new(&bench.topic, b"x").to_partition(7);
    let error = bench.producer.send(&nowhere, WAIT).unwrap_err();
    assert_eq!(error.code(), Code::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(error.partition(), Some(7));
    assert!(error.message().contains("it has 1"), "{error}");

    let mut config = Config::new();
    config.set("bootstrap.servers", &bench.kafka.address()).unwrap();
    let other = Cluster::open(&config).unwrap();
    let foreign = other.topic("orders").unwrap();
    let error = bench.producer.send(&Record::new(&foreign, b"x"), WAIT).unwrap_err();
    assert_eq!(error.code(), Code::FOREIGN_TOPIC);
}

#[test]
fn rule_4_9_acks_0_completes_when_written_and_knows_no_offset() {
    let bench = bench(&[("acks", "0")]);
    (0..10).for_each(|mark| bench.send(mark));
    for (_, code, status, offset) in bench.outcomes(10) {
        assert_eq!((code, status, offset), (Code::NONE, crate::bench::MAYBE, -1));
    }
    bench.kafka.wait_log_end("orders", 0, 10, soon().unwrap()).unwrap();
}

#[test]
fn acks_1_and_all_give_offsets_and_log_append_time_wins_over_the_records() {
    for acks in ["1", "all"] {
        let options = Options { log_append_time: true, ..Options::default() };
        let bench = bench_on(options, 1, &[("acks", acks)]);
        let record = Record { timestamp: Some(5), ..Record::new(&bench.topic, b"x") };
        bench.producer.send(&record, WAIT).unwrap();
        let deliveries = bench.producer.poll(WAIT).unwrap();
        assert!(deliveries.iter().all(|one| one.offset == 0 && one.timestamp > 1_600_000_000_000));
    }
}

#[test]
fn one_request_carries_every_ready_partition_of_its_broker() {
    let bench = bench_on(Options::default(), 8, &[("linger.ms", "100")]);
    // The first request is held up; meanwhile every partition gets something.
    for round in 0..3_u8 {
        for partition in 0..8 {
            let value = [round];
            let record = Record::new(&bench.topic, &value).to_partition(partition);
            bench.producer.send(&record, WAIT).unwrap();
        }
    }
    assert_eq!(bench.flush(), 0);
    let requests = bench.kafka.requests(ApiKey::Produce);
    assert!(requests <= 8, "24 records to 8 partitions took {requests} requests");
}

#[test]
fn order_within_a_partition_holds_for_each_thread() {
    let bench = bench_on(Options::default(), 3, &[("batch.size", "500")]);
    std::thread::scope(|threads| {
        for thread in 0..4_u64 {
            let bench = &bench;
            threads.spawn(move || {
                for count in 0..500_u64 {
                    let value = format!("{thread}:{count:05}");
                    let partition = i32::try_from(count % 3).unwrap();
                    let record =
                        Record::new(&bench.topic, value.as_bytes()).to_partition(partition);
                    bench.producer.send(&record, WAIT).unwrap();
                }
            });
        }
    });
    assert_eq!(bench.flush(), 0);
    let mut all = 0;
    for partition in 0..3 {
        let stored = bench.stored_in(partition);
        all += stored.len();
        for thread in 0..4 {
            let own: Vec<_> =
                stored.iter().filter(|value| value.starts_with(&format!("{thread}:"))).collect();
            assert!(own.is_sorted(), "thread {thread} of partition {partition}");
        }
    }
    assert_eq!(all, 2_000);
}

#[test]
fn several_clusters_and_producers_live_side_by_side() {
    let (one, two) = (bench(&[]), bench(&[]));
    let third = Producer::new(&one.cluster, None).unwrap();
    one.send(1);
    two.send(2);
    third.send(&Record::new(&one.topic, b"3").to_partition(0), WAIT).unwrap();
    assert_eq!(third.flush(WAIT, None).0, 0);
    assert_eq!((one.flush(), two.flush()), (0, 0));
    assert_eq!((one.stored().len(), two.stored().len()), (2, 1));
}

#[test]
fn a_refused_topic_does_not_hold_up_another() {
    let bench = bench(&[]);
    bench.kafka.create_topic("other", 1).unwrap();
    let other = bench.cluster.topic("other").unwrap();
    bench.kafka.inject(on_produce(FaultKind::ErrorCode(29)));
    bench.send(1);
    bench.producer.send(&Record::new(&other, b"x").with_opaque(2), WAIT).unwrap();
    let mut outcomes = bench.outcomes(2);
    outcomes.sort_by_key(|outcome| outcome.0);
    assert_eq!(outcomes[0], (1, Code::TOPIC_AUTHORIZATION_FAILED, NOT, -1));
    assert_eq!(outcomes[1], (2, Code::NONE, THERE, 0));
}

#[test]
fn round_robin_and_random_spread_records_whatever_their_key() {
    for partitioner in ["roundrobin", "random"] {
        let bench = bench_on(Options::default(), 4, &[("topic.orders.partitioner", partitioner)]);
        for _ in 0..200 {
            let record = Record::new(&bench.topic, b"v").with_key(b"one and the same");
            bench.producer.send(&record, WAIT).unwrap();
        }
        assert_eq!(bench.flush(), 0);
        let counts: Vec<_> = (0..4).map(|partition| bench.stored_in(partition).len()).collect();
        assert_eq!(counts.iter().sum::<usize>(), 200);
        match partitioner {
            "roundrobin" => assert_eq!(counts, [50; 4]),
            _ => assert!(counts.iter().all(|count| *count > 10), "{counts:?}"),
        }
    }
}

#[test]
fn partitions_that_are_added_are_found() {
    let bench = bench_on(Options::default(), 1, &[]);
    bench.send(1);
    assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
    bench.kafka.grow_topic("orders", 3).unwrap();
    let record = Record::new(&bench.topic, b"x").with_opaque(2).to_partition(2);
    let deadline = soon().unwrap();
    while let Err(error) = bench.producer.send(&record, WAIT) {
        assert_eq!(error.code(), Code::UNKNOWN_TOPIC_OR_PARTITION);
        assert!(error.is_retriable() && std::time::Instant::now() < deadline);
        std::thread::yield_now();
    }
    assert_eq!(bench.outcomes(1), [(2, Code::NONE, THERE, 0)]);
}
