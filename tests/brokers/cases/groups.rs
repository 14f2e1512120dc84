//! One group, many clients: members come, leave politely and die, one by one, while records are
//! written all along.
//!
//! Exactly once where nobody died, but for what is a client's own fault:
//! - PyKafka repeats a record now and then when it rebalances, also alone.
//! - Java commits before it joins again; with cooperative assignors it reads on until partitions are
//!   taken from it, and does not commit that.
//! - Java before 3.4, as the leader, does not believe what librdkafka's members own (they tell their
//!   generation in a place that it does not read), and gives it to others before it was given up.
//!
//! PyKafka as the leader of a classic group writes shares without the field for user data, and with
//! that ends Java and confluent-kafka: it shares a group with neither.

use crate::ground::Ground;
use crate::group::{Client, Describe, GroupRun, Seat};

const fn seat(client: Client, options: &'static [&'static str]) -> Seat {
    let repeats = matches!(client, Client::PyKafka | Client::PyKafkaZooKeeper);
    Seat { client, options, repeats }
}

/// The console consumer, confluent-kafka and we agree on ranges.
pub fn range(ground: &Ground) {
    let java = &["session.timeout.ms=6000", "heartbeat.interval.ms=500"];
    let named = &[
        "session.timeout.ms=6000",
        "heartbeat.interval.ms=500",
        "partition.assignment.strategy=range",
    ];
    let mut seats = vec![seat(Client::Java, java), seat(Client::Ours, named)];
    if ground.release.since(0, 10) {
        seats.push(seat(Client::Confluent, named));
    }
    play(GroupRun::start(ground, Describe::Classic), &seats);
}

/// The console consumer, confluent-kafka and we agree on round robin.
pub fn round_robin(ground: &Ground) {
    let java = &[
        "session.timeout.ms=6000",
        "heartbeat.interval.ms=500",
        "partition.assignment.strategy=org.apache.kafka.clients.consumer.RoundRobinAssignor",
    ];
    let named = &[
        "session.timeout.ms=6000",
        "heartbeat.interval.ms=500",
        "partition.assignment.strategy=roundrobin",
    ];
    let others = [seat(Client::Confluent, named), seat(Client::Ours, named)];
    let seats = [&[seat(Client::Java, java)], &others[..]].concat();
    play(GroupRun::start(ground, Describe::Classic), &seats);
}

/// The console consumer, confluent-kafka and we agree on cooperative-sticky: partitions move in two
/// steps.
pub fn cooperative(ground: &Ground) {
    let java = &[
        "session.timeout.ms=6000",
        "heartbeat.interval.ms=500",
        "partition.assignment.strategy=org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
    ];
    let named = &[
        "session.timeout.ms=6000",
        "heartbeat.interval.ms=500",
        "partition.assignment.strategy=cooperative-sticky",
    ];
    let mut seats = vec![seat(Client::Confluent, named), seat(Client::Ours, named)];
    if ground.release.since(3, 4) {
        seats.insert(0, Seat { repeats: true, ..seat(Client::Java, java) });
    }
    play(GroupRun::start(ground, Describe::Classic), &seats);
}

/// The coordinator assigns (KIP-848).
pub fn assigned_by_the_coordinator(ground: &Ground) {
    let options = &["group.protocol=consumer"];
    let clients = [Client::Java, Client::Confluent, Client::Ours];
    play(GroupRun::start(ground, Describe::Modern), &clients.map(|client| seat(client, options)));
}

/// PyKafka's managed consumer and we. Its session is 30 s, and it needs 11 to hear of a change: it is
/// not killed here.
pub fn pykafka(ground: &Ground) {
    let pykafka = seat(Client::PyKafka, &[]);
    let ours = seat(
        Client::Ours,
        &[
            "session.timeout.ms=6000",
            "heartbeat.interval.ms=500",
            "partition.assignment.strategy=range",
        ],
    );
    let mut run = GroupRun::start(ground, Describe::Classic);
    run.join(pykafka);
    run.join(ours);
    run.leave(Client::PyKafka);
    run.join(pykafka);
    run.kill(Client::Ours);
    run.join(ours);
    run.leave(Client::Ours);
    run.finish();
}

/// Scala consumers and we agree in ZooKeeper.
pub fn scala_in_zookeeper(ground: &Ground) {
    let scala =
        &["auto.commit.interval.ms=1000", "rebalance.backoff.ms=500", "rebalance.max.retries=20"];
    let ours =
        &["group.protocol=zookeeper", "auto.commit.interval.ms=1000", "rebalance.backoff.ms=500"];
    let seats = [seat(Client::Scala, scala), seat(Client::Ours, ours)];
    play(GroupRun::start(ground, Describe::ZooKeeper), &seats);
}

/// PyKafka's balanced consumers and we agree in ZooKeeper, in PyKafka's layout.
pub fn pykafka_in_zookeeper(ground: &Ground) {
    let ours = &[
        "group.protocol=zookeeper",
        "zookeeper.group.layout=pykafka",
        "offsets.storage=kafka",
        "dual.commit.enabled=false",
        "auto.commit.interval.ms=1000",
        "rebalance.backoff.ms=500",
    ];
    let seats = [seat(Client::PyKafkaZooKeeper, &[]), seat(Client::Ours, ours)];
    play(GroupRun::start(ground, Describe::ZooKeeper), &seats);
}

/// Everybody joins; everybody leaves and comes back; everybody dies and another comes.
fn play(mut run: GroupRun<'_>, seats: &[Seat]) {
    for seat in seats {
        run.join(*seat);
    }
    for seat in seats {
        run.leave(seat.client);
        run.join(*seat);
    }
    for seat in seats {
        run.kill(seat.client);
        run.join(*seat);
    }
    run.finish();
}
