/* SPDX-License-Identifier: BSD-3-Clause */
/* Positions in followed files: whose they are, who may read them, what damage does to them; and
 * files that can't be read for a while. */
#include "unit/test.h"

#include <remediate/listener.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ull

static struct remed_listener *listener;
static struct remed_listener_opts opts;
static struct remed_error error;
static char folder[64], path[128], state[160], uri[512], heard[512];
static unsigned lines;
static int last;

static int on_line(void *context, const struct remed_listener_line *line)
{
    (void)context;
    lines++;
    last = atoi(line->text);
    return 0;
}

static void on_log(void *context, enum remed_log_level level, const char *module,
                   const char *message)
{
    (void)context;
    (void)level;
    (void)module;
    snprintf(heard, sizeof heard, "%s", message);
}

static void make(void)
{
    remed_listener_free(listener);
    listener = NULL;
    CU_ASSERT_EQUAL_FATAL(remed_listener_new(&listener, &opts, NULL), 0);
    lines = 0;
    last = -1;
    heard[0] = '\0';
}

static void setup(void)
{
    strcpy(folder, "/tmp/remed-positions-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/log", folder);
    snprintf(state, sizeof state, "%s/state", folder);
    remed_listener_opts_init(&opts, sizeof opts);
    opts.line = on_line;
    opts.log.write = on_log;
    make();
}

static void teardown(void)
{
    char command[160];
    remed_listener_free(listener);
    listener = NULL;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    CU_ASSERT_EQUAL(system(command), 0);
}

static void put(const char *to, const char *mode, const char *text)
{
    FILE *file = fopen(to, mode);
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs(text, file);
    fclose(file);
}

static void put_lines(const char *to, const char *mode, int first, int end)
{
    FILE *file = fopen(to, mode);
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    for (int i = first; i < end; i++)
        fprintf(file, "%d\n", i);
    fclose(file);
}

static int follow(const char *file, const char *from)
{
    snprintf(uri, sizeof uri, "file://%s?from=%s&poll=1ms&state=%s", file, from, state);
    return remed_listener_add(listener, uri, &error);
}

static uint64_t turn_time = SECOND;

static void turns(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        CU_ASSERT(remed_listener_process(listener, turn_time += 2000000, NULL) >= 0);
}

static void commit(void)
{
    remed_listener_mark(listener);
    CU_ASSERT_EQUAL_FATAL(remed_listener_commit(listener, &error), 0);
}

static void read_and_commit(int end)
{
    put_lines(path, "w", 0, end);
    CU_ASSERT_EQUAL_FATAL(follow(path, "begin"), 0);
    turns(5);
    CU_ASSERT_EQUAL(lines, (unsigned)end);
    commit();
}

/* A state file is its own file's: another does not take it, and does not replace it. */
static void test_belongs(void)
{
    char other[140], moved[140];
    read_and_commit(100);
    make();
    snprintf(other, sizeof other, "%s.other", path);
    put_lines(other, "w", 0, 10);
    CU_ASSERT_EQUAL(follow(other, "begin"), REMED_EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, path)); /* whose it is */
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, state));
    /* nor do two inputs share one */
    CU_ASSERT_EQUAL(follow(path, "begin"), 0);
    CU_ASSERT_EQUAL(follow(path, "begin"), REMED_EINVAL);
    turns(5);
    CU_ASSERT_EQUAL(lines, 0);
    /* renamed, and another in its place: both are read on */
    make();
    snprintf(moved, sizeof moved, "%s.1", path);
    put_lines(path, "a", 100, 105);
    CU_ASSERT_EQUAL(rename(path, moved), 0);
    put_lines(path, "w", 105, 110);
    CU_ASSERT_EQUAL(follow(path, "begin"), 0);
    turns(5);
    CU_ASSERT_EQUAL(lines, 10);
    CU_ASSERT_EQUAL(last, 109);
}

