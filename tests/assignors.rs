//! The assignors against Java's, and against every possible division of small groups.

use std::collections::BTreeSet;

use samsa::group::assignor::{
    Member, Partition, Place, Shares, Topics, cooperative, range, round_robin, sticky,
};
use serde_json::Value;

/// A group, and what Kafka's classes made of it (`golden/GoldenAssignors.java`).
struct Golden {
    members: Vec<Member>,
    topics: Topics,
    json: Value,
}

impl Golden {
    fn all() -> Vec<Self> {
        let lines = include_str!("golden/assignors-4.3.1.txt").lines();
        lines.map(|line| Self::parse(serde_json::from_str(line).expect("JSON"))).collect()
    }

    fn parse(json: Value) -> Self {
        let partitions = |racks: &Value| {
            let racks = racks.as_array().expect("partitions").iter();
            racks.map(|racks| Partition { racks: texts(racks) }).collect::<Vec<_>>()
        };
        let topics = json["topics"].as_object().expect("topics").iter();
        let topics = topics.map(|(name, racks)| (name.clone(), partitions(racks))).collect();
        let member = |json: &Value| Member {
            id: text(&json["id"]).expect("an id"),
            instance: text(&json["instance"]),
            rack: text(&json["rack"]),
            topics: texts(&json["topics"]),
            owned: places(&json["owned"]),
            generation: json["generation"]
                .as_i64()
                .and_then(|n| n.try_into().ok())
                .expect("a number"),
        };
        let members = json["members"].as_array().expect("members").iter().map(member).collect();
        Self { members, topics: Topics(topics), json }
    }

    /// What Java made of it; none where its assignor failed.
    fn java(&self, assignor: &str) -> Option<Shares> {
        let shares = self.json[assignor].as_object()?.iter();
        Some(shares.map(|(member, share)| (member.clone(), places(share))).collect())
    }

    fn subscribes_alike(&self) -> bool {
        self.members.windows(2).all(|pair| pair[0].topics == pair[1].topics)
    }

    /// Whether members claim only what there is, and nobody what another one claims. Of other claims
    /// Java's sticky assignors give partitions that do not exist, or one to two members.
    fn claims_are_sound(&self) -> bool {
        let mut seen = BTreeSet::new();
        let exists = |(topic, number): &Place| {
            usize::try_from(*number).is_ok_and(|number| number < self.topics.0[topic].len())
        };
        let mut claims = self.members.iter().flat_map(|member| &member.owned);
        claims.all(|place| exists(place) && seen.insert(place))
    }
}

fn text(json: &Value) -> Option<String> {
    json.as_str().map(str::to_owned)
}

fn texts(json: &Value) -> BTreeSet<String> {
    json.as_array().expect("a list").iter().filter_map(text).collect()
}

fn places(json: &Value) -> Vec<Place> {
    let place = |json: &Value| {
        let number = json[1].as_i64().and_then(|number| number.try_into().ok());
        (text(&json[0]).expect("a topic"), number.expect("a number"))
    };
    json.as_array().expect("a list").iter().map(place).collect()
}

fn compare(name: &str, ours: fn(&[Member], &Topics) -> Shares, fits: fn(&Golden) -> bool) -> usize {
    let mut compared = 0;
    for (index, golden) in Golden::all().into_iter().enumerate().filter(|(_, g)| fits(g)) {
        let Some(java) = golden.java(name) else { continue };
        let mut ours = ours(&golden.members, &golden.topics);
        ours.values_mut().for_each(|share| share.sort());
        assert_eq!(ours, java, "{name}, group {index}");
        compared += 1;
    }
    compared
}

#[test]
fn range_gives_what_java_gives_racks_and_static_members_included() {
    assert_eq!(compare("range", range, |_| true), 150);
}

#[test]
fn roundrobin_gives_what_java_gives() {
    assert_eq!(compare("roundrobin", round_robin, |_| true), 150);
}

