//! The requests of a classic member, in every version.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Shared;
use super::acts::{Assigned, Joined, Joining, Syncing, Told, Trouble, Who};
use super::share;
use crate::config::GroupConfig;
use crate::error::{Code, Error, Result};
use crate::group::coordinator::{Lane, Seat};
use crate::net::Versions;
use crate::protocol::modern::ApiKey;
use crate::protocol::modern::messages::heartbeat::HeartbeatRequest;
use crate::protocol::modern::messages::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use crate::protocol::modern::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use crate::protocol::modern::messages::sync_group::{
    SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};

/// The kind of group, as brokers keep it.
const CONSUMER: &str = "consumer";
/// The first version of JoinGroup that names static members.
const JOIN_INSTANCE: i16 = 5;
/// The first version of JoinGroup whose answer says what kind of group it is.
const JOIN_TYPE: i16 = 7;
/// The first versions of SyncGroup and Heartbeat that name static members.
const INSTANCE: i16 = 3;
/// The first version of SyncGroup that is checked against the kind of group (rule 8.21).
const SYNC_TYPE: i16 = 5;
/// The first version of LeaveGroup that names several members.
const LEAVE_SEVERAL: i16 = 3;

/// What a join is granted beyond the rebalance's own time, for the way there and back (rule 8.5).
const MORE: Duration = Duration::from_secs(5);

fn millis(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}

impl Shared {
    fn patience(&self) -> Instant {
        patience(&self.config, Instant::now())
    }

    /// When the answer to a heartbeat is late: early enough for a second one in the same session.
    fn beat_patience(&self) -> Instant {
        let half = (self.config.session_timeout / 2).max(self.config.heartbeat_interval);
        Instant::now() + half.min(self.config.request_timeout)
    }

    fn instance(&self) -> Option<String> {
        self.config.instance_id.as_deref().map(str::to_owned)
    }

    /// Joins.
    pub(super) async fn join(&self, join: &Joining) -> Result<Joined, Trouble> {
        // Rule 8.9: no join while a commit is out. None begins, the gate is shut.
        self.standing.settled().await;
        let (mut join, mut topics) = (join.clone(), None);
        if let Some(found) = self.topics_now().await {
            join.topics.clone_from(&found);
            topics = Some(found);
        }
        let deadline = self.patience();
        let seat = self.coordinator.find(deadline).await?;
        let make = |versions: &Versions| self.join_request(versions, &join);
        let (version, response) =
            self.coordinator.ask(&seat, Lane::Patient, deadline, make).await?;
        self.understand_join(version, response, topics, &seat)
    }

    fn join_request(&self, versions: &Versions, join: &Joining) -> Result<(i16, JoinGroupRequest)> {
        if versions.range(ApiKey::JoinGroup).is_none() {
            let text = "classic groups, which need Kafka 0.9; group.protocol=zookeeper joins a group \
                        through ZooKeeper";
            return Err(versions.unsupported(text).with_property("group.protocol"));
        }
        let version = versions.pick::<JoinGroupRequest>()?;
        if version < JOIN_INSTANCE && self.config.instance_id.is_some() {
            let text = "static members (group.instance.id), which need Kafka 2.3";
            return Err(versions.unsupported(text).with_property("group.instance.id"));
        }
        let rack = self.config.rack.as_deref();
        let own = self.own.iter().map(|own| {
            let metadata = share::subscription(join, None, self.listener.user_data(), rack)?;
            Ok(JoinGroupRequestProtocol { name: own.name().to_owned(), metadata })
        });
        let configured = self.config.assignors.iter().map(|assignor| {
            let metadata = share::subscription(join, Some(*assignor), None, rack)?;
            Ok(JoinGroupRequestProtocol { name: share::name(*assignor).to_owned(), metadata })
        });
        let request = JoinGroupRequest {
            group_id: self.coordinator.group().to_string(),
            session_timeout_ms: millis(self.config.session_timeout),
            rebalance_timeout_ms: millis(self.config.max_poll_interval),
            member_id: join.member.to_string(),
            group_instance_id: self.instance(),
            protocol_type: CONSUMER.to_owned(),
            protocols: own.chain(configured).collect::<Result<_>>()?,
            reason: Some(join.why.to_owned()),
        };
        Ok((version, request))
    }

