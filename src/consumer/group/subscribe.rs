//! Subscribing, and what an application asks of its membership.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::apply::Mode;
use crate::cluster::{Cluster, Topic};
use crate::config::Config;
use crate::consumer::front::Consumer;
use crate::consumer::partition::Phase;
use crate::consumer::state::State;
use crate::error::{Code, Error, Result};
use crate::group::Pattern;
use crate::group::{Identity, Subscription};

impl Consumer {
    /// Joins the group that `group.id` names, or changes what the member reads. An entry is the name of a
    /// topic; `^` and a regular expression, for all topics whose whole name matches; or `!` and one, for
    /// topics that no expression brings in (with nothing but these, every other topic is read). Only
    /// notes it: partitions come while the application polls.
    ///
    /// # Errors
    /// [`Code::INVALID_GROUP_ID`] without `group.id`; [`Code::INVALID_STATE`] when partitions were
    /// assigned by hand; [`Code::INVALID_ARGUMENT`] for a name that cannot be, or no entry;
    /// [`Code::INVALID_REGULAR_EXPRESSION`].
    pub fn subscribe(&self, topics: &[&str]) -> Result<()> {
        drop(self.open()?);
        let cluster = &self.core().cluster;
        let subscription = understand(topics, |name| cluster.check_name(name))?;
        let member = self.core().member()?;
        let named: Vec<_> =
            subscription.topics.iter().map(|name| cluster.topic(name)).collect::<Result<_>>()?;
        let telling = self.core().part.telling();
        let unsubscribing = {
            let mut state = self.open()?;
            if state.group.mode == Mode::Assigned {
                let text = "partitions were assigned by hand: assign nothing (NULL, 0) before \
                            subscribing";
                return Err(Error::new(Code::INVALID_STATE, text));
            }
            let names = topics.iter().map(|&name| Arc::from(name)).collect();
            state.group.mode = Mode::Subscribed(names);
            state.group.unsubscribing > 0
        };
        self.core().hold(named);
        // Else who ends the old one tells it, behind the end.
        if !unsubscribing {
            member.membership.subscribe(subscription);
        }
        drop(telling);
        self.core().part.kick();
        // What is known of the topics already may have to be told.
        self.core().kick.notify_one();
        Ok(())
    }

    /// What was subscribed to, in the application's words; empty without a subscription.
    pub fn subscription(&self) -> Result<Vec<Arc<str>>> {
        match &self.open()?.group.mode {
            Mode::Subscribed(names) => Ok(names.clone()),
            _ => Ok(Vec::new()),
        }
    }

    /// Who the consumer is in its group; none while it is no member.
    pub fn identity(&self) -> Result<Option<Identity>> {
        drop(self.open()?);
        Ok(self.core().part.made().and_then(|member| member.membership.identity()))
    }

    /// Asks for a rebalance of the group, where a member may (KIP-568). [`Code::INVALID_STATE`] without
    /// a subscription.
    pub fn enforce_rebalance(&self) -> Result<()> {
        if !self.open()?.group.is_subscribed() {
            return Err(not_subscribed());
        }
        if let Some(member) = self.core().part.made() {
            member.membership.rejoin("the application asked for it");
        }
        Ok(())
    }

    /// What the member says of itself, from its next join on, to the application's own assignor.
    /// [`Code::INVALID_STATE`] without one.
    pub fn set_user_data(&self, user_data: Option<Bytes>) -> Result<()> {
        drop(self.open()?);
        self.core().part.say(user_data)
    }

    /// Gives the application time: until `time` from now it need not poll.
    pub fn extend(&self, time: Duration) -> Result<()> {
        let until = Instant::now().checked_add(time);
        let until = until.ok_or_else(|| Error::bare(Code::INVALID_ARGUMENT))?;
        self.open()?.group.liveness.extend(until);
        self.core().part.kick();
        Ok(())
    }

    /// A consumer of `topic` in a group. Waits until the group has given it partitions and their start
    /// positions are known: what is published afterwards is read, by some member. If the application
    /// wants to hear of its partitions first (a callback, `samsa.events`), it waits until it can. A
    /// deadline that is due already only notes the subscription.
    ///
    /// # Errors
    /// As [`Consumer::subscribe`] and [`Consumer::wait_started`].
    pub fn subscribe_in_group(
        cluster: &Arc<Cluster>,
        topic: &Arc<Topic>,
        group: &str,
        callbacks: super::Callbacks,
        deadline: Option<Option<Instant>>,
    ) -> Result<Arc<Self>> {
        let mut overrides = Config::new();
        overrides.set("group.id", group)?;
        let consumer = Self::with_callbacks(cluster, Some(&overrides), callbacks)?;
        consumer.subscribe(&[topic.name()])?;
        let Some(deadline) = deadline else { return Ok(consumer) };
        consumer.wait_started(deadline).map(|()| consumer)
    }

