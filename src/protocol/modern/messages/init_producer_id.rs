//! InitProducerId (key 22): the identity of an idempotent or transactional producer.

use crate::protocol::modern::define::{define_api, define_structs};
use crate::protocol::modern::schema::Entity::{ProducerId, TransactionalId};
use crate::protocol::modern::schema::since;

define_api!(InitProducerId, versions 0..=6, flexible since 2,
            InitProducerIdRequest => InitProducerIdResponse);

define_structs! {
    /// Asks for a producer id, or for the next epoch of one.
    struct InitProducerIdRequest {
        /// The transactional id; null for an idempotent producer. The default is empty, as in the
        /// official definition, and no broker accepts that: always set it.
        transactional_id: Option<String> = Some(String::new())
            => since(0).nullable(0).entity(TransactionalId),
        /// After which time without a word the broker aborts a transaction.
        transaction_timeout_ms: i32 => since(0),
        /// The id that the producer has, or −1.
        producer_id: i64 = -1 => since(3).entity(ProducerId),
        /// The epoch that the producer has, or −1.
        producer_epoch: i16 = -1 => since(3),
        /// Whether the client takes part in a two-phase commit (KIP-939).
        enable2_pc: bool => since(6),
        /// Whether a prepared transaction is kept (KIP-939).
        keep_prepared_txn: bool => since(6),
    }

    /// The identity.
    struct InitProducerIdResponse {
        /// For how long the broker held the request back, or wants the client to wait.
        throttle_time_ms: i32 => since(0).ignorable(),
        /// What went wrong, or 0.
        error_code: i16 => since(0),
        /// The producer id.
        producer_id: i64 = -1 => since(0).entity(ProducerId),
        /// The epoch.
        producer_epoch: i16 => since(0),
        /// The producer id of the prepared transaction, or −1 (KIP-939).
        ongoing_txn_producer_id: i64 = -1 => since(6).entity(ProducerId),
        /// The epoch of the prepared transaction, or −1 (KIP-939).
        ongoing_txn_producer_epoch: i16 = -1 => since(6),
    }
}
