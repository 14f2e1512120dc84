//! How far a fetched set goes, by the sizes of its messages alone: enough to fetch on before the
//! application reads. One look at four bytes a message.

use super::super::decode::Outline;

/// The size field in front of each message.
const FIELD: usize = 4;
/// The smallest message: magic and CRC.
const LEAST: usize = 5;

/// Walks the set that was fetched at `offset`.
pub(super) fn outline(set: &[u8], offset: i64) -> Outline {
    let mut at = 0;
    while let Some(size) = size_at(set, at) {
        let Some(size) = size else { return Outline::Unclear };
        match at.checked_add(FIELD + size) {
            Some(next) if next <= set.len() => at = next,
            _ => break,
        }
    }
    match (set.is_empty(), i64::try_from(at).ok().and_then(|length| offset.checked_add(length))) {
        (true, _) => Outline::Empty,
        (false, _) if at == 0 => Outline::Cut,
        (false, Some(end)) => Outline::UpTo(end, -1),
        // Where no log can be.
        (false, None) => Outline::Unclear,
    }
}

/// What the size field at a place says: nothing where none begins, `Some(None)` for no size at all.
#[inline]
#[allow(clippy::option_option, reason = "there is none, or it is nonsense")]
fn size_at(set: &[u8], at: usize) -> Option<Option<usize>> {
    let field = set.get(at..)?.first_chunk()?;
    let size = usize::try_from(i32::from_be_bytes(*field)).ok();
    Some(size.filter(|size| *size >= LEAST))
}

/// How many bytes the first message of a set takes that has not come whole; none where not even its
/// size has.
pub(super) fn needs(set: &[u8]) -> Option<usize> {
    size_at(set, 0)?.map(|size| FIELD + size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::legacy::append_message;

    fn set(payloads: &[&[u8]]) -> Vec<u8> {
        let mut set = Vec::new();
        payloads.iter().for_each(|payload| append_message(&mut set, payload));
        set
    }

    #[test]
    fn the_end_is_that_of_the_last_whole_message() {
        let whole = set(&[b"one", b"two"]);
        assert_eq!(outline(&[], 7), Outline::Empty);
        assert_eq!(outline(&whole, 100), Outline::UpTo(126, -1));
        for cut in 14..26 {
            assert_eq!(outline(&whole[..cut], 0), Outline::UpTo(13, -1), "{cut}");
        }
        for cut in 1..13 {
            assert_eq!(outline(&whole[..cut], 0), Outline::Cut, "{cut}");
        }
        assert_eq!((needs(&whole[..4]), needs(&whole[..3])), (Some(13), None));
    }

    #[test]
    fn sizes_that_are_none_are_left_to_whoever_reads() {
        for size in [-1, 0, 4, i32::MIN] {
            let mut bytes = set(&[b"one"]);
            bytes.extend_from_slice(&size.to_be_bytes());
            assert_eq!(outline(&bytes, 0), Outline::Unclear, "{size}");
        }
        assert_eq!(outline(&set(&[b"x"]), i64::MAX - 3), Outline::Unclear);
    }
}
