/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How records are found again: behind a tail that was cut off and written anew under a reader, in
 * headers with flipped bits, and among bytes that only look like records, where the time must not
 * be that of a checksum for each of them.
 */
#include "unit/files.h"

#include "repository/file_aside.h"
#include "repository/segment.h"

#include <time.h>

#define FIRST "00000000000000000000.log"
#define SECOND "00000000000000000114.log"
#define SETTINGS "?segment=4KiB&sync=never&compact=0"
#define BIG (3u * REMED_SEGMENT_WHOLE)

static struct files_seen seen;
static struct remed_error error;
static struct remed_crc crc;
static struct remed_segment_search search;
static uint8_t *bytes;

static void setup(void)
{
    memset(&error, 0, sizeof error);
    files_begin();
    remed_crc_init(&crc);
    bytes = calloc(1, BIG);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
}

static void teardown(void)
{
    free(bytes);
    files_end();
}

static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * FILES_SECOND + (uint64_t)now.tv_nsec;
}

/* The record of a number as files_publish() has it, with a longer value: its bytes. */
static size_t make_record(uint8_t *to, uint32_t number, size_t value_length)
{
    const struct remed_message message = {.key = (const uint8_t *)&number,
                                          .key_length = sizeof number,
                                          .value = bytes + BIG / 2,
                                          .value_length = value_length,
                                          .offset = number};
    return remed_segment_write(&crc, to, &message);
}

static struct remed_transport *subscribe(unsigned count)
{
    memset(&seen, 0, sizeof seen);
    struct remed_transport *reader = files_open(SETTINGS, &seen);
    CU_ASSERT_EQUAL(remed_transport_subscribe(reader, "begin", &error), 0);
    CU_ASSERT(remed_transport_process(reader, 1, &error) >= 0);
    CU_ASSERT_EQUAL(seen.count, count);
    return reader;
}

static void expect_all(struct remed_transport *reader, unsigned count)
{
    for (unsigned i = 1; i < 20; i++)
        CU_ASSERT(remed_transport_process(reader, i * FILES_SECOND, &error) >= 0);
    CU_ASSERT_EQUAL(seen.count, count);
    for (unsigned i = 0; i < count; i++)
        CU_ASSERT_EQUAL(seen.times[i], 1);
    remed_transport_stats(reader, &seen.stats, sizeof seen.stats);
    CU_ASSERT_EQUAL(seen.stats.damaged, 0);
    remed_transport_close(reader, NULL);
}

/* More records than are handed out at once, so that a torn one stays in the window; then a writer
 * cuts it off and writes others there: more bytes, as many, or fewer, in one segment or more. */
static void test_a_tail_that_is_written_anew(void)
{
    static const size_t values[] = {1, 8, 370, 900};
    static uint8_t record[REMED_SEGMENT_RECORD + 4 + 900];
    for (unsigned more = 1; more <= 200; more += more < 4 ? 1 : 98)
        for (unsigned v = 0; v < 4; v++) {
            size_t length = make_record(record, 1100, values[v]);
            CU_ASSERT_EQUAL_FATAL(files_write("?sync=never&compact=0", 0, 1100, &error), 0);
            files_put(FIRST, files_size(FIRST), record, length > 400 ? 400 : length - 1);
            struct remed_transport *reader = subscribe(1024);
            CU_ASSERT_EQUAL(files_write(SETTINGS, 1100, 1100 + more, &error), 0);
            expect_all(reader, 1100 + more);
            files_end();
            files_begin();
        }
}

/* Any two bits of a header, and none of the records is lost nor a writer stopped. */
static void test_headers_with_two_flipped_bits(void)
{
    CU_ASSERT_EQUAL_FATAL(files_write(SETTINGS, 0, 120, &error), 0);
    for (unsigned a = 64; a < 8 * FILES_HEADER; a++)
        for (unsigned b = 64; b < a; b += 7) {
            files_flip(SECOND, a / 8, (unsigned char)(1u << a % 8));
            files_flip(SECOND, b / 8, (unsigned char)(1u << b % 8));
            CU_ASSERT_EQUAL(files_read(SETTINGS, "begin", &seen), 0);
            CU_ASSERT_EQUAL(seen.count, 120);
            CU_ASSERT_EQUAL(seen.stats.damaged, 1);
            files_flip(SECOND, a / 8, (unsigned char)(1u << a % 8));
            files_flip(SECOND, b / 8, (unsigned char)(1u << b % 8));
        }
}

