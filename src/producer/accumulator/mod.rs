//! Records between `send` and the wire: one queue per partition, memory bounded as a whole.

mod batch;
mod budget;
mod builder;
mod duty;
mod fill;
mod ledger;
mod pending;
mod queue;
mod queue_answer;
mod queue_fate;
mod queue_move;
mod queue_order;
mod queue_ready;
mod queue_room;
mod queue_send;
mod queue_share;
mod seal;
mod share;
mod shelves;
mod spares;
mod tokens;

#[cfg(test)]
mod identity_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod queue_tests;
#[cfg(test)]
mod simulation_tests;

#[cfg(test)]
pub(crate) use queue_tests::{test_flight, test_queue};

pub(crate) use batch::Body;
#[cfg(test)]
pub(crate) use budget::Budget;
pub(crate) use budget::Reserved;
pub(crate) use builder::{Builder, Sealed};
pub(crate) use duty::Duty;
pub(crate) use ledger::Ledger;
pub(crate) use pending::Stretch;
pub(crate) use queue::{
    Appended, Arrival, Entrance, LARGEST_OVERHEAD, Leader, Queue, largest_encoding, largest_plain,
    largest_record,
};
pub(crate) use queue_answer::Answer;
pub(crate) use queue_fate::{Purge, Withdrawn};
pub(crate) use queue_send::{Flight, Take, Wanted};
pub(crate) use seal::Seal;
pub(crate) use tokens::Tokens;
