//! Who a member is at this moment, what it holds, and whether it may commit.
//!
//! A membership and its offset store share one. The membership shuts it while the member's identity
//! changes; commits wait at it, and it waits for commits that are out (rule 8.9).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{timeout, timeout_at};

use super::TopicPartition;
use crate::error::Code;

/// What a commit is stamped with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The member's id.
    pub member: Arc<str>,
    /// `group.instance.id` of a static member.
    pub instance: Option<Arc<str>>,
    /// Generation or member epoch.
    pub generation: i32,
    /// Whether it is an epoch (KIP-848).
    pub by_epochs: bool,
}

/// How long a member that leaves waits for the commits that were asked for: gone, it could not make them. Who
/// closes a consumer with more time has waited for them, and who has less does not wait for the member.
const LAST_COMMITS: Duration = Duration::from_secs(3);

/// Hears what commits were answered: codes that say something of the member, and whose they were.
pub type Ear = Box<dyn Fn(Code, &Stamp) + Send + Sync>;

/// See the module.
pub struct Standing {
    state: watch::Sender<State>,
    ear: Option<Ear>,
}

impl std::fmt::Debug for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Standing").field("state", &*self.state.borrow()).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    /// None while the member is none: then it commits as nobody.
    stamp: Option<Stamp>,
    shut: bool,
    /// Commits go although the member joins: its generation may be over before one arrives.
    outrun: bool,
    /// The partitions that the member holds, each with the number of the assignment that brought it: a
    /// partition that went and came back is another claim (rule 11.3).
    claims: HashMap<TopicPartition, u64>,
    assignments: u64,
    /// What the member lost and has not got back: others may have read on, and a coordinator asks whose word
    /// a commit is, not whose partition (rule 8.17).
    lost: HashSet<TopicPartition>,
    /// Commits under way.
    out: usize,
    /// The numbers of the commits that were asked for and are not over, those under way among them.
    asked: BTreeSet<u64>,
    /// How many were asked for so far.
    asks: u64,
    /// How often the coordinator answered a heartbeat.
    heard: u64,
}

/// Something whose epoch was called stale rests until the member has another, or the coordinator was
/// heard again: it may have meant an epoch that is on its way, and it may have been wrong (rule 9.11).
#[derive(Clone, Debug)]
pub struct Rest {
    stale: Option<Stamp>,
    heard: u64,
    least: Instant,
    most: Instant,
}

impl Standing {
    /// That of somebody who is in no group: always open, stamps nothing.
    pub fn alone() -> Arc<Self> {
        Arc::new(Self { state: watch::Sender::default(), ear: None })
    }

    /// That of a member to be. `ear` must neither wait nor call back.
    pub fn new(ear: Ear) -> Arc<Self> {
        Arc::new(Self { state: watch::Sender::default(), ear: Some(ear) })
    }

    /// Who the member is; none while it is no member.
    pub fn stamp(&self) -> Option<Stamp> {
        self.state.borrow().stamp.clone()
    }

    /// No commit begins until it is opened again.
    pub fn shut(&self) {
        self.state.send_modify(|state| (state.shut, state.outrun) = (true, false));
    }

    /// Commits go on as the member that it was when this was shut: it leaves, and cannot wait until it
    /// is another one. Does nothing if it is open.
    pub fn reopen(&self) {
        self.state.send_if_modified(|state| {
            let was_shut = std::mem::take(&mut state.shut);
            state.outrun |= was_shut;
            was_shut
        });
    }

    /// Waits until no commit is under way. Each is bounded by its request's time.
    pub async fn settled(&self) {
        let mut seen = self.state.subscribe();
        // The sender lives as long as this.
        let _ = seen.wait_for(|state| state.out == 0).await;
    }

    /// The member is this one now, and commits go on as it.
    pub fn open(&self, stamp: Stamp) {
        self.state.send_modify(|state| {
            state.stamp = Some(stamp);
            (state.shut, state.outrun) = (false, false);
        });
    }

