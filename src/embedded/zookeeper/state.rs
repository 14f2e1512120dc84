//! What the tasks of an embedded ZooKeeper share.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::options::Options;
use super::world::World;
use super::{connection, serve};
use crate::embedded::server::{Ended, Host};
use crate::error::{Code, Error, Result};
use crate::os::wait::WaitWord;

/// One server of the ensemble.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) address: SocketAddr,
    alive: AtomicBool,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) options: Options,
    pub(super) seats: Vec<Seat>,
    world: Mutex<World>,
    /// The first panic of a task: a bug of this room, told to whoever waits.
    pub(super) failure: OnceLock<Error>,
    /// Moves whenever a request was done, a session ended or a connection closed.
    pub(super) progress: WaitWord,
    /// A session is there whose end may come before all others'.
    clock: Notify,
}

impl State {
    pub(super) fn new(options: Options, addresses: Vec<SocketAddr>) -> Self {
        let seat = |address| Seat { address, alive: AtomicBool::new(true) };
        Self {
            options,
            seats: addresses.into_iter().map(seat).collect(),
            world: Mutex::default(),
            failure: OnceLock::new(),
            progress: WaitWord::new(),
            clock: Notify::new(),
        }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seat(&self, server: i32) -> Result<&Seat> {
        let seat = usize::try_from(server).ok().and_then(|server| self.seats.get(server));
        seat.ok_or_else(|| {
            let last = self.seats.len().saturating_sub(1);
            let why = format!("there is no server {server}: they are 0 to {last}");
            Error::new(Code::INVALID_ARGUMENT, why)
        })
    }

    pub(super) fn set_alive(&self, seat: &Seat, alive: bool) {
        if alive && !self.any_alive() {
            // Sessions outlive a restart: their time begins anew.
            let now = Instant::now();
            self.world().sessions.values_mut().for_each(|session| session.heard = now);
        }
        seat.alive.store(alive, Ordering::Release);
        self.clock.notify_one();
    }

    fn any_alive(&self) -> bool {
        self.seats.iter().any(|seat| seat.alive.load(Ordering::Acquire))
    }

    /// Does what a connection asks for; gives the frame back when it is to be asked again later.
    pub(super) fn take(&self, connection: u64, frame: Bytes) -> Option<Bytes> {
        let mut world = self.world();
        let sessions = world.last_session();
        let back = serve::take(&mut world, &self.options, connection, frame);
        if world.last_session() != sessions {
            self.clock.notify_one();
        }
        drop(world);
        self.progress.notify_all();
        back
    }

    /// Ends sessions when their time is over; sleeps in between.
    pub(super) async fn keep_time(self: Arc<Self>) {
        loop {
            // Without a server nobody is judged.
            let next = match self.any_alive() {
                true => self.world().end_overdue(Instant::now()),
                false => None,
            };
            self.progress.notify_all();
            match next {
                None => self.clock.notified().await,
                Some(next) => tokio::select! {
                    () = self.clock.notified() => {}
                    () = tokio::time::sleep_until(next.into()) => {}
                },
            }
        }
    }
}

impl Seat {
    pub(super) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }
}

impl Host for State {
    fn is_alive(&self, server: i32) -> bool {
        self.seat(server).is_ok_and(Seat::is_alive)
    }

    fn fail(&self, error: Error) {
        let _first = self.failure.set(error);
        self.progress.notify_all();
    }

    async fn serve(self: Arc<Self>, server: i32, number: u64, stream: Ended<TcpStream>) {
        connection::run(self, server, number, stream).await;
    }
}
