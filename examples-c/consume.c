/* consume [-n COUNT] [-H] [-g GROUP] TOPIC [name=value]...
 *
 * Prints each message of the topic on a line: partition (on Kafka 0.7 as broker-number), offset,
 * next offset, timestamp, key, value, separated by tabs; with -H a further column `name=value,...`
 * for the headers. Bytes print as they are but for \t \n \r \\ and \xHH for control bytes and what
 * is not UTF-8; NULL prints as \N. Starts at the earliest message unless told otherwise
 * (auto.offset.reset=latest). Ends after COUNT messages, at SIGINT or SIGTERM, or when its standard
 * output takes no more (exit status 1).
 *
 * With -g it is a member of a consumer group: it begins where the group has come to, commits what
 * it has printed, and leaves politely. Partitions that it is given, gives up, or loses are told on
 * standard error: `assigned TOPIC PARTITION...`, `revoked ...`, `lost ...`. TOPIC may then be a
 * pattern, as in '^logs[.].*'. */
#define _POSIX_C_SOURCE 200809L
#include "options.h"

#include <signal.h>
#include <unistd.h>

static samsa_cluster *cluster;
static samsa_consumer *consumer;
static samsa_message *unprinted; /* held until the last commit, which then stops before it */
static volatile sig_atomic_t interrupted;

/* samsa_consumer_wakeup may be called from a signal handler: it ends the wait in progress. */
static void interrupt(int signal) {
    (void)signal;
    interrupted = 1;
    samsa_consumer_wakeup(consumer);
}

