/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Floods of strangers against a filter with a full flow table, in virtual time. Established flows
 * talk every 5 s; meanwhile 60 s of one flood renew the whole table once a second. Wanted: no
 * established flow is evicted, and `refresh` copies what it copies without the flood; under `limit`
 * as well. Also, a flow that comes back after it was evicted is refreshed.
 *
 *     floods_check [FLOWS]     size of the table, and the flood's packets a second; default 512
 */
#include <remediate/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000ull
#define BATCH 32u
#define FRAME 80u
#define DURATION 60u
#define PERIOD 5u /* s between two packets of an established flow, each way */

#define FIN 1u
#define SYN 2u
#define RST 4u
#define ACK 16u

enum { ICMP = 1, TCP = 6, UDP = 17, DCCP = 33, GRE = 47, SCTP = 132 };

/* One stranger's packets, each with a direction: 0 from the stranger. */
struct step {
    unsigned reply, protocol, kind; /* kind: TCP flags, SCTP's chunk, ICMP's or DCCP's type */
};

static const struct flood {
    const char *name;
    struct step steps[4];
    unsigned count;
} floods[] = {
    {"none", {{0, 0, 0}}, 0},
    {"SYN", {{0, TCP, SYN}}, 1},
    {"ACK", {{0, TCP, ACK}}, 1},
    {"null", {{0, TCP, 0}}, 1},
    {"FIN", {{0, TCP, FIN}}, 1},
    {"RST", {{0, TCP, RST}}, 1},
    {"SYN+ACK", {{0, TCP, SYN | ACK}}, 1},
    {"UDP", {{0, UDP, 0}}, 1},
    {"ICMP", {{0, ICMP, 8}}, 1},
    {"SCTP", {{0, SCTP, 0}}, 1},
    {"SCTP INIT", {{0, SCTP, 1}}, 1},
    {"DCCP", {{0, DCCP, 0}}, 1},
    {"GRE", {{0, GRE, 0}}, 1},
    {"SYN, then ACK", {{0, TCP, SYN}, {0, TCP, ACK}}, 2},
    {"SYN, then FIN", {{0, TCP, SYN}, {0, TCP, FIN | ACK}}, 2},
    {"ACK twice", {{0, TCP, ACK}, {0, TCP, ACK}}, 2},
    {"UDP twice", {{0, UDP, 0}, {0, UDP, 0}}, 2},
    {"SYN, answered", {{0, TCP, SYN}, {1, TCP, SYN | ACK}}, 2},
    {"SYN, answered, wrong ACK", {{0, TCP, SYN}, {1, TCP, SYN | ACK}, {0, TCP, ACK}}, 3},
    {"SYN, reset", {{0, TCP, SYN}, {1, TCP, RST | ACK}}, 2},
    {"ACK, reset", {{0, TCP, ACK}, {1, TCP, RST}}, 2},
    {"ICMP, answered", {{0, ICMP, 8}, {1, ICMP, 0}}, 2},
    {"UDP, answered", {{0, UDP, 0}, {1, UDP, 0}}, 2},
};

struct world {
    struct remed_filter *filter;
    uint8_t frames[BATCH][FRAME];
    struct remed_packet packets[BATCH];
    struct remed_verdict verdicts[BATCH];
    bool ours[BATCH]; /* of an established flow */
    size_t waiting;
    uint64_t random, refreshes, copies, restarted;
    uint64_t last_time;
    uint32_t flows;
};

static uint32_t draw(struct world *world)
{
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return (uint32_t)(world->random >> 16);
}

