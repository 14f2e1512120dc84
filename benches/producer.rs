//! What a record costs the calling thread before it is in its batch: partitioner, accumulator; and
//! the varints of the protocol. `make microbench` runs it.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use samsa::cluster::{Cluster, Topic};
use samsa::config::Config;
use samsa::embedded;
use samsa::producer::{Producer, Record, partitioner};
use samsa::protocol::modern::{Reader, Writer};

/// Records that are sent before a flush; only the sending is timed.
const STRETCH: u64 = 20_000;
const PARTITIONS: i32 = 12;
const WAIT: i32 = 20_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    varints(&mut criterion);
    partitioners(&mut criterion);
    front(&mut criterion);
    criterion.final_summary();
}

fn varints(criterion: &mut Criterion) {
    let values: Vec<u32> = (0..1000_u32).map(|i| (i * 7919) >> (i % 20)).collect();
    let write = |values: &[u32]| {
        let mut writer = Writer::with_capacity(5 * values.len());
        values.iter().for_each(|value| writer.put_unsigned_varint(*value));
        writer
    };
    let bytes = bytes::Bytes::from(write(&values).finish().concat());
    let mut group = criterion.benchmark_group("unsigned varints");
    group.throughput(Throughput::Elements(values.len() as u64));
    group.bench_function("write", |b| b.iter(|| write(&values).len()));
    group.bench_function("read", |b| {
        b.iter(|| {
            let mut reader = Reader::new(bytes.clone());
            let mut sum = 0_u32;
            while let Ok(value) = reader.unsigned_varint() {
                sum = sum.wrapping_add(value);
            }
            sum
        });
    });
    group.finish();
}

fn partitioners(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("partitioner");
    for length in [8, 36, 200] {
        let key: Vec<u8> = (0..length).collect();
        group.bench_function(format!("key of {length} B"), |b| {
            b.iter(|| partitioner::keyed(black_box(&key), 1000));
        });
    }
    group.finish();
}

/// From `send` into the open batch; nothing leaves while the clock runs.
fn front(criterion: &mut Criterion) {
    let bench = Front::new();
    let value = [b'v'; 100];
    let mut group = criterion.benchmark_group("accumulator");
    group.measurement_time(Duration::from_secs(3));
    group.bench_function("send", |b| {
        b.iter_custom(|times| bench.stretches(times, |topic| Record::new(topic, &value)));
    });
    group.bench_function("send with a key", |b| {
        let key = b"8 bytes.";
        b.iter_custom(|times| {
            bench.stretches(times, |topic| Record::new(topic, &value).with_key(key))
        });
    });
    group.bench_function("send with a mark", |b| {
        b.iter_custom(|times| {
            bench.stretches(times, |topic| Record::new(topic, &value).with_opaque(7))
        });
    });
    group.finish();
}

struct Front {
    topic: Arc<Topic>,
    producer: Arc<Producer>,
    _kafka: embedded::Cluster,
}

impl Front {
    fn new() -> Self {
        let Ok(kafka) = embedded::Cluster::start(1) else { unreachable!() };
        let made = kafka.create_topic("front", PARTITIONS);
        assert!(made.is_ok());
        let mut config = Config::new();
        let address = kafka.address();
        let properties = [
            ("bootstrap.servers", address.as_str()),
            ("linger.ms", "10000"),
            ("batch.size", "1000000"),
            ("max.request.size", "4000000"),
        ];
        for (name, value) in properties {
            assert!(config.set(name, value).is_ok());
        }
        let opened = Cluster::open(&config).and_then(|cluster| {
            let topic = cluster.topic("front")?;
            Ok((Producer::new(&cluster, None)?, topic))
        });
        let Ok((producer, topic)) = opened else { unreachable!() };
        Self { topic, producer, _kafka: kafka }
    }

    /// The time that `times` calls of `send` took, the flushes between them left out.
    fn stretches<'a>(
        &'a self,
        times: u64,
        record: impl Fn(&'a Arc<Topic>) -> Record<'a>,
    ) -> Duration {
        let mut spent = Duration::ZERO;
        let mut left = times;
        while left > 0 {
            let stretch = left.min(STRETCH);
            let begin = Instant::now();
            for _ in 0..stretch {
                let sent = self.producer.send(&record(&self.topic), WAIT);
                assert!(sent.is_ok());
            }
            spent += begin.elapsed();
            left -= stretch;
            let (failed, flushed) = self.producer.flush(WAIT, None);
            assert!(failed == 0 && flushed.is_ok());
            while self.producer.poll(0).is_ok_and(|deliveries| !deliveries.is_empty()) {}
        }
        spent
    }
}
