//! What a partition remembers of each idempotent producer (KIP-98, KIP-360): enough to answer a
//! repeated batch with its first offset, and to refuse a gap or an old epoch.

use std::collections::{HashMap, VecDeque};

use crate::error::Code;

/// How many batches of a producer are remembered since 1.0: a client has at most five in flight.
pub(super) const REMEMBERED: usize = 5;

/// The idempotent seat of a batch: who sent it, and which records these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    pub(super) base_sequence: i32,
    /// Records in the batch, ≥ 1.
    pub(super) count: i32,
}

/// What is to be done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is the next one: append it, then [`Producers::remember`] it.
    Append,
    /// It was appended before, with this first offset and append time.
    Duplicate { base_offset: i64, append_time: i64 },
    /// It is refused with this code.
    Refuse(Code),
}

/// How strict a broker is: old ones forgot producers with their last record and said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Strictness {
    /// Before 2.5 an unknown producer had to begin with sequence 0: this was the answer, 59, or 45 in
    /// 0.11, which had no other.
    pub(super) unknown_must_begin_at_zero: Option<Code>,
    /// How many batches of a producer are remembered: one in 0.11.
    pub(super) remembered: usize,
}

#[derive(Clone, Copy, Debug)]
struct Appended {
    base_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
    append_time: i64,
}

#[derive(Debug)]
struct State {
    epoch: i16,
    batches: VecDeque<Appended>,
}

/// The producers of one partition.
#[derive(Debug, Default)]
pub(super) struct Producers {
    states: HashMap<i64, State>,
}

impl Producers {
    /// Judges a batch as Kafka 2.5 and newer do, or more strictly.
    pub(super) fn judge(&self, seat: &Seat, strictness: Strictness) -> Judgement {
        let Some(state) = self.states.get(&seat.producer_id) else {
            // KIP-360: records may have been deleted with the producer's memory, so any start is
            // accepted from an unknown producer; older brokers could not tell and refused.
            let refusal = strictness.unknown_must_begin_at_zero.filter(|_| seat.base_sequence != 0);
            return refusal.map_or(Judgement::Append, Judgement::Refuse);
        };
        if seat.epoch < state.epoch {
            return Judgement::Refuse(Code::INVALID_PRODUCER_EPOCH);
        }
        if seat.epoch > state.epoch {
            return if seat.base_sequence == 0 {
                Judgement::Append
            } else {
                Judgement::Refuse(Code::OUT_OF_ORDER_SEQUENCE_NUMBER)
            };
        }
        let last = last_sequence(seat);
        let same = |b: &&Appended| b.base_sequence == seat.base_sequence && b.last_sequence == last;
        if let Some(found) = state.batches.iter().find(same) {
            return Judgement::Duplicate {
                base_offset: found.base_offset,
                append_time: found.append_time,
            };
        }
        match state.batches.back() {
            Some(newest) if seat.base_sequence != after(newest.last_sequence, 1) => {
                Judgement::Refuse(Code::OUT_OF_ORDER_SEQUENCE_NUMBER)
            }
            _ => Judgement::Append,
        }
    }

    /// Notes that the batch was appended at `base_offset`, and forgets what is beyond `most`.
    pub(super) fn remember(
        &mut self,
        seat: &Seat,
        base_offset: i64,
        append_time: i64,
        most: usize,
    ) {
        let fresh = || State { epoch: seat.epoch, batches: VecDeque::new() };
        let state = self.states.entry(seat.producer_id).or_insert_with(fresh);
        if state.epoch != seat.epoch {
            *state = fresh();
        }
        while state.batches.len() >= most.max(1) {
            state.batches.pop_front();
        }
        state.batches.push_back(Appended {
            base_sequence: seat.base_sequence,
            last_sequence: last_sequence(seat),
            base_offset,
            append_time,
        });
    }

    /// Forgets a producer, as a broker does when its id expires (None: every producer).
    pub(super) fn forget(&mut self, producer_id: Option<i64>) {
        match producer_id {
            Some(id) => drop(self.states.remove(&id)),
            None => self.states.clear(),
        }
    }

    /// Forgets what was appended at or above `offset`: the log was truncated there.
    pub(super) fn truncate(&mut self, offset: i64) {
        for state in self.states.values_mut() {
            state.batches.retain(|b| b.base_offset < offset);
        }
        self.states.retain(|_, state| !state.batches.is_empty());
    }
}

