/* SPDX-License-Identifier: BSD-3-Clause */
/* The watch of file_watch.h. Threads: belongs to one transport. */
#define _DEFAULT_SOURCE
#include "repository/file_watch.h"

#include "repository/segment.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/inotify.h>
#include <sys/vfs.h>
#endif

#define LEAST_PAUSE (5 * 1000000ull)
#define MOST_PAUSE (100 * 1000000ull)
#define ANYHOW_PAUSE (10 * REMED_NS_PER_S) /* when changes are told */

void remed_file_watch_init(struct remed_file_watch *watch)
{
    *watch = (struct remed_file_watch){
        .fd = -1, .pause = LEAST_PAUSE, .is_due = true, .heard = UINT64_MAX};
}

#if defined(__linux__)

/* File systems where others write whom this kernel does not see. */
static bool is_remote(int folder)
{
    static const uint64_t remote[] = {
        0x6969 /* NFS */,       0x517b /* SMB */,       0xff534d42 /* CIFS */,
        0xfe534d42 /* SMB 2 */, 0x65735546 /* FUSE */,  0x01021997 /* 9P */,
        0x00c36400 /* Ceph */,  0x5346414f /* AFS */,   0x0bd00bd0 /* Lustre */,
        0x01161970 /* GFS2 */,  0x7461636f /* OCFS2 */, 0x47504653 /* GPFS */};
    struct statfs status;
    if (fstatfs(folder, &status) < 0)
        return true;
    for (unsigned i = 0; i < sizeof remote / sizeof *remote; i++)
        if (((uint64_t)status.f_type & 0xffffffff) == remote[i])
            return true;
    return false;
}

bool remed_file_watch_open(struct remed_file_watch *watch, int folder)
{
    errno = EREMOTE;
    watch->fd = is_remote(folder) ? -1 : inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    return watch->fd >= 0;
}

bool remed_file_watch_begin(struct remed_file_watch *watch, int folder)
{
    char path[40];
    if (watch->fd < 0 || watch->is_on || watch->has_failed)
        return true;
    snprintf(path, sizeof path, "/proc/self/fd/%d", folder); /* this folder, whatever its name is */
    int rc =
        inotify_add_watch(watch->fd, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF);
    watch->has_failed = rc < 0; /* the host may poll the descriptor: it stays */
    if (rc < 0)
        return false;
    watch->is_on = watch->is_due = true;
    watch->heard = UINT64_MAX;
    return true;
}

static void hear(struct remed_file_watch *watch, const struct inotify_event *event)
{
    uint64_t first = 0;
    if ((event->mask & (IN_CREATE | IN_MOVED_TO)) != 0 && event->len > 0 &&
        remed_segment_parse_name(event->name, &first) && first > watch->heard)
        watch->heard = first;
    if ((event->mask & (IN_Q_OVERFLOW | IN_DELETE_SELF | IN_IGNORED)) != 0)
        watch->heard = UINT64_MAX;
}

/* Forgets the changes told so far; true when there were any. */
static bool drain(struct remed_file_watch *watch)
{
    _Alignas(struct inotify_event) char bytes[4096];
    bool any = false;
    for (;;) {
        ssize_t got = read(watch->fd, bytes, sizeof bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return any;
        any = true;
        if (got <= 0) { /* never seen: by time from now on */
            watch->is_on = false;
            watch->has_failed = true;
            watch->heard = UINT64_MAX;
            return true;
        }
        for (size_t at = 0; at < (size_t)got;) {
            const struct inotify_event *event = (const void *)(bytes + at);
            hear(watch, event);
            at += sizeof *event + event->len;
        }
    }
}

#else

bool remed_file_watch_open(struct remed_file_watch *watch, int folder)
{
    (void)watch;
    (void)folder;
    errno = ENOSYS;
    return false;
}

bool remed_file_watch_begin(struct remed_file_watch *watch, int folder)
{
    (void)watch;
    (void)folder;
    return true;
}

static bool drain(struct remed_file_watch *watch)
{
    (void)watch;
    return false;
}

#endif

bool remed_file_watch_is_due(struct remed_file_watch *watch, uint64_t now)
{
    uint64_t most = watch->is_on ? ANYHOW_PAUSE : MOST_PAUSE;
    if (watch->is_on && drain(watch))
        watch->is_due = true;
    /* a clock that went back must not put a look off */
    if (now >= watch->due_at || watch->due_at - now > most) {
        watch->is_due = true;
        watch->heard = UINT64_MAX;
    }
    return watch->is_due;
}

void remed_file_watch_rest(struct remed_file_watch *watch, uint64_t now, bool found)
{
    uint64_t longer = watch->pause * 2 < MOST_PAUSE ? watch->pause * 2 : MOST_PAUSE;
    watch->pause = found ? LEAST_PAUSE : longer;
    watch->is_due = false;
    watch->due_at = now + (watch->is_on ? ANYHOW_PAUSE : watch->pause);
    watch->heard = watch->is_on ? 0 : UINT64_MAX;
}

void remed_file_watch_end(struct remed_file_watch *watch)
{
    if (watch->fd >= 0)
        close(watch->fd);
    watch->fd = -1;
    watch->is_on = false;
    watch->heard = UINT64_MAX;
}
