/*
 * memory idle ADDRESS: a producer and a consumer of 1,000 partitions with nothing to do.
 *
 * memory fill ADDRESS TOPIC CODEC MB: writes so much to 12 partitions.
 *
 * memory backlog ADDRESS TOPIC MB: reads it and holds every batch until the library says stop.
 *
 * The first and the last print the anonymous memory of this process, in kB: as it is, or its peak.
 * The broker is another process, so that all of it is the client's.
 */
#include <stdbool.h>
#include <unistd.h>

#include "../c/check.h"

enum { IDLE_PARTITIONS = 1000, BACKLOG_PARTITIONS = 12, VALUE = 1000, RECORDS_A_CALL = 256 };

static long anonymous_kb(void) {
    char line[128];
    long kb = -1;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "Anonymous: %ld kB", &kb) == 1) {
            break;
        }
    }
    fclose(file);
    CHECK(kb > 0);
    return kb;
}

static samsa_cluster *open_with(const char *address, const char *name, const char *value) {
    samsa_config *config = samsa_config_new();
    samsa_cluster *cluster = NULL;
    OK(samsa_config_set(config, "bootstrap.servers", address, &err));
    OK(samsa_config_set(config, "auto.offset.reset", "earliest", &err));
    if (name != NULL) {
        OK(samsa_config_set(config, name, value, &err));
    }
    OK(samsa_cluster_open(config, 10000, &cluster, &err));
    samsa_config_free(config);
    return cluster;
}

static samsa_consumer *assigned(samsa_cluster *cluster, const char *topic, int partitions) {
    samsa_position *positions = calloc((size_t)partitions, sizeof *positions);
    samsa_consumer *consumer = NULL;
    CHECK(positions != NULL);
    for (int i = 0; i < partitions; i++) {
        positions[i].topic = topic;
        positions[i].partition = i;
    }
    OK(samsa_consumer_new(cluster, NULL, &consumer, &err));
    OK(samsa_consumer_assign(consumer, positions, (size_t)partitions, sizeof *positions, &err));
    free(positions);
    return consumer;
}

/* Each partition is written once and read once: all that is kept for it is there. */
static void idle(const char *address) {
    samsa_cluster *cluster = open_with(address, NULL, NULL);
    samsa_topic *topic = open_topic(cluster, "idle");
    samsa_producer *producer = NULL;
    samsa_deliveries *deliveries = NULL;
    samsa_batch *batch = NULL;
    const samsa_message_view *messages;
    const samsa_delivery *outcomes;
    samsa_record record;
    size_t left = IDLE_PARTITIONS;

    OK(samsa_producer_new(cluster, NULL, &producer, &err));
    memset(&record, 0, sizeof record);
    record.topic = topic;
    record.value = "x";
    record.value_length = 1;
    record.flags = SAMSA_RECORD_PARTITION;
    for (record.partition = 0; record.partition < IDLE_PARTITIONS; record.partition++) {
        OK(samsa_producer_send(producer, &record, sizeof record, 10000, &err));
    }
    while (left > 0) {
        OK(samsa_producer_poll(producer, 10000, &deliveries, &err));
        left -= samsa_deliveries_list(deliveries, &outcomes);
        samsa_deliveries_free(deliveries);
    }
    samsa_consumer *consumer = assigned(cluster, "idle", IDLE_PARTITIONS);
    for (left = IDLE_PARTITIONS; left > 0;) {
        OK(samsa_consumer_poll(consumer, 10000, &batch, &err));
        left -= samsa_batch_messages(batch, &messages);
        samsa_batch_free(batch);
    }
    /* Long polls come and go. */
    GIVES(SAMSA_NOTHING, samsa_consumer_poll(consumer, 3000, &batch, &err));
    printf("%ld\n", anonymous_kb());
    samsa_consumer_free(consumer);
    samsa_producer_free(producer);
    samsa_topic_free(topic);
    samsa_cluster_free(cluster);
}

