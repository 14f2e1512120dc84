//! OffsetCommit: one commit, until every partition has its outcome.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;
use tokio::time::sleep_until;

use super::{Committed, Shared, Spot, TopicIds, UNKNOWN_TRIES, refused, spot};
use crate::error::{Code, Error, Result};
use crate::group::coordinator::Lane;
use crate::group::membership::TopicPartition;
use crate::group::standing::{Asked, Pass, Rest, Stamp, Standing};
use crate::net::{Versions, jitter};
use crate::protocol::modern::Uuid;
use crate::protocol::modern::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};

/// The first version that knows generations; the one before is kept in ZooKeeper.
const FIRST_GENERATION: i16 = 1;
/// The first version that names static members.
const FIRST_INSTANCE: i16 = 7;
/// The first version whose generation may be an epoch (KIP-848).
const FIRST_EPOCH: i16 = 9;
/// The first version that names topics by id.
const FIRST_TOPIC_ID: i16 = 10;

/// A commit as it was asked for.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) places: Vec<(TopicPartition, Committed)>,
    /// By which assignment each was held when the call was made.
    pub(super) claims: Vec<Claim>,
    pub(super) once: bool,
    pub(super) deadline: Instant,
    pub(super) told: oneshot::Sender<Vec<Result<()>>>,
    /// For who wants to know that it is over.
    pub(super) _asked: Asked,
}

/// By what right a partition is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// The member held it by this assignment.
    Of(u64),
    /// None: it is the application's word, which it may have from elsewhere.
    None,
    /// None any more: the member had lost it. Java's commits fail in the same way (CommitFailedException).
    Lost,
}

impl Job {
    /// Whether its caller was told already that it is late.
    fn is_late(&self, now: Instant) -> bool {
        now >= self.deadline && self.told.is_closed()
    }
}

/// What an answer's code means for one partition of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Done,
    /// The same again, after a pause.
    Again,
    /// Again at the coordinator that is to be found.
    Elsewhere,
    /// Again, but not for ever.
    Perhaps,
    /// Again by another name: the id of the topic is not known there.
    ByName,
    /// Again with the member's next epoch (rule 9.11), or generation (rule 8.25).
    NextEpoch,
    /// The application is told.
    Failed,
}

/// Rule 11.6. `by_epochs`: of a member by KIP-848.
pub(super) fn judge(code: Code, by_epochs: bool) -> Verdict {
    match code {
        Code::NONE => Verdict::Done,
        Code::COORDINATOR_LOAD_IN_PROGRESS => Verdict::Again,
        Code::UNKNOWN_TOPIC_OR_PARTITION => Verdict::Perhaps,
        Code::UNKNOWN_TOPIC_ID | Code::INCONSISTENT_TOPIC_ID => Verdict::ByName,
        Code::COORDINATOR_NOT_AVAILABLE | Code::NOT_COORDINATOR | Code::REQUEST_TIMED_OUT => {
            Verdict::Elsewhere
        }
        Code::STALE_MEMBER_EPOCH if by_epochs => Verdict::NextEpoch,
        code if code.is_retriable() => Verdict::Again,
        _ => Verdict::Failed,
    }
}

/// Codes that say something of the member, not of the commit (rule 8.10).
fn concerns_the_member(code: Code) -> bool {
    matches!(
        code,
        Code::REBALANCE_IN_PROGRESS
            | Code::UNKNOWN_MEMBER_ID
            | Code::ILLEGAL_GENERATION
            | Code::FENCED_INSTANCE_ID
            | Code::FENCED_MEMBER_EPOCH
            | Code::STALE_MEMBER_EPOCH
    )
}

/// One partition that is to be committed.
struct Item {
    place: TopicPartition,
    what: Committed,
    claim: Claim,
}

impl Item {
    /// Why it cannot be committed any more: partitions that the member held when the call was made and does
    /// not hold by the same assignment now are another's, or may be (rules 8.17, 9.11).
    fn is_void(&self, standing: &Standing) -> Option<(Code, &'static str)> {
        match self.claim {
            Claim::Of(assignment) if standing.claim_of(&self.place) != Some(assignment) => {
                let text = "went to another member before its offset was committed";
                Some((Code::ILLEGAL_GENERATION, text))
            }
            // Until the loss is forgotten: the subscription's end may be on its way when the call is made.
            Claim::Lost
                if standing.has_lost(&self.place) || standing.claim_of(&self.place).is_some() =>
            {
                let text = "was lost, and may be another member's: nothing of it can be committed";
                Some((Code::UNKNOWN_MEMBER_ID, text))
            }
            Claim::Of(_) | Claim::Lost | Claim::None => None,
        }
    }
}

