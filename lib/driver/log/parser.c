/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines through a rule set: the header before them, the key, the rules. Threads: one thread a
 * parser. */
#include "driver/log/parser.h"

#define HEADER_WORDS 3 /* host, tag and what relays put between */
#define HEADER_WORDS_5424 5

void remed_log_parser_opts_init(struct remed_log_parser_opts *opts, size_t size)
{
    const struct remed_log_parser_opts defaults = {
        .size = size, .origin = "", .epoch = 1, .sequence = 1};
    remed_stats_copy(opts, size, &defaults, sizeof defaults);
}

static int set_up(struct remed_log_parser *parser, struct remed_error *error)
{
    struct remed_record_head head;
    remed_record_head_init(&head, sizeof head);
    head.domain = parser->opts.domain;
    head.origin = parser->opts.origin;
    head.epoch = parser->opts.epoch;
    head.source = REMED_LEARNED_LOGGED;
    if (remed_record_new(&parser->record, &parser->allocator) < 0)
        return remed_error_set(error, REMED_ENOMEM, "no memory for the parser");
    return remed_record_set_head(parser->record, &head, error);
}

int remed_log_parser_new(struct remed_log_parser **parser, const struct remed_log_rules *rules,
                         const struct remed_log_parser_opts *opts, struct remed_error *error)
{
    struct remed_log_parser_opts own;
    remed_log_parser_opts_init(&own, sizeof own);
    int rc = remed_opts_copy(&own, sizeof own, opts, "log parser options", error);
    if (rc < 0)
        return rc;
    if (own.domain == NULL || own.reserved != 0 || own.zone <= -86400 || own.zone >= 86400 ||
        (own.service.ip_version != 0 && remed_address_length(own.service.ip_version) == 0))
        return remed_error_set(error, REMED_EINVAL, "no domain, or an option out of its range");
    struct remed_allocator allocator = remed_allocator_or_default(own.allocator);
    size_t size = sizeof(struct remed_log_parser) + rules->rules.count * sizeof(uint64_t);
    struct remed_log_parser *made = remed_allocate(&allocator, size);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for the parser");
    made->allocator = allocator;
    made->opts = own;
    made->rules = made->machine.rules = rules;
    made->machine.calendar.zone = own.zone;
    made->sequence = own.sequence;
    made->matched = REMED_LOG_NO_RULE;
    rc = set_up(made, error);
    if (rc < 0)
        remed_log_parser_free(made);
    else
        *parser = made;
    return rc;
}

void remed_log_parser_free(struct remed_log_parser *parser)
{
    if (parser == NULL)
        return;
    struct remed_allocator allocator = parser->allocator;
    remed_record_free(parser->record);
    remed_release(&allocator, parser,
                  sizeof *parser + parser->rules->rules.count * sizeof(uint64_t));
}

