/* Every fault of samsa_testing.h, injected from C into one partition of requests that name three:
 * what becomes of the records of that partition and of the others. */
#include "check.h"

#define PARTITIONS 3
#define FAULTY 1

static samsa_embedded *embedded;
static samsa_cluster *cluster;
static samsa_topic *topic;

static samsa_cluster *quick_cluster(void) {
    const char *const settings[][2] = {{"bootstrap.servers", samsa_embedded_address(embedded)},
                                       {"linger.ms", "30"},
                                       {"retry.backoff.ms", "5"},
                                       {"retry.backoff.max.ms", "20"},
                                       {"reconnect.backoff.ms", "5"},
                                       {"reconnect.backoff.max.ms", "20"},
                                       {"request.timeout.ms", "300"},
                                       {"delivery.timeout.ms", "20000"},
                                       {"fetch.max.wait.ms", "100"},
                                       {"auto.offset.reset", "earliest"}};
    samsa_config *config = samsa_config_new();
    samsa_cluster *opened = NULL;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        OK(samsa_config_set(config, settings[i][0], settings[i][1], &err));
    OK(samsa_cluster_open(config, 10000, &opened, &err));
    samsa_config_free(config);
    return opened;
}

static int64_t log_end(int64_t partition) {
    int64_t end = -1;
    OK(samsa_embedded_log_end(embedded, "faults", partition, &end, &err));
    return end;
}

static uint64_t inject(samsa_fault fault) {
    uint64_t id = 0;
    fault.struct_size = sizeof fault;
    fault.api = fault.api ? fault.api : "Produce";
    fault.topic = "faults";
    fault.partition = FAULTY;
    fault.flags |= SAMSA_FAULT_PARTITION;
    OK(samsa_embedded_inject(embedded, &fault, &id, &err));
    CHECK(id != 0);
    return id;
}

/* A record to each partition with the fault in the way; the outcome of the faulty partition's. */
static samsa_delivery produce_through(samsa_fault fault) {
    samsa_producer *producer = NULL;
    samsa_deliveries *deliveries = NULL;
    const samsa_delivery *list = NULL;
    samsa_delivery faulty;
    samsa_record records[PARTITIONS];
    size_t seen = 0, accepted = 0;
    uint64_t id = inject(fault);

    OK(samsa_producer_new(cluster, NULL, &producer, &err));
    memset(records, 0, sizeof records);
    memset(&faulty, 0, sizeof faulty);
    for (int i = 0; i < PARTITIONS; i++) {
        records[i].topic = topic;
        records[i].value = "v";
        records[i].value_length = 1;
        records[i].partition = i;
        records[i].flags = SAMSA_RECORD_PARTITION;
    }
    OK(samsa_producer_send_batch(producer, records, PARTITIONS, sizeof *records, 10000, &accepted,
                                 &err));
    CHECK(accepted == PARTITIONS);
    OK(samsa_producer_flush(producer, 20000, NULL, &err));
    while (seen < PARTITIONS) {
        OK(samsa_producer_poll(producer, 10000, &deliveries, &err));
        size_t count = samsa_deliveries_list(deliveries, &list);
        for (size_t i = 0; i < count; i++) {
            if (list[i].partition == FAULTY)
                faulty = list[i];
            else
                CHECK(list[i].code == 0 && list[i].status == SAMSA_PERSISTED);
        }
        seen += count;
        samsa_deliveries_free(deliveries);
    }
    CHECK(seen == PARTITIONS);
    OK(samsa_embedded_wait_injected(embedded, id, 1, 10000, &err));
    OK(samsa_embedded_withdraw(embedded, id, &err));
    CHECK(samsa_embedded_injected(embedded, id) >= 1);
    OK(samsa_producer_close(producer, 10000, &err));
    samsa_producer_free(producer);
    return faulty;
}

/* The record is on the broker after the fault, and its outcome says so. */
static void is_retried(int32_t kind, int32_t code, uint32_t flags) {
    samsa_fault fault;
    int64_t before = log_end(FAULTY);
    memset(&fault, 0, sizeof fault);
    fault.kind = kind;
    fault.code = code;
    fault.flags = flags;
    fault.delay_ms = 40;
    samsa_delivery delivery = produce_through(fault);
    CHECK(delivery.code == 0 && delivery.status == SAMSA_PERSISTED);
    CHECK(log_end(FAULTY) > before);
}

static void is_refused(int32_t kind, int32_t code, int32_t record) {
    samsa_fault fault;
    int64_t before = log_end(FAULTY);
    memset(&fault, 0, sizeof fault);
    fault.kind = kind;
    fault.code = code;
    fault.record = record;
    samsa_delivery delivery = produce_through(fault);
    CHECK(delivery.code == code && delivery.status == SAMSA_NOT_PERSISTED && delivery.offset == -1);
    CHECK(log_end(FAULTY) == before);
}

static void leaders_move(void) {
    samsa_fault fault;
    int32_t leader = -1;
    memset(&fault, 0, sizeof fault);
    OK(samsa_embedded_leader(embedded, "faults", FAULTY, &leader, &err));
    fault.kind = SAMSA_FAULT_LEADER_MOVE;
    fault.leader = 1 - leader;
    CHECK(produce_through(fault).code == 0);
    OK(samsa_embedded_leader(embedded, "faults", FAULTY, &leader, &err));
    CHECK(leader == fault.leader);
    /* A false hint costs a round trip, no more. */
    fault.kind = SAMSA_FAULT_ERROR_CODE;
    fault.code = SAMSA_ERR_NOT_LEADER_OR_FOLLOWER;
    fault.leader = 1 - leader;
    fault.leader_epoch = 1000;
    fault.flags = SAMSA_FAULT_NAMES_LEADER;
    CHECK(produce_through(fault).code == 0);
}