#[test]
fn sticky_gives_what_java_gives_to_members_that_subscribe_alike() {
    let sound = |golden: &Golden| golden.subscribes_alike() && golden.claims_are_sound();
    let (eager, incremental) =
        (compare("sticky", sticky, sound), compare("cooperative", cooperative, sound));
    assert!(eager > 50 && eager == incremental, "{eager} and {incremental} groups");
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// A small group: up to three topics of up to three partitions, two to four members, most of which
/// own something. If `disputed`, several may say so of one partition, and of some that there are not.
fn group(dice: &mut Dice, disputed: bool) -> (Vec<Member>, Topics) {
    let mut topics = Topics::default();
    for topic in 0..1 + dice.below(3) {
        let partitions = usize::try_from(1 + dice.below(3)).expect("small");
        topics.0.insert(format!("t{topic}"), vec![Partition::default(); partitions]);
    }
    let mut taken = BTreeSet::new();
    let members = 0..2 + dice.below(3);
    let members = members.map(|index| {
        let mut member = Member { id: format!("m{index}"), generation: 1, ..Member::default() };
        if disputed {
            member.generation = i32::try_from(dice.below(3)).expect("small");
        }
        for (topic, partitions) in &topics.0 {
            if dice.below(3) == 0 {
                continue;
            }
            member.topics.insert(topic.clone());
            let beyond = usize::from(disputed);
            for number in (0..).take(partitions.len() + beyond) {
                let place = (topic.clone(), number);
                if dice.below(2) == 0 && (taken.insert(place.clone()) || disputed) {
                    member.owned.push(place);
                }
            }
        }
        member
    });
    (members.collect(), topics)
}

/// Every partition that somebody subscribes, with the members that do.
fn wanted(members: &[Member], topics: &Topics) -> Vec<(Place, Vec<usize>)> {
    let mut wanted = Vec::new();
    for (topic, partitions) in &topics.0 {
        let readers = (0..members.len()).filter(|m| members[*m].topics.contains(topic));
        let readers: Vec<_> = readers.collect();
        if !readers.is_empty() {
            let all = (0..).take(partitions.len());
            wanted.extend(all.map(|number| ((topic.clone(), number), readers.clone())));
        }
    }
    wanted
}

/// Each partition once, and to somebody who subscribes it.
fn assert_sound(members: &[Member], topics: &Topics, shares: &Shares) {
    let mut given = BTreeSet::new();
    for member in members {
        for place in &shares[&member.id] {
            assert!(member.topics.contains(&place.0), "{place:?} for {}", member.id);
            assert!(given.insert(place.clone()), "{place:?} twice");
        }
    }
    let wanted: BTreeSet<_> = wanted(members, topics).into_iter().map(|(place, _)| place).collect();
    assert_eq!(given, wanted);
}

/// How uneven a division is (the sum of the squares), and how many partitions changed their owner.
fn price(members: &[Member], owners: &[(&Place, usize)]) -> (usize, usize) {
    let mut loads = vec![0_usize; members.len()];
    let mut moves = 0;
    for (place, owner) in owners {
        loads[*owner] += 1;
        let before = members.iter().position(|member| member.owned.contains(place));
        moves += usize::from(before.is_some_and(|before| before != *owner));
    }
    (loads.iter().map(|load| load * load).sum(), moves)
}

/// What these shares cost.
fn price_of(members: &[Member], topics: &Topics, shares: &Shares) -> (usize, usize) {
    let wanted = wanted(members, topics);
    let owner = |place| members.iter().position(|m| shares[&m.id].contains(place));
    let ours = wanted.iter().map(|(place, _)| (place, owner(place).expect("given")));
    price(members, &ours.collect::<Vec<_>>())
}

/// What the best of all divisions costs; none if there are too many to try them.
fn best_price(members: &[Member], topics: &Topics) -> Option<(usize, usize)> {
    let wanted = wanted(members, topics);
    let divisions: usize = wanted.iter().map(|(_, readers)| readers.len()).product();
    let all = (0..divisions).map(|mut code| {
        let choose = |(place, readers): &'_ (Place, Vec<usize>)| {
            let reader = readers[code % readers.len()];
            code /= readers.len();
            (place.clone(), reader)
        };
        let division: Vec<_> = wanted.iter().map(choose).collect();
        let division: Vec<_> = division.iter().map(|(place, owner)| (place, *owner)).collect();
        price(members, &division)
    });
    if divisions > 2_000 { None } else { all.min() }
}

