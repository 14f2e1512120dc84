//! The nodes, and what each operation makes of them. Knows no wire, no session and no clock but the
//! time it is given.

use std::collections::{BTreeMap, BTreeSet};

use crate::protocol::zookeeper::{CreateMode, ErrorCode, EventKind, Stat};

/// The result of an operation: what ZooKeeper refuses with.
pub(super) type Answer<T> = Result<T, ErrorCode>;

/// What happened to a node, for those who watch it.
pub(super) type Change = (EventKind, String);

/// When a change is made: its transaction and the time in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    pub(super) zxid: i64,
    pub(super) ms: i64,
}

#[derive(Debug, Default)]
struct Node {
    data: Vec<u8>,
    children: BTreeSet<String>,
    /// What is told of it; the fields that follow from the others are filled in when it is asked for.
    stat: Stat,
    /// How many children were ever made: the number of the next sequential one.
    births: i32,
}

impl Node {
    fn new(data: &[u8], owner: i64, when: When) -> Self {
        let stat = Stat {
            created: when.zxid,
            modified: when.zxid,
            created_at: when.ms,
            modified_at: when.ms,
            ephemeral_owner: owner,
            children_modified: when.zxid,
            ..Stat::default()
        };
        Self { data: data.to_vec(), stat, ..Self::default() }
    }

    fn stat(&self) -> Stat {
        let children = i32::try_from(self.children.len()).unwrap_or(i32::MAX);
        Stat {
            // Births and deaths.
            children_version: self.births.wrapping_mul(2).wrapping_sub(children),
            data_length: i32::try_from(self.data.len()).unwrap_or(i32::MAX),
            children,
            ..self.stat
        }
    }
}

/// All nodes by their paths; the root is always there.
#[derive(Debug)]
pub(super) struct Tree(BTreeMap<String, Node>);

impl Default for Tree {
    fn default() -> Self {
        let mut tree = Self(BTreeMap::from([("/".to_owned(), Node::default())]));
        let when = When { zxid: 0, ms: 0 };
        // Every ZooKeeper has these.
        for path in ["/zookeeper", "/zookeeper/quota"] {
            let _made = tree.create(path, b"", CreateMode::Persistent, 0, when);
        }
        tree
    }
}

/// A path's parent and its last name; None for the root and for what is no path.
fn split(path: &str) -> Option<(&str, &str)> {
    let (parent, name) = path.rsplit_once('/')?;
    if name.is_empty() {
        return None;
    }
    Some((if parent.is_empty() { "/" } else { parent }, name))
}

/// Whether ZooKeeper takes this for a path.
fn is_path(path: &str) -> bool {
    let bad = |name: &str| matches!(name, "" | "." | "..") || name.contains('\0');
    path == "/" || path.strip_prefix('/').is_some_and(|names| !names.split('/').any(bad))
}

impl Tree {
    fn node(&self, path: &str) -> Answer<&Node> {
        match self.0.get(path) {
            Some(node) => Ok(node),
            None if is_path(path) => Err(ErrorCode::NO_NODE),
            None => Err(ErrorCode::BAD_ARGUMENTS),
        }
    }

    /// A node of this version; −1 stands for any.
    fn node_of(&mut self, path: &str, version: i32) -> Answer<&mut Node> {
        self.node(path)?;
        let node = self.0.get_mut(path).ok_or(ErrorCode::NO_NODE)?;
        if version != -1 && version != node.stat.version {
            return Err(ErrorCode::BAD_VERSION);
        }
        Ok(node)
    }

    /// Makes a node that belongs to session `owner` if it is ephemeral; its path and what changed.
    pub(super) fn create(
        &mut self,
        path: &str,
        data: &[u8],
        mode: CreateMode,
        owner: i64,
        when: When,
    ) -> Answer<(String, Vec<Change>)> {
        let ephemeral = matches!(mode, CreateMode::Ephemeral | CreateMode::EphemeralSequential);
        let numbered =
            matches!(mode, CreateMode::PersistentSequential | CreateMode::EphemeralSequential);
        // A sequential node may have a name of the number alone.
        let whole = if numbered { format!("{path}0") } else { path.to_owned() };
        if whole == "/" {
            return Err(ErrorCode::NODE_EXISTS);
        }
        let above = split(&whole).filter(|_| is_path(&whole)).ok_or(ErrorCode::BAD_ARGUMENTS)?.0;
        let parent = self.0.get_mut(above).ok_or(ErrorCode::NO_NODE)?;
        if parent.stat.ephemeral_owner != 0 {
            return Err(ErrorCode::NO_CHILDREN_FOR_EPHEMERALS);
        }
        let path = if numbered { format!("{path}{:010}", parent.births) } else { path.to_owned() };
        let name = split(&path).ok_or(ErrorCode::BAD_ARGUMENTS)?.1;
        if !parent.children.insert(name.to_owned()) {
            return Err(ErrorCode::NODE_EXISTS);
        }
        parent.births = parent.births.wrapping_add(1);
        parent.stat.children_modified = when.zxid;
        let owner = if ephemeral { owner } else { 0 };
        let changes = vec![
            (EventKind::Created, path.clone()),
            (EventKind::ChildrenChanged, above.to_owned()),
        ];
        self.0.insert(path.clone(), Node::new(data, owner, when));
        Ok((path, changes))
    }

