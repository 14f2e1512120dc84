//! One group, many clients: members come, leave politely and die, one by one, while records are
//! written all along.
//!
//! Exactly once where nobody died, but for what is a client's own fault:
//! - PyKafka repeats a record now and then when it rebalances, also alone.
//! - Java commits before it joins again; with cooperative assignors it reads on until partitions are
//!   taken from it, and does not commit that.
//!
//! PyKafka as the leader of a classic group writes shares without the field for user data, and with
//! that ends Java and confluent-kafka: it shares a group with neither.

use crate::ground::Ground;
use crate::group::{Client, Describe, GroupRun, Seat};

const fn seat(client: Client, options: &'static [&'static str]) -> Seat {
    let repeats = matches!(client, Client::PyKafka | Client::PyKafkaZooKeeper);
    Seat { client, options, repeats }
}

/// The console consumer and confluent-kafka agree on ranges.
pub fn range(ground: &Ground) {
    let java = seat(Client::Java, &["session.timeout.ms=6000", "heartbeat.interval.ms=500"]);
    let mut seats = vec![java];
    if ground.release.since(0, 10) {
        let options = &[
            "session.timeout.ms=6000",
            "heartbeat.interval.ms=500",
            "partition.assignment.strategy=range",
        ];
        seats.push(seat(Client::Confluent, options));
    }
    play(GroupRun::start(ground, Describe::Classic), &seats);
}

/// The console consumer and confluent-kafka agree on round robin.
pub fn round_robin(ground: &Ground) {
    let java = &[
        "session.timeout.ms=6000",
        "heartbeat.interval.ms=500",
        "partition.assignment.strategy=org.apache.kafka.clients.consumer.RoundRobinAssignor",
    ];
    let confluent = &[
        "session.timeout.ms=6000",
        "heartbeat.interval.ms=500",
        "partition.assignment.strategy=roundrobin",
    ];
    let seats = [seat(Client::Java, java), seat(Client::Confluent, confluent)];
    play(GroupRun::start(ground, Describe::Classic), &seats);
}

/// The console consumer and confluent-kafka agree on cooperative-sticky: partitions move in two steps.
pub fn cooperative(ground: &Ground) {
    let java = &[
        "session.timeout.ms=6000",
        "heartbeat.interval.ms=500",
        "partition.assignment.strategy=org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
    ];
    let confluent = &[
        "session.timeout.ms=6000",
        "heartbeat.interval.ms=500",
        "partition.assignment.strategy=cooperative-sticky",
    ];
    let java = Seat { repeats: true, ..seat(Client::Java, java) };
    let seats = [java, seat(Client::Confluent, confluent)];
    play(GroupRun::start(ground, Describe::Classic), &seats);
}

/// The coordinator assigns (KIP-848).
pub fn assigned_by_the_coordinator(ground: &Ground) {
    let options = &["group.protocol=consumer"];
    let seats = [seat(Client::Java, options), seat(Client::Confluent, options)];
    play(GroupRun::start(ground, Describe::Modern), &seats);
}

/// PyKafka's managed consumer; its session is 30 s, and it needs 11 to hear of a change.
pub fn pykafka(ground: &Ground) {
    let pykafka = seat(Client::PyKafka, &[]);
    let mut run = GroupRun::start(ground, Describe::Classic);
    run.join(pykafka);
    run.join(pykafka);
    run.leave(Client::PyKafka);
    run.finish();
}

/// Scala consumers agree in ZooKeeper.
pub fn scala_in_zookeeper(ground: &Ground) {
    let options =
        &["auto.commit.interval.ms=1000", "rebalance.backoff.ms=500", "rebalance.max.retries=20"];
    let scala = seat(Client::Scala, options);
    play(GroupRun::start(ground, Describe::ZooKeeper), &[scala, scala]);
}

/// PyKafka's balanced consumers agree in ZooKeeper, in a layout of their own.
pub fn pykafka_in_zookeeper(ground: &Ground) {
    let pykafka = seat(Client::PyKafkaZooKeeper, &[]);
    play(GroupRun::start(ground, Describe::ZooKeeper), &[pykafka, pykafka]);
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