static void fill(const char *address, const char *name, const char *codec, long megabytes) {
    samsa_cluster *cluster = open_with(address, "compression.type", codec);
    samsa_topic *topic = open_topic(cluster, name);
    samsa_config *config = samsa_config_new();
    samsa_producer *producer = NULL;
    samsa_record records[RECORDS_A_CALL];
    char value[VALUE];
    uint64_t failed = 0;
    long calls = megabytes * 1000000 / VALUE / RECORDS_A_CALL;

    OK(samsa_config_set(config, "samsa.delivery.report", "none", &err));
    OK(samsa_config_set(config, "linger.ms", "20", &err));
    OK(samsa_config_set(config, "batch.size", "200000", &err));
    OK(samsa_producer_new(cluster, config, &producer, &err));
    samsa_config_free(config);
    memset(value, 'v', sizeof value);
    memset(records, 0, sizeof records);
    for (int i = 0; i < RECORDS_A_CALL; i++) {
        records[i].topic = topic;
        records[i].value = value;
        records[i].value_length = VALUE;
        records[i].flags = SAMSA_RECORD_PARTITION;
    }
    for (long call = 0; call < calls; call++) {
        size_t accepted = 0;
        for (int i = 0; i < RECORDS_A_CALL; i++) {
            records[i].partition = call % BACKLOG_PARTITIONS;
        }
        OK(samsa_producer_send_batch(producer, records, RECORDS_A_CALL, sizeof *records, 60000,
                                     &accepted, &err));
        CHECK(accepted == RECORDS_A_CALL);
    }
    OK(samsa_producer_flush(producer, 60000, &failed, &err));
    CHECK(failed == 0);
    samsa_producer_free(producer);
    samsa_topic_free(topic);
    samsa_cluster_free(cluster);
}

/* Holds every batch; frees the older half of them only when nothing more comes because of it. */
static void backlog(const char *address, const char *name, long megabytes) {
    samsa_cluster *cluster = open_with(address, NULL, NULL);
    samsa_consumer *consumer = assigned(cluster, name, BACKLOG_PARTITIONS);
    enum { MOST = 1 << 16 };
    static samsa_batch *held[MOST];
    size_t count = 0, polls = 0, stalls = 0, quiet = 0;
    long wanted = megabytes * 1000000 / VALUE / RECORDS_A_CALL * RECORDS_A_CALL;
    long peak = 0;

    while (wanted > 0) {
        const samsa_message_view *messages;
        /* Why nothing comes is said when a wait ends. */
        samsa_code code = samsa_consumer_poll(consumer, 50, &held[count], &err);
        bool stalled = code == SAMSA_ERR_MEMORY_LIMIT;
        if (code == SAMSA_NOTHING) {
            CHECK(++quiet < 400);
            continue;
        }
        quiet = 0;
        if (!stalled) {
            check_code(code, SAMSA_OK, __FILE__, __LINE__);
            size_t came = samsa_batch_messages(held[count++], &messages);
            CHECK(came > 0 && messages[0].value_length == VALUE);
            wanted -= (long)came;
            CHECK(count < MOST);
        }
        if (stalled || polls++ % 32 == 0) {
            long now = anonymous_kb();
            peak = now > peak ? now : peak;
        }
        if (stalled) {
            samsa_error_free(err);
            err = NULL;
            stalls++;
            size_t freed = (count + 1) / 2;
            for (size_t i = 0; i < freed; i++) {
                samsa_batch_free(held[i]);
            }
            count -= freed;
            memmove(held, held + freed, count * sizeof *held);
        }
    }
    if (wanted != 0 || stalls == 0) {
        fprintf(stderr, "memory: %ld records are missing, %zu stalls, %ld kB at most\n", wanted,
                stalls, peak);
        exit(1);
    }
    printf("%ld\n", peak);
    while (count > 0) {
        samsa_batch_free(held[--count]);
    }
    samsa_consumer_free(consumer);
    samsa_cluster_free(cluster);
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "idle") == 0) {
        idle(argv[2]);
    } else if (argc == 6 && strcmp(argv[1], "fill") == 0) {
        fill(argv[2], argv[3], argv[4], atol(argv[5]));
    } else if (argc == 5 && strcmp(argv[1], "backlog") == 0) {
        backlog(argv[2], argv[3], atol(argv[4]));
    } else {
        fprintf(stderr, "usage: memory idle|fill|backlog ...\n");
        return 2;
    }
    return 0;
}
