/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Values of properties never go into a message: they may be passwords, keys or tokens, and
 * librdkafka and the broker quote values, whole or in parts. All that either of them says passes
 * through here. Properties that are known to be no secret are the exception, so that their texts
 * stay readable.
 *
 * Threads: the transport's thread; librdkafka's callbacks come in it.
 */
#include "backend/kafka/kafka.h"
#include "base/scrub.h"

static bool ends_with(const char *name, const char *end)
{
    size_t length = strlen(name), tail = strlen(end);
    return length >= tail && strcmp(name + length - tail, end) == 0;
}

/* A number of something, a path, or a word that librdkafka has for anybody. */
static bool is_open(const char *name, const char *value)
{
    static const char *const words[] = {"true",  "false",     "all",           "none",
                                        "gzip",  "snappy",    "lz4",           "zstd",
                                        "SSL",   "PLAINTEXT", "SASL_SSL",      "SASL_PLAINTEXT",
                                        "PLAIN", "GSSAPI",    "SCRAM-SHA-256", "SCRAM-SHA-512",
                                        "https", "default",   "OAUTHBEARER",   NULL};
    static const char *const numbers[] = {".ms", ".bytes", ".kbytes", ".messages", NULL};
    bool number = *value != '\0' && strspn(value, "-0123456789") == strlen(value);
    for (unsigned i = 0; words[i] != NULL; i++)
        if (strcmp(value, words[i]) == 0)
            return true;
    for (unsigned i = 0; number && numbers[i] != NULL; i++)
        if (ends_with(name, numbers[i]))
            return true;
    return ends_with(name, ".location");
}

int remed_kafka_keep_secret(struct remed_kafka *kafka, const char *name, const char *value,
                            struct remed_error *error)
{
    size_t length = strlen(value) + 1;
    if (length == 1 || is_open(name, value))
        return 0;
    char *grown = remed_allocate(&kafka->allocator, kafka->secrets_length + length);
    if (grown == NULL)
        return remed_error_set(error, REMED_ENOMEM, "kafka: no memory for a property");
    if (kafka->secrets_length > 0)
        memcpy(grown, kafka->secrets, kafka->secrets_length);
    memcpy(grown + kafka->secrets_length, value, length);
    size_t all = kafka->secrets_length + length;
    remed_kafka_forget_secrets(kafka);
    kafka->secrets = grown;
    kafka->secrets_length = all;
    return 0;
}

void remed_kafka_forget_secrets(struct remed_kafka *kafka)
{
    volatile char *bytes = kafka->secrets;
    for (size_t i = 0; i < kafka->secrets_length; i++)
        bytes[i] = 0;
    remed_release(&kafka->allocator, kafka->secrets, kafka->secrets_length);
    kafka->secrets = NULL;
    kafka->secrets_length = 0;
}

void remed_kafka_scrub(const struct remed_kafka *kafka, char *to, size_t size, const char *text)
{
    remed_scrub(to, size, text, kafka->secrets, kafka->secrets_length);
}

/* Names are of small letters: what has others may be the rest of a value with an unescaped '&'. */
const char *remed_kafka_shown_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz._-";
    return *name != '\0' && strspn(name, letters) == strlen(name) ? name : "a parameter";
}
