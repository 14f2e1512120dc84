//! Our threads are guests in the host's process: they have names and take no signals.

use super::sys;

/// Runs `start` with all asynchronous signals blocked in the calling thread, and puts its mask back.
///
/// A new thread inherits the mask of the thread that made it: blocking here leaves no moment in which
/// a signal handler of the host could run on a thread of ours.
pub fn without_signals<T>(start: impl FnOnce() -> T) -> T {
    let _restore = sys::thread::MaskGuard::block();
    start()
}

/// Blocks all asynchronous signals in the calling thread, for good: for a thread of ours whose maker
/// is not in our hands.
///
/// What the thread itself causes (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT) stays open:
/// blocked, it would kill the process without the host's crash handler.
pub fn block_signals() {
    sys::thread::block_signals();
}

/// Starts a named thread that takes no signals. `name`: at most 15 bytes, or Linux cuts it.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    without_signals(|| builder.spawn(body)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Which signals the calling thread blocks.
    fn blocked(signals: [libc::c_int; 4]) -> [bool; 4] {
        // SAFETY: an all-zero set is a valid place to write the mask to; nothing is changed.
        unsafe {
            let mut set = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &raw mut set);
            signals.map(|signal| libc::sigismember(&raw const set, signal) == 1)
        }
    }

    const SIGNALS: [libc::c_int; 4] = [libc::SIGTERM, libc::SIGUSR1, libc::SIGPIPE, libc::SIGSEGV];

    #[test]
    fn our_threads_take_no_signals_but_their_own_faults_and_have_a_name() {
        let (tell, told) = mpsc::channel();
        let before = blocked(SIGNALS);
        spawn("samsa-test-0", move || {
            let name = std::thread::current().name().map(str::to_owned);
            tell.send((blocked(SIGNALS), name)).unwrap();
        })
        .unwrap();
        let (mask, name) = told.recv().unwrap();
        assert_eq!(mask, [true, true, true, false]);
        assert_eq!(name.as_deref(), Some("samsa-test-0"));
        assert_eq!(blocked(SIGNALS), before, "the starter's mask is as it was");
    }

    #[test]
    fn the_mask_comes_back_after_a_panic_too() {
        let before = blocked(SIGNALS);
        let result = std::panic::catch_unwind(|| {
            without_signals(|| std::panic::resume_unwind(Box::new("planted")))
        });
        assert!(result.is_err());
        assert_eq!(blocked(SIGNALS), before);
    }
}
