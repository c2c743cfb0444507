/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Captures: every format and byte order that is read, files cut at every byte, damage, what is
 * written read back, a full disk, and every allocation failed in turn.
 */
#include "unit/layers.h"
#include "unit/test.h"

#include <fcntl.h>
#include <remediate/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_MAX 4096u
#define SECOND 1000000000ull

/* A capture under construction, in either byte order. */
struct image {
    uint8_t bytes[FILE_MAX];
    size_t length;
    bool big;
};

static char path[64];
static struct remed_pcap_source *source;
static struct remed_pcap_sink *sink;
static struct remed_error error;

static void setup(void)
{
    strcpy(path, "/tmp/remediate-test-XXXXXX");
    int fd = mkstemp(path);
    CU_ASSERT_FATAL(fd >= 0);
    close(fd);
    memset(&error, 0, sizeof error);
}

static void teardown(void)
{
    remed_pcap_source_free(source);
    remed_pcap_sink_close(sink, NULL);
    source = NULL;
    sink = NULL;
    unlink(path);
}

static void put(struct image *image, const void *bytes, size_t length)
{
    memcpy(image->bytes + image->length, bytes, length);
    image->length += length;
}

static void put_number(struct image *image, uint64_t value, unsigned width)
{
    for (unsigned i = 0; i < width; i++)
        image->bytes[image->length++] = (uint8_t)(value >> 8 * (image->big ? width - 1 - i : i));
}

