//! The wait word as a Linux futex.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use crate::os::unix::keeping_errno;

#[derive(Debug, Default)]
pub(in crate::os) struct Word {
    value: AtomicU32,
    /// How many are between "about to sleep" and "awake", so that a notification with nobody there
    /// makes no system call.
    waiters: AtomicU32,
}

impl Word {
    pub(in crate::os) const fn new() -> Self {
        Self { value: AtomicU32::new(0), waiters: AtomicU32::new(0) }
    }

    pub(in crate::os) fn value(&self) -> u32 {
        self.value.load(Ordering::SeqCst)
    }

    /// Waiter: count up, then look at the value (the kernel looks once more before it sleeps).
    /// Notifier: change the value, then look at the count. With both in one total order (`SeqCst`)
    /// at least one of them sees the other: no lost wake-up.
    pub(in crate::os) fn wait(&self, seen: u32, deadline: Option<Instant>) {
        let rest = match deadline {
            None => None,
            Some(deadline) => {
                let rest = deadline.saturating_duration_since(Instant::now());
                if rest.is_zero() {
                    return;
                }
                Some(libc::timespec {
                    tv_sec: libc::time_t::try_from(rest.as_secs()).unwrap_or(libc::time_t::MAX),
                    tv_nsec: rest.subsec_nanos() as libc::c_long,
                })
            }
        };
        self.waiters.fetch_add(1, Ordering::SeqCst);
        if self.value.load(Ordering::SeqCst) == seen {
            let timeout = rest.as_ref().map_or(std::ptr::null(), |t| &raw const *t);
            // All outcomes (woken, value changed, interrupted, out of time) mean "look again".
            // SAFETY: the word and the time outlive the call; FUTEX_WAIT takes no other argument.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.value.as_ptr(),
                    libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
                    seen,
                    timeout,
                );
            }
        }
        self.waiters.fetch_sub(1, Ordering::SeqCst);
    }

    pub(in crate::os) fn notify_all(&self) {
        self.value.fetch_add(1, Ordering::SeqCst);
        if self.waiters.load(Ordering::SeqCst) == 0 {
            return;
        }
        // SAFETY: the word is alive; FUTEX_WAKE reads nothing else.
        keeping_errno(|| unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.value.as_ptr(),
                libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
                libc::c_int::MAX,
            )
        });
    }

    /// The same: it takes no lock and keeps `errno`.
    pub(in crate::os) fn notify_from_signal(&self) {
        self.notify_all();
    }
}