impl Item {
    /// How long its metadata is.
    fn extra(&self) -> usize {
        self.what.metadata.as_deref().map_or(0, str::len)
    }
}

/// A commit under way.
pub(super) struct Work {
    /// The calls that it serves, in their order; several if newer ones went with it.
    jobs: Vec<Job>,
    once: bool,
    /// That of the newest.
    deadline: Instant,
    open: BTreeMap<Spot, Item>,
    ended: BTreeMap<Spot, Result<()>>,
    trouble: Option<Error>,
    attempts: u32,
    /// It was called stale and waits for the coordinator's word (rule 9.11).
    rest: Option<Rest>,
    /// Answers that the partition is unknown.
    unknown: u32,
    by_name: bool,
    /// It met a generation that had just ended, and goes once more as the next one.
    outrun: bool,
}

impl Work {
    pub(super) fn new(job: Job) -> Self {
        let mut open = BTreeMap::new();
        for ((place, what), claim) in job.places.iter().zip(&job.claims) {
            // Named twice, the last word counts: it is the newer one.
            if let Ok(spot) = spot(place) {
                let item = Item { place: place.clone(), what: what.clone(), claim: *claim };
                open.insert(spot, item);
            }
        }
        let (ended, trouble, rest) = (BTreeMap::new(), None, None);
        let (attempts, unknown, by_name, outrun) = (0, 0, false, false);
        let (once, deadline, jobs) = (job.once, job.deadline, vec![job]);
        Self {
            jobs,
            once,
            deadline,
            open,
            ended,
            trouble,
            attempts,
            rest,
            unknown,
            by_name,
            outrun,
        }
    }

    /// Whether a commit that was asked for later can go in the same request: neither was tried yet, each is
    /// tried once only, and of a partition in both the newer word may stand for the older. It may if it is
    /// of the same assignment, and its metadata is not longer: that could be refused for itself.
    pub(super) fn takes(&self, newer: &Self) -> bool {
        let is_fresh = |work: &Self| work.once && work.attempts == 0;
        let stands = |(spot, item): (&Spot, &Item)| {
            let older = self.open.get(spot);
            older.is_none_or(|older| older.claim == item.claim && item.extra() <= older.extra())
        };
        is_fresh(self) && is_fresh(newer) && newer.open.iter().all(stands)
    }

    /// Takes it along. Who asked for either hears how the newer word on a partition ended.
    pub(super) fn take_along(&mut self, newer: Self) {
        self.open.extend(newer.open);
        self.jobs.extend(newer.jobs);
        self.deadline = self.deadline.max(newer.deadline);
    }

