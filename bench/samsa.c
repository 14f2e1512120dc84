/* libsamsa's side of the bench: the same work as the other programs here, by the C API.
 *
 * samsa produce|consume|latency|idle-producer|idle-consumer|idle-both [NAME=VALUE]...
 * call: send, send_batch, send_packed; poll, next. */
#define _GNU_SOURCE
#include "../examples-c/options.h"
#include "measure.h"

static const char CLIENT[] = "samsa";

struct outcomes {
    uint64_t delivered;
    uint64_t failed;
};

/* Takes the outcomes that are there, waiting at most so long for the first; false: there are none.
 */
static bool take_outcomes(samsa_producer *producer, int32_t timeout_ms, struct outcomes *outcomes,
                          struct latency *plan) {
    samsa_error *error = NULL;
    samsa_deliveries *deliveries = NULL;
    samsa_code code = samsa_producer_poll(producer, timeout_ms, &deliveries, &error);
    check(code, &error);
    const samsa_delivery *list = NULL;
    size_t count = samsa_deliveries_list(deliveries, &list);
    for (size_t i = 0; i < count; i++) {
        if (list[i].code == 0)
            outcomes->delivered++;
        else
            outcomes->failed++;
        if (plan != NULL)
            note_acknowledged(plan, (uint64_t)(uintptr_t)list[i].opaque);
    }
    samsa_deliveries_free(deliveries);
    return code == 0;
}

/* Sends what is left again after having taken outcomes, until all is accepted. */
static void send_records(samsa_producer *producer, const samsa_record *records, size_t count,
                         struct outcomes *outcomes) {
    while (count > 0) {
        samsa_error *error = NULL;
        size_t accepted = 0;
        samsa_code code = samsa_producer_send_batch(producer, records, count, sizeof *records, 0,
                                                    &accepted, &error);
        samsa_error_free(error);
        records += accepted;
        count -= accepted;
        if (code != 0)
            take_outcomes(producer, 1, outcomes, NULL);
    }
}

static void send_one(samsa_producer *producer, const samsa_record *record,
                     struct outcomes *outcomes) {
    samsa_error *error = NULL;
    while (samsa_producer_send(producer, record, sizeof *record, 0, &error) != 0) {
        samsa_error_free(error);
        error = NULL;
        take_outcomes(producer, 1, outcomes, NULL);
    }
}

static void send_packed(samsa_producer *producer, samsa_packed packed, struct outcomes *outcomes) {
    const char *bytes = packed.buffer;
    while (packed.count > 0) {
        samsa_error *error = NULL;
        size_t accepted = 0;
        packed.buffer = bytes;
        samsa_code code = samsa_producer_send_packed(producer, &packed, 0, &accepted, &error);
        samsa_error_free(error);
        for (size_t i = 0; i < accepted; i++)
            bytes += packed.value_lengths[i];
        packed.count -= accepted;
        packed.buffer_length = packed.count * packed.value_lengths[0];
        if (code != 0)
            take_outcomes(producer, 1, outcomes, NULL);
    }
}

static void produce_packed(samsa_producer *producer, samsa_topic *topic, const struct arguments *a,
                           struct outcomes *outcomes) {
    struct payloads values = map_payloads(a);
    static uint32_t lengths[BATCH];
    for (size_t i = 0; i < BATCH; i++)
        lengths[i] = a->size;
    for (uint64_t i = 0; i < a->count;) {
        /* The values lie one after the other already; the end of the file ends a batch. */
        uint64_t first = i % values.count, n = BATCH;
        n = n < a->count - i ? n : a->count - i;
        n = n < values.count - first ? n : values.count - first;
        samsa_packed packed = {.struct_size = sizeof packed,
                               .topic = topic,
                               .count = (size_t)n,
                               .buffer = payload(&values, i),
                               .buffer_length = (size_t)n * a->size,
                               .value_lengths = lengths};
        send_packed(producer, packed, outcomes);
        i += n;
        take_outcomes(producer, 0, outcomes, NULL);
    }
}

