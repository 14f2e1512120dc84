//! Old brokers: their format, or an error that names them.

use samsa::Code;
use samsa::embedded::{Options, Release};
use samsa::producer::Record;
use samsa::protocol::record::Header;

use crate::bench::{Bench, THERE, WAIT, bench_on};

const ALL: [Release; 9] = [
    Release::V0_8_2,
    Release::V0_9_0,
    Release::V0_10_0,
    Release::V0_10_2,
    Release::V0_11_0,
    Release::V1_1,
    Release::V2_8,
    Release::V3_9,
    Release::V4_3,
];

fn playing(release: Release, properties: &[(&str, &str)]) -> Bench {
    bench_on(Options { release, ..Options::default() }, 1, properties)
}

fn magic(bench: &Bench) -> u8 {
    bench.kafka.batches("orders", 0).unwrap()[0][16]
}

#[test]
fn rule_3_15_every_release_gets_the_format_it_takes_plain_and_compressed() {
    for release in ALL {
        for codec in ["none", "gzip", "snappy", "lz4"] {
            if codec == "lz4" && release < Release::V0_9_0 {
                continue;
            }
            let bench = playing(release, &[("compression.type", codec), ("linger.ms", "10")]);
            (0..30).for_each(|mark| bench.send(mark));
            let outcomes = bench.outcomes(30);
            let good = outcomes.iter().all(|outcome| outcome.1 == Code::NONE && outcome.2 == THERE);
            assert!(good, "{release:?} {codec}: {outcomes:?}");
            let expected: Vec<_> = (0..30).map(|mark| mark.to_string()).collect();
            assert_eq!(bench.stored(), expected, "{release:?} {codec}");
            let format = match release {
                Release::V0_8_2 | Release::V0_9_0 => 0,
                Release::V0_10_0 | Release::V0_10_2 => 1,
                _ => 2,
            };
            assert_eq!(magic(&bench), format, "{release:?} {codec}");
        }
    }
}

#[test]
fn rule_2_8_headers_to_brokers_below_0_11_are_an_error_that_names_the_release() {
    for release in [Release::V0_8_2, Release::V0_9_0, Release::V0_10_2] {
        let bench = playing(release, &[]);
        let headers = [Header { name: b"h", value: None }];
        let record = Record { headers: &headers, ..Record::new(&bench.topic, b"x") };
        // The first may be accepted before the broker is known; the answer is the same.
        let error = match bench.producer.send(&record, WAIT) {
            Err(error) => error,
            Ok(()) => bench.producer.poll(WAIT).unwrap().error(0).unwrap(),
        };
        assert_eq!(error.code(), Code::UNSUPPORTED_FEATURE, "{release:?}");
        assert!(error.message().contains("Kafka 0."), "{release:?}: {error}");
        assert!(error.broker().is_some(), "{error:?}");
        bench.send(1);
        assert_eq!(bench.outcomes(1)[0].1, Code::NONE, "plain records go on");
        let error = bench.producer.send(&record, WAIT).unwrap_err();
        assert_eq!(error.code(), Code::UNSUPPORTED_FEATURE, "now it is known beforehand");
        assert!(error.message().contains("Kafka 0."), "{release:?}: {error}");
    }
}

#[test]
fn rule_3_12_zstd_to_brokers_below_2_1_is_an_error_that_names_the_release() {
    for release in [Release::V0_8_2, Release::V0_10_2, Release::V0_11_0, Release::V1_1] {
        let bench = playing(release, &[("compression.type", "zstd")]);
        let record = Record::new(&bench.topic, b"x").to_partition(0);
        let error = match bench.producer.send(&record, WAIT) {
            Err(error) => error,
            Ok(()) => bench.producer.poll(WAIT).unwrap().error(0).unwrap(),
        };
        let codes = [Code::UNSUPPORTED_COMPRESSION_TYPE, Code::UNSUPPORTED_FEATURE];
        assert!(codes.contains(&error.code()), "{release:?}: {error:?}");
        assert!(error.message().contains("is a Kafka"), "{release:?}: {error}");
        let error = bench.producer.send(&record, WAIT).unwrap_err();
        assert!(error.message().contains("is a Kafka"), "{release:?}: {error}");
    }
}

#[test]
fn rule_2_4_and_3_16_an_upgraded_broker_gets_the_new_format_and_a_downgraded_one_the_old() {
    let bench = playing(Release::V0_10_2, &[]);
    bench.send(1);
    assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
    for (mark, release) in [(2, Release::V3_9), (3, Release::V0_10_2), (4, Release::V0_8_2)] {
        bench.kafka.set_release(None, release).unwrap();
        bench.kafka.close_connections(None).unwrap();
        bench.send(mark);
        let [(_, code, status, _)] = bench.outcomes(1)[..] else { panic!() };
        assert_eq!((code, status), (Code::NONE, THERE), "{release:?}");
    }
    let magics: Vec<_> =
        bench.kafka.batches("orders", 0).unwrap().iter().map(|batch| batch[16]).collect();
    assert_eq!(magics, [1, 2, 1, 0]);
}
