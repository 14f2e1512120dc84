/* librdkafka's side of the bench: the same work as bench/samsa.c, by its fastest calls.
 *
 * librdkafka produce|consume|latency|idle-producer|idle-consumer|idle-both [NAME=VALUE]...
 * call: send (rd_kafka_produce), send_batch (rd_kafka_produce_batch); poll
 * (rd_kafka_consume_batch_queue), next (rd_kafka_consumer_poll). */
#define _GNU_SOURCE
#include "measure.h"

#include <librdkafka/rdkafka.h>

static const char CLIENT[] = "librdkafka";
static const int TIMEOUT_MS = 10000;

static uint64_t delivered, failed;
static struct latency plan; /* of the latency mode; else empty */

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque) {
    (void)producer;
    (void)opaque;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        delivered++;
    else
        failed++;
    if (plan.count > 0)
        note_acknowledged(&plan, (uint64_t)(uintptr_t)message->_private);
}

static void set(rd_kafka_conf_t *config, const char *name, const char *value) {
    char text[512];
    if (rd_kafka_conf_set(config, name, value, text, sizeof text) != RD_KAFKA_CONF_OK)
        fail(text);
}

static rd_kafka_t *new_client(rd_kafka_type_t type, const struct arguments *a) {
    rd_kafka_conf_t *config = rd_kafka_conf_new();
    set(config, "bootstrap.servers", a->bootstrap);
    set(config, "log_level", "3");
    if (type == RD_KAFKA_PRODUCER) {
        const bool slow = strcmp(a->mode, "latency") == 0;
        set(config, "acks", "all");
        set(config, "linger.ms", slow ? "0" : "5");
        set(config, "compression.type", a->codec);
        /* Its default, a million, spoils its tail: it does better with five, as others have. */
        if (slow)
            set(config, "max.in.flight.requests.per.connection", "5");
        rd_kafka_conf_set_dr_msg_cb(config, on_delivery);
    } else {
        set(config, "group.id", "bench");
        set(config, "enable.auto.commit", "false");
        set(config, "fetch.wait.max.ms", a->wait);
        set(config, "check.crcs", "true");
        set(config, "fetch.queue.backoff.ms", "10");
    }
    char text[512];
    rd_kafka_t *client = rd_kafka_new(type, config, text, sizeof text);
    if (client == NULL)
        fail(text);
    return client;
}

static rd_kafka_topic_t *open_topic(rd_kafka_t *producer, const char *name) {
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, name, NULL);
    /* One record connects and makes the topic known. */
    while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, "warm", 4, NULL, 0,
                            NULL) != 0)
        rd_kafka_poll(producer, 10);
    if (rd_kafka_flush(producer, TIMEOUT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail("the first record was not delivered");
    delivered = failed = 0;
    return topic;
}

static void produce_one(rd_kafka_t *producer, rd_kafka_topic_t *topic, const char *value,
                        uint32_t size, const char *key, void *opaque) {
    while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, (void *)value, size,
                            key, key != NULL ? KEY : 0, opaque) != 0)
        rd_kafka_poll(producer, 1);
}

