//! librdkafka's names that have no effect here, so that a configuration that is brought along hears why.

use super::refused::{SECURITY, refused};
use super::{Owner, Property};

const PLUGINS: &str = "plugins and interceptors are not there yet";
const OFFSETS: &str = "offsets are kept by the group's coordinator, or in ZooKeeper (offsets.storage), never in files";
const HOOKS: &str = "sockets, files and look-ups are the library's own";

pub(super) const ROWS: &[Property] = &[
    refused(
        "builtin.features",
        Owner::Client,
        &[],
        "every codec is always there; TLS, SASL and plugins are not",
        &[],
    ),
    refused(
        "client.software.name",
        Owner::Client,
        &[],
        "brokers are told libsamsa and its version; client.id is yours",
        &[],
    ),
    refused(
        "client.software.version",
        Owner::Client,
        &[],
        "brokers are told libsamsa and its version; client.id is yours",
        &[],
    ),
    refused(
        "message.copy.max.bytes",
        Owner::Producer,
        &[],
        "what is passed in is encoded before the call returns, whatever its size",
        &[],
    ),
    refused(
        "topic.metadata.refresh.fast.interval.ms",
        Owner::Client,
        &[],
        "topics without leader are asked for again by retry.backoff.ms and retry.backoff.max.ms",
        &[],
    ),
    refused(
        "topic.metadata.refresh.fast.cnt",
        Owner::Client,
        &[],
        "topics without leader are asked for again until they have one",
        &[],
    ),
    refused(
        "topic.metadata.refresh.sparse",
        Owner::Client,
        &["true"],
        "only topics in use are asked for, unless a pattern or samsa.events=topics wants all",
        &[],
    ),
    refused(
        "topic.metadata.propagation.max.ms",
        Owner::Client,
        &[],
        "a new topic is waited for: by producers for max.block.ms, by consumers for a few seconds",
        &[],
    ),
    refused(
        "topic.blacklist",
        Owner::Client,
        &[],
        "subscribe to !regex besides what you want: it makes an exception",
        &[],
    ),
    refused(
        "socket.blocking.max.ms",
        Owner::Client,
        &[],
        "no thread of the library blocks on a socket",
        &[],
    ),
    refused(
        "socket.max.fails",
        Owner::Client,
        &["1"],
        "a request that is not answered within request.timeout.ms ends its connection",
        &[],
    ),
    refused(
        "broker.address.ttl",
        Owner::Client,
        &["0"],
        "a name is looked up anew for each connection",
        &[],
    ),
    refused(
        "reconnect.backoff.jitter.ms",
        Owner::Client,
        &[],
        "pauses vary by 20 % in any case: set reconnect.backoff.ms and reconnect.backoff.max.ms",
        &[],
    ),
    refused(
        "enabled_events",
        Owner::Client,
        &["0"],
        "callbacks and events are asked for one by one: see samsa.events",
        &[],
    ),
    refused(
        "log.queue",
        Owner::Client,
        &["false"],
        "the log callback runs on a thread of its own, which does nothing else",
        &[],
    ),
    refused(
        "log.thread.name",
        Owner::Client,
        &["false"],
        "lines name the part of the library that speaks",
        &[],
    ),
    refused(
        "log.connection.close",
        Owner::Client,
        &["true"],
        "connections that end are logged at level info: see samsa.log.level",
        &[],
    ),
    refused(
        "enable.random.seed",
        Owner::Client,
        &["true"],
        "the library has random numbers of its own, and leaves rand() alone",
        &[],
    ),
    refused(
        "internal.termination.signal",
        Owner::Client,
        &["0"],
        "threads of the library take no signals, and end without",
        &[],
    ),
    refused(
        "api.version.request.timeout.ms",
        Owner::Client,
        &[],
        "the time for it is socket.connection.setup.timeout.ms",
        &[],
    ),
    refused(
        "api.version.fallback.ms",
        Owner::Client,
        &["0"],
        "old brokers are recognised on each connection",
        &[],
    ),
    refused("plugin.library.paths", Owner::Client, &[], PLUGINS, &[]),
    refused("interceptors", Owner::Client, &[], PLUGINS, &[]),
    refused("https.*", Owner::Client, &[], SECURITY, &[]),
    refused("ssl_*", Owner::Client, &[], SECURITY, &[]),
    refused("enable.ssl.certificate.verification", Owner::Client, &[], SECURITY, &[]),
    refused("enable.sasl.oauthbearer.unsecure.jwt", Owner::Client, &["false"], SECURITY, &[]),
    refused("oauthbearer_token_refresh_cb", Owner::Client, &[], SECURITY, &[]),
    refused(
        "enable.gapless.guarantee",
        Owner::Producer,
        &["false"],
        "a batch that fails does not stop the producer: its outcomes say which records are missing",
        &[],
    ),
    refused(
        "queue.buffering.backpressure.threshold",
        Owner::Producer,
        &[],
        "batches grow while requests are under way: see max.in.flight.requests.per.connection",
        &[],
    ),
    refused(
        "queuing.strategy",
        Owner::Producer,
        &["fifo"],
        "records of a partition go in the order of sending",
        &[],
    ),
    refused(
        "msg_order_cmp",
        Owner::Producer,
        &[],
        "records of a partition go in the order of sending",
        &[],
    ),
    refused(
        "group.protocol.type",
        Owner::Consumer,
        &["consumer"],
        "groups of this library are groups of consumers",
        &[],
    ),
    refused(
        "coordinator.query.interval.ms",
        Owner::Consumer,
        &[],
        "the coordinator is looked for when it moves or is lost, not by the clock",
        &[],
    ),
    refused(
        "fetch.queue.backoff.ms",
        Owner::Consumer,
        &[],
        "fetching goes on as soon as there is room: see samsa.memory.limit",
        &[],
    ),
    refused("offset.store.method", Owner::Consumer, &["broker"], OFFSETS, &[]),
    refused("offset.store.path", Owner::Consumer, &[], OFFSETS, &[]),
    refused("offset.store.sync.interval.ms", Owner::Consumer, &[], OFFSETS, &[]),
    refused(
        "consume.callback.max.messages",
        Owner::Consumer,
        &["0"],
        "messages are polled: see max.poll.records",
        &[],
    ),
    // What is set there by calls of their own, and listed with the others.
    refused(
        "error_cb",
        Owner::Client,
        &[],
        "see samsa_cluster_next_event and the log callback",
        &[],
    ),
    refused(
        "throttle_cb",
        Owner::Client,
        &[],
        "silence that a broker asks for is kept, five minutes of it at most; more is logged",
        &[],
    ),
    refused("stats_cb", Owner::Client, &[], "statistics are not there yet", &[]),
    refused("log_cb", Owner::Client, &[], "call samsa_config_set_log_callback", &[]),
    refused(
        "background_event_cb",
        Owner::Client,
        &[],
        "no handle has to be polled in the background",
        &[],
    ),
    refused("socket_cb", Owner::Client, &[], HOOKS, &[]),
    refused("connect_cb", Owner::Client, &[], HOOKS, &[]),
    refused("closesocket_cb", Owner::Client, &[], HOOKS, &[]),
    refused("open_cb", Owner::Client, &[], HOOKS, &[]),
    refused("resolve_cb", Owner::Client, &[], HOOKS, &[]),
    refused("opaque", Owner::Client, &[], "each callback is set with a pointer of its own", &[]),
    refused(
        "default_topic_conf",
        Owner::Client,
        &[],
        "a property that is set without topic.NAME. before it counts for all topics",
        &[],
    ),
    refused(
        "dr_cb",
        Owner::Producer,
        &[],
        "call samsa_config_set_delivery_callback or samsa_producer_poll",
        &[],
    ),
    refused(
        "dr_msg_cb",
        Owner::Producer,
        &[],
        "call samsa_config_set_delivery_callback or samsa_producer_poll",
        &[],
    ),
    refused(
        "partitioner_cb",
        Owner::Producer,
        &[],
        "call samsa_config_set_partitioner_callback",
        &[],
    ),
    refused(
        "consume_cb",
        Owner::Consumer,
        &[],
        "messages are polled: call samsa_consumer_next or samsa_consumer_poll",
        &[],
    ),
    refused("rebalance_cb", Owner::Consumer, &[], "call samsa_config_set_rebalance_callback", &[]),
    refused("offset_commit_cb", Owner::Consumer, &[], "call samsa_config_set_commit_callback", &[]),
];

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::error::Code;

    #[test]
    fn every_name_of_librdkafka_is_known() {
        for name in LIBRDKAFKA.split_whitespace() {
            let set = Config::new().set(name, "\u{0}");
            let unknown = set.is_err_and(|error| error.code() == Code::UNKNOWN_PROPERTY);
            assert!(!unknown, "{name}");
        }
        assert!(LIBRDKAFKA.split_whitespace().count() > 150);
    }

    #[test]
    fn a_default_of_librdkafka_that_asks_for_what_is_done_anyway_is_taken() {
        let pairs = [
            ("log.connection.close", "1"),
            ("topic.metadata.refresh.sparse", "t"),
            ("socket.max.fails", "1"),
            ("enable.gapless.guarantee", "0"),
            ("offset.store.method", "broker"),
            ("security.protocol", "plaintext"),
            ("queuing.strategy", "fifo"),
            ("enabled_events", "0"),
        ];
        for (name, value) in pairs {
            Config::new().set(name, value).unwrap();
        }
        let error = Config::new().set("socket.max.fails", "3").unwrap_err();
        assert_eq!(error.code(), Code::INVALID_PROPERTY);
        assert!(error.message().contains("request.timeout.ms ends its connection"), "{error}");
    }

    /// The names of librdkafka 2.12's CONFIGURATION.md, and two that it does not list.
    const LIBRDKAFKA: &str = "
        builtin.features client.id metadata.broker.list bootstrap.servers message.max.bytes
        message.copy.max.bytes receive.message.max.bytes max.in.flight.requests.per.connection
        max.in.flight metadata.recovery.strategy metadata.recovery.rebootstrap.trigger.ms
        topic.metadata.refresh.interval.ms metadata.max.age.ms
        topic.metadata.refresh.fast.interval.ms topic.metadata.refresh.fast.cnt
        topic.metadata.refresh.sparse topic.metadata.propagation.max.ms topic.blacklist debug
        socket.timeout.ms socket.blocking.max.ms socket.send.buffer.bytes
        socket.receive.buffer.bytes socket.keepalive.enable socket.nagle.disable socket.max.fails
        broker.address.ttl broker.address.family socket.connection.setup.timeout.ms
        connections.max.idle.ms reconnect.backoff.jitter.ms reconnect.backoff.ms
        reconnect.backoff.max.ms statistics.interval.ms enabled_events error_cb throttle_cb
        stats_cb log_cb log_level log.queue log.thread.name enable.random.seed
        log.connection.close background_event_cb socket_cb connect_cb closesocket_cb open_cb
        resolve_cb opaque default_topic_conf internal.termination.signal api.version.request
        api.version.request.timeout.ms api.version.fallback.ms broker.version.fallback
        allow.auto.create.topics security.protocol ssl.cipher.suites ssl.curves.list
        ssl.sigalgs.list ssl.key.location ssl.key.password ssl.key.pem ssl_key
        ssl.certificate.location ssl.certificate.pem ssl_certificate ssl.ca.location
        https.ca.location https.ca.pem ssl.ca.pem ssl_ca ssl.ca.certificate.stores
        ssl.crl.location ssl.keystore.location ssl.keystore.password ssl.providers
        ssl.engine.location ssl.engine.id ssl_engine_callback_data
        enable.ssl.certificate.verification ssl.endpoint.identification.algorithm
        ssl.certificate.verify_cb sasl.mechanisms sasl.mechanism sasl.kerberos.service.name
        sasl.kerberos.principal sasl.kerberos.kinit.cmd sasl.kerberos.keytab
        sasl.kerberos.min.time.before.relogin sasl.username sasl.password sasl.oauthbearer.config
        enable.sasl.oauthbearer.unsecure.jwt oauthbearer_token_refresh_cb sasl.oauthbearer.method
        sasl.oauthbearer.client.id sasl.oauthbearer.client.credentials.client.id
        sasl.oauthbearer.client.credentials.client.secret sasl.oauthbearer.client.secret
        sasl.oauthbearer.scope sasl.oauthbearer.extensions sasl.oauthbearer.token.endpoint.url
        sasl.oauthbearer.grant.type sasl.oauthbearer.assertion.algorithm
        sasl.oauthbearer.assertion.private.key.file
        sasl.oauthbearer.assertion.private.key.passphrase
        sasl.oauthbearer.assertion.private.key.pem sasl.oauthbearer.assertion.file
        sasl.oauthbearer.assertion.claim.aud sasl.oauthbearer.assertion.claim.exp.seconds
        sasl.oauthbearer.assertion.claim.iss sasl.oauthbearer.assertion.claim.jti.include
        sasl.oauthbearer.assertion.claim.nbf.seconds sasl.oauthbearer.assertion.claim.sub
        sasl.oauthbearer.assertion.jwt.template.file
        sasl.oauthbearer.metadata.authentication.type plugin.library.paths interceptors group.id
        group.instance.id partition.assignment.strategy session.timeout.ms heartbeat.interval.ms
        group.protocol.type group.protocol group.remote.assignor coordinator.query.interval.ms
        max.poll.interval.ms enable.auto.commit auto.commit.interval.ms enable.auto.offset.store
        queued.min.messages queued.max.messages.kbytes fetch.wait.max.ms fetch.queue.backoff.ms
        fetch.message.max.bytes max.partition.fetch.bytes fetch.max.bytes fetch.min.bytes
        fetch.error.backoff.ms offset.store.method isolation.level consume_cb rebalance_cb
        offset_commit_cb enable.partition.eof check.crcs client.rack transactional.id
        transaction.timeout.ms enable.idempotence enable.gapless.guarantee
        queue.buffering.max.messages queue.buffering.max.kbytes queue.buffering.max.ms linger.ms
        message.send.max.retries retries retry.backoff.ms retry.backoff.max.ms
        queue.buffering.backpressure.threshold compression.codec compression.type
        batch.num.messages batch.size delivery.report.only.error dr_cb dr_msg_cb
        sticky.partitioning.linger.ms client.dns.lookup enable.metrics.push request.required.acks
        acks request.timeout.ms message.timeout.ms delivery.timeout.ms queuing.strategy
        produce.offset.report partitioner partitioner_cb msg_order_cmp compression.level
        auto.commit.enable auto.offset.reset offset.store.path offset.store.sync.interval.ms
        consume.callback.max.messages client.software.name client.software.version
    ";
}
