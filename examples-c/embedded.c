/*
 * embedded [BROKERS] [NAME=VALUE]...: a Kafka cluster in this process, for demos and tests.
 * embedded legacy [BROKERS] [PARTITIONS] [ZOOKEEPER]: brokers of Kafka 0.7, and the ZooKeeper that
 * they are found by; or they register themselves in the one at this address, host:port/path.
 *
 * Prints the bootstrap list, or the ZooKeeper's address, and runs until standard input ends, or
 * until SIGINT or SIGTERM. NAME is an option of the brokers as in server.properties, for example
 * num.partitions=12 or log.retention.bytes=67108864 (per partition).
 */
#define _POSIX_C_SOURCE 200809L

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

#include <samsa.h>
#include <samsa_testing.h>

static void on_signal(int number) {
    (void)number; /* its only effect is that pselect() below returns */
}

static int fail(const char *what, samsa_error *err) {
    fprintf(stderr, "embedded: %s: %s\n", what, samsa_error_message(err));
    samsa_error_free(err);
    return EXIT_FAILURE;
}

/* Reads standard input to its end, or until a signal that only `awake` lets through. */
static void wait_for_end(const sigset_t *awake) {
    for (;;) {
        fd_set input;
        FD_ZERO(&input);
        FD_SET(STDIN_FILENO, &input);
        char ignored[256]; /* what is typed means nothing */
        if (pselect(STDIN_FILENO + 1, &input, NULL, NULL, NULL, awake) < 0 ||
            read(STDIN_FILENO, ignored, sizeof ignored) <= 0) {
            return;
        }
    }
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
    return EXIT_SUCCESS;
}

/* Brokers of 0.7 with so many partitions each, and a ZooKeeper for them if `address` is NULL. */
static int run_legacy(int brokers, int partitions, const char *address, const sigset_t *awake) {
    samsa_embedded_zookeeper *zookeeper = NULL;
    samsa_embedded *embedded = NULL;
    samsa_error *err = NULL;
    if (address == NULL) {
        if (samsa_embedded_zookeeper_start(&zookeeper, &err) != SAMSA_OK) {
            return fail("ZooKeeper", err);
        }
        address = samsa_embedded_zookeeper_address(zookeeper);
    }
    samsa_code code = samsa_embedded_start_legacy(brokers, partitions, address, &embedded, &err);
    int status = EXIT_SUCCESS;
    if (code != SAMSA_OK) {
        status = fail("start", err);
    } else {
        puts(address);
        fflush(stdout);
        wait_for_end(awake);
    }
    samsa_embedded_free(embedded);
    samsa_embedded_zookeeper_free(zookeeper);
    return status;
}

int main(int argc, char **argv) {
    int brokers = 1, next = 1;
    bool legacy = argc > 1 && strcmp(argv[1], "legacy") == 0;
    if (legacy) {
        argc--;
        argv++;
    }
    if (argc > 1 && strchr(argv[1], '=') == NULL) {
        brokers = atoi(argv[1]);
        next = 2;
    }
    /* Blocked until the wait: a signal that comes before it is not lost, it ends the wait. */
    sigset_t ends, awake;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, &awake);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);

    if (legacy) {
        const char *zookeeper = argc > 3 ? argv[3] : NULL;
        return run_legacy(brokers, argc > 2 ? atoi(argv[2]) : 1, zookeeper, &awake);
    }
    samsa_embedded *embedded = NULL;
    samsa_error *err = NULL;
    samsa_code code = samsa_embedded_start(brokers, &embedded, &err);
    if (code != SAMSA_OK) {
        return fail("start", err);
    }
    int status = run(embedded, argc - next, argv + next);
    if (status == EXIT_SUCCESS) {
        wait_for_end(&awake);
    }
    samsa_embedded_free(embedded);
    return status;
}
