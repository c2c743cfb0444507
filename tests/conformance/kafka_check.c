/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The conformance suite on a real Kafka broker: REMED_KAFKA is "host:port", REMED_KAFKA_QUERY more
 * parameters.
 */
#include "conformance/conformance.h"

#include <remediate/kafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *server, *query;
static unsigned long run;

static void kafka_uri(char *text, size_t size, unsigned topic)
{
    snprintf(text, size, "kafka://%s/conformance-%lu-%u?partitions=%u&linger.ms=1%s%s", server, run,
             topic, topic % 2 != 0 ? 1 : 3, *query != '\0' ? "&" : "", query);
}

int main(void)
{
    const struct remed_transport_driver *drivers[] = {remed_kafka_driver()};
    const struct conformance kafka = {.uri = kafka_uri, .drivers = drivers, .driver_count = 1};
    server = getenv("REMED_KAFKA");
    query = getenv("REMED_KAFKA_QUERY");
    if (query == NULL)
        query = "";
    if (server == NULL) {
        puts("skipped: REMED_KAFKA names no broker");
        return 77;
    }
    run = (unsigned long)time(NULL);
    unsigned failed = conformance_run(*query != '\0' ? "kafka, TLS and SASL" : "kafka", &kafka);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
