//! What each request does.

use std::time::Duration;

use bytes::Bytes;

use super::fault::FaultKind;
use super::options::Options;
use super::request::{Envelope, Hello, Request};
use super::tree::Change;
use super::world::{World, event, frame, framed, text};
use crate::protocol::zookeeper::{Acl, ErrorCode, EventKind, OpCode, SetWatches, Stat, Writer};

/// The largest request (`jute.maxbuffer`).
const LARGEST: usize = 1 << 20;

/// The body of an answer, or why there is none.
type Body = Result<Bytes, ErrorCode>;

/// Does what a connection asks for. Gives the frame back when nothing may be heard of its session now.
pub(super) fn take(
    world: &mut World,
    options: &Options,
    connection: u64,
    bytes: Bytes,
) -> Option<Bytes> {
    let session = world.session_of(connection);
    if bytes.len() > LARGEST {
        world.cut(connection);
        return None;
    }
    let Some(session) = session else { return hello(world, options, connection, bytes) };
    match Envelope::read(bytes) {
        Ok(envelope) => request(world, connection, session, envelope),
        // A real server ends the connection over bytes that it cannot read.
        Err(_) => world.cut(connection),
    }
    None
}

fn hello(world: &mut World, options: &Options, connection: u64, bytes: Bytes) -> Option<Bytes> {
    let Ok(hello) = Hello::read(bytes.clone()) else {
        world.cut(connection);
        return None;
    };
    if world.sessions.get(&hello.session).is_some_and(|session| session.silent) {
        return Some(bytes);
    }
    // Who saw more than this server is refused, to see nothing twice.
    if hello.last_zxid > world.zxid {
        world.cut(connection);
        return None;
    }
    let wished = Duration::from_millis(u64::try_from(hello.timeout_ms).unwrap_or(0));
    let granted = &options.session_timeout;
    let id = match hello.session {
        0 => world.open(connection, wished, granted),
        id => {
            let known = world.sessions.get(&id).is_some_and(|s| hello.password == s.password[..]);
            if known {
                world.attach(connection, id, wished, granted);
            }
            if known { id } else { 0 }
        }
    };
    let (timeout, password) = match world.sessions.get(&id) {
        Some(session) => (session.timeout, session.password),
        None => (Duration::ZERO, [0; 16]),
    };
    let mut w = Writer::new();
    w.int(0);
    w.int(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX));
    w.long(id);
    let _short = w.buffer(&password);
    if hello.knows_read_only {
        w.bool(false);
    }
    world.push(connection, &framed(&w.finish()));
    if id == 0 {
        world.close(connection);
    }
    None
}

fn request(world: &mut World, connection: u64, session: i64, envelope: Envelope) {
    let Envelope { xid, request, .. } = envelope;
    let fault = named(&request).and_then(|(op, path)| world.fault(op, path, session));
    let body = match fault {
        Some(FaultKind::CloseBefore) => return world.cut(connection),
        Some(FaultKind::Refuse(code)) => Err(code),
        _ => answer(world, connection, session, &request),
    };
    if fault == Some(FaultKind::CloseAfter) {
        return world.cut(connection);
    }
    let (error, body) = match body {
        Ok(body) => (ErrorCode::OK, body),
        Err(error) => (error, Bytes::new()),
    };
    let answer = frame(xid, world.zxid, error.0, |w| w.raw(&body));
    world.push(connection, &answer);
    if matches!(request, Request::Close) || error == ErrorCode::AUTH_FAILED {
        world.close(connection);
    }
}

/// What a fault may name of a request.
fn named(request: &Request) -> Option<(OpCode, &str)> {
    Some(match request {
        Request::Create { path, .. } => (OpCode::Create, path),
        Request::Delete { path, .. } => (OpCode::Delete, path),
        Request::Exists { path, .. } => (OpCode::Exists, path),
        Request::GetData { path, .. } => (OpCode::GetData, path),
        Request::SetData { path, .. } => (OpCode::SetData, path),
        Request::GetChildren { path, .. } => (OpCode::GetChildren, path),
        Request::Sync { path } => (OpCode::Sync, path),
        Request::Ping => (OpCode::Ping, ""),
        Request::Auth { .. } => (OpCode::Auth, ""),
        Request::SetWatches(_) => (OpCode::SetWatches, ""),
        Request::Close => (OpCode::CloseSession, ""),
        Request::GetAcl { .. } | Request::SetAcl { .. } | Request::Unknown => return None,
    })
}