/* Consumes what is in all logs, with a fault in the way of the faulty partition. */
static void consume_through(int32_t kind, int32_t code) {
    samsa_consumer *consumer = NULL;
    samsa_message *message = NULL;
    samsa_position positions[PARTITIONS];
    samsa_fault fault;
    int64_t left = 0;

    memset(&fault, 0, sizeof fault);
    memset(positions, 0, sizeof positions);
    fault.kind = kind;
    fault.code = code;
    fault.delay_ms = 40;
    fault.api = "Fetch";
    uint64_t id = inject(fault);
    for (int i = 0; i < PARTITIONS; i++) {
        positions[i].topic = "faults";
        positions[i].partition = i;
        left += log_end(i);
    }
    OK(samsa_consumer_new(cluster, NULL, &consumer, &err));
    OK(samsa_consumer_assign(consumer, positions, PARTITIONS, sizeof *positions, &err));
    for (; left > 0; left--) {
        OK(samsa_consumer_next(consumer, 20000, &message, &err));
        samsa_message_free(message);
    }
    OK(samsa_embedded_wait_injected(embedded, id, 1, 10000, &err));
    GIVES(SAMSA_NOTHING, samsa_consumer_next(consumer, 0, &message, &err));
    OK(samsa_consumer_close(consumer, 10000, &err));
    samsa_consumer_free(consumer);
}

/* Told once, whatever the number of attempts; publishing is what makes them here. */
static void all_brokers_go(void) {
    samsa_event *event = NULL;
    int32_t kind = SAMSA_EVENT_NONE;
    samsa_code code;

    OK(samsa_embedded_stop_broker(embedded, 0, &err));
    OK(samsa_embedded_stop_broker(embedded, 1, &err));
    code = samsa_topic_publish(topic, NULL, 0, "x", 1, 300, NULL, NULL, &err);
    CHECK(code != SAMSA_OK);
    samsa_error_free(err);
    err = NULL;
    while (kind != SAMSA_EVENT_ALL_BROKERS_DOWN) {
        OK(samsa_cluster_next_event(cluster, 20000, &event, &err));
        kind = samsa_event_kind(event);
        CHECK(kind != SAMSA_EVENT_ALL_BROKERS_DOWN || samsa_event_broker(event) == -1);
        samsa_event_free(event);
    }
    code = samsa_topic_publish(topic, NULL, 0, "x", 1, 300, NULL, NULL, &err);
    CHECK(code != SAMSA_OK);
    samsa_error_free(err);
    err = NULL;
    while ((code = samsa_cluster_next_event(cluster, 0, &event, &err)) == SAMSA_OK) {
        CHECK(samsa_event_kind(event) != SAMSA_EVENT_ALL_BROKERS_DOWN);
        samsa_event_free(event);
    }
    CHECK(code == SAMSA_NOTHING);
}

int main(void) {
    OK(samsa_embedded_start(2, &embedded, &err));
    OK(samsa_embedded_create_topic(embedded, "faults", PARTITIONS, &err));
    for (int i = 0; i < PARTITIONS; i++)
        OK(samsa_embedded_move_leader(embedded, "faults", i, 0, &err));
    cluster = quick_cluster();
    topic = open_topic(cluster, "faults");

    is_retried(SAMSA_FAULT_ERROR_CODE, SAMSA_ERR_NOT_ENOUGH_REPLICAS, 0);
    is_retried(SAMSA_FAULT_ERROR_CODE, SAMSA_ERR_REQUEST_TIMED_OUT, SAMSA_FAULT_APPLIED);
    is_retried(SAMSA_FAULT_DELAY, 0, 0);
    is_retried(SAMSA_FAULT_DISCONNECT_BEFORE, 0, 0);
    is_retried(SAMSA_FAULT_DISCONNECT_AFTER, 0, 0);
    is_retried(SAMSA_FAULT_SILENCE, 0, 0);
    is_retried(SAMSA_FAULT_SILENCE, 0, SAMSA_FAULT_APPLIED);
    is_retried(SAMSA_FAULT_GARBAGE, 0, 0);
    is_retried(SAMSA_FAULT_MALFORMED, 0, 0);
    is_retried(SAMSA_FAULT_CLOSE_MID_FRAME, 0, 0);
    is_retried(SAMSA_FAULT_THROTTLE, 0, 0);
    is_retried(SAMSA_FAULT_NO_OFFSET, 0, 0);
    is_refused(SAMSA_FAULT_ERROR_CODE, SAMSA_ERR_TOPIC_AUTHORIZATION_FAILED, 0);
    is_refused(SAMSA_FAULT_RECORD_ERROR, SAMSA_ERR_INVALID_RECORD, 0);
    leaders_move();

    consume_through(SAMSA_FAULT_ERROR_CODE, SAMSA_ERR_NOT_LEADER_OR_FOLLOWER);
    consume_through(SAMSA_FAULT_REQUEST_ERROR, SAMSA_ERR_FETCH_SESSION_ID_NOT_FOUND);
    consume_through(SAMSA_FAULT_REQUEST_ERROR, SAMSA_ERR_INVALID_FETCH_SESSION_EPOCH);
    consume_through(SAMSA_FAULT_DISCONNECT_AFTER, 0);
    consume_through(SAMSA_FAULT_THROTTLE, 0);
    OK(samsa_embedded_close_connections(embedded, -1, &err));
    consume_through(SAMSA_FAULT_DELAY, 0);
    all_brokers_go();

    samsa_topic_free(topic);
    samsa_cluster_free(cluster);
    samsa_embedded_free(embedded);
    printf("faults: every kind, on one partition of several: ok\n");
    return 0;
}
