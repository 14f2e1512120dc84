//! What is wanted of the metadata loop: topics by number, triggers, leader hints. Pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::schedule::{Scope, Urgency};
use super::{BrokerInfo, LeaderHint, Topic};

/// A topic that is kept fresh.
#[derive(Clone, Debug)]
struct Wish {
    topic: Arc<Topic>,
    /// An answer must be at least as new as this (invariant 1.10).
    number: u64,
    /// Since when the topic is wanted and was not there.
    since: Instant,
    /// Whether asking for it may create it: from an explicit wish until it was found once. A refresh
    /// never brings a deleted topic back.
    create: bool,
    /// Wanted for as long as the cluster lives; else only while somebody holds the topic.
    stays: bool,
    /// Whoever wants it would only know of it: it is never created for that, whatever the version.
    looks_only: bool,
}

/// All wishes; shared between the callers and the loop.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    number: u64,
    wanted: BTreeMap<usize, Wish>,
    /// How many producers use a topic now.
    holders: HashMap<usize, usize>,
    /// The topics whose wishes no question has covered yet.
    fresh: Vec<usize>,
    triggers: Vec<(Urgency, &'static str)>,
    hints: Vec<LeaderHint>,
    endpoints: Vec<BrokerInfo>,
    released: Vec<Arc<Topic>>,
}

/// What the loop takes at once.
#[derive(Debug, Default)]
pub(super) struct Mail {
    pub(super) triggers: Vec<(Urgency, &'static str)>,
    pub(super) hints: Vec<LeaderHint>,
    pub(super) endpoints: Vec<BrokerInfo>,
    /// Topics that nobody wants any more.
    pub(super) released: Vec<Arc<Topic>>,
}

/// What a question must ask for.
#[derive(Clone, Debug, Default)]
pub(super) struct Question {
    /// Its answer satisfies the wishes up to this one.
    pub(super) number: u64,
    /// Topics that shall be created by being asked for.
    pub(super) creatable: Vec<Arc<str>>,
    /// Topics that were found before: they need not be created, and may be if the version cannot say.
    pub(super) found: Vec<Arc<str>>,
    /// Topics that must not be created.
    pub(super) others: Vec<Arc<str>>,
}

impl Wishes {
    /// Wants this topic from now on; gives the number that an answer must reach, and since when it is
    /// wanted in vain. A first wish is served at once; repeating one that is still unfulfilled asks for
    /// a newer answer, as soon as the back-off allows.
    /// `stays`: for as long as the cluster lives; else until its last holder lets it go.
    pub(super) fn want(&mut self, topic: &Arc<Topic>, stays: bool, now: Instant) -> (u64, Instant) {
        let there = is_there(topic);
        let (urgency, since, stays) = match self.wanted.get_mut(&topic.index()) {
            Some(wish) => {
                wish.stays |= stays;
                if there {
                    return (wish.number, now);
                }
                (Urgency::Urgent, wish.since, wish.stays)
            }
            None => (Urgency::Wish, now, stays),
        };
        match urgency {
            Urgency::Wish => self.trigger(urgency, "a topic is wanted"),
            _ => self.trigger(urgency, "a topic is still missing"),
        }
        self.number += 1;
        let number = self.number;
        let create = topic.may_be_created() && !there;
        let topic = Arc::clone(topic);
        self.fresh.push(topic.index());
        let wish = Wish { topic, number, since, create, stays, looks_only: false };
        self.wanted.insert(wish.topic.index(), wish);
        (number, since)
    }

    /// Wants to know of this topic while somebody holds it, and never creates it. A wish that there is
    /// already stays as it is.
    pub(super) fn look(&mut self, topic: &Arc<Topic>, now: Instant) {
        if self.wanted.contains_key(&topic.index()) {
            return;
        }
        self.trigger(Urgency::Wish, "a topic is wanted");
        self.number += 1;
        self.fresh.push(topic.index());
        let wish = Wish {
            topic: Arc::clone(topic),
            number: self.number,
            since: now,
            create: false,
            stays: false,
            looks_only: true,
        };
        self.wanted.insert(topic.index(), wish);
    }

    /// The topic was found: should it get lost later, the time counts from then, and no refresh brings
    /// it back.
    pub(super) fn found(&mut self, index: usize, now: Instant) {
        if let Some(wish) = self.wanted.get_mut(&index) {
            wish.since = now;
            wish.create = false;
        }
    }

