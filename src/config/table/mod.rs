//! The table: each property once, with its aliases.

mod client;
mod consumer;
mod group;
mod librdkafka;
mod producer;
mod refused;

pub(super) use consumer::BY_DURATION;

use super::kind::{Kind, boolean};

/// Which kind of handle a property belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The cluster and its connections: not among a child's overrides.
    Client,
    /// The cluster, and each producer and consumer for itself.
    Common,
    /// Producers.
    Producer,
    /// Consumers.
    Consumer,
}

impl Owner {
    /// The kind of handle, in a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "cluster",
            Self::Common => "cluster, producer or consumer",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// The name: Java's where Java has it. One that ends in `*` stands for a family.
    pub name: &'static str,
    /// Whose it is.
    pub owner: Owner,
    /// Whether `topic.NAME.` may stand before it.
    pub per_topic: bool,
    /// Type and range.
    pub kind: Kind,
    /// The value when nothing is set, in canonical form.
    pub default: &'static str,
    /// What it does, in a sentence or two.
    pub doc: &'static str,
    /// Other clients' names for it.
    pub aliases: &'static [Alias],
}

/// Another client's name for a property, with its unit.
#[derive(Clone, Copy, Debug)]
pub struct Alias {
    /// The name.
    pub name: &'static str,
    /// Whose name it is.
    pub from: &'static str,
    /// How its values become the property's.
    pub unit: Unit,
}

