//! The nodes that a member makes and deletes.

use std::sync::Arc;

use super::{Layout, Member, Registration};
use crate::discovery::zookeeper::{Claim, Failure, Outcome, Session, together};
use crate::error::{Code, Error};
use crate::group::TopicPartition;
use crate::group::zookeeper::layout::pykafka_number;
use crate::group::zookeeper::plan::Held;
use crate::group::zookeeper::reading::soon;
use crate::os::clock::now_ms;
use crate::protocol::zookeeper::ErrorCode;

/// How often a node may come and go, or change, between two looks before that is called a failure.
const FLICKERS: u32 = 5;

/// What became of one claim.
enum Claimed {
    Ours,
    /// The path of the node that is in the way, and what stands in it.
    Theirs(String, String),
}

impl Member {
    /// Makes the member's node say what it wishes; an error if somebody else has a node of that name.
    pub(super) async fn register(
        &mut self,
        session: &Session,
        layout: Layout,
        registration: Registration,
    ) -> Outcome<Option<Error>> {
        if self.registered.as_ref() == Some(&registration) {
            return Ok(None);
        }
        let id = self.shared.id(layout);
        let path = self.shared.paths.id(&id);
        // Made anew, not changed: the others watch who is there, not what they say.
        self.registered = None;
        if self.touched {
            delete(session, &path).await?;
        }
        self.touched = true;
        let data = registration.data(layout, now_ms());
        match claim(session, &path, &data).await? {
            Claimed::Ours => {
                self.shared.set_member(Some(id));
                self.registered = Some(registration);
                Ok(None)
            }
            // Our former self, whose session is not over yet, or another one of this name (rule 10.5).
            Claimed::Theirs(path, _) => {
                self.touched = false;
                let text = format!("another session has a member called {id}");
                self.stand_by(session, path).await?;
                Ok(Some(Error::new(Code::ZOOKEEPER, text)))
            }
        }
    }

    /// Claims owner nodes, all or none: those of a try that fails are released again (rule 10.3).
    pub(super) async fn claim(
        &mut self,
        session: &Session,
        layout: Layout,
        wanted: Vec<(TopicPartition, String)>,
    ) -> Outcome<Option<Error>> {
        if wanted.is_empty() {
            return Ok(None);
        }
        let shared = Arc::clone(&self.shared);
        let id = shared.id(layout);
        let (thread, watcher) = (layout.thread(&id, 0), self.watcher.clone());
        let mut claims = Vec::new();
        for (partition, node) in &wanted {
            let path = shared.paths.owner(layout, &partition.topic, node);
            // Noted before it is asked for, should this try be cut short.
            let held = Held { node: node.clone(), is_read: false };
            self.held.entry(partition.clone()).or_insert(held);
            self.nodes.insert(path.clone(), partition.clone());
            claims.push(path);
        }
        let claiming = claims.into_iter().map(|path| {
            let (thread, watcher) = (&thread, &watcher);
            async move {
                let claimed = claim(session, &path, thread).await?;
                if matches!(claimed, Claimed::Ours) {
                    let stat = session.exists(&path, Some(watcher), soon()).await?;
                    if stat.is_none_or(|stat| stat.ephemeral_owner != session.id()) {
                        return Ok(Claimed::Theirs(path, String::new()));
                    }
                }
                Ok(claimed)
            }
        });
        let claimed: Vec<Claimed> =
            together(claiming.collect()).await.into_iter().collect::<Outcome<_>>()?;
        let mut theirs: Vec<(String, String)> = Vec::new();
        theirs.extend(claimed.into_iter().filter_map(|claimed| match claimed {
            Claimed::Ours => None,
            Claimed::Theirs(path, owner) => Some((path, owner)),
        }));
        if layout == Layout::PyKafka {
            theirs.extend(self.twins(session, &wanted).await?);
        }
        let partitions: Vec<TopicPartition> =
            wanted.into_iter().map(|(partition, _)| partition).collect();
        let Some((first, owner)) = theirs.first().cloned() else {
            for partition in &partitions {
                if let Some(held) = self.held.get_mut(partition) {
                    held.is_read = true;
                }
            }
            shared.own(session, &partitions);
            self.teller.assign(partitions);
            return Ok(None);
        };
        self.let_go(session, layout, &partitions).await?;
        for (path, _) in theirs {
            self.stand_by(session, path).await?;
        }
        let text = format!("{first} still belongs to `{owner}`");
        Ok(Some(Error::new(Code::REBALANCE_IN_PROGRESS, text)))
    }