/* The first version did not say whose it is: only the file itself shows it. */
static void test_first_version(void)
{
    struct stat status;
    char text[200];
    put_lines(path, "w", 0, 100);
    CU_ASSERT_EQUAL(stat(path, &status), 0);
    uint64_t sum = 14695981039346656037u;
    snprintf(text, sizeof text, "0\n1\n");
    for (unsigned i = 0; i < 4; i++)
        sum = (sum ^ (uint8_t)text[i]) * 1099511628211u;
    snprintf(text, sizeof text, "remediate-position 1 %llu %llu 20 %llx 4\n",
             (unsigned long long)status.st_dev, (unsigned long long)status.st_ino,
             (unsigned long long)sum);
    put(state, "w", text);
    CU_ASSERT_EQUAL(follow(path, "end"), 0);
    turns(5);
    CU_ASSERT_EQUAL(lines, 90);
    make();
    text[strlen(text) - 6] ^= 1;
    put(state, "w", text);
    CU_ASSERT_EQUAL(follow(path, "end"), 0);
    turns(5);
    CU_ASSERT_EQUAL(lines, 100);
    CU_ASSERT_PTR_NOT_NULL(strstr(heard, "read from its beginning"));
}

/* Every bit of a state file: what was not read yet is read, or adding fails and says why. */
static void test_flipped_bits(void)
{
    uint8_t bytes[512];
    unsigned refused = 0, anew = 0, right = 0;
    read_and_commit(50);
    put_lines(path, "a", 50, 60);
    FILE *file = fopen(state, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    for (size_t bit = 0; bit <= 8 * size; bit++) {
        if (bit < 8 * size)
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        file = fopen(state, "w");
        CU_ASSERT_PTR_NOT_NULL_FATAL(file);
        fwrite(bytes, 1, bit < 8 * size ? size : size / 2, file); /* the last: torn */
        fclose(file);
        if (bit < 8 * size)
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        make();
        if (follow(path, "end") < 0) {
            CU_ASSERT_PTR_NOT_NULL(strstr(error.message, state));
            refused++;
            continue;
        }
        turns(3);
        CU_ASSERT(lines == 10 || (lines == 60 && strstr(heard, state) != NULL));
        CU_ASSERT_EQUAL(last, 59);
        anew += lines == 60;
        right += lines == 10;
    }
    CU_ASSERT(anew > 7 * (size - 20) && right == 0);
    printf(" %zu bits: %u refused, %u read anew ", 8 * size, refused, anew);
}

static void test_private(void)
{
    struct stat status;
    char fresh[200];
    mode_t mask = umask(0);
    snprintf(fresh, sizeof fresh, "%s.remediate-new", state);
    put(fresh, "w", "remediate-posi"); /* of an earlier one that died: it gives way */
    read_and_commit(5);
    CU_ASSERT_EQUAL(stat(state, &status), 0);
    CU_ASSERT_EQUAL(status.st_mode & 0777, 0600);
    CU_ASSERT_EQUAL(stat(fresh, &status), -1);
    put(fresh, "w", "my thesis"); /* not ours: it stays, and is told */
    put_lines(path, "a", 5, 6);
    turns(3);
    remed_listener_mark(listener);
    CU_ASSERT(remed_listener_commit(listener, &error) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, fresh));
    CU_ASSERT_EQUAL(stat(fresh, &status), 0);
    unlink(fresh);
    CU_ASSERT_EQUAL(chmod(state, 0666), 0);
    make();
    CU_ASSERT_EQUAL(follow(path, "begin"), 0); /* taken back when it is opened */
    CU_ASSERT_EQUAL(stat(state, &status), 0);
    CU_ASSERT_EQUAL(status.st_mode & 0777, 0600);
    umask(mask);
    make();
    snprintf(state, sizeof state, "%s/nothing/state", folder);
    CU_ASSERT_EQUAL(follow(path, "begin"), REMED_ENOENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "nothing"));
}

