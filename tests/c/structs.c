/* Structs with fields that cannot be: refused with a message that names them, and nothing happens.
 */
#include <stdint.h>

#include "check.h"

static samsa_embedded *embedded;
static samsa_cluster *cluster;
static samsa_topic *topic;
static samsa_producer *producer;
static samsa_consumer *consumer;

static samsa_record good_record(void) {
    samsa_record record;

    memset(&record, 0, sizeof record);
    record.topic = topic;
    record.value = "v";
    record.value_length = 1;
    return record;
}

/* Refused by all calls that take records; the batch before it stays accepted. */
static void refused_record(const samsa_record *bad, samsa_code code) {
    samsa_record list[3];
    size_t accepted = 77;
    int64_t partition = 77, offset = 77;

    GIVES(code, samsa_producer_send(producer, bad, sizeof *bad, 1000, &err));
    list[0] = good_record();
    list[1] = *bad;
    list[2] = good_record();
    GIVES(code,
          samsa_producer_send_batch(producer, list, 3, sizeof list[0], 1000, &accepted, &err));
    CHECK(accepted == 1);
    GIVES(code,
          samsa_topic_publish_list(topic, bad, 1, sizeof *bad, 1000, &partition, &offset, &err));
    CHECK(partition == -1 && offset == -1);
}

static void records(void) {
    samsa_header header;
    samsa_record bad;

    bad = good_record();
    bad.flags = 1u << 31;
    refused_record(&bad, SAMSA_ERR_INVALID_ARGUMENT);
    bad = good_record();
    bad.flags = SAMSA_RECORD_PARTITION;
    bad.partition = -7;
    refused_record(&bad, SAMSA_ERR_INVALID_ARGUMENT);
    bad.partition = INT64_MIN;
    refused_record(&bad, SAMSA_ERR_INVALID_ARGUMENT);
    /* A partition whose flag was forgotten would silently not count. */
    bad = good_record();
    bad.partition = 2;
    refused_record(&bad, SAMSA_ERR_INVALID_ARGUMENT);
    bad = good_record();
    bad.key_length = 3;
    refused_record(&bad, SAMSA_ERR_INVALID_ARGUMENT);
    bad = good_record();
    bad.headers_count = 1;
    refused_record(&bad, SAMSA_ERR_INVALID_ARGUMENT);
    memset(&header, 0, sizeof header);
    header.name_length = 1;
    bad.headers = &header;
    refused_record(&bad, SAMSA_ERR_INVALID_ARGUMENT);
    bad = good_record();
    bad.topic = (samsa_topic *)(void *)producer;
    refused_record(&bad, SAMSA_ERR_INVALID_HANDLE);
}

static void no_topic(void) {
    samsa_record bad = good_record();

    bad.topic = NULL;
    GIVES(SAMSA_ERR_INVALID_HANDLE, samsa_producer_send(producer, &bad, sizeof bad, 1000, &err));
}

/* A topic of another cluster is an error wherever it is used. */
static void foreign_topic(void) {
    samsa_cluster *other = open_cluster(samsa_embedded_address(embedded));
    samsa_topic *foreign = open_topic(other, "structs");
    samsa_record bad = good_record();

    bad.topic = foreign;
    GIVES(SAMSA_ERR_FOREIGN_TOPIC, samsa_producer_send(producer, &bad, sizeof bad, 1000, &err));
    samsa_topic_free(foreign);
    samsa_cluster_free(other);
}

static void packed(void) {
    static const uint32_t lengths[2] = {1, 4};
    samsa_packed bad;
    size_t accepted = 77;

    memset(&bad, 0, sizeof bad);
    GIVES(SAMSA_ERR_INVALID_ARGUMENT,
          samsa_producer_send_packed(producer, &bad, 1000, &accepted, &err));
    CHECK(accepted == 0);
    bad.struct_size = SIZE_MAX;
    GIVES(SAMSA_ERR_INVALID_ARGUMENT,
          samsa_producer_send_packed(producer, &bad, 1000, &accepted, &err));
    bad.struct_size = sizeof bad;
    GIVES(SAMSA_ERR_INVALID_HANDLE,
          samsa_producer_send_packed(producer, &bad, 1000, &accepted, &err));
    bad.topic = topic;
    bad.count = 2;
    bad.buffer = "abc";
    bad.buffer_length = 3;
    bad.value_lengths = lengths;
    /* The first fits, the second is longer than the buffer. */
    GIVES(SAMSA_ERR_INVALID_ARGUMENT,
          samsa_producer_send_packed(producer, &bad, 1000, &accepted, &err));
    CHECK(accepted == 1);
    bad.flags = 1u << 30;
    GIVES(SAMSA_ERR_INVALID_ARGUMENT,
          samsa_producer_send_packed(producer, &bad, 1000, &accepted, &err));
    CHECK(accepted == 0);
}

/* What a newer program sets and this library does not know must be zero. */
static void newer_program(void) {
    struct {
        samsa_packed known;
        uint64_t unknown;
    } newer;
    size_t accepted;

    memset(&newer, 0, sizeof newer);
    newer.known.struct_size = sizeof newer;
    newer.known.topic = topic;
    OK(samsa_producer_send_packed(producer, &newer.known, 1000, &accepted, &err));
    newer.unknown = 1;
    GIVES(SAMSA_ERR_INVALID_ARGUMENT,
          samsa_producer_send_packed(producer, &newer.known, 1000, &accepted, &err));
}

