/* Close, then free: what can be done after a close, twice, in any order, with things still queued.
 */
#include "check.h"

static samsa_embedded *embedded;

static samsa_consumer *open_consumer(samsa_cluster *cluster, const char *topic) {
    samsa_consumer *consumer = NULL;
    samsa_position position;

    OK(samsa_consumer_new(cluster, NULL, &consumer, &err));
    memset(&position, 0, sizeof position);
    position.topic = topic;
    position.offset = SAMSA_EARLIEST;
    position.flags = SAMSA_POSITION_OFFSET;
    OK(samsa_consumer_assign(consumer, &position, 1, sizeof position, &err));
    return consumer;
}

static void send(samsa_producer *producer, samsa_topic *topic, int n) {
    samsa_record record;

    memset(&record, 0, sizeof record);
    record.topic = topic;
    record.value = "x";
    record.value_length = 1;
    while (n-- > 0) {
        OK(samsa_producer_send(producer, &record, sizeof record, 10000, &err));
    }
}

/* Deliveries can be read after close; CLOSED comes only when all are, and never waits. */
static void deliveries_after_close(void) {
    samsa_cluster *cluster = open_cluster(samsa_embedded_address(embedded));
    samsa_topic *topic = open_topic(cluster, "endings");
    samsa_producer *producer;
    samsa_deliveries *deliveries;
    samsa_record record;
    size_t read = 0;

    OK(samsa_producer_new(cluster, NULL, &producer, &err));
    send(producer, topic, 10);
    OK(samsa_cluster_close(cluster, 10000, &err));
    while (read < 10) {
        const samsa_delivery *list;
        size_t i, n;

        OK(samsa_producer_poll(producer, -1, &deliveries, &err));
        n = samsa_deliveries_list(deliveries, &list);
        for (i = 0; i < n; i++) {
            CHECK(list[i].code == SAMSA_OK && list[i].status == SAMSA_PERSISTED);
        }
        read += n;
        samsa_deliveries_free(deliveries);
    }
    CHECK(read == 10);
    GIVES(SAMSA_ERR_CLOSED, samsa_producer_poll(producer, -1, &deliveries, &err));
    CHECK(deliveries == NULL);
    memset(&record, 0, sizeof record);
    record.topic = topic;
    GIVES(SAMSA_ERR_CLOSED, samsa_producer_send(producer, &record, sizeof record, -1, &err));
    OK(samsa_producer_close(producer, 0, &err)); /* a second close */
    OK(samsa_cluster_close(cluster, 0, &err));
    samsa_topic_free(topic);
    samsa_cluster_free(cluster);
    samsa_producer_free(producer);
}

/* A batch and a message outlive consumer, cluster and configuration. */
static void what_was_read_outlives_its_parents(void) {
    samsa_cluster *cluster = open_cluster(samsa_embedded_address(embedded));
    samsa_consumer *consumer = open_consumer(cluster, "endings");
    samsa_message *message, *copy;
    samsa_batch *batch;
    const samsa_message_view *views;

    OK(samsa_consumer_next(consumer, 10000, &message, &err));
    OK(samsa_message_copy(message, &copy, &err));
    OK(samsa_consumer_poll(consumer, 10000, &batch, &err));
    samsa_cluster_free(cluster);
    samsa_consumer_free(consumer);
    CHECK(strcmp(samsa_message_topic(message), "endings") == 0);
    CHECK(memcmp(samsa_message_get(message)->value, "x", 1) == 0);
    samsa_message_free(message);
    CHECK(memcmp(samsa_message_get(copy)->value, "x", 1) == 0);
    samsa_message_free(copy);
    CHECK(samsa_batch_messages(batch, &views) > 0 && views[0].value_length == 1);
    samsa_batch_free(batch);
}

/* Free without close never waits, whatever is queued. */
static void free_without_close(void) {
    samsa_config *config = samsa_config_new();
    samsa_cluster *cluster;
    samsa_topic *topic;
    samsa_producer *producer;
    samsa_record record;

    /* Nobody answers there; open does not wait with timeout 0. */
    OK(samsa_config_set(config, "bootstrap.servers", "127.0.0.1:1", &err));
    OK(samsa_cluster_open(config, 0, &cluster, &err));
    samsa_config_free(config);
    topic = open_topic(cluster, "nowhere");
    OK(samsa_producer_new(cluster, NULL, &producer, &err));
    memset(&record, 0, sizeof record);
    record.topic = topic;
    GIVES(SAMSA_WOULD_BLOCK, samsa_producer_send(producer, &record, sizeof record, 0, &err));
    samsa_cluster_free(cluster);
    samsa_producer_free(producer);
    samsa_topic_free(topic);
}

/* A broker that is not there: open says so within its time, and names it. */
static void open_of_nothing_ends_in_time(void) {
    samsa_config *config = samsa_config_new();
    samsa_cluster *cluster = (samsa_cluster *)&cluster;
    samsa_code code;

    OK(samsa_config_set(config, "bootstrap.servers", "127.0.0.1:1", &err));
    code = samsa_cluster_open(config, 300, &cluster, &err);
    CHECK(cluster == NULL && samsa_code_is_error(code) && err != NULL);
    CHECK(strstr(samsa_error_message(err), "127.0.0.1:1") != NULL);
    check_code(code, code, __FILE__, __LINE__);
    samsa_config_free(config);
}

/* Frees accept NULL. */
static void free_of_nothing(void) {
    samsa_config_free(NULL);
    samsa_cluster_free(NULL);
    samsa_topic_free(NULL);
    samsa_producer_free(NULL);
    samsa_consumer_free(NULL);
    samsa_deliveries_free(NULL);
    samsa_batch_free(NULL);
    samsa_message_free(NULL);
    samsa_positions_free(NULL);
    samsa_event_free(NULL);
    samsa_brokers_free(NULL);
    samsa_topics_free(NULL);
    samsa_partitions_free(NULL);
    samsa_error_free(NULL);
    samsa_string_free(NULL);
    samsa_embedded_free(NULL);
}

int main(void) {
    OK(samsa_embedded_start(1, &embedded, &err));
    OK(samsa_embedded_create_topic(embedded, "endings", 1, &err));
    free_of_nothing();
    deliveries_after_close();
    what_was_read_outlives_its_parents();
    free_without_close();
    open_of_nothing_ends_in_time();
    samsa_embedded_free(embedded);
    puts("endings: ok");
    return 0;
}
