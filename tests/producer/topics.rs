//! The life of topics in a producer: many of them, unknown ones, and those that are no longer used.

use std::time::Instant;

use samsa::Code;
use samsa::cluster::Cluster;
use samsa::config::Config;
use samsa::embedded;
use samsa::producer::{Producer, Record};

use crate::bench::{WAIT, soon};

#[test]
fn ten_thousand_topics_work_within_the_default_buffer_memory() {
    const TOPICS: usize = 10_000;
    let kafka = embedded::Cluster::start(1).unwrap();
    let names: Vec<String> = (0..TOPICS).map(|number| format!("topic-{number}")).collect();
    names.iter().for_each(|name| kafka.create_topic(name, 1).unwrap());
    let mut config = Config::new();
    config.set("bootstrap.servers", &kafka.address()).unwrap();
    let cluster = Cluster::open(&config).unwrap();
    let producer = Producer::new(&cluster, None).unwrap();
    let begun = Instant::now();
    let topics: Vec<_> = names.iter().map(|name| cluster.topic(name).unwrap()).collect();
    for (mark, topic) in topics.iter().enumerate() {
        let record = Record::new(topic, &[7; 100]).with_opaque(mark as u64 + 1);
        producer.send(&record, WAIT).unwrap();
        if mark % 500 == 0 {
            eprintln!("{mark} {:?}", begun.elapsed());
        }
    }
    let (failed, result) = producer.flush(WAIT, None);
    result.unwrap();
    assert_eq!(failed, 0);
    eprintln!("all {:?}", begun.elapsed());
}
