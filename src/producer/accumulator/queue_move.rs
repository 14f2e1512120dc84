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
        // They may be older than what is timed.
        self.time_earlier_expiry(&mut state);
        self.announce(&mut state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Topic;
    use crate::config::{Config, ProducerConfig};
    use crate::error::{Code, Error};
    use crate::producer::Deliveries;
    use crate::producer::accumulator::{
        Answer, Appended, Arrival, Flight, Leader, Ledger, Seal, Take, Wanted,
    };
    use crate::producer::legacy::Seat;
    use crate::producer::mail::Mail;
    use crate::producer::record::Record;
    use crate::producer::sender::Action;
    use crate::protocol::record::Format;
    use crate::runtime::Signal;

    /// Two partitions of Kafka 0.7 whose records may go anywhere, with the test in the place of the keeper
    /// and of the senders.
    struct Two {
        topic: Arc<Topic>,
        ledger: Arc<Ledger>,
        queues: [Arc<Queue>; 2],
        mails: [Arc<Mail>; 2],
    }

    fn two(linger: &str) -> Two {
        let mut config = Config::new();
        for (name, value) in [("linger.ms", linger), ("enable.idempotence", "false")] {
            config.set(name, value).unwrap();
        }
        let config = ProducerConfig::from(&config).unwrap();
        let topic = Topic::lone("orders", 0);
        let ledger = Ledger::new(&config, Arc::new(Signal::new()));
        let mails = [Mail::new(1), Mail::new(2)];
        let queues = [0, 1].map(|at: usize| {
            let seat = Seat { number: at as i64 + 1, is_free: true, largest: 1_000_000 };
            let (settings, ledger) = (config.for_topic(topic.name()), Arc::clone(&ledger));
            let queue = Queue::seated(Arc::clone(&topic), at as i32, seat, settings, ledger);
            queue.lead(Some(Leader { mail: Arc::clone(&mails[at]), epoch: -1 }));
            queue
        });
        Two { topic, ledger, queues, mails }
    }

    impl Two {
        /// Appends one record; batches of the two queues never begin at the same time.
        fn send(&self, at: usize, opaque: u64) {
            let before = Instant::now();
            while Instant::now() == before {}
            let record = Record::new(&self.topic, b"value").with_opaque(opaque);
            let arrival = Arrival { record, timestamp: 1_000, sticky: false };
            let mut seals = Vec::new();
            let appended = self.queues[at].append(&arrival, &mut None, &mut seals).unwrap();
            assert_eq!(appended, Appended::Done);
            seals.into_iter().for_each(Seal::run);
        }

        /// The first queue gives the second one what it has.
        fn moves(&self) {
            self.queues[0].flush().into_iter().for_each(Seal::run);
            self.queues[1].adopt(self.queues[0].give_away());
        }

        fn take(&self, at: usize) -> Flight {
            self.queues[at].flush().into_iter().for_each(Seal::run);
            let (format, now) = (Format::V2, Instant::now());
            let wanted = Wanted { format, room: None, window: 5, now, once: false };
            match self.queues[at].take(&self.mails[at], &wanted) {
                Take::Flight(flight) => flight,
                other => panic!("{other:?}"),
            }
        }

        fn refuse(&self, flight: &Flight) {
            let action = Action::Retry { refresh: false, maybe_written: true };
            let error = Error::bare(Code::TIMED_OUT);
            let refused = Answer::Refused { action, error, records: Vec::new(), log_start: -1 };
            flight.queue.settle(flight, "b:1", refused, Instant::now());
        }

        /// The times for which the keeper got a timer of a queue.
        fn timers(&self, at: usize) -> Vec<Instant> {
            let timers = self.ledger.keeper.collect().timers.into_iter();
            timers.filter(|(_, queue)| Arc::ptr_eq(queue, &self.queues[at])).map(|t| t.0).collect()
        }

        fn ended(&self) -> Vec<u64> {
            let each = Deliveries::new(self.ledger.outbox.take().unwrap_or_default());
            each.iter().map(|one| one.opaque).collect()
        }
    }

    #[test]
    fn a_batch_that_moves_keeps_its_delivery_time_where_a_later_one_is_timed() {
        let two = two("60000");
        two.send(0, 1);
        two.send(1, 2);
        let [early, late] = [0, 1].map(|at| two.queues[at].expire(Instant::now()).unwrap());
        assert!(early < late);
        two.timers(1);
        two.moves();
        assert_eq!(two.timers(1), [early]);
        assert_eq!(two.queues[1].timer_expired(early, early), Some(late));
        assert_eq!(two.ended(), [1]);
        assert_eq!(two.queues[1].timer_expired(late, late), None);
        assert_eq!(two.ended(), [2]);
        assert_eq!(two.queues[1].timer_expired(late, late), None, "the timer that was replaced");
    }

    #[test]
    fn a_batch_that_moved_keeps_its_delivery_time_behind_a_later_one_that_came_back() {
        let two = two("0");
        two.send(0, 1);
        two.send(1, 2);
        let [early, late] = [0, 1].map(|at| two.queues[at].expire(Instant::now()).unwrap());
        let flight = two.take(1);
        two.moves();
        two.refuse(&flight);
        assert_eq!(two.queues[1].expire(early), Some(late));
        assert_eq!(two.ended(), [1]);
        assert_eq!(two.queues[1].expire(late), None);
        assert_eq!(two.ended(), [2]);
    }

    #[test]
    fn an_open_batch_keeps_its_delivery_time_when_a_later_one_moves_in() {
        let two = two("60000");
        two.send(1, 2);
        two.send(0, 1);
        let [late, early] = [0, 1].map(|at| two.queues[at].expire(Instant::now()).unwrap());
        two.moves();
        assert_eq!(two.queues[1].expire(early), Some(late));
        assert_eq!(two.ended(), [2]);
    }
}
