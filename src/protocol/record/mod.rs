//! Record formats: message v0 and v1, record batch v2, compression, checksums.
//!
//! Writing: a [`BatchBuilder`] takes records one by one straight into one growing buffer and seals
//! into a [`SealedBatch`], which is what a Produce request carries.
//!
//! Reading: a [`BatchIter`] cuts a partition's bytes into [`RawBatch`]es, by magic byte and never by
//! request version (invariant 3.1); [`RawBatch::open`] checks and decompresses one into
//! [`Records`], whose records are views ([`RecordSpan`]) into one buffer.
//!
//! Storing: [`assign_offsets`] is what a broker does with a produced payload.
//!
//! Nothing in here waits, reads a clock, or allocates what the input cannot account for.

mod batch_iter;
mod builder;
mod checksum;
mod compression;
mod corrupt;
mod format;
mod header;
mod legacy;
mod legacy_records;
mod memory;
mod plain;
mod raw_batch;
mod records;
mod scratch;
mod sealed;
mod span;
mod store;
mod v2;
mod v2_records;

#[cfg(test)]
mod tests;
mod varint;

pub use batch_iter::BatchIter;
pub use builder::BatchBuilder;
pub use compression::Compression;
pub use format::{Format, TimestampType};
pub use header::{Header, Headers, NewRecord, RawHeaders, read_headers};
pub use memory::{Fresh, Memory};
pub use raw_batch::{ControlMarker, RawBatch};
pub use records::{DecodedBatch, Records};
pub use sealed::SealedBatch;
pub use span::{RecordSpan, Span};
pub use store::{Assignment, StoredBatch, assign_offsets};
pub use v2::BATCH_OVERHEAD;

/// No producer id: the batch is not idempotent.
pub const NO_PRODUCER_ID: i64 = -1;
/// No producer epoch.
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// No sequence number.
pub const NO_SEQUENCE: i32 = -1;
/// No timestamp: what message v0 has, and what a producer may leave out.
pub const NO_TIMESTAMP: i64 = -1;
