/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Captures at their edges: times that fit 64 bits of nanoseconds and times that do not, packed
 * files, pipes that pause, an output that is the input, standard descriptors that are closed, and
 * options out of range.
 */
#include "unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <remediate/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/remediate-edges-XXXXXX";
static char path[64], other[64];
static struct remed_pcap_source *source;
static struct remed_pcap_sink *sink;
static struct remed_error error;

static void setup(void)
{
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/in", folder);
    snprintf(other, sizeof other, "%s/other", folder);
}

static void close_all(void)
{
    remed_pcap_source_free(source);
    remed_pcap_sink_close(sink, NULL);
    source = NULL;
    sink = NULL;
}

static void teardown(void)
{
    close_all();
    unlink(path);
    unlink(other);
    rmdir(folder);
}

static void save(const void *bytes, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(write(fd, bytes, length), (ssize_t)length);
    close(fd);
}

/* A pcapng of one interface and two packets, the first at time 0 of the interface. */
struct capture {
    uint32_t section[7];
    struct {
        uint32_t type, length, link_type, snap_length;
        uint16_t resolution_code, resolution_length;
        uint8_t resolution, padding[3];
        uint16_t offset_code, offset_length;
        uint32_t offset[2];
        uint32_t end, trailer;
    } interface;
    uint32_t packet[2][8];
};

static struct capture capture_of(unsigned resolution, int64_t offset, uint64_t units)
{
    struct capture made = {
        .section = {0x0a0d0d0a, 28, 0x1a2b3c4d, 1, UINT32_MAX, UINT32_MAX, 28},
        .interface = {1, 44, 1, 0, 9, 1, (uint8_t)resolution, {0}, 14, 8, {0}, 0, 44},
        .packet = {{6, 32, 0, 0, 0, 0, 0, 32},
                   {6, 32, 0, (uint32_t)(units >> 32), (uint32_t)units, 0, 0, 32}},
    };
    memcpy(made.interface.offset, &offset, sizeof offset);
    return made;
}

static void check_time(unsigned resolution, int64_t offset, uint64_t units, uint64_t expected)
{
    struct capture capture = capture_of(resolution, offset, units);
    struct remed_packet packets[2];
    memcpy(capture.packet[0], capture.packet[1], sizeof capture.packet[0]);
    save(&capture, sizeof capture);
    CU_ASSERT_EQUAL_FATAL(remed_pcap_open_file(&source, path, NULL, &error), 0);
    CU_ASSERT_EQUAL(remed_pcap_read(source, packets, 2, &error), 2);
    CU_ASSERT_EQUAL(packets[1].time, expected);
    close_all();
}

static void check_refused_time(unsigned resolution, int64_t offset, uint64_t units)
{
    struct capture capture = capture_of(resolution, offset, units);
    struct remed_packet packets[2];
    save(&capture, sizeof capture);
    CU_ASSERT_EQUAL_FATAL(remed_pcap_open_file(&source, path, NULL, &error), 0);
    int got = remed_pcap_read(source, packets, 2, &error);
    if (offset >= 0) { /* else the first is before 1970 already */
        CU_ASSERT_EQUAL(got, 1);
        got = remed_pcap_read(source, packets, 2, &error);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "packet 2, byte "));
    }
    CU_ASSERT_EQUAL(got, REMED_EFORMAT);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "its time"));
    CU_ASSERT_EQUAL(remed_pcap_read(source, packets, 2, &error), REMED_EFORMAT);
    close_all();
}

#define SECOND 1000000000ull

