//! The one tokio runtime of the process, per fork era.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

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
/// They take no signals, and make no system call while no socket and no timer has work. Besides them
/// tokio may start one thread for name look-ups, which ends after 10 idle seconds.
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
    /// May be called from any thread of the process the runtime was made in.
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
    let name = move || match started.fetch_add(1, Ordering::Relaxed) {
        n if n < io_threads => format!("samsa-io-{n}"),
        _ => "samsa-dns".to_owned(),
    };
    // The workers inherit the blocked mask from here; threads that tokio makes later, on whichever
    // thread that is, block for themselves.
    let built = thread::without_signals(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(io_threads)
            .max_blocking_threads(1)
            .thread_keep_alive(Duration::from_secs(10))
            .thread_name_fn(name)
            .on_thread_start(thread::block_signals)
            .enable_all()
            .build()
    });
    match built {
        Ok(tokio) => Ok(Shared { tokio, io_threads, era: Era::current() }),
        Err(error) => Err(Error::new(
            Code::RUNTIME,
            format!("the I/O threads ({io_threads}) could not be started"),
        )
        .caused_by(error)),
    }
}
