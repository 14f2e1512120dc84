//! One broker's fetch session as the client keeps it (KIP-227): pure.
//!
//! A request inside a session names only what changed since the one before, and the answer holds
//! only partitions with news. Both sides must therefore hold the same list: ours changes only when
//! the broker acknowledged a request (6.6), and after any doubt the whole list is sent anew (6.2).
//!
//! One session is spoken in by one fetcher, one request after the other: two incremental requests
//! may not overlap (6.1).

use std::collections::{HashMap, HashSet};

use super::plan::Asked;
use crate::consumer::name::Name;
use crate::error::Code;
use crate::protocol::modern::Uuid;

/// "No session" as an id.
const NONE: i32 = 0;
/// The epoch of a request with the whole list, which opens a session.
const OPENS: i32 = 0;
/// The epoch of a request outside of any session; with an id it closes that session.
pub(super) const ENDS: i32 = -1;

/// Our copy of a session.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// 0: there is none.
    id: i32,
    /// The epoch of the next request.
    epoch: i32,
    /// Whether the session names topics by their ids: it cannot change that (6.6).
    by_id: bool,
    /// What the broker holds, by the cluster's number of the topic and the partition's number.
    held: HashMap<(usize, i32), Held>,
}

/// What the broker holds of one partition.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    name: Name,
    id: Uuid,
    offset: i64,
    leader_epoch: i32,
    size: i32,
}

impl Held {
    fn of(asked: &Asked) -> Self {
        let Asked { name, id, offset, leader_epoch, size, .. } = asked;
        let (name, id) = (name.clone(), *id);
        Self { name, id, offset: *offset, leader_epoch: *leader_epoch, size: *size }
    }

    fn is(&self, asked: &Asked) -> bool {
        self.offset == asked.offset
            && self.leader_epoch == asked.leader_epoch
            && self.size == asked.size
            && self.id == asked.id
    }
}

/// A partition that leaves the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Forgotten {
    pub(super) name: Name,
    pub(super) id: Uuid,
    pub(super) number: i32,
    key: (usize, i32),
}

/// What one request says in, or outside of, a session.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) session: i32,
    pub(super) epoch: i32,
    /// The partitions that the request names: indices into what is wanted, in its order.
    pub(super) named: Vec<usize>,
    pub(super) forgotten: Vec<Forgotten>,
    by_id: bool,
}

impl Words {
    /// A request outside of any session.
    pub(super) fn sessionless(wanted: &[Asked]) -> Self {
        let named = (0..wanted.len()).collect();
        Self { session: NONE, epoch: ENDS, named, forgotten: Vec::new(), by_id: false }
    }

    /// Whether the answer must hold every partition that is wanted (6.4).
    pub(super) fn is_full(&self) -> bool {
        self.epoch <= OPENS
    }
}

/// What to do after a request was refused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The session was lost: the whole list, at once.
    AskAgain,
    /// The whole list, after a pause and with fresh metadata.
    Pause,
}

impl Session {
    /// What to say to have `wanted` fetched, and nothing else.
    pub(super) fn next(&self, wanted: &[Asked], by_id: bool) -> Words {
        let session = self.id;
        if self.epoch == OPENS || by_id != self.by_id {
            let named = (0..wanted.len()).collect();
            return Words { session, epoch: OPENS, named, forgotten: Vec::new(), by_id };
        }
        let (mut named, mut kept) = (Vec::new(), 0);
        let mut forgotten = Vec::new();
        for (at, asked) in wanted.iter().enumerate() {
            let held = self.held.get(&asked.key());
            kept += usize::from(held.is_some());
            if held.is_some_and(|held| held.is(asked)) {
                continue;
            }
            named.push(at);
            // A topic that was made anew is another topic (6.6). Not so in a session by names: there it
            // is one entry, and brokers forget after they have added.
            if let Some(held) = held.filter(|held| by_id && held.id != asked.id) {
                forgotten.push(held.forgotten(asked.key()));
            }
        }
        if kept < self.held.len() {
            let wanted: HashSet<_> = wanted.iter().map(Asked::key).collect();
            let gone = self.held.iter().filter(|(key, _)| !wanted.contains(key));
            forgotten.extend(gone.map(|(&key, held)| held.forgotten(key)));
        }
        Words { session, epoch: self.epoch, named, forgotten, by_id }
    }

    /// The broker took this request and answered it in `session`. `sound`: the answer holds all that
    /// it must, and nothing that was not asked for.
    pub(super) fn acknowledged(
        &mut self,
        words: &Words,
        wanted: &[Asked],
        session: i32,
        sound: bool,
    ) {
        if words.epoch == ENDS {
            return;
        }
        let stayed = words.epoch == OPENS || session == self.id;
        if session == NONE || !stayed || !sound {
            // No session, or one that we cannot be sure of: then its id says what to close (6.2, 6.3).
            self.forget(session);
            return;
        }
        if words.epoch == OPENS {
            self.held.clear();
            self.id = session;
            self.by_id = words.by_id;
        }
        for gone in &words.forgotten {
            self.held.remove(&gone.key);
        }
        for asked in words.named.iter().filter_map(|&at| wanted.get(at)) {
            self.held.insert(asked.key(), Held::of(asked));
        }
        self.epoch = following(words.epoch);
    }

    /// The request as a whole was refused.
    pub(super) fn refused(&mut self, words: &Words, code: Code) -> Refusal {
        let lost = match code {
            // The broker needed the place, or was restarted.
            Code::FETCH_SESSION_ID_NOT_FOUND => {
                self.forget(NONE);
                true
            }
            _ => {
                self.doubt();
                code == Code::INVALID_FETCH_SESSION_EPOCH
            }
        };
        // A peer that says so about a whole list would be asked again at round-trip speed.
        if lost && !words.is_full() { Refusal::AskAgain } else { Refusal::Pause }
    }

    /// Nobody knows what became of the last request: the next one names the whole list, in the place
    /// of the session that there may be (6.2).
    pub(super) fn doubt(&mut self) {
        self.forget(self.id);
    }

    /// Whether the broker may hold a session of ours.
    pub(super) fn is_open(&self) -> bool {
        self.id != NONE
    }

    /// Takes the session to be closed, if the broker may hold one.
    pub(super) fn take(&mut self) -> Option<i32> {
        let id = self.id;
        self.forget(NONE);
        (id != NONE).then_some(id)
    }

    fn forget(&mut self, id: i32) {
        self.id = id;
        self.epoch = OPENS;
        self.held = HashMap::new();
    }
}

impl Held {
    fn forgotten(&self, key: (usize, i32)) -> Forgotten {
        Forgotten { name: self.name.clone(), id: self.id, number: key.1, key }
    }
}

/// Epochs go round without the two that have a meaning of their own.
fn following(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