static void produce_records(samsa_producer *producer, samsa_topic *topic, const struct arguments *a,
                            struct outcomes *outcomes) {
    struct payloads values = map_payloads(a);
    bool batch = strcmp(a->call, "send_batch") == 0;
    static samsa_record records[BATCH];
    static char keys[BATCH][KEY];
    for (uint64_t i = 0; i < a->count;) {
        size_t n = batch ? BATCH : 1;
        if (n > a->count - i)
            n = (size_t)(a->count - i);
        for (size_t j = 0; j < n; j++) {
            records[j].topic = topic;
            records[j].value = payload(&values, i + j);
            records[j].value_length = a->size;
            if (a->keys) {
                random_key(i + j, keys[j]);
                records[j].key = keys[j];
                records[j].key_length = KEY;
            }
        }
        if (batch)
            send_records(producer, records, n, outcomes);
        else
            send_one(producer, records, outcomes);
        i += n;
        if (i % 1024 < n)
            take_outcomes(producer, 0, outcomes, NULL);
    }
}

static samsa_producer *new_producer(samsa_cluster *cluster, samsa_topic *topic) {
    samsa_error *error = NULL;
    samsa_producer *producer = NULL;
    samsa_code code = samsa_producer_new(cluster, NULL, &producer, &error);
    check(code, &error);
    /* One record connects and makes the topic known. */
    samsa_record record = {.topic = topic, .value = "warm", .value_length = 4};
    struct outcomes outcomes = {0, 0};
    code = samsa_producer_send(producer, &record, sizeof record, 10000, &error);
    check(code, &error);
    while (outcomes.delivered + outcomes.failed == 0)
        take_outcomes(producer, 1000, &outcomes, NULL);
    return producer;
}

static samsa_consumer *new_consumer(samsa_topic *topic) {
    samsa_error *error = NULL;
    samsa_consumer *consumer = NULL;
    samsa_code code = samsa_topic_subscribe(topic, NULL, 10000, &consumer, &error);
    check(code, &error);
    return consumer;
}

static void use_every_partition(samsa_producer *producer, samsa_topic *topic, struct arguments a) {
    struct outcomes outcomes = {0, 0};
    a.keys = true;
    a.count = BEFORE_IDLE;
    produce_records(producer, topic, &a, &outcomes);
    while (outcomes.delivered + outcomes.failed < a.count)
        take_outcomes(producer, 1000, &outcomes, NULL);
}

static void produce(samsa_producer *producer, samsa_topic *topic, const struct arguments *a) {
    struct outcomes outcomes = {0, 0};
    struct moment begin = take_moment();
    if (strcmp(a->call, "send_packed") == 0)
        produce_packed(producer, topic, a, &outcomes);
    else
        produce_records(producer, topic, a, &outcomes);
    while (outcomes.delivered + outcomes.failed < a->count)
        take_outcomes(producer, 1000, &outcomes, NULL);
    struct moment end = take_moment();
    if (outcomes.failed > 0)
        fail("some records failed");
    say_throughput(CLIENT, samsa_version(), a->count, begin, end);
}

/* What a program does with a message at the very least. */
static uint64_t look_at(const samsa_message_view *view) {
    return view->value_length + *(const unsigned char *)view->value;
}

static uint64_t poll_batch(samsa_consumer *consumer, uint64_t *looked) {
    samsa_error *error = NULL;
    samsa_batch *batch = NULL;
    samsa_code code = samsa_consumer_poll(consumer, 1000, &batch, &error);
    check(code, &error);
    const samsa_message_view *views = NULL;
    size_t count = samsa_batch_messages(batch, &views);
    for (size_t i = 0; i < count; i++)
        *looked += look_at(&views[i]);
    samsa_batch_free(batch);
    return count;
}

static uint64_t poll_next(samsa_consumer *consumer, uint64_t *looked) {
    samsa_error *error = NULL;
    samsa_message *message = NULL;
    samsa_code code = samsa_consumer_next(consumer, 1000, &message, &error);
    check(code, &error);
    if (message == NULL)
        return 0;
    *looked += look_at(samsa_message_get(message));
    samsa_message_free(message);
    return 1;
}

