/* A handle used after fork fails at once; a cluster opened in the child works; the child's exit
 * does not hang. The parent goes on as if nothing had been. */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static samsa_embedded *embedded;
static char address[64]; /* the broker is the parent's: children know it by this */
static samsa_cluster *cluster;
static samsa_topic *topic;
static samsa_producer *producer;
static samsa_consumer *consumer;

static void at_exit(void) {
    /* Frees in the child's exit handlers only give back memory. */
    samsa_consumer_free(consumer);
    samsa_producer_free(producer);
    samsa_topic_free(topic);
    samsa_cluster_free(cluster);
}

static void publish(samsa_topic *to, const char *text) {
    int64_t offset;
    OK(samsa_topic_publish(to, NULL, 0, text, strlen(text), 10000, NULL, &offset, &err));
    CHECK(offset >= 0);
}

/* Everything of the parent gives FORKED; what is waited for is not waited for. */
static void child_with_old_handles(void) {
    samsa_record record;
    samsa_deliveries *deliveries;
    samsa_message *message;
    samsa_topic *other;

    alarm(20); /* a hang is a failure, not a wait for ever */
    memset(&record, 0, sizeof record);
    record.topic = topic;
    GIVES(SAMSA_ERR_FORKED, samsa_cluster_topic(cluster, "other", &other, &err));
    CHECK(other == NULL);
    GIVES(SAMSA_ERR_FORKED, samsa_topic_publish(topic, NULL, 0, "x", 1, -1, NULL, NULL, &err));
    GIVES(SAMSA_ERR_FORKED, samsa_producer_send(producer, &record, sizeof record, -1, &err));
    GIVES(SAMSA_ERR_FORKED, samsa_producer_poll(producer, -1, &deliveries, &err));
    GIVES(SAMSA_ERR_FORKED, samsa_producer_flush(producer, -1, NULL, &err));
    GIVES(SAMSA_ERR_FORKED, samsa_consumer_next(consumer, -1, &message, &err));
    GIVES(SAMSA_ERR_FORKED, samsa_consumer_close(consumer, -1, &err));
    GIVES(SAMSA_ERR_FORKED, samsa_cluster_close(cluster, -1, &err));
    samsa_cluster_wakeup(cluster);
    CHECK(samsa_topic_name(topic) == NULL);
    atexit(at_exit);
    exit(0);
}

static void child_with_new_handles(void) {
    samsa_cluster *mine;
    samsa_topic *greetings;

    alarm(60);
    at_exit();
    CHECK(samsa_embedded_address(embedded) == NULL);
    mine = open_cluster(address);
    greetings = open_topic(mine, "greetings");
    publish(greetings, "from the child");
    samsa_topic_free(greetings);
    OK(samsa_cluster_close(mine, 10000, &err));
    samsa_cluster_free(mine);
    exit(0);
}

/* A child that does nothing of ours: its exit alone must not hang. */
static void child_idle(void) {
    alarm(20);
    exit(0);
}

static void in_child(void (*body)(void)) {
    int status;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        body();
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void) {
    int i;

    OK(samsa_embedded_start(1, &embedded, &err));
    OK(samsa_embedded_create_topic(embedded, "greetings", 1, &err));
    snprintf(address, sizeof address, "%s", samsa_embedded_address(embedded));
    cluster = open_cluster(address);
    topic = open_topic(cluster, "greetings");
    OK(samsa_producer_new(cluster, NULL, &producer, &err));
    OK(samsa_consumer_new(cluster, NULL, &consumer, &err));
    publish(topic, "before");
    in_child(child_with_old_handles);
    in_child(child_with_new_handles);
    for (i = 0; i < 20; i++) {
        in_child(child_idle);
    }
    publish(topic, "after");
    at_exit();
    samsa_embedded_free(embedded);
    puts("fork: ok");
    return 0;
}
