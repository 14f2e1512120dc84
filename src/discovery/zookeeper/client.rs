//! The handles: a client that always has a session or opens one, and the session that it has now.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout_at;

use super::inflight::Request;
use super::task::{Board, Task};
use super::watches::Watcher;
use super::{Failure, Phase, Settings, Status};
use crate::config::Ensemble;
use crate::error::{Code, Error};
use crate::log::Logger;
use crate::os::fork::Era;
use crate::protocol::zookeeper::{
    self as wire, Acl, Create, CreateMode, Delete, ErrorCode, Exists, GetChildren, GetData, Reader,
    SetData, Stat, Writer,
};
use crate::runtime::Runtime;

/// How often in a row a node may be there and not there before a claim gives way.
const CLAIM_GLIMPSES: u32 = 3;

/// The result of a request.
pub type Outcome<T> = std::result::Result<T, Failure>;

/// How many requests may wait to be taken by the session's task.
const MAIL: usize = 64;

/// The largest request: servers refuse more by default.
const LARGEST: usize = 1 << 20;

/// A client of a ZooKeeper: one session, kept over any number of connections and servers; when it has
/// expired, a new one. Copies share it; dropping the last one closes it without waiting.
///
/// In a forked child every call fails with `FORKED`.
#[derive(Clone, Debug)]
pub struct ZooKeeper {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    board: Arc<Board>,
    mail: mpsc::Sender<Request>,
    closing: watch::Sender<Option<Instant>>,
    era: Era,
}

impl Drop for Shared {
    fn drop(&mut self) {
        if !self.era.is_current() {
            // In a forked child: dropping a sender wakes a task of the parent's runtime. What the clones
            // keep alive is never freed there.
            std::mem::forget((self.mail.clone(), self.closing.clone(), Arc::clone(&self.board)));
        }
    }
}

impl ZooKeeper {
    /// Starts a client; does not wait. Servers are tried one after the other until one serves.
    #[must_use]
    pub fn start(settings: Settings, runtime: Runtime, logger: &Logger) -> Self {
        let board = Arc::new(Board::new(settings.session_timeout));
        let (mail, received) = mpsc::channel(MAIL);
        let (closing, closes) = watch::channel(None);
        let task = Task::new(settings.clone(), logger.clone(), Arc::clone(&board), received);
        let told = Arc::clone(&board);
        runtime.spawn("zookeeper", move |panic| told.end(&panic), task.run(closes));
        Self { shared: Arc::new(Shared { settings, board, mail, closing, era: Era::current() }) }
    }

    /// Where the session stands, and each change of it: "suspended", "connected", "expired" (the number
    /// grows), "ended".
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.shared.board.status.subscribe()
    }

    /// The session that a server serves now; waits for one.
    ///
    /// `TIMED_OUT` at `deadline` with what keeps it from being there; `CLOSED`; the refusal of
    /// `samsa.zookeeper.auth`.
    pub async fn session(&self, deadline: Instant) -> Outcome<Session> {
        self.shared.era.check()?;
        let begun = Instant::now();
        let mut status = self.status();
        let settled =
            |status: &Status| !matches!(status.phase, Phase::Connecting | Phase::Suspended);
        let found = timeout_at(deadline.into(), status.wait_for(settled)).await;
        match found {
            Ok(Ok(status)) => match &status.phase {
                Phase::Ended(error) => Err(Failure::Other(error.clone())),
                _ => {
                    let (number, id, timeout) = (status.session, status.id, status.timeout);
                    Ok(Session { shared: Arc::clone(&self.shared), number, id, timeout })
                }
            },
            // The sender lives as long as this handle.
            Ok(Err(_)) => Err(Failure::Other(Error::bare(Code::CLOSED))),
            Err(_) => Err(Failure::Other(self.shared.out_of_time("no session", begun))),
        }
    }

    /// When the newest request was sent that a server has answered: the session lives at least until
    /// its time-out after that, and nobody may count on it for longer (rule 10.6).
    #[must_use]
    pub fn confirmed(&self) -> Instant {
        self.shared.board.confirmed()
    }

    /// The same, and each change of it. The first answer to a new session comes after the change of
    /// [`status`](Self::status) that tells of it.
    #[must_use]
    pub fn confirmations(&self) -> watch::Receiver<Instant> {
        self.shared.board.confirmed.subscribe()
    }

    /// Asks for the end of the session: its nodes go at once if a server hears of it before `deadline`,
    /// else after the time-out. Does not wait; see [`closed`](Self::closed).
    pub fn close(&self, deadline: Instant) {
        if self.shared.era.is_current() {
            self.shared.closing.send_if_modified(|closing| closing.replace(deadline).is_none());
        }
    }

    /// Waits until the session is over: after [`close`](Self::close) until its deadline at most. Whether
    /// it is over at the servers too, as far as they said: else it and its nodes last for its time-out.
    pub async fn closed(&self) -> bool {
        let mut status = self.status();
        let _ = status.wait_for(|status| matches!(status.phase, Phase::Ended(_))).await;
        !self.shared.board.is_left_open()
    }
}

