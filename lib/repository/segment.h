/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Segment files of the file transport (docs/transports.md): a header of 24 bytes, then records. All
 * numbers are little-endian.
 *
 *   header: "REMEDSEG", version (4), checksum of the other 20 bytes (4; 0 in old ones: none),
 * purged (8): a compaction left out removals below this offset, so who has read something, but not
 *           so far, can't go on from there
 *   record: magic (4), CRC-32C of all behind it (4), offset (8), key length (4), value length (4),
 *           key, value
 *
 * A record is whole when its checksum says so. Whoever reads compares lengths with the limits
 * first, so damage can't ask for memory.
 *
 * Threads: no state.
 */
#ifndef REMED_REPOSITORY_SEGMENT_H
#define REMED_REPOSITORY_SEGMENT_H

#include <remediate/transport.h>
#include "base/base.h"

#define REMED_SEGMENT_HEADER 24u
#define REMED_SEGMENT_RECORD 24u /* bytes before the key */
#define REMED_SEGMENT_NAME 28u   /* "00000000000000000000.log" and NUL */
#define REMED_SEGMENT_WHOLE                                                                        \
    (REMED_SEGMENT_RECORD + REMED_TRANSPORT_KEY_MAX + REMED_TRANSPORT_VALUE_MAX)

/* CRC-32C (RFC 3720, B.4), eight bytes a step. The tables are made, not written down. */
struct remed_crc {
    uint32_t table[8][256];
    uint32_t zeros[32]; /* what 2^k bytes of zeros do to a checksum, as a factor */
};

void remed_crc_init(struct remed_crc *crc);
uint32_t remed_crc_of(const struct remed_crc *crc, const uint8_t *bytes, size_t length);

void remed_segment_header(uint8_t header[REMED_SEGMENT_HEADER], uint64_t purged);

/* What the first bytes of a segment are. */
enum remed_segment_header {
    REMED_HEADER_OK,
    REMED_HEADER_DAMAGED, /* no header: segments appear with a whole one. Their records can be found
                             all the same */
    REMED_HEADER_NEWER    /* of a version that this library does not know, by a right checksum:
                             every version has it there, so that damage is not taken for one */
};

/* *purged and *version are set for REMED_HEADER_OK; *version for REMED_HEADER_NEWER as well. */
enum remed_segment_header remed_segment_check_header(const uint8_t *bytes, size_t length,
                                                     uint64_t *purged, uint32_t *version);
void remed_segment_name(char name[REMED_SEGMENT_NAME], uint64_t first);
/* The first offset that a file's name tells; false for another file, or an offset so great that
 * those behind it could not be read. */
bool remed_segment_parse_name(const char *name, uint64_t *first);

/* Writes the record of a message with its offset to `to`, which has room; returns its bytes. */
size_t remed_segment_write(const struct remed_crc *crc, uint8_t *to,
                           const struct remed_message *message);

/* Whether a segment that begins at `first` can have a record of that offset. Names are bounded as
 * well, so counting on from either never wraps, and never leads to a name that is not taken. */
static inline bool remed_segment_can_hold(uint64_t first, uint64_t offset)
{
    return offset >= first && offset - first < (uint64_t)1 << 56;
}

enum remed_segment_result {
    REMED_SEGMENT_OK,     /* a message; *used bytes */
    REMED_SEGMENT_SHORT,  /* not whole yet: more bytes are needed */
    REMED_SEGMENT_DAMAGED /* no record here */
};

/* Reads the record at `bytes`. */
enum remed_segment_result remed_segment_read(const struct remed_crc *crc, const uint8_t *bytes,
                                             size_t length, struct remed_message *message,
                                             size_t *used);

/* A window that holds this much is searched once for every REMED_SEGMENT_WHOLE bytes. */
#define REMED_SEGMENT_WINDOW (2u * REMED_SEGMENT_WHOLE)
#define REMED_SEGMENT_SUM 512u /* bytes between the sums of a search */

/*
 * A search for records in bytes that are none. Bytes that look like many long records, one within
 * the other, would each take a checksum of all behind them. So checksums of the beginnings of the
 * bytes are kept, and that of a long record is worked out of two of them: the time is that of one
 * checksum of all the bytes, and a short constant one for each place that looks like a record.
 */
struct remed_segment_search {
    const struct remed_crc *crc;
    const uint8_t *bytes; /* borrowed; begin again when they change */
    size_t length;        /* at most REMED_SEGMENT_WINDOW */
    size_t known;         /* sums that are worked out, less 1 */
    uint32_t sums[REMED_SEGMENT_WINDOW / REMED_SEGMENT_SUM + 1];
};

void remed_segment_search_begin(struct remed_segment_search *search, const struct remed_crc *crc,
                                const uint8_t *bytes, size_t length);
/* remed_segment_read() at that place. */
enum remed_segment_result remed_segment_search_read(struct remed_segment_search *search, size_t at,
                                                    struct remed_message *message, size_t *used);
/* The place behind `at` where a whole record begins, or one too long for these bytes to tell; near
 * the length when there is none. */
size_t remed_segment_skip(struct remed_segment_search *search, size_t at);
/* The place behind `at` where a whole record begins whose offset is `least` to `most`; the length
 * when there is none. */
size_t remed_segment_find(struct remed_segment_search *search, size_t at, uint64_t least,
                          uint64_t most);
/*
 * Whether the bytes at the end of a segment are the beginning of the record with that offset, and
 * nothing but a beginning: no record that was written whole and whose lengths are damaged since.
 * Only such a tail may be cut off. `expected` is the offset behind the last whole record.
 */
bool remed_segment_is_torn(const struct remed_crc *crc, const uint8_t *bytes, size_t length,
                           uint64_t expected);

/* First offsets of the segments in a folder, sorted. To be released: *room entries, also after an
 * error: REMED_ENOMEM, or REMED_EIO with its cause in errno. */
int remed_segment_list(int folder, uint64_t **firsts, size_t *count, size_t *room,
                       const struct remed_allocator *allocator);

#endif
