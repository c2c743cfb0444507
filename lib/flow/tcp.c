/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a watcher can tell of a flow's state and class. TCP (RFC 9293, 3.3.2), seen from either or
 * both sides: a tap may see one direction only, so a flow is open when both sides talked, whatever
 * was seen of its opening. The filter gives SCTP and DCCP the flags and numbers that their packets
 * stand for (filter/signal.h). All other protocols only have directions.
 *
 * Nobody who cannot receive gets a flow open: a SYN and an ACK from the same side are one-way, and
 * the ACK that completes a handshake acknowledges the SYN+ACK.
 *
 * Threads: a record belongs to its table's thread.
 */
#include "flow/evict.h"

/* The completing ACK acknowledges the SYN+ACK, and what the other side sent since if earlier ACKs
 * were lost: no more than was seen, and this for what was not. A guess is right once in 65,536
 * times. */
#define COMPLETING_UNSEEN (1u << 16)
#define COMPLETING_MOST (1u << 24) /* in all */
/* A SYN+ACK acknowledges the SYN, and the data in it (RFC 7413). */
#define ANSWER_RANGE (1u << 16)

/* What is sent again before a FIN, and the most that a packet with FIN holds. */
#define SENT_AGAIN (1u << 24)
#define FIN_RANGE (1u << 17)
/* An answer that comes so long after the question is no answer to it alone. */
#define GOES_ON REMED_NS_PER_S

static uint8_t open_timeout(const struct remed_flow_record *record)
{
    unsigned protocol = remed_flow_record_protocol(record);
    return protocol == REMED_IPPROTO_TCP ? REMED_TIMEOUT_TCP_OPEN : REMED_TIMEOUT_SCTP;
}

/* Whether the flow's protocol opens and closes. */
static bool is_connection(const struct remed_flow_record *record)
{
    unsigned protocol = remed_flow_record_protocol(record);
    return protocol == REMED_IPPROTO_TCP || protocol == REMED_IPPROTO_SCTP ||
           protocol == REMED_IPPROTO_DCCP;
}

static void enter(struct remed_flow_record *record, enum remed_flow_state state)
{
    static const uint8_t timeouts[REMED_FLOW_STATE_COUNT] = {
        [REMED_FLOW_NEW] = REMED_TIMEOUT_TCP_OPENING,
        [REMED_FLOW_SYN] = REMED_TIMEOUT_TCP_OPENING,
        [REMED_FLOW_SYN_ACK] = REMED_TIMEOUT_TCP_OPENING,
        [REMED_FLOW_CLOSING] = REMED_TIMEOUT_TCP_CLOSING,
        [REMED_FLOW_CLOSED] = REMED_TIMEOUT_TCP_CLOSED,
    };
    record->state = state & 15;
    if (is_connection(record))
        record->timeout = (state == REMED_FLOW_OPEN ? open_timeout(record) : timeouts[state]) & 15;
}

static bool is_in_range(uint32_t from, uint32_t number, uint32_t range)
{
    return number - from < range;
}

/* Flags about an endpoint come in pairs: one bit tells that it is set, the next which endpoint. */
static bool is_from(const struct remed_flow_cold *cold, unsigned flag, unsigned direction)
{
    return ((cold->flags & flag) != 0) == (direction != 0);
}

static void note_syn(struct remed_flow_cold *cold, const struct remed_seen *packet)
{
    cold->flags &= ~(uint32_t)(REMED_COLD_SYN_FROM | REMED_COLD_REUSE);
    cold->flags |= REMED_COLD_SYN | (packet->direction != 0 ? REMED_COLD_SYN_FROM : 0u);
    cold->syn_sequence = packet->tcp_sequence;
}

/* A SYN: the flow's own, that one again, the other side's in a simultaneous open, or one that makes
 * another flow if it is answered. */
static unsigned on_syn(struct remed_flow_record *record, struct remed_flow_cold *cold,
                       const struct remed_seen *packet)
{
    bool is_first =
        remed_flow_record_packets(record, 0) + remed_flow_record_packets(record, 1) == 1;
    bool is_known = (cold->flags & REMED_COLD_SYN) != 0;
    bool is_same_side = is_known && is_from(cold, REMED_COLD_SYN_FROM, packet->direction);
    bool is_opening = record->state == REMED_FLOW_SYN;
    if (record->state == REMED_FLOW_NEW)
        enter(record, REMED_FLOW_SYN);
    if (is_same_side && cold->syn_sequence == packet->tcp_sequence)
        return (cold->flags & REMED_COLD_REUSE) != 0 ? REMED_EVENT_REUSE_SYN : 0;
    if (is_known && !is_same_side && is_opening)
        return 0;
    note_syn(cold, packet);
    if (is_first)
        return 0;
    cold->flags |= REMED_COLD_REUSE;
    return REMED_EVENT_REUSE_SYN;
}

