//! What an application sets.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::kind::Kind;
use super::properties_file::PropertiesFile;
use super::suggest::nearest;
use super::table::{self, Alias, Owner, Property, Unit};
use crate::error::{Code, Error, Result};
use crate::log::{Level, Logger, Sink};

/// A configuration: names and values, checked as they are set. Cheap enough to clone once per handle.
///
/// Not shared between threads while it is changed; handles copy what they need.
#[derive(Clone, Debug, Default)]
pub struct Config {
    values: BTreeMap<Key, Value>,
    attached: BTreeMap<TypeId, Attachment>,
    log_sink: Option<Arc<dyn Sink>>,
}

/// A property, for all topics or for one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    topic: Option<String>,
    name: &'static str,
}

#[derive(Clone, Debug, Default)]
struct Value {
    /// In canonical form and the canonical unit.
    text: String,
    /// The names it was set by, as the application wrote them.
    spellings: Vec<String>,
    /// Of a list: what it was set to as a whole, and which items names of their own add or take away.
    whole: Option<String>,
    items: Vec<(&'static str, bool)>,
}

#[derive(Clone)]
struct Attachment {
    value: Arc<dyn Any + Send + Sync>,
    /// What it is, if only the cluster can use it.
    of_cluster: Option<&'static str>,
}

impl std::fmt::Debug for Attachment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Attachment")
    }
}

/// One explicitly set value, as [`Config::iter`] gives it.
#[derive(Clone, Copy, Debug)]
pub struct Explicit<'a> {
    /// The row of the table.
    pub property: &'static Property,
    /// The topic it is for; `None`: for all.
    pub topic: Option<&'a str>,
    /// The name that the application used first.
    pub name: &'a str,
    /// The value in canonical form.
    pub value: &'a str,
}

