//! `docs/configuration.md`, from the table.

use std::fmt::Write;

use super::kind::Kind;
use super::table::{Owner, Property, properties};

/// The whole page. A test compares it with the file, and writes it when `SAMSA_UPDATE=1` is set.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    for (owner, title) in [
        (Owner::Client, "Cluster and connections"),
        (Owner::Common, "Every handle"),
        (Owner::Producer, "Producer"),
        (Owner::Consumer, "Consumer"),
    ] {
        let _ = write!(
            page,
            "\n## {title}\n\n| property | type, range | default | meaning |\n|---|---|---|---|\n"
        );
        for row in properties().filter(|row| row.owner == owner && !is_refused(row)) {
            property(&mut page, row);
        }
    }
    page.push_str(ALIASES);
    for row in properties().filter(|row| !is_refused(row)) {
        for alias in row.aliases {
            let conversion = alias.conversion();
            let _ = writeln!(
                page,
                "| `{}` | {} | `{}`{conversion} |",
                alias.name, alias.from, row.name
            );
        }
    }
    page.push_str(REFUSED);
    for row in properties() {
        if let Kind::Refused { accepts, why } = row.kind {
            let other = row.aliases.iter().map(|alias| format!(", `{}`", alias.name));
            let names = format!("`{}`{}", row.name, other.collect::<String>());
            let accepts = accepts.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>();
            let _ = writeln!(page, "| {names} | {} | {why} |", accepts.join(", "));
        }
    }
    page
}

fn is_refused(row: &Property) -> bool {
    matches!(row.kind, Kind::Refused { .. })
}

fn property(page: &mut String, row: &Property) {
    let range = match row.kind {
        Kind::Boolean | Kind::Text | Kind::Addresses | Kind::Ensemble => row.kind.name().to_owned(),
        kind => format!("{}: {kind}", kind.name()),
    };
    let default = match row.default {
        "" => String::new(),
        value => format!("`{value}`"),
    };
    let per_topic = if row.per_topic { " *Per topic.*" } else { "" };
    let _ = writeln!(page, "| `{}` | {range} | {default} | {}{per_topic} |", row.name, row.doc);
}

const INTRODUCTION: &str = "\
# Configuration

<!-- Generated from src/config/table by `SAMSA_UPDATE=1 cargo test --lib config`. Do not edit. -->

Names and defaults are those of Apache Kafka's Java clients 4.3; where a default differs, the meaning
says why. What Java does not have begins with `samsa.`, with these exceptions: three names are
librdkafka's (`partitioner`, `compression.level`, `enable.auto.offset.store`), and what clusters and
groups in ZooKeeper need has the names of Kafka's old Scala clients (`zookeeper.*`, `consumer.id`,
`offsets.storage`, `dual.commit.enabled`, `rebalance.*`), but for `zookeeper.group.layout`, which is this
library's own. Values are set one by one (`samsa_config_set`) or from a file (`samsa_config_load`) in
Java's `.properties` format, in UTF-8.

- A name that is not known is an error, and so is a value out of range, when it is set; the message says
  what is allowed. What contradicts another property is found when the handle is made.
- The configuration of a cluster may hold any property: its producers and consumers inherit it. What is
  given to one of them overrides it; properties under *Cluster and connections* cannot be overridden.
- A property of groups that has no effect with `group.protocol` is refused when the two are set together, or
  the consumer sets it over its cluster's protocol. It is not refused where the cluster's configuration has
  it for other consumers and one of them asks for another protocol, nor where no protocol was asked for
  (on Kafka 0.7 it is `zookeeper`): then a line in the log says so.
- `topic.NAME.` before a property marked *per topic* sets it for that topic alone:
  `topic.clicks.compression.type=zstd`.
- Other clients' names are read as well, with their units (see *Other names*). Two spellings of one
  property with different values are an error.
";

const ALIASES: &str = "
## Other names

| name | of | stands for |
|---|---|---|
";

const REFUSED: &str = "
## Refused names

These are known and have no effect here. Setting one is an error that gives the reason, so that nothing
is silently ignored; the values in the second column ask for what is done anyway, and are taken.

| name | taken | why |
|---|---|---|
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docs_configuration_md_is_what_the_table_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        let page = markdown();
        if std::env::var_os("SAMSA_UPDATE").is_some_and(|value| value == "1") {
            std::fs::write(path, &page).unwrap();
        }
        let file = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            file == page,
            "{path} is not up to date: run SAMSA_UPDATE=1 cargo test --lib config"
        );
    }
}
