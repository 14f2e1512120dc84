//! A wire between a client and a server that can be cut, or fall silent without being cut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

#[derive(Default)]
struct Shared {
    silent: AtomicBool,
    refusing: AtomicBool,
    taken: AtomicUsize,
    streams: Mutex<Vec<TcpStream>>,
}

/// Forwards every connection to one server, until it is told otherwise. Ends with the test's process.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Listens on loopback, in front of `server` (`host:port`).
    pub fn before(server: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let port = listener.local_addr().expect("its address").port();
        let shared = Arc::new(Shared::default());
        let (server, own) = (server.to_owned(), Arc::clone(&shared));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                own.taken.fetch_add(1, Ordering::SeqCst);
                if own.refusing.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(upstream) = TcpStream::connect(&server) else { continue };
                join(&client, &upstream, &own);
            }
        });
        Proxy { port, shared }
    }

    /// Its address, `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// How many connections it was asked for so far.
    pub fn taken(&self) -> usize {
        self.shared.taken.load(Ordering::SeqCst)
    }

    /// Lets no byte pass in either direction from now on, and keeps every connection open; or lets all
    /// pass again.
    pub fn set_silent(&self, silent: bool) {
        self.shared.silent.store(silent, Ordering::SeqCst);
    }

    /// Cuts every connection, and new ones at once; or serves new ones again.
    pub fn set_cut(&self, cut: bool) {
        self.shared.refusing.store(cut, Ordering::SeqCst);
        if cut {
            let mut streams = self.shared.streams.lock().unwrap_or_else(PoisonError::into_inner);
            for stream in streams.drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

fn join(client: &TcpStream, upstream: &TcpStream, shared: &Arc<Shared>) {
    let copy = |stream: &TcpStream| stream.try_clone().expect("a second handle");
    let mut streams = shared.streams.lock().unwrap_or_else(PoisonError::into_inner);
    streams.extend([copy(client), copy(upstream)]);
    for (from, to) in [(client, upstream), (upstream, client)] {
        let (from, to, shared) = (copy(from), copy(to), Arc::clone(shared));
        thread::spawn(move || pump(from, to, &shared));
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, shared: &Shared) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count) = from.read(&mut buffer) {
        // A silent network delivers later what was sent meanwhile.
        while shared.silent.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
