/* What the C tests share: CHECK ends the program with the place; OK demands success of a call. */
#ifndef SAMSA_TESTS_CHECK_H
#define SAMSA_TESTS_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <samsa.h>
#include <samsa_testing.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);              \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* Each test has one error variable; a call that fails says why. */
static samsa_error *err;

static void check_code(samsa_code code, samsa_code wanted, const char *file, int line) {
    if (code != wanted) {
        fprintf(stderr, "%s:%d: %s instead of %s: %s\n", file, line, samsa_code_name(code),
                samsa_code_name(wanted), samsa_error_message(err));
        exit(1);
    }
    /* The object is there exactly when the code is an error. */
    if ((err != NULL) != samsa_code_is_error(code) || samsa_error_code(err) != (err ? code : 0)) {
        fprintf(stderr, "%s:%d: %s with err %p\n", file, line, samsa_code_name(code), (void *)err);
        exit(1);
    }
    samsa_error_free(err);
    err = NULL;
}

/* Two statements: C does not order arguments. */
#define GIVES(wanted, call)                                                                        \
    do {                                                                                           \
        samsa_code code_ = (call);                                                                 \
        check_code(code_, (wanted), __FILE__, __LINE__);                                           \
    } while (0)
#define OK(call) GIVES(SAMSA_OK, call)

/* A cluster of the embedded broker at `address`. */
static inline samsa_cluster *open_cluster(const char *address) {
    samsa_config *config = samsa_config_new();
    samsa_cluster *cluster = NULL;
    OK(samsa_config_set(config, "bootstrap.servers", address, &err));
    OK(samsa_cluster_open(config, 10000, &cluster, &err));
    samsa_config_free(config);
    return cluster;
}

static inline samsa_topic *open_topic(samsa_cluster *cluster, const char *name) {
    samsa_topic *topic = NULL;
    OK(samsa_cluster_topic(cluster, name, &topic, &err));
    return topic;
}

#endif
