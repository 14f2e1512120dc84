//! A topic whose partitions are not known yet: who may wait does, who may not is told to come back.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::core::Core;
use super::send::Patience;
use super::topics::TopicQueues;
use crate::cluster::Topic;
use crate::error::{Code, Error, Result};
use crate::runtime::Completion;

/// The look-up that was begun for senders that do not wait. It outlives their call: a topic that does not
/// exist is known only after some time, and somebody has to hear of it then.
#[derive(Debug, Default)]
pub(super) enum LookUp {
    /// None, or its topic was found.
    #[default]
    Idle,
    UnderWay,
    /// It came to nothing at that time: the next sender is told, unless so much time has passed that it would
    /// be news of the past, and one more begins after that.
    Refused(Error, Instant),
}

impl Core {
    pub(super) fn wait_for_partitions(
        self: &Arc<Self>,
        queues: &Arc<TopicQueues>,
        patience: &mut Patience,
    ) -> Result<()> {
        if !patience.may_wait() {
            return self.ask_for_partitions(queues);
        }
        let topic = &queues.topic;
        loop {
            self.look_up(topic, patience.deadline())?;
            // Found, but this thread may have stood still so long that the topic went idle and was
            // let go: it is taken up again, and looked up again if it was forgotten.
            self.use_topic(queues);
            self.update(queues);
            if queues.partitions() > 0 {
                return Ok(());
            }
            if let Some(error) = refusal(queues) {
                return Err(error);
            }
        }
    }

    /// As above, without waiting: WOULD_BLOCK until it is known what becomes of it.
    fn ask_for_partitions(self: &Arc<Self>, queues: &Arc<TopicQueues>) -> Result<()> {
        // First the wish to be told, then the look-up: its answer finds the wish (13.3).
        self.ledger.budget.wish();
        let before = {
            let mut look_up = queues.look_up.lock().unwrap_or_else(PoisonError::into_inner);
            match &*look_up {
                LookUp::UnderWay => LookUp::UnderWay,
                LookUp::Refused(_, at) if at.elapsed() < self.config.max_block => {
                    std::mem::take(&mut *look_up)
                }
                LookUp::Refused(..) | LookUp::Idle => {
                    *look_up = LookUp::UnderWay;
                    LookUp::Idle
                }
            }
        };
        match before {
            LookUp::Refused(error, _) => return Err(error),
            LookUp::Idle => self.look_up_aside(Arc::clone(queues)),
            LookUp::UnderWay => {}
        }
        self.update(queues);
        match queues.partitions() {
            0 => match refusal(queues).filter(|error| !error.is_retriable()) {
                Some(error) => Err(error),
                None => Err(Error::bare(Code::WOULD_BLOCK)),
            },
            _ => Ok(()),
        }
    }

    /// Looks a topic up in the background, for as long as a sender that waits would.
    fn look_up_aside(self: &Arc<Self>, queues: Arc<TopicQueues>) {
        let (core, begun) = (Arc::clone(self), Instant::now());
        let deadline = begun + self.config.max_block;
        let look_up = async move {
            let found = core.find(&queues.topic, deadline).await;
            let next = match found {
                Ok(()) => LookUp::Idle,
                Err(error) if error.code().is_condition() => {
                    let error = core.cluster.no_metadata(&queues.topic, begun);
                    LookUp::Refused(error, Instant::now())
                }
                Err(error) => LookUp::Refused(error, Instant::now()),
            };
            *queues.look_up.lock().unwrap_or_else(PoisonError::into_inner) = next;
            core.ledger.budget.grant_wish();
        };
        let broken = Arc::clone(self);
        self.runtime.spawn("topic look-up", move |_| broken.signal.nudge(), look_up);
    }

    /// The topic's metadata, unless the producer ends before it comes.
    async fn find(&self, topic: &Arc<Topic>, deadline: Instant) -> Result<()> {
        tokio::select! {
            result = self.cluster.held_topic_metadata(topic, deadline) => result.map(drop),
            // Closed, or broken by a panic: the ledger knows which.
            () = self.ledger.keeper.ended() => {
                Err(self.ledger.check_open().err().unwrap_or_else(|| Error::bare(Code::CLOSED)))
            }
        }
    }

    /// Waits until the cluster answered for this topic: a look-up of its own, so that an older answer
    /// does not count (invariant 1.10), which a wake-up and a close can end.
    fn look_up(self: &Arc<Self>, topic: &Arc<Topic>, deadline: Instant) -> Result<()> {
        let begun = Instant::now();
        let (sender, answer) = Completion::new();
        let (core, wanted) = (Arc::clone(self), Arc::clone(topic));
        let broken = Arc::clone(self);
        let look_up = async move {
            sender.send(core.find(&wanted, deadline).await);
            core.signal.nudge();
        };
        self.runtime.spawn("topic look-up", move |_| broken.signal.nudge(), look_up);
        let waited = self.signal.wait_for_result(Some(deadline), || {
            answer.try_take().or_else(|| self.ledger.check_open().err().map(Err))
        });
        match waited {
            Ok(result) => result,
            Err(error) if error.code() == Code::NOTHING => {
                Err(self.cluster.no_metadata(topic, begun))
            }
            Err(error) => Err(error),
        }
    }
}

/// Why the brokers do not let the topic be used, as far as it is known.
fn refusal(queues: &TopicQueues) -> Option<Error> {
    queues.topic.metadata().and_then(|metadata| metadata.error.clone())
}

#[cold]
pub(super) fn unreachable_partition(topic: &TopicQueues) -> Error {
    let name = topic.topic.name();
    let text = format!("the partitions of topic {name} are not known");
    Error::new(Code::UNKNOWN_TOPIC_OR_PARTITION, text).with_topic(&**name)
}
