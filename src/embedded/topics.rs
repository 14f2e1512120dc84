//! The topics of a cluster, and who leads their partitions.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

use super::options::{Options, PARTITIONS_MAX, TopicSpec};
use super::partition::Partition;
use crate::error::{Code, Error, Result};
use crate::protocol::modern::Uuid;

/// The most partitions of all topics together: bounds what requests can make us allocate.
const CLUSTER_PARTITIONS_MAX: usize = 200_000;
const NAME_MAX: usize = 249;

/// What was decided when the topic was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) log_append_time: bool,
    pub(super) message_max_bytes: usize,
    pub(super) retention_bytes: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) id: Uuid,
    pub(super) settings: Settings,
    partitions: RwLock<Vec<Arc<Partition>>>,
}

impl Topic {
    pub(super) fn partition(&self, index: i32) -> Option<Arc<Partition>> {
        let partitions = self.partitions.read().unwrap_or_else(PoisonError::into_inner);
        partitions.get(usize::try_from(index).ok()?).cloned()
    }

    pub(super) fn partitions(&self) -> Vec<Arc<Partition>> {
        self.partitions.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Every topic, by name and by id.
#[derive(Debug, Default)]
pub(super) struct Topics {
    by_name: BTreeMap<String, Arc<Topic>>,
    by_id: HashMap<Uuid, Arc<Topic>>,
    made: u64,
    /// Partitions of all topics together.
    partitions: usize,
}

impl Topics {
    pub(super) fn named(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_name.get(name)
    }

    pub(super) fn identified(&self, id: Uuid) -> Option<&Arc<Topic>> {
        self.by_id.get(&id)
    }

    /// In order of their names.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_name.values()
    }

    /// Makes a topic; its leaders are spread over the brokers, each topic beginning at the next.
    pub(super) fn create(
        &mut self,
        spec: &TopicSpec,
        options: &Options,
        alive: &dyn Fn(i32) -> bool,
    ) -> Result<Arc<Topic>> {
        let replicas = check(spec, options)?;
        if self.by_name.contains_key(&spec.name) {
            return Err(Error::new(
                Code::TOPIC_ALREADY_EXISTS,
                format!("topic {} already exists", spec.name),
            )
            .with_topic(&spec.name));
        }
        let partitions = match spec.assignment.len() {
            0 => usize::try_from(spec.partitions).unwrap_or(0),
            assigned => assigned,
        };
        self.make_room(&spec.name, partitions)?;
        let first = self.made;
        self.made += 1;
        let topic = Arc::new(Topic {
            name: spec.name.clone(),
            id: fresh_id(self.made),
            settings: Settings {
                log_append_time: spec.log_append_time.unwrap_or(options.log_append_time),
                message_max_bytes: spec.message_max_bytes.unwrap_or(options.message_max_bytes),
                retention_bytes: spec.retention_bytes.or(options.retention_bytes),
            },
            partitions: RwLock::new(Vec::new()),
        });
        if spec.assignment.is_empty() {
            extend(&topic, spec.partitions, first, replicas, options.brokers, alive);
        } else {
            assign(&topic, &spec.assignment, alive);
        }
        self.by_name.insert(topic.name.clone(), Arc::clone(&topic));
        self.by_id.insert(topic.id, Arc::clone(&topic));
        Ok(topic)
    }

    /// Adds partitions up to `partitions` in all.
    pub(super) fn grow(
        &mut self,
        name: &str,
        partitions: i32,
        options: &Options,
        alive: &dyn Fn(i32) -> bool,
    ) -> Result<()> {
        let topic = self.named(name).cloned().ok_or_else(|| unknown(name))?;
        let now = topic.partitions();
        let (count, replicas) =
            (now.len(), now.first().map_or(1, |p| p.lock().replicas.len().max(1)));
        let more = usize::try_from(partitions).unwrap_or(0).saturating_sub(count);
        if more == 0 || partitions > PARTITIONS_MAX {
            return Err(Error::new(
                Code::INVALID_PARTITIONS,
                format!(
                    "topic {name} has {count} partitions: {partitions} must be more, and at most \
                     {PARTITIONS_MAX}"
                ),
            )
            .with_topic(name));
        }
        self.make_room(name, more)?;
        let first = now.first().and_then(|p| p.lock().replicas.first().copied()).unwrap_or(0);
        let first = u64::try_from(first).unwrap_or(0);
        extend(&topic, partitions, first, replicas, options.brokers, alive);
        Ok(())
    }

    /// Counts so many more partitions, if the cluster may have them.
    fn make_room(&mut self, name: &str, more: usize) -> Result<()> {
        let all = self.partitions.saturating_add(more);
        if all > CLUSTER_PARTITIONS_MAX {
            let why = format!(
                "with {more} partitions of topic {name} the embedded cluster would have {all}: at \
                 most {CLUSTER_PARTITIONS_MAX} in all topics together"
            );
            return Err(Error::new(Code::INVALID_PARTITIONS, why).with_topic(name));
        }
        self.partitions = all;
        Ok(())
    }

    /// Forgets a topic. Its partitions lose their leader, so that fetches waiting at them return.
    pub(super) fn delete(&mut self, name: &str) -> Result<Uuid> {
        let topic = self.by_name.remove(name).ok_or_else(|| unknown(name))?;
        self.by_id.remove(&topic.id);
        let partitions = topic.partitions();
        self.partitions = self.partitions.saturating_sub(partitions.len());
        for partition in partitions {
            partition.lock().move_leader(-1);
        }
        Ok(topic.id)
    }
}

pub(super) fn unknown(topic: &str) -> Error {
    Error::new(Code::UNKNOWN_TOPIC_OR_PARTITION, format!("there is no topic {topic}"))
        .with_topic(topic)
}

/// Checks a topic to be made and gives the number of replicas.
pub(super) fn check(spec: &TopicSpec, options: &Options) -> Result<usize> {
    let refuse = |code, why: String| Err(Error::new(code, why).with_topic(&spec.name));
    if !is_valid_name(&spec.name) {
        let why = format!(
            "{:?} is no topic name: 1 to {NAME_MAX} of a-z, A-Z, 0-9, '.', '_', '-', not . or ..",
            spec.name
        );
        return refuse(Code::INVALID_TOPIC_EXCEPTION, why);
    }
    if !spec.assignment.is_empty() {
        return check_assignment(spec, options);
    }
    if !(1..=PARTITIONS_MAX).contains(&spec.partitions) {
        let why = format!("{} partitions: give 1 to {PARTITIONS_MAX}", spec.partitions);
        return refuse(Code::INVALID_PARTITIONS, why);
    }
    let brokers = options.brokers.max(1);
    let Some(factor) = spec.replication_factor else {
        return Ok(usize::try_from(options.replication_factor).unwrap_or(1).clamp(1, brokers));
    };
    match usize::try_from(factor) {
        Ok(replicas) if (1..=brokers).contains(&replicas) => Ok(replicas),
        _ => refuse(
            Code::INVALID_REPLICATION_FACTOR,
            format!("{factor} replicas with {brokers} brokers"),
        ),
    }
}

fn check_assignment(spec: &TopicSpec, options: &Options) -> Result<usize> {
    let brokers = i32::try_from(options.brokers).unwrap_or(i32::MAX);
    let replicas = spec.assignment.first().map_or(0, Vec::len);
    let fits = |assigned: &Vec<i32>| {
        let distinct: BTreeSet<_> = assigned.iter().collect();
        assigned.len() == replicas
            && distinct.len() == replicas
            && assigned.iter().all(|id| (0..brokers).contains(id))
    };
    if replicas > 0 && spec.assignment.iter().all(fits) {
        return Ok(replicas);
    }
    let why = format!("{:?} with {brokers} brokers", spec.assignment);
    Err(Error::new(Code::INVALID_REPLICA_ASSIGNMENT, why).with_topic(&spec.name))
}

fn is_valid_name(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.len())
        && name != "."
        && name != ".."
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn extend(
    topic: &Topic,
    upto: i32,
    first: u64,
    replicas: usize,
    brokers: usize,
    alive: &dyn Fn(i32) -> bool,
) {
    let brokers = brokers.max(1) as u64;
    let mut partitions = topic.partitions.write().unwrap_or_else(PoisonError::into_inner);
    let have = i32::try_from(partitions.len()).unwrap_or(i32::MAX);
    for index in have..upto {
        let start = first + u64::try_from(index).unwrap_or(0);
        let replicas = (0..replicas as u64)
            .map(|r| i32::try_from((start + r) % brokers).unwrap_or(0))
            .collect();
        partitions.push(led(index, replicas, alive));
    }
}

fn assign(topic: &Topic, assignment: &[Vec<i32>], alive: &dyn Fn(i32) -> bool) {
    let mut partitions = topic.partitions.write().unwrap_or_else(PoisonError::into_inner);
    for (index, replicas) in (0..).zip(assignment) {
        partitions.push(led(index, replicas.clone(), alive));
    }
}

/// A partition led by the first of its replicas that lives.
fn led(index: i32, replicas: Vec<i32>, alive: &dyn Fn(i32) -> bool) -> Arc<Partition> {
    let leader = replicas.iter().copied().find(|&r| alive(r)).unwrap_or(-1);
    Arc::new(Partition::new(index, replicas, leader))
}

/// An id that no other topic of this or another cluster has; never all zero.
fn fresh_id(number: u64) -> Uuid {
    let mut id = [0; 16];
    let random = RandomState::new().hash_one(number);
    id[..8].copy_from_slice(&random.to_be_bytes());
    id[8..].copy_from_slice(&number.to_be_bytes());
    Uuid(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(topics: &mut Topics, name: &str, partitions: i32, brokers: usize) -> Arc<Topic> {
        let options = Options { brokers, ..Options::default() };
        topics.create(&TopicSpec::new(name, partitions), &options, &|_| true).unwrap()
    }

    #[test]
    fn leaders_are_spread_over_the_brokers() {
        let mut topics = Topics::default();
        let topic = create(&mut topics, "t", 4, 3);
        let leaders: Vec<_> = topic.partitions().iter().map(|p| p.lock().leader).collect();
        assert_eq!(leaders, [0, 1, 2, 0]);
        assert_eq!(topic.partition(1).unwrap().lock().replicas, [1, 2, 0]);
        let second = create(&mut topics, "u", 1, 3);
        assert_eq!(second.partition(0).unwrap().lock().leader, 1, "topics begin at the next");
        assert_ne!(topic.id, second.id);
    }

    #[test]
    fn an_assignment_is_followed() {
        let mut topics = Topics::default();
        let options = Options { brokers: 3, ..Options::default() };
        let assignment = vec![vec![2, 0], vec![1, 2]];
        let spec = TopicSpec { assignment, ..TopicSpec::new("t", -1) };
        let topic = topics.create(&spec, &options, &|b| b != 2).unwrap();
        let of = |p: i32| {
            let partition = topic.partition(p).unwrap();
            let state = partition.lock();
            (state.leader, state.replicas.clone())
        };
        assert_eq!((of(0), of(1)), ((0, vec![2, 0]), (1, vec![1, 2])));
    }

    #[test]
    fn what_cannot_be_made_is_refused_with_kafkas_codes() {
        let options = Options { brokers: 2, ..Options::default() };
        let code = |spec: &TopicSpec| check(spec, &options).unwrap_err().code();
        assert_eq!(code(&TopicSpec::new("a b", 1)), Code::INVALID_TOPIC_EXCEPTION);
        assert_eq!(code(&TopicSpec::new("..", 1)), Code::INVALID_TOPIC_EXCEPTION);
        assert_eq!(code(&TopicSpec::new("t", 0)), Code::INVALID_PARTITIONS);
        let three = TopicSpec { replication_factor: Some(3), ..TopicSpec::new("t", 1) };
        assert_eq!(code(&three), Code::INVALID_REPLICATION_FACTOR);
        let twice = TopicSpec { assignment: vec![vec![0, 0]], ..TopicSpec::new("t", 1) };
        assert_eq!(code(&twice), Code::INVALID_REPLICA_ASSIGNMENT);
    }

    #[test]
    fn a_deleted_topic_is_gone_by_name_and_by_id_and_comes_back_with_another() {
        let mut topics = Topics::default();
        let first = create(&mut topics, "t", 1, 1);
        let id = topics.delete("t").unwrap();
        assert!(topics.named("t").is_none() && topics.identified(id).is_none());
        assert_eq!(first.partition(0).unwrap().lock().leader, -1);
        assert_eq!(topics.delete("t").unwrap_err().code(), Code::UNKNOWN_TOPIC_OR_PARTITION);
        assert_ne!(create(&mut topics, "t", 1, 1).id, id);
    }

    #[test]
    fn a_topic_grows_and_never_shrinks() {
        let mut topics = Topics::default();
        let topic = create(&mut topics, "t", 2, 3);
        let options = Options { brokers: 3, ..Options::default() };
        topics.grow("t", 4, &options, &|_| true).unwrap();
        assert_eq!(topic.partition(3).unwrap().lock().leader, 0);
        assert!(topics.grow("t", 4, &options, &|_| true).is_err());
    }
}
