//! A word that reads 0 in a forked child.

use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

static WORD: AtomicPtr<AtomicU64> = AtomicPtr::new(std::ptr::null_mut());

/// Where no page can be wiped by the kernel, this is wiped by a `pthread_atfork` handler.
static FALLBACK: AtomicU64 = AtomicU64::new(0);

/// The word, once it was made.
#[inline]
pub(in crate::os) fn wiped_word() -> Option<&'static AtomicU64> {
    // SAFETY: null, or a mapping or static that stays for the life of the process.
    unsafe { WORD.load(Ordering::Acquire).as_ref() }
}

/// Makes the word, or returns the one that another thread made first.
#[cold]
pub(in crate::os) fn make_wiped_word() -> &'static AtomicU64 {
    let page = wiped_page();
    let word = if page.is_null() { wiped_by_atfork() } else { page };
    match WORD.compare_exchange(std::ptr::null_mut(), word, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: a mapping that nobody unmaps any more, or the static.
        Ok(_) => unsafe { &*word },
        Err(first) => {
            if !page.is_null() {
                unmap(page);
            }
            // SAFETY: what stands in WORD is never null again and never unmapped.
            unsafe { &*first }
        }
    }
}

#[cfg(target_os = "linux")]
const PAGE: usize = 4096;

/// A zeroed page that the kernel empties in a child; null where that cannot be had (Linux < 4.14).
#[cfg(target_os = "linux")]
fn wiped_page() -> *mut AtomicU64 {
    // The kernel rounds the length up to its own page size.
    // SAFETY: a new private anonymous mapping at a place that the kernel chooses.
    let page = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            PAGE,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return std::ptr::null_mut();
    }
    // SAFETY: the mapping just made, of that length.
    if unsafe { libc::madvise(page, PAGE, libc::MADV_WIPEONFORK) } != 0 {
        unmap(page.cast());
        return std::ptr::null_mut();
    }
    page.cast()
}

#[cfg(target_os = "linux")]
fn unmap(page: *mut AtomicU64) {
    // SAFETY: called only with an unpublished mapping of `wiped_page`.
    unsafe { libc::munmap(page.cast(), PAGE) };
}

#[cfg(not(target_os = "linux"))]
fn wiped_page() -> *mut AtomicU64 {
    std::ptr::null_mut()
}

#[cfg(not(target_os = "linux"))]
fn unmap(_: *mut AtomicU64) {}

/// Misses `_Fork` and raw `clone`, which run no handlers; there is nothing better there.
fn wiped_by_atfork() -> *mut AtomicU64 {
    extern "C" fn in_child() {
        FALLBACK.store(0, Ordering::Relaxed);
    }
    // The library is never unloaded (`-z nodelete`), so the handler's address stays good. Registering
    // it twice in a race does no harm. A failure (no memory) leaves fork unnoticed, as it was.
    // SAFETY: `in_child` only stores to an atomic static, which is allowed in a forked child.
    unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    (&raw const FALLBACK).cast_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_atfork_fallback_reads_zero_in_a_child() {
        // SAFETY: the pointer is to the static.
        let word = unsafe { &*wiped_by_atfork() };
        word.store(7, Ordering::Relaxed);
        // SAFETY: the child only loads an atomic and leaves by _exit.
        let status = unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::_exit(i32::from(word.load(Ordering::Relaxed) != 0));
            }
            let mut status = -1;
            libc::waitpid(child, &mut status, 0);
            status
        };
        assert_eq!(status, 0, "the handler wiped the child's copy");
        assert_eq!(word.load(Ordering::Relaxed), 7, "the parent's is as it was");
    }
}
