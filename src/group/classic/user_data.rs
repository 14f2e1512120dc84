//! What sticky assignors put into a subscription besides its fields, as Java's do.
//!
//! `sticky` predates the owned partitions of newer subscriptions, and gives everything up before a join:
//! it says in its user data what it had and since when. `cooperative-sticky` says the generation there,
//! for leaders that do not read the field.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::group::assignor::Place;

/// What `sticky` says: what the member was given last, and the generation that did.
pub(super) fn sticky(places: &[(String, Vec<i32>)], generation: i32) -> Bytes {
    let mut data = BytesMut::new();
    let length = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    data.put_i32(length(places.len()));
    for (topic, partitions) in places {
        // Names of topics have 249 bytes at most.
        data.put_i16(i16::try_from(topic.len()).unwrap_or(i16::MAX));
        data.put_slice(topic.as_bytes());
        data.put_i32(length(partitions.len()));
        partitions.iter().for_each(|partition| data.put_i32(*partition));
    }
    data.put_i32(generation);
    data.freeze()
}

/// Reads it; a first version lacks the generation. None if it is something else.
pub(super) fn read_sticky(data: &Bytes) -> Option<(Vec<Place>, i32)> {
    let mut data = data.clone();
    let mut places = Vec::new();
    for _ in 0..count(&mut data)? {
        let length = usize::try_from(data.try_get_i16().ok()?).ok()?;
        if data.remaining() < length {
            return None;
        }
        let topic = String::from_utf8(data.split_to(length).to_vec()).ok()?;
        for _ in 0..count(&mut data)? {
            places.push((topic.clone(), data.try_get_i32().ok()?));
        }
    }
    let generation = data.try_get_i32().unwrap_or(-1);
    Some((places, generation))
}

/// A count that the bytes left can hold.
fn count(data: &mut Bytes) -> Option<usize> {
    let count = usize::try_from(data.try_get_i32().ok()?).ok()?;
    (count <= data.remaining()).then_some(count)
}

/// What `cooperative-sticky` says.
pub(super) fn cooperative(generation: i32) -> Bytes {
    Bytes::copy_from_slice(&generation.to_be_bytes())
}

/// Reads it.
pub(super) fn read_cooperative(data: &Bytes) -> Option<i32> {
    data.clone().try_get_i32().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sticky_data_has_the_layout_of_java() {
        // STICKY_ASSIGNOR_USER_DATA_V1: an array of topic and partitions, then the generation.
        let data = sticky(&[("ab".to_owned(), vec![1, 7])], 3);
        let java = b"\0\0\0\x01\0\x02ab\0\0\0\x02\0\0\0\x01\0\0\0\x07\0\0\0\x03";
        assert_eq!(data[..], java[..]);
        let places = vec![("ab".to_owned(), 1), ("ab".to_owned(), 7)];
        assert_eq!(read_sticky(&data), Some((places.clone(), 3)));
        let old = data.slice(..data.len() - 4);
        assert_eq!(read_sticky(&old), Some((places, -1)), "version 0 knows no generation");
    }

    #[test]
    fn hostile_data_is_none_and_allocates_nothing() {
        let data = sticky(&[("ab".to_owned(), vec![1, 7])], 3);
        for end in 1..data.len() - 4 {
            assert_eq!(read_sticky(&data.slice(..end)), None, "{end}");
        }
        for bad in [&b"\x7f\xff\xff\xff"[..], b"\xff\xff\xff\xff", b"\0\0\0\x01\x7f\xff", b""] {
            assert_eq!(read_sticky(&Bytes::copy_from_slice(bad)), None);
        }
    }

    #[test]
    fn cooperative_data_is_the_generation() {
        assert_eq!(read_cooperative(&cooperative(5)), Some(5));
        assert_eq!(read_cooperative(&Bytes::from_static(b"\0")), None);
    }
}
