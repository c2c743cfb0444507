/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is in the way now: noted from whatever says so (librdkafka's errors, answers to our asking),
 * cleared by whatever works again, told by waiting, and an error of process when a start takes
 * longer than it may.
 *
 * Threads: the transport's thread; librdkafka's callbacks come in it.
 */
#include "backend/kafka/kafka.h"

#include <stdio.h>

/* librdkafka adds how long it took and how often it came: the same trouble has the same text. */
static void cut_counts(char *text)
{
    static const char *const ends[] = {" (after ", ", 1 identical", NULL};
    char *at;
    for (unsigned i = 0; ends[i] != NULL; i++)
        if ((at = strstr(text, ends[i])) != NULL)
            *at = '\0';
    if ((at = strstr(text, " identical error(s) suppressed")) != NULL) {
        while (at > text && *at != ',' && *at != '(')
            at--;
        *at = '\0';
    }
}

void remed_kafka_note(struct remed_kafka *kafka, rd_kafka_resp_err_t code, const char *text)
{
    struct remed_kafka_trouble *trouble = &kafka->trouble;
    struct remed_kafka_judgement judgement = remed_kafka_judge(code);
    bool same = trouble->is && trouble->judgement.verdict == judgement.verdict;
    /* That all brokers are down says less than what is the matter with each. */
    if (trouble->is && code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        return;
    if (!same)
        trouble->since = kafka->now;
    trouble->is = true;
    trouble->judgement = judgement;
    remed_kafka_scrub(kafka, trouble->text, sizeof trouble->text,
                      text != NULL && *text != '\0' ? text : rd_kafka_err2str(code));
    cut_counts(trouble->text);
}

void remed_kafka_clear(struct remed_kafka *kafka)
{
    kafka->trouble.is = false;
    kafka->progress_at = kafka->now;
}

/* Whether somebody waits: a publication, or a reader who is not at the end or can't know. */
static bool waits(const struct remed_kafka *kafka)
{
    bool reads = kafka->subscribes && (!kafka->caught_up || kafka->trouble.is);
    return kafka->pending > 0 || reads;
}

int remed_kafka_check_start(const struct remed_kafka *kafka, struct remed_error *error)
{
    const struct remed_kafka_trouble *trouble = &kafka->trouble;
    if (!trouble->is || trouble->judgement.verdict != REMED_KAFKA_STARTS || !waits(kafka) ||
        kafka->now - trouble->since < kafka->start)
        return 0;
    return remed_error_set(error, trouble->judgement.error,
                           "kafka: %.160s (for %llu s, longer than start=)", trouble->text,
                           (unsigned long long)((kafka->now - trouble->since) / REMED_NS_PER_S));
}

uint64_t remed_kafka_start_deadline(const struct remed_kafka *kafka)
{
    const struct remed_kafka_trouble *trouble = &kafka->trouble;
    bool counts = trouble->is && trouble->judgement.verdict == REMED_KAFKA_STARTS && waits(kafka);
    return counts ? trouble->since + kafka->start : UINT64_MAX;
}

/* What is waited for while nothing was said: "" for nothing. */
static const char *silence(const struct remed_kafka *kafka)
{
    bool makes = (kafka->producer != NULL && !kafka->making[0].done) ||
                 (kafka->consumer != NULL && !kafka->making[1].done);
    if (kafka->now < kafka->progress_at + REMED_NS_PER_S)
        return "";
    return makes ? "the topic is being made" : "no answer yet";
}

size_t remed_kafka_waiting(const struct remed_kafka *kafka, char *text, size_t size)
{
    const struct remed_kafka_trouble *trouble = &kafka->trouble;
    const char *why = trouble->is ? trouble->text : silence(kafka);
    if (!waits(kafka) || *why == '\0')
        return 0;
    bool named = strncmp(why, kafka->servers, strlen(kafka->servers)) == 0;
    const char *whom = named ? "" : kafka->servers, *colon = named ? "" : ": ";
    if (trouble->is && trouble->judgement.verdict == REMED_KAFKA_STARTS)
        return (size_t)snprintf(text, size, "%s%s%s; gives up after %llu s of it", whom, colon, why,
                                (unsigned long long)(kafka->start / REMED_NS_PER_S));
    return (size_t)snprintf(text, size, "%s%s%s; tries again until it is there", whom, colon, why);
}