static bool answers_syn(const struct remed_flow_cold *cold, const struct remed_seen *packet)
{
    return (cold->flags & REMED_COLD_SYN) != 0 &&
           !is_from(cold, REMED_COLD_SYN_FROM, packet->direction) &&
           is_in_range(cold->syn_sequence + 1, packet->tcp_ack, ANSWER_RANGE);
}

bool remed_flow_is_reuse(const struct remed_flow_table *table, uint32_t number,
                         const struct remed_seen *packet)
{
    const unsigned both = REMED_TCP_SYN | REMED_TCP_ACK;
    const struct remed_flow_cold *cold = &table->cold[number];
    return (packet->tcp_flags & (both | REMED_TCP_RST)) == both &&
           (cold->flags & REMED_COLD_REUSE) != 0 && answers_syn(cold, packet);
}

void remed_flow_reuse(struct remed_flow_table *table, uint32_t number,
                      const struct remed_seen *packet)
{
    struct remed_flow_record *record = &table->records[number];
    struct remed_seen syn = *packet;
    syn.direction ^= 1;
    syn.tcp_sequence = table->cold[number].syn_sequence;
    remed_flow_restart(table, number, &syn, true);
    record->packets[syn.direction] = 1;
    note_syn(&table->cold[number], &syn);
    enter(record, REMED_FLOW_SYN);
}

static unsigned on_syn_ack(struct remed_flow_record *record, struct remed_flow_cold *cold,
                           const struct remed_seen *packet)
{
    uint32_t expected = packet->tcp_sequence + 1;
    unsigned from = packet->direction != 0 ? REMED_FLOW_RECORD_SYN_ACK_FROM : 0;
    bool is_other = (record->flags & REMED_FLOW_RECORD_SYN_ACK_SEEN) != 0 &&
                    (record->flags & REMED_FLOW_RECORD_SYN_ACK_FROM) == from;
    bool again = is_other && record->expected_ack == expected;
    if (!again) { /* a retransmission does not ask for a second completing ACK */
        bool is_waiting = is_other && (record->flags & REMED_FLOW_RECORD_COMPLETED) == 0 &&
                          (cold->flags & REMED_COLD_FIN) == 0;
        unsigned kept = record->flags &
                        ~(unsigned)(REMED_FLOW_RECORD_SYN_ACK_FROM | REMED_FLOW_RECORD_COMPLETED);
        record->flags = (uint8_t)(kept | REMED_FLOW_RECORD_SYN_ACK_SEEN | from);
        if (is_waiting)
            cold->other_ack = record->expected_ack;
        cold->flags &= ~(uint32_t)REMED_COLD_OTHER_ACK;
        cold->flags |= is_waiting ? REMED_COLD_OTHER_ACK : 0u;
        record->expected_ack = expected;
    }
    if (record->state == REMED_FLOW_NEW || record->state == REMED_FLOW_SYN)
        enter(record, REMED_FLOW_SYN_ACK);
    return answers_syn(cold, packet) ? REMED_EVENT_ANSWER : 0;
}

/* The first ACK of the other side at or beyond a SYN+ACK. */
static bool is_completing(const struct remed_flow_record *record,
                          const struct remed_flow_cold *cold, const struct remed_seen *packet)
{
    unsigned from = (record->flags & REMED_FLOW_RECORD_SYN_ACK_FROM) != 0;
    const unsigned waiting = REMED_FLOW_RECORD_SYN_ACK_SEEN | REMED_FLOW_RECORD_COMPLETED;
    if ((record->flags & waiting) != REMED_FLOW_RECORD_SYN_ACK_SEEN || packet->direction == from ||
        (packet->tcp_flags & REMED_TCP_ACK) == 0)
        return false;
    uint64_t sent = record->bytes[from];
    uint32_t range =
        COMPLETING_UNSEEN + (uint32_t)(sent < COMPLETING_MOST ? sent : COMPLETING_MOST);
    return is_in_range(record->expected_ack, packet->tcp_ack, range) ||
           ((cold->flags & REMED_COLD_OTHER_ACK) != 0 &&
            is_in_range(cold->other_ack, packet->tcp_ack, range));
}

