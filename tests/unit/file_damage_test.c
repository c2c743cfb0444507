/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Damage of every kind in a file repository: what costs what, what is told, and what a writer cuts
 * off, which is the beginning of a record that was never written to its end and nothing else.
 */
#include "unit/files.h"

#define FIRST "00000000000000000000.log"
#define SECOND "00000000000000000114.log"
#define THIRD "00000000000000000228.log"
#define SETTINGS "?segment=4KiB&sync=never&compact=0"

static struct files_seen seen;
static struct remed_error error;

static void setup(void)
{
    memset(&error, 0, sizeof error);
    files_begin();
}

/* 300 records: 114, 114 and 72. */
static void make_three(void)
{
    CU_ASSERT_EQUAL_FATAL(files_write(SETTINGS, 0, 300, &error), 0);
    CU_ASSERT_EQUAL_FATAL(files_size(FIRST), FILES_HEADER + 114 * FILES_RECORD);
    CU_ASSERT_EQUAL_FATAL(files_size(SECOND), FILES_HEADER + 114 * FILES_RECORD);
    CU_ASSERT_EQUAL_FATAL(files_size(THIRD), FILES_HEADER + 72 * FILES_RECORD);
}

static void expect_reading(unsigned count, unsigned damaged, const char *place)
{
    CU_ASSERT_EQUAL(files_read(SETTINGS, "begin", &seen), 0);
    CU_ASSERT_EQUAL(seen.caught_up, 1);
    CU_ASSERT_EQUAL(seen.count, count);
    CU_ASSERT_EQUAL(seen.stats.damaged, damaged);
    CU_ASSERT_PTR_NOT_NULL(strstr(seen.damage, place));
    if (seen.count != count || seen.stats.damaged != damaged || strstr(seen.damage, place) == NULL)
        printf("\n    %u records, %llu damaged: %s; wanted %u, %u, %s\n", seen.count,
               (unsigned long long)seen.stats.damaged, seen.damage, count, damaged, place);
    CU_ASSERT((damaged == 0) == (seen.damage[0] == '\0'));
}

static void test_sound(void)
{
    make_three();
    expect_reading(300, 0, "");
}

static void test_an_empty_segment_in_the_middle(void)
{
    make_three();
    files_cut(SECOND, 0);
    expect_reading(186, 1, SECOND ": byte 0: the segment is empty");
}

static void test_a_segment_that_is_missing(void)
{
    make_three();
    files_remove(SECOND);
    expect_reading(186, 1, THIRD ": byte 0: records 114 to 227 before it are missing");
    files_remove(FIRST);
    expect_reading(72, 1, "records 0 to 227 before it are missing");
}

static void test_a_cut_segment_in_the_middle(void)
{
    make_three();
    files_cut(SECOND, FILES_HEADER + 50 * FILES_RECORD + 10);
    expect_reading(114 + 50 + 72, 1, SECOND ": byte 1824: no whole record");
}

static void test_headers(void)
{
    static const uint8_t zeros[FILES_HEADER] = {0};
    make_three();
    files_flip(SECOND, 16, 1); /* purged */
    expect_reading(300, 1, SECOND ": byte 0: the header is damaged");
    files_put(SECOND, 0, zeros, sizeof zeros);
    expect_reading(300, 1, SECOND ": byte 0: the header is damaged");
    files_put(SECOND, 0, zeros, 8);
    files_cut(SECOND, 8);
    expect_reading(186, 1, SECOND ": byte 0: no whole record");
}

static void test_an_old_header_has_no_checksum(void)
{
    static const uint8_t zeros[4] = {0};
    make_three();
    files_put(SECOND, 12, zeros, sizeof zeros);
    expect_reading(300, 0, "");
    files_flip(SECOND, 8, 2); /* its version reads 3 */
    expect_reading(300, 1, SECOND ": byte 0: the header is damaged");
}

static void test_a_newer_version_is_refused(void)
{
    static const uint8_t version[] = {2, 0, 0, 0, 0xaf, 0xa9, 0xf9, 0x87}; /* and its checksum */
    make_three();
    files_put(THIRD, 8, version, sizeof version);
    CU_ASSERT_EQUAL(files_read(SETTINGS, "begin", &seen), REMED_EUNSUPPORTED);
    CU_ASSERT_PTR_NOT_NULL(strstr(seen.error.message, THIRD ": version 2"));
    CU_ASSERT_EQUAL(seen.count, 228);
    CU_ASSERT_EQUAL(files_write(SETTINGS, 300, 301, &error), REMED_EUNSUPPORTED);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, THIRD ": version 2"));
    CU_ASSERT_EQUAL(files_size(THIRD), FILES_HEADER + 72 * FILES_RECORD);
}

