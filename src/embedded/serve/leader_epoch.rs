//! OffsetForLeaderEpoch: where the log of an era ends (KIP-101, KIP-320).

use super::{Call, Serve, Served, wire};
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
    let index = asked.partition;
    if let Some((code, _)) = call.verdict.code(topic, index) {
        return Err(Code(code.into()));
    }
    let partition = call.shared.partition(topic, index).map_err(|error| error.code())?;
    let mut state = partition.lock();
    if let Some(to) = call.verdict.leader_move(topic, index) {
        state.move_leader(to);
    }
    let claimed = asked.current_leader_epoch;
    if state.leader != call.broker {
        return Err(Code::NOT_LEADER_OR_FOLLOWER);
    }
    if claimed >= 0 && claimed < state.leader_epoch {
        return Err(Code::FENCED_LEADER_EPOCH);
    }
    if claimed > state.leader_epoch {
        return Err(Code::UNKNOWN_LEADER_EPOCH);
    }
    Ok(state.log.end_of_epoch(asked.leader_epoch).unwrap_or((-1, -1)))
}