#define PUT32(image, ...)                                                                          \
    put_words(image, (const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / 4)

static void put_words(struct image *image, const uint32_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_number(image, words[i], 4);
}

static void put_header(struct image *image, uint32_t magic, unsigned minor, uint32_t link_type)
{
    put_number(image, magic, 4);
    put_number(image, 2, 2);
    put_number(image, minor, 2);
    PUT32(image, 0, 0, 65535, link_type);
}

static void save(const struct image *image, size_t length)
{
    int fd = open(path, O_WRONLY | O_TRUNC);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(write(fd, image->bytes, length), (ssize_t)length);
    close(fd);
}

static int open_image(const struct image *image, size_t length)
{
    remed_pcap_source_free(source);
    source = NULL;
    save(image, length);
    return remed_pcap_open_file(&source, path, NULL, &error);
}

static int next(struct remed_packet *packet)
{
    return remed_pcap_read(source, packet, 1, &error);
}

static void check_packet(const struct remed_packet *packet, const char *bytes, uint32_t wire,
                         uint64_t time, uint32_t link_type)
{
    CU_ASSERT_EQUAL(packet->captured, strlen(bytes));
    CU_ASSERT_EQUAL(memcmp(packet->data, bytes, strlen(bytes)), 0);
    CU_ASSERT_EQUAL(packet->wire, wire);
    CU_ASSERT_EQUAL(packet->time, time);
    CU_ASSERT_EQUAL(packet->link_type, link_type);
}

/* Two packets in a pcap of the given kind. */
static void build_pcap(struct image *image, bool big, uint32_t magic, unsigned minor)
{
    *image = (struct image){.big = big};
    put_header(image, magic, minor, REMED_LINK_RAW);
    for (unsigned i = 0; i < 2; i++) {
        if (minor < 3)
            PUT32(image, 100 + i, 7 + i, 100, 5); /* the lengths stood the other way round */
        else
            PUT32(image, 100 + i, 7 + i, 5, 100);
        if (magic == 0xa1b2cd34)
            PUT32(image, 1, 2);
        put(image, i == 0 ? "first" : "other", 5);
    }
}

static void check_pcap(bool big, uint32_t magic, unsigned minor)
{
    struct image image;
    struct remed_packet packet;
    const uint64_t unit = magic == 0xa1b23c4d ? 1 : 1000;
    build_pcap(&image, big, magic, minor);
    CU_ASSERT_EQUAL_FATAL(open_image(&image, image.length), 0);
    CU_ASSERT_EQUAL(remed_pcap_source_nanoseconds(source), unit == 1);
    CU_ASSERT_EQUAL(remed_pcap_source_link_type(source), REMED_LINK_RAW);
    CU_ASSERT_EQUAL_FATAL(next(&packet), 1);
    check_packet(&packet, "first", 100, 100 * SECOND + 7 * unit, REMED_LINK_RAW);
    CU_ASSERT_EQUAL_FATAL(next(&packet), 1);
    check_packet(&packet, "other", 100, 101 * SECOND + 8 * unit, REMED_LINK_RAW);
    CU_ASSERT_EQUAL(next(&packet), 0);
    CU_ASSERT_EQUAL(next(&packet), 0);
}

static void pcap_kinds(void)
{
    for (unsigned big = 0; big < 2; big++) {
        check_pcap(big != 0, 0xa1b2c3d4, 4);
        check_pcap(big != 0, 0xa1b23c4d, 4);
        check_pcap(big != 0, 0xa1b2cd34, 4);
        check_pcap(big != 0, 0xa1b2c3d4, 2);
    }
}

/* Each cut file gives the packets before the cut, then says where it ends. */
static void check_cuts(const struct image *image, const size_t *ends, size_t count)
{
    for (size_t length = 0; length <= image->length; length++) {
        struct remed_packet packet;
        size_t whole = 0, expected = 0;
        bool clean = false;
        while (expected < count && ends[expected] <= length)
            expected++;
        int rc = open_image(image, length);
        while (rc == 0 && next(&packet) == 1)
            whole++;
        if (rc == 0) {
            error.code = 0;
            clean = next(&packet) == 0;
        }
        CU_ASSERT_EQUAL(whole, rc == 0 ? expected : 0);
        if (rc < 0 || !clean)
            CU_ASSERT(error.code == REMED_ETRUNCATED || error.code == REMED_EFORMAT);
        if (!clean)
            CU_ASSERT(error.message[0] != '\0');
    }
}

static void pcap_cuts(void)
{
    struct image image;
    build_pcap(&image, true, 0xa1b2c3d4, 4);
    check_cuts(&image, (const size_t[]){24 + 21, 24 + 42}, 2);
}

static void pcap_damage(void)
{
    struct image image;
    struct remed_packet packet;
    build_pcap(&image, false, 0xa1b2c3d4, 4);
    memset(image.bytes + 24 + 21 + 8, 0xff, 4); /* the second record claims 4 GiB */
    CU_ASSERT_EQUAL_FATAL(open_image(&image, image.length), 0);
    CU_ASSERT_EQUAL(next(&packet), 1);
    CU_ASSERT_EQUAL(next(&packet), REMED_EFORMAT);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "byte 45"));
    CU_ASSERT_EQUAL(next(&packet), REMED_EFORMAT);

    build_pcap(&image, false, 0xa1b2c3d4, 4);
    image.bytes[4] = 3;
    CU_ASSERT_EQUAL(open_image(&image, image.length), REMED_EFORMAT);
    build_pcap(&image, false, 0xa1b2c3d4, 4);
    image.bytes[22] = 1; /* a reserved bit of the link type */
    CU_ASSERT_EQUAL(open_image(&image, image.length), REMED_EFORMAT);
    CU_ASSERT_EQUAL(remed_pcap_open_file(&source, "/nonexistent/x", NULL, &error), REMED_ENOENT);
    CU_ASSERT_EQUAL(remed_pcap_open_file(&source, "/tmp", NULL, &error), REMED_EIO);
    CU_ASSERT_PTR_NULL(source);
}

static void begin_block(struct image *image, uint32_t type, uint32_t length)
{
    PUT32(image, type, length);
}

static void put_section(struct image *image)
{
    begin_block(image, 0x0a0d0d0a, 28);
    PUT32(image, 0x1a2b3c4d);
    put_number(image, 1, 2);
    put_number(image, 0, 2);
    PUT32(image, UINT32_MAX, UINT32_MAX, 28);
}

/* With a resolution and an offset of 1,000 s. */
static void put_interface(struct image *image, unsigned link_type, unsigned resolution)
{
    begin_block(image, 1, 44);
    put_number(image, link_type, 2);
    put_number(image, 0, 2);
    PUT32(image, 0);
    put_number(image, 9, 2);
    put_number(image, 1, 2);
    put(image, (const uint8_t[]){(uint8_t)resolution, 0, 0, 0}, 4);
    put_number(image, 14, 2);
    put_number(image, 8, 2);
    put_number(image, 1000, 8);
    PUT32(image, 0, 44);
}

