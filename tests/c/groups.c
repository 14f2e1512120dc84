/* Members of a group through the C API: callbacks, events, commits, who the member is, endings. */
#define _POSIX_C_SOURCE 200809L
#include <poll.h>

#include "check.h"

static samsa_embedded *embedded;
static samsa_cluster *cluster;

struct seen {
    int assigned, revoked, lost, committed, in_callback;
    int64_t first, partitions;
};

static samsa_config *member(const char *group) {
    samsa_config *config = samsa_config_new();

    OK(samsa_config_set(config, "group.id", group, &err));
    OK(samsa_config_set(config, "auto.offset.reset", "earliest", &err));
    OK(samsa_config_set(config, "auto.commit.interval.ms", "600000", &err));
    return config;
}

static void publish(const char *name, int n) {
    samsa_topic *topic = open_topic(cluster, name);
    int i;

    for (i = 0; i < n; i++) {
        OK(samsa_topic_publish(topic, NULL, 0, "v", 1, 10000, NULL, NULL, &err));
    }
    samsa_topic_free(topic);
}

/* What a program that only reads events would do with one. */
static void take(samsa_consumer *consumer, int32_t kind, const char *topic, size_t n) {
    const samsa_position *list;
    samsa_event *event;
    size_t i;

    OK(samsa_consumer_next_event(consumer, &event, &err));
    CHECK(samsa_event_kind(event) == kind);
    CHECK(samsa_event_positions(event, &list) == n);
    for (i = 0; i < n; i++) {
        CHECK(strcmp(list[i].topic, topic) == 0 && list[i].code == SAMSA_OK);
    }
    samsa_event_free(event);
}

static void on_rebalance(samsa_consumer *consumer, const samsa_event *event, void *user) {
    struct seen *seen = user;
    const samsa_position *list;
    samsa_message *message;
    size_t n = samsa_event_positions(event, &list);

    seen->in_callback++;
    GIVES(SAMSA_ERR_IN_CALLBACK, samsa_consumer_next(consumer, 0, &message, &err));
    GIVES(SAMSA_ERR_IN_CALLBACK, samsa_consumer_unsubscribe(consumer, 0, &err));
    GIVES(SAMSA_ERR_IN_CALLBACK, samsa_consumer_close(consumer, 0, &err));
    samsa_consumer_free(consumer);
    switch (samsa_event_kind(event)) {
    case SAMSA_EVENT_ASSIGNED:
        seen->assigned += (int)n;
        if (n > 0 && seen->first >= 0) {
            samsa_position place = list[0];

            place.offset = seen->first;
            place.flags = SAMSA_POSITION_OFFSET;
            OK(samsa_consumer_seek(consumer, &place, 1, sizeof place, &err));
        }
        break;
    case SAMSA_EVENT_REVOKED:
        seen->revoked += (int)n;
        OK(samsa_consumer_commit(consumer, NULL, 0, 0, 10000, NULL, &err));
        break;
    default: seen->lost += (int)n;
    }
}

static void on_commit(samsa_consumer *consumer, const samsa_event *event, void *user) {
    struct seen *seen = user;
    samsa_batch *batch;

    CHECK(samsa_event_kind(event) == SAMSA_EVENT_COMMITTED);
    GIVES(SAMSA_ERR_IN_CALLBACK, samsa_consumer_poll(consumer, 0, &batch, &err));
    seen->committed++;
}

