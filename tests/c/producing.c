/* Records by struct, by array, packed and published; what their deliveries tell. */
#include "check.h"

static samsa_embedded *embedded;

static samsa_producer *open_producer(samsa_cluster *cluster, const char *name, const char *value) {
    samsa_config *config = samsa_config_new();
    samsa_producer *producer = NULL;
    OK(samsa_config_set(config, name, value, &err));
    OK(samsa_producer_new(cluster, config, &producer, &err));
    samsa_config_free(config);
    return producer;
}

static void kept_deliveries(samsa_cluster *cluster, samsa_topic *topic) {
    samsa_producer *producer = open_producer(cluster, "samsa.delivery.keep", "true");
    samsa_deliveries *deliveries = NULL;
    const samsa_delivery *list = NULL;
    const samsa_run *runs = NULL;
    samsa_message_view view;
    samsa_header headers[2] = {{"a", NULL, 1, 0}, {"b", "", 1, 0}}, read[2];
    samsa_record record;
    int mark;

    memset(&record, 0, sizeof record);
    record.topic = topic;
    record.key = "k";
    record.key_length = 1;
    record.headers = headers;
    record.headers_count = 2;
    record.opaque = &mark;
    record.timestamp = 1700000000000;
    record.flags = SAMSA_RECORD_TIMESTAMP;
    OK(samsa_producer_send(producer, &record, sizeof record, 10000, &err));
    OK(samsa_producer_poll(producer, 10000, &deliveries, &err));
    CHECK(samsa_deliveries_list(deliveries, &list) == 1);
    CHECK(list[0].opaque == &mark && list[0].code == 0 && list[0].status == SAMSA_PERSISTED);
    CHECK(list[0].offset == 0 && list[0].partition == 0 && list[0].timestamp == 1700000000000);
    CHECK(samsa_deliveries_runs(deliveries, &runs) == 1);
    CHECK(strcmp(runs[list[0].run].topic, "producing") == 0 && runs[0].count == 1);
    CHECK(samsa_deliveries_error(deliveries, 0) == NULL);
    OK(samsa_deliveries_record(deliveries, 0, &view, &err));
    CHECK(view.value == NULL && view.key_length == 1 && memcmp(view.key, "k", 1) == 0);
    CHECK(samsa_headers_read(&view, read, 2) == 2);
    CHECK(read[0].value == NULL && read[1].value != NULL && read[1].value_length == 0);
    GIVES(SAMSA_ERR_INVALID_ARGUMENT, samsa_deliveries_record(deliveries, 1, &view, &err));
    CHECK(view.offset == -1 && view.key == NULL);
    OK(samsa_producer_close(producer, 10000, &err));
    samsa_producer_free(producer);
    samsa_deliveries_free(deliveries); /* outlives its producer */
}

static void refused_batch(samsa_cluster *cluster, samsa_topic *topic) {
    samsa_producer *producer = open_producer(cluster, "linger.ms", "0");
    samsa_record records[3];
    size_t accepted = 77;
    uint64_t failed = 77, batches = 77, bytes = 0;

    memset(records, 0, sizeof records);
    for (int i = 0; i < 3; i++) {
        records[i].topic = topic;
        records[i].value = "v";
        records[i].value_length = 1;
    }
    /* What would not count is refused: a time, or a partition, without its flag. */
    records[2].timestamp = 1700000000000;
    GIVES(
        SAMSA_ERR_INVALID_ARGUMENT,
        samsa_producer_send_batch(producer, records, 3, sizeof records[0], 10000, &accepted, &err));
    CHECK(accepted == 2);
    GIVES(SAMSA_ERR_INVALID_ARGUMENT,
          samsa_producer_send(producer, &records[2], sizeof records[2], 10000, &err));
    records[2].timestamp = -1;
    records[2].flags = 1u << 31;
    GIVES(
        SAMSA_ERR_INVALID_ARGUMENT,
        samsa_producer_send_batch(producer, records, 3, sizeof records[0], 10000, &accepted, &err));
    CHECK(accepted == 2);
    GIVES(
        SAMSA_ERR_INVALID_ARGUMENT,
        samsa_producer_send_batch(producer, records, 3, sizeof records[0] - 8, 0, &accepted, &err));
    CHECK(accepted == 0);
    OK(samsa_producer_flush(producer, 10000, &failed, &err));
    CHECK(failed == 0);
    OK(samsa_producer_load(producer, &batches, &bytes, &err));
    CHECK(batches == 0 && bytes > 0); /* their outcomes are not read yet */
    samsa_producer_free(producer);
}

