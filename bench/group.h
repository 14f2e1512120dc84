/* What both clients of the group bench share: members in threads of their own, and when they have
 * settled. A client defines run_member().
 *
 * usage: PROGRAM BOOTSTRAP TOPIC PARTITIONS MEMBERS ASSIGNOR HEARTBEAT_MS POLL_MS
 *
 * Starts the members at once and prints `settled MILLISECONDS` when each has its share of the
 * partitions and together they have all. Then reads commands, and says the same after each: `leave`
 * (the last one leaves politely), `join` (one more joins). Ends with its standard input. */
#ifndef GROUP_H
#define GROUP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST_MEMBERS = 1000 };

struct member {
    atomic_int owned; /* partitions that it has */
    atomic_bool stop; /* it is to leave */
    pthread_t thread;
};

static struct {
    const char *bootstrap, *topic, *assignor, *heartbeat_ms;
    int partitions, poll_ms;
} settings;

static struct member members[MOST_MEMBERS];
static int count;

/* Joins, counts in `owned` what it is given and what it gives up, and leaves when told to stop. */
static void run_member(struct member *member);

static void fail(const char *why) {
    fprintf(stderr, "%s\n", why);
    exit(1);
}

static double milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void *run_thread(void *member) {
    run_member(member);
    return NULL;
}

static void join_one(void) {
    if (count == MOST_MEMBERS)
        fail("too many members");
    struct member *member = &members[count++];
    atomic_store(&member->stop, false);
    atomic_store(&member->owned, 0);
    if (pthread_create(&member->thread, NULL, run_thread, member) != 0)
        fail("no thread");
}

static void leave_one(void) {
    struct member *member = &members[--count];
    atomic_store(&member->stop, true);
    pthread_join(member->thread, NULL);
}

static bool is_settled(void) {
    int sum = 0, least = settings.partitions / count;
    for (int i = 0; i < count; i++) {
        int owned = atomic_load(&members[i].owned);
        if (owned < least || owned > least + 1)
            return false;
        sum += owned;
    }
    return sum == settings.partitions;
}

/* Two looks in a row: partitions on their way are nobody's. */
static void wait_settled(double begin) {
    const struct timespec pause = {0, 1000000};
    for (int seen = 0; seen < 2; seen = is_settled() ? seen + 1 : 0) {
        if (milliseconds() - begin > 120000)
            fail("the members have not settled for two minutes");
        nanosleep(&pause, NULL);
    }
    printf("settled %.1f\n", milliseconds() - begin);
    fflush(stdout);
}

int main(int argc, char **argv) {
    char line[64];
    if (argc != 8)
        fail("usage: BOOTSTRAP TOPIC PARTITIONS MEMBERS ASSIGNOR HEARTBEAT_MS POLL_MS");
    settings.bootstrap = argv[1];
    settings.topic = argv[2];
    settings.partitions = atoi(argv[3]);
    settings.assignor = argv[5];
    settings.heartbeat_ms = argv[6];
    settings.poll_ms = atoi(argv[7]);
    double begin = milliseconds();
    for (int i = atoi(argv[4]); i > 0; i--)
        join_one();
    wait_settled(begin);
    while (fgets(line, sizeof line, stdin) != NULL) {
        begin = milliseconds();
        if (strcmp(line, "leave\n") == 0)
            leave_one();
        else if (strcmp(line, "join\n") == 0)
            join_one();
        else
            fail("commands: leave, join");
        wait_settled(begin);
    }
    /* Not waited for: a hundred polite leaves would each make a rebalance. */
    _exit(0);
}

#endif
