//! The host's name, by POSIX.

/// The longest name that is asked for; POSIX promises 255 bytes.
const LONGEST: usize = 256;

/// The name, if the system tells one that is UTF-8.
pub(in super::super) fn name() -> Option<String> {
    let mut buffer = [0_u8; LONGEST];
    // SAFETY: writes at most the length that it is given; the last byte stays zero.
    let outcome = unsafe { libc::gethostname(buffer.as_mut_ptr().cast(), LONGEST - 1) };
    let end = buffer.iter().position(|byte| *byte == 0)?;
    let name = buffer.get(..end).filter(|_| outcome == 0)?;
    String::from_utf8(name.to_vec()).ok()
}
