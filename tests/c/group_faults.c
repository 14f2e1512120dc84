/* Consumer groups from C, with what samsa_testing.h does to them: a coordinator that moves, members
 * that are thrown out, requests that meet faults. Whatever happens, every message is read, and what
 * was committed is where the next member begins. */
#include "check.h"

#define PARTITIONS 4
#define GROUP "readers"
#define TOPIC "groups"

static samsa_embedded *embedded;
static samsa_cluster *cluster;
static samsa_topic *topic;

/* What the rebalance callback heard of one consumer. */
struct heard {
    int assigned, revoked, lost, has;
};

static void on_rebalance(samsa_consumer *consumer, const samsa_event *event, void *user) {
    struct heard *heard = user;
    const samsa_position *list = NULL;
    int count = (int)samsa_event_positions(event, &list);

    CHECK(consumer != NULL && count > 0 && strcmp(list[0].topic, TOPIC) == 0);
    switch (samsa_event_kind(event)) {
    case SAMSA_EVENT_ASSIGNED:
        heard->assigned++;
        heard->has += count;
        break;
    case SAMSA_EVENT_REVOKED:
        heard->revoked++;
        heard->has -= count;
        break;
    case SAMSA_EVENT_LOST:
        heard->lost++;
        heard->has -= count;
        break;
    default: CHECK(!"an event of another kind");
    }
}

static samsa_consumer *join(struct heard *heard) {
    samsa_config *config = samsa_config_new();
    samsa_consumer *consumer = NULL;
    const char *name = TOPIC;

    memset(heard, 0, sizeof *heard);
    OK(samsa_config_set(config, "group.id", GROUP, &err));
    OK(samsa_config_set(config, "auto.offset.reset", "earliest", &err));
    OK(samsa_config_set(config, "enable.auto.commit", "false", &err));
    OK(samsa_config_set(config, "session.timeout.ms", "3000", &err));
    OK(samsa_config_set(config, "heartbeat.interval.ms", "50", &err));
    OK(samsa_config_set_rebalance_callback(config, on_rebalance, heard, NULL, &err));
    OK(samsa_consumer_new(cluster, config, &consumer, &err));
    samsa_config_free(config);
    OK(samsa_consumer_subscribe(consumer, &name, 1, &err));
    return consumer;
}

static void leave(samsa_consumer *consumer) {
    OK(samsa_consumer_close(consumer, 10000, &err));
    samsa_consumer_free(consumer);
}

static void publish(int count) {
    for (int i = 0; i < count; i++)
        OK(samsa_topic_publish(topic, "k", 1, "v", 1, 10000, NULL, NULL, &err));
}

/* Polls both until together they have all partitions and nothing is on its way. */
static void settle(samsa_consumer *one, struct heard *heard_one, samsa_consumer *two,
                   struct heard *heard_two) {
    size_t members = two == NULL ? 1 : 2;
    int polls = 0, steady = 0;

    while (steady < 2) {
        samsa_message *message = NULL;
        samsa_consumer *whose = two != NULL && polls++ % 2 ? two : one;
        samsa_code code = samsa_consumer_next(whose, 20, &message, &err);
        CHECK(code == SAMSA_NOTHING || samsa_error_is_retriable(err));
        samsa_error_free(err);
        err = NULL;
        int has = heard_one->has + (two == NULL ? 0 : heard_two->has);
        samsa_code stable = samsa_embedded_wait_group(embedded, GROUP, "Stable", members, 0, NULL);
        steady = has == PARTITIONS && stable == SAMSA_OK ? steady + 1 : 0;
        CHECK(polls < 2000);
    }
}

/* Reads and frees so many messages. */
static void read_messages(samsa_consumer *consumer, int count) {
    for (int seen = 0; seen < count;) {
        samsa_message *message = NULL;
        samsa_code code = samsa_consumer_next(consumer, 10000, &message, &err);
        CHECK(code == SAMSA_OK || samsa_error_is_retriable(err));
        samsa_error_free(err);
        err = NULL;
        seen += message != NULL;
        samsa_message_free(message);
    }
}

static int64_t committed(void) {
    int64_t sum = 0, offset = -1;

    for (int64_t partition = 0; partition < PARTITIONS; partition++) {
        OK(samsa_embedded_committed(embedded, GROUP, TOPIC, partition, &offset, &err));
        sum += offset > 0 ? offset : 0;
    }
    return sum;
}

static void members_share_and_leave(void) {
    struct heard heard_one, heard_two;
    samsa_consumer *one = join(&heard_one);
    samsa_embedded_members *members = NULL;
    const samsa_embedded_member *list = NULL;

    CHECK(strcmp(samsa_embedded_group_state(embedded, "nobody"), "Dead") == 0);
    settle(one, &heard_one, NULL, NULL);
    CHECK(heard_one.has == PARTITIONS && heard_one.assigned == 1 && heard_one.revoked == 0);
    samsa_consumer *two = join(&heard_two);
    settle(one, &heard_one, two, &heard_two);
    CHECK(heard_one.has == 2 && heard_two.has == 2 && heard_one.revoked == 1);
    OK(samsa_embedded_group_members(embedded, GROUP, &members, &err));
    CHECK(samsa_embedded_members_list(members, &list) == 2);
    CHECK(strncmp(list[0].id, list[0].client_id, strlen(list[0].client_id)) == 0);
    CHECK(list[0].instance_id == NULL && strcmp(list[0].id, list[1].id) != 0);
    samsa_embedded_members_free(members);

    leave(two);
    settle(one, &heard_one, NULL, NULL);
    CHECK(heard_one.has == PARTITIONS && heard_one.lost == 0);
    leave(one);
    OK(samsa_embedded_wait_group(embedded, GROUP, "Empty", 0, 10000, &err));
}

