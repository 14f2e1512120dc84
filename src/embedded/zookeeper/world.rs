//! All that the servers know, behind one lock: nodes, watches, sessions, connections. Whoever changes
//! it queues what the others are to be told, before the answer to who asked.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::Notify;

use super::fault::{Fault, FaultKind};
use super::tree::{Change, Tree, When};
use super::watches::Watches;
use crate::protocol::zookeeper::{EventKind, OpCode, Writer, xid};

/// `SyncConnected`, which events carry.
const CONNECTED: i32 = 3;

/// A session. It outlives its connections.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) password: [u8; 16],
    pub(super) timeout: Duration,
    /// When anything was heard of it.
    pub(super) heard: Instant,
    /// The connection that serves it.
    pub(super) connection: Option<u64>,
    /// Whether nothing passes between it and the servers.
    pub(super) silent: bool,
}

/// A connection as the others see it.
#[derive(Debug, Default)]
struct Peer {
    server: i32,
    /// None before the first words.
    session: Option<i64>,
    /// Frames to be written.
    out: Vec<u8>,
    /// Whether it ends when `out` is written.
    closing: bool,
    wake: Arc<Notify>,
}

/// What a connection has to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pending {
    /// Nothing, not even read, until it is woken.
    Silence,
    Write(Vec<u8>),
    Close,
    /// Read.
    Nothing,
}

