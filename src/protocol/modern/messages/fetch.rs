//! Fetch (key 1): reads record batches, in incremental sessions from version 7 on (KIP-227).

use bytes::Bytes;

use crate::protocol::modern::Uuid;
use crate::protocol::modern::define::{define_api, define_structs};
use crate::protocol::modern::schema::Entity::{BrokerId, ProducerId, TopicName};
use crate::protocol::modern::schema::{between, since};

define_api!(Fetch, versions 0..=18, flexible since 12, FetchRequest => FetchResponse);

define_structs! {
    /// Asks for records of several partitions.
    struct FetchRequest {
        /// The cluster that the client believes to talk to; only followers send it.
        cluster_id: Option<String> = None => since(12).nullable(12).tag(0).ignorable(),
        /// −1 for a consumer.
        replica_id: i32 = -1 => between(0, 14).entity(BrokerId),
        /// The follower that asks.
        replica_state: ReplicaState => since(15).tag(1),
        /// For how long the broker waits for `min_bytes`.
        max_wait_ms: i32 => since(0),
        /// Below this the broker waits.
        min_bytes: i32 => since(0),
        /// The most bytes of records in the response; the first batch may exceed it.
        max_bytes: i32 = i32::MAX => since(3).ignorable(),
        /// 0: all records; 1: only those of committed transactions. See rule 2.8 before asking 1
        /// of a broker below version 4.
        isolation_level: i8 => since(4),
        /// The session, or 0.
        session_id: i32 => since(7).ignorable(),
        /// 0 opens a session, −1 is without, n is the n-th request in it.
        session_epoch: i32 = -1 => since(7).ignorable(),
        /// The partitions; in a session those that are new or changed.
        topics: Vec<FetchTopic> => since(0),
        /// The partitions that leave the session.
        forgotten_topics_data: Vec<ForgottenTopic> => since(7),
        /// The consumer's rack, or empty: the broker may name a nearer replica (KIP-392).
        rack_id: String => since(11).ignorable(),
    }

    /// The follower that asks.
    struct ReplicaState {
        /// Its id.
        replica_id: i32 = -1 => since(15).entity(BrokerId),
        /// Its era.
        replica_epoch: i64 = -1 => since(15),
    }

    /// The partitions of one topic.
    struct FetchTopic {
        /// The topic's name.
        topic: String => between(0, 12).ignorable().entity(TopicName),
        /// The topic's id.
        topic_id: Uuid => since(13).ignorable(),
        /// The partitions.
        partitions: Vec<FetchPartition> => since(0),
    }

    /// From where to read one partition.
    struct FetchPartition {
        /// The partition.
        partition: i32 => since(0),
        /// The leader's era as the client knows it, or −1: the broker refuses another one.
        current_leader_epoch: i32 = -1 => since(9).ignorable(),
        /// The first offset wanted.
        fetch_offset: i64 => since(0),
        /// The era of the last record that was fetched, or −1.
        last_fetched_epoch: i32 = -1 => since(12),
        /// The first offset that the follower has; −1 from consumers.
        log_start_offset: i64 = -1 => since(5).ignorable(),
        /// The most bytes of this partition; the first batch may exceed it from version 3 on.
        partition_max_bytes: i32 => since(0),
        /// The follower's directory.
        replica_directory_id: Uuid => since(17).tag(0).ignorable(),
        /// The high watermark that the follower knows.
        high_watermark: i64 = i64::MAX => since(18).tag(1).ignorable(),
    }

    /// The partitions of one topic that leave the session.
    struct ForgottenTopic {
        /// The topic's name.
        topic: String => between(7, 12).ignorable().entity(TopicName),
        /// The topic's id.
        topic_id: Uuid => since(13).ignorable(),
        /// The partitions.
        partitions: Vec<i32> => since(7),
    }

    /// Records of several partitions.
    struct FetchResponse {
        /// For how long the broker held the request back, or wants the client to wait.
        throttle_time_ms: i32 => since(1).ignorable(),
        /// What went wrong with the whole request, the session for example.
        error_code: i16 => since(7).ignorable(),
        /// The session, or 0.
        session_id: i32 => since(7),
        /// The topics; in a session those with news.
        responses: Vec<FetchableTopicResponse> => since(0),
        /// Where the leaders are that `current_leader` names.
        node_endpoints: Vec<NodeEndpoint> => since(16).tag(0),
    }

    /// The partitions of one topic.
    struct FetchableTopicResponse {
        /// The topic's name.
        topic: String => between(0, 12).ignorable().entity(TopicName),
        /// The topic's id.
        topic_id: Uuid => since(13).ignorable(),
        /// The partitions.
        partitions: Vec<PartitionData> => since(0),
    }

    /// Records of one partition.
    struct PartitionData {
        /// The partition.
        partition_index: i32 => since(0),
        /// What went wrong, or 0.
        error_code: i16 => since(0),
        /// The offset after the last record that all in-sync replicas have.
        high_watermark: i64 => since(0),
        /// The first offset of an open transaction, or the high watermark.
        last_stable_offset: i64 = -1 => since(4).ignorable(),
        /// The first offset that the log still has.
        log_start_offset: i64 = -1 => since(5).ignorable(),
        /// Where the log parts from what the client fetched.
        diverging_epoch: EpochEndOffset => since(12).tag(0),
        /// The leader, if it is another broker (KIP-951).
        current_leader: LeaderIdAndEpoch => since(12).tag(1),
        /// The snapshot to read instead; only in the metadata log.
        snapshot_id: SnapshotId => since(12).tag(2),
        /// The transactions to leave out; null if all records were asked for.
        aborted_transactions: Option<Vec<AbortedTransaction>> = Some(Vec::new())
            => since(4).nullable(4).ignorable(),
        /// The replica to read from, or −1.
        preferred_read_replica: i32 = -1 => since(11).entity(BrokerId),
        /// The record batches, the last one possibly cut short: a slice of the response frame.
        records: Option<Bytes> = None => since(0).nullable(0).records(),
    }

    /// Where an era ends.
    struct EpochEndOffset {
        /// The era.
        epoch: i32 = -1 => since(12),
        /// The offset after its last record.
        end_offset: i64 = -1 => since(12),
    }

    /// A leader and its era.
    struct LeaderIdAndEpoch {
        /// The broker, or −1 if unknown.
        leader_id: i32 = -1 => since(12).entity(BrokerId),
        /// Its era, or −1 if unknown.
        leader_epoch: i32 = -1 => since(12),
    }

    /// A snapshot of the metadata log.
    struct SnapshotId {
        /// The offset after its last record.
        end_offset: i64 = -1 => since(0),
        /// Its era.
        epoch: i32 = -1 => since(0),
    }

    /// A transaction that was aborted.
    struct AbortedTransaction {
        /// The producer.
        producer_id: i64 => since(4).entity(ProducerId),
        /// The first offset of the transaction.
        first_offset: i64 => since(4),
    }

    /// Where a broker is.
    struct NodeEndpoint {
        /// The broker's id.
        node_id: i32 => since(16).entity(BrokerId),
        /// Its host name.
        host: String => since(16),
        /// Its port.
        port: i32 => since(16),
        /// Its rack, if it has one.
        rack: Option<String> = None => since(16).nullable(16),
    }
}
