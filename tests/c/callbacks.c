/* Application callbacks run inside poll-like calls of their handle, and what they may not do is
 * told. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <time.h>

#include "check.h"

static samsa_embedded *embedded;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

struct seen {
    int deliveries, changes, released, in_callback, allowed;
    samsa_topic *topic, *unknown;
};

static void on_release(void *user) {
    /* On any thread: what held the callback last may have been a task that ends after free. */
    pthread_mutex_lock(&lock);
    ((struct seen *)user)->released++;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void wait_for_releases(struct seen *seen, int count) {
    struct timespec limit;

    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 20;
    pthread_mutex_lock(&lock);
    while (seen->released < count) {
        CHECK(pthread_cond_timedwait(&changed, &lock, &limit) == 0);
    }
    CHECK(seen->released == count);
    pthread_mutex_unlock(&lock);
}

/* Without it a thread that loses its processor at the wrong place finds the topic known. */
static void hold_look_ups(void) {
    samsa_fault fault;

    memset(&fault, 0, sizeof fault);
    fault.struct_size = sizeof fault;
    fault.api = "Metadata";
    fault.topic = "never-looked-up";
    fault.kind = SAMSA_FAULT_DELAY;
    fault.delay_ms = 1000;
    fault.times = UINT32_MAX;
    OK(samsa_embedded_inject(embedded, &fault, NULL, &err));
}

static void on_delivery(samsa_producer *producer, const samsa_deliveries *deliveries, void *user) {
    struct seen *seen = user;
    const samsa_delivery *list;
    samsa_deliveries *more;
    samsa_record record;
    size_t i, n = samsa_deliveries_list(deliveries, &list);

    for (i = 0; i < n; i++) {
        CHECK(list[i].code == SAMSA_OK && list[i].opaque == &seen->topic);
        seen->deliveries++;
    }
    /* Its own poll-like calls and its free are refused; everything else goes. */
    GIVES(SAMSA_ERR_IN_CALLBACK, samsa_producer_poll(producer, 0, &more, &err));
    GIVES(SAMSA_ERR_IN_CALLBACK, samsa_producer_flush(producer, 0, NULL, &err));
    GIVES(SAMSA_ERR_IN_CALLBACK, samsa_producer_close(producer, 0, &err));
    samsa_producer_free(producer);
    seen->in_callback++;
    if (seen->allowed == 0) {
        seen->allowed = 1;
        memset(&record, 0, sizeof record);
        record.topic = seen->topic;
        record.opaque = &seen->topic;
        OK(samsa_producer_send(producer, &record, sizeof record, 0, &err));
        /* Nothing waits in here: this topic must be looked up first, and the answer is held back.
         */
        hold_look_ups();
        record.topic = seen->unknown;
        GIVES(SAMSA_WOULD_BLOCK, samsa_producer_send(producer, &record, sizeof record, -1, &err));
    }
}

static void on_change(samsa_cluster *cluster, const samsa_event *event, void *user) {
    struct seen *seen = user;
    samsa_event *more;

    CHECK(samsa_event_kind(event) != SAMSA_EVENT_NONE);
    GIVES(SAMSA_ERR_IN_CALLBACK, samsa_cluster_next_event(cluster, 0, &more, &err));
    samsa_cluster_free(cluster);
    seen->changes++;
}

/* Chooses by the key's first byte; leaves records without a key alone. */
static int64_t choose(const char *topic, size_t topic_length, const void *key, size_t key_length,
                      const void *value, size_t value_length, int64_t partitions, void *user) {
    CHECK(topic_length == 9 && memcmp(topic, "callbacks", 9) == 0 && partitions == 3);
    CHECK((value == NULL) == (value_length == 0));
    (*(int *)user)++;
    return key_length == 0 ? -1 : *(const char *)key - '0';
}

/* A release function may use the configuration whose callback is replaced: no lock is held. */
static void release_and_set(void *config) {
    OK(samsa_config_set(config, "client.id", "released", &err));
}

static void a_replaced_callback_is_released_without_a_lock(void) {
    samsa_config *config = samsa_config_new();
    char *id;

    OK(samsa_config_set_delivery_callback(config, NULL, config, release_and_set, &err));
    OK(samsa_config_set_delivery_callback(config, NULL, NULL, NULL, &err));
    OK(samsa_config_get(config, "client.id", &id, &err));
    CHECK(strcmp(id, "released") == 0);
    samsa_string_free(id);
    samsa_config_free(config);
}

