//! What the consumer asks of its membership.

use crate::group::Subscription;

/// How things are to be; the newest word counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    /// What is to be read.
    pub(super) wish: Subscription,
    /// Grows with each wish.
    pub(super) number: u64,
    /// The application does not poll.
    pub(super) is_out: bool,
    /// For good.
    pub(super) has_left: bool,
    /// Grows each time that the member is to be none, whatever is wished for next.
    pub(super) ends: u64,
    /// How many of these were because the application did not poll: it believes in its share until told.
    pub(super) outs: u64,
    /// Grows with each wish for a rebalance.
    pub(super) rejoins: u64,
}

impl Orders {
    /// Whether the member belongs into the group; not if what it wishes for, or an older wish, has
    /// failed for good.
    pub(super) fn joins(&self, failed: u64) -> bool {
        !self.has_left && !self.is_out && !self.wish.is_empty() && self.number > failed
    }

    /// Whether a member that joined when so many ends were counted still belongs into the group. One that
    /// was to leave and to join again has nothing any more in the eyes of its consumer.
    pub(super) fn stays(&self, failed: u64, ends: u64) -> bool {
        self.joins(failed) && self.ends == ends
    }
}
