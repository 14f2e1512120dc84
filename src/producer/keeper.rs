//! The keeper: one task per producer that moves queues when leaders change, and ends what is past its
//! delivery time, whether the partition has a leader or not (invariant 4.16), and lets idle topics go.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use super::core::Core;
use super::idle::Looks;
use super::timers::Timers;
use crate::cluster::Metadata;

pub(crate) async fn run(core: Arc<Core>, mut changes: watch::Receiver<Arc<Metadata>>) {
    let mail = Arc::clone(&core.ledger.keeper);
    let mut timers = Timers::default();
    let mut looks = Looks::new(core.config.metadata_max_idle);
    let mut has_cluster = true;
    loop {
        let letters = mail.collect();
        if letters.stopped {
            return;
        }
        for (at, queue) in letters.timers {
            timers.add(at, queue);
        }
        // Queues write here when they lack a leader that nobody looks for.
        for queue in &letters.ready {
            core.revive(queue);
            core.rescue(queue);
        }
        let now = Instant::now();
        while let Some((at, queue)) = timers.due(now) {
            if let Some(next) = queue.timer_expired(at, now) {
                timers.add(next, queue);
            }
        }
        if looks.is_due(now) {
            core.look_for_idle_topics();
        }
        let look = looks.next(core.topics.are_used(), now);
        let until = [timers.next(), look].into_iter().flatten().min();
        if !mail.may_sleep(until, false, true) {
            continue;
        }
        tokio::select! {
            () = mail.sleep(until) => {}
            changed = changes.changed(), if has_cluster => {
                // A metadata loop that ended has told the producer by other ways.
                has_cluster = changed.is_ok();
                core.update_all();
            }
        }
    }
}
