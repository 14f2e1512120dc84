//! What is in the application's hands: messages that were handed out and not freed, and threads that
//! got some and did not come back. Nothing behind the first of them is committed (rules 11.2, 9.19).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::place::Place;
use crate::consumer::batch::Batch;
use crate::consumer::partition::Era;

thread_local! {
    /// Alive as long as the thread: a thread that ended comes back no more.
    static SELF: Arc<()> = Arc::new(());
}

/// The number of the calling thread; 0 while it ends.
#[inline]
pub(in crate::consumer) fn thread() -> usize {
    SELF.try_with(|me| Arc::as_ptr(me).addr()).unwrap_or(0)
}

fn alive() -> Weak<()> {
    SELF.try_with(Arc::downgrade).unwrap_or_default()
}

/// Which messages of a batch that `next` walks through were freed: a bit each.
#[derive(Debug)]
pub(in crate::consumer) struct Freed(Box<[AtomicU64]>);

impl Freed {
    /// None of `count` messages is free.
    pub(in crate::consumer) fn new(count: usize) -> Self {
        Self((0..count.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    /// The message at `index` was freed.
    #[inline]
    pub(in crate::consumer) fn free(&self, index: usize) {
        if let Some(word) = self.0.get(index / 64) {
            word.fetch_or(1 << (index % 64), Ordering::AcqRel);
        }
    }

    /// The first message that was not freed; past the end when all were.
    fn first(&self) -> usize {
        let word = self.0.iter().position(|word| word.load(Ordering::Acquire) != u64::MAX);
        let Some(word) = word else { return self.0.len() * 64 };
        let bits = self.0.get(word).map_or(u64::MAX, |word| word.load(Ordering::Acquire));
        word * 64 + bits.trailing_ones() as usize
    }
}

/// A part of a partition that was handed out.
#[derive(Debug)]
enum Piece {
    /// By `poll`: freed as a whole, with the batch's ticket.
    Whole(Place, Weak<()>),
    /// By `next`, from this place on, message by message.
    Walk(Place, Weak<Batch>),
}

impl Piece {
    /// The first place that is not free; none when all of it is.
    fn first(&self) -> Option<Place> {
        match self {
            Piece::Whole(place, ticket) => (ticket.strong_count() > 0).then_some(*place),
            Piece::Walk(place, batch) => {
                let batch = batch.upgrade()?;
                let first = batch.marks.as_ref().map_or(0, Freed::first);
                let view = batch.views().get(first)?;
                match first {
                    0 => Some(*place),
                    _ => {
                        let epoch = batch.runs().first().map_or(-1, |run| run.leader_epoch);
                        Some(Place { offset: view.offset, epoch })
                    }
                }
            }
        }
    }
}

/// What of one partition is out, oldest first.
#[derive(Debug, Default)]
pub(in crate::consumer) struct Outstanding {
    list: VecDeque<Piece>,
    /// How many were left by the last sweep.
    swept: usize,
}

impl Outstanding {
    /// The first place that was handed out and not freed.
    pub(in crate::consumer) fn first(&mut self) -> Option<Place> {
        while let Some(piece) = self.list.front() {
            match piece.first() {
                Some(place) => return Some(place),
                None => self.list.pop_front(),
            };
        }
        None
    }

    /// A poll hands out what begins at `place`; it is free when the ticket is gone.
    pub(in crate::consumer) fn give(&mut self, place: Place, ticket: &Arc<()>) {
        self.tidy();
        self.list.push_back(Piece::Whole(place, Arc::downgrade(ticket)));
    }

    /// `next` hands out a message of this batch; the first one begins at `place`.
    pub(in crate::consumer) fn walk(&mut self, place: Place, batch: &Arc<Batch>) {
        if let Some(Piece::Walk(_, walked)) = self.list.back() {
            if std::ptr::eq(walked.as_ptr(), Arc::as_ptr(batch)) {
                return;
            }
        }
        self.tidy();
        self.list.push_back(Piece::Walk(place, Arc::downgrade(batch)));
    }

    /// What was given with this ticket was not handed out after all; the first place of it.
    pub(in crate::consumer) fn take_back(&mut self, ticket: &Arc<()>) -> Option<Place> {
        let mut first = None;
        self.list.retain(|piece| match piece {
            Piece::Whole(place, given) if std::ptr::eq(given.as_ptr(), Arc::as_ptr(ticket)) => {
                first = first.or(Some(*place));
                false
            }
            _ => true,
        });
        first
    }

    /// What is free behind a held piece holds nothing back, and would pile up there. The end is looked at
    /// each time; the rest when as much again has come, so that it costs a piece no more than two looks.
    fn tidy(&mut self) {
        while self.list.back().is_some_and(|piece| piece.first().is_none()) {
            self.list.pop_back();
        }
        if self.list.len() > 2 * self.swept + 16 {
            self.list.retain(|piece| piece.first().is_some());
            self.swept = self.list.len();
        }
    }

    /// The partition moved, or is another's: what is out counts no more.
    pub(in crate::consumer) fn clear(&mut self) {
        self.list.clear();
    }
}

/// A place that a thread got and did not come back for.
#[derive(Clone, Copy, Debug)]
struct Got {
    index: usize,
    /// The partition's life then: in another the place means nothing.
    life: Era,
    place: Place,
}

#[derive(Debug)]
struct Reader {
    thread: usize,
    alive: Weak<()>,
    got: Vec<Got>,
}

/// What each thread got since it came the last time.
#[derive(Debug, Default)]
pub(in crate::consumer) struct Readers(Vec<Reader>);

impl Readers {
    /// The thread polls again: it is done with what it got before. Whether it had any.
    #[inline]
    pub(in crate::consumer) fn came_back(&mut self, thread: usize) -> bool {
        let reader = self.0.iter_mut().find(|reader| reader.thread == thread);
        let Some(reader) = reader.filter(|reader| !reader.got.is_empty()) else { return false };
        reader.got.clear();
        true
    }

    /// The thread gets what begins at `place`.
    #[inline]
    pub(in crate::consumer) fn get(
        &mut self,
        thread: usize,
        index: usize,
        life: Era,
        place: Place,
    ) {
        let got = Got { index, life, place };
        match self.0.iter_mut().find(|reader| reader.thread == thread) {
            Some(reader) => reader.got.push(got),
            None => {
                self.0.retain(|reader| reader.alive.strong_count() > 0);
                self.0.push(Reader { thread, alive: alive(), got: vec![got] });
            }
        }
    }

    /// The first place of a partition that a living thread did not come back for.
    pub(in crate::consumer) fn first(&self, index: usize, life: Era) -> Option<Place> {
        let living = self.0.iter().filter(|reader| reader.alive.strong_count() > 0);
        let got = living.flat_map(|reader| &reader.got);
        let here = got.filter(|got| got.index == index && got.life == life);
        here.map(|got| got.place).min_by_key(|place| place.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: i64) -> Place {
        Place { offset, epoch: -1 }
    }

    #[test]
    fn rule_11_2_the_first_batch_that_is_not_freed_holds_back_all_behind_it() {
        let mut out = Outstanding::default();
        let (first, second) = (Arc::new(()), Arc::new(()));
        out.give(at(0), &first);
        out.give(at(10), &second);
        assert_eq!(out.first(), Some(at(0)));
        drop(second);
        assert_eq!(out.first(), Some(at(0)), "freed out of order");
        drop(first);
        assert_eq!(out.first(), None);
    }

    #[test]
    fn what_is_freed_behind_a_held_batch_does_not_pile_up() {
        let mut out = Outstanding::default();
        let held = Arc::new(());
        out.give(at(0), &held);
        for offset in 1..1_000 {
            out.give(at(offset), &Arc::new(()));
        }
        assert!(out.list.len() <= 3, "{}", out.list.len());
    }

    #[test]
    fn nor_does_what_is_freed_only_after_the_next_was_handed_out() {
        let mut out = Outstanding::default();
        let held = Arc::new(());
        out.give(at(0), &held);
        let mut last = Arc::new(());
        for offset in 1..10_000 {
            let next = Arc::new(());
            out.give(at(offset), &next);
            last = next;
        }
        assert!(out.list.len() <= 40, "{}", out.list.len());
        assert_eq!(out.first(), Some(at(0)));
        drop(held);
        assert_eq!(out.first(), Some(at(9_999)), "whoever is alive is found");
        drop(last);
        assert_eq!(out.first(), None);
    }

    #[test]
    fn rule_9_19_what_a_thread_got_is_done_when_it_comes_back_or_ends() {
        let (mut readers, life) = (Readers::default(), Era(1));
        let me = thread();
        readers.get(me, 0, life, at(5));
        assert_eq!(readers.first(0, life), Some(at(5)));
        assert_eq!(readers.first(0, Era(2)), None, "another life of the partition");
        assert!(readers.came_back(me) && !readers.came_back(me));
        assert_eq!(readers.first(0, life), None);
        std::thread::scope(|scope| {
            // Joined by its handle: a scope alone does not wait for what belongs to a thread.
            scope.spawn(|| readers.get(thread(), 0, life, at(7))).join().unwrap();
        });
        assert_eq!(readers.first(0, life), None, "the thread ended");
    }

    #[test]
    fn marks_give_the_first_message_that_is_not_freed() {
        let marks = Freed::new(130);
        (0..65).for_each(|index| marks.free(index));
        marks.free(66);
        assert_eq!(marks.first(), 65);
        (65..192).for_each(|index| marks.free(index));
        assert!(marks.first() >= 130);
    }
}