static const uint8_t *skip_blanks(const uint8_t *at, const uint8_t *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

/* The version of RFC 5424, and the year behind it. */
static bool is_version(const uint8_t *at, const uint8_t *end)
{
    return end - at > 2 && at[0] == '1' && at[1] == ' ' && at[2] == '2';
}

/* Behind the colon that Cisco's EMBLEM format puts before the time; ::1 is an address. */
static const uint8_t *skip_colon(const uint8_t *at, const uint8_t *end)
{
    return end - at > 1 && at[0] == ':' && at[1] != ':' ? at + 1 : at;
}

/* Behind the count of bytes (RFC 6587), <134>, and the version of RFC 5424, which sets *words. */
static const uint8_t *skip_priority(const uint8_t *at, const uint8_t *end, unsigned *words)
{
    const uint8_t *next = at;
    while (next < end && next - at < 6 && (uint8_t)(*next - '0') <= 9)
        next++;
    if (next > at && end - next > 1 && next[0] == ' ' && next[1] == '<')
        at = next + 1;
    if (is_version(at, end)) {
        *words = HEADER_WORDS_5424;
        return at + 2;
    }
    if (at == end || *at != '<')
        return skip_colon(at, end);
    next = at;
    for (next++; next < end && next - at < 4 && (uint8_t)(*next - '0') <= 9;)
        next++;
    if (next == at + 1 || next == end || *next != '>')
        return at;
    next++;
    if (!is_version(next, end))
        return skip_colon(next, end);
    *words = HEADER_WORDS_5424;
    return next + 2;
}

/* Behind the time, where there is one. */
static const uint8_t *skip_time(struct remed_log_parser *parser, const uint8_t *at,
                                const uint8_t *end)
{
    const struct remed_calendar *calendar = &parser->machine.calendar;
    const size_t size = sizeof parser->stamp;
    const uint8_t *next;
    if (end - at > (ptrdiff_t)size && calendar->received == parser->stamp_received &&
        remed_log_equal(at, parser->stamp, size) && (at[size] == ' ' || at[size] == ':')) {
        parser->header_time = parser->stamp_ns;
        next = at + size;
    } else {
        next = remed_read_stamp(calendar, at, end, &parser->header_time);
        if (next == NULL) {
            parser->header_time = 0;
            return at;
        }
        if (next == at + size) {
            memcpy(parser->stamp, at, size);
            parser->stamp_ns = parser->header_time;
            parser->stamp_received = calendar->received;
        }
    }
    return skip_blanks(next < end && *next == ':' ? next + 1 : next, end);
}

/* Whether one of the set's beginnings stands here; machine.at is behind it. */
static bool begins(struct remed_log_parser *parser, const uint8_t *at, const uint8_t *end)
{
    const struct remed_array *begins = &parser->rules->begins;
    for (size_t i = 0; i < begins->count; i++) {
        parser->machine.have = 0;
        if (remed_log_machine_run(&parser->machine, *REMED_ITEM(*begins, uint32_t, i), at, end))
            return true;
    }
    return false;
}

/* A relay's header before the box's own: <134>… or 1 2026-… */
static bool is_nested(const uint8_t *at, const uint8_t *end)
{
    return is_version(at, end) || (end - at > 3 && at[0] == '<' && (uint8_t)(at[1] - '0') <= 9);
}

static bool has_known_head(const struct remed_log_parser *parser, const uint8_t *at,
                           const uint8_t *end)
{
    uint32_t length = parser->head_length;
    return length != 0 && (size_t)(end - at) > length && remed_log_equal(at, parser->head, length);
}

static void keep_head(struct remed_log_parser *parser, const uint8_t *from, const uint8_t *to)
{
    size_t length = (size_t)(to - from);
    if (length > sizeof parser->head)
        return;
    memcpy(parser->head, from, length);
    parser->head_length = (uint32_t)length;
}

/* Steps over the header's words to where the set's own text begins. A word that ends in a colon is
 * the tag, and the text follows it at once: what a program says later in its line is its own. */
static const uint8_t *find_begin(struct remed_log_parser *parser, const uint8_t *at,
                                 const uint8_t *end)
{
    unsigned words = HEADER_WORDS;
    parser->header_time = 0;
    parser->machine.have = 0;
    if (parser->rules->syslog)
        at = skip_time(parser, skip_priority(at, end, &words), end);
    if (parser->rules->begins.count == 0)
        return at;
    if (has_known_head(parser, at, end) && begins(parser, at + parser->head_length, end))
        return parser->machine.at;
    const uint8_t *head = at;
    bool plain = true; /* no begin was tried before the one that is there */
    bool tagged = !parser->rules->syslog, nested = false;
    for (unsigned word = 0; word <= words; word++) {
        if (word > 0 && !nested && parser->rules->syslog && is_nested(at, end)) {
            nested = true; /* once */
            at = skip_time(parser, skip_priority(at, end, &words), end);
            words += word;
        }
        if (at < end && parser->rules->may_begin[*at]) {
            if (begins(parser, at, end)) {
                if (plain && !nested && word <= HEADER_WORDS)
                    keep_head(parser, head, at);
                return parser->machine.at;
            }
            plain = false;
        }
        if (tagged)
            return NULL;
        const uint8_t *stop = at;
        while (stop < end && *stop != ' ' && *stop != '"')
            stop++;
        if (stop == end || *stop == '"')
            return NULL;
        tagged = stop > at && stop[-1] == ':';
        at = skip_blanks(stop, end);
    }
    return NULL;
}

static const struct remed_log_bucket *find_bucket(const struct remed_log_parser *parser)
{
    const struct remed_log_span *key = &parser->machine.span[REMED_SLOT_KEY - REMED_SLOT_NAME];
    if (!REMED_HAS(&parser->machine, REMED_SLOT_KEY))
        return NULL;
    return remed_log_find_bucket(parser->rules, key->text, key->length);
}

/* The first rule of a row that matches. */
static uint32_t try_row(struct remed_log_parser *parser, uint32_t first, uint32_t count,
                        const uint8_t *at, const uint8_t *end)
{
    const uint32_t *order = REMED_ITEM(parser->rules->order, uint32_t, first);
    const struct remed_log_program_rule *rules = parser->rules->rules.items;
    const uint64_t have = parser->machine.have;
    for (uint32_t i = 0; i < count; i++) {
        parser->machine.have = have;
        if (remed_log_machine_run(&parser->machine, rules[order[i]].start, at, end))
            return order[i];
    }
    parser->machine.have = have;
    return REMED_LOG_NO_RULE;
}

static const uint8_t *end_of(const struct remed_log_line *line)
{
    size_t length = line->length;
    while (length > 0 && (line->text[length - 1] == '\n' || line->text[length - 1] == '\r'))
        length--;
    return (const uint8_t *)line->text + length;
}

static void run_line(struct remed_log_parser *parser, const struct remed_log_line *line,
                     size_t index, struct remed_log_verdict *verdict)
{
    const uint8_t *end = end_of(line);
    *verdict = (struct remed_log_verdict){.outcome = REMED_LOG_FOREIGN, .rule = REMED_LOG_NO_RULE};
    parser->machine.calendar.received = line->received;
    parser->matched = REMED_LOG_NO_RULE;
    if (line->length == 0)
        return;
    const uint8_t *at = find_begin(parser, (const uint8_t *)line->text, end);
    if (at == NULL)
        return;
    const struct remed_log_bucket *bucket = find_bucket(parser);
    uint32_t found = REMED_LOG_NO_RULE;
    if (bucket != NULL)
        found = try_row(parser, bucket->rules, bucket->count, at, end);
    if (found == REMED_LOG_NO_RULE && parser->rules->unkeyed_count != 0)
        found = try_row(parser, parser->rules->unkeyed, parser->rules->unkeyed_count, at, end);
    verdict->rule = found;
    verdict->outcome = bucket == NULL && parser->rules->unkeyed_count == 0 ? REMED_LOG_UNKNOWN
                                                                           : REMED_LOG_UNMATCHED;
    if (found == REMED_LOG_NO_RULE)
        return;
    parser->matched = found;
    parser->rule_lines[found]++;
    remed_log_give(parser, REMED_ITEM(parser->rules->rules, struct remed_log_program_rule, found),
                   index, verdict);
}

size_t remed_log_parser_run(struct remed_log_parser *parser, const struct remed_log_line *lines,
                            size_t count, struct remed_log_verdict *verdicts)
{
    size_t records = 0;
    for (size_t i = 0; i < count; i++) {
        struct remed_log_verdict verdict;
        run_line(parser, &lines[i], i, &verdict);
        parser->stats.lines++;
        parser->stats.outcome[verdict.outcome]++;
        records += verdict.records;
        if (verdicts != NULL)
            verdicts[i] = verdict;
    }
    return records;
}

int remed_log_parser_fields(const struct remed_log_parser *parser, struct remed_log_fields *fields,
                            size_t size)
{
    const struct remed_log_machine *machine = &parser->machine;
    if (parser->matched == REMED_LOG_NO_RULE)
        return REMED_ENOENT;
    struct remed_log_fields own = {
        .size = size,
        .source = remed_log_endpoint(machine, REMED_SLOT_SRC),
        .destination = remed_log_endpoint(machine, REMED_SLOT_DST),
        .source_after = remed_log_translated(machine, REMED_SLOT_XSRC, REMED_SLOT_SRC),
        .destination_after = remed_log_translated(machine, REMED_SLOT_XDST, REMED_SLOT_DST),
        .backend = remed_log_endpoint(machine, REMED_SLOT_BACKEND),
        .service = remed_log_endpoint(machine, REMED_SLOT_SERVICE),
        .protocol = parser->protocol,
        .reversed = parser->reversed,
        .observed = parser->observed};
    if (REMED_HAS(machine, REMED_SLOT_NAME)) {
        own.backend_name = (const char *)machine->span[0].text;
        own.backend_name_length = (uint32_t)machine->span[0].length;
    }
    remed_stats_copy(fields, size, &own, sizeof own);
    return 0;
}

void remed_log_parser_stats(const struct remed_log_parser *parser,
                            struct remed_log_parser_stats *stats, size_t size)
{
    remed_stats_copy(stats, size, &parser->stats, sizeof parser->stats);
}

uint64_t remed_log_parser_rule_lines(const struct remed_log_parser *parser, size_t rule)
{
    return rule < parser->rules->rules.count ? parser->rule_lines[rule] : 0;
}

struct tracing {
    struct remed_log_trace *traces;
    size_t count, size;
    const uint8_t *text;
};

static void add_trace(struct tracing *tracing, const struct remed_log_machine *machine,
                      uint32_t rule, bool matched)
{
    if (tracing->count < tracing->size)
        tracing->traces[tracing->count] =
            (struct remed_log_trace){.rule = rule,
                                     .matched = matched,
                                     .reached = (uint32_t)(machine->far - tracing->text),
                                     .line = machine->far_line,
                                     .column = machine->far_column};
    tracing->count++;
}

static bool trace_row(struct remed_log_parser *parser, struct tracing *tracing, uint32_t first,
                      uint32_t count, const uint8_t *at, const uint8_t *end)
{
    bool matched = false;
    const uint64_t have = parser->machine.have;
    for (uint32_t i = 0; i < count && !matched; i++) {
        uint32_t rule = *REMED_ITEM(parser->rules->order, uint32_t, first + i);
        parser->machine.have = have;
        parser->machine.far = at;
        matched = remed_log_machine_run(
            &parser->machine,
            REMED_ITEM(parser->rules->rules, struct remed_log_program_rule, rule)->start, at, end);
        add_trace(tracing, &parser->machine, rule, matched);
    }
    parser->machine.have = have;
    return matched;
}

size_t remed_log_parser_explain(struct remed_log_parser *parser, const struct remed_log_line *line,
                                struct remed_log_trace *traces, size_t size)
{
    struct remed_log_machine *machine = &parser->machine;
    struct tracing tracing = {traces, 0, size, (const uint8_t *)line->text};
    const uint8_t *end = end_of(line), *at;
    machine->calendar.received = line->received;
    parser->matched = REMED_LOG_NO_RULE;
    if (line->length == 0)
        return 0;
    machine->tracing = true;
    machine->far = tracing.text;
    at = find_begin(parser, tracing.text, end);
    if (parser->rules->begins.count != 0)
        add_trace(&tracing, machine, REMED_LOG_NO_RULE, at != NULL);
    const struct remed_log_bucket *bucket = at != NULL ? find_bucket(parser) : NULL;
    if (at != NULL &&
        (bucket == NULL || !trace_row(parser, &tracing, bucket->rules, bucket->count, at, end)))
        trace_row(parser, &tracing, parser->rules->unkeyed, parser->rules->unkeyed_count, at, end);
    machine->tracing = false;
    return tracing.count;
}