#[test]
fn sticky_is_as_even_as_can_be_with_the_fewest_moves_in_ten_thousand_groups() {
    let mut dice = Dice(0x5eed_5a35);
    let mut compared = 0;
    while compared < 10_000 {
        let (members, topics) = group(&mut dice, false);
        let Some(best) = best_price(&members, &topics) else { continue };
        let shares = sticky(&members, &topics);
        assert_sound(&members, &topics, &shares);
        assert_eq!(price_of(&members, &topics, &shares), best, "{members:?} {topics:?}");
        compared += 1;
    }
}

#[test]
fn cooperative_takes_from_nobody_in_one_step_and_is_sticky_after_two() {
    let mut dice = Dice(0xc00_9e7a);
    for _ in 0..10_000 {
        let (mut members, topics) = group(&mut dice, false);
        let (begun, best) = (members.clone(), best_price(&members, &topics));
        let first = cooperative(&members, &topics);
        for member in &members {
            for place in &first[&member.id] {
                let other = members.iter().any(|m| m.id != member.id && m.owned.contains(place));
                assert!(!other, "{place:?} was not given up yet");
            }
        }
        // Members give up what they did not get, and come again.
        for member in &mut members {
            member.owned = first[&member.id].clone();
            member.generation += 1;
        }
        let second = cooperative(&members, &topics);
        assert_sound(&members, &topics, &second);
        if let Some(best) = best {
            let both = price_of(&begun, &topics, &second);
            assert_eq!(both, best, "as if in one step: {begun:?} {topics:?}");
        }
        for member in &mut members {
            member.owned = second[&member.id].clone();
        }
        let sorted = |mut shares: Shares| {
            shares.values_mut().for_each(|share| share.sort());
            shares
        };
        assert_eq!(
            sorted(cooperative(&members, &topics)),
            sorted(second),
            "nothing moves any more"
        );
    }
}

#[test]
fn rule_8_15_claims_that_contradict_one_another_give_nothing_to_two() {
    let mut dice = Dice(0xd15_9b7e);
    for _ in 0..10_000 {
        let (members, topics) = group(&mut dice, true);
        for assign in [sticky, range, round_robin] {
            assert_sound(&members, &topics, &assign(&members, &topics));
        }
        let shares = cooperative(&members, &topics);
        let given: Vec<_> = shares.values().flatten().collect();
        assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), given.len());
    }
}

#[test]
fn a_newer_claim_beats_an_older_one_and_equal_ones_beat_each_other() {
    let topics = Topics([("t".to_owned(), vec![Partition::default(); 3])].into());
    let place = |number| ("t".to_owned(), number);
    let member = |id: &str, generation, owned: &[i32]| Member {
        id: id.to_owned(),
        topics: ["t".to_owned()].into(),
        owned: owned.iter().map(|number| place(*number)).collect(),
        generation,
        ..Member::default()
    };
    // b missed a generation: what it claims is c's. All claim 1 at the same time as one other.
    let members = [member("a", 5, &[1]), member("b", 4, &[0, 2]), member("c", 5, &[0, 1])];
    let shares = sticky(&members, &topics);
    assert!(shares["c"].contains(&place(0)), "{shares:?}");
    assert!(shares["b"].contains(&place(2)), "{shares:?}");
    let careful = cooperative(&members, &topics);
    assert!(careful.values().all(|share| !share.contains(&place(1))), "disputed: {careful:?}");
}

#[test]
fn rule_8_23_groups_without_topics_partitions_or_members_end() {
    let none = Topics::default();
    let nobody: &[Member] = &[];
    let alone =
        [Member { id: "m".to_owned(), topics: ["t".to_owned()].into(), ..Member::default() }];
    for assign in [range, round_robin, sticky, cooperative] {
        assert!(assign(nobody, &none).is_empty());
        assert_eq!(assign(&alone, &none)["m"], []);
    }
}
