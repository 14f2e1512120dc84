/* Waits end: by a wake-up from a signal handler, remembered once; by the descriptor; by their time.
 */
#define _POSIX_C_SOURCE 200809L
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "check.h"

static samsa_embedded *embedded;
static samsa_consumer *consumer;
static samsa_producer *producer;
static samsa_cluster *cluster;
static samsa_position position;

static void wake_consumer(int signal_number) {
    (void)signal_number;
    samsa_consumer_wakeup(consumer);
}

static void wake_cluster(int signal_number) {
    (void)signal_number;
    samsa_cluster_wakeup(cluster);
}

static timer_t alarm_soon(void (*handler)(int)) {
    struct itimerspec soon;
    struct sigevent event;
    timer_t timer;

    CHECK(signal(SIGALRM, handler) != SIG_ERR);
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGALRM;
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    memset(&soon, 0, sizeof soon);
    soon.it_value.tv_nsec = 50 * 1000 * 1000;
    CHECK(timer_settime(timer, 0, &soon, NULL) == 0);
    return timer;
}

static int64_t milliseconds(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int readable(intptr_t fd, int timeout_ms) {
    struct pollfd poll_fd;

    poll_fd.fd = (int)fd;
    poll_fd.events = POLLIN;
    return poll(&poll_fd, 1, timeout_ms) == 1;
}

static void a_signal_handler_ends_a_wait(void) {
    timer_t timer = alarm_soon(wake_consumer);
    samsa_message *message;

    GIVES(SAMSA_WOKEN, samsa_consumer_next(consumer, -1, &message, &err));
    CHECK(message == NULL);
    timer_delete(timer);
}

static pthread_t main_thread;
static uint64_t held_back;

/* Signals the main thread once the broker has come to the request that is held back. */
static void *signal_when_held(void *unused) {
    CHECK(samsa_embedded_wait_injected(embedded, held_back, 1, 60000, NULL) == SAMSA_OK);
    CHECK(pthread_kill(main_thread, SIGALRM) == 0);
    return unused;
}

/* A publish that waits for the answer to this request is ended by the cluster's wake-up, which a
 * signal handler gives. */
static void a_signal_handler_ends_a_publish(const char *name, const char *api, samsa_code ends) {
    samsa_topic *topic = open_topic(cluster, name);
    pthread_t signaller;
    samsa_fault fault;

    memset(&fault, 0, sizeof fault);
    fault.struct_size = sizeof fault;
    fault.kind = SAMSA_FAULT_DELAY;
    fault.delay_ms = 3000;
    fault.api = api;
    fault.topic = name;
    OK(samsa_embedded_inject(embedded, &fault, &held_back, &err));
    main_thread = pthread_self();
    CHECK(signal(SIGALRM, wake_cluster) != SIG_ERR);
    CHECK(pthread_create(&signaller, NULL, signal_when_held, NULL) == 0);
    GIVES(ends, samsa_topic_publish(topic, NULL, 0, "x", 1, -1, NULL, NULL, &err));
    CHECK(pthread_join(signaller, NULL) == 0);
    samsa_topic_free(topic);
}

/* Nobody has the consumer yet: the cluster's wake-up reaches what waits for the group. */
static void a_signal_handler_ends_a_subscription_in_a_group(void) {
    samsa_topic *topic = open_topic(cluster, "waiting");
    samsa_consumer *none = consumer;
    pthread_t signaller;
    samsa_fault fault;

    memset(&fault, 0, sizeof fault);
    fault.struct_size = sizeof fault;
    fault.kind = SAMSA_FAULT_SILENCE;
    fault.times = UINT32_MAX;
    fault.api = "JoinGroup";
    OK(samsa_embedded_inject(embedded, &fault, &held_back, &err));
    main_thread = pthread_self();
    CHECK(signal(SIGALRM, wake_cluster) != SIG_ERR);
    CHECK(pthread_create(&signaller, NULL, signal_when_held, NULL) == 0);
    GIVES(SAMSA_WOKEN, samsa_topic_subscribe(topic, "woken", -1, &none, &err));
    CHECK(none == NULL);
    CHECK(pthread_join(signaller, NULL) == 0);
    OK(samsa_embedded_withdraw(embedded, held_back, &err));
    samsa_topic_free(topic);
}

static void a_wakeup_is_remembered_once(void) {
    samsa_message *message;
    samsa_batch *batch;

    samsa_consumer_wakeup(consumer);
    samsa_consumer_wakeup(consumer);
    GIVES(SAMSA_WOKEN, samsa_consumer_poll(consumer, -1, &batch, &err));
    GIVES(SAMSA_NOTHING, samsa_consumer_next(consumer, 0, &message, &err));
    samsa_producer_wakeup(producer);
    GIVES(SAMSA_WOKEN, samsa_producer_poll(producer, -1, &(samsa_deliveries *){NULL}, &err));
}

static void a_wait_takes_its_time_and_no_more(void) {
    int64_t start = milliseconds(), spent;
    samsa_message *message;

    GIVES(SAMSA_NOTHING, samsa_consumer_next(consumer, 0, &message, &err));
    CHECK(milliseconds() - start < 1000);
    start = milliseconds();
    GIVES(SAMSA_NOTHING, samsa_consumer_next(consumer, 150, &message, &err));
    spent = milliseconds() - start;
    CHECK(spent >= 149 && spent < 5000);
}

/* Level-triggered: readable while there is something, quiet after a poll that found nothing. */
static void the_descriptor_tells_when_a_poll_would_not_wait(void) {
    samsa_topic *topic = open_topic(cluster, "waiting");
    samsa_message *message;
    intptr_t fd, again;
    int64_t lag = 77;
    int i;

    OK(samsa_consumer_fd(consumer, &fd, &err));
    OK(samsa_consumer_fd(consumer, &again, &err));
    CHECK(fd >= 0 && again == fd);
    GIVES(SAMSA_NOTHING, samsa_consumer_next(consumer, 0, &message, &err));
    CHECK(!readable(fd, 0));
    OK(samsa_topic_publish(topic, NULL, 0, "x", 1, 10000, NULL, NULL, &err));
    for (i = 0; i < 100; i++) { /* readable may be spurious */
        samsa_code code;

        CHECK(readable(fd, 10000));
        code = samsa_consumer_next(consumer, 0, &message, &err);
        check_code(code, code == SAMSA_NOTHING ? SAMSA_NOTHING : SAMSA_OK, __FILE__, __LINE__);
        if (code == SAMSA_OK) {
            break;
        }
    }
    CHECK(message != NULL);
    samsa_message_free(message);
    GIVES(SAMSA_NOTHING, samsa_consumer_next(consumer, 0, &message, &err));
    CHECK(!readable(fd, 0));
    OK(samsa_consumer_lag(consumer, &position, &lag, &err));
    CHECK(lag == 0);
    samsa_consumer_wakeup(consumer);
    CHECK(readable(fd, 10000));
    GIVES(SAMSA_WOKEN, samsa_consumer_next(consumer, 0, &message, &err));
    OK(samsa_producer_fd(producer, &fd, &err));
    OK(samsa_cluster_fd(cluster, &again, &err));
    CHECK(fd >= 0 && again >= 0 && fd != again);
    samsa_topic_free(topic);
}

/* Waits without limit on other threads end with CLOSED when their handle is closed. */
static void *wait_for_message(void *code) {
    samsa_message *message = NULL;

    do { /* what the publish that was interrupted had sent may come */
        samsa_message_free(message);
        *(samsa_code *)code = samsa_consumer_next(consumer, -1, &message, NULL);
    } while (*(samsa_code *)code == SAMSA_OK);
    return NULL;
}

static void *wait_for_delivery(void *code) {
    samsa_deliveries *deliveries;

    *(samsa_code *)code = samsa_producer_poll(producer, -1, &deliveries, NULL);
    return NULL;
}

static void *wait_for_event(void *code) {
    samsa_event *event = NULL;

    do {
        samsa_event_free(event);
        *(samsa_code *)code = samsa_cluster_next_event(cluster, -1, &event, NULL);
    } while (*(samsa_code *)code == SAMSA_OK);
    return NULL;
}

static void close_ends_every_wait(void) {
    static void *(*const waits[3])(void *) = {wait_for_message, wait_for_delivery, wait_for_event};
    pthread_t threads[3];
    samsa_code codes[3] = {0, 0, 0};
    int i;

    for (i = 0; i < 3; i++) {
        CHECK(pthread_create(&threads[i], NULL, waits[i], &codes[i]) == 0);
    }
    OK(samsa_cluster_close(cluster, 10000, &err));
    for (i = 0; i < 3; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK(codes[i] == SAMSA_ERR_CLOSED);
    }
}

int main(void) {
    OK(samsa_embedded_start(1, &embedded, &err));
    OK(samsa_embedded_create_topic(embedded, "waiting", 1, &err));
    cluster = open_cluster(samsa_embedded_address(embedded));
    OK(samsa_producer_new(cluster, NULL, &producer, &err));
    OK(samsa_consumer_new(cluster, NULL, &consumer, &err));
    memset(&position, 0, sizeof position);
    position.topic = "waiting";
    position.offset = SAMSA_EARLIEST;
    position.flags = SAMSA_POSITION_OFFSET;
    OK(samsa_consumer_assign(consumer, &position, 1, sizeof position, &err));
    a_signal_handler_ends_a_wait();
    a_wakeup_is_remembered_once();
    a_wait_takes_its_time_and_no_more();
    the_descriptor_tells_when_a_poll_would_not_wait();
    /* The record that was sent may be persisted yet; the one whose topic was not known never left.
     */
    a_signal_handler_ends_a_publish("waiting", "Produce", SAMSA_ERR_TIMED_OUT);
    a_signal_handler_ends_a_publish("looked-up", "Metadata", SAMSA_WOKEN);
    a_signal_handler_ends_a_subscription_in_a_group();
    close_ends_every_wait();
    samsa_consumer_free(consumer);
    samsa_producer_free(producer);
    samsa_cluster_free(cluster);
    samsa_embedded_free(embedded);
    puts("waiting: ok");
    return 0;
}
