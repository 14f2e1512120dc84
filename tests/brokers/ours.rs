//! The library itself, by its Rust API, as one more peer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use samsa::Result;
use samsa::cluster::Cluster;
use samsa::config::Config;
use samsa::consumer::{Consumer, EARLIEST, Name, Position};
use samsa::producer::{Producer, Record};
use samsa::protocol::record::Header;

use crate::peers::{Message, message};

/// Milliseconds that a call may take on a busy machine.
const PATIENCE_MS: i32 = 60_000;

/// The most bytes that a message of any case has, and room for what is around them.
const LARGEST: &str = "10000000";

/// Writes the messages to partition 0; the first error of any of them.
pub fn write(address: &str, topic: &str, codec: &str, messages: &[Message]) -> Result<()> {
    write_timed(address, topic, codec, messages).map(drop)
}

/// The same; gives the times that the outcomes tell.
pub fn write_timed(
    address: &str,
    topic: &str,
    codec: &str,
    messages: &[Message],
) -> Result<Vec<i64>> {
    let options = [("compression.type", codec), ("linger.ms", "50"), ("max.request.size", LARGEST)];
    let cluster = open(address, &options)?;
    let producer = Producer::new(&cluster, None)?;
    let topic = cluster.topic(topic)?;
    for message in messages {
        let headers: Vec<Header<'_>> = message
            .headers
            .iter()
            .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_deref() })
            .collect();
        let record = Record {
            key: message.key.as_deref(),
            value: message.value.as_deref(),
            headers: &headers,
            timestamp: message.timestamp,
            ..Record::new(&topic, b"").to_partition(0)
        };
        producer.send(&record, PATIENCE_MS)?;
    }
    let mut times = Vec::new();
    while times.len() < messages.len() {
        let deliveries = producer.poll(PATIENCE_MS)?;
        for index in 0..deliveries.len() {
            deliveries.error(index).map_or(Ok(()), Err)?;
        }
        times.extend(deliveries.iter().map(|delivery| delivery.timestamp));
    }
    Ok(times)
}

/// A consumer of partition 0 from its first message on.
pub fn reader(address: &str, topic: &str, options: &[(&str, &str)]) -> Result<Arc<Consumer>> {
    let cluster = open(address, options)?;
    let consumer = Consumer::new(&cluster, None)?;
    consumer.assign(&[Position::new(Name::new(topic)?, 0).at(EARLIEST)])?;
    Ok(consumer)
}

/// Reads the first `count` messages of partition 0, without their times.
pub fn read(address: &str, topic: &str, count: usize) -> Result<Vec<Message>> {
    read_timed(address, topic, count).map(message::timeless)
}

/// Reads the first `count` messages of partition 0.
pub fn read_timed(address: &str, topic: &str, count: usize) -> Result<Vec<Message>> {
    let consumer = reader(address, topic, &[])?;
    let mut messages = Vec::new();
    while messages.len() < count {
        let batch = consumer.poll(PATIENCE_MS)?;
        for record in batch.iter() {
            let headers = record.headers().collect::<Result<Vec<_>>>()?;
            let named = |h: &Header<'_>| {
                (String::from_utf8_lossy(h.name).into_owned(), h.value.map(<[u8]>::to_vec))
            };
            messages.push(Message {
                key: record.key().map(<[u8]>::to_vec),
                value: record.value().map(<[u8]>::to_vec),
                headers: headers.iter().map(named).collect(),
                timestamp: Some(record.timestamp()),
            });
        }
    }
    Ok(messages)
}

/// A cluster handle that has met its brokers.
pub fn open(address: &str, options: &[(&str, &str)]) -> Result<Arc<Cluster>> {
    let mut config = Config::new();
    config.set("bootstrap.servers", address)?;
    for (name, value) in options {
        config.set(name, value)?;
    }
    let cluster = Cluster::open(&config)?;
    cluster.wait_ready(Some(Instant::now() + Duration::from_secs(60)))?;
    Ok(cluster)
}