    /// The member is this one now; commits wait on.
    pub fn introduce(&self, stamp: Stamp) {
        self.state.send_modify(|state| state.stamp = Some(stamp));
    }

    /// It is no member and holds nothing. `shut`: against its will; what it held is lost, and commits wait
    /// until it is one again. Else they go as nobody's.
    pub fn dismiss(&self, shut: bool) {
        self.state.send_modify(|state| {
            let State { claims, lost, .. } = state;
            match shut {
                true => lost.extend(claims.drain().map(|(partition, _)| partition)),
                false => lost.clear(),
            }
            claims.clear();
            state.stamp = None;
            (state.shut, state.outrun) = (shut, false);
        });
    }

    /// The member holds these too. Told together with the stamp that goes with them if there is one, so
    /// that nobody sees one without the other (rule 9.11).
    pub fn claim(&self, partitions: &[TopicPartition], stamp: Option<Stamp>) {
        self.state.send_modify(|state| {
            state.assignments += 1;
            for partition in partitions {
                state.lost.remove(partition);
                state.claims.insert(partition.clone(), state.assignments);
            }
            if let Some(stamp) = stamp {
                state.stamp = Some(stamp);
                (state.shut, state.outrun) = (false, false);
            }
        });
    }

    /// The member does not hold these any more.
    pub fn give_up(&self, partitions: &[TopicPartition]) {
        self.state.send_modify(|state| {
            for partition in partitions {
                state.claims.remove(partition);
            }
        });
    }

    /// By which assignment the member holds a partition now, if it does.
    pub fn claim_of(&self, partition: &TopicPartition) -> Option<u64> {
        self.state.borrow().claims.get(partition).copied()
    }

    /// Whether the member lost this partition and has not got it back.
    pub fn has_lost(&self, partition: &TopicPartition) -> bool {
        self.state.borrow().lost.contains(partition)
    }

    /// The coordinator has answered a heartbeat; after what the answer changed.
    pub fn heard(&self) {
        self.state.send_modify(|state| state.heard += 1);
    }

    /// What went with this stamp is to rest: in the same epoch at least `pause`, however fast heartbeats
    /// are, and at most `most`, however slow.
    pub fn rest(&self, stale: Option<&Stamp>, pause: Duration, most: Duration) -> Rest {
        let (now, heard) = (Instant::now(), self.state.borrow().heard);
        Rest { stale: stale.cloned(), heard, least: now + pause, most: now + most.max(pause) }
    }

    /// Until when something rests if nothing changes; none: it does no more.
    pub fn rests(&self, rest: &Rest, now: Instant) -> Option<Instant> {
        let state = self.state.borrow();
        let end = if state.heard == rest.heard { rest.most } else { rest.least };
        (state.stamp == rest.stale && now < end).then_some(end)
    }

    /// Waits until it rests no more, or the deadline.
    pub async fn rested(&self, rest: &Rest, deadline: Instant) {
        loop {
            let (news, now) = (self.news(), Instant::now());
            let end = self.rests(rest, now).filter(|_| now < deadline);
            let Some(end) = end else { return };
            let _ = timeout_at(end.min(deadline).into(), news).await;
        }
    }

    /// The next change of anything from now on.
    pub fn news(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut seen = self.state.subscribe();
        async move {
            // The sender lives as long as this.
            let _ = seen.changed().await;
        }
    }

    /// Waits until a commit may go. `is_void`, asked at each change: whether it may not go any more,
    /// whatever comes.
    pub async fn enter(
        self: &Arc<Self>,
        deadline: Instant,
        mut is_void: impl FnMut() -> bool,
    ) -> Option<Pass> {
        let mut seen = self.state.subscribe();
        loop {
            seen.borrow_and_update();
            let mut pass = None;
            self.state.send_if_modified(|state| {
                if !state.shut {
                    state.out += 1;
                    pass = Some((state.stamp.clone(), state.outrun));
                }
                false
            });
            if let Some((stamp, outrun)) = pass {
                return Some(Pass { standing: Arc::clone(self), stamp, outrun });
            }
            if is_void() {
                return None;
            }
            match timeout_at(deadline.into(), seen.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return None,
            }
        }
    }

