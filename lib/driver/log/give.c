/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From what a line said to records of state: which event it is, who opened the flow, and the
 * bodies. A body that lacks what its key needs is not given: half a record would be another flow's.
 *
 * Threads: one thread a parser.
 */
#include "driver/log/parser.h"

#define TCP 6
#define UDP 17

static bool span_is(const struct remed_log_rules *rules, const struct remed_log_span *span,
                    const struct remed_log_word *word)
{
    return span->length == word->length &&
           remed_log_equal(span->text, (const uint8_t *)remed_log_text(rules, word->text),
                           word->length);
}

static bool term_holds(const struct remed_log_parser *parser, const struct remed_log_term *term)
{
    const struct remed_log_machine *machine = &parser->machine;
    bool holds = REMED_HAS(machine, term->slot);
    if (term->test == REMED_TEST_IS && holds) {
        const struct remed_log_word *words =
            REMED_ITEM(parser->rules->words, struct remed_log_word, term->first);
        holds = false;
        for (uint32_t i = 0; i < term->count && !holds; i++)
            holds = term->slot == REMED_SLOT_PROTO
                        ? machine->protocol == words[i].text
                        : span_is(parser->rules, &machine->span[term->slot - REMED_SLOT_NAME],
                                  &words[i]);
    }
    return holds != (term->negated != 0);
}

static bool clause_holds(const struct remed_log_parser *parser,
                         const struct remed_log_clause *clause)
{
    if (!clause->conditional)
        return true;
    const struct remed_log_term *term =
        REMED_ITEM(parser->rules->terms, struct remed_log_term, clause->terms);
    for (;; term++) {
        if (!term_holds(parser, term))
            return false;
        if (term->last)
            return true;
    }
}

/* The value of the first clause that holds. */
static inline unsigned decide(const struct remed_log_parser *parser, uint32_t first, uint32_t count,
                              unsigned otherwise)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct remed_log_clause *clause =
            REMED_ITEM(parser->rules->clauses, struct remed_log_clause, first + i);
        if (clause_holds(parser, clause))
            return clause->value;
    }
    return otherwise;
}

static inline bool is_unspecified(const struct remed_endpoint *endpoint)
{
    uint64_t words[2];
    memcpy(words, endpoint->address, sizeof words);
    return (words[0] | words[1]) == 0;
}

/* What a slot holds goes straight into a body: copies of copies cost more than reading the line. */
static inline void put_endpoint(const struct remed_log_machine *machine, unsigned slot,
                                struct remed_endpoint *to)
{
    if (!REMED_HAS(machine, slot)) {
        memset(to, 0, sizeof *to);
        return;
    }
    *to = machine->endpoint[slot / 2];
    to->port = REMED_HAS(machine, slot + 1) ? machine->port[slot / 2] : 0;
}

/* 0.0.0.0 is how boxes write that an address stays as it is; its port may change all the same. */
static inline void put_translated(const struct remed_log_machine *machine, unsigned slot,
                                  unsigned before, struct remed_endpoint *to)
{
    put_endpoint(machine, slot, to);
    if (REMED_LIKELY(to->ip_version == 0 || !is_unspecified(to)) &&
        !(to->ip_version == 0 && REMED_HAS(machine, slot + 1)))
        return;
    memset(to, 0, sizeof *to);
    if (!REMED_HAS(machine, slot + 1) || machine->port[slot / 2] == 0)
        return;
    put_endpoint(machine, before, to);
    to->port = to->ip_version != 0 ? machine->port[slot / 2] : 0;
}

struct remed_endpoint remed_log_endpoint(const struct remed_log_machine *machine, unsigned slot)
{
    struct remed_endpoint endpoint;
    put_endpoint(machine, slot, &endpoint);
    return endpoint;
}

struct remed_endpoint remed_log_translated(const struct remed_log_machine *machine, unsigned slot,
                                           unsigned before)
{
    struct remed_endpoint endpoint;
    put_translated(machine, slot, before, &endpoint);
    return endpoint;
}

static bool needs_ports(uint8_t protocol)
{
    static const uint64_t with_ports[4] = {1ull << TCP | 1ull << UDP | 1ull << 33, 0,
                                           1ull << (132 - 128) | 1ull << (136 - 128), 0};
    return (with_ports[protocol >> 6] >> (protocol & 63) & 1) != 0;
}

