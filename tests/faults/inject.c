/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Preloaded into a program, fails one of its calls: the Nth of a kind, or all from the Nth on. What
 * calls a run makes is counted first, so that a test can then fail each of them in turn.
 *
 *   REMED_FAULT_CALL    read write fsync rename open mmap readdir malloc truncate unlink mkdir stat
 *                       close flock (each with its relatives: write is also pwrite and writev)
 *   REMED_FAULT_AT      which one, from 1; 0 or not set: none
 *   REMED_FAULT_ERRNO   a number; default EIO
 *   REMED_FAULT_STICKY  set: all from that one on
 *   REMED_FAULT_SHORT   set: a write takes half of its bytes instead of failing
 *   REMED_FAULT_COUNTS  a file: "CALL COUNT" lines are written there at the end
 *
 * Standard input, output and error are left alone: what the program says must be heard. Calls that
 * the C library makes within itself (stdio, the loader) are not seen.
 *
 * Threads: counters are atomic.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind {
    READ,
    WRITE,
    FSYNC,
    RENAME,
    OPEN,
    MMAP,
    READDIR,
    MALLOC,
    TRUNCATE,
    UNLINK,
    MKDIR,
    STAT,
    CLOSE,
    FLOCK,
    KINDS
};

static const char *const names[KINDS] = {"read",  "write",   "fsync",  "rename",   "open",
                                         "mmap",  "readdir", "malloc", "truncate", "unlink",
                                         "mkdir", "stat",    "close",  "flock"};
static atomic_ulong counts[KINDS];
static enum kind chosen = KINDS;
static unsigned long at;
static int number = EIO;
static int is_sticky, is_short, is_ready;

static void write_counts(void)
{
    const char *path = getenv("REMED_FAULT_COUNTS");
    FILE *file = path != NULL ? fopen(path, "w") : NULL;
    if (file == NULL)
        return;
    for (int i = 0; i < KINDS; i++)
        fprintf(file, "%s %lu\n", names[i], (unsigned long)atomic_load(&counts[i]));
    fclose(file);
}

__attribute__((constructor)) static void start(void)
{
    const char *call = getenv("REMED_FAULT_CALL"), *which = getenv("REMED_FAULT_AT"),
               *errno_text = getenv("REMED_FAULT_ERRNO");
    for (int i = 0; call != NULL && i < KINDS; i++)
        if (strcmp(call, names[i]) == 0)
            chosen = (enum kind)i;
    at = which != NULL ? strtoul(which, NULL, 10) : 0;
    if (errno_text != NULL)
        number = atoi(errno_text);
    is_sticky = getenv("REMED_FAULT_STICKY") != NULL;
    is_short = getenv("REMED_FAULT_SHORT") != NULL;
    atexit(write_counts);
    is_ready = 1;
}

/* Whether this call fails; errno is set then. */
static int fails(enum kind kind)
{
    if (!is_ready)
        return 0;
    unsigned long count = atomic_fetch_add(&counts[kind], 1) + 1;
    if (kind != chosen || at == 0 || (is_sticky ? count < at : count != at))
        return 0;
    errno = number;
    return 1;
}

