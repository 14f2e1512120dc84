//! What a member writes of its wishes into its node, and what others wrote: pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::filter::Filter;
use super::layout::Layout;
use crate::cluster::{check_legacy_name, check_name};
use crate::group::{Pattern, Subscription};

/// The most threads of one member that are believed: each of them takes part in the assignment, and costs
/// memory in every member for each topic.
const THREADS_MAX: u32 = 1_000;

/// What a member reads, as its node says.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    /// These topics, each with so many threads.
    Topics(BTreeMap<String, u32>),
    /// The topics that a filter brings in, each with so many threads.
    Filter(Filter, u32),
    /// It cannot be read. The member is there and may read any topic: it counts (rule 10.10).
    Unreadable,
}

impl Wish {
    /// Reads a member's node.
    pub(super) fn parse(layout: Layout, data: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(data) else { return Self::Unreadable };
        let wish = match (layout, text.trim().as_bytes()) {
            (Layout::PyKafka, _) => bare(layout, text),
            (Layout::Legacy, [b'{', ..]) => legacy(text),
            (Layout::Legacy, [mark @ (b'*' | b'!'), ..]) => legacy_filter(text.trim(), *mark),
            (Layout::Scala, [b'{', ..]) => scala(text),
            // samsa's members of a group of 0.7, and PyKafka's.
            _ => bare(layout, text),
        };
        wish.unwrap_or(Self::Unreadable)
    }

    /// How many threads of the member read this topic.
    pub(super) fn threads(&self, topic: &str, exclude_internal: bool) -> u32 {
        match self {
            Self::Topics(topics) => topics.get(topic).copied().unwrap_or(0),
            Self::Filter(filter, threads) if filter.allows(topic, exclude_internal) => *threads,
            Self::Filter(..) => 0,
            Self::Unreadable => 1,
        }
    }
}

/// A topic's name and nothing else.
fn bare(layout: Layout, text: &str) -> Option<Wish> {
    match layout {
        Layout::Legacy => check_legacy_name(text).ok()?,
        Layout::Scala | Layout::PyKafka => check_name(text).ok()?,
    }
    Some(Wish::Topics([(text.to_owned(), 1)].into()))
}

fn counts(value: &Value) -> Option<BTreeMap<String, u32>> {
    let threads = |value: &Value| {
        let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
        count.filter(|count| *count <= THREADS_MAX)
    };
    let entries = value.as_object()?.iter();
    entries.map(|(topic, count)| Some((topic.clone(), threads(count)?))).collect()
}

/// `{ "topic": threads }`.
fn legacy(text: &str) -> Option<Wish> {
    counts(&serde_json::from_str(text).ok()?).map(Wish::Topics)
}

/// `*threads*regex`, `!threads!regex`.
fn legacy_filter(text: &str, mark: u8) -> Option<Wish> {
    let (threads, regex) = text.get(1..)?.split_once(char::from(mark))?;
    let threads = threads.parse().ok().filter(|threads| *threads <= THREADS_MAX)?;
    Some(Wish::Filter(Filter::new(regex, mark == b'!')?, threads))
}

/// `{"version":1,"subscription":{…},"pattern":"static",…}`; the pattern came with 0.8.1.
fn scala(text: &str) -> Option<Wish> {
    let json: Value = serde_json::from_str(text).ok()?;
    let counts = counts(json.get("subscription")?)?;
    let is_black = match json.get("pattern").and_then(Value::as_str) {
        None | Some("static") => return Some(Wish::Topics(counts)),
        Some("white_list") => false,
        Some("black_list") => true,
        Some(_) => return None,
    };
    let (regex, threads) = counts.into_iter().next()?;
    Some(Wish::Filter(Filter::new(&regex, is_black)?, threads))
}

/// An expression that matches this name alone.
fn literal(name: &str) -> String {
    let mut expression = String::new();
    for c in name.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            expression.push('\\');
        }
        expression.push(c);
    }
    expression
}

/// What this member registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Registration {
    /// These topics.
    Topics(BTreeSet<Arc<str>>),
    /// What matches.
    White(String),
    /// What does not match.
    Black(String),
}

