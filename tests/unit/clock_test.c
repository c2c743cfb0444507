/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The steady clock: whatever packet times do, the time that passed is right.
 */
#include "unit/test.h"

#include "flow/clock.h"

#define SECOND ((int64_t)REMED_NS_PER_S)

static struct remed_clock steady_clock;

static void setup(void)
{
    remed_clock_init(&steady_clock);
}

/* The steady time of a packet's, both in seconds. */
static double at(double time)
{
    return (double)remed_clock_read(&steady_clock, (uint64_t)(time * 1e9)) / 1e9;
}

static bool is_near(double a, double b)
{
    return a - b < 1.000001 && b - a < 1.000001;
}

static void test_right_times_stay(void)
{
    setup();
    static const double times[] = {1000, 1000.5, 1000.2, 1001, 1100, 5000, 90000};
    for (unsigned i = 0; i < sizeof times / sizeof *times; i++)
        CU_ASSERT_DOUBLE_EQUAL(at(times[i]), times[i], 1e-6);
}

static void test_a_step_back_goes_on(void)
{
    setup();
    at(10000);
    at(10000.5);
    CU_ASSERT_TRUE(is_near(at(6400.6), 10000.6));
    CU_ASSERT_TRUE(is_near(at(6500.6), 10100.6));
    CU_ASSERT_TRUE(is_near(at(100), 10100.7)); /* and another */
    CU_ASSERT_TRUE(is_near(at(160), 10160.7));
}

static void test_a_wild_packet_changes_nothing(void)
{
    setup();
    at(10000);
    CU_ASSERT_TRUE(at(10000 + 1e8) > 1e8); /* it may have been quiet for so long */
    CU_ASSERT_DOUBLE_EQUAL(at(10000.1), 10000.1, 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(at(10050), 10050, 1e-6);
    CU_ASSERT_TRUE(is_near(at(3), 10050)); /* back, and back again */
    CU_ASSERT_DOUBLE_EQUAL(at(10060), 10060, 1e-6);
    at(10000 + 1e8);
    at(10000 + 2e8); /* two of them */
    CU_ASSERT_TRUE(is_near(at(10061), 10061));
}

static void test_a_capture_may_begin_at_zero(void)
{
    setup();
    CU_ASSERT_DOUBLE_EQUAL(at(0), 0, 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(at(174), 174, 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(at(0), 0, 1e-6); /* a wild one again */
    CU_ASSERT_TRUE(is_near(at(175), 0) || is_near(at(175), 1));
}

static void test_two_clocks_by_turns(void)
{
    for (int ahead = 0; ahead < 2; ahead++) {
        setup();
        double before = 0;
        for (int i = 0; i < 1000; i++) {
            double far = i % 2 == ahead ? 3600 : 0, steady = at(10000 + i * 0.5 + far);
            if (i > 2) /* by then both are known */
                CU_ASSERT_TRUE(steady - before < 1.6 && before - steady < 1.1);
            before = steady;
        }
        CU_ASSERT_TRUE(before < 14102);
    }
}

/* Once all are known, the steady time goes on with every one of them. */
static void test_many_clocks_by_turns(void)
{
    static const double gaps[] = {7, 1200, 3600};
    for (int taps = 3; taps <= 8; taps++)
        for (unsigned gap = 0; gap < 3; gap++) {
            setup();
            double before = 0, steady = 0, begin = 0;
            for (int i = 0; i < 3000; i++, before = steady) {
                steady = at(10000 + i * 0.1 + gaps[gap] * (i % taps));
                if (i == taps)
                    begin = steady;
                else if (i > taps)
                    CU_ASSERT_TRUE(steady - before < 1.5 && before - steady < 1.5);
            }
            double passed = steady - begin, wanted = (3000 - 1 - taps) * 0.1;
            CU_ASSERT_TRUE(is_near(passed, wanted));
        }
}

/* A tap that stands still in the far future moves nobody, nor do packets from all over it. */
static void test_a_far_future_now_and_then(void)
{
    setup();
    for (int i = 0; i < 3000; i++) {
        double time = 10000 + i * 0.1;
        if (i % 100 == 50) {
            double far = at(i < 1500 ? 4e9 : 2e9 + i * 1e5);
            CU_ASSERT_TRUE(i < 100 || i >= 1500 || is_near(far, time));
        } else {
            CU_ASSERT_TRUE(is_near(at(time), time));
        }
    }
}

static void test_extreme_times_do_not_trap(void)
{
    static const uint64_t times[] = {0, 1, UINT64_MAX, 5, INT64_MAX, (uint64_t)INT64_MAX + 1, 7};
    for (unsigned i = 0; i < 7 * 7 * 7; i++) {
        setup();
        remed_clock_read(&steady_clock, times[i % 7]);
        remed_clock_read(&steady_clock, times[i / 7 % 7]);
        remed_clock_read(&steady_clock, times[i / 49]);
        uint64_t a = remed_clock_read(&steady_clock, 1000 * REMED_NS_PER_S);
        uint64_t b = remed_clock_read(&steady_clock, 1001 * REMED_NS_PER_S);
        CU_ASSERT_EQUAL(b - a, REMED_NS_PER_S);
    }
}

static void test_due(void)
{
    CU_ASSERT_FALSE(remed_clock_is_due(1000, 1009, 10));
    CU_ASSERT_TRUE(remed_clock_is_due(1000, 1010, 10));
    CU_ASSERT_FALSE(remed_clock_is_due(1000, 900, 10));                       /* out of order */
    CU_ASSERT_TRUE(remed_clock_is_due(9000ull * (uint64_t)SECOND, 1000, 10)); /* a wild one's */
}

static const struct test_case cases[] = {
    {"right times stay", test_right_times_stay},
    {"a step back goes on", test_a_step_back_goes_on},
    {"a wild packet changes nothing", test_a_wild_packet_changes_nothing},
    {"a capture may begin at zero", test_a_capture_may_begin_at_zero},
    {"two clocks by turns", test_two_clocks_by_turns},
    {"many clocks by turns", test_many_clocks_by_turns},
    {"a far future now and then", test_a_far_future_now_and_then},
    {"extreme times do not trap", test_extreme_times_do_not_trap},
    {"due", test_due},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"clock", cases, NULL, NULL}, {NULL, NULL, NULL, NULL}};