fn answer(world: &mut World, connection: u64, session: i64, request: &Request) -> Body {
    match request {
        Request::Create { .. } | Request::Delete { .. } | Request::SetData { .. } => {
            let (body, changes) = change(world, session, request)?;
            world.tell(&changes);
            Ok(body)
        }
        Request::Exists { path, watch } => {
            // Where there is no node its coming is watched.
            if *watch {
                world.watches.watch_data(path, connection);
            }
            world.tree.stat(path).map(|stat| body(|w| stat.write(w)))
        }
        Request::GetData { path, watch } => {
            let (data, stat) = world.tree.data(path)?;
            let body = body(|w| {
                let _short = w.buffer(data);
                stat.write(w);
            });
            if *watch {
                world.watches.watch_data(path, connection);
            }
            Ok(body)
        }
        Request::GetChildren { path, watch, with_stat } => {
            let (names, stat) = world.tree.children(path)?;
            if *watch {
                world.watches.watch_children(path, connection);
            }
            Ok(children(&names, with_stat.then_some(stat)))
        }
        Request::GetAcl { path } => world.tree.stat(path).map(|stat| body(|w| open_acl(w, stat))),
        Request::SetAcl { path } => world.tree.stat(path).map(|stat| body(|w| stat.write(w))),
        Request::Sync { path } => Ok(body(|w| text(w, path))),
        Request::Ping => Ok(Bytes::new()),
        // Whoever says who he is is believed: nothing is closed to anybody here.
        Request::Auth { scheme } if scheme == "digest" => Ok(Bytes::new()),
        Request::Auth { .. } => Err(ErrorCode::AUTH_FAILED),
        Request::SetWatches(watches) => {
            set_watches(world, connection, watches);
            Ok(Bytes::new())
        }
        Request::Close => {
            // Its connection ends behind the answer.
            if let Some(session) = world.sessions.get_mut(&session) {
                session.connection = None;
            }
            world.watches.forget(connection);
            world.end(session);
            Ok(Bytes::new())
        }
        Request::Unknown => Err(ErrorCode::UNIMPLEMENTED),
    }
}

fn change(
    world: &mut World,
    session: i64,
    request: &Request,
) -> Result<(Bytes, Vec<Change>), ErrorCode> {
    // A refused change is a transaction as well.
    let when = world.transaction();
    let tree = &mut world.tree;
    match request {
        Request::Create { acl, .. } if acl.is_empty() => Err(ErrorCode::INVALID_ACL),
        Request::Create { path, data, mode, with_stat, .. } => {
            let (path, changes) = tree.create(path, data, *mode, session, when)?;
            let stat = if *with_stat { Some(tree.stat(&path)?) } else { None };
            let body = body(|w| {
                text(w, &path);
                stat.inspect(|stat| stat.write(w));
            });
            Ok((body, changes))
        }
        Request::Delete { path, version } => {
            tree.delete(path, *version, when).map(|changes| (Bytes::new(), changes))
        }
        Request::SetData { path, data, version } => {
            let (stat, changes) = tree.set(path, data, *version, when)?;
            Ok((body(|w| stat.write(w)), changes))
        }
        _ => Err(ErrorCode::UNIMPLEMENTED),
    }
}

fn children(names: &[String], stat: Option<Stat>) -> Bytes {
    body(|w| {
        let _short = w.strings(names);
        stat.inspect(|stat| stat.write(w));
    })
}

fn open_acl(w: &mut Writer, stat: Stat) {
    let acl = Acl::open();
    let _short = w.count(acl.len());
    for entry in acl {
        w.int(entry.permissions);
        text(w, &entry.scheme);
        text(w, &entry.id);
    }
    stat.write(w);
}

/// Sets watches of an earlier connection again; what happened meanwhile is told at once.
fn set_watches(world: &mut World, connection: u64, watches: &SetWatches) {
    let mut missed: Vec<Change> = Vec::new();
    for path in &watches.data {
        match world.tree.stat(path) {
            Err(_) => missed.push((EventKind::Deleted, path.clone())),
            Ok(stat) if stat.modified > watches.zxid => {
                missed.push((EventKind::DataChanged, path.clone()));
            }
            Ok(_) => world.watches.watch_data(path, connection),
        }
    }
    for path in &watches.exists {
        match world.tree.stat(path) {
            Ok(_) => missed.push((EventKind::Created, path.clone())),
            Err(_) => world.watches.watch_data(path, connection),
        }
    }
    for path in &watches.children {
        match world.tree.stat(path) {
            Err(_) => missed.push((EventKind::Deleted, path.clone())),
            Ok(stat) if stat.children_modified > watches.zxid => {
                missed.push((EventKind::ChildrenChanged, path.clone()));
            }
            Ok(_) => world.watches.watch_children(path, connection),
        }
    }
    for change in &missed {
        world.push(connection, &event(change));
    }
}

fn body(write: impl FnOnce(&mut Writer)) -> Bytes {
    let mut w = Writer::new();
    write(&mut w);
    w.finish()
}
