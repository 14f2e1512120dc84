//! A group whose members come, leave and die while records are written all along.
//!
//! The judge trusts no member: who owns a partition is who reads what was written a moment ago. What
//! members say of their partitions, and what the coordinator or ZooKeeper says, must agree with it.

pub mod journal;
mod member;
mod numbers;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use journal::{Forgiveness, Journal, MemberIndex};
pub use member::{Client, Seat};
use member::{Member, Place};
use numbers::Numbers;

use crate::ground::Ground;
use crate::harness::describe::{self, Shares};
use crate::harness::process::wait_until;
use crate::harness::{probe, topics};

/// How long a group may take to become stable on a busy machine, a session of 30 s included.
const PATIENCE: Duration = Duration::from_secs(120);

/// So many records of each partition in a row are read by its owner when a group is stable.
const STEADY: u64 = 12;

const PARTITIONS: usize = 8;

/// Who can say what the members of a group have.
#[derive(Clone, Copy, Debug)]
pub enum Describe {
    /// The coordinator of a classic group.
    Classic,
    /// The coordinator of a KIP-848 group.
    Modern,
    /// ZooKeeper.
    ZooKeeper,
}

/// A group at work.
pub struct GroupRun<'a> {
    ground: &'a Ground,
    topic: String,
    group: String,
    describe: Describe,
    numbers: Numbers,
    journal: Arc<Mutex<Journal>>,
    members: Vec<Member>,
    joined: usize,
    begun: Instant,
    story: Vec<String>,
}

