/* SPDX-License-Identifier: BSD-3-Clause */
/* The Internet checksum (RFC 1071) and SCTP's CRC32c (RFC 9260). Threads: no state. */
#ifndef REMED_PCAP_CHECKSUM_H
#define REMED_PCAP_CHECKSUM_H

#include "base/base.h"

/* Adds bytes to a sum in network order; only the last part may have an odd length. */
static inline uint64_t remed_checksum_add(uint64_t sum, const uint8_t *data, size_t length)
{
    for (; length >= 4; data += 4, length -= 4)
        sum += remed_load32(data);
    if (length >= 2)
        sum += (uint32_t)remed_load16(data) << 16;
    if ((length & 1) != 0)
        sum += (uint32_t)data[length - 1] << ((length & 2) != 0 ? 8 : 24);
    return sum;
}

static inline uint16_t remed_checksum_end(uint64_t sum)
{
    sum = (sum >> 32) + (sum & UINT32_MAX);
    sum = (sum >> 32) + (sum & UINT32_MAX);
    sum = (sum >> 16) + (sum & UINT16_MAX);
    sum = (sum >> 16) + (sum & UINT16_MAX);
    sum = (sum >> 16) + (sum & UINT16_MAX);
    return (uint16_t)~sum;
}

/* Little-endian in the packet. */
static inline uint32_t remed_crc32c(const uint8_t *data, size_t length)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return ~crc;
}

#endif
