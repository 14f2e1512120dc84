/*
 * samsa.h - a Kafka client: one API over every broker from 0.8.2 to 4.x, and 0.7 through ZooKeeper.
 *
 * Generated from the library's source (scripts/header.sh): do not edit.
 *
 * The shortest program:
 *
 *     samsa_config *config = samsa_config_new();
 *     samsa_cluster *cluster;
 *     samsa_topic *topic;
 *     samsa_error *err;
 *     int64_t offset;
 *     samsa_config_set(config, `bootstrap.servers`, `localhost:9092`, &err);
 *     samsa_cluster_open(config, 10000, &cluster, &err);
 *     samsa_cluster_topic(cluster, `greetings`, &topic, &err);
 *     samsa_topic_publish(topic, NULL, 0, `hello`, 5, 10000, NULL, &offset, &err);
 *     samsa_cluster_close(cluster, 10000, &err);
 *     samsa_topic_free(topic); samsa_cluster_free(cluster); samsa_config_free(config);
 *
 * with err looked at after each call. (Strings stand in backquotes here: some generators of bindings
 * stumble over double quotes in comments.) examples-c/ has whole programs. Link with
 * $(pkg-config --cflags --libs samsa).
 *
 *
 * THE RULES. They hold without exception; each function says only what is its own.
 *
 * Names. samsa_<handle>_<verb>; the handle is the first argument; const means not changed.
 * Constants are enumerators of unnamed enums and are passed as integers.
 *
 * Results. A call that can fail returns a samsa_code: 0 is success. Positive numbers and -1 are the
 * error codes of Kafka itself, as they are. From -100 to -109 are conditions, which are no errors:
 * SAMSA_NOTHING (waited, nothing came), SAMSA_WOKEN (a wake-up ended the wait), SAMSA_EVENT (read
 * it with next_event), SAMSA_WOULD_BLOCK. From -110 down are the errors of this library. New
 * numbers may appear; none is ever reused.
 *
 * Errors. The last argument is samsa_error **err and may be NULL. It is never read and always
 * written: NULL, or an error that the caller owns and frees with samsa_error_free. It is not NULL
 * exactly when the code is an error. Free an error before its variable is passed again. Write
 * code = f(&err); check(code, err); and not check(f(&err), err): C does not order arguments.
 *
 * Out-parameters are set to NULL, 0, or -1 (partitions, offsets, descriptors) before anything else
 * is checked: freeing them after a failure is harmless. Those that only inform may be NULL (their
 * function says so); the one that the call is made for may not. Counts of partial work are exact
 * on failure too. Nothing is both in and out, but the struct_size of a struct that is filled.
 *
 * Endings: close, then free. close takes no more work, decides every outcome within its time and
 * leaves the handle valid: what came of it can still be read, and polls give SAMSA_ERR_CLOSED only
 * when all is read; every other call gives it at once. What close could not finish gets an outcome
 * and makes it return SAMSA_ERR_TIMED_OUT; a second close returns 0. Closing a cluster closes its
 * producers and consumers first, within the same time. free accepts NULL, never waits and is the
 * last call; without a close before it, it abandons what is queued. Children keep what they need of
 * their parents: every order of frees is right. Use after free is undefined.
 *
 * Nothing is consumed: a configuration, a string, a record passed in is copied or only borrowed for
 * the call, on success and on failure alike.
 *
 * Strings in are NUL-terminated UTF-8. Bytes are pointer and length. Absent and empty differ: a NULL
 * pointer with length 0 is absent, any other pointer with length 0 is empty. Strings out are
 * borrowed as long as the handle they came from lives, or owned and freed by samsa_string_free.
 *
 * Structs that are passed singly begin with size_t struct_size: set it to sizeof the struct, and the
 * rest to zero, which means defaults. Arrays of structs passed in come with their stride (sizeof an
 * element). Arrays given out have a fixed stride for the life of the soname; their reserved words
 * are zero today.
 *
 * Partitions are int64_t everywhere: the number of Kafka; on 0.7 broker << 32 | number
 * (samsa_partition_of). -1 leaves the choice to the partitioner.
 *
 * Waiting. timeout_ms is in milliseconds: 0 does not wait, -1 has no limit, less than -1 is
 * SAMSA_ERR_INVALID_ARGUMENT. samsa_X_wakeup ends every wait now in progress on the handle, or else
 * the next one (it is remembered once); it may be called in a signal handler. samsa_X_fd gives a
 * descriptor that is readable while a poll would not wait, for epoll and its like: level-triggered,
 * at times readable for nothing; the library alone reads and closes it, and it lives until free.
 *
 * Threads. Every handle may be used from any thread, concurrently; free alone must be the last use.
 * Concurrent polls are allowed: each message goes to one caller.
 *
 * Callbacks are set on a configuration by samsa_config_set_..., with a pointer of yours and a
 * release function, called once for the pointer after its last use. None is required. A callback
 * must return: no exception, no longjmp. What it gets is borrowed until it returns. Application
 * callbacks (deliveries, partitions and commits of a group, changes of the cluster) run only inside
 * poll-like calls of their own handle, on the caller's thread; inside one every call is allowed but
 * that handle's poll-like ones, which give SAMSA_ERR_IN_CALLBACK, and its free, which does nothing. Service callbacks (log) run on a
 * thread of the library at any time and may call nothing but the functions on what they get.
 *
 * Misuse. NULL or a handle of another type gives SAMSA_ERR_INVALID_HANDLE; accessors that have no
 * code give NULL, 0 or -1. A bug in the library itself is caught, gives SAMSA_ERR_PANIC and breaks
 * the handle it met: later calls give the same.
 *
 * fork. In the child, a handle of the parent gives SAMSA_ERR_FORKED at once, and its free only gives
 * back memory. Handles opened in the child work.
 *
 * The library never raises SIGPIPE, installs a signal handler or changes the environment. It prints
 * only what the property samsa.log sends to standard error, and, when it meets a bug in itself, the
 * message and place of that (the default panic hook of its own copy of Rust's library). It aborts when
 * the system has no memory left, as Rust's allocator does.
 */
#ifndef SAMSA_H
#define SAMSA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The version of this header; samsa_version_number() tells the library's.
 */
enum {
  SAMSA_VERSION_MAJOR = 0,
  SAMSA_VERSION_MINOR = 1,
  SAMSA_VERSION_PATCH = 0,
};

/*
 * Codes. 0 is success; -100 to -109 are conditions, which are no errors; the other numbers
 * from -1 up are Kafka's own, those below are the library's.
 */
