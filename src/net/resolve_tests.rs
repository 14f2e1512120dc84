//! Look-ups with an operating system that answers when it is told to.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::os::fork::tests::in_child;

/// Each look-up waits until the gate of its name is opened, if it has one.
#[derive(Default)]
struct Slow {
    gates: Mutex<HashMap<String, mpsc::Receiver<()>>>,
    seen: Mutex<Vec<String>>,
    no_threads: AtomicBool,
}

impl System for Arc<Slow> {
    fn look_up(&self, host: &str) -> io::Result<Vec<SocketAddr>> {
        self.seen.lock().unwrap().push(host.to_owned());
        let gate = self.gates.lock().unwrap().remove(host);
        gate.map(|gate| gate.recv());
        match host {
            "nowhere" => Ok(Vec::new()),
            "broken" => panic!("planted"),
            _ => Ok(["10.0.0.1:0", "10.0.0.2:0", "10.0.0.1:0"].map(|a| a.parse().unwrap()).into()),
        }
    }

    fn start(&self, body: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        if self.no_threads.load(Ordering::Relaxed) {
            return Err(io::Error::from(io::ErrorKind::WouldBlock));
        }
        thread::spawn("samsa-dns", body)
    }
}

impl Slow {
    /// Look-ups of this name wait until the sender that this gives is used or dropped.
    fn gate(&self, host: &str) -> mpsc::Sender<()> {
        let (open, gate) = mpsc::channel();
        self.gates.lock().unwrap().insert(host.to_owned(), gate);
        open
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn slow() -> (Arc<Slow>, Arc<Resolver>) {
    let system = Arc::new(Slow::default());
    (Arc::clone(&system), Resolver::new(Box::new(system)))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn look_up(
    resolver: &Arc<Resolver>,
    host: &str,
) -> impl Future<Output = Outcome> + Send + use<> + 'static {
    let (resolver, address) = (Arc::clone(resolver), Address::new(host, 9092));
    async move { resolver.resolve(&address, soon()).await }
}

async fn until(what: impl Fn() -> bool) {
    while !what() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_name_that_hangs_holds_up_no_other() {
    let (system, resolver) = slow();
    let open = system.gate("hangs");
    let hangs = tokio::spawn(look_up(&resolver, "hangs"));
    until(|| system.seen() == ["hangs"]).await;
    let found = look_up(&resolver, "quick").await.unwrap();
    assert_eq!(found, ["10.0.0.1:9092", "10.0.0.2:9092"].map(|a| a.parse().unwrap()));
    assert!(!hangs.is_finished());
    drop(open);
    assert_eq!(hangs.await.unwrap().unwrap(), found);
    until(|| resolver.lock().threads == 0).await;
    assert!(resolver.lock().asked.is_empty(), "what is done is forgotten, and asked for anew");
}

#[tokio::test]
async fn a_name_is_looked_up_once_for_all_who_ask_meanwhile() {
    let (system, resolver) = slow();
    let open = system.gate("shared");
    let first = tokio::spawn(look_up(&resolver, "shared"));
    until(|| system.seen() == ["shared"]).await;
    let others: Vec<_> = (0..8).map(|_| tokio::spawn(look_up(&resolver, "shared"))).collect();
    until(|| resolver.lock().asked["shared"].receiver_count() == 9).await;
    drop(open);
    for one in others.into_iter().chain([first]) {
        one.await.unwrap().unwrap();
    }
    assert_eq!(system.seen(), ["shared"]);
    look_up(&resolver, "shared").await.unwrap();
    assert_eq!(system.seen(), ["shared", "shared"], "later it is looked up anew");
}

#[tokio::test]
async fn beyond_four_names_wait_and_one_that_nobody_waits_for_any_more_is_not_looked_up() {
    let (system, resolver) = slow();
    let names: Vec<String> = (0..THREADS).map(|i| format!("hangs-{i}")).collect();
    let open: Vec<_> = names.iter().map(|name| system.gate(name)).collect();
    let hang: Vec<_> = names.iter().map(|name| tokio::spawn(look_up(&resolver, name))).collect();
    until(|| system.seen().len() == THREADS).await;
    let given_up = tokio::spawn(look_up(&resolver, "given-up"));
    until(|| resolver.lock().queue.len() == 1).await;
    let waits = tokio::spawn(look_up(&resolver, "waits"));
    until(|| resolver.lock().queue.len() == 2).await;
    given_up.abort();
    let _ = given_up.await;
    assert_eq!(resolver.lock().threads, THREADS);
    drop(open);
    waits.await.unwrap().unwrap();
    for one in hang {
        one.await.unwrap().unwrap();
    }
    assert!(!system.seen().contains(&"given-up".to_owned()), "{:?}", system.seen());
}

#[tokio::test]
async fn a_thread_that_cannot_be_started_is_an_error_that_may_be_tried_again() {
    let (system, resolver) = slow();
    system.no_threads.store(true, Ordering::Relaxed);
    let error = look_up(&resolver, "name").await.unwrap_err();
    assert_eq!(error.code(), Code::RESOLVE_FAILED);
    assert!(error.is_retriable() && error.message().contains("no thread"), "{error}");
    let literal = look_up(&resolver, "::1").await.unwrap();
    assert_eq!(literal, ["[::1]:9092".parse().unwrap()], "an address needs no thread");
    system.no_threads.store(false, Ordering::Relaxed);
    look_up(&resolver, "name").await.unwrap();
}

#[tokio::test]
async fn with_no_further_thread_a_name_waits_for_those_that_run() {
    let (system, resolver) = slow();
    let open = system.gate("hangs");
    let hangs = tokio::spawn(look_up(&resolver, "hangs"));
    until(|| system.seen() == ["hangs"]).await;
    system.no_threads.store(true, Ordering::Relaxed);
    let waits = tokio::spawn(look_up(&resolver, "waits"));
    until(|| resolver.lock().queue.len() == 1).await;
    drop(open);
    waits.await.unwrap().unwrap();
    hangs.await.unwrap().unwrap();
}

#[tokio::test]
async fn names_without_address_and_panics_and_time_are_errors_that_name_the_name() {
    let (system, resolver) = slow();
    for (name, text) in [("nowhere", "has no address"), ("broken", "could not be resolved")] {
        let error = look_up(&resolver, name).await.unwrap_err();
        assert_eq!(error.code(), Code::RESOLVE_FAILED);
        assert!(error.message().contains(name) && error.message().contains(text), "{error}");
    }
    let _open = system.gate("hangs");
    let error = resolver.resolve(&Address::new("hangs", 1), Instant::now()).await.unwrap_err();
    assert_eq!(error.code(), Code::RESOLVE_FAILED);
    assert!(error.message().contains("\"hangs\" was not resolved in time"), "{error}");
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_an_error_that_names_it() {
    let address = Address::new("no-such-host.invalid", 9092);
    let error = resolve(&address, soon()).await.unwrap_err();
    assert_eq!(error.code(), Code::RESOLVE_FAILED);
    assert!(error.message().contains("no-such-host.invalid"), "{error}");
}

#[test]
fn a_forked_child_looks_up_by_threads_of_its_own() {
    let runtime =
        || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let here = Address::new("localhost", 9092);
    assert!(runtime().block_on(resolve(&here, soon())).is_ok());
    // The parent's is made and its lock may be held: the child looks at neither. Its own asks nobody here, for
    // another thread of this process may be in the system's look-up, under that one's locks.
    let parent = RESOLVER.get().unwrap();
    let held = parent.lock();
    assert!(in_child(|| {
        let (system, resolver) = slow();
        let found = runtime().block_on(look_up(&resolver, "child"));
        RESOLVER.get().is_none() && found.is_ok() && system.seen() == ["child"]
    }));
    drop(held);
}
