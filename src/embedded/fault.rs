//! Faults that tests inject: which requests they meet, and what then happens to them.

/// What happens to a request that a fault meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The answer carries this Kafka error code: for the partition where the API has partitions,
    /// else for the whole request. Nothing is applied unless [`Fault::applied`] is set.
    ErrorCode(i16),
    /// The request is applied at once and its answer held back for so many milliseconds; what the
    /// connection sends after it waits behind it, as on a real broker.
    Delay(u32),
    /// The connection is closed before the request is applied.
    DisconnectBefore,
    /// The request is applied, then the connection is closed without an answer.
    DisconnectAfter,
    /// No answer, now or later: the connection stays open and swallows whatever it is sent.
    /// Nothing is applied unless [`Fault::applied`] is set.
    Silence,
    /// The leadership of every partition that a Produce, Fetch or ListOffsets names, or of the one
    /// that the fault names, moves to this broker (next epoch) before the request is looked at,
    /// which then meets a broker that does not lead it.
    LeaderMove(i32),
    /// The answer is no Kafka frame at all (a line of HTTP); then the connection closes.
    Garbage,
    /// The answer is a frame with the right correlation id whose body makes no sense.
    Malformed,
    /// The request is applied, half of the answer is written, then the connection closes.
    CloseMidFrame,
    /// The answer tells the client to be quiet for so many milliseconds, and the broker reads
    /// nothing more from the connection so long (KIP-219).
    Throttle(u32),
    /// The answer carries this Kafka error code as a whole: beside its partitions where it has a
    /// field for that (Fetch since version 7, Metadata since version 13), else as
    /// [`ErrorCode`](Self::ErrorCode).
    RequestError(i16),
    /// A Produce is refused with this Kafka error code because of the record at this place in the
    /// batch, counted from 0 (KIP-467; version 8 or newer says which record it was).
    RecordError {
        /// Kafka's number of the error, 87 (INVALID_RECORD) on real brokers.
        code: i16,
        /// The record that is to blame.
        record: i32,
    },
    /// A Produce is applied, and its answer does not say at which offset (-1).
    NoOffset,
}

/// A rule that meets requests; hand it to [`super::Cluster::inject`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// The API key that the request must have; None meets any.
    pub api: Option<i16>,
    /// The topic that the request must name; None meets any.
    pub topic: Option<String>,
    /// The partition that the request must name; None meets any.
    pub partition: Option<i32>,
    /// The broker that the request must reach; None meets any.
    pub broker: Option<i32>,
    /// How many matching requests pass before the first one is met.
    pub skip: u32,
    /// How many are met after that; `u32::MAX` = all.
    pub times: u32,
    /// With an error code or silence: the request is applied all the same.
    pub applied: bool,
    /// With an error code: the broker that the answer names as the leader, and its epoch (KIP-951;
    /// Produce since version 10, Fetch since version 12).
    pub leader: Option<(i32, i32)>,
}

impl Fault {
    /// A fault that meets the next request of any API; narrow it with the other methods.
    #[must_use]
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            api: None,
            topic: None,
            partition: None,
            broker: None,
            skip: 0,
            times: 1,
            applied: false,
            leader: None,
        }
    }

    /// Meets only requests of this API.
    #[must_use]
    pub fn api(mut self, api: impl Into<i16>) -> Self {
        self.api = Some(api.into());
        self
    }

    /// Meets only requests that name this topic.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// Meets only requests that name this partition.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Meets only requests that reach this broker.
    #[must_use]
    pub fn broker(mut self, broker: i32) -> Self {
        self.broker = Some(broker);
        self
    }

    /// Lets so many matching requests pass first.
    #[must_use]
    pub fn skip(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// Meets so many requests instead of one.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Meets every matching request from now on.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(u32::MAX)
    }

    /// The request is applied although its answer says otherwise.
    #[must_use]
    pub fn applied(mut self) -> Self {
        self.applied = true;
        self
    }

    /// The answer with the error code names this leader and its epoch, true or not.
    #[must_use]
    pub fn naming_leader(mut self, broker: i32, epoch: i32) -> Self {
        self.leader = Some((broker, epoch));
        self
    }
}