enum {
  /* Success */
  SAMSA_OK = 0,
  /* The server experienced an unexpected error */
  SAMSA_ERR_UNKNOWN_SERVER_ERROR = -1,
  /* The requested offset is not within the range of offsets kept by the broker */
  SAMSA_ERR_OFFSET_OUT_OF_RANGE = 1,
  /* The message failed its checksum, has an invalid size, or is otherwise corrupt */
  SAMSA_ERR_CORRUPT_MESSAGE = 2,
  /* The broker does not host this topic or partition */
  SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION = 3,
  /* The requested fetch size is invalid */
  SAMSA_ERR_INVALID_FETCH_SIZE = 4,
  /* There is no leader for this partition at the moment */
  SAMSA_ERR_LEADER_NOT_AVAILABLE = 5,
  /* The broker is not the leader or a follower of this partition */
  SAMSA_ERR_NOT_LEADER_OR_FOLLOWER = 6,
  /* The broker did not finish the request in its time */
  SAMSA_ERR_REQUEST_TIMED_OUT = 7,
  /* The broker is not available */
  SAMSA_ERR_BROKER_NOT_AVAILABLE = 8,
  /* The replica is not available for this partition */
  SAMSA_ERR_REPLICA_NOT_AVAILABLE = 9,
  /* The request holds a message larger than the broker accepts */
  SAMSA_ERR_MESSAGE_TOO_LARGE = 10,
  /* The controller moved to another broker */
  SAMSA_ERR_STALE_CONTROLLER_EPOCH = 11,
  /* The metadata of the offset commit is too large */
  SAMSA_ERR_OFFSET_METADATA_TOO_LARGE = 12,
  /* The broker disconnected before a response was received */
  SAMSA_ERR_NETWORK_EXCEPTION = 13,
  /* The coordinator is still loading */
  SAMSA_ERR_COORDINATOR_LOAD_IN_PROGRESS = 14,
  /* The coordinator is not available */
  SAMSA_ERR_COORDINATOR_NOT_AVAILABLE = 15,
  /* The broker is not the coordinator */
  SAMSA_ERR_NOT_COORDINATOR = 16,
  /* The topic name is invalid or internal */
  SAMSA_ERR_INVALID_TOPIC_EXCEPTION = 17,
  /* The batch is larger than the broker's segment size */
  SAMSA_ERR_RECORD_LIST_TOO_LARGE = 18,
  /* Too few replicas are in sync */
  SAMSA_ERR_NOT_ENOUGH_REPLICAS = 19,
  /* The messages were written, but to fewer in-sync replicas than required */
  SAMSA_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20,
  /* The value of acks is invalid */
  SAMSA_ERR_INVALID_REQUIRED_ACKS = 21,
  /* The group generation is not the current one */
  SAMSA_ERR_ILLEGAL_GENERATION = 22,
  /* The member's protocols do not fit those of the group */
  SAMSA_ERR_INCONSISTENT_GROUP_PROTOCOL = 23,
  /* The group id is invalid */
  SAMSA_ERR_INVALID_GROUP_ID = 24,
  /* The coordinator does not know this member */
  SAMSA_ERR_UNKNOWN_MEMBER_ID = 25,
  /* The session timeout is outside the range that the broker allows */
  SAMSA_ERR_INVALID_SESSION_TIMEOUT = 26,
  /* The group is rebalancing */
  SAMSA_ERR_REBALANCE_IN_PROGRESS = 27,
  /* The offset commit is too large */
  SAMSA_ERR_INVALID_COMMIT_OFFSET_SIZE = 28,
  /* Not authorized for this topic */
  SAMSA_ERR_TOPIC_AUTHORIZATION_FAILED = 29,
  /* Not authorized for this group */
  SAMSA_ERR_GROUP_AUTHORIZATION_FAILED = 30,
  /* Not authorized for this cluster */
  SAMSA_ERR_CLUSTER_AUTHORIZATION_FAILED = 31,
  /* The timestamp of the message is out of the accepted range */
  SAMSA_ERR_INVALID_TIMESTAMP = 32,
  /* The broker does not support this SASL mechanism */
  SAMSA_ERR_UNSUPPORTED_SASL_MECHANISM = 33,
  /* The request is not valid in this SASL state */
  SAMSA_ERR_ILLEGAL_SASL_STATE = 34,
  /* The broker does not support this version of the API */
  SAMSA_ERR_UNSUPPORTED_VERSION = 35,
  /* A topic of this name already exists */
  SAMSA_ERR_TOPIC_ALREADY_EXISTS = 36,
  /* The number of partitions is below one */
  SAMSA_ERR_INVALID_PARTITIONS = 37,
  /* The replication factor is below one or above the number of brokers */
  SAMSA_ERR_INVALID_REPLICATION_FACTOR = 38,
  /* The replica assignment is invalid */
  SAMSA_ERR_INVALID_REPLICA_ASSIGNMENT = 39,
  /* The configuration is invalid */
  SAMSA_ERR_INVALID_CONFIG = 40,
  /* The broker is not the controller */
  SAMSA_ERR_NOT_CONTROLLER = 41,
  /* The request is malformed or inconsistent */
  SAMSA_ERR_INVALID_REQUEST = 42,
  /* The message format on the broker does not support this request */
  SAMSA_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT = 43,
  /* The request violates a policy of the broker */
  SAMSA_ERR_POLICY_VIOLATION = 44,
  /* The broker received a sequence number out of order */
  SAMSA_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER = 45,
  /* The broker received a duplicate sequence number */
  SAMSA_ERR_DUPLICATE_SEQUENCE_NUMBER = 46,
  /* The producer's epoch is old: another producer took its place */
  SAMSA_ERR_INVALID_PRODUCER_EPOCH = 47,
  /* The transaction is in a state that does not allow this */
  SAMSA_ERR_INVALID_TXN_STATE = 48,
  /* The producer id does not belong to this transactional id */
  SAMSA_ERR_INVALID_PRODUCER_ID_MAPPING = 49,
  /* The transaction timeout is above the broker's maximum */
  SAMSA_ERR_INVALID_TRANSACTION_TIMEOUT = 50,
  /* Another operation of this transaction is still in progress */
  SAMSA_ERR_CONCURRENT_TRANSACTIONS = 51,
  /* The transaction coordinator was fenced */
  SAMSA_ERR_TRANSACTION_COORDINATOR_FENCED = 52,
  /* Not authorized for this transactional id */
  SAMSA_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53,
  /* Security features are disabled */
  SAMSA_ERR_SECURITY_DISABLED = 54,
  /* The broker did not attempt this operation */
  SAMSA_ERR_OPERATION_NOT_ATTEMPTED = 55,
  /* The broker met a disk error */
  SAMSA_ERR_KAFKA_STORAGE_ERROR = 56,
  /* The log directory was not found */
  SAMSA_ERR_LOG_DIR_NOT_FOUND = 57,
  /* SASL authentication failed */
  SAMSA_ERR_SASL_AUTHENTICATION_FAILED = 58,
  /* The broker does not know this producer id */
  SAMSA_ERR_UNKNOWN_PRODUCER_ID = 59,
  /* A partition reassignment is in progress */
  SAMSA_ERR_REASSIGNMENT_IN_PROGRESS = 60,
  /* Delegation tokens are not enabled */
  SAMSA_ERR_DELEGATION_TOKEN_AUTH_DISABLED = 61,
  /* The delegation token was not found */
  SAMSA_ERR_DELEGATION_TOKEN_NOT_FOUND = 62,
  /* The principal is not the owner of the token */
  SAMSA_ERR_DELEGATION_TOKEN_OWNER_MISMATCH = 63,
  /* Delegation token requests are not allowed on this connection */
  SAMSA_ERR_DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64,
  /* Not authorized for this delegation token */
  SAMSA_ERR_DELEGATION_TOKEN_AUTHORIZATION_FAILED = 65,
  /* The delegation token expired */
  SAMSA_ERR_DELEGATION_TOKEN_EXPIRED = 66,
  /* The principal type is not supported */
  SAMSA_ERR_INVALID_PRINCIPAL_TYPE = 67,
  /* The group is not empty */
  SAMSA_ERR_NON_EMPTY_GROUP = 68,
  /* The group was not found */
  SAMSA_ERR_GROUP_ID_NOT_FOUND = 69,
  /* The fetch session was not found */
  SAMSA_ERR_FETCH_SESSION_ID_NOT_FOUND = 70,
  /* The epoch of the fetch session is invalid */
  SAMSA_ERR_INVALID_FETCH_SESSION_EPOCH = 71,
  /* The leader has no listener of this name */
  SAMSA_ERR_LISTENER_NOT_FOUND = 72,
  /* Topic deletion is disabled on the broker */
  SAMSA_ERR_TOPIC_DELETION_DISABLED = 73,
  /* The leader epoch of the request is older than the broker's */
  SAMSA_ERR_FENCED_LEADER_EPOCH = 74,
  /* The leader epoch of the request is newer than the broker's */
  SAMSA_ERR_UNKNOWN_LEADER_EPOCH = 75,
  /* The broker or the request version does not support this compression */
  SAMSA_ERR_UNSUPPORTED_COMPRESSION_TYPE = 76,
  /* The broker epoch is stale */
  SAMSA_ERR_STALE_BROKER_EPOCH = 77,
  /* The leader's high watermark has not caught up after its election */
  SAMSA_ERR_OFFSET_NOT_AVAILABLE = 78,
  /* The member must join again with the id it was given */
  SAMSA_ERR_MEMBER_ID_REQUIRED = 79,
  /* The preferred leader is not available */
  SAMSA_ERR_PREFERRED_LEADER_NOT_AVAILABLE = 80,
  /* The group already has its largest number of members */
  SAMSA_ERR_GROUP_MAX_SIZE_REACHED = 81,
  /* Another member with the same group.instance.id took its place */
  SAMSA_ERR_FENCED_INSTANCE_ID = 82,
  /* No eligible leader is available */
  SAMSA_ERR_ELIGIBLE_LEADERS_NOT_AVAILABLE = 83,
  /* No leader election is needed */
  SAMSA_ERR_ELECTION_NOT_NEEDED = 84,
  /* No partition reassignment is in progress */
  SAMSA_ERR_NO_REASSIGNMENT_IN_PROGRESS = 85,
  /* The group still subscribes to this topic */
  SAMSA_ERR_GROUP_SUBSCRIBED_TO_TOPIC = 86,
  /* The broker refused the record as invalid */
  SAMSA_ERR_INVALID_RECORD = 87,
  /* A transaction with offsets of this partition is still open */
  SAMSA_ERR_UNSTABLE_OFFSET_COMMIT = 88,
  /* The throttling quota was exceeded */
  SAMSA_ERR_THROTTLING_QUOTA_EXCEEDED = 89,
  /* A newer producer with the same transactional id took its place */
  SAMSA_ERR_PRODUCER_FENCED = 90,
  /* The resource was not found */
  SAMSA_ERR_RESOURCE_NOT_FOUND = 91,
  /* The resource is named twice */
  SAMSA_ERR_DUPLICATE_RESOURCE = 92,
  /* The credential does not meet the requirements */
  SAMSA_ERR_UNACCEPTABLE_CREDENTIAL = 93,
  /* The voter sets differ */
  SAMSA_ERR_INCONSISTENT_VOTER_SET = 94,
  /* The update version is invalid */
  SAMSA_ERR_INVALID_UPDATE_VERSION = 95,
  /* The features could not be updated */
  SAMSA_ERR_FEATURE_UPDATE_FAILED = 96,
  /* The principal could not be read */
  SAMSA_ERR_PRINCIPAL_DESERIALIZATION_FAILURE = 97,
  /* The snapshot was not found */
  SAMSA_ERR_SNAPSHOT_NOT_FOUND = 98,
  /* The position is out of range */
  SAMSA_ERR_POSITION_OUT_OF_RANGE = 99,
  /* The broker does not know this topic id */
  SAMSA_ERR_UNKNOWN_TOPIC_ID = 100,
  /* The broker id is registered already */
  SAMSA_ERR_DUPLICATE_BROKER_REGISTRATION = 101,
  /* The broker id is not registered */
  SAMSA_ERR_BROKER_ID_NOT_REGISTERED = 102,
  /* The topic id does not fit the topic */
  SAMSA_ERR_INCONSISTENT_TOPIC_ID = 103,
  /* The cluster id does not fit */
  SAMSA_ERR_INCONSISTENT_CLUSTER_ID = 104,
  /* The transactional id was not found */
  SAMSA_ERR_TRANSACTIONAL_ID_NOT_FOUND = 105,
  /* The fetch session mixes topic names and ids */
  SAMSA_ERR_FETCH_SESSION_TOPIC_ID_ERROR = 106,
  /* The replica is not eligible */
  SAMSA_ERR_INELIGIBLE_REPLICA = 107,
  /* A new leader was elected */
  SAMSA_ERR_NEW_LEADER_ELECTED = 108,
  /* The offset moved to tiered storage */
  SAMSA_ERR_OFFSET_MOVED_TO_TIERED_STORAGE = 109,
  /* The member epoch was fenced */
  SAMSA_ERR_FENCED_MEMBER_EPOCH = 110,
  /* The group.instance.id is still in use */
  SAMSA_ERR_UNRELEASED_INSTANCE_ID = 111,
  /* The assignor is not supported */
  SAMSA_ERR_UNSUPPORTED_ASSIGNOR = 112,
  /* The member epoch is stale */
  SAMSA_ERR_STALE_MEMBER_EPOCH = 113,
  /* The request reached the wrong kind of endpoint */
  SAMSA_ERR_MISMATCHED_ENDPOINT_TYPE = 114,
  /* This kind of endpoint is not supported */
  SAMSA_ERR_UNSUPPORTED_ENDPOINT_TYPE = 115,
  /* The controller id is not known */
  SAMSA_ERR_UNKNOWN_CONTROLLER_ID = 116,
  /* The subscription id is not known */
  SAMSA_ERR_UNKNOWN_SUBSCRIPTION_ID = 117,
  /* The telemetry is too large */
  SAMSA_ERR_TELEMETRY_TOO_LARGE = 118,
  /* The registration is invalid */
  SAMSA_ERR_INVALID_REGISTRATION = 119,
  /* The transaction must be aborted */
  SAMSA_ERR_TRANSACTION_ABORTABLE = 120,
  /* The record's state does not allow its acknowledgement */
  SAMSA_ERR_INVALID_RECORD_STATE = 121,
  /* The share session was not found */
  SAMSA_ERR_SHARE_SESSION_NOT_FOUND = 122,
  /* The epoch of the share session is invalid */
  SAMSA_ERR_INVALID_SHARE_SESSION_EPOCH = 123,
  /* The share state epoch was fenced */
  SAMSA_ERR_FENCED_STATE_EPOCH = 124,
  /* The voter key is invalid */
  SAMSA_ERR_INVALID_VOTER_KEY = 125,
  /* The voter is in the set already */
  SAMSA_ERR_DUPLICATE_VOTER = 126,
  /* The voter is not in the set */
  SAMSA_ERR_VOTER_NOT_FOUND = 127,
  /* The regular expression is invalid */
  SAMSA_ERR_INVALID_REGULAR_EXPRESSION = 128,
  /* The client must bootstrap again */
  SAMSA_ERR_REBOOTSTRAP_REQUIRED = 129,
  /* The streams topology is invalid */
  SAMSA_ERR_STREAMS_INVALID_TOPOLOGY = 130,
  /* The streams topology epoch is invalid */
  SAMSA_ERR_STREAMS_INVALID_TOPOLOGY_EPOCH = 131,
  /* The streams topology epoch is fenced */
  SAMSA_ERR_STREAMS_TOPOLOGY_FENCED = 132,
  /* The share session limit was reached */
  SAMSA_ERR_SHARE_SESSION_LIMIT_REACHED = 133,
  /* Nothing came within the time */
  SAMSA_NOTHING = -100,
  /* A wake-up ended the wait */
  SAMSA_WOKEN = -101,
  /* An event waits: read it with next_event */
  SAMSA_EVENT = -102,
  /* Not possible without waiting: try again later */
  SAMSA_WOULD_BLOCK = -103,
  /* An argument is invalid */
  SAMSA_ERR_INVALID_ARGUMENT = -110,
  /* The handle is NULL or of another type */
  SAMSA_ERR_INVALID_HANDLE = -111,
  /* The handle is closed */
  SAMSA_ERR_CLOSED = -112,
  /* The call ran out of time */
  SAMSA_ERR_TIMED_OUT = -113,
  /* The library met a bug in itself; the handle can no longer be used */
  SAMSA_ERR_PANIC = -114,
  /* The handle belongs to the parent process of a fork: open a new one */
  SAMSA_ERR_FORKED = -115,
  /* Not allowed inside a callback of this handle */
  SAMSA_ERR_IN_CALLBACK = -116,
  /* There is no property of this name */
  SAMSA_ERR_UNKNOWN_PROPERTY = -117,
  /* The value of the property is invalid */
  SAMSA_ERR_INVALID_PROPERTY = -118,
  /* The broker could not be reached */
  SAMSA_ERR_CONNECTION_FAILED = -119,
  /* The broker closed the connection */
  SAMSA_ERR_DISCONNECTED = -120,
  /* The name of the broker could not be resolved */
  SAMSA_ERR_RESOLVE_FAILED = -121,
  /* The peer sent bytes that are not Kafka's protocol */
  SAMSA_ERR_PROTOCOL = -122,
  /* The peer announced a frame above the limit */
  SAMSA_ERR_FRAME_TOO_LARGE = -123,
  /* The broker's version does not support this */
  SAMSA_ERR_UNSUPPORTED_FEATURE = -124,
  /* Unread deliveries fill the buffer: poll the producer */
  SAMSA_ERR_UNREAD_DELIVERIES = -125,
  /* buffer.memory is used up */
  SAMSA_ERR_BUFFER_FULL = -126,
  /* The record is larger than the configured limit */
  SAMSA_ERR_RECORD_TOO_LARGE = -127,
  /* The record was purged before its outcome was known */
  SAMSA_ERR_PURGED = -128,
  /* There is no position to start from and auto.offset.reset is none */
  SAMSA_ERR_NO_OFFSET = -129,
  /* The brokers belong to another cluster than before */
  SAMSA_ERR_CLUSTER_ID_CHANGED = -130,
  /* A record batch could not be decoded */
  SAMSA_ERR_UNDECODABLE = -131,
  /* The operating system reported an error */
  SAMSA_ERR_IO = -132,
  /* The handle is in a state that does not allow this */
  SAMSA_ERR_INVALID_STATE = -133,
  /* The partition is not assigned to this consumer */
  SAMSA_ERR_NOT_ASSIGNED = -134,
  /* The topic handle belongs to another cluster */
  SAMSA_ERR_FOREIGN_TOPIC = -135,
  /* The I/O threads could not be started */
  SAMSA_ERR_RUNTIME = -136,
  /* The task that served this call ended */
  SAMSA_ERR_ABANDONED = -137,
  /* What the application still holds fills samsa.memory.limit */
  SAMSA_ERR_MEMORY_LIMIT = -138,
  /* The broker refused another record of the same batch */
  SAMSA_ERR_BATCH_REFUSED = -139,
  /* The partition lost records that were read already */
  SAMSA_ERR_LOG_TRUNCATED = -140,
  /* ZooKeeper refused the request */
  SAMSA_ERR_ZOOKEEPER = -141,
  /* The ZooKeeper session expired */
  SAMSA_ERR_SESSION_EXPIRED = -142,
  /* The application did not poll for max.poll.interval.ms */
  SAMSA_ERR_MAX_POLL_EXCEEDED = -143,
};

enum {
  /** `status` of an error or a delivery: the record was never written. */
  SAMSA_NOT_PERSISTED = 0,
  /** `status` of an error or a delivery: the record may have been written; its outcome is unknown. */
  SAMSA_POSSIBLY_PERSISTED = 1,
  /** `status` of an error or a delivery: the record was written; the broker said so. */
  SAMSA_PERSISTED = 2,
};

enum {
  /** `samsa_log_level`: something failed that the application should know. */
  SAMSA_LOG_ERROR = 1,
  /** `samsa_log_level`: something is wrong and may mend itself. */
  SAMSA_LOG_WARN = 2,
  /** `samsa_log_level`: what happens, seldom: connections, leaders. */
  SAMSA_LOG_INFO = 3,
  /** `samsa_log_level`: what helps to find a bug. */
  SAMSA_LOG_DEBUG = 4,
};

enum {
  /** `samsa_broker_view.flags`: this broker is the controller. */
  SAMSA_BROKER_CONTROLLER = 1,
};

enum {
  /** `samsa_topic_view.flags`: the topic is one of Kafka's own. */
  SAMSA_TOPIC_INTERNAL = 1,
};

enum {
  /**
   * `samsa_partition_view.flags`: the partition does not exist yet; a broker of Kafka 0.7 makes it when
   * something is sent to it.
   */
  SAMSA_PARTITION_VIRTUAL = 1,
};

enum {
  /** `samsa_event_kind`: no event (NULL). */
  SAMSA_EVENT_NONE = 0,
  /** `samsa_event_kind`: a broker came, went, or changed its address: look at samsa_cluster_brokers. */
  SAMSA_EVENT_BROKER = 1,
  /** `samsa_event_kind`: a topic came, went, or its partitions changed: look at samsa_topic_partitions. */
  SAMSA_EVENT_TOPIC = 2,
  /** `samsa_event_kind`: a consumer has read a partition up to its end. */
  SAMSA_EVENT_PARTITION_END = 3,
  /**
   * `samsa_event_kind`: messages that a consumer has read were lost by an unclean leader election; it goes
   * on at samsa_event_offset, where the log parts from what was read.
   */
  SAMSA_EVENT_LOG_TRUNCATED = 4,
  /**
   * `samsa_event_kind`: the group gave partitions to this consumer, besides those that it has. They are
   * read when the event is freed, from where samsa_consumer_seek put them meanwhile, or else from what
   * the group committed.
   */
  SAMSA_EVENT_ASSIGNED = 5,
  /**
   * `samsa_event_kind`: partitions will be another member's when the event is freed, at the latest after
   * max.poll.interval.ms; until then positions of them can be committed. Their messages are handed out no
   * more. The positions say where reading stopped.
   */
  SAMSA_EVENT_REVOKED = 6,
  /**
   * `samsa_event_kind`: partitions are another member's already, or may be: nothing of them can be
   * committed. The positions say where reading stopped.
   */
  SAMSA_EVENT_LOST = 7,
  /** `samsa_event_kind`: a commit ended; each position has its own code. */
  SAMSA_EVENT_COMMITTED = 8,
  /**
   * `samsa_event_kind`: every broker of the cluster that is known was asked, and none answered (librdkafka's
   * ERR__ALL_BROKERS_DOWN). Told by samsa_cluster_next_event once until one answers again. The library goes
   * on trying, so that nothing need be done; the log says why. Not told of Kafka 0.7.
   */
  SAMSA_EVENT_ALL_BROKERS_DOWN = 9,
};

enum {
  /** `samsa_new_topic.flags`: the brokers only check, nothing is made. */
  SAMSA_NEW_TOPIC_VALIDATE = 1,
};

enum {
  /** In samsa_group_view.kind: the broker does not say, which those below 3.8 do not. */
  SAMSA_GROUP_UNKNOWN = 0,
  /** In samsa_group_view.kind: members agree by the classic protocol. */
  SAMSA_GROUP_CLASSIC = 1,
  /** In samsa_group_view.kind: the coordinator assigns (KIP-848). */
  SAMSA_GROUP_CONSUMER = 2,
  /** In samsa_group_view.kind: no group of consumers, such as a share group. */
  SAMSA_GROUP_OTHER = 3,
};

enum {
  /**
   * In samsa_record.flags and samsa_packed.flags: `partition` says where to; else the partitioner
   * chooses.
   */
  SAMSA_RECORD_PARTITION = 1,
  /** In samsa_record.flags: `timestamp` is given; else it is the time of the call. */
  SAMSA_RECORD_TIMESTAMP = 2,
};

enum {
  /** For samsa_producer_purge: records that are with no broker now. */
  SAMSA_PURGE_QUEUED = 1,
  /** For samsa_producer_purge: records whose answer is awaited; they are possibly persisted. */
  SAMSA_PURGE_IN_FLIGHT = 2,
};

