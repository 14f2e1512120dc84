//! Waiting for `buffer.memory`: for room at all, or for the part of it that partitions may have which
//! nobody serves.

use super::accumulator::{Queue, Reserved};
use super::core::Core;
use super::send::Patience;
use crate::error::{Code, Error, Result};

impl Core {
    /// Waits for memory for a partition's batch, first come first served.
    ///
    /// While nobody serves the partition, and it and others of its kind hold what they may together, the
    /// caller stands aside: in the line it would hold up those whose records can leave. If no partition is
    /// served there is nobody to hold up, and they may have it all.
    #[cold]
    pub(super) fn wait_for_room(
        &self,
        queue: &Queue,
        bytes: usize,
        patience: &mut Patience,
    ) -> Result<Reserved> {
        patience.spare_a_callback(self);
        let budget = &self.ledger.budget;
        if budget.only_reading_helps(bytes) {
            return Err(self.unread());
        }
        if !patience.may_wait() {
            return self.room_now(queue, bytes);
        }
        let _aside = budget.stranded().wait();
        let mut turn = None;
        let deadline = patience.deadline();
        let waited = self.signal.wait_for_result(Some(deadline), || {
            if let Err(error) = self.ledger.check_open() {
                return Some(Err(error));
            }
            if !self.may_hold(queue, bytes) {
                turn = None; // whoever is next in the line takes it
                return None;
            }
            let turn = turn.get_or_insert_with(|| {
                let turn = budget.enter_line();
                self.hurry();
                turn
            });
            match turn.try_reserve(bytes) {
                Some(room) => Some(Ok(room)),
                None => budget.only_reading_helps(bytes).then(|| Err(self.unread())),
            }
        });
        match waited {
            Ok(result) => result,
            Err(error) if error.code() == Code::NOTHING && turn.is_none() => {
                Err(self.cut_off(queue, Code::BUFFER_FULL))
            }
            Err(error) if error.code() == Code::NOTHING => Err(self.full(bytes)),
            Err(error) => Err(error),
        }
    }

    fn room_now(&self, queue: &Queue, bytes: usize) -> Result<Reserved> {
        let budget = &self.ledger.budget;
        if !self.may_hold(queue, bytes) {
            budget.stranded().wish();
            // It may be served since, before the wish was seen.
            if !self.may_hold(queue, bytes) {
                return Err(self.cut_off(queue, Code::WOULD_BLOCK));
            }
        }
        if let Some(room) = budget.try_reserve(bytes) {
            return Ok(room);
        }
        budget.wish();
        self.hurry();
        // Room may have come before the wish was seen.
        budget.try_reserve(bytes).ok_or_else(|| Error::bare(Code::WOULD_BLOCK))
    }

    /// Whether the partition may hold so many bytes more, if there is room.
    fn may_hold(&self, queue: &Queue, bytes: usize) -> bool {
        queue.may_hold_more(bytes) || !self.topics.queues().any(|other| other.is_served())
    }

    fn unread(&self) -> Error {
        let budget = &self.ledger.budget;
        let text = format!(
            "deliveries that were not read take {} of buffer.memory={} bytes: poll the producer, or \
             set samsa.delivery.report to failures or none",
            budget.unread(),
            budget.total()
        );
        Error::new(Code::UNREAD_DELIVERIES, text).with_property("buffer.memory")
    }

    fn full(&self, bytes: usize) -> Error {
        let budget = &self.ledger.budget;
        let text = format!(
            "no room for {bytes} bytes in time: {} of buffer.memory={} bytes wait for brokers, in {} \
             batches",
            budget.used(),
            budget.total(),
            self.ledger.pending.batches()
        );
        let error = Error::new(Code::BUFFER_FULL, text).with_property("buffer.memory");
        match self.trouble() {
            Some(trouble) => error.caused_by(trouble),
            None => error,
        }
    }

    /// Why this partition gets no room, whoever else does.
    fn cut_off(&self, queue: &Queue, code: Code) -> Error {
        let budget = &self.ledger.budget;
        let text = format!(
            "nobody serves the partition, which holds {} bytes; all such partitions hold {}, and may \
             have half of buffer.memory={} together, so that the others go on",
            queue.held(),
            budget.stranded().held(),
            budget.total()
        );
        let error = queue.name(Error::new(code, text)).with_property("buffer.memory");
        match queue.why_unserved() {
            Some(why) => error.caused_by(why),
            None => error,
        }
    }
}
