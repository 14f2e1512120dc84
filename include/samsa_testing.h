/*
 * An embedded broker for tests of programs that use libsamsa.
 *
 * Outside the ABI promise: names here may change with any release. Present when the library was
 * built with its feature embedded, as the installed one is. The rules are those of samsa.h.
 */
#ifndef SAMSA_TESTING_H
#define SAMSA_TESTING_H

#include <samsa.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  /** The answer carries the Kafka error code of the field code; nothing is applied. */
  SAMSA_FAULT_ERROR_CODE = 1,
  /** The request is applied, its answer is held back for delay_ms. */
  SAMSA_FAULT_DELAY = 2,
  /** The connection is closed before the request is applied. */
  SAMSA_FAULT_DISCONNECT_BEFORE = 3,
  /** The request is applied, then the connection is closed without an answer. */
  SAMSA_FAULT_DISCONNECT_AFTER = 4,
  /** No answer, now or later; the connection stays open and swallows what it is sent. */
  SAMSA_FAULT_SILENCE = 5,
  /**
   * The leadership of the partitions named moves to the broker of the field leader (-1: nobody)
   * before the request is looked at.
   */
  SAMSA_FAULT_LEADER_MOVE = 6,
  /** The answer is no Kafka frame; then the connection closes. */
  SAMSA_FAULT_GARBAGE = 7,
  /** The answer is a frame with the right correlation id and a body without sense. */
  SAMSA_FAULT_MALFORMED = 8,
  /** The request is applied, half of the answer is written, then the connection closes. */
  SAMSA_FAULT_CLOSE_MID_FRAME = 9,
  /**
   * The answer tells the client to be quiet for delay_ms, as a quota does; so long nothing more is
   * read from the connection.
   */
  SAMSA_FAULT_THROTTLE = 10,
  /**
   * The answer carries the field code for the request as a whole: beside its partitions where it can
   * (Fetch since version 7, Metadata since version 13), else for each of them.
   */
  SAMSA_FAULT_REQUEST_ERROR = 11,
  /**
   * A Produce is refused with the field code because of the record at the place of the field record
   * in its batch.
   */
  SAMSA_FAULT_RECORD_ERROR = 12,
  /** A Produce is applied, and its answer does not say at which offset. */
  SAMSA_FAULT_NO_OFFSET = 13,
  /** The field partition of samsa_fault counts. */
  SAMSA_FAULT_PARTITION = 1,
  /** The field broker of samsa_fault counts. */
  SAMSA_FAULT_BROKER = 2,
  /** With an error code or silence: the request is applied all the same. */
  SAMSA_FAULT_APPLIED = 4,
  /** With an error code: the answer names the fields leader and leader_epoch as the partition's. */
  SAMSA_FAULT_NAMES_LEADER = 8,
};

/**
 * A cluster of brokers in this process, on loopback ports, in memory. Any thread may use it.
 *
 * A topic that a client asks for is made on the spot, unless auto.create.topics.enable is false.
 */
typedef struct samsa_embedded samsa_embedded;

/**
 * The members of a group at one moment; never changes. Any thread may read it.
 */
typedef struct samsa_embedded_members samsa_embedded_members;

/**
 * A ZooKeeper in this process, on a loopback port, in memory: sessions, ephemeral and sequential
 * nodes, versions and watches, without access lists. Any thread may use it.
 */
typedef struct samsa_embedded_zookeeper samsa_embedded_zookeeper;

/**
 * A member of a group. Its strings live as long as the samsa_embedded_members.
 */
typedef struct samsa_embedded_member {
  /** The id that the coordinator knows it by. */
  const char *id;
  /** Its group.instance.id; NULL without one. */
  const char *instance_id;
  /** Its client.id. */
  const char *client_id;
} samsa_embedded_member;

/**
 * Which requests meet a fault, and what then happens to them. All zero but struct_size and kind
 * meets the next request of any kind, once.
 */
typedef struct samsa_fault {
  /** sizeof(samsa_fault). */
  size_t struct_size;
  /** The API's name as in Kafka (Produce, Fetch, Metadata); NULL meets any. */
  const char *api;
  /** The topic that the request must name; NULL meets any. */
  const char *topic;
  /** The partition that the request must name, with SAMSA_FAULT_PARTITION. */
  int64_t partition;
  /** SAMSA_FAULT_ERROR_CODE and so on. */
  int32_t kind;
  /** The broker that the request must reach, with SAMSA_FAULT_BROKER. */
  int32_t broker;
  /** Kafka's number of the error. */
  int32_t code;
  /** The broker that leadership moves to, or that the answer names. */
  int32_t leader;
  /** How long an answer is held back, or the client is to be quiet, in milliseconds. */
  uint32_t delay_ms;
  /** How many requests that fit pass first. */
  uint32_t skip;
  /** How many are met after that: 0 = one, UINT32_MAX = all. */
  uint32_t times;
  /** SAMSA_FAULT_PARTITION and so on. */
  uint32_t flags;
  /** The place in its batch of the record that is to blame, from 0. */
  int32_t record;
  /** The leader epoch that the answer names. */
  int32_t leader_epoch;
} samsa_fault;

