//! What a producer is made with.

use std::collections::HashMap;
use std::time::Duration;

use super::{Owner, Partitioning, Values, check_overrides};
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::protocol::record::Compression;

/// How many batches of a producer a broker remembers in each partition.
const BATCHES_REMEMBERED: usize = 5;

/// `max.message.size` of a broker of Kafka 0.7, unless it is told otherwise.
const LEGACY_MAX_MESSAGE_SIZE: usize = 1_000_000;

/// Whose acknowledgement makes a record "persisted".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// Nobody's: written to the socket is done; offsets are not known.
    None,
    /// The leader's.
    Leader,
    /// That of all in-sync replicas.
    All,
}

impl Acks {
    /// The number in a Produce request.
    #[must_use]
    pub fn wire(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// Which outcomes are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeliveryReport {
    /// Every record's.
    #[default]
    All,
    /// Only those that were not persisted for sure.
    Failures,
    /// None: flush and close count them.
    None,
}

/// The properties of a producer, the cluster's and its own overrides together.
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    /// `acks`.
    pub acks: Acks,
    /// `linger.ms`.
    pub linger: Duration,
    /// `batch.size`, in bytes.
    pub batch_size: usize,
    /// `buffer.memory`, in bytes.
    pub buffer_memory: usize,
    /// `max.block.ms`.
    pub max_block: Duration,
    /// `metadata.max.idle.ms`.
    pub metadata_max_idle: Duration,
    /// `max.request.size`, in bytes.
    pub max_request_size: usize,
    /// The same for the messages of Kafka 0.7, whose brokers drop larger ones in silence: their own limit
    /// unless the property is set.
    pub legacy_max_request_size: usize,
    /// `delivery.timeout.ms`; never below `linger` + `request_timeout` (invariant 4.3).
    pub delivery_timeout: Duration,
    /// `request.timeout.ms`.
    pub request_timeout: Duration,
    /// `retries`.
    pub retries: u32,
    /// `retry.backoff.ms`.
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`; never below `retry_backoff`.
    pub retry_backoff_max: Duration,
    /// `max.in.flight.requests.per.connection`.
    pub max_in_flight: usize,
    /// `enable.idempotence`, unless it gave way to another property.
    pub enable_idempotence: bool,
    /// It was asked for by name, and does not give way to old brokers either.
    pub idempotence_required: bool,
    /// `compression.type`.
    pub compression: Compression,
    /// The level for that codec; `None`: the codec's default.
    pub compression_level: Option<i32>,
    /// `partitioner` and what belongs to it.
    pub partitioning: Partitioning,
    /// `samsa.delivery.report`.
    pub delivery_report: DeliveryReport,
    /// `samsa.delivery.keep`.
    pub delivery_keep: bool,
    /// `samsa.codec.threads`.
    pub codec_threads: usize,
    /// What the owner should log once: accepted values that have no effect yet.
    pub warnings: Vec<String>,
    topics: HashMap<String, TopicProducerConfig>,
}

/// What can differ from topic to topic (`topic.NAME.` before the property).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicProducerConfig {
    /// `compression.type`.
    pub compression: Compression,
    /// The level for that codec; `None`: the codec's default.
    pub compression_level: Option<i32>,
    /// `linger.ms`.
    pub linger: Duration,
    /// `batch.size`, in bytes.
    pub batch_size: usize,
    /// `partitioner` and what belongs to it.
    pub partitioning: Partitioning,
}

impl ProducerConfig {
    /// The typed view. `INVALID_PROPERTY` names the property that contradicts another.
    pub fn from(config: &Config) -> Result<Self> {
        let values = Values::of(config);
        let retry_backoff = values.millis("retry.backoff.ms")?;
        let every = topic_values(values)?;
        let mut topics = HashMap::new();
        for topic in config.topics() {
            let own = topic_values(Values::for_topic(config, topic))?;
            topics.insert(topic.to_owned(), own);
        }
        let mut warnings = Vec::new();
        let enable_idempotence = idempotence(values, &mut warnings)?;
        let made = Self {
            acks: values.choice("acks", acks)?,
            linger: every.linger,
            batch_size: every.batch_size,
            buffer_memory: values.number("buffer.memory")?,
            max_block: values.millis("max.block.ms")?,
            metadata_max_idle: values.millis("metadata.max.idle.ms")?,
            max_request_size: values.number("max.request.size")?,
            legacy_max_request_size: match values.is_explicit("max.request.size") {
                true => values.number("max.request.size")?,
                false => LEGACY_MAX_MESSAGE_SIZE,
            },
            delivery_timeout: values.millis("delivery.timeout.ms")?,
            request_timeout: values.millis("request.timeout.ms")?,
            retries: values.number("retries")?,
            retry_backoff,
            retry_backoff_max: values.millis("retry.backoff.max.ms")?.max(retry_backoff),
            max_in_flight: values.number("max.in.flight.requests.per.connection")?,
            enable_idempotence,
            idempotence_required: values.is_explicit("enable.idempotence") && enable_idempotence,
            compression: every.compression,
            compression_level: every.compression_level,
            partitioning: every.partitioning,
            delivery_report: values.choice("samsa.delivery.report", delivery_report)?,
            delivery_keep: values.boolean("samsa.delivery.keep")?,
            codec_threads: values.number("samsa.codec.threads")?,
            warnings,
            topics,
        };
        made.check()?;
        Ok(made)
    }

    /// As [`from`](Self::from), with a child's overrides on top. A connection property or one of a
    /// consumer among them is `INVALID_PROPERTY`.
    pub fn with_overrides(config: &Config, overrides: Option<&Config>) -> Result<Self> {
        check_overrides(overrides, Owner::Producer)?;
        Self::from(&config.overlay(overrides)?)
    }

    /// What holds for this topic.
    #[must_use]
    pub fn for_topic(&self, name: &str) -> TopicProducerConfig {
        self.topics.get(name).copied().unwrap_or(TopicProducerConfig {
            compression: self.compression,
            compression_level: self.compression_level,
            linger: self.linger,
            batch_size: self.batch_size,
            partitioning: self.partitioning,
        })
    }

    /// Invariant 4.3: a delivery time that cannot hold one linger and one request is an error, never
    /// quietly raised.
    fn check(&self) -> Result<()> {
        let lingers = self.topics.iter().map(|(name, own)| (Some(name), own.linger));
        for (topic, linger) in lingers.chain([(None, self.linger)]) {
            if self.delivery_timeout < linger.saturating_add(self.request_timeout) {
                let for_topic = topic.map_or(String::new(), |name| format!(" of topic {name}"));
                return Err(Error::new(
                    Code::INVALID_PROPERTY,
                    format!(
                        "delivery.timeout.ms={} is less than linger.ms={}{for_topic} + \
                         request.timeout.ms={}: no record could wait and be sent once within it; \
                         raise it or lower the others",
                        self.delivery_timeout.as_millis(),
                        linger.as_millis(),
                        self.request_timeout.as_millis()
                    ),
                )
                .with_property("delivery.timeout.ms"));
            }
        }
        Ok(())
    }
}

fn topic_values(values: Values<'_>) -> Result<TopicProducerConfig> {
    let compression = values.choice("compression.type", compression)?;
    Ok(TopicProducerConfig {
        compression,
        compression_level: level(values, compression)?,
        linger: values.millis("linger.ms")?,
        batch_size: values.number("batch.size")?,
        partitioning: Partitioning::of(values)?,
    })
}

/// Java's default of `compression.lz4.level` means the fast encoder (KIP-390); every other level is one of
/// high compression.
const JAVAS_FAST_LZ4: i32 = 9;
/// In librdkafka's `compression.level` high compression begins here, as in liblz4's frames.
const HIGH_LZ4_SINCE: i32 = 3;

/// The level in force for `codec`: its own property, else `compression.level`, else the codec's
/// default.
fn level(values: Values<'_>, codec: Compression) -> Result<Option<i32>> {
    let (name, range) = match codec {
        Compression::Gzip => ("compression.gzip.level", 1..=9),
        Compression::Zstd => ("compression.zstd.level", -131_072..=22),
        Compression::Lz4 => ("compression.lz4.level", 0..=12),
        Compression::None | Compression::Snappy => return Ok(None),
    };
    let any: i32 = values.number("compression.level")?;
    if values.is_explicit(name) || any == -1 {
        let level: i32 = values.number(name)?;
        if codec == Compression::Lz4 {
            return Ok((level != JAVAS_FAST_LZ4).then_some(level));
        }
        return Ok((level != -1 || codec == Compression::Zstd).then_some(level));
    }
    if range.contains(&any) {
        let fast = codec == Compression::Lz4 && any < HIGH_LZ4_SINCE;
        return Ok((!fast).then_some(any));
    }
    Err(Error::new(
        Code::INVALID_PROPERTY,
        format!(
            "compression.level={any}: {} takes {} to {}",
            codec.name(),
            range.start(),
            range.end()
        ),
    )
    .with_property("compression.level"))
}

/// Whether batches carry an identity. Three properties forbid it: set by name they are an error beside
/// a demand by name, and before them the default gives way, not in silence (invariant 5.18).
fn idempotence(values: Values<'_>, warnings: &mut Vec<String>) -> Result<bool> {
    const NAME: &str = "enable.idempotence";
    if !values.boolean(NAME)? {
        return Ok(false);
    }
    let (acks, retries) = (values.choice("acks", acks)?, values.number::<u32>("retries")?);
    let in_flight = "max.in.flight.requests.per.connection";
    let forbidding = if acks != Acks::All {
        format!("acks={} (it needs acks=all)", if acks == Acks::None { 0 } else { 1 })
    } else if retries == 0 {
        "retries=0 (it needs retries)".to_owned()
    } else if values.number::<usize>(in_flight)? > BATCHES_REMEMBERED {
        format!("{in_flight} above {BATCHES_REMEMBERED}")
    } else {
        return Ok(true);
    };
    if values.is_explicit(NAME) {
        let text = format!("enable.idempotence=true contradicts {forbidding}");
        return Err(Error::new(Code::INVALID_PROPERTY, text).with_property(NAME));
    }
    warnings.push(format!(
        "enable.idempotence gives way to {forbidding}: order is kept, but a repetition may write a \
         record twice"
    ));
    Ok(false)
}

fn acks(name: &str) -> Option<Acks> {
    match name {
        "all" => Some(Acks::All),
        "1" => Some(Acks::Leader),
        "0" => Some(Acks::None),
        _ => None,
    }
}

fn compression(name: &str) -> Option<Compression> {
    Compression::from_name(name)
}

fn delivery_report(name: &str) -> Option<DeliveryReport> {
    match name {
        "all" => Some(DeliveryReport::All),
        "failures" => Some(DeliveryReport::Failures),
        "none" => Some(DeliveryReport::None),
        _ => None,
    }
}
