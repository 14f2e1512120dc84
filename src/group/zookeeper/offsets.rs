//! Offsets as nodes of ZooKeeper: decimal text, the next offset to be read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout_at};

use super::layout::{Layout, pykafka_number};
use super::reading::Reading;
use super::shared::{Right, Shared, lock};
use crate::discovery::zookeeper::{Failure, Outcome, Session, together};
use crate::error::{Code, Error, Result};
use crate::group::{Committed, TopicPartition};
use crate::protocol::zookeeper::{CreateMode, ErrorCode};

/// How long to wait for a broker to show which layout the group has.
const AGAIN: Duration = Duration::from_millis(200);

/// An offset node as it was last seen or written.
#[derive(Clone, Copy, Debug)]
struct Known {
    offset: i64,
    version: i32,
    /// The claim of the partition in which that was: what happened between two is not known.
    claim: Option<u64>,
}

/// The offset nodes of a group. They have no place for metadata and leader epochs.
#[derive(Debug)]
pub(super) struct Nodes {
    shared: Arc<Shared>,
    known: Mutex<HashMap<TopicPartition, Known>>,
}

impl Nodes {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, known: Mutex::default() }
    }

    /// The offsets of these partitions, in the order asked.
    pub(super) async fn fetch_all(
        &self,
        partitions: &[TopicPartition],
        deadline: Instant,
    ) -> Result<Vec<Result<Option<Committed>>>> {
        let (session, layout) = self.place(deadline).await?;
        let session = &session;
        let fetching = partitions.iter().map(|one| self.fetch(session, layout, one, deadline));
        Ok(together(fetching.collect()).await)
    }

    /// Writes the offsets of these partitions, as far as they may be written.
    pub(super) async fn commit_all(
        &self,
        places: &[(TopicPartition, Committed)],
        once: bool,
        deadline: Instant,
    ) -> Vec<Result<()>> {
        let committing = places.iter().map(|(one, place)| {
            let offset = place.offset;
            async move { self.commit(one, offset, once, deadline).await }
        });
        together(committing.collect()).await
    }

    /// A session, and the layout of the group in it.
    pub(super) async fn place(&self, deadline: Instant) -> Result<(Session, Layout)> {
        let client = self.shared.clients.get();
        let mut trouble = None;
        let finding = async {
            loop {
                let session = client.session(deadline).await?;
                let reading = Reading { shared: &self.shared, session: &session, watcher: None };
                match reading.layout().await {
                    Ok(Some(layout)) => return Ok((session, layout)),
                    Ok(None) => sleep(AGAIN).await,
                    Err(Failure::Expired | Failure::Lost(_)) => {}
                    // Perhaps a registration that is not yet what it will be.
                    Err(Failure::Other(error)) if error.code() == Code::PROTOCOL => {
                        trouble = Some(error);
                        sleep(AGAIN).await;
                    }
                    Err(failure) => return Err(failure.into()),
                }
            }
        };
        let found = timeout_at(deadline.into(), finding).await;
        found.unwrap_or_else(|_| {
            let text = "no broker is registered that would show where offsets are";
            let error = Error::new(Code::TIMED_OUT, text);
            Err(trouble.map_or(error.clone(), |cause| error.caused_by(cause)))
        })
    }

    async fn fetch(
        &self,
        session: &Session,
        layout: Layout,
        one: &TopicPartition,
        deadline: Instant,
    ) -> Result<Option<Committed>> {
        let path = self.shared.paths.offset(layout, &one.topic, one.partition);
        let (data, stat) = match session.get(&path, None, deadline).await {
            Ok(found) => found,
            Err(failure) if failure.is_no_node() => {
                lock(&self.known).remove(one);
                return Ok(None);
            }
            Err(failure) => return Err(failure.into()),
        };
        let offset = parse(&data).map_err(|text| {
            let text = format!("{path} in ZooKeeper is no offset: `{text}`");
            named(Error::new(Code::PROTOCOL, text), one)
        })?;
        let Some(offset) = offset else { return Ok(None) };
        let claim = match self.shared.right(one) {
            Right::Owner(_, claim) => Some(claim),
            _ => None,
        };
        lock(&self.known).insert(one.clone(), Known { offset, version: stat.version, claim });
        Ok(Some(Committed { offset, leader_epoch: None, metadata: None }))
    }

    async fn commit(
        &self,
        one: &TopicPartition,
        offset: i64,
        once: bool,
        deadline: Instant,
    ) -> Result<()> {
        loop {
            // Asked anew for each try: the partition may be another member's by now.
            let (session, layout, claim) = self.permit(one, deadline).await?;
            let path = self.shared.paths.offset(layout, &one.topic, one.partition);
            match self.write(&session, &path, one, (offset, claim), deadline).await {
                Ok(()) => return Ok(()),
                // What was written is seen by its version: it may be tried again.
                Err(Failure::Lost(_)) if !once && Instant::now() < deadline => {}
                Err(Failure::Expired) => return Err(named(not_owner(), one)),
                Err(failure) => return Err(named(failure.into(), one)),
            }
        }
    }

    /// In which session a partition's offset may be written now, and since which claim (rule 10.11).
    pub(super) async fn permit(
        &self,
        one: &TopicPartition,
        deadline: Instant,
    ) -> Result<(Session, Layout, Option<u64>)> {
        match (self.shared.right(one), self.shared.layout()) {
            (Right::Owner(session, claim), Some(layout)) => Ok((session, layout, Some(claim))),
            (Right::NotOwner, _) => Err(named(not_owner(), one)),
            _ => {
                // What was seen before says nothing: others may write.
                lock(&self.known).remove(one);
                let unowned = self.unowned(one, deadline).await;
                let (session, layout) = unowned.map_err(|error| named(error, one))?;
                Ok((session, layout, None))
            }
        }
    }

    /// For who is no member: a session, if nobody owns the partition (rule 11.10).
    async fn unowned(&self, one: &TopicPartition, deadline: Instant) -> Result<(Session, Layout)> {
        let (session, layout) = self.place(deadline).await?;
        let parent = self.shared.paths.owners(layout, &one.topic);
        let is_owned = match layout {
            // The leader is in the name, perhaps one of before: it is found by the partition's number.
            Layout::PyKafka => match session.children(&parent, None, deadline).await {
                Ok((names, _)) => {
                    let mut numbers = names.iter().filter_map(|name| pykafka_number(name));
                    numbers.any(|number| number == one.partition)
                }
                Err(failure) if failure.is_no_node() => false,
                Err(failure) => return Err(failure.into()),
            },
            Layout::Legacy | Layout::Scala => {
                let path = format!("{parent}/{}", layout.offset_node(one.partition));
                session.exists(&path, None, deadline).await?.is_some()
            }
        };
        if is_owned {
            let text = "the partition belongs to a member of the group";
            return Err(Error::new(Code::UNKNOWN_MEMBER_ID, text));
        }
        Ok((session, layout))
    }

    /// Writes an offset in the session that owns the partition: the server refuses it when that is over.
    /// On the condition that nobody else has written since we looked.
    async fn write(
        &self,
        session: &Session,
        path: &str,
        one: &TopicPartition,
        (offset, claim): (i64, Option<u64>),
        deadline: Instant,
    ) -> Outcome<()> {
        let text = offset.to_string();
        loop {
            let known = lock(&self.known).get(one).copied().filter(|known| known.claim == claim);
            let written = match known {
                Some(known) if known.offset == offset => return Ok(()),
                Some(known) => {
                    let set = session.set(path, text.as_bytes(), known.version, deadline).await;
                    set.map(|stat| stat.version)
                }
                None => make(session, path, &text, deadline).await.map(|()| 0),
            };
            let (offset, version) = match written {
                Ok(version) => (offset, version),
                // It was deleted: made anew.
                Err(failure) if failure.is_no_node() => {
                    lock(&self.known).remove(one);
                    continue;
                }
                // Somebody else wrote: the one who reads this partition has the last word.
                Err(failure)
                    if failure.is(ErrorCode::BAD_VERSION) || failure.is(ErrorCode::NODE_EXISTS) =>
                {
                    let (data, stat) = session.get(path, None, deadline).await?;
                    (parse(&data).ok().flatten().unwrap_or(-1), stat.version)
                }
                Err(failure) => return Err(failure),
            };
            lock(&self.known).insert(one.clone(), Known { offset, version, claim });
        }
    }
}

