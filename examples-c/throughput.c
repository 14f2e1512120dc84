/* throughput TOPIC [name=value]...
 *
 * Sends 500,000 messages of 100 bytes without waiting for each, then reads as many back in batches.
 * Prints counts and rates. */
#define _POSIX_C_SOURCE 200809L
#include "options.h"

#include <inttypes.h>
#include <time.h>

enum { COUNT = 500000, SIZE = 100 };

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void rate(const char *what, double since) {
    double spent = seconds() - since;
    printf("%s %d messages of %d bytes in %.2f s: %.0f a second\n", what, COUNT, SIZE, spent,
           COUNT / spent);
}

/* One entry for each record whose outcome is known; the first failure ends the program. */
static size_t take_outcomes(samsa_producer *producer, int32_t timeout_ms) {
    samsa_error *error = NULL;
    samsa_deliveries *deliveries = NULL;
    const samsa_delivery *list = NULL;
    samsa_code code = samsa_producer_poll(producer, timeout_ms, &deliveries, &error);
    check(code, &error);
    size_t count = samsa_deliveries_list(deliveries, &list);
    for (size_t i = 0; i < count; i++) {
        if (list[i].code != 0) {
            error = samsa_deliveries_error(deliveries, i);
            fprintf(stderr, "%s\n", samsa_error_message(error));
            samsa_error_free(error);
            samsa_deliveries_free(deliveries);
            exit(1);
        }
    }
    samsa_deliveries_free(deliveries);
    return count;
}

static void produce(samsa_cluster *cluster, samsa_topic *topic) {
    char value[SIZE];
    samsa_error *error = NULL;
    samsa_producer *producer = NULL;
    samsa_record record = {0};
    uint64_t failed = 0;
    samsa_code code = samsa_producer_new(cluster, NULL, &producer, &error);
    check(code, &error);
    memset(value, 'x', sizeof value);
    record.topic = topic;
    record.value = value;
    record.value_length = sizeof value;
    double start = seconds();
    for (int sent = 0; sent < COUNT;) {
        code = samsa_producer_send(producer, &record, sizeof record, 1000, &error);
        if (code == 0) {
            sent++;
            continue;
        }
        if (code != SAMSA_ERR_UNREAD_DELIVERIES)
            check(code, &error);
        samsa_error_free(error); /* outcomes fill the buffer: read them */
        error = NULL;
        take_outcomes(producer, 0);
    }
    /* Every record has its outcome then, whatever samsa.delivery.report has told of them. */
    code = samsa_producer_flush(producer, -1, &failed, &error);
    check(code, &error);
    while (take_outcomes(producer, 0) > 0) {
    }
    if (failed > 0) {
        fprintf(stderr, "%" PRIu64 " records failed\n", failed);
        exit(1);
    }
    rate("produced", start);
    code = samsa_producer_close(producer, 5000, &error);
    check(code, &error);
    samsa_producer_free(producer);
}

static void consume(samsa_topic *topic) {
    samsa_error *error = NULL;
    samsa_consumer *consumer = NULL;
    samsa_code code = samsa_topic_subscribe(topic, NULL, 10000, &consumer, &error);
    check(code, &error);
    double start = seconds();
    for (size_t seen = 0; seen < COUNT;) {
        samsa_batch *batch = NULL;
        const samsa_message_view *messages = NULL;
        code = samsa_consumer_poll(consumer, 10000, &batch, &error);
        check(code, &error);
        if (code ==
            SAMSA_NOTHING) { /* with auto.offset.reset=latest, or when retention was faster */
            fprintf(stderr, "only %zu messages are there to be read\n", seen);
            exit(1);
        }
        seen += samsa_batch_messages(batch,
                                     &messages); /* views into the batch, valid until it is freed */
        samsa_batch_free(batch);
    }
    rate("consumed", start);
    samsa_consumer_free(consumer);
}

int main(int argc, char **argv) {
    static const char *const defaults[] = {"auto.offset.reset=earliest", "batch.size=131072", NULL};
    if (argc < 2) {
        fprintf(stderr, "usage: throughput TOPIC [name=value]...\n");
        return 2;
    }
    samsa_error *error = NULL;
    samsa_topic *topic = NULL;
    samsa_cluster *cluster = open_cluster(argv + 2, defaults);
    samsa_code code = samsa_cluster_topic(cluster, argv[1], &topic, &error);
    check(code, &error);
    produce(cluster, topic);
    consume(topic);
    samsa_topic_free(topic);
    code = samsa_cluster_close(cluster, 5000, &error);
    check(code, &error);
    samsa_cluster_free(cluster);
    return 0;
}
