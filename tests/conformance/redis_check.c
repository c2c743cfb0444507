/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The conformance suite on a real Redis server: REMED_REDIS is the URI up to the stream's name
 * ("redis://host:port/"), REMED_REDIS_QUERY more parameters.
 */
#include "conformance/conformance.h"

#include <remediate/redis.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *server, *query;
static unsigned long run;

static void redis_uri(char *text, size_t size, unsigned topic)
{
    snprintf(text, size, "%sconformance-%lu-%u?db=%u%s%s", server, run, topic, topic % 2,
             *query != '\0' ? "&" : "", query);
}

int main(void)
{
    const struct remed_transport_driver *drivers[] = {remed_redis_driver(), remed_rediss_driver()};
    const struct conformance redis = {.uri = redis_uri, .drivers = drivers, .driver_count = 2};
    server = getenv("REMED_REDIS");
    query = getenv("REMED_REDIS_QUERY");
    if (query == NULL)
        query = "";
    if (server == NULL) {
        puts("skipped: REMED_REDIS names no server");
        return 77;
    }
    run = (unsigned long)time(NULL);
    bool secure = strncmp(server, "rediss:", 7) == 0;
    unsigned failed = conformance_run(secure ? "redis, TLS and a user" : "redis", &redis);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
