//! The consumer's side of a group: who hears of partitions that come and go, what is committed and
//! when, and whether the application still reads.
//!
//! A membership (`crate::group`) tells its steps from the I/O threads. They wait in [`steps`] until the
//! application can be told, inside a call that polls; [`apply`] is what they do to partitions. The task
//! in [`driver`] moves them on, commits by the clock ([`timed`]) and watches the application
//! ([`liveness`]). What the application still holds is known by [`handed`]: nothing behind that is
//! committed. Everything is decided under the consumer's one lock, without a clock or a wait, and done
//! outside it.

mod apply;
mod commits;
mod committed;
mod driver;
mod front;
mod handed;
mod lease;
mod leave;
mod liveness;
mod part;
mod place;
mod steps;
mod subscribe;
mod timed;

pub(super) use apply::{Membered, Mode, Polled};
pub(super) use committed::start;
pub(super) use handed::{Freed, thread};
pub(super) use part::Part;
pub use part::{MakeMember, Tell};
pub(super) use place::{Books, Place};
pub use steps::Callbacks;
pub(super) use steps::{Routes, Steps};