impl Registration {
    /// How a subscription is written. One that no filter of the Scala client can say (patterns with
    /// exceptions, or with a comma) is written as the topics that it stands for now, of `existing`.
    pub(super) fn of(
        wish: &Subscription,
        existing: &[Arc<str>],
        exclude_internal: bool,
    ) -> crate::error::Result<Self> {
        if wish.patterns.is_empty() {
            return Ok(Self::Topics(wish.topics.iter().cloned().collect()));
        }
        let all = |patterns: &[Arc<str>]| {
            patterns.iter().map(|text| Pattern::new(text)).collect::<crate::error::Result<Vec<_>>>()
        };
        let (patterns, except) = (all(&wish.patterns)?, all(&wish.except)?);
        if wish.except.is_empty() {
            let named = wish.topics.iter().map(|topic| literal(topic));
            let parts: Vec<String> =
                named.chain(wish.patterns.iter().map(|pattern| pattern.to_string())).collect();
            if parts.iter().all(|part| Filter::keeps(part)) {
                return Ok(Self::White(parts.join("|")));
            }
        }
        let everything = wish.topics.is_empty() && wish.patterns.iter().all(|text| **text == *".*");
        if everything && wish.except.iter().all(|part| Filter::keeps(part)) {
            return Ok(Self::Black(wish.except.join("|")));
        }
        let internal = Filter::new(".*", false);
        let brought = existing.iter().filter(|topic| {
            let open = internal.as_ref().is_none_or(|all| all.allows(topic, exclude_internal));
            open && patterns.iter().any(|pattern| pattern.matches(topic))
                && !except.iter().any(|pattern| pattern.matches(topic))
        });
        Ok(Self::Topics(brought.chain(&wish.topics).cloned().collect()))
    }

    /// The topics that it stands for, of `existing`.
    pub(super) fn topics(&self, existing: &[Arc<str>], exclude_internal: bool) -> Vec<Arc<str>> {
        let filter = match self {
            Self::Topics(topics) => return topics.iter().cloned().collect(),
            Self::White(regex) => Filter::new(regex, false),
            Self::Black(regex) => Filter::new(regex, true),
        };
        let Some(filter) = filter else { return Vec::new() };
        let allowed = existing.iter().filter(|topic| filter.allows(topic, exclude_internal));
        allowed.cloned().collect()
    }

    /// The data of the member's node. `timestamp` is in milliseconds.
    pub(super) fn data(&self, layout: Layout, timestamp: i64) -> String {
        // A name of Kafka 0.7 may hold what JSON does not take as it is.
        let text = |text: &str| Value::from(text).to_string();
        match layout {
            Layout::Legacy => match self {
                Self::Topics(topics) => {
                    let entries: Vec<String> =
                        topics.iter().map(|topic| format!("{}: 1", text(topic))).collect();
                    format!("{{ {} }}", entries.join(","))
                }
                Self::White(regex) => format!("*1*{regex}"),
                Self::Black(regex) => format!("!1!{regex}"),
            },
            Layout::Scala => {
                let (keys, pattern) = match self {
                    Self::Topics(topics) => {
                        (topics.iter().map(|topic| text(topic)).collect(), "static")
                    }
                    Self::White(regex) => (vec![text(regex)], "white_list"),
                    Self::Black(regex) => (vec![text(regex)], "black_list"),
                };
                let entries: Vec<String> =
                    keys.into_iter().map(|key: String| format!("{key}:1")).collect();
                let entries = entries.join(",");
                format!(
                    "{{\"version\":1,\"subscription\":{{{entries}}},\"pattern\":\"{pattern}\",\
                     \"timestamp\":\"{timestamp}\"}}"
                )
            }
            Layout::PyKafka => match self {
                Self::Topics(topics) => topics.first().map(ToString::to_string).unwrap_or_default(),
                Self::White(regex) | Self::Black(regex) => regex.clone(),
            },
        }
    }
}

#[cfg(test)]
#[path = "registration_tests.rs"]
mod tests;
