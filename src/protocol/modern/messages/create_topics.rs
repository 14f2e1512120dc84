//! CreateTopics (key 19).

use crate::protocol::modern::Uuid;
use crate::protocol::modern::define::{define_api, define_structs};
use crate::protocol::modern::schema::Entity::{BrokerId, TopicName};
use crate::protocol::modern::schema::since;

define_api!(CreateTopics, versions 0..=7, flexible since 5,
            CreateTopicsRequest => CreateTopicsResponse);

define_structs! {
    /// Asks the controller to create topics.
    struct CreateTopicsRequest {
        /// The topics.
        topics: Vec<CreatableTopic> => since(0),
        /// For how long the controller waits until the topics are there.
        timeout_ms: i32 = 60_000 => since(0),
        /// Whether to check only.
        validate_only: bool => since(1),
    }

    /// A topic to create.
    struct CreatableTopic {
        /// Its name.
        name: String => since(0).entity(TopicName),
        /// Its partitions; −1 if assigned by hand, or (from version 4) as the broker likes.
        num_partitions: i32 => since(0),
        /// Its replicas; −1 if assigned by hand, or (from version 4) as the broker likes.
        replication_factor: i16 => since(0),
        /// Which brokers hold which partition, or empty.
        assignments: Vec<CreatableReplicaAssignment> => since(0),
        /// Its configuration.
        configs: Vec<CreatableTopicConfig> => since(0),
    }

    /// The brokers of one partition.
    struct CreatableReplicaAssignment {
        /// The partition.
        partition_index: i32 => since(0),
        /// The brokers, the preferred leader first.
        broker_ids: Vec<i32> => since(0).entity(BrokerId),
    }

    /// A property of a topic.
    struct CreatableTopicConfig {
        /// Its name.
        name: String => since(0),
        /// Its value.
        value: Option<String> = Some(String::new()) => since(0).nullable(0),
    }

    /// What became of each topic.
    struct CreateTopicsResponse {
        /// For how long the broker held the request back, or wants the client to wait.
        throttle_time_ms: i32 => since(2).ignorable(),
        /// The topics.
        topics: Vec<CreatableTopicResult> => since(0),
    }

    /// What became of one topic.
    struct CreatableTopicResult {
        /// Its name.
        name: String => since(0).entity(TopicName),
        /// Its id.
        topic_id: Uuid => since(7).ignorable(),
        /// What went wrong, or 0.
        error_code: i16 => since(0),
        /// What went wrong, in words.
        error_message: Option<String> = Some(String::new()) => since(1).nullable(0).ignorable(),
        /// Why the configuration is not shown.
        topic_config_error_code: i16 => since(5).tag(0).ignorable(),
        /// Its partitions, or −1.
        num_partitions: i32 = -1 => since(5).ignorable(),
        /// Its replicas, or −1.
        replication_factor: i16 = -1 => since(5).ignorable(),
        /// Its configuration; null if the client may not see it.
        configs: Option<Vec<CreatableTopicConfigs>> = Some(Vec::new())
            => since(5).nullable(5).ignorable(),
    }

    /// A property of a created topic.
    struct CreatableTopicConfigs {
        /// Its name.
        name: String => since(5),
        /// Its value; null if it is a secret.
        value: Option<String> = Some(String::new()) => since(5).nullable(5),
        /// Whether it cannot be changed.
        read_only: bool => since(5),
        /// Where the value comes from.
        config_source: i8 = -1 => since(5).ignorable(),
        /// Whether the value is a secret.
        is_sensitive: bool => since(5),
    }
}
