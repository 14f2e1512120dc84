//! Answers: a size, an error code, and a body that only the request explains.

use bytes::Bytes;

use super::fields::{Fields, malformed};
use crate::error::{Code, Result};

/// The code in front of every answer.
const CODE_SIZE: usize = 2;

/// An answer, or one part of the answer to a multi-fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// NONE, or what a fetch met: OFFSET_OUT_OF_RANGE, UNKNOWN_TOPIC_OR_PARTITION (0.7 calls it
    /// WrongPartition), UNKNOWN_SERVER_ERROR (an illegal topic name).
    pub code: Code,
    /// What follows the code: the messages, for a fetch.
    pub body: Bytes,
}

/// Reads the frame of an answer, without its size field.
///
/// # Errors
/// PROTOCOL if it is too short for a code.
pub fn read_answer(frame: Bytes) -> Result<Answer> {
    let code = Fields::new(&frame).i16()?;
    Ok(Answer { code: Code::from(code), body: frame.slice(CODE_SIZE..) })
}

/// Reads the body of the answer to a multi-fetch of `count` partitions, in the request's order.
///
/// # Errors
/// PROTOCOL if the parts do not add up to the body.
pub fn read_multi_fetch(body: &Bytes, count: usize) -> Result<Vec<Answer>> {
    let mut fields = Fields::new(body);
    let mut answers = Vec::with_capacity(count.min(body.len() / (4 + CODE_SIZE)));
    for _ in 0..count {
        let size = fields.i32()?;
        let part = fields.bytes(size)?;
        answers.push(read_answer(body.slice_ref(part))?);
    }
    match fields.left() {
        0 => Ok(answers),
        left => Err(malformed(format!("{left} bytes behind the {count} parts of a multi-fetch"))),
    }
}

/// Reads the body of the answer to an Offsets request: offsets, newest first.
///
/// # Errors
/// PROTOCOL if the count does not fit the bytes.
pub fn read_offsets(body: &[u8]) -> Result<Vec<i64>> {
    let mut fields = Fields::new(body);
    let count = fields.i32()?;
    if usize::try_from(count).ok().and_then(|count| count.checked_mul(8)) != Some(fields.left()) {
        return Err(malformed(format!("{count} offsets in {} bytes", fields.left())));
    }
    (0..count).map(|_| fields.i64()).collect()
}

/// Appends the answer to a fetch. `set` must be shorter than 2 GiB.
pub fn answer_fetch(out: &mut Vec<u8>, code: i16, set: &[u8]) {
    append_size(out, CODE_SIZE + set.len());
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(set);
}

/// Appends the answer to a multi-fetch, whose own code is always 0. All parts together must be
/// shorter than 2 GiB.
pub fn answer_multi_fetch(out: &mut Vec<u8>, parts: &[(i16, &[u8])]) {
    let size: usize = parts.iter().map(|(_, set)| 4 + CODE_SIZE + set.len()).sum();
    append_size(out, CODE_SIZE + size);
    out.extend_from_slice(&[0; CODE_SIZE]);
    for (code, set) in parts {
        answer_fetch(out, *code, set);
    }
}

/// Appends the answer to an Offsets request, which has no other code than 0.
pub fn answer_offsets(out: &mut Vec<u8>, offsets: &[i64]) {
    append_size(out, CODE_SIZE + 4 + 8 * offsets.len());
    out.extend_from_slice(&[0; CODE_SIZE]);
    out.extend_from_slice(&(offsets.len() as u32).to_be_bytes());
    for offset in offsets {
        out.extend_from_slice(&offset.to_be_bytes());
    }
}

fn append_size(out: &mut Vec<u8>, size: usize) {
    out.extend_from_slice(&(size as u32).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_whose_numbers_do_not_fit_their_bytes_are_refused() {
        assert!(read_answer(Bytes::from_static(&[0])).is_err(), "no code");
        let absurd = Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff, 0, 0]);
        assert!(read_multi_fetch(&absurd, 1).is_err(), "a part of 2 GiB");
        let short = Bytes::from_static(&[0, 0, 0, 1, 0]);
        assert!(read_multi_fetch(&short, 1).is_err(), "a part too short for its code");
        let more = Bytes::from_static(&[0, 0, 0, 2, 0, 0, 9]);
        assert!(read_multi_fetch(&more, 1).is_err(), "bytes that nobody asked for");
        assert!(read_multi_fetch(&more, usize::MAX).is_err(), "fewer parts than were asked for");
        for count in [0x7fff_ffff_i32, 2, -1, 0x2000_0001] {
            let body = [&count.to_be_bytes()[..], &[0; 8]].concat();
            assert!(read_offsets(&body).is_err(), "{count} offsets in 8 bytes");
        }
    }
}
