//! CreateTopics and DeleteTopics.

use super::{Call, Serve, Served, wire};
use crate::embedded::options::TopicSpec;
use crate::embedded::state::Shared;
use crate::embedded::topics::check;
use crate::error::{Code, Error, Result};
use crate::protocol::modern::Uuid;
use crate::protocol::modern::messages::create_topics::{
    CreatableTopic, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};
use crate::protocol::modern::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};

impl Serve for CreateTopicsRequest {
    fn names(&self, _: &Shared, topic: Option<&str>, partition: Option<i32>) -> bool {
        let of = |t: &CreatableTopic| topic.is_none_or(|wanted| wanted == t.name);
        partition.is_none() && self.topics.iter().any(of)
    }

    fn serve(self, call: &Call<'_>) -> Served<CreateTopicsResponse> {
        let validate_only = self.validate_only;
        let topics = self.topics.iter().map(|t| result(t, call, validate_only)).collect();
        Served::Answer(CreateTopicsResponse { topics, ..CreateTopicsResponse::default() })
    }

    fn throttle(response: &mut CreateTopicsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }
}

fn result(topic: &CreatableTopic, call: &Call<'_>, validate_only: bool) -> CreatableTopicResult {
    let fault = call.verdict.topic_code(&topic.name);
    let made = match fault {
        Some((_, false)) => Ok(Uuid::ZERO),
        _ => create(topic, call.shared, validate_only),
    };
    let code = made.as_ref().err().map_or(0, |error| wire(error.code()));
    CreatableTopicResult {
        name: topic.name.clone(),
        topic_id: made.as_ref().ok().copied().unwrap_or(Uuid::ZERO),
        error_code: fault.map_or(code, |(code, _)| code),
        error_message: made.err().map(|error| error.message()),
        ..CreatableTopicResult::default()
    }
}

fn create(topic: &CreatableTopic, shared: &Shared, validate_only: bool) -> Result<Uuid> {
    let spec = specify(topic, shared)?;
    if !validate_only {
        return shared.create_topic(&spec).map(|made| made.id);
    }
    check(&spec, &shared.options())?;
    match shared.topic(&spec.name) {
        Ok(_) => Err(Error::bare(Code::TOPIC_ALREADY_EXISTS)),
        Err(_) => Ok(Uuid::ZERO),
    }
}

fn specify(topic: &CreatableTopic, shared: &Shared) -> Result<TopicSpec> {
    let mut spec = match topic.num_partitions {
        -1 => TopicSpec::new(&topic.name, shared.options().default_partitions),
        partitions => TopicSpec::new(&topic.name, partitions),
    };
    let mut assigned: Vec<_> = topic.assignments.iter().collect();
    assigned.sort_by_key(|a| a.partition_index);
    spec.assignment = assigned.into_iter().map(|a| a.broker_ids.clone()).collect();
    spec.replication_factor = Some(topic.replication_factor).filter(|factor| *factor != -1);
    for config in &topic.configs {
        let value = config.value.as_deref().unwrap_or("");
        spec.set(&config.name, value)?;
    }
    Ok(spec)
}

impl Serve for DeleteTopicsRequest {
    fn names(&self, shared: &Shared, topic: Option<&str>, partition: Option<i32>) -> bool {
        let named = self.topic_names.iter().any(|t| topic.is_none_or(|wanted| wanted == t));
        let of = |t: &DeleteTopicState| {
            super::is_topic(shared, topic, t.name.as_deref().unwrap_or(""), t.topic_id)
        };
        partition.is_none() && (named || self.topics.iter().any(of))
    }

    fn serve(self, call: &Call<'_>) -> Served<DeleteTopicsResponse> {
        let by_name = |name: String| DeleteTopicState { name: Some(name), ..Default::default() };
        let asked = self.topics.into_iter().chain(self.topic_names.into_iter().map(by_name));
        let responses = asked.map(|topic| delete(topic, call)).collect();
        Served::Answer(DeleteTopicsResponse { responses, ..DeleteTopicsResponse::default() })
    }

    fn throttle(response: &mut DeleteTopicsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }
}

fn delete(asked: DeleteTopicState, call: &Call<'_>) -> DeletableTopicResult {
    let found = match &asked.name {
        Some(name) => call.shared.topic(name).map_err(|error| error.code()),
        None => super::resolve(call.shared, true, "", asked.topic_id),
    };
    let name = found.as_ref().ok().map(|topic| topic.name.clone()).or(asked.name);
    let fault = name.as_deref().and_then(|name| call.verdict.topic_code(name));
    let applied = fault.is_none_or(|(_, applied)| applied);
    let code = match &found {
        Ok(topic) if applied => {
            call.shared.delete_topic(&topic.name).err().map_or(0, |error| wire(error.code()))
        }
        Ok(_) => 0,
        Err(code) => wire(*code),
    };
    DeletableTopicResult {
        topic_id: match found {
            Ok(topic) if call.version >= 6 => topic.id,
            _ => asked.topic_id,
        },
        name,
        error_code: fault.map_or(code, |(code, _)| code),
        ..DeletableTopicResult::default()
    }
}