static void times_that_fit(void)
{
    const uint64_t last = UINT64_MAX; /* in the year 2554 */
    check_time(9, 0, last, last);
    check_time(0, 0, last / SECOND, last / SECOND * SECOND);
    check_time(6, 0, last / 1000, last / 1000 * 1000);
    check_time(6, -1000, 1000000001, 1000);
    check_time(0, INT64_MIN, (uint64_t)INT64_MAX + 6, 5 * SECOND);
    check_time(12, 0, 5000000001999ull, 5000000001);
    check_time(19, 0, last, 1844674407);
    check_time(20, 0, last, 184467440);
    check_time(28, 3, last, 3 * SECOND + 1);
    check_time(29, 3, last, 3 * SECOND);
    check_time(127, 0, last, 0);
    check_time(0x80, 0, 5, 5 * SECOND);
    check_time(0x80 | 1, 0, 5, 2500000000);
    check_time(0x80 | 32, 1, (7ull << 32) | 0xffffffff, 8 * SECOND + 999999999);
    check_time(0x80 | 33, 0, 1ull << 32, 500000000);
    check_time(0x80 | 63, 0, 3ull << 62, 1500000000);
    check_time(0x80 | 64, 0, 3ull << 62, 750000000);
    check_time(0x80 | 65, 0, 3ull << 62, 375000000);
    check_time(0x80 | 95, 0, last, 0);
    check_time(0x80 | 127, 9, last, 9 * SECOND);
}

static void times_that_do_not_fit(void)
{
    const uint64_t last = UINT64_MAX;
    check_refused_time(0, 0, last / SECOND + 1);
    check_refused_time(0, 0, last);
    check_refused_time(3, 0, last);
    check_refused_time(6, 0, last / 1000 + 1);
    check_refused_time(9, 1, last);
    check_refused_time(6, -1000, 5);
    check_refused_time(0, INT64_MIN, 5);
    check_refused_time(0x80, 0, last);
    check_refused_time(0x80 | 1, 0, last);
    check_refused_time(0x80 | 20, 0, last);
    check_refused_time(0x80 | 29, 0, last);
    check_refused_time(20, INT64_MIN, 0);
}

static void packed_files(void)
{
    const struct {
        const char *start, *name, *unpack;
    } files[] = {{"\x1f\x8b\x08\x08", "gzip", "zcat"},
                 {"\x28\xb5\x2f\xfd", "zstd", "zstdcat"},
                 {"\xfd"
                  "7zX",
                  "xz", "xzcat"},
                 {"BZh9", "bzip2", "bzcat"},
                 {"\x04\x22\x4d\x18", "lz4", "lz4cat"},
                 {"PK\x03\x04", "zip", "unzip -p"}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        save(files[i].start, 4);
        CU_ASSERT_EQUAL(remed_pcap_open_file(&source, path, NULL, &error), REMED_EFORMAT);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, path));
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, files[i].name));
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, files[i].unpack));
    }
}

/* A pcap of 3 packets of 4 bytes. */
static void save_pcap(void)
{
    const uint32_t words[6 + 3 * 5] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1, 1, 0, 4, 4, 0,
                                       2,          0,          4, 4, 0,     3, 0, 4, 4, 0};
    save(words, sizeof words);
}

static size_t load(void *bytes, size_t room)
{
    int fd = open(path, O_RDONLY);
    CU_ASSERT_FATAL(fd >= 0);
    ssize_t got = read(fd, bytes, room);
    close(fd);
    return got > 0 ? (size_t)got : 0;
}

/* Fed byte by byte: whatever was handed out before a read has to wait can be flushed first. */
static void check_pauses(const uint8_t *bytes, size_t length, size_t count, unsigned packets)
{
    int ends[2];
    char name[32];
    unsigned read_packets = 0;
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    snprintf(name, sizeof name, "/proc/self/fd/%d", ends[0]);
    CU_ASSERT_EQUAL(write(ends[1], bytes, length), (ssize_t)length);
    CU_ASSERT_EQUAL_FATAL(remed_pcap_open_file(&source, name, NULL, &error), 0);
    /* the writer is still there: a read that is not needed would wait for ever */
    while (!remed_pcap_source_drained(source)) {
        struct remed_packet some[8];
        int got = remed_pcap_read(source, some, count, &error);
        CU_ASSERT_FATAL(got > 0);
        read_packets += (unsigned)got;
    }
    CU_ASSERT_EQUAL(read_packets, packets);
    close(ends[1]);
    close(ends[0]);
    close_all();
}