static void callbacks_run_inside_polls_and_may_seek_and_commit(void) {
    const char *const topics[] = {"one"};
    samsa_config *config = member("callbacks");
    samsa_consumer *consumer;
    samsa_message *message;
    samsa_positions *outcome;
    const samsa_position *list;
    samsa_position place;
    struct seen seen;
    int64_t offset;

    memset(&seen, 0, sizeof seen);
    seen.first = 2;
    OK(samsa_config_set_rebalance_callback(config, on_rebalance, &seen, NULL, &err));
    OK(samsa_config_set_commit_callback(config, on_commit, &seen, NULL, &err));
    OK(samsa_consumer_new(cluster, config, &consumer, &err));
    samsa_config_free(config);
    OK(samsa_consumer_subscribe(consumer, topics, 1, &err));
    OK(samsa_consumer_next(consumer, 20000, &message, &err));
    CHECK(seen.assigned == 1 && samsa_message_get(message)->offset == 2);

    /* While the message is held nothing behind it is committed; then all of it. */
    OK(samsa_consumer_commit(consumer, NULL, 0, 0, 10000, &outcome, &err));
    CHECK(samsa_positions_list(outcome, &list) == 1 && list[0].offset == 2);
    samsa_positions_free(outcome);
    samsa_message_free(message);
    OK(samsa_consumer_commit(consumer, NULL, 0, 0, 10000, NULL, &err));
    OK(samsa_embedded_committed(embedded, "callbacks", "one", 0, &offset, &err));
    CHECK(offset == 3);

    /* An asynchronous commit with metadata, told before the next one that waits is over. */
    memset(&place, 0, sizeof place);
    place.topic = "one";
    place.offset = 4;
    place.metadata = "a\0b";
    place.metadata_length = 3;
    place.flags = SAMSA_POSITION_OFFSET;
    OK(samsa_consumer_commit(consumer, &place, 1, sizeof place, 0, NULL, &err));
    place.offset = 5;
    OK(samsa_consumer_commit(consumer, &place, 1, sizeof place, 10000, NULL, &err));
    CHECK(seen.committed == 1);
    OK(samsa_consumer_committed(consumer, &place, 1, sizeof place, 10000, &outcome, &err));
    CHECK(samsa_positions_list(outcome, &list) == 1 && list[0].offset == 5);
    CHECK(list[0].metadata_length == 3 && memcmp(list[0].metadata, "a\0b", 3) == 0);
    samsa_positions_free(outcome);
    place.metadata = "\xff";
    place.metadata_length = 1;
    GIVES(SAMSA_ERR_INVALID_ARGUMENT,
          samsa_consumer_commit(consumer, &place, 1, sizeof place, 10000, NULL, &err));
    GIVES(SAMSA_ERR_INVALID_STATE, samsa_consumer_store(consumer, &place, 0, sizeof place, &err));

    OK(samsa_consumer_close(consumer, 10000, &err));
    CHECK(seen.revoked == 1 && seen.lost == 0 && seen.in_callback == 2);
    samsa_consumer_free(consumer);
}

