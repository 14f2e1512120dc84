//! The queue and the thread behind all loggers of the process.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use super::{Entry, Level, Shared};
use crate::os::fork::PerEra;
use crate::os::thread;
use crate::os::wait::WaitWord;

static SERVICE: PerEra<Service> = PerEra::new();

#[derive(Default)]
struct Service {
    state: Mutex<State>,
    /// Bumped when something is queued.
    work: WaitWord,
    /// Bumped when something was given to its sink.
    progress: WaitWord,
}

#[derive(Default)]
struct State {
    lines: VecDeque<(Arc<Shared>, Entry)>,
    queued: u64,
    done: u64,
}

/// Queues a line, whose logger has counted it; false when there is no thread to serve it.
pub(super) fn queue(logger: &Arc<Shared>, entry: Entry) -> bool {
    let started = SERVICE.get_or_try_init(|| {
        thread::spawn("samsa-log", serve)?;
        Ok::<_, std::io::Error>(Service::default())
    });
    let Ok(service) = started else { return false };
    {
        let mut state = service.lock();
        state.queued += 1;
        state.lines.push_back((Arc::clone(logger), entry));
    }
    service.work.notify_all();
    true
}

/// Waits until everything queued so far is done, or until the deadline.
pub(super) fn flush(deadline: Option<Instant>) -> bool {
    let Some(service) = SERVICE.get() else { return true };
    let wanted = service.lock().queued;
    loop {
        let ticket = service.progress.prepare();
        if service.lock().done >= wanted {
            return true;
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return false;
        }
        service.progress.wait(ticket, deadline);
    }
}

/// The thread. It starts before the service is published, and waits for that in `get_or_try_init`.
fn serve() {
    let Ok(service) = SERVICE.get_or_try_init(|| Ok::<_, ()>(Service::default())) else { return };
    loop {
        let ticket = service.work.prepare();
        let next = service.lock().lines.pop_front();
        match next {
            Some((logger, entry)) => {
                logger.waiting.fetch_sub(1, Ordering::Relaxed);
                give(&logger, &entry);
                // The last reference may be ours: the sink's drop is user code, outside the lock.
                drop(logger);
                service.lock().done += 1;
                service.progress.notify_all();
            }
            None => service.work.wait(ticket, None),
        }
    }
}

/// A sink that panics is not heard of again: the thread goes on for the others.
fn give(logger: &Shared, entry: &Entry) {
    let Some(sink) = &logger.sink else { return };
    let dropped = logger.dropped.swap(0, Ordering::Relaxed);
    let given = catch_unwind(AssertUnwindSafe(|| {
        if dropped > 0 {
            sink.log(&Entry {
                level: Level::Warn,
                facility: "log",
                message: format!("{dropped} lines were dropped: the log callback is too slow"),
                time: SystemTime::now(),
            });
        }
        sink.log(entry);
    }));
    if given.is_err() {
        logger.level.store(0, Ordering::Relaxed);
    }
}

impl Service {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
