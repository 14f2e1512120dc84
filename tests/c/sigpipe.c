/* With the default SIGPIPE, a broker that goes away while we write to it kills nobody. */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>

#include "check.h"

int main(void) {
    samsa_embedded *embedded = NULL;
    samsa_cluster *cluster;
    samsa_topic *topic;
    int64_t offset;
    int round;

    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    OK(samsa_embedded_start(1, &embedded, &err));
    OK(samsa_embedded_create_topic(embedded, "pipe", 1, &err));
    cluster = open_cluster(samsa_embedded_address(embedded));
    topic = open_topic(cluster, "pipe");
    for (round = 0; round < 5; round++) {
        OK(samsa_topic_publish(topic, NULL, 0, "x", 1, 20000, NULL, &offset, &err));
        OK(samsa_embedded_stop_broker(embedded, 0, &err));
        /* Fails or not by what the client has noticed already; it must only not die. */
        samsa_topic_publish(topic, NULL, 0, "y", 1, 200, NULL, NULL, &err);
        samsa_error_free(err);
        err = NULL;
        OK(samsa_embedded_start_broker(embedded, 0, &err));
    }
    OK(samsa_topic_publish(topic, NULL, 0, "z", 1, 20000, NULL, &offset, &err));
    /* Nobody changed what the program does with the signal. */
    CHECK(signal(SIGPIPE, SIG_DFL) == SIG_DFL);
    samsa_topic_free(topic);
    OK(samsa_cluster_close(cluster, 10000, &err));
    samsa_cluster_free(cluster);
    samsa_embedded_free(embedded);
    puts("sigpipe: ok");
    return 0;
}
