//! The watches of a session: who wants to hear of which node. Pure.
//!
//! ZooKeeper's watches fire once. A [`Watcher`] is registered with the read that it belongs to, hears
//! of the first change after that read, and is then forgotten until it is registered again.

use std::collections::HashMap;

use tokio::sync::mpsc;

use crate::protocol::zookeeper::{EventKind, NodeEvent, OpCode, SetWatches};

/// What one watch hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// A node changed: read it again, with a watch.
    Node(NodeEvent),
    /// The session ended, and all watches with it.
    Expired,
}

/// The end of a watch that the session keeps; copies are the same watcher.
#[derive(Clone, Debug)]
pub struct Watcher(mpsc::UnboundedSender<WatchEvent>);

/// The end that listens. What it did not read yet is bounded by the number of nodes it watches.
#[derive(Debug)]
pub struct Watches(mpsc::UnboundedReceiver<WatchEvent>);

impl Watcher {
    /// A watcher and where its events come out.
    #[must_use]
    pub fn new() -> (Self, Watches) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), Watches(receiver))
    }

    fn is_same(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }
}

impl Watches {
    /// The next event; waits for it. None when no watcher is left.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        self.0.recv().await
    }

    /// The next event, if one is there.
    pub fn try_next(&mut self) -> Option<WatchEvent> {
        self.0.try_recv().ok()
    }
}

/// What of a node is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Watched {
    Data,
    Existence,
    Children,
}

impl Watched {
    /// What the server watches after it answered a read, if it does: nothing after a refusal, but that
    /// a look for a node that is not there waits for it.
    pub(super) fn after(op: OpCode, found: bool) -> Option<Self> {
        match (op, found) {
            (OpCode::GetData | OpCode::Exists, true) => Some(Self::Data),
            (OpCode::Exists, false) => Some(Self::Existence),
            (OpCode::GetChildren, true) => Some(Self::Children),
            _ => None,
        }
    }

    /// The watches that an event ends.
    fn ended_by(kind: EventKind) -> &'static [Self] {
        match kind {
            EventKind::Created | EventKind::DataChanged => &[Self::Data, Self::Existence],
            EventKind::Deleted => &[Self::Data, Self::Existence, Self::Children],
            EventKind::ChildrenChanged => &[Self::Children],
        }
    }
}

/// The most bytes of paths in one request: servers refuse frames above 1 MiB.
const PATHS_AT_ONCE: usize = 128 * 1024;

/// Every watch that the server keeps for the session, by the full path.
#[derive(Debug, Default)]
pub(super) struct WatchTable {
    watchers: HashMap<(Watched, String), Vec<Watcher>>,
}

impl WatchTable {
    /// Adds a watch; the same watcher on the same node counts once, and one that nobody listens to any
    /// more makes room.
    pub(super) fn add(&mut self, what: Watched, path: String, watcher: Watcher) {
        let watchers = self.watchers.entry((what, path)).or_default();
        watchers.retain(|known| !known.0.is_closed());
        if !watchers.iter().any(|known| known.is_same(&watcher)) {
            watchers.push(watcher);
        }
    }

    /// Tells an event to whom it concerns, each watcher once; `shown` is the path as they know it. An
    /// event that nobody waits for is ignored: the watch may have been set by a request whose answer
    /// was lost.
    pub(super) fn fire(&mut self, event: &NodeEvent, shown: &str) {
        let mut told: Vec<Watcher> = Vec::new();
        for what in Watched::ended_by(event.kind) {
            let key = (*what, event.path.clone());
            for watcher in self.watchers.remove(&key).unwrap_or_default() {
                if told.iter().any(|known| known.is_same(&watcher)) {
                    continue;
                }
                let event = NodeEvent { kind: event.kind, path: shown.to_owned() };
                // Whoever listens no longer needs no event.
                let _ = watcher.0.send(WatchEvent::Node(event));
                told.push(watcher);
            }
        }
    }

    /// The session ended: tells each watcher once, and forgets them all.
    pub(super) fn expire(&mut self) {
        let mut told: Vec<Watcher> = Vec::new();
        for watcher in self.watchers.drain().flat_map(|(_, watchers)| watchers) {
            if !told.iter().any(|known| known.is_same(&watcher)) {
                let _ = watcher.0.send(WatchEvent::Expired);
                told.push(watcher);
            }
        }
    }

    /// The requests that set every watch again on a new connection, cut to size; those that nobody
    /// listens to any more are dropped.
    pub(super) fn set_again(&mut self, zxid: i64) -> Vec<SetWatches> {
        self.watchers.retain(|_, watchers| {
            watchers.retain(|watcher| !watcher.0.is_closed());
            !watchers.is_empty()
        });
        let mut requests = Vec::new();
        let (mut request, mut size) = (SetWatches { zxid, ..SetWatches::default() }, 0);
        for (what, path) in self.watchers.keys() {
            if size > 0 && size + path.len() > PATHS_AT_ONCE {
                requests.push(std::mem::replace(
                    &mut request,
                    SetWatches { zxid, ..SetWatches::default() },
                ));
                size = 0;
            }
            size += path.len();
            match what {
                Watched::Data => request.data.push(path.clone()),
                Watched::Existence => request.exists.push(path.clone()),
                Watched::Children => request.children.push(path.clone()),
            }
        }
        if size > 0 {
            requests.push(request);
        }
        requests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: EventKind, path: &str) -> NodeEvent {
        NodeEvent { kind, path: path.to_owned() }
    }

