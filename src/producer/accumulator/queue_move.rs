//! Batches that move from one queue to another: on Kafka 0.7 alone, where records without a key may be
//! written to any partition. Whoever calls this holds the topic's batches still.

use std::sync::Arc;
use std::time::Instant;

use super::batch::Batch;
use super::queue::Queue;

impl Queue {
    /// Whether a broker has the partition now.
    pub(crate) fn is_led(&self) -> bool {
        self.lock().leader.is_some()
    }

    /// Whether the partition has a broker that is worth a try now.
    pub(crate) fn is_reachable(&self) -> bool {
        let leader = self.lock().leader.clone();
        leader.is_some_and(|leader| !leader.mail.is_doubtful())
    }

    /// Whether something waits here and the broker is gone.
    pub(crate) fn is_stranded(&self) -> bool {
        let state = self.lock();
        state.leader.is_none() && (state.open.is_some() || !state.sealed.is_empty())
    }

    /// Gives away what waits here, up to the first batch whose bytes are still being made.
    pub(crate) fn give_away(&self) -> Vec<Batch> {
        let mut state = self.lock();
        let ready = state.sealed.iter().take_while(|batch| batch.body.is_some()).count();
        if ready > 0 {
            state.rest_until = None; // it was the head's
        }
        state.sealed.drain(..ready).collect()
    }

    /// Takes in batches of another queue, each before those that are younger. One that failed twice rests
    /// here too: a batch that every broker refuses must not run around.
    pub(crate) fn adopt(self: &Arc<Self>, batches: Vec<Batch>) {
        let mut state = self.lock();
        for batch in batches {
            let attempts = batch.attempts;
            let at = state.sealed.partition_point(|other| other.deadline <= batch.deadline);
            state.sealed.insert(at, batch);
            if at == 0 && attempts > 1 {
                state.rest_until = Some(Instant::now() + self.ledger.rest(attempts));
            }
        }
        self.time_expiry(&mut state);
        self.announce(&mut state);
    }
}
