/* rebalance_aware GROUP DIRECTORY TOPIC [name=value]...
 *
 * A member of a consumer group that keeps state for each partition: here how many messages it had,
 * and how many bytes. Each message counts once, whatever becomes of members and group, because the
 * state is kept together with the offset that it has come to, in one file a partition, replaced
 * whole. All members share the DIRECTORY; where yours is a database, it is a row and a transaction.
 *
 * assigned: restore the state and go on from its offset, not from what the group committed.
 * revoked:  save the state and commit its offset: the next owner begins there.
 * lost:     forget the state: somebody else may have gone on from the file already.
 *
 * Kafka 0.7 has no place within a compressed set: there a member that goes on counts its set anew.
 *
 * Prints the state of each partition that it gives up. Ends at SIGINT or SIGTERM. */
#define _POSIX_C_SOURCE 200809L
#include "options.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <unistd.h>

enum { MOST_PARTITIONS = 1024, SAVED_EVERY = 1000, IDLE_MS = 200 };

struct state {
    char *topic; /* NULL: not in use */
    int64_t partition;
    int64_t next; /* the offset that the state has come to; -1: nothing was read yet */
    uint64_t messages, bytes;
    unsigned unsaved;
};

static struct state states[MOST_PARTITIONS];
static const char *directory;
static samsa_consumer *consumer;
static volatile sig_atomic_t interrupted;

static void interrupt(int signal) {
    (void)signal;
    interrupted = 1;
    samsa_consumer_wakeup(consumer);
}

static struct state *find(const char *topic, int64_t partition) {
    for (struct state *state = states; state < states + MOST_PARTITIONS; state++)
        if (state->topic != NULL && state->partition == partition &&
            strcmp(state->topic, topic) == 0)
            return state;
    return NULL;
}

static void file_of(const struct state *state, const char *suffix, char *name, size_t size) {
    int length = snprintf(name, size, "%s/%s-%" PRId64 "%s", directory, state->topic,
                          state->partition, suffix);
    if (length < 0 || (size_t)length >= size) {
        fprintf(stderr, "%s: the name is too long\n", directory);
        exit(1);
    }
}

/* Has the disk know the new name. */
static int sync_directory(void) {
    int entries = open(directory, O_RDONLY);
    if (entries < 0)
        return -1;
    int failed = fsync(entries);
    close(entries);
    return failed;
}

/* Replaces the file as a whole, on the disk: after a crash it is the old one or the new one. */
static void save(struct state *state) {
    char name[4096], fresh[4096];
    file_of(state, "", name, sizeof name);
    file_of(state, ".new", fresh, sizeof fresh);
    FILE *file = fopen(fresh, "w");
    if (file == NULL ||
        fprintf(file, "%" PRId64 " %" PRIu64 " %" PRIu64 "\n", state->next, state->messages,
                state->bytes) < 0 ||
        fflush(file) != 0 || fsync(fileno(file)) != 0 || fclose(file) != 0 ||
        rename(fresh, name) != 0 || sync_directory() != 0) {
        perror(name);
        exit(1);
    }
    state->unsaved = 0;
}

static struct state *restore(const char *topic, int64_t partition) {
    struct state *state = states;
    while (state < states + MOST_PARTITIONS && state->topic != NULL)
        state++;
    if (state == states + MOST_PARTITIONS || (state->topic = strdup(topic)) == NULL) {
        fputs("too many partitions\n", stderr);
        exit(1);
    }
    state->partition = partition;
    state->next = -1;
    state->messages = state->bytes = state->unsaved = 0;
    char name[4096];
    file_of(state, "", name, sizeof name);
    FILE *file = fopen(name, "r");
    if (file != NULL) {
        if (fscanf(file, "%" SCNd64 " %" SCNu64 " %" SCNu64, &state->next, &state->messages,
                   &state->bytes) != 3) {
            fprintf(stderr, "%s is damaged\n", name);
            exit(1);
        }
        fclose(file);
    }
    return state;
}

static void forget(struct state *state) {
    free(state->topic);
    state->topic = NULL;
}

/* Position by position: where its state has come to. */
static void take(const samsa_position *position) {
    samsa_error *error = NULL;
    struct state *state = restore(position->topic, position->partition);
    fprintf(stderr, "assigned %s %" PRId64 "\n", state->topic, state->partition);
    if (state->next < 0)
        return; /* never read: the group's offset, or auto.offset.reset */
    samsa_position to = {0};
    to.topic = state->topic;
    to.partition = state->partition;
    to.offset = state->next;
    to.flags = SAMSA_POSITION_OFFSET;
    samsa_code code = samsa_consumer_seek(consumer, &to, 1, sizeof to, &error);
    check(code, &error);
}