    fn understand_join(
        &self,
        version: i16,
        response: JoinGroupResponse,
        topics: Option<Vec<Arc<str>>>,
        seat: &Seat,
    ) -> Result<Joined, Trouble> {
        let code = Code::from(response.error_code);
        self.note(code, seat);
        let member: Arc<str> = Arc::from(response.member_id);
        if code != Code::NONE {
            let member = Some(member).filter(|member| !member.is_empty());
            return Err(Trouble { error: self.refused(code), member });
        }
        let kind = response.protocol_type.as_deref();
        if version >= JOIN_TYPE && kind != Some(CONSUMER) {
            let text = format!("group {} is no group of consumers", self.coordinator.group());
            return Err(Error::new(Code::INCONSISTENT_GROUP_PROTOCOL, text).into());
        }
        let told = response.members.into_iter().map(|member| Told {
            id: member.member_id,
            instance: member.group_instance_id,
            metadata: member.metadata,
        });
        Ok(Joined {
            leads: *response.leader == *member,
            who: Who { member, generation: response.generation_id },
            protocol: response.protocol_name.unwrap_or_default(),
            skip: response.skip_assignment,
            members: told.collect(),
            topics,
        })
    }

    /// Takes the member's share, and brings everybody's if it leads.
    pub(super) async fn sync(&self, sync: &Syncing) -> Result<Assigned, Trouble> {
        let deadline = self.patience();
        let seat = self.coordinator.find(deadline).await?;
        let make = |versions: &Versions| {
            let version = versions.pick::<SyncGroupRequest>()?;
            let share = |(member_id, assignment): &(String, Bytes)| SyncGroupRequestAssignment {
                member_id: member_id.clone(),
                assignment: assignment.clone(),
            };
            let request = SyncGroupRequest {
                group_id: self.coordinator.group().to_string(),
                generation_id: sync.who.generation,
                member_id: sync.who.member.to_string(),
                group_instance_id: self.instance().filter(|_| version >= INSTANCE),
                protocol_type: Some(CONSUMER.to_owned()),
                protocol_name: Some(sync.protocol.clone()),
                assignments: sync.shares.iter().map(share).collect(),
            };
            Ok((version, request))
        };
        let (version, response) =
            self.coordinator.ask(&seat, Lane::Patient, deadline, make).await?;
        self.note(Code::from(response.error_code), &seat);
        self.understand_sync(version, &response, &sync.protocol)
    }

    fn understand_sync(
        &self,
        version: i16,
        response: &SyncGroupResponse,
        protocol: &str,
    ) -> Result<Assigned, Trouble> {
        let code = Code::from(response.error_code);
        if code != Code::NONE {
            return Err(self.refused(code).into());
        }
        if !agrees(version, response, protocol) {
            let text = format!(
                "group {} agreed on {} at first and on {} then",
                self.coordinator.group(),
                protocol,
                response.protocol_name.as_deref().unwrap_or("nothing")
            );
            return Err(Error::new(Code::INCONSISTENT_GROUP_PROTOCOL, text).into());
        }
        let mut assigned = share::assigned(&response.assignment)?;
        if self.own.as_ref().is_none_or(|own| own.name() != protocol) {
            // Between assignors that are not the application's it means nothing to it.
            assigned.user_data = None;
        }
        Ok(assigned)
    }

    /// Says that the member is alive; the answer's code, or that of the failure.
    pub(super) async fn beat(&self, who: &Who) -> Code {
        self.try_to_beat(who).await.unwrap_or_else(|error| error.code())
    }

    async fn try_to_beat(&self, who: &Who) -> Result<Code> {
        let deadline = self.beat_patience();
        let seat = self.coordinator.find(deadline).await?;
        let make = |versions: &Versions| {
            let version = versions.pick::<HeartbeatRequest>()?;
            let request = HeartbeatRequest {
                group_id: self.coordinator.group().to_string(),
                generation_id: who.generation,
                member_id: who.member.to_string(),
                group_instance_id: self.instance().filter(|_| version >= INSTANCE),
            };
            Ok((version, request))
        };
        let (_, response) = self.coordinator.ask(&seat, Lane::Quick, deadline, make).await?;
        let code = Code::from(response.error_code);
        self.note(code, &seat);
        Ok(code)
    }

