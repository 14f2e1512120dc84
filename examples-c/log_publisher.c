/* log_publisher TOPIC [name=value]...
 *
 * Publishes log lines: each line of standard input as the program's own, and what the library logs
 * meanwhile (samsa.log.level says what). Works on every Kafka from 0.7 on.
 *
 * A log callback must return at once and may call nothing but samsa_log functions: publishing there
 * could wait for the very thread that logs. So it hands its lines over to a thread of this program,
 * through a ring that drops lines, and counts them, when the thread falls behind. */
#define _POSIX_C_SOURCE 200809L
#include "options.h"

#include <inttypes.h>
#include <pthread.h>
#include <time.h>

enum { LINES = 1024, PATIENCE_MS = 30000 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char *lines[LINES];
    size_t first, count; /* of the lines that wait */
    uint64_t dropped;
    bool ended, released;
    struct timespec end; /* when what is left is given up, once ended */
} ring = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* Hands a line over. The program's own lines wait for room; those of the library never do. */
static void hand_over(const char *from, const char *text, bool waits) {
    size_t room = strlen(from) + strlen(text) + sizeof ": ";
    char *line = malloc(room);
    if (line != NULL)
        snprintf(line, room, "%s: %s", from, text);
    pthread_mutex_lock(&ring.lock);
    while (waits && ring.count == LINES)
        pthread_cond_wait(&ring.changed, &ring.lock);
    if (ring.count == LINES || line == NULL) {
        ring.dropped++;
        free(line);
    } else {
        ring.lines[(ring.first + ring.count++) % LINES] = line;
        pthread_cond_broadcast(&ring.changed);
    }
    pthread_mutex_unlock(&ring.lock);
}

static void on_log(const samsa_log *log, void *user) {
    (void)user;
    hand_over(samsa_log_facility(log), samsa_log_message(log), false);
}

/* The library has let go of the callback: it runs no more. */
static void on_release(void *user) {
    (void)user;
    pthread_mutex_lock(&ring.lock);
    ring.released = true;
    pthread_cond_broadcast(&ring.changed);
    pthread_mutex_unlock(&ring.lock);
}

/* Takes the next line, to be freed; NULL when there will be none any more. */
static char *take(void) {
    char *line = NULL;
    pthread_mutex_lock(&ring.lock);
    while (ring.count == 0 && !ring.ended)
        pthread_cond_wait(&ring.changed, &ring.lock);
    if (ring.count > 0) {
        line = ring.lines[ring.first];
        ring.first = (ring.first + 1) % LINES;
        ring.count--;
        pthread_cond_broadcast(&ring.changed);
    }
    pthread_mutex_unlock(&ring.lock);
    return line;
}

/* How long the next line may take, in milliseconds: all that are left at the end share one time. */
static int32_t patience(void) {
    struct timespec now;
    pthread_mutex_lock(&ring.lock);
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t left = PATIENCE_MS;
    if (ring.ended)
        left = (ring.end.tv_sec - now.tv_sec) * INT64_C(1000) +
               (ring.end.tv_nsec - now.tv_nsec) / 1000000;
    pthread_mutex_unlock(&ring.lock);
    return left < 0 ? 0 : (int32_t)left;
}

/* What the thread that publishes has, and what it did. */
struct publisher {
    samsa_topic *topic;
    uint64_t published, failed;
};

static void *publish_lines(void *argument) {
    struct publisher *publisher = argument;
    for (char *line; (line = take()) != NULL; free(line)) {
        samsa_error *error = NULL;
        int32_t timeout_ms = patience();
        if (timeout_ms == 0) { /* no time is left for it */
            publisher->failed++;
            continue;
        }
        samsa_code code = samsa_topic_publish(publisher->topic, NULL, 0, line, strlen(line),
                                              timeout_ms, NULL, NULL, &error);
        if (code == 0) { /* not so after a condition either */
            publisher->published++;
            continue;
        }
        if (publisher->failed++ == 0) /* the first failure tells why; the others are counted */
            fprintf(stderr, "not published: %s\n",
                    error == NULL ? samsa_code_text(code) : samsa_error_message(error));
        samsa_error_free(error);
    }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: log_publisher TOPIC [name=value]...\n");
        return 2;
    }
    samsa_error *error = NULL;
    samsa_config *config = samsa_config_new();
    for (char **option = argv + 2; *option != NULL; option++)
        set_option(config, *option);
    samsa_code code = samsa_config_set_log_callback(config, on_log, NULL, on_release, &error);
    check(code, &error);
    samsa_cluster *cluster = NULL;
    code = samsa_cluster_open(config, 30000, &cluster, &error);
    samsa_config_free(config);
    check(code, &error);
    struct publisher publisher = {0};
    code = samsa_cluster_topic(cluster, argv[1], &publisher.topic, &error);
    check(code, &error);

    pthread_t thread;
    if (pthread_create(&thread, NULL, publish_lines, &publisher) != 0) {
        fprintf(stderr, "no thread\n");
        return 1;
    }
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    while ((length = getline(&line, &room, stdin)) >= 0) {
        if (length > 0 && line[length - 1] == '\n')
            line[length - 1] = '\0';
        hand_over("program", line, true);
    }
    bool torn = ferror(stdin) != 0;
    if (torn)
        perror("standard input");
    free(line);
    pthread_mutex_lock(&ring.lock);
    ring.ended = true;
    clock_gettime(CLOCK_MONOTONIC, &ring.end);
    ring.end.tv_sec += PATIENCE_MS / 1000;
    pthread_cond_broadcast(&ring.changed);
    pthread_mutex_unlock(&ring.lock);
    pthread_join(thread, NULL);

    samsa_topic_free(publisher.topic);
    code = samsa_cluster_close(cluster, 5000, &error);
    samsa_error_free(error);
    samsa_cluster_free(cluster);
    /* free waits for nothing: lines of the library may be on their way until the release. */
    pthread_mutex_lock(&ring.lock);
    while (!ring.released)
        pthread_cond_wait(&ring.changed, &ring.lock);
    pthread_mutex_unlock(&ring.lock);
    for (; ring.count > 0;
         ring.count--, ring.dropped++) { /* logged when nobody published any more */
        free(ring.lines[ring.first]);
        ring.first = (ring.first + 1) % LINES;
    }
    printf("%" PRIu64 " lines published, %" PRIu64 " not, %" PRIu64 " dropped\n",
           publisher.published, publisher.failed, ring.dropped);
    return publisher.failed == 0 && !torn ? 0 : 1;
}