/* Those that did not fit into the queue are moved to the front and tried again. */
static void produce_batch(rd_kafka_t *producer, rd_kafka_topic_t *topic,
                          rd_kafka_message_t *messages, size_t count) {
    while (count > 0) {
        int accepted = rd_kafka_produce_batch(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                                              messages, (int)count);
        if ((size_t)accepted == count)
            return;
        size_t left = 0;
        for (size_t i = 0; i < count; i++)
            if (messages[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
                messages[left++] = messages[i];
        count = left;
        rd_kafka_poll(producer, 1);
    }
}

static void produce_all(rd_kafka_t *producer, rd_kafka_topic_t *topic, const struct arguments *a) {
    struct payloads values = map_payloads(a);
    bool batch = strcmp(a->call, "send_batch") == 0;
    static rd_kafka_message_t messages[BATCH];
    static char keys[BATCH][KEY];
    for (uint64_t i = 0; i < a->count;) {
        size_t n = batch ? BATCH : 1;
        if (n > a->count - i)
            n = (size_t)(a->count - i);
        for (size_t j = 0; j < n; j++) {
            if (a->keys)
                random_key(i + j, keys[j]);
            messages[j].payload = (void *)payload(&values, i + j);
            messages[j].len = a->size;
            messages[j].key = a->keys ? keys[j] : NULL;
            messages[j].key_len = a->keys ? KEY : 0;
        }
        if (batch)
            produce_batch(producer, topic, messages, n);
        else
            produce_one(producer, topic, messages[0].payload, a->size, messages[0].key, NULL);
        i += n;
        if (i % 1024 < n)
            rd_kafka_poll(producer, 0);
    }
    while (delivered + failed < a->count)
        rd_kafka_flush(producer, 1000);
}

static void produce(rd_kafka_t *producer, rd_kafka_topic_t *topic, const struct arguments *a) {
    struct moment begin = take_moment();
    produce_all(producer, topic, a);
    struct moment end = take_moment();
    if (failed > 0)
        fail("some records failed");
    say_throughput(CLIENT, rd_kafka_version_str(), a->count, begin, end);
}

/* Reads every partition of the topic from its beginning. */
static void assign(rd_kafka_t *consumer, const char *name) {
    rd_kafka_poll_set_consumer(consumer);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(consumer, name, NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    if (rd_kafka_metadata(consumer, 0, topic, &metadata, TIMEOUT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail("no metadata");
    int partitions = metadata->topics[0].partition_cnt;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int32_t i = 0; i < partitions; i++)
        rd_kafka_topic_partition_list_add(list, name, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    if (rd_kafka_assign(consumer, list) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail("cannot assign");
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
}

/* What a program does with a message at the very least; false: it was none. */
static bool look_at(const rd_kafka_message_t *message, uint64_t *looked) {
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    *looked += message->len + *(const unsigned char *)message->payload;
    return true;
}

static uint64_t poll_batch(rd_kafka_queue_t *queue, uint64_t *looked) {
    rd_kafka_message_t *messages[BATCH];
    ssize_t count = rd_kafka_consume_batch_queue(queue, 1000, messages, BATCH);
    uint64_t seen = 0;
    for (ssize_t i = 0; i < count; i++) {
        seen += look_at(messages[i], looked);
        rd_kafka_message_destroy(messages[i]);
    }
    return seen;
}

static uint64_t poll_next(rd_kafka_t *consumer, uint64_t *looked) {
    rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 1000);
    if (message == NULL)
        return 0;
    uint64_t seen = look_at(message, looked);
    rd_kafka_message_destroy(message);
    return seen;
}

static void consume(rd_kafka_t *consumer, const struct arguments *a) {
    bool one_by_one = strcmp(a->call, "next") == 0;
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
    struct moment begin = take_moment();
    uint64_t looked = 0, first = 0, seen = 0;
    while (seen < a->count + first) {
        seen += one_by_one ? poll_next(consumer, &looked) : poll_batch(queue, &looked);
        if (first == 0 && seen > 0) { /* connected now */
            first = seen;
            begin = take_moment();
        }
    }
    struct moment end = take_moment();
    if (looked == 0)
        fail("nothing was looked at");
    say_throughput(CLIENT, rd_kafka_version_str(), seen - first, begin, end);
    rd_kafka_queue_destroy(queue);
}

static void measure_latency(rd_kafka_t *producer, rd_kafka_topic_t *topic,
                            const struct arguments *a) {
    struct payloads values = map_payloads(a);
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
        fail("no pipe");
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(producer);
    rd_kafka_queue_io_event_enable(queue, ends[1], "1", 1);
    plan = plan_latency(a);
    while (plan.acknowledged < plan.count) {
        while (plan.sent < plan.count && until_due(&plan) <= 0) {
            produce_one(producer, topic, payload(&values, plan.sent), a->size, NULL,
                        (void *)(uintptr_t)plan.sent);
            note_sent(&plan);
        }
        if (wait_for_next(&plan, ends[0])) {
            char bytes[64];
            while (read(ends[0], bytes, sizeof bytes) == sizeof bytes) {
            }
            rd_kafka_poll(producer, 0);
        }
    }
    if (failed > 0)
        fail("some records failed");
    say_latency(CLIENT, rd_kafka_version_str(), &plan);
    rd_kafka_queue_destroy(queue);
}

int main(int argc, char **argv) {
    struct arguments a = read_arguments(argc, argv);
    bool both = strcmp(a.mode, "idle-both") == 0, slow = strcmp(a.mode, "latency") == 0;
    rd_kafka_t *producer = NULL, *consumer = NULL;
    rd_kafka_topic_t *topic = NULL;
    if (strcmp(a.mode, "produce") == 0 || slow || strcmp(a.mode, "idle-producer") == 0 || both) {
        producer = new_client(RD_KAFKA_PRODUCER, &a);
        topic = open_topic(producer, a.topic);
    }
    if (strcmp(a.mode, "consume") == 0 || strcmp(a.mode, "idle-consumer") == 0 || both) {
        consumer = new_client(RD_KAFKA_CONSUMER, &a);
        assign(consumer, a.topic);
    }

    if (producer != NULL && strncmp(a.mode, "idle", 4) == 0) {
        struct arguments all = a; /* every partition is used once */
        all.keys = true;
        all.count = BEFORE_IDLE;
        produce_all(producer, topic, &all);
    }
    if (strcmp(a.mode, "produce") == 0) {
        produce(producer, topic, &a);
    } else if (strcmp(a.mode, "consume") == 0) {
        consume(consumer, &a);
    } else if (slow) {
        measure_latency(producer, topic, &a);
    } else if (consumer != NULL) {
        /* Its application waits for a message that never comes, until it is killed. */
        say_ready(CLIENT, rd_kafka_version_str());
        for (;;) {
            rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, INT32_MAX);
            if (message != NULL)
                rd_kafka_message_destroy(message);
        }
    } else {
        say_ready(CLIENT, rd_kafka_version_str());
        wait_for_end();
    }
    if (topic != NULL)
        rd_kafka_topic_destroy(topic);
    if (producer != NULL)
        rd_kafka_destroy(producer);
    if (consumer != NULL) {
        rd_kafka_consumer_close(consumer);
        rd_kafka_destroy(consumer);
    }
    return 0;
}
