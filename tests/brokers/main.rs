//! Real brokers judge the library: Kafka 0.8.2 to 4.3 on the JVM, and peers that no one here wrote.
//!
//! Each case says what it needs and runs on every release that has it, as `<release>::<case>`.
//! `cargo test --test brokers -- 4.3.1` runs one release, `-- --list` shows all.
//! ZooKeeper alone has cases of its own, as `zookeeper-<release>::<case>`.
//! `SAMSA_RELEASES=0.8.2.2,4.3.1` limits the releases that are offered.
//! A case that fails is run once more, alone (`alone.rs`).

mod alone;
mod cases;
mod ground;
mod group;
mod harness;
#[allow(dead_code, reason = "the tests on the embedded broker look closer")]
#[path = "../group_next/peer.rs"]
mod member;
mod ours;
mod peers;
mod programs;
mod workload;

use std::process::ExitCode;
use std::sync::Arc;

use alone::Failed;
use cases::Case;
use ground::Grounds;
use harness::{RELEASES, Release};
use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Two at once: one waits for a JVM while the other works; more would only queue for the cores.
    arguments.test_threads.get_or_insert(2);
    let grounds = Arc::new(Grounds::default());
    let failed = Failed::default();
    let embedded = cases::embedded::ALL
        .iter()
        .map(|&(name, run)| failed.trial(format!("embedded::{name}"), run));
    let zookeeper = cases::zookeeper::trials(&failed);
    let real = releases().flat_map(|release| trials(release, &grounds, &failed));
    let trials: Vec<Trial> = embedded.chain(zookeeper).chain(real).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    grounds.close();
    failed.judge(&conclusion)
}

fn releases() -> impl Iterator<Item = &'static Release> {
    let chosen = std::env::var("SAMSA_RELEASES").ok();
    RELEASES.iter().filter(move |release| {
        chosen.as_ref().is_none_or(|list| list.split(',').any(|v| v == release.version))
    })
}

fn trials(release: &'static Release, grounds: &Arc<Grounds>, failed: &Failed) -> Vec<Trial> {
    cases::ALL
        .iter()
        .filter(|case| case.needs.iter().all(|need| need.is_met_by(release)))
        .map(|case| {
            let (name, grounds) = (format!("{}::{}", release.version, case.name), grounds.clone());
            failed.trial(name, move || run(release, case, &grounds))
        })
        .collect()
}

fn run(release: &'static Release, case: &'static Case, grounds: &Grounds) {
    if case.own_cluster == 0 {
        let ground = grounds.of(release);
        (case.run)(&ground);
    } else {
        (case.run)(&ground::Ground::start(release, case.own_cluster));
    }
}