static void put_enhanced(struct image *image, uint32_t interface, uint64_t units, const char *bytes,
                         uint32_t flags)
{
    uint32_t captured = (uint32_t)strlen(bytes), padding = (4 - captured % 4) % 4;
    uint32_t length = 32 + captured + padding + 12;
    begin_block(image, 6, length);
    PUT32(image, interface, (uint32_t)(units >> 32), (uint32_t)units, captured, 200);
    put(image, bytes, captured);
    put(image, "\0\0\0", padding);
    put_number(image, 2, 2);
    put_number(image, 4, 2);
    PUT32(image, flags, 0, length);
}

static void build_pcapng(struct image *image, bool big)
{
    *image = (struct image){.big = big};
    put_section(image);
    put_interface(image, 1, 9);          /* ns */
    put_interface(image, 101, 0x80 | 1); /* halves of a second */
    begin_block(image, 0x12345678, 16);  /* not known: stepped over */
    PUT32(image, 42, 16);
    put_enhanced(image, 0, 5000000007ull, "one", 1);
    put_enhanced(image, 1, 7, "twofold", 2);
    begin_block(image, 3, 24); /* simple */
    PUT32(image, 6);
    put(image, "simple\0\0", 8);
    PUT32(image, 24);
    image->big = !big; /* a second section may turn the order */
    put_section(image);
    put_interface(image, 113, 6);
    put_enhanced(image, 0, 1, "x", 0);
}

static void pcapng(void)
{
    for (unsigned big = 0; big < 2; big++) {
        struct image image;
        struct remed_packet packet;
        build_pcapng(&image, big != 0);
        CU_ASSERT_EQUAL_FATAL(open_image(&image, image.length), 0);
        CU_ASSERT_EQUAL_FATAL(next(&packet), 1);
        check_packet(&packet, "one", 200, 1005 * SECOND + 7, 1);
        CU_ASSERT_EQUAL(packet.side, REMED_SIDE_IN);
        CU_ASSERT_EQUAL_FATAL(next(&packet), 1);
        check_packet(&packet, "twofold", 200, 1003 * SECOND + SECOND / 2, 101);
        CU_ASSERT_EQUAL(packet.side, REMED_SIDE_OUT);
        CU_ASSERT_EQUAL_FATAL(next(&packet), 1);
        check_packet(&packet, "simple", 6, 0, 1);
        CU_ASSERT_EQUAL_FATAL(next(&packet), 1);
        check_packet(&packet, "x", 200, 1000 * SECOND + 1000, 113);
        CU_ASSERT_EQUAL(next(&packet), 0);
        CU_ASSERT_EQUAL(remed_pcap_source_link_type(source), 1);
    }
}

static void pcapng_cuts(void)
{
    struct image image;
    build_pcapng(&image, false);
    const size_t blocks = 28 + 44 + 44 + 16, one = 32 + 4 + 12, two = 32 + 8 + 12;
    const size_t simple = blocks + one + two + 24;
    check_cuts(&image,
               (const size_t[]){blocks + one, blocks + one + two, simple, simple + 28 + 44 + one},
               4);
}

static void pcapng_damage(void)
{
    struct image image;
    struct remed_packet packet;
    const struct {
        size_t at;
        uint8_t value;
    } damage[] = {{28 + 44 + 44 + 16 + 8, 9},     /* an interface that is not there */
                  {28 + 44 + 44 + 16 + 20, 99},   /* longer than its block */
                  {28 + 44 + 44 + 16 + 4, 1},     /* a length that is no multiple of 4 */
                  {28 + 44 + 44 + 16 + 44, 4},    /* two lengths that differ */
                  {28 + 44 + 44 + 16 + 7, 0x70}}; /* 1.8 GB */
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        build_pcapng(&image, false);
        image.bytes[damage[i].at] = damage[i].value;
        CU_ASSERT_EQUAL_FATAL(open_image(&image, image.length), 0);
        CU_ASSERT_EQUAL(next(&packet), REMED_EFORMAT);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "byte 132"));
    }
}

