//! That somebody must be told of what can leave.

use std::sync::Arc;

use super::queue::Queue;
use crate::producer::mail::Mail;

/// A queue that is listed as having something to send, and whose leader's sender was not told yet.
/// Whoever holds this sends it, or drops this, which tells the sender: whatever way a call ends, nothing is
/// left lying.
#[derive(Debug)]
pub(crate) struct Duty {
    queue: Option<Arc<Queue>>,
    mail: Arc<Mail>,
}

impl Duty {
    pub(super) fn new(queue: Arc<Queue>, mail: Arc<Mail>) -> Self {
        Self { queue: Some(queue), mail }
    }

    pub(crate) fn mail(&self) -> &Arc<Mail> {
        &self.mail
    }

    pub(crate) fn queue(&self) -> Option<&Arc<Queue>> {
        self.queue.as_ref()
    }

    /// Nothing is left to tell: the queue was taken from since, which ends its listing.
    pub(crate) fn done(mut self) {
        self.queue = None;
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            self.mail.post(queue);
        }
    }
}