bool remed_flow_goes_on(const struct remed_flow_table *table, uint32_t number,
                        const struct remed_seen *packet)
{
    const struct remed_flow_record *record = &table->records[number];
    const struct remed_flow_cold *cold = &table->cold[number];
    unsigned turning = packet->tcp_flags & (REMED_TCP_TURNING | REMED_TCP_ACK);
    if (record->state == REMED_FLOW_SYN)
        return turning == (REMED_TCP_SYN | REMED_TCP_ACK) && answers_syn(cold, packet);
    return record->state == REMED_FLOW_SYN_ACK && turning == REMED_TCP_ACK &&
           is_completing(record, cold, packet);
}

static void on_fin(struct remed_flow_record *record, struct remed_flow_cold *cold,
                   const struct remed_seen *packet)
{
    unsigned direction = packet->direction;
    cold->fin_sequence = packet->tcp_sequence;
    cold->flags &= ~(uint32_t)(REMED_COLD_OTHER_ACK | REMED_COLD_FIN_FROM);
    cold->flags |= REMED_COLD_FIN | (direction != 0 ? REMED_COLD_FIN_FROM : 0u);
    record->flags |= (uint8_t)(direction != 0 ? REMED_FLOW_RECORD_FIN_1 : REMED_FLOW_RECORD_FIN_0);
    const unsigned both = REMED_FLOW_RECORD_FIN_0 | REMED_FLOW_RECORD_FIN_1;
    enter(record, (record->flags & both) == both ? REMED_FLOW_CLOSED : REMED_FLOW_CLOSING);
}

static bool have_both_talked(const struct remed_flow_cold *cold)
{
    const unsigned both = REMED_COLD_TALKED_0 | REMED_COLD_TALKED_1;
    return (cold->flags & both) == both;
}

/* Who sent a RST talks on: it was not they who sent it. */
static bool is_false_reset(const struct remed_flow_record *record,
                           const struct remed_flow_cold *cold, unsigned direction)
{
    return record->state == REMED_FLOW_CLOSED && (cold->flags & REMED_COLD_RESET) != 0 &&
           is_from(cold, REMED_COLD_RESET_FROM, direction);
}

/* Behind a FIN, its sender acknowledges (by the number behind it and its data), or sends again what
 * was lost before it. Whoever sends any other number did not send that FIN. */
static bool is_false_fin(const struct remed_flow_record *record, const struct remed_flow_cold *cold,
                         const struct remed_seen *packet)
{
    bool is_closing = record->state == REMED_FLOW_CLOSING ||
                      (record->state == REMED_FLOW_CLOSED && (cold->flags & REMED_COLD_RESET) == 0);
    return is_closing && remed_flow_record_protocol(record) == REMED_IPPROTO_TCP &&
           (packet->tcp_flags & (REMED_TCP_ACK | REMED_TCP_FIN)) == REMED_TCP_ACK &&
           (cold->flags & REMED_COLD_FIN) != 0 &&
           is_from(cold, REMED_COLD_FIN_FROM, packet->direction) &&
           !is_in_range(cold->fin_sequence - SENT_AGAIN, packet->tcp_sequence,
                        SENT_AGAIN + FIN_RANGE);
}

/* What was closed by a stranger goes on. */
static void revive(struct remed_flow_record *record, struct remed_flow_cold *cold)
{
    cold->flags &= ~(uint32_t)(REMED_COLD_RESET | REMED_COLD_FIN);
    record->flags &= (uint8_t) ~(unsigned)(REMED_FLOW_RECORD_FIN_0 | REMED_FLOW_RECORD_FIN_1);
    enter(record, have_both_talked(cold) ? REMED_FLOW_OPEN : REMED_FLOW_NEW);
}

/* A flow of both sides is due to be refreshed when no completed handshake was seen: a standby may
 * not know it, and who sends a SYN in a side's name puts no refresh off. */
static void open_midway(struct remed_flow_table *table, uint32_t number,
                        const struct remed_seen *packet)
{
    struct remed_flow_record *record = &table->records[number];
    struct remed_flow_cold *cold = &table->cold[number];
    if (is_connection(record) && (record->flags & REMED_FLOW_RECORD_COMPLETED) == 0)
        cold->copied[0] = cold->copied[1] = packet->time - REMED_LONG_AGO;
    enter(record, REMED_FLOW_OPEN);
}

