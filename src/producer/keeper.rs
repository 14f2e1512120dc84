//! The keeper: one task per producer that moves queues when leaders change, and ends what is past its
//! delivery time, whether the partition has a leader or not (invariant 4.16).

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use super::core::Core;
use super::timers::Timers;
use crate::cluster::Metadata;

pub(crate) async fn run(core: Arc<Core>, mut changes: watch::Receiver<Arc<Metadata>>) {
    let mail = Arc::clone(&core.ledger.keeper);
    let mut timers = Timers::default();
    let mut has_cluster = true;
    loop {
        let letters = mail.collect();
        if letters.stopped {
            return;
        }
        for (at, queue) in letters.timers {
            timers.add(at, queue);
        }
        let now = Instant::now();
        while let Some((_, queue)) = timers.due(now) {
            if let Some(next) = queue.expire(now) {
                timers.add(next, queue);
            }
        }
        if !mail.may_sleep(timers.next(), false, true) {
            continue;
        }
        tokio::select! {
            () = mail.sleep(timers.next()) => {}
            changed = changes.changed(), if has_cluster => {
                // A metadata loop that ended has told the producer by other ways.
                has_cluster = changed.is_ok();
                core.update_all();
            }
        }
    }
}