/// The name of an injected fault, to ask how often it was met or to take it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FaultId(pub u64);

/// What faults need to know of a request.
pub(super) struct Facts<'a> {
    pub(super) broker: i32,
    pub(super) api: i16,
    /// Whether the request names this topic and this partition (None: any).
    pub(super) names: &'a dyn Fn(Option<&str>, Option<i32>) -> bool,
}

/// Something for every partition of a request that the fault names.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Aim<T> {
    topic: Option<String>,
    partition: Option<i32>,
    what: T,
}

impl<T> Aim<T> {
    fn hits(&self, topic: &str, partition: i32) -> bool {
        self.topic.as_deref().is_none_or(|t| t == topic)
            && self.partition.is_none_or(|p| p == partition)
    }
}

/// An error that a partition is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refused {
    code: i16,
    /// The request is applied all the same.
    applied: bool,
    /// The record that is to blame.
    record: Option<i32>,
    /// The leader that the answer names, and its epoch.
    leader: Option<(i32, i32)>,
}

/// What becomes of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What happens to the request or its connection as a whole.
    pub(super) action: Option<FaultKind>,
    /// Whether a silenced request is applied.
    pub(super) applied: bool,
    /// For how many milliseconds the client is told to be quiet.
    pub(super) throttle: Option<u32>,
    whole: Option<(i16, bool)>,
    codes: Vec<Aim<Refused>>,
    moves: Vec<Aim<i32>>,
    unplaced: Vec<Aim<()>>,
}

impl Verdict {
    /// The error code for one partition, and whether the request is applied to it all the same.
    pub(super) fn code(&self, topic: &str, partition: i32) -> Option<(i16, bool)> {
        self.refused(topic, partition).map(|it| (it.code, it.applied)).or(self.whole)
    }

    /// The record that is to blame for a partition's error.
    pub(super) fn record(&self, topic: &str, partition: i32) -> Option<i32> {
        self.refused(topic, partition)?.record
    }

    /// The leader that a partition's error names, and its epoch.
    pub(super) fn named_leader(&self, topic: &str, partition: i32) -> Option<(i32, i32)> {
        self.refused(topic, partition)?.leader
    }

    /// Whether the answer keeps for itself where a partition's batch went.
    pub(super) fn hides_offset(&self, topic: &str, partition: i32) -> bool {
        self.unplaced.iter().any(|aim| aim.hits(topic, partition))
    }

    /// The milliseconds as answers carry them.
    pub(super) fn throttle_ms(&self) -> i32 {
        self.throttle.map_or(0, |ms| i32::try_from(ms).unwrap_or(i32::MAX))
    }

    fn refused(&self, topic: &str, partition: i32) -> Option<Refused> {
        self.codes.iter().find(|aim| aim.hits(topic, partition)).map(|aim| aim.what)
    }

    /// The error code for a topic as a whole.
    pub(super) fn topic_code(&self, topic: &str) -> Option<(i16, bool)> {
        let named = |aim: &&Aim<_>| aim.topic.as_deref().is_none_or(|t| t == topic);
        self.codes.iter().find(named).map(|aim| (aim.what.code, aim.what.applied)).or(self.whole)
    }

    /// The error code for the request as a whole.
    pub(super) fn request_code(&self) -> Option<(i16, bool)> {
        self.whole.or_else(|| self.codes.first().map(|aim| (aim.what.code, aim.what.applied)))
    }

    /// The error code that was asked for beside the partitions'.
    pub(super) fn whole_code(&self) -> Option<i16> {
        self.whole.map(|(code, _)| code)
    }

    /// The broker that a partition's leadership moves to first.
    pub(super) fn leader_move(&self, topic: &str, partition: i32) -> Option<i32> {
        self.moves.iter().find(|aim| aim.hits(topic, partition)).map(|aim| aim.what)
    }
}

#[derive(Debug)]
struct Armed {
    id: FaultId,
    fault: Fault,
    passed: u32,
    met: u64,
}