    /// Somebody uses the topic from now on. If it is known to be there it is kept fresh; if not, who
    /// holds it says next whether it wants it, or would only know of it: a topic that was deleted is not
    /// made again for being held.
    pub(super) fn hold(&mut self, topic: &Arc<Topic>, now: Instant) {
        *self.holders.entry(topic.index()).or_default() += 1;
        if is_there(topic) {
            self.want(topic, false, now);
        }
    }

    /// A producer does not use the topic any more: unless somebody else wants it, it is forgotten.
    pub(super) fn release(&mut self, topic: &Arc<Topic>) {
        let index = topic.index();
        let Some(holders) = self.holders.get_mut(&index) else { return };
        *holders -= 1;
        if *holders > 0 {
            return;
        }
        self.holders.remove(&index);
        if self.wanted.get(&index).is_some_and(|wish| !wish.stays) {
            self.wanted.remove(&index);
            self.released.push(Arc::clone(topic));
        }
    }

    /// Whether the topic is kept fresh.
    pub(super) fn is_wanted(&self, topic: &Topic) -> bool {
        self.wanted.contains_key(&topic.index())
    }

    /// The topic is no longer wanted.
    pub(super) fn forget(&mut self, index: usize) {
        self.wanted.remove(&index);
    }

    /// Leaves a trigger.
    pub(super) fn trigger(&mut self, urgency: Urgency, why: &'static str) {
        // Merged here already: a thousand failing partitions leave one note.
        if !self.triggers.contains(&(urgency, why)) {
            self.triggers.push((urgency, why));
        }
    }

    /// Leaves leader hints.
    pub(super) fn hint(&mut self, hints: &[LeaderHint], endpoints: &[BrokerInfo]) {
        self.hints.extend_from_slice(hints);
        self.endpoints.extend_from_slice(endpoints);
    }

    /// Takes what was left for the loop.
    pub(super) fn take_mail(&mut self) -> Mail {
        Mail {
            triggers: std::mem::take(&mut self.triggers),
            hints: std::mem::take(&mut self.hints),
            endpoints: std::mem::take(&mut self.endpoints),
            released: std::mem::take(&mut self.released),
        }
    }

