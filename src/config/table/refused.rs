//! Names that users bring from other clients, and that have no effect here: never silently ignored.

use super::{Alias, Kind, Owner, Property, Unit, kafka_0_7, librdkafka_as, pykafka};

const TRANSACTIONS: &str = "transactions are not there yet";
pub(super) const SECURITY: &str = "only PLAINTEXT connections are there yet, without TLS and SASL";
const CLASSES: &str = "Java classes cannot be loaded here";

/// Refused whatever the value is, but for those in `accepts` (the first one is what is done anyway).
pub(super) const fn refused(
    name: &'static str,
    owner: Owner,
    accepts: &'static [&'static str],
    why: &'static str,
    aliases: &'static [Alias],
) -> Property {
    let default = if accepts.is_empty() { "" } else { accepts[0] };
    let kind = Kind::Refused { accepts, why };
    Property { name, owner, per_topic: false, kind, default, doc: "", aliases }
}

pub(super) const ROWS: &[Property] = &[
    refused(
        "zookeeper.sync.time.ms",
        Owner::Client,
        &[],
        "where it matters that a ZooKeeper server is not behind, it is asked to catch up",
        &[kafka_0_7("zk.synctime.ms")],
    ),
    refused("security.protocol", Owner::Client, &["PLAINTEXT"], SECURITY, &[]),
    refused("ssl.*", Owner::Client, &[], SECURITY, &[]),
    refused("sasl.*", Owner::Client, &[], SECURITY, &[]),
    refused(
        "client.dns.lookup",
        Owner::Client,
        &["use_all_dns_ips"],
        "all addresses of a name are tried in turn, canonical names are not looked up",
        &[],
    ),
    refused(
        "metadata.recovery.strategy",
        Owner::Client,
        &["rebootstrap"],
        "when no broker answers any more, or one asks for it (KIP-1102), those of bootstrap.servers are asked again",
        &[],
    ),
    refused(
        "send.buffer.bytes",
        Owner::Client,
        &["-1"],
        "the operating system sizes the socket's buffers",
        &[librdkafka_as("socket.send.buffer.bytes", Unit::Map(&[("0", "-1")]))],
    ),
    refused(
        "receive.buffer.bytes",
        Owner::Client,
        &["-1"],
        "the operating system sizes the socket's buffers",
        &[librdkafka_as("socket.receive.buffer.bytes", Unit::Map(&[("0", "-1")]))],
    ),
    refused(
        "socket.keepalive.enable",
        Owner::Client,
        &["false"],
        "dead connections are noticed by request.timeout.ms, idle ones are closed by connections.max.idle.ms",
        &[],
    ),
    refused(
        "socket.nagle.disable",
        Owner::Client,
        &["true"],
        "requests are written whole, and never wait for the answer to the last packet",
        &[],
    ),
    refused(
        "broker.address.family",
        Owner::Client,
        &["any"],
        "all addresses of a name are tried in turn; give an address instead of a name to choose one",
        &[],
    ),
    refused(
        "fetch.error.backoff.ms",
        Owner::Consumer,
        &[],
        "failed fetches wait by retry.backoff.ms and retry.backoff.max.ms",
        &[],
    ),
    refused(
        "produce.offset.report",
        Owner::Producer,
        &["true"],
        "every delivery has its offset; samsa.delivery.report says which deliveries there are",
        &[],
    ),
    refused("default.api.timeout.ms", Owner::Client, &[], "each call has its own timeout_ms", &[]),
    refused(
        "api.version.request",
        Owner::Client,
        &["true"],
        "versions are always asked for; old brokers are recognised",
        &[],
    ),
    refused(
        "broker.version.fallback",
        Owner::Client,
        &[],
        "old brokers are recognised without it",
        &[pykafka("broker_version")],
    ),
    refused("statistics.interval.ms", Owner::Client, &["0"], "statistics are not there yet", &[]),
    refused("debug", Owner::Client, &[], "set samsa.log.level=debug", &[]),
    refused("interceptor.classes", Owner::Client, &[], CLASSES, &[]),
    refused("metric.reporters", Owner::Client, &[], CLASSES, &[]),
    refused(
        "enable.metrics.push",
        Owner::Client,
        &["false"],
        "client telemetry is not there yet",
        &[],
    ),
    refused(
        "key.serializer",
        Owner::Producer,
        &[],
        "keys and values are bytes; Java classes cannot be loaded here",
        &[],
    ),
    refused(
        "value.serializer",
        Owner::Producer,
        &[],
        "keys and values are bytes; Java classes cannot be loaded here",
        &[],
    ),
    refused(
        "sticky.partitioning.linger.ms",
        Owner::Producer,
        &[],
        "records without key stay with a partition by bytes (batch.size), not by time; partitioner=random chooses for each record",
        &[],
    ),
    refused("transactional.id", Owner::Producer, &[], TRANSACTIONS, &[]),
    refused("transaction.timeout.ms", Owner::Producer, &[], TRANSACTIONS, &[]),
    refused("transaction.two.phase.commit.enable", Owner::Producer, &["false"], TRANSACTIONS, &[]),
    refused(
        "queue.buffering.max.messages",
        Owner::Producer,
        &["0"],
        "memory is bounded in bytes: set buffer.memory",
        &[],
    ),
    refused(
        "batch.num.messages",
        Owner::Producer,
        &[],
        "batches are bounded in bytes: set batch.size",
        &[],
    ),
    refused(
        "key.deserializer",
        Owner::Consumer,
        &[],
        "keys and values are bytes; Java classes cannot be loaded here",
        &[],
    ),
    refused(
        "value.deserializer",
        Owner::Consumer,
        &[],
        "keys and values are bytes; Java classes cannot be loaded here",
        &[],
    ),
    refused(
        "consumer.timeout.ms",
        Owner::Consumer,
        &["-1"],
        "each call has its own timeout_ms: poll and next give SAMSA_NOTHING when it is over",
        &[pykafka("consumer_timeout_ms")],
    ),
    refused(
        "queued.min.messages",
        Owner::Consumer,
        &[],
        "what is fetched ahead is bounded in bytes: set samsa.memory.limit",
        &[],
    ),
];
