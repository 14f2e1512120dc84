//! The handle that programs and tests hold.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::fault::Fault;
use super::options::Options;
use super::state::{Seat, State};
use super::tree::{Answer, Change, Tree, When};
use crate::embedded::server::{self, Server as Tasks, Which};
use crate::error::{Code, Error, Result};
use crate::os::fork::Era;
use crate::protocol::zookeeper::{CreateMode, ErrorCode};
use crate::runtime::{Runtime, Task};

/// The most servers in one ensemble.
const SERVERS_MAX: usize = 10;

/// An embedded ZooKeeper: one server, or several that serve the same nodes, each on an ephemeral
/// loopback port.
///
/// It runs on the library's process-wide I/O threads. Every method may be called from any thread but
/// those. Dropping it stops it; in a forked child it does nothing.
#[derive(Debug)]
pub struct Server {
    state: Arc<State>,
    tasks: Arc<Tasks>,
    clock: Task,
    /// Held while servers start or stop.
    turn: Mutex<()>,
    era: Era,
}

/// A node as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its data.
    pub data: Vec<u8>,
    /// How often its data changed.
    pub version: i32,
    /// The session that it belongs to, if it is ephemeral.
    pub owner: Option<i64>,
}

impl Server {
    /// Starts one server.
    ///
    /// # Errors
    /// IO when no port can be had; RUNTIME when the I/O threads cannot be started.
    pub fn start() -> Result<Self> {
        Self::start_with(Options::default())
    }

    /// Starts servers.
    ///
    /// # Errors
    /// As [`start`](Self::start); INVALID_ARGUMENT for a number of servers that is not 1 … 10.
    pub fn start_with(options: Options) -> Result<Self> {
        let servers = options.servers;
        if !(1..=SERVERS_MAX).contains(&servers) {
            let why = format!("{servers} servers: give 1 to {SERVERS_MAX}");
            return Err(Error::new(Code::INVALID_ARGUMENT, why));
        }
        let bound = (0..servers).map(|_| server::bind(0)).collect::<Result<Vec<_>>>()?;
        let (listeners, addresses): (Vec<_>, Vec<_>) = bound.into_iter().unzip();
        let state = Arc::new(State::new(options, addresses));
        let told = Arc::clone(&state);
        let on_panic = move |error| server::Host::fail(&*told, error);
        let keeping = Arc::clone(&state).keep_time();
        let clock = Runtime::get(None)?.spawn("embedded zookeeper clock", on_panic, keeping);
        let (tasks, turn, era) = (Arc::default(), Mutex::default(), Era::current());
        let zookeeper = Self { state, tasks, clock, turn, era };
        for (server, listener) in (0_i32..).zip(listeners) {
            zookeeper.tasks.listen(&zookeeper.state, server, listener)?;
        }
        Ok(zookeeper)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes into `zookeeper.connect`: all servers, with commas in between.
    #[must_use]
    pub fn address(&self) -> String {
        let addresses: Vec<String> =
            self.state.seats.iter().map(|seat| seat.address.to_string()).collect();
        addresses.join(",")
    }

    /// The address of one server; INVALID_ARGUMENT for one that there is not.
    pub fn address_of(&self, server: i32) -> Result<SocketAddr> {
        self.state.seat(server).map(|seat| seat.address)
    }

    /// Stops every server and closes every connection; returns when the sockets are closed. The nodes
    /// and sessions stay for [`start_server`](Self::start_server).
    pub fn stop(&self) {
        if !self.era.is_current() {
            return;
        }
        let _turn = self.turn();
        self.state.seats.iter().for_each(|seat| self.state.set_alive(seat, false));
        // The wait is bounded; tasks that do not end in time end later, nothing depends on them.
        let _bounded = self.tasks.end(Which::All);
    }

    /// Stops one server: its port refuses, its connections are closed. Sessions stay, and end in time
    /// unless another server takes them up; while no server runs, none ends.
    pub fn stop_server(&self, server: i32) -> Result<()> {
        self.era.check()?;
        let _turn = self.turn();
        self.state.set_alive(self.state.seat(server)?, false);
        self.tasks.end(Which::Broker(server))
    }

    /// Starts a stopped server again on its old port; does nothing if it runs.
    ///
    /// # Errors
    /// IO if something else took the port meanwhile.
    pub fn start_server(&self, server: i32) -> Result<()> {
        self.era.check()?;
        let _turn = self.turn();
        let seat = self.state.seat(server)?;
        if Seat::is_alive(seat) {
            return Ok(());
        }
        let (listener, _) = server::bind(seat.address.port())?;
        self.state.set_alive(seat, true);
        self.tasks.listen(&self.state, server, listener)
    }

    /// Closes the connections of a session (None: of all); the sessions live on.
    pub fn close_connections(&self, session: Option<i64>) {
        self.state.world().cut_all(session);
    }

    /// Open connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.world().connections()
    }

    /// Lets nothing pass any more between the servers and a session (None: and anybody), as a broken
    /// network does that tells nobody: connections stay open and new ones are taken, without a word. A
    /// session that is not heard of ends in time.
    pub fn silence(&self, session: Option<i64>) {
        self.set_silent(session, true);
    }

