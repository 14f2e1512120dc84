//! Who is told of which change. A watch belongs to a connection, fires once, and is gone with the
//! connection: the client sets it again on the next one.

use std::collections::{BTreeSet, HashMap};

use super::tree::Change;
use crate::protocol::zookeeper::EventKind;

#[derive(Debug, Default)]
pub(super) struct Watches {
    /// By path: the connections that watch whether a node is there and what its data is.
    data: HashMap<String, BTreeSet<u64>>,
    /// The same for its list of children.
    children: HashMap<String, BTreeSet<u64>>,
}

impl Watches {
    pub(super) fn watch_data(&mut self, path: &str, connection: u64) {
        self.data.entry(path.to_owned()).or_default().insert(connection);
    }

    pub(super) fn watch_children(&mut self, path: &str, connection: u64) {
        self.children.entry(path.to_owned()).or_default().insert(connection);
    }

    /// Takes the watches that a change fires: the connections to tell, each once.
    pub(super) fn fire(&mut self, (kind, path): &Change) -> BTreeSet<u64> {
        let mut told = BTreeSet::new();
        if *kind != EventKind::ChildrenChanged {
            told.extend(self.data.remove(path).unwrap_or_default());
        }
        if matches!(kind, EventKind::ChildrenChanged | EventKind::Deleted) {
            told.extend(self.children.remove(path).unwrap_or_default());
        }
        told
    }

    /// Forgets a connection.
    pub(super) fn forget(&mut self, connection: u64) {
        for map in [&mut self.data, &mut self.children] {
            map.retain(|_, watchers| {
                watchers.remove(&connection);
                !watchers.is_empty()
            });
        }
    }

    /// How many watches there are.
    pub(super) fn len(&self) -> usize {
        self.data.values().chain(self.children.values()).map(BTreeSet::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_fires_once_and_a_node_that_goes_is_told_once() {
        let mut watches = Watches::default();
        watches.watch_data("/a", 1);
        watches.watch_children("/a", 1);
        watches.watch_children("/a", 2);
        let of = |watches: &mut Watches, kind| watches.fire(&(kind, "/a".to_owned()));
        assert!(of(&mut watches, EventKind::Created) == BTreeSet::from([1]));
        assert!(of(&mut watches, EventKind::DataChanged).is_empty());
        watches.watch_data("/a", 1);
        assert_eq!(of(&mut watches, EventKind::Deleted), BTreeSet::from([1, 2]));
        assert_eq!(watches.len(), 0);
    }

    #[test]
    fn a_connection_takes_its_watches_with_it() {
        let mut watches = Watches::default();
        watches.watch_data("/a", 1);
        watches.watch_children("/b", 2);
        watches.forget(1);
        assert_eq!(watches.len(), 1);
    }
}