impl<'a> GroupRun<'a> {
    /// Makes a topic and begins to write to it.
    pub fn start(ground: &'a Ground, describe: Describe) -> GroupRun<'a> {
        let topic = ground.topic("group");
        let partitions = i32::try_from(PARTITIONS).expect("few");
        topics::create(ground, &topic, partitions, 1, &[]);
        GroupRun {
            ground,
            numbers: Numbers::start(&ground.address, &topic, PARTITIONS),
            group: format!("{topic}-readers"),
            topic,
            describe,
            journal: Arc::new(Mutex::new(Journal::new(PARTITIONS))),
            members: Vec::new(),
            joined: 0,
            begun: Instant::now(),
            story: Vec::new(),
        }
    }

    /// A member joins; waits until the group is stable with it.
    pub fn join(&mut self, seat: Seat) {
        self.enter(seat);
        self.settle();
    }

    /// A member leaves politely; what it read counts as read. Waits until the others are stable.
    pub fn leave(&mut self, client: Client) {
        let mut member = self.take(client);
        self.tell(format!("{member:?} leaves"));
        member.leave();
        self.check(&member);
        self.settle();
    }

    /// A member dies by SIGKILL. Waits until the others are stable.
    pub fn kill(&mut self, client: Client) {
        let mut member = self.take(client);
        self.tell(format!("{member:?} dies"));
        member.die();
        // Before the others read on from its last commit, which they do when its session is over.
        self.journal().forgive(member.index, Forgiveness::Killed);
        self.check(&member);
        self.settle();
    }

    /// Every record is read, then every member leaves, and the whole run is judged.
    pub fn finish(mut self) {
        let counts = self.numbers.stop();
        let complete = wait_until(PATIENCE, || self.journal().is_complete(&counts));
        while let Some(mut member) = self.members.pop() {
            self.tell(format!("{member:?} leaves at the end"));
            if complete {
                member.leave();
            }
            self.check(&member);
        }
        let faults = self.journal().faults(&counts);
        let (count, few) = (faults.len(), faults.iter().take(20).collect::<Vec<_>>());
        assert!(count == 0, "{count} faults, such as {few:#?}\n{}", self.story.join("\n"));
        let (written, seconds) = (counts.iter().sum::<u64>(), self.begun.elapsed().as_secs());
        let repeated = self.journal().repetitions();
        println!(
            "group on {}: {written} records, {repeated} of them read again, {} members came, {seconds} s",
            self.ground.release.version, self.joined
        );
    }

    /// A member joins.
    fn enter(&mut self, seat: Seat) {
        let place = Place { ground: self.ground, topic: &self.topic, group: &self.group };
        let member = Member::start(place, seat, self.joined, &self.journal);
        if seat.repeats {
            self.journal().forgive(member.index, Forgiveness::Repeats);
        }
        self.joined += 1;
        self.tell(format!("{member:?} joins"));
        self.members.push(member);
    }

    fn take(&mut self, client: Client) -> Member {
        let found = self.members.iter().position(|member| member.seat.client == client);
        self.members.remove(found.expect("a member of this kind"))
    }

    /// Waits until each partition has one owner, each member has a partition, and all say the same.
    fn settle(&mut self) {
        let end = Instant::now() + PATIENCE;
        let mut why = String::from("nobody looked");
        while Instant::now() < end {
            for member in &mut self.members {
                let ended = member.has_ended();
                assert!(!ended, "{member:?} ended by itself:\n{}", member.said());
            }
            match self.look() {
                Ok(owners) => return self.tell(format!("stable: {owners:?}")),
                Err(reason) => why = reason,
            }
        }
        let said: Vec<String> =
            self.members.iter().map(|m| format!("{m:?}: {}", end_of(&m.said()))).collect();
        let (story, said) = (self.story.join("\n"), said.join("\n"));
        panic!("never stable: {why}\n{story}\n{said}");
    }

    /// Watches a few records of each partition; gives the owners if the group is stable.
    fn look(&self) -> Result<Vec<MemberIndex>, String> {
        let marks = self.numbers.written();
        let steady = || {
            let read = self.journal().readers_since(&marks);
            read.iter().zip(&marks).all(|((_, top), mark)| *top >= Some(mark + STEADY))
        };
        // Time is counted in records: on a slow machine they come slowly too.
        let late = || self.numbers.written().iter().zip(&marks).all(|(n, m)| *n >= m + 3 * STEADY);
        wait_until(PATIENCE, || steady() || late());
        let steady = steady();
        let read = self.journal().readers_since(&marks);
        let owners: Vec<&BTreeSet<MemberIndex>> = read.iter().map(|(owners, _)| owners).collect();
        if !steady || owners.iter().any(|owners| owners.len() != 1) {
            return Err(format!("read by {owners:?}"));
        }
        let owners: Vec<MemberIndex> = owners.iter().flat_map(|one| one.iter().copied()).collect();
        let living: BTreeSet<MemberIndex> =
            self.members.iter().map(|member| member.index).collect();
        if owners.iter().copied().collect::<BTreeSet<_>>() != living {
            return Err(format!("members {living:?}, owners {owners:?}"));
        }
        let share = |member: &Member| -> BTreeSet<i32> {
            (0..).zip(&owners).filter(|(_, o)| **o == member.index).map(|(p, _)| p).collect()
        };
        for member in &self.members {
            if let Some(has) = member.has()
                && has != share(member)
            {
                return Err(format!("{member:?} reads {:?} and says {has:?}", share(member)));
            }
        }
        let mut shares: Shares = self.members.iter().map(share).collect();
        let mut described = self.described()?;
        shares.sort();
        described.sort();
        if shares == described {
            Ok(owners)
        } else {
            Err(format!("they read {shares:?}, described are {described:?}"))
        }
    }

    fn described(&self) -> Result<Shares, String> {
        let (group, topic) = (&self.group, &self.topic);
        let port = probe::port_of(&self.ground.address).expect("a port");
        let found = match self.describe {
            Describe::Classic => describe::classic(port, group, topic),
            Describe::Modern => describe::modern(port, group, topic),
            Describe::ZooKeeper => {
                let zookeeper = self.ground.zookeeper().and_then(|at| probe::port_of(&at));
                Ok(Some(describe::zookeeper(zookeeper.expect("a ZooKeeper"), group, topic)))
            }
        };
        found.map_err(|why| why.to_string())?.ok_or_else(|| "the group rebalances".to_owned())
    }

    fn check(&self, member: &Member) {
        let faults = member.faults();
        assert!(faults.is_empty(), "{member:?} said {faults:?}");
    }

    fn tell(&mut self, what: String) {
        self.story.push(format!("{:6.1} s: {what}", self.begun.elapsed().as_secs_f64()));
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end_of(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