/* ---- Embedded broker ----------------------------------------------------------------------- */

/**
 * Starts brokers (1 to 100) with the ids 0, 1, ...
 *
 * Who frees: the caller, `*embedded` by samsa_embedded_free. NULL: `embedded` is required. Thread:
 * any. On error: `*embedded` is NULL; SAMSA_ERR_INVALID_ARGUMENT for another number,
 * SAMSA_ERR_IO when no port can be had.
 */
samsa_code samsa_embedded_start(int32_t brokers,
                                samsa_embedded **embedded,
                                samsa_error **err);

/**
 * The bootstrap list of all brokers, running or not: 127.0.0.1:port,... NULL on a pointer that is no
 * live samsa_embedded.
 *
 * Borrowed: valid until the handle is freed. Thread: any.
 */
const char *samsa_embedded_address(const samsa_embedded *embedded);

/**
 * Changes an option of the brokers by its name in Kafka's server.properties. It counts from the next
 * request on; what concerns topics, for those made later.
 *
 * - Topics: auto.create.topics.enable, num.partitions, default.replication.factor, message.max.bytes,
 *   log.retention.bytes (per partition; the oldest batches are dropped above it),
 *   log.message.timestamp.type.
 * - Classic groups: group.initial.rebalance.delay.ms (how long an empty group waits for more members; 0
 *   here, 3000 in Kafka), group.min.session.timeout.ms and group.max.session.timeout.ms (which
 *   session.timeout.ms members may have; 1 and 1800000 here, 6000 and 1800000 in Kafka).
 * - KIP-848 groups: group.consumer.session.timeout.ms (how long a silent member stays one; 45000),
 *   group.consumer.heartbeat.interval.ms (what members are told; 5000),
 *   group.consumer.assignment.interval.ms (how soon after an assignment the next may be made; 0 here).
 * - Reading: broker.rack (the racks of all brokers, by id, separated by commas), replica.selector.class
 *   (Kafka's RackAwareReplicaSelector, or nothing), max.incremental.fetch.session.cache.slots (1000).
 * - cluster.id.
 *
 * NULL: every pointer but `err` is required. Thread: any. Borrowed: the strings are copied. On error:
 * nothing is changed; SAMSA_ERR_UNKNOWN_PROPERTY, SAMSA_ERR_INVALID_PROPERTY.
 */
samsa_code samsa_embedded_set(samsa_embedded *embedded,
                              const char *name,
                              const char *value,
                              samsa_error **err);

/**
 * Makes a topic; its leaders are spread over the brokers.
 *
 * NULL: every pointer but `err` is required. Thread: any. Borrowed: the name is copied. On error:
 * SAMSA_ERR_TOPIC_ALREADY_EXISTS, SAMSA_ERR_INVALID_TOPIC_EXCEPTION, SAMSA_ERR_INVALID_PARTITIONS.
 */
samsa_code samsa_embedded_create_topic(samsa_embedded *embedded,
                                       const char *name,
                                       int32_t partitions,
                                       samsa_error **err);

/**
 * Forgets a topic and its records.
 *
 * NULL: every pointer but `err` is required. Thread: any. Borrowed: the name is read during the
 * call. On error: SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION.
 */
samsa_code samsa_embedded_delete_topic(samsa_embedded *embedded,
                                       const char *name,
                                       samsa_error **err);

/**
 * The offset that the next record of a partition gets.
 *
 * NULL: every pointer but `err` is required. Thread: any. Borrowed: the name is read during the
 * call. On error: `*offset` is -1; SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION.
 */
samsa_code samsa_embedded_log_end(const samsa_embedded *embedded,
                                  const char *topic,
                                  int64_t partition,
                                  int64_t *offset,
                                  samsa_error **err);

/**
 * The broker that leads a partition, -1 for none.
 *
 * NULL: every pointer but `err` is required. Thread: any. Borrowed: the name is read during the
 * call. On error: `*broker` is -1; SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION.
 */