/* One that takes the callback back has no use for its pointer. */
static void what_is_never_called_is_released_at_once(void) {
    samsa_config *config = samsa_config_new();
    struct seen seen;

    memset(&seen, 0, sizeof seen);
    OK(samsa_config_set_log_callback(config, NULL, &seen, on_release, &err));
    wait_for_releases(&seen, 1);
    samsa_config_free(config);
    CHECK(seen.released == 1);
}

static void a_partitioner_chooses(const char *address) {
    samsa_config *config = samsa_config_new();
    samsa_cluster *cluster;
    samsa_topic *topic;
    int64_t partition;
    int asked = 0;

    OK(samsa_config_set(config, "bootstrap.servers", address, &err));
    OK(samsa_config_set_partitioner_callback(config, choose, &asked, NULL, &err));
    OK(samsa_cluster_open(config, 10000, &cluster, &err));
    samsa_config_free(config);
    topic = open_topic(cluster, "callbacks");
    OK(samsa_topic_publish(topic, "2", 1, NULL, 0, 10000, &partition, NULL, &err));
    CHECK(partition == 2 && asked == 1);
    OK(samsa_topic_publish(topic, "1", 1, "v", 1, 10000, &partition, NULL, &err));
    CHECK(partition == 1);
    OK(samsa_topic_publish(topic, NULL, 0, "v", 1, 10000, &partition, NULL, &err));
    CHECK(partition >= 0 && asked >= 3);
    GIVES(SAMSA_ERR_INVALID_ARGUMENT,
          samsa_topic_publish(topic, "7", 1, "v", 1, 10000, &partition, NULL, &err));
    CHECK(partition == -1);
    samsa_topic_free(topic);
    OK(samsa_cluster_close(cluster, 10000, &err));
    samsa_cluster_free(cluster);
}

static void on_log(const samsa_log *log, void *user) {
    CHECK(samsa_log_level(log) >= SAMSA_LOG_ERROR && samsa_log_level(log) <= SAMSA_LOG_DEBUG);
    CHECK(samsa_log_message(log) != NULL && samsa_log_facility(log) != NULL);
    CHECK(samsa_log_time(log) > 0);
    (void)user;
}

int main(void) {
    struct seen seen;
    samsa_config *config = samsa_config_new();
    samsa_cluster *cluster;
    samsa_producer *producer;
    samsa_deliveries *deliveries = (samsa_deliveries *)&seen;
    samsa_event *event = (samsa_event *)&seen;
    samsa_record record;
    int i;

    memset(&seen, 0, sizeof seen);
    OK(samsa_embedded_start(1, &embedded, &err));
    OK(samsa_embedded_create_topic(embedded, "callbacks", 3, &err));
    OK(samsa_config_set(config, "bootstrap.servers", samsa_embedded_address(embedded), &err));
    OK(samsa_config_set(config, "samsa.log.level", "debug", &err));
    OK(samsa_config_set_log_callback(config, on_log, &seen, NULL, &err));
    OK(samsa_config_set_delivery_callback(config, on_delivery, &seen, on_release, &err));
    OK(samsa_config_set_cluster_callback(config, on_change, &seen, on_release, &err));
    OK(samsa_cluster_open(config, 10000, &cluster, &err));
    samsa_config_free(config);
    CHECK(seen.released == 0);
    seen.topic = open_topic(cluster, "callbacks");
    seen.unknown = open_topic(cluster, "never-looked-up");

    /* The producer inherits the callback; with one, poll gives 0 and NULL. */
    OK(samsa_producer_new(cluster, NULL, &producer, &err));
    memset(&record, 0, sizeof record);
    record.topic = seen.topic;
    record.opaque = &seen.topic;
    OK(samsa_producer_send(producer, &record, sizeof record, 10000, &err));
    CHECK(seen.deliveries == 0);
    for (i = 0; i < 100 && seen.deliveries < 2; i++) {
        OK(samsa_producer_poll(producer, 10000, &deliveries, &err));
        CHECK(deliveries == NULL);
    }
    CHECK(seen.deliveries == 2 && seen.in_callback > 0 && seen.allowed == 1);

    /* What is known from open on is told as changes. */
    OK(samsa_cluster_next_event(cluster, 10000, &event, &err));
    CHECK(event == NULL && seen.changes > 0);

    OK(samsa_cluster_close(cluster, 10000, &err));
    samsa_producer_free(producer);
    samsa_topic_free(seen.topic);
    samsa_topic_free(seen.unknown);
    samsa_cluster_free(cluster);
    wait_for_releases(&seen, 2);
    a_replaced_callback_is_released_without_a_lock();
    what_is_never_called_is_released_at_once();
    a_partitioner_chooses(samsa_embedded_address(embedded));
    samsa_embedded_free(embedded);
    puts("callbacks: ok");
    return 0;
}