    /// A commit is asked for.
    pub fn ask(self: &Arc<Self>) -> Asked {
        let mut number = 0;
        self.state.send_modify(|state| {
            state.asks += 1;
            number = state.asks;
            state.asked.insert(number);
        });
        Asked { standing: Arc::clone(self), number }
    }

    /// Waits until all commits that were asked for by now are over, or [`LAST_COMMITS`]. Not for those that
    /// come later: an application may always have one on its way.
    pub async fn quiet(&self) {
        let mut seen = self.state.subscribe();
        let last = seen.borrow_and_update().asks;
        let over = seen.wait_for(|state| state.asked.first().is_none_or(|first| *first > last));
        // One that a silent coordinator holds up is not waited for.
        let _ = timeout(LAST_COMMITS, over).await;
    }

    /// Whether no commit that was asked for is open.
    pub fn is_quiet(&self) -> bool {
        self.state.borrow().asked.is_empty()
    }

    /// Tells the membership what a commit that went as `stamp` was answered.
    pub fn tell(&self, code: Code, stamp: &Stamp) {
        if let Some(ear) = &self.ear {
            ear(code, stamp);
        }
    }
}

/// Leave to commit; while it lives, the member's identity does not change, unless it leaves in the middle of
/// a rebalance ([`Standing::reopen`]).
#[derive(Debug)]
pub struct Pass {
    standing: Arc<Standing>,
    /// As whom; none: as nobody.
    pub stamp: Option<Stamp>,
    /// Whether the member joins meanwhile, so that its generation may be over by now.
    pub outrun: bool,
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.standing.state.send_modify(|state| state.out = state.out.saturating_sub(1));
    }
}

