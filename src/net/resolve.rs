//! From a name to its addresses, on threads of our own.
//!
//! The system's look-up (`getaddrinfo`) waits for as long as it likes, and nobody can end it. So a name
//! that hangs must not delay the others: each is looked up on a short-lived thread, a few at a time, once
//! for all who ask meanwhile, whatever cluster they belong to. The threads are not tokio's, which panics
//! where the system gives none: here that is an error like any other, and the next attempt may do better.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;
use tokio::time::timeout_at;

use crate::config::Address;
use crate::error::{Code, Error, Result};
use crate::os::fork::PerEra;
use crate::os::thread;

/// How many names are looked up at once in the process; further ones wait for one of these.
const THREADS: usize = 4;

/// A child looks up by itself: its parent's threads, and what they would answer, are not there.
static RESOLVER: PerEra<Arc<Resolver>> = PerEra::new();

/// The addresses of a broker, each once, in the system's order; without a thread if the host is an
/// address already.
///
/// `RESOLVE_FAILED` says why there is none: at `deadline` that the name was not resolved in time.
pub(super) async fn resolve(address: &Address, deadline: Instant) -> Result<Vec<SocketAddr>> {
    let made: Result<_, Infallible> =
        RESOLVER.get_or_try_init(|| Ok(Resolver::new(Box::new(OperatingSystem))));
    let Ok(resolver) = made;
    resolver.resolve(address, deadline).await
}

/// What is asked of the operating system; tests answer for it.
trait System: Send + Sync {
    /// The addresses of this host, with any port. May take its time.
    fn look_up(&self, host: &str) -> io::Result<Vec<SocketAddr>>;

    /// Runs `body` on a new thread.
    fn start(&self, body: Box<dyn FnOnce() + Send>) -> io::Result<()>;
}

struct OperatingSystem;

impl System for OperatingSystem {
    fn look_up(&self, host: &str) -> io::Result<Vec<SocketAddr>> {
        (host, 0).to_socket_addrs().map(Iterator::collect)
    }

    fn start(&self, body: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        thread::spawn("samsa-dns", body)
    }
}

/// What came of a look-up.
type Outcome = Result<Vec<SocketAddr>>;

struct Resolver {
    system: Box<dyn System>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    // Those that look up now. A thread ends when nothing waits.
    threads: usize,
    // Names that wait for a thread.
    queue: VecDeque<Arc<str>>,
    // Those that wait or are looked up, and who wants to hear of them.
    asked: HashMap<Arc<str>, watch::Sender<Option<Outcome>>>,
}

impl Resolver {
    fn new(system: Box<dyn System>) -> Arc<Self> {
        Arc::new(Self { system, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn resolve(self: &Arc<Self>, address: &Address, deadline: Instant) -> Outcome {
        let host = &address.host;
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, address.port)]);
        }
        let mut answer = self.ask(host)?;
        let outcome = match timeout_at(deadline.into(), answer.wait_for(Option::is_some)).await {
            Ok(Ok(outcome)) => outcome.clone(),
            Ok(Err(_)) => None,
            Err(_) => return Err(failed(format!("the name {host:?} was not resolved in time"))),
        };
        let found =
            outcome.unwrap_or_else(|| Err(failed(format!("nobody looks {host:?} up any more"))))?;
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for mut found in found {
            found.set_port(address.port);
            if !addresses.contains(&found) {
                addresses.push(found);
            }
        }
        if addresses.is_empty() {
            return Err(failed(format!("the name {host:?} has no address")));
        }
        Ok(addresses)
    }

    /// Where the outcome for this name will be told.
    fn ask(self: &Arc<Self>, host: &str) -> Result<watch::Receiver<Option<Outcome>>> {
        let mut state = self.lock();
        if let Some(asked) = state.asked.get(host) {
            return Ok(asked.subscribe());
        }
        if state.threads < THREADS {
            let resolver = Arc::clone(self);
            match self.system.start(Box::new(move || resolver.serve())) {
                Ok(()) => state.threads += 1,
                Err(cause) if state.threads == 0 => {
                    let text = format!("there is no thread to look the name {host:?} up");
                    return Err(failed(text).caused_by(cause));
                }
                Err(_) => {} // those that run will come to it
            }
        }
        let (sender, answer) = watch::channel(None);
        let host: Arc<str> = Arc::from(host);
        state.asked.insert(Arc::clone(&host), sender);
        state.queue.push_back(host);
        Ok(answer)
    }

    /// A thread: looks up what waits, and ends.
    fn serve(&self) {
        while let Some(host) = self.next() {
            let found = catch_unwind(AssertUnwindSafe(|| self.system.look_up(&host)));
            let found = found.unwrap_or_else(|_| Err(io::Error::other("the look-up panicked")));
            let outcome = found.map_err(|cause| {
                failed(format!("the name {host:?} could not be resolved")).caused_by(cause)
            });
            let asked = self.lock().asked.remove(&host);
            asked.into_iter().for_each(|asked| drop(asked.send_replace(Some(outcome.clone()))));
        }
    }

    /// The next name that somebody still waits for; none, and the thread is no longer counted, when there
    /// is none.
    fn next(&self) -> Option<Arc<str>> {
        let mut state = self.lock();
        while let Some(host) = state.queue.pop_front() {
            if state.asked.get(&host).is_some_and(|asked| asked.receiver_count() > 0) {
                return Some(host);
            }
            state.asked.remove(&host);
        }
        state.threads -= 1;
        None
    }
}

fn failed(text: String) -> Error {
    Error::new(Code::RESOLVE_FAILED, text)
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