static void packed_records(samsa_cluster *cluster, samsa_topic *topic) {
    samsa_producer *producer = open_producer(cluster, "linger.ms", "50");
    const uint32_t keys[3] = {1, UINT32_MAX, 0}, values[3] = {2, 1, UINT32_MAX};
    const uint32_t counts[3] = {1, 0, 0}, lengths[2] = {1, 2};
    const uint64_t marks[3] = {7, 8, 9};
    samsa_deliveries *deliveries = NULL;
    const samsa_delivery *list = NULL;
    samsa_packed packed;
    size_t accepted = 0;

    memset(&packed, 0, sizeof packed);
    packed.struct_size = sizeof packed;
    packed.topic = topic;
    packed.count = 3;
    packed.buffer = "kv1hHHv";
    packed.buffer_length = 7;
    packed.key_lengths = keys;
    packed.value_lengths = values;
    packed.headers_counts = counts;
    packed.header_lengths = lengths;
    packed.header_lengths_count = 2;
    packed.opaques = marks;
    packed.flags = SAMSA_RECORD_PARTITION;
    OK(samsa_producer_send_packed(producer, &packed, 10000, &accepted, &err));
    CHECK(accepted == 3);
    OK(samsa_producer_flush(producer, 10000, NULL, &err));
    OK(samsa_producer_poll(producer, 0, &deliveries, &err));
    CHECK(samsa_deliveries_list(deliveries, &list) == 3);
    for (size_t i = 0; i < 3; i++)
        CHECK((uintptr_t)list[i].opaque == marks[i] && list[i].code == 0);
    samsa_deliveries_free(deliveries);

    packed.buffer_length = 6; /* the second value is missing */
    GIVES(SAMSA_ERR_INVALID_ARGUMENT,
          samsa_producer_send_packed(producer, &packed, 10000, &accepted, &err));
    CHECK(accepted == 1);
    packed.header_lengths_count = 1;
    GIVES(SAMSA_ERR_INVALID_ARGUMENT,
          samsa_producer_send_packed(producer, &packed, 10000, &accepted, &err));
    CHECK(accepted == 0);

    packed.header_lengths_count = 2;
    packed.buffer = "kv1hHHvX";
    packed.buffer_length = 8; /* one byte that no record has */
    GIVES(SAMSA_ERR_INVALID_ARGUMENT,
          samsa_producer_send_packed(producer, &packed, 10000, &accepted, &err));
    CHECK(accepted == 0);
    packed.buffer_length = 7;
    packed.headers_counts = NULL; /* lengths of headers that no record has */
    GIVES(SAMSA_ERR_INVALID_ARGUMENT,
          samsa_producer_send_packed(producer, &packed, 10000, &accepted, &err));
    CHECK(accepted == 0);

    packed.header_lengths = NULL;
    packed.header_lengths_count = 0;
    packed.buffer = "kv1v";
    packed.buffer_length = 4;
    OK(samsa_producer_send_packed(producer, &packed, 10000, &accepted, &err));
    CHECK(accepted == 3);
    packed.buffer_length = 3; /* the second value is missing */
    GIVES(SAMSA_ERR_INVALID_ARGUMENT,
          samsa_producer_send_packed(producer, &packed, 10000, &accepted, &err));
    CHECK(accepted == 1);
    OK(samsa_producer_close(producer, 10000, &err));
    samsa_producer_free(producer);
}