static void test_a_torn_record_is_cut_off(void)
{
    make_three();
    for (long left = 1; left < (long)FILES_RECORD; left++) {
        long whole = files_size(THIRD) - (long)FILES_RECORD;
        unsigned count = 299;
        files_cut(THIRD, whole + left);
        expect_reading(count, 0, "");
        CU_ASSERT_EQUAL(files_write(SETTINGS, 299, 300, &error), 0);
        CU_ASSERT_EQUAL(files_size(THIRD), whole + (long)FILES_RECORD);
        expect_reading(300, 0, "");
    }
}

/* Each leaves bytes at the end that are no record, and that may have been one. */
static void damage_last(unsigned kind)
{
    static const uint8_t zeros[200] = {0};
    static const uint8_t rubbish[] = "RER1 is how a record begins, but this is none of ours at all";
    long last = files_size(THIRD) - (long)FILES_RECORD;
    switch (kind) {
    case 0:
        files_flip(THIRD, last + 20, 64); /* its value seems to be longer than there is */
        break;
    case 1:
        files_flip(THIRD, last + 17, 2); /* and its key */
        break;
    case 2:
        files_flip(THIRD, last + 20, 0xff); /* more than a bit of the length */
        break;
    case 3:
        files_flip(THIRD, last + 30, 1); /* the value */
        break;
    case 4:
        files_flip(THIRD, last, 1); /* the magic */
        break;
    case 5:
        files_flip(THIRD, last + 8, 1); /* the offset, of a record that is cut as well */
        files_cut(THIRD, last + 30);
        break;
    case 6:
        files_put(THIRD, last, zeros, FILES_RECORD);
        break;
    case 7:
        files_put(THIRD, last, zeros, sizeof zeros);
        break;
    default:
        files_put(THIRD, last, rubbish, sizeof rubbish);
        break;
    }
}

static void test_what_may_have_been_a_record_stays(void)
{
    char text[64];
    for (unsigned kind = 0; kind < 9; kind++) {
        make_three();
        long last = files_size(THIRD) - (long)FILES_RECORD;
        damage_last(kind);
        long size = files_size(THIRD);
        snprintf(text, sizeof text, "%s: byte %ld", THIRD, last);
        expect_reading(299, 1, text);
        CU_ASSERT_EQUAL(files_write(SETTINGS, 300, 310, &error), 0);
        CU_ASSERT_EQUAL(files_size(THIRD), size);
        expect_reading(309, 1, text);
        CU_ASSERT_EQUAL(seen.times[300], 1);
        CU_ASSERT_EQUAL(files_write(SETTINGS, 310, 320, &error), 0);
        expect_reading(319, 1, text);
        files_end();
        files_begin();
    }
}

/* Who has read what is damaged now must not take new records for it. */
static void test_offsets_of_damaged_records_are_not_used_again(void)
{
    make_three();
    CU_ASSERT_EQUAL(files_read(SETTINGS, "begin", &seen), 0);
    char position[128];
    snprintf(position, sizeof position, "%s", seen.position);
    for (unsigned i = 1; i <= 3; i++)
        files_flip(THIRD, files_size(THIRD) - (long)(i * FILES_RECORD) + 30, 1);
    CU_ASSERT_EQUAL(files_write(SETTINGS, 300, 310, &error), 0);
    CU_ASSERT_EQUAL(files_read(SETTINGS, position, &seen), 0);
    CU_ASSERT_EQUAL(seen.count, 10);
}

static void test_a_last_segment_without_a_header(void)
{
    make_three();
    files_put("00000000000000000300.log", 0, "", 0);
    expect_reading(300, 1, "00000000000000000300.log: byte 0");
    CU_ASSERT_EQUAL(files_write(SETTINGS, 300, 310, &error), 0);
    CU_ASSERT_EQUAL(files_size("00000000000000000300.log"), 0);
    expect_reading(310, 1, "00000000000000000300.log: byte 0: the segment is empty");
    CU_ASSERT_EQUAL(files_size("00000000000000000301.log"), FILES_HEADER + 10 * FILES_RECORD);
}

static void test_a_folder_in_the_place_of_a_segment(void)
{
    char path[160];
    make_three();
    files_remove(SECOND);
    files_path(path, SECOND);
    CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
    expect_reading(186, 1, SECOND ": byte 0: no regular file");
}

