//! Writing to a socket without SIGPIPE.
//!
//! The vectored write of std, mio and tokio is `writev`, which raises SIGPIPE when the peer has
//! closed: a C host that kept the default action dies. `sendmsg(MSG_NOSIGNAL)` gives `EPIPE` instead.

use std::io::{self, IoSlice};
use std::os::fd::AsFd;

use super::sys;

/// The most slices that one call takes (`IOV_MAX`); more are left for the next call.
pub const MAX_SLICES: usize = 1024;

/// Writes the slices in order, as far as the socket takes them, and returns how many bytes that was.
///
/// Never raises SIGPIPE, never blocks on a non-blocking socket (`WouldBlock`); interrupted calls are
/// repeated. 0 is returned only when there was nothing to write.
pub fn write_vectored(socket: &impl AsFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    sys::net::write_vectored(socket.as_fd(), slices)
}