/* Bytes and packets of both sides; `source` is 1 when the line's source is the server. */
static void put_counts(const struct remed_log_machine *machine, unsigned source,
                       struct remed_session *session)
{
    for (unsigned i = 0; i < 2; i++) {
        if (REMED_HAS(machine, REMED_SLOT_CBYTES + i))
            session->bytes[i ^ source] = machine->number[i];
        if (REMED_HAS(machine, REMED_SLOT_CPACKETS + i))
            session->packets[i ^ source] = machine->number[2 + i];
    }
}

static bool fill_session(struct remed_log_parser *parser, struct remed_session *session,
                         bool reversed)
{
    const uint64_t ports = 1ull << REMED_SLOT_SPORT | 1ull << REMED_SLOT_DPORT;
    const uint64_t counts = 15ull << REMED_SLOT_CBYTES;
    const struct remed_log_machine *machine = &parser->machine;
    if (parser->protocol == UINT8_MAX ||
        (needs_ports(parser->protocol) && (machine->have & ports) != ports))
        return false;
    if (parser->filled != REMED_KIND_SESSION || (machine->have & counts) != 0)
        memset(&session->window, 0, sizeof *session - offsetof(struct remed_session, window));
    session->protocol = parser->protocol;
    if (reversed) {
        put_endpoint(machine, REMED_SLOT_DST, &session->client);
        put_endpoint(machine, REMED_SLOT_SRC, &session->server);
        put_translated(machine, REMED_SLOT_XDST, REMED_SLOT_DST, &session->client_outside);
        put_translated(machine, REMED_SLOT_XSRC, REMED_SLOT_SRC, &session->server_inside);
    } else {
        put_endpoint(machine, REMED_SLOT_SRC, &session->client);
        put_endpoint(machine, REMED_SLOT_DST, &session->server);
        put_translated(machine, REMED_SLOT_XSRC, REMED_SLOT_SRC, &session->client_outside);
        put_translated(machine, REMED_SLOT_XDST, REMED_SLOT_DST, &session->server_inside);
    }
    if ((machine->have & counts) != 0)
        put_counts(machine, reversed ? 1 : 0, session);
    parser->filled = (machine->have & counts) != 0 ? 0 : REMED_KIND_SESSION;
    return session->client.ip_version != 0 &&
           session->client.ip_version == session->server.ip_version;
}

static bool fill_binding(const struct remed_log_parser *parser, struct remed_nat_binding *binding,
                         bool removed)
{
    const struct remed_log_machine *machine = &parser->machine;
    memset(binding, 0, sizeof *binding);
    binding->inside = remed_log_endpoint(machine, REMED_SLOT_SRC);
    binding->outside = remed_log_translated(machine, REMED_SLOT_XSRC, REMED_SLOT_SRC);
    binding->remote = remed_log_endpoint(machine, REMED_SLOT_DST);
    if (is_unspecified(&binding->remote))
        binding->remote = (struct remed_endpoint){.ip_version = 0};
    binding->protocol = parser->protocol == UINT8_MAX ? 0 : parser->protocol;
    return binding->inside.ip_version != 0 && (removed || binding->outside.ip_version != 0);
}

static bool fill_assignment(const struct remed_log_parser *parser,
                            struct remed_lb_assignment *assignment, bool removed)
{
    const struct remed_log_machine *machine = &parser->machine;
    const struct remed_log_span *name = &machine->span[0];
    memset(assignment, 0, sizeof *assignment);
    assignment->client = remed_log_endpoint(machine, REMED_SLOT_SRC);
    assignment->service = remed_log_endpoint(machine, REMED_SLOT_SERVICE);
    assignment->backend = remed_log_endpoint(machine, REMED_SLOT_BACKEND);
    if (assignment->service.ip_version == 0)
        assignment->service = parser->opts.service;
    if (assignment->service.ip_version == 0)
        assignment->service.ip_version = assignment->client.ip_version;
    if (REMED_HAS(machine, REMED_SLOT_NAME) && name->length > 0) {
        if (name->length > REMED_TEXT_MAX ||
            !remed_is_plain_text((const char *)name->text, name->length))
            return false;
        memcpy(assignment->backend_name, name->text, name->length);
    }
    assignment->protocol = parser->protocol == UINT8_MAX ? TCP : parser->protocol;
    return assignment->client.ip_version != 0 &&
           (removed || assignment->backend.ip_version != 0 || assignment->backend_name[0] != '\0');
}

