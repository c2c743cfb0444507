/* SPDX-License-Identifier: BSD-3-Clause */
/* A copy that the output refused is not taken for a refresh. */
#include "unit/test.h"

#include <remediate/filter.h>
#include <string.h>

#define SECOND 1000000000ull

static struct remed_policy *policy;
static struct remed_filter *filter;

static void make(const char *text)
{
    CU_ASSERT_EQUAL_FATAL(remed_policy_parse(&policy, NULL, text, strlen(text), NULL), 0);
    CU_ASSERT_EQUAL_FATAL(remed_filter_new(&filter, policy, NULL, NULL), 0);
}

static void teardown(void)
{
    remed_filter_free(filter);
    remed_policy_free(policy);
    filter = NULL;
    policy = NULL;
}

/* UDP between two ends, from either. */
static struct remed_packet packet_at(unsigned from, uint64_t time)
{
    static const uint8_t bytes[2][28] = {
        {0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 9, 0, 7, 0, 8},
        {0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1, 0, 7, 0, 9, 0, 8}};
    return (struct remed_packet){
        .data = bytes[from], .captured = 28, .wire = 28, .time = time, .link_type = REMED_LINK_RAW};
}

static unsigned reason_at(unsigned from, uint64_t time)
{
    struct remed_packet packet = packet_at(from, time);
    struct remed_verdict verdict;
    remed_filter_run(filter, &packet, 1, &verdict);
    return verdict.reason;
}

static void refused(unsigned from)
{
    struct remed_packet packet = packet_at(from, 0);
    remed_filter_not_sent(filter, &packet);
}

static void refresh_is_due_again(void)
{
    make("any : first 1, refresh 10s");
    CU_ASSERT_EQUAL(reason_at(0, 1 * SECOND), REMED_REASON_FIRST);
    CU_ASSERT_EQUAL(reason_at(1, 11 * SECOND), REMED_REASON_REFRESH);
    CU_ASSERT_EQUAL(reason_at(0, 12 * SECOND), REMED_REASON_REFRESH);
    refused(0);
    CU_ASSERT_EQUAL(reason_at(1, 13 * SECOND), REMED_REASON_NOT_WANTED); /* that side was sent */
    CU_ASSERT_EQUAL(reason_at(0, 13 * SECOND), REMED_REASON_REFRESH);
    CU_ASSERT_EQUAL(reason_at(0, 14 * SECOND), REMED_REASON_NOT_WANTED);
}

static void nothing_to_take_back(void)
{
    make("any : first 1, refresh 10s");
    refused(0); /* a flow that is not there */
    struct remed_packet packet = packet_at(0, 0);
    packet.captured = 10; /* and what is no packet */
    remed_filter_not_sent(filter, &packet);
    CU_ASSERT_EQUAL(reason_at(0, SECOND), REMED_REASON_FIRST);
    teardown();
    make("any : syn"); /* without a flow table */
    refused(0);
    CU_ASSERT_EQUAL(reason_at(0, SECOND), REMED_REASON_NOT_WANTED);
}

static const struct test_case cases[] = {{"refresh is due again", refresh_is_due_again},
                                         {"nothing to take back", nothing_to_take_back},
                                         {NULL, NULL}};

const struct test_suite test_suites[] = {{"copies not sent", cases, NULL, teardown},
                                         {NULL, NULL, NULL, NULL}};
