//! The shortest way to a broker: the thread that sends a record writes the request itself.
//!
//! A wake-up costs more than everything else about a single record. So where nothing is to be gained by
//! waiting for other records (`linger.ms=0`), where the connection stands and nobody is before this record,
//! the calling thread does what the sender task would do, and the I/O thread wakes for the answer only.
//!
//! What may happen meanwhile, and what comes of it:
//!
//! - Another thread, or the task, is sending: the office is taken, the task is told (`Duty`).
//! - The partition moves: `Queue::take` asks whether this broker still leads it, under the queue's lock.
//!   A request that is written after that is what it would be had the task written it: the answer of a
//!   broker that no longer leads brings the batch back.
//! - The connection breaks: it refuses the request (nothing was written, invariant 1.20), or its end tells
//!   the listener. Both bring the batch back, which then goes alone, by the task and a new connection.
//! - The stream takes no more bytes: what is left is the connection's task's to write. Likewise under a
//!   throttle: the connection is silent, and the request waits in it as one of the task's would.
//! - A close: no outcome is missing, since the batch is in flight from `take` on. Is the producer over
//!   before the request is kept, its batches have their outcomes, and nothing is written.
//! - A fork: a child never comes here, `send` has refused it. The office is then perhaps taken for ever in
//!   the child, which nobody enters there.
//! - A panic: breaks the producer, as one of the task's does.

use std::sync::Arc;
use std::time::Instant;

use super::super::accumulator::{Duty, Take, Wanted};
use super::super::core::Core;
use super::answer::refused;
use super::call::{land, launch};
use super::request::Cargo;
use crate::config::Acks;
use crate::error::{Code, Error};

/// Sends what the queue of `duty` has, if that can be done at once; else its sender is told.
pub(crate) fn send_now(core: &Arc<Core>, duty: Duty) {
    let broken = Broken(core);
    if core.config.acks != Acks::None {
        try_to_send(core, duty);
    }
    std::mem::forget(broken);
}

fn try_to_send(core: &Arc<Core>, duty: Duty) {
    let mail = Arc::clone(duty.mail());
    let Some(queue) = duty.queue() else { return };
    let most = core.config.max_in_flight;
    let Some(seat) = mail.office.enter(&mail) else { return };
    let Some(live) = seat.live() else { return };
    // Kafka 0.7 acknowledges nothing: its requests need a task that asks afterwards.
    if live.connection.is_legacy() || mail.in_flight() >= most || mail.has_letters() {
        return;
    }
    let window = live.profile.window.min(most);
    let (format, now) = (live.profile.format, Instant::now());
    let wanted = Wanted { format, room: None, window, now, once: false };
    loop {
        match queue.take(&mail, &wanted) {
            Take::Seal(seal) => seal.run_quietly(),
            Take::Flight(flight) => {
                // Otherwise it is still listed: the sender has its next batch to send.
                let more = flight.more;
                match live.profile.check(flight.body.sealed.compression()) {
                    Ok(()) => launch(core, &mail, &live, Cargo::of(flight)),
                    Err(error) => land(core, &flight, &live.profile.address, refused(&error)),
                }
                if !more {
                    duty.done();
                }
                return;
            }
            Take::Nothing => return duty.done(),
            Take::NoRoom | Take::Again => return,
        }
    }
}

/// A panic between taking a batch and keeping its request would leave it in flight for ever.
struct Broken<'a>(&'a Arc<Core>);

impl Drop for Broken<'_> {
    fn drop(&mut self) {
        let text = "a bug in libsamsa: panic in a direct send";
        self.0.fail(&Error::new(Code::PANIC, text).fatal());
    }
}
