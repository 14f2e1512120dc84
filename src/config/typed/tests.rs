use super::*;

fn config(pairs: &[(&str, &str)]) -> Config {
    let mut config = Config::new();
    config.set("bootstrap.servers", "a:1").unwrap();
    for (name, value) in pairs {
        config.set(name, value).unwrap();
    }
    config
}

#[test]
fn the_defaults_are_java_s() {
    let client = ClientConfig::from(&config(&[])).unwrap();
    let ms = Duration::from_millis;
    assert_eq!(client.request_timeout, ms(30_000));
    assert_eq!((client.retry_backoff, client.retry_backoff_max), (ms(100), ms(1_000)));
    assert_eq!((client.reconnect_backoff, client.reconnect_backoff_max), (ms(50), ms(1_000)));
    assert_eq!(client.socket_connection_setup_timeout, ms(10_000));
    assert_eq!(client.socket_connection_setup_timeout_max, ms(30_000));
    assert_eq!(client.connections_max_idle, Some(ms(540_000)));
    assert_eq!(client.metadata_max_age, ms(300_000));
    assert!(client.allow_auto_create_topics);
    assert_eq!(client.io_threads, None);
    assert_eq!(client.events, Events::default());

    let producer = ProducerConfig::from(&config(&[])).unwrap();
    assert_eq!(producer.acks, Acks::All);
    assert_eq!((producer.linger, producer.batch_size), (ms(5), 16_384));
    assert_eq!((producer.buffer_memory, producer.max_request_size), (33_554_432, 1_048_576));
    assert_eq!((producer.max_block, producer.delivery_timeout), (ms(60_000), ms(120_000)));
    assert_eq!((producer.retries, producer.max_in_flight), (2_147_483_647, 5));
    assert_eq!((producer.compression, producer.compression_level), (Compression::None, None));
    let partitioning = producer.partitioning;
    assert_eq!(partitioning.partitioner, Partitioner::Default);
    assert!(partitioning.adaptive && !partitioning.ignore_keys);
    assert_eq!((partitioning.availability_timeout, partitioning.group_size), (None, 1));
    assert_eq!(producer.warnings, Vec::<String>::new());

    let consumer = ConsumerConfig::from(&config(&[])).unwrap();
    assert_eq!((consumer.fetch_min_bytes, consumer.fetch_max_bytes), (1, 52_428_800));
    assert_eq!(consumer.max_partition_fetch_bytes, 1_048_576);
    assert_eq!((consumer.fetch_max_wait, consumer.max_poll_records), (ms(500), 500));
    assert_eq!(consumer.auto_offset_reset, Reset::Latest);
    assert!(consumer.check_crcs);
    assert_eq!(consumer.isolation_level, IsolationLevel::ReadUncommitted);
}

#[test]
fn a_cluster_without_brokers_says_which_property_to_set() {
    let opened = ClientConfig::from(&Config::new()).unwrap_err();
    let set = ["", " , "].map(|none| Config::new().set("bootstrap.servers", none).unwrap_err());
    for error in set.into_iter().chain([opened]) {
        assert_eq!(error.code(), Code::INVALID_PROPERTY);
        assert_eq!(error.property(), Some("bootstrap.servers"));
    }
}

#[test]
fn rule_4_3_a_delivery_timeout_below_linger_plus_request_timeout_is_an_error() {
    let short =
        [("delivery.timeout.ms", "1009"), ("linger.ms", "10"), ("request.timeout.ms", "1000")];
    let error = ProducerConfig::from(&config(&short)).unwrap_err();
    assert_eq!(error.code(), Code::INVALID_PROPERTY);
    assert_eq!(error.property(), Some("delivery.timeout.ms"));
    for part in ["1009", "linger.ms=10", "request.timeout.ms=1000"] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
    let mut enough = config(&short);
    enough.set("delivery.timeout.ms", "1010").unwrap();
    ProducerConfig::from(&enough).unwrap();
    enough.set("topic.slow.linger.ms", "11").unwrap();
    let error = ProducerConfig::from(&enough).unwrap_err();
    assert!(error.message().contains("linger.ms=11 of topic slow"), "{error}");
}