static void consume(samsa_consumer *consumer, const struct arguments *a) {
    bool one_by_one = strcmp(a->call, "next") == 0;
    struct moment begin = take_moment();
    uint64_t looked = 0, first = 0, seen = 0;
    while (seen < a->count + first) {
        seen += one_by_one ? poll_next(consumer, &looked) : poll_batch(consumer, &looked);
        if (first == 0 && seen > 0) { /* connected now */
            first = seen;
            begin = take_moment();
        }
    }
    struct moment end = take_moment();
    if (looked == 0)
        fail("nothing was looked at");
    say_throughput(CLIENT, samsa_version(), seen - first, begin, end);
}

static void measure_latency(samsa_producer *producer, samsa_topic *topic,
                            const struct arguments *a) {
    samsa_error *error = NULL;
    intptr_t descriptor = -1;
    samsa_code code = samsa_producer_fd(producer, &descriptor, &error);
    check(code, &error);
    struct payloads values = map_payloads(a);
    struct outcomes outcomes = {0, 0};
    struct latency plan = plan_latency(a);
    while (plan.acknowledged < plan.count) {
        while (plan.sent < plan.count && until_due(&plan) <= 0) {
            samsa_record record = {.topic = topic,
                                   .value = payload(&values, plan.sent),
                                   .value_length = a->size,
                                   .opaque = (void *)(uintptr_t)plan.sent};
            code = samsa_producer_send(producer, &record, sizeof record, 0, &error);
            check(code, &error);
            note_sent(&plan);
        }
        if (wait_for_next(&plan, (int)descriptor)) {
            while (take_outcomes(producer, 0, &outcomes, &plan)) {
            }
        }
    }
    if (outcomes.failed > 0)
        fail("some records failed");
    say_latency(CLIENT, samsa_version(), &plan);
}

int main(int argc, char **argv) {
    struct arguments a = read_arguments(argc, argv);
    bool slow = strcmp(a.mode, "latency") == 0;
    char bootstrap[1024], codec[64], wait[64];
    snprintf(bootstrap, sizeof bootstrap, "bootstrap.servers=%s", a.bootstrap);
    snprintf(codec, sizeof codec, "compression.type=%s", a.codec);
    snprintf(wait, sizeof wait, "fetch.max.wait.ms=%s", a.wait);
    char *options[] = {bootstrap, codec, wait, NULL};
    const char *defaults[] = {
        "batch.size=1000000",    slow ? "linger.ms=0" : "linger.ms=5", "acks=all",
        "max.poll.records=1000", "auto.offset.reset=earliest",         NULL};
    samsa_error *error = NULL;
    samsa_topic *topic = NULL;
    samsa_cluster *cluster = open_cluster(options, defaults);
    samsa_code code = samsa_cluster_topic(cluster, a.topic, &topic, &error);
    check(code, &error);
    samsa_producer *producer = NULL;
    samsa_consumer *consumer = NULL;
    bool both = strcmp(a.mode, "idle-both") == 0;
    if (strcmp(a.mode, "produce") == 0 || slow || strcmp(a.mode, "idle-producer") == 0 || both)
        producer = new_producer(cluster, topic);
    if (strcmp(a.mode, "consume") == 0 || strcmp(a.mode, "idle-consumer") == 0 || both)
        consumer = new_consumer(topic);

    if (producer != NULL && strncmp(a.mode, "idle", 4) == 0)
        use_every_partition(producer, topic, a);

    if (strcmp(a.mode, "produce") == 0) {
        produce(producer, topic, &a);
    } else if (strcmp(a.mode, "consume") == 0) {
        consume(consumer, &a);
    } else if (slow) {
        measure_latency(producer, topic, &a);
    } else if (consumer != NULL) {
        /* Its application waits for a message that never comes, until it is killed. */
        say_ready(CLIENT, samsa_version());
        samsa_batch *batch = NULL;
        code = samsa_consumer_poll(consumer, -1, &batch, &error);
        check(code, &error);
        fail("a message came to the idle consumer");
    } else {
        say_ready(CLIENT, samsa_version());
        wait_for_end();
    }
    samsa_consumer_free(consumer);
    samsa_producer_free(producer);
    samsa_topic_free(topic);
    samsa_cluster_free(cluster);
    return 0;
}
