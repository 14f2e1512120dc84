#include <samsa.h>
#include <stdio.h>

int main(int argc, char **argv) {
    samsa_error *err = NULL;
    samsa_cluster *cluster = NULL;
    samsa_topic *topic = NULL;
    samsa_consumer *consumer = NULL;
    samsa_message *message = NULL;
    int64_t partition = -1, offset = -1;

    samsa_config *config = samsa_config_new();
    const char *servers = argc > 1 ? argv[1] : "localhost:9092";
    if (samsa_config_set(config, "bootstrap.servers", servers, &err) == 0 &&
        samsa_config_set(config, "auto.offset.reset", "earliest", &err) == 0 &&
        samsa_cluster_open(config, 10000, &cluster, &err) == 0 &&
        samsa_cluster_topic(cluster, "greetings", &topic, &err) == 0 &&
        samsa_topic_publish(topic, "en", 2, "hello", 5, 10000, &partition, &offset, &err) == 0 &&
        samsa_topic_subscribe(topic, NULL, 10000, &consumer, &err) == 0 &&
        samsa_consumer_next(consumer, 10000, &message, &err) == 0) {
        const samsa_message_view *view = samsa_message_get(message);
        printf("published at offset %lld, read back: %.*s\n", (long long)offset,
               (int)view->value_length, (const char *)view->value);
    }
    if (message == NULL)
        fprintf(stderr, "%s\n", err != NULL ? samsa_error_message(err) : "nothing came in 10 s");
    int status = message == NULL;
    samsa_error_free(err); /* each _free accepts NULL, in any order */
    samsa_message_free(message);
    samsa_consumer_free(consumer);
    samsa_topic_free(topic);
    samsa_cluster_free(cluster);
    samsa_config_free(config);
    return status;
}
