//! A background task whose panic is told to somebody.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::task::{AbortHandle, JoinHandle};

use super::panic::panic_error;
use crate::error::Error;
use crate::os::fork::Era;

/// A handle on a background task. Dropping it lets the task go on.
#[derive(Debug)]
pub struct Task {
    /// None for a task that was to be started in a forked child.
    join: Option<JoinHandle<()>>,
    era: Era,
}

impl Task {
    /// Stops the task at its next wait, and drops what it holds; does not wait for that.
    ///
    /// In a forked child nothing is done: the task's thread is not there.
    pub fn abort(&self) {
        if let Some(join) = self.join.as_ref().filter(|_| self.era.is_current()) {
            join.abort();
        }
    }

    /// What stops it as well, for who gives the task away.
    #[must_use]
    pub fn stop(&self) -> Stop {
        Stop { handle: self.join.as_ref().map(JoinHandle::abort_handle), era: self.era }
    }

    /// Whether the task has ended, by itself, by a panic or by [`abort`](Self::abort).
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.join.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

/// Can stop a task that somebody else keeps.
#[derive(Debug)]
pub struct Stop {
    handle: Option<AbortHandle>,
    era: Era,
}

impl Stop {
    /// As [`Task::abort`].
    pub fn abort(&self) {
        if let Some(handle) = self.handle.as_ref().filter(|_| self.era.is_current()) {
            handle.abort();
        }
    }
}

pub(super) fn spawn(
    handle: &tokio::runtime::Handle,
    era: Era,
    name: &'static str,
    on_panic: impl FnOnce(Error) + Send + 'static,
    future: impl Future<Output = ()> + Send + 'static,
) -> Task {
    if !era.is_current() {
        // The parent's runtime: its queue may be locked for ever. And what the future holds must not
        // be dropped: a socket's drop takes it out of the epoll set, which is shared with the parent.
        std::mem::forget((on_panic, future));
        return Task { join: None, era };
    }
    let join = handle.spawn(async move {
        if let Err(payload) = CatchPanic(pin!(future)).await {
            let error = panic_error(&format!("task {name}"), &*payload);
            // What is told about the panic runs waiters' code paths of ours: a second panic there
            // must not take the I/O thread's stack apart. tokio would catch it; so do we, silently.
            let _ = catch_unwind(AssertUnwindSafe(|| on_panic(error)));
        }
    });
    Task { join: Some(join), era }
}

type Payload = Box<dyn std::any::Any + Send>;

struct CatchPanic<'a, F>(Pin<&'a mut F>);

impl<F: Future> Future for CatchPanic<'_, F> {
    type Output = Result<F::Output, Payload>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // After a panic the future is not polled again; what it shared is poisoned by `on_panic`.
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(payload) => Poll::Ready(Err(payload)),
        }
    }
}
