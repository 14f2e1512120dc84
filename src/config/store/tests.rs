use super::*;

fn failure(config: &mut Config, name: &str, value: &str) -> Error {
    config.set(name, value).expect_err(&format!("{name}={value} is taken"))
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest_one() {
    let error = failure(&mut Config::new(), "lingre.ms", "5");
    assert_eq!(error.code(), Code::UNKNOWN_PROPERTY);
    assert_eq!(error.property(), Some("lingre.ms"));
    assert!(error.message().contains("did you mean linger.ms?"), "{error}");

    let error = failure(&mut Config::new(), "no.such.thing.at.all", "5");
    assert!(error.message().contains("docs/configuration.md"), "{error}");
    let error = failure(&mut Config::new(), &"x".repeat(1 << 20), "");
    assert!(error.message().len() < 1_000, "a hostile name is not repeated whole");
}

#[test]
fn a_bad_value_names_property_value_range_and_default() {
    let error = failure(&mut Config::new(), "max.poll.records", "0");
    assert_eq!(error.code(), Code::INVALID_PROPERTY);
    assert_eq!(error.property(), Some("max.poll.records"));
    for part in ["max.poll.records", "`0`", "1 to 2147483647", "500"] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
    let error = failure(&mut Config::new(), "acks", "2");
    assert!(error.message().contains("all, 1, 0"), "{error}");
    let error = failure(&mut Config::new(), "bootstrap.servers", "here");
    assert!(error.message().contains("`here` has no port"), "{error}");
}

#[test]
fn aliases_convert_units_and_say_their_own_range() {
    let mut config = Config::new();
    for (alias, value, name, expected) in [
        ("queue.buffering.max.kbytes", "2", "buffer.memory", "2048"),
        ("queue.buffering.max.ms", "7", "linger.ms", "7"),
        ("message.timeout.ms", "0", "delivery.timeout.ms", "2147483647"),
        ("metadata.broker.list", "a:1", "bootstrap.servers", "a:1"),
        ("request.required.acks", "-1", "acks", "all"),
        ("delivery.report.only.error", "true", "samsa.delivery.report", "failures"),
        ("log_level", "6", "samsa.log.level", "info"),
        ("enable.partition.eof", "true", "samsa.events", "partition_end"),
        ("auto.offset.reset", "smallest", "auto.offset.reset", "earliest"),
        ("socket_timeout_ms", "9", "request.timeout.ms", "9"),
    ] {
        config.set(alias, value).unwrap();
        assert_eq!(config.get(name).unwrap(), expected, "{alias}={value}");
        assert_eq!(config.get(alias).unwrap(), expected, "an alias reads the same property");
    }
    let error = failure(&mut Config::new(), "queued.max.messages.kbytes", "0");
    assert!(error.message().contains("64 to "), "in its own unit: {error}");
    assert!(error.message().contains("of samsa.memory.limit"), "{error}");
}

#[test]
fn two_spellings_may_agree_but_not_differ() {
    let mut config = Config::new();
    config.set("linger.ms", "5").unwrap();
    config.set("queue.buffering.max.ms", "5").unwrap();
    let error = failure(&mut config, "queue.buffering.max.ms", "6");
    assert_eq!(error.code(), Code::INVALID_PROPERTY);
    assert!(error.message().contains("linger.ms"), "{error}");
    assert_eq!(config.get("linger.ms").unwrap(), "5", "the first stays");
    config.unset("queue.buffering.max.ms").unwrap();
    config.set("queue.buffering.max.ms", "6").unwrap();
    config.set("queue.buffering.max.ms", "7").unwrap();
    assert_eq!(config.get("linger.ms").unwrap(), "7", "one spelling may change its mind");
}

#[test]
fn what_has_no_effect_is_refused_with_the_reason() {
    for (name, value, reason) in [
        ("security.protocol", "SSL", "only PLAINTEXT"),
        ("sasl.mechanism", "PLAIN", "only PLAINTEXT"),
        ("ssl.ca.location", "/x", "only PLAINTEXT"),
        ("transactional.id", "t", "transactions are not there yet"),
        ("zookeeper.sync.time.ms", "2000", "asked to catch up"),
        ("client.dns.lookup", "default", "only use_all_dns_ips is taken"),
        ("sticky.partitioning.linger.ms", "10", "batch.size"),
    ] {
        let error = failure(&mut Config::new(), name, value);
        assert_eq!(error.code(), Code::INVALID_PROPERTY);
        assert_eq!(error.property(), Some(name));
        assert!(error.message().contains(reason), "{error}");
    }
    let mut config = Config::new();
    config.set("security.protocol", "plaintext").unwrap();
    assert_eq!(config.get("security.protocol").unwrap(), "PLAINTEXT");
}

#[test]
fn a_topic_s_property_stands_before_the_one_for_all() {
    let mut config = Config::new();
    config.set("topic.my.topic.compression.type", "zstd").unwrap();
    config.set("compression.type", "gzip").unwrap();
    assert_eq!(config.get("topic.my.topic.compression.type").unwrap(), "zstd");
    assert_eq!(config.get("topic.other.compression.type").unwrap(), "gzip");
    assert_eq!(config.get("compression.type").unwrap(), "gzip");
    config.set("topic.compression.type.linger.ms", "1").unwrap();
    assert_eq!(config.topics().collect::<Vec<_>>(), ["compression.type", "my.topic"]);
    config.set("topic.t.queue.buffering.max.ms", "3").unwrap();
    assert_eq!(config.get("topic.t.linger.ms").unwrap(), "3", "aliases too");
    config.set("topic.metadata.refresh.interval.ms", "4").unwrap();
    assert_eq!(config.get("metadata.max.age.ms").unwrap(), "4", "librdkafka's name is no topic");
}

#[test]
fn a_topic_s_property_that_cannot_be_says_which_can() {
    let error = failure(&mut Config::new(), "topic.t.acks", "1");
    assert_eq!(error.code(), Code::INVALID_PROPERTY);
    assert!(error.message().contains("compression.type"), "{error}");
    let error = failure(&mut Config::new(), "topic.t.linger.msx", "1");
    assert_eq!(error.code(), Code::UNKNOWN_PROPERTY);
    assert!(error.message().contains("linger.ms"), "{error}");
    for name in ["topic.", "topic..linger.ms", "topic.t", "topic.linger.ms"] {
        assert_eq!(failure(&mut Config::new(), name, "1").code(), Code::UNKNOWN_PROPERTY, "{name}");
    }
}

#[test]
fn overrides_win_and_may_not_touch_the_connections() {
    let mut cluster = Config::new();
    cluster.set("linger.ms", "1").unwrap();
    cluster.set("topic.t.linger.ms", "2").unwrap();
    cluster.set("batch.size", "3").unwrap();
    let mut overrides = Config::new();
    overrides.set("linger.ms", "4").unwrap();
    overrides.set("topic.u.linger.ms", "5").unwrap();
    let merged = cluster.overlay(Some(&overrides)).unwrap();
    assert_eq!(merged.get("linger.ms").unwrap(), "4");
    assert_eq!(merged.get("topic.t.linger.ms").unwrap(), "4", "nearer than the cluster's");
    assert_eq!(merged.get("topic.u.linger.ms").unwrap(), "5");
    assert_eq!(merged.get("batch.size").unwrap(), "3", "inherited");
    assert_eq!(cluster.overlay(None).unwrap().get("linger.ms").unwrap(), "1");

    overrides.set("metadata.broker.list", "a:1").unwrap();
    let error = cluster.overlay(Some(&overrides)).unwrap_err();
    assert_eq!(error.code(), Code::INVALID_PROPERTY);
    assert_eq!(error.property(), Some("metadata.broker.list"), "as the application wrote it");
}

#[test]
fn an_override_by_another_spelling_is_no_contradiction() {
    let mut cluster = Config::new();
    cluster.set("linger.ms", "1").unwrap();
    let mut overrides = Config::new();
    overrides.set("queue.buffering.max.ms", "2").unwrap();
    let merged = cluster.overlay(Some(&overrides)).unwrap();
    assert_eq!(merged.get("linger.ms").unwrap(), "2");
}

#[test]
fn a_file_is_taken_whole_or_not_at_all_and_errors_name_the_line() {
    let mut config = Config::new();
    config
        .load_text("f", "bootstrap.servers = a:1,\\\n  b:2\n# c\nlinger.ms: 7\nlinger.ms 8")
        .unwrap();
    assert_eq!(config.get("bootstrap.servers").unwrap(), "a:1,b:2");
    assert_eq!(config.get("linger.ms").unwrap(), "8", "the last of two equal names");

    let text = "acks=1\nlinger.ms=9\n\nqueue.buffering.max.ms=10\n";
    let error = config.load_text("f", text).unwrap_err();
    assert_eq!(error.code(), Code::INVALID_PROPERTY);
    assert!(error.message().starts_with("f:4 (see also line 2): "), "{error}");
    assert_eq!(error.property(), Some("queue.buffering.max.ms"));
    assert_eq!(config.get("acks").unwrap(), "all", "nothing of it was taken");

    let error = config.load_text("f", "\nackz=1").unwrap_err();
    assert_eq!(error.code(), Code::UNKNOWN_PROPERTY);
    assert!(error.message().starts_with("f:2: "), "{error}");
}

#[test]
fn a_file_that_is_not_there_or_not_text_says_so() {
    let error = Config::new().load("/no/such/file.properties").unwrap_err();
    assert_eq!(error.code(), Code::IO);
    assert!(error.message().starts_with("/no/such/file.properties: "), "{error}");
    let error = Config::new().load("/dev/zero").unwrap_err();
    assert_eq!(error.code(), Code::IO, "endless input ends: {error}");
}

#[test]
fn what_is_attached_travels_by_type_and_an_override_wins() {
    let mut cluster = Config::new();
    cluster.attach(Arc::new(1_u32));
    cluster.attach(Arc::new("name"));
    let mut overrides = Config::new();
    overrides.attach(Arc::new(2_u32));
    let merged = cluster.overlay(Some(&overrides)).unwrap();
    assert_eq!(merged.attached::<u32>().as_deref(), Some(&2));
    assert_eq!(merged.attached::<&str>().as_deref(), Some(&"name"));
    assert!(merged.attached::<u64>().is_none());
}

#[test]
fn what_belongs_to_the_cluster_is_refused_among_overrides_also_when_it_is_no_text() {
    #[derive(Debug)]
    struct Nowhere;
    impl Sink for Nowhere {
        fn log(&self, _: &crate::log::Entry) {}
    }
    let cluster = Config::new();
    let mut overrides = Config::new();
    overrides.attach_to_cluster(Arc::new(1_u32), "the callback");
    let error = cluster.overlay(Some(&overrides)).unwrap_err();
    assert_eq!(error.code(), Code::INVALID_PROPERTY);
    assert!(error.message().starts_with("the callback belongs to the cluster"), "{error}");
    overrides.detach::<u32>();
    cluster.overlay(Some(&overrides)).unwrap();
    overrides.set_log_sink(Some(Arc::new(Nowhere)));
    let error = cluster.overlay(Some(&overrides)).unwrap_err();
    assert_eq!(error.code(), Code::INVALID_PROPERTY);
    assert!(error.message().starts_with("the log callback belongs"), "{error}");
    let mut cluster = Config::new();
    cluster.attach_to_cluster(Arc::new(1_u32), "the callback");
    let merged = cluster.overlay(Some(&Config::new())).unwrap();
    assert!(merged.attached::<u32>().is_some(), "the cluster's own is no override");
}

#[test]
fn an_alias_of_an_item_adds_it_to_the_list_or_takes_it_away_in_any_order() {
    let events = |pairs: &[(&str, &str)]| {
        let mut config = Config::new();
        pairs.iter().try_for_each(|(name, value)| config.set(name, value))?;
        config.get("samsa.events")
    };
    let list = |value| ("samsa.events", value);
    let eof = |value| ("enable.partition.eof", value);
    for pair in [[list("assigned"), eof("true")], [eof("1"), list("assigned")]] {
        assert_eq!(events(&pair).unwrap(), "partition_end,assigned");
    }
    for pair in [[list("assigned"), eof("false")], [eof("f"), list("assigned")]] {
        assert_eq!(events(&pair).unwrap(), "assigned");
    }
    assert_eq!(events(&[eof("true"), eof("false")]).unwrap(), "", "the last word counts");
    assert_eq!(events(&[eof("false"), eof("true")]).unwrap(), "partition_end");
    assert_eq!(
        events(&[eof("true"), list("lost"), list("topics")]).unwrap(),
        "topics,partition_end"
    );
    for pair in [[list("partition_end"), eof("false")], [eof("false"), list("partition_end")]] {
        assert_eq!(events(&pair).unwrap_err().code(), Code::INVALID_PROPERTY, "a contradiction");
    }
    let error = events(&[eof("maybe")]).unwrap_err();
    assert!(error.message().contains("true or false"), "{error}");
}

#[test]
fn an_override_of_an_item_changes_the_cluster_s_list() {
    let mut cluster = Config::new();
    cluster.set("samsa.events", "topics,partition_end").unwrap();
    for (value, events) in [("true", "topics,partition_end"), ("false", "topics")] {
        let mut overrides = Config::new();
        overrides.set("enable.partition.eof", value).unwrap();
        let merged = cluster.overlay(Some(&overrides)).unwrap();
        assert_eq!(merged.get("samsa.events").unwrap(), events);
    }
}

#[test]
fn what_was_set_is_listed_with_the_application_s_own_names() {
    let mut config = Config::new();
    config.set("queue.buffering.max.kbytes", "1").unwrap();
    config.set("topic.t.batch.size", "5").unwrap();
    let listed: Vec<_> = config.iter().map(|it| (it.topic, it.name.to_owned(), it.value)).collect();
    let expected = [
        (None, "queue.buffering.max.kbytes".to_owned(), "1024"),
        (Some("t"), "topic.t.batch.size".to_owned(), "5"),
    ];
    assert_eq!(listed, expected);
}

mod any_input {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_name_and_value_is_taken_or_refused_without_a_panic(
            prefix in prop_oneof![Just(""), Just("topic."), Just("topic.t."), Just("topic.é.")],
            name in prop_oneof![
                proptest::sample::select(table::names().collect::<Vec<_>>()).prop_map(str::to_owned),
                "(?s).{0,30}",
            ],
            value in prop_oneof![Just("1".to_owned()), "(?s).{0,30}", "-?[0-9]{1,20}"],
        ) {
            let mut config = Config::new();
            let name = format!("{prefix}{name}");
            match config.set(&name, &value) {
                Ok(()) => prop_assert!(config.get(&name).is_ok()),
                Err(error) => prop_assert!(error.property().is_some(), "{error}"),
            }
        }
    }
}
