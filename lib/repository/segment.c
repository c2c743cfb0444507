/* SPDX-License-Identifier: BSD-3-Clause */
/* The format of segment.h. Threads: no state. */
#define _POSIX_C_SOURCE 200809L
#include "repository/segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RECORD_MAGIC 0x31524552u /* "RER1" */
#define SEGMENT_VERSION 1u
#define MOST_FIRST ((uint64_t)1 << 62)
#define CRC_POLYNOMIAL 0x82f63b78u

/* The product of two polynomials, modulo that of the checksum; the highest bit is x^0. */
static uint32_t crc_times(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (; a != 0; a <<= 1) {
        product ^= b & -(a >> 31);
        b = b >> 1 ^ (CRC_POLYNOMIAL & -(b & 1));
    }
    return product;
}

void remed_crc_init(struct remed_crc *crc)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (unsigned bit = 0; bit < 8; bit++)
            value = value >> 1 ^ (CRC_POLYNOMIAL & -(value & 1));
        crc->table[0][i] = value;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (unsigned k = 1; k < 8; k++) {
            uint32_t before = crc->table[k - 1][i];
            crc->table[k][i] = before >> 8 ^ crc->table[0][before & 0xff];
        }
    crc->zeros[0] = 0x00800000; /* x^8: one byte */
    for (unsigned k = 1; k < 32; k++)
        crc->zeros[k] = crc_times(crc->zeros[k - 1], crc->zeros[k - 1]);
}

static uint32_t crc_step(const struct remed_crc *crc, uint32_t value, const uint8_t *bytes,
                         size_t length)
{
    for (; length >= 8; bytes += 8, length -= 8) {
        uint32_t low = remed_load32_little(bytes) ^ value, high = remed_load32_little(bytes + 4);
        value = crc->table[7][low & 0xff] ^ crc->table[6][low >> 8 & 0xff] ^
                crc->table[5][low >> 16 & 0xff] ^ crc->table[4][low >> 24] ^
                crc->table[3][high & 0xff] ^ crc->table[2][high >> 8 & 0xff] ^
                crc->table[1][high >> 16 & 0xff] ^ crc->table[0][high >> 24];
    }
    for (; length > 0; bytes++, length--)
        value = value >> 8 ^ crc->table[0][(value ^ *bytes) & 0xff];
    return value;
}

uint32_t remed_crc_of(const struct remed_crc *crc, const uint8_t *bytes, size_t length)
{
    return ~crc_step(crc, UINT32_MAX, bytes, length);
}