static void put32(uint8_t *to, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void put16(uint8_t *to, uint32_t value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static void flush(struct world *world)
{
    remed_filter_run(world->filter, world->packets, world->waiting, world->verdicts);
    for (size_t i = 0; i < world->waiting; i++)
        if (world->ours[i]) {
            world->refreshes += world->verdicts[i].reason == REMED_REASON_REFRESH;
            world->copies += world->verdicts[i].copy;
            world->restarted += world->verdicts[i].new_flow;
        }
    world->waiting = 0;
}

struct sent {
    uint64_t time;
    uint32_t client, sequence, ack;
    unsigned port, reply, protocol, kind;
    bool ours;
};

static void write_transport(uint8_t *to, const struct sent *sent)
{
    put16(to, sent->reply ? 443 : sent->port);
    put16(to + 2, sent->reply ? sent->port : 443);
    if (sent->protocol == TCP) {
        put32(to + 4, sent->sequence);
        put32(to + 8, sent->ack);
        to[12] = 0x50;
        to[13] = (uint8_t)sent->kind;
    } else if (sent->protocol == ICMP) {
        put16(to, sent->kind << 8);
        put16(to + 4, sent->port);
    } else if (sent->protocol == SCTP) {
        to[12] = (uint8_t)sent->kind;
        put16(to + 14, 20);
        put32(to + 16, sent->sequence);
    } else if (sent->protocol == DCCP) {
        to[4] = 4;
        to[8] = (uint8_t)(sent->kind << 1 | 1);
        put32(to + 12, sent->sequence);
    }
}

static void transmit(struct world *world, const struct sent *sent)
{
    static uint16_t identification;
    uint8_t *ip = world->frames[world->waiting];
    memset(ip, 0, FRAME);
    ip[0] = 0x45;
    put16(ip + 2, 60);
    put16(ip + 4, ++identification);
    ip[8] = 64;
    ip[9] = (uint8_t)sent->protocol;
    put32(ip + (sent->reply ? 16 : 12), sent->client);
    put32(ip + (sent->reply ? 12 : 16), 0x0a090001);
    write_transport(ip + 20, sent);
    world->ours[world->waiting] = sent->ours;
    world->packets[world->waiting] = (struct remed_packet){
        .data = ip, .captured = 60, .wire = 60, .time = sent->time, .link_type = REMED_LINK_RAW};
    if (++world->waiting == BATCH)
        flush(world);
}

/* Established flows are TCP, UDP and ICMP by turns. */
static void talk(struct world *world, uint32_t flow, uint64_t time)
{
    static const unsigned protocols[] = {TCP, TCP, UDP, ICMP};
    struct sent there = {.time = time,
                         .client = 0xc0a80000 + flow,
                         .port = 2000,
                         .protocol = protocols[flow % 4],
                         .sequence = 101,
                         .ack = 501,
                         .ours = true};
    struct sent back = there;
    back.reply = 1;
    there.kind = there.protocol == ICMP ? 8 : ACK;
    back.kind = there.protocol == ICMP ? 0 : ACK;
    back.sequence = 501;
    back.ack = 101;
    transmit(world, &there);
    transmit(world, &back);
}

static void establish(struct world *world, uint32_t flow, uint64_t time)
{
    if (flow % 4 > 1) {
        talk(world, flow, time);
        return;
    }
    struct sent sent = {.time = time,
                        .client = 0xc0a80000 + flow,
                        .port = 2000,
                        .protocol = TCP,
                        .sequence = 100,
                        .kind = SYN,
                        .ours = true};
    transmit(world, &sent);
    sent.reply = 1, sent.kind = SYN | ACK, sent.sequence = 500, sent.ack = 101;
    transmit(world, &sent);
    sent.reply = 0, sent.kind = ACK, sent.sequence = 101, sent.ack = 501;
    transmit(world, &sent);
}

static void strike(struct world *world, const struct flood *flood, uint64_t time)
{
    uint32_t client = draw(world);
    if (client >> 16 == 0xc0a8)
        client ^= 0x01000000;
    unsigned port = 1024 + draw(world) % 60000;
    for (unsigned i = 0; i < flood->count; i++) {
        const struct step *step = &flood->steps[i];
        struct sent sent = {.time = time + i,
                            .client = client,
                            .port = port,
                            .reply = step->reply,
                            .protocol = step->protocol,
                            .kind = step->kind,
                            .sequence = draw(world),
                            .ack = draw(world)};
        transmit(world, &sent);
    }
}

static void open_world(struct world *world, uint32_t flows, const char *text)
{
    struct remed_filter_opts opts;
    struct remed_policy *policy = NULL;
    struct remed_error error;
    memset(world, 0, sizeof *world);
    world->random = 88172645463325252ull;
    world->flows = flows;
    remed_filter_opts_init(&opts, sizeof opts);
    opts.max_flows = flows;
    if (remed_policy_parse(&policy, NULL, text, strlen(text), &error) < 0 ||
        remed_filter_new(&world->filter, policy, &opts, &error) < 0) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    remed_policy_free(policy);
}

/* `established` flows and a flood that renews the table once a second. */
static void live(struct world *world, const struct flood *flood, uint32_t established)
{
    for (uint32_t i = 0; i < established; i++)
        establish(world, i, SECOND + i * SECOND / established);
    for (uint32_t i = 0; i < established; i++) /* one exchange alone is what a flood may have */
        talk(world, i, 2 * SECOND + i * SECOND / established);
    const uint64_t begin = 3 * SECOND, packets = (uint64_t)world->flows * DURATION;
    uint64_t next = 0, events = (uint64_t)established * DURATION / PERIOD;
    for (uint64_t i = 0; i < packets; i++) {
        uint64_t time = begin + i * SECOND / world->flows;
        for (; next < events && begin + next * PERIOD * SECOND / established <= time; next++)
            talk(world, (uint32_t)(next % established),
                 begin + next * PERIOD * SECOND / established);
        if (flood->count > 0)
            strike(world, flood, time);
    }
    flush(world);
}

struct outcome {
    uint64_t refreshes, restarted;
    struct remed_flow_stats stats;
};

static struct outcome run(const struct flood *flood, uint32_t flows, uint32_t established,
                          const char *policy)
{
    struct world *world = malloc(sizeof *world);
    struct outcome outcome;
    if (world == NULL)
        exit(1);
    open_world(world, flows, policy);
    live(world, flood, established);
    outcome.refreshes = world->refreshes;
    outcome.restarted = world->restarted - established;
    remed_filter_flow_stats(world->filter, &outcome.stats, sizeof outcome.stats);
    remed_filter_free(world->filter);
    free(world);
    return outcome;
}

static unsigned check_floods(uint32_t flows, unsigned percent, const char *policy)
{
    uint32_t established = (uint32_t)((uint64_t)flows * percent / 100);
    const size_t count = sizeof floods / sizeof *floods;
    uint64_t wanted = 0;
    unsigned bad = 0;
    for (size_t i = 0; i < count; i++) {
        struct outcome got = run(&floods[i], flows, established, policy);
        wanted = i == 0 ? got.refreshes : wanted;
        bool right = wanted > 0 && got.restarted == 0 && got.refreshes * 100 >= wanted * 99;
        bad += !right;
        printf("%-26s %3u %%: %llu of %u established flows were lost, %llu of %llu refreshes%s\n",
               floods[i].name, percent, (unsigned long long)got.restarted, established,
               (unsigned long long)got.refreshes, (unsigned long long)wanted,
               right ? "" : "  WRONG");
    }
    return bad;
}

/* More live flows than the table has room for: each comes back as one picked up midway. */
static unsigned check_comeback(void)
{
    struct world *world = malloc(sizeof *world);
    if (world == NULL)
        exit(1);
    open_world(world, 64, "any : handshake, close, refresh 10s");
    for (uint32_t i = 0; i < 4000; i++)
        talk(world, i % 100 * 4, SECOND + i * SECOND / 20); /* TCP: each one every 5 s */
    flush(world);
    bool right = world->refreshes >= 1000;
    printf("100 live flows in a table of 64: %llu refreshes%s\n",
           (unsigned long long)world->refreshes, right ? "" : "  WRONG");
    remed_filter_free(world->filter);
    free(world);
    return !right;
}

int main(int argc, char **argv)
{
    static const unsigned fills[] = {10, 50, 90, 98};
    uint32_t flows = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 512;
    char limited[160];
    unsigned bad = 0;
    if (flows < 256 || flows > 1u << 22) {
        fprintf(stderr, "usage: floods_check [FLOWS]: 256 to 4194304\n");
        return 2;
    }
    for (unsigned i = 0; i < sizeof fills / sizeof *fills; i++)
        bad += check_floods(flows, fills[i], "preset nat");
    /* Room for twice the refreshes, and for a tenth of the flood. */
    snprintf(limited, sizeof limited, "preset nat\nlimit %ukbit\n", flows * 3 / 20 + 64);
    bad += check_floods(flows, 50, limited);
    bad += check_comeback();
    return bad > 0;
}