#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) tree: Tree,
    pub(super) watches: Watches,
    pub(super) sessions: BTreeMap<i64, Session>,
    connections: HashMap<u64, Peer>,
    /// The newest transaction.
    pub(super) zxid: i64,
    pub(super) faults: Vec<Fault>,
    /// Whether the servers are silent to everybody.
    pub(super) silent: bool,
    last_session: i64,
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl World {
    /// The next transaction.
    pub(super) fn transaction(&mut self) -> When {
        self.zxid += 1;
        When { zxid: self.zxid, ms: now_ms() }
    }

    /// The newest session; another one is there when it changes.
    pub(super) fn last_session(&self) -> i64 {
        self.last_session
    }

    pub(super) fn enter(&mut self, server: i32, connection: u64) -> Arc<Notify> {
        let peer = Peer { server, ..Peer::default() };
        let wake = Arc::clone(&peer.wake);
        self.connections.insert(connection, peer);
        wake
    }

    pub(super) fn leave(&mut self, connection: u64) {
        self.watches.forget(connection);
        let session = self.connections.remove(&connection).and_then(|peer| peer.session);
        if let Some(session) = session.and_then(|id| self.sessions.get_mut(&id))
            && session.connection == Some(connection)
        {
            session.connection = None;
        }
    }

    pub(super) fn pending(&mut self, connection: u64) -> Pending {
        let Some(peer) = self.connections.get_mut(&connection) else { return Pending::Close };
        let session = peer.session.and_then(|id| self.sessions.get(&id));
        if self.silent || session.is_some_and(|session| session.silent) {
            return Pending::Silence;
        }
        match (peer.out.is_empty(), peer.closing) {
            (false, _) => Pending::Write(std::mem::take(&mut peer.out)),
            (true, true) => Pending::Close,
            (true, false) => Pending::Nothing,
        }
    }

    /// The session of a connection, which is heard of by this.
    pub(super) fn session_of(&mut self, connection: u64) -> Option<i64> {
        let id = self.connections.get(&connection)?.session?;
        if let Some(session) = self.sessions.get_mut(&id) {
            session.heard = Instant::now();
        }
        Some(id)
    }

    pub(super) fn push(&mut self, connection: u64, frame: &[u8]) {
        if let Some(peer) = self.connections.get_mut(&connection) {
            peer.out.extend_from_slice(frame);
            peer.wake.notify_one();
        }
    }

    /// Ends a connection when what waits for it is written.
    pub(super) fn close(&mut self, connection: u64) {
        if let Some(peer) = self.connections.get_mut(&connection) {
            peer.closing = true;
            peer.wake.notify_one();
        }
    }

    /// Ends a connection; what waits for it is lost.
    pub(super) fn cut(&mut self, connection: u64) {
        if let Some(peer) = self.connections.get_mut(&connection) {
            peer.out.clear();
        }
        self.close(connection);
    }

    /// Opens a session on a connection.
    pub(super) fn open(
        &mut self,
        connection: u64,
        wished: Duration,
        granted: &RangeInclusive<Duration>,
    ) -> i64 {
        self.transaction();
        let random = RandomState::new();
        let mut password = [0; 16];
        password[..8].copy_from_slice(&random.hash_one(0).to_be_bytes());
        password[8..].copy_from_slice(&random.hash_one(1).to_be_bytes());
        // As the real ones: the server's number, the time, a counter.
        let first = (1 << 56) | ((now_ms() & 0xff_ffff_ffff) << 16);
        self.last_session = self.last_session.max(first) + 1;
        let id = self.last_session;
        let (timeout, heard) = (wished, Instant::now());
        let session = Session { password, timeout, heard, connection: None, silent: false };
        self.sessions.insert(id, session);
        self.attach(connection, id, wished, granted);
        id
    }

    /// Lets a connection serve a session; the one that did before ends.
    pub(super) fn attach(
        &mut self,
        connection: u64,
        id: i64,
        wished: Duration,
        granted: &RangeInclusive<Duration>,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.timeout = wished.clamp(*granted.start(), *granted.end());
        session.heard = Instant::now();
        let before = session.connection.replace(connection);
        if let Some(peer) = self.connections.get_mut(&connection) {
            peer.session = Some(id);
        }
        if let Some(before) = before.filter(|before| *before != connection) {
            self.close(before);
        }
    }

    /// Ends a session: its nodes go, its connection ends. False if there is none.
    pub(super) fn end(&mut self, id: i64) -> bool {
        let Some(session) = self.sessions.remove(&id) else { return false };
        let when = self.transaction();
        // Who ends is told of nothing more.
        if let Some(connection) = session.connection {
            self.watches.forget(connection);
        }
        let changes = self.tree.delete_all_of(id, when);
        self.tell(&changes);
        if let Some(connection) = session.connection {
            self.close(connection);
        }
        true
    }

    /// Ends the sessions that were silent for too long; when the next one will have been.
    pub(super) fn end_overdue(&mut self, now: Instant) -> Option<Instant> {
        let due = |session: &Session| session.heard + session.timeout;
        let overdue = self.sessions.iter().filter(|(_, session)| due(session) <= now);
        let overdue: Vec<i64> = overdue.map(|(id, _)| *id).collect();
        for id in overdue {
            self.end(id);
        }
        self.sessions.values().map(due).min()
    }

    /// Fires the watches of these changes.
    pub(super) fn tell(&mut self, changes: &[Change]) {
        for change in changes {
            for connection in self.watches.fire(change) {
                self.push(connection, &event(change));
            }
        }
    }

    /// What a fault says to do with a request.
    pub(super) fn fault(&mut self, op: OpCode, path: &str, session: i64) -> Option<FaultKind> {
        let met = self.faults.iter_mut().find_map(|fault| {
            let kind = fault.kind;
            fault.meets(op, path, session).then_some(kind)
        });
        self.faults.retain(|fault| fault.times > 0);
        met
    }

    /// Closes connections: of a session, of a server, or all; what waits for them is lost.
    pub(super) fn cut_all(&mut self, session: Option<i64>) {
        let meant = |peer: &Peer| session.is_none_or(|id| peer.session == Some(id));
        let numbers = self.connections.iter().filter(|(_, peer)| meant(peer));
        let numbers: Vec<u64> = numbers.map(|(number, _)| *number).collect();
        for number in numbers {
            self.cut(number);
        }
    }

    pub(super) fn wake_all(&self) {
        self.connections.values().for_each(|peer| peer.wake.notify_one());
    }

    /// How many connections there are.
    pub(super) fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Which server serves a session now.
    pub(super) fn server_of(&self, session: i64) -> Option<i32> {
        let connection = self.sessions.get(&session)?.connection?;
        self.connections.get(&connection).map(|peer| peer.server)
    }
}

/// An event's frame.
pub(super) fn event((kind, path): &Change) -> Bytes {
    let number = match kind {
        EventKind::Created => 1,
        EventKind::Deleted => 2,
        EventKind::DataChanged => 3,
        EventKind::ChildrenChanged => 4,
    };
    frame(xid::EVENT, -1, 0, |w| {
        w.int(number);
        w.int(CONNECTED);
        text(w, path);
    })
}

/// A frame with the header of an answer.
pub(super) fn frame(xid: i32, zxid: i64, error: i32, body: impl FnOnce(&mut Writer)) -> Bytes {
    let mut w = Writer::new();
    w.int(xid);
    w.long(zxid);
    w.int(error);
    body(&mut w);
    framed(&w.finish())
}

/// Bytes with their length in front.
pub(super) fn framed(body: &[u8]) -> Bytes {
    let mut w = Writer::new();
    // Only what is longer than 2³¹−1 is refused, and nothing here comes near it.
    let _short = w.buffer(body);
    w.finish()
}

/// Appends text, of which none here is too long.
pub(super) fn text(w: &mut Writer, text: &str) {
    let _short = w.string(text);
}
