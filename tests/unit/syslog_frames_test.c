/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams of syslog cut into frames: both kinds of RFC 6587, every split, hostile ones. */
#include "unit/test.h"

#include <remediate/syslog.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TEXT 4096
#define STREAM(text) text, sizeof text - 1

static struct remed_syslog_frames *frames;
static char got[MAX_TEXT]; /* frames, each with a | behind it, a cut one with a ~ */
static size_t got_length;
static bool stops;

static int on_frame(void *context, const struct remed_syslog_frame *frame)
{
    (void)context;
    if (got_length + frame->length + 1 < sizeof got) {
        memcpy(got + got_length, frame->text, frame->length);
        got_length += frame->length;
        got[got_length++] = frame->cut ? '~' : '|';
        got[got_length] = '\0';
    }
    return stops;
}

static void make(uint32_t framing, uint32_t max_frame)
{
    struct remed_syslog_frames_opts opts;
    remed_syslog_frames_opts_init(&opts, sizeof opts);
    opts.frame = on_frame;
    opts.framing = framing;
    opts.max_frame = max_frame;
    remed_syslog_frames_free(frames);
    frames = NULL;
    got_length = 0;
    got[0] = '\0';
    CU_ASSERT_EQUAL_FATAL(remed_syslog_frames_new(&frames, &opts, NULL), 0);
}

static void teardown(void)
{
    remed_syslog_frames_free(frames);
    frames = NULL;
    stops = false;
}

static struct remed_syslog_frames_stats counters(void)
{
    struct remed_syslog_frames_stats stats;
    remed_syslog_frames_stats(frames, &stats, sizeof stats);
    return stats;
}

