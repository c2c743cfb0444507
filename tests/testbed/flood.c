/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Floods for a live mirror, and what of the established flows arrives behind it.
 *
 *   flood send INTERFACE KIND RATE SECONDS FLOWS INTERVAL
 *     FLOWS TCP connections of 192.168.x.y, each with a packet each way every INTERVAL seconds, and
 * a flood of RATE packets a second from random sources. KIND: none syn ack null fin rst udp icmp
 * sctp syn-ack (a SYN and, from the same side, an ACK) flood receive INTERFACE SECONDS STALE counts
 * what arrives; of each flow of 192.168.x.y and direction the longest time without a copy, and of
 * all the share that was longer than STALE seconds
 *
 * Threads: one.
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define FRAME 60u
#define MOST_FLOWS 65536u
#define NS 1000000000ull

static const uint32_t server = 0x0a090001, first_client = 0xc0a80000;

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * NS + (uint64_t)time.tv_nsec;
}

static int open_interface(const char *name, int protocol)
{
    int fd = socket(AF_PACKET, SOCK_RAW, protocol);
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_protocol = (unsigned short)protocol,
                                  .sll_ifindex = (int)if_nametoindex(name)};
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        perror(name);
        exit(1);
    }
    return fd;
}

static void store16(uint8_t *to, unsigned value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static void store32(uint8_t *to, uint32_t value)
{
    store16(to, value >> 16);
    store16(to + 2, value & 0xffff);
}

static uint32_t sum_words(const uint8_t *bytes, size_t length)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < length; i += 2)
        sum += (unsigned)bytes[i] << 8 | bytes[i + 1];
    return sum;
}

static unsigned fold(uint32_t sum)
{
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}

static struct {
    int fd;
    uint8_t bytes[BATCH][FRAME];
    struct mmsghdr message[BATCH];
    struct iovec part[BATCH];
    unsigned held;
    uint64_t sent, refused;
} out;

static void flush(void)
{
    for (unsigned done = 0; done < out.held;) {
        int got = sendmmsg(out.fd, out.message + done, out.held - done, 0);
        if (got <= 0)
            out.refused++;
        done += got > 0 ? (unsigned)got : 1;
    }
    out.sent += out.held;
    out.held = 0;
}

struct packet {
    uint32_t source, destination;
    unsigned protocol, source_port, destination_port, flags;
    uint32_t sequence, ack;
};

static void write_transport(uint8_t *to, const struct packet *packet)
{
    store16(to, packet->source_port);
    store16(to + 2, packet->destination_port);
    switch (packet->protocol) {
    case 6:
        store32(to + 4, packet->sequence);
        store32(to + 8, packet->ack);
        to[12] = 0x50;
        to[13] = (uint8_t)packet->flags;
        store16(to + 14, 0xffff);
        break;
    case 17:
        store16(to + 4, 20);
        break;
    case 132: /* INIT, unless told otherwise */
        to[12] = 1;
        store16(to + 14, 8);
        break;
    default: /* ICMP: echo request, identifier */
        store16(to, 0x0800);
        store16(to + 4, packet->source_port);
    }
}

static void put(const struct packet *packet)
{
    uint8_t *frame = out.bytes[out.held], *ip = frame + 14;
    memset(frame, 0, FRAME);
    memcpy(frame, "\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\0", 14);
    ip[0] = 0x45;
    store16(ip + 2, 40);
    ip[8] = 64;
    ip[9] = (uint8_t)packet->protocol;
    store32(ip + 12, packet->source);
    store32(ip + 16, packet->destination);
    store16(ip + 10, fold(sum_words(ip, 20)));
    write_transport(ip + 20, packet);
    if (packet->protocol == 6)
        store16(ip + 36, fold(sum_words(ip + 12, 28) + 6 + 20));
    out.part[out.held] = (struct iovec){.iov_base = frame, .iov_len = FRAME};
    out.message[out.held].msg_hdr =
        (struct msghdr){.msg_iov = &out.part[out.held], .msg_iovlen = 1};
    if (++out.held == BATCH)
        flush();
}

static uint32_t next_random(void)
{
    static uint64_t state = 88172645463325252ull;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

static void put_flood(const char *kind)
{
    static const struct {
        const char *name;
        unsigned protocol, flags;
    } kinds[] = {{"syn", 6, 0x02}, {"ack", 6, 0x10}, {"null", 6, 0},
                 {"fin", 6, 0x01}, {"rst", 6, 0x04}, {"udp", 17, 0},
                 {"icmp", 1, 0},   {"sctp", 132, 0}, {"syn-ack", 6, 0x02}};
    struct packet packet = {.source = next_random(),
                            .destination = server,
                            .source_port = 1024 + next_random() % 60000,
                            .destination_port = 443,
                            .sequence = next_random(),
                            .ack = next_random()};
    if (packet.source >> 16 == first_client >> 16)
        packet.source ^= 1u << 24;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kind, kinds[i].name) == 0) {
            packet.protocol = kinds[i].protocol;
            packet.flags = kinds[i].flags;
        }
    if ((packet.flags & 0x10) == 0)
        packet.ack = 0;
    put(&packet);
    if (strcmp(kind, "syn-ack") != 0)
        return;
    packet.flags = 0x10;
    packet.sequence++;
    packet.ack = next_random();
    put(&packet);
}