/// Every fault ever injected, in order.
#[derive(Debug, Default)]
pub(super) struct FaultTable {
    armed: Vec<Armed>,
    last: u64,
}

impl FaultTable {
    pub(super) fn inject(&mut self, fault: Fault) -> FaultId {
        self.last += 1;
        let id = FaultId(self.last);
        self.armed.push(Armed { id, fault, passed: 0, met: 0 });
        id
    }

    pub(super) fn met(&self, id: FaultId) -> u64 {
        self.armed.iter().find(|a| a.id == id).map_or(0, |a| a.met)
    }

    /// Takes one fault back, or all (None). How often they were met is still known.
    pub(super) fn withdraw(&mut self, id: Option<FaultId>) {
        for armed in &mut self.armed {
            if id.is_none_or(|id| id == armed.id) {
                armed.fault.times = 0;
            }
        }
    }

    /// Whether some fault can still meet a request: else requests need not be looked at.
    pub(super) fn is_armed(&self) -> bool {
        self.armed.iter().any(Armed::is_live)
    }

    /// Counts the request against every fault that matches it. Of those that fire, the first one
    /// that closes, delays or silences decides; error codes, leader moves and the like add up. A
    /// fault behind one that decided is not counted: two injected one after the other follow each
    /// other.
    pub(super) fn meet(&mut self, facts: &Facts<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        for armed in self.armed.iter_mut().filter(|a| a.is_live()) {
            if !armed.matches(facts) || verdict.has_for(&armed.fault) {
                continue;
            }
            if armed.passed < armed.fault.skip {
                armed.passed += 1;
                continue;
            }
            armed.met += 1;
            verdict.add(&armed.fault);
        }
        verdict
    }
}

impl Armed {
    fn is_live(&self) -> bool {
        self.fault.times == u32::MAX || self.met < u64::from(self.fault.times)
    }

    fn matches(&self, facts: &Facts<'_>) -> bool {
        let fault = &self.fault;
        fault.api.is_none_or(|api| api == facts.api)
            && fault.broker.is_none_or(|broker| broker == facts.broker)
            && ((fault.topic.is_none() && fault.partition.is_none())
                || (facts.names)(fault.topic.as_deref(), fault.partition))
    }
}

impl Verdict {
    /// Whether the verdict already has what this fault would add.
    fn has_for(&self, fault: &Fault) -> bool {
        fn same<T>(aims: &[Aim<T>], fault: &Fault) -> bool {
            aims.iter().any(|a| a.topic == fault.topic && a.partition == fault.partition)
        }
        match fault.kind {
            FaultKind::ErrorCode(_) | FaultKind::RecordError { .. } => same(&self.codes, fault),
            FaultKind::LeaderMove(_) => same(&self.moves, fault),
            FaultKind::NoOffset => same(&self.unplaced, fault),
            FaultKind::RequestError(_) => self.whole.is_some(),
            FaultKind::Throttle(_) => self.throttle.is_some(),
            _ => self.action.is_some(),
        }
    }

    fn add(&mut self, fault: &Fault) {
        let (topic, partition) = (fault.topic.clone(), fault.partition);
        let Fault { applied, leader, .. } = *fault;
        match fault.kind {
            FaultKind::ErrorCode(code) => {
                let what = Refused { code, applied, record: None, leader };
                self.codes.push(Aim { topic, partition, what });
            }
            FaultKind::RecordError { code, record } => {
                let what = Refused { code, applied, record: Some(record), leader };
                self.codes.push(Aim { topic, partition, what });
            }
            FaultKind::RequestError(code) => self.whole = Some((code, applied)),
            FaultKind::LeaderMove(to) => self.moves.push(Aim { topic, partition, what: to }),
            FaultKind::NoOffset => self.unplaced.push(Aim { topic, partition, what: () }),
            FaultKind::Throttle(ms) => self.throttle = Some(ms),
            kind => {
                self.action = Some(kind);
                self.applied = fault.applied;
            }
        }
    }
}

#[cfg(test)]
mod tests;
