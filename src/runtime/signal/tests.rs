use super::*;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize};
use std::time::Duration;

use crate::os::fork::tests::in_child;

fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(60))
}

fn due() -> Option<Instant> {
    Some(Instant::now())
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.unwrap_err().code()
}

#[allow(unsafe_code, reason = "an event loop of one descriptor, as the application would have it")]
fn readable(fd: isize) -> bool {
    let fd = i32::try_from(fd).unwrap();
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd, as the count says.
    unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
}

#[test]
fn a_wait_gives_what_is_ready_or_nothing_at_its_deadline() {
    let signal = Signal::new();
    assert_eq!(signal.wait(None, || Some(1)).unwrap(), 1);
    assert_eq!(code(signal.wait(due(), || None::<()>)), Code::NOTHING);
    let deadline = Instant::now() + Duration::from_millis(5);
    assert_eq!(code(signal.wait(Some(deadline), || None::<()>)), Code::NOTHING);
    assert!(Instant::now() >= deadline, "never early (invariant 13.2)");
}

#[test]
fn a_wakeup_ends_the_next_wait_once_and_takes_nothing() {
    let signal = Signal::new();
    signal.wakeup();
    signal.wakeup();
    let mut looked = 0;
    let result = signal.wait(soon(), || {
        looked += 1;
        Some(())
    });
    assert_eq!(code(result), Code::WOKEN);
    assert_eq!(looked, 0, "what is ready stays where it is");
    assert_eq!(signal.wait(soon(), || Some(2)).unwrap(), 2);
}

#[test]
fn a_wakeup_ends_every_wait_in_progress() {
    let signal = Arc::new(Signal::new());
    let waiting = Arc::new(AtomicUsize::new(0));
    let waiters: Vec<_> = (0..8)
        .map(|_| {
            let (signal, waiting) = (Arc::clone(&signal), Arc::clone(&waiting));
            std::thread::spawn(move || {
                let mut counted = false;
                code(signal.wait(soon(), || {
                    if !std::mem::replace(&mut counted, true) {
                        waiting.fetch_add(1, Ordering::SeqCst);
                    }
                    None::<()>
                }))
            })
        })
        .collect();
    while waiting.load(Ordering::SeqCst) < 8 {
        std::thread::yield_now();
    }
    signal.wakeup();
    for waiter in waiters {
        assert_eq!(waiter.join().unwrap(), Code::WOKEN);
    }
    assert!(!signal.take_wakeup(), "it was answered, and is not remembered besides");
}

#[test]
fn poison_reaches_waiters_and_every_later_wait_and_the_first_one_stays() {
    let signal = Arc::new(Signal::new());
    let other = Arc::clone(&signal);
    let waiter = std::thread::spawn(move || other.wait(soon(), || None::<()>));
    signal.fail(Error::new(Code::PANIC, "planted"));
    signal.fail(Error::new(Code::IO, "second"));
    assert_eq!(code(waiter.join().unwrap()), Code::PANIC);
    signal.wakeup();
    for _ in 0..2 {
        assert_eq!(code(signal.wait(soon(), || Some(()))), Code::PANIC);
    }
    assert_eq!(signal.failure().unwrap().message(), "planted");
}

/// Producers put tokens into a counter and notify; waiters take them. A lost wake-up leaves tokens
/// behind and a waiter asleep until the deadline.
#[test]
fn rule_13_3_no_notification_is_lost_among_many_waiters_and_notifiers() {
    const EACH: u32 = 5_000;
    let signal = Arc::new(Signal::new());
    let tokens = Arc::new(AtomicU32::new(0));
    let take = |tokens: &AtomicU32| {
        tokens
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
            .ok()
            .map(|_| ())
    };
    let waiters: Vec<_> = (0..4)
        .map(|_| {
            let (signal, tokens) = (Arc::clone(&signal), Arc::clone(&tokens));
            std::thread::spawn(move || {
                for _ in 0..EACH {
                    signal.wait(soon(), || take(&tokens)).unwrap();
                }
            })
        })
        .collect();
    let notifiers: Vec<_> = (0..4)
        .map(|_| {
            let (signal, tokens) = (Arc::clone(&signal), Arc::clone(&tokens));
            std::thread::spawn(move || {
                for _ in 0..EACH {
                    tokens.fetch_add(1, Ordering::SeqCst);
                    signal.notify();
                }
            })
        })
        .collect();
    for thread in notifiers.into_iter().chain(waiters) {
        thread.join().unwrap();
    }
    assert_eq!(tokens.load(Ordering::SeqCst), 0);
}

#[test]
fn the_descriptor_is_readable_until_a_wait_finds_nothing() {
    let signal = Signal::new();
    signal.notify();
    let fd = signal.fd().unwrap();
    assert!(readable(fd), "what came before the descriptor is not missed");
    assert_eq!(code(signal.wait(due(), || None::<()>)), Code::NOTHING);
    assert!(!readable(fd));
    signal.notify();
    signal.notify();
    assert!(readable(fd));
    assert!(signal.wait(due(), || Some(())).is_ok());
    assert!(readable(fd), "there may be more: only NOTHING clears");
    assert_eq!(code(signal.wait(due(), || None::<()>)), Code::NOTHING);
    assert!(!readable(fd));
    signal.nudge();
    assert!(!readable(fd), "a nudge is for waiters only");
    signal.wakeup();
    assert!(readable(fd), "a poll would not wait: it would be woken");
    assert_eq!(code(signal.wait(due(), || None::<()>)), Code::WOKEN);
    assert_eq!(code(signal.wait(due(), || None::<()>)), Code::NOTHING);
    assert!(!readable(fd));
    assert_eq!(signal.fd().unwrap(), fd, "it lives as long as the signal");
    signal.set_readable(true);
    assert!(readable(fd));
    signal.set_readable(false);
    assert!(!readable(fd));
}

