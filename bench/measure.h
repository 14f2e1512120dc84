/* What the bench programs in C share: their arguments, what they measure, and how they say it.
 *
 * A program prints one JSON object of figures and then waits until its standard input closes, so
 * that bench/run.py can look at the living process. */
#ifndef MEASURE_H
#define MEASURE_H

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* An idle producer has sent so many records with keys before: to every partition. */
enum { BATCH = 1000, KEY = 8, WARM_UP_SECONDS = 1, BEFORE_IDLE = 10000 };

/* MODE [NAME=VALUE]...; see bench/run.py for what each mode does. */
struct arguments {
    const char *mode;
    const char *bootstrap;
    const char *topic;
    const char *call;
    const char *codec;
    const char *wait;     /* fetch.max.wait.ms */
    const char *payloads; /* a file of values of `size` bytes */
    uint64_t count;
    uint32_t size;
    bool keys;
    double rate;
    double seconds;
};

static inline void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static inline struct arguments read_arguments(int argc, char **argv) {
    struct arguments a = {.mode = argc > 1 ? argv[1] : "",
                          .bootstrap = "127.0.0.1:9092",
                          .topic = "bench",
                          .call = "",
                          .codec = "none",
                          .wait = "500",
                          .count = 1000000,
                          .size = 100,
                          .rate = 10000,
                          .seconds = 3};
    for (int i = 2; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (value == NULL)
            fail("usage: MODE [NAME=VALUE]...");
        *value++ = '\0';
        const char *name = argv[i];
        if (strcmp(name, "bootstrap") == 0)
            a.bootstrap = value;
        else if (strcmp(name, "topic") == 0)
            a.topic = value;
        else if (strcmp(name, "call") == 0)
            a.call = value;
        else if (strcmp(name, "codec") == 0)
            a.codec = value;
        else if (strcmp(name, "wait") == 0)
            a.wait = value;
        else if (strcmp(name, "payloads") == 0)
            a.payloads = value;
        else if (strcmp(name, "count") == 0)
            a.count = strtoull(value, NULL, 10);
        else if (strcmp(name, "size") == 0)
            a.size = (uint32_t)strtoul(value, NULL, 10);
        else if (strcmp(name, "keys") == 0)
            a.keys = strcmp(value, "yes") == 0;
        else if (strcmp(name, "rate") == 0)
            a.rate = strtod(value, NULL);
        else if (strcmp(name, "seconds") == 0)
            a.seconds = strtod(value, NULL);
        else
            fail(name);
    }
    return a;
}

/* The values to send, one after the other; mapped, so that they are nobody's own memory. */
struct payloads {
    const char *bytes;
    uint32_t size;
    uint64_t count;
};

static inline struct payloads map_payloads(const struct arguments *a) {
    struct payloads payloads = {.size = a->size};
    struct stat status;
    int file = a->payloads != NULL ? open(a->payloads, O_RDONLY) : -1;
    if (file < 0 || fstat(file, &status) != 0)
        fail("no file of payloads");
    size_t length = (size_t)status.st_size;
    payloads.bytes = mmap(NULL, length, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (payloads.bytes == MAP_FAILED)
        fail("the file of payloads cannot be mapped");
    close(file);
    payloads.count = length / a->size;
    return payloads;
}

static inline const char *payload(const struct payloads *payloads, uint64_t i) {
    return payloads->bytes + i % payloads->count * payloads->size;
}

/* Eight random bytes, another eight for each i. */
static inline void random_key(uint64_t i, char key[KEY]) {
    uint64_t x = (i + 1) * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    memcpy(key, &x, KEY);
}

/* One moment of the process: user and system time of all its threads, and the clock. */
struct moment {
    double cpu;
    double wall;
    double switches;
};

static inline double wall_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline struct moment take_moment(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (struct moment){
        .cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
        .wall = wall_seconds(),
        .switches = (double)(usage.ru_nvcsw + usage.ru_nivcsw),
    };
}

/* Waits for the end of the standard input: bench/run.py has seen what it wants. */
static inline void wait_for_end(void) {
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
}

static inline void say_throughput(const char *client, const char *version, uint64_t count,
                                  struct moment begin, struct moment end) {
    printf("{\"client\":\"%s\",\"version\":\"%s\",\"cpu_ns\":%.1f,\"per_second\":%.0f}\n", client,
           version, (end.cpu - begin.cpu) * 1e9 / (double)count,
           (double)count / (end.wall - begin.wall));
    wait_for_end();
}

static inline void say_ready(const char *client, const char *version) {
    printf("{\"client\":\"%s\",\"version\":\"%s\"}\n", client, version);
    fflush(stdout);
}

/* Messages sent at a fixed rate, however long the answers take: a latency counts from the time at
 * which the message was due. The first second is not counted. */
struct latency {
    double interval;
    double first_due;
    uint64_t warm_up;
    uint64_t count;
    uint64_t sent;
    uint64_t acknowledged;
    double *micros; /* of each message */
    struct moment begin;
};

static inline struct latency plan_latency(const struct arguments *a) {
    struct latency plan = {.interval = 1 / a->rate, .first_due = wall_seconds() + 0.05};
    plan.warm_up = (uint64_t)(a->rate * WARM_UP_SECONDS);
    plan.count = plan.warm_up + (uint64_t)(a->rate * a->seconds);
    plan.micros = calloc(plan.count, sizeof *plan.micros);
    if (plan.micros == NULL)
        fail("no memory for the latencies");
    return plan;
}

/* Seconds until the next message is due; not above 0 when it is. */
static inline double until_due(const struct latency *plan) {
    return plan->first_due + (double)plan->sent * plan->interval - wall_seconds();
}

static inline void note_sent(struct latency *plan) {
    if (plan->sent++ == plan->warm_up)
        plan->begin = take_moment();
}

static inline void note_acknowledged(struct latency *plan, uint64_t i) {
    double due = plan->first_due + (double)i * plan->interval;
    plan->micros[i] = (wall_seconds() - due) * 1e6;
    plan->acknowledged++;
}

/* Sleeps until the next message is due or the descriptor is readable; says whether it is. */
static inline bool wait_for_next(const struct latency *plan, int descriptor) {
    double left = plan->sent < plan->count ? until_due(plan) : 1;
    if (left < 0)
        left = 0;
    struct timespec timeout = {.tv_sec = (time_t)left};
    timeout.tv_nsec = (long)((left - (double)timeout.tv_sec) * 1e9);
    struct pollfd readable = {.fd = descriptor, .events = POLLIN};
    return ppoll(&readable, 1, &timeout, NULL) > 0;
}

static inline int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline void say_latency(const char *client, const char *version,
                               const struct latency *plan) {
    struct moment end = take_moment();
    uint64_t n = plan->count - plan->warm_up;
    double *sorted = plan->micros + plan->warm_up;
    qsort(sorted, n, sizeof *sorted, compare_doubles);
    double seconds = end.wall - plan->begin.wall;
    printf("{\"client\":\"%s\",\"version\":\"%s\",\"cpu_ns\":%.0f,\"per_second\":%.0f,"
           "\"p50_us\":%.0f,\"p99_us\":%.0f,\"p999_us\":%.0f,\"switches_per_second\":%.0f}\n",
           client, version, (end.cpu - plan->begin.cpu) * 1e9 / (double)n, (double)n / seconds,
           sorted[n / 2], sorted[n * 99 / 100], sorted[n * 999 / 1000],
           (end.switches - plan->begin.switches) / seconds);
    wait_for_end();
}

#endif
