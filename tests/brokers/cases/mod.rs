//! The cases: what must hold on real brokers.

pub mod embedded;
mod group_farewells;
mod group_next;
mod group_zookeeper;
mod group_zookeeper_peers;
mod groups;
mod harness;
mod idempotence;
mod leader;
mod legacy;
mod logs;
mod memberships;
mod peers;
mod programs;
mod racks;
mod rebalance_aware;
mod transactions;
mod workload;
pub mod zookeeper;
mod zookeeper_discovery;
mod zookeeper_session;

use crate::ground::Ground;
use crate::harness::Need;

/// One thing that must hold on every release that has what it needs.
pub struct Case {
    /// A sentence, in snake case.
    pub name: &'static str,
    /// What a release must have for the case to run there.
    pub needs: &'static [Need],
    /// 0: the release's shared broker serves; else a cluster of so many brokers of its own.
    pub own_cluster: u32,
    /// The case; it panics when it does not hold.
    pub run: fn(&Ground),
}

/// Every case, in the order in which they run on each release.
pub const ALL: &[Case] = &[
    shared("produce_and_consume_round_trip", &[], programs::produce_and_consume_round_trip),
    shared("every_codec_round_trips", &[], programs::every_codec_round_trips),
    shared(
        "the_cluster_program_lists_brokers_and_topics",
        &[],
        programs::the_cluster_program_lists_brokers_and_topics,
    ),
    shared(
        "a_message_above_the_limits_is_an_error",
        &[],
        programs::a_message_above_the_limits_is_an_error,
    ),
    shared(
        "zstd_below_2_1_names_the_brokers_version",
        &[Need::Before(2, 1)],
        programs::zstd_below_2_1_names_the_brokers_version,
    ),
    shared("what_we_write_comes_back_as_it_was", &[], peers::ourselves),
    shared("kcat_and_we_read_each_other", &[], peers::kcat),
    shared("the_console_tools_and_we_read_each_other", &[], peers::console_tools),
    shared("pykafka_and_we_read_each_other", &[Need::Before(4, 0)], peers::pykafka),
    shared("confluent_kafka_and_we_read_each_other", &[Need::Since(0, 10)], peers::confluent),
    shared(
        "headers_below_0_11_name_the_brokers_version",
        &[Need::Before(0, 11)],
        peers::headers_below_0_11_name_the_brokers_version,
    ),
    shared("times_survive_both_ways", &[Need::Since(0, 10)], logs::times_survive_both_ways),
    shared(
        "sequences_are_stored_without_gap",
        &[Need::Since(0, 11)],
        idempotence::sequences_are_stored_without_gap,
    ),
    shared(
        "a_producer_outlives_its_deleted_records",
        &[Need::Since(0, 11)],
        idempotence::a_producer_outlives_its_deleted_records,
    ),
    shared("the_brokers_time_is_everyones", &[Need::Since(0, 10)], logs::the_brokers_time),
    shared("a_message_above_every_default_is_exchanged", &[], logs::large_messages),
    shared("compacted_logs_are_read_to_their_ends", &[Need::Since(0, 9)], logs::compaction),
    shared(
        "transactions_of_javas_client_are_read_as_committed",
        &[Need::Since(0, 11)],
        transactions::java,
    ),
    shared(
        "transactions_of_librdkafka_are_read_as_committed",
        &[Need::Since(0, 11)],
        transactions::confluent,
    ),
    shared(
        "members_share_and_take_over",
        &[Need::Since(0, 9)],
        memberships::members_share_and_take_over,
    ),
    shared(
        "a_member_leaves_its_group_in_a_slow_rebalance",
        &[Need::Since(0, 9), Need::Often(&["1.1.1", "4.3.1"])],
        group_farewells::a_member_leaves_in_a_slow_rebalance,
    ),
    shared(
        "a_group_agrees_on_ranges",
        &[Need::Since(0, 9), Need::Often(&["0.9.0.1", "1.1.1"])],
        groups::range,
    ),
    shared(
        "a_group_agrees_on_round_robin",
        &[Need::Since(0, 10), Need::Often(&["4.3.1"])],
        groups::round_robin,
    ),
    shared(
        "a_group_agrees_in_two_steps",
        &[Need::Since(2, 8), Need::Often(&["3.9.2"])],
        groups::cooperative,
    ),
    shared(
        "a_group_is_assigned_by_its_coordinator",
        &[Need::Since(4, 0)],
        groups::assigned_by_the_coordinator,
    ),
    shared(
        "members_by_epochs_share_and_take_over",
        &[Need::Since(4, 0)],
        group_next::members_share_and_take_over,
    ),
    shared(
        "members_by_epochs_commit_through_rebalances",
        &[Need::Since(4, 0)],
        group_next::commits_go_through_a_rebalance,
    ),
    shared(
        "members_by_epochs_follow_patterns",
        &[Need::Since(4, 0)],
        group_next::patterns_find_new_topics,
    ),
    shared(
        "static_members_by_epochs_come_back",
        &[Need::Since(4, 0)],
        group_next::a_static_member_comes_back,
    ),
    shared(
        "a_group_with_managed_pykafka",
        &[Need::Since(0, 9), Need::Before(4, 0), Need::Often(&["0.9.0.1"])],
        groups::pykafka,
    ),
    shared(
        "a_group_with_scala_agrees_in_zookeeper",
        &[Need::Before(2, 0), Need::Often(&["0.8.2.2", "1.1.1"])],
        groups::scala_in_zookeeper,
    ),
    shared(
        "a_group_with_pykafka_agrees_in_zookeeper",
        &[Need::Before(4, 0), Need::Often(&["0.8.2.2"])],
        groups::pykafka_in_zookeeper,
    ),
    Case {
        name: "a_killed_broker_serves_again_on_the_same_port",
        // Elsewhere the workload's broker is killed and comes back.
        needs: &[Need::Since(4, 3)],
        own_cluster: 1,
        run: harness::a_killed_broker_serves_again_on_the_same_port,
    },
    Case {
        name: "a_workload_survives_the_death_of_its_only_broker",
        needs: &[Need::Before(4, 3)],
        own_cluster: 1,
        run: workload::a_workload_survives_the_death_of_its_only_broker,
    },
    Case {
        name: "a_million_records_survive_kills_and_leader_moves",
        needs: &[Need::Since(4, 3)],
        own_cluster: 3,
        run: workload::a_million_records_survive_kills_and_leader_moves,
    },
    Case {
        name: "the_replica_in_our_rack_is_read",
        needs: &[Need::Since(4, 3)],
        own_cluster: 3,
        run: racks::the_replica_in_our_rack_is_read,
    },
    Case {
        name: "killing_the_leader_loses_and_reorders_nothing",
        needs: &[Need::Since(4, 3)],
        own_cluster: 3,
        run: leader::killing_the_leader_loses_and_reorders_nothing,
    },
    // The old consumer went with 2.0.
    shared(
        "the_scala_consumer_shares_a_group_with_our_member",
        &[Need::Before(2, 0)],
        group_zookeeper_peers::scala,
    ),
    shared(
        "pykafka_shares_a_group_in_zookeeper_with_our_member",
        &[Need::Before(4, 0)],
        group_zookeeper_peers::pykafka,
    ),
    shared(
        "the_programs_find_the_cluster_through_zookeeper",
        &[Need::Before(4, 0)],
        zookeeper_discovery::programs_find_the_cluster,
    ),
    Case {
        name: "a_killed_broker_leaves_the_live_map_and_comes_back_as_another",
        needs: &[Need::Since(3, 9), Need::Before(4, 0)],
        own_cluster: 2,
        run: zookeeper_discovery::a_killed_broker_leaves_and_comes_back,
    },
];

const fn shared(name: &'static str, needs: &'static [Need], run: fn(&Ground)) -> Case {
    Case { name, needs, own_cluster: 0, run }
}
