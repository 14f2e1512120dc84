//! Heartbeats on their way to the coordinator.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::beat::{Beat, Constants, Told, leaving};
use super::verdict::{Verdict, judge};
use crate::error::{Code, Error};
use crate::group::{Coordinator, Lane};
use crate::net::Versions;
use crate::protocol::modern::messages::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;

/// How often a leave is tried: at the coordinator that is known, and at the one that it is then.
const LEAVES: u32 = 2;

/// What came of a heartbeat.
#[derive(Debug)]
pub(super) enum Heard {
    Told(Told),
    Refused(Code, Option<String>),
    Failed(Error),
    /// The coordinator takes no patterns.
    NeedsNames,
}

/// Sends a heartbeat and waits for the answer, for at most `patience` with the search for a coordinator.
pub(super) async fn send(
    coordinator: Arc<Coordinator>,
    constants: Constants,
    beat: Beat,
    patience: Duration,
) -> Heard {
    let deadline = Instant::now() + patience;
    let seat = match coordinator.find(deadline).await {
        Ok(seat) => seat,
        Err(error) => return Heard::Failed(error),
    };
    let fits = AtomicBool::new(true);
    let make = |versions: &Versions| {
        let version = versions.pick::<ConsumerGroupHeartbeatRequest>()?;
        if !beat.fits(version) {
            fits.store(false, Ordering::Relaxed);
            return Err(versions.unsupported("patterns of topics"));
        }
        Ok((version, beat.request(&constants, version)))
    };
    match coordinator.ask(&seat, Lane::Quick, deadline, make).await {
        Err(_) if !fits.load(Ordering::Relaxed) => Heard::NeedsNames,
        Err(error) => Heard::Failed(error),
        Ok((_, response)) => match Code::from(response.error_code) {
            Code::NONE => {
                coordinator.served();
                Heard::Told(Told::from(response))
            }
            code => {
                match judge(code, beat.epoch == 0) {
                    Verdict::Elsewhere => coordinator.lost(&seat),
                    _ => coordinator.served(),
                }
                Heard::Refused(code, response.error_message)
            }
        },
    }
}

/// Leaves the group. Any answer is fine, but one that comes from somebody else (rule 9.13).
pub(super) async fn leave(
    coordinator: Arc<Coordinator>,
    constants: Constants,
    member: Arc<str>,
    epoch: i32,
    timeout: Duration,
) {
    let deadline = Instant::now() + timeout;
    let make = |versions: &Versions| {
        let version = versions.pick::<ConsumerGroupHeartbeatRequest>()?;
        Ok((version, leaving(&constants, &member, epoch)))
    };
    for _ in 0..LEAVES {
        let Ok(seat) = coordinator.find(deadline).await else { return };
        match coordinator.ask(&seat, Lane::Quick, deadline, make).await {
            Ok((_, response)) => match judge(Code::from(response.error_code), false) {
                Verdict::Elsewhere => coordinator.lost(&seat),
                _ => return coordinator.served(),
            },
            Err(error) if error.is_retriable() => {}
            Err(_) => return,
        }
    }
}
