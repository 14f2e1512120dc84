//! What consumers put into JoinGroup and SyncGroup, which brokers do not look into: subscriptions and
//! assignments, each behind two bytes with its version.
//!
//! A newer version than ours is read as ours: versions only ever add fields at the end, and only here
//! bytes left over are no error.

use bytes::Bytes;

use super::define::define_structs;
use super::schema::Entity::TopicName;
use super::schema::since;
use super::structure::{self, Structure};
use super::{Reader, Version, Writer};
use crate::error::{Code, Error, Result};

/// The newest version that we know of both.
pub const NEWEST: i16 = 3;

define_structs! {
    /// What a member tells the leader of its group.
    struct ConsumerProtocolSubscription {
        /// The topics that it wants.
        topics: Vec<String> => since(0),
        /// What the assignor wants to be told.
        user_data: Option<Bytes> => since(0).nullable(0),
        /// What it owns until now (KIP-429).
        owned_partitions: Vec<OwnedPartitions> => since(1).ignorable(),
        /// The generation in which it got them, or −1 (KIP-792).
        generation_id: i32 = -1 => since(2).ignorable(),
        /// Its rack, or null (KIP-881).
        rack_id: Option<String> => since(3).nullable(3).ignorable(),
    }

    /// The partitions of one topic that a member owns.
    struct OwnedPartitions {
        /// The topic's name.
        topic: String => since(1).entity(TopicName),
        /// The partitions.
        partitions: Vec<i32> => since(1),
    }

    /// What the leader gives a member.
    struct ConsumerProtocolAssignment {
        /// The partitions, by topic.
        assigned_partitions: Vec<AssignedPartitions> => since(0),
        /// What the assignor wants the member to be told.
        user_data: Option<Bytes> => since(0).nullable(0),
    }

    /// The partitions of one topic that a member gets.
    struct AssignedPartitions {
        /// The topic's name.
        topic: String => since(0).entity(TopicName),
        /// The partitions.
        partitions: Vec<i32> => since(0),
    }
}

/// The bytes of a subscription or an assignment.
///
/// # Errors
/// UNSUPPORTED_FEATURE for a version that is not 0 … [`NEWEST`]; INVALID_ARGUMENT for a field that is
/// too long.
pub fn encode<S: Structure>(value: &S, version: i16) -> Result<Bytes> {
    if !(0..=NEWEST).contains(&version) {
        let text = format!("version {version} of the consumer protocol: 0 to {NEWEST} are known");
        return Err(Error::new(Code::UNSUPPORTED_FEATURE, text));
    }
    let mut writer = Writer::new();
    writer.put_i16(version);
    structure::write(value, Version { number: version, flexible: false }, &mut writer)?;
    Ok(writer.finish().concat().into())
}

/// Reads a subscription or an assignment. No bytes at all are the default: members that were given
/// nothing.
///
/// # Errors
/// PROTOCOL if the bytes are something else: another program may use the same group.
pub fn decode<S: Structure>(bytes: &Bytes) -> Result<S> {
    if bytes.is_empty() {
        return Ok(S::default());
    }
    let mut reader = Reader::new(bytes.clone());
    let version = reader.i16()?;
    if version < 0 {
        let text = format!("version {version} of the consumer protocol");
        return Err(Error::new(Code::PROTOCOL, text));
    }
    structure::read(Version { number: version.min(NEWEST), flexible: false }, &mut reader)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription() -> ConsumerProtocolSubscription {
        ConsumerProtocolSubscription {
            topics: vec!["a".to_owned(), "bc".to_owned()],
            user_data: Some(Bytes::from_static(b"u")),
            owned_partitions: vec![OwnedPartitions {
                topic: "a".to_owned(),
                partitions: vec![0, 7],
            }],
            generation_id: 9,
            rack_id: Some("r".to_owned()),
        }
    }

    #[test]
    fn a_subscription_has_the_bytes_that_java_writes() {
        // By `ConsumerProtocol.serializeSubscription` of Kafka 4.3.1.
        let java = b"\0\x03\0\0\0\x02\0\x01a\0\x02bc\0\0\0\x01u\0\0\0\x01\0\x01a\0\0\0\x02\0\0\0\0\0\0\0\x07\
            \0\0\0\x09\0\x01r";
        let bytes = encode(&subscription(), 3).expect("encoded");
        assert_eq!(bytes[..], java[..]);
        assert_eq!(decode::<ConsumerProtocolSubscription>(&bytes).expect("read"), subscription());
    }

    #[test]
    fn older_versions_leave_out_what_they_cannot_say() {
        let read = |version| {
            let bytes = encode(&subscription(), version).expect("encoded");
            decode::<ConsumerProtocolSubscription>(&bytes).expect("read")
        };
        let mut expected = subscription();
        expected.rack_id = None;
        assert_eq!(read(2), expected);
        expected.generation_id = -1;
        assert_eq!(read(1), expected);
        expected.owned_partitions.clear();
        assert_eq!(read(0), expected);
        assert!(encode(&expected, 4).is_err() && encode(&expected, -1).is_err());
    }

    #[test]
    fn newer_versions_are_read_as_far_as_we_know_them() {
        let mut bytes = encode(&subscription(), 3).expect("encoded").to_vec();
        bytes[1] = 4;
        bytes.extend_from_slice(b"a new field");
        let read = decode::<ConsumerProtocolSubscription>(&bytes.into()).expect("read");
        assert_eq!(read, subscription());
    }

    #[test]
    fn what_is_no_subscription_is_an_error_and_nothing_is_nothing() {
        let bytes = encode(&subscription(), 3).expect("encoded");
        for end in 1..bytes.len() {
            assert!(decode::<ConsumerProtocolSubscription>(&bytes.slice(..end)).is_err(), "{end}");
        }
        for bad in [&b"\xff\xff\0\0\0\0"[..], b"\0\0\x7f\xff\xff\xff", b"\0\0\xff\xff\xff\xff"] {
            let bad = Bytes::copy_from_slice(bad);
            let error = decode::<ConsumerProtocolSubscription>(&bad).expect_err("refused");
            assert_eq!(error.code(), Code::PROTOCOL);
        }
        let nothing = decode::<ConsumerProtocolAssignment>(&Bytes::new()).expect("nothing");
        assert_eq!(nothing, ConsumerProtocolAssignment::default());
    }
}
