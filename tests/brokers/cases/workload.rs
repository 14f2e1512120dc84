//! Many threads produce while brokers are killed and leaders move, and a reader follows: nothing is
//! lost, nothing overtakes, and with idempotence nothing comes twice.

use crate::ground::Ground;
use crate::harness::topics;
use crate::workload::{self, Gate, Plan, Promise};

/// A million records by eight threads to twelve partitions; three replicas, two of them in sync.
/// Each broker in turn is killed, comes back, and takes back what it prefers to lead.
pub fn a_million_records_survive_kills_and_leader_moves(ground: &Ground) {
    let topic = ground.topic("million");
    let in_sync = ["min.insync.replicas=2"];
    topics::create(ground, &topic, 12, 3, &in_sync);
    // Two kills fit into every check; the long version kills each broker three times.
    let rounds = if is_long() { 9 } else { 2 };
    let plan = Plan { threads: 8, partitions: 12, each: 125_000, promise: Promise::ExactlyOnce };
    workload::run(&ground.address, &topic, plan, |gate| {
        let mut steps = Steps { plan, gate, done: 0, of: rounds * 3 };
        for round in 0..rounds {
            steps.under_way();
            let victim = usize::try_from(round % 3).expect("few");
            ground.cluster().kill(victim);
            steps.done();
            steps.under_way();
            ground.cluster().restart(victim);
            topics::wait_in_sync(ground, &topic, 3);
            steps.done();
            steps.under_way();
            topics::elect_preferred_leaders(ground);
            steps.done();
        }
    });
}

/// The same on one broker, which is killed and comes back: with idempotence where there is any.
pub fn a_workload_survives_the_death_of_its_only_broker(ground: &Ground) {
    let topic = ground.topic("workload");
    topics::create(ground, &topic, 12, 1, &[]);
    let idempotent = ground.release.since(0, 11);
    let promise = if idempotent { Promise::ExactlyOnce } else { Promise::AtLeastOnce };
    let plan = Plan { threads: 8, partitions: 12, each: 12_000, promise };
    workload::run(&ground.address, &topic, plan, |gate| {
        let mut steps = Steps { plan, gate, done: 0, of: 3 };
        steps.done();
        steps.under_way();
        ground.cluster().kill(0);
        // More is sent than the broker has taken: what is in flight and what waits both live on.
        steps.gate.allow(plan.each / 2);
        ground.cluster().restart(0);
        assert_eq!(ground.cluster().address(), ground.address);
        steps.done();
    });
}

/// Parts of a workload, each begun before and ended after something happens to the brokers.
struct Steps<'a> {
    plan: Plan,
    gate: &'a Gate,
    done: u64,
    of: u64,
}

impl Steps<'_> {
    fn records(&self, steps: u64, of: u64) -> u64 {
        self.plan.each * steps / of
    }

    /// Begins a step: half of it may be sent, and some of it has its outcome.
    fn under_way(&self) {
        let begun = self.done * 4;
        self.gate.allow(self.records(begun + 2, self.of * 4));
        self.gate.wait_settled(self.plan.threads * self.records(begun + 1, self.of * 4));
    }

    /// Ends a step: all of it has its outcome.
    fn done(&mut self) {
        self.done += 1;
        let records = self.records(self.done, self.of);
        self.gate.allow(records);
        self.gate.wait_settled(self.plan.threads * (records));
    }
}

/// Whether time does not matter (`make check-all`).
fn is_long() -> bool {
    std::env::var_os("SAMSA_LONG").is_some()
}