/* The file first: what is committed is never ahead of it. `timeout_ms` 0 does not wait. */
static void save_and_commit(struct state *state, int32_t timeout_ms) {
    save(state);
    if (state->next < 0)
        return;
    samsa_error *error = NULL;
    samsa_position done = {0};
    done.topic = state->topic;
    done.partition = state->partition;
    done.offset = state->next;
    done.flags = SAMSA_POSITION_OFFSET;
    samsa_code code =
        samsa_consumer_commit(consumer, &done, 1, sizeof done, timeout_ms, NULL, &error);
    /* Not the end: the file is what counts. Others see the group's lag by what is committed. */
    if (samsa_code_is_error(code))
        fprintf(stderr, "%s: %s\n", samsa_code_name(code), samsa_error_message(error));
    samsa_error_free(error);
}

static void give_up(struct state *state) {
    printf("%s %" PRId64 ": %" PRIu64 " messages, %" PRIu64 " bytes\n", state->topic,
           state->partition, state->messages, state->bytes);
    fflush(stdout);
    save_and_commit(state, 10000);
}

/* Runs inside samsa_consumer_next and samsa_consumer_close; the group waits for it. */
static void on_rebalance(samsa_consumer *member, const samsa_event *event, void *user) {
    const samsa_position *list = NULL;
    size_t count = samsa_event_positions(event, &list);
    (void)member;
    (void)user;
    for (size_t i = 0; i < count; i++) {
        struct state *state = find(list[i].topic, list[i].partition);
        switch (samsa_event_kind(event)) {
        case SAMSA_EVENT_ASSIGNED:
            if (state == NULL)
                take(&list[i]);
            break;
        case SAMSA_EVENT_REVOKED:
            if (state != NULL) {
                give_up(state);
                forget(state);
            }
            break;
        case SAMSA_EVENT_LOST:
            fprintf(stderr, "lost %s %" PRId64 "\n", list[i].topic, list[i].partition);
            if (state != NULL)
                forget(state);
            break;
        }
    }
}

static void count_message(const samsa_message *message) {
    const samsa_message_view *view = samsa_message_get(message);
    struct state *state = find(samsa_message_topic(message), samsa_message_partition(message));
    if (state == NULL)
        return;
    state->messages++;
    state->bytes += view->value_length;
    state->next = view->next_offset;
    if (++state->unsaved == SAVED_EVERY)
        save_and_commit(state, 0);
}

/* There is time for it. */
static void save_all(void) {
    for (struct state *state = states; state < states + MOST_PARTITIONS; state++)
        if (state->topic != NULL && state->unsaved > 0)
            save_and_commit(state, 0);
}

static void join_group(samsa_cluster *cluster, const char *group, const char *topic) {
    samsa_error *error = NULL;
    samsa_config *config = samsa_config_new();
    samsa_code code = samsa_config_set(config, "group.id", group, &error);
    check(code, &error);
    /* What is committed is what was saved. */
    code = samsa_config_set(config, "enable.auto.commit", "false", &error);
    check(code, &error);
    code = samsa_config_set_rebalance_callback(config, on_rebalance, NULL, NULL, &error);
    check(code, &error);
    code = samsa_consumer_new(cluster, config, &consumer, &error);
    check(code, &error);
    samsa_config_free(config);
    code = samsa_consumer_subscribe(consumer, &topic, 1, &error);
    check(code, &error);
}

int main(int argc, char **argv) {
    static const char *const defaults[] = {"auto.offset.reset=earliest", NULL};
    if (argc < 4) {
        fputs("usage: rebalance_aware GROUP DIRECTORY TOPIC [name=value]...\n", stderr);
        return 2;
    }
    directory = argv[2];
    samsa_cluster *cluster = open_cluster(argv + 4, defaults);
    join_group(cluster, argv[1], argv[3]);
    struct sigaction action = {0};
    action.sa_handler = interrupt;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* the state is saved and committed, whoever reads what we print */

    int status = 0;
    while (!interrupted && status == 0) {
        samsa_error *error = NULL;
        samsa_message *message = NULL;
        samsa_code code = samsa_consumer_next(consumer, IDLE_MS, &message, &error);
        if (code == SAMSA_NOTHING)
            save_all();
        if (samsa_code_is_error(code)) {
            fprintf(stderr, "%s: %s\n", samsa_code_name(code), samsa_error_message(error));
            status = samsa_error_is_retriable(error) ? 0 : 1;
            samsa_error_free(error);
        }
        if (message != NULL)
            count_message(message);
        samsa_message_free(message);
    }
    action.sa_handler = SIG_DFL;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    samsa_consumer_close(consumer, 10000, NULL); /* calls on_rebalance a last time */
    samsa_consumer_free(consumer);
    samsa_cluster_close(cluster, 5000, NULL);
    samsa_cluster_free(cluster);
    return status;
}
