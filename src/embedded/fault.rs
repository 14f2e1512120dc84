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

/// What becomes of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What happens to the request or its connection as a whole.
    pub(super) action: Option<FaultKind>,
    /// Whether a silenced request is applied.
    pub(super) applied: bool,
    codes: Vec<Aim<(i16, bool)>>,
    moves: Vec<Aim<i32>>,
}

impl Verdict {
    /// The error code for one partition, and whether the request is applied to it all the same.
    pub(super) fn code(&self, topic: &str, partition: i32) -> Option<(i16, bool)> {
        self.codes.iter().find(|aim| aim.hits(topic, partition)).map(|aim| aim.what)
    }

    /// The error code for a topic as a whole.
    pub(super) fn topic_code(&self, topic: &str) -> Option<(i16, bool)> {
        let named = |aim: &&Aim<_>| aim.topic.as_deref().is_none_or(|t| t == topic);
        self.codes.iter().find(named).map(|aim| aim.what)
    }

    /// The error code for the request as a whole.
    pub(super) fn request_code(&self) -> Option<(i16, bool)> {
        self.codes.first().map(|aim| aim.what)
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
    /// that closes, delays or silences decides; error codes and leader moves add up. A fault
    /// behind one that decided is not counted: two injected one after the other follow each other.
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
            FaultKind::ErrorCode(_) => same(&self.codes, fault),
            FaultKind::LeaderMove(_) => same(&self.moves, fault),
            _ => self.action.is_some(),
        }
    }

    fn add(&mut self, fault: &Fault) {
        let (topic, partition) = (fault.topic.clone(), fault.partition);
        match fault.kind {
            FaultKind::ErrorCode(code) => {
                self.codes.push(Aim { topic, partition, what: (code, fault.applied) });
            }
            FaultKind::LeaderMove(to) => self.moves.push(Aim { topic, partition, what: to }),
            kind => {
                self.action = Some(kind);
                self.applied = fault.applied;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meet(table: &mut FaultTable, broker: i32, api: i16, topic: &str, partition: i32) -> Verdict {
        let names = |t: Option<&str>, p: Option<i32>| {
            t.is_none_or(|t| t == topic) && p.is_none_or(|p| p == partition)
        };
        table.meet(&Facts { broker, api, names: &names })
    }

    #[test]
    fn a_fault_meets_the_nth_request_that_fits_and_then_as_many_as_asked() {
        let mut table = FaultTable::default();
        let fault = Fault::new(FaultKind::DisconnectBefore).api(0_i16).topic("t").partition(1);
        let id = table.inject(fault.skip(1).times(2));
        let fits = |table: &mut FaultTable| meet(table, 0, 0, "t", 1).action.is_some();
        assert!(meet(&mut table, 0, 1, "t", 1).action.is_none(), "another API");
        assert!(meet(&mut table, 0, 0, "t", 2).action.is_none(), "another partition");
        let seen: Vec<_> = (0..5).map(|_| fits(&mut table)).collect();
        assert_eq!(seen, [false, true, true, false, false]);
        assert_eq!(table.met(id), 2);
        assert!(!table.is_armed());
    }

    #[test]
    fn faults_injected_one_after_the_other_follow_each_other() {
        let mut table = FaultTable::default();
        table.inject(Fault::new(FaultKind::Silence));
        table.inject(Fault::new(FaultKind::Garbage));
        assert_eq!(meet(&mut table, 0, 0, "t", 0).action, Some(FaultKind::Silence));
        assert_eq!(meet(&mut table, 0, 0, "t", 0).action, Some(FaultKind::Garbage));
        assert_eq!(meet(&mut table, 0, 0, "t", 0).action, None);
    }

    #[test]
    fn an_error_code_hits_only_the_partitions_it_names() {
        let mut table = FaultTable::default();
        table.inject(Fault::new(FaultKind::ErrorCode(6)).topic("t").partition(3).applied());
        let verdict = meet(&mut table, 0, 0, "t", 3);
        assert_eq!(verdict.code("t", 3), Some((6, true)));
        assert_eq!(verdict.code("t", 4), None);
        assert_eq!(verdict.code("u", 3), None);
    }

    #[test]
    fn what_is_withdrawn_meets_nothing_more_and_keeps_its_count() {
        let mut table = FaultTable::default();
        let id = table.inject(Fault::new(FaultKind::Silence).always());
        meet(&mut table, 0, 0, "t", 0);
        table.withdraw(Some(id));
        assert_eq!(meet(&mut table, 0, 0, "t", 0), Verdict::default());
        assert_eq!(table.met(id), 1);
        assert!(!table.is_armed());
    }
}