/* Pushes pieces of a heap copy, so that reading beyond one is seen. */
static void push(const char *text, size_t length)
{
    char *copy = malloc(length + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    memcpy(copy, text, length);
    size_t at = 0;
    while (at < length)
        at += remed_syslog_frames_push(frames, copy + at, length - at);
    CU_ASSERT_EQUAL(at, length);
    free(copy);
}

static void expect_at_every_split(uint32_t framing, const char *text, size_t length,
                                  const char *expected)
{
    for (size_t split = 0; split <= length; split++) {
        make(framing, 480);
        push(text, split);
        push(text + split, length - split);
        remed_syslog_frames_end(frames);
        CU_ASSERT_STRING_EQUAL(got, expected);
        CU_ASSERT_EQUAL(counters().bytes, length);
    }
    make(framing, 480);
    for (size_t i = 0; i < length; i++)
        push(text + i, 1);
    remed_syslog_frames_end(frames);
    CU_ASSERT_STRING_EQUAL(got, expected);
}

static void test_streams(void)
{
    static const struct {
        const char *text;
        size_t length;
        const char *frames;
    } cases[] = {
        {STREAM("<13>one\n<13>two\n"), "<13>one|<13>two|"},
        {STREAM("<13>one\r\n<13>two\r\n"), "<13>one|<13>two|"},
        {STREAM("<13>one\0<13>two\0"), "<13>one|<13>two|"},
        {STREAM("7 <13>one9 <13>three"), "<13>one|<13>three|"},
        {STREAM("8 <13>one\n10 <13>three\n"), "<13>one|<13>three|"}, /* the trailer counted in */
        {STREAM("7 <13>one\n9 <13>three\n"), "<13>one|<13>three|"},  /* and not */
        {STREAM("7 <13>one<13>line\n9 <13>three"), "<13>one|<13>line|<13>three|"},
        {STREAM("12 <13>one\n<9>x<13>line\n"),
         "<13>one\n<9>x|<13>line|"}, /* LF within a counted one */
        {STREAM("12 monkeys\n2026-11-24 x\n7\n"),
         "12 monkeys|2026-11-24 x|7|"},                         /* numbers, no counts */
        {STREAM("0 <13>x\n007 <13>y\n"), "0 <13>x|007 <13>y|"}, /* no count begins with 0 */
        {STREAM("12345678901 <13>x\n<13>y\n"), "12345678901 <13>x|<13>y|"},
        {STREAM("\n\n\r\n<13>one\n\n\0\n<13>two\n"), "<13>one|<13>two|"},
        {STREAM("<13>a\0b\n<13>c\n"), "<13>a|b\n<13>c~"},  /* NUL was first, so LF is no trailer */
        {STREAM("<13>a\n<13>b\0<13>c\n"), "<13>a|<13>b|"}, /* shown up to its NUL */
        {STREAM("<13>no trailer"), "<13>no trailer~"},
        {STREAM("99 <13>cut"), "<13>cut~"},
        {STREAM("12"), "12~"},
        {STREAM("12 "), "12 ~"},
        {STREAM(""), ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (i == 13) { /* has a NUL within a frame, where this way of looking ends */
            make(REMED_SYSLOG_AUTO, 480);
            push(cases[i].text, cases[i].length);
            CU_ASSERT_EQUAL(counters().frames, 2);
            CU_ASSERT_EQUAL(got_length, 6 + 12);
            continue;
        }
        expect_at_every_split(REMED_SYSLOG_AUTO, cases[i].text, cases[i].length, cases[i].frames);
    }
}

static void test_lines(void)
{
    expect_at_every_split(REMED_SYSLOG_LINES, STREAM("7 <13>one\n12 x\n"), "7 <13>one|12 x|");
    make(REMED_SYSLOG_LINES, 480);
    push(STREAM("a\0b\n\0\0\0c\n")); /* the hole that a file truncated under its writer has */
    CU_ASSERT_EQUAL(got_length, 6);
    CU_ASSERT_EQUAL(memcmp(got, "a\0b|c|", 6), 0);
}

static void test_limits(void)
{
    static char text[2000];
    memset(text, 'x', sizeof text);
    make(REMED_SYSLOG_AUTO, 480);
    push(text, 480); /* the longest line */
    push(STREAM("\nshort\n"));
    CU_ASSERT_EQUAL(counters().oversize, 0);
    CU_ASSERT_EQUAL(got_length, 481 + 6);

    make(REMED_SYSLOG_AUTO, 480);
    text[481] = '\n';
    push(text, 482); /* a byte too long, in one piece */
    text[481] = 'x';
    push(STREAM("a\n"));
    for (int i = 0; i < 100; i++)
        push(text, sizeof text); /* without an end, in pieces */
    CU_ASSERT_EQUAL(remed_syslog_frames_held(frames), 100 * sizeof text);
    push(STREAM("\nb\n"));
    CU_ASSERT_STRING_EQUAL(got, "a|b|");
    CU_ASSERT_EQUAL(counters().oversize, 2);
    CU_ASSERT_EQUAL(remed_syslog_frames_held(frames), 0);

    make(REMED_SYSLOG_AUTO, 480);
    push(STREAM("4000 <13>"));
    push(text, 1996);
    push(text, 2000);
    push(STREAM("5 <13>c<13>d\n")); /* in step after a counted one */
    CU_ASSERT_STRING_EQUAL(got, "<13>c|<13>d|");
    CU_ASSERT_EQUAL(counters().oversize, 1);
    push(STREAM("9999999999 <13>e\n"));
    CU_ASSERT_EQUAL(counters().oversize, 2);
    remed_syslog_frames_end(frames);
    push(STREAM("<13>f\n")); /* a new stream */
    CU_ASSERT_STRING_EQUAL(got, "<13>c|<13>d|<13>f|");
}

static void test_stopping(void)
{
    static const char text[] = "<13>a\n5 <13>b<13>c\n";
    make(REMED_SYSLOG_AUTO, 480);
    stops = true;
    CU_ASSERT_EQUAL(remed_syslog_frames_push(frames, text, sizeof text - 1), 6);
    CU_ASSERT_STRING_EQUAL(got, "<13>a|");
    CU_ASSERT_EQUAL(remed_syslog_frames_push(frames, text + 6, sizeof text - 7), 7);
    CU_ASSERT_EQUAL(remed_syslog_frames_push(frames, text + 13, sizeof text - 14), 6);
    CU_ASSERT_STRING_EQUAL(got, "<13>a|<13>b|<13>c|");
}

static void test_options(void)
{
    struct remed_syslog_frames_opts opts;
    struct remed_error error;
    remed_syslog_frames_opts_init(&opts, sizeof opts);
    CU_ASSERT_EQUAL(remed_syslog_frames_new(&frames, &opts, &error), REMED_EINVAL);
    opts.frame = on_frame;
    opts.max_frame = 479;
    CU_ASSERT_EQUAL(remed_syslog_frames_new(&frames, &opts, &error), REMED_EINVAL);
    opts.max_frame = (1u << 20) + 1;
    CU_ASSERT_EQUAL(remed_syslog_frames_new(&frames, &opts, &error), REMED_EINVAL);
    opts.max_frame = 480;
    opts.framing = REMED_SYSLOG_FRAMINGS;
    CU_ASSERT_EQUAL(remed_syslog_frames_new(&frames, &opts, &error), REMED_EINVAL);
    CU_ASSERT_PTR_NULL(frames);
}

static bool exhausted;

static void *scarce(void *context, void *memory, size_t old_size, size_t new_size)
{
    (void)context;
    (void)old_size;
    if (new_size == 0) {
        free(memory);
        return NULL;
    }
    return exhausted ? NULL : realloc(memory, new_size);
}

static void test_no_memory(void)
{
    const struct remed_allocator allocator = {.resize = scarce};
    struct remed_syslog_frames_opts opts;
    remed_syslog_frames_opts_init(&opts, sizeof opts);
    opts.frame = on_frame;
    opts.allocator = &allocator;
    got_length = 0;
    exhausted = true;
    CU_ASSERT_EQUAL(remed_syslog_frames_new(&frames, &opts, NULL), REMED_ENOMEM);
    exhausted = false;
    CU_ASSERT_EQUAL_FATAL(remed_syslog_frames_new(&frames, &opts, NULL), 0);
    exhausted = true;
    push(STREAM("<13>whole\n<13>cut"));
    push(STREAM(" here\n<13>whole\n7 <13>x"));
    push(STREAM("yz<13>whole\n"));
    CU_ASSERT_STRING_EQUAL(got, "<13>whole|<13>whole|<13>whole|");
    CU_ASSERT_EQUAL(counters().oversize, 2);
    exhausted = false;
}

static const struct test_case cases[] = {{"streams, split everywhere", test_streams},
                                         {"lines", test_lines},
                                         {"limits", test_limits},
                                         {"stopping", test_stopping},
                                         {"options", test_options},
                                         {"no memory", test_no_memory},
                                         {NULL, NULL}};

const struct test_suite test_suites[] = {{"syslog frames", cases, NULL, teardown},
                                         {NULL, NULL, NULL, NULL}};
