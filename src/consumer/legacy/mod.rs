//! Consuming from Kafka 0.7: one task a broker, which asks for byte positions, and message sets that
//! are read into the same batches as everything else.
//!
//! What differs from later releases: a broker answers at once, with nothing if there is nothing, so
//! that an idle fetcher pauses longer and longer ([`fetcher`]); an answer may end within a message and
//! may begin within one, when an offset was made up ([`begin`]); only the end of a compressed set is a
//! place to resume at ([`reader`]).

mod arrival;
mod begin;
mod fetcher;
mod idle;
mod plan;
mod reader;
mod sizes;

pub(super) use fetcher::start;
pub(super) use reader::Reader;
