//! One task per broker: it takes finished batches of the partitions that the broker leads and carries
//! them there, several partitions in a request, several requests in flight.

mod answer;
mod call;
mod classify;
mod direct;
mod office;
mod request;
mod task;

pub(crate) use answer::refused;
pub(crate) use call::land;
pub(crate) use classify::Action;
#[cfg(test)]
pub(crate) use classify::classify;
pub(crate) use direct::send_now;
pub(crate) use office::Office;
pub(crate) use task::run;
