/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every allocation of the core fails once: each object's creation must say so, leak nothing and
 * leave the caller's pointer alone; and nothing is allocated once a filter runs.
 */
#include "unit/frames.h"
#include "unit/test.h"

#include <remediate/filter.h>
#include <stdlib.h>

/* Counts, fails the n-th, and checks that sizes come back as they were asked for. */
struct failing {
    size_t calls, fail_at, live_bytes;
};

static void *failing_resize(void *context, void *memory, size_t old_size, size_t new_size)
{
    struct failing *failing = context;
    if (new_size == 0) {
        failing->live_bytes -= old_size;
        free(memory);
        return NULL;
    }
    if (++failing->calls == failing->fail_at)
        return NULL;
    void *grown = realloc(memory, new_size);
    if (grown != NULL)
        failing->live_bytes += new_size - old_size;
    return grown;
}

static const char text[] = "limit 10Mbit\n"
                           "tcp and (src host 10.0.0.1 or dst net 192.0.2.0/24) : first 5 each\n"
                           "preset ids\n"
                           "not vlan 7 and portrange 1-1024 : sample 1/8, refresh 1s, in\n";

static int make_all(const struct remed_allocator *allocator)
{
    struct remed_policy_opts policy_opts;
    remed_policy_opts_init(&policy_opts, sizeof policy_opts);
    policy_opts.allocator = allocator;
    struct remed_policy *policy = NULL;
    struct remed_error error = {0};
    int rc = remed_policy_parse(&policy, &policy_opts, text, sizeof text - 1, &error);
    if (rc < 0) {
        CU_ASSERT_PTR_NULL(policy);
        CU_ASSERT_EQUAL(error.code, rc);
        return rc;
    }
    struct remed_filter_opts opts;
    remed_filter_opts_init(&opts, sizeof opts);
    opts.max_flows = 64;
    opts.allocator = allocator;
    struct remed_filter *filter = NULL;
    rc = remed_filter_new(&filter, policy, &opts, &error);
    if (rc < 0) {
        CU_ASSERT_PTR_NULL(filter);
        CU_ASSERT_EQUAL(error.code, rc);
    }
    remed_filter_free(filter);
    remed_policy_free(policy);
    return rc;
}

static void test_each_allocation_fails_in_turn(void)
{
    struct failing failing = {0, 0, 0};
    const struct remed_allocator allocator = {&failing, failing_resize};
    CU_ASSERT_EQUAL(make_all(&allocator), 0);
    CU_ASSERT_EQUAL(failing.live_bytes, 0);
    size_t calls = failing.calls;
    CU_ASSERT(calls > 8);
    for (size_t n = 1; n <= calls; n++) {
        failing = (struct failing){0, n, 0};
        CU_ASSERT_EQUAL(make_all(&allocator), REMED_ENOMEM);
        CU_ASSERT_EQUAL(failing.live_bytes, 0);
    }
}

static void test_running_allocates_nothing(void)
{
    struct failing failing = {0, 0, 0};
    const struct remed_allocator allocator = {&failing, failing_resize};
    struct remed_policy *policy = NULL;
    CU_ASSERT_EQUAL_FATAL(remed_policy_parse(&policy, NULL, text, sizeof text - 1, NULL), 0);
    struct remed_filter_opts opts;
    remed_filter_opts_init(&opts, sizeof opts);
    opts.max_flows = 32;
    opts.allocator = &allocator;
    struct remed_filter *filter = NULL;
    CU_ASSERT_EQUAL(remed_filter_new(&filter, policy, &opts, NULL), 0);
    size_t calls = failing.calls;
    for (unsigned i = 0; i < 2000 && filter != NULL; i++) {
        struct frame frame;
        struct remed_verdict verdict;
        struct frame_spec spec = {.protocol = i % 2 ? 6 : 17,
                                  .client = (uint8_t)i,
                                  .port = (uint16_t)(i / 200),
                                  .tcp_flags = (uint8_t)i,
                                  .time = i * 1000000000ull};
        frame_build(&frame, &spec);
        remed_filter_run(filter, &frame.packet, 1, &verdict);
    }
    CU_ASSERT_EQUAL(failing.calls, calls);
    remed_filter_free(filter);
    remed_policy_free(policy);
    CU_ASSERT_EQUAL(failing.live_bytes, 0);
}

static const struct test_case cases[] = {
    {"each allocation fails in turn", test_each_allocation_fails_in_turn},
    {"running allocates nothing", test_running_allocates_nothing},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"memory", cases, NULL, NULL}, {NULL, NULL, NULL, NULL}};