static void pipes_that_pause(void)
{
    uint8_t bytes[256];
    save_pcap();
    size_t length = load(bytes, sizeof bytes);
    for (size_t cut = 24; cut <= length; cut++)
        for (size_t count = 1; count <= 4; count++)
            if (cut >= 44)
                check_pauses(bytes, cut, count, (unsigned)(cut - 24) / 20);
    struct capture capture = capture_of(6, 0, 1);
    for (size_t cut = 72; cut <= sizeof capture; cut++)
        check_pauses((const uint8_t *)&capture, cut, 1, cut < 72 + 32 ? 0 : cut < 72 + 64 ? 1 : 2);
}

static int create(const char *name, const struct remed_pcap_source *from)
{
    struct remed_pcap_sink_opts opts;
    remed_pcap_sink_opts_init(&opts, sizeof opts);
    opts.source = from;
    return remed_pcap_create_file(&sink, name, &opts, &error);
}

/* Whatever name leads there, the capture that is read is not emptied. */
static void output_is_input(void)
{
    uint8_t bytes[256];
    save_pcap();
    CU_ASSERT_EQUAL_FATAL(remed_pcap_open_file(&source, path, NULL, &error), 0);
    CU_ASSERT_EQUAL(create(path, source), REMED_EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "is the file that is read"));
    CU_ASSERT_EQUAL(link(path, other), 0);
    CU_ASSERT_EQUAL(create(other, source), REMED_EINVAL);
    unlink(other);
    CU_ASSERT_EQUAL(symlink(path, other), 0);
    CU_ASSERT_EQUAL(create(other, source), REMED_EINVAL);
    unlink(other);
    CU_ASSERT_EQUAL(load(bytes, sizeof bytes), 84);
    CU_ASSERT_EQUAL(create(other, source), 0);
    CU_ASSERT_EQUAL(remed_pcap_sink_close(sink, &error), 0);
    sink = NULL;
    /* without a source to mind, an existing file is emptied as ever */
    CU_ASSERT_EQUAL(create(path, NULL), 0);
    CU_ASSERT_EQUAL(remed_pcap_sink_finish(sink, &error), 0);
    CU_ASSERT_EQUAL(load(bytes, sizeof bytes), 24);
}

static unsigned open_descriptors(void)
{
    unsigned count = 0;
    DIR *all = opendir("/proc/self/fd");
    while (all != NULL && readdir(all) != NULL)
        count++;
    closedir(all);
    return count;
}

/* In a process of its own: files get the numbers of what the host has closed, and are closed. */
static int without_standard_descriptors(void)
{
    struct remed_packet packets[8];
    close(0);
    close(1);
    close(2);
    unsigned before = open_descriptors();
    if (remed_pcap_open_file(&source, path, NULL, &error) < 0 || create(other, source) < 0)
        return 1;
    if (remed_pcap_source_fd(source) > 2 || remed_pcap_read(source, packets, 8, &error) != 3 ||
        remed_pcap_write(sink, packets, 3, &error) < 0)
        return 2;
    if (remed_pcap_sink_close(sink, &error) < 0)
        return 3;
    remed_pcap_source_free(source);
    return open_descriptors() == before ? 0 : 4;
}

static void closed_descriptors(void)
{
    save_pcap();
    int ends[2], status;
    uint8_t result = 99;
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    pid_t child = fork();
    CU_ASSERT_FATAL(child >= 0);
    if (child == 0) { /* its exit code is valgrind's, which counts what CUnit holds */
        result = (uint8_t)without_standard_descriptors();
        ssize_t wrote = write(ends[1], &result, 1);
        _exit(wrote == 1 ? 0 : 1);
    }
    close(ends[1]);
    CU_ASSERT_EQUAL(read(ends[0], &result, 1), 1);
    close(ends[0]);
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(result, 0);
    /* and what is the host's stays open */
    CU_ASSERT_EQUAL(create("-", NULL), 0);
    CU_ASSERT_EQUAL(remed_pcap_open_file(&source, "/dev/null", NULL, &error), REMED_ETRUNCATED);
    int saved = dup(1), null = open("/dev/null", O_WRONLY);
    dup2(null, 1);
    CU_ASSERT_EQUAL(remed_pcap_sink_close(sink, &error), 0);
    sink = NULL;
    CU_ASSERT(fcntl(1, F_GETFD) >= 0);
    dup2(saved, 1);
    close(saved);
    close(null);
}