/// Waits until `all` threads have come here `round` times; spins, so that they leave close together.
fn meet(count: &AtomicU32, all: u32, round: u32) {
    count.fetch_add(1, Ordering::SeqCst);
    let deadline = Instant::now() + Duration::from_secs(20);
    while count.load(Ordering::SeqCst) < all * round {
        assert!(Instant::now() < deadline, "another thread failed");
        std::thread::yield_now();
    }
}

/// In each round one thread adds a token and notifies, while two others poll without being asked and
/// so clear the descriptor. Afterwards a token that is left must stand behind a readable descriptor,
/// or an event loop would sleep on it. (Without the look after the clear this fails in a few rounds.)
#[test]
fn rule_13_3_no_notification_is_lost_between_descriptor_and_clear() {
    const ROUNDS: u32 = 20_000;
    let signal = Signal::new();
    let fd = signal.fd().unwrap();
    let (tokens, begun, ended) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    let delay = |spins: u32| (0..spins).for_each(|_| std::hint::spin_loop());
    std::thread::scope(|scope| {
        for poller in 1..=2 {
            let (signal, tokens, begun, ended) = (&signal, &tokens, &begun, &ended);
            scope.spawn(move || {
                for round in 1..=ROUNDS {
                    meet(begun, 3, round);
                    delay(round * poller % 61);
                    let _ = signal.wait(due(), || match tokens.swap(0, Ordering::SeqCst) {
                        0 => None,
                        n => Some(n),
                    });
                    meet(ended, 3, round);
                }
            });
        }
        for round in 1..=ROUNDS {
            meet(&begun, 3, round);
            delay(round % 127);
            tokens.fetch_add(1, Ordering::SeqCst);
            signal.notify();
            meet(&ended, 3, round);
            // The others wait for this thread at the next meeting.
            assert!(tokens.load(Ordering::SeqCst) == 0 || readable(fd), "lost in round {round}");
        }
    });
}

#[allow(unsafe_code, reason = "a real signal handler is what is tested")]
mod from_a_handler {
    use super::*;
    use std::sync::OnceLock;

    static TARGET: OnceLock<Arc<Signal>> = OnceLock::new();

    extern "C" fn wake(_: libc::c_int) {
        if let Some(signal) = TARGET.get() {
            signal.wakeup();
        }
    }

    /// The handler runs on the waiting thread itself, in the middle of its wait, of its looks at the
    /// state, and of the making of the descriptor.
    #[test]
    fn a_wakeup_from_a_signal_handler_ends_the_wait_of_the_interrupted_thread() {
        let signal = TARGET.get_or_init(|| Arc::new(Signal::new()));
        // SAFETY: installs a handler that calls only `wakeup`, which is async-signal-safe.
        unsafe { libc::signal(libc::SIGUSR2, wake as *const () as libc::sighandler_t) };
        // SAFETY: raise runs the handler on this thread before it returns.
        unsafe { libc::raise(libc::SIGUSR2) };
        assert_eq!(code(signal.wait(soon(), || None::<()>)), Code::WOKEN, "remembered");

        for round in 0..300 {
            let (tell, told) = std::sync::mpsc::channel();
            let waiter = std::thread::spawn(move || {
                // SAFETY: takes nothing, gives this thread.
                tell.send(unsafe { libc::pthread_self() }).unwrap();
                if round % 3 == 0 {
                    signal.fd().unwrap();
                }
                code(signal.wait(soon(), || None::<()>))
            });
            let thread = told.recv().unwrap();
            // SAFETY: the thread runs until it is joined below.
            unsafe { libc::pthread_kill(thread, libc::SIGUSR2) };
            assert_eq!(waiter.join().unwrap(), Code::WOKEN, "round {round}");
        }
        assert!(!signal.take_wakeup());
        assert!(readable(signal.fd().unwrap()));
    }
}

#[test]
fn a_signal_of_the_parent_fails_at_once_in_a_child_and_leaves_the_parent_s_descriptor_alone() {
    let signal = Signal::new();
    let fd = signal.fd().unwrap();
    assert_eq!(code(signal.wait(due(), || None::<()>)), Code::NOTHING);
    assert!(in_child(|| {
        let forked = |result: Result<()>| result.is_err_and(|e| e.code() == Code::FORKED);
        signal.wakeup();
        signal.notify();
        signal.set_readable(true);
        forked(signal.wait(None, || None::<()>))
            && forked(signal.wait_for_result(None, || None::<()>))
            && forked(signal.wait_through_wakeups(None, || None::<()>))
            && signal.fd().is_err()
            && Signal::new().wait(None, || Some(())).is_ok()
    }));
    assert!(!readable(fd));
    assert!(!signal.take_wakeup());
}

#[test]
fn rule_13_8_close_waits_through_wakeups() {
    let signal = Signal::new();
    signal.wakeup();
    assert_eq!(code(signal.wait_through_wakeups(due(), || None::<()>)), Code::NOTHING);
    assert_eq!(signal.wait_through_wakeups(soon(), || Some(1)).unwrap(), 1);
    assert!(signal.take_wakeup(), "it is kept for a wait that it may end");
}
