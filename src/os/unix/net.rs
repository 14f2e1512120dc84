//! `sendmsg` with `MSG_NOSIGNAL`.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::os::net::MAX_SLICES;

/// Where the flag does not exist (Apple's systems) the socket must carry `SO_NOSIGPIPE`.
#[cfg(not(target_vendor = "apple"))]
const FLAGS: libc::c_int = libc::MSG_NOSIGNAL;
#[cfg(target_vendor = "apple")]
const FLAGS: libc::c_int = 0;

pub(in crate::os) fn write_vectored(
    socket: BorrowedFd<'_>,
    slices: &[IoSlice<'_>],
) -> io::Result<usize> {
    let slices = &slices[..slices.len().min(MAX_SLICES)];
    #[cfg(target_vendor = "apple")]
    without_sigpipe(socket)?;
    // SAFETY: all-zero is a valid msghdr: no address, no slices, no control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // IoSlice has iovec's layout on Unix (std guarantees it); the kernel only reads through it.
    message.msg_iov = slices.as_ptr().cast_mut().cast();
    message.msg_iovlen = slices.len() as _;
    loop {
        // SAFETY: the header, the slices and their bytes outlive the call; the descriptor is open.
        let written = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, FLAGS) };
        if let Ok(written) = usize::try_from(written) {
            return Ok(written);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

pub(in crate::os) fn shutdown(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: a plain system call on an open descriptor.
    let result = unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_RDWR) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(target_vendor = "apple")]
fn without_sigpipe(socket: BorrowedFd<'_>) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: an int option is read from an int of that size.
    let refused = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NOSIGPIPE,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if refused == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