    /// Ends a silence (None: every one). What was sent meanwhile is heard now, unless the session has
    /// ended: then its connection does too.
    pub fn speak(&self, session: Option<i64>) {
        self.set_silent(session, false);
    }

    fn set_silent(&self, session: Option<i64>, silent: bool) {
        let mut world = self.state.world();
        match session {
            Some(id) => {
                if let Some(session) = world.sessions.get_mut(&id) {
                    session.silent = silent;
                }
            }
            None => {
                world.silent = silent;
                let sessions = world.sessions.values_mut();
                sessions.filter(|_| !silent).for_each(|session| session.silent = false);
            }
        }
        world.wake_all();
    }

    /// The sessions there are, in the order in which they were opened.
    #[must_use]
    pub fn sessions(&self) -> Vec<i64> {
        self.state.world().sessions.keys().copied().collect()
    }

    /// The server that a session is connected to, if it is.
    #[must_use]
    pub fn server_of(&self, session: i64) -> Option<i32> {
        self.state.world().server_of(session)
    }

    /// Ends a session as if its time were over: its nodes go, its connection is closed.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if there is no such session.
    pub fn expire(&self, session: i64) -> Result<()> {
        let found = self.state.world().end(session);
        self.state.progress.notify_all();
        if found { Ok(()) } else { Err(unknown(session)) }
    }

    /// Ends every session; how many there were.
    pub fn expire_all(&self) -> usize {
        let sessions = self.sessions();
        sessions.into_iter().filter(|session| self.expire(*session).is_ok()).count()
    }

    /// Adds a fault behind those injected before.
    pub fn inject(&self, fault: Fault) {
        self.state.world().faults.push(fault);
    }

    /// Takes every fault back; silences stay.
    pub fn withdraw_all(&self) {
        self.state.world().faults.clear();
    }

    /// A node, if it is there.
    #[must_use]
    pub fn node(&self, path: &str) -> Option<Node> {
        let world = self.state.world();
        let (data, stat) = world.tree.data(path).ok()?;
        let owner = Some(stat.ephemeral_owner).filter(|owner| *owner != 0);
        Some(Node { data: data.to_vec(), version: stat.version, owner })
    }

    /// The names of a node's children, sorted; none if it is not there.
    #[must_use]
    pub fn children(&self, path: &str) -> Vec<String> {
        self.state.world().tree.children(path).map(|(names, _)| names).unwrap_or_default()
    }

    /// How many watches are set.
    #[must_use]
    pub fn watches(&self) -> usize {
        self.state.world().watches.len()
    }

    /// Makes a persistent node and its parents, or changes its data, as an administrator would.
    ///
    /// # Errors
    /// ZOOKEEPER with what a real one refuses with, for what is no path and below ephemeral nodes.
    pub fn ensure(&self, path: &str, data: &[u8]) -> Result<()> {
        let ends = path.char_indices().skip(1).filter(|(_, c)| *c == '/').map(|(at, _)| at);
        let ends: Vec<usize> = ends.collect();
        for parent in ends.into_iter().filter_map(|end| path.get(..end)) {
            if self.node(parent).is_none() {
                self.change(parent, |tree, when| make(tree, parent, b"", when))?;
            }
        }
        self.change(path, |tree, when| match tree.stat(path) {
            Ok(_) => tree.set(path, data, -1, when).map(|(_, changes)| changes),
            Err(_) => make(tree, path, data, when),
        })
    }

    /// Deletes a node, whoever it belongs to.
    ///
    /// # Errors
    /// ZOOKEEPER when it is not there or has children.
    pub fn delete(&self, path: &str) -> Result<()> {
        self.change(path, |tree, when| tree.delete(path, -1, when))
    }

    fn change(
        &self,
        path: &str,
        change: impl FnOnce(&mut Tree, When) -> Answer<Vec<Change>>,
    ) -> Result<()> {
        let mut world = self.state.world();
        let when = world.transaction();
        let changes = change(&mut world.tree, when).map_err(|code| refused(path, code))?;
        world.tell(&changes);
        drop(world);
        self.state.progress.notify_all();
        Ok(())
    }

    /// Waits until something is so; it is looked at after every request, and after every end of a
    /// session or a connection.
    ///
    /// # Errors
    /// TIMED_OUT at the deadline; PANIC if the servers failed.
    pub fn wait_until(&self, deadline: Instant, so: impl Fn(&Self) -> bool) -> Result<()> {
        loop {
            let ticket = self.state.progress.prepare();
            if let Some(error) = self.state.failure.get() {
                return Err(error.clone());
            }
            if so(self) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Error::new(Code::TIMED_OUT, "it did not come to be so"));
            }
            self.state.progress.wait(ticket, Some(deadline));
        }
    }
}

fn make(tree: &mut Tree, path: &str, data: &[u8], when: When) -> Answer<Vec<Change>> {
    tree.create(path, data, CreateMode::Persistent, 0, when).map(|(_, changes)| changes)
}

fn refused(path: &str, code: ErrorCode) -> Error {
    let text = format!("ZooKeeper refused {path}: {} ({})", code.text(), code.0);
    Error::new(Code::ZOOKEEPER, text)
}

fn unknown(session: i64) -> Error {
    Error::new(Code::INVALID_ARGUMENT, format!("there is no session {session:#x}"))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        self.clock.abort();
    }
}
