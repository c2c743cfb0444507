/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes a capture for the benchmarks: N packets of F flows (three in four TCP with handshake, the
 * rest UDP), sizes in the proportions of IMIX, always the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put16(uint8_t *to, unsigned value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static uint64_t random_state = 88172645463325252ull;

static uint64_t draw(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static unsigned draw_size(void)
{
    static const unsigned sizes[12] = {64, 64, 64, 64, 64, 64, 64, 594, 594, 594, 594, 1518};
    return sizes[draw() % 12];
}

static void build(uint8_t *frame, unsigned size, uint32_t flow, uint32_t nth)
{
    unsigned tcp = flow % 4 != 0, reply = nth & 1;
    uint8_t client[4] = {10, (uint8_t)(flow >> 16), (uint8_t)(flow >> 8), (uint8_t)flow};
    const uint8_t server[4] = {192, 0, 2, (uint8_t)(flow % 200)};
    static const uint8_t ethernet[14] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0};
    memcpy(frame, ethernet, sizeof ethernet);
    frame[14] = 0x45;
    put16(frame + 16, size - 14);
    frame[22] = 64;
    frame[23] = tcp ? 6 : 17;
    memcpy(frame + 26, reply ? server : client, 4);
    memcpy(frame + 30, reply ? client : server, 4);
    put16(frame + 34, reply ? 443 : 1024 + flow % 50000);
    put16(frame + 36, reply ? 1024 + flow % 50000 : 443);
    if (tcp) {
        frame[45] = nth == 0 ? 0 : 1; /* acknowledges the other side's SYN, whose number is 0 */
        frame[46] = 0x50;
        frame[47] = nth == 0 ? 0x02 : nth == 1 ? 0x12 : 0x10;
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: make_capture FILE PACKETS FLOWS\n");
        return 2;
    }
    unsigned long packets = strtoul(argv[2], NULL, 10), flows = strtoul(argv[3], NULL, 10);
    FILE *out = fopen(argv[1], "wb");
    uint32_t *seen = calloc(flows > 0 ? flows : 1, sizeof *seen);
    if (out == NULL || seen == NULL || flows == 0)
        return 1;
    const uint32_t header[6] = {0xa1b2c3d4, 4u << 16 | 2, 0, 0, 262144, 1};
    fwrite(header, sizeof header, 1, out);
    static uint8_t frame[1518];
    for (unsigned long i = 0; i < packets; i++) {
        uint32_t flow = (uint32_t)(draw() % flows), nth = seen[flow]++;
        unsigned size = nth < 3 && flow % 4 != 0 ? 64 : draw_size();
        build(frame, size, flow, nth);
        const uint32_t record[4] = {1700000000u + (uint32_t)(i / 500000),
                                    (uint32_t)(i % 500000) * 2, size, size};
        fwrite(record, sizeof record, 1, out);
        fwrite(frame, size, 1, out);
    }
    free(seen);
    return fclose(out) == 0 ? 0 : 1;
}