static void store(uint8_t *to, uint64_t value, unsigned width)
{
    for (unsigned i = 0; i < width; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static const uint8_t file_magic[8] = {'R', 'E', 'M', 'E', 'D', 'S', 'E', 'G'};

/* Of 24 bytes now and then: no table. Two bits are always set, so that a single flipped bit can't
 * make it look like a header of the time before there was a checksum. */
static uint32_t header_checksum(const uint8_t header[REMED_SEGMENT_HEADER])
{
    uint32_t value = UINT32_MAX;
    for (unsigned i = 0; i < REMED_SEGMENT_HEADER; i++) {
        value ^= i >= 12 && i < 16 ? 0 : header[i];
        for (unsigned bit = 0; bit < 8; bit++)
            value = value >> 1 ^ (CRC_POLYNOMIAL & -(value & 1));
    }
    return ~value | 3;
}

void remed_segment_header(uint8_t header[REMED_SEGMENT_HEADER], uint64_t purged)
{
    memcpy(header, file_magic, sizeof file_magic);
    store(header + 8, SEGMENT_VERSION, 4);
    store(header + 16, purged, 8);
    store(header + 12, header_checksum(header), 4);
}

enum remed_segment_header remed_segment_check_header(const uint8_t *bytes, size_t length,
                                                     uint64_t *purged, uint32_t *version)
{
    if (length < REMED_SEGMENT_HEADER)
        return REMED_HEADER_DAMAGED;
    uint32_t checksum = remed_load32_little(bytes + 12);
    bool sound = checksum == header_checksum(bytes);
    if (memcmp(bytes, file_magic, sizeof file_magic) != 0)
        return REMED_HEADER_DAMAGED;
    *version = remed_load32_little(bytes + 8);
    *purged = remed_load64_little(bytes + 16);
    if (*version == SEGMENT_VERSION)
        return sound || checksum == 0 ? REMED_HEADER_OK : REMED_HEADER_DAMAGED;
    /* Headers without a checksum are of version 1, so another number is damage. */
    return sound ? REMED_HEADER_NEWER : REMED_HEADER_DAMAGED;
}

void remed_segment_name(char name[REMED_SEGMENT_NAME], uint64_t first)
{
    snprintf(name, REMED_SEGMENT_NAME, "%020llu.log", (unsigned long long)first);
}

bool remed_segment_parse_name(const char *name, uint64_t *first)
{
    *first = 0;
    for (unsigned i = 0; i < 20; i++) {
        unsigned digit = (unsigned)(name[i] - '0');
        if (digit > 9 || *first > (UINT64_MAX - digit) / 10)
            return false;
        *first = *first * 10 + digit;
    }
    return *first <= MOST_FIRST && strcmp(name + 20, ".log") == 0;
}

size_t remed_segment_write(const struct remed_crc *crc, uint8_t *to,
                           const struct remed_message *message)
{
    size_t length = REMED_SEGMENT_RECORD + message->key_length + message->value_length;
    store(to, RECORD_MAGIC, 4);
    store(to + 8, message->offset, 8);
    store(to + 16, message->key_length, 4);
    store(to + 20, message->value_length, 4);
    memcpy(to + REMED_SEGMENT_RECORD, message->key, message->key_length);
    if (message->value_length != 0)
        memcpy(to + REMED_SEGMENT_RECORD + message->key_length, message->value,
               message->value_length);
    store(to + 4, remed_crc_of(crc, to + 8, length - 8), 4);
    return length;
}

/* The bytes of the record that begins here, if it is one; 0 when it can't be. There are
 * REMED_SEGMENT_RECORD of them. */
static size_t record_length(const uint8_t *bytes)
{
    uint32_t key = remed_load32_little(bytes + 16), value = remed_load32_little(bytes + 20);
    bool can_be = remed_load32_little(bytes) == RECORD_MAGIC && key != 0 &&
                  key <= REMED_TRANSPORT_KEY_MAX && value <= REMED_TRANSPORT_VALUE_MAX;
    return can_be ? REMED_SEGMENT_RECORD + (size_t)key + value : 0;
}

static struct remed_message record_message(const uint8_t *bytes)
{
    uint32_t key = remed_load32_little(bytes + 16), value = remed_load32_little(bytes + 20);
    return (struct remed_message){.key = bytes + REMED_SEGMENT_RECORD,
                                  .value = value != 0 ? bytes + REMED_SEGMENT_RECORD + key : NULL,
                                  .key_length = key,
                                  .value_length = value,
                                  .offset = remed_load64_little(bytes + 8)};
}

enum remed_segment_result remed_segment_read(const struct remed_crc *crc, const uint8_t *bytes,
                                             size_t length, struct remed_message *message,
                                             size_t *used)
{
    if (length < REMED_SEGMENT_RECORD)
        return REMED_SEGMENT_SHORT;
    size_t whole = record_length(bytes);
    if (whole == 0)
        return REMED_SEGMENT_DAMAGED;
    if (length < whole)
        return REMED_SEGMENT_SHORT;
    if (remed_crc_of(crc, bytes + 8, whole - 8) != remed_load32_little(bytes + 4))
        return REMED_SEGMENT_DAMAGED;
    *message = record_message(bytes);
    *used = whole;
    return REMED_SEGMENT_OK;
}

void remed_segment_search_begin(struct remed_segment_search *search, const struct remed_crc *crc,
                                const uint8_t *bytes, size_t length)
{
    search->crc = crc;
    search->bytes = bytes;
    search->length = length;
    search->known = 0;
    search->sums[0] = 0;
}

/* The checksum, begun with 0 and not inverted, of the bytes before that place. */
static uint32_t search_sum(struct remed_segment_search *search, size_t end)
{
    size_t sum = end / REMED_SEGMENT_SUM;
    for (; search->known < sum; search->known++)
        search->sums[search->known + 1] =
            crc_step(search->crc, search->sums[search->known],
                     search->bytes + search->known * REMED_SEGMENT_SUM, REMED_SEGMENT_SUM);
    return crc_step(search->crc, search->sums[sum], search->bytes + sum * REMED_SEGMENT_SUM,
                    end % REMED_SEGMENT_SUM);
}

/* remed_crc_of() of these bytes: what the sum of those before them becomes by as many zeros is
 * taken from the sum of all. */
static uint32_t search_crc(struct remed_segment_search *search, size_t begin, size_t length)
{
    if (length <= 2 * REMED_SEGMENT_SUM)
        return remed_crc_of(search->crc, search->bytes + begin, length);
    uint32_t before = search_sum(search, begin) ^ UINT32_MAX;
    for (unsigned k = 0; length >> k != 0; k++)
        if ((length >> k & 1) != 0)
            before = crc_times(before, search->crc->zeros[k]);
    return ~(search_sum(search, begin + length) ^ before);
}

enum remed_segment_result remed_segment_search_read(struct remed_segment_search *search, size_t at,
                                                    struct remed_message *message, size_t *used)
{
    const uint8_t *bytes = search->bytes + at;
    size_t left = search->length - at;
    if (left < REMED_SEGMENT_RECORD)
        return REMED_SEGMENT_SHORT;
    size_t whole = record_length(bytes);
    if (whole == 0)
        return REMED_SEGMENT_DAMAGED;
    if (left < whole)
        return REMED_SEGMENT_SHORT;
    if (search_crc(search, at + 8, whole - 8) != remed_load32_little(bytes + 4))
        return REMED_SEGMENT_DAMAGED;
    *message = record_message(bytes);
    *used = whole;
    return REMED_SEGMENT_OK;
}

/* The next place where the magic of a record is; the length when there is none. */
static size_t search_magic(const struct remed_segment_search *search, size_t at)
{
    for (at++; at + 4 <= search->length; at++)
        if (remed_load32_little(search->bytes + at) == RECORD_MAGIC)
            return at;
    return search->length;
}

size_t remed_segment_skip(struct remed_segment_search *search, size_t at)
{
    struct remed_message message;
    size_t begin = at, used;
    do
        at = search_magic(search, at);
    while (at < search->length &&
           remed_segment_search_read(search, at, &message, &used) == REMED_SEGMENT_DAMAGED);
    /* a magic may begin in the last three bytes */
    return at == search->length && at - begin > 3 ? at - 3 : at;
}

size_t remed_segment_find(struct remed_segment_search *search, size_t at, uint64_t least,
                          uint64_t most)
{
    struct remed_message message;
    size_t used;
    while ((at = search_magic(search, at)) < search->length) {
        if (search->length - at < REMED_SEGMENT_RECORD)
            continue;
        uint64_t offset = remed_load64_little(search->bytes + at + 8);
        if (offset >= least && offset <= most &&
            remed_segment_search_read(search, at, &message, &used) == REMED_SEGMENT_OK)
            break;
    }
    return at;
}

/* Whether the bytes are a record but for its lengths. */
static bool is_whole_with(const struct remed_crc *crc, const uint8_t *bytes, size_t length,
                          uint64_t key, uint64_t value)
{
    if (key == 0 || key > REMED_TRANSPORT_KEY_MAX || value > REMED_TRANSPORT_VALUE_MAX ||
        REMED_SEGMENT_RECORD + key + value != length)
        return false;
    uint8_t lengths[REMED_SEGMENT_RECORD];
    memcpy(lengths, bytes, sizeof lengths);
    store(lengths + 16, key, 4);
    store(lengths + 20, value, 4);
    uint32_t sum = crc_step(crc, UINT32_MAX, lengths + 8, sizeof lengths - 8);
    sum = ~crc_step(crc, sum, bytes + REMED_SEGMENT_RECORD, length - REMED_SEGMENT_RECORD);
    return sum == remed_load32_little(bytes + 4);
}

/* A record that ends where the bytes do, one of whose lengths is damaged: the other tells it. */
static bool is_whole_but_length(const struct remed_crc *crc, const uint8_t *bytes, size_t length)
{
    uint64_t key = remed_load32_little(bytes + 16), value = remed_load32_little(bytes + 20);
    uint64_t both = length - REMED_SEGMENT_RECORD;
    return (key <= both && is_whole_with(crc, bytes, length, key, both - key)) ||
           (value <= both && is_whole_with(crc, bytes, length, both - value, value));
}

bool remed_segment_is_torn(const struct remed_crc *crc, const uint8_t *bytes, size_t length,
                           uint64_t expected)
{
    uint8_t begins[16];
    struct remed_message message;
    size_t used;
    store(begins, RECORD_MAGIC, 4);
    store(begins + 8, expected, 8);
    if (memcmp(bytes, begins, length < 4 ? length : 4) != 0)
        return false;
    if (length > 8 && memcmp(bytes + 8, begins + 8, length < 16 ? length - 8 : 8) != 0)
        return false;
    if (length < REMED_SEGMENT_RECORD)
        return true; /* too short for any whole record */
    return remed_segment_read(crc, bytes, length, &message, &used) == REMED_SEGMENT_SHORT &&
           !is_whole_but_length(crc, bytes, length);
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int add_first(uint64_t **firsts, size_t *count, size_t *room, uint64_t first,
                     const struct remed_allocator *allocator)
{
    if (*count == *room) {
        size_t more = *room == 0 ? 16 : *room * 2;
        uint64_t *grown =
            remed_reallocate(allocator, *firsts, *room * sizeof **firsts, more * sizeof **firsts);
        if (grown == NULL)
            return REMED_ENOMEM;
        *firsts = grown;
        *room = more;
    }
    (*firsts)[(*count)++] = first;
    return 0;
}

/* Reads a folder to its end: an entry that can't be read is no end. */
static int list_entries(DIR *open, uint64_t **firsts, size_t *count, size_t *room,
                        const struct remed_allocator *allocator)
{
    const struct dirent *entry;
    uint64_t first;
    int rc = 0;
    while (rc == 0) {
        errno = 0;
        entry = readdir(open);
        if (entry == NULL)
            return errno == 0 ? 0 : REMED_EIO;
        if (remed_segment_parse_name(entry->d_name, &first))
            rc = add_first(firsts, count, room, first, allocator);
    }
    return rc;
}

int remed_segment_list(int folder, uint64_t **firsts, size_t *count, size_t *room,
                       const struct remed_allocator *allocator)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *open = fd >= 0 ? fdopendir(fd) : NULL;
    *count = 0;
    if (open == NULL) {
        int number = errno;
        if (fd >= 0)
            close(fd);
        errno = number;
        return REMED_EIO;
    }
    int rc = list_entries(open, firsts, count, room, allocator), number = errno;
    closedir(open);
    if (*count > 1)
        qsort(*firsts, *count, sizeof **firsts, by_number);
    errno = number;
    return rc;
}
