/*
 * embedded [BROKERS] [NAME=VALUE]...: a Kafka cluster in this process, for demos and tests.
 *
 * Prints the bootstrap list and runs until standard input ends, or until SIGINT or SIGTERM.
 * NAME is an option of the brokers as in server.properties, for example num.partitions=12 or
 * log.retention.bytes=67108864 (per partition).
 */
#define _POSIX_C_SOURCE 200809L

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <samsa.h>
#include <samsa_testing.h>

static void on_signal(int number) {
    (void)number; /* its only effect is that read() below returns */
}

static int fail(const char *what, samsa_error *err) {
    fprintf(stderr, "embedded: %s: %s\n", what, samsa_error_message(err));
    samsa_error_free(err);
    return EXIT_FAILURE;
}

static int run(samsa_embedded *brokers, int count, char **options) {
    samsa_error *err = NULL;
    for (int i = 0; i < count; i++) {
        char *value = strchr(options[i], '=');
        if (value == NULL) {
            fprintf(stderr, "embedded: %s is no NAME=VALUE\n", options[i]);
            return EXIT_FAILURE;
        }
        *value++ = '\0';
        samsa_code code = samsa_embedded_set(brokers, options[i], value, &err);
        if (code != SAMSA_OK) {
            return fail(options[i], err);
        }
    }
    puts(samsa_embedded_address(brokers));
    fflush(stdout);

    char ignored[256];
    while (read(STDIN_FILENO, ignored, sizeof ignored) > 0) {
        /* what is typed means nothing */
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    int brokers = 1, next = 1;
    if (argc > 1 && strchr(argv[1], '=') == NULL) {
        brokers = atoi(argv[1]);
        next = 2;
    }
    /* Without SA_RESTART, so that a signal ends the read. */
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);

    samsa_embedded *embedded = NULL;
    samsa_error *err = NULL;
    samsa_code code = samsa_embedded_start(brokers, &embedded, &err);
    if (code != SAMSA_OK) {
        return fail("start", err);
    }
    int status = run(embedded, argc - next, argv + next);
    samsa_embedded_free(embedded);
    return status;
}
