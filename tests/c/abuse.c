/* Every function, called wrongly in every way its prototype allows: codes, never an abort.
 * The calls are generated (abuse.py) from the headers, checked against the exported symbols. */
#include <stdint.h>

#include "check.h"

static struct {
    samsa_config *config;
    samsa_cluster *cluster;
    samsa_topic *topic;
    samsa_producer *producer;
    samsa_consumer *consumer;
    samsa_deliveries *deliveries;
    samsa_message *message;
    samsa_batch *batch;
    samsa_brokers *brokers;
    samsa_groups *groups;
    samsa_group *group; /* none: nobody joined one */
    samsa_topics *topics;
    samsa_partitions *partitions;
    samsa_positions *positions;
    samsa_event *event;
    samsa_embedded *embedded;
    samsa_embedded_members *embedded_members;
    samsa_embedded_zookeeper *embedded_zookeeper;
    samsa_error *error;
    samsa_log *log;               /* lives only in a log callback */
    samsa_assignment *assignment; /* lives only in an assignor callback */
    samsa_membership *membership; /* of a member of a group: tests/c/groups.c */
} live, closed;

static int sentinel; /* what out-parameters hold before a call: never freed, never kept */
static int calls;
static samsa_position position, time_position;
static const char *const topic_names[] = {"abuse"};
static samsa_record record, untold; /* untold: names no topic */
static samsa_packed packed;
static samsa_columns columns;
static samsa_message_view view;
static samsa_new_topic new_topic;
static samsa_fault fault;

static void check_abuse(const char *function, const char *what, samsa_code code,
                        const samsa_code *wanted, size_t count) {
    size_t i;
    int found = count == 0;

    calls++;
    for (i = 0; i < count; i++) {
        found = found || code == wanted[i];
    }
    if (!found || (strcmp(what, "no err") != 0 && strcmp(what, "err NULL") != 0 &&
                   (err != NULL) != samsa_code_is_error(code))) {
        fprintf(stderr, "%s, %s: %s, err %s\n", function, what, samsa_code_name(code),
                samsa_error_message(err));
        exit(1);
    }
    samsa_error_free(err);
    err = NULL;
}

static void check_out(const char *function, const char *what, int right) {
    calls++;
    if (!right) {
        fprintf(stderr, "%s, %s: an out-parameter or a result is not neutral\n", function, what);
        exit(1);
    }
}

#include "abuse_cases.h"

static void publish(samsa_topic *topic, int n) {
    int i;

    for (i = 0; i < n; i++) {
        OK(samsa_topic_publish(topic, "k", 1, "v", 1, 10000, NULL, NULL, &err));
    }
}

static void fill_structs(void) {
    memset(&position, 0, sizeof position);
    position.topic = "abuse";
    position.offset = SAMSA_EARLIEST;
    position.flags = SAMSA_POSITION_OFFSET;
    time_position = position;
    time_position.flags = SAMSA_POSITION_TIME;
    memset(&record, 0, sizeof record);
    record.topic = live.topic;
    memset(&packed, 0, sizeof packed);
    packed.struct_size = sizeof packed;
    packed.topic = live.topic;
    memset(&columns, 0, sizeof columns);
    columns.struct_size = sizeof columns;
    memset(&new_topic, 0, sizeof new_topic);
    new_topic.struct_size = sizeof new_topic;
    new_topic.name = "new";
    memset(&fault, 0, sizeof fault);
    fault.struct_size = sizeof fault;
    fault.kind = SAMSA_FAULT_DELAY;
    fault.api = "Heartbeat"; /* never asked here */
}

static void make_live(void) {
    OK(samsa_embedded_start(1, &live.embedded, &err));
    OK(samsa_embedded_create_topic(live.embedded, "abuse", 1, &err));
    OK(samsa_embedded_group_members(live.embedded, "abuse", &live.embedded_members, &err));
    OK(samsa_embedded_zookeeper_start(&live.embedded_zookeeper, &err));
    live.config = samsa_config_new();
    GIVES(SAMSA_ERR_UNKNOWN_PROPERTY, samsa_config_set(live.config, "no.such", "x", &err));
    CHECK(samsa_config_set(live.config, "no.such", "x", &live.error) != 0);
    live.cluster = open_cluster(samsa_embedded_address(live.embedded));
    live.topic = open_topic(live.cluster, "abuse");
    fill_structs();
    publish(live.topic, 3);
    OK(samsa_producer_new(live.cluster, NULL, &live.producer, &err));
    OK(samsa_producer_send(live.producer, &record, sizeof record, 10000, &err));
    OK(samsa_producer_flush(live.producer, 10000, NULL, &err));
    OK(samsa_producer_poll(live.producer, 10000, &live.deliveries, &err));
    OK(samsa_consumer_new(live.cluster, NULL, &live.consumer, &err));
    OK(samsa_consumer_assign(live.consumer, &position, 1, sizeof position, &err));
    OK(samsa_consumer_next(live.consumer, 10000, &live.message, &err));
    OK(samsa_consumer_poll(live.consumer, 10000, &live.batch, &err));
    OK(samsa_consumer_assignment(live.consumer, &live.positions, &err));
    OK(samsa_cluster_brokers(live.cluster, &live.brokers, &err));
    OK(samsa_cluster_groups(live.cluster, 10000, &live.groups, &err));
    OK(samsa_cluster_topics(live.cluster, 10000, &live.topics, &err));
    OK(samsa_topic_partitions(live.topic, 10000, &live.partitions, &err));
    OK(samsa_cluster_next_event(live.cluster, 10000, &live.event, &err));
}

static void make_closed(void) {
    samsa_event *event;

    closed.cluster = open_cluster(samsa_embedded_address(live.embedded));
    closed.topic = open_topic(closed.cluster, "abuse");
    publish(closed.topic, 1);
    OK(samsa_producer_new(closed.cluster, NULL, &closed.producer, &err));
    OK(samsa_consumer_new(closed.cluster, NULL, &closed.consumer, &err));
    OK(samsa_consumer_close(closed.consumer, 10000, &err));
    OK(samsa_producer_close(closed.producer, 10000, &err));
    OK(samsa_cluster_close(closed.cluster, 10000, &err));
    /* What came before the close can still be read; then it is CLOSED at once. */
    while (samsa_cluster_next_event(closed.cluster, -1, &event, NULL) == SAMSA_OK) {
        samsa_event_free(event);
    }
}

int main(void) {
    make_live();
    make_closed();
    abuse_all();
    /* All of that broke nothing. */
    publish(live.topic, 1);
    samsa_event_free(live.event);
    samsa_partitions_free(live.partitions);
    samsa_topics_free(live.topics);
    samsa_brokers_free(live.brokers);
    samsa_groups_free(live.groups);
    samsa_positions_free(live.positions);
    samsa_batch_free(live.batch);
    samsa_message_free(live.message);
    samsa_deliveries_free(live.deliveries);
    /* Parents before children: every order is right. */
    samsa_cluster_free(live.cluster);
    samsa_cluster_free(closed.cluster);
    samsa_consumer_free(live.consumer);
    samsa_consumer_free(closed.consumer);
    samsa_producer_free(live.producer);
    samsa_producer_free(closed.producer);
    samsa_topic_free(live.topic);
    samsa_topic_free(closed.topic);
    samsa_config_free(live.config);
    samsa_error_free(live.error);
    samsa_embedded_members_free(live.embedded_members);
    samsa_embedded_zookeeper_free(live.embedded_zookeeper);
    samsa_embedded_free(live.embedded);
    printf("abuse: %d wrong calls: ok\n", calls);
    return 0;
}
