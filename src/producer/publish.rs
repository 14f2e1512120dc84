//! Publishing: records that the caller waits for. The same path with a batch of its own and a private
//! completion, so that the batch can be withdrawn as long as it was not sent.

use std::sync::Arc;
use std::time::Instant;

use super::Producer;
use super::accumulator::{Builder, LARGEST_OVERHEAD, Queue, Reserved, Withdrawn, largest_record};
use super::core::Core;
use super::look_up::unreachable_partition;
use super::record::Record;
use super::send::{Now, Patience, Seals};
use super::sender;
use super::topics::TopicQueues;
use crate::cluster::Cluster;
use crate::config::{DeliveryReport, ProducerConfig};
use crate::error::{Code, Error, Persistence, Result};
use crate::runtime::Completion;

impl Producer {
    /// The producer behind a cluster's `publish` calls: outcomes go to the callers alone.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn publisher(cluster: &Arc<Cluster>) -> Result<Arc<Self>> {
        let mut config = ProducerConfig::with_overrides(cluster.config(), None)?;
        config.delivery_report = DeliveryReport::None;
        config.delivery_keep = false;
        let partitioner = cluster.config().attached();
        Self::with(cluster, config, partitioner, Some(Arc::clone(cluster.signal())))
    }

    /// Publishes records to one partition, in order, as one batch, and waits for the outcome: the
    /// partition, and the first record's offset (−1 if it is not known: acks=0).
    ///
    /// The first record's partition, else its key, chooses; the others must name the same partition or
    /// none, and the same topic. `deadline`: none is `delivery.timeout.ms`.
    ///
    /// # Errors
    /// As [`send`](Self::send); besides, the broker's. TIMED_OUT at the deadline, and WOKEN: records
    /// that were not sent yet are withdrawn then, others are "possibly persisted", which
    /// [`Error::persistence`] tells.
    pub fn publish(&self, records: &[Record<'_>], deadline: Option<Instant>) -> Result<(i64, i64)> {
        let core = &self.core;
        core.era.check()?;
        core.ledger.check_open()?;
        let Some(first) = records.first() else {
            return Err(Error::new(Code::INVALID_ARGUMENT, "there is no record to publish"));
        };
        let size = core.validate_list(first, records)?;
        let mut patience = Patience::until(deadline, core.config.max_block);
        let topic = core.queues_of(first.topic, &mut patience)?;
        if topic.is_legacy() {
            records.iter().try_for_each(|record| core.check_legacy(record))?;
        }
        let queue = choose(topic, records)?;
        let may = queue.may_hold_more(size);
        let room = match may.then(|| core.ledger.budget.try_reserve(size)).flatten() {
            Some(room) => room,
            None => core.wait_for_room(queue, size, &mut patience)?,
        };
        let builder = fill(queue, records, size)?;
        core.await_batch(queue, builder, room, deadline)
    }
}

/// The partition for a publish. Without a key it goes where nothing waits if it can: a batch of one
/// caller fills no batch, so that stickiness would only make publishers wait for each other.
fn choose<'a>(topic: &'a TopicQueues, records: &[Record<'_>]) -> Result<&'a Arc<Queue>> {
    let Some(first) = records.first() else { return Err(unreachable_partition(topic)) };
    let (mut partition, sticky) = topic.choose(first, topic.partitions())?;
    if sticky && topic.queue(partition).is_some_and(|queue| queue.is_busy()) {
        topic.move_on(partition);
        (partition, _) = topic.choose(first, topic.partitions())?;
    }
    let queue = topic.queue(partition).ok_or_else(|| unreachable_partition(topic))?;
    if records.iter().any(|record| record.partition.is_some_and(|named| named != queue.number())) {
        return Err(disagreement(first, "name different partitions"));
    }
    Ok(queue)
}

fn fill(queue: &Queue, records: &[Record<'_>], size: usize) -> Result<Builder> {
    let mut builder = queue.publish_builder(size)?;
    let mut now = Now::default();
    for record in records {
        let timestamp = now.or(record.timestamp);
        let appended = builder.append(&record.to_new(timestamp));
        appended.map_err(|error| queue.blame(error))?;
    }
    Ok(builder)
}

impl Core {
    /// Checks a list and gives an upper bound of what it takes in a batch.
    fn validate_list(&self, first: &Record<'_>, records: &[Record<'_>]) -> Result<usize> {
        let mut size = LARGEST_OVERHEAD;
        for record in records {
            self.validate(record)?;
            size = size.saturating_add(largest_record(record));
            if !Arc::ptr_eq(record.topic, first.topic) {
                return Err(disagreement(first, "name different topics"));
            }
        }
        let limit = self.config.max_request_size.min(self.config.buffer_memory);
        if size > limit {
            let text = format!(
                "{} records take up to {size} bytes together, above max.request.size or \
                 buffer.memory ({limit}): publish them in several lists",
                records.len()
            );
            let error = Error::new(Code::RECORD_TOO_LARGE, text);
            return Err(error.with_topic(&**first.topic.name()).with_property("max.request.size"));
        }
        Ok(size)
    }

    fn await_batch(
        self: &Arc<Self>,
        queue: &Arc<Queue>,
        builder: Builder,
        room: Reserved,
        deadline: Option<Instant>,
    ) -> Result<(i64, i64)> {
        let (sender, answer) = Completion::new();
        let mut seals = Seals::default();
        let batch = queue.publish(builder, room, sender, seals.list())?;
        // The caller waits for it: its own thread writes it, if that can be done at once.
        if let Some(duty) = seals.run_owing() {
            sender::send_now(self, duty);
        }
        match answer.wait(deadline, Some(&self.signal)) {
            Ok(outcome) => Ok(outcome),
            Err(error) if gave_up(&error) => match self.withdraw(queue, batch) {
                Withdrawn::TooLate => match answer.try_take() {
                    Some(result) => result,
                    None => Err(queue.name(error)),
                },
                Withdrawn::Unsent => Err(queue.because(unsent(error))),
                Withdrawn::Sent => {
                    let error = queue.because(unacknowledged(&error));
                    Err(error.with_persistence(Persistence::PossiblyPersisted))
                }
            },
            Err(error) => Err(error),
        }
    }
}

/// The error of a publish that was withdrawn in time; a wake-up stays the condition that it is.
fn unsent(error: Error) -> Error {
    match error.code() {
        Code::TIMED_OUT => {
            let text = "publish ran out of time: withdrawn before it was sent";
            Error::new(Code::TIMED_OUT, text)
        }
        _ => error,
    }
}

/// The error of a publish that was sent. Never a condition, which could not say what may have become of it.
fn unacknowledged(error: &Error) -> Error {
    let text = match error.code() {
        Code::WOKEN => "publish was woken: sent, but not acknowledged yet",
        _ => "publish ran out of time: sent, but not acknowledged in time",
    };
    Error::new(Code::TIMED_OUT, text)
}

/// The wait ended, not the batch.
fn gave_up(error: &Error) -> bool {
    matches!(error.code(), Code::TIMED_OUT | Code::WOKEN) && error.topic().is_none()
}

fn disagreement(first: &Record<'_>, what: &str) -> Error {
    let text = format!("the records of a list {what}: a list goes to one partition, in order");
    Error::new(Code::INVALID_ARGUMENT, text).with_topic(&**first.topic.name())
}