impl Config {
    /// Nothing set: every property has its default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a property, by its name or an alias, for all topics or (`topic.NAME.` before it) for one.
    ///
    /// Setting it again by the same name replaces the value. Errors, each naming the property:
    /// `UNKNOWN_PROPERTY` (with the nearest name), `INVALID_PROPERTY` (what is allowed, and the
    /// default; or another spelling of it was set to another value).
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let name = name.trim();
        let found = resolve(name)?;
        let text = found.value(name, value)?;
        let item = found.item().map(|item| (item, !text.is_empty()));
        let key = Key { topic: found.topic.map(str::to_owned), name: found.property.name };
        let present = self.values.entry(key.clone()).or_default();
        let other = present.spellings.iter().find(|spelling| *spelling != name);
        if let Some(other) = other.filter(|_| present.contradicts(&text, item)) {
            return Err(Error::new(
                Code::INVALID_PROPERTY,
                format!(
                    "{name}={value}, but {other} was set to another value ({}={}), and both are \
                     spellings of one property: set only one of them",
                    key.name, present.text
                ),
            )
            .with_property(name));
        }
        present.say(text, item, found.property.kind);
        if !present.spellings.iter().any(|spelling| spelling == name) {
            present.spellings.push(name.to_owned());
        }
        Ok(())
    }

    /// Takes a property back to its default, whatever spelling it was set by.
    pub fn unset(&mut self, name: &str) -> Result<()> {
        let found = resolve(name.trim())?;
        let key = Key { topic: found.topic.map(str::to_owned), name: found.property.name };
        self.values.remove(&key);
        Ok(())
    }

    /// The value in force, in canonical form: what was set, else the default. A topic's property falls
    /// back on the one for all topics.
    pub fn get(&self, name: &str) -> Result<String> {
        let found = resolve(name.trim())?;
        let row = found.property;
        let own = found.topic.and_then(|topic| self.explicit_for_topic(topic, row.name));
        Ok(own.or_else(|| self.explicit(row.name)).unwrap_or(row.default).to_owned())
    }

    /// Reads a `.properties` file (Java's format, UTF-8); nothing is set unless all of it is right.
    ///
    /// `IO` when it cannot be read; errors in it name the file and the line.
    pub fn load(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.apply(&PropertiesFile::read(path)?)
    }

    /// As [`load`](Self::load), from text; `place` is what errors call it.
    pub fn load_text(&mut self, place: &str, text: &str) -> Result<()> {
        self.apply(&PropertiesFile::parse(place, text)?)
    }

    /// Sets what a file says; nothing is set unless all of it is right.
    pub fn apply(&mut self, file: &PropertiesFile) -> Result<()> {
        let place = &file.place;
        let mut changed = self.clone();
        let mut lines = BTreeMap::new();
        for entry in &file.entries {
            // The last of two equal names wins, as in Java; other spellings are held against it.
            changed.set(&entry.name, &entry.value).map_err(|error| {
                let mut error_at = Error::new(error.code(), format!("{place}:{}", entry.line));
                if let Some(line) = lines.get(table::canonical_name(&entry.name)) {
                    error_at = Error::new(
                        error.code(),
                        format!("{place}:{} (see also line {line})", entry.line),
                    );
                }
                error_at.caused_by(error)
            })?;
            lines.insert(table::canonical_name(&entry.name).to_owned(), entry.line);
        }
        *self = changed;
        Ok(())
    }

    /// This configuration with a child's overrides on top. A property or callback that belongs to the
    /// cluster, which has been opened without it, is `INVALID_PROPERTY`.
    pub fn overlay(&self, overrides: Option<&Self>) -> Result<Self> {
        let mut merged = self.clone();
        let Some(overrides) = overrides else { return Ok(merged) };
        for value in overrides.iter() {
            if value.property.owner == Owner::Client {
                return Err(Error::new(
                    Code::INVALID_PROPERTY,
                    format!(
                        "{} belongs to the cluster's connections and cannot be overridden: set it in \
                         the configuration that the cluster is opened with",
                        value.name
                    ),
                )
                .with_property(value.name));
            }
        }
        let log = overrides.log_sink.as_ref().map(|_| "the log callback");
        if let Some(what) = log.or(overrides.attached.values().find_map(|it| it.of_cluster)) {
            return Err(Error::new(
                Code::INVALID_PROPERTY,
                format!(
                    "{what} belongs to the cluster and cannot be overridden: set it in the configuration \
                     that the cluster is opened with"
                ),
            ));
        }
        // What an override says for all topics beats what the cluster says for one: it is newer and
        // nearer. What it says for one topic is put in afterwards.
        for (key, value) in overrides.values.iter().filter(|(key, _)| key.topic.is_none()) {
            let mut value = value.clone();
            if value.whole.is_none()
                && !value.items.is_empty()
                && let (Some(row), Some(below)) =
                    (table::property(key.name), merged.explicit(key.name))
            {
                // A name that adds an item, or takes it away, does so to what the cluster says.
                value.whole = Some(below.to_owned());
                value.settle(row.kind);
            }
            merged.values.retain(|other, _| other.name != key.name);
            merged.values.insert(key.clone(), value);
        }
        for (key, value) in overrides.values.iter().filter(|(key, _)| key.topic.is_some()) {
            merged.values.insert(key.clone(), value.clone());
        }
        merged.attached.extend(overrides.attached.iter().map(|(id, it)| (*id, it.clone())));
        Ok(merged)
    }

    /// What was set, in the order of topics (none first) and names.
    pub fn iter(&self) -> impl Iterator<Item = Explicit<'_>> {
        self.values.iter().filter_map(|(key, value)| {
            Some(Explicit {
                property: table::property(key.name)?,
                topic: key.topic.as_deref(),
                name: value.spellings.first()?,
                value: &value.text,
            })
        })
    }

    /// Keeps something that is not text, such as a callback, one of each type; it travels with the
    /// configuration into the handles, and a child's override wins.
    pub fn attach<T: Any + Send + Sync>(&mut self, value: Arc<T>) {
        self.attached.insert(TypeId::of::<T>(), Attachment { value, of_cluster: None });
    }

    /// As [`attach`](Self::attach), for what the cluster alone can use: among a child's overrides it is
    /// refused by this name.
    pub fn attach_to_cluster<T: Any + Send + Sync>(&mut self, value: Arc<T>, name: &'static str) {
        self.attached.insert(TypeId::of::<T>(), Attachment { value, of_cluster: Some(name) });
    }

    /// Takes back what was attached of this type.
    pub fn detach<T: Any + Send + Sync>(&mut self) {
        self.attached.remove(&TypeId::of::<T>());
    }

    /// What was attached of this type.
    #[must_use]
    pub fn attached<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let found = self.attached.get(&TypeId::of::<T>())?;
        Arc::clone(&found.value).downcast().ok()
    }

    /// Sends log lines to `sink`, on a thread of their own, whatever `samsa.log` says; `None` takes it
    /// back.
    pub fn set_log_sink(&mut self, sink: Option<Arc<dyn Sink>>) {
        self.log_sink = sink;
    }

    /// The logger that `samsa.log`, `samsa.log.level` and the sink ask for.
    pub fn logger(&self) -> Result<Logger> {
        let level = Level::from_name(&self.get("samsa.log.level")?).unwrap_or(Level::Warn);
        Ok(match &self.log_sink {
            Some(sink) => Logger::new(level, Arc::clone(sink)),
            None if self.get("samsa.log")? == "stderr" => Logger::stderr(level),
            None => Logger::none(),
        })
    }

    /// What was set for all topics, by canonical name.
    pub(super) fn explicit(&self, name: &'static str) -> Option<&str> {
        self.values.get(&Key { topic: None, name }).map(|value| value.text.as_str())
    }

    /// What was set for one topic, by canonical name.
    pub(super) fn explicit_for_topic(&self, topic: &str, name: &'static str) -> Option<&str> {
        let key = Key { topic: Some(topic.to_owned()), name };
        self.values.get(&key).map(|value| value.text.as_str())
    }

    /// The topics that have properties of their own, each once.
    pub(super) fn topics(&self) -> impl Iterator<Item = &str> {
        let mut last = None;
        self.values.keys().filter_map(move |key| {
            let topic = key.topic.as_deref()?;
            (last.replace(topic) != Some(topic)).then_some(topic)
        })
    }
}

