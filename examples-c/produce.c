/* produce TOPIC [name=value]...
 *
 * Each line of standard input becomes a message; `key<TAB>value` gives it a key.
 * Says at the end how many were acknowledged; the exit status is 1 if any was not. */
#define _POSIX_C_SOURCE 200809L
#include "options.h"

#include <inttypes.h>

static uint64_t acknowledged, failed;

/* Counts the outcomes that are there, waiting for the first one up to `timeout_ms`. */
static void take_outcomes(samsa_producer *producer, int32_t timeout_ms) {
    samsa_error *error = NULL;
    samsa_deliveries *deliveries = NULL;
    samsa_code code = samsa_producer_poll(producer, timeout_ms, &deliveries, &error);
    if (code == SAMSA_ERR_CLOSED)
        samsa_error_free(error);
    else
        check(code, &error);
    const samsa_delivery *list = NULL;
    size_t count = samsa_deliveries_list(deliveries, &list);
    for (size_t i = 0; i < count; i++) {
        if (list[i].code == 0) {
            acknowledged++;
            continue;
        }
        if (failed++ == 0) { /* the first failure tells why; the others are counted */
            samsa_error *why = samsa_deliveries_error(deliveries, i);
            fprintf(stderr, "not acknowledged: %s\n", samsa_error_message(why));
            samsa_error_free(why);
        }
    }
    samsa_deliveries_free(deliveries);
}

/* Sends one line; waits for room by taking outcomes, so that memory stays bounded. */
static void send_line(samsa_producer *producer, samsa_topic *topic, char *line, size_t length) {
    samsa_record record = {0};
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
        if (code == 0)
            return;
        if (code == SAMSA_ERR_UNREAD_DELIVERIES) {
            samsa_error_free(error);
            take_outcomes(producer, 0);
            continue;
        }
        if (samsa_code_is_error(code)) {
            if (failed++ == 0)
                fprintf(stderr, "not sent: %s\n", samsa_error_message(error));
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
            take_outcomes(producer, 0);
    }
    free(line);

    /* Close decides every outcome within the time; they are read afterwards. */
    code = samsa_producer_close(producer, 130000, &error);
    if (samsa_code_is_error(code))
        fprintf(stderr, "%s\n", samsa_error_message(error));
    samsa_error_free(error);
    uint64_t before;
    do {
        before = acknowledged + failed;
        take_outcomes(producer, 0);
    } while (acknowledged + failed > before);

    printf("%" PRIu64 " of %" PRIu64 " acknowledged\n", acknowledged, lines);
    samsa_producer_free(producer);
    samsa_topic_free(topic);
    code = samsa_cluster_close(cluster, 5000, &error);
    samsa_error_free(error);
    samsa_cluster_free(cluster);
    return acknowledged == lines ? 0 : 1;
}