static void *next(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

/* The real function, looked up once. ISO C has no cast from an object's pointer to a function's. */
#define REAL(type, name)                                                                           \
    static type real;                                                                              \
    if (real == NULL) {                                                                            \
        void *found = next(name);                                                                  \
        memcpy(&real, &found, sizeof real);                                                        \
    }

typedef ssize_t (*read_fn)(int, void *, size_t);
typedef ssize_t (*pread_fn)(int, void *, size_t, off_t);
typedef ssize_t (*write_fn)(int, const void *, size_t);
typedef ssize_t (*pwrite_fn)(int, const void *, size_t, off_t);
typedef ssize_t (*vector_fn)(int, const struct iovec *, int);
typedef int (*fd_fn)(int);
typedef int (*open_fn)(const char *, int, ...);
typedef int (*openat_fn)(int, const char *, int, ...);

ssize_t read(int fd, void *bytes, size_t size)
{
    REAL(read_fn, "read")
    return fd > 2 && fails(READ) ? -1 : real(fd, bytes, size);
}

#define PREAD(name)                                                                                \
    ssize_t name(int fd, void *bytes, size_t size, off_t offset)                                   \
    {                                                                                              \
        REAL(pread_fn, #name)                                                                      \
        return fails(READ) ? -1 : real(fd, bytes, size, offset);                                   \
    }
PREAD(pread)
PREAD(pread64)

ssize_t readv(int fd, const struct iovec *vector, int count)
{
    REAL(vector_fn, "readv")
    return fails(READ) ? -1 : real(fd, vector, count);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    REAL(write_fn, "write")
    if (fd <= 2 || !fails(WRITE))
        return real(fd, bytes, size);
    return is_short && size > 1 ? real(fd, bytes, size / 2) : -1;
}

#define PWRITE(name)                                                                               \
    ssize_t name(int fd, const void *bytes, size_t size, off_t offset)                             \
    {                                                                                              \
        REAL(pwrite_fn, #name)                                                                     \
        if (!fails(WRITE))                                                                         \
            return real(fd, bytes, size, offset);                                                  \
        return is_short && size > 1 ? real(fd, bytes, size / 2, offset) : -1;                      \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

ssize_t writev(int fd, const struct iovec *vector, int count)
{
    REAL(vector_fn, "writev")
    return fd > 2 && fails(WRITE) ? -1 : real(fd, vector, count);
}

int fsync(int fd)
{
    REAL(fd_fn, "fsync")
    return fails(FSYNC) ? -1 : real(fd);
}

int fdatasync(int fd)
{
    REAL(fd_fn, "fdatasync")
    return fails(FSYNC) ? -1 : real(fd);
}

/* As with a real disk, the descriptor is gone whatever close says. */
int close(int fd)
{
    REAL(fd_fn, "close")
    int failed = fd > 2 && fails(CLOSE), kept = errno, rc = real(fd);
    if (!failed)
        return rc;
    errno = kept;
    return -1;
}

int flock(int fd, int operation)
{
    typedef int (*flock_fn)(int, int);
    REAL(flock_fn, "flock")
    return fails(FLOCK) ? -1 : real(fd, operation);
}

int rename(const char *from, const char *to)
{
    typedef int (*rename_fn)(const char *, const char *);
    REAL(rename_fn, "rename")
    return fails(RENAME) ? -1 : real(from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    typedef int (*renameat_fn)(int, const char *, int, const char *);
    REAL(renameat_fn, "renameat")
    return fails(RENAME) ? -1 : real(from_folder, from, to_folder, to);
}

int unlink(const char *path)
{
    typedef int (*unlink_fn)(const char *);
    REAL(unlink_fn, "unlink")
    return fails(UNLINK) ? -1 : real(path);
}

int unlinkat(int folder, const char *path, int flags)
{
    typedef int (*unlinkat_fn)(int, const char *, int);
    REAL(unlinkat_fn, "unlinkat")
    return fails(UNLINK) ? -1 : real(folder, path, flags);
}

int mkdir(const char *path, mode_t mode)
{
    typedef int (*mkdir_fn)(const char *, mode_t);
    REAL(mkdir_fn, "mkdir")
    return fails(MKDIR) ? -1 : real(path, mode);
}

#define TRUNCATE_BY(name)                                                                          \
    int name(int fd, off_t length)                                                                 \
    {                                                                                              \
        typedef int (*truncate_fn)(int, off_t);                                                    \
        REAL(truncate_fn, #name)                                                                   \
        return fails(TRUNCATE) ? -1 : real(fd, length);                                            \
    }
TRUNCATE_BY(ftruncate)
TRUNCATE_BY(ftruncate64)

#define OPEN_BY(name)                                                                              \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        REAL(open_fn, #name)                                                                       \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;                      \
        va_end(arguments);                                                                         \
        return fails(OPEN) ? -1 : real(path, flags, mode);                                         \
    }
OPEN_BY(open)
OPEN_BY(open64)

#define OPENAT_BY(name)                                                                            \
    int name(int folder, const char *path, int flags, ...)                                         \
    {                                                                                              \
        REAL(openat_fn, #name)                                                                     \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;                      \
        va_end(arguments);                                                                         \
        return fails(OPEN) ? -1 : real(folder, path, flags, mode);                                 \
    }
OPENAT_BY(openat)
OPENAT_BY(openat64)

#define READDIR_BY(name, type)                                                                     \
    struct type *name(DIR *folder)                                                                 \
    {                                                                                              \
        typedef struct type *(*readdir_fn)(DIR *);                                                 \
        REAL(readdir_fn, #name)                                                                    \
        return fails(READDIR) ? NULL : real(folder);                                               \
    }
READDIR_BY(readdir, dirent)
READDIR_BY(readdir64, dirent64)

#define MMAP_BY(name)                                                                              \
    void *name(void *address, size_t length, int protection, int flags, int fd, off_t offset)      \
    {                                                                                              \
        typedef void *(*mmap_fn)(void *, size_t, int, int, int, off_t);                            \
        REAL(mmap_fn, #name)                                                                       \
        return fails(MMAP) ? MAP_FAILED : real(address, length, protection, flags, fd, offset);    \
    }
MMAP_BY(mmap)
MMAP_BY(mmap64)

#define STAT_BY(name, type)                                                                        \
    int name(int fd, struct type *status)                                                          \
    {                                                                                              \
        typedef int (*stat_fn)(int, struct type *);                                                \
        REAL(stat_fn, #name)                                                                       \
        return fd > 2 && fails(STAT) ? -1 : real(fd, status);                                      \
    }
STAT_BY(fstat, stat)
STAT_BY(fstat64, stat64)

#define STATAT_BY(name, type)                                                                      \
    int name(int folder, const char *path, struct type *status, int flags)                         \
    {                                                                                              \
        typedef int (*stat_fn)(int, const char *, struct type *, int);                             \
        REAL(stat_fn, #name)                                                                       \
        return fails(STAT) ? -1 : real(folder, path, status, flags);                               \
    }
STATAT_BY(fstatat, stat)
STATAT_BY(fstatat64, stat64)

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

void *malloc(size_t size)
{
    return fails(MALLOC) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails(MALLOC) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    return fails(MALLOC) ? NULL : __libc_realloc(memory, size);
}