impl Value {
    /// Whether this cannot stand beside what another spelling said. `item`: only that one is said, to be
    /// there or not.
    fn contradicts(&self, text: &str, item: Option<(&'static str, bool)>) -> bool {
        let has = |list: &str, item| list.split(',').any(|one| one == item);
        match item {
            Some((item, there)) => !there && self.whole.as_deref().is_some_and(|it| has(it, item)),
            None if self.items.is_empty() => self.text != text,
            None => self.items.iter().any(|(item, there)| !there && has(text, item)),
        }
    }

    fn say(&mut self, text: String, item: Option<(&'static str, bool)>, kind: Kind) {
        match item {
            Some((item, there)) => {
                self.items.retain(|(other, _)| *other != item);
                self.items.push((item, there));
            }
            None => self.whole = Some(text),
        }
        self.settle(kind);
    }

    /// The text, from the whole and the items.
    fn settle(&mut self, kind: Kind) {
        let whole = self.whole.as_deref().unwrap_or_default();
        if self.items.is_empty() {
            self.text = whole.to_owned();
            return;
        }
        let taken = |name: &&str| !self.items.iter().any(|(item, there)| item == name && !there);
        let added = self.items.iter().filter(|(_, there)| *there).map(|(item, _)| *item);
        let list: Vec<&str> = whole.split(',').filter(taken).chain(added).collect();
        self.text = kind.canonical(&list.join(",")).unwrap_or_default();
    }
}

/// What a name stands for.
struct Resolved<'a> {
    property: &'static Property,
    alias: Option<&'static Alias>,
    topic: Option<&'a str>,
}

fn resolve(name: &str) -> Result<Resolved<'_>> {
    if let Some((property, alias)) = table::find(name) {
        return Ok(Resolved { property, alias, topic: None });
    }
    if let Some(rest) = name.strip_prefix("topic.") {
        return resolve_for_topic(name, rest);
    }
    Err(unknown(name, name, table::names()))
}

