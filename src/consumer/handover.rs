//! Handing messages to the application: who gets what, and the last check that it still counts.
//!
//! A partition's data is taken out under the lock, decoded outside it, and checked in again. Other
//! callers meanwhile read other partitions: each message goes to one caller, in order.

use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use super::batch::Batch;
use super::core::Core;
use super::decode::{Filling, Read};
use super::event::Event;
use super::group::{Place, Polled, thread};
use super::message::Message;
use super::partition::{Item, Phase};
use super::share::Share;
use super::state::{Slot, State};
use crate::error::{Code, Error, Result};

/// What the first readable partition has.
enum Head {
    /// To be decoded; the partition is taken until it is checked in.
    Data(Slot, Share),
    /// Decoded by `next` before; still in the queue.
    Decoded(Slot),
    /// The end of a partition became an event.
    Event,
    /// What comes next cannot be decoded.
    Failed(Slot, Error),
    /// What comes next does not exist: a look-up is due, or an error to be told.
    Lost,
}

impl Core {
    /// One attempt of a poll: a batch of up to `max.poll.records` messages, an error, or none.
    pub(super) fn try_poll(&self) -> Option<Result<Batch>> {
        self.try_poll_with(Share::read)
    }

    /// The same, with what decodes a partition's data outside the lock.
    #[inline]
    pub(super) fn try_poll_with(
        &self,
        mut read: impl FnMut(&mut Share, &mut Filling) -> Result<Read>,
    ) -> Option<Result<Batch>> {
        let mut state = self.lock();
        let me = self.arrive(&mut state);
        if let Some(first) = first_word(&mut state) {
            return Some(Err(first));
        }
        if me.is_some() && self.part.is_unsure(&state) {
            return None;
        }
        let (mut given, since) = (me.map(Given::to), state.last_era());
        let mut filling = Filling::new(self.config.max_poll_records);
        let mut choked = Choked::default();
        while !filling.is_full() && !choked.all {
            match state.head(filling.is_empty()) {
                None => break,
                Some(Head::Event) => return Some(Err(Error::bare(Code::EVENT))),
                Some(Head::Failed(slot, error)) => {
                    if self.fall_back(&mut state, slot, &error) {
                        return Some(Err(error));
                    }
                }
                Some(Head::Lost) => {
                    self.kick.notify_one();
                    if let Some(error) = state.take_report() {
                        return Some(Err(error));
                    }
                }
                Some(Head::Decoded(slot)) => {
                    state.hand_over_decoded(slot, &mut filling, given.as_mut());
                }
                Some(Head::Data(slot, mut reader)) => {
                    let before = state.place(slot.index);
                    drop(state);
                    let mark = filling.mark();
                    let outcome = read(&mut reader, &mut filling);
                    let waits = matches!(outcome, Ok(Read::Choked));
                    state = self.lock();
                    if !state.check_in(slot, reader, outcome, None) {
                        filling.undo(mark);
                    } else if filling.grew(mark) {
                        state.give(slot.index, before, given.as_mut());
                    }
                    choked.note(waits, &state);
                }
            }
        }
        if state.has_ready() && !choked.all {
            // Who found the partition taken while we decoded has gone to sleep, on the descriptor
            // perhaps.
            self.signal.notify();
        }
        if state.last_era() != since {
            state.recall(since, &mut filling, given.as_ref().map(|given| &given.ticket));
        }
        if filling.is_empty() {
            return state.check_open().err().map(Err);
        }
        state.stall_told = false;
        state.ring();
        Some(Ok(filling.finish_with(given.map(|given| given.ticket))))
    }

    /// A thread polls: it is done with what it got before. Gives its number, if that matters.
    #[inline]
    fn arrive(&self, state: &mut State) -> Option<usize> {
        if !state.group.on {
            return None;
        }
        let me = thread();
        if state.group.polled(me) == Polled::Matters {
            self.part.kick();
        }
        Some(me)
    }

    /// One attempt of `next`: one message, an error, or none.
    pub(super) fn try_next(&self) -> Option<Result<Message>> {
        let mut state = self.lock();
        if state.group.on {
            return self.try_next_in_group(state);
        }
        match state.go_on(None) {
            Some(message) => Some(Ok(message)),
            None => self.look_for_next(state, None),
        }
    }