#[test]
fn rule_6_10_a_fetch_may_not_wait_longer_than_its_request() {
    let error = ConsumerConfig::from(&config(&[("request.timeout.ms", "500")])).unwrap_err();
    assert_eq!(error.property(), Some("fetch.max.wait.ms"));
}

#[test]
fn rule_6_9_a_full_answer_must_fit_into_the_largest_frame() {
    let small = config(&[("receive.message.max.bytes", "1000000")]);
    let error = ConsumerConfig::from(&small).unwrap_err();
    assert_eq!(error.property(), Some("samsa.receive.message.max.bytes"));
    ClientConfig::from(&small).expect("a producer's cluster does not mind");
}

#[test]
fn a_topic_has_what_is_set_for_it_and_else_what_is_set_for_all() {
    let config = config(&[
        ("linger.ms", "1"),
        ("topic.t.compression.type", "zstd"),
        ("topic.t.partitioner", "roundrobin"),
        ("topic.t.auto.offset.reset", "earliest"),
    ]);
    let producer = ProducerConfig::from(&config).unwrap();
    let (own, other) = (producer.for_topic("t"), producer.for_topic("u"));
    assert_eq!((own.compression, own.compression_level), (Compression::Zstd, Some(3)));
    assert_eq!(own.partitioning.partitioner, Partitioner::RoundRobin);
    assert_eq!((own.linger, other.linger), (Duration::from_millis(1), Duration::from_millis(1)));
    assert_eq!(
        (other.compression, other.partitioning.partitioner),
        (Compression::None, Partitioner::Default)
    );
    let consumer = ConsumerConfig::from(&config).unwrap();
    assert_eq!(consumer.for_topic("t").auto_offset_reset, Reset::Earliest);
    assert_eq!(consumer.for_topic("u").auto_offset_reset, Reset::Latest);
}

#[test]
fn the_level_is_the_codec_s_own_then_the_common_one_then_the_default() {
    let level = |pairs: &[(&str, &str)]| {
        ProducerConfig::from(&config(pairs)).map(|producer| producer.compression_level)
    };
    assert_eq!(level(&[("compression.type", "gzip")]).unwrap(), None);
    let gzip = [("compression.type", "gzip"), ("compression.level", "4")];
    assert_eq!(level(&gzip).unwrap(), Some(4));
    let both = [gzip[0], gzip[1], ("compression.gzip.level", "9")];
    assert_eq!(level(&both).unwrap(), Some(9));
    let zstd = [("compression.type", "zstd"), ("compression.zstd.level", "-1")];
    assert_eq!(level(&zstd).unwrap(), Some(-1), "a level of its own in zstd");
    let error = level(&[("compression.type", "gzip"), ("compression.level", "10")]).unwrap_err();
    assert_eq!(error.property(), Some("compression.level"));
    assert!(error.message().contains("gzip takes 1 to 9"), "{error}");
}

#[test]
fn lz4_is_fast_without_a_level_and_each_property_has_its_own_client_s_meaning() {
    let level = |name: &str, level: &str| {
        let pairs = [("compression.type", "lz4"), (name, level)];
        ProducerConfig::from(&config(&pairs)).map(|producer| producer.compression_level)
    };
    let java = ["1", "9", "17"].map(|n| level("compression.lz4.level", n).unwrap());
    assert_eq!(java, [Some(1), None, Some(17)], "9 is Java's default, and fast");
    let librdkafka =
        ["-1", "0", "2", "3", "9", "12"].map(|n| level("compression.level", n).unwrap());
    assert_eq!(librdkafka, [None, None, None, Some(3), Some(9), Some(12)]);
    let error = level("compression.level", "13").unwrap_err();
    assert!(error.message().contains("lz4 takes 0 to 12"), "{error}");
}