static void make_packets(struct remed_packet *packets, unsigned count)
{
    static const uint8_t bytes[1600] = {1, 2, 3};
    for (unsigned i = 0; i < count; i++)
        packets[i] = (struct remed_packet){.data = bytes,
                                           .captured = i % 1600,
                                           .wire = 2000,
                                           .time = i * SECOND + i,
                                           .link_type = i % 2 != 0 ? 1 : 101,
                                           .side = (uint8_t)(i % 3)};
}

/* Writes packets of two link types, reads them back. */
static void round_trip(void)
{
    static struct remed_packet packets[3000], back[3000];
    struct remed_pcap_sink_opts opts;
    remed_pcap_sink_opts_init(&opts, sizeof opts);
    opts.pcapng = 1;
    make_packets(packets, 3000);
    CU_ASSERT_EQUAL_FATAL(remed_pcap_create_file(&sink, path, &opts, &error), 0);
    CU_ASSERT_EQUAL(remed_pcap_write(sink, packets, 3000, &error), 0);
    struct remed_pcap_sink_stats stats;
    remed_pcap_sink_stats(sink, &stats, sizeof stats);
    CU_ASSERT_EQUAL(stats.packets, 3000);
    CU_ASSERT_EQUAL(remed_pcap_sink_close(sink, &error), 0);
    sink = NULL;
    CU_ASSERT_EQUAL_FATAL(remed_pcap_open_file(&source, path, NULL, &error), 0);
    size_t at = 0;
    int got;
    while ((got = remed_pcap_read(source, back, 3000, &error)) > 0)
        for (int i = 0; i < got && at < 3000; i++, at++) {
            const struct remed_packet *a = &packets[at], *b = &back[i];
            CU_ASSERT(a->captured == b->captured && a->wire == b->wire && a->time == b->time &&
                      a->link_type == b->link_type && a->side == b->side &&
                      (a->captured == 0 || memcmp(a->data, b->data, a->captured) == 0));
        }
    CU_ASSERT_EQUAL(got, 0);
    CU_ASSERT_EQUAL(at, 3000);
}

static void sink_limits(void)
{
    struct remed_packet packets[2];
    make_packets(packets, 2);
    CU_ASSERT_EQUAL_FATAL(remed_pcap_create_file(&sink, path, NULL, &error), 0);
    CU_ASSERT_EQUAL(remed_pcap_write(sink, packets, 2, &error), REMED_EUNSUPPORTED);
    CU_ASSERT_EQUAL(remed_pcap_sink_close(sink, &error), 0);
    sink = NULL;
    /* The first packet is there, whole. */
    CU_ASSERT_EQUAL_FATAL(remed_pcap_open_file(&source, path, NULL, &error), 0);
    CU_ASSERT_EQUAL(next(packets), 1);
    CU_ASSERT_EQUAL(next(packets), 0);
    remed_pcap_source_free(source);
    source = NULL;
    /* A capture without packets is a capture. */
    CU_ASSERT_EQUAL_FATAL(remed_pcap_create_file(&sink, path, NULL, &error), 0);
    CU_ASSERT_EQUAL(remed_pcap_sink_close(sink, &error), 0);
    sink = NULL;
    CU_ASSERT_EQUAL_FATAL(remed_pcap_open_file(&source, path, NULL, &error), 0);
    CU_ASSERT_EQUAL(next(packets), 0);
}

static void full_disk(void)
{
    static struct remed_packet packets[3000];
    make_packets(packets, 3000);
    struct remed_pcap_sink_opts opts;
    remed_pcap_sink_opts_init(&opts, sizeof opts);
    opts.pcapng = 1;
    CU_ASSERT_EQUAL_FATAL(remed_pcap_create_file(&sink, "/dev/full", &opts, &error), 0);
    CU_ASSERT_EQUAL(remed_pcap_write(sink, packets, 3000, &error), REMED_EIO);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "space"));
    CU_ASSERT_EQUAL(remed_pcap_write(sink, packets, 1, &error), REMED_EIO);
    CU_ASSERT_EQUAL(remed_pcap_sink_close(sink, &error), REMED_EIO);
    sink = NULL;
    /* A few packets fit the buffer, so close is where it shows. */
    CU_ASSERT_EQUAL_FATAL(remed_pcap_create_file(&sink, "/dev/full", &opts, &error), 0);
    CU_ASSERT_EQUAL(remed_pcap_write(sink, packets, 2, &error), 0);
    CU_ASSERT_EQUAL(remed_pcap_sink_close(sink, &error), REMED_EIO);
    sink = NULL;
}

