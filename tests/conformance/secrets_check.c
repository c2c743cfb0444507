/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Says all that a transport says to a host, to be searched for secrets: errors, the log at every
 * level, what is waited for, damage. Usage: secrets_check URI MILLISECONDS
 */
#include "conformance/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void on_log(void *context, enum remed_log_level level, const char *module,
                   const char *message)
{
    (void)context;
    printf("log %d %s: %s\n", (int)level, module, message);
}

static void on_delivered(void *context, uint64_t tag, int code)
{
    (void)context;
    printf("delivered %llu: %d\n", (unsigned long long)tag, code);
}

static void drive(struct remed_transport *transport, uint64_t until)
{
    struct remed_error error = {0};
    char text[4096];
    while (live_now() < until) {
        if (remed_transport_process(transport, live_now(), &error) < 0)
            printf("process: %s\n", error.message);
        if (remed_transport_waiting(transport, text, sizeof text) > 0)
            printf("waiting: %s\n", text);
        if (remed_transport_damage(transport, text, sizeof text) > 0)
            printf("damage: %s\n", text);
        const struct timespec pause = {.tv_nsec = 20000000};
        nanosleep(&pause, NULL);
    }
}

int main(int argc, char **argv)
{
    const struct remed_message message = {.key = (const uint8_t *)"key",
                                          .key_length = 3,
                                          .value = (const uint8_t *)"value",
                                          .value_length = 5};
    struct remed_transport *transport = NULL;
    struct remed_transport_opts opts;
    struct remed_error error = {0};
    if (argc != 3)
        return 2;
    live_opts(&opts);
    opts.log.write = on_log;
    opts.events.delivered = on_delivered;
    if (remed_transport_open(&transport, argv[1], &opts, &error) < 0) {
        printf("open: %s\n", error.message);
        return EXIT_SUCCESS;
    }
    if (remed_transport_publish(transport, &message, 1, &error) < 0)
        printf("publish: %s\n", error.message);
    if (remed_transport_subscribe(transport, argv[1], &error) < 0)
        printf("subscribe: %s\n", error.message);
    if (remed_transport_subscribe(transport, "begin", &error) < 0)
        printf("subscribe: %s\n", error.message);
    drive(transport, live_now() + strtoull(argv[2], NULL, 10) * 1000000);
    if (remed_transport_close(transport, &error) < 0)
        printf("close: %s\n", error.message);
    return EXIT_SUCCESS;
}