/* The length of the well-formed UTF-8 sequence at `at`, or 0. */
static size_t utf8_length(const unsigned char *at, size_t left) {
    static const struct {
        unsigned char first, last, low, high;
        size_t length;
    } forms[] = {
        {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
        {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
        {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        if (at[0] < forms[f].first || at[0] > forms[f].last || left < forms[f].length)
            continue;
        if (at[1] < forms[f].low || at[1] > forms[f].high)
            return 0;
        for (size_t i = 2; i < forms[f].length; i++)
            if (at[i] < 0x80 || at[i] > 0xBF)
                return 0;
        return forms[f].length;
    }
    return 0;
}

static void print_bytes(const void *bytes, size_t length) {
    const unsigned char *at = bytes, *end = at + length;
    if (bytes == NULL) {
        fputs("\\N", stdout);
        return;
    }
    while (at < end) {
        size_t wide = *at < 0x80 ? 0 : utf8_length(at, (size_t)(end - at));
        if (wide > 0) {
            fwrite(at, 1, wide, stdout);
            at += wide;
            continue;
        }
        switch (*at) {
        case '\t': fputs("\\t", stdout); break;
        case '\n': fputs("\\n", stdout); break;
        case '\r': fputs("\\r", stdout); break;
        case '\\': fputs("\\\\", stdout); break;
        default:
            if (*at < 0x20 || *at >= 0x7F)
                printf("\\x%02X", *at);
            else
                putchar(*at);
        }
        at++;
    }
}

static void print_headers(const samsa_message_view *view) {
    samsa_header *headers = calloc(view->headers_count + 1, sizeof *headers);
    size_t count = headers == NULL ? 0 : samsa_headers_read(view, headers, view->headers_count);
    putchar('\t');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            putchar(',');
        print_bytes(headers[i].name, headers[i].name_length);
        putchar('=');
        print_bytes(headers[i].value, headers[i].value_length);
    }
    free(headers);
}

/* Whether it was printed. */
static int print_message(const samsa_message *message, int with_headers) {
    const samsa_message_view *view = samsa_message_get(message);
    print_partition(stdout, cluster, samsa_message_partition(message));
    printf("\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t", view->offset, view->next_offset,
           view->timestamp);
    print_bytes(view->key, view->key_length);
    putchar('\t');
    print_bytes(view->value, view->value_length);
    if (with_headers)
        print_headers(view);
    putchar('\n');
    return fflush(stdout) == 0 && !ferror(stdout);
}

static struct options {
    const char *group;
    int64_t wanted; /* messages; -1: no end */
    int with_headers;
} options = {NULL, -1, 0};

/* Every partition, no membership, nothing committed. */
static void read_all(const char *name) {
    samsa_error *error = NULL;
    samsa_topic *topic = NULL;
    samsa_code code = samsa_cluster_topic(cluster, name, &topic, &error);
    check(code, &error);
    code = samsa_topic_subscribe(topic, NULL, 30000, &consumer, &error);
    check(code, &error);
    samsa_topic_free(topic); /* the consumer keeps what it needs */
}

/* A share of the partitions, by the group's rules. */
static void join_group(const char *name) {
    samsa_error *error = NULL;
    samsa_config *config = samsa_config_new();
    samsa_code code = samsa_config_set(config, "group.id", options.group, &error);
    check(code, &error);
    code = samsa_config_set(config, "samsa.events", "assigned,revoked,lost", &error);
    check(code, &error);
    code = samsa_consumer_new(cluster, config, &consumer, &error);
    check(code, &error);
    samsa_config_free(config);
    code = samsa_consumer_subscribe(consumer, &name, 1, &error);
    check(code, &error);
}

/* Tells of partitions. Freed, the event lets the group go on. */
static samsa_code tell_event(samsa_error **error) {
    samsa_event *event = NULL;
    samsa_code code = samsa_consumer_next_event(consumer, &event, error);
    const samsa_position *list = NULL;
    size_t count = samsa_event_positions(event, &list);
    const char *what = NULL, *topic = NULL;
    switch (samsa_event_kind(event)) {
    case SAMSA_EVENT_ASSIGNED: what = "assigned"; break;
    case SAMSA_EVENT_REVOKED: what = "revoked"; break;
    case SAMSA_EVENT_LOST: what = "lost"; break;
    }
    for (size_t i = 0; what != NULL && i < count; i++) {
        if (topic == NULL || strcmp(topic, list[i].topic) != 0)
            fprintf(stderr, "%s%s %s", topic == NULL ? "" : "\n", what, list[i].topic);
        topic = list[i].topic;
        fputc(' ', stderr);
        print_partition(stderr, cluster, list[i].partition);
    }
    if (topic != NULL)
        fputc('\n', stderr);
    samsa_event_free(event);
    return code;
}

/* Prints messages until there were enough, or a signal comes; 1 after an error that lasts. */
static int print_all(void) {
    for (int64_t seen = 0; seen != options.wanted && !interrupted;) {
        samsa_error *error = NULL;
        samsa_message *message = NULL;
        samsa_code code = samsa_consumer_next(consumer, -1, &message, &error);
        if (code == SAMSA_EVENT)
            code = tell_event(&error);
        if (samsa_code_is_error(code)) {
            fprintf(stderr, "%s: %s\n", samsa_code_name(code), samsa_error_message(error));
            int lasts = !samsa_error_is_retriable(error);
            samsa_error_free(error);
            if (lasts)
                return 1;
        }
        if (message == NULL)
            continue; /* an event, or woken */
        if (!print_message(message, options.with_headers)) {
            perror("standard output");
            unprinted = message;
            return 1;
        }
        samsa_message_free(message);
        seen++;
    }
    return 0;
}

static void on_signals(void (*handler)(int)) {
    struct sigaction action = {0};
    action.sa_handler = handler;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* Options come before the topic: what follows it belongs to the library. */
static void read_options(int argc, char **argv) {
    for (int option; (option = getopt(argc, argv, "+n:Hg:")) != -1;) {
        char *end = NULL;
        if (option == 'n') {
            options.wanted = strtoll(optarg, &end, 10);
            if (*end != '\0' || end == optarg || options.wanted < 0) {
                fprintf(stderr, "-n %s: expected a number of messages\n", optarg);
                exit(2);
            }
        } else if (option == 'H') {
            options.with_headers = 1;
        } else if (option == 'g') {
            options.group = optarg;
        } else {
            exit(2);
        }
    }
    if (optind >= argc) {
        fprintf(stderr, "usage: consume [-n COUNT] [-H] [-g GROUP] TOPIC [name=value]...\n");
        exit(2);
    }
}

int main(int argc, char **argv) {
    static const char *const defaults[] = {"auto.offset.reset=earliest", NULL};
    read_options(argc, argv);
    cluster = open_cluster(argv + optind + 1, defaults);
    if (options.group == NULL)
        read_all(argv[optind]);
    else
        join_group(argv[optind]);

    on_signals(interrupt);
    signal(SIGPIPE, SIG_IGN); /* a reader that goes away is a failed write, after which we commit */
    int status = print_all();
    on_signals(SIG_DFL);
    /* Commits what was printed, and leaves the group. */
    samsa_error *error = NULL;
    samsa_code code = samsa_consumer_close(consumer, 5000, &error);
    if (samsa_code_is_error(code)) {
        fprintf(stderr, "%s: %s\n", samsa_code_name(code), samsa_error_message(error));
        status = 1;
    }
    samsa_error_free(error);
    samsa_message_free(unprinted);
    samsa_consumer_free(consumer);
    samsa_cluster_close(cluster, 5000, NULL);
    samsa_cluster_free(cluster);
    return status;
}