enum {
  /**
   * For samsa_config_set_assignor_callback: the assignor gives nobody what another member still owns, and
   * members keep what they have while others' partitions move (KIP-429). A partition that it gives all the
   * same comes in the next round. A member is cooperative only if every assignor that it offers is: with
   * partition.assignment.strategy=cooperative-sticky, not with its default, which offers range too.
   */
  SAMSA_ASSIGNOR_COOPERATIVE = 1,
};

enum {
  /** In samsa_position.flags: `offset` is given. */
  SAMSA_POSITION_OFFSET = 1,
  /** In samsa_position.flags: `timestamp` is given. */
  SAMSA_POSITION_TIME = 2,
  /** In samsa_position.flags: `leader_epoch` is given. */
  SAMSA_POSITION_EPOCH = 4,
};

enum {
  /** As an offset: the end of the partition. */
  SAMSA_LATEST = -1,
  /** As an offset: the first message that the partition still has. */
  SAMSA_EARLIEST = -2,
};

enum {
  /** In samsa_message_view.flags: the timestamp is the broker's (log append time). */
  SAMSA_MESSAGE_LOG_APPEND_TIME = 1,
};

/**
 * One round of sharing partitions out, lent to an assignor callback. Only the thread that runs the
 * callback may use it, and only until the callback returns.
 */
typedef struct samsa_assignment samsa_assignment;

/**
 * Messages that one poll gave, and the buffers that they lie in.
 *
 * It never changes: any number of threads may read it. It outlives its consumer if need be. What it
 * holds counts against samsa.memory.limit until it is freed.
 */
typedef struct samsa_batch samsa_batch;

/**
 * The brokers of a cluster at one moment; never changes. Any thread may read it.
 */
typedef struct samsa_brokers samsa_brokers;

/**
 * One Kafka cluster: its connections, its metadata, the parent of topics, producers and consumers.
 *
 * Any thread may use it. Close it when outcomes matter, then free it; what was made from it keeps
 * what it needs of it, so that every order of frees is right.
 */
typedef struct samsa_cluster samsa_cluster;

/**
 * A configuration: properties by Java's names, and callbacks. What takes one copies it: it may be
 * changed, used again and freed at any time.
 *
 * A cluster's configuration may hold any property: its producers and consumers inherit it.
 * The prefix `topic.NAME.` sets a property for one topic. Any thread may use it.
 */
typedef struct samsa_config samsa_config;

/**
 * A consumer: it reads partitions of one cluster.
 *
 * Any thread may use it, several at once: each message goes to one caller. In a group the automatic
 * commit takes what was handed out when it was freed and the thread that got it polls again (or has
 * ended): a thread that works on messages covers them until it comes back. After samsa_consumer_close
 * calls give SAMSA_ERR_CLOSED. Batches and messages outlive it.
 */
typedef struct samsa_consumer samsa_consumer;

/**
 * Outcomes of records, each record's exactly once, in order within a partition (but for what
 * samsa_producer_purge ends before it was sent: it does not wait for what is in flight).
 *
 * It never changes: any number of threads may read it. It outlives its producer if need be. With
 * samsa.delivery.keep it holds the records, which count against buffer.memory until it is freed.
 */
typedef struct samsa_deliveries samsa_deliveries;

/**
 * What went wrong in one call: code, message, context. Owned by whoever got it.
 *
 * Every function on it takes NULL and then answers for no error (code 0, the text of success).
 * It never changes: any number of threads may read it. What it lends is valid until it is freed.
 */
typedef struct samsa_error samsa_error;

/**
 * Something that changed. It says look again; what is true now stands in the snapshots: nothing is
 * lost, only merged. Any thread may read it.
 */
typedef struct samsa_event samsa_event;

/**
 * A group and its members at one moment; never changes. Any thread may read it.
 */
typedef struct samsa_group samsa_group;

/**
 * The groups of a cluster at one moment; never changes. Any thread may read it.
 */
typedef struct samsa_groups samsa_groups;

/**
 * One line of the log, lent to a log callback; valid until the callback returns.
 */
typedef struct samsa_log samsa_log;

/**
 * Who a consumer was in its group at one moment; never changes. Any thread may read it.
 */
typedef struct samsa_membership samsa_membership;

/**
 * One message. It pins the buffer that it was fetched in: copy it if it is kept for long.
 *
 * It never changes: any number of threads may read it. It outlives its consumer if need be.
 */
typedef struct samsa_message samsa_message;

/**
 * The partitions of a topic at one moment; never changes. Any thread may read it.
 */
typedef struct samsa_partitions samsa_partitions;

/**
 * A list of positions that a call returned. It never changes: any number of threads may read it.
 */
typedef struct samsa_positions samsa_positions;

/**
 * Sends records to topics of one cluster. Each accepted record has exactly one outcome, its delivery.
 *
 * Any thread may use it, several at once. Close it when outcomes matter, then free it.
 */
typedef struct samsa_producer samsa_producer;

/**
 * A topic of one cluster. It keeps its cluster alive; another cluster refuses it with
 * SAMSA_ERR_FOREIGN_TOPIC.
 *
 * Whether the topic exists is not asked when the handle is made. Any thread may use it.
 */
typedef struct samsa_topic samsa_topic;

/**
 * The topics that are known of a cluster at one moment; never changes. Any thread may read it.
 */
typedef struct samsa_topics samsa_topics;

/**
 * The result of a call: 0 ok; from 1 and −1 Kafka's own error numbers; −100 … −109 conditions,
 * which are no errors; from −110 down the library's errors (SAMSA_ERR_…).
 */
typedef int32_t samsa_code;

/**
 * Takes a line of the log. Runs on a thread of the library that does nothing else; it must return and
 * may call nothing but samsa_log functions.
 */
typedef void (*samsa_log_callback)(const samsa_log *log, void *user);

/**
 * Tells the application that its `user` pointer is no longer needed: called once, on any thread,
 * after the last use. May be NULL.
 */
typedef void (*samsa_release_callback)(void *user);

/**
 * Tells of a change of the cluster. Runs inside samsa_cluster_next_event; the event is lent.
 */
typedef void (*samsa_cluster_callback)(samsa_cluster *cluster,
                                       const samsa_event *event,
                                       void *user);

/**
 * One broker. 48 bytes; strings live as long as the samsa_brokers.
 */
typedef struct samsa_broker_view {
  /** The advertised host name. */
  const char *host;
  /** The rack, or NULL. */
  const char *rack;
  /** A number that changes when the broker was registered anew; -1 where that is not known. */
  int64_t incarnation;
  /** The id of the broker. */
  int32_t id;
  /** The advertised port. */
  int32_t port;
  /** SAMSA_BROKER_CONTROLLER. */
  uint32_t flags;
  /** 0. */
  uint32_t reserved[3];
} samsa_broker_view;

/**
 * One topic. 48 bytes; strings live as long as the samsa_topics.
 */
typedef struct samsa_topic_view {
  /** The name. */
  const char *name;
  /** How many partitions it has. */
  int64_t partitions;
  /** The id of the topic (Kafka 2.8 and later); all zero where there is none. */
  uint8_t id[16];
  /** 0, or why the topic cannot be used. */
  samsa_code code;
  /** SAMSA_TOPIC_INTERNAL. */
  uint32_t flags;
  /** 0. */
  uint32_t reserved[2];
} samsa_topic_view;

/**
 * One partition. 72 bytes; arrays live as long as the samsa_partitions.
 */
typedef struct samsa_partition_view {
  /** The partition. */
  int64_t partition;
  /** The ids of all replicas, the preferred leader first. */
  const int32_t *replicas;
  /** The ids of the replicas in sync. */
  const int32_t *in_sync;
  /** The ids of the replicas known to be offline. */
  const int32_t *offline;
  /** How many replicas. */
  uint32_t replicas_count;
  /** How many in sync. */
  uint32_t in_sync_count;
  /** How many offline. */
  uint32_t offline_count;
  /** The id of the leader; -1 while there is none. */
  int32_t leader;
  /** The epoch of the leader; -1 where it is not known. */
  int32_t leader_epoch;
  /** 0, or the error of the last answer about the partition. */
  samsa_code code;
  /** SAMSA_PARTITION_VIRTUAL. */
  uint32_t flags;
  /** 0. */
  uint32_t reserved[3];
} samsa_partition_view;

/**
 * A partition and a place in it, 64 bytes; one struct for what goes in and what comes out.
 *
 * Flags say what is given: SAMSA_POSITION_OFFSET (0 or more, SAMSA_EARLIEST or SAMSA_LATEST),
 * SAMSA_POSITION_TIME, SAMSA_POSITION_EPOCH. An offset wins over a time. With neither, the committed
 * offset counts, or else auto.offset.reset. What one call returns, another takes as it is.
 * Passed in as an array with its stride (sizeof the struct).
 */
typedef struct samsa_position {
  /** Name of the topic, NUL-terminated. In: read during the call. Out: lives as long as the list. */
  const char *topic;
  /** Number of the partition, 0 or more. */
  int64_t partition;
  /** An offset, SAMSA_EARLIEST or SAMSA_LATEST; out: -1 without SAMSA_POSITION_OFFSET. */
  int64_t offset;
  /** Milliseconds since 1970; out: -1 without SAMSA_POSITION_TIME. */
  int64_t timestamp;
  /** UTF-8 text kept with a committed offset, or NULL; may hold zero bytes. */
  const void *metadata;
  /** How many bytes. */
  uint32_t metadata_length;
  /** Leader epoch of the message before the offset; out: -1 without SAMSA_POSITION_EPOCH. */
  int32_t leader_epoch;
  /** Out: 0, or the error of this partition alone. In: not read. */
  samsa_code code;
  /** SAMSA_POSITION_... bits. */
  uint32_t flags;
  /** Zero. */
  uint64_t reserved;
} samsa_position;

/**
 * A name and a value, 16 bytes.
 */
typedef struct samsa_property {
  /** NUL-terminated UTF-8. */
  const char *name;
  /** NUL-terminated UTF-8. */
  const char *value;
} samsa_property;

/**
 * A topic to be made. All zero but struct_size and name: as the brokers have it by default.
 */
typedef struct samsa_new_topic {
  /** sizeof(samsa_new_topic). */
  size_t struct_size;
  /** The name. */
  const char *name;
  /** Its configuration by Kafka's names, such as retention.ms; NULL for none. */
  const samsa_property *properties;
  /** How many properties. */
  size_t properties_count;
  /** How many partitions; 0 leaves it to the brokers, which those below 2.4 refuse. */
  int32_t partitions;
  /** How many replicas of each; 0 leaves it to the brokers, which those below 2.4 refuse. */
  int32_t replication_factor;
  /** SAMSA_NEW_TOPIC_VALIDATE. */
  uint32_t flags;
  /** 0. */
  uint32_t reserved;
} samsa_new_topic;

/**
 * One group, 48 bytes; strings live as long as the handle that it came with.
 */
typedef struct samsa_group_view {
  /** The group. */
  const char *id;
  /** What its members are: consumer, connect; empty for a group that has offsets only. */
  const char *protocol_type;
  /** Such as Stable or Empty; empty where the broker does not say (in lists below 2.6). */
  const char *state;
  /** The assignor; empty while none is chosen, and in lists. */
  const char *assignor;
  /** SAMSA_GROUP_UNKNOWN, SAMSA_GROUP_CLASSIC, SAMSA_GROUP_CONSUMER or SAMSA_GROUP_OTHER. */
  uint32_t kind;
  /** The id of the broker that coordinates it. */
  int32_t coordinator;
  /** Counts its rebalances (KIP-848); -1 elsewhere. */
  int32_t epoch;
  /** 0. */
  uint32_t reserved;
} samsa_group_view;

/**
 * One member of a group, 72 bytes; strings and arrays live as long as the samsa_group.
 */
typedef struct samsa_group_member_view {
  /** The id that the coordinator knows it by. */
  const char *id;
  /** group.instance.id of a static member, or NULL. */
  const char *instance;
  /** client.id. */
  const char *client_id;
  /** Where it connects from. */
  const char *host;
  /** The topics that it subscribes by name. */
  const char *const *topics;
  /** What it reads: partitions without a place in them. */
  const samsa_position *assignment;
  /** How many topics. */
  size_t topics_count;
  /** How many partitions. */
  size_t assignment_count;
  /** Its epoch (KIP-848); -1 elsewhere. */
  int32_t epoch;
  /** 0. */
  uint32_t reserved;
} samsa_group_member_view;

/**
 * One header of a message, 24 bytes. Names may repeat; their order is kept. Names and values are
 * pointer and length, not NUL-terminated.
 */
typedef struct samsa_header {
  /** The name: UTF-8, not NULL unless its length is 0. */
  const void *name;
  /** The value, or NULL for none; an empty value is not NULL. */
  const void *value;
  /** Bytes of the name. */
  uint32_t name_length;
  /** Bytes of the value. */
  uint32_t value_length;
} samsa_header;

/**
 * One record to be sent, 72 bytes. All zero means: null key and value, no headers, the partitioner
 * chooses, now. Only what a call reads is borrowed, and only for the call: accepted records are copied.
 *
 * An array of records is passed with the size of one, so that the struct may grow at its end.
 */
typedef struct samsa_record {
  /** Where to: a topic of the producer's cluster. */
  samsa_topic *topic;
  /** The key, or NULL for none; an empty key is not NULL. */
  const void *key;
  /** The value, or NULL for none; an empty value is not NULL. */
  const void *value;
  /** The headers, or NULL for none. */
  const samsa_header *headers;
  /** The program's own mark, given back with the outcome; never looked at. */
  void *opaque;
  /**
   * The partition, if flags has SAMSA_RECORD_PARTITION; -1 lets the partitioner choose. Without the
   * flag it must be 0 or -1: a partition that would not count is refused. On Kafka 0.7
   * samsa_partition_of(broker, number); with a negative number the broker chooses.
   */
  int64_t partition;
  /** Milliseconds since 1970, if flags has SAMSA_RECORD_TIMESTAMP; else 0 or -1. */
  int64_t timestamp;
  /** Bytes of the key. */
  uint32_t key_length;
  /** Bytes of the value. */
  uint32_t value_length;
  /** How many headers. */
  uint32_t headers_count;
  /** SAMSA_RECORD_... bits; others must be 0. */
  uint32_t flags;
} samsa_record;

/**
 * Chooses the partition of a record that names none: a number below `partitions`, or -1 to leave the
 * choice to the property partitioner. Another number refuses the record. On Kafka 0.7 it is a place in the
 * list that samsa_topic_partitions gives, in order of broker and number.
 *
 * Runs on the sending thread, on several at once if several send; it must return and may call
 * nothing of the library. The name is pointer and length, not NUL-terminated; key and value are NULL
 * where there is none. All is borrowed until it returns.
 */
typedef int64_t (*samsa_partitioner_callback)(const char *topic,
                                              size_t topic_length,
                                              const void *key,
                                              size_t key_length,
                                              const void *value,
                                              size_t value_length,
                                              int64_t partitions,
                                              void *user);

/**
 * Takes deliveries, on the thread that called poll, flush or close of the producer. They are lent: valid
 * until the callback returns.
 */
typedef void (*samsa_delivery_callback)(samsa_producer *producer,
                                        const samsa_deliveries *deliveries,
                                        void *user);

/**
 * Many records to one topic, whose bytes lie one after the other in one buffer: for languages that
 * would have to build each samsa_record. Set struct_size to sizeof(samsa_packed); all zero else means
 * no records.
 *
 * The buffer holds for each record its key, its value, then for each of its headers name and value,
 * without anything between them. A length of UINT32_MAX stands for null and takes no bytes.
 */