static void test_an_empty_segment_with_a_random_header(void)
{
    char name[REMED_SEGMENT_NAME];
    uint8_t header[FILES_HEADER];
    CU_ASSERT_EQUAL_FATAL(files_write(SETTINGS, 0, 114, &error), 0);
    remed_segment_header(header, 0);
    memset(header + 8, 0x5a, 8); /* a version that nobody wrote */
    remed_segment_name(name, 114);
    files_put(name, 0, header, sizeof header);
    CU_ASSERT_EQUAL(files_write(SETTINGS, 120, 130, &error), 0);
    CU_ASSERT_EQUAL(files_read(SETTINGS, "begin", &seen), 0);
    CU_ASSERT_EQUAL(seen.count, 124);
    CU_ASSERT_EQUAL(seen.stats.damaged, 1);
    memset(header + 12, 0, 4); /* nor without a checksum */
    files_put(name, 0, header, sizeof header);
    CU_ASSERT_EQUAL(files_read(SETTINGS, "begin", &seen), 0);
    CU_ASSERT_EQUAL(seen.count, 124);
}

/* A checksum that is worked out is the one that is taken of the bytes. */
static void test_sums(void)
{
    struct remed_message message;
    size_t used, plain;
    for (size_t i = BIG / 2; i < BIG; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 11);
    for (size_t value = 1; value <= REMED_TRANSPORT_VALUE_MAX; value = value * 3 + 1) {
        for (size_t at = 0; at < 2000; at += 333) {
            memset(bytes, 0x3c, at);
            size_t length = at + make_record(bytes + at, 7, value);
            for (unsigned flipped = 0; flipped < 2; flipped++) {
                bytes[length - 1] ^= (uint8_t)flipped;
                remed_segment_search_begin(&search, &crc, bytes, length);
                enum remed_segment_result result = remed_segment_search_read(&search, at, &message,
                                                                             &used),
                                          wanted = remed_segment_read(&crc, bytes + at, length - at,
                                                                      &message, &plain);
                CU_ASSERT_EQUAL(result, wanted);
                CU_ASSERT_EQUAL(result, flipped ? REMED_SEGMENT_DAMAGED : REMED_SEGMENT_OK);
                CU_ASSERT(flipped || used == plain);
                CU_ASSERT_EQUAL(remed_segment_find(&search, 0, 7, 7),
                                at == 0 || flipped ? length : at);
            }
        }
    }
}

/* Headers of long records, one behind the other, with the offset that comes next. */
static void make_headers(size_t length, uint32_t offset)
{
    for (size_t at = 0; at + REMED_SEGMENT_RECORD <= length; at += REMED_SEGMENT_RECORD) {
        uint32_t lengths[2] = {16, 0}, number = offset;
        lengths[1] = REMED_TRANSPORT_VALUE_MAX - (uint32_t)(at % 4096);
        memset(bytes + at, 0, REMED_SEGMENT_RECORD);
        memcpy(bytes + at, "RER1", 4);
        memcpy(bytes + at + 8, &number, sizeof number);
        memcpy(bytes + at + 16, lengths, sizeof lengths);
    }
}

/* 3 MiB of them took a minute. What lies behind them is read, by readers and by a writer. */
static void test_many_headers(void)
{
    uint8_t record[FILES_RECORD];
    CU_ASSERT_EQUAL_FATAL(files_write("?sync=never&compact=0", 0, 100, &error), 0);
    make_headers(BIG, 100);
    size_t length = make_record(record, 300, 8);
    files_put(FIRST, files_size(FIRST), bytes, BIG);
    files_put(FIRST, files_size(FIRST), record, length);
    uint64_t begun = cpu_ns();
    CU_ASSERT_EQUAL(files_read("?compact=0", "begin", &seen), 0);
    CU_ASSERT_EQUAL(seen.count, 101);
    CU_ASSERT_EQUAL(seen.stats.damaged, 1);
    CU_ASSERT_EQUAL(files_write("?sync=never&compact=0", 301, 302, &error), 0);
    CU_ASSERT_EQUAL(files_read("?compact=0", "begin", &seen), 0);
    CU_ASSERT_EQUAL(seen.count, 102);
    uint64_t taken = cpu_ns() - begun;
    printf("\n    %.1f ms for three times 3 MiB of headers ... ", (double)taken / 1e6);
    CU_ASSERT(taken < 20 * FILES_SECOND); /* also under valgrind */
}

/* A compaction that fails behind it, again and again, leaves one more name. */
static void test_set_aside_again(void)
{
    char name[REMED_ASIDE_NAME];
    uint64_t count;
    int folder = open(files_folder, O_RDONLY | O_DIRECTORY);
    for (unsigned other = 1; other <= 3; other++) {
        files_put(FIRST, 0, "x", 1);
        for (unsigned i = 0; i < 1100; i++)
            CU_ASSERT_EQUAL(remed_file_set_aside(folder, 0), 0);
        CU_ASSERT_EQUAL(remed_file_count_aside(folder, &count, name), 0);
        CU_ASSERT_EQUAL(count, other);
        files_remove(FIRST); /* and another has its name */
    }
    close(folder);
}

static const struct test_case cases[] = {
    {"a tail that is written anew", test_a_tail_that_is_written_anew},
    {"headers with two flipped bits", test_headers_with_two_flipped_bits},
    {"an empty segment with a random header", test_an_empty_segment_with_a_random_header},
    {"sums", test_sums},
    {"many headers", test_many_headers},
    {"set aside again", test_set_aside_again},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"file search", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
