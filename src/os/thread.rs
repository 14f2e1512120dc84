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
