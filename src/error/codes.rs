//! The table of codes: name, number, kind and text of each, written once.
//!
//! Kafka's numbers are those of `org.apache.kafka.common.protocol.Errors` (4.3); `retriable` is that
//! class's judgement. Ours are fixed for the life of the ABI and never reused.

use std::ffi::CStr;

/// The number of an error or a condition; 0 is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub i32);

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct CodeInfo {
    /// The number.
    pub code: Code,
    /// The name, as in `SAMSA_ERR_<name>`.
    pub name: &'static str,
    /// One sentence.
    pub text: &'static str,
    /// The name as C spells it: `SAMSA_OK`, `SAMSA_NOTHING`, `SAMSA_ERR_TIMED_OUT`.
    pub c_name: &'static CStr,
    /// The sentence for C.
    pub c_text: &'static CStr,
    kind: Kind,
}

/// A string of C's, made by the compiler: one made at first use would need a lock, which a fork can leave
/// locked.
const fn c(text_with_nul: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text_with_nul.as_bytes()) {
        Ok(text) => text,
        Err(_) => panic!("a NUL at the end, and nowhere else"),
    }
}

macro_rules! c_name {
    ($name:ident Success) => {
        const { c("SAMSA_OK\0") }
    };
    ($name:ident Condition) => {
        const { c(concat!("SAMSA_", stringify!($name), "\0")) }
    };
    ($name:ident $kind:ident) => {
        const { c(concat!("SAMSA_ERR_", stringify!($name), "\0")) }
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Success,
    Condition,
    Permanent,
    Retriable,
    Abort,
    Fatal,
}

macro_rules! codes {
    ($($number:literal $name:ident $kind:ident $text:literal;)*) => {
        impl Code {
            $(#[doc = $text] pub const $name: Code = Code($number);)*

            /// Every code, in ascending order of its absolute family: Kafka's, then ours.
            pub const ALL: &'static [CodeInfo] = &[
                $(CodeInfo {
                    code: Code($number),
                    name: stringify!($name),
                    text: $text,
                    c_name: c_name!($name $kind),
                    c_text: const { c(concat!($text, "\0")) },
                    kind: Kind::$kind,
                }),*
            ];
        }
    };
}

codes! {
    0 NONE Success "Success";
    -1 UNKNOWN_SERVER_ERROR Retriable "The server experienced an unexpected error";
    1 OFFSET_OUT_OF_RANGE Permanent "The requested offset is not within the range of offsets kept by the broker";
    2 CORRUPT_MESSAGE Retriable "The message failed its checksum, has an invalid size, or is otherwise corrupt";
    3 UNKNOWN_TOPIC_OR_PARTITION Retriable "The broker does not host this topic or partition";
    4 INVALID_FETCH_SIZE Permanent "The requested fetch size is invalid";
    5 LEADER_NOT_AVAILABLE Retriable "There is no leader for this partition at the moment";
    6 NOT_LEADER_OR_FOLLOWER Retriable "The broker is not the leader or a follower of this partition";
    7 REQUEST_TIMED_OUT Retriable "The broker did not finish the request in its time";
    8 BROKER_NOT_AVAILABLE Permanent "The broker is not available";
    9 REPLICA_NOT_AVAILABLE Retriable "The replica is not available for this partition";
    10 MESSAGE_TOO_LARGE Permanent "The request holds a message larger than the broker accepts";
    11 STALE_CONTROLLER_EPOCH Permanent "The controller moved to another broker";
    12 OFFSET_METADATA_TOO_LARGE Permanent "The metadata of the offset commit is too large";
    13 NETWORK_EXCEPTION Retriable "The broker disconnected before a response was received";
    14 COORDINATOR_LOAD_IN_PROGRESS Retriable "The coordinator is still loading";
    15 COORDINATOR_NOT_AVAILABLE Retriable "The coordinator is not available";
    16 NOT_COORDINATOR Retriable "The broker is not the coordinator";
    17 INVALID_TOPIC_EXCEPTION Permanent "The topic name is invalid or internal";
    18 RECORD_LIST_TOO_LARGE Permanent "The batch is larger than the broker's segment size";
    19 NOT_ENOUGH_REPLICAS Retriable "Too few replicas are in sync";
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND Retriable "The messages were written, but to fewer in-sync replicas than required";
    21 INVALID_REQUIRED_ACKS Permanent "The value of acks is invalid";
    22 ILLEGAL_GENERATION Permanent "The group generation is not the current one";
    23 INCONSISTENT_GROUP_PROTOCOL Permanent "The member's protocols do not fit those of the group";
    24 INVALID_GROUP_ID Permanent "The group id is invalid";
    25 UNKNOWN_MEMBER_ID Permanent "The coordinator does not know this member";
    26 INVALID_SESSION_TIMEOUT Permanent "The session timeout is outside the range that the broker allows";
    27 REBALANCE_IN_PROGRESS Permanent "The group is rebalancing";
    28 INVALID_COMMIT_OFFSET_SIZE Permanent "The offset commit is too large";
    29 TOPIC_AUTHORIZATION_FAILED Permanent "Not authorized for this topic";
    30 GROUP_AUTHORIZATION_FAILED Permanent "Not authorized for this group";
    31 CLUSTER_AUTHORIZATION_FAILED Permanent "Not authorized for this cluster";
    32 INVALID_TIMESTAMP Permanent "The timestamp of the message is out of the accepted range";
    33 UNSUPPORTED_SASL_MECHANISM Permanent "The broker does not support this SASL mechanism";
    34 ILLEGAL_SASL_STATE Permanent "The request is not valid in this SASL state";
    35 UNSUPPORTED_VERSION Permanent "The broker does not support this version of the API";
    36 TOPIC_ALREADY_EXISTS Permanent "A topic of this name already exists";
    37 INVALID_PARTITIONS Permanent "The number of partitions is below one";
    38 INVALID_REPLICATION_FACTOR Permanent "The replication factor is below one or above the number of brokers";
    39 INVALID_REPLICA_ASSIGNMENT Permanent "The replica assignment is invalid";
    40 INVALID_CONFIG Permanent "The configuration is invalid";
    41 NOT_CONTROLLER Retriable "The broker is not the controller";
    42 INVALID_REQUEST Permanent "The request is malformed or inconsistent";
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT Permanent "The message format on the broker does not support this request";
    44 POLICY_VIOLATION Permanent "The request violates a policy of the broker";
    45 OUT_OF_ORDER_SEQUENCE_NUMBER Permanent "The broker received a sequence number out of order";
    46 DUPLICATE_SEQUENCE_NUMBER Permanent "The broker received a duplicate sequence number";
    47 INVALID_PRODUCER_EPOCH Abort "The producer's epoch is old: another producer took its place";
    48 INVALID_TXN_STATE Permanent "The transaction is in a state that does not allow this";
    49 INVALID_PRODUCER_ID_MAPPING Abort "The producer id does not belong to this transactional id";
    50 INVALID_TRANSACTION_TIMEOUT Permanent "The transaction timeout is above the broker's maximum";
    51 CONCURRENT_TRANSACTIONS Retriable "Another operation of this transaction is still in progress";
    52 TRANSACTION_COORDINATOR_FENCED Permanent "The transaction coordinator was fenced";
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED Permanent "Not authorized for this transactional id";
    54 SECURITY_DISABLED Permanent "Security features are disabled";
    55 OPERATION_NOT_ATTEMPTED Permanent "The broker did not attempt this operation";
    56 KAFKA_STORAGE_ERROR Retriable "The broker met a disk error";
    57 LOG_DIR_NOT_FOUND Permanent "The log directory was not found";
    58 SASL_AUTHENTICATION_FAILED Permanent "SASL authentication failed";
    59 UNKNOWN_PRODUCER_ID Abort "The broker does not know this producer id";
    60 REASSIGNMENT_IN_PROGRESS Permanent "A partition reassignment is in progress";
    61 DELEGATION_TOKEN_AUTH_DISABLED Permanent "Delegation tokens are not enabled";
    62 DELEGATION_TOKEN_NOT_FOUND Permanent "The delegation token was not found";
    63 DELEGATION_TOKEN_OWNER_MISMATCH Permanent "The principal is not the owner of the token";
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED Permanent "Delegation token requests are not allowed on this connection";
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED Permanent "Not authorized for this delegation token";
    66 DELEGATION_TOKEN_EXPIRED Permanent "The delegation token expired";
    67 INVALID_PRINCIPAL_TYPE Permanent "The principal type is not supported";
    68 NON_EMPTY_GROUP Permanent "The group is not empty";
    69 GROUP_ID_NOT_FOUND Permanent "The group was not found";
    70 FETCH_SESSION_ID_NOT_FOUND Retriable "The fetch session was not found";
    71 INVALID_FETCH_SESSION_EPOCH Retriable "The epoch of the fetch session is invalid";
    72 LISTENER_NOT_FOUND Retriable "The leader has no listener of this name";
    73 TOPIC_DELETION_DISABLED Permanent "Topic deletion is disabled on the broker";
    74 FENCED_LEADER_EPOCH Retriable "The leader epoch of the request is older than the broker's";
    75 UNKNOWN_LEADER_EPOCH Retriable "The leader epoch of the request is newer than the broker's";
    76 UNSUPPORTED_COMPRESSION_TYPE Permanent "The broker or the request version does not support this compression";
    77 STALE_BROKER_EPOCH Permanent "The broker epoch is stale";
    78 OFFSET_NOT_AVAILABLE Retriable "The leader's high watermark has not caught up after its election";
    79 MEMBER_ID_REQUIRED Permanent "The member must join again with the id it was given";
    80 PREFERRED_LEADER_NOT_AVAILABLE Retriable "The preferred leader is not available";
    81 GROUP_MAX_SIZE_REACHED Permanent "The group already has its largest number of members";
    82 FENCED_INSTANCE_ID Permanent "Another member with the same group.instance.id took its place";
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE Retriable "No eligible leader is available";
    84 ELECTION_NOT_NEEDED Retriable "No leader election is needed";
    85 NO_REASSIGNMENT_IN_PROGRESS Permanent "No partition reassignment is in progress";
    86 GROUP_SUBSCRIBED_TO_TOPIC Permanent "The group still subscribes to this topic";
    87 INVALID_RECORD Permanent "The broker refused the record as invalid";
    88 UNSTABLE_OFFSET_COMMIT Retriable "A transaction with offsets of this partition is still open";
    89 THROTTLING_QUOTA_EXCEEDED Retriable "The throttling quota was exceeded";
    90 PRODUCER_FENCED Fatal "A newer producer with the same transactional id took its place";
    91 RESOURCE_NOT_FOUND Permanent "The resource was not found";
    92 DUPLICATE_RESOURCE Permanent "The resource is named twice";
    93 UNACCEPTABLE_CREDENTIAL Permanent "The credential does not meet the requirements";
    94 INCONSISTENT_VOTER_SET Permanent "The voter sets differ";
    95 INVALID_UPDATE_VERSION Permanent "The update version is invalid";
    96 FEATURE_UPDATE_FAILED Permanent "The features could not be updated";
    97 PRINCIPAL_DESERIALIZATION_FAILURE Permanent "The principal could not be read";
    98 SNAPSHOT_NOT_FOUND Permanent "The snapshot was not found";
    99 POSITION_OUT_OF_RANGE Permanent "The position is out of range";
    100 UNKNOWN_TOPIC_ID Retriable "The broker does not know this topic id";
    101 DUPLICATE_BROKER_REGISTRATION Permanent "The broker id is registered already";
    102 BROKER_ID_NOT_REGISTERED Permanent "The broker id is not registered";
    103 INCONSISTENT_TOPIC_ID Retriable "The topic id does not fit the topic";
    104 INCONSISTENT_CLUSTER_ID Permanent "The cluster id does not fit";
    105 TRANSACTIONAL_ID_NOT_FOUND Permanent "The transactional id was not found";
    106 FETCH_SESSION_TOPIC_ID_ERROR Retriable "The fetch session mixes topic names and ids";
    107 INELIGIBLE_REPLICA Permanent "The replica is not eligible";
    108 NEW_LEADER_ELECTED Permanent "A new leader was elected";
    109 OFFSET_MOVED_TO_TIERED_STORAGE Permanent "The offset moved to tiered storage";
    110 FENCED_MEMBER_EPOCH Permanent "The member epoch was fenced";
    111 UNRELEASED_INSTANCE_ID Permanent "The group.instance.id is still in use";
    112 UNSUPPORTED_ASSIGNOR Permanent "The assignor is not supported";
    113 STALE_MEMBER_EPOCH Permanent "The member epoch is stale";
    114 MISMATCHED_ENDPOINT_TYPE Permanent "The request reached the wrong kind of endpoint";
    115 UNSUPPORTED_ENDPOINT_TYPE Permanent "This kind of endpoint is not supported";
    116 UNKNOWN_CONTROLLER_ID Permanent "The controller id is not known";
    117 UNKNOWN_SUBSCRIPTION_ID Permanent "The subscription id is not known";
    118 TELEMETRY_TOO_LARGE Permanent "The telemetry is too large";
    119 INVALID_REGISTRATION Permanent "The registration is invalid";
    120 TRANSACTION_ABORTABLE Abort "The transaction must be aborted";
    121 INVALID_RECORD_STATE Permanent "The record's state does not allow its acknowledgement";
    122 SHARE_SESSION_NOT_FOUND Retriable "The share session was not found";
    123 INVALID_SHARE_SESSION_EPOCH Retriable "The epoch of the share session is invalid";
    124 FENCED_STATE_EPOCH Permanent "The share state epoch was fenced";
    125 INVALID_VOTER_KEY Permanent "The voter key is invalid";
    126 DUPLICATE_VOTER Permanent "The voter is in the set already";
    127 VOTER_NOT_FOUND Permanent "The voter is not in the set";
    128 INVALID_REGULAR_EXPRESSION Permanent "The regular expression is invalid";
    129 REBOOTSTRAP_REQUIRED Permanent "The client must bootstrap again";
    130 STREAMS_INVALID_TOPOLOGY Permanent "The streams topology is invalid";
    131 STREAMS_INVALID_TOPOLOGY_EPOCH Permanent "The streams topology epoch is invalid";
    132 STREAMS_TOPOLOGY_FENCED Permanent "The streams topology epoch is fenced";
    133 SHARE_SESSION_LIMIT_REACHED Retriable "The share session limit was reached";

    -100 NOTHING Condition "Nothing came within the time";
    -101 WOKEN Condition "A wake-up ended the wait";
    -102 EVENT Condition "An event waits: read it with next_event";
    -103 WOULD_BLOCK Condition "Not possible without waiting: try again later";
    -110 INVALID_ARGUMENT Permanent "An argument is invalid";
    -111 INVALID_HANDLE Permanent "The handle is NULL or of another type";
    -112 CLOSED Permanent "The handle is closed";
    -113 TIMED_OUT Retriable "The call ran out of time";
    -114 PANIC Fatal "The library met a bug in itself; the handle can no longer be used";
    -115 FORKED Fatal "The handle belongs to the parent process of a fork: open a new one";
    -116 IN_CALLBACK Permanent "Not allowed inside a callback of this handle";
    -117 UNKNOWN_PROPERTY Permanent "There is no property of this name";
    -118 INVALID_PROPERTY Permanent "The value of the property is invalid";
    -119 CONNECTION_FAILED Retriable "The broker could not be reached";
    -120 DISCONNECTED Retriable "The broker closed the connection";
    -121 RESOLVE_FAILED Retriable "The name of the broker could not be resolved";
    -122 PROTOCOL Retriable "The peer sent bytes that are not Kafka's protocol";
    -123 FRAME_TOO_LARGE Permanent "The peer announced a frame above the limit";
    -124 UNSUPPORTED_FEATURE Permanent "The broker's version does not support this";
    -125 UNREAD_DELIVERIES Retriable "Unread deliveries fill the buffer: poll the producer";
    -126 BUFFER_FULL Retriable "buffer.memory is used up";
    -127 RECORD_TOO_LARGE Permanent "The record is larger than the configured limit";
    -128 PURGED Permanent "The record was purged before its outcome was known";
    -129 NO_OFFSET Permanent "There is no position to start from and auto.offset.reset is none";
    -130 CLUSTER_ID_CHANGED Fatal "The brokers belong to another cluster than before";
    -131 UNDECODABLE Permanent "A record batch could not be decoded";
    -132 IO Permanent "The operating system reported an error";
    -133 INVALID_STATE Permanent "The handle is in a state that does not allow this";
    -134 NOT_ASSIGNED Permanent "The partition is not assigned to this consumer";
    -135 FOREIGN_TOPIC Permanent "The topic handle belongs to another cluster";
    -136 RUNTIME Permanent "The I/O threads could not be started";
    -137 ABANDONED Retriable "The task that served this call ended";
    -138 MEMORY_LIMIT Retriable "What the application still holds fills samsa.memory.limit";
    -139 BATCH_REFUSED Retriable "The broker refused another record of the same batch";
    -140 LOG_TRUNCATED Permanent "The partition lost records that were read already";
    -141 ZOOKEEPER Permanent "ZooKeeper refused the request";
    -142 SESSION_EXPIRED Retriable "The ZooKeeper session expired";
    -143 MAX_POLL_EXCEEDED Retriable "The application did not poll for max.poll.interval.ms";
}

impl Code {
    /// The row of this code, or none for a number this version does not know.
    #[must_use]
    pub fn info(self) -> Option<&'static CodeInfo> {
        Self::ALL.iter().find(|info| info.code == self)
    }

    /// The code's name (`TIMED_OUT`), or `UNKNOWN` for a number this version does not know.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.info().map_or("UNKNOWN", |info| info.name)
    }

    /// One sentence on the code.
    #[must_use]
    pub fn text(self) -> &'static str {
        self.info().map_or("An error that this version of the library does not know", |i| i.text)
    }

    /// Whether the number stands for a failure: neither success nor a condition.
    #[must_use]
    pub fn is_error(self) -> bool {
        !matches!(self.kind(), Kind::Success | Kind::Condition)
    }

    /// Whether the number is a condition (−100 … −109): an outcome that is no failure.
    #[must_use]
    pub fn is_condition(self) -> bool {
        (-109..=-100).contains(&self.0)
    }

    /// Whether trying again may help. A number from a newer broker that we do not know counts as
    /// retriable, so that a new code never kills a client (invariant 2.9).
    #[must_use]
    pub fn is_retriable(self) -> bool {
        matches!(self.kind(), Kind::Retriable)
    }

    pub(crate) fn is_fatal(self) -> bool {
        matches!(self.kind(), Kind::Fatal)
    }

    pub(crate) fn requires_abort(self) -> bool {
        matches!(self.kind(), Kind::Abort)
    }

    fn kind(self) -> Kind {
        self.info().map_or(Kind::Retriable, |info| info.kind)
    }
}