/// A commit that was asked for, until it is over.
#[derive(Debug)]
pub struct Asked {
    standing: Arc<Standing>,
    number: u64,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.standing.state.send_modify(|state| {
            state.asked.remove(&self.number);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn stamp(generation: i32) -> Stamp {
        Stamp { member: Arc::from("m"), instance: None, generation, by_epochs: false }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    fn place(partition: i64) -> TopicPartition {
        TopicPartition { topic: Arc::from("t"), partition }
    }

    #[tokio::test]
    async fn rule_8_9_no_commit_begins_while_shut_and_shutting_waits_for_those_that_are_out() {
        let standing = Standing::new(Box::new(|_, _| ()));
        standing.open(stamp(1));
        let pass = standing.enter(soon(), || false).await.expect("open");
        standing.shut();
        assert!(standing.enter(Instant::now(), || false).await.is_none(), "shut");
        let waiting = Arc::clone(&standing);
        let settled = tokio::spawn(async move { waiting.settled().await });
        tokio::task::yield_now().await;
        assert!(!settled.is_finished(), "a commit is out");
        drop(pass);
        settled.await.expect("settled");
        let waiting = Arc::clone(&standing);
        let entered = tokio::spawn(async move { waiting.enter(soon(), || false).await });
        tokio::task::yield_now().await;
        standing.open(stamp(2));
        let pass = entered.await.expect("no panic").expect("open again");
        assert_eq!(pass.stamp, Some(stamp(2)));
    }

    #[tokio::test]
    async fn rule_8_25_who_leaves_waits_for_the_commits_asked_for_before_and_no_later_ones() {
        let standing = Standing::new(Box::new(|_, _| ()));
        let (first, second) = (standing.ask(), standing.ask());
        let waiting = Arc::clone(&standing);
        let quiet = tokio::spawn(async move { waiting.quiet().await });
        tokio::task::yield_now().await;
        let _later = standing.ask();
        drop(second);
        tokio::task::yield_now().await;
        assert!(!quiet.is_finished(), "the first one is open");
        drop(first);
        quiet.await.expect("no panic");
        assert!(!standing.is_quiet());
    }

    #[tokio::test]
    async fn rule_9_11_what_is_stale_rests_until_the_next_epoch() {
        let standing = Standing::new(Box::new(|_, _| ()));
        standing.open(stamp(1));
        let rest = standing.rest(Some(&stamp(1)), MINUTE, MINUTE);
        assert!(standing.rests(&rest, Instant::now()).is_some());
        standing.open(stamp(2));
        assert!(standing.rests(&rest, Instant::now()).is_none());
        standing.rested(&rest, soon()).await;
    }

    #[test]
    fn rule_9_11_in_the_same_epoch_it_rests_until_the_coordinator_was_heard_and_for_a_pause() {
        let (standing, ms) = (Standing::new(Box::new(|_, _| ())), Duration::from_millis);
        standing.open(stamp(1));
        let rest = standing.rest(Some(&stamp(1)), ms(100), MINUTE);
        let now = Instant::now();
        assert_eq!(standing.rests(&rest, now + ms(200)), Some(rest.most), "nothing was heard");
        assert_eq!(standing.rests(&rest, now + MINUTE), None, "silence ends it too");
        standing.heard();
        assert_eq!(standing.rests(&rest, now), Some(rest.least), "heartbeats may be fast");
        assert_eq!(standing.rests(&rest, now + ms(100)), None);
        let again = standing.rest(Some(&stamp(1)), ms(100), MINUTE);
        assert!(standing.rests(&again, now + ms(200)).is_some(), "the next answer counts");
    }

    #[test]
    fn rule_11_3_a_partition_that_came_back_is_another_claim() {
        let standing = Standing::new(Box::new(|_, _| ()));
        standing.claim(&[place(0), place(1)], None);
        let before = standing.claim_of(&place(0));
        standing.give_up(&[place(0)]);
        assert_eq!((before, standing.claim_of(&place(0))), (Some(1), None));
        standing.claim(&[place(0)], Some(stamp(3)));
        assert_eq!(
            (standing.claim_of(&place(0)), standing.claim_of(&place(1))),
            (Some(2), Some(1))
        );
        standing.dismiss(true);
        assert_eq!(standing.claim_of(&place(1)), None);
        assert_eq!(standing.stamp(), None);
    }

    #[test]
    fn rule_8_17_what_was_lost_is_so_until_it_comes_back_or_the_member_is_none_by_its_own_will() {
        let standing = Standing::new(Box::new(|_, _| ()));
        let lost = || [0, 1, 2].map(|partition| standing.has_lost(&place(partition)));
        standing.claim(&[place(0), place(1), place(2)], Some(stamp(1)));
        standing.give_up(&[place(2)]);
        standing.dismiss(true);
        assert_eq!(lost(), [true, true, false], "what was given up was not lost");
        standing.open(stamp(2));
        standing.claim(&[place(1)], None);
        assert_eq!(lost(), [true, false, false]);
        standing.dismiss(true);
        assert_eq!(lost(), [true, true, false]);
        standing.dismiss(false);
        assert_eq!(lost(), [false; 3]);
    }

    #[tokio::test]
    async fn rule_8_17_a_commit_that_is_void_does_not_wait_for_the_gate() {
        let standing = Standing::new(Box::new(|_, _| ()));
        standing.claim(&[place(0)], Some(stamp(1)));
        standing.shut();
        let waiting = Arc::clone(&standing);
        let entered = tokio::spawn(async move {
            waiting.enter(soon(), || waiting.claim_of(&place(0)).is_none()).await
        });
        tokio::task::yield_now().await;
        assert!(!entered.is_finished());
        standing.dismiss(true);
        assert!(entered.await.expect("no panic").is_none());
    }
}