static void events_hold_what_they_tell(void) {
    const char *const topics[] = {"^on.", "!two"};
    samsa_config *config = member("events");
    samsa_consumer *consumer, *other;
    samsa_membership *membership;
    samsa_positions *said;
    const samsa_position *list;
    struct pollfd poll_fd;
    samsa_event *event;
    samsa_batch *batch;
    intptr_t fd;

    OK(samsa_config_set(config, "samsa.events", "assigned,revoked,lost,committed", &err));
    OK(samsa_consumer_new(cluster, config, &consumer, &err));
    GIVES(SAMSA_NOTHING, samsa_consumer_membership(consumer, &membership, &err));
    OK(samsa_consumer_subscribe(consumer, topics, 2, &err));
    OK(samsa_consumer_subscription(consumer, &said, &err));
    CHECK(samsa_positions_list(said, &list) == 2 && strcmp(list[1].topic, "!two") == 0);
    CHECK(list[0].partition == -1);
    samsa_positions_free(said);

    /* The descriptor tells a step to an event loop. */
    OK(samsa_consumer_fd(consumer, &fd, &err));
    poll_fd.fd = (int)fd;
    poll_fd.events = POLLIN;
    do {
        CHECK(poll(&poll_fd, 1, 20000) == 1);
    } while (samsa_consumer_poll(consumer, 0, &batch, NULL) != SAMSA_EVENT);
    take(consumer, SAMSA_EVENT_ASSIGNED, "one", 1);
    OK(samsa_consumer_membership(consumer, &membership, &err));
    CHECK(strcmp(samsa_membership_group(membership), "events") == 0);
    CHECK(samsa_membership_member(membership)[0] != '\0');
    CHECK(samsa_membership_instance(membership) == NULL);
    CHECK(samsa_membership_generation(membership) >= 1);
    samsa_membership_free(membership);
    OK(samsa_consumer_poll(consumer, 20000, &batch, &err));
    samsa_batch_free(batch);

    /* Another member comes: with eager assignors all is given up, and held until the event is
     * freed. */
    OK(samsa_consumer_new(cluster, config, &other, &err));
    samsa_config_free(config);
    OK(samsa_consumer_subscribe(other, topics, 2, &err));
    GIVES(SAMSA_EVENT, samsa_consumer_poll(consumer, 20000, &batch, &err));
    OK(samsa_consumer_next_event(consumer, &event, &err));
    CHECK(samsa_event_kind(event) == SAMSA_EVENT_REVOKED);
    CHECK(samsa_event_positions(event, &list) == 1 && list[0].offset > 0);
    OK(samsa_consumer_commit(consumer, list, 1, sizeof *list, 10000, NULL, &err));
    GIVES(SAMSA_NOTHING, samsa_consumer_poll(other, 100, &batch, &err));
    samsa_event_free(event);
    GIVES(SAMSA_EVENT, samsa_consumer_poll(consumer, 20000, &batch, &err));
    OK(samsa_consumer_close(other, 10000, &err));
    OK(samsa_consumer_close(consumer, 10000, &err));
    samsa_consumer_free(other);
    samsa_consumer_free(consumer);
}

static void a_topic_is_subscribed_to_in_one_line(void) {
    samsa_topic *topic = open_topic(cluster, "two");
    samsa_consumer *consumer;
    samsa_message *message;
    int64_t offset;

    OK(samsa_topic_subscribe(topic, "line", 20000, &consumer, &err));
    publish("two", 1);
    OK(samsa_consumer_next(consumer, 20000, &message, &err));
    samsa_message_free(message);
    OK(samsa_consumer_unsubscribe(consumer, 10000, &err));
    OK(samsa_embedded_committed(embedded, "line", "two", 0, &offset, &err));
    CHECK(offset == 1);
    OK(samsa_consumer_close(consumer, 10000, &err));
    samsa_consumer_free(consumer);
    samsa_topic_free(topic);
}

static void partitions_are_stopped_and_committed(void) {
    samsa_config *config = member("stop");
    samsa_consumer *consumer;
    samsa_position place;
    samsa_batch *batch;
    int64_t offset;

    OK(samsa_config_set(config, "max.poll.records", "2", &err));
    OK(samsa_consumer_new(cluster, config, &consumer, &err));
    samsa_config_free(config);
    memset(&place, 0, sizeof place);
    place.topic = "one";
    /* Without a membership: the group has no members. */
    OK(samsa_consumer_assign(consumer, &place, 1, sizeof place, &err));
    OK(samsa_consumer_poll(consumer, 20000, &batch, &err));
    samsa_batch_free(batch);
    CHECK(!samsa_consumer_empty(consumer));
    OK(samsa_consumer_stop_partitions(consumer, NULL, 0, 0, 10000, NULL, &err));
    OK(samsa_embedded_committed(embedded, "stop", "one", 0, &offset, &err));
    CHECK(offset == 2);
    GIVES(SAMSA_NOTHING, samsa_consumer_poll(consumer, 50, &batch, &err));
    OK(samsa_consumer_extend(consumer, 1000, &err));
    GIVES(SAMSA_ERR_INVALID_ARGUMENT, samsa_consumer_extend(consumer, -1, &err));
    GIVES(SAMSA_ERR_INVALID_STATE, samsa_consumer_enforce_rebalance(consumer, &err));
    OK(samsa_consumer_close(consumer, 10000, &err));
    samsa_consumer_free(consumer);
}