static void refuses(const char *file, const char *text, mode_t mode)
{
    char now[64] = "";
    struct stat status;
    make();
    CU_ASSERT_EQUAL(follow(file, "begin"), REMED_EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, state));
    FILE *read = fopen(state, "r");
    CU_ASSERT(text == NULL ? read == NULL : read != NULL);
    if (read == NULL)
        return;
    CU_ASSERT_EQUAL(fread(now, 1, sizeof now - 1, read), strlen(text));
    fclose(read);
    CU_ASSERT_STRING_EQUAL(now, text);
    CU_ASSERT_EQUAL(stat(state, &status), 0);
    CU_ASSERT_EQUAL(status.st_mode & 0777, mode);
}

/* What is not ours is neither written over nor taken from others; nor is the log itself. */
static void test_not_ours(void)
{
    char other[140], own[160];
    put_lines(path, "w", 0, 1);
    static const char *const texts[] = {"precious", "remediate", "\n", "x"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        put(state, "w", texts[i]);
        CU_ASSERT_EQUAL(chmod(state, 0644), 0);
        refuses(path, texts[i], 0644);
    }
    snprintf(own, sizeof own, "%s", state);
    unlink(own);
    snprintf(state, sizeof state, "%s", path); /* the log itself, */
    CU_ASSERT_EQUAL(chmod(path, 0644), 0);
    refuses(path, "0\n", 0644);
    put(path, "w", ""); /* also an empty one, */
    refuses(path, "", 0644);
    snprintf(state, sizeof state, "%s/./log", folder); /* by another name, */
    refuses(path, "", 0644);
    unlink(path);
    refuses(path, NULL, 0); /* and one that is not there yet */
    snprintf(state, sizeof state, "%s", own);
    put(state, "w", ""); /* nothing in it: nothing is lost */
    make();
    CU_ASSERT_EQUAL(follow(path, "begin"), 0);
    snprintf(other, sizeof other, "%s.other", path); /* another input's log */
    put(other, "w", "");
    CU_ASSERT_EQUAL_FATAL(snprintf(uri, sizeof uri, "file://%s", other) > 0, 1);
    CU_ASSERT_EQUAL(remed_listener_add(listener, uri, &error), 0);
    snprintf(uri, sizeof uri, "file://%s.third?state=%s", path, other);
    CU_ASSERT_EQUAL(remed_listener_add(listener, uri, &error), REMED_EINVAL);
    snprintf(uri, sizeof uri, "file://%s", state);
    CU_ASSERT_EQUAL(remed_listener_add(listener, uri, &error), REMED_EINVAL);
}

/* Written anew with as many bytes, once and again: what it has now is read. */
static void test_same_size(void)
{
    read_and_commit(10);
    for (int i = 1; i < 9; i++) {
        put_lines(path, "w", 10 * i, 10 * i + 10);
        turns(3);
        CU_ASSERT_EQUAL(last, 10 * i + 9);
    }
    CU_ASSERT_EQUAL(lines, 90);
}

/* A file that has its name again is read on, not anew: at once, after it was left, after a restart,
 * and when a link names the one and the other. */
static void test_name_back(void)
{
    char moved[140], other[140], name[160];
    snprintf(moved, sizeof moved, "%s.1", path);
    snprintf(other, sizeof other, "%s.2", path);
    put_lines(path, "w", 0, 10);
    CU_ASSERT_EQUAL_FATAL(follow(path, "begin"), 0);
    turns(5);
    for (unsigned left = 0; left < 2; left++) {
        CU_ASSERT_EQUAL(rename(path, moved), 0);
        put_lines(path, "w", 10, 20);
        turns(left == 0 ? 5 : 4000); /* 8 s: the old one is left */
        CU_ASSERT_EQUAL(rename(path, other), 0);
        CU_ASSERT_EQUAL(rename(moved, path), 0);
        turns(5);
        put_lines(path, "a", 20, 21);
        turns(5);
        CU_ASSERT_EQUAL(lines, 21 + 11 * left);
        CU_ASSERT_EQUAL(last, 20);
    }
    CU_ASSERT_EQUAL(rename(path, moved), 0);
    put_lines(path, "w", 30, 40);
    turns(5);
    commit();
    CU_ASSERT_EQUAL(rename(path, other), 0);
    CU_ASSERT_EQUAL(rename(moved, path), 0);
    make();
    put_lines(path, "a", 40, 41);
    CU_ASSERT_EQUAL(follow(path, "begin"), 0);
    turns(5);
    CU_ASSERT_EQUAL(lines, 1);
    put_lines(path, "a", 41, 42);
    turns(5);
    CU_ASSERT_EQUAL(last, 41);
    make();
    unlink(state);
    snprintf(name, sizeof name, "%s.link", path);
    for (unsigned i = 0; i < 6; i++) {
        unlink(name);
        CU_ASSERT_EQUAL(symlink(i % 2 == 0 ? path : other, name), 0);
        if (i == 0)
            CU_ASSERT_EQUAL_FATAL(follow(name, "begin"), 0);
        turns(5);
    }
    CU_ASSERT_EQUAL(lines, 14 + 10);
}

