//! Asking brokers for offsets: where partitions start, watermarks, offsets for times.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::core::Core;
use super::name::Name;
use super::partition::Phase;
use super::position::{EARLIEST, LATEST, Position};
use super::reset::Lookup;
use super::state::Slot;
use crate::cluster::{Cluster, Topic};
use crate::config::{ConsumerConfig, IsolationLevel};
use crate::error::{Code, Error, Result};
use crate::runtime::{Completion, Task, far};

/// One partition of a look-up for starts.
struct Search {
    slot: Slot,
    topic: Arc<Topic>,
    number: i64,
    wanted: Lookup,
    first: Option<i64>,
    outcome: Option<Result<i64>>,
}

/// Looks up where these partitions start; a panic poisons the consumer.
pub(super) fn start(core: &Arc<Core>, slots: Vec<Slot>) -> Task {
    let (shared, core) = (Arc::clone(core), Arc::clone(core));
    core.cluster.runtime().spawn("offsets", move |error| shared.fail(error), run(core, slots))
}

async fn run(core: Arc<Core>, slots: Vec<Slot>) {
    let mut searches = searches(&core, &slots);
    ask(&core, &mut searches, false).await;
    ask(&core, &mut searches, true).await;
    apply(&core, searches);
}

fn searches(core: &Core, slots: &[Slot]) -> Vec<Search> {
    let now = wall_clock();
    let mut state = core.lock();
    let search = |&slot: &Slot| {
        let partition = state.current(slot)?;
        let Phase::Lookup { wanted, .. } = partition.phase else { return None };
        let (topic, number) = (Arc::clone(&partition.topic), partition.number);
        let wanted = wanted.at(now);
        Some(Search { slot, topic, number, wanted, first: None, outcome: None })
    };
    slots.iter().filter_map(search).collect()
}

/// Milliseconds since 1970.
pub(super) fn wall_clock() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// One round of questions. The two of one partition go one after the other: a ListOffsets request
/// may name a partition once.
async fn ask(core: &Core, searches: &mut [Search], second: bool) {
    let mut questions = Vec::new();
    let mut asking = Vec::new();
    for search in searches.iter_mut().filter(|s| s.outcome.is_none()) {
        let (first, then) = search.wanted.questions();
        if let Some(when) = if second { then } else { Some(first) } {
            questions.push((Arc::clone(&search.topic), search.number, when));
            asking.push(search);
        }
    }
    if questions.is_empty() {
        return;
    }
    let deadline = Instant::now() + core.config.request_timeout;
    let answers =
        core.cluster.look_up_offsets(&questions, core.config.isolation_level, deadline).await;
    for (search, answer) in asking.into_iter().zip(answers) {
        let answer = answer.map(|found| (found.offset >= 0).then_some(found.offset));
        search.answered(second, answer);
    }
}

impl Search {
    fn answered(&mut self, second: bool, answer: Result<Option<i64>>) {
        let needs_more = !second && self.wanted.questions().1.is_some();
        match (answer, second) {
            (Err(error), _) => self.outcome = Some(Err(error)),
            (Ok(None), false) => {
                let text = "the broker named no offset for the start or end of the partition";
                self.outcome = Some(Err(Error::new(Code::PROTOCOL, text)));
            }
            (Ok(Some(offset)), false) => {
                self.first = Some(offset);
                if !needs_more {
                    self.outcome = Some(Ok(self.wanted.settle(offset, None)));
                }
            }
            (Ok(found), true) => {
                self.outcome = self.first.map(|first| Ok(self.wanted.settle(first, found)));
            }
        }
    }
}

/// An answer counts only if its partition still waits for this very look-up (7.4): its era did not
/// change. A failed question is asked again and never becomes a reset (7.1).
fn apply(core: &Core, searches: Vec<Search>) {
    let now = Instant::now();
    let mut state = core.lock();
    for search in searches {
        let Some(partition) = state.current(search.slot) else { continue };
        let Phase::Lookup { asked, .. } = &mut partition.phase else { continue };
        *asked = false;
        match search.outcome {
            Some(Ok(offset)) => partition.found(offset),
            Some(Err(error)) => {
                core.config.back_off(&mut partition.retry, now);
                if !error.is_retriable() && partition.tell_once(error.code(), -1) {
                    state.report(search.slot, error);
                }
            }
            None => core.config.back_off(&mut partition.retry, now),
        }
    }
    let news = state.has_news();
    state.wake_fetchers();
    // Where a partition stands can be committed now.
    state.ring();
    drop(state);
    core.kick.notify_one();
    match news {
        true => core.signal.notify(),
        // Who subscribed may wait for the start.
        false => core.signal.nudge(),
    }
}

impl Core {
    /// Asks for the offsets of many partitions at once and waits; each answer or error in its place.
    fn query(
        self: &Arc<Self>,
        questions: Vec<Question>,
        deadline: Option<Instant>,
    ) -> Result<Vec<Result<i64>>> {
        let limit = deadline.unwrap_or_else(far);
        let isolation = self.config.isolation_level;
        let shared = Arc::clone(self);
        let on_panic = move |error| shared.fail(error);
        let (answer, task) = list_offsets(&self.cluster, isolation, questions, limit, on_panic);
        self.await_task(task, &answer, deadline.map(last_word))
    }