struct rounds {
    int run, fail;
};

/* Gives every partition to the last member; the first round fails. */
static samsa_code all_to_the_last(samsa_assignment *round, void *user) {
    struct rounds *rounds = user;
    const samsa_assignment_member *members;
    const samsa_assignment_topic *topics;
    size_t i, m = samsa_assignment_members(round, &members),
              n = samsa_assignment_topics(round, &topics);
    int64_t p;

    CHECK(m == 1 && members[0].topics_count == 1 && strcmp(members[0].topics[0], "many") == 0);
    CHECK(members[0].instance == NULL && members[0].id[0] != '\0');
    CHECK(n == 1 && topics[0].partitions == 3);
    rounds->run++;
    if (rounds->fail-- > 0) {
        return SAMSA_ERR_INVALID_STATE;
    }
    for (i = 0; i < n; i++) {
        for (p = 0; p < topics[i].partitions; p++) {
            OK(samsa_assignment_give(round, m - 1, topics[i].name, p, &err));
        }
    }
    GIVES(SAMSA_ERR_INVALID_ARGUMENT, samsa_assignment_give(round, 0, "many", 0, &err));
    GIVES(SAMSA_ERR_INVALID_ARGUMENT, samsa_assignment_give(round, 0, "many", 3, &err));
    GIVES(SAMSA_ERR_INVALID_ARGUMENT, samsa_assignment_give(round, m, "many", 0, &err));
    OK(samsa_assignment_tell(round, 0, "data", 4, &err));
    return SAMSA_OK;
}

static void an_assignor_of_the_program_shares_partitions_out(void) {
    const char *const topics[] = {"many"};
    samsa_config *config = member("assignor");
    struct rounds rounds = {0, 1};
    samsa_positions *assigned;
    samsa_consumer *consumer;
    samsa_batch *batch;
    samsa_code code;
    size_t n = 0;
    int told = 0, i;

    GIVES(SAMSA_ERR_INVALID_ARGUMENT, samsa_config_set_assignor_callback(
                                          config, "range", 0, all_to_the_last, NULL, NULL, &err));
    OK(samsa_config_set_assignor_callback(config, "last", SAMSA_ASSIGNOR_COOPERATIVE,
                                          all_to_the_last, &rounds, NULL, &err));
    OK(samsa_consumer_new(cluster, config, &consumer, &err));
    samsa_config_free(config);
    OK(samsa_consumer_subscribe(consumer, topics, 1, &err));
    for (i = 0; i < 2000 && n < 3; i++) {
        code = samsa_consumer_poll(consumer, 10, &batch, NULL);
        told += code == SAMSA_ERR_INVALID_STATE;
        CHECK(code == SAMSA_NOTHING || code == SAMSA_ERR_INVALID_STATE);
        OK(samsa_consumer_assignment(consumer, &assigned, &err));
        n = samsa_positions_list(assigned, NULL);
        samsa_positions_free(assigned);
    }
    CHECK(n == 3 && told == 1 && rounds.run >= 2);
    OK(samsa_consumer_close(consumer, 10000, &err));
    samsa_consumer_free(consumer);
}

/* A member that says how many partitions it can take. */
struct worker {
    samsa_consumer *consumer;
    char told[16];
    int assignments, partitions, moved;
};

static void look(samsa_consumer *consumer, const samsa_event *event, void *user) {
    struct worker *worker = user;
    samsa_membership *membership;
    const void *told;
    size_t n, length;

    n = samsa_event_positions(event, NULL);
    if (samsa_event_kind(event) != SAMSA_EVENT_ASSIGNED) {
        worker->partitions -= (int)n;
        worker->moved += (int)n;
        return;
    }
    OK(samsa_consumer_membership(consumer, &membership, &err));
    length = samsa_membership_user_data(membership, &told);
    CHECK(length < sizeof worker->told);
    memset(worker->told, 0, sizeof worker->told);
    if (told != NULL) {
        memcpy(worker->told, told, length);
    }
    samsa_membership_free(membership);
    worker->assignments++;
    worker->partitions += (int)n;
}

