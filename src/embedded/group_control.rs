//! What programs and tests see of groups, and do to them.

use std::time::{Duration, Instant};

use super::cluster::Cluster;
use crate::error::{Code, Error, Result};

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// The id that the coordinator knows it by.
    pub id: String,
    /// Its static name (`group.instance.id`), if it has one.
    pub instance: Option<String>,
    /// The client's name for itself.
    pub client_id: String,
}

impl Cluster {
    /// Makes a broker the coordinator of a group, which keeps its members and offsets. Requests that
    /// wait at the old one are answered that it is not.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a broker that there is not.
    pub fn move_coordinator(&self, group: &str, broker: i32) -> Result<()> {
        self.shared.seat(broker)?;
        self.shared.groups().set_coordinator(group, broker);
        Ok(())
    }

    /// The broker that coordinates a group; none if it does not run.
    #[must_use]
    pub fn coordinator(&self, group: &str) -> Option<i32> {
        self.shared.coordinator(group)
    }

    /// The members of a group in the order in which they came; none if there is no such group.
    #[must_use]
    pub fn group_members(&self, group: &str) -> Vec<GroupMember> {
        let mut groups = self.shared.groups();
        let Some(group) = groups.group(group, Instant::now()) else { return Vec::new() };
        let member = |member: &super::groups::Member| GroupMember {
            id: member.id.clone(),
            instance: member.instance.clone(),
            client_id: member.client_id.clone(),
        };
        let next = |member: &super::groups::NextMember| GroupMember {
            id: member.id.clone(),
            instance: member.instance.clone(),
            client_id: member.client_id.clone(),
        };
        let by_848 = group.next.iter().flat_map(|group| group.members()).map(next);
        group.classic.members().iter().map(member).chain(by_848).collect()
    }

    /// What a member of a KIP-848 group may own, as the coordinator sees it, and the member's epoch; none
    /// if there is no such member. Sorted.
    #[must_use]
    pub fn group_assignment(&self, group: &str, member: &str) -> Option<(i32, Vec<(String, i32)>)> {
        let mut groups = self.shared.groups();
        let group = groups.group(group, Instant::now())?.next.as_ref()?;
        let member = group.members().iter().find(|known| known.id == member)?;
        let topics = self.shared.topics();
        let named = |(topic, index): &super::groups::Place| {
            Some((topics.identified(*topic)?.name.clone(), *index))
        };
        let mut places: Vec<_> = member.assigned.keys().filter_map(named).collect();
        places.sort();
        Some((member.epoch, places))
    }

    /// Where a group stands: `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Stable`, and for one
    /// by KIP-848 `Empty`, `Assigning`, `Reconciling`, `Stable`; `Dead` if there is no such group.
    #[must_use]
    pub fn group_state(&self, group: &str) -> &'static str {
        let mut groups = self.shared.groups();
        groups.group(group, Instant::now()).map_or("Dead", |group| group.state())
    }

    /// The offset that a group committed for a partition; none if it committed none.
    #[must_use]
    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        let mut groups = self.shared.groups();
        let group = groups.group(group, Instant::now())?;
        group.offsets.get(topic, partition).map(|committed| committed.offset)
    }

    /// Waits until a group has so many members and is in this state (see
    /// [`group_state`](Self::group_state)); none: in any.
    ///
    /// # Errors
    /// `TIMED_OUT`, with what the group is instead.
    pub fn wait_group(
        &self,
        group: &str,
        state: Option<&str>,
        members: usize,
        deadline: impl Into<Option<Instant>>,
    ) -> Result<()> {
        let deadline = deadline.into();
        let now = || (self.group_state(group), self.group_members(group).len());
        let why = || format!("group {group} is {} with {} members", now().0, now().1);
        let reached = || Ok(now().1 == members && state.is_none_or(|wanted| wanted == now().0));
        loop {
            // In slices: that a session is over is told by the clock alone.
            let slice = Instant::now() + Duration::from_millis(50);
            let end = deadline.map_or(slice, |deadline| deadline.min(slice));
            match self.shared.wait(Some(end), &why, &reached) {
                Err(error) if error.code() == Code::TIMED_OUT && Some(end) != deadline => {}
                outcome => return outcome,
            }
        }
    }

    /// Throws a member out, as when its session ends; the others rebalance.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID if the group has no such member.
    pub fn expire_member(&self, group: &str, member: &str) -> Result<()> {
        let now = Instant::now();
        let mut groups = self.shared.groups();
        let expired = groups.group(group, now).map(|found| {
            let who = super::groups::Identity { member, instance: None };
            let by_848 = found.next.as_mut().is_some_and(|next| next.expel(member));
            let expired = if by_848 { Ok(()) } else { found.classic.expel(who, now) };
            found.wake();
            expired
        });
        match expired {
            Some(Ok(())) => Ok(()),
            _ => {
                let why = format!("group {group} has no member {member}");
                Err(Error::new(Code::UNKNOWN_MEMBER_ID, why))
            }
        }
    }
}
