/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Classes, their rings, and making room. At most 20 flows are looked at for one that goes.
 *
 * Threads: belongs to the table's thread.
 */
#include "flow/evict.h"

#define CHOICE 16u                        /* flows looked at in the ring that gives one up */
#define CLOSED_REST (60 * REMED_NS_PER_S) /* a closed flow may prove to live for so long */
#define SILENCE (3 * REMED_NS_PER_S)      /* of a connection, from which on it is taken to wait */
#define SWEEP 2u /* of those that talked both ways, looked at for idle ones */

void remed_flow_enlist(struct remed_flow_table *table, uint32_t number, unsigned class)
{
    struct remed_flow_list *list = &table->lists[class];
    struct remed_flow_link *links = table->links, *link = &links[number];
    if (list->count++ == 0)
        list->head = link->next = number;
    uint32_t first = list->head;
    uint32_t last = first == number ? number : links[first].previous;
    link->class = class & 15;
    link->next = first;
    link->previous = last & (REMED_FLOW_MAX - 1);
    links[last].next = number;
    links[first].previous = number & (REMED_FLOW_MAX - 1);
}

void remed_flow_delist(struct remed_flow_table *table, uint32_t number)
{
    struct remed_flow_link *links = table->links, *link = &links[number];
    struct remed_flow_list *list = &table->lists[link->class];
    links[link->previous].next = link->next;
    links[link->next].previous = link->previous;
    if (list->head == number)
        list->head = link->next;
    list->count--;
}

/* The oldest becomes the youngest. */
static uint32_t rotate(struct remed_flow_table *table, unsigned class)
{
    struct remed_flow_list *list = &table->lists[class];
    uint32_t number = list->head;
    list->head = table->links[number].next;
    return number;
}

static bool is_idle(const struct remed_flow_table *table, uint32_t number, uint64_t now)
{
    return remed_flow_record_expired(table, &table->records[number], now);
}

/* An idle one among the next few that talked both ways, or no flow. */
static uint32_t idle_one(struct remed_flow_table *table, unsigned class, uint64_t now)
{
    for (unsigned i = 0; i < SWEEP && i < table->lists[class].count; i++) {
        uint32_t number = rotate(table, class);
        if (is_idle(table, number, now))
            return number;
    }
    return REMED_NO_FLOW;
}

/* One that never expires goes after all that do: the longest idle of them first. */
static uint64_t time_left(const struct remed_flow_table *table, uint32_t number, uint64_t now)
{
    const struct remed_flow_record *record = &table->records[number];
    uint64_t limit = table->timeout[record->timeout];
    int64_t since = remed_clock_since(record->last_seen, now);
    uint64_t idle = since > 0 ? (uint64_t)since : 0;
    if (limit == INT64_MAX)
        return UINT64_MAX - 1 - idle;
    return limit > idle ? limit - idle : 0;
}

/* Among the next of those that talked both ways, the one that would expire first. */
static uint32_t nearest_end(struct remed_flow_table *table, unsigned class, uint64_t now)
{
    uint32_t victim = REMED_NO_FLOW;
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < CHOICE && i < table->lists[class].count; i++) {
        uint32_t number = rotate(table, class);
        uint64_t left = time_left(table, number, now);
        if (left < least) {
            victim = number;
            least = left;
        }
    }
    return victim;
}

static bool is_single(const struct remed_flow_table *table, uint32_t number)
{
    const struct remed_flow_record *record = &table->records[number];
    return remed_flow_record_packets(record, 0) + remed_flow_record_packets(record, 1) <= 1;
}

/* The oldest of a ring of newcomers, or of those that are closed. One-way flows that sent more than
 * one packet get a second chance, as a tap may see one direction only of what it should. */
static uint32_t oldest(struct remed_flow_table *table, unsigned class, uint64_t now)
{
    uint32_t count = table->lists[class].count;
    for (unsigned i = 0; i < CHOICE && i < count; i++) {
        uint32_t number = table->lists[class].head;
        if (class != REMED_CLASS_ONE_WAY || is_single(table, number) || is_idle(table, number, now))
            return number;
        rotate(table, class);
    }
    return nearest_end(table, class, now);
}