samsa_code samsa_embedded_leader(const samsa_embedded *embedded,
                                 const char *topic,
                                 int64_t partition,
                                 int32_t *broker,
                                 samsa_error **err);

/**
 * Makes a broker the leader of a partition (-1: nobody), with the next leader epoch.
 *
 * NULL: every pointer but `err` is required. Thread: any. Borrowed: the name is read during the
 * call. On error: SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION; SAMSA_ERR_INVALID_ARGUMENT for a broker that
 * there is not.
 */
samsa_code samsa_embedded_move_leader(samsa_embedded *embedded,
                                      const char *topic,
                                      int64_t partition,
                                      int32_t broker,
                                      samsa_error **err);

/**
 * Waits until the brokers together received `n` requests of an API since their start.
 *
 * NULL: `embedded` and `api` are required. Thread: any. Borrowed: the name is read during the call.
 * On error: SAMSA_ERR_TIMED_OUT; SAMSA_ERR_INVALID_ARGUMENT for an API that there is not.
 */
samsa_code samsa_embedded_wait_requests(samsa_embedded *embedded,
                                        const char *api,
                                        uint64_t n,
                                        int32_t timeout_ms,
                                        samsa_error **err);

/**
 * Stops a broker: its port refuses, its connections are closed; partitions that it led elect another
 * living replica, or have no leader.
 *
 * NULL: `embedded` is required. Thread: any. On error: SAMSA_ERR_INVALID_ARGUMENT for a broker that
 * there is not.
 */
samsa_code samsa_embedded_stop_broker(samsa_embedded *embedded,
                                      int32_t broker,
                                      samsa_error **err);

/**
 * Starts a stopped broker again on its old port; nothing happens if it runs.
 *
 * NULL: `embedded` is required. Thread: any. On error: SAMSA_ERR_INVALID_ARGUMENT for a broker that
 * there is not, SAMSA_ERR_IO if something else took the port.
 */
samsa_code samsa_embedded_start_broker(samsa_embedded *embedded,
                                       int32_t broker,
                                       samsa_error **err);

/**
 * Closes every open connection of a broker (-1: of all); the brokers go on, their ports too.
 *
 * NULL: `embedded` is required. Thread: any. On error: SAMSA_ERR_INVALID_ARGUMENT for a broker that
 * there is not.
 */
samsa_code samsa_embedded_close_connections(samsa_embedded *embedded,
                                            int32_t broker,
                                            samsa_error **err);

/**
 * Deletes the records of a partition below `offset`, as retention or DeleteRecords does: the log
 * then starts there. A consumer that stood before it meets SAMSA_ERR_OFFSET_OUT_OF_RANGE.
 *
 * NULL: every pointer but `err` is required. Thread: any. Borrowed: the name is read during the
 * call. On error: SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION.
 */
samsa_code samsa_embedded_delete_records(samsa_embedded *embedded,
                                         const char *topic,
                                         int64_t partition,
                                         int64_t offset,
                                         samsa_error **err);

/**
 * Drops every batch of a partition that reaches `offset`, as the election of a leader that lacks
 * them does. Move the leader too, for a new epoch: clients detect truncation by it.
 *
 * NULL: every pointer but `err` is required. Thread: any. Borrowed: the name is read during the
 * call. On error: SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION.
 */
samsa_code samsa_embedded_truncate(samsa_embedded *embedded,
                                   const char *topic,
                                   int64_t partition,
                                   int64_t offset,
                                   samsa_error **err);

/**
 * Stops every broker, closes every connection and frees the handle. NULL is fine. Clients that still
 * use the brokers see their connections end.
 */
void samsa_embedded_free(samsa_embedded *embedded);

/* ---- Groups -------------------------------------------------------------------------------- */

/**
 * The members of a group, in the order in which they came; none if there is no such group.
 *
 * Who frees: the caller, `*members` by samsa_embedded_members_free. NULL: every pointer but `err` is
 * required. Thread: any. Borrowed: the name is read during the call. On error: `*members` is NULL.
 */
samsa_code samsa_embedded_group_members(const samsa_embedded *embedded,
                                        const char *group,
                                        samsa_embedded_members **members,
                                        samsa_error **err);

/**
 * Gives the array of members and returns how many there are; 0 and NULL for NULL.
 *
 * Borrowed: the array is valid until the samsa_embedded_members is freed. Thread: any.
 */
size_t samsa_embedded_members_list(const samsa_embedded_members *members,
                                   const samsa_embedded_member **views);

/**
 * Frees the snapshot. NULL is fine.
 */
void samsa_embedded_members_free(samsa_embedded_members *members);

