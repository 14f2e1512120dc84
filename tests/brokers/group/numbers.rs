//! A producer that writes numbered records to every partition, all along.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use samsa::Code;
use samsa::producer::{Producer, Record};

use crate::ours;

/// The pause between two records of a partition.
const PACE: Duration = Duration::from_millis(25);

/// The producer at work. The value of a record is its place: `partition-number`, and its number is its
/// offset, which is checked.
pub struct Numbers {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    stop: AtomicBool,
    /// By partition: how many were acknowledged.
    written: Vec<AtomicU64>,
}

impl Numbers {
    /// Begins to write to each of these partitions.
    pub fn start(address: &str, topic: &str, partitions: usize) -> Numbers {
        let written = (0..partitions).map(|_| AtomicU64::new(0)).collect();
        let shared = Arc::new(Shared { stop: AtomicBool::new(false), written });
        let (mine, address, topic) = (Arc::clone(&shared), address.to_owned(), topic.to_owned());
        let thread = std::thread::spawn(move || write(&mine, &address, &topic));
        Numbers { shared, thread: Some(thread) }
    }

    /// By partition: the number of the next record that is acknowledged.
    pub fn written(&self) -> Vec<u64> {
        let alive = self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        assert!(alive || self.shared.stop.load(Ordering::Relaxed), "the producer has failed");
        self.shared.written.iter().map(|count| count.load(Ordering::Acquire)).collect()
    }

    /// Writes no more; gives how many each partition holds.
    pub fn stop(&mut self) -> Vec<u64> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map_or(Ok(()), JoinHandle::join);
        ended.expect("every record was written where it should be");
        self.written()
    }
}

impl Drop for Numbers {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

fn write(shared: &Shared, address: &str, topic: &str) {
    let options = [("acks", "all"), ("linger.ms", "0"), ("delivery.timeout.ms", "60000")];
    let cluster = ours::open(address, &options).expect("the brokers");
    let producer = Producer::new(&cluster, None).expect("a producer");
    let topic = cluster.topic(topic).expect("a topic");
    while !shared.stop.load(Ordering::Relaxed) {
        for (partition, written) in shared.written.iter().enumerate() {
            let value = format!("{partition}-{}", written.load(Ordering::Relaxed));
            let number = i32::try_from(partition).expect("few");
            let record = Record::new(&topic, value.as_bytes())
                .to_partition(number)
                .with_opaque(partition as u64);
            producer.send(&record, -1).expect("room");
        }
        let mut open = shared.written.len();
        while open > 0 {
            open -= collect(shared, &producer);
        }
        std::thread::sleep(PACE);
    }
    producer.close(10_000, None).expect("nothing is left to do");
}

/// Reads outcomes; gives how many came.
fn collect(shared: &Shared, producer: &Producer) -> usize {
    let deliveries = match producer.poll(60_000) {
        Ok(deliveries) => deliveries,
        Err(error) if error.code() == Code::NOTHING => return 0,
        Err(error) => panic!("{error}"),
    };
    for (index, one) in deliveries.iter().enumerate() {
        assert_eq!(one.code, Code::NONE, "{:?}", deliveries.error(index));
        let partition = usize::try_from(one.opaque).expect("a number of ours");
        let before = shared.written[partition].fetch_add(1, Ordering::Release);
        assert_eq!(u64::try_from(one.offset), Ok(before), "the offset is the number");
    }
    deliveries.len()
}
