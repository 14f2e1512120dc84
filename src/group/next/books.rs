//! What a member is to own, what it owns, and the steps between: one reconciliation at a time.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::cluster::TopicId;
use crate::group::TopicPartition;

/// A partition as the coordinator names it.
pub(super) type Place = (TopicId, i32);

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// The application is to give these up.
    Revoke(u64, Vec<TopicPartition>),
    /// The application gets these.
    Assign(u64, Vec<TopicPartition>),
    /// The coordinator is to hear what is owned now.
    Acknowledge,
}

/// A step that the application has not done with.
#[derive(Clone, Debug)]
struct Told {
    step: u64,
    places: Vec<Place>,
    revokes: bool,
}

/// The way to one target. Newer targets wait for its end (rule 9.8).
#[derive(Clone, Debug)]
struct Round {
    number: u64,
    aim: BTreeSet<Place>,
    told: Option<Told>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// Names of topics in the target or still owned; they outlive the cluster's own memory (rule 9.9).
    names: HashMap<TopicId, Arc<str>>,
    /// What the application has. What is being given up is in it until it is done.
    owned: BTreeSet<Place>,
    target: BTreeSet<Place>,
    /// Counts targets as they come: one that goes back to the last is another one (rule 9.7).
    received: u64,
    /// The target that was reached, as far as its topics' names were known.
    reached: u64,
    round: Option<Round>,
    /// Whether the application was told of an assignment since it joined: the first one is told also if
    /// nothing is in it.
    greeted: bool,
    steps: u64,
}

impl Books {
    /// The coordinator's newest word.
    pub(super) fn receive(&mut self, target: BTreeSet<Place>) {
        self.target = target;
        self.received += 1;
    }

    /// What the application has.
    pub(super) fn owned(&self) -> &BTreeSet<Place> {
        &self.owned
    }

    /// Topics of the target whose names are not known: what is theirs waits (rule 9.9).
    pub(super) fn unresolved(&self) -> BTreeSet<TopicId> {
        let ids = self.target.iter().map(|(topic, _)| *topic);
        ids.filter(|topic| !self.names.contains_key(topic)).collect()
    }

    /// A topic's name.
    pub(super) fn learn(&mut self, topic: TopicId, name: Arc<str>) {
        self.names.insert(topic, name);
    }

    /// The next move, if it is not the application's turn; none when all is done.
    pub(super) fn advance(&mut self) -> Option<Move> {
        if self.round.is_none() {
            let missing =
                |place: &&Place| !self.owned.contains(*place) && self.names.contains_key(&place.0);
            if self.reached == self.received && !self.target.iter().any(|place| missing(&place)) {
                return None;
            }
            let aim = self.target.clone();
            self.round = Some(Round { number: self.received, aim, told: None });
        }
        let round = self.round.as_ref().filter(|round| round.told.is_none())?;
        // What goes, goes first.
        let revoked: Vec<Place> = self.owned.difference(&round.aim).copied().collect();
        if !revoked.is_empty() {
            let (step, list) = self.tell(revoked, true);
            return Some(Move::Revoke(step, list));
        }
        let added = round.aim.difference(&self.owned);
        let added: Vec<Place> =
            added.filter(|place| self.names.contains_key(&place.0)).copied().collect();
        if !added.is_empty() || (!self.greeted && round.aim.is_empty()) {
            self.greeted = true;
            let (step, list) = self.tell(added, false);
            return Some(Move::Assign(step, list));
        }
        self.reached = round.number;
        self.round = None;
        let (owned, target) = (&self.owned, &self.target);
        self.names.retain(|topic, _| owned.iter().chain(target).any(|place| place.0 == *topic));
        Some(Move::Acknowledge)
    }

    fn tell(&mut self, places: Vec<Place>, revokes: bool) -> (u64, Vec<TopicPartition>) {
        self.steps += 1;
        let list = self.named(&places);
        if let Some(round) = &mut self.round {
            round.told = Some(Told { step: self.steps, places, revokes });
        }
        (self.steps, list)
    }

