/* libsamsa's side of the bench: the same work as bench/librdkafka, by the C API.
 *
 * samsa produce|consume BOOTSTRAP TOPIC COUNT SIZE [CALL] prints one JSON object.
 * CALL: send (default), send_batch; poll (default), next. */
#define _POSIX_C_SOURCE 200809L
#include "../examples-c/options.h"

#include <inttypes.h>
#include <sys/resource.h>
#include <time.h>

enum { PAYLOADS = 1024, LARGEST = 65536, BATCH = 1000 };

static char payloads[PAYLOADS][LARGEST];
static uint64_t delivered, failed;

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double wall_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void take_outcomes(samsa_producer *producer, int32_t timeout_ms) {
    samsa_error *error = NULL;
    samsa_deliveries *deliveries = NULL;
    samsa_code code = samsa_producer_poll(producer, timeout_ms, &deliveries, &error);
    check(code, &error);
    const samsa_delivery *list = NULL;
    size_t count = samsa_deliveries_list(deliveries, &list);
    for (size_t i = 0; i < count; i++) {
        if (list[i].code == 0)
            delivered++;
        else
            failed++;
    }
    samsa_deliveries_free(deliveries);
}

static void send_one(samsa_producer *producer, const samsa_record *record) {
    samsa_error *error = NULL;
    while (samsa_producer_send(producer, record, sizeof *record, 0, &error) != 0) {
        samsa_error_free(error);
        take_outcomes(producer, 1);
    }
}

static void send_many(samsa_producer *producer, const samsa_record *records, size_t count) {
    while (count > 0) {
        samsa_error *error = NULL;
        size_t accepted = 0;
        samsa_code code = samsa_producer_send_batch(producer, records, count, sizeof *records, 0,
                                                    &accepted, &error);
        samsa_error_free(error);
        records += accepted;
        count -= accepted;
        if (code != 0)
            take_outcomes(producer, 1);
    }
}

static void produce(samsa_cluster *cluster, samsa_topic *topic, uint64_t count, uint32_t size,
                    int batch) {
    samsa_error *error = NULL;
    samsa_producer *producer = NULL;
    samsa_code code = samsa_producer_new(cluster, NULL, &producer, &error);
    check(code, &error);
    static samsa_record records[BATCH];
    for (uint64_t i = 0; i < count;) {
        size_t n = batch ? BATCH : 1;
        if (n > count - i)
            n = (size_t)(count - i);
        for (size_t j = 0; j < n; j++) {
            records[j].topic = topic;
            records[j].value = payloads[(i + j) % PAYLOADS];
            records[j].value_length = size;
        }
        if (batch)
            send_many(producer, records, n);
        else
            send_one(producer, records);
        i += n;
        if (i % 1024 < n)
            take_outcomes(producer, 0);
    }
    while (delivered + failed < count)
        take_outcomes(producer, 1000);
    if (failed > 0) {
        fprintf(stderr, "%" PRIu64 " of %" PRIu64 " failed\n", failed, count);
        exit(1);
    }
    samsa_producer_free(producer);
}

static uint64_t poll_batch(samsa_consumer *consumer) {
    samsa_error *error = NULL;
    samsa_batch *batch = NULL;
    samsa_code code = samsa_consumer_poll(consumer, 1000, &batch, &error);
    check(code, &error);
    const samsa_message_view *views = NULL;
    size_t count = samsa_batch_messages(batch, &views);
    samsa_batch_free(batch);
    return count;
}

static uint64_t poll_next(samsa_consumer *consumer) {
    samsa_error *error = NULL;
    samsa_message *message = NULL;
    samsa_code code = samsa_consumer_next(consumer, 1000, &message, &error);
    check(code, &error);
    samsa_message_free(message);
    return message != NULL;
}

int main(int argc, char **argv) {
    if (argc < 6) {
        fprintf(stderr, "usage: samsa produce|consume BOOTSTRAP TOPIC COUNT SIZE [CALL]\n");
        return 2;
    }
    int producing = strcmp(argv[1], "produce") == 0;
    uint64_t count = strtoull(argv[4], NULL, 10);
    uint32_t size = (uint32_t)strtoul(argv[5], NULL, 10);
    const char *call = argc > 6 ? argv[6] : producing ? "send" : "poll";
    char bootstrap[512];
    snprintf(bootstrap, sizeof bootstrap, "bootstrap.servers=%s", argv[2]);
    char *options[] = {bootstrap, NULL};
    /* The same batches, linger and outcomes as the other side. */
    static const char *const defaults[] = {
        "batch.size=1000000",         "linger.ms=5", "acks=all", "max.poll.records=1000",
        "auto.offset.reset=earliest", NULL};
    for (size_t i = 0; i < PAYLOADS; i++)
        for (size_t j = 0; j < size && j < LARGEST; j++)
            payloads[i][j] = (char)('a' + (i * 31 + j * 7) % 26);

    samsa_error *error = NULL;
    samsa_topic *topic = NULL;
    samsa_cluster *cluster = open_cluster(options, defaults);
    samsa_code code = samsa_cluster_topic(cluster, argv[3], &topic, &error);
    check(code, &error);
    double cpu = 0, wall = 0;
    if (producing) {
        int64_t partition, offset; /* connects, and makes the topic known */
        code = samsa_topic_publish(topic, NULL, 0, "warm", 4, 10000, &partition, &offset, &error);
        check(code, &error);
        cpu = cpu_seconds(), wall = wall_seconds();
        produce(cluster, topic, count, size, strcmp(call, "send_batch") == 0);
    } else {
        samsa_consumer *consumer = NULL;
        code = samsa_topic_subscribe(topic, NULL, 10000, &consumer, &error);
        check(code, &error);
        int one_by_one = strcmp(call, "next") == 0;
        for (uint64_t seen = 0; seen < count;) {
            uint64_t got = one_by_one ? poll_next(consumer) : poll_batch(consumer);
            if (seen == 0)
                cpu = cpu_seconds(), wall = wall_seconds();
            seen += got;
        }
        cpu = cpu_seconds() - cpu, wall = wall_seconds() - wall;
        samsa_consumer_free(consumer);
    }
    if (producing)
        cpu = cpu_seconds() - cpu, wall = wall_seconds() - wall;
    printf("{\"client\":\"samsa\",\"version\":\"%s\",\"broker\":\"embedded\",\"case\":\"%s %" PRIu32
           " B\",\"call\":\"%s\",\"cpu_ns\":%.1f,\"per_second\":%.0f}\n",
           samsa_version(), argv[1], size, call, cpu * 1e9 / (double)count, (double)count / wall);
    samsa_topic_free(topic);
    samsa_cluster_free(cluster);
    return 0;
}
