/* SPDX-License-Identifier: BSD-3-Clause */
/* Sources: opening, filling the block, handing out, counting. Threads: one thread a source. */
#include "backend/pcap/source.h"
#include "backend/pcap/compressed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_BYTES (128u << 10) /* stays in the second-level cache while it is parsed */
#define MAGIC_BYTES 4u

void remed_pcap_source_opts_init(struct remed_pcap_source_opts *opts, size_t size)
{
    const struct remed_pcap_source_opts defaults = {.size = size,
                                                    .snap_length = 262144,
                                                    .buffer_bytes = 16u << 20,
                                                    .promiscuous = 1,
                                                    .max_packet = 16u << 20};
    remed_stats_copy(opts, size, &defaults, sizeof defaults);
}

int remed_source_damage(const struct remed_pcap_source *source, struct remed_error *error, int code,
                        const char *why)
{
    return remed_error_set(error, code, "packet %llu, byte %llu: %s",
                           (unsigned long long)source->stats.packets + 1,
                           (unsigned long long)remed_source_offset(source), why);
}

uint8_t remed_source_side(const struct remed_pcap_source *source, uint32_t link_type,
                          const uint8_t *data, uint32_t captured)
{
    unsigned type;
    if (link_type == REMED_LINK_LINUX_SLL && captured >= 2)
        type = remed_load16(data);
    else if (link_type == REMED_LINK_LINUX_SLL2 && captured >= 11)
        type = data[10];
    else
        return (uint8_t)source->opts.side;
    return type == 4 ? REMED_SIDE_OUT : REMED_SIDE_IN;
}

static int make_room(struct remed_pcap_source *source, size_t wanted, struct remed_error *error)
{
    struct remed_block *block = &source->block;
    size_t left = block->end - block->begin;
    memmove(block->data, block->data + block->begin, left);
    block->dropped += block->begin;
    block->begin = 0;
    block->end = left;
    if (wanted <= block->size)
        return 0;
    size_t size = block->size;
    while (size < wanted)
        size *= 2;
    uint8_t *data = remed_reallocate(&source->allocator, block->data, block->size, size);
    if (data == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a record of %zu bytes", wanted);
    block->data = data;
    block->size = size;
    return 0;
}

int remed_block_fill(struct remed_pcap_source *source, size_t wanted, struct remed_error *error)
{
    struct remed_block *block = &source->block;
    if (block->end - block->begin >= wanted)
        return 1;
    int rc = make_room(source, wanted, error);
    while (rc == 0 && !block->at_end && block->end < wanted) {
        ssize_t got = read(block->fd, block->data + block->end, block->size - block->end);
        if (got < 0 && errno == EINTR && !source->stop)
            continue;
        if (got < 0 && errno == EINTR)
            return 0;
        if (got < 0)
            return remed_error_set(error, REMED_EIO, "cannot read: %s", strerror(errno));
        block->at_end = got == 0;
        block->end += (size_t)got;
        block->file_bytes += (uint64_t)got;
    }
    return rc < 0 ? rc : block->end >= wanted;
}

static int open_path(const char *path, struct remed_error *error)
{
    if (strcmp(path, "-") == 0)
        return STDIN_FILENO;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        return fd;
    }
    int code = errno == ENOENT ? REMED_ENOENT : errno == EACCES ? REMED_EPERM : REMED_EIO;
    return remed_error_set(error, code, "%s: %s", path, strerror(errno));
}

static int begin_format(struct remed_pcap_source *source, struct remed_error *error)
{
    int rc = remed_block_fill(source, MAGIC_BYTES, error);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return source->block.end == 0
                   ? remed_error_set(error, REMED_ETRUNCATED, "the file is empty")
                   : remed_error_set(error, REMED_EFORMAT, "neither a pcap nor a pcapng file");
    const struct remed_compression *packed = remed_compression_of(source->block.data);
    if (packed != NULL)
        return remed_error_set(error, REMED_EFORMAT,
                               "compressed by %s; unpack it into a pipe: '%s FILE | … -r -'",
                               packed->name, packed->unpack);
    return remed_load32(source->block.data) == 0x0a0d0d0a ? remed_pcapng_begin(source, error)
                                                          : remed_pcap_begin(source, error);
}