    /// Deletes a node without children; what changed.
    pub(super) fn delete(&mut self, path: &str, version: i32, when: When) -> Answer<Vec<Change>> {
        let (above, name) = split(path).ok_or(ErrorCode::BAD_ARGUMENTS)?;
        if !self.node_of(path, version)?.children.is_empty() {
            return Err(ErrorCode::NOT_EMPTY);
        }
        self.0.remove(path);
        if let Some(parent) = self.0.get_mut(above) {
            parent.children.remove(name);
            parent.stat.children_modified = when.zxid;
        }
        let parent = (EventKind::ChildrenChanged, above.to_owned());
        Ok(vec![(EventKind::Deleted, path.to_owned()), parent])
    }

    /// Changes a node's data; its new stat and what changed.
    pub(super) fn set(
        &mut self,
        path: &str,
        data: &[u8],
        version: i32,
        when: When,
    ) -> Answer<(Stat, Vec<Change>)> {
        let node = self.node_of(path, version)?;
        node.data = data.to_vec();
        node.stat.version = node.stat.version.wrapping_add(1);
        node.stat.modified = when.zxid;
        node.stat.modified_at = when.ms;
        Ok((node.stat(), vec![(EventKind::DataChanged, path.to_owned())]))
    }

    pub(super) fn stat(&self, path: &str) -> Answer<Stat> {
        self.node(path).map(Node::stat)
    }

    pub(super) fn data(&self, path: &str) -> Answer<(&[u8], Stat)> {
        self.node(path).map(|node| (&node.data[..], node.stat()))
    }

    /// The names of a node's children, sorted.
    pub(super) fn children(&self, path: &str) -> Answer<(Vec<String>, Stat)> {
        self.node(path).map(|node| (node.children.iter().cloned().collect(), node.stat()))
    }

    /// Deletes all nodes of a session; what changed.
    pub(super) fn delete_all_of(&mut self, owner: i64, when: When) -> Vec<Change> {
        let mine = self.0.iter().filter(|(_, node)| node.stat.ephemeral_owner == owner);
        let mine: Vec<String> = mine.map(|(path, _)| path.clone()).collect();
        let deleted = mine.iter().filter_map(|path| self.delete(path, -1, when).ok());
        deleted.flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CreateMode::{Ephemeral, EphemeralSequential, Persistent, PersistentSequential};

    fn at(zxid: i64) -> When {
        When { zxid, ms: 1_000 + zxid }
    }

    fn make(tree: &mut Tree, path: &str, mode: CreateMode) -> Answer<String> {
        tree.create(path, b"x", mode, 7, at(5)).map(|(path, _)| path)
    }

    #[test]
    fn numbers_count_the_children_that_were_ever_made() {
        let mut tree = Tree::default();
        make(&mut tree, "/q", Persistent).unwrap();
        assert_eq!(make(&mut tree, "/q/n-", PersistentSequential).unwrap(), "/q/n-0000000000");
        tree.delete("/q/n-0000000000", -1, at(6)).unwrap();
        assert_eq!(make(&mut tree, "/q/", EphemeralSequential).unwrap(), "/q/0000000001");
        let stat = tree.stat("/q").unwrap();
        assert_eq!((stat.children_version, stat.children, stat.children_modified), (3, 1, 5));
    }

    #[test]
    fn refusals_are_those_of_a_real_server() {
        let mut tree = Tree::default();
        make(&mut tree, "/a", Persistent).unwrap();
        make(&mut tree, "/a/e", Ephemeral).unwrap();
        let refused = |tree: &mut Tree, path: &str| make(tree, path, Persistent).unwrap_err();
        assert_eq!(refused(&mut tree, "/a"), ErrorCode::NODE_EXISTS);
        assert_eq!(refused(&mut tree, "/"), ErrorCode::NODE_EXISTS);
        assert_eq!(refused(&mut tree, "/b/c"), ErrorCode::NO_NODE);
        assert_eq!(refused(&mut tree, "/a/e/f"), ErrorCode::NO_CHILDREN_FOR_EPHEMERALS);
        for path in ["", "a", "/a/", "//", "/a/../b", "/a\0"] {
            assert_eq!(refused(&mut tree, path), ErrorCode::BAD_ARGUMENTS, "{path:?}");
        }
        assert_eq!(tree.delete("/a", -1, at(6)).unwrap_err(), ErrorCode::NOT_EMPTY);
        assert_eq!(tree.delete("/", -1, at(6)).unwrap_err(), ErrorCode::BAD_ARGUMENTS);
        assert_eq!(tree.delete("/n", -1, at(6)).unwrap_err(), ErrorCode::NO_NODE);
        assert_eq!(tree.set("/a", b"", 3, at(6)).unwrap_err(), ErrorCode::BAD_VERSION);
        assert_eq!(tree.set("/a", b"yz", 0, at(6)).unwrap().0.version, 1);
        assert_eq!(tree.delete("/a/e", 1, at(6)).unwrap_err(), ErrorCode::BAD_VERSION);
    }

    #[test]
    fn a_session_takes_its_nodes_with_it_and_no_others() {
        let mut tree = Tree::default();
        make(&mut tree, "/a", Persistent).unwrap();
        make(&mut tree, "/a/mine", Ephemeral).unwrap();
        tree.create("/a/theirs", b"", Ephemeral, 8, at(5)).unwrap();
        let changes = tree.delete_all_of(7, at(9));
        assert_eq!(
            changes,
            [
                (EventKind::Deleted, "/a/mine".to_owned()),
                (EventKind::ChildrenChanged, "/a".to_owned())
            ]
        );
        assert_eq!(tree.children("/a").unwrap().0, ["theirs"]);
    }
}
