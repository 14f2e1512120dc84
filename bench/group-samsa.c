/* Members of a group by libsamsa; see group.h. */
#define _GNU_SOURCE
#include "group.h"

#include <samsa.h>

static void check(samsa_code code, samsa_error *error) {
    if (samsa_code_is_error(code))
        fail(samsa_error_message(error));
}

static void set(samsa_config *config, const char *name, const char *value) {
    samsa_error *error = NULL;
    samsa_code code = samsa_config_set(config, name, value, &error);
    check(code, error);
}

static samsa_cluster *open_cluster(void) {
    samsa_error *error = NULL;
    samsa_cluster *cluster = NULL;
    samsa_config *config = samsa_config_new();
    set(config, "bootstrap.servers", settings.bootstrap);
    set(config, "group.id", "bench");
    set(config, "partition.assignment.strategy", settings.assignor);
    set(config, "heartbeat.interval.ms", settings.heartbeat_ms);
    set(config, "fetch.max.wait.ms", "500");
    samsa_code code = samsa_cluster_open(config, 10000, &cluster, &error);
    check(code, error);
    samsa_config_free(config);
    return cluster;
}

static void on_rebalance(samsa_consumer *consumer, const samsa_event *event, void *user) {
    struct member *member = user;
    int number = (int)samsa_event_positions(event, NULL);
    (void)consumer;
    bool assigned = samsa_event_kind(event) == SAMSA_EVENT_ASSIGNED;
    atomic_fetch_add(&member->owned, assigned ? number : -number);
}

static void run_member(struct member *member) {
    samsa_error *error = NULL;
    samsa_consumer *consumer = NULL;
    /* A handle of its own, as librdkafka's members have: no connection is shared. */
    samsa_cluster *cluster = open_cluster();
    samsa_config *config = samsa_config_new();
    samsa_code code =
        samsa_config_set_rebalance_callback(config, on_rebalance, member, NULL, &error);
    check(code, error);
    code = samsa_consumer_new(cluster, config, &consumer, &error);
    check(code, error);
    samsa_config_free(config);
    code = samsa_consumer_subscribe(consumer, &settings.topic, 1, &error);
    check(code, error);
    while (!atomic_load(&member->stop)) {
        samsa_message *message = NULL;
        code = samsa_consumer_next(consumer, settings.poll_ms, &message, &error);
        check(code, error);
        samsa_message_free(message);
    }
    samsa_consumer_close(consumer, 10000, NULL);
    samsa_consumer_free(consumer);
    samsa_cluster_close(cluster, 10000, NULL);
    samsa_cluster_free(cluster);
}