typedef struct samsa_packed {
  /** sizeof(samsa_packed). */
  size_t struct_size;
  /** Where to: a topic of the producer's cluster. */
  samsa_topic *topic;
  /** How many records. */
  size_t count;
  /** The bytes of all records. */
  const void *buffer;
  /** How many bytes they are. */
  size_t buffer_length;
  /** The length of each key; NULL: no record has a key. */
  const uint32_t *key_lengths;
  /** The length of each value; NULL: no record has a value. */
  const uint32_t *value_lengths;
  /** Milliseconds since 1970 of each record; NULL: the time of the call. */
  const int64_t *timestamps;
  /** The program's mark of each record, given back with its outcome; NULL: none. */
  const uint64_t *opaques;
  /** How many headers each record has; NULL: none. */
  const uint32_t *headers_counts;
  /** The lengths of name and value of each header, of all records; NULL without headers. */
  const uint32_t *header_lengths;
  /** How many lengths that are: two per header. */
  size_t header_lengths_count;
  /** The partition for all, if flags has SAMSA_RECORD_PARTITION; -1 lets the partitioner choose. */
  int64_t partition;
  /** SAMSA_RECORD_PARTITION or 0. */
  uint32_t flags;
  /** Zero. */
  uint32_t reserved;
} samsa_packed;

/**
 * The outcome of one record, 48 bytes.
 */
typedef struct samsa_delivery {
  /** The program's mark, as it was sent. */
  void *opaque;
  /** The partition. */
  int64_t partition;
  /** The offset; -1 when it is not known (not persisted, acks=0, a duplicate). */
  int64_t offset;
  /** The broker's time for topics with log append time, else the record's own; -1 for none. */
  int64_t timestamp;
  /** 0, or why it failed; samsa_deliveries_error tells more. */
  samsa_code code;
  /** SAMSA_PERSISTED, SAMSA_NOT_PERSISTED or SAMSA_POSSIBLY_PERSISTED. */
  uint32_t status;
  /** Index into samsa_deliveries_runs: topic and partition. */
  uint32_t run;
  /** Zero. */
  uint32_t reserved;
} samsa_delivery;

/**
 * Consecutive messages of one partition in a batch, 64 bytes.
 */
typedef struct samsa_run {
  /** Name of the topic, NUL-terminated; lives as long as the batch. */
  const char *topic;
  /** The partition. */
  int64_t partition;
  /** The partition's high watermark when the messages were fetched; -1 unknown. */
  int64_t high_watermark;
  /** The partition's first offset when the messages were fetched; -1 unknown. */
  int64_t log_start;
  /** Where to resume after these messages. */
  int64_t next_offset;
  /** Index of the first message. */
  uint32_t first;
  /** How many messages. */
  uint32_t count;
  /** Leader epoch of the last message; -1 unknown. */
  int32_t leader_epoch;
  /** Zero. */
  uint32_t reserved[3];
} samsa_run;

/**
 * One message, 80 bytes, made by the thread that polled. The pointers lead into the batch.
 */
typedef struct samsa_message_view {
  /** Offset in the partition. */
  int64_t offset;
  /** Where to resume after this message; not always offset + 1. */
  int64_t next_offset;
  /** Milliseconds since 1970; -1 when the message has none. */
  int64_t timestamp;
  /** The key, or NULL for none; an empty key is not NULL. */
  const void *key;
  /** The value, or NULL for none; an empty value is not NULL. */
  const void *value;
  /** The headers as they came, for samsa_headers_read; NULL without headers. */
  const void *headers;
  /** Bytes of the key. */
  uint32_t key_length;
  /** Bytes of the value. */
  uint32_t value_length;
  /** Bytes of the headers. */
  uint32_t headers_length;
  /** How many headers. */
  uint32_t headers_count;
  /** Index into samsa_batch_runs: topic and partition. */
  uint32_t run;
  /** SAMSA_MESSAGE_... bits. */
  uint16_t flags;
  /** How often the message was delivered; 0 where nobody counts. */
  uint16_t delivery_count;
  /** Zero. */
  uint32_t reserved[2];
} samsa_message_view;

/**
 * Tells that the group gave partitions to the consumer (SAMSA_EVENT_ASSIGNED), takes them back
 * (SAMSA_EVENT_REVOKED), or has them lost to it (SAMSA_EVENT_LOST). It runs on the thread that called
 * samsa_consumer_poll, samsa_consumer_next, samsa_consumer_commit, samsa_consumer_unsubscribe or
 * samsa_consumer_close, without a lock of the library. When it returns, what was assigned is read and
 * what was revoked is given up. It may call everything, samsa_consumer_seek and samsa_consumer_commit
 * too, but those of the consumer that run callbacks (SAMSA_ERR_IN_CALLBACK) and its free.
 *
 * Borrowed: consumer and event are lent until it returns.
 */
typedef void (*samsa_rebalance_callback)(samsa_consumer *consumer,
                                         const samsa_event *event,
                                         void *user);

/**
 * Tells how a commit ended (SAMSA_EVENT_COMMITTED) that nobody waited for, or not long enough; each
 * position has its own code. Where it runs and what it may call: as samsa_rebalance_callback.
 *
 * Borrowed: consumer and event are lent until it returns.
 */
typedef void (*samsa_commit_callback)(samsa_consumer *consumer,
                                      const samsa_event *event,
                                      void *user);

/**
 * Shares partitions out among members: it calls samsa_assignment_give for each partition and returns 0,
 * or the code of an error: then the round fails, the error is told by a poll, and the group tries again.
 * It runs in the leader, on the thread that polls, also while that waits for a commit inside another
 * callback; it must return, and may call nothing but samsa_assignment functions.
 */
typedef samsa_code (*samsa_assignor_callback)(samsa_assignment *round, void *user);

/**
 * A member as an assignor sees it, 80 bytes; what it points to lives as long as the round.
 */
typedef struct samsa_assignment_member {
  /** The id that the coordinator gave it. */
  const char *id;
  /** Its group.instance.id, or NULL. */
  const char *instance;
  /** Its rack, or NULL. */
  const char *rack;
  /** The topics that it subscribes to. */
  const char *const *topics;
  /** The partitions that it says it owns. */
  const samsa_position *owned;
  /** What it said besides (samsa_consumer_set_user_data), or NULL. */
  const void *user_data;
  /** The generation in which it got what it owns; -1 if it does not know. */
  int32_t generation;
  /** How many topics. */
  uint32_t topics_count;
  /** How many owned partitions. */
  uint32_t owned_count;
  /** Bytes of user_data. */
  uint32_t user_data_length;
  /** Zero. */
  uint64_t reserved[2];
} samsa_assignment_member;

/**
 * A topic that is to be shared out, 32 bytes; its partitions are numbered from 0 on.
 */
typedef struct samsa_assignment_topic {
  /** The name. */
  const char *name;
  /** How many partitions it has. */
  int64_t partitions;
  /** Zero. */
  uint64_t reserved[2];
} samsa_assignment_topic;

/**
 * A batch as columns over one buffer: element i is message i. Set struct_size before the call.
 */
typedef struct samsa_columns {
  /** sizeof(samsa_columns). */
  size_t struct_size;
  /** How many messages. */
  size_t count;
  /** Keys and values, one after the other. */
  const void *buffer;
  /** Bytes in the buffer. */
  size_t buffer_length;
  /** Where each key begins. */
  const uint32_t *key_positions;
  /** How long each key is; UINT32_MAX for none. */
  const uint32_t *key_lengths;
  /** Where each value begins. */
  const uint32_t *value_positions;
  /** How long each value is; UINT32_MAX for none. */
  const uint32_t *value_lengths;
  /** The offsets. */
  const int64_t *offsets;
  /** The timestamps; -1 for none. */
  const int64_t *timestamps;
} samsa_columns;

/* ---- Errors -------------------------------------------------------------------------------- */

/**
 * The code of the error; 0 for NULL.
 *
 * Thread: any. On a pointer that is no samsa_error: SAMSA_ERR_INVALID_HANDLE.
 */
samsa_code samsa_error_code(const samsa_error *error);

/**
 * What happened, with the whole chain of causes: one line of UTF-8, never NULL.
 *
 * Borrowed: valid until the error is freed. Thread: any. NULL: gives the text of success.
 */
const char *samsa_error_message(const samsa_error *error);

/**
 * Whether the same call may succeed when it is made again; false for NULL.
 *
 * Thread: any.
 */
bool samsa_error_is_retriable(const samsa_error *error);

/**
 * Whether the handle can no longer be used but for reading outcomes, close and free; false for NULL.
 *
 * Thread: any.
 */
bool samsa_error_is_fatal(const samsa_error *error);

/**
 * Whether the transaction in progress must be aborted before anything else; false for NULL.
 *
 * Thread: any.
 */
bool samsa_error_requires_abort(const samsa_error *error);

/**
 * What is known of the records that the error concerns: SAMSA_NOT_PERSISTED, SAMSA_POSSIBLY_PERSISTED
 * or SAMSA_PERSISTED. SAMSA_NOT_PERSISTED for NULL and where no record is concerned.
 *
 * Thread: any.
 */
uint32_t samsa_error_status(const samsa_error *error);

/**
 * The topic concerned, or NULL.
 *
 * Borrowed: valid until the error is freed. Thread: any.
 */
const char *samsa_error_topic(const samsa_error *error);

/**
 * The partition concerned, or -1.
 *
 * Thread: any.
 */
int64_t samsa_error_partition(const samsa_error *error);

/**
 * The broker concerned as host:port, with its id if that is known; or NULL.
 *
 * Borrowed: valid until the error is freed. Thread: any.
 */
const char *samsa_error_broker(const samsa_error *error);

/**
 * The configuration property concerned, or NULL.
 *
 * Borrowed: valid until the error is freed. Thread: any.
 */
const char *samsa_error_property(const samsa_error *error);

/**
 * Frees the error. NULL is fine.
 *
 * Free an error before the variable is used for another call: calls overwrite it unread.
 */
void samsa_error_free(samsa_error *error);

/* ---- Codes --------------------------------------------------------------------------------- */

/**
 * The name of a code as C spells it, such as SAMSA_ERR_TIMED_OUT; SAMSA_ERR_UNKNOWN for a number that
 * this version does not know. Never NULL.
 *
 * Borrowed: static, never freed. Thread: any.
 */
const char *samsa_code_name(samsa_code code);

/**
 * One sentence on a code, in English. Never NULL.
 *
 * Borrowed: static, never freed. Thread: any.
 */
const char *samsa_code_text(samsa_code code);

/**
 * Whether a code is an error: neither 0 nor a condition (-100 to -109). True for unknown numbers.
 *
 * Thread: any.
 */
bool samsa_code_is_error(samsa_code code);

/**
 * The version of the library, such as 1.2.3. Never NULL.
 *
 * Borrowed: static, never freed. Thread: any.
 */
const char *samsa_version(void);

/**
 * The version of the library as a number that grows: major * 1000000 + minor * 1000 + patch.
 *
 * Thread: any.
 */
uint32_t samsa_version_number(void);

/**
 * Frees a string that the library gave to the caller. NULL is fine; borrowed strings are not passed
 * here.
 */
void samsa_string_free(char *string);

/**
 * The number by which a partition of Kafka 0.7, which is a broker and a number there, stands in this
 * API: `broker << 32 | number`. A negative number leaves the choice to that broker, which makes sense
 * for publishing alone. -1 for a negative broker.
 *
 * Thread: any.
 */
int64_t samsa_partition_of(int32_t broker,
                           int32_t number);

/**
 * The broker of a partition of Kafka 0.7; 0 for partitions of later versions, -1 for -1.
 *
 * Thread: any.
 */
int32_t samsa_partition_broker(int64_t partition);

/**
 * The number of a partition within its broker on Kafka 0.7; the partition itself on later versions;
 * -1 for -1, and where the choice is left to the broker.
 *
 * Thread: any.
 */
int32_t samsa_partition_number(int64_t partition);

/* ---- Configuration ------------------------------------------------------------------------- */

/**
 * Makes an empty configuration: every property has its default.
 *
 * Who frees: the caller, by samsa_config_free. Thread: any. NULL only if there is no memory.
 */
samsa_config *samsa_config_new(void);

/**
 * Sets a property; the value is checked at once. docs/configuration.md lists the properties.
 *
 * NULL: nothing may be NULL but err. Thread: any. Borrowed: name and value are copied. On error:
 * nothing is changed; SAMSA_ERR_UNKNOWN_PROPERTY names the nearest known one,
 * SAMSA_ERR_INVALID_PROPERTY says what is allowed.
 */
samsa_code samsa_config_set(samsa_config *config,
                            const char *name,
                            const char *value,
                            samsa_error **err);

/**
 * Gives the value of a property: what was set, else its default.
 *
 * Who frees: the caller, `*value` by samsa_string_free. NULL: nothing may be NULL but err.
 * Thread: any. On error: `*value` is NULL; SAMSA_ERR_UNKNOWN_PROPERTY.
 */
samsa_code samsa_config_get(const samsa_config *config,
                            const char *name,
                            char **value,
                            samsa_error **err);

/**
 * Reads a .properties file (the format of Java, UTF-8) on top of what is set.
 *
 * NULL: nothing may be NULL but err. Thread: any. On error: nothing is changed; the message names
 * file and line.
 */
samsa_code samsa_config_load(samsa_config *config,
                             const char *path,
                             samsa_error **err);

/**
 * Frees the configuration. NULL is fine; handles that were made from it keep their copy.
 */
void samsa_config_free(samsa_config *config);

/* ---- Log lines ----------------------------------------------------------------------------- */

/**
 * Sends log lines to a callback, whatever the property samsa.log says; the property samsa.log.level
 * says which. A full queue drops lines and counts them. call NULL takes the callback back. Only
 * samsa_cluster_open takes a configuration with it: where a producer or consumer is made it gives
 * SAMSA_ERR_INVALID_PROPERTY.
 *
 * Lines that wait are still given after samsa_cluster_free, which waits for nothing: release, not free,
 * is the end of the callback, once the configuration and what was opened with it are freed.
 *
 * Who frees: release(user), if not NULL, is called once after the last use; when this call fails, it
 * is not. Thread: any. On error: nothing is changed.
 */
samsa_code samsa_config_set_log_callback(samsa_config *config,
                                         samsa_log_callback call,
                                         void *user,
                                         samsa_release_callback release,
                                         samsa_error **err);

/**
 * How severe a line is: SAMSA_LOG_ERROR to SAMSA_LOG_DEBUG; 0 for NULL.
 */
int32_t samsa_log_level(const samsa_log *log);

/**
 * Which part of the library speaks, such as net or producer; NULL for NULL.
 *
 * Borrowed: valid until the callback returns.
 */
const char *samsa_log_facility(const samsa_log *log);

/**
 * The text, UTF-8 without a line end; NULL for NULL.
 *
 * Borrowed: valid until the callback returns.
 */
const char *samsa_log_message(const samsa_log *log);

/**
 * When the line was logged, in milliseconds since 1970; -1 for NULL.
 */
int64_t samsa_log_time(const samsa_log *log);

/* ---- Cluster ------------------------------------------------------------------------------- */

/**
 * Has changes of the cluster told to a callback, which runs inside samsa_cluster_next_event; that
 * gives 0 and NULL then. call NULL takes the callback back. Only samsa_cluster_open takes a configuration
 * with it: where a producer or consumer is made it gives SAMSA_ERR_INVALID_PROPERTY.
 *
 * Who frees: release(user), if not NULL, is called once after the last use; when this call fails, it
 * is not. Thread: any. On error: nothing is changed.
 */
