/* What the example programs share: properties from the command line, and how they fail.
 *
 * Copy what you need. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <samsa.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program with the error's message if the code is a failure; conditions pass. */
static inline void check(samsa_code code, samsa_error **error) {
    if (!samsa_code_is_error(code))
        return;
    fprintf(stderr, "%s: %s\n", samsa_code_name(code), samsa_error_message(*error));
    samsa_error_free(*error);
    exit(1);
}

/* Sets one property, `name=value`. */
static inline void set_option(samsa_config *config, const char *option) {
    samsa_error *error = NULL;
    const char *equals = strchr(option, '=');
    if (equals == NULL) {
        fprintf(stderr, "%s: expected name=value\n", option);
        exit(2);
    }
    char name[256];
    snprintf(name, sizeof name, "%.*s", (int)(equals - option), option);
    samsa_code code = samsa_config_set(config, name, equals + 1, &error);
    check(code, &error);
}

/* Opens the cluster that the arguments describe: `name=value` each, over these defaults. */
static inline samsa_cluster *open_cluster(char **options, const char *const *defaults) {
    samsa_error *error = NULL;
    samsa_cluster *cluster = NULL;
    samsa_config *config = samsa_config_new();
    for (; defaults != NULL && *defaults != NULL; defaults++)
        set_option(config, *defaults);
    for (; *options != NULL; options++)
        set_option(config, *options);
    samsa_code code = samsa_cluster_open(config, 30000, &cluster, &error);
    samsa_config_free(config); /* the cluster has its own copy */
    check(code, &error);
    return cluster;
}

/* Prints a partition: its number, or on Kafka 0.7 the broker and the number there, as in 1-0. */
static inline void print_partition(FILE *to, const samsa_cluster *cluster, int64_t partition) {
    if (samsa_cluster_is_legacy(cluster))
        fprintf(to, "%" PRId32 "-%" PRId32, samsa_partition_broker(partition),
                samsa_partition_number(partition));
    else
        fprintf(to, "%" PRId64, partition);
}

#endif