    /// Apart, so that who has no group does not pay for it.
    #[inline(never)]
    fn try_next_in_group(&self, mut state: MutexGuard<'_, State>) -> Option<Result<Message>> {
        let me = self.arrive(&mut state);
        if self.part.is_unsure(&state) {
            return first_word(&mut state).map(Err);
        }
        match state.go_on(me) {
            Some(message) => Some(Ok(message)),
            None => self.look_for_next(state, me),
        }
    }

    #[inline(never)]
    fn look_for_next<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        me: Option<usize>,
    ) -> Option<Result<Message>> {
        if let Some(first) = first_word(&mut state) {
            return Some(Err(first));
        }
        let mut choked = Choked::default();
        loop {
            if choked.all {
                return state.check_open().err().map(Err);
            }
            match state.head(true) {
                None => return state.check_open().err().map(Err),
                Some(Head::Event) => return Some(Err(Error::bare(Code::EVENT))),
                Some(Head::Failed(slot, error)) => {
                    if self.fall_back(&mut state, slot, &error) {
                        return Some(Err(error));
                    }
                }
                Some(Head::Lost) => {
                    self.kick.notify_one();
                    if let Some(error) = state.take_report() {
                        return Some(Err(error));
                    }
                }
                Some(Head::Decoded(slot)) => {
                    if let Some(message) = state.hand_over_one(slot, me) {
                        state.ring();
                        return Some(Ok(message));
                    }
                }
                Some(Head::Data(slot, mut reader)) => {
                    drop(state);
                    let mut filling = Filling::new(self.config.max_poll_records);
                    let outcome = reader.read(&mut filling);
                    let waits = matches!(outcome, Ok(Read::Choked));
                    state = self.lock();
                    let batch = (!filling.is_empty()).then(|| match me {
                        None => Arc::new(filling.finish()),
                        Some(_) => Arc::new(filling.finish_marked()),
                    });
                    if batch.is_some() {
                        state.stall_told = false;
                    }
                    // What was read before room ran out is handed out: nobody would tell this thread of it.
                    let waits = waits && batch.is_none();
                    state.check_in(slot, reader, outcome, batch);
                    choked.note(waits, &state);
                    if state.has_ready() && !choked.all {
                        self.signal.notify();
                    }
                }
            }
        }
    }

    /// After a batch that cannot be decoded: the position stays, it is fetched again after a pause
    /// (another replica, another transfer may be sound), and the application is told once (3.13).
    fn fall_back(&self, state: &mut State, slot: Slot, error: &Error) -> bool {
        state.refetch(slot.index);
        let Some(partition) = state.partitions.get_mut(slot.index) else { return false };
        self.config.back_off(&mut partition.retry, Instant::now());
        state.wake_fetchers();
        let Some(partition) = state.partitions.get_mut(slot.index) else { return false };
        partition.tell_once(error.code(), partition.position)
    }
}

/// Partitions met one after the other whose next batch there was no room to decompress.
#[derive(Default)]
struct Choked {
    in_a_row: usize,
    /// Every readable partition was met: nothing can be read now.
    all: bool,
}

impl Choked {
    /// A partition was read, and went behind the others if it waits for room.
    fn note(&mut self, choked: bool, state: &State) {
        self.in_a_row = if choked { self.in_a_row + 1 } else { 0 };
        self.all = choked && self.in_a_row >= state.ready_count();
    }
}

/// What one poll hands out, for a group.
struct Given {
    thread: usize,
    /// Held by the batch.
    ticket: Arc<()>,
}

impl Given {
    fn to(thread: usize) -> Self {
        Self { thread, ticket: Arc::new(()) }
    }
}

/// What comes before any message: errors, events, the end.
fn first_word(state: &mut State) -> Option<Error> {
    if let Some(error) = state.take_report() {
        return Some(error);
    }
    if state.has_event() {
        return Some(Error::bare(Code::EVENT));
    }
    state.check_open().err()
}

