/* Forced panics (a library built with panic-injection): in a call, a sender, a fetcher and the
 * metadata loop. Each gives SAMSA_ERR_PANIC where it concerns someone, and every waiter wakes. */
#include <pthread.h>

#include "check.h"

void samsa_panic_arm(const char *point);
void samsa_panic_disarm(void);

static samsa_embedded *embedded;

struct world {
    samsa_cluster *cluster;
    samsa_topic *topic;
    samsa_producer *producer;
    samsa_consumer *consumer;
};

static struct world open_world(void) {
    struct world w;
    samsa_position position;

    w.cluster = open_cluster(samsa_embedded_address(embedded));
    w.topic = open_topic(w.cluster, "panics");
    /* No publish here: it has a sender of its own, which could meet what is armed for another. */
    OK(samsa_producer_new(w.cluster, NULL, &w.producer, &err));
    OK(samsa_consumer_new(w.cluster, NULL, &w.consumer, &err));
    memset(&position, 0, sizeof position);
    position.topic = "panics";
    position.offset = SAMSA_LATEST;
    position.flags = SAMSA_POSITION_OFFSET;
    OK(samsa_consumer_assign(w.consumer, &position, 1, sizeof position, &err));
    return w;
}

/* Whatever broke, free works and does not wait. */
static void free_world(struct world *w) {
    samsa_panic_disarm();
    samsa_consumer_free(w->consumer);
    samsa_producer_free(w->producer);
    samsa_topic_free(w->topic);
    samsa_cluster_free(w->cluster);
}

static void send_one(struct world *w, samsa_code *code) {
    samsa_record record;

    memset(&record, 0, sizeof record);
    record.topic = w->topic;
    record.value = "y";
    record.value_length = 1;
    *code = samsa_producer_send(w->producer, &record, sizeof record, 10000, NULL);
}

/* A wait without limit on another thread, which must end with SAMSA_ERR_PANIC. */
struct waiter {
    pthread_t thread;
    struct world *world;
    samsa_code code;
};

static void *wait_for_message(void *context) {
    struct waiter *waiter = context;
    samsa_message *message = NULL;

    do {
        samsa_message_free(message);
        waiter->code = samsa_consumer_next(waiter->world->consumer, -1, &message, NULL);
    } while (waiter->code == SAMSA_OK);
    return NULL;
}

static void *wait_for_delivery(void *context) {
    struct waiter *waiter = context;
    samsa_deliveries *deliveries = NULL;

    do {
        samsa_deliveries_free(deliveries);
        waiter->code = samsa_producer_poll(waiter->world->producer, -1, &deliveries, NULL);
    } while (waiter->code == SAMSA_OK);
    return NULL;
}

static void start(struct waiter *waiter, struct world *w, void *(*body)(void *)) {
    waiter->world = w;
    waiter->code = 0;
    CHECK(pthread_create(&waiter->thread, NULL, body, waiter) == 0);
}

static void must_panic(struct waiter *waiter) {
    CHECK(pthread_join(waiter->thread, NULL) == 0); /* run.sh bounds the whole program */
    if (waiter->code != SAMSA_ERR_PANIC) {
        fprintf(stderr, "a waiter got %s\n", samsa_code_name(waiter->code));
        exit(1);
    }
}

static void panic_in_a_call(void) {
    struct world w = open_world();
    struct waiter waiter;
    samsa_deliveries *deliveries;
    samsa_code code;

    start(&waiter, &w, wait_for_delivery);
    samsa_panic_arm("call");
    /* The waiter or we meet it; both end with the code, and the handle stays broken. */
    send_one(&w, &code);
    must_panic(&waiter);
    send_one(&w, &code);
    CHECK(code == SAMSA_ERR_PANIC);
    GIVES(SAMSA_ERR_PANIC, samsa_producer_poll(w.producer, -1, &deliveries, &err));
    CHECK(deliveries == NULL);
    /* Other handles are not concerned. */
    OK(samsa_topic_publish(w.topic, NULL, 0, "x", 1, 10000, NULL, NULL, &err));
    free_world(&w);
}

static void panic_in_the_sender(void) {
    struct world w = open_world();
    struct waiter waiter;
    samsa_code code;

    start(&waiter, &w, wait_for_delivery);
    samsa_panic_arm("sender");
    send_one(&w, &code);
    CHECK(code == SAMSA_OK || code == SAMSA_ERR_PANIC);
    must_panic(&waiter);
    free_world(&w);
}

static void panic_in_the_fetcher(void) {
    struct world w = open_world();
    struct waiter waiter;

    samsa_panic_arm("fetcher");
    start(&waiter, &w, wait_for_message);
    OK(samsa_topic_publish(w.topic, NULL, 0, "z", 1, 10000, NULL, NULL, &err));
    must_panic(&waiter);
    free_world(&w);
}

static void panic_in_the_metadata_loop(void) {
    struct world w = open_world();
    struct waiter messages, deliveries;
    samsa_topic *other = NULL;
    samsa_code code;

    start(&messages, &w, wait_for_message);
    start(&deliveries, &w, wait_for_delivery);
    samsa_panic_arm("metadata");
    /* A topic that was never asked for makes the loop turn. */
    code = samsa_cluster_topic(w.cluster, "panics-other", &other, &err);
    /* Unless the loop has turned by itself already. */
    if (code == SAMSA_OK)
        code = samsa_topic_publish(other, NULL, 0, "x", 1, 10000, NULL, NULL, &err);
    check_code(code, SAMSA_ERR_PANIC, __FILE__, __LINE__);
    must_panic(&messages);
    must_panic(&deliveries);
    samsa_topic_free(other);
    free_world(&w);
}

int main(void) {
    OK(samsa_embedded_start(1, &embedded, &err));
    OK(samsa_embedded_create_topic(embedded, "panics", 1, &err));
    panic_in_a_call();
    panic_in_the_sender();
    panic_in_the_fetcher();
    panic_in_the_metadata_loop();
    samsa_embedded_free(embedded);
    puts("panics: ok");
    return 0;
}