    /// The offsets of the first records not older than each position's timestamp, in the order
    /// asked.
    pub(super) fn offsets_for_times(
        self: &Arc<Self>,
        positions: &[Position],
        deadline: Option<Instant>,
    ) -> Result<Vec<Position>> {
        let mut questions = Vec::with_capacity(positions.len());
        for position in positions {
            let topic = self.cluster.topic(position.topic.as_str())?;
            questions.push((topic, position.partition, position.timestamp.unwrap_or_default()));
        }
        let answers = self.query(questions, deadline)?;
        let place = |(position, answer): (&Position, Result<i64>)| {
            let mut found = position.clone();
            found.error = None;
            match answer {
                // Nothing that late: no offset, and not the end (7.6).
                Ok(offset) => found.offset = (offset >= 0).then_some(offset),
                Err(error) => found.error = Some(error),
            }
            found
        };
        Ok(positions.iter().zip(answers).map(place).collect())
    }

    /// First and end offset of a partition, asked of its leader.
    pub(super) fn ask_watermarks(
        self: &Arc<Self>,
        topic: &Arc<Topic>,
        number: i64,
        deadline: Option<Instant>,
    ) -> Result<(i64, i64)> {
        let one = |when| -> Result<i64> {
            let answers = self.query(vec![(Arc::clone(topic), number, when)], deadline)?;
            answers.into_iter().next().unwrap_or_else(|| Err(Error::bare(Code::ABANDONED)))
        };
        Ok((one(EARLIEST)?, one(LATEST)?))
    }
}

/// The offsets of every partition of a topic: [`EARLIEST`], [`LATEST`], or of the first record not
/// older than `when` (ms); no offset where there is none that late. Waits for the topic's metadata
/// if need be; `deadline` None = no limit. An error of one partition stands in its place.
pub fn topic_offsets(
    cluster: &Arc<Cluster>,
    topic: &Arc<Topic>,
    when: i64,
    deadline: Option<Instant>,
) -> Result<Vec<Position>> {
    let name = Name::new(topic.name())?;
    if when < EARLIEST {
        let text = format!("{when} is neither a time, nor EARLIEST (-2) or LATEST (-1)");
        return Err(Error::new(Code::INVALID_ARGUMENT, text).with_topic(name.as_str()));
    }
    let metadata = cluster.wait_topic(topic, deadline)?;
    let numbers: Vec<i64> = metadata.numbers().collect();
    let questions = numbers.iter().map(|number| (Arc::clone(topic), *number, when)).collect();
    let config = ConsumerConfig::from(cluster.config())?;
    let limit = deadline.unwrap_or_else(far);
    let (answer, task) = list_offsets(cluster, config.isolation_level, questions, limit, |_| {});
    let found = answer.wait(deadline.map(last_word), Some(cluster.signal()));
    // Nobody waits for the answer any more: it would ask for ever.
    let found = found.inspect_err(|_| task.abort())?;
    let place = |(number, answer): (i64, Result<i64>)| {
        let mut position = Position::new(name.clone(), number);
        position.timestamp = (when >= 0).then_some(when);
        match answer {
            Ok(offset) => position.offset = (offset >= 0).then_some(offset),
            Err(error) => position.error = Some(error),
        }
        position
    };
    Ok(numbers.into_iter().zip(found).map(place).collect())
}

/// A look-up ends at its deadline and then says of each partition what held it up: who waits for it
/// gives it a moment for that, instead of a bare time-out.
fn last_word(deadline: Instant) -> Instant {
    deadline + Duration::from_millis(250)
}

type Question = (Arc<Topic>, i64, i64);

/// Asks in the background: the answers in the order of the questions, −1 where there is none.
fn list_offsets(
    cluster: &Arc<Cluster>,
    isolation: IsolationLevel,
    questions: Vec<Question>,
    limit: Instant,
    on_panic: impl FnOnce(Error) + Send + 'static,
) -> (Completion<Vec<Result<i64>>>, Task) {
    let (sender, answer) = Completion::new();
    let shared = Arc::clone(cluster);
    let ask = async move {
        let mut answers = Vec::new();
        for wave in waves(&questions) {
            let asked: Vec<Question> = wave.iter().map(|&at| questions[at].clone()).collect();
            let found = shared.list_offsets(&asked, isolation, limit).await;
            answers.extend(wave.into_iter().zip(found.into_iter().map(|f| f.map(|f| f.offset))));
        }
        answers.sort_by_key(|&(at, _)| at);
        sender.send(Ok(answers.into_iter().map(|(_, answer)| answer).collect()));
    };
    (answer, cluster.runtime().spawn("offsets", on_panic, ask))
}

/// Which questions go together: a ListOffsets request may name a partition once.
fn waves(questions: &[Question]) -> Vec<Vec<usize>> {
    let mut waves: Vec<Vec<usize>> = Vec::new();
    let mut asked = HashMap::new();
    for (at, (topic, number, _)) in questions.iter().enumerate() {
        let times = asked.entry((topic.index(), *number)).or_insert(0);
        if waves.len() == *times {
            waves.push(Vec::new());
        }
        waves[*times].push(at);
        *times += 1;
    }
    waves
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::*;

    #[test]
    fn a_partition_that_is_asked_twice_is_asked_one_after_the_other() {
        let topic = Topic::new("t".into(), 0, Weak::new(), false);
        let question = |&number: &i64| (Arc::clone(&topic), number, 5);
        let questions: Vec<_> = [0, 1, 0, 2, 0, 1].iter().map(question).collect();
        assert_eq!(waves(&questions), [vec![0, 1, 3], vec![2, 5], vec![4]]);
    }
}