    /// Leaves. Whatever the answer is, the member is gone, now or when its session ends.
    pub(super) async fn leave(&self, member: &str, why: &'static str) -> Result<()> {
        let deadline = Instant::now() + self.config.request_timeout;
        let seat = self.coordinator.find(deadline).await?;
        let make = |versions: &Versions| {
            let version = versions.pick::<LeaveGroupRequest>()?;
            let mut request = LeaveGroupRequest {
                group_id: self.coordinator.group().to_string(),
                ..LeaveGroupRequest::default()
            };
            if version >= LEAVE_SEVERAL {
                request.members.push(MemberIdentity {
                    member_id: member.to_owned(),
                    group_instance_id: None,
                    reason: Some(why.to_owned()),
                });
            } else {
                member.clone_into(&mut request.member_id);
            }
            Ok((version, request))
        };
        self.coordinator.ask(&seat, Lane::Quick, deadline, make).await.map(drop)
    }

    /// What an answer says of who coordinates (rule 8.8).
    fn note(&self, code: Code, seat: &Seat) {
        match code {
            Code::NOT_COORDINATOR | Code::COORDINATOR_NOT_AVAILABLE => self.coordinator.lost(seat),
            _ => self.coordinator.served(),
        }
    }

    fn refused(&self, code: Code) -> Error {
        let group = self.coordinator.group();
        let hint = match code {
            Code::INVALID_SESSION_TIMEOUT => {
                "; session.timeout.ms is outside what the broker allows (Kafka 0.9: 6 to 30 s)"
            }
            Code::INCONSISTENT_GROUP_PROTOCOL => {
                "; the other members share no assignor of partition.assignment.strategy with it"
            }
            Code::GROUP_MAX_SIZE_REACHED => "; group.max.size of the broker says how many it takes",
            _ => "",
        };
        let error = Error::new(code, format!("group {group}: {}{hint}", code.text()));
        match code {
            Code::INVALID_SESSION_TIMEOUT => error.with_property("session.timeout.ms"),
            Code::INCONSISTENT_GROUP_PROTOCOL => {
                error.with_property("partition.assignment.strategy")
            }
            Code::INVALID_GROUP_ID => error.with_property("group.id"),
            Code::FENCED_INSTANCE_ID => error.with_property("group.instance.id"),
            _ => error,
        }
    }
}

/// When the answer to a join or a sync is late: others may take the whole rebalance time-out. In version 0
/// the session time-outs of all members serve for it.
fn patience(config: &GroupConfig, now: Instant) -> Instant {
    let longest = config.max_poll_interval.max(config.session_timeout);
    now.checked_add(longest.saturating_add(MORE)).unwrap_or(now + config.request_timeout)
}

/// Whether the sync is about what the join agreed on; below version 5 it does not say (rule 8.21).
fn agrees(version: i16, response: &SyncGroupResponse, protocol: &str) -> bool {
    let (kind, name) = (response.protocol_type.as_deref(), response.protocol_name.as_deref());
    version < SYNC_TYPE || (kind == Some(CONSUMER) && name == Some(protocol))
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self { error, member: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ConsumerConfig};

    #[test]
    fn rule_8_5_a_join_waits_for_the_whole_rebalance_and_five_seconds() {
        let config = ConsumerConfig::from(&Config::new()).expect("the defaults");
        let (mut config, now) = (config.group, Instant::now());
        let mut waits = |max_poll, session| {
            (config.max_poll_interval, config.session_timeout) = (max_poll, session);
            patience(&config, now).duration_since(now)
        };
        let seconds = Duration::from_secs;
        assert_eq!(waits(seconds(300), seconds(45)), seconds(305));
        assert_eq!(waits(seconds(10), seconds(45)), seconds(50), "version 0 has no other time-out");
        let endless = waits(Duration::MAX, seconds(45));
        assert_eq!(endless, config.request_timeout, "what no clock can hold");
    }

    #[test]
    fn rule_8_21_the_name_in_a_sync_counts_from_version_5_on() {
        let says = |kind: Option<&str>, name: Option<&str>| SyncGroupResponse {
            protocol_type: kind.map(str::to_owned),
            protocol_name: name.map(str::to_owned),
            ..SyncGroupResponse::default()
        };
        for version in 0..SYNC_TYPE {
            assert!(
                agrees(version, &says(None, None), "range"),
                "{version}: the name is the join's"
            );
        }
        assert!(agrees(5, &says(Some("consumer"), Some("range")), "range"));
        assert!(!agrees(5, &says(Some("consumer"), Some("sticky")), "range"));
        assert!(!agrees(5, &says(Some("connect"), Some("range")), "range"));
        assert!(!agrees(5, &says(None, None), "range"));
    }
}
