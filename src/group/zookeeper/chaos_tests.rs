//! Whatever happens to members and to ZooKeeper, no partition has two readers, and when it is over each
//! has one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::fixture_tests::*;
use super::*;
use crate::embedded::zookeeper::{Fault, FaultKind};
use crate::group::{Step, TopicPartition};

const PARTITIONS: i32 = 7;

/// Who reads what, over all members.
#[derive(Debug, Default)]
struct Ledger {
    readers: BTreeMap<TopicPartition, usize>,
    faults: Vec<String>,
}

/// A consumer that notes what it reads.
#[derive(Debug)]
struct Reader {
    number: usize,
    ledger: Arc<Mutex<Ledger>>,
    /// It hears nothing more.
    is_gone: AtomicBool,
}

impl Listener for Reader {
    fn step(&self, step: Step) {
        let mut ledger = lock(&self.ledger);
        match step {
            _ if self.is_gone.load(Ordering::SeqCst) => {}
            Step::Assign(partitions, _) => {
                for partition in partitions {
                    let before = ledger.readers.insert(partition.clone(), self.number);
                    if let Some(other) = before {
                        let fault = format!("{partition:?}: {other} and {}", self.number);
                        ledger.faults.push(fault);
                    }
                }
            }
            Step::Revoke(partitions, _) | Step::Lost(partitions) => {
                for partition in partitions {
                    if ledger.readers.get(&partition) == Some(&self.number) {
                        ledger.readers.remove(&partition);
                    }
                }
            }
            Step::Run(_) => {}
            Step::Failed(error) => {
                if error.is_fatal() {
                    ledger.faults.push(format!("{}: {error}", self.number));
                }
            }
        }
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

struct Scene {
    ground: Ground,
    ledger: Arc<Mutex<Ledger>>,
    members: Vec<Option<(Peer, Arc<Reader>)>>,
}

impl Scene {
    fn join(&mut self, number: usize) {
        let (ledger, is_gone) = (Arc::clone(&self.ledger), AtomicBool::new(false));
        let reader = Arc::new(Reader { number, ledger, is_gone });
        let id = format!("m{number}");
        let heard = Arc::clone(&reader) as Arc<dyn Listener>;
        let member = self.ground.heard_by(&[("consumer.id", &id)], heard);
        member.subscribe(&["t"]);
        self.members[number] = Some((member, reader));
    }

    /// As a consumer leaves: it stops reading first, and hears nothing more.
    fn leave(&self, member: &Peer, reader: &Reader) {
        {
            let mut ledger = lock(&self.ledger);
            reader.is_gone.store(true, Ordering::SeqCst);
            ledger.readers.retain(|_, number| *number != reader.number);
        }
        member.leave();
    }

    /// One thing happens to one member.
    fn act(&mut self, number: usize, what: usize) {
        let Some((member, reader)) = self.members[number].take() else {
            return self.join(number);
        };
        let session = member.session();
        let zookeeper = &self.ground.zookeeper;
        match what {
            0 => return self.leave(&member, &reader),
            1 => drop(zookeeper.expire(session)),
            2 => zookeeper.silence(Some(session)),
            3 => zookeeper.speak(None),
            4 => zookeeper.close_connections(Some(session)),
            5 => {
                member.membership.step_out();
                member.membership.step_in();
            }
            6 => member.membership.rejoin("a test"),
            _ => {
                let kinds = [FaultKind::CloseAfter, FaultKind::CloseBefore];
                let fault = Fault::new(kinds[what % 2]).session(session);
                zookeeper.inject(fault.skip(u32::try_from(what).unwrap()));
            }
        }
        self.members[number] = Some((member, reader));
    }
}

fn play(seed: u64) {
    let ground = Ground::modern("t", PARTITIONS);
    let mut scene =
        Scene { ground, ledger: Arc::default(), members: (0..4).map(|_| None).collect() };
    let mut dice = Dice(seed);
    for _ in 0..60 {
        let (number, what) = (dice.roll(4), dice.roll(14));
        scene.act(number, what);
        // Something may happen meanwhile, or not; some silences outlast a session.
        let longest = if what == 2 { SESSION * 2 } else { Duration::from_millis(60) };
        let end = Instant::now() + longest.mul_f64(dice.roll(100) as f64 / 100.0);
        let _ = scene.ground.zookeeper.wait_until(end, |_| false);
    }
    scene.ground.zookeeper.speak(None);
    scene.ground.zookeeper.withdraw_all();
    for number in 0..4 {
        if scene.members[number].is_none() {
            scene.join(number);
        }
    }
    let readers = || lock(&scene.ledger).readers.values().copied().collect::<Vec<_>>();
    let shared = [0, 0, 1, 1, 2, 2, 3];
    let settled = scene.ground.zookeeper.wait_until(soon(), |_| readers() == shared);
    let ledger = lock(&scene.ledger);
    assert!(settled.is_ok() && ledger.faults.is_empty(), "seed {seed}: {ledger:#?}");
    let sessions: Vec<i64> =
        scene.members.iter().flatten().map(|(peer, _)| peer.session()).collect();
    for (partition, reader) in &ledger.readers {
        let path = format!("/consumers/g/owners/t/{}", partition.partition);
        let owner = scene.ground.zookeeper.node(&path).and_then(|node| node.owner);
        assert_eq!(owner, Some(sessions[*reader]), "seed {seed}: {path}");
    }
}

#[test]
fn rule_10_2_no_partition_has_two_readers_whatever_happens() {
    play(1);
}