/* An allocator that fails from the n-th request on, and knows the size of what it gave. */
struct failing {
    unsigned left;
    size_t held;
    bool failed;
};

static void *resize(void *context, void *memory, size_t old_size, size_t new_size)
{
    struct failing *failing = context;
    failing->failed = failing->failed || (new_size > 0 && failing->left-- == 0);
    if (new_size > 0 && failing->failed)
        return NULL;
    failing->held += new_size - old_size;
    if (new_size != 0)
        return realloc(memory, new_size);
    free(memory);
    return NULL;
}

/* Opens, reads to the end, writes; whatever fails says so, and nothing leaks. */
static bool run_with(const struct remed_allocator *allocator, const char *out)
{
    struct remed_pcap_source_opts source_opts;
    struct remed_pcap_sink_opts sink_opts;
    remed_pcap_source_opts_init(&source_opts, sizeof source_opts);
    remed_pcap_sink_opts_init(&sink_opts, sizeof sink_opts);
    source_opts.allocator = sink_opts.allocator = allocator;
    sink_opts.pcapng = 1;
    struct remed_packet packets[8];
    struct remed_pcap_source *in = NULL;
    struct remed_pcap_sink *to = NULL;
    int got = 0, rc = remed_pcap_open_file(&in, path, &source_opts, &error);
    if (rc == 0)
        rc = remed_pcap_create_file(&to, out, &sink_opts, &error);
    while (rc == 0 && (got = remed_pcap_read(in, packets, 8, &error)) > 0)
        rc = remed_pcap_write(to, packets, (size_t)got, &error);
    if (got < 0)
        rc = got;
    remed_pcap_source_free(in);
    int closed = remed_pcap_sink_close(to, NULL);
    CU_ASSERT(rc == 0 || rc == REMED_ENOMEM);
    CU_ASSERT_EQUAL(closed, 0);
    return rc == 0;
}

static void allocations(void)
{
    struct image image;
    build_pcapng(&image, false);
    /* many interfaces, and a block longer than the reader's buffer, so that both grow */
    for (unsigned i = 0; i < 20; i++)
        put_interface(&image, 1, 9);
    save(&image, image.length);
    int fd = open(path, O_WRONLY | O_APPEND);
    CU_ASSERT_FATAL(fd >= 0);
    static uint32_t large[100000];
    large[0] = large[99999 - 1] = 0;
    large[0] = image.big ? 0x78563412 : 0x12345678;
    large[1] = large[99999] = image.big ? __builtin_bswap32(400000) : 400000;
    CU_ASSERT_EQUAL(write(fd, large, sizeof large), (ssize_t)sizeof large);
    close(fd);
    unsigned n = 0;
    for (bool done = false; !done && n < 100; n++) {
        struct failing failing = {.left = n};
        const struct remed_allocator allocator = {&failing, resize};
        bool fine = run_with(&allocator, "/dev/null");
        CU_ASSERT_EQUAL(fine, !failing.failed);
        CU_ASSERT_EQUAL(failing.held, 0);
        done = !failing.failed;
    }
    CU_ASSERT(n > 5 && n < 100);
}

static const struct test_case cases[] = {
    {"pcap in both orders, micro and nano, modified, old", pcap_kinds},
    {"pcap cut at every byte", pcap_cuts},
    {"damaged pcap", pcap_damage},
    {"pcapng in both orders, several interfaces and sections", pcapng},
    {"pcapng cut at every byte", pcapng_cuts},
    {"damaged pcapng", pcapng_damage},
    {"what is written is read back", round_trip},
    {"one link type a pcap, and a capture without packets", sink_limits},
    {"a full disk", full_disk},
    {"every allocation failed in turn", allocations},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"pcap files", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
