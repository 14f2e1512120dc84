//! Reads a socket, and skips what nobody looks at without copying it.

use std::io::{self, Read};
use std::net::TcpStream;
use std::os::fd::AsRawFd;

use bytes::Bytes;

const BUFFER: usize = 16 << 10;

/// A socket's bytes, in order.
pub struct Skim {
    stream: TcpStream,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Skim {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: vec![0; BUFFER].into(), start: 0, end: 0 }
    }

    pub fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        self.want(N)?;
        let mut out = [0; N];
        out.copy_from_slice(&self.buffer[self.start..self.start + N]);
        self.start += N;
        Ok(out)
    }

    pub fn i16(&mut self) -> io::Result<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> io::Result<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub fn unsigned_varint(&mut self) -> io::Result<u32> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    /// The next bytes, copied.
    pub fn bytes(&mut self, length: usize) -> io::Result<Bytes> {
        let mut out = vec![0; length];
        let buffered = length.min(self.end - self.start);
        out[..buffered].copy_from_slice(&self.buffer[self.start..self.start + buffered]);
        self.start += buffered;
        self.stream.read_exact(&mut out[buffered..])?;
        Ok(out.into())
    }

    pub fn skip(&mut self, mut length: usize) -> io::Result<()> {
        let buffered = length.min(self.end - self.start);
        self.start += buffered;
        length -= buffered;
        while length > 0 {
            // SAFETY: with MSG_TRUNC nothing is written: TCP drops the bytes where they are.
            let dropped = unsafe {
                libc::recv(self.stream.as_raw_fd(), std::ptr::null_mut(), length, libc::MSG_TRUNC)
            };
            match usize::try_from(dropped) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(dropped) => length -= dropped,
                Err(_) => return Err(io::Error::last_os_error()),
            }
        }
        Ok(())
    }

    /// Waits until the buffer holds `length` bytes; not more than it has room for.
    fn want(&mut self, length: usize) -> io::Result<()> {
        while self.end - self.start < length {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            match self.stream.read(&mut self.buffer[self.end..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.end += read,
            }
        }
        Ok(())
    }
}
