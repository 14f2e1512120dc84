/* Members of a group by librdkafka; see group.h. */
#define _GNU_SOURCE
#include "group.h"

#include <librdkafka/rdkafka.h>

static void on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t what,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque) {
    struct member *member = opaque;
    bool assigned = what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    bool in_steps = strcmp(rd_kafka_rebalance_protocol(client), "COOPERATIVE") == 0;
    if (in_steps) {
        rd_kafka_error_t *error = assigned ? rd_kafka_incremental_assign(client, partitions)
                                           : rd_kafka_incremental_unassign(client, partitions);
        if (error != NULL)
            fail(rd_kafka_error_string(error));
    } else {
        rd_kafka_assign(client, assigned ? partitions : NULL);
    }
    atomic_fetch_add(&member->owned, assigned ? partitions->cnt : -partitions->cnt);
}

static void set(rd_kafka_conf_t *config, const char *name, const char *value) {
    char text[512];
    if (rd_kafka_conf_set(config, name, value, text, sizeof text) != RD_KAFKA_CONF_OK)
        fail(text);
}

static void run_member(struct member *member) {
    char text[512];
    rd_kafka_conf_t *config = rd_kafka_conf_new();
    set(config, "bootstrap.servers", settings.bootstrap);
    set(config, "group.id", "bench");
    set(config, "partition.assignment.strategy", settings.assignor);
    set(config, "heartbeat.interval.ms", settings.heartbeat_ms);
    set(config, "fetch.wait.max.ms", "500");
    set(config, "log_level", "3");
    rd_kafka_conf_set_rebalance_cb(config, on_rebalance);
    rd_kafka_conf_set_opaque(config, member);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, config, text, sizeof text);
    if (client == NULL)
        fail(text);
    rd_kafka_poll_set_consumer(client);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, settings.topic, RD_KAFKA_PARTITION_UA);
    if (rd_kafka_subscribe(client, topics) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail("subscribe");
    rd_kafka_topic_partition_list_destroy(topics);
    while (!atomic_load(&member->stop)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client, settings.poll_ms);
        if (message != NULL)
            rd_kafka_message_destroy(message);
    }
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
}
