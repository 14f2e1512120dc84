//! How large a partition's open batch may become, and where its buffer comes from.

use bytes::BytesMut;

use super::budget::Reserved;
use super::queue::{Queue, SLACK, State};
use super::{shelves, spares};
use crate::protocol::record::Compression;

impl Queue {
    /// Makes the open batch's buffer larger if `size` more bytes need it: doubling, up to a whole
    /// batch. `Some(bytes)` if the budget has too little.
    #[inline]
    pub(super) fn grow(
        &self,
        state: &mut State,
        size: usize,
        room: &mut Option<Reserved>,
    ) -> Option<usize> {
        let whole = self.whole(state);
        let open = state.open.as_ref()?;
        let needed = open.builder.size() + size + SLACK;
        let capacity = open.builder.capacity();
        if needed <= capacity {
            return None;
        }
        let largest = whole.max(needed);
        let wanted = (capacity * 2).clamp(needed, largest);
        let wanted = if wanted < spares::LEAST { self.rounded(state, wanted) } else { wanted };
        let Some((buffer, reserved)) = self.buffer(state, wanted, capacity, room) else {
            return Some(wanted - capacity);
        };
        let open = state.open.as_mut()?;
        open.reserved.merge(reserved);
        self.ledger.budget.keep_spare(open.builder.move_to(buffer));
        None
    }

    /// Some more bytes than `capacity`, a quarter at most, so that buffers have few sizes and serve one
    /// partition after the other; not more than a whole batch needs, which has the size of a class itself
    /// where it is small, or it would lie on a shelf where nobody looks for it. Those that are not kept
    /// stay as they are.
    pub(super) fn rounded(&self, state: &State, capacity: usize) -> usize {
        let rounded = match capacity {
            ..spares::LEAST => shelves::rounded(capacity),
            _ => capacity.next_multiple_of((capacity / 8).next_power_of_two()),
        };
        let whole = self.whole(state);
        let most = if whole < spares::LEAST { shelves::rounded(whole) } else { whole };
        rounded.min(most).min(self.ledger.budget.total()).max(capacity)
    }

    /// The buffer of a full batch.
    fn whole(&self, state: &State) -> usize {
        (state.limit + SLACK).min(self.ledger.budget.total())
    }

    /// What a batch was compressed to tells how much the next ones take. Small ones tell little: half of
    /// what they are may be overhead.
    pub(super) fn learn(&self, state: &mut State, raw: usize, packed: usize) {
        let batch_size = self.config.batch_size;
        if self.config.compression != Compression::None && raw >= batch_size / 2 {
            state.fill.learn(raw, packed);
            state.limit = state.fill.limit(batch_size, self.ledger.largest_batch).max(1);
        }
    }

    /// A batch was too large for the broker (invariant 4.7).
    pub(super) fn unlearn(&self, state: &mut State) {
        state.fill.forget();
        state.limit = self.config.batch_size.max(1);
    }

    /// A buffer of at least `least` bytes, and the memory it takes beyond the `held` bytes that were
    /// reserved before; none if the budget has too little.
    pub(super) fn buffer(
        &self,
        state: &State,
        least: usize,
        held: usize,
        room: &mut Option<Reserved>,
    ) -> Option<(BytesMut, Reserved)> {
        let budget = &self.ledger.budget;
        if let Some(spare) = budget.spare(least) {
            if let Some(reserved) = self.reserve(state, spare.capacity() - held, room) {
                return Some((spare, reserved));
            }
            budget.keep_spare(spare);
        }
        let reserved = self.reserve(state, least - held, room)?;
        Some((BytesMut::with_capacity(least), reserved))
    }

    /// Takes memory from what the caller waited for, or from the budget.
    fn reserve(
        &self,
        state: &State,
        bytes: usize,
        room: &mut Option<Reserved>,
    ) -> Option<Reserved> {
        let reserved = match room.take() {
            Some(held) if held.bytes() >= bytes => held,
            held => {
                *room = held;
                if !self.may_hold(state, bytes) {
                    return None;
                }
                self.ledger.budget.try_reserve(bytes)?
            }
        };
        Some(reserved.hold_for(&self.share))
    }
}
