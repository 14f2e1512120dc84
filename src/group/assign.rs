//! An assignor of the application's own.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::assignor::{Member, Place, Topics};
use crate::error::Result;

/// What one member gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// The partitions.
    pub places: Vec<Place>,
    /// Whatever the member is to be told besides.
    pub user_data: Option<Bytes>,
}

/// A member as an assignor sees it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Id, static name, rack, topics, what it owns and since when.
    pub member: Member,
    /// What it said besides.
    pub user_data: Option<Bytes>,
}

/// The assignor that a configuration carries; none takes back the cluster's.
#[derive(Clone, Debug, Default)]
pub struct OwnAssignor(pub Option<Arc<dyn Assign>>);

/// Shares partitions out among the members of a classic group. The group uses it when all members offer
/// an assignor of its name; then the leader's runs, on a thread of the application, within its poll.
pub trait Assign: fmt::Debug + Send + Sync {
    /// Its name in the group.
    fn name(&self) -> &str;

    /// Whether it gives nobody what another member still owns (KIP-429); if it does, that partition is
    /// taken from its share, and comes in the next round (rule 8.14).
    fn is_cooperative(&self) -> bool {
        false
    }

    /// Who gets what, by the members' ids; who is left out gets nothing. An error fails the round: it is
    /// told, and the group tries again.
    fn assign(&self, members: &[Candidate], topics: &Topics) -> Result<BTreeMap<String, Share>>;
}
