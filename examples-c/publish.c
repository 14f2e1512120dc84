/* publish TOPIC [name=value]...
 *
 * Publishes single messages and a list, each call waiting for its acknowledgement. */
#include "options.h"

static void print_place(const char *what, const samsa_cluster *cluster, int64_t partition) {
    printf("%s -> partition ", what);
    print_partition(stdout, cluster, partition);
}

static void publish_one(samsa_cluster *cluster, samsa_topic *topic, const char *key,
                        const char *value) {
    samsa_error *error = NULL;
    int64_t partition, offset;
    size_t key_length = key == NULL ? 0 : strlen(key);
    samsa_code code = samsa_topic_publish(topic, key, key_length, value, strlen(value), 30000,
                                          &partition, &offset, &error);
    check(code, &error);
    print_place(value, cluster, partition);
    if (offset >= 0) /* Kafka 0.7 tells none */
        printf(", offset %" PRId64, offset);
    printf("\n");
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: publish TOPIC [name=value]...\n");
        return 2;
    }
    samsa_error *error = NULL;
    samsa_topic *topic = NULL;
    samsa_cluster *cluster = open_cluster(argv + 2, NULL);
    samsa_code code = samsa_cluster_topic(cluster, argv[1], &topic, &error);
    check(code, &error);

    publish_one(cluster, topic, NULL, "an apple");
    publish_one(cluster, topic, "yellow", "a banana");
    publish_one(cluster, topic, "red", "a cherry");

    /* A list goes to one partition, in order, in one request. */
    static const char *const values[] = {"a date", "an elderberry", "a fig"};
    samsa_record records[3] = {{0}};
    for (size_t i = 0; i < 3; i++) {
        records[i].value = values[i];
        records[i].value_length = (uint32_t)strlen(values[i]);
    }
    int64_t partition, first;
    code = samsa_topic_publish_list(topic, records, 3, sizeof *records, 30000, &partition, &first,
                                    &error);
    check(code, &error);
    print_place("a list of 3", cluster, partition);
    if (first >= 0)
        printf(", offsets %" PRId64 " to %" PRId64, first, first + 2);
    printf("\n");

    samsa_topic_free(topic);
    code = samsa_cluster_close(cluster, 5000, &error);
    check(code, &error);
    samsa_cluster_free(cluster);
    return 0;
}
