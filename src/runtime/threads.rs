//! The one tokio runtime of the process, per fork era.

use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::task::{self, Task};
use crate::error::{Code, Error, Result};
use crate::os::fork::{Era, PerEra};
use crate::os::thread;

/// In a child the parent's runtime is forgotten, never dropped: dropping it waits for threads that
/// are not there. It is also never dropped at exit.
static RUNTIME: PerEra<Shared> = PerEra::new();

/// How many I/O threads `samsa.io.threads` may ask for.
pub(crate) const IO_THREADS_MAX: usize = 64;

#[derive(Debug)]
struct Shared {
    tokio: tokio::runtime::Runtime,
    io_threads: usize,
    era: Era,
}

/// The process-wide I/O threads (`samsa-io-0` …), started on first use; copies are free.
///
/// They take no signals, and make no system call while no socket and no timer has work. Nothing runs on
/// tokio's further threads, which panic where the system gives none: what must wait has threads of ours.
#[derive(Clone, Copy, Debug)]
pub struct Runtime {
    shared: &'static Shared,
}

impl Runtime {
    /// The runtime of this process, started if need be.
    ///
    /// `io_threads` is what was configured explicitly: the first wins (1 when nobody says), and a
    /// different number later is `INVALID_PROPERTY`; `None` takes what is there. `RUNTIME` when the
    /// system gives no thread or descriptor; a later call tries again.
    pub fn get(io_threads: Option<usize>) -> Result<Self> {
        let shared = RUNTIME.get_or_try_init(|| start(io_threads.unwrap_or(1)))?;
        match io_threads {
            Some(wanted) if wanted != shared.io_threads => Err(Error::new(
                Code::INVALID_PROPERTY,
                format!(
                    "samsa.io.threads={wanted}: the I/O threads of this process were started with \
                     {}, and serve every cluster in it; use the same number or leave it out",
                    shared.io_threads
                ),
            )
            .with_property("samsa.io.threads")),
            _ => Ok(Self { shared }),
        }
    }

    /// How many I/O threads there are.
    #[must_use]
    pub fn io_threads(self) -> usize {
        self.shared.io_threads
    }

    /// Starts a background task. If it panics, `on_panic` gets the error (code `PANIC`): whoever waits
    /// for the task must be told there, or would wait for ever.
    ///
    /// May be called from any thread. In a forked child nothing is started, and the future is forgotten
    /// without being dropped.
    pub fn spawn(
        self,
        name: &'static str,
        on_panic: impl FnOnce(Error) + Send + 'static,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Task {
        task::spawn(self.shared.tokio.handle(), self.shared.era, name, on_panic, future)
    }

    /// Tokio's own handle, for what must be made inside the runtime.
    #[must_use]
    pub fn handle(self) -> &'static tokio::runtime::Handle {
        self.shared.tokio.handle()
    }
}

fn start(io_threads: usize) -> Result<Shared> {
    let io_threads = io_threads.clamp(1, IO_THREADS_MAX);
    let started = AtomicUsize::new(0);
    let name = move || format!("samsa-io-{}", started.fetch_add(1, Ordering::Relaxed));
    // The workers inherit the blocked mask from here; threads that tokio makes later, on whichever
    // thread that is, block for themselves.
    let build = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(io_threads)
            .max_blocking_threads(1)
            .thread_name_fn(name)
            .on_thread_start(thread::block_signals)
            .enable_all()
            .build()
    };
    let tokio = built(|| thread::without_signals(build)).map_err(|cause| {
        let text = format!("the I/O threads ({io_threads}) could not be started");
        Error::new(Code::RUNTIME, text).caused_by(cause)
    })?;
    Ok(Shared { tokio, io_threads, era: Era::current() })
}

