//! OffsetForLeaderEpoch: where the log of an era ends (KIP-101, KIP-320).

use super::{Call, Serve, Served, ask_leader, wire};
use crate::embedded::state::Shared;
use crate::error::Code;
use crate::protocol::modern::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition, OffsetForLeaderTopic, OffsetForLeaderTopicResult,
};

impl Serve for OffsetForLeaderEpochRequest {
    fn names(&self, _: &Shared, topic: Option<&str>, partition: Option<i32>) -> bool {
        let of = |t: &OffsetForLeaderTopic| {
            topic.is_none_or(|wanted| wanted == t.topic)
                && partition.is_none_or(|p| t.partitions.iter().any(|asked| asked.partition == p))
        };
        self.topics.iter().any(of)
    }

    fn serve(self, call: &Call<'_>) -> Served<OffsetForLeaderEpochResponse> {
        let topics = self.topics.iter().map(|topic| {
            let answer = |asked: &OffsetForLeaderPartition| {
                let mut answer =
                    EpochEndOffset { partition: asked.partition, ..EpochEndOffset::default() };
                match look_up(call, &topic.topic, asked) {
                    Ok((epoch, end)) => (answer.leader_epoch, answer.end_offset) = (epoch, end),
                    Err(code) => answer.error_code = wire(code),
                }
                answer
            };
            let partitions = topic.partitions.iter().map(answer).collect();
            OffsetForLeaderTopicResult { topic: topic.topic.clone(), partitions }
        });
        let topics = topics.collect();
        Served::Answer(OffsetForLeaderEpochResponse { topics, ..Default::default() })
    }

    fn throttle(response: &mut OffsetForLeaderEpochResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }
}

fn look_up(
    call: &Call<'_>,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<(i32, i64), Code> {
    ask_leader(call, topic, asked.partition, asked.current_leader_epoch, |state| {
        Ok(state.log.end_of_epoch(asked.leader_epoch).unwrap_or((-1, -1)))
    })
}