/* Gives each member as many partitions as the digit says that it begins with, and tells it what it
 * said. */
static samsa_code as_they_wish(samsa_assignment *round, void *user) {
    const samsa_assignment_member *members;
    size_t i, n = samsa_assignment_members(round, &members);
    int64_t next = 0;
    int p, wanted;

    (void)user;
    for (i = 0; i < n; i++) {
        if (members[i].user_data == NULL) {
            CHECK(members[i].user_data_length == 0);
            OK(samsa_assignment_tell(round, i, NULL, 0, &err));
            continue;
        }
        CHECK(members[i].user_data_length > 0);
        wanted = *(const char *)members[i].user_data - '0';
        for (p = 0; p < wanted && next < 3; p++) {
            OK(samsa_assignment_give(round, i, "many", next++, &err));
        }
        OK(samsa_assignment_tell(round, i, members[i].user_data, members[i].user_data_length,
                                 &err));
    }
    GIVES(SAMSA_ERR_INVALID_ARGUMENT, samsa_assignment_tell(round, n, "x", 1, &err));
    return SAMSA_OK;
}

static void hire(struct worker *worker, const char *wish) {
    const char *const topics[] = {"many"};
    samsa_config *config = member("workers");

    memset(worker, 0, sizeof *worker);
    OK(samsa_config_set(config, "partition.assignment.strategy", "cooperative-sticky", &err));
    /* A commit at close would wait for a rebalance, and that for the other one's poll. */
    OK(samsa_config_set(config, "enable.auto.commit", "false", &err));
    OK(samsa_config_set(config, "heartbeat.interval.ms", "20", &err));
    OK(samsa_config_set_assignor_callback(config, "as-they-wish", SAMSA_ASSIGNOR_COOPERATIVE,
                                          as_they_wish, NULL, NULL, &err));
    OK(samsa_config_set_rebalance_callback(config, look, worker, NULL, &err));
    OK(samsa_consumer_new(cluster, config, &worker->consumer, &err));
    samsa_config_free(config);
    if (wish != NULL) {
        OK(samsa_consumer_set_user_data(worker->consumer, wish, strlen(wish), &err));
    }
    OK(samsa_consumer_subscribe(worker->consumer, topics, 1, &err));
}

static void wish_for(struct worker *worker, const char *wish) {
    OK(samsa_consumer_set_user_data(worker->consumer, wish, strlen(wish), &err));
    OK(samsa_consumer_enforce_rebalance(worker->consumer, &err));
}

/* Both poll until they have so many partitions and were told these. */
static void work_until(struct worker *a, const char *told_a, int has_a, struct worker *b,
                       const char *told_b, int has_b) {
    samsa_batch *batch;
    int i;

    for (i = 0; i < 2000; i++) {
        GIVES(SAMSA_NOTHING, samsa_consumer_poll(a->consumer, 5, &batch, &err));
        GIVES(SAMSA_NOTHING, samsa_consumer_poll(b->consumer, 5, &batch, &err));
        if (strcmp(a->told, told_a) == 0 && strcmp(b->told, told_b) == 0 &&
            a->partitions == has_a && b->partitions == has_b) {
            return;
        }
    }
    CHECK(!"the group did not come to this");
}