/// What `build` makes. tokio panics when the system gives it no first thread: no bug of ours, and the
/// next call may have more luck.
fn built<T>(build: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(build)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().map_or("no thread", String::as_str);
        Err(io::Error::other(text.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::fork::tests::in_child;
    use crate::runtime::Completion;
    use std::time::{Duration, Instant};

    fn soon() -> Option<Instant> {
        Some(Instant::now() + Duration::from_secs(60))
    }

    fn ask<T: Send + 'static>(
        runtime: Runtime,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let (sender, answer) = Completion::new();
        runtime.spawn("question", drop, async move { sender.send(Ok(question())) });
        answer.wait(soon(), None)
    }

    #[test]
    fn tasks_run_on_named_threads_and_the_first_number_of_threads_wins() {
        let runtime = Runtime::get(None).unwrap();
        assert_eq!(runtime.io_threads(), 1);
        let name = ask(runtime, || std::thread::current().name().map(str::to_owned)).unwrap();
        assert_eq!(name.as_deref(), Some("samsa-io-0"));
        Runtime::get(Some(1)).expect("the same number is fine");
        let error = Runtime::get(Some(2)).unwrap_err();
        assert_eq!(error.code(), Code::INVALID_PROPERTY);
        assert_eq!(error.property(), Some("samsa.io.threads"));
    }

    #[test]
    fn a_panic_in_a_task_is_told_and_the_thread_goes_on() {
        let runtime = Runtime::get(None).unwrap();
        let (sender, told) = Completion::<()>::new();
        let task = runtime.spawn("planted", move |error| sender.send(Err(error)), async {
            tokio::task::yield_now().await;
            std::panic::resume_unwind(Box::new("injected"));
        });
        let error = told.wait(soon(), None).unwrap_err();
        assert_eq!(error.code(), Code::PANIC);
        assert!(error.message().contains("task planted: injected"), "{error}");
        assert_eq!(ask(runtime, || 1).unwrap(), 1);
        while !task.is_finished() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn an_aborted_task_drops_what_it_holds_and_wakes_who_waits_for_it() {
        let runtime = Runtime::get(None).unwrap();
        let (sender, answer) = Completion::<()>::new();
        let task = runtime.spawn("endless", drop, async move {
            let _held = sender;
            std::future::pending::<()>().await;
        });
        task.abort();
        assert_eq!(answer.wait(soon(), None).unwrap_err().code(), Code::ABANDONED);
    }

    #[test]
    fn timers_and_sockets_work_on_the_one_thread() {
        let runtime = Runtime::get(None).unwrap();
        let (sender, answer) = Completion::new();
        runtime.spawn("socket", drop, async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            sender.send(tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(Error::from));
        });
        answer.wait(soon(), None).unwrap();
        let is_ours = |task: &std::io::Result<std::fs::DirEntry>| {
            let comm = task.as_ref().map(|task| task.path().join("comm")).unwrap();
            std::fs::read_to_string(comm).unwrap_or_default().starts_with("samsa-io")
        };
        // A thread that is being started has its maker's name until it runs.
        let count = || std::fs::read_dir("/proc/self/task").unwrap().filter(is_ours).count();
        let limit = soon().unwrap();
        while count() != 1 {
            assert!(Instant::now() < limit, "{} threads", count());
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_thread_that_the_system_does_not_give_is_an_error_and_no_bug() {
        let text = "OS can't spawn worker thread: Resource temporarily unavailable";
        let panics = || std::panic::resume_unwind(Box::new(text.to_owned()));
        let error = built::<()>(panics).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(built(|| Ok(7)).unwrap(), 7);
    }

    struct DropTells;

    impl Drop for DropTells {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    #[test]
    fn a_child_gets_a_new_runtime_and_leaves_the_parent_s_tasks_alone() {
        let runtime = Runtime::get(None).unwrap();
        let task = runtime.spawn("parent", drop, std::future::pending());
        assert!(in_child(|| {
            task.abort();
            let held = DropTells;
            let never = runtime.spawn("child", drop, async move {
                let _held = held;
            });
            let new = Runtime::get(Some(2)).unwrap();
            never.is_finished() && new.io_threads() == 2 && ask(new, || 7).unwrap() == 7
        }));
        assert!(!task.is_finished(), "the child's abort is not the parent's");
        task.abort();
        assert_eq!(ask(runtime, || 1).unwrap(), 1, "the parent's runtime goes on");
    }
}
