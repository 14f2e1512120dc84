//! The task of a membership: joins, watches over its session, leaves.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::sleep_until;

use super::member::Member;
use super::orders::Orders;
use super::reading::soon;
use crate::discovery::zookeeper::{Failure, Phase, Session, ZooKeeper};
use crate::error::Error;
use crate::group::Listener;
use crate::runtime::inject_panic;

/// Why a member is none any more, or not for now.
enum Stop {
    /// The session is over: all it had is gone.
    Expired,
    /// ZooKeeper has been silent for so long that the session may soon be over (rule 10.6).
    Silent,
    /// The consumer wishes so.
    Out,
    /// It can never succeed.
    Failed(Error),
}

pub(super) struct Task {
    member: Member,
    orders: watch::Receiver<Orders>,
    /// Hears until when the member is sure to be one.
    listener: Arc<dyn Listener>,
    /// The last wish that failed for good.
    failed: u64,
    /// How many ends were counted when the member joined.
    ends: u64,
}

impl Task {
    pub(super) fn new(
        member: Member,
        orders: watch::Receiver<Orders>,
        listener: Arc<dyn Listener>,
    ) -> Self {
        Self { member, orders, listener, failed: 0, ends: 0 }
    }

    /// Runs until the member leaves for good, or nobody holds it any more.
    pub(super) async fn run(mut self) {
        loop {
            let failed = self.failed;
            let joins = |orders: &Orders| orders.has_left || orders.joins(failed);
            match self.orders.wait_for(joins).await {
                Ok(orders) if !orders.has_left => {}
                _ => return,
            }
            let before = self.orders.borrow().clone();
            self.ends = before.ends;
            let stop = self.belong().await;
            let orders = self.orders.borrow_and_update().clone();
            if let Stop::Failed(error) = stop {
                // A wish that came later is another one.
                self.failed = before.number;
                self.member.lose();
                self.member.teller.failed(error.fatal());
            } else if orders.outs != before.outs {
                self.member.lose();
            } else {
                self.member.overtaken();
            }
            let shared = Arc::clone(&self.member.shared);
            shared.farewell().await;
            self.member.gone();
            if orders.has_left {
                return;
            }
        }
    }

    /// Belongs to the group, in one session after the other.
    async fn belong(&mut self) -> Stop {
        loop {
            inject_panic("zookeeper group");
            let client = self.member.shared.clients.get();
            let session = tokio::select! {
                biased;
                () = out(&mut self.orders, self.failed, self.ends) => return Stop::Out,
                session = client.session(soon()) => session,
            };
            let session = match session {
                Ok(session) => session,
                Err(failure) if failure.is_final() => return Stop::Failed(failure.into()),
                Err(failure) => {
                    let again =
                        self.member.stumble(failure.into(), client.status().borrow().timeout);
                    tokio::select! {
                        () = out(&mut self.orders, self.failed, self.ends) => return Stop::Out,
                        () = sleep_until(again.into()) => continue,
                    }
                }
            };
            match self.attend(&client, &session).await {
                Stop::Expired => {
                    self.member.lose();
                    self.member.begin();
                }
                stop => return stop,
            }
        }
    }

    /// Keeps the member's share in one session.
    async fn attend(&mut self, client: &ZooKeeper, session: &Session) -> Stop {
        loop {
            let stop = tokio::select! {
                biased;
                () = out(&mut self.orders, self.failed, self.ends) => Stop::Out,
                stop = watch_over(client, session, &*self.listener, true) => stop,
                failure = self.member.work(session) => match failure {
                    Failure::Expired => Stop::Expired,
                    failure => Stop::Failed(failure.into()),
                },
            };
            if !matches!(stop, Stop::Silent) {
                return stop;
            }
            // Others may soon read what was ours. The nodes stay as long as the session does: should it
            // be found alive, they are ours again.
            self.member.lose();
            let mut status = client.status();
            tokio::select! {
                biased;
                () = out(&mut self.orders, self.failed, self.ends) => return Stop::Out,
                stop = watch_over(client, session, &*self.listener, false) => return stop,
                _ = status.wait_for(|status| status.is_connected()) => {}
            }
        }
    }
}

/// Waits until the member is to be none.
async fn out(orders: &mut watch::Receiver<Orders>, failed: u64, ends: u64) {
    // Nobody holds the membership any more: that is the end too.
    let _ = orders.wait_for(|orders| !orders.stays(failed, ends)).await;
}

/// Waits until the session is over, or, if asked to, may soon be: two thirds of its time-out without a
/// sign of life (rule 10.6). While a server serves it, the client itself notices silence in that time.
/// For the time in between, and should this process stand still, the consumer knows itself until when
/// the member is sure to be one.
async fn watch_over(
    client: &ZooKeeper,
    session: &Session,
    listener: &dyn Listener,
    notices_silence: bool,
) -> Stop {
    let (mut status, mut confirmations) = (client.status(), client.confirmations());
    loop {
        // Before the status: what confirms the next session is not taken for this one's.
        let confirmed = *confirmations.borrow_and_update();
        let now = status.borrow_and_update().clone();
        let connected = now.is_connected();
        match now.phase {
            Phase::Ended(error) => return Stop::Failed(error),
            _ if now.session != session.number() => return Stop::Expired,
            _ => {}
        }
        let silent = confirmed + session.timeout() / 3 * 2;
        listener.confirmed(Some(silent));
        tokio::select! {
            changed = status.changed() => if changed.is_err() {
                return Stop::Expired;
            },
            // The sender lives as long as the client.
            _ = confirmations.changed() => {}
            () = sleep_until(silent.into()), if notices_silence && !connected => return Stop::Silent,
        }
    }
}
