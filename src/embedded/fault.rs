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
    /// The partition's leadership moves to this broker (next epoch) before the request is looked
    /// at, which then meets a broker that does not lead it.
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
