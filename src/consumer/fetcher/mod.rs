//! Fetching: what to ask a broker for ([`plan`]), what its answer means ([`answer`]), and the task
//! that does it ([`task`]).

mod answer;
mod arrival;
mod plan;
mod task;
#[cfg(test)]
mod tests;

pub(super) use task::start;
