//! DeleteTopics (key 20).

use crate::protocol::modern::Uuid;
use crate::protocol::modern::define::{define_api, define_structs};
use crate::protocol::modern::schema::Entity::TopicName;
use crate::protocol::modern::schema::{between, since};

define_api!(DeleteTopics, versions 0..=6, flexible since 4,
            DeleteTopicsRequest => DeleteTopicsResponse);

define_structs! {
    /// Asks the controller to delete topics.
    struct DeleteTopicsRequest {
        /// The topics, by name or by id.
        topics: Vec<DeleteTopicState> => since(6),
        /// The topics, by name.
        topic_names: Vec<String> => between(0, 5).ignorable().entity(TopicName),
        /// For how long the controller waits until the topics are gone.
        timeout_ms: i32 => since(0),
    }

    /// A topic to delete.
    struct DeleteTopicState {
        /// Its name; null if it is named by its id.
        name: Option<String> = None => since(6).nullable(6).entity(TopicName),
        /// Its id; zero if it is named by its name.
        topic_id: Uuid => since(6),
    }

    /// What became of each topic.
    struct DeleteTopicsResponse {
        /// For how long the broker held the request back, or wants the client to wait.
        throttle_time_ms: i32 => since(1).ignorable(),
        /// The topics.
        responses: Vec<DeletableTopicResult> => since(0),
    }

    /// What became of one topic.
    struct DeletableTopicResult {
        /// Its name; null if it was asked by an id that is unknown.
        name: Option<String> = Some(String::new()) => since(0).nullable(6).entity(TopicName),
        /// Its id.
        topic_id: Uuid => since(6).ignorable(),
        /// What went wrong, or 0.
        error_code: i16 => since(0),
        /// What went wrong, in words.
        error_message: Option<String> = None => since(5).nullable(5).ignorable(),
    }
}
