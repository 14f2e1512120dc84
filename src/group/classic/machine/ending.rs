//! How a membership ends: forgotten, lost, left, failed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::acts::{Act, Stage};
use super::super::verdict::Loss;
use super::Machine;
use crate::error::{Code, Error};

/// How long a last commit waits for a round that is being completed: a sound one takes the leader's look at
/// the topics and two round trips.
const LAST_ROUND: Duration = Duration::from_secs(1);

impl Machine {
    /// The consumer commits for the last time, and leaves then, for good or until the next subscription.
    /// It does not wait for a rebalance in which others take their time (rule 8.25):
    ///
    /// ```text
    ///   coordinator:  stable │ preparing: waits for all joins │ completing: for the leader │ stable
    ///   generation:   n      │ n                              │ n + 1                      │ n + 1
    ///   the member:   stable │ joining                        │ leading, syncing           │ stable
    ///   its commit:   as n   │ as n, taken                    │ refused (27): waits        │ as n + 1
    /// ```
    ///
    /// - A join is not waited for: all that commits as n is taken until the last member has come. It is not
    ///   abandoned either before the member leaves: should its answer come, or have come when the commit
    ///   arrives, n is over (22), and the commit goes once more when the member knows its new generation.
    /// - Leading and syncing are waited for, but for [`LAST_ROUND`] only: the leader may be dead. Then the
    ///   commit goes, and the caller is told if it met 27.
    /// - A join or sync that failed is not repeated: the commit goes as who the member was then.
    /// - Nothing is told or given up any more: the consumer holds everything until it has committed.
    /// - A static member does the same, and does not leave then (KIP-345): for the coordinator it is
    ///   somebody who joined and is silent, until its session ends or it is back.
    /// - With no time at all nobody waits for the commit, but the member, which leaves after it.
    pub(in super::super) fn finish(&mut self, now: Instant) {
        if self.ended {
            return;
        }
        (self.finishing, self.last_round) = (true, Some(now + LAST_ROUND));
        if self.stage == Stage::Joining {
            self.acts.push(Act::Reopen);
        }
        self.advance(now);
    }

    /// A round that is not completed in time is not waited for.
    pub(super) fn hurry(&mut self, now: Instant) {
        if self.last_round.take_if(|end| now >= *end).is_some()
            && matches!(self.stage, Stage::Leading | Stage::Syncing)
        {
            self.acts.push(Act::Reopen);
        }
    }

    /// It is no member any more, and begins again.
    pub(super) fn forget(&mut self, loss: Loss, now: Instant) {
        self.abandon();
        self.lose(loss);
        self.why = "it was no member any more";
        self.retry(now, self.failures);
    }

    /// What it held is another's, or may be (rule 8.17). A rebalance under way does not bring it back.
    pub(super) fn lose(&mut self, loss: Loss) {
        self.queue.clear();
        self.last.clear();
        (self.brought, self.user_data) = (-1, None);
        (self.who.generation, self.beat_out) = (-1, false);
        if loss == Loss::Member {
            self.who.member = Arc::from("");
        }
        self.leads = false;
        // First the gate of commits: whoever has heard of the loss commits nothing by the old claim.
        self.acts.extend([Act::Dismiss { shut: true }, Act::Watch(false)]);
        let lost: Vec<_> = std::mem::take(&mut self.owned).into_iter().collect();
        if !lost.is_empty() {
            self.acts.push(Act::Lost(lost));
        }
    }

    pub(super) fn abandon(&mut self) {
        if matches!(self.stage, Stage::Joining | Stage::Leading | Stage::Syncing) {
            self.attempt += 1;
            self.acts.push(Act::Abandon);
        }
    }

    /// Leaves. A static member stays: its place is kept until its session ends (rule 8.18).
    pub(super) fn go(&mut self, why: &'static str) {
        if !self.rules.is_static && !self.who.member.is_empty() {
            self.acts.push(Act::Leave(Arc::clone(&self.who.member), why));
            self.who.member = Arc::from("");
        }
        self.out();
    }

    pub(super) fn out(&mut self) {
        (self.who.generation, self.brought, self.again) = (-1, -1, None);
        self.beat_out = false;
        self.leads = false;
        self.owned.clear();
        self.last.clear();
        self.user_data = None;
        self.queue.clear();
        self.stage = Stage::Out;
        // Who only stepped out is subscribed still: what it lost stays lost, though it is nobody now.
        let stays = self.stepped_out && self.wish.is_some();
        self.acts.push(if stays { Act::Reopen } else { Act::Dismiss { shut: false } });
        self.acts.push(Act::Watch(false));
    }

    /// Out until the next subscription (rules 8.4, 8.26).
    pub(super) fn fail(&mut self, error: Error) {
        self.abandon();
        self.lose(Loss::Generation);
        self.wish = None;
        match error.code() {
            // Another one is the member now: it must not be thrown out.
            Code::FENCED_INSTANCE_ID => {
                self.who.member = Arc::from("");
                self.out();
            }
            _ => self.go("it failed"),
        }
        if !self.ended {
            self.acts.push(Act::Failed(error));
        }
    }
}