static void options_out_of_range(void)
{
    struct remed_pcap_source_opts in;
    struct remed_pcap_sink_opts to;
    save_pcap();
    remed_pcap_source_opts_init(&in, sizeof in);
    in.reserved = 1;
    CU_ASSERT_EQUAL(remed_pcap_open_file(&source, path, &in, &error), REMED_EINVAL);
    CU_ASSERT_EQUAL(remed_pcap_open_live(&source, "lo", &in, &error), REMED_EINVAL);
    remed_pcap_source_opts_init(&in, sizeof in);
    in.promiscuous = 2;
    CU_ASSERT_EQUAL(remed_pcap_open_live(&source, "lo", &in, &error), REMED_EINVAL);
    uint32_t *members[] = {&to.reserved, &to.nanoseconds, &to.pcapng, &to.link_type, &to.hold_ms};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        remed_pcap_sink_opts_init(&to, sizeof to);
        *members[i] = 1u << 20;
        CU_ASSERT_EQUAL(remed_pcap_create_file(&sink, other, &to, &error), REMED_EINVAL);
        CU_ASSERT_EQUAL(remed_pcap_open_injector(&sink, "lo", &to, &error), REMED_EINVAL);
    }
    CU_ASSERT_EQUAL(access(other, F_OK), -1);
    CU_ASSERT_EQUAL(remed_pcap_open_live(&source, "no-such-interface-here", NULL, &error),
                    REMED_ENOENT);
    CU_ASSERT_EQUAL(remed_pcap_open_injector(&sink, "nosuch", NULL, &error), REMED_ENOENT);
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

static int open_ends(const struct remed_allocator *allocator)
{
    struct remed_pcap_source_opts in;
    struct remed_pcap_sink_opts to;
    remed_pcap_source_opts_init(&in, sizeof in);
    remed_pcap_sink_opts_init(&to, sizeof to);
    in.allocator = to.allocator = allocator;
    in.buffer_bytes = 1 << 20;
    int rc = remed_pcap_open_live(&source, "lo", &in, &error);
    return rc == 0 ? remed_pcap_open_injector(&sink, "lo", &to, &error) : rc;
}

/* Opening a live source and an injector: each allocation fails in turn, and nothing stays. */
static void live_allocations(void)
{
    unsigned before = open_descriptors();
    int rc = REMED_ENOMEM;
    for (unsigned n = 0; rc == REMED_ENOMEM && n < 100; n++) {
        struct failing failing = {.left = n};
        const struct remed_allocator allocator = {&failing, resize};
        rc = open_ends(&allocator);
        if (rc < 0 && !failing.failed) /* not root, or no loopback that is up: it must say so */
            CU_ASSERT(rc == REMED_EPERM || rc == REMED_EIO);
        CU_ASSERT(rc == 0 || error.message[0] != '\0');
        close_all();
        CU_ASSERT_EQUAL(failing.held, 0);
        CU_ASSERT_EQUAL(open_descriptors(), before);
    }
    CU_ASSERT_NOT_EQUAL(rc, REMED_ENOMEM);
    if (rc < 0)
        printf(" (only as far as: %s) ", error.message);
}

static const struct test_case cases[] = {
    {"allocations of live ends", live_allocations},
    {"times that fit", times_that_fit},
    {"times that do not fit", times_that_do_not_fit},
    {"packed files", packed_files},
    {"pipes that pause", pipes_that_pause},
    {"an output that is the input", output_is_input},
    {"closed standard descriptors", closed_descriptors},
    {"options out of range", options_out_of_range},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"pcap edges", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
