//! Idempotence: producer id, epoch, sequences (invariants, section 5).
//!
//! A producer has one id, looked up once and shared by its partitions ([`Identity`], asked for by
//! [`look_up`]). Each partition keeps its own [`Books`]: the epoch in force there, the next sequence
//! number, and what is doubtful. A broker keeps epoch and sequences per partition too, so that a
//! partition which has to begin anew takes its own next epoch and no other partition notices: nobody
//! else's batch is ever stamped again, which is what invariants 5.7 and 5.9 are about.

mod books;
mod look_up;
mod sequence;
mod shared;
mod verdict;

pub(crate) use books::Books;
pub(crate) use look_up::run;
#[cfg(test)]
pub(crate) use sequence::Era;
pub(crate) use sequence::Stamp;
pub(crate) use shared::{GIVES_WAY, Identity, Standing};
pub(crate) use verdict::{Case, Verdict, Why, judge};

/// How many batches of one partition may be in flight: as many as a broker remembers of a producer,
/// so that it recognises each of them when it is sent again (invariant 5.3).
pub(crate) const BATCHES_IN_FLIGHT: usize = 5;
