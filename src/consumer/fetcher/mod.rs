//! Fetching: what to ask a broker for ([`plan`], [`pace`]) and in which words ([`session`]), what its answer
//! means ([`answer`], [`arrival`]), and the task that does it ([`task`]).

mod answer;
mod arrival;
mod pace;
mod plan;
mod session;
mod task;
#[cfg(test)]
mod tests;

pub(super) use answer::{Verdict, classify};
pub(super) use pace::Pace;
pub(super) use plan::{Asked, choose};
pub(super) use task::start;
