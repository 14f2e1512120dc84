/* cluster [-f] [name=value]...
 *
 * Lists the brokers of a cluster, its topics, and each partition with its leader and replicas. With
 * -f it goes on, and tells what comes, changes and goes. */
#include "options.h"

static void print_brokers(samsa_cluster *cluster) {
    samsa_error *error = NULL;
    samsa_brokers *brokers = NULL;
    const samsa_broker_view *list = NULL;
    samsa_code code = samsa_cluster_brokers(cluster, &brokers, &error);
    check(code, &error);
    size_t count = samsa_brokers_list(brokers, &list);
    const char *id = samsa_cluster_id(cluster);
    if (samsa_cluster_is_legacy(cluster))
        id = "of Kafka 0.7";
    printf("cluster %s: %zu broker%s\n", id == NULL ? "(no id)" : id, count, count == 1 ? "" : "s");
    for (size_t i = 0; i < count; i++) {
        printf("  broker %" PRId32 " at %s:%" PRId32, list[i].id, list[i].host, list[i].port);
        if (list[i].rack != NULL)
            printf(" in rack %s", list[i].rack);
        if (list[i].flags & SAMSA_BROKER_CONTROLLER)
            printf(" (controller)");
        printf("\n");
    }
    samsa_brokers_free(brokers);
}

static void print_ids(const char *what, const int32_t *ids, uint32_t count) {
    printf(" %s", what);
    for (uint32_t i = 0; i < count; i++)
        printf("%c%" PRId32, i == 0 ? ' ' : ',', ids[i]);
}

static void print_partitions(samsa_cluster *cluster, const char *name) {
    samsa_error *error = NULL;
    samsa_topic *topic = NULL;
    samsa_partitions *partitions = NULL;
    const samsa_partition_view *list = NULL;
    samsa_code code = samsa_cluster_topic(cluster, name, &topic, &error);
    check(code, &error);
    code = samsa_topic_partitions(topic, 10000, &partitions, &error);
    check(code, &error);
    size_t count = samsa_partitions_list(partitions, &list);
    for (size_t i = 0; i < count; i++) {
        printf("    partition ");
        print_partition(stdout, cluster, list[i].partition);
        if (samsa_cluster_is_legacy(cluster)) {
            /* On 0.7 it is its broker's alone. */
            bool is_virtual = list[i].flags & SAMSA_PARTITION_VIRTUAL;
            printf("%s\n", is_virtual ? " (virtual: a publish makes it)" : "");
            continue;
        }
        printf(": leader %" PRId32, list[i].leader);
        print_ids("replicas", list[i].replicas, list[i].replicas_count);
        print_ids("in sync", list[i].in_sync, list[i].in_sync_count);
        printf("\n");
    }
    samsa_partitions_free(partitions);
    samsa_topic_free(topic);
}

static void print_topics(samsa_cluster *cluster) {
    samsa_error *error = NULL;
    samsa_topics *topics = NULL;
    const samsa_topic_view *list = NULL;
    samsa_code code = samsa_cluster_topics(cluster, 10000, &topics, &error);
    check(code, &error);
    size_t count = samsa_topics_list(topics, &list);
    printf("%zu topic%s\n", count, count == 1 ? "" : "s");
    for (size_t i = 0; i < count; i++) {
        printf("  %s", list[i].name);
        if (list[i].flags & SAMSA_TOPIC_INTERNAL)
            printf(" (internal)");
        if (list[i].code != 0) {
            printf(": %s\n", samsa_code_text(list[i].code));
            continue;
        }
        printf("\n");
        print_partitions(cluster, list[i].name);
    }
    samsa_topics_free(topics);
}

/* An event only says where to look: what is true now stands in the snapshots. */
static void tell_broker(samsa_cluster *cluster, int32_t id) {
    samsa_error *error = NULL;
    samsa_brokers *brokers = NULL;
    const samsa_broker_view *list = NULL;
    samsa_code code = samsa_cluster_brokers(cluster, &brokers, &error);
    check(code, &error);
    size_t count = samsa_brokers_list(brokers, &list);
    size_t i = 0;
    while (i < count && list[i].id != id)
        i++;
    if (i < count)
        printf("broker %" PRId32 " is at %s:%" PRId32 "\n", id, list[i].host, list[i].port);
    else
        printf("broker %" PRId32 " is gone\n", id);
    samsa_brokers_free(brokers);
}

static void follow(samsa_cluster *cluster) {
    for (;;) {
        samsa_error *error = NULL;
        samsa_event *event = NULL;
        samsa_code code = samsa_cluster_next_event(cluster, -1, &event, &error);
        check(code, &error);
        if (samsa_event_kind(event) == SAMSA_EVENT_BROKER)
            tell_broker(cluster, samsa_event_broker(event));
        else if (samsa_event_kind(event) == SAMSA_EVENT_TOPIC)
            printf("topic %s came, changed or went\n", samsa_event_topic(event));
        fflush(stdout);
        samsa_event_free(event);
    }
}

int main(int argc, char **argv) {
    int follows = argc > 1 && strcmp(argv[1], "-f") == 0;
    static const char *const all_topics[] = {"samsa.events=topics", NULL};
    samsa_error *error = NULL;
    samsa_cluster *cluster = open_cluster(argv + 1 + follows, follows ? all_topics : NULL);
    print_brokers(cluster);
    print_topics(cluster);
    fflush(stdout);
    if (follows)
        follow(cluster);
    samsa_code code = samsa_cluster_close(cluster, 5000, &error);
    check(code, &error);
    samsa_cluster_free(cluster);
    return 0;
}