/// Makes an offset node, and its parents if need be.
async fn make(session: &Session, path: &str, text: &str, deadline: Instant) -> Outcome<()> {
    let parent = path.rsplit_once('/').map_or("/", |(parent, _)| parent);
    loop {
        match session.create(path, text.as_bytes(), CreateMode::Persistent, deadline).await {
            Err(failure) if failure.is_no_node() => session.ensure(parent, deadline).await?,
            outcome => return outcome.map(drop),
        }
    }
}

fn named(error: Error, one: &TopicPartition) -> Error {
    error.with_topic(one.topic.to_string()).with_partition(one.partition)
}

fn not_owner() -> Error {
    let text = "the partition is not this member's any more: its offset was not committed";
    Error::new(Code::NOT_ASSIGNED, text)
}

/// Reads an offset: none if nothing stands there, or less than nothing, as Kafka 0.7 writes when it
/// could not find out where a partition begins.
fn parse(data: &[u8]) -> std::result::Result<Option<i64>, String> {
    let shown = || String::from_utf8_lossy(data).chars().take(40).collect::<String>();
    let text = std::str::from_utf8(data).map_err(|_| shown())?.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let offset: i64 = text.parse().map_err(|_| shown())?;
    Ok(Some(offset).filter(|offset| *offset >= 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_decimal_text_and_nothing_means_none() {
        for (data, offset) in [
            (&b"11"[..], Some(11)),
            (b" 7\n", Some(7)),
            (b"", None),
            (b"-1", None),
            (b"0", Some(0)),
        ] {
            assert_eq!(parse(data), Ok(offset));
        }
        let long = "9".repeat(100);
        for wrong in [&b"x"[..], b"1.5", &[0xff], long.as_bytes()] {
            assert!(parse(wrong).is_err());
        }
    }
}
