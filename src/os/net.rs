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

/// Ends a connection in both directions, or a listening, for every process that holds the socket.
///
/// Closing alone does so only for the last holder, and a forked child holds what it inherited.
pub fn shutdown(socket: &impl AsFd) -> io::Result<()> {
    sys::net::shutdown(socket.as_fd())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    #[test]
    fn slices_arrive_in_order_and_more_than_the_limit_are_left_over() {
        let (near, mut far) = pair();
        let bytes: Vec<u8> = (0..=255).cycle().take(MAX_SLICES + 10).collect();
        let slices: Vec<_> = bytes.chunks(1).map(IoSlice::new).collect();
        assert_eq!(write_vectored(&near, &slices).unwrap(), MAX_SLICES);
        assert_eq!(write_vectored(&near, &slices[MAX_SLICES..]).unwrap(), 10);
        drop(near);
        let mut read = Vec::new();
        far.read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
    }

    #[test]
    fn a_full_socket_would_block_instead_of_blocking() {
        let (near, _far) = pair();
        near.set_nonblocking(true).unwrap();
        let block = vec![0_u8; 1 << 20];
        let mut result = Ok(0);
        for _ in 0..1_000 {
            result = write_vectored(&near, &[IoSlice::new(&block)]);
            if result.is_err() {
                break;
            }
        }
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    /// Rust's test programs ignore SIGPIPE; a child takes the C default back, in which a plain write
    /// would kill it.
    #[test]
    fn a_closed_peer_gives_an_error_and_no_sigpipe() {
        let (near, far) = pair();
        drop(far);
        assert!(crate::os::fork::tests::in_child(|| {
            // SAFETY: the child's own disposition, back to the default.
            unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
            (0..1_000).any(|_| {
                let result = write_vectored(&near, &[IoSlice::new(b"x")]);
                result.is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
            })
        }));
    }
}