    /// Whether nobody wants it any more.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.jobs.iter().all(|job| job.is_late(now))
    }

    /// Whether it commits a partition that the other one commits too.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.open.keys().any(|spot| other.open.contains_key(spot))
    }

    /// Until when it rests if nothing changes; none: it can go on.
    pub(super) fn rests(&self, standing: &Standing, now: Instant) -> Option<Instant> {
        let rest = self.rest.as_ref().filter(|_| now < self.deadline)?;
        standing.rests(rest, now).map(|end| end.min(self.deadline))
    }

    /// Its callers are told.
    pub(super) fn tell(mut self) {
        for job in std::mem::take(&mut self.jobs) {
            let outcomes = job.places.iter().map(|place| self.outcome(place)).collect();
            // Nobody may be there to hear it.
            let _ = job.told.send(outcomes);
        }
    }

    fn outcome(&self, (place, _): &(TopicPartition, Committed)) -> Result<()> {
        let spot = spot(place)?;
        self.ended.get(&spot).cloned().unwrap_or_else(|| {
            let text = format!(
                "no commit of topic {}, partition {} was acknowledged within the time",
                spot.0, spot.1
            );
            let error = Error::new(Code::TIMED_OUT, text);
            let error = error.with_topic(&*spot.0).with_partition(place.partition);
            Err(self.trouble.clone().map_or(error.clone(), |cause| error.caused_by(cause)))
        })
    }

    /// Goes on until it is over, which is true then, or has to rest.
    pub(super) async fn run(&mut self, shared: &Shared) -> bool {
        let deadline = self.deadline;
        if self.rest.take().is_some() && Instant::now() >= deadline {
            return true;
        }
        loop {
            self.attempts += 1;
            let next = self.attempt(shared, deadline).await;
            if self.open.is_empty() || Instant::now() >= deadline {
                return true;
            }
            match next {
                // Rule 11.5: tried once, it fails with what came.
                Next::Pause if self.once => {
                    self.give_up();
                    return true;
                }
                Next::Pause => {
                    let until = Instant::now() + shared.backoff.delay(self.attempts, jitter());
                    sleep_until(until.min(deadline).into()).await;
                }
                Next::AtOnce => {}
                Next::Rest(rest) => {
                    self.rest = Some(rest);
                    return false;
                }
            }
        }
    }

    /// What is still open has failed with the last trouble.
    fn give_up(&mut self) {
        let trouble = self.trouble.clone().unwrap_or(Error::bare(Code::TIMED_OUT));
        for spot in std::mem::take(&mut self.open).into_keys() {
            self.ended.insert(spot, Err(trouble.clone()));
        }
    }

    /// The whole request failed.
    fn failed(&mut self, error: Error) -> Next {
        let hopeless = !error.is_retriable();
        self.trouble = Some(error);
        if hopeless {
            self.give_up();
        }
        Next::Pause
    }

    /// One request.
    async fn attempt(&mut self, shared: &Shared, deadline: Instant) -> Next {
        if self.drop_what_went(shared) {
            return Next::AtOnce;
        }
        // Before the gate, which a join may be waiting for.
        let seat = match shared.coordinator.find(deadline).await {
            Ok(seat) => seat,
            Err(error) => return self.failed(error),
        };
        let is_void = || self.open.values().all(|item| item.is_void(&shared.standing).is_some());
        let pass = shared.standing.enter(deadline, is_void).await;
        if self.drop_what_went(shared) {
            return Next::AtOnce;
        }
        let Some(pass) = pass else {
            let text = "the group rebalances, and the member may not commit until that is over";
            self.trouble = Some(Error::new(Code::REBALANCE_IN_PROGRESS, text));
            return Next::Pause;
        };
        let ids = shared.topic_ids(self.open.keys());
        let stamp = pass.stamp.as_ref();
        let make = |versions: &Versions| {
            let version = pick(versions, !self.by_name && ids.are_complete(), stamp)?;
            Ok((version, request(version, shared.coordinator.group(), stamp, &self.open, &ids)))
        };
        let asked = shared.coordinator.ask(&seat, Lane::Quick, shared.request_deadline(), make);
        match asked.await {
            Err(error) => self.failed(error),
            Ok((version, response)) => {
                let heard = self.hear(&codes(version, response, &ids), &pass);
                match heard.elsewhere {
                    true => shared.coordinator.lost(&seat),
                    false => shared.coordinator.served(),
                }
                for code in heard.of_the_member {
                    stamp.iter().for_each(|stamp| shared.standing.tell(code, stamp));
                }
                match heard {
                    Heard { pause: true, .. } => Next::Pause,
                    Heard { stale: true, .. } => {
                        let pause = shared.backoff.delay(self.attempts, jitter());
                        Next::Rest(shared.standing.rest(stamp, pause, shared.backoff.most))
                    }
                    _ => Next::AtOnce,
                }
            }
        }
    }

    /// What is void has failed; whether nothing is left.
    fn drop_what_went(&mut self, shared: &Shared) -> bool {
        let ended = &mut self.ended;
        self.open.retain(|spot, item| {
            let Some((code, why)) = item.is_void(&shared.standing) else { return true };
            let text = format!("topic {}, partition {} {why}", spot.0, spot.1);
            let error = Error::new(code, text).with_topic(&*spot.0);
            ended.insert(spot.clone(), Err(error.with_partition(i64::from(spot.1))));
            false
        });
        self.open.is_empty()
    }

    /// Takes an answer: a partition that it leaves out has failed (rule 11.6).
    fn hear(&mut self, codes: &BTreeMap<Spot, Code>, pass: &Pass) -> Heard {
        let by_epochs = pass.stamp.as_ref().is_some_and(|stamp| stamp.by_epochs);
        // Once: the answer to the join may be on its way, or it may never come.
        let outrun = pass.outrun && !self.outrun;
        let mut heard = Heard::default();
        let spots: Vec<Spot> = self.open.keys().cloned().collect();
        for spot in spots {
            let Some(code) = codes.get(&spot).copied() else {
                let text = "the coordinator's answer leaves it out";
                let error = Error::new(Code::PROTOCOL, text).with_topic(&*spot.0);
                self.end(spot.clone(), Err(error.with_partition(i64::from(spot.1))));
                continue;
            };
            if concerns_the_member(code) && !heard.of_the_member.contains(&code) {
                heard.of_the_member.push(code);
            }
            let error = || refused("commit", code, &spot);
            let verdict = match judge(code, by_epochs) {
                Verdict::Failed if outrun && code == Code::ILLEGAL_GENERATION => Verdict::NextEpoch,
                verdict => verdict,
            };
            match verdict {
                Verdict::Done => self.end(spot, Ok(())),
                Verdict::Failed => {
                    let error = error();
                    self.end(spot, Err(error));
                }
                Verdict::Perhaps if self.unknown >= UNKNOWN_TRIES => {
                    let error = error();
                    self.end(spot, Err(error));
                }
                again => {
                    self.trouble = Some(error());
                    heard.elsewhere |= again == Verdict::Elsewhere;
                    heard.unknown |= again == Verdict::Perhaps;
                    self.by_name |= again == Verdict::ByName;
                    match again {
                        Verdict::NextEpoch => {
                            heard.stale = true;
                            self.outrun |= outrun;
                        }
                        _ => heard.pause = true,
                    }
                }
            }
        }
        self.unknown += u32::from(heard.unknown);
        heard
    }

    fn end(&mut self, spot: Spot, outcome: Result<()>) {
        self.open.remove(&spot);
        self.ended.insert(spot, outcome);
    }
}