static void members_say_what_they_wish_and_are_told_what_the_leader_thinks(void) {
    samsa_config *config = member("workers");
    samsa_membership *membership;
    const void *told = "";
    struct worker a, b;
    samsa_consumer *plain;
    int assignments, moved;

    /* Nobody would read it. */
    OK(samsa_consumer_new(cluster, config, &plain, &err));
    GIVES(SAMSA_ERR_INVALID_STATE, samsa_consumer_set_user_data(plain, "1", 1, &err));
    samsa_consumer_free(plain);
    samsa_config_free(config);

    hire(&a, "2");
    hire(&b, NULL);
    GIVES(SAMSA_ERR_INVALID_ARGUMENT, samsa_consumer_set_user_data(b.consumer, NULL, 1, &err));
    work_until(&a, "2", 2, &b, "", 0);
    /* Whoever does not lead says something new: it is heard, and what another has stays where it
     * is. */
    wish_for(&b, "1");
    work_until(&a, "2", 2, &b, "1", 1);
    moved = a.moved;
    assignments = a.assignments;
    /* What changes nothing but the words is told with an assignment of nothing. */
    wish_for(&a, "2 and more");
    work_until(&a, "2 and more", 2, &b, "1", 1);
    CHECK(a.assignments == assignments + 1 && a.moved == moved);
    wish_for(&b, "1 of them");
    work_until(&a, "2 and more", 2, &b, "1 of them", 1);
    CHECK(a.assignments == assignments + 1 && a.moved == moved);

    /* Who is alone is told nothing when it says nothing. */
    OK(samsa_consumer_set_user_data(b.consumer, NULL, 0, &err));
    OK(samsa_consumer_enforce_rebalance(b.consumer, &err));
    work_until(&a, "2 and more", 2, &b, "", 0);
    OK(samsa_consumer_membership(b.consumer, &membership, &err));
    CHECK(samsa_membership_user_data(membership, &told) == 0 && told == NULL);
    CHECK(samsa_membership_user_data(membership, NULL) == 0);
    samsa_membership_free(membership);
    OK(samsa_consumer_close(b.consumer, 10000, &err));
    GIVES(SAMSA_ERR_CLOSED, samsa_consumer_set_user_data(b.consumer, "1", 1, &err));
    OK(samsa_consumer_close(a.consumer, 10000, &err));
    samsa_consumer_free(a.consumer);
    samsa_consumer_free(b.consumer);
}

/* What the coordinator keeps of "from outside" for this partition. */
static int64_t kept(const char *topic, int32_t partition) {
    int64_t offset;

    OK(samsa_embedded_committed(embedded, "from outside", topic, partition, &offset, &err));
    return offset;
}

