//! Which topics a member's names and pattern mean.

use std::collections::BTreeMap;

use regex_lite::Regex;

use super::Refused;
use super::member::Member;
use crate::error::Code;
use crate::protocol::modern::Uuid;

/// The topics that there are: id and number of partitions, by name.
#[derive(Clone, Debug, Default)]
pub(in crate::embedded) struct Catalogue(pub(in crate::embedded) BTreeMap<String, (Uuid, i32)>);

impl Catalogue {
    /// The topics that a member subscribes, as far as there are such, each once.
    pub(super) fn subscribed(&self, member: &Member) -> Vec<(Uuid, i32)> {
        if member.regex.is_empty() {
            return member.names.iter().filter_map(|name| self.0.get(name).copied()).collect();
        }
        let Ok(regex) = whole(&member.regex) else { return Vec::new() };
        let meant = |name: &String| member.names.contains(name) || regex.is_match(name);
        self.0.iter().filter(|(name, _)| meant(name)).map(|(_, topic)| *topic).collect()
    }
}

fn whole(regex: &str) -> Result<Regex, regex_lite::Error> {
    // By itself first, so that no parenthesis of the frame completes one of the text.
    Regex::new(regex)?;
    Regex::new(&format!(r"\A(?:{regex})\z"))
}

/// Whether the pattern is one. Empty is none at all.
pub(super) fn check(regex: &str) -> Result<(), Refused> {
    whole(regex).map(drop).map_err(|error| {
        let text = format!("SubscribedTopicRegex {regex:?} is not a valid pattern: {error}");
        (Code::INVALID_REGULAR_EXPRESSION, text)
    })
}