impl State {
    /// Looks at the first readable partition. Ends and errors keep their place: while the batch is
    /// not empty they wait for the next poll.
    fn head(&mut self, batch_is_empty: bool) -> Option<Head> {
        let slot = self.next_ready()?;
        let partition = self.current(slot)?;
        match partition.queue.front()? {
            // What `next` meets each time stays where it is.
            Item::Decoded { .. } => return Some(Head::Decoded(slot)),
            Item::End(_) | Item::Failed(_) | Item::Adrift(_) if !batch_is_empty => {
                self.list_again(slot.index, true);
                return None;
            }
            _ => {}
        }
        match partition.queue.pop_front()? {
            Item::Data(mut reader) => {
                reader.skip_to(partition.position);
                partition.taken = true;
                Some(Head::Data(slot, reader))
            }
            item @ Item::Decoded { .. } => {
                partition.queue.push_front(item);
                Some(Head::Decoded(slot))
            }
            Item::Failed(error) => Some(Head::Failed(slot, error)),
            Item::Adrift(why) => {
                self.lose(slot.index, why);
                Some(Head::Lost)
            }
            Item::End(offset) => {
                let (topic, partition) = (partition.name.clone(), partition.number);
                self.push_event(Event::PartitionEnd { topic, partition, offset });
                self.list_again(slot.index, false);
                Some(Head::Event)
            }
        }
    }

    /// Puts a reader back, with what `next` decoded in front of it. False when the partition moved
    /// meanwhile: then what was read is void (6.11).
    fn check_in(
        &mut self,
        slot: Slot,
        reader: Share,
        outcome: Result<Read>,
        decoded: Option<Arc<Batch>>,
    ) -> bool {
        let Some(partition) = self.current(slot) else { return false };
        partition.taken = false;
        // A share that was read to its end gives the turn to another partition.
        // So does one that waits for room: another may need none.
        let goes_on = decoded.is_some() || matches!(outcome, Ok(Read::Full) | Err(_));
        let (position, epoch) = (reader.position(), reader.epoch());
        let mut told_the_end = false;
        match outcome {
            Ok(Read::Full | Read::Choked) => partition.queue.push_front(Item::Data(reader)),
            Ok(Read::End) => {
                if std::mem::take(&mut partition.awaits_reader) {
                    // Only reading told where this answer ends; nothing was asked meanwhile.
                    partition.fetch_offset = position;
                    partition.fetch_epoch = epoch;
                    told_the_end = true;
                    if matches!(partition.phase, Phase::Validate { .. }) {
                        // The question that may be under way is about another place: its answer will
                        // not count, but have this one asked.
                        partition.doubt();
                    }
                }
                partition.retry.clear();
                partition.reported = None;
            }
            Err(error) => partition.queue.push_front(Item::Failed(error)),
        }
        match decoded {
            Some(batch) => partition.queue.push_front(Item::Decoded { batch, next: 0 }),
            None => partition.advance(position, epoch),
        }
        self.list_again(slot.index, goes_on);
        if told_the_end {
            // It was not asked for, and others of the same answer may keep that one unread.
            self.wake_fetchers();
        }
        true
    }

    /// Where a partition stands.
    fn place(&self, index: usize) -> Place {
        let at = self.partitions.get(index).map(|p| (p.position, p.position_epoch));
        at.map_or(Place { offset: -1, epoch: -1 }, |(offset, epoch)| Place { offset, epoch })
    }

    /// A poll hands out messages of a partition from this place on: they are the thread's until it comes
    /// back, and the application's until it frees the batch.
    fn give(&mut self, index: usize, from: Place, given: Option<&mut Given>) {
        let (Some(given), Some(partition)) = (given, self.partitions.get_mut(index)) else {
            return;
        };
        partition.books.out.give(from, &given.ticket);
        self.group.readers.get(given.thread, index, partition.books.life, from);
    }

    /// A poll takes over what `next` decoded and did not hand out.
    fn hand_over_decoded(&mut self, slot: Slot, filling: &mut Filling, given: Option<&mut Given>) {
        let before = self.place(slot.index);
        let Some(partition) = self.current(slot) else { return };
        let Some((batch, next)) = partition.decoded() else { return };
        let count = filling.copy(batch, next);
        if let Some(marks) = &batch.marks {
            // From now on the poll's own batch says when they are free.
            (next..next + count).for_each(|index| marks.free(index));
        }
        let goes_on = partition.handed_out(count);
        self.list_again(slot.index, goes_on);
        if count > 0 {
            self.give(slot.index, before, given);
        }
    }