static void offsets_and_groups_are_deleted_from_outside(void) {
    samsa_config *config = member("from outside");
    const char *const topics[] = {"many"};
    const samsa_position *list;
    samsa_position places[3];
    samsa_positions *outcome;
    samsa_consumer *consumer;
    samsa_batch *batch;
    int i;

    OK(samsa_consumer_new(cluster, config, &consumer, &err));
    samsa_config_free(config);
    memset(places, 0, sizeof places);
    for (i = 0; i < 3; i++) {
        places[i].topic = i == 1 ? "one" : "many";
        places[i].partition = i;
        places[i].offset = 3 + i;
        places[i].flags = SAMSA_POSITION_OFFSET;
    }
    places[1].partition = 0;
    OK(samsa_consumer_commit(consumer, places, 3, sizeof *places, 10000, NULL, &err));
    CHECK(kept("many", 0) == 3 && kept("one", 0) == 4 && kept("many", 2) == 5);

    /* The outcome is in the order asked, which is no other's. */
    OK(samsa_cluster_delete_offsets(cluster, "from outside", places + 1, 2, sizeof *places, 10000,
                                    &outcome, &err));
    CHECK(samsa_positions_list(outcome, &list) == 2);
    CHECK(strcmp(list[0].topic, "one") == 0 && list[0].partition == 0 && list[0].code == SAMSA_OK);
    CHECK(strcmp(list[1].topic, "many") == 0 && list[1].partition == 2 && list[1].code == SAMSA_OK);
    samsa_positions_free(outcome);
    CHECK(kept("many", 0) == 3 && kept("one", 0) == -1 && kept("many", 2) == -1);

    /* Each partition has its own code: no coordinator knows the second. */
    places[1].partition = INT64_C(1) << 31;
    OK(samsa_consumer_commit(consumer, places + 2, 1, sizeof *places, 10000, NULL, &err));
    GIVES(SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION,
          samsa_cluster_delete_offsets(cluster, "from outside", places, 3, sizeof *places, 10000,
                                       &outcome, &err));
    CHECK(samsa_positions_list(outcome, &list) == 3 && list[1].partition == INT64_C(1) << 31);
    CHECK(list[0].code == SAMSA_OK && list[2].code == SAMSA_OK);
    CHECK(list[1].code == SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION);
    samsa_positions_free(outcome);
    CHECK(kept("many", 0) == -1 && kept("many", 2) == -1);
    places[1].partition = 0;

    OK(samsa_consumer_commit(consumer, places, 3, sizeof *places, 10000, NULL, &err));
    OK(samsa_consumer_subscribe(consumer, topics, 1, &err));
    do {
        CHECK(samsa_consumer_poll(consumer, 10, &batch, NULL) == SAMSA_NOTHING);
        OK(samsa_consumer_assignment(consumer, &outcome, &err));
        i = (int)samsa_positions_list(outcome, NULL);
        samsa_positions_free(outcome);
    } while (i < 3);
    GIVES(SAMSA_ERR_GROUP_SUBSCRIBED_TO_TOPIC,
          samsa_cluster_delete_offsets(cluster, "from outside", places, 1, sizeof *places, 10000,
                                       &outcome, &err));
    CHECK(samsa_positions_list(outcome, &list) == 1);
    CHECK(list[0].code == SAMSA_ERR_GROUP_SUBSCRIBED_TO_TOPIC);
    samsa_positions_free(outcome);
    CHECK(kept("many", 0) == 3);

    GIVES(SAMSA_ERR_NON_EMPTY_GROUP,
          samsa_cluster_delete_group(cluster, "from outside", 10000, &err));
    OK(samsa_consumer_close(consumer, 10000, &err));
    samsa_consumer_free(consumer);
    OK(samsa_cluster_delete_group(cluster, "from outside", 10000, &err));
    CHECK(kept("many", 0) == -1 && kept("many", 2) == -1);
    GIVES(SAMSA_ERR_GROUP_ID_NOT_FOUND,
          samsa_cluster_delete_group(cluster, "from outside", 10000, &err));
    GIVES(SAMSA_ERR_GROUP_ID_NOT_FOUND,
          samsa_cluster_delete_offsets(cluster, "from outside", places, 1, sizeof *places, 10000,
                                       NULL, &err));
}

int main(void) {
    OK(samsa_embedded_start(1, &embedded, &err));
    OK(samsa_embedded_set(embedded, "group.initial.rebalance.delay.ms", "0", &err));
    OK(samsa_embedded_create_topic(embedded, "one", 1, &err));
    OK(samsa_embedded_create_topic(embedded, "two", 1, &err));
    OK(samsa_embedded_create_topic(embedded, "many", 3, &err));
    cluster = open_cluster(samsa_embedded_address(embedded));
    publish("one", 6);
    callbacks_run_inside_polls_and_may_seek_and_commit();
    events_hold_what_they_tell();
    a_topic_is_subscribed_to_in_one_line();
    partitions_are_stopped_and_committed();
    an_assignor_of_the_program_shares_partitions_out();
    members_say_what_they_wish_and_are_told_what_the_leader_thinks();
    offsets_and_groups_are_deleted_from_outside();
    OK(samsa_cluster_close(cluster, 10000, &err));
    samsa_cluster_free(cluster);
    samsa_embedded_free(embedded);
    puts("groups: ok");
    return 0;
}
