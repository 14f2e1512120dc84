//! How a membership ends: forgotten, lost, left, failed.

use std::sync::Arc;
use std::time::Instant;

use super::super::acts::{Act, Stage};
use super::super::verdict::Loss;
use super::Machine;
use crate::error::{Code, Error};

impl Machine {
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
        self.acts.extend([Act::Dismiss { shut: false }, Act::Watch(false)]);
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