static int open_block(struct remed_pcap_source *source, const char *path, struct remed_error *error)
{
    struct stat status = {0};
    source->block.fd = open_path(path, error);
    if (source->block.fd < 0)
        return source->block.fd;
    source->block.owns_fd = strcmp(path, "-") != 0;
    if (fstat(source->block.fd, &status) == 0 && S_ISREG(status.st_mode))
        source->stats.file_size = (uint64_t)status.st_size;
    else if (S_ISDIR(status.st_mode))
        return remed_error_set(error, REMED_EIO, "%s: is a directory", path);
    source->block.data = remed_allocate(&source->allocator, BLOCK_BYTES);
    if (source->block.data == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory to read %s", path);
    source->block.size = BLOCK_BYTES;
    struct remed_error why;
    int rc = begin_format(source, &why);
    if (rc < 0)
        remed_error_set(error, rc, "%s: %s", strcmp(path, "-") == 0 ? "standard input" : path,
                        why.message);
    return rc;
}

static int check_opts(const struct remed_pcap_source_opts *opts, struct remed_error *error)
{
    const char *wrong = opts->max_packet < 64 || opts->max_packet > 1u << 30   ? "max_packet"
                        : opts->side > REMED_SIDE_OUT                          ? "side"
                        : opts->snap_length < 64 || opts->snap_length > 262144 ? "snap_length"
                        : opts->buffer_bytes > INT32_MAX                       ? "buffer_bytes"
                        : opts->promiscuous > 1                                ? "promiscuous"
                        : opts->reserved != 0                                  ? "reserved"
                                                                               : NULL;
    if (wrong == NULL)
        return 0;
    return remed_error_set(error, REMED_EINVAL, "pcap source: %s is out of range", wrong);
}

int remed_source_make(struct remed_pcap_source **source, const char *where,
                      const struct remed_pcap_source_opts *given,
                      int (*begin)(struct remed_pcap_source *source, const char *where,
                                   struct remed_error *error),
                      struct remed_error *error)
{
    struct remed_pcap_source_opts opts;
    remed_pcap_source_opts_init(&opts, sizeof opts);
    int rc = given != NULL ? remed_opts_copy(&opts, sizeof opts, given, "pcap source", error) : 0;
    if (rc == 0)
        rc = check_opts(&opts, error);
    if (rc < 0)
        return rc;
    struct remed_allocator allocator = remed_allocator_or_default(opts.allocator);
    struct remed_pcap_source *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory to read %s", where);
    made->allocator = allocator;
    made->opts = opts;
    made->block.fd = -1;
    made->link_type = UINT32_MAX;
    rc = begin(made, where, error);
    if (rc < 0)
        remed_pcap_source_free(made);
    else
        *source = made;
    return rc;
}

int remed_pcap_open_file(struct remed_pcap_source **source, const char *path,
                         const struct remed_pcap_source_opts *opts, struct remed_error *error)
{
    return remed_source_make(source, path, opts, open_block, error);
}

static int fail(struct remed_pcap_source *source, struct remed_error *error)
{
    if (error != NULL)
        *error = source->failure;
    return source->failure.code;
}

static void count_packets(struct remed_pcap_source *source, const struct remed_packet *packets,
                          int count)
{
    source->stats.packets += (uint64_t)count;
    for (int i = 0; i < count; i++)
        source->stats.bytes += packets[i].captured;
}

int remed_pcap_read(struct remed_pcap_source *source, struct remed_packet *packets, size_t count,
                    struct remed_error *error)
{
    if (source->stop)
        return 0;
    if (source->failure.code != 0)
        return fail(source, error);
    if (count == 0)
        return remed_error_set(error, REMED_EINVAL, "read of no packets");
    count = count < 65536 ? count : 65536;
    int got = source->parse(source, packets, count, &source->failure);
    if (got > 0)
        count_packets(source, packets, got);
    else if (got == REMED_EAGAIN)
        source->failure.code = 0;
    else if (got < 0)
        return fail(source, error);
    return got;
}

int remed_pcap_wait(struct remed_pcap_source *source, int timeout_ms)
{
    return source->live != NULL ? remed_live_wait(source, timeout_ms) : 1;
}

int remed_pcap_source_fd(const struct remed_pcap_source *source)
{
    return source->live != NULL ? source->live->fd(source) : source->block.fd;
}

void remed_pcap_source_break(struct remed_pcap_source *source)
{
    source->stop = 1;
    if (source->live != NULL && source->live->stop != NULL)
        source->live->stop(source);
}

bool remed_pcap_source_drained(const struct remed_pcap_source *source)
{
    if (source->live != NULL)
        return source->live->ready == NULL || !source->live->ready(source);
    return !source->whole(source);
}

uint32_t remed_pcap_source_link_type(const struct remed_pcap_source *source)
{
    return source->link_type;
}

bool remed_pcap_source_nanoseconds(const struct remed_pcap_source *source)
{
    return source->nanoseconds;
}

void remed_pcap_source_stats(struct remed_pcap_source *source,
                             struct remed_pcap_source_stats *stats, size_t size)
{
    source->stats.file_bytes = source->block.file_bytes;
    if (source->live != NULL)
        source->live->stats(source);
    remed_stats_copy(stats, size, &source->stats, sizeof source->stats);
}

void remed_pcap_source_free(struct remed_pcap_source *source)
{
    if (source == NULL)
        return;
    struct remed_allocator allocator = source->allocator;
    if (source->live != NULL)
        source->live->close(source);
    else if (source->block.owns_fd)
        close(source->block.fd);
    remed_release(&allocator, source->block.data, source->block.size);
    remed_release(&allocator, source->interfaces,
                  source->interface_room * sizeof *source->interfaces);
    remed_release(&allocator, source, sizeof *source);
}