/* The opener's side talks, and nothing was ever seen of the other. */
static bool is_one_sided(const struct remed_flow_record *record, unsigned direction)
{
    return remed_flow_record_packets(record, direction ^ 1) == 0;
}

/* Neither SYN nor RST. */
static void on_talk(struct remed_flow_table *table, uint32_t number,
                    const struct remed_seen *packet, bool completing)
{
    struct remed_flow_record *record = &table->records[number];
    struct remed_flow_cold *cold = &table->cold[number];
    cold->flags |= packet->direction != 0 ? REMED_COLD_TALKED_1 : REMED_COLD_TALKED_0;
    if (is_false_reset(record, cold, packet->direction) || is_false_fin(record, cold, packet))
        revive(record, cold);
    bool is_opening = record->state == REMED_FLOW_NEW || record->state == REMED_FLOW_SYN ||
                      record->state == REMED_FLOW_SYN_ACK;
    if (is_opening && (completing || have_both_talked(cold)))
        open_midway(table, number, packet);
    else if (is_opening && is_one_sided(record, packet->direction))
        enter(record, REMED_FLOW_NEW);
}

static unsigned on_segment(struct remed_flow_table *table, uint32_t number,
                           const struct remed_seen *packet)
{
    struct remed_flow_record *record = &table->records[number];
    struct remed_flow_cold *cold = &table->cold[number];
    bool completing = is_completing(record, cold, packet);
    if (completing)
        record->flags |= REMED_FLOW_RECORD_COMPLETED;
    on_talk(table, number, packet, completing);
    return completing ? REMED_EVENT_COMPLETING_ACK : 0;
}

static void on_reset(struct remed_flow_record *record, struct remed_flow_cold *cold,
                     unsigned direction)
{
    if (record->state == REMED_FLOW_CLOSED)
        return;
    enter(record, REMED_FLOW_CLOSED);
    cold->flags &= ~(uint32_t)REMED_COLD_RESET_FROM;
    cold->flags |= REMED_COLD_RESET | (direction != 0 ? REMED_COLD_RESET_FROM : 0u);
}

/* FIN or RST: news only once from each side, however often one that was false is forgotten. */
static unsigned on_end(struct remed_flow_cold *cold, unsigned direction)
{
    const unsigned ended = direction != 0 ? REMED_COLD_ENDED_1 : REMED_COLD_ENDED_0;
    bool is_first = (cold->flags & ended) == 0;
    cold->flags |= ended;
    return is_first ? REMED_EVENT_CLOSE : 0;
}

/* A tap that sees all twice shows the completing ACK again. So does the first segment with data
 * look, but that is answered, or the next one follows. */
static bool repeats_handshake(const struct remed_flow_record *record,
                              const struct remed_flow_cold *cold, const struct remed_seen *packet)
{
    return (cold->flags & REMED_COLD_SYN) != 0 &&
           is_from(cold, REMED_COLD_SYN_FROM, packet->direction) &&
           packet->tcp_sequence == cold->syn_sequence + 1 &&
           packet->tcp_ack == record->expected_ack;
}

/* A connection: its handshake alone is one question and one answer; what follows it shows that both
 * sides mean it. `completes`: the packet completes the handshake. */
static unsigned class_of_connection(const struct remed_flow_record *record,
                                    const struct remed_flow_cold *cold, unsigned class,
                                    const struct remed_seen *packet, bool completes)
{
    bool is_open = record->state == REMED_FLOW_OPEN || have_both_talked(cold);
    if (is_open && completes && !have_both_talked(cold))
        return REMED_CLASS_EXCHANGED;
    if (class == REMED_CLASS_EXCHANGED &&
        ((packet->tcp_flags & REMED_TCP_TURNING) != 0 || repeats_handshake(record, cold, packet)))
        return class;
    if (is_open)
        return REMED_CLASS_ESTABLISHED;
    if (class == REMED_CLASS_CLOSED)
        return class; /* a SYN took the place of a flow that may live */
    if (record->state == REMED_FLOW_SYN)
        return REMED_CLASS_HALF_OPEN;
    return record->state == REMED_FLOW_SYN_ACK ? REMED_CLASS_ANSWERED : REMED_CLASS_ONE_WAY;
}

static unsigned class_of_exchange(const struct remed_flow_record *record,
                                  const struct remed_flow_cold *cold, unsigned class,
                                  const struct remed_seen *packet)
{
    bool is_opener = packet->direction == (record->flags & REMED_FLOW_RECORD_OPENER);
    bool goes_on = class == REMED_CLASS_EXCHANGED &&
                   remed_clock_since(record->first_seen, packet->time) >= (int64_t)GOES_ON;
    if (!have_both_talked(cold))
        return REMED_CLASS_ONE_WAY;
    return is_opener || goes_on ? REMED_CLASS_ESTABLISHED : REMED_CLASS_EXCHANGED;
}