impl Shared {
    fn out_of_time(&self, what: &str, begun: Instant) -> Error {
        let ms = begun.elapsed().as_millis();
        let text = format!("{what} from ZooKeeper {} within {ms} ms", self.settings.ensemble);
        let error = Error::new(Code::TIMED_OUT, text);
        let trouble = self.board.status.borrow().trouble.clone();
        trouble.map_or(error.clone(), |cause| error.caused_by(cause))
    }

    fn ended(&self) -> Failure {
        match &self.board.status.borrow().phase {
            Phase::Ended(error) => Failure::Other(error.clone()),
            _ => Failure::Other(Error::new(Code::CLOSED, "the ZooKeeper session is closed")),
        }
    }
}

/// What a node that somebody wants to own is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is this session's.
    Mine,
    /// Another session owns it, or none does (a persistent node).
    Held {
        /// The session that owns it; 0: none.
        owner: i64,
        /// What stands in it.
        data: Bytes,
    },
}

/// One session of a client. Everything asked of it fails with [`Failure::Expired`] once the session is
/// over, also when the client has a new one by then: nothing slips from one session into the next.
///
/// While the connection is lost, requests wait for the next one, until their deadline. Paths are
/// relative to the chroot.
#[derive(Clone, Debug)]
pub struct Session {
    shared: Arc<Shared>,
    number: u64,
    id: i64,
    timeout: Duration,
}

