//! What the brokers received: counts for ever, the newest requests in full.

use std::collections::{HashMap, VecDeque};

/// How many requests are kept in full.
const KEPT: usize = 4_096;

/// A request that a broker received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRequest {
    /// The broker that received it.
    pub broker: i32,
    /// The connection it came over: a number that no other connection of the cluster has.
    pub connection: u64,
    /// The API key, as sent: it may be one that no broker knows.
    pub api: i16,
    /// The version of the API, as sent.
    pub version: i16,
    /// The client id, empty when absent.
    pub client_id: String,
    /// Bytes of the frame after its length.
    pub size: usize,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    counts: HashMap<i16, u64>,
    newest: VecDeque<SeenRequest>,
}

impl Ledger {
    pub(super) fn note(&mut self, request: SeenRequest) {
        *self.counts.entry(request.api).or_default() += 1;
        if self.newest.len() == KEPT {
            self.newest.pop_front();
        }
        self.newest.push_back(request);
    }

    pub(super) fn count(&self, api: i16) -> u64 {
        self.counts.get(&api).copied().unwrap_or(0)
    }

    pub(super) fn newest(&self) -> Vec<SeenRequest> {
        self.newest.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_on_when_the_oldest_requests_are_forgotten() {
        let mut ledger = Ledger::default();
        for size in 0..KEPT + 10 {
            let client_id = String::new();
            ledger.note(SeenRequest {
                broker: 0,
                connection: 1,
                api: 3,
                version: 9,
                client_id,
                size,
            });
        }
        assert_eq!(ledger.count(3), KEPT as u64 + 10);
        let newest = ledger.newest();
        assert_eq!((newest.len(), newest[0].size), (KEPT, 10));
        assert_eq!(ledger.count(0), 0);
    }
}