static void refused_position(const samsa_position *bad) {
    samsa_positions *out = NULL;

    GIVES(SAMSA_ERR_INVALID_ARGUMENT, samsa_consumer_assign(consumer, bad, 1, sizeof *bad, &err));
    GIVES(SAMSA_ERR_INVALID_ARGUMENT, samsa_consumer_seek(consumer, bad, 1, sizeof *bad, &err));
    OK(samsa_consumer_assignment(consumer, &out, &err));
    CHECK(samsa_positions_list(out, NULL) == 0);
    samsa_positions_free(out);
}

static void positions(void) {
    samsa_position bad, good;

    memset(&good, 0, sizeof good);
    good.topic = "structs";
    bad = good;
    bad.topic = NULL;
    refused_position(&bad);
    bad.topic = "\xff\xfe";
    refused_position(&bad);
    bad.topic = "no/topic";
    refused_position(&bad);
    bad = good;
    bad.partition = -1;
    refused_position(&bad);
    bad = good;
    bad.flags = SAMSA_POSITION_OFFSET;
    bad.offset = -3;
    refused_position(&bad);
    bad = good; /* its flag was forgotten */
    bad.flags = 0;
    bad.offset = 7;
    refused_position(&bad);
    bad = good;
    bad.flags = SAMSA_POSITION_TIME;
    bad.timestamp = -1;
    refused_position(&bad);
    bad = good;
    bad.flags = 1u << 31;
    refused_position(&bad);
}

static void others(void) {
    samsa_new_topic bad_topic;
    samsa_property property;
    samsa_fault bad_fault;

    memset(&bad_topic, 0, sizeof bad_topic);
    bad_topic.struct_size = sizeof bad_topic;
    GIVES(SAMSA_ERR_INVALID_ARGUMENT, samsa_cluster_create_topic(cluster, &bad_topic, 1000, &err));
    bad_topic.name = "new";
    bad_topic.partitions = -1;
    GIVES(SAMSA_ERR_INVALID_ARGUMENT, samsa_cluster_create_topic(cluster, &bad_topic, 1000, &err));
    bad_topic.partitions = 1;
    bad_topic.properties_count = 1;
    GIVES(SAMSA_ERR_INVALID_ARGUMENT, samsa_cluster_create_topic(cluster, &bad_topic, 1000, &err));
    memset(&property, 0, sizeof property);
    bad_topic.properties = &property;
    GIVES(SAMSA_ERR_INVALID_ARGUMENT, samsa_cluster_create_topic(cluster, &bad_topic, 1000, &err));
    bad_topic.properties_count = 0;
    bad_topic.flags = 1u << 31;
    GIVES(SAMSA_ERR_INVALID_ARGUMENT, samsa_cluster_create_topic(cluster, &bad_topic, 1000, &err));
    memset(&bad_fault, 0, sizeof bad_fault);
    bad_fault.struct_size = sizeof bad_fault;
    GIVES(SAMSA_ERR_INVALID_ARGUMENT, samsa_embedded_inject(embedded, &bad_fault, NULL, &err));
}

/* Made, seen by the cluster, deleted, made again by the same name refused while it is there. */
static void topics_come_and_go(void) {
    samsa_new_topic made;
    samsa_topics *topics;
    const samsa_topic_view *views;
    size_t i, n, found = 0;

    memset(&made, 0, sizeof made);
    made.struct_size = sizeof made;
    made.name = "made";
    made.partitions = 3;
    made.replication_factor = 1;
    OK(samsa_cluster_create_topic(cluster, &made, 10000, &err));
    GIVES(SAMSA_ERR_TOPIC_ALREADY_EXISTS, samsa_cluster_create_topic(cluster, &made, 10000, &err));
    OK(samsa_cluster_topics(cluster, 10000, &topics, &err));
    n = samsa_topics_list(topics, &views);
    for (i = 0; i < n; i++) {
        if (strcmp(views[i].name, "made") == 0) {
            found++;
            CHECK(views[i].partitions == 3 && views[i].code == SAMSA_OK);
        }
    }
    CHECK(found == 1);
    samsa_topics_free(topics);
    OK(samsa_cluster_delete_topic(cluster, "made", 10000, &err));
    GIVES(SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION,
          samsa_cluster_delete_topic(cluster, "made", 10000, &err));
}

int main(void) {
    OK(samsa_embedded_start(1, &embedded, &err));
    OK(samsa_embedded_create_topic(embedded, "structs", 1, &err));
    cluster = open_cluster(samsa_embedded_address(embedded));
    topic = open_topic(cluster, "structs");
    OK(samsa_producer_new(cluster, NULL, &producer, &err));
    OK(samsa_consumer_new(cluster, NULL, &consumer, &err));
    records();
    no_topic();
    foreign_topic();
    packed();
    newer_program();
    positions();
    others();
    topics_come_and_go();
    OK(samsa_cluster_close(cluster, 10000, &err));
    samsa_consumer_free(consumer);
    samsa_producer_free(producer);
    samsa_topic_free(topic);
    samsa_cluster_free(cluster);
    samsa_embedded_free(embedded);
    puts("structs: ok");
    return 0;
}
