//! Listeners and connections: which tasks run, and how they are ended.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};

use crate::error::{Code, Error, Result};
use crate::os::{self, wait::WaitWord};
use crate::runtime::{Runtime, Task};

/// How long ended tasks are waited for. They end as soon as an I/O thread is free.
const END: Duration = Duration::from_secs(5);
/// How long accepting pauses when the process has no descriptor left.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
struct Running {
    last: u64,
    listeners: HashMap<u64, (i32, Task)>,
    connections: HashMap<u64, (i32, Task)>,
}

/// What the connections of a cluster talk to.
pub(super) trait Host: Send + Sync + 'static {
    /// Whether a broker takes connections.
    fn is_alive(&self, broker: i32) -> bool;

    /// A task ended by a panic.
    fn fail(&self, error: Error);

    /// Serves a connection until either side closes it.
    fn serve(
        self: Arc<Self>,
        broker: i32,
        number: u64,
        stream: Ended<TcpStream>,
    ) -> impl Future<Output = ()> + Send;
}

/// The tasks of a cluster.
#[derive(Debug, Default)]
pub(super) struct Server {
    running: Mutex<Running>,
    ended: WaitWord,
}

/// Which tasks are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    All,
    Broker(i32),
    Connections(Option<i32>),
}

impl Which {
    fn listener(self, broker: i32) -> bool {
        matches!(self, Self::All) || self == Self::Broker(broker)
    }

    fn connection(self, broker: i32) -> bool {
        self.listener(broker)
            || self == Self::Connections(Some(broker))
            || self == Self::Connections(None)
    }
}

/// A listening socket on loopback; port 0 takes a free one.
pub(super) fn bind(port: u16) -> Result<(std::net::TcpListener, SocketAddr)> {
    let bound = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    bound.map_err(|cause| {
        let why = format!("the embedded broker cannot listen on 127.0.0.1:{port}");
        Error::new(Code::IO, why).caused_by(cause)
    })
}

impl Server {
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts connections for a broker until it is ended.
    pub(super) fn listen<H: Host>(
        self: &Arc<Self>,
        host: &Arc<H>,
        broker: i32,
        listener: std::net::TcpListener,
    ) -> Result<()> {
        let runtime = Runtime::get(None)?;
        let listener = {
            let _inside = runtime.handle().enter();
            Ended(TcpListener::from_std(listener)?)
        };
        let mut running = self.lock();
        let place = self.place(&mut running);
        let (server, host) = (Arc::clone(self), Arc::clone(host));
        let (number, told) = (place.number, Arc::clone(&host));
        let on_panic = move |error| told.fail(error);
        // One capture, so that the socket goes first even if the task never ran: who waits for the
        // place may bind the port again.
        let held = (listener, place);
        let task = runtime.spawn("embedded listener", on_panic, async move {
            let (listener, _place) = held;
            server.accept(runtime, host, broker, listener).await;
        });
        running.listeners.insert(number, (broker, task));
        Ok(())
    }

    async fn accept<H: Host>(
        self: Arc<Self>,
        runtime: Runtime,
        host: Arc<H>,
        broker: i32,
        listener: Ended<TcpListener>,
    ) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.connect(runtime, &host, broker, stream),
                // Out of descriptors, most likely: the next accept would fail the same way at once.
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    fn connect<H: Host>(
        self: &Arc<Self>,
        runtime: Runtime,
        host: &Arc<H>,
        broker: i32,
        stream: TcpStream,
    ) {
        let mut running = self.lock();
        // The listener may have been ended while this connection was accepted.
        if !host.is_alive(broker) {
            return;
        }
        let place = self.place(&mut running);
        let number = place.number;
        let (host, told) = (Arc::clone(host), Arc::clone(host));
        let on_panic = move |error| told.fail(error);
        let held = (Ended(stream), place);
        // Spawned under the lock: the task cannot leave its place before it is in it.
        let task = runtime.spawn("embedded connection", on_panic, async move {
            let (stream, _place) = held;
            host.serve(broker, number, stream).await;
        });
        running.connections.insert(number, (broker, task));
    }

    fn place(self: &Arc<Self>, running: &mut Running) -> Place {
        running.last += 1;
        Place { server: Arc::clone(self), number: running.last }
    }

    /// Open connections of a broker (None: of all).
    pub(super) fn connections(&self, broker: Option<i32>) -> usize {
        let running = self.lock();
        running
            .connections
            .values()
            .filter(|(b, _)| broker.is_none_or(|wanted| wanted == *b))
            .count()
    }

    /// Ends tasks and waits until they have dropped their sockets. Bounded; `TIMED_OUT` if the I/O
    /// threads were busy with something else all the time.
    pub(super) fn end(&self, which: Which) -> Result<()> {
        let deadline = Instant::now() + END;
        // What begins later has a higher number: it was not told to end and is not waited for.
        let last = {
            let running = self.lock();
            let listeners = running.listeners.values().filter(|(b, _)| which.listener(*b));
            let connections = running.connections.values().filter(|(b, _)| which.connection(*b));
            for (_, task) in listeners.chain(connections) {
                task.abort();
            }
            running.last
        };
        let over = || {
            let running = self.lock();
            let old = |number: &u64| *number <= last;
            let listens = running.listeners.iter().any(|(n, (b, _))| old(n) && which.listener(*b));
            let talks =
                running.connections.iter().any(|(n, (b, _))| old(n) && which.connection(*b));
            !listens && !talks
        };
        loop {
            let ticket = self.ended.prepare();
            if over() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let why = format!("tasks of the embedded broker did not end within {END:?}");
                return Err(Error::new(Code::TIMED_OUT, why));
            }
            self.ended.wait(ticket, Some(deadline));
        }
    }
}

/// A socket that ends for everybody when it is dropped, forked children that inherited it included.
#[derive(Debug)]
pub(super) struct Ended<S: AsFd>(S);

impl<S: AsFd> Deref for Ended<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0
    }
}

impl<S: AsFd> DerefMut for Ended<S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.0
    }
}

impl<S: AsFd> Drop for Ended<S> {
    fn drop(&mut self) {
        // It fails where the peer has ended the connection already.
        let _ended = os::net::shutdown(&self.0);
    }
}

/// A task's place among those running; it leaves it however it ends.
struct Place {
    server: Arc<Server>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = self.server.lock();
        running.listeners.remove(&self.number);
        running.connections.remove(&self.number);
        drop(running);
        self.server.ended.notify_all();
    }
}