/* A list may change topic, partition and manner from record to record; order and marks stay. */
static void mixed_list(samsa_cluster *cluster, samsa_topic *topic) {
    samsa_producer *producer = open_producer(cluster, "linger.ms", "50");
    const samsa_header header = {"h", "1", 1, 1};
    enum { COUNT = 600 };
    static samsa_record records[COUNT];
    samsa_deliveries *deliveries = NULL;
    const samsa_delivery *list = NULL;
    size_t accepted = 0;

    memset(records, 0, sizeof records);
    for (size_t i = 0; i < COUNT; i++) {
        records[i].topic = topic;
        records[i].value = "value";
        records[i].value_length = 5;
        records[i].opaque = (void *)(uintptr_t)(i + 1);
        if (i % 7 == 3) {
            records[i].headers = &header;
            records[i].headers_count = 1;
        }
    }
    OK(samsa_producer_send_batch(producer, records, COUNT, sizeof records[0], 10000, &accepted,
                                 &err));
    CHECK(accepted == COUNT);
    OK(samsa_producer_flush(producer, 10000, NULL, &err));
    size_t seen = 0;
    while (seen < COUNT) {
        OK(samsa_producer_poll(producer, 10000, &deliveries, &err));
        size_t count = samsa_deliveries_list(deliveries, &list);
        for (size_t i = 0; i < count; i++, seen++)
            CHECK((uintptr_t)list[i].opaque == seen + 1 && list[i].code == 0);
        samsa_deliveries_free(deliveries);
    }
    CHECK(seen == COUNT);

    records[400].flags = SAMSA_RECORD_PARTITION;
    records[400].partition = 99;
    GIVES(
        SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION,
        samsa_producer_send_batch(producer, records, COUNT, sizeof records[0], 0, &accepted, &err));
    CHECK(accepted == 400);
    records[399].value = NULL; /* with a length */
    GIVES(
        SAMSA_ERR_INVALID_ARGUMENT,
        samsa_producer_send_batch(producer, records, COUNT, sizeof records[0], 0, &accepted, &err));
    CHECK(accepted == 399);
    GIVES(SAMSA_ERR_INVALID_ARGUMENT,
          samsa_producer_send(producer, NULL, sizeof records[0], 0, &err));
    OK(samsa_producer_close(producer, 10000, &err));
    samsa_producer_free(producer);
}

static void published_lists(samsa_topic *topic) {
    samsa_record records[3];
    int64_t partition = 5, first = 5;

    memset(records, 0, sizeof records);
    for (int i = 0; i < 3; i++) {
        records[i].value = "abc" + i;
        records[i].value_length = 1;
    }
    OK(samsa_topic_publish(topic, NULL, 0, "x", 1, 10000, &partition, &first, &err));
    CHECK(partition == 0 && first >= 0);
    int64_t after = first + 1;
    OK(samsa_topic_publish_list(topic, records, 3, sizeof records[0], 10000, &partition, &first,
                                &err));
    CHECK(partition == 0 && first == after);
    records[1].flags = SAMSA_RECORD_PARTITION;
    records[1].partition = 3;
    GIVES(SAMSA_ERR_INVALID_ARGUMENT, samsa_topic_publish_list(topic, records, 3, sizeof records[0],
                                                               10000, &partition, &first, &err));
    CHECK(partition == -1 && first == -1);
    GIVES(SAMSA_ERR_INVALID_ARGUMENT,
          samsa_topic_publish(topic, NULL, 0, "x", 1, 0, &partition, &first, &err));
    GIVES(SAMSA_ERR_INVALID_ARGUMENT,
          samsa_topic_publish_list(topic, NULL, 0, sizeof records[0], 10000, NULL, NULL, &err));
}

int main(void) {
    OK(samsa_embedded_start(1, &embedded, &err));
    OK(samsa_embedded_create_topic(embedded, "producing", 1, &err));
    samsa_cluster *cluster = open_cluster(samsa_embedded_address(embedded));
    samsa_topic *topic = open_topic(cluster, "producing");

    kept_deliveries(cluster, topic);
    refused_batch(cluster, topic);
    packed_records(cluster, topic);
    mixed_list(cluster, topic);
    published_lists(topic);

    OK(samsa_cluster_close(cluster, 10000, &err));
    GIVES(SAMSA_ERR_CLOSED, samsa_topic_publish(topic, NULL, 0, "x", 1, 1000, NULL, NULL, &err));
    samsa_topic_free(topic);
    samsa_cluster_free(cluster);
    samsa_embedded_free(embedded);
    printf("producing: structs, packed, kept deliveries, lists: ok\n");
    return 0;
}