static void put_established(uint32_t number, unsigned flags, bool answers, uint32_t sequence,
                            uint32_t ack)
{
    uint32_t client = first_client + number;
    struct packet packet = {.source = answers ? server : client,
                            .destination = answers ? client : server,
                            .protocol = 6,
                            .source_port = answers ? 443 : 2000,
                            .destination_port = answers ? 2000 : 443,
                            .flags = flags,
                            .sequence = sequence,
                            .ack = ack};
    put(&packet);
}

static void open_flows(uint32_t flows)
{
    for (uint32_t i = 0; i < flows; i++) {
        put_established(i, 0x02, false, 100, 0);
        put_established(i, 0x12, true, 500, 101);
        put_established(i, 0x10, false, 101, 501);
        if (i % 64 == 63) {
            flush();
            usleep(1000);
        }
    }
    flush();
}

static int send_all(char **argv)
{
    const char *kind = argv[3];
    double rate = atof(argv[4]), seconds = atof(argv[5]), interval = atof(argv[7]);
    uint32_t flows = (uint32_t)strtoul(argv[6], NULL, 10);
    out.fd = open_interface(argv[2], 0);
    open_flows(flows);
    uint64_t begun = now_ns(), turns = 0, flood = 0;
    for (;;) {
        double time = (double)(now_ns() - begun) / NS;
        if (time > seconds)
            break;
        for (; flows > 0 && (double)turns * interval / flows <= time; turns++) {
            put_established((uint32_t)(turns % flows), 0x18, false, 101, 501);
            put_established((uint32_t)(turns % flows), 0x10, true, 501, 101);
        }
        bool is_flooding = strcmp(kind, "none") != 0 && (double)flood < rate * time;
        for (unsigned i = 0; is_flooding && i < 32; i++, flood++)
            put_flood(kind);
        if (!is_flooding) {
            flush();
            usleep(100);
        }
    }
    flush();
    printf("sent %llu, flood %.0f a second, refused %llu\n", (unsigned long long)out.sent,
           (double)flood / seconds, (unsigned long long)out.refused);
    return 0;
}

static uint64_t last[MOST_FLOWS][2], longest[MOST_FLOWS][2];

static void note_arrival(const uint8_t *frame, size_t length, uint64_t time, uint64_t *others)
{
    for (unsigned answers = 0; length >= 34 && answers < 2; answers++) {
        const uint8_t *client = frame + (answers ? 30 : 26);
        if (client[0] != 192 || client[1] != 168)
            continue;
        unsigned number = (unsigned)client[2] << 8 | client[3];
        uint64_t *at = &last[number][answers], *most = &longest[number][answers];
        if (*at != 0 && time - *at > *most)
            *most = time - *at;
        *at = time;
        return;
    }
    (*others)++;
}

static int receive_all(char **argv)
{
    static uint8_t frame[65536];
    uint64_t end = now_ns() + (uint64_t)(atof(argv[3]) * NS),
             stale = (uint64_t)(atof(argv[4]) * NS);
    uint64_t arrived = 0, others = 0, known = 0, gone = 0;
    int fd = open_interface(argv[2], htons(0x0003));
    int room = 64 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    while (now_ns() < end) {
        if (poll(&wait, 1, 100) <= 0)
            continue;
        ssize_t got = recv(fd, frame, sizeof frame, 0);
        if (got <= 0)
            continue;
        arrived++;
        note_arrival(frame, (size_t)got, now_ns(), &others);
    }
    struct tpacket_stats stats = {0};
    socklen_t size = sizeof stats;
    getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size);
    for (unsigned i = 0; i < MOST_FLOWS; i++)
        for (unsigned answers = 0; answers < 2; answers++) {
            if (last[i][answers] == 0)
                continue;
            known++;
            gone += longest[i][answers] > stale || end - last[i][answers] > stale;
        }
    printf("arrived %llu, others %llu, directions %llu, stale %llu, receiver's drops %u\n",
           (unsigned long long)arrived, (unsigned long long)others, (unsigned long long)known,
           (unsigned long long)gone, stats.tp_drops);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 8 && strcmp(argv[1], "send") == 0)
        return send_all(argv);
    if (argc == 5 && strcmp(argv[1], "receive") == 0)
        return receive_all(argv);
    fputs("usage: flood send INTERFACE KIND RATE SECONDS FLOWS INTERVAL | receive INTERFACE "
          "SECONDS STALE\n",
          stderr);
    return 2;
}
