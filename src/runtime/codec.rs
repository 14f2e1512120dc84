//! A small bounded pool for compression that no application thread waits for.
//!
//! Threads (`samsa-codec-0` …) are started on first need and then sleep without a tick.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, PoisonError};

use crate::os::fork::PerEra;
use crate::os::thread;

/// Work for the pool.
pub type Job = Box<dyn FnOnce() + Send>;

/// How many jobs may wait; beyond it the caller is told to do the work itself.
const QUEUE: usize = 256;

static POOL: PerEra<Pool> = PerEra::new();

#[derive(Default)]
struct Pool {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

/// Hands `job` to the pool, which grows up to `threads` (`samsa.codec.threads`) while none is idle.
///
/// The job comes back when the queue is full or no thread could be started: then the caller runs it.
/// A job that panics is lost with whatever it held; give it something whose drop tells (such as a
/// [`Sender`](super::Sender)). Never blocks.
pub fn submit(threads: usize, job: Job) -> Result<(), Job> {
    let made: Result<_, std::convert::Infallible> = POOL.get_or_try_init(|| Ok(Pool::default()));
    let Ok(pool) = made;
    pool.submit(threads, job)
}

impl Pool {
    fn submit(&'static self, threads: usize, job: Job) -> Result<(), Job> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.jobs.len() >= QUEUE {
            return Err(job);
        }
        if state.idle <= state.jobs.len() && state.threads < threads.max(1) {
            let name = format!("samsa-codec-{}", state.threads);
            match thread::spawn(&name, || self.serve()) {
                Ok(()) => state.threads += 1,
                Err(_) if state.threads == 0 => return Err(job),
                Err(_) => {} // those that run will come to it
            }
        }
        state.jobs.push_back(job);
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    fn serve(&self) {
        loop {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let job = loop {
                if let Some(job) = state.jobs.pop_front() {
                    break job;
                }
                state.idle += 1;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            };
            drop(state);
            // A job's panic is told by what it drops; the thread serves the others.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use crate::runtime::Completion;
    use std::time::{Duration, Instant};

    #[test]
    fn jobs_run_on_pool_threads_and_a_panic_costs_only_its_own_job() {
        let deadline = Some(Instant::now() + Duration::from_secs(20));
        let (lost, lost_answer) = Completion::<()>::new();
        let job: Job = Box::new(move || {
            let _held = lost;
            std::panic::resume_unwind(Box::new("planted"));
        });
        assert!(submit(1, job).is_ok());
        let (sender, answer) = Completion::new();
        let job: Job = Box::new(move || {
            sender.send(Ok(std::thread::current().name().unwrap_or_default().to_owned()));
        });
        assert!(submit(1, job).is_ok());
        assert_eq!(lost_answer.wait(deadline, None).unwrap_err().code(), Code::ABANDONED);
        assert_eq!(answer.wait(deadline, None).unwrap(), "samsa-codec-0");
    }
}