#[test]
fn rule_5_18_idempotence_is_the_default_and_gives_way_aloud_or_insists() {
    let default = ProducerConfig::from(&config(&[])).unwrap();
    assert!(default.enable_idempotence && !default.idempotence_required);
    let asked = ProducerConfig::from(&config(&[("enable.idempotence", "true")])).unwrap();
    assert!(asked.enable_idempotence && asked.idempotence_required);
    let off = ProducerConfig::from(&config(&[("enable.idempotence", "false"), ("acks", "1")]));
    assert!(!off.as_ref().unwrap().enable_idempotence && off.unwrap().warnings.is_empty());
    for (name, value) in [
        ("acks", "1"),
        ("acks", "0"),
        ("retries", "0"),
        ("max.in.flight.requests.per.connection", "6"),
    ] {
        let gave_way = ProducerConfig::from(&config(&[(name, value)])).unwrap();
        assert!(!gave_way.enable_idempotence, "{name}={value}");
        let [warning] = &gave_way.warnings[..] else { panic!("{:?}", gave_way.warnings) };
        assert!(warning.contains(name), "{warning}");
        let both = config(&[(name, value), ("enable.idempotence", "true")]);
        let error = ProducerConfig::from(&both).unwrap_err();
        assert_eq!(error.property(), Some("enable.idempotence"), "{error}");
        assert!(error.message().contains(name), "{error}");
    }
    let same = config(&[("acks", "all"), ("retries", "3"), ("enable.idempotence", "true")]);
    assert!(ProducerConfig::from(&same).is_ok());
}

#[test]
fn overrides_of_a_child_hold_only_what_concerns_it() {
    let cluster = config(&[]);
    let mut overrides = Config::new();
    overrides.set("fetch.min.bytes", "2").unwrap();
    let error = ProducerConfig::with_overrides(&cluster, Some(&overrides)).unwrap_err();
    assert_eq!(error.property(), Some("fetch.min.bytes"));
    assert!(error.message().contains("consumer"), "{error}");
    let consumer = ConsumerConfig::with_overrides(&cluster, Some(&overrides)).unwrap();
    assert_eq!(consumer.fetch_min_bytes, 2);
    overrides.set("client.id", "x").unwrap();
    let error = ConsumerConfig::with_overrides(&cluster, Some(&overrides)).unwrap_err();
    assert_eq!(error.property(), Some("client.id"));
}

#[test]
fn every_value_of_every_choice_has_its_typed_form() {
    for row in crate::config::properties() {
        let crate::config::Kind::Choice(choices) = row.kind else { continue };
        for names in choices {
            for name in *names {
                let config = config(&[(row.name, name)]);
                ClientConfig::from(&config).unwrap();
                ProducerConfig::from(&config).unwrap();
                ConsumerConfig::from(&config).unwrap();
            }
        }
    }
}

#[test]
fn zookeeper_takes_the_place_of_the_bootstrap_list_or_stands_beside_it() {
    let neither = ClientConfig::from(&Config::new()).unwrap_err();
    assert_eq!(neither.property(), Some("bootstrap.servers"));
    assert!(neither.message().contains("zookeeper.connect"), "{neither}");

    let both = ClientConfig::from(&config(&[("zookeeper.connect", "z:1,y/k")])).unwrap();
    assert_eq!(both.bootstrap_servers.len(), 1);
    let zookeeper = both.zookeeper.unwrap();
    assert_eq!(zookeeper.ensemble.to_string(), "z:1,y:2181/k");
    assert_eq!(zookeeper.session_timeout, Duration::from_secs(6));
    assert_eq!(zookeeper.connection_timeout, Duration::from_secs(6));
    assert_eq!((zookeeper.auth, zookeeper.listener_name), (None, None));

    let mut old = Config::new();
    for (name, value) in [
        ("zk.connect", "z"),
        ("zk.sessiontimeout.ms", "1000"),
        ("zookeeper_connection_timeout_ms", "2000"),
        ("samsa.zookeeper.auth", "digest:me:se:cret"),
        ("samsa.listener.name", "INSIDE"),
    ] {
        old.set(name, value).unwrap();
    }
    let zookeeper = ClientConfig::from(&old).unwrap().zookeeper.unwrap();
    assert_eq!(zookeeper.session_timeout, Duration::from_secs(1));
    assert_eq!(zookeeper.connection_timeout, Duration::from_secs(2));
    assert_eq!(zookeeper.listener_name.as_deref(), Some("INSIDE"));
    let auth = zookeeper.auth.unwrap();
    assert_eq!((auth.scheme.as_str(), auth.credentials.as_str()), ("digest", "me:se:cret"));
    assert!(!format!("{auth:?}").contains("cret"), "{auth:?}");
}