samsa_code samsa_config_set_cluster_callback(samsa_config *config,
                                             samsa_cluster_callback call,
                                             void *user,
                                             samsa_release_callback release,
                                             samsa_error **err);

/**
 * Opens a cluster by the property bootstrap.servers or zookeeper.connect and waits for the first
 * contact, at most timeout_ms; with 0 it does not wait, and goes on trying in the background.
 *
 * Who frees: the caller, by samsa_cluster_free. NULL: config and cluster are required. Thread: any.
 * Borrowed: the configuration is copied. On error: `*cluster` is NULL; SAMSA_ERR_TIMED_OUT and
 * SAMSA_ERR_CONNECTION_FAILED say what each broker answered, SAMSA_ERR_INVALID_PROPERTY which
 * property does not fit, SAMSA_ERR_ZOOKEEPER what ZooKeeper refused.
 */
samsa_code samsa_cluster_open(const samsa_config *config,
                              int32_t timeout_ms,
                              samsa_cluster **cluster,
                              samsa_error **err);

/**
 * Closes the producers and consumers of the cluster, then its connections, within timeout_ms in all.
 * Events can still be read. A wake-up does not end it.
 *
 * NULL: cluster is required. Thread: any. On error: SAMSA_ERR_TIMED_OUT when not everything could be
 * finished; what could not has its outcome, and everything is closed. A second close gives 0.
 */
samsa_code samsa_cluster_close(samsa_cluster *cluster,
                               int32_t timeout_ms,
                               samsa_error **err);

/**
 * Ends every wait now in progress on the cluster (next_event, publish, create_topic, ...) with
 * SAMSA_WOKEN, or else the next one: it is remembered once. May be called in a signal handler.
 *
 * Does nothing on NULL and on what is no live samsa_cluster. Thread: any.
 */
void samsa_cluster_wakeup(samsa_cluster *cluster);

/**
 * Gives a descriptor that is readable while samsa_cluster_next_event would not wait.
 *
 * The library alone reads and closes it; it lives until samsa_cluster_free. NULL: cluster and fd are
 * required. Thread: any. On error: `*fd` is -1.
 */
samsa_code samsa_cluster_fd(samsa_cluster *cluster,
                            intptr_t *fd,
                            samsa_error **err);

/**
 * Waits for a change of the cluster: a broker or a topic that has a handle. Changes are kept from
 * samsa_cluster_open on, one for each broker and topic (a newer one replaces an older).
 *
 * With a cluster callback the event goes there, and `*event` is NULL. Conditions: SAMSA_NOTHING,
 * SAMSA_WOKEN.
 * Who frees: the caller, by samsa_event_free. NULL: cluster and event are required. Thread: any. On
 * error: `*event` is NULL; SAMSA_ERR_CLOSED after close, when all is read.
 */
samsa_code samsa_cluster_next_event(samsa_cluster *cluster,
                                    int32_t timeout_ms,
                                    samsa_event **event,
                                    samsa_error **err);

/**
 * The id of the cluster, as its brokers tell it from 0.10.1 on; NULL while it is not known.
 *
 * Borrowed: valid until the cluster is freed. Thread: any.
 */
const char *samsa_cluster_id(const samsa_cluster *cluster);

/**
 * Whether the cluster is one of Kafka 0.7, whose partitions are a broker and a number
 * (samsa_partition_broker), and whose offsets are positions in bytes. False before the first contact,
 * and for what is no live samsa_cluster. It never changes afterwards.
 *
 * Thread: any.
 */
bool samsa_cluster_is_legacy(const samsa_cluster *cluster);

/**
 * Gives a handle for the topic of this name and notes that its metadata is to be kept. Does not wait
 * and does not ask whether the topic exists.
 *
 * Who frees: the caller, by samsa_topic_free. NULL: cluster, name and topic are required.
 * Thread: any. Borrowed: the name is copied. On error: `*topic` is NULL; SAMSA_ERR_INVALID_ARGUMENT
 * for a name that Kafka does not allow.
 */
samsa_code samsa_cluster_topic(samsa_cluster *cluster,
                               const char *name,
                               samsa_topic **topic,
                               samsa_error **err);

/**
 * Gives the brokers as they are known now. Does not wait.
 *
 * Who frees: the caller, by samsa_brokers_free. NULL: cluster and brokers are required. Thread: any.
 * On error: `*brokers` is NULL.
 */
samsa_code samsa_cluster_brokers(samsa_cluster *cluster,
                                 samsa_brokers **brokers,
                                 samsa_error **err);

/**
 * Asks a broker for all topics of the cluster, on Kafka 0.7 ZooKeeper, and gives them in order of their
 * names.
 *
 * Who frees: the caller, by samsa_topics_free. NULL: cluster and topics are required. Thread: any.
 * On error: `*topics` is NULL; SAMSA_ERR_TIMED_OUT. Condition: SAMSA_WOKEN.
 */
samsa_code samsa_cluster_topics(samsa_cluster *cluster,
                                int32_t timeout_ms,
                                samsa_topics **topics,
                                samsa_error **err);

/**
 * Frees the cluster handle. NULL is fine. Never waits: without a close before it, what is queued is
 * abandoned, and the log says how much.
 */
void samsa_cluster_free(samsa_cluster *cluster);

/* ---- What the cluster looks like ----------------------------------------------------------- */

/**
 * Gives the array of brokers and returns how many there are; 0 and NULL for NULL.
 *
 * Borrowed: the array is valid until the samsa_brokers is freed. Thread: any.
 */
size_t samsa_brokers_list(const samsa_brokers *brokers,
                          const samsa_broker_view **views);

/**
 * Frees the snapshot. NULL is fine.
 */
void samsa_brokers_free(samsa_brokers *brokers);

/**
 * Gives the array of topics, in order of their names, and returns how many there are; 0 and NULL for
 * NULL.
 *
 * Borrowed: the array is valid until the samsa_topics is freed. Thread: any.
 */
size_t samsa_topics_list(const samsa_topics *topics,
                         const samsa_topic_view **views);

/**
 * Frees the snapshot. NULL is fine.
 */
void samsa_topics_free(samsa_topics *topics);

/**
 * Gives the array of partitions, in their order, and returns how many there are; 0 and NULL for NULL.
 *
 * Borrowed: the array is valid until the samsa_partitions is freed. Thread: any.
 */
size_t samsa_partitions_list(const samsa_partitions *partitions,
                             const samsa_partition_view **views);

/**
 * Frees the snapshot. NULL is fine.
 */
void samsa_partitions_free(samsa_partitions *partitions);

/* ---- Events -------------------------------------------------------------------------------- */

/**
 * What happened: SAMSA_EVENT_BROKER, …; SAMSA_EVENT_NONE for NULL.
 */
int32_t samsa_event_kind(const samsa_event *event);

/**
 * The name of the topic concerned, or NULL.
 *
 * Borrowed: valid until the event is freed. Thread: any.
 */
const char *samsa_event_topic(const samsa_event *event);

/**
 * The partition concerned, or -1.
 */
int64_t samsa_event_partition(const samsa_event *event);

/**
 * The offset concerned (of SAMSA_EVENT_PARTITION_END: where the partition ended; of
 * SAMSA_EVENT_LOG_TRUNCATED: where reading goes on), or -1.
 */
int64_t samsa_event_offset(const samsa_event *event);

/**
 * The id of the broker concerned, or -1.
 */
int32_t samsa_event_broker(const samsa_event *event);

/**
 * The partitions concerned, of SAMSA_EVENT_ASSIGNED, _REVOKED, _LOST and _COMMITTED, as an array:
 * writes its address to `*list` and returns how many there are; 0 for other events.
 *
 * Who frees: nobody; borrowed until the event is freed. NULL: `event` NULL gives 0 and a NULL list;
 * `list` may be NULL. Thread: any. On error: 0.
 */
size_t samsa_event_positions(const samsa_event *event, const samsa_position **list);

/**
 * Frees the event, and lets go on what it held back (SAMSA_EVENT_ASSIGNED, SAMSA_EVENT_REVOKED). NULL
 * is fine.
 */
void samsa_event_free(samsa_event *event);

/* ---- Topics: create and delete ------------------------------------------------------------- */

/**
 * Makes a topic and waits until the controller says that it is made. Brokers below 0.10.1 have no call
 * for it: there a topic that is given nothing but its name is asked for, which makes it with the brokers'
 * own defaults if allow.auto.create.topics is true here and auto.create.topics.enable there.
 *
 * NULL: cluster, topic and its name are required. Thread: any. Borrowed: everything is copied. On
 * error: SAMSA_ERR_TOPIC_ALREADY_EXISTS, SAMSA_ERR_INVALID_PARTITIONS and other errors of the
 * broker; SAMSA_ERR_UNSUPPORTED_FEATURE by brokers that are too old for what is asked, and Kafka 0.7;
 * SAMSA_ERR_TIMED_OUT. Condition: SAMSA_WOKEN. After these two the topic may be made all the same.
 */
samsa_code samsa_cluster_create_topic(samsa_cluster *cluster,
                                      const samsa_new_topic *topic,
                                      int32_t timeout_ms,
                                      samsa_error **err);

/**
 * Deletes a topic with all that it holds and waits until the controller says that it is deleted.
 *
 * NULL: cluster and name are required. Thread: any. On error: SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION and
 * other errors of the broker; SAMSA_ERR_UNSUPPORTED_FEATURE by brokers below 0.10.1;
 * SAMSA_ERR_TIMED_OUT. Condition: SAMSA_WOKEN. After these two it may be deleted all the same.
 */
samsa_code samsa_cluster_delete_topic(samsa_cluster *cluster,
                                      const char *name,
                                      int32_t timeout_ms,
                                      samsa_error **err);

/* ---- Groups: list, describe, delete -------------------------------------------------------- */

/**
 * Asks every broker for the groups that it coordinates and gives them in order of their names. The
 * groups of a broker that does not answer, within `request.timeout.ms` or the call's own time, are not
 * in the list, with a line in the log; only if no broker answers the call fails, with what became of one.
 *
 * Who frees: the caller, by samsa_groups_free. NULL: cluster and groups are required. Thread: any.
 * On error: `*groups` is NULL; SAMSA_ERR_TIMED_OUT; SAMSA_ERR_UNSUPPORTED_FEATURE by brokers below 0.9.
 * Condition: SAMSA_WOKEN.
 */
samsa_code samsa_cluster_groups(samsa_cluster *cluster,
                                int32_t timeout_ms,
                                samsa_groups **groups,
                                samsa_error **err);

/**
 * Gives the array of groups, in order of their names, and returns how many there are; 0 and NULL for
 * NULL.
 *
 * Borrowed: the array is valid until the samsa_groups is freed. Thread: any.
 */
size_t samsa_groups_list(const samsa_groups *groups,
                         const samsa_group_view **views);

/**
 * Frees the snapshot. NULL is fine.
 */
void samsa_groups_free(samsa_groups *groups);

/**
 * Asks the coordinator of a group, classic or KIP-848, for its state and its members.
 *
 * Who frees: the caller, by samsa_group_free. NULL: cluster, id and group are required. Thread: any.
 * On error: `*group` is NULL; SAMSA_ERR_GROUP_ID_NOT_FOUND; SAMSA_ERR_TIMED_OUT;
 * SAMSA_ERR_UNSUPPORTED_FEATURE by brokers below 0.9. Condition: SAMSA_WOKEN.
 */
samsa_code samsa_cluster_describe_group(samsa_cluster *cluster,
                                        const char *id,
                                        int32_t timeout_ms,
                                        samsa_group **group,
                                        samsa_error **err);

/**
 * Gives what concerns the group as a whole; NULL for NULL.
 *
 * Borrowed: valid until the samsa_group is freed. Thread: any.
 */
const samsa_group_view *samsa_group_info(const samsa_group *group);

/**
 * Gives the array of members and returns how many there are; 0 and NULL for NULL.
 *
 * Borrowed: the array is valid until the samsa_group is freed. Thread: any.
 */
size_t samsa_group_members(const samsa_group *group,
                           const samsa_group_member_view **views);

/**
 * Frees the snapshot. NULL is fine.
 */
void samsa_group_free(samsa_group *group);

/**
 * Deletes a group that has no members, with its offsets.
 *
 * NULL: cluster and id are required. Thread: any. On error: SAMSA_ERR_NON_EMPTY_GROUP;
 * SAMSA_ERR_GROUP_ID_NOT_FOUND; SAMSA_ERR_UNSUPPORTED_FEATURE by brokers below 1.1;
 * SAMSA_ERR_TIMED_OUT. Condition: SAMSA_WOKEN. After these two it may be deleted all the same.
 */
samsa_code samsa_cluster_delete_group(samsa_cluster *cluster,
                                      const char *id,
                                      int32_t timeout_ms,
                                      samsa_error **err);

/**
 * Makes a group forget what it committed for these partitions; members must not read their topics.
 * Places in the positions are not read.
 *
 * `*outcome`, may be NULL: the partitions in the order asked, with the code of each.
 *
 * Who frees: the caller, `*outcome` by samsa_positions_free; `positions` are copied. NULL: cluster and
 * id are required, `positions` unless n is 0. Thread: any. On error: the error of the first partition
 * that failed, such as SAMSA_ERR_GROUP_SUBSCRIBED_TO_TOPIC, with `*outcome`; without it
 * SAMSA_ERR_GROUP_ID_NOT_FOUND, SAMSA_ERR_UNSUPPORTED_FEATURE by brokers below 2.4, SAMSA_ERR_TIMED_OUT.
 * Condition: SAMSA_WOKEN. After these two they may be forgotten all the same.
 */
samsa_code samsa_cluster_delete_offsets(samsa_cluster *cluster,
                                        const char *id,
                                        const samsa_position *positions,
                                        size_t n,
                                        size_t stride,
                                        int32_t timeout_ms,
                                        samsa_positions **outcome,
                                        samsa_error **err);

/* ---- Topic --------------------------------------------------------------------------------- */

/**
 * The topic's name; NULL on a pointer that is no live samsa_topic.
 *
 * Borrowed: valid until the topic is freed. Thread: any.
 */
const char *samsa_topic_name(const samsa_topic *topic);

/**
 * Gives the partitions of the topic as they are known; waits for the first answer about the topic, if
 * there was none yet, at most timeout_ms.
 *
 * Who frees: the caller, by samsa_partitions_free. NULL: topic and partitions are required. Thread:
 * any. On error: `*partitions` is NULL; SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION, SAMSA_ERR_TIMED_OUT.
 * Condition: SAMSA_WOKEN, by samsa_cluster_wakeup.
 */
samsa_code samsa_topic_partitions(samsa_topic *topic,
                                  int32_t timeout_ms,
                                  samsa_partitions **partitions,
                                  samsa_error **err);

/**
 * Frees a topic handle. NULL is fine. What was made or accepted with the handle stays: consumers,
 * messages, and records that a send has taken. A samsa_record or samsa_packed that still names the
 * handle must not be passed any more.
 */
void samsa_topic_free(samsa_topic *topic);

/* ---- Publish: synchronous, one partition, in order ----------------------------------------- */