/* A compaction leaves what is damaged, and a sign of it. */
static void test_compaction_keeps_damage(void)
{
    char path[160];
    make_three();
    files_flip(FIRST, 60, 1);
    files_remove(SECOND);
    CU_ASSERT_EQUAL(files_write("?segment=4KiB&sync=never&compact=1", 300, 500, &error), 0);
    CU_ASSERT_EQUAL(files_size(FIRST ".damaged"), FILES_HEADER + 114 * FILES_RECORD);
    CU_ASSERT_EQUAL(files_size(THIRD), -1); /* compacted */
    expect_reading(185 + 200, 2, ".log.damaged: a damaged segment");
    files_remove(FIRST ".damaged");
    files_path(path, THIRD ".damaged");
    CU_ASSERT_EQUAL(unlink(path), 0);
    expect_reading(185 + 200, 0, "");
}

/* A record that is on its way: nothing is told while it may still come. */
static void test_a_record_on_its_way(void)
{
    uint8_t record[FILES_RECORD];
    char path[160];
    make_three();
    long last = files_size(THIRD) - (long)FILES_RECORD;
    files_path(path, THIRD);
    int fd = open(path, O_RDONLY);
    CU_ASSERT_EQUAL(pread(fd, record, sizeof record, last), (ssize_t)sizeof record);
    close(fd);
    files_cut(THIRD, last + 30);
    memset(&seen, 0, sizeof seen);
    struct remed_transport *transport = files_open(SETTINGS, &seen);
    CU_ASSERT_EQUAL(remed_transport_subscribe(transport, "begin", NULL), 0);
    CU_ASSERT(remed_transport_process(transport, 1, NULL) >= 0);
    CU_ASSERT_EQUAL(seen.count, 299);
    CU_ASSERT_EQUAL(seen.caught_up, 0);
    files_put(THIRD, last, record, sizeof record);
    CU_ASSERT(remed_transport_process(transport, FILES_SECOND / 2, NULL) >= 0);
    CU_ASSERT_EQUAL(seen.count, 300);
    CU_ASSERT_EQUAL(seen.caught_up, 1);
    remed_transport_stats(transport, &seen.stats, sizeof seen.stats);
    CU_ASSERT_EQUAL(seen.stats.damaged, 0);
    remed_transport_close(transport, NULL);
}

/* A watch goes on past a record that became damaged before it was read. */
static void test_a_live_reader_goes_on(void)
{
    static struct files_seen written;
    struct remed_transport *writer = files_open(SETTINGS, &written);
    memset(&seen, 0, sizeof seen);
    struct remed_transport *reader = files_open(SETTINGS, &seen);
    uint64_t now = 1;
    for (uint32_t number = 0; number < 10; number++)
        CU_ASSERT_EQUAL(files_publish(writer, number, NULL), 0);
    CU_ASSERT(remed_transport_process(writer, now, NULL) >= 0);
    files_flip(FIRST, FILES_HEADER + 9 * FILES_RECORD + 21, 8); /* seems to be long now */
    CU_ASSERT_EQUAL(remed_transport_subscribe(reader, "begin", NULL), 0);
    CU_ASSERT(remed_transport_process(reader, now, NULL) >= 0);
    CU_ASSERT_EQUAL(seen.count, 9);
    for (uint32_t number = 10; number < 20; number++)
        CU_ASSERT_EQUAL(files_publish(writer, number, NULL), 0);
    CU_ASSERT(remed_transport_process(writer, ++now, NULL) >= 0);
    CU_ASSERT(remed_transport_process(reader, now + 10000000, NULL) >= 0);
    CU_ASSERT_EQUAL(seen.count, 19);
    remed_transport_stats(reader, &seen.stats, sizeof seen.stats);
    CU_ASSERT_EQUAL(seen.stats.damaged, 1);
    remed_transport_close(reader, NULL);
    remed_transport_close(writer, NULL);
}

static const struct test_case cases[] = {
    {"sound", test_sound},
    {"an empty segment in the middle", test_an_empty_segment_in_the_middle},
    {"a segment that is missing", test_a_segment_that_is_missing},
    {"a cut segment in the middle", test_a_cut_segment_in_the_middle},
    {"headers", test_headers},
    {"an old header has no checksum", test_an_old_header_has_no_checksum},
    {"a newer version is refused", test_a_newer_version_is_refused},
    {"a torn record is cut off", test_a_torn_record_is_cut_off},
    {"what may have been a record stays", test_what_may_have_been_a_record_stays},
    {"offsets of damaged records are not used again",
     test_offsets_of_damaged_records_are_not_used_again},
    {"a last segment without a header", test_a_last_segment_without_a_header},
    {"a folder in the place of a segment", test_a_folder_in_the_place_of_a_segment},
    {"compaction keeps damage", test_compaction_keeps_damage},
    {"a record on its way", test_a_record_on_its_way},
    {"a live reader goes on", test_a_live_reader_goes_on},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"file damage", cases, setup, files_end},
                                         {NULL, NULL, NULL, NULL}};
