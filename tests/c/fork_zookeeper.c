/* fork_zookeeper CONNECT TOPIC: a cluster found through ZooKeeper, and a child that opens its own.
 *
 * Needs a ZooKeeper with a broker in it: tests/brokers runs it. */
#define _POSIX_C_SOURCE 200809L
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static const char *connect_string;
static const char *name;
static samsa_cluster *cluster;
static samsa_topic *topic;

static samsa_cluster *open_through_zookeeper(void) {
    samsa_config *config = samsa_config_new();
    samsa_cluster *opened = NULL;
    OK(samsa_config_set(config, "zookeeper.connect", connect_string, &err));
    OK(samsa_cluster_open(config, 30000, &opened, &err));
    samsa_config_free(config);
    return opened;
}

static void publish(samsa_topic *to, const char *text) {
    int64_t offset;
    OK(samsa_topic_publish(to, NULL, 0, text, strlen(text), 30000, NULL, &offset, &err));
    CHECK(offset >= 0);
}

static void child(void) {
    samsa_topic *other;
    samsa_event *event;
    samsa_cluster *mine;

    alarm(60); /* a hang is a failure, not a wait for ever */
    GIVES(SAMSA_ERR_FORKED, samsa_cluster_topic(cluster, "other", &other, &err));
    GIVES(SAMSA_ERR_FORKED, samsa_topic_publish(topic, NULL, 0, "x", 1, -1, NULL, NULL, &err));
    GIVES(SAMSA_ERR_FORKED, samsa_cluster_next_event(cluster, -1, &event, &err));
    GIVES(SAMSA_ERR_FORKED, samsa_cluster_close(cluster, -1, &err));
    samsa_topic_free(topic);
    samsa_cluster_free(cluster);

    mine = open_through_zookeeper();
    topic = open_topic(mine, name);
    publish(topic, "from the child");
    samsa_topic_free(topic);
    OK(samsa_cluster_close(mine, 10000, &err));
    samsa_cluster_free(mine);
    exit(0);
}

int main(int argc, char **argv) {
    int status;
    pid_t pid;

    CHECK(argc == 3);
    connect_string = argv[1];
    name = argv[2];
    cluster = open_through_zookeeper();
    topic = open_topic(cluster, name);
    publish(topic, "before");
    fflush(NULL);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        child();
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    publish(topic, "after");
    samsa_topic_free(topic);
    OK(samsa_cluster_close(cluster, 10000, &err));
    samsa_cluster_free(cluster);
    puts("fork_zookeeper: ok");
    return 0;
}