    fn drain(watches: &mut Watches) -> Vec<WatchEvent> {
        std::iter::from_fn(|| watches.try_next()).collect()
    }

    #[test]
    fn rule_10_8_a_watch_fires_once_however_often_it_was_registered() {
        let mut table = WatchTable::default();
        let (watcher, mut watches) = Watcher::new();
        for _ in 0..20 {
            table.add(Watched::Children, "/c/ids".to_owned(), watcher.clone());
        }
        for _ in 0..2 {
            table.fire(&event(EventKind::ChildrenChanged, "/c/ids"), "/ids");
        }
        let shown = WatchEvent::Node(event(EventKind::ChildrenChanged, "/ids"));
        assert_eq!(drain(&mut watches), [shown]);
    }

    #[test]
    fn each_kind_of_event_ends_the_watches_that_zookeeper_ends() {
        use EventKind::{ChildrenChanged, Created, DataChanged, Deleted};
        for (kind, ended) in [
            (Created, [true, true, false]),
            (DataChanged, [true, true, false]),
            (Deleted, [true, true, true]),
            (ChildrenChanged, [false, false, true]),
        ] {
            let all = [Watched::Data, Watched::Existence, Watched::Children];
            for (what, ended) in all.into_iter().zip(ended) {
                let mut table = WatchTable::default();
                let (watcher, mut watches) = Watcher::new();
                table.add(what, "/n".to_owned(), watcher);
                table.fire(&event(kind, "/n"), "/n");
                table.fire(&event(kind, "/other"), "/other");
                assert_eq!(drain(&mut watches).len(), usize::from(ended), "{kind:?} {what:?}");
            }
        }
    }

    #[test]
    fn one_event_tells_a_watcher_once_even_if_it_ends_two_of_its_watches() {
        let mut table = WatchTable::default();
        let (watcher, mut watches) = Watcher::new();
        table.add(Watched::Data, "/n".to_owned(), watcher.clone());
        table.add(Watched::Children, "/n".to_owned(), watcher);
        table.fire(&event(EventKind::Deleted, "/n"), "/n");
        assert_eq!(drain(&mut watches).len(), 1);
    }

    #[test]
    fn a_read_leaves_the_watch_that_the_server_keeps() {
        for (op, found, expected) in [
            (OpCode::GetData, true, Some(Watched::Data)),
            (OpCode::GetData, false, None),
            (OpCode::Exists, true, Some(Watched::Data)),
            (OpCode::Exists, false, Some(Watched::Existence)),
            (OpCode::GetChildren, true, Some(Watched::Children)),
            (OpCode::GetChildren, false, None),
            (OpCode::Create, true, None),
        ] {
            assert_eq!(Watched::after(op, found), expected, "{op:?} {found}");
        }
    }

    #[test]
    fn all_watches_are_set_again_in_pieces_and_abandoned_ones_are_not() {
        let mut table = WatchTable::default();
        let (watcher, _watches) = Watcher::new();
        let long = "x".repeat(60 * 1024);
        for number in 0..5 {
            table.add(Watched::Data, format!("/{number}{long}"), watcher.clone());
        }
        table.add(Watched::Existence, "/e".to_owned(), watcher.clone());
        table.add(Watched::Children, "/c".to_owned(), watcher);
        let (gone, listening) = Watcher::new();
        table.add(Watched::Children, "/gone".to_owned(), gone);
        drop(listening);
        let requests = table.set_again(7);
        let size = |r: &SetWatches| -> usize {
            r.data.iter().chain(&r.exists).chain(&r.children).map(String::len).sum()
        };
        assert!(requests.len() >= 3 && requests.iter().all(|r| size(r) <= PATHS_AT_ONCE));
        assert!(requests.iter().all(|r| r.zxid == 7));
        let all = |field: fn(&SetWatches) -> &Vec<String>| -> usize {
            requests.iter().map(|request| field(request).len()).sum()
        };
        assert_eq!([all(|r| &r.data), all(|r| &r.exists), all(|r| &r.children)], [5, 1, 1]);
        assert_eq!(WatchTable::default().set_again(7), []);
    }

    #[test]
    fn watchers_that_were_given_up_do_not_pile_up_on_a_node_that_never_changes() {
        let mut table = WatchTable::default();
        for _ in 0..100 {
            let (watcher, _watches) = Watcher::new();
            table.add(Watched::Existence, "/n".to_owned(), watcher);
        }
        assert!(table.watchers.values().map(Vec::len).sum::<usize>() <= 1);
    }

    #[test]
    fn rule_10_7_the_end_of_a_session_is_told_once_to_each_watcher() {
        let mut table = WatchTable::default();
        let (watcher, mut watches) = Watcher::new();
        table.add(Watched::Data, "/a".to_owned(), watcher.clone());
        table.add(Watched::Data, "/b".to_owned(), watcher);
        table.expire();
        assert_eq!(drain(&mut watches), [WatchEvent::Expired]);
        assert_eq!(table.set_again(1), []);
    }
}