/**
 * Publishes one record and waits until the broker has it (as the property acks says). Keyed records go
 * where their key belongs, others to a partition that the library chooses. `timeout_ms`: -1 = no limit of
 * the call's own: max.block.ms bounds the wait for the topic's metadata and for room in buffer.memory,
 * delivery.timeout.ms what comes then; 0 is an error: use samsa_producer_send.
 *
 * Writes where it went to `*partition` and `*offset`; offset -1: not known (acks=0, Kafka 0.7).
 *
 * Who frees: nobody. NULL: `topic` is required; key or value NULL with length 0 means none; `partition`
 * and `offset` may be NULL. Thread: any, several at once. Borrowed: nothing is kept. On error: both are
 * -1; samsa_error_status tells whether the record may be there all the same: not if it was withdrawn in
 * time, possibly if it had been sent. After samsa_cluster_wakeup likewise: SAMSA_WOKEN (a condition) if it
 * was withdrawn, and surely is not there; SAMSA_ERR_TIMED_OUT, possibly persisted, if it had been sent.
 */
samsa_code samsa_topic_publish(samsa_topic *topic,
                               const void *key,
                               size_t key_length,
                               const void *value,
                               size_t value_length,
                               int32_t timeout_ms,
                               int64_t *partition,
                               int64_t *offset,
                               samsa_error **err);

/**
 * Publishes records to one partition, in order, as one batch, and waits as samsa_topic_publish does. The
 * first record's partition, if given, else its key chooses; the others must name the same partition or
 * none. Their topic is NULL or this one; n = 1 is a publish with partition, headers, timestamp. `stride`
 * is sizeof(samsa_record).
 *
 * Writes the partition, and the first record's offset: the others follow it; -1: not known.
 *
 * Who frees: nobody. NULL: `topic` and `records` are required; `partition` and `first_offset` may be
 * NULL. Thread: any, several at once. Borrowed: nothing is kept. On error and after a wake-up: as
 * samsa_topic_publish, for all of them; SAMSA_ERR_RECORD_TOO_LARGE when they do not fit into one request.
 */
samsa_code samsa_topic_publish_list(samsa_topic *topic,
                                    const samsa_record *records,
                                    size_t n,
                                    size_t stride,
                                    int32_t timeout_ms,
                                    int64_t *partition,
                                    int64_t *first_offset,
                                    samsa_error **err);

/* ---- Partitioner of the application -------------------------------------------------------- */

/**
 * Has a callback choose partitions, for producers that are made with this configuration, and for
 * samsa_topic_publish of a cluster that is opened with it. call NULL takes the callback back.
 *
 * Who frees: release(user), if not NULL, is called once after the last use; when this call fails, it
 * is not called. NULL: config is required. Thread: any. Borrowed: nothing. On error: nothing is
 * changed.
 */
samsa_code samsa_config_set_partitioner_callback(samsa_config *config,
                                                 samsa_partitioner_callback call,
                                                 void *user,
                                                 samsa_release_callback release,
                                                 samsa_error **err);

/* ---- Producer: asynchronous, with deliveries ----------------------------------------------- */

/**
 * Has deliveries told to a callback, inside samsa_producer_poll, samsa_producer_flush and
 * samsa_producer_close of a producer that is made with this configuration. call NULL takes the callback
 * back, also that of the cluster for a producer with this configuration.
 *
 * Who frees: release(user), if not NULL, is called once after the last use; when this call fails, it
 * is not called. NULL: config is required. Thread: any. Borrowed: nothing. On error: nothing
 * is changed.
 */
samsa_code samsa_config_set_delivery_callback(samsa_config *config,
                                              samsa_delivery_callback call,
                                              void *user,
                                              samsa_release_callback release,
                                              samsa_error **err);

/**
 * Makes a producer. `overrides`, may be NULL, win over the cluster's configuration and are copied. Does
 * not wait.
 *
 * Who frees: the caller, `*producer` by samsa_producer_free. NULL: `cluster` and `producer` are
 * required. Thread: any. Borrowed: nothing is kept of the arguments. On error: `*producer` is NULL;
 * SAMSA_ERR_INVALID_PROPERTY names the property.
 */
samsa_code samsa_producer_new(samsa_cluster *cluster,
                              const samsa_config *overrides,
                              samsa_producer **producer,
                              samsa_error **err);

/**
 * Accepts a record: it is copied, sent in the background, and its outcome comes as a delivery.
 * `timeout_ms` bounds the wait for metadata and for room in buffer.memory: 0 = try (without metadata it
 * starts the look-up), -1 = max.block.ms, which also bounds any other value. `record_size` is
 * sizeof(samsa_record).
 *
 * Who frees: nobody. NULL: `producer`, `record` and its topic are required. Thread: any, several at once.
 * Borrowed: nothing is kept of the record. On error the record has no outcome: SAMSA_WOULD_BLOCK (a
 * condition) with timeout 0, and inside a delivery callback of the producer, where it never waits;
 * SAMSA_WOKEN (a condition) after samsa_producer_wakeup if it had to wait; SAMSA_ERR_BUFFER_FULL and
 * SAMSA_ERR_TIMED_OUT out of time, SAMSA_ERR_UNREAD_DELIVERIES at once when only reading deliveries
 * makes room, SAMSA_ERR_RECORD_TOO_LARGE and others for a bad record. A partition that nobody serves may
 * be refused alone, while others are accepted (see buffer.memory): SAMSA_ERR_BUFFER_FULL then names it.
 */
samsa_code samsa_producer_send(samsa_producer *producer,
                               const samsa_record *record,
                               size_t record_size,
                               int32_t timeout_ms,
                               samsa_error **err);

/**
 * Accepts records as samsa_producer_send does, in order, until one is refused. They may go to several
 * topics. One `timeout_ms` for all. `stride` is sizeof(samsa_record).
 *
 * `*accepted` is how many were accepted, exact on failure too: then it is the index of the refused one.
 *
 * Who frees: nobody. NULL: `producer` is required, `records` unless n is 0; `accepted` may be NULL.
 * Thread: any, several at once. Borrowed: nothing is kept of the records. On error: as
 * samsa_producer_send; those accepted before have their outcomes.
 */
samsa_code samsa_producer_send_batch(samsa_producer *producer,
                                     const samsa_record *records,
                                     size_t n,
                                     size_t stride,
                                     int32_t timeout_ms,
                                     size_t *accepted,
                                     samsa_error **err);

/**
 * As samsa_producer_send_batch, for records packed into one buffer.
 *
 * Who frees: nobody. NULL: `producer`, `packed` and its topic are required; `accepted` may be NULL.
 * Thread: any, several at once. Borrowed: nothing is kept of the buffer. On error: as
 * samsa_producer_send_batch; SAMSA_ERR_INVALID_ARGUMENT when lengths and buffer do not fit together.
 */
samsa_code samsa_producer_send_packed(samsa_producer *producer,
                                      const samsa_packed *packed,
                                      int32_t timeout_ms,
                                      size_t *accepted,
                                      samsa_error **err);

/**
 * Gives the outcomes that are there, those of some million records at most (the next poll gives more);
 * waits for the first. `timeout_ms`: 0 = do not wait, -1 = no limit.
 * With a delivery callback they go there, and the call gives 0 and NULL.
 *
 * Who frees: the caller, `*deliveries` by samsa_deliveries_free. NULL: `producer` is required;
 * `deliveries` may be NULL with a delivery callback only. Thread: any, several at once: each delivery
 * goes to one caller; one of the calls that run callbacks. On error: `*deliveries` is NULL. Conditions:
 * SAMSA_NOTHING, SAMSA_WOKEN. SAMSA_ERR_CLOSED once a closed producer has told everything.
 */
samsa_code samsa_producer_poll(samsa_producer *producer,
                               int32_t timeout_ms,
                               samsa_deliveries **deliveries,
                               samsa_error **err);

/**
 * Sends at once what was accepted before, and waits until each such record has its outcome.
 * `timeout_ms`: 0 = do not wait, -1 = no limit (delivery.timeout.ms bounds it then).
 *
 * `*failed` is how many outcomes since the last flush were failures, exact on failure too.
 *
 * Who frees: nobody. NULL: `producer` is required; `failed` may be NULL. Thread: any; one of the calls
 * that run callbacks. On error: SAMSA_ERR_TIMED_OUT when something is left, SAMSA_WOKEN (a condition).
 */
samsa_code samsa_producer_flush(samsa_producer *producer,
                                int32_t timeout_ms,
                                uint64_t *failed,
                                samsa_error **err);

/**
 * Ends records that have no outcome yet: their deliveries say SAMSA_ERR_PURGED. `flags`:
 * SAMSA_PURGE_QUEUED, SAMSA_PURGE_IN_FLIGHT or both. Later records are not concerned. With
 * SAMSA_PURGE_QUEUED alone, records that were never sent are told before those of their partition in flight.
 *
 * `*purged` is how many that were. Who frees: nobody. NULL: `producer` is required; `purged` may be NULL.
 * Thread: any. On error: nothing is purged; SAMSA_ERR_INVALID_ARGUMENT for other flags.
 */
samsa_code samsa_producer_purge(samsa_producer *producer,
                                uint32_t flags,
                                uint64_t *purged,
                                samsa_error **err);

/**
 * How much a producer holds now: batches without an outcome, and the bytes of buffer.memory that
 * records and unread outcomes take. For gauges, and for who paces itself; nothing needs to be asked for
 * a flush or a close to be complete.
 *
 * Who frees: nobody. NULL: `producer` is required; `batches` and `bytes` may be NULL. Thread: any. On
 * error: both are 0.
 */
samsa_code samsa_producer_load(samsa_producer *producer,
                               uint64_t *batches,
                               uint64_t *bytes,
                               samsa_error **err);

/**
 * Accepts nothing more and decides every outcome within the time; what is left then gets one that says
 * SAMSA_ERR_CLOSED. `timeout_ms`: 0 = do not wait, -1 = no limit. The handle stays: deliveries can be
 * polled during and after.
 *
 * Who frees: nobody, the handle is freed by samsa_producer_free. NULL: `producer` is required. Thread:
 * any; one of the calls that run callbacks. A wake-up does not end it. On error: SAMSA_ERR_TIMED_OUT when
 * records were given up; a second close gives 0. A samsa_cluster_close inside a callback of it gives
 * SAMSA_ERR_IN_CALLBACK, and closes the cluster all the same.
 */
samsa_code samsa_producer_close(samsa_producer *producer,
                                int32_t timeout_ms,
                                samsa_error **err);

/**
 * Frees the producer. NULL is fine. Never waits: without a close before it, what is queued is abandoned,
 * and the log says how much.
 */
void samsa_producer_free(samsa_producer *producer);

/**
 * Ends every wait now in progress on the producer (poll, send, flush) with SAMSA_WOKEN, or else the next
 * one; remembered once. NULL is fine. Allowed in a signal handler.
 */
void samsa_producer_wakeup(samsa_producer *producer);

/**
 * A descriptor for an event loop: readable while a poll would not wait, and once after a
 * SAMSA_WOULD_BLOCK when there is room again. It may also be so without reason. A poll that gives
 * SAMSA_NOTHING clears it.
 *
 * Who frees: nobody; the library alone reads and closes it, it lives until samsa_producer_free. NULL:
 * both are required. Thread: any. On error: `*fd` is -1.
 */
samsa_code samsa_producer_fd(samsa_producer *producer,
                             intptr_t *fd,
                             samsa_error **err);

/* ---- Deliveries: one outcome for each record ----------------------------------------------- */

/**
 * The outcomes as an array: writes its address to `*list` and returns how many there are.
 *
 * Who frees: nobody; the array is borrowed until samsa_deliveries_free. NULL: `deliveries` NULL gives 0
 * and a NULL array; `list` may be NULL. Thread: any. On error: 0.
 */
size_t samsa_deliveries_list(const samsa_deliveries *deliveries,
                             const samsa_delivery **list);

/**
 * The partitions of the outcomes: writes the address of an array of consecutive outcomes of one partition
 * to `*runs` and returns how many there are. Watermarks, log start, next offset and epoch are -1.
 *
 * Who frees: nobody; the array and its names are borrowed until samsa_deliveries_free. NULL: `deliveries`
 * NULL gives 0 and a NULL array; `runs` may be NULL. Thread: any. On error: 0.
 */
size_t samsa_deliveries_runs(const samsa_deliveries *deliveries,
                             const samsa_run **runs);

/**
 * Why the record at `index` failed, with broker and cause; NULL if it did not, and for an index that is
 * out of range.
 *
 * Who frees: the caller, by samsa_error_free. NULL: gives NULL. Thread: any. On error: NULL.
 */
samsa_error *samsa_deliveries_error(const samsa_deliveries *deliveries,
                                           size_t index);

/**
 * The record at `index` itself, as it was sent: key, value, headers (for samsa_headers_read), timestamp.
 * Needs samsa.delivery.keep=true.
 *
 * Who frees: nobody; what the view points to is borrowed until samsa_deliveries_free. NULL: both are
 * required. Thread: any. On error: `*view` is all zero but offsets and timestamp, which are -1;
 * SAMSA_ERR_INVALID_STATE without samsa.delivery.keep, SAMSA_ERR_INVALID_ARGUMENT for an index out of
 * range.
 */
samsa_code samsa_deliveries_record(const samsa_deliveries *deliveries,
                                   size_t index,
                                   samsa_message_view *view,
                                   samsa_error **err);

/**
 * Frees the deliveries. NULL is fine; those lent to a callback are left alone.
 */
void samsa_deliveries_free(samsa_deliveries *deliveries);

/* ---- Subscribe: messages of one topic ------------------------------------------------------ */

/**
 * Makes a consumer of a whole topic and waits until its start positions are fixed, at most timeout_ms:
 * what is published afterwards is read. They follow the property auto.offset.reset (latest unless set).
 * With timeout_ms 0 it is only noted.
 *
 * group NULL: every partition, without a group and without commits; partitions that are added to the
 * topic later are read too, from their beginning. Otherwise the consumer becomes a member of the group:
 * it waits until the group has given it partitions (perhaps none, when there are more members than
 * partitions) and their start positions are known, by the group's committed offsets or else by
 * auto.offset.reset; with a rebalance callback or samsa.events=assigned, until these can tell.
 *
 * Who frees: the caller, by samsa_consumer_free. NULL: topic and consumer are required. Thread: any.
 * Borrowed: the group is copied. On error: `*consumer` is NULL; SAMSA_ERR_TIMED_OUT,
 * SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION; what the group refuses. Condition: SAMSA_WOKEN, by
 * samsa_cluster_wakeup, with and without a group; `*consumer` is NULL.
 */
samsa_code samsa_topic_subscribe(samsa_topic *topic,
                                 const char *group,
                                 int32_t timeout_ms,
                                 samsa_consumer **consumer,
                                 samsa_error **err);

/* ---- Consumer ------------------------------------------------------------------------------ */

/**
 * Makes a consumer with nothing assigned. `overrides`, may be NULL, win over the cluster's
 * configuration and are copied. Does not wait.
 *
 * Who frees: the caller, `*consumer` by samsa_consumer_free. NULL: `cluster` and `consumer` are
 * required. Thread: any. Borrowed: nothing is kept of the arguments. On error: `*consumer` is NULL;
 * SAMSA_ERR_INVALID_PROPERTY names the property.
 */
samsa_code samsa_consumer_new(samsa_cluster *cluster,
                              const samsa_config *overrides,
                              samsa_consumer **consumer,
                              samsa_error **err);

