/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signed records: a publisher that signs, a replica that asks for it, and what becomes of a value
 * that somebody changed on the way.
 *
 *   cc sign.c $(pkg-config --cflags --libs libremediate-crypto) && ./a.out
 */
#include <remediate/crypto.h>
#include <remediate/remediate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct remed_replica *replica;
static struct remed_error error;

static void must(int rc)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "%s\n", error.message);
    exit(1);
}

/* Applies each value twice: first with its last byte changed. */
static void on_message(void *context, const struct remed_message *message)
{
    uint8_t bytes[REMED_SIGNED_MAX];
    struct remed_message changed = *message;
    (void)context;
    memcpy(bytes, message->value, message->value_length);
    bytes[message->value_length - 1] ^= 1;
    changed.value = bytes;
    if (remed_replica_apply_message(replica, &changed, 0, &error) < 0)
        printf("refused: %s\n", error.message);
    must(remed_replica_apply_message(replica, message, 0, &error));
}

static void make_record(struct remed_record *record)
{
    const struct remed_counter body = {.name = "flows", .value = 42};
    struct remed_record_head head;
    remed_record_head_init(&head, sizeof head);
    head.domain = "edge-1";
    must(remed_record_set_head(record, &head, &error));
    must(remed_record_set_body(record, REMED_KIND_COUNTER, &body, sizeof body, &error));
}

int main(void)
{
    static const char keys[] =
        "1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
    struct remed_keyring *keyring = NULL;
    struct remed_publisher *publisher = NULL;
    struct remed_record *record = NULL;
    struct remed_mac mac;
    struct remed_transport_opts transport;
    struct remed_publisher_opts publisher_opts;
    struct remed_replica_opts replica_opts;
    struct remed_replica_stats stats;

    must(remed_keyring_new(&keyring, NULL));
    must(remed_keyring_parse(keyring, keys, strlen(keys),
                             &error)); /* a host: remed_keyring_load() */
    remed_keyring_mac(keyring, &mac, sizeof mac);

    remed_replica_opts_init(&replica_opts, sizeof replica_opts);
    replica_opts.mac = &mac;
    must(remed_replica_new(&replica, &replica_opts, &error));

    remed_transport_opts_init(&transport, sizeof transport);
    transport.events.message = on_message;
    remed_publisher_opts_init(&publisher_opts, sizeof publisher_opts);
    publisher_opts.mac = &mac;
    publisher_opts.key_id = remed_keyring_signer(keyring);
    must(remed_publisher_new(&publisher, "memory:", &transport, &publisher_opts, &error));
    must(remed_transport_subscribe(remed_publisher_transport(publisher), "begin", &error));

    must(remed_record_new(&record, NULL));
    make_record(record);
    must(remed_publisher_publish(publisher, &record, 1, 0, &error));
    for (uint64_t now = 0; now < 10; now++)
        must(remed_publisher_process(publisher, now, &error));

    remed_replica_stats(replica, &stats, sizeof stats);
    printf("%llu held, %llu altered\n", (unsigned long long)stats.entries,
           (unsigned long long)stats.altered);
    remed_record_free(record);
    remed_publisher_close(publisher, NULL);
    remed_replica_free(replica);
    remed_keyring_free(keyring);
    return 0;
}