/// Topic names have dots in them: the property is the longest known name at the end.
fn resolve_for_topic<'a>(name: &'a str, rest: &'a str) -> Result<Resolved<'a>> {
    for (dot, _) in rest.match_indices('.').filter(|(dot, _)| *dot > 0) {
        let (topic, property_name) = (&rest[..dot], &rest[dot + 1..]);
        let Some((property, alias)) = table::find(property_name) else { continue };
        if !property.per_topic {
            return Err(Error::new(
                Code::INVALID_PROPERTY,
                format!(
                    "{name}: {} cannot differ from topic to topic; these can: {}",
                    property.name,
                    table::per_topic_names().collect::<Vec<_>>().join(", ")
                ),
            )
            .with_property(name));
        }
        return Ok(Resolved { property, alias, topic: Some(topic) });
    }
    let last = rest.split_once('.').map_or(rest, |(_, property)| property);
    Err(unknown(name, last, table::per_topic_names()))
}

fn unknown(name: &str, meant: &str, names: impl Iterator<Item = &'static str>) -> Error {
    let shown: String = name.chars().take(200).collect();
    let hint = nearest(meant, names).map_or_else(
        || "see docs/configuration.md for all names".to_owned(),
        |near| format!("did you mean {near}?"),
    );
    Error::new(Code::UNKNOWN_PROPERTY, format!("there is no property `{shown}`: {hint}"))
        .with_property(shown)
}

impl Resolved<'_> {
    /// The item that the name is about, if it is one of a list.
    fn item(&self) -> Option<&'static str> {
        match self.alias?.unit {
            Unit::Item(item) => Some(item),
            _ => None,
        }
    }

    /// `value`, converted from an alias's unit, in canonical form.
    fn value(&self, name: &str, value: &str) -> Result<String> {
        let row = self.property;
        let converted = match self.alias {
            Some(alias) => alias.convert(value.trim()),
            None => Some(value.to_owned()),
        };
        let canonical = converted.as_deref().and_then(|value| row.kind.canonical(value));
        canonical.ok_or_else(|| self.invalid(name, value))
    }

    fn invalid(&self, name: &str, value: &str) -> Error {
        let row = self.property;
        let shown: String = value.chars().take(200).collect();
        let message = match row.kind {
            Kind::Refused { accepts: &[], why } => format!("{name} is refused: {why}"),
            Kind::Refused { accepts, why } => {
                format!("{name}={shown} is refused: {why}; only {} is taken", accepts.join(" or "))
            }
            Kind::Addresses => match super::Address::parse_list(value) {
                Err(error) => return error.with_property(name),
                Ok(_) => format!("{name}=`{shown}` is invalid"),
            },
            Kind::Ensemble => match super::Ensemble::parse(value) {
                Err(error) => return error.with_property(name),
                Ok(_) => format!("{name}=`{shown}` is invalid"),
            },
            kind => {
                let default = if row.default.is_empty() { "none" } else { row.default };
                let (allowed, of) = match self.alias {
                    Some(alias) => (alias.allowed(row), format!(" (of {})", row.name)),
                    None => (kind.to_string(), String::new()),
                };
                format!(
                    "{name}=`{shown}` is invalid: {} expected, {allowed}; the default{of} is {default}",
                    kind.name()
                )
            }
        };
        Error::new(Code::INVALID_PROPERTY, message).with_property(name)
    }
}

#[cfg(test)]
mod tests;
