//! What belongs to members of consumer groups.

use super::{INT_MAX, Kind, Owner, Property, kafka_0_7, millis, pykafka, scala};

/// The assignors that are built in, with the names of Java's classes.
const ASSIGNORS: &[&[&str]] = &[
    &["range", "org.apache.kafka.clients.consumer.RangeAssignor"],
    &["roundrobin", "org.apache.kafka.clients.consumer.RoundRobinAssignor"],
    &["sticky", "org.apache.kafka.clients.consumer.StickyAssignor"],
    &["cooperative-sticky", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"],
];

const fn row(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    doc: &'static str,
    aliases: &'static [super::Alias],
) -> Property {
    Property { name, owner: Owner::Consumer, per_topic: false, kind, default, doc, aliases }
}

pub(super) const ROWS: &[Property] = &[
    row(
        "group.id",
        Kind::Text,
        "",
        "The consumer group: its members share the partitions of what they subscribe to, and its committed offsets say where reading goes on. Empty: no group, and nothing is committed.",
        &[pykafka("consumer_group"), kafka_0_7("groupid")],
    ),
    row(
        "group.protocol",
        Kind::Choice(&[&["classic"], &["consumer"], &["zookeeper"]]),
        "classic",
        "How members agree: `classic` (a coordinator, members assign; Kafka 0.9 and later), `consumer` (the coordinator assigns, KIP-848; Kafka 4.0 and later), `zookeeper` (as the Scala clients; needs `zookeeper.connect`). On Kafka 0.7 it is always `zookeeper`.",
        &[],
    ),
    row(
        "group.instance.id",
        Kind::Text,
        "",
        "The name of a static member (KIP-345): a member of the same name that comes back within the session time-out keeps its partitions, and a close does not leave the group. Empty: a dynamic member. Not with `group.protocol=zookeeper`.",
        &[],
    ),
    row(
        "group.remote.assignor",
        Kind::Text,
        "",
        "With `group.protocol=consumer`: the coordinator's assignor (`uniform`, `range`). Empty: the coordinator chooses.",
        &[],
    ),
    row(
        "partition.assignment.strategy",
        Kind::Ranking(ASSIGNORS),
        "range,cooperative-sticky",
        "With `group.protocol=classic`: the assignors that this member offers, the best liked first. The group uses one that all members offer; `cooperative-sticky` moves partitions without stopping the others (KIP-429) when it is the only one offered. An assignor of the application's own is offered before them.",
        &[],
    ),
    row(
        "session.timeout.ms",
        millis(1),
        "45000",
        "How long the coordinator keeps a member that sends no heartbeat. The broker has bounds (6 s to 30 min; in 0.9 to 30 s). Not with `group.protocol=consumer`, where it is the broker's, and not with `zookeeper`, which has `zookeeper.session.timeout.ms`.",
        &[],
    ),
    row(
        "heartbeat.interval.ms",
        millis(1),
        "3000",
        "How often a member sends a heartbeat; must be less than `session.timeout.ms`. Not with `group.protocol=consumer`, where it is the broker's, and not with `zookeeper`.",
        &[pykafka("heartbeat_interval_ms")],
    ),
    row(
        "max.poll.interval.ms",
        millis(1),
        "300000",
        "How long the application may leave messages unread between two polls before its member leaves the group; also how long a rebalance waits for it. `samsa_consumer_extend` gains time.",
        &[],
    ),
    row(
        "enable.auto.commit",
        Kind::Boolean,
        "true",
        "Whether positions are committed by themselves: every `auto.commit.interval.ms`, before partitions are given up, and at close. Only what was handed out and come back for is committed.",
        &[
            scala("auto.commit.enable"),
            pykafka("auto_commit_enable"),
            kafka_0_7("autocommit.enable"),
        ],
    ),
    row(
        "auto.commit.interval.ms",
        millis(0),
        "5000",
        "How often positions are committed with `enable.auto.commit=true`.",
        &[pykafka("auto_commit_interval_ms"), kafka_0_7("autocommit.interval.ms")],
    ),
    row(
        "enable.auto.offset.store",
        Kind::Boolean,
        "true",
        "Whether a position counts as done because its messages were handed out and come back for. `false`: only what `samsa_consumer_store` names is committed by itself, and by a commit without positions.",
        &[],
    ),
    row(
        "exclude.internal.topics",
        Kind::Boolean,
        "true",
        "Whether patterns leave out the brokers' own topics, such as `__consumer_offsets`.",
        &[pykafka("exclude_internal_topics")],
    ),
    row(
        "samsa.reset.offset.on.start",
        Kind::Boolean,
        "false",
        "Whether a partition that is assigned for the first time is read from where `auto.offset.reset` says, though the group has committed an offset.",
        &[pykafka("reset_offset_on_start")],
    ),
    row(
        "rebalance.max.retries",
        Kind::Number { min: 0, max: INT_MAX },
        "4",
        "With `group.protocol=zookeeper`: how often a rebalance is tried again before the application is told that it fails. Tries go on, and last at least as long as the session of a dead owner.",
        &[pykafka("rebalance_max_retries"), kafka_0_7("rebalance.retries.max")],
    ),
    row(
        "rebalance.backoff.ms",
        millis(0),
        "2000",
        "With `group.protocol=zookeeper`: the pause before a rebalance is tried again.",
        &[pykafka("rebalance_backoff_ms")],
    ),
    row(
        "offsets.storage",
        Kind::Choice(&[&["zookeeper"], &["kafka"]]),
        "zookeeper",
        "With `group.protocol=zookeeper`: where offsets are committed. Kafka 0.7 has ZooKeeper only, PyKafka's layout has Kafka only.",
        &[],
    ),
    row(
        "dual.commit.enabled",
        Kind::Boolean,
        "true",
        "With `offsets.storage=kafka` and `group.protocol=zookeeper`: offsets are committed to ZooKeeper too, and reading starts from the larger one; for moving a group.",
        &[],
    ),
    row(
        "zookeeper.group.layout",
        Kind::Choice(&[&["kafka"], &["pykafka"]]),
        "kafka",
        "With `group.protocol=zookeeper`: whose groups can be joined: the Scala client's (`kafka`) or PyKafka's. The two cannot share one.",
        &[],
    ),
    row(
        "consumer.id",
        Kind::Text,
        "",
        "With `group.protocol=zookeeper`: what follows the group's name in the member's id. Empty: host, time and a random number, as the Scala client does.",
        &[kafka_0_7("consumerid")],
    ),
    row(
        "samsa.group.refuse.idle.members",
        Kind::Boolean,
        "false",
        "With `group.protocol=zookeeper`: a member for which no partition is left gets an error, as in the Python client samsa. Otherwise it waits for one.",
        &[],
    ),
];
