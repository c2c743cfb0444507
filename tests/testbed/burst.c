/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * burst INTERFACE PACKETS SIZE GAP_US: that many SYNs, each of a flow of its own, in bursts of
 * SIZE, GAP_US apart. Prints how many the kernel took.
 *
 * Threads: one.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define FRAME 60u
#define AT_ONCE 64u

static uint8_t frames[AT_ONCE][FRAME];
static struct mmsghdr messages[AT_ONCE];
static struct iovec vectors[AT_ONCE];

static void make_frame(uint8_t *frame, uint32_t number)
{
    static const uint8_t start[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 40};
    memset(frame, 0, FRAME);
    memcpy(frame, start, sizeof start);
    frame[22] = 64;
    frame[23] = 6;
    const uint32_t from = htonl(0x0a000000 | (number >> 8)), to = htonl(0xc6336401);
    memcpy(frame + 26, &from, 4);
    memcpy(frame + 30, &to, 4);
    const uint16_t ports[2] = {htons((uint16_t)(1024 + (number & 255))), htons(443)};
    memcpy(frame + 34, ports, 4);
    frame[46] = 0x50;
    frame[47] = 2;
}

/* A gap is a gap: after a delay the bursts do not catch up. */
static void wait_us(long gap_us)
{
    const struct timespec gap = {gap_us / 1000000, gap_us % 1000000 * 1000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &gap, NULL);
}

static unsigned send_burst(int fd, uint32_t *number, uint32_t size)
{
    unsigned sent = 0;
    for (uint32_t done = 0; done < size;) {
        unsigned count = size - done < AT_ONCE ? size - done : AT_ONCE;
        for (unsigned i = 0; i < count; i++) {
            make_frame(frames[i], (*number)++);
            vectors[i] = (struct iovec){frames[i], FRAME};
            messages[i].msg_hdr.msg_iov = &vectors[i];
            messages[i].msg_hdr.msg_iovlen = 1;
        }
        int got = sendmmsg(fd, messages, count, 0);
        sent += got > 0 ? (unsigned)got : 0;
        done += count;
    }
    return sent;
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return fprintf(stderr, "usage: burst INTERFACE PACKETS SIZE GAP_US\n"), 2;
    const uint32_t packets = (uint32_t)atol(argv[2]), size = (uint32_t)atol(argv[3]);
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_ifindex = (int)if_nametoindex(argv[1])};
    if (fd < 0 || bind(fd, (struct sockaddr *)(void *)&address, sizeof address) < 0)
        return perror(argv[1]), 1;
    uint32_t number = 0;
    unsigned long sent = 0;
    while (number < packets) {
        sent += send_burst(fd, &number, packets - number < size ? packets - number : size);
        wait_us(atol(argv[4]));
    }
    printf("%lu\n", sent);
    return 0;
}
