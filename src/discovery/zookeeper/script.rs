//! A ZooKeeper server that says what a test tells it to.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::config::Address;
use crate::protocol::zookeeper::{ErrorCode, EventKind, Reader, Writer};

/// What the server read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The first words of a connection.
    Hello { connection: usize, zxid: i64, session: i64, password: Bytes },
    /// A request: its id, its operation, its body.
    Request { connection: usize, xid: i32, op: i32, body: Bytes },
}

/// What the server does about it.
pub(crate) enum Act {
    Answer(Vec<u8>),
    AnswerAndClose(Vec<u8>),
    Silence,
    Close,
}

/// A frame: its length, then what was written.
pub(crate) fn framed(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut body = Writer::new();
    write(&mut body);
    let mut frame = Writer::new();
    frame.buffer(&body.finish()).expect("a short frame");
    frame.finish().to_vec()
}

/// The answer to the first words: this session, with 16 times 9 as its password.
pub(crate) fn welcome(session: i64, timeout_ms: i32) -> Act {
    Act::Answer(framed(|w| {
        w.int(0);
        w.int(timeout_ms);
        w.long(session);
        w.buffer(&[9; 16]).expect("a password");
        w.bool(false);
    }))
}

/// The answer to a request.
pub(crate) fn reply(
    xid: i32,
    zxid: i64,
    error: ErrorCode,
    body: impl FnOnce(&mut Writer),
) -> Vec<u8> {
    framed(|w| {
        w.int(xid);
        w.long(zxid);
        w.int(error.0);
        body(w);
    })
}

/// The body of a node's data in an answer to `GetData`.
pub(crate) fn node(data: &[u8], owner: i64) -> impl FnOnce(&mut Writer) {
    let data = data.to_vec();
    move |w| {
        w.buffer(&data).expect("short data");
        stat(w, owner);
    }
}

/// A node's stat, of which only the owner matters.
pub(crate) fn stat(w: &mut Writer, owner: i64) {
    (0..4).for_each(|_| w.long(1));
    (0..3).for_each(|_| w.int(0));
    w.long(owner);
    (0..2).for_each(|_| w.int(0));
    w.long(1);
}

/// A watch that fires.
pub(crate) fn fired(kind: EventKind, path: &str) -> Vec<u8> {
    let number = match kind {
        EventKind::Created => 1,
        EventKind::Deleted => 2,
        EventKind::DataChanged => 3,
        EventKind::ChildrenChanged => 4,
    };
    reply(-1, -1, ErrorCode::OK, |w| {
        w.int(number);
        w.int(3);
        w.string(path).expect("a path");
    })
}

/// The text at the start of a request's body: its path.
pub(crate) fn path_of(body: &Bytes) -> String {
    Reader::new(body.clone()).string().expect("a path")
}

type Script = dyn Fn(&Asked) -> Act + Send + Sync;

/// A listening server; dropping it closes its port and connections.
pub(crate) struct Peer {
    pub(crate) address: Address,
    seen: Arc<Mutex<Vec<Asked>>>,
    _tasks: JoinSet<()>,
}

impl Peer {
    pub(crate) async fn start(script: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a bound port").port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, log): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&seen));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            for number in 0.. {
                let Ok((stream, _)) = listener.accept().await else { break };
                connections.spawn(serve(stream, number, Arc::clone(&script), Arc::clone(&log)));
            }
        });
        Self { address: Address::new("127.0.0.1", port), seen, _tasks: tasks }
    }

    /// Everything that was asked so far.
    pub(crate) fn seen(&self) -> Vec<Asked> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The operations of the requests so far, pings left out.
    pub(crate) fn operations(&self) -> Vec<i32> {
        let op = |asked: Asked| match asked {
            Asked::Request { op, .. } if op != 11 => Some(op),
            _ => None,
        };
        self.seen().into_iter().filter_map(op).collect()
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    script: Arc<Script>,
    seen: Arc<Mutex<Vec<Asked>>>,
) {
    let mut first = true;
    while let Ok(length) = stream.read_i32().await {
        let mut frame = vec![0; usize::try_from(length).expect("a length")];
        if stream.read_exact(&mut frame).await.is_err() {
            return;
        }
        let mut reader = Reader::new(Bytes::from(frame));
        let asked = read(&mut reader, connection, std::mem::take(&mut first));
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(asked.clone());
        let (bytes, close) = match script(&asked) {
            Act::Answer(bytes) => (bytes, false),
            Act::AnswerAndClose(bytes) => (bytes, true),
            Act::Silence => continue,
            Act::Close => (Vec::new(), true),
        };
        if stream.write_all(&bytes).await.is_err() || close {
            return;
        }
    }
}

fn read(r: &mut Reader, connection: usize, first: bool) -> Asked {
    if first {
        let _version = r.int().expect("a version");
        let zxid = r.long().expect("a zxid");
        let _timeout = r.int().expect("a time-out");
        let (session, password) = (r.long().expect("a session"), r.buffer().expect("a password"));
        return Asked::Hello { connection, zxid, session, password };
    }
    let (xid, op) = (r.int().expect("an id"), r.int().expect("an operation"));
    Asked::Request { connection, xid, op, body: r.rest().expect("a body") }
}