/// How an alias's values become the property's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// As they are.
    Same,
    /// Times 1024.
    Kibibytes,
    /// 0 is the largest value.
    ZeroIsUnlimited,
    /// A negative number is the largest value.
    NegativeIsUnlimited,
    /// By this list: theirs, ours.
    Map(&'static [(&'static str, &'static str)]),
    /// `true` adds this item to the list that the property is, `false` takes it away.
    Item(&'static str),
}

const UNLIMITED: &str = "2147483647";

impl Alias {
    /// The value in the property's own unit; `None` if it cannot be one.
    pub(super) fn convert(&self, value: &str) -> Option<String> {
        match self.unit {
            Unit::Same => Some(value.to_owned()),
            Unit::Kibibytes => value.parse::<i64>().ok()?.checked_mul(1024).map(|n| n.to_string()),
            Unit::ZeroIsUnlimited if value.parse() == Ok(0_i64) => Some(UNLIMITED.to_owned()),
            Unit::NegativeIsUnlimited if value.parse().is_ok_and(|n: i64| n < 0) => {
                Some(UNLIMITED.to_owned())
            }
            Unit::ZeroIsUnlimited | Unit::NegativeIsUnlimited => Some(value.to_owned()),
            Unit::Map(rows) => {
                let find = |value: &str| {
                    rows.iter().find(|(theirs, _)| value.eq_ignore_ascii_case(theirs))
                };
                let found = find(value).or_else(|| find(boolean(value)?));
                found.map(|(_, ours)| (*ours).to_owned())
            }
            Unit::Item(item) => {
                boolean(value).map(|value| if value == "true" { item } else { "" }.to_owned())
            }
        }
    }

    /// What is allowed by this name, as it stands in error messages.
    pub(super) fn allowed(&self, property: &Property) -> String {
        match (self.unit, property.kind) {
            (Unit::Map(rows), _) => {
                rows.iter().map(|(theirs, _)| *theirs).collect::<Vec<_>>().join(", ")
            }
            (Unit::Item(_), _) => Kind::Boolean.to_string(),
            (Unit::Kibibytes, Kind::Bytes { min, max }) => {
                format!("{} to {} kilobytes", (min + 1023) / 1024, max / 1024)
            }
            (Unit::ZeroIsUnlimited, kind) => format!("0 (no limit) or {kind}"),
            (Unit::NegativeIsUnlimited, kind) => format!("-1 (no limit) or {kind}"),
            (_, kind) => kind.to_string(),
        }
    }

    /// How values are converted, as it stands in the documentation; empty when they are not.
    pub(super) fn conversion(&self) -> String {
        match self.unit {
            Unit::Same => String::new(),
            Unit::Kibibytes => " (× 1024)".to_owned(),
            Unit::ZeroIsUnlimited => " (0: no limit)".to_owned(),
            Unit::NegativeIsUnlimited => " (-1: no limit)".to_owned(),
            Unit::Item(item) => format!(" (true adds {item}, false takes it away)"),
            Unit::Map(rows) => {
                let pair = |(theirs, ours): &(&str, &str)| match *ours {
                    "" => format!("{theirs} → nothing"),
                    ours => format!("{theirs} → {ours}"),
                };
                format!(" ({})", rows.iter().map(pair).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// Every row: the cluster's, the producer's, the consumer's, a member's, then what is refused.
pub fn properties() -> impl Iterator<Item = &'static Property> {
    let done = [client::ROWS, producer::ROWS, consumer::ROWS, group::ROWS];
    done.into_iter().chain([refused::ROWS, librdkafka::ROWS]).flatten()
}

/// The row of this canonical name.
#[must_use]
pub fn property(name: &str) -> Option<&'static Property> {
    find(name).filter(|(row, alias)| alias.is_none() && row.name == name).map(|(row, _)| row)
}

/// The row that a name or alias stands for; families last.
///
/// A plain search: configurations are made seldom, and an index made on first use would be one more
/// lock that a fork can leave locked.
pub(super) fn find(name: &str) -> Option<(&'static Property, Option<&'static Alias>)> {
    let mut families = None;
    for row in properties() {
        match row.name.strip_suffix('*') {
            Some(prefix) if name.starts_with(prefix) => families = families.or(Some((row, None))),
            Some(_) => {}
            None if row.name == name => return Some((row, None)),
            None => {
                if let Some(alias) = row.aliases.iter().find(|alias| alias.name == name) {
                    return Some((row, Some(alias)));
                }
            }
        }
    }
    families
}

/// Every name and alias.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    properties()
        .filter(|row| !row.name.ends_with('*'))
        .flat_map(|row| std::iter::once(row.name).chain(row.aliases.iter().map(|alias| alias.name)))
}

/// The names that may stand behind `topic.NAME.`.
pub(super) fn per_topic_names() -> impl Iterator<Item = &'static str> {
    properties().filter(|row| row.per_topic).map(|row| row.name)
}

/// The canonical name of a name or alias; an unknown one stays as it is.
pub(super) fn canonical_name(name: &str) -> &str {
    match find(name) {
        Some((row, _)) if !row.name.ends_with('*') => row.name,
        _ => name,
    }
}

/// librdkafka's name, same unit.
const fn librdkafka(name: &'static str) -> Alias {
    librdkafka_as(name, Unit::Same)
}

/// librdkafka's name, another unit.
const fn librdkafka_as(name: &'static str, unit: Unit) -> Alias {
    Alias { name, from: "librdkafka", unit }
}

/// PyKafka's keyword argument, same unit.
const fn pykafka(name: &'static str) -> Alias {
    Alias { name, from: "PyKafka", unit: Unit::Same }
}

/// The name of the Scala clients of Kafka 0.8 to 1.x, and librdkafka's old one; same unit.
const fn scala(name: &'static str) -> Alias {
    Alias { name, from: "Kafka 0.8, librdkafka", unit: Unit::Same }
}

/// Kafka 0.7's name, same unit.
const fn kafka_0_7(name: &'static str) -> Alias {
    Alias { name, from: "Kafka 0.7", unit: Unit::Same }
}

const INT_MAX: i64 = i32::MAX as i64;

/// A time from `min` to 2³¹ − 1 ms.
const fn millis(min: i64) -> Kind {
    Kind::Millis { min, max: INT_MAX }
}

/// A size from `min` to 2³¹ − 1 bytes.
const fn bytes(min: i64) -> Kind {
    Kind::Bytes { min, max: INT_MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_and_alias_is_there_once_and_every_default_is_a_value() {
        let mut names: Vec<_> = names().collect();
        names.sort_unstable();
        for pair in names.windows(2) {
            assert_ne!(pair[0], pair[1], "one name for two things");
        }
        for row in properties() {
            let unset = row.default.is_empty();
            let canonical = row.kind.canonical(row.default);
            assert!(unset || canonical.as_deref() == Some(row.default), "{row:?}");
            assert!(row.doc.ends_with(['.', ')']) || row.doc.is_empty(), "{row:?}");
            assert!(!row.per_topic || row.owner >= Owner::Producer, "{row:?}");
        }
    }

    #[test]
    fn what_an_alias_maps_to_is_a_value_of_its_property() {
        for row in properties() {
            for alias in row.aliases {
                let Unit::Map(pairs) = alias.unit else { continue };
                for (theirs, ours) in pairs {
                    assert_eq!(alias.convert(theirs).as_deref(), Some(*ours));
                    assert_eq!(row.kind.canonical(ours).as_deref(), Some(*ours), "{alias:?}");
                }
            }
        }
    }

    #[test]
    fn names_that_java_never_had_are_ours_or_refused() {
        // Java 4.3's names among the rows that do something, and those of the old Scala clients.
        const OTHERS: [&str; 9] = [
            "compression.level",
            "consumer.id",
            "dual.commit.enabled",
            "enable.auto.offset.store",
            "offsets.storage",
            "partitioner",
            "rebalance.backoff.ms",
            "rebalance.max.retries",
            "zookeeper.group.layout",
        ];
        for row in properties().filter(|row| !matches!(row.kind, Kind::Refused { .. })) {
            let java = JAVA.contains(&row.name) || OTHERS.contains(&row.name);
            assert!(java != row.name.starts_with("samsa."), "{}", row.name);
        }
    }

    const JAVA: [&str; 54] = [
        "acks",
        "allow.auto.create.topics",
        "auto.commit.interval.ms",
        "auto.offset.reset",
        "batch.size",
        "bootstrap.servers",
        "buffer.memory",
        "check.crcs",
        "client.id",
        "client.rack",
        "compression.gzip.level",
        "compression.lz4.level",
        "compression.type",
        "compression.zstd.level",
        "connections.max.idle.ms",
        "delivery.timeout.ms",
        "enable.auto.commit",
        "enable.idempotence",
        "exclude.internal.topics",
        "fetch.max.bytes",
        "fetch.max.wait.ms",
        "fetch.min.bytes",
        "group.id",
        "group.instance.id",
        "group.protocol",
        "group.remote.assignor",
        "heartbeat.interval.ms",
        "isolation.level",
        "linger.ms",
        "max.block.ms",
        "max.in.flight.requests.per.connection",
        "max.partition.fetch.bytes",
        "max.poll.interval.ms",
        "max.poll.records",
        "max.request.size",
        "metadata.max.age.ms",
        "metadata.max.idle.ms",
        "metadata.recovery.rebootstrap.trigger.ms",
        "partition.assignment.strategy",
        "partitioner.adaptive.partitioning.enable",
        "partitioner.availability.timeout.ms",
        "partitioner.ignore.keys",
        "reconnect.backoff.max.ms",
        "reconnect.backoff.ms",
        "request.timeout.ms",
        "retries",
        "retry.backoff.max.ms",
        "retry.backoff.ms",
        "session.timeout.ms",
        "socket.connection.setup.timeout.max.ms",
        "socket.connection.setup.timeout.ms",
        "zookeeper.connect",
        "zookeeper.connection.timeout.ms",
        "zookeeper.session.timeout.ms",
    ];
}
