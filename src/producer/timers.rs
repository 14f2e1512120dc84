//! The timers of one task: which queue to look at when.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::accumulator::Queue;

/// Earliest first. A queue has one timer of a kind at a time (its own lock sees to that), so that
/// this is bounded by the number of queues; on 0.7 one more stays until it fires for each time that a batch
/// which expires earlier came from another partition.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// Those that came in their order: nearly all, because a producer's lingers are equal.
    line: VecDeque<Timer>,
    heap: BinaryHeap<Reverse<Timer>>,
    /// Sets equal times apart.
    made: u64,
}

#[derive(Debug)]
struct Timer {
    at: Instant,
    number: u64,
    queue: Arc<Queue>,
}

impl Timers {
    pub(crate) fn add(&mut self, at: Instant, queue: Arc<Queue>) {
        self.made += 1;
        let timer = Timer { at, number: self.made, queue };
        if self.line.back().is_none_or(|last| last.at <= at) {
            self.line.push_back(timer);
        } else {
            self.heap.push(Reverse(timer));
        }
    }

    /// The next one that is due, with its time.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(Instant, Arc<Queue>)> {
        if self.next()? > now {
            return None;
        }
        let first = self.heap.peek().map(|Reverse(timer)| timer);
        let in_line = self.line.front().is_some_and(|next| first.is_none_or(|first| next < first));
        let timer = match in_line {
            true => self.line.pop_front()?,
            false => self.heap.pop()?.0,
        };
        Some((timer.at, timer.queue))
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        let first = self.heap.peek().map(|Reverse(timer)| timer.at);
        first.into_iter().chain(self.line.front().map(|timer| timer.at)).min()
    }

    pub(crate) fn clear(&mut self) {
        self.heap.clear();
        self.line.clear();
    }
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::producer::accumulator::test_queue;

    #[test]
    fn timers_come_in_the_order_of_their_times_and_not_before() {
        let (start, mut timers) = (Instant::now(), Timers::default());
        let at = |ms| start + Duration::from_millis(ms);
        for (ms, partition) in [(30, 3), (10, 1), (20, 2), (10, 4)] {
            timers.add(at(ms), test_queue(partition));
        }
        assert_eq!(timers.next(), Some(at(10)));
        let mut due = |ms| timers.due(at(ms)).map(|(_, queue)| queue.partition());
        assert_eq!(due(9), None);
        assert_eq!([due(20), due(20), due(20), due(20)], [Some(1), Some(4), Some(2), None]);
        assert_eq!(due(30), Some(3));
    }
}