impl From<i16> for Code {
    /// A Kafka error code as it stands on the wire. What is ours is `UNKNOWN_SERVER_ERROR`: no peer may say
    /// that a call of this library found nothing, or panicked. Other numbers stay, known or not
    /// (invariant 2.9).
    fn from(number: i16) -> Self {
        let code = Self(i32::from(number));
        let ours = number < -1 && (code.info().is_some() || code.is_condition());
        if ours { Self::UNKNOWN_SERVER_ERROR } else { code }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_ours_stay_clear_of_kafkas() {
        for (i, a) in Code::ALL.iter().enumerate() {
            for b in &Code::ALL[i + 1..] {
                assert!(a.code != b.code && a.name != b.name, "{a:?} and {b:?}");
            }
            let ours = a.code.0 <= -100;
            assert!(ours || a.code.0 >= -1, "{a:?} is in nobody's range");
            assert_eq!(a.kind == Kind::Condition, a.code.is_condition(), "{a:?}");
        }
    }

    #[test]
    fn a_number_from_the_wire_is_never_one_of_ours() {
        for info in Code::ALL.iter().filter(|info| info.code.0 <= -100) {
            let number = i16::try_from(info.code.0).unwrap();
            assert_eq!(Code::from(number), Code::UNKNOWN_SERVER_ERROR, "{number}");
        }
        assert_eq!(Code::from(-109), Code::UNKNOWN_SERVER_ERROR, "a condition of a later version");
        for theirs in [-999, -2, -1, 0, 1, 31_999] {
            assert_eq!(Code::from(theirs).0, i32::from(theirs), "known or not, it is not ours");
        }
    }

    #[test]
    fn rule_2_9_an_unknown_code_is_a_generic_retriable_error() {
        let code = Code::from(31_999_i16);
        assert!(code.is_error() && code.is_retriable());
        assert_eq!(code.name(), "UNKNOWN");
    }
}