/* A log by its link in another folder: what was renamed beside the log itself is found. */
static void test_linked(void)
{
    char sub[140], name[160], moved[160];
    snprintf(sub, sizeof sub, "%s/sub", folder);
    snprintf(name, sizeof name, "%s/log", sub);
    snprintf(moved, sizeof moved, "%s.1", path);
    CU_ASSERT_EQUAL(mkdir(sub, 0700), 0);
    CU_ASSERT_EQUAL(symlink(path, name), 0);
    put_lines(path, "w", 0, 10);
    CU_ASSERT_EQUAL_FATAL(follow(name, "begin"), 0);
    turns(3);
    commit();
    put_lines(path, "a", 10, 15);
    CU_ASSERT_EQUAL(rename(path, moved), 0);
    put_lines(path, "w", 15, 20);
    make();
    CU_ASSERT_EQUAL_FATAL(follow(name, "begin"), 0);
    turns(5);
    CU_ASSERT_EQUAL(lines, 10);
    CU_ASSERT_EQUAL(last, 19);
    CU_ASSERT_STRING_EQUAL(heard, "");
}

/* A file that can't be looked at is no file that ended; each change is told once. */
static void test_faults(void)
{
    struct remed_listener_stats stats;
    char moved[140];
    read_and_commit(10);
    snprintf(moved, sizeof moved, "%s.moved", path);
    CU_ASSERT_EQUAL(rename(path, moved), 0);
    CU_ASSERT_EQUAL(symlink(path, path), 0); /* a name of its own self */
    turns(5);
    CU_ASSERT_PTR_NOT_NULL(strstr(heard, path));
    CU_ASSERT_PTR_NOT_NULL(strstr(heard, "cannot read"));
    heard[0] = '\0';
    turns(5);
    CU_ASSERT_STRING_EQUAL(heard, "");
    remed_listener_stats(listener, &stats, sizeof stats);
    CU_ASSERT_EQUAL(stats.failed, 1);
    CU_ASSERT_EQUAL(stats.inputs, 1);
    unlink(path);
    put_lines(moved, "a", 10, 12);
    put_lines(path, "w", 12, 20);
    turns(5);
    CU_ASSERT_EQUAL(lines, 20);
    CU_ASSERT_EQUAL(last, 19);
    turns(2);
    CU_ASSERT_PTR_NOT_NULL(strstr(heard, "again"));
    remed_listener_stats(listener, &stats, sizeof stats);
    CU_ASSERT_EQUAL(stats.failed, 0);
    CU_ASSERT(remed_listener_add(listener, "file:///etc/passwd?poll=0s", &error) < 0);
}

static const struct test_case cases[] = {{"a position names its file", test_belongs},
                                         {"the first version's", test_first_version},
                                         {"every bit of a position", test_flipped_bits},
                                         {"nobody else's", test_private},
                                         {"faults are no ends", test_faults},
                                         {"anew with the same size", test_same_size},
                                         {"a name that comes back", test_name_back},
                                         {"a log by its link", test_linked},
                                         {"a state that is no state", test_not_ours},
                                         {NULL, NULL}};

const struct test_suite test_suites[] = {{"listener_positions", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