/// When the next request may go.
enum Next {
    AtOnce,
    Pause,
    Rest(Rest),
}

/// What an answer says besides the outcomes.
#[derive(Default)]
struct Heard {
    elsewhere: bool,
    unknown: bool,
    pause: bool,
    stale: bool,
    of_the_member: Vec<Code>,
}

/// The version for a commit (rule 11.9): one that can say who commits, and topic ids only if all topics
/// have one.
fn pick(versions: &Versions, by_id: bool, stamp: Option<&Stamp>) -> Result<i16> {
    let version = match by_id {
        true => versions.pick_with_topic_ids::<OffsetCommitRequest>()?,
        false => versions.pick::<OffsetCommitRequest>()?,
    };
    match stamp {
        Some(stamp) if stamp.by_epochs && version < FIRST_EPOCH => {
            Err(versions.unsupported("commits of members by KIP-848"))
        }
        Some(_) if version < FIRST_GENERATION => {
            Err(versions.unsupported("commits of group members"))
        }
        _ => Ok(version),
    }
}

fn request(
    version: i16,
    group: &str,
    stamp: Option<&Stamp>,
    open: &BTreeMap<Spot, Item>,
    ids: &TopicIds,
) -> OffsetCommitRequest {
    let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
    for ((topic, partition), item) in open {
        let partition = OffsetCommitRequestPartition {
            partition_index: *partition,
            committed_offset: item.what.offset,
            committed_leader_epoch: item.what.leader_epoch.unwrap_or(-1),
            commit_timestamp: -1,
            committed_metadata: Some(item.what.metadata.as_deref().unwrap_or_default().to_owned()),
        };
        // In the order of the map partitions of a topic follow each other.
        match topics.last_mut().filter(|last| *last.name == **topic) {
            Some(last) => last.partitions.push(partition),
            None => topics.push(OffsetCommitRequestTopic {
                name: topic.to_string(),
                topic_id: if version >= FIRST_TOPIC_ID { ids.of(topic) } else { Uuid::ZERO },
                partitions: vec![partition],
            }),
        }
    }
    let instance = stamp.and_then(|stamp| stamp.instance.as_deref());
    OffsetCommitRequest {
        group_id: group.to_owned(),
        generation_id_or_member_epoch: stamp.map_or(-1, |stamp| stamp.generation),
        member_id: stamp.map(|stamp| stamp.member.to_string()).unwrap_or_default(),
        group_instance_id: instance.filter(|_| version >= FIRST_INSTANCE).map(str::to_owned),
        retention_time_ms: -1,
        topics,
    }
}

/// What an answer says of each partition.
fn codes(version: i16, response: OffsetCommitResponse, ids: &TopicIds) -> BTreeMap<Spot, Code> {
    let by_id = version >= FIRST_TOPIC_ID;
    let mut codes = BTreeMap::new();
    for topic in response.topics {
        let Some(name) = ids.name(by_id, &topic.name, topic.topic_id) else { continue };
        for partition in topic.partitions {
            let spot = (Arc::clone(&name), partition.partition_index);
            codes.insert(spot, Code::from(partition.error_code));
        }
    }
    codes
}