/**
 * Replaces the assignment: from now on exactly these partitions are read, each from the place that its
 * position gives, or by auto.offset.reset. What was fetched before is dropped. NULL with n = 0 stops
 * reading. Only notes it and does not wait: troubles come by samsa_consumer_poll, a topic that does not
 * exist once for each partition, when brokers have said so for 5 s.
 *
 * With group.id a partition without a place begins where the group's committed offset says, and positions
 * can be committed; but the consumer is no member, and the group takes its commits only while it has no
 * members (SAMSA_ERR_UNKNOWN_MEMBER_ID).
 *
 * Who frees: nobody; the positions and their names are copied. NULL: `consumer` is required,
 * `positions` unless n is 0. Thread: any. On error nothing changes: SAMSA_ERR_INVALID_ARGUMENT for a
 * place or a name that cannot be, or a partition named twice; SAMSA_ERR_INVALID_STATE while subscribed.
 */
samsa_code samsa_consumer_assign(samsa_consumer *consumer,
                                 const samsa_position *positions,
                                 size_t n,
                                 size_t stride,
                                 samsa_error **err);

/**
 * The assigned partitions with their positions, in the order of the assignment.
 *
 * Who frees: the caller, `*positions` by samsa_positions_free. NULL: both are required. Thread: any.
 * On error: `*positions` is NULL.
 */
samsa_code samsa_consumer_assignment(samsa_consumer *consumer,
                                     samsa_positions **positions,
                                     samsa_error **err);

/**
 * Waits for messages and gives up to max.poll.records of them, in order within each partition.
 * `timeout_ms`: 0 = do not wait, -1 = no limit.
 *
 * Who frees: the caller, `*batch` by samsa_batch_free. NULL: both are required. Thread: any, several
 * at once; one of the calls that run callbacks. On error: `*batch` is NULL. Conditions:
 * SAMSA_NOTHING, SAMSA_WOKEN, SAMSA_EVENT (read it with samsa_consumer_next_event first). Errors of
 * partitions (SAMSA_ERR_NO_OFFSET, SAMSA_ERR_UNDECODABLE, an authorization, ...) and of the group
 * (SAMSA_ERR_MAX_POLL_EXCEEDED: the member had left, and joins again; a failed automatic commit, ...)
 * come once each, and the others go on; SAMSA_ERR_MEMORY_LIMIT says once that what the program holds stops
 * fetching.
 */
samsa_code samsa_consumer_poll(samsa_consumer *consumer,
                               int32_t timeout_ms,
                               samsa_batch **batch,
                               samsa_error **err);

/**
 * Waits for one message. `timeout_ms`: 0 = do not wait, -1 = no limit. May be mixed with
 * samsa_consumer_poll.
 *
 * Who frees: the caller, `*message` by samsa_message_free. NULL: both are required. Thread: any,
 * several at once; one of the calls that run callbacks. On error: `*message` is NULL; conditions and
 * errors as in samsa_consumer_poll.
 */
samsa_code samsa_consumer_next(samsa_consumer *consumer,
                               int32_t timeout_ms,
                               samsa_message **message,
                               samsa_error **err);

/**
 * The oldest unread event. Does not wait; after close SAMSA_ERR_CLOSED once all is read.
 *
 * Who frees: the caller, `*event` by samsa_event_free. NULL: both are required. Thread: any. On
 * error: `*event` is NULL. Condition: SAMSA_NOTHING when there is none.
 */
samsa_code samsa_consumer_next_event(samsa_consumer *consumer,
                                     samsa_event **event,
                                     samsa_error **err);

/**
 * Moves assigned partitions: what was fetched of them is dropped, also what is on its way, and reading
 * goes on at the given places. Does not wait.
 *
 * Who frees: nobody; the positions are copied. NULL: `consumer` is required, `positions` unless n is
 * 0. Thread: any. On error nothing changes: SAMSA_ERR_NOT_ASSIGNED, SAMSA_ERR_INVALID_ARGUMENT.
 */
samsa_code samsa_consumer_seek(samsa_consumer *consumer,
                               const samsa_position *positions,
                               size_t n,
                               size_t stride,
                               samsa_error **err);

/**
 * Stops delivery and fetching of partitions; what is buffered is kept. NULL with n = 0: all assigned.
 * Places in the positions are not read.
 *
 * Who frees: nobody; the positions are copied. NULL: `consumer` is required. Thread: any. On error:
 * SAMSA_ERR_NOT_ASSIGNED, and nothing changes.
 */
samsa_code samsa_consumer_pause(samsa_consumer *consumer,
                                const samsa_position *positions,
                                size_t n,
                                size_t stride,
                                samsa_error **err);

/**
 * Ends a pause; does nothing for what is not paused. NULL with n = 0: all assigned. Places in the
 * positions are not read.
 *
 * Who frees: nobody; the positions are copied. NULL: `consumer` is required. Thread: any. On error:
 * SAMSA_ERR_NOT_ASSIGNED, and nothing changes.
 */
samsa_code samsa_consumer_resume(samsa_consumer *consumer,
                                 const samsa_position *positions,
                                 size_t n,
                                 size_t stride,
                                 samsa_error **err);

/**
 * Where partitions go on: the place after the last message that was handed out, without an offset
 * while none is known yet. In the order asked; NULL with n = 0: all assigned. Does not wait.
 *
 * Who frees: the caller, `*out` by samsa_positions_free; `positions` is only read. NULL: `consumer`
 * and `out` are required. Thread: any. On error: `*out` is NULL; SAMSA_ERR_NOT_ASSIGNED.
 */
samsa_code samsa_consumer_position(samsa_consumer *consumer,
                                   const samsa_position *positions,
                                   size_t n,
                                   size_t stride,
                                   samsa_positions **out,
                                   samsa_error **err);

/**
 * First offset and end (high watermark) of one partition. `timeout_ms` 0: what the last fetch said, -1
 * for what is not known; otherwise the leader is asked, and the partition need not be assigned.
 *
 * Who frees: nobody. NULL: `consumer` and `partition` are required; `low` and `high` may be NULL.
 * Thread: any. On error: `*low` and `*high` are -1; SAMSA_ERR_TIMED_OUT, SAMSA_ERR_NOT_ASSIGNED.
 * Condition: SAMSA_WOKEN.
 */
samsa_code samsa_consumer_watermarks(samsa_consumer *consumer,
                                     const samsa_position *partition,
                                     int32_t timeout_ms,
                                     int64_t *low,
                                     int64_t *high,
                                     samsa_error **err);

/**
 * How far the position of an assigned partition is behind its end, in offsets, as the last fetch said;
 * -1 while one of them is not known. Does not wait.
 *
 * Who frees: nobody. NULL: all are required. Thread: any. On error: `*lag` is -1;
 * SAMSA_ERR_NOT_ASSIGNED.
 */
samsa_code samsa_consumer_lag(samsa_consumer *consumer,
                              const samsa_position *partition,
                              int64_t *lag,
                              samsa_error **err);

/**
 * For each position with a time: the first offset whose message is not older. The list comes in the
 * order asked; without SAMSA_POSITION_OFFSET where no message is that late; with a code where one
 * partition failed. The partitions need not be assigned. `timeout_ms`: -1 = no limit.
 *
 * Who frees: the caller, `*out` by samsa_positions_free; `times` is only read. NULL: `consumer` and
 * `out` are required, `times` unless n is 0. Thread: any. On error: `*out` is NULL;
 * SAMSA_ERR_INVALID_ARGUMENT without a time, SAMSA_ERR_TIMED_OUT. Condition: SAMSA_WOKEN.
 */
samsa_code samsa_consumer_offsets_for_times(samsa_consumer *consumer,
                                            const samsa_position *times,
                                            size_t n,
                                            size_t stride,
                                            int32_t timeout_ms,
                                            samsa_positions **out,
                                            samsa_error **err);

/**
 * Ends every wait in progress on the consumer with SAMSA_WOKEN, or else the next one: it is remembered
 * once. Async-signal-safe. NULL does nothing. Thread: any, also a signal handler.
 */
void samsa_consumer_wakeup(samsa_consumer *consumer);

/**
 * A descriptor for an event loop: readable while a poll would not wait; it may also be so without
 * reason. A poll that gives SAMSA_NOTHING clears it.
 *
 * Who frees: nobody; the library alone reads and closes it, it lives until samsa_consumer_free. NULL:
 * both are required. Thread: any. On error: `*fd` is -1.
 */
samsa_code samsa_consumer_fd(samsa_consumer *consumer,
                             intptr_t *fd,
                             samsa_error **err);

/**
 * Stops reading and drops what was not handed out. Polls in progress and later calls give
 * SAMSA_ERR_CLOSED; batches, messages and events stay readable.
 *
 * In a group first: the rebalance callback, if there is one, hears of all partitions as revoked and may
 * commit; with enable.auto.commit=true what was handed out and freed is committed, but not what another
 * thread got that lives and did not poll again; the group is left, so that the other members need not wait for the end of a session (a static member stays). No event is
 * made. `timeout_ms` bounds all of it; 0 = do not wait for commit and group, -1 = as long as requests
 * may take. Commits that are not waited for any longer are told as failed by SAMSA_ERR_TIMED_OUT where
 * the outcomes of commits are told; they may arrive all the same.
 *
 * Who frees: the handle stays and is freed by samsa_consumer_free. NULL: `consumer` is required.
 * Thread: any; one of the calls that run callbacks. A wake-up does not end it. On error it is closed all
 * the same: SAMSA_ERR_TIMED_OUT, or why the commit failed; a second close gives 0. One that comes while
 * another thread closes waits for that one, and gives SAMSA_ERR_TIMED_OUT if it is not done in time.
 */
samsa_code samsa_consumer_close(samsa_consumer *consumer,
                                int32_t timeout_ms,
                                samsa_error **err);

/**
 * Frees the consumer; without a close before it, reading ends, what was not handed out is dropped,
 * nothing is committed, and the group is told without waiting. NULL is fine. Never waits. Thread: any, as the last use.
 */
void samsa_consumer_free(samsa_consumer *consumer);

/* ---- Consumer in a group ------------------------------------------------------------------- */

/**
 * Has a callback hear of the partitions of a group, for consumers that are made with this configuration;
 * it comes before the events of samsa.events. Without either the library answers itself: what is
 * assigned is read, and with enable.auto.commit=true what was processed is committed before partitions
 * are given up. call NULL takes the callback back, also that of the cluster for a consumer with this
 * configuration. A samsa_cluster_close closes consumers without it.
 *
 * Who frees: release(user), if not NULL, is called once after the last use; when this call fails, it
 * is not. NULL: config is required. Thread: any. Borrowed: nothing. On error: nothing is changed.
 */
samsa_code samsa_config_set_rebalance_callback(samsa_config *config,
                                               samsa_rebalance_callback call,
                                               void *user,
                                               samsa_release_callback release,
                                               samsa_error **err);

/**
 * Has a callback hear of the outcomes of commits that nobody waited for; it comes before the events of
 * samsa.events. Without either a failure is an error of the next poll. call NULL takes it back.
 *
 * Who frees: release(user), if not NULL, is called once after the last use; when this call fails, it
 * is not. NULL: config is required. Thread: any. Borrowed: nothing. On error: nothing is changed.
 */
samsa_code samsa_config_set_commit_callback(samsa_config *config,
                                            samsa_commit_callback call,
                                            void *user,
                                            samsa_release_callback release,
                                            samsa_error **err);

/**
 * Subscribes to topics as a member of the group that the property group.id names: its members share
 * their partitions. A further call changes what is wished for. Each of the n texts is the name of a
 * topic; or ^ and a regular expression: every topic whose whole name it matches, also one that comes
 * later (within metadata.max.age.ms; where the coordinator looks, which it does for a single expression
 * with group.protocol=consumer, when it looks); or ! and a regular expression: topics that no expression
 * brings in (a blacklist; with nothing but these, every other topic is read). Only notes it and does not
 * wait: partitions come while the program polls.
 *
 * A topic that was named and does not exist, or was deleted, is told once by a call that polls, as
 * SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION, when brokers have said so for 5 s (of one that was there: for
 * longer); it is read as soon as it is made.
 *
 * A member must go on polling as long as something waits to be read: max.poll.interval.ms.
 *
 * Who frees: nobody; the texts are copied. NULL: consumer, topics and each text are required. Thread:
 * any. On error: nothing is changed; SAMSA_ERR_INVALID_GROUP_ID without group.id,
 * SAMSA_ERR_INVALID_STATE while partitions are assigned by samsa_consumer_assign,
 * SAMSA_ERR_INVALID_REGULAR_EXPRESSION, SAMSA_ERR_INVALID_ARGUMENT.
 */
samsa_code samsa_consumer_subscribe(samsa_consumer *consumer,
                                    const char *const *topics,
                                    size_t n,
                                    samsa_error **err);

/**
 * Ends the subscription: the rebalance callback, if there is one, hears of all partitions as revoked and
 * may commit; with enable.auto.commit=true what was handed out and freed is committed, but not what
 * another thread got that lives and did not poll again; the group is left. No event is made. Does nothing
 * without a subscription. A subscription made meanwhile, in the callback or by another thread, begins when
 * this one has ended. `timeout_ms` bounds the commit; 0 = do not wait for it, -1 = as long as a request may
 * take (request.timeout.ms). A wake-up does not end it.
 *
 * Who frees: nobody. NULL: consumer is required. Thread: any; one of the calls that run callbacks. On
 * error the subscription has ended all the same: SAMSA_ERR_TIMED_OUT, or why the commit failed.
 */
samsa_code samsa_consumer_unsubscribe(samsa_consumer *consumer,
                                      int32_t timeout_ms,
                                      samsa_error **err);

/**
 * What was subscribed to, in the words of samsa_consumer_subscribe: a list whose topics are the texts,
 * with partition -1. Empty without a subscription.
 *
 * Who frees: the caller, `*topics` by samsa_positions_free. NULL: both are required. Thread: any. On
 * error: `*topics` is NULL.
 */
samsa_code samsa_consumer_subscription(samsa_consumer *consumer,
                                       samsa_positions **topics,
                                       samsa_error **err);

/**
 * Gives the program time: for `ms` milliseconds from now it need not poll, whatever
 * max.poll.interval.ms says, and an event of partitions that are assigned or revoked can be held so long.
 * For work that takes long. What the group itself grants is not changed: a coordinator waits for members
 * that give up partitions as long as max.poll.interval.ms.
 *
 * Who frees: nobody. NULL: consumer is required. Thread: any. On error: SAMSA_ERR_INVALID_ARGUMENT for
 * a negative time.
 */
samsa_code samsa_consumer_extend(samsa_consumer *consumer,
                                 int32_t ms,
                                 samsa_error **err);

/**
 * Asks for a rebalance of the group, where a member may ask (classic groups from Kafka 2.5 on). Only
 * notes it.
 *
 * Who frees: nobody. NULL: consumer is required. Thread: any. On error: SAMSA_ERR_INVALID_STATE without
 * a subscription.
 */
samsa_code samsa_consumer_enforce_rebalance(samsa_consumer *consumer,
                                            samsa_error **err);

/**
 * Says something of this member to the group's assignor callback (samsa_config_set_assignor_callback),
 * which finds it as user_data of its samsa_assignment_member: what it can take, where it runs, what it has
 * cached. It goes with each join from now on, until it is said anew; to have it heard at once, call
 * samsa_consumer_enforce_rebalance. Say it before samsa_consumer_subscribe for the first join to carry it,
 * or while partitions are revoked for the next one. NULL with length 0 says nothing; a pointer with
 * length 0 says something of no bytes. The coordinator keeps it with the group: stay far below 1 MB for
 * all members together.
 *
 * Who frees: nobody; the bytes are copied. NULL: consumer is required, `user_data` unless length is 0.
 * Thread: any. On error nothing is changed: SAMSA_ERR_INVALID_STATE for a consumer without an assignor
 * callback, SAMSA_ERR_INVALID_ARGUMENT for more than INT32_MAX bytes.
 */