    /// The way of all messages but the first and the last of what `next` decoded: nothing but a step
    /// in the batch, and the partition keeps its place. None where anything else is to be looked at.
    #[inline(always)]
    fn go_on(&mut self, me: Option<usize>) -> Option<Message> {
        if !self.is_quiet() {
            return None;
        }
        let slot = self.first_ready()?;
        let partition = self.current(slot).filter(|p| !p.paused && !p.taken && !p.is_stopped())?;
        let Some(Item::Decoded { batch, next }) = partition.queue.front_mut() else { return None };
        let following = *next + 1;
        if *next == 0 || following >= batch.len() {
            return None;
        }
        let (message, next_offset) = Message::new(batch, *next)?;
        *next = following;
        let before = std::mem::replace(&mut partition.position, next_offset);
        if let Some(me) = me {
            let (epoch, life) = (partition.position_epoch, partition.books.life);
            self.group.readers.get(me, slot.index, life, Place { offset: before, epoch });
        }
        Some(message)
    }

    fn hand_over_one(&mut self, slot: Slot, me: Option<usize>) -> Option<Message> {
        let before = self.place(slot.index);
        let partition = self.current(slot)?;
        let (batch, next) = partition.decoded()?;
        let (message, _) = Message::new(batch, next)?;
        if let (Some(me), life) = (me, partition.books.life) {
            let batch = Arc::clone(batch);
            partition.books.out.walk(before, &batch);
            self.group.readers.get(me, slot.index, life, before);
        }
        let goes_on = self.current(slot)?.handed_out(1);
        self.list_again(slot.index, goes_on);
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::super::fixture::{BROKER, batch, batch_as, core, reader, state, waiting_within};
    use super::*;
    use crate::protocol::record::{Compression, Format};

    /// A partition whose queue did not say where it ends, with that being read.
    fn reading(state: &mut State) -> (Slot, Share) {
        let slot = state.slot(0);
        let partition = &mut state.partitions[0];
        (partition.taken, partition.awaits_reader) = (true, true);
        (slot, Share::Batches(Box::new(reader(batch(0, 4), 0, true))))
    }

    fn read(state: &mut State, (slot, mut reader): (Slot, Share)) {
        let outcome = reader.read(&mut Filling::new(10));
        assert!(matches!(outcome, Ok(Read::End)));
        assert!(state.check_in(slot, reader, outcome, None));
    }

    #[test]
    fn rule_6_16_a_place_that_reading_moved_while_it_was_validated_is_asked_about_again() {
        let mut state = state(1);
        state.partitions[0].stand_on(5);
        let taken = reading(&mut state);
        state.partitions[0].phase = Phase::Validate { asked: true };
        read(&mut state, taken);
        assert_eq!(state.partitions[0].fetch_offset, 4);
        assert_eq!(state.partitions[0].phase, Phase::Validate { asked: false });
    }

    #[test]
    fn rule_13_3_the_fetcher_that_waited_for_a_reader_is_woken_by_it() {
        let mut state = state(1);
        let taken = reading(&mut state);
        let seat = Arc::clone(&state.led[&BROKER].seat);
        read(&mut state, taken);
        assert!(state.partitions[0].wants_data());
        let mut woken = pin!(seat.wake.notified());
        let woken = woken.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(woken, Poll::Ready(()));
    }

    #[test]
    fn next_hands_out_what_was_read_before_the_memory_limit_stopped_reading() {
        let mut state = state(1);
        let compressed = |offset| batch_as(offset, 2, Format::V2, Compression::Gzip);
        let slot = state.slot(0);
        state.push(slot, waiting_within(1, 0, [compressed(0), compressed(2)].concat()));
        let core = core(state);
        let offset = || core.try_next().map(|next| next.map(|m| m.record().offset()));
        assert_eq!(offset().unwrap().unwrap(), 0);
        assert_eq!(offset().unwrap().unwrap(), 1);
    }
}