    /// PyKafka's owner nodes have the leader in their names: after it moved, two nodes may stand for one
    /// partition. Gives those of others.
    async fn twins(
        &self,
        session: &Session,
        wanted: &[(TopicPartition, String)],
    ) -> Outcome<Vec<(String, String)>> {
        let Some((TopicPartition { topic, .. }, _)) = wanted.first() else { return Ok(Vec::new()) };
        let parent = self.shared.paths.owners(Layout::PyKafka, topic);
        let (names, _) = session.children(&parent, None, soon()).await?;
        let mut theirs = Vec::new();
        for name in names {
            let number = pykafka_number(&name);
            let is_wanted = wanted.iter().any(|(partition, _)| number == Some(partition.partition));
            let path = format!("{parent}/{name}");
            if !is_wanted || self.nodes.contains_key(&path) {
                continue;
            }
            match session.get(&path, None, soon()).await {
                Ok((_, stat)) if stat.ephemeral_owner == session.id() => {}
                Ok((data, _)) => theirs.push((path, shown(&data))),
                Err(failure) if failure.is_no_node() => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(theirs)
    }

    /// Deletes owner nodes, as far as they are ours.
    pub(super) async fn let_go(
        &mut self,
        session: &Session,
        layout: Layout,
        going: &[TopicPartition],
    ) -> Outcome<()> {
        let path = |partition: &TopicPartition| {
            let held = self.held.get(partition)?;
            Some(self.shared.paths.owner(layout, &partition.topic, &held.node))
        };
        let paths: Vec<String> = going.iter().filter_map(path).collect();
        let deleting = paths.iter().map(|path| delete(session, path));
        let deleted: Outcome<Vec<()>> = together(deleting.collect()).await.into_iter().collect();
        deleted?;
        for partition in going {
            self.held.remove(partition);
        }
        for path in paths {
            self.nodes.remove(&path);
            self.suspects.remove(&path);
        }
        Ok(())
    }

    /// Hears when a node goes that is in the way.
    async fn stand_by(&mut self, session: &Session, path: String) -> Outcome<()> {
        let stat = session.exists(&path, Some(&self.watcher), soon()).await?;
        if stat.is_some() {
            self.awaited.insert(path);
        }
        Ok(())
    }
}

/// Makes an ephemeral node, and its parents if need be.
async fn claim(session: &Session, path: &str, data: &str) -> Outcome<Claimed> {
    for _ in 0..FLICKERS {
        match session.claim(path, data.as_bytes(), soon()).await {
            Ok(Claim::Mine) => return Ok(Claimed::Ours),
            Ok(Claim::Held { data, .. }) => {
                return Ok(Claimed::Theirs(path.to_owned(), shown(&data)));
            }
            Err(failure) if failure.is_no_node() => {
                let parent = path.rsplit_once('/').map_or("/", |(parent, _)| parent);
                session.ensure(parent, soon()).await?;
            }
            Err(failure) => return Err(failure),
        }
    }
    Err(flickers(path))
}

/// Deletes a node if it is this session's, in the version that was seen (rule 10.7); one that is gone
/// is done.
async fn delete(session: &Session, path: &str) -> Outcome<()> {
    for _ in 0..FLICKERS {
        let version = match session.get(path, None, soon()).await {
            Ok((_, stat)) if stat.ephemeral_owner == session.id() => stat.version,
            Ok(_) => return Ok(()),
            Err(failure) if failure.is_no_node() => return Ok(()),
            Err(failure) => return Err(failure),
        };
        match session.delete(path, version, soon()).await {
            Err(Failure::Lost(_)) => {}
            Err(failure) if failure.is(ErrorCode::BAD_VERSION) => {}
            Err(failure) if !failure.is_no_node() => return Err(failure),
            _ => return Ok(()),
        }
    }
    Err(flickers(path))
}

fn flickers(path: &str) -> Failure {
    let text = format!("{path} in ZooKeeper changes whenever it was looked at");
    Failure::Other(Error::new(Code::ZOOKEEPER, text))
}

/// The beginning of what somebody wrote.
fn shown(data: &[u8]) -> String {
    let text = String::from_utf8_lossy(data);
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}