    fn named<'a>(&self, places: impl IntoIterator<Item = &'a Place>) -> Vec<TopicPartition> {
        let named = |(topic, partition): &Place| {
            let topic = Arc::clone(self.names.get(topic)?);
            Some(TopicPartition { topic, partition: i64::from(*partition) })
        };
        places.into_iter().filter_map(named).collect()
    }

    /// The application has done with a step; gives what it gave up. Nothing for a step that a loss has
    /// made void.
    pub(super) fn done(&mut self, step: u64) -> Vec<TopicPartition> {
        let told = self.round.as_mut().and_then(|round| round.told.take_if(|t| t.step == step));
        let Some(told) = told else { return Vec::new() };
        if !told.revokes {
            self.owned.extend(told.places);
            return Vec::new();
        }
        self.owned.retain(|place| !told.places.contains(place));
        self.named(&told.places)
    }

    /// Everything is lost, also what is on its way (rules 9.2, 9.8); gives all that the application has
    /// or may have heard of.
    pub(super) fn lose(&mut self) -> Vec<TopicPartition> {
        let told = self.round.take().and_then(|round| round.told);
        let mut lost = std::mem::take(&mut self.owned);
        lost.extend(told.into_iter().flat_map(|told| told.places));
        let lost = self.named(&lost);
        self.target.clear();
        self.names.clear();
        self.greeted = false;
        self.reached = self.received;
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: TopicId = [1; 16];
    const U: TopicId = [2; 16];

    fn books(names: &[(TopicId, &str)]) -> Books {
        let mut books = Books::default();
        names.iter().for_each(|(topic, name)| books.learn(*topic, Arc::from(*name)));
        books
    }

    fn target(places: &[Place]) -> BTreeSet<Place> {
        places.iter().copied().collect()
    }

    fn list(places: &[(&str, i64)]) -> Vec<TopicPartition> {
        let place = |(topic, partition): &(&str, i64)| TopicPartition {
            topic: Arc::from(*topic),
            partition: *partition,
        };
        places.iter().map(place).collect()
    }

    /// Books that own these partitions of t.
    fn owning(partitions: &[i32]) -> Books {
        let mut books = books(&[(T, "t")]);
        let places: Vec<Place> = partitions.iter().map(|partition| (T, *partition)).collect();
        books.receive(target(&places));
        if let Some(Move::Assign(step, _)) = books.advance() {
            books.done(step);
        }
        assert_eq!((books.advance(), books.advance()), (Some(Move::Acknowledge), None));
        books
    }

    #[test]
    fn rule_9_5_a_partition_is_owned_until_its_revocation_is_done() {
        let mut books = owning(&[0, 1]);
        books.receive(target(&[(T, 0)]));
        assert_eq!(books.advance(), Some(Move::Revoke(2, list(&[("t", 1)]))));
        assert_eq!(books.owned(), &target(&[(T, 0), (T, 1)]));
        assert_eq!(books.advance(), None, "the application has not done with it");
        assert_eq!(books.done(2), list(&[("t", 1)]));
        assert_eq!(books.owned(), &target(&[(T, 0)]));
        assert_eq!((books.advance(), books.advance()), (Some(Move::Acknowledge), None));
    }

    #[test]
    fn rule_9_7_every_target_is_acknowledged_also_one_that_went_back() {
        let mut books = owning(&[0]);
        // To another and back, before anything was done.
        books.receive(target(&[(T, 0), (T, 1)]));
        books.receive(target(&[(T, 0)]));
        assert_eq!((books.advance(), books.advance()), (Some(Move::Acknowledge), None));
        books.receive(target(&[(T, 0)]));
        assert_eq!((books.advance(), books.advance()), (Some(Move::Acknowledge), None));
    }

    #[test]
    fn rule_9_8_what_goes_goes_first_and_newer_targets_wait() {
        let mut books = owning(&[0]);
        books.receive(target(&[(T, 1)]));
        assert_eq!(books.advance(), Some(Move::Revoke(2, list(&[("t", 0)]))));
        books.receive(target(&[(T, 2)]));
        assert_eq!(books.advance(), None, "one at a time");
        books.done(2);
        assert_eq!(books.advance(), Some(Move::Assign(3, list(&[("t", 1)]))), "the old target");
        assert_eq!(books.owned(), &target(&[]));
        books.done(3);
        assert_eq!(books.advance(), Some(Move::Acknowledge));
        assert_eq!(books.advance(), Some(Move::Revoke(4, list(&[("t", 1)]))), "then the new one");
    }

    #[test]
    fn rule_9_8_a_loss_makes_what_is_under_way_void() {
        let mut books = owning(&[0]);
        books.receive(target(&[(T, 0), (T, 1)]));
        assert_eq!(books.advance(), Some(Move::Assign(2, list(&[("t", 1)]))));
        assert_eq!(books.lose(), list(&[("t", 0), ("t", 1)]));
        assert_eq!(books.done(2), []);
        assert_eq!((books.advance(), books.owned().len()), (None, 0));
        assert_eq!(books.lose(), [], "nothing is lost twice");
    }

    #[test]
    fn rule_9_9_what_has_a_name_is_taken_and_acknowledged_and_the_rest_when_it_has_one() {
        let mut books = books(&[(T, "t")]);
        books.receive(target(&[(T, 0), (U, 0)]));
        assert_eq!(books.unresolved(), BTreeSet::from([U]));
        assert_eq!(books.advance(), Some(Move::Assign(1, list(&[("t", 0)]))));
        books.done(1);
        assert_eq!((books.advance(), books.advance()), (Some(Move::Acknowledge), None));
        books.learn(U, Arc::from("u"));
        assert_eq!(books.advance(), Some(Move::Assign(2, list(&[("u", 0)]))));
        books.done(2);
        assert_eq!((books.advance(), books.advance()), (Some(Move::Acknowledge), None));
    }

    #[test]
    fn rule_9_4_an_unknown_name_gives_nothing_up_and_an_empty_target_everything() {
        let mut books = owning(&[0]);
        books.receive(target(&[(T, 0), (U, 0)]));
        assert_eq!(books.advance(), Some(Move::Acknowledge), "what is not known waits");
        assert_eq!(books.owned(), &target(&[(T, 0)]));
        books.receive(target(&[]));
        assert_eq!(books.advance(), Some(Move::Revoke(2, list(&[("t", 0)]))));
        books.done(2);
        assert_eq!((books.advance(), books.advance()), (Some(Move::Acknowledge), None));
    }

    #[test]
    fn the_first_assignment_is_told_also_if_nothing_is_in_it() {
        let mut books = books(&[(T, "t")]);
        books.receive(target(&[]));
        assert_eq!(books.advance(), Some(Move::Assign(1, Vec::new())));
        books.done(1);
        assert_eq!((books.advance(), books.advance()), (Some(Move::Acknowledge), None));
        books.receive(target(&[]));
        assert_eq!((books.advance(), books.advance()), (Some(Move::Acknowledge), None));
    }

    #[test]
    fn rule_9_2_old_and_unresolved_partitions_are_forgotten_with_a_loss() {
        let mut books = owning(&[0]);
        books.receive(target(&[(U, 0)]));
        books.lose();
        assert!(books.unresolved().is_empty() && books.owned().is_empty());
        books.learn(U, Arc::from("u"));
        assert_eq!(books.advance(), None);
    }
}