    /// What to ask now: about every topic, or only those that nobody has asked about yet.
    pub(super) fn question(&mut self, scope: Scope) -> Question {
        let fresh = std::mem::take(&mut self.fresh);
        let mut question = Question { number: self.number, ..Question::default() };
        match scope {
            Scope::Everything => self.wanted.values().for_each(|wish| question.add(wish)),
            Scope::Wishes => {
                fresh
                    .iter()
                    .filter_map(|index| self.wanted.get(index))
                    .for_each(|wish| question.add(wish));
            }
        }
        question
    }
}

/// Whether the topic was there when it was asked for last.
fn is_there(topic: &Topic) -> bool {
    topic.metadata().is_some_and(|known| known.error.is_none() && !known.partitions.is_empty())
}

impl Question {
    fn add(&mut self, wish: &Wish) {
        let name = Arc::clone(wish.topic.name());
        match (wish.create, wish.topic.may_be_created() && !wish.looks_only) {
            (true, _) => self.creatable.push(name),
            (false, true) => self.found.push(name),
            (false, false) => self.others.push(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;
    use std::time::Duration;

    use super::super::TopicMetadata;
    use super::*;

    fn topic(index: usize, creation: bool) -> Arc<Topic> {
        Topic::new(Arc::from(format!("t{index}")), index, Weak::new(), creation)
    }

    #[test]
    fn rule_1_10_each_unfulfilled_wish_wants_a_newer_answer() {
        let now = Instant::now();
        let mut wishes = Wishes::default();
        let (a, b) = (topic(0, true), topic(1, true));
        let (first, _) = wishes.want(&a, true, now);
        let asked = wishes.question(Scope::Everything);
        let (second, _) = wishes.want(&b, true, now);
        assert!(asked.number >= first && asked.number < second, "the first question came before b");
        let later = now + Duration::from_secs(3);
        let (again, since) = wishes.want(&a, true, later);
        assert!(again > second && since == now, "the time in vain counts from the first wish");
    }

    #[test]
    fn rule_1_15_a_topic_that_is_only_looked_at_is_never_created() {
        let now = Instant::now();
        let mut wishes = Wishes::default();
        wishes.look(&topic(0, true), now);
        let question = wishes.question(Scope::Wishes);
        assert_eq!(question.others, [Arc::from("t0")], "picked out of all where naming creates");
        wishes.want(&topic(0, true), false, now);
        assert_eq!(
            wishes.question(Scope::Wishes).creatable,
            [Arc::from("t0")],
            "somebody else does"
        );
        wishes.look(&topic(0, true), now);
        assert_eq!(wishes.question(Scope::Everything).creatable, [Arc::from("t0")]);
    }

    #[test]
    fn rule_1_15_a_topic_that_was_deleted_is_not_made_again_for_being_watched() {
        let (now, topic) = (Instant::now(), topic(0, true));
        let mut wishes = Wishes::default();
        wishes.want(&topic, false, now);
        wishes.found(0, now);
        let mut gone = TopicMetadata::unknown(topic.name());
        gone.error =
            Some(crate::error::Error::bare(crate::error::Code::UNKNOWN_TOPIC_OR_PARTITION));
        topic.publish(Arc::new(gone));
        wishes.hold(&topic, now);
        wishes.look(&topic, now);
        assert!(wishes.question(Scope::Everything).creatable.is_empty());
    }

    #[test]
    fn only_a_first_wish_is_served_at_once() {
        let now = Instant::now();
        let mut wishes = Wishes::default();
        wishes.want(&topic(0, true), true, now);
        assert_eq!(wishes.take_mail().triggers, [(Urgency::Wish, "a topic is wanted")]);
        wishes.want(&topic(0, true), true, now);
        assert_eq!(wishes.take_mail().triggers, [(Urgency::Urgent, "a topic is still missing")]);
    }

    #[test]
    fn rule_1_15_topics_that_must_not_be_created_are_asked_for_apart() {
        let now = Instant::now();
        let mut wishes = Wishes::default();
        wishes.want(&topic(0, true), true, now);
        wishes.want(&topic(1, false), true, now);
        let question = wishes.question(Scope::Everything);
        assert_eq!(question.creatable, [Arc::from("t0")]);
        assert_eq!(question.others, [Arc::from("t1")]);
    }

    #[test]
    fn rule_1_15_a_topic_that_was_found_once_is_not_created_again_by_a_refresh() {
        let now = Instant::now();
        let mut wishes = Wishes::default();
        wishes.want(&topic(0, true), true, now);
        wishes.found(0, now);
        let question = wishes.question(Scope::Everything);
        assert!(question.creatable.is_empty());
        assert_eq!(question.found, [Arc::from("t0")]);
        wishes.want(&topic(0, true), true, now);
        assert_eq!(
            wishes.question(Scope::Everything).creatable.len(),
            1,
            "somebody wants it although it is gone"
        );
        wishes.forget(0);
        assert!(wishes.question(Scope::Everything).creatable.is_empty());
    }

    #[test]
    fn a_new_wish_is_asked_for_alone_and_a_refresh_asks_for_all() {
        let now = Instant::now();
        let mut wishes = Wishes::default();
        wishes.want(&topic(0, true), true, now);
        wishes.question(Scope::Everything);
        wishes.found(0, now);
        wishes.want(&topic(1, true), true, now);
        wishes.want(&topic(2, true), true, now);
        let question = wishes.question(Scope::Wishes);
        assert_eq!(question.creatable, [Arc::from("t1"), Arc::from("t2")]);
        assert!(question.found.is_empty() && question.number == wishes.number);
        let all = wishes.question(Scope::Everything);
        assert_eq!((all.creatable.len(), all.found.len()), (2, 1));
        assert!(wishes.question(Scope::Wishes).creatable.is_empty(), "each is new once");
    }

    #[test]
    fn a_topic_is_forgotten_when_its_last_holder_lets_it_go_unless_somebody_else_wants_it() {
        let now = Instant::now();
        let mut wishes = Wishes::default();
        let (held, shared) = (topic(0, true), topic(1, true));
        for topic in [&held, &shared] {
            wishes.hold(topic, now);
            wishes.hold(topic, now);
            wishes.want(topic, false, now);
        }
        wishes.want(&shared, true, now);
        for topic in [&held, &shared] {
            wishes.release(topic);
            assert!(wishes.is_wanted(topic), "another one holds it");
            wishes.release(topic);
        }
        assert!(!wishes.is_wanted(&held) && wishes.is_wanted(&shared));
        let released = wishes.take_mail().released;
        assert_eq!(released.iter().map(|topic| topic.index()).collect::<Vec<_>>(), [0]);
        wishes.release(&held);
        assert!(wishes.take_mail().released.is_empty(), "nobody holds it any more");
    }
}