#[test]
fn bad_credentials_for_zookeeper_are_refused_without_being_shown() {
    for bad in ["secret", "digest:secret", "digest::secret", "sasl:a:secret"] {
        let config = config(&[("zookeeper.connect", "z"), ("samsa.zookeeper.auth", bad)]);
        let error = ClientConfig::from(&config).unwrap_err();
        assert_eq!(error.property(), Some("samsa.zookeeper.auth"));
        assert!(!error.message().contains("secret"), "{error}");
    }
}

#[test]
fn a_member_of_a_classic_group_ranks_its_assignors_and_beats_before_its_session_ends() {
    let config = config(&[
        ("group.id", "g"),
        ("partition.assignment.strategy", "org.apache.kafka.clients.consumer.StickyAssignor,range"),
    ]);
    let group = ConsumerConfig::from(&config).unwrap().group;
    assert_eq!(group.id.as_deref(), Some("g"));
    assert_eq!(group.assignors, [Assignor::Sticky, Assignor::Range]);
    let late = self::config(&[("heartbeat.interval.ms", "6000"), ("session.timeout.ms", "6000")]);
    let error = ConsumerConfig::from(&late).unwrap_err();
    assert_eq!(error.property(), Some("heartbeat.interval.ms"));
}

/// What a consumer is refused that sets so much itself, over what its cluster says.
fn refused(cluster: &[(&str, &str)], own: &[(&str, &str)]) -> Option<String> {
    let mut overrides = config(own);
    overrides.unset("bootstrap.servers").unwrap();
    let made = ConsumerConfig::with_overrides(&config(cluster), Some(&overrides));
    let error = made.err()?;
    assert_eq!(error.code(), Code::INVALID_PROPERTY);
    error.property().map(str::to_owned)
}

#[test]
fn rule_9_17_what_the_broker_decides_in_kip_848_groups_is_refused() {
    for name in ["session.timeout.ms", "heartbeat.interval.ms"] {
        let own = [("group.protocol", "consumer"), (name, "9000")];
        assert_eq!(refused(&[], &own).as_deref(), Some(name));
    }
}

#[test]
fn rule_9_17_properties_of_another_group_protocol_are_refused_beside_one() {
    for (protocol, name, value) in [
        ("zookeeper", "session.timeout.ms", "9000"),
        ("zookeeper", "heartbeat.interval.ms", "9000"),
        ("zookeeper", "group.instance.id", "one"),
        ("classic", "offsets.storage", "zookeeper"),
        ("classic", "dual.commit.enabled", "true"),
        ("classic", "zookeeper.group.layout", "kafka"),
        ("consumer", "consumer.id", "a"),
        ("consumer", "rebalance.max.retries", "4"),
        ("consumer", "rebalance.backoff.ms", "2000"),
        ("classic", "samsa.group.refuse.idle.members", "true"),
    ] {
        let (protocol, idle) = (("group.protocol", protocol), (name, value));
        let name = Some(name.to_owned());
        assert_eq!(refused(&[], &[protocol, idle]), name, "both the consumer's");
        assert_eq!(refused(&[protocol, idle], &[]), name, "both the cluster's");
        assert_eq!(refused(&[protocol], &[idle]), name, "over the cluster's protocol");
        assert_eq!(refused(&[idle], &[protocol]), None, "the cluster says so for others");
        assert_eq!(refused(&[], &[idle]), None, "the cluster shows which groups it has");
    }
    // What is done anyway may be asked for.
    for idle in [("offsets.storage", "kafka"), ("dual.commit.enabled", "false")] {
        assert_eq!(refused(&[], &[("group.protocol", "classic"), idle]), None);
    }
}

#[test]
fn rule_9_17_what_has_no_effect_and_is_not_refused_is_known() {
    let config = config(&[("session.timeout.ms", "9000"), ("rebalance.backoff.ms", "1")]);
    let group = ConsumerConfig::with_overrides(&config, None).unwrap().group;
    let idle = |protocol| group.without_effect(protocol).collect::<Vec<_>>();
    assert_eq!(idle(GroupProtocol::Classic), ["rebalance.backoff.ms"]);
    assert_eq!(idle(GroupProtocol::ZooKeeper), ["session.timeout.ms"]);
    assert_eq!(idle(GroupProtocol::Consumer), ["rebalance.backoff.ms", "session.timeout.ms"]);
}
