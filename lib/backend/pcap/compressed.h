/* SPDX-License-Identifier: BSD-3-Clause */
/* Packed captures, told by their first bytes: they are not read here, but named with what unpacks
 * them. Threads: no state. */
#ifndef REMED_PCAP_COMPRESSED_H
#define REMED_PCAP_COMPRESSED_H

#include "base/base.h"

struct remed_compression {
    uint8_t magic[4];
    uint8_t length;
    const char *name, *unpack;
};

/* NULL: none that is known. */
static inline const struct remed_compression *remed_compression_of(const uint8_t start[4])
{
    static const struct remed_compression known[] = {
        {{0x1f, 0x8b}, 2, "gzip", "zcat"},
        {{0x1f, 0x9d}, 2, "compress", "zcat"},
        {{0x28, 0xb5, 0x2f, 0xfd}, 4, "zstd", "zstdcat"},
        {{0xfd, '7', 'z', 'X'}, 4, "xz", "xzcat"},
        {{0x5d, 0, 0}, 3, "lzma", "xzcat"},
        {{'B', 'Z', 'h'}, 3, "bzip2", "bzcat"},
        {{0x04, 0x22, 0x4d, 0x18}, 4, "lz4", "lz4cat"},
        {{0x89, 'L', 'Z', 'O'}, 4, "lzop", "lzop -dc"},
        {{'L', 'Z', 'I', 'P'}, 4, "lzip", "lzip -dc"},
        {{'P', 'K', 3, 4}, 4, "zip", "unzip -p"},
        {{'7', 'z', 0xbc, 0xaf}, 4, "7-Zip", "7z x -so"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (memcmp(start, known[i].magic, known[i].length) == 0)
            return &known[i];
    return NULL;
}

#endif