/**
 * Where a group stands, in Kafka's words: Empty, PreparingRebalance, CompletingRebalance, Assigning,
 * Reconciling, Stable; Dead if there is no such group. NULL for NULL or on a pointer that is no live
 * samsa_embedded.
 *
 * Borrowed: a constant. Thread: any.
 */
const char *samsa_embedded_group_state(const samsa_embedded *embedded,
                                       const char *group);

/**
 * Waits until a group has so many members and is in this state (see samsa_embedded_group_state; NULL:
 * in any).
 *
 * NULL: `embedded` and `group` are required. Thread: any. Borrowed: the strings are read during the
 * call. On error: SAMSA_ERR_TIMED_OUT, with what the group is instead.
 */
samsa_code samsa_embedded_wait_group(samsa_embedded *embedded,
                                     const char *group,
                                     const char *state,
                                     size_t members,
                                     int32_t timeout_ms,
                                     samsa_error **err);

/**
 * The offset that a group committed for a partition, -1 if it committed none.
 *
 * NULL: every pointer but `err` is required. Thread: any. Borrowed: the names are read during the
 * call. On error: `*offset` is -1.
 */
samsa_code samsa_embedded_committed(const samsa_embedded *embedded,
                                    const char *group,
                                    const char *topic,
                                    int64_t partition,
                                    int64_t *offset,
                                    samsa_error **err);

/**
 * The broker that coordinates a group, -1 if it does not run.
 *
 * NULL: every pointer but `err` is required. Thread: any. Borrowed: the name is read during the
 * call. On error: `*broker` is -1.
 */
samsa_code samsa_embedded_coordinator(const samsa_embedded *embedded,
                                      const char *group,
                                      int32_t *broker,
                                      samsa_error **err);

/**
 * Makes a broker the coordinator of a group, which keeps its members and offsets; the old one answers
 * SAMSA_ERR_NOT_COORDINATOR from now on.
 *
 * NULL: `embedded` and `group` are required. Thread: any. Borrowed: the name is copied. On error:
 * SAMSA_ERR_INVALID_ARGUMENT for a broker that there is not.
 */
samsa_code samsa_embedded_move_coordinator(samsa_embedded *embedded,
                                           const char *group,
                                           int32_t broker,
                                           samsa_error **err);

/**
 * Throws a member out of its group, as when its session ends; the others rebalance. NULL for `member`:
 * all of them.
 *
 * NULL: `embedded` and `group` are required. Thread: any. Borrowed: the strings are read during the
 * call. On error: SAMSA_ERR_UNKNOWN_MEMBER_ID if the group has no such member, or none at all.
 */
samsa_code samsa_embedded_expire_member(samsa_embedded *embedded,
                                        const char *group,
                                        const char *member,
                                        samsa_error **err);

/* ---- Faults -------------------------------------------------------------------------------- */

/**
 * Adds a fault behind those injected before: of several that would close, delay or silence the same
 * request, the first does; the others add up. What closes, delays, silences or throttles concerns the
 * whole connection; error codes, leader moves and hidden offsets only the partitions that it names.
 *
 * `*id` names the fault; it may be NULL. NULL: `embedded` and `fault` are required. Thread: any.
 * Borrowed: the fault is copied. On error: `*id` is 0; SAMSA_ERR_INVALID_ARGUMENT for a kind, an API
 * or flags that there are not.
 */
samsa_code samsa_embedded_inject(samsa_embedded *embedded,
                                 const samsa_fault *fault,
                                 uint64_t *id,
                                 samsa_error **err);

/**
 * How many requests a fault has met; 0 on a pointer that is no live samsa_embedded. Thread: any.
 */
uint64_t samsa_embedded_injected(const samsa_embedded *embedded, uint64_t id);

/**
 * Waits until a fault has met `n` requests.
 *
 * NULL: `embedded` is required. Thread: any. On error: SAMSA_ERR_TIMED_OUT.
 */
samsa_code samsa_embedded_wait_injected(samsa_embedded *embedded,
                                        uint64_t id,
                                        uint64_t n,
                                        int32_t timeout_ms,
                                        samsa_error **err);

/**
 * Takes a fault back (0: every fault): it meets nothing more.
 *
 * NULL: `embedded` is required. Thread: any. On error: none but that of a bad handle.
 */
samsa_code samsa_embedded_withdraw(samsa_embedded *embedded, uint64_t id, samsa_error **err);

/* ---- Embedded ZooKeeper -------------------------------------------------------------------- */