samsa_code samsa_consumer_set_user_data(samsa_consumer *consumer,
                                        const void *user_data,
                                        size_t length,
                                        samsa_error **err);

/**
 * Whether nothing waits to be read: no message, no event, no error. True for NULL and after close.
 *
 * Thread: any.
 */
bool samsa_consumer_empty(const samsa_consumer *consumer);

/**
 * Who the consumer is in its group now. Condition: SAMSA_NOTHING while it is no member.
 *
 * Who frees: the caller, `*membership` by samsa_membership_free. NULL: both are required. Thread: any.
 * On error: `*membership` is NULL.
 */
samsa_code samsa_consumer_membership(samsa_consumer *consumer,
                                     samsa_membership **membership,
                                     samsa_error **err);

/**
 * The name of the group.
 *
 * Borrowed: valid until the membership is freed. NULL gives NULL. Thread: any.
 */
const char *samsa_membership_group(const samsa_membership *membership);

/**
 * The id that the group knows the member by.
 *
 * Borrowed: valid until the membership is freed. NULL gives NULL. Thread: any.
 */
const char *samsa_membership_member(const samsa_membership *membership);

/**
 * The group.instance.id of a static member; NULL for others.
 *
 * Borrowed: valid until the membership is freed. NULL gives NULL. Thread: any.
 */
const char *samsa_membership_instance(const samsa_membership *membership);

/**
 * The generation (classic) or member epoch (KIP-848); -1 where there is none.
 *
 * NULL gives -1. Thread: any.
 */
int32_t samsa_membership_generation(const samsa_membership *membership);

/**
 * What the assignor callback of the group's leader told this member (samsa_assignment_tell) with its newest
 * assignment: writes the address to `*user_data` and returns how many bytes it has. The address is NULL if
 * it was told nothing; something of no bytes has an address. When it changes, an assignment is announced
 * (SAMSA_EVENT_ASSIGNED, or the rebalance callback), if need be one of no partitions: look then.
 *
 * Borrowed: valid until the membership is freed. NULL: `membership` NULL gives 0 and a NULL address;
 * `user_data` may be NULL. Thread: any. On error: 0.
 */
size_t samsa_membership_user_data(const samsa_membership *membership,
                                  const void **user_data);

/**
 * Frees a membership. NULL is fine. Never waits. Thread: any, as the last use.
 */
void samsa_membership_free(samsa_membership *membership);

/* ---- Offsets of a group -------------------------------------------------------------------- */

/**
 * Commits positions for the group, so that whoever reads the partitions later goes on there. Given
 * positions need an offset: the one to be read next (samsa_batch_positions gives those of a batch);
 * leader epoch and metadata are kept with it. NULL with n = 0: for each assigned partition the first
 * message that was handed out and not yet freed, or where reading stands when all are (with
 * enable.auto.offset.store=false: what was stored).
 *
 * `timeout_ms` 0: asynchronous, the outcome comes as SAMSA_EVENT_COMMITTED or to the commit callback, or
 * else a failure is an error of the next poll. Otherwise it waits (-1 = no limit), tries again what may
 * pass, and gives the error of the first partition that failed; out of time the outcome comes as that of
 * an asynchronous one. Commits never overtake each other, nor do their
 * outcomes. Asynchronous ones that queue up may become one: each is told how the newest word on its
 * partition ended.
 *
 * `*outcome`, may be NULL: what was committed (asynchronous: is to be), with the code of each partition;
 * freed by samsa_positions_free. It is there also when a partition failed.
 *
 * Who frees: the caller, as said; `positions` are copied. NULL: `consumer` is required, `positions`
 * unless n is 0. Thread: any; one of the calls that run callbacks, and allowed inside them, where it
 * runs none but the assignor's. On error: SAMSA_ERR_INVALID_GROUP_ID without group.id, SAMSA_ERR_INVALID_ARGUMENT,
 * SAMSA_ERR_TIMED_OUT; SAMSA_ERR_ILLEGAL_GENERATION or SAMSA_ERR_UNKNOWN_MEMBER_ID (KIP-848: also
 * SAMSA_ERR_FENCED_MEMBER_EPOCH; in ZooKeeper: SAMSA_ERR_NOT_ASSIGNED) when the partitions
 * are another's by now, and UNKNOWN_MEMBER_ID at once for those that the member lost and has not got
 * back; SAMSA_ERR_CLOSED when another thread closes the consumer meanwhile (it may be committed).
 * Condition: SAMSA_WOKEN.
 */
samsa_code samsa_consumer_commit(samsa_consumer *consumer,
                                 const samsa_position *positions,
                                 size_t n,
                                 size_t stride,
                                 int32_t timeout_ms,
                                 samsa_positions **outcome,
                                 samsa_error **err);

/**
 * Stops reading partitions, as samsa_consumer_pause does, and then commits where they stand, as
 * samsa_consumer_commit does. NULL with n = 0: all assigned. Places in the positions are not read.
 * samsa_consumer_resume ends it.
 *
 * Who frees: the caller, `*outcome` (may be NULL) by samsa_positions_free. NULL: `consumer` is required.
 * Thread: any; one of the calls that run callbacks. On error: as samsa_consumer_commit;
 * SAMSA_ERR_NOT_ASSIGNED, and nothing is stopped. Condition: SAMSA_WOKEN; the partitions are stopped.
 */
samsa_code samsa_consumer_stop_partitions(samsa_consumer *consumer,
                                          const samsa_position *positions,
                                          size_t n,
                                          size_t stride,
                                          int32_t timeout_ms,
                                          samsa_positions **outcome,
                                          samsa_error **err);

/**
 * Notes positions as done: the next automatic commit, and a commit without positions, take them. For
 * programs with enable.auto.offset.store=false. What was stored is forgotten when the partition is given
 * up.
 *
 * Who frees: nobody; the positions are copied. NULL: `consumer` is required, `positions` unless n is 0.
 * Thread: any. On error nothing is stored: SAMSA_ERR_INVALID_STATE with enable.auto.offset.store=true,
 * SAMSA_ERR_NOT_ASSIGNED, SAMSA_ERR_INVALID_ARGUMENT without an offset.
 */
samsa_code samsa_consumer_store(samsa_consumer *consumer,
                                const samsa_position *positions,
                                size_t n,
                                size_t stride,
                                samsa_error **err);

/**
 * What the group has committed, in the order asked; NULL with n = 0: all assigned. Without
 * SAMSA_POSITION_OFFSET where nothing is committed; with a code where one partition failed. The
 * partitions need not be assigned. The list goes into samsa_consumer_assign as it is. `timeout_ms`: -1 =
 * no limit.
 *
 * Who frees: the caller, `*out` by samsa_positions_free; `positions` is only read. NULL: `consumer` and
 * `out` are required. Thread: any. On error: `*out` is NULL; SAMSA_ERR_INVALID_GROUP_ID without
 * group.id, SAMSA_ERR_TIMED_OUT. Condition: SAMSA_WOKEN.
 */
samsa_code samsa_consumer_committed(samsa_consumer *consumer,
                                    const samsa_position *positions,
                                    size_t n,
                                    size_t stride,
                                    int32_t timeout_ms,
                                    samsa_positions **out,
                                    samsa_error **err);

/* ---- Assignor of the application ----------------------------------------------------------- */

/**
 * Has a callback share out partitions in classic groups (group.protocol=classic), for consumers that are
 * made with this configuration: they offer it by this name before those of
 * partition.assignment.strategy, and a group whose members all offer it uses it. call NULL takes it back.
 *
 * Who frees: release(user), if not NULL, is called once after the last use; when this call fails, it is
 * not. NULL: config and name are required. Thread: any. Borrowed: the name is copied. On error nothing is
 * changed: SAMSA_ERR_INVALID_ARGUMENT for a name that a built-in assignor has, or unknown flags.
 */
samsa_code samsa_config_set_assignor_callback(samsa_config *config,
                                              const char *name,
                                              uint32_t flags,
                                              samsa_assignor_callback call,
                                              void *user,
                                              samsa_release_callback release,
                                              samsa_error **err);

/**
 * The members of the group, as an array: writes its address to `*members` and returns how many there are.
 *
 * Borrowed: valid until the callback returns. NULL: `round` NULL gives 0 and a NULL array; `members` may
 * be NULL. Thread: that of the callback. On error: 0.
 */
size_t samsa_assignment_members(const samsa_assignment *round,
                                const samsa_assignment_member **members);

/**
 * The topics that the members subscribe to and that exist, as an array: writes its address to `*topics`
 * and returns how many there are.
 *
 * Borrowed: valid until the callback returns. NULL: `round` NULL gives 0 and a NULL array; `topics` may
 * be NULL. Thread: that of the callback. On error: 0.
 */
size_t samsa_assignment_topics(const samsa_assignment *round,
                               const samsa_assignment_topic **topics);

/**
 * Gives a partition to the member at this index of samsa_assignment_members.
 *
 * NULL: `round` and `topic` are required. Thread: that of the callback. Borrowed: the name is copied. On
 * error nothing is given: SAMSA_ERR_INVALID_ARGUMENT for a member or partition that there is not, or a
 * partition that was given before.
 */
samsa_code samsa_assignment_give(samsa_assignment *round,
                                 size_t member,
                                 const char *topic,
                                 int64_t partition,
                                 samsa_error **err);

/**
 * Has the member at this index told something besides its partitions: it finds it by
 * samsa_membership_user_data. NULL with length 0 tells it nothing.
 *
 * NULL: `round` is required, `user_data` unless length is 0. Thread: that of the callback. Borrowed: the
 * bytes are copied. On error: SAMSA_ERR_INVALID_ARGUMENT for a member that there is not.
 */
samsa_code samsa_assignment_tell(samsa_assignment *round,
                                 size_t member,
                                 const void *user_data,
                                 size_t length,
                                 samsa_error **err);

/* ---- Positions ----------------------------------------------------------------------------- */

/**
 * The positions as an array, in the order asked: writes its address to `*list` and returns how many
 * there are.
 *
 * Who frees: nobody; borrowed until samsa_positions_free. NULL: `positions` NULL gives 0 and a NULL
 * list; `list` may be NULL to ask for the number alone. Thread: any. On error: 0.
 */
size_t samsa_positions_list(const samsa_positions *positions,
                            const samsa_position **list);

/**
 * Frees a list; what it lent is gone. NULL is fine. Never waits. Thread: any, as the last use.
 */
void samsa_positions_free(samsa_positions *positions);

/**
 * The offsets of every partition of a topic: `when` is SAMSA_EARLIEST, SAMSA_LATEST, or milliseconds
 * since 1970 for the first message not older. In the order of the partitions; without
 * SAMSA_POSITION_OFFSET where no message is that late; with a code where one partition failed. Waits
 * for the topic's metadata if need be. `timeout_ms`: -1 = no limit. Kafka 0.7 knows no times of messages: by
 * time it gives where the newest file begins that was last written to before.
 *
 * Who frees: the caller, `*positions` by samsa_positions_free. NULL: `topic` and `positions` are
 * required. Thread: any. On error: `*positions` is NULL; SAMSA_ERR_TIMED_OUT,
 * SAMSA_ERR_INVALID_ARGUMENT. Condition: SAMSA_WOKEN, by samsa_cluster_wakeup.
 */
samsa_code samsa_topic_offsets(samsa_topic *topic,
                               int64_t when,
                               int32_t timeout_ms,
                               samsa_positions **positions,
                               samsa_error **err);

/* ---- Messages, one by one ------------------------------------------------------------------ */

/**
 * What the message says: the same struct as in a batch.
 *
 * Who frees: nobody; borrowed until samsa_message_free. NULL gives NULL. Thread: any. On error: NULL.
 */
const samsa_message_view *samsa_message_get(const samsa_message *message);

/**
 * The topic's name, NUL-terminated.
 *
 * Who frees: nobody; borrowed until samsa_message_free. NULL gives NULL. Thread: any. On error: NULL.
 */
const char *samsa_message_topic(const samsa_message *message);

/**
 * The partition.
 *
 * NULL gives -1. Thread: any. On error: -1.
 */
int64_t samsa_message_partition(const samsa_message *message);

/**
 * Makes a copy with bytes of its own: the fetched buffer can go when the original is freed.
 *
 * Who frees: the caller, `*copy` by samsa_message_free. NULL: both are required. Thread: any. On
 * error: `*copy` is NULL.
 */
samsa_code samsa_message_copy(const samsa_message *message,
                              samsa_message **copy,
                              samsa_error **err);

/**
 * Frees a message; what it lent is gone. NULL is fine. Never waits. Thread: any, as the last use.
 */
void samsa_message_free(samsa_message *message);

/* ---- Headers of a message ------------------------------------------------------------------ */

/**
 * Takes the headers of a message apart: writes up to `capacity` of them to `headers` and returns how
 * many the message has. With capacity 0 it only counts.
 *
 * Who frees: nobody; what they point to is borrowed as long as the view. NULL: `view` NULL gives 0;
 * `headers` may be NULL when `capacity` is 0. Thread: any. On error: 0 when the bytes are no headers,
 * which views of a batch or a message never are.
 */
size_t samsa_headers_read(const samsa_message_view *view,
                          samsa_header *headers,
                          size_t capacity);

/* ---- Batches of messages ------------------------------------------------------------------- */

/**
 * The messages as an array: writes its address to `*messages` and returns how many there are.
 *
 * Who frees: nobody; the array and all it points to are borrowed until samsa_batch_free. NULL:
 * `batch` NULL gives 0 and a NULL array; `messages` may be NULL. Thread: any. On error: 0.
 */
size_t samsa_batch_messages(const samsa_batch *batch,
                            const samsa_message_view **messages);

/**
 * Which messages belong to which partition, as an array in the order of the messages: writes its
 * address to `*runs` and returns how many there are. A partition may have several runs.
 *
 * Who frees: nobody; borrowed until samsa_batch_free. NULL: `batch` NULL gives 0 and a NULL array;
 * `runs` may be NULL. Thread: any. On error: 0.
 */
size_t samsa_batch_runs(const samsa_batch *batch, const samsa_run **runs);

/**
 * Fills `*columns` with the messages as columns over one buffer. The first call gathers them, further
 * ones give the same.
 *
 * Who frees: nobody; borrowed until samsa_batch_free. NULL: both are required, and
 * columns->struct_size must be set. Thread: any. On error: SAMSA_ERR_INVALID_STATE when keys and
 * values together pass 4 GiB; `*columns` is then unchanged.
 */
samsa_code samsa_batch_columns(samsa_batch *batch,
                               samsa_columns *columns,
                               samsa_error **err);

/**
 * Where each partition resumes after this batch: what to commit when all of it is processed, or to
 * assign later.
 *
 * Who frees: the caller, `*positions` by samsa_positions_free. NULL: both are required. Thread: any.
 * On error: `*positions` is NULL.
 */
samsa_code samsa_batch_positions(const samsa_batch *batch,
                                 samsa_positions **positions,
                                 samsa_error **err);

/**
 * Frees a batch; what it lent is gone, and its bytes no longer count against samsa.memory.limit. NULL
 * is fine. Never waits. Thread: any, as the last use.
 */
void samsa_batch_free(samsa_batch *batch);


#ifdef __cplusplus
}
#endif

#endif