    /// Waits until the group has given partitions and their start positions are known, or the application
    /// is to hear of them first. The cluster's wake-up ends it, for nobody may have the consumer yet.
    /// TIMED_OUT; the condition WOKEN; CLOSED; why a partition has no start.
    pub fn wait_started(&self, deadline: Option<Instant>) -> Result<()> {
        let started = self.core().signal.wait_to_start(deadline, || {
            let mut state = self.core().lock();
            let closed = state.check_open().err();
            if let Some(error) = closed.or_else(|| state.take_report()) {
                return Some(Err(error));
            }
            state.has_started().then_some(Ok(()))
        });
        started.unwrap_or_else(|error| match error.code() {
            Code::NOTHING => {
                let text = "the group has not given partitions with a start position in time";
                Err(Error::new(Code::TIMED_OUT, text))
            }
            _ => Err(error),
        })
    }
}

impl State {
    /// Whether the first assignment is there and every partition has a start, or the application is to
    /// hear of it first.
    fn has_started(&self) -> bool {
        if self.group.steps.has_task() || self.group.steps.has_event() {
            return true;
        }
        let mut assigned = self.partitions.iter().filter(|p| p.assigned);
        let searching = |phase| matches!(phase, Phase::Committed { .. } | Phase::Lookup { .. });
        self.group.assignments > 0 && !assigned.any(|p| searching(p.phase))
    }
}

/// The subscription that the application's words mean; `check` knows which names can be.
pub(super) fn understand(
    entries: &[&str],
    check: impl Fn(&str) -> Result<()>,
) -> Result<Subscription> {
    let mut meant = Subscription::default();
    let add = |list: &mut Vec<Arc<str>>, entry: &str| {
        if !list.iter().any(|other| **other == *entry) {
            list.push(Arc::from(entry));
        }
    };
    for &entry in entries {
        if let Some(pattern) = entry.strip_prefix('^') {
            Pattern::new(pattern)?;
            add(&mut meant.patterns, pattern);
        } else if let Some(except) = entry.strip_prefix('!') {
            let except = except.strip_prefix('^').unwrap_or(except);
            Pattern::new(except)?;
            add(&mut meant.except, except);
        } else {
            check(entry)?;
            add(&mut meant.topics, entry);
        }
    }
    if meant.is_empty() && !meant.except.is_empty() {
        meant.patterns.push(Arc::from(".*"));
    }
    if meant.is_empty() {
        let text = "no topic is named; samsa_consumer_unsubscribe ends a subscription";
        return Err(Error::new(Code::INVALID_ARGUMENT, text));
    }
    Ok(meant)
}

pub(super) fn not_subscribed() -> Error {
    Error::new(Code::INVALID_STATE, "the consumer is not subscribed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::check_name;

    fn texts(list: &[Arc<str>]) -> Vec<&str> {
        list.iter().map(|text| &**text).collect()
    }

    #[test]
    fn names_patterns_and_exceptions_are_told_apart_and_counted_once() {
        let meant = understand(&["a", "^b.*", "a", "!c", "!^d", "^b.*"], check_name).unwrap();
        assert_eq!(texts(&meant.topics), ["a"]);
        assert_eq!(texts(&meant.patterns), ["b.*"]);
        assert_eq!(texts(&meant.except), ["c", "d"]);
    }

    #[test]
    fn nothing_but_exceptions_means_every_other_topic() {
        let meant = understand(&["!internal-.*"], check_name).unwrap();
        assert_eq!(
            (texts(&meant.patterns), texts(&meant.except)),
            (vec![".*"], vec!["internal-.*"])
        );
    }

    #[test]
    fn what_cannot_be_subscribed_to_is_refused() {
        assert_eq!(understand(&[], check_name).unwrap_err().code(), Code::INVALID_ARGUMENT);
        assert_eq!(understand(&["a b"], check_name).unwrap_err().code(), Code::INVALID_ARGUMENT);
        for wrong in ["^(", "!("] {
            let code = understand(&[wrong], check_name).unwrap_err().code();
            assert_eq!(code, Code::INVALID_REGULAR_EXPRESSION);
        }
    }
}