static void offsets_outlive_members_and_a_coordinator_that_moves(void) {
    struct heard heard;
    samsa_consumer *one = join(&heard);
    int32_t coordinator = -1;

    settle(one, &heard, NULL, NULL);
    publish(40);
    read_messages(one, 40);
    OK(samsa_embedded_coordinator(embedded, GROUP, &coordinator, &err));
    OK(samsa_embedded_move_coordinator(embedded, GROUP, 1 - coordinator, &err));
    OK(samsa_consumer_commit(one, NULL, 0, 0, 10000, NULL, &err));
    CHECK(committed() == 40);
    leave(one);

    publish(4);
    one = join(&heard);
    read_messages(one, 4);
    OK(samsa_consumer_commit(one, NULL, 0, 0, 10000, NULL, &err));
    CHECK(committed() == 44);
    leave(one);
}

static void a_member_that_is_thrown_out_joins_again(void) {
    struct heard heard;
    samsa_consumer *one = join(&heard);

    settle(one, &heard, NULL, NULL);
    OK(samsa_embedded_expire_member(embedded, GROUP, NULL, &err));
    while (heard.lost == 0) {
        samsa_message *message = NULL;
        samsa_consumer_next(one, 100, &message, NULL);
    }
    settle(one, &heard, NULL, NULL);
    CHECK(heard.assigned == 2 && heard.revoked == 0);
    leave(one);
}

/* The next request of this API meets the fault; the group comes to rest all the same. */
static void survives(const char *api, int32_t kind, int32_t code) {
    struct heard heard;
    samsa_fault fault;
    uint64_t id = 0;

    memset(&fault, 0, sizeof fault);
    fault.struct_size = sizeof fault;
    fault.api = api;
    fault.kind = kind;
    fault.code = code;
    OK(samsa_embedded_inject(embedded, &fault, &id, &err));
    samsa_consumer *one = join(&heard);
    settle(one, &heard, NULL, NULL);
    /* A fault of the commit comes with it; any other comes first: between reading and commit it
       would rightly have the messages read again. */
    if (strcmp(api, "OffsetCommit") != 0) {
        OK(samsa_embedded_wait_injected(embedded, id, 1, 10000, &err));
        settle(one, &heard, NULL, NULL);
    }
    publish(4);
    read_messages(one, 4);
    OK(samsa_consumer_commit(one, NULL, 0, 0, 10000, NULL, &err));
    OK(samsa_embedded_wait_injected(embedded, id, 1, 10000, &err));
    settle(one, &heard, NULL, NULL);
    leave(one);
}

int main(void) {
    samsa_config *config = samsa_config_new();

    OK(samsa_embedded_start(2, &embedded, &err));
    OK(samsa_embedded_create_topic(embedded, TOPIC, PARTITIONS, &err));
    OK(samsa_config_set(config, "bootstrap.servers", samsa_embedded_address(embedded), &err));
    OK(samsa_config_set(config, "retry.backoff.ms", "5", &err));
    OK(samsa_config_set(config, "reconnect.backoff.ms", "5", &err));
    OK(samsa_config_set(config, "request.timeout.ms", "1000", &err));
    OK(samsa_config_set(config, "fetch.max.wait.ms", "50", &err));
    OK(samsa_cluster_open(config, 10000, &cluster, &err));
    samsa_config_free(config);
    topic = open_topic(cluster, TOPIC);

    members_share_and_leave();
    offsets_outlive_members_and_a_coordinator_that_moves();
    a_member_that_is_thrown_out_joins_again();
    survives("FindCoordinator", SAMSA_FAULT_ERROR_CODE, SAMSA_ERR_COORDINATOR_NOT_AVAILABLE);
    survives("JoinGroup", SAMSA_FAULT_ERROR_CODE, SAMSA_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    survives("JoinGroup", SAMSA_FAULT_DISCONNECT_AFTER, 0);
    survives("SyncGroup", SAMSA_FAULT_ERROR_CODE, SAMSA_ERR_REBALANCE_IN_PROGRESS);
    survives("SyncGroup", SAMSA_FAULT_DISCONNECT_BEFORE, 0);
    survives("Heartbeat", SAMSA_FAULT_ERROR_CODE, SAMSA_ERR_ILLEGAL_GENERATION);
    survives("Heartbeat", SAMSA_FAULT_SILENCE, 0);
    survives("OffsetFetch", SAMSA_FAULT_ERROR_CODE, SAMSA_ERR_NOT_COORDINATOR);
    survives("OffsetCommit", SAMSA_FAULT_ERROR_CODE, SAMSA_ERR_COORDINATOR_NOT_AVAILABLE);

    samsa_topic_free(topic);
    OK(samsa_cluster_close(cluster, 10000, &err));
    samsa_cluster_free(cluster);
    samsa_embedded_free(embedded);
    puts("groups: members, offsets, a moving coordinator, nine faults: ok");
    return 0;
}
