//! Where eras of leaders end, asked of a leader (OffsetForLeaderEpoch, KIP-320).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::core::Core;
use crate::error::{Code, Error, Result};
use crate::net::{Connection, Purpose};
use crate::protocol::modern::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};

/// The first version that consumers may ask in: below it the broker wants the rights of a broker.
const FIRST_FOR_CONSUMERS: i16 = 3;

/// An era of one partition whose end is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochQuestion {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The leader epoch that the leader must have, −1 for any.
    pub current_leader_epoch: i32,
    /// The era.
    pub epoch: i32,
}

/// Where the log of an era ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest era of the leader's log that is not above the one asked for; −1 not known.
    pub epoch: i32,
    /// Where it ends: the first offset that is not of it; −1 not known.
    pub offset: i64,
}

impl Core {
    /// See [`super::Cluster::epoch_ends`].
    pub(super) async fn epoch_ends(
        &self,
        leader: i32,
        questions: &[EpochQuestion],
        deadline: Instant,
    ) -> Result<Option<Vec<Result<EpochEnd>>>> {
        let broker = self.broker(leader).ok_or_else(|| {
            let text = format!("the leader, broker {leader}, is not in the metadata");
            Error::new(Code::LEADER_NOT_AVAILABLE, text)
        })?;
        let connection = broker.connection(Purpose::Control, deadline).await?;
        let version = match connection.versions().pick::<OffsetForLeaderEpochRequest>() {
            Ok(version) if version >= FIRST_FOR_CONSUMERS => version,
            _ => return Ok(None),
        };
        let response = connection.request_at(version, &request(questions), deadline).await?;
        let mut found = BTreeMap::new();
        for topic in response.topics {
            for end in topic.partitions {
                found.insert((topic.topic.clone(), end.partition), end);
            }
        }
        let answer = |question: &EpochQuestion| {
            let key = (question.topic.to_string(), question.partition);
            conclude(question, found.get(&key), &connection)
        };
        Ok(Some(questions.iter().map(answer).collect()))
    }
}

fn request(questions: &[EpochQuestion]) -> OffsetForLeaderEpochRequest {
    let mut topics: BTreeMap<&str, Vec<OffsetForLeaderPartition>> = BTreeMap::new();
    for question in questions {
        topics.entry(&question.topic).or_default().push(OffsetForLeaderPartition {
            partition: question.partition,
            current_leader_epoch: question.current_leader_epoch,
            leader_epoch: question.epoch,
        });
    }
    let topic = |(topic, partitions): (&str, _)| OffsetForLeaderTopic {
        topic: topic.to_owned(),
        partitions,
    };
    // −1: a consumer, which sees nothing above the high watermark (6.17).
    OffsetForLeaderEpochRequest { replica_id: -1, topics: topics.into_iter().map(topic).collect() }
}

fn conclude(
    question: &EpochQuestion,
    answer: Option<&EpochEndOffset>,
    connection: &Connection,
) -> Result<EpochEnd> {
    let EpochQuestion { topic, partition, epoch, .. } = question;
    let broker = connection.broker();
    let failed = |code: Code, why: &str| {
        let text = format!(
            "broker {broker} does not say where leader epoch {epoch} of topic {topic}, partition \
             {partition}, ends: {why}"
        );
        Error::new(code, text)
            .with_topic(&**topic)
            .with_partition((*partition).into())
            .with_broker(&**broker)
    };
    let Some(answer) = answer else {
        return Err(failed(Code::PROTOCOL, "the answer leaves the partition out"));
    };
    match Code::from(answer.error_code) {
        Code::NONE => Ok(EpochEnd { epoch: answer.leader_epoch, offset: answer.end_offset }),
        code => Err(failed(code, code.text())),
    }
}