static bool fill(struct remed_log_parser *parser, unsigned kind, bool removed, bool reversed)
{
    union remed_body *body = &parser->record->body;
    switch (kind) {
    case REMED_KIND_SESSION:
        return fill_session(parser, &body->session, reversed);
    case REMED_KIND_NAT_BINDING:
        parser->filled = 0;
        return fill_binding(parser, &body->nat_binding, removed);
    default:
        parser->filled = 0;
        return fill_assignment(parser, &body->lb_assignment, removed);
    }
}

static void hand_over(struct remed_log_parser *parser, size_t line)
{
    parser->record->sequence = parser->sequence++;
    parser->stats.records++;
    if (parser->opts.record != NULL)
        parser->opts.record(parser->opts.context, line, parser->record);
}

static void swap(struct remed_endpoint *a, struct remed_endpoint *b)
{
    struct remed_endpoint held = *a;
    *a = *b;
    *b = held;
}

/* The same session, as if the other side had opened it. */
static void turn(struct remed_session *session)
{
    uint64_t bytes = session->bytes[0], packets = session->packets[0];
    swap(&session->client, &session->server);
    swap(&session->client_outside, &session->server_inside);
    session->bytes[0] = session->bytes[1];
    session->bytes[1] = bytes;
    session->packets[0] = session->packets[1];
    session->packets[1] = packets;
}

static bool give(struct remed_log_parser *parser, unsigned kind, bool removed, bool reversed,
                 size_t line)
{
    struct remed_record *record = parser->record;
    if (!fill(parser, kind, removed, reversed))
        return false;
    record->kind = (uint8_t)kind;
    record->op = removed ? REMED_OP_REMOVE : REMED_OP_UPSERT;
    record->observed = parser->observed;
    hand_over(parser, line);
    return true;
}

/* The line's own time, as exact as it gives one. */
static uint64_t time_of(const struct remed_log_parser *parser)
{
    const struct remed_log_machine *machine = &parser->machine;
    const int64_t zone = (int64_t)machine->calendar.zone * (int64_t)REMED_NS_PER_S;
    if (REMED_HAS(machine, REMED_SLOT_TIME))
        return machine->time[0];
    if (REMED_HAS(machine, REMED_SLOT_DATE) && REMED_HAS(machine, REMED_SLOT_CLOCK))
        return machine->time[1] + machine->time[2] - (uint64_t)zone;
    return parser->header_time != 0 ? parser->header_time : machine->calendar.received;
}

void remed_log_give(struct remed_log_parser *parser, const struct remed_log_program_rule *rule,
                    size_t line, struct remed_log_verdict *verdict)
{
    unsigned event = decide(parser, rule->event, rule->event_count, REMED_LOG_EVENT_NONE);
    unsigned opener = decide(parser, rule->opener, rule->opener_count, REMED_OPENER_SRC);
    parser->protocol = rule->proto;
    if (rule->proto == UINT8_MAX && REMED_HAS(&parser->machine, REMED_SLOT_PROTO))
        parser->protocol = parser->machine.protocol;
    parser->reversed = opener == REMED_OPENER_DST;
    parser->observed = time_of(parser);
    verdict->event = (uint8_t)event;
    verdict->outcome = event == REMED_LOG_EVENT_NONE ? REMED_LOG_SILENT : REMED_LOG_DENIED;
    if (event == REMED_LOG_EVENT_NONE || event == REMED_LOG_EVENT_DENY)
        return;
    unsigned kind = decide(parser, rule->give, rule->give_count, 0);
    bool removed = event == REMED_LOG_EVENT_CLOSE;
    verdict->outcome = kind == 0 ? REMED_LOG_SILENT : REMED_LOG_INCOMPLETE;
    if (kind == 0 || !give(parser, kind, removed, parser->reversed != 0, line))
        return;
    verdict->outcome = REMED_LOG_RECORDS;
    verdict->records = 1;
    /* Who opened it is part of the key: what ends without a word of that ends either way round. */
    if (removed && opener == REMED_OPENER_EITHER && kind == REMED_KIND_SESSION) {
        turn(&parser->record->body.session);
        hand_over(parser, line);
        verdict->records = 2;
    }
}
