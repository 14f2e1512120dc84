/* legacy [ROUNDS] (make bench-legacy): what a message of 100 bytes costs the client on Kafka 0.7,
 * beside today's Kafka.
 *
 * Both on embedded brokers, which run in a child process, so that their time does not count.
 * Prints for publishing in lists and for consuming the CPU time per message of each round and the
 * ratio of the medians. The bound is 1.25. */
#define _GNU_SOURCE
#include "../examples-c/options.h"

#include <samsa_testing.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 100, LIST = 1000, LISTS = 1000, CONSUMED = 2000000, MOST_ROUNDS = 21 };

/* CPU time of all threads of this process, in nanoseconds. */
static double cpu_time(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return 1e9 * (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e3 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static samsa_record records[LIST];

static void make_records(void) {
    static char payload[SIZE];
    memset(payload, 'x', sizeof payload);
    for (size_t i = 0; i < LIST; i++) {
        records[i].value = payload;
        records[i].value_length = SIZE;
    }
}

/* `address` is the property that finds the brokers. */
static samsa_topic *open_topic(const char *address, samsa_cluster **cluster) {
    char found[256];
    snprintf(found, sizeof found, "%s", address);
    char *options[] = {found, NULL};
    const char *defaults[] = {"auto.offset.reset=earliest", "max.poll.records=1000",
                              "enable.idempotence=false", "linger.ms=0", NULL};
    samsa_error *error = NULL;
    samsa_topic *topic = NULL;
    *cluster = open_cluster(options, defaults);
    samsa_code code = samsa_cluster_topic(*cluster, "bench", &topic, &error);
    check(code, &error);
    return topic;
}

static void publish_lists(samsa_topic *topic, int lists) {
    for (int i = 0; i < lists; i++) {
        samsa_error *error = NULL;
        samsa_code code = samsa_topic_publish_list(topic, records, LIST, sizeof *records, 30000,
                                                   NULL, NULL, &error);
        check(code, &error);
    }
}

/* CPU time per message of publishing; what is published is there to be consumed. */
static double publish(const char *address) {
    samsa_cluster *cluster = NULL;
    samsa_topic *topic = open_topic(address, &cluster);
    publish_lists(topic, 1);
    double begin = cpu_time();
    publish_lists(topic, LISTS);
    double cost = (cpu_time() - begin) / ((double)LISTS * LIST);
    samsa_topic_free(topic);
    samsa_cluster_free(cluster);
    return cost;
}

/* CPU time per message of consuming, from the first one on, again and again. */
static double consume(const char *address) {
    samsa_cluster *cluster = NULL;
    samsa_error *error = NULL;
    samsa_topic *topic = open_topic(address, &cluster);
    uint64_t seen = 0, bytes = 0;
    double cost = 0;
    while (seen < CONSUMED) {
        samsa_consumer *consumer = NULL;
        samsa_code code = samsa_topic_subscribe(topic, NULL, 30000, &consumer, &error);
        check(code, &error);
        uint64_t round = 0;
        double begin = 0;
        while (round < (uint64_t)LISTS * LIST) {
            samsa_batch *batch = NULL;
            const samsa_message_view *views = NULL;
            code = samsa_consumer_poll(consumer, 30000, &batch, &error);
            check(code, &error);
            size_t count = samsa_batch_messages(batch, &views);
            for (size_t i = 0; i < count; i++)
                bytes += views[i].value_length;
            samsa_batch_free(batch);
            if (round == 0)
                begin = cpu_time(); /* connected now */
            round += count;
        }
        cost += cpu_time() - begin;
        seen += round;
        samsa_consumer_free(consumer);
    }
    if (bytes != seen * SIZE)
        fprintf(stderr, "other messages than were published\n");
    samsa_topic_free(topic);
    samsa_cluster_free(cluster);
    return cost / (double)seen;
}

/* The child: brokers until standard input ends; says by which property they are found. */
static void serve(bool legacy, int to) {
    samsa_error *error = NULL;
    samsa_embedded *embedded = NULL;
    char found[256];
    if (legacy) {
        samsa_embedded_zookeeper *zookeeper = NULL;
        samsa_code code = samsa_embedded_zookeeper_start(&zookeeper, &error);
        check(code, &error);
        const char *address = samsa_embedded_zookeeper_address(zookeeper);
        code = samsa_embedded_start_legacy(1, 1, address, &embedded, &error);
        check(code, &error);
        snprintf(found, sizeof found, "zookeeper.connect=%s", address);
    } else {
        samsa_code code = samsa_embedded_start(1, &embedded, &error);
        check(code, &error);
        snprintf(found, sizeof found, "bootstrap.servers=%s", samsa_embedded_address(embedded));
    }
    if (write(to, found, strlen(found) + 1) < 0)
        exit(1);
    pause();
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *figures, int count) {
    qsort(figures, (size_t)count, sizeof *figures, by_size);
    return figures[count / 2];
}

/* The figures of fresh brokers with fresh logs, from a client process of their own. */
static void measure(bool legacy, double *published, double *consumed) {
    int address[2], figures[2];
    if (pipe(address) != 0 || pipe(figures) != 0)
        exit(1);
    pid_t brokers = fork();
    if (brokers == 0) {
        serve(legacy, address[1]);
        exit(0);
    }
    pid_t client = fork();
    if (client == 0) {
        char found[256];
        double costs[2];
        if (read(address[0], found, sizeof found) <= 0)
            exit(1);
        make_records();
        costs[0] = publish(found);
        costs[1] = consume(found);
        exit(write(figures[1], costs, sizeof costs) == (ssize_t)sizeof costs ? 0 : 1);
    }
    int status = 0;
    double costs[2] = {0, 0};
    waitpid(client, &status, 0);
    kill(brokers, SIGTERM);
    waitpid(brokers, NULL, 0);
    if (status != 0 || read(figures[0], costs, sizeof costs) != (ssize_t)sizeof costs)
        exit(1);
    *published = costs[0];
    *consumed = costs[1];
    close(address[0]), close(address[1]), close(figures[0]), close(figures[1]);
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 5;
    if (rounds < 1 || rounds > MOST_ROUNDS)
        rounds = 5;
    static double published[2][MOST_ROUNDS], consumed[2][MOST_ROUNDS];
    for (int round = 0; round < rounds; round++) {
        for (int legacy = 0; legacy < 2; legacy++)
            measure(legacy, &published[legacy][round], &consumed[legacy][round]);
        printf("round %d: publish_list 1000 %.1f ns, 0.7 %.1f ns; consume %.1f ns, 0.7 %.1f ns\n",
               round + 1, published[0][round], published[1][round], consumed[0][round],
               consumed[1][round]);
        fflush(stdout);
    }
    double ratio = median(published[1], rounds) / median(published[0], rounds);
    printf("publish_list: 0.7 costs %.2f of today's\n", ratio);
    ratio = median(consumed[1], rounds) / median(consumed[0], rounds);
    printf("consume: 0.7 costs %.2f of today's\n", ratio);
    return 0;
}
