//! The process-wide I/O threads and what application threads wait on.
//!
//! | what | for |
//! |---|---|
//! | [`Runtime`], [`Task`] | tokio, shared by every cluster of the process; tasks whose panics are told |
//! | [`Signal`] | a poll-like handle: waiters, the remembered wake-up, the descriptor, poison |
//! | [`Completion`] | one answer from a task to one application thread |
//! | [`codec`] | threads for compression that no application thread waits for |
//! | [`deadline()`] | `timeout_ms` of the C API as an absolute instant |
//!
//! Application threads never enter tokio: they wait on a futex, tasks notify it.

pub mod codec;
mod completion;
mod deadline;
mod panic;
mod signal;
mod task;
mod threads;
mod wakeups;

pub use completion::{Completion, Sender};
pub use deadline::{deadline, far};
#[cfg(feature = "panic-injection")]
pub use panic::{arm_panic, disarm_panics};
pub use panic::{inject_panic, panic_error};
pub use signal::Signal;
pub use task::{Stop, Task};
pub use threads::Runtime;
