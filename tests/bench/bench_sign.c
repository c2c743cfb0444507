/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signing and verifying a nat-binding with a keyring of eight keys, against libcrypto's one-shot
 * HMAC() over the same number of bytes, put together beforehand; nanoseconds of CPU a record.
 */
#include "bench/bench.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <remediate/crypto.h>

#define RECORDS 200000u
#define KEYS 8u
#define HEAD 38u /* what stands before key and record: docs/wire.md */

static const uint8_t secret[32] = {1, 2, 3};
static struct remed_mac mac;
static uint8_t value[256], key[REMED_KEY_MAX];
static size_t record_length, key_length;
static uint64_t sink;

static void fill(void)
{
    struct remed_record *record = NULL;
    struct remed_record_head head;
    const struct remed_nat_binding body = {
        .inside = {.address = {10, 0, 0, 1}, .port = 1234, .ip_version = 4},
        .outside = {.address = {198, 51, 100, 1}, .port = 40001, .ip_version = 4},
        .remote = {.address = {203, 0, 113, 9}, .port = 443, .ip_version = 4},
        .protocol = 6};
    remed_record_head_init(&head, sizeof head);
    head.domain = "edge-1";
    head.origin = "fw1";
    head.epoch = 1;
    head.sequence = 4000000;
    head.observed = 1795428000123456789ull;
    if (remed_record_new(&record, NULL) < 0 || remed_record_set_head(record, &head, NULL) < 0 ||
        remed_record_set_body(record, REMED_KIND_NAT_BINDING, &body, sizeof body, NULL) < 0 ||
        remed_record_encode(record, value, sizeof value, &record_length) < 0)
        exit(1);
    key_length = remed_record_key(record, key, sizeof key);
    remed_record_free(record);
}

static double run_sign(void)
{
    double begin = bench_now();
    for (uint32_t i = 0; i < RECORDS; i++) {
        size_t length = record_length;
        if (remed_record_sign(&mac, 1 + i % KEYS, key, key_length, value, sizeof value, &length,
                              NULL) < 0)
            exit(1);
        sink += value[length - 1];
    }
    return (bench_now() - begin) / RECORDS * 1e9;
}

static double run_verify(void)
{
    double begin = bench_now();
    for (uint32_t i = 0; i < RECORDS; i++) {
        size_t length;
        if (remed_record_verify(&mac, key, key_length, value, record_length + REMED_SIGNATURE_SIZE,
                                &length, NULL) < 0)
            exit(1);
        sink += length;
    }
    return (bench_now() - begin) / RECORDS * 1e9;
}

static double run_hmac(void)
{
    uint8_t text[512] = {0}, result[EVP_MAX_MD_SIZE];
    double begin = bench_now();
    for (uint32_t i = 0; i < RECORDS; i++) {
        text[0] = (uint8_t)i;
        if (HMAC(EVP_sha256(), secret, sizeof secret, text, HEAD + key_length + record_length,
                 result, NULL) == NULL)
            exit(1);
        sink += result[0];
    }
    return (bench_now() - begin) / RECORDS * 1e9;
}

static void row(const char *work, double (*run)(void))
{
    double ours[BENCH_ROUNDS], theirs[BENCH_ROUNDS];
    for (unsigned i = 0; i < BENCH_ROUNDS; i++) {
        ours[i] = run();
        theirs[i] = run_hmac();
    }
    bench_row(work, "HMAC() in one shot", ours, theirs, 0);
}

int main(void)
{
    struct remed_keyring *keyring = NULL;
    if (remed_keyring_new(&keyring, NULL) < 0)
        return 1;
    for (uint32_t id = 1; id <= KEYS; id++)
        if (remed_keyring_add(keyring, id, secret, sizeof secret, NULL) < 0)
            return 1;
    remed_keyring_mac(keyring, &mac, sizeof mac);
    fill();
    row("sign a nat-binding", run_sign);
    row("verify a nat-binding", run_verify);
    remed_keyring_free(keyring);
    return sink == 42 ? 1 : 0;
}