/* The class that gives one up. */
static unsigned longest(const struct remed_flow_table *table)
{
    const struct remed_flow_list *lists = table->lists;
    unsigned class = REMED_CLASS_ENDED;
    uint32_t newcomers = 0;
    for (unsigned i = REMED_CLASS_ONE_WAY; i <= REMED_CLASS_ENDED; i++) {
        newcomers += lists[i].count;
        if (lists[i].count > lists[class].count)
            class = i;
    }
    if (newcomers >= table->newcomers)
        return class;
    if (lists[REMED_CLASS_CLOSED].count > 0)
        return REMED_CLASS_CLOSED;
    bool has_share = lists[REMED_CLASS_EXCHANGED].count >= table->newcomers;
    return has_share || lists[REMED_CLASS_ESTABLISHED].count == 0 ? REMED_CLASS_EXCHANGED
                                                                  : REMED_CLASS_ESTABLISHED;
}

static bool has_rested(const struct remed_flow_table *table, uint32_t number, uint64_t now)
{
    return is_idle(table, number, now) ||
           remed_clock_is_due(table->records[number].last_seen, now, CLOSED_REST);
}

/* The flow that was closed first of those that were established, if that is long ago. One that is
 * not left alone stands in the way of no other. */
static uint32_t closed_one(struct remed_flow_table *table, uint64_t now)
{
    const struct remed_flow_list *list = &table->lists[REMED_CLASS_CLOSED];
    for (unsigned i = 0; i < SWEEP && i < list->count; i++) {
        uint32_t first = list->head, second = table->links[first].next;
        if (has_rested(table, first, now))
            return first;
        if (remed_clock_since(table->records[second].last_seen, table->records[first].last_seen) <=
            0)
            break;
        rotate(table, REMED_CLASS_CLOSED);
    }
    return REMED_NO_FLOW;
}

/* The handshake of a connection, long enough ago that no flood fills the ring in that time. */
static bool is_old_handshake(const struct remed_flow_table *table, uint32_t number, uint64_t now)
{
    const struct remed_flow_record *record = &table->records[number];
    return record->state == REMED_FLOW_OPEN &&
           remed_flow_record_protocol(record) == REMED_IPPROTO_TCP &&
           remed_clock_is_due(record->last_seen, now, SILENCE);
}

/* The oldest of those that exchanged no more than a question and an answer, past at most `most`
 * connections that were there before their like came in numbers: those count as established. So a
 * flood of handshakes evicts itself, and no connection that waits. */
static uint32_t oldest_exchange(struct remed_flow_table *table, uint64_t now, unsigned most)
{
    const struct remed_flow_list *list = &table->lists[REMED_CLASS_EXCHANGED];
    for (unsigned i = 0; i < most && list->count > 1; i++) {
        uint32_t number = list->head;
        if (!is_old_handshake(table, number, now))
            return number;
        remed_flow_delist(table, number);
        remed_flow_enlist(table, number, REMED_CLASS_ESTABLISHED);
    }
    return list->count > 0 ? table->links[list->head].previous : REMED_NO_FLOW;
}

static uint32_t idle_exchange(struct remed_flow_table *table, uint64_t now)
{
    uint32_t number = oldest_exchange(table, now, SWEEP);
    return number != REMED_NO_FLOW && is_idle(table, number, now) ? number : REMED_NO_FLOW;
}

static uint32_t victim(struct remed_flow_table *table, uint64_t now)
{
    uint32_t number = idle_one(table, REMED_CLASS_ESTABLISHED, now);
    if (number == REMED_NO_FLOW)
        number = idle_exchange(table, now);
    if (number == REMED_NO_FLOW)
        number = closed_one(table, now);
    if (number != REMED_NO_FLOW)
        return number;
    unsigned class = longest(table);
    if (class == REMED_CLASS_EXCHANGED)
        return oldest_exchange(table, now, CHOICE);
    return class <= REMED_CLASS_CLOSED ? oldest(table, class, now) : nearest_end(table, class, now);
}

static void count_evicted(struct remed_flow_stats *stats, unsigned class)
{
    stats->evicted++;
    if (class == REMED_CLASS_ONE_WAY)
        stats->evicted_one_way++;
    else if (class == REMED_CLASS_HALF_OPEN || class == REMED_CLASS_ANSWERED)
        stats->evicted_half_open++;
    else if (class == REMED_CLASS_ENDED || class == REMED_CLASS_CLOSED)
        stats->evicted_ended++;
    else
        stats->evicted_established++;
}

void remed_flow_make_room(struct remed_flow_table *table, uint64_t now)
{
    uint32_t number = victim(table, now);
    if (is_idle(table, number, now))
        table->stats.expired++;
    else
        count_evicted(&table->stats, table->links[number].class);
    remed_flow_end(table, number);
}