impl Session {
    /// Its number in its client: compare with [`Status::session`].
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its id at the servers: the `ephemeral_owner` of its nodes.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.id
    }

    /// The servers and the chroot.
    pub(crate) fn ensemble(&self) -> &Ensemble {
        &self.shared.settings.ensemble
    }

    /// The time-out that the servers granted.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Makes a node, open to everybody; gives its path, which of a sequential one has a number.
    ///
    /// Refusals: `NODE_EXISTS`, `NO_NODE` (the parent). After [`Failure::Lost`] it may be there.
    pub async fn create(
        &self,
        path: &str,
        data: &[u8],
        mode: CreateMode,
        deadline: Instant,
    ) -> Outcome<String> {
        let full = self.full(path)?;
        let acl = Acl::open();
        let request = Create { path: &full, data, acl: &acl, mode };
        let created = self.ask(&request, path, None, deadline).await?;
        Ok(self.shared.settings.shown(&created).to_owned())
    }

    /// Makes a persistent node and its parents, as far as they are missing. (The chroot is not made.)
    pub async fn ensure(&self, path: &str, deadline: Instant) -> Outcome<()> {
        let ends = path.char_indices().skip(1).filter(|(_, c)| *c == '/').map(|(at, _)| at);
        for end in ends.chain([path.len()]) {
            let node = path.get(..end).unwrap_or(path);
            loop {
                match self.create(node, b"", CreateMode::Persistent, deadline).await {
                    // Doing it twice is as good as once.
                    Err(Failure::Lost(_)) => {}
                    Err(failure) if !failure.is(ErrorCode::NODE_EXISTS) => return Err(failure),
                    _ => break,
                }
            }
        }
        Ok(())
    }

    /// Makes an ephemeral node, unless somebody else holds it. A node that is there already and belongs
    /// to this very session is ours: the answer to its creation was lost (rule 10.5). One that is there
    /// whenever it is to be made and gone whenever it is looked at, because others claim it and let it go
    /// again, counts as held, by nobody in particular (owner 0, no data): who claims it comes back later.
    pub async fn claim(&self, path: &str, data: &[u8], deadline: Instant) -> Outcome<Claim> {
        let mut glimpses = 0;
        while glimpses < CLAIM_GLIMPSES {
            match self.create(path, data, CreateMode::Ephemeral, deadline).await {
                Ok(_) => return Ok(Claim::Mine),
                Err(Failure::Lost(_)) => continue,
                Err(failure) if !failure.is(ErrorCode::NODE_EXISTS) => return Err(failure),
                Err(_) => {}
            }
            match self.get(path, None, deadline).await {
                Ok((_, stat)) if stat.ephemeral_owner == self.id => return Ok(Claim::Mine),
                Ok((data, stat)) => {
                    return Ok(Claim::Held { owner: stat.ephemeral_owner, data });
                }
                // It went in between.
                Err(failure) if failure.is_no_node() => glimpses += 1,
                Err(failure) => return Err(failure),
            }
        }
        Ok(Claim::Held { owner: 0, data: Bytes::new() })
    }

    /// Deletes a node, only in this version (−1: in any).
    ///
    /// Refusals: `NO_NODE`, `BAD_VERSION`, `NOT_EMPTY`.
    pub async fn delete(&self, path: &str, version: i32, deadline: Instant) -> Outcome<()> {
        let full = self.full(path)?;
        self.ask(&Delete { path: &full, version }, path, None, deadline).await
    }

    /// Whether a node is there; the watcher hears when it comes, changes or goes.
    pub async fn exists(
        &self,
        path: &str,
        watcher: Option<&Watcher>,
        deadline: Instant,
    ) -> Outcome<Option<Stat>> {
        let full = self.full(path)?;
        let request = Exists { path: &full, watch: watcher.is_some() };
        match self.ask(&request, path, watcher, deadline).await {
            Err(failure) if failure.is_no_node() => Ok(None),
            outcome => outcome.map(Some),
        }
    }

    /// A node's data; the watcher hears when it changes or goes, from this read on (rule 10.8).
    pub async fn get(
        &self,
        path: &str,
        watcher: Option<&Watcher>,
        deadline: Instant,
    ) -> Outcome<(Bytes, Stat)> {
        let full = self.full(path)?;
        let request = GetData { path: &full, watch: watcher.is_some() };
        self.ask(&request, path, watcher, deadline).await
    }

    /// Changes a node's data, only in this version (−1: in any).
    pub async fn set(
        &self,
        path: &str,
        data: &[u8],
        version: i32,
        deadline: Instant,
    ) -> Outcome<Stat> {
        let full = self.full(path)?;
        self.ask(&SetData { path: &full, data, version }, path, None, deadline).await
    }

    /// The names of a node's children, in no order; the watcher hears when one comes or goes, or the
    /// node itself goes, from this read on (rule 10.8).
    pub async fn children(
        &self,
        path: &str,
        watcher: Option<&Watcher>,
        deadline: Instant,
    ) -> Outcome<(Vec<String>, Stat)> {
        let full = self.full(path)?;
        let request = GetChildren { path: &full, watch: watcher.is_some() };
        self.ask(&request, path, watcher, deadline).await
    }

    /// Waits until the server that serves us has caught up: what anybody wrote before is seen by the
    /// reads after it.
    pub async fn sync(&self, deadline: Instant) -> Outcome<()> {
        let full = self.full("/")?;
        self.ask(&wire::Sync { path: &full }, "/", None, deadline).await
    }

    fn full(&self, path: &str) -> Outcome<String> {
        let names = path.strip_prefix('/').unwrap_or("");
        let bad = |name: &str| matches!(name, "" | "." | "..") || name.contains('\0');
        if path != "/" && names.split('/').any(bad) {
            let text = format!("`{path}` is no path of ZooKeeper");
            return Err(Failure::Other(Error::new(Code::INVALID_ARGUMENT, text)));
        }
        Ok(self.shared.settings.full(path))
    }

    async fn ask<R: wire::Request>(
        &self,
        request: &R,
        shown: &str,
        watcher: Option<&Watcher>,
        deadline: Instant,
    ) -> Outcome<R::Answer> {
        self.shared.era.check()?;
        let begun = Instant::now();
        let mut body = Writer::new();
        request.write(&mut body)?;
        let body = body.finish();
        if body.len() > LARGEST {
            let text = format!("{} bytes are too many for a node of ZooKeeper", body.len());
            return Err(Failure::Other(Error::new(Code::INVALID_ARGUMENT, text)));
        }
        let (answer, answered) = oneshot::channel();
        let watch = match watcher {
            Some(watcher) => Some((self.full(shown)?, watcher.clone())),
            None => None,
        };
        let request = Request { session: self.number, op: R::OP, body, watch, answer };
        let sending = async {
            if self.shared.mail.send(request).await.is_err() {
                return Err(self.shared.ended());
            }
            // A sender that is dropped without a word belongs to a task that ended.
            answered.await.unwrap_or_else(|_| Err(self.shared.ended()))
        };
        let Ok(outcome) = timeout_at(deadline.into(), sending).await else {
            let what = format!("no answer about {shown}");
            return Err(Failure::Other(self.shared.out_of_time(&what, begun)));
        };
        let (code, bytes) = outcome?;
        if code != ErrorCode::OK {
            return Err(Failure::Refused { code, path: shown.to_owned() });
        }
        let mut reader = Reader::new(bytes);
        let answer = R::read(&mut reader)?;
        reader.finish()?;
        Ok(answer)
    }
}