fn last_sequence(seat: &Seat) -> i32 {
    after(seat.base_sequence, seat.count.saturating_sub(1).max(0))
}

/// Sequences wrap from `i32::MAX` to 0.
fn after(sequence: i32, by: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(by);
    let wrapped = if sum > i64::from(i32::MAX) { sum - i64::from(i32::MAX) - 1 } else { sum };
    i32::try_from(wrapped).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODERN: Strictness =
        Strictness { unknown_must_begin_at_zero: None, remembered: REMEMBERED };

    fn seat(epoch: i16, base_sequence: i32, count: i32) -> Seat {
        Seat { producer_id: 7, epoch, base_sequence, count }
    }

    fn with(batches: &[(i16, i32, i32)]) -> Producers {
        let mut producers = Producers::default();
        let mut offset = 0;
        for &(epoch, base, count) in batches {
            producers.remember(&seat(epoch, base, count), offset, -1, REMEMBERED);
            offset += i64::from(count);
        }
        producers
    }

    fn judge(producers: &Producers, seat: Seat) -> Judgement {
        producers.judge(&seat, MODERN)
    }

    #[test]
    fn a_repeated_batch_gets_its_first_offset_while_it_is_among_the_last_five() {
        let six: Vec<_> = (0..6).map(|i| (0, i * 10, 10)).collect();
        let producers = with(&six);
        assert_eq!(
            judge(&producers, seat(0, 10, 10)),
            Judgement::Duplicate { base_offset: 10, append_time: -1 }
        );
        assert_eq!(
            judge(&producers, seat(0, 0, 10)),
            Judgement::Refuse(Code::OUT_OF_ORDER_SEQUENCE_NUMBER),
            "the sixth from the end is forgotten"
        );
    }

    #[test]
    fn a_gap_and_an_old_epoch_are_refused() {
        let producers = with(&[(1, 0, 3)]);
        assert_eq!(judge(&producers, seat(1, 3, 1)), Judgement::Append);
        assert_eq!(
            judge(&producers, seat(1, 4, 1)),
            Judgement::Refuse(Code::OUT_OF_ORDER_SEQUENCE_NUMBER)
        );
        assert_eq!(
            judge(&producers, seat(0, 3, 1)),
            Judgement::Refuse(Code::INVALID_PRODUCER_EPOCH)
        );
        assert_eq!(
            judge(&producers, seat(2, 3, 1)),
            Judgement::Refuse(Code::OUT_OF_ORDER_SEQUENCE_NUMBER),
            "a new epoch begins at zero"
        );
        assert_eq!(judge(&producers, seat(2, 0, 1)), Judgement::Append);
    }

    #[test]
    fn the_same_start_with_another_count_is_no_duplicate() {
        let producers = with(&[(0, 0, 3)]);
        assert_eq!(
            judge(&producers, seat(0, 0, 2)),
            Judgement::Refuse(Code::OUT_OF_ORDER_SEQUENCE_NUMBER)
        );
    }

    #[test]
    fn sequences_wrap_to_zero_after_the_largest_number() {
        let producers = with(&[(0, i32::MAX - 1, 2)]);
        assert_eq!(judge(&producers, seat(0, 0, 1)), Judgement::Append);
        let across = with(&[(0, i32::MAX, 3)]);
        assert_eq!(judge(&across, seat(0, 2, 1)), Judgement::Append);
    }

    #[test]
    fn an_unknown_producer_may_begin_anywhere_unless_the_broker_is_old() {
        let producers = Producers::default();
        assert_eq!(judge(&producers, seat(0, 42, 1)), Judgement::Append);
        let code = Some(Code::UNKNOWN_PRODUCER_ID);
        let old = Strictness { unknown_must_begin_at_zero: code, ..MODERN };
        assert_eq!(
            producers.judge(&seat(0, 42, 1), old),
            Judgement::Refuse(Code::UNKNOWN_PRODUCER_ID)
        );
    }

    #[test]
    fn what_was_truncated_is_forgotten() {
        let mut producers = with(&[(0, 0, 3), (0, 3, 3)]);
        producers.truncate(3);
        assert_eq!(judge(&producers, seat(0, 3, 3)), Judgement::Append);
        producers.forget(Some(7));
        assert_eq!(judge(&producers, seat(0, 99, 1)), Judgement::Append);
    }
}
