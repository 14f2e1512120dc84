//! Commits in a line: one request at a time, in the order of the calls. Those that are tried once only and
//! wait behind each other go together: a program that commits each message without waiting makes one
//! request a round trip, not a backlog.
//!
//! A commit that waits for the member's next epoch (rule 9.11) lets those behind it pass, but not one of
//! a partition that it commits too, nor one that waits behind such a one: of a partition an older commit
//! never comes after a newer (rule 11.5).

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use super::Shared;
use super::commit::{Job, Work};
use crate::group::standing::Standing;

/// Serves commits until the store is dropped and all are over.
pub(super) async fn run(shared: Arc<Shared>, mut queue: mpsc::UnboundedReceiver<Job>) {
    let (mut line, mut is_open) = (Line::default(), true);
    while is_open || !line.0.is_empty() {
        while let Ok(job) = queue.try_recv() {
            line.0.push(Work::new(job));
        }
        // Listens first, then looks: what changes in between is not missed.
        let news = shared.standing.news();
        match line.next(&shared.standing, Instant::now()) {
            Turn::Now(at) => {
                line.gather(at);
                // In its place: what comes meanwhile queues up behind it.
                let Some(work) = line.0.get_mut(at) else { continue };
                if work.run(&shared).await {
                    line.0.remove(at).tell();
                }
            }
            Turn::Later(until) => {
                let pause = async {
                    match until {
                        Some(until) => tokio::time::sleep_until(until.into()).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    job = queue.recv(), if is_open => match job {
                        Some(job) => line.0.push(Work::new(job)),
                        None => is_open = false,
                    },
                    () = news, if until.is_some() => {}
                    () = pause => {}
                }
            }
        }
    }
}

/// Oldest first.
#[derive(Default)]
struct Line(Vec<Work>);

/// Whose turn it is.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Now(usize),
    /// Nobody's, if nothing changes before then.
    Later(Option<Instant>),
}

impl Line {
    fn next(&mut self, standing: &Standing, now: Instant) -> Turn {
        self.0.retain(|work| !work.is_late(now));
        let mut soonest = None;
        for (at, work) in self.0.iter().enumerate() {
            if self.0.iter().take(at).any(|older| older.meets(work)) {
                continue;
            }
            match work.rests(standing, now) {
                None => return Turn::Now(at),
                Some(end) => soonest = soonest.into_iter().chain([end]).min(),
            }
        }
        Turn::Later(soonest)
    }

    /// The work at this place takes along those right behind it that can go with it, and overtake nobody
    /// by that who commits the same partition and rests.
    fn gather(&mut self, at: usize) {
        let mut behind = self.0.split_off(at + 1).into_iter().peekable();
        let Some(mut work) = self.0.pop() else { return };
        let resting = &self.0;
        let can_go = |work: &Work, newer: &Work| {
            work.takes(newer) && !resting.iter().any(|older| older.meets(newer))
        };
        while let Some(newer) = behind.next_if(|newer| can_go(&work, newer)) {
            work.take_along(newer);
        }
        self.0.push(work);
        self.0.extend(behind);
    }
}
