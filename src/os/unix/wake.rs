//! The wake descriptor: eventfd on Linux, pipe elsewhere.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::keeping_errno;
use crate::error::{Code, Error, Result};

#[derive(Debug)]
pub(in crate::os) struct Descriptor {
    read: File,
    /// None for an eventfd, which is both ends.
    write: Option<File>,
}

impl Descriptor {
    pub(in crate::os) fn new() -> Result<Self> {
        open().map_err(|error| {
            Error::new(Code::IO, "no descriptor for wake-ups could be made").caused_by(error)
        })
    }

    pub(in crate::os) fn readable_end(&self) -> isize {
        self.read.as_raw_fd() as isize
    }

    /// A full pipe (or a full counter) is readable already: the error says nothing new. The read end
    /// lives as long as the write end, so there is no SIGPIPE.
    pub(in crate::os) fn set(&self) {
        keeping_errno(|| {
            let mut end = self.write.as_ref().unwrap_or(&self.read);
            let _ = end.write(&1_u64.to_ne_bytes());
        });
    }

    /// An eventfd gives its whole counter in one read. A pipe may hold more than one buffer's worth
    /// when it was set without being cleared for long: read until it is empty, at most its capacity.
    pub(in crate::os) fn clear(&self) {
        let mut buffer = [0_u8; 512];
        for _ in 0..256 {
            match (&self.read).read(&mut buffer) {
                Ok(read) if read == buffer.len() => {}
                _ => return,
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn open() -> std::io::Result<Descriptor> {
    // SAFETY: takes two integers and returns a new descriptor or −1.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: a descriptor just made, which nobody else owns.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok(Descriptor { read: File::from(owned), write: None })
}

#[cfg(any(test, not(target_os = "linux")))]
fn open_pipe() -> std::io::Result<Descriptor> {
    let mut ends = [-1; 2];
    // SAFETY: the array has room for the two descriptors.
    if unsafe { libc::pipe(ends.as_mut_ptr()) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: two descriptors just made, which nobody else owns.
    let [read, write] = ends.map(|fd| File::from(unsafe { OwnedFd::from_raw_fd(fd) }));
    for end in [&read, &write] {
        let fd = end.as_raw_fd();
        // SAFETY: plain flag calls on a descriptor that we own.
        let refused = unsafe {
            let flags = libc::fcntl(fd, libc::F_GETFL);
            flags < 0
                || libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) < 0
                || libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) < 0
        };
        if refused {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(Descriptor { read, write: Some(write) })
}

#[cfg(not(target_os = "linux"))]
use open_pipe as open;

#[cfg(test)]
mod tests {
    use super::*;

    fn readable(descriptor: &Descriptor) -> bool {
        let fd = descriptor.read.as_raw_fd();
        let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd, as the count says.
        unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
    }

    #[test]
    fn eventfd_and_pipe_are_readable_from_set_to_clear() {
        for descriptor in [open().unwrap(), open_pipe().unwrap()] {
            assert!(!readable(&descriptor));
            descriptor.set();
            descriptor.set();
            assert!(readable(&descriptor));
            descriptor.clear();
            assert!(!readable(&descriptor), "however often it was set");
            descriptor.clear();
        }
    }

    #[test]
    fn a_full_pipe_stays_readable_and_can_be_cleared() {
        let descriptor = open_pipe().unwrap();
        for _ in 0..20_000 {
            descriptor.set();
        }
        descriptor.clear();
        assert!(!readable(&descriptor));
    }

    #[test]
    fn setting_keeps_errno() {
        let descriptor = open_pipe().unwrap();
        for _ in 0..20_000 {
            descriptor.set();
        }
        // SAFETY: this thread's errno.
        unsafe { *crate::os::unix::errno_place() = 77 };
        descriptor.set();
        // SAFETY: as above; the failed write would have left EAGAIN.
        assert_eq!(unsafe { *crate::os::unix::errno_place() }, 77);
    }
}
