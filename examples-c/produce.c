/* produce TOPIC [name=value]...
 *
 * Each line of standard input becomes a message; `key<TAB>value` gives it a key.
 * Says at the end how many were acknowledged; the exit status is 1 if any was not, or the input
 * broke off. */
#define _POSIX_C_SOURCE 200809L
#include "options.h"

#include <inttypes.h>

static uint64_t sent, refused;
static bool explained; /* the first failure tells why; the others are counted */

static void explain(const char *what, const samsa_error *error) {
    if (!explained)
        fprintf(stderr, "%s: %s\n", what, samsa_error_message(error));
    explained = true;
}

/* Reads the outcomes that are there, and makes room; false: there are none. */
static bool take_outcomes(samsa_producer *producer) {
    samsa_error *error = NULL;
    samsa_deliveries *deliveries = NULL;
    samsa_code code = samsa_producer_poll(producer, 0, &deliveries, &error);
    if (code == SAMSA_ERR_CLOSED)
        samsa_error_free(error);
    else
        check(code, &error);
    const samsa_delivery *list = NULL;
    size_t count = samsa_deliveries_list(deliveries, &list);
    for (size_t i = 0; i < count && !explained; i++) {
        if (list[i].code != 0) {
            samsa_error *why = samsa_deliveries_error(deliveries, i);
            explain("not acknowledged", why);
            samsa_error_free(why);
        }
    }
    samsa_deliveries_free(deliveries);
    return code == 0;
}

/* Sends one line; waits for room by taking outcomes, so that memory stays bounded. */
static void send_line(samsa_producer *producer, samsa_topic *topic, char *line, size_t length) {
    samsa_record record = {0};
    if (length > UINT32_MAX) { /* more than a record can hold */
        refused++;
        fprintf(stderr, "not sent: a line of %zu bytes\n", length);
        return;
    }
    char *tab = memchr(line, '\t', length);
    record.topic = topic;
    record.value = line;
    record.value_length = (uint32_t)length;
    if (tab != NULL) {
        record.key = line;
        record.key_length = (uint32_t)(tab - line);
        record.value = tab + 1;
        record.value_length = (uint32_t)(length - record.key_length - 1);
    }
    for (;;) {
        samsa_error *error = NULL;
        samsa_code code = samsa_producer_send(producer, &record, sizeof record, -1, &error);
        if (code == 0) {
            sent++;
            return;
        }
        if (code == SAMSA_ERR_UNREAD_DELIVERIES) {
            samsa_error_free(error);
            take_outcomes(producer);
            continue;
        }
        if (samsa_code_is_error(code)) {
            refused++;
            explain("not sent", error);
            samsa_error_free(error);
            return;
        }
    }
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: produce TOPIC [name=value]...\n");
        return 2;
    }
    samsa_error *error = NULL;
    samsa_cluster *cluster = open_cluster(argv + 2, NULL);
    samsa_topic *topic = NULL;
    samsa_producer *producer = NULL;
    samsa_code code = samsa_cluster_topic(cluster, argv[1], &topic, &error);
    check(code, &error);
    code = samsa_producer_new(cluster, NULL, &producer, &error);
    check(code, &error);

    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    uint64_t lines = 0;
    while ((length = getline(&line, &room, stdin)) >= 0) {
        if (length > 0 && line[length - 1] == '\n')
            length--;
        send_line(producer, topic, line, (size_t)length);
        if (++lines % 1024 == 0)
            take_outcomes(producer);
    }
    bool torn = ferror(stdin) != 0;
    if (torn)
        perror("standard input");
    free(line);

    /* Then every record has its outcome, and the failures are counted, whatever
       samsa.delivery.report says of those that can be read. */
    uint64_t failed = 0;
    code = samsa_producer_flush(producer, -1, &failed, &error);
    check(code, &error);
    while (take_outcomes(producer)) {
    }
    uint64_t acknowledged = sent - failed;
    printf("%" PRIu64 " of %" PRIu64 " acknowledged\n", acknowledged, sent + refused);
    code = samsa_producer_close(producer, 5000, &error);
    samsa_error_free(error);
    samsa_producer_free(producer);
    samsa_topic_free(topic);
    code = samsa_cluster_close(cluster, 5000, &error);
    samsa_error_free(error);
    samsa_cluster_free(cluster);
    return acknowledged == lines && !torn ? 0 : 1;
}
