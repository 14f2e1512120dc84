//! Signal masks.

use std::mem::MaybeUninit;

/// What a thread does to itself; see `os::thread::block_signals`.
const OWN_FAULTS: [libc::c_int; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGABRT,
];

fn asynchronous() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigfillset writes the whole set; sigdelset changes it; the numbers are signals.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        for signal in OWN_FAULTS {
            libc::sigdelset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

pub(in crate::os) fn block_signals() {
    let set = asynchronous();
    // SAFETY: reads the set; the old mask is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
}

/// Puts the calling thread's mask back when dropped, also when `start` panics.
pub(in crate::os) struct MaskGuard {
    before: libc::sigset_t,
}

impl MaskGuard {
    pub(in crate::os) fn block() -> Self {
        let set = asynchronous();
        let mut before = MaybeUninit::uninit();
        // SAFETY: reads one set and writes the other; it cannot fail with a valid `how`.
        let before = unsafe {
            libc::sigemptyset(before.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, before.as_mut_ptr());
            before.assume_init()
        };
        Self { before }
    }
}

impl Drop for MaskGuard {
    fn drop(&mut self) {
        let before = &raw const self.before;
        // SAFETY: reads the mask that was saved on this thread.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, std::ptr::null_mut()) };
    }
}