/**
 * Starts a ZooKeeper without nodes.
 *
 * Who frees: the caller, `*zookeeper` by samsa_embedded_zookeeper_free. NULL: `zookeeper` is required.
 * Thread: any. On error: `*zookeeper` is NULL; SAMSA_ERR_IO when no port can be had.
 */
samsa_code samsa_embedded_zookeeper_start(samsa_embedded_zookeeper **zookeeper,
                                          samsa_error **err);

/**
 * What zookeeper.connect names it by: 127.0.0.1:port. NULL on a pointer that is no live
 * samsa_embedded_zookeeper.
 *
 * Borrowed: valid until the handle is freed. Thread: any.
 */
const char *samsa_embedded_zookeeper_address(const samsa_embedded_zookeeper *zookeeper);

/**
 * Makes a persistent node and its parents, as far as they are missing, or changes its data. `data` is
 * text; NULL stands for none.
 *
 * NULL: `zookeeper` and `path` are required. Thread: any. Borrowed: the strings are copied. On error:
 * SAMSA_ERR_ZOOKEEPER for what is no path.
 */
samsa_code samsa_embedded_zookeeper_ensure(samsa_embedded_zookeeper *zookeeper,
                                           const char *path,
                                           const char *data,
                                           samsa_error **err);

/**
 * How many sessions there are; 0 on a pointer that is no live samsa_embedded_zookeeper. Thread: any.
 */
size_t samsa_embedded_zookeeper_sessions(const samsa_embedded_zookeeper *zookeeper);

/**
 * Ends every session as if its time were over: ephemeral nodes go, connections are closed. Returns how
 * many there were; 0 on a pointer that is no live samsa_embedded_zookeeper. Thread: any.
 */
size_t samsa_embedded_zookeeper_expire_all(const samsa_embedded_zookeeper *zookeeper);

/**
 * Lets nothing pass any more between the ZooKeeper and anybody, without a word (1), or ends that (0).
 * Sessions that are not heard of end in time.
 *
 * NULL: `zookeeper` is required. Thread: any. On error: none but that of a bad handle.
 */
samsa_code samsa_embedded_zookeeper_silence(samsa_embedded_zookeeper *zookeeper,
                                            int32_t silent,
                                            samsa_error **err);

/**
 * Stops the ZooKeeper (0) or starts it again on its port (1), with its nodes and sessions.
 *
 * NULL: `zookeeper` is required. Thread: any. On error: SAMSA_ERR_IO if something else took the port.
 */
samsa_code samsa_embedded_zookeeper_run(samsa_embedded_zookeeper *zookeeper,
                                        int32_t running,
                                        samsa_error **err);

/**
 * Stops the ZooKeeper, closes every connection and frees the handle. NULL is fine.
 */
void samsa_embedded_zookeeper_free(samsa_embedded_zookeeper *zookeeper);

/* ---- Embedded brokers of Kafka 0.7 --------------------------------------------------------- */

/**
 * Starts brokers of Kafka 0.7 (1 to 100) with the ids 0, 1, ..., each with `partitions` partitions of
 * every topic. They register themselves in the ZooKeeper, `host:port,host:port/chroot`: a real one,
 * where the chroot must be there, or a samsa_embedded_zookeeper. Clients find them by
 * zookeeper.connect, by nothing else. A topic is made by writing to it.
 *
 * Of the functions of samsa_embedded they have samsa_embedded_address (of the brokers themselves),
 * _stop_broker, _start_broker, _close_connections, _log_end, _wait_requests (Produce, Fetch,
 * MultiFetch, MultiProduce, Offsets), _free, and faults by request and broker: SAMSA_FAULT_ERROR_CODE
 * (of fetches), _DISCONNECT_BEFORE, _DISCONNECT_AFTER, _SILENCE, _CLOSE_MID_FRAME. The others give
 * SAMSA_ERR_UNSUPPORTED_FEATURE.
 *
 * Who frees: the caller, `*embedded` by samsa_embedded_free, before the ZooKeeper. NULL: `zookeeper`
 * and `embedded` are required. Thread: any. Borrowed: the string is copied. On error: `*embedded` is
 * NULL; SAMSA_ERR_INVALID_ARGUMENT for another number, SAMSA_ERR_IO when no port can be had,
 * SAMSA_ERR_INVALID_PROPERTY, SAMSA_ERR_TIMED_OUT or SAMSA_ERR_ZOOKEEPER when they cannot register.
 */
samsa_code samsa_embedded_start_legacy(int32_t brokers,
                                       int32_t partitions,
                                       const char *zookeeper,
                                       samsa_embedded **embedded,
                                       samsa_error **err);


#ifdef __cplusplus
}
#endif

#endif