/* Established once, stays so until the end. */
static unsigned class_of(const struct remed_flow_record *record, const struct remed_flow_cold *cold,
                         unsigned class, const struct remed_seen *packet, unsigned events)
{
    if (record->state == REMED_FLOW_CLOSED)
        return class >= REMED_CLASS_CLOSED ? REMED_CLASS_CLOSED : REMED_CLASS_ENDED;
    if (class == REMED_CLASS_ESTABLISHED)
        return class;
    if (!is_connection(record))
        return class_of_exchange(record, cold, class, packet);
    bool completes = (events & REMED_EVENT_COMPLETING_ACK) != 0;
    return class_of_connection(record, cold, class, packet, completes);
}

static unsigned follow_connection(struct remed_flow_table *table, uint32_t number,
                                  const struct remed_seen *packet)
{
    struct remed_flow_record *record = &table->records[number];
    struct remed_flow_cold *cold = &table->cold[number];
    unsigned flags = packet->tcp_flags, events;
    bool closed = record->state == REMED_FLOW_CLOSED;
    if ((flags & REMED_TCP_RST) != 0)
        events = 0; /* whatever else it says */
    else if ((flags & REMED_TCP_SYN) == 0)
        events = on_segment(table, number, packet);
    else if ((flags & REMED_TCP_ACK) != 0)
        events = on_syn_ack(record, cold, packet);
    else
        events = on_syn(record, cold, packet);
    if ((flags & (REMED_TCP_RST | REMED_TCP_FIN)) == 0 || closed)
        return events;
    if ((flags & REMED_TCP_RST) != 0)
        on_reset(record, cold, packet->direction);
    else
        on_fin(record, cold, packet);
    return events | on_end(cold, packet->direction);
}

/* While there is room, a handshake that was answered stays in the ring of those that were not: the
 * next packet moves it on, and each move costs its neighbours' cache lines. */
static bool may_stay(const struct remed_flow_table *table, unsigned class, unsigned next)
{
    return class == REMED_CLASS_HALF_OPEN && next == REMED_CLASS_ANSWERED &&
           table->stats.live < table->max_flows - table->max_flows / 8;
}

unsigned remed_flow_follow(struct remed_flow_table *table, uint32_t number,
                           const struct remed_seen *packet)
{
    unsigned events = 0, class = table->links[number].class;
    if (!packet->is_report)
        events = follow_connection(table, number, packet);
    struct remed_flow_record *record = &table->records[number];
    unsigned next =
        packet->is_report ? class : class_of(record, &table->cold[number], class, packet, events);
    if (next != class && !may_stay(table, class, next)) {
        remed_flow_delist(table, number);
        remed_flow_enlist(table, number, next);
    }
    remed_flow_record_settle(record, &table->cold[number], next);
    return events;
}

void remed_flow_record_settle(struct remed_flow_record *record, const struct remed_flow_cold *cold,
                              unsigned class)
{
    const unsigned waiting = REMED_FLOW_RECORD_SYN_ACK_SEEN | REMED_FLOW_RECORD_COMPLETED;
    unsigned plain = 0, opener = record->flags & REMED_FLOW_RECORD_OPENER;
    const unsigned plain_of[2] = {REMED_FLOW_RECORD_PLAIN_0, REMED_FLOW_RECORD_PLAIN_1};
    if (class == REMED_CLASS_EXCHANGED)
        plain = 0; /* what comes next may show that they go on */
    else if (record->state == REMED_FLOW_OPEN)
        plain = plain_of[0] | plain_of[1];
    else if (record->state == REMED_FLOW_NEW && (cold->flags & REMED_COLD_TALKED_0 << opener) != 0)
        plain = plain_of[opener];
    if ((record->flags & waiting) ==
        REMED_FLOW_RECORD_SYN_ACK_SEEN) /* the other side's ACK may come */
        plain &= plain_of[(record->flags & REMED_FLOW_RECORD_SYN_ACK_FROM) != 0];
    const unsigned both = REMED_FLOW_RECORD_PLAIN_0 | REMED_FLOW_RECORD_PLAIN_1;
    record->flags = (uint8_t)((record->flags & ~both) | plain);
}
