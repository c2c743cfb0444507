/* SPDX-License-Identifier: BSD-3-Clause */
/* The machine of machine.h. Threads: one thread a machine. */
#include "driver/log/machine.h"

#include "driver/log/scan.h"

struct frame {
    uint32_t target;
    const uint8_t *at;
    uint64_t have;
};

/* The bytes of a literal between its first and its last 8. */
static bool middle_at(const struct remed_log_machine *machine, const struct remed_log_step *step,
                      const uint8_t *at)
{
    const char *text = remed_log_text(machine->rules, step->text);
    for (uint32_t i = 8; i + 8 < step->length; i += 8) {
        uint64_t a, b;
        memcpy(&a, at + i, sizeof a); /* the last 8 end no earlier */
        memcpy(&b, text + i, sizeof b);
        if (a != b)
            return false;
    }
    return true;
}

static inline bool literal_at(const struct remed_log_machine *machine,
                              const struct remed_log_step *step, const uint8_t *at,
                              const uint8_t *end)
{
    uint64_t head;
    if (REMED_LIKELY(end - at >= 8)) {
        memcpy(&head, at, sizeof head);
        if (((head ^ step->head) & step->mask) != 0)
            return false;
        if (step->length <= 8)
            return true;
        if ((size_t)(end - at) < step->length)
            return false;
        uint64_t tail;
        memcpy(&tail, at + step->length - 8, sizeof tail);
        return tail == step->tail && (step->length <= 16 || middle_at(machine, step, at));
    }
    return (size_t)(end - at) >= step->length &&
           memcmp(at, remed_log_text(machine->rules, step->text), step->length) == 0;
}

static inline const uint8_t *find(const struct remed_log_machine *machine,
                                  const struct remed_log_step *step, const uint8_t *at,
                                  const uint8_t *end)
{
    if (step->limit != 0 && (size_t)(end - at) > (size_t)step->limit + step->length)
        end = at + step->limit + step->length;
    REMED_LOG_WORK(end - at);
    return remed_find(at, end, (const uint8_t *)remed_log_text(machine->rules, step->text),
                      step->length);
}

static inline bool is_name_byte(uint8_t c)
{
    /* letters, digits and # $ * + - . < > @ _ ~ */
    static const uint64_t set[4] = {0x53ff6c1800000000ull, 0x47fffffe87ffffffull,
                                    0xffffffffffffffffull, 0xffffffffffffffffull};
    return (set[c >> 6] >> (c & 63) & 1) != 0;
}

#if defined(__SSE2__)
/* How many of the first 16 bytes are letters, digits or . - _: lengths vary at random, and a loop
 * that ends at random costs more than 16 bytes at once. */
static inline unsigned name_bytes16(const uint8_t *at)
{
    const __m128i sign = _mm_set1_epi8(-128);
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i folded = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    __m128i letters = _mm_cmplt_epi8(_mm_add_epi8(_mm_sub_epi8(folded, _mm_set1_epi8('a')), sign),
                                     _mm_set1_epi8(-128 + 26));
    __m128i digits = _mm_cmplt_epi8(_mm_add_epi8(_mm_sub_epi8(bytes, _mm_set1_epi8('0')), sign),
                                    _mm_set1_epi8(-128 + 10));
    __m128i marks = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('-')),
                                 _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('.')),
                                              _mm_cmpeq_epi8(bytes, _mm_set1_epi8('_'))));
    __m128i all = _mm_or_si128(_mm_or_si128(letters, digits), marks);
    return (unsigned)__builtin_ctz(~(unsigned)_mm_movemask_epi8(all) | 0x10000);
}
#endif

static inline const uint8_t *skip_name(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *begin = at;
#if defined(__SSE2__)
    if (REMED_LIKELY(end - at >= 16))
        at += name_bytes16(at);
#endif
    while (at < end && is_name_byte(*at))
        at++;
    REMED_LOG_WORK(at - begin);
    return at > begin ? at : NULL;
}

static inline const uint8_t *skip_digits(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *begin = at;
    if (REMED_LIKELY(end - at >= 8))
        at += remed_digits8(remed_load64_little(at));
    while (at < end && remed_is_digit(*at))
        at++;
    REMED_LOG_WORK(at - begin);
    return at > begin ? at : NULL;
}

static inline const uint8_t *skip_word(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *begin = at;
    while (at < end && *at != ' ' && *at != '\t')
        at++;
    REMED_LOG_WORK(at - begin);
    return at > begin ? at : NULL;
}

static const uint8_t *read_quoted(const uint8_t *at, const uint8_t *end,
                                  struct remed_log_span *span)
{
    if (at == end || *at != '"')
        return NULL;
    span->text = ++at;
    while (at < end && *at != '"')
        at += *at == '\\' && end - at > 1 ? 2 : 1;
    if (at >= end)
        return NULL;
    span->length = (size_t)(at - span->text);
    REMED_LOG_WORK(span->length);
    return at + 1;
}

static const uint8_t *read_text(struct remed_log_machine *machine, unsigned type, unsigned slot,
                                const uint8_t *at, const uint8_t *end)
{
    struct remed_log_span none, *span = slot >= REMED_SLOT_NAME && slot < REMED_SLOT_NONE
                                            ? &machine->span[slot - REMED_SLOT_NAME]
                                            : &none;
    const uint8_t *begin = at;
    if (type == REMED_TYPE_QUOTED)
        return read_quoted(at, end, span);
    if (type == REMED_TYPE_NAME)
        at = skip_name(at, end);
    else if (type == REMED_TYPE_DIGITS)
        at = skip_digits(at, end);
    else
        at = skip_word(at, end);
    if (at == NULL)
        return NULL;
    span->text = begin;
    span->length = (size_t)(at - begin);
    return at;
}

static const uint8_t *read_endpoint(struct remed_log_machine *machine, unsigned type, unsigned slot,
                                    const uint8_t *at, const uint8_t *end)
{
    struct remed_endpoint endpoint = {.ip_version = 0};
    bool ported;
    at = type == REMED_TYPE_LIST
             ? remed_scan_list(at, end, &endpoint, &ported)
             : remed_scan_endpoint(at, end, type == REMED_TYPE_LASTPORT, &endpoint, &ported);
    if (at == NULL || slot == REMED_SLOT_NONE)
        return at;
    machine->endpoint[slot / 2] = endpoint;
    machine->port[slot / 2] = endpoint.port;
    if (ported)
        machine->have |= 1ull << (slot | 1);
    return at;
}

static const uint8_t *read_time(struct remed_log_machine *machine, unsigned type, unsigned slot,
                                const uint8_t *at, const uint8_t *end)
{
    uint64_t none, *ns = slot == REMED_SLOT_NONE ? &none : &machine->time[slot - REMED_SLOT_TIME];
    switch (type) {
    case REMED_TYPE_STAMP:
        return remed_read_stamp(&machine->calendar, at, end, ns);
    case REMED_TYPE_EPOCH:
        return remed_read_epoch(at, end, ns);
    case REMED_TYPE_MOMENT: {
        const uint8_t *next = remed_read_stamp(&machine->calendar, at, end, ns);
        return next != NULL ? next : remed_read_epoch(at, end, ns);
    }
    case REMED_TYPE_DATE:
        return remed_read_date(at, end, ns);
    default:
        return remed_read_clock(at, end, ns);
    }
}

const uint8_t *remed_log_read(struct remed_log_machine *machine, unsigned type, unsigned slot,
                              const uint8_t *at, const uint8_t *end)
{
    struct remed_endpoint no_endpoint;
    uint64_t no_number;
    uint16_t no_port;
    uint8_t no_protocol;
    bool bound = slot != REMED_SLOT_NONE;
    switch (type) {
    case REMED_TYPE_IP:
        at = remed_scan_ip(at, end, bound ? &machine->endpoint[slot / 2] : &no_endpoint);
        break;
    case REMED_TYPE_PORT:
        at = remed_scan_port(at, end, bound ? &machine->port[slot / 2] : &no_port);
        break;
    case REMED_TYPE_NUMBER:
        at = remed_scan_number(at, end,
                               bound ? &machine->number[slot - REMED_SLOT_CBYTES] : &no_number);
        break;
    case REMED_TYPE_PROTOCOL:
        at = remed_scan_protocol(at, end, bound ? &machine->protocol : &no_protocol);
        break;
    case REMED_TYPE_ENDPOINT:
    case REMED_TYPE_LASTPORT:
    case REMED_TYPE_LIST:
        at = read_endpoint(machine, type, slot, at, end);
        break;
    case REMED_TYPE_STAMP:
    case REMED_TYPE_EPOCH:
    case REMED_TYPE_MOMENT:
    case REMED_TYPE_DATE:
    case REMED_TYPE_CLOCK:
        at = read_time(machine, type, slot, at, end);
        break;
    default:
        at = read_text(machine, type, slot, at, end);
    }
    if (at != NULL && bound)
        machine->have |= 1ull << slot;
    return at;
}

/* The first place of a step's literal that no backslash stands before. */
static const uint8_t *find_unescaped(const struct remed_log_machine *machine,
                                     const struct remed_log_step *step, const uint8_t *at,
                                     const uint8_t *end)
{
    while (at < end && !literal_at(machine, step, at, end)) {
        at += *at == '\\' && end - at > 1 ? 2 : 1;
        REMED_LOG_WORK(1);
    }
    return at < end ? at : NULL;
}

static const uint8_t *read_until(struct remed_log_machine *machine,
                                 const struct remed_log_step *step, const uint8_t *at,
                                 const uint8_t *end)
{
    const uint8_t *stop = step->type == REMED_TYPE_UNTIL ? find(machine, step, at, end)
                                                         : find_unescaped(machine, step, at, end);
    if (stop == NULL)
        return NULL;
    if (step->slot < REMED_SLOT_NONE) {
        machine->span[step->slot - REMED_SLOT_NAME] =
            (struct remed_log_span){at, (size_t)(stop - at)};
        machine->have |= 1ull << step->slot;
    }
    return stop;
}

static const uint8_t *skip_blanks(const uint8_t *at, const uint8_t *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

static const uint8_t *close_span(struct remed_log_machine *machine,
                                 const struct remed_log_step *step, const uint8_t *at)
{
    struct remed_log_span *span = &machine->span[step->slot - REMED_SLOT_NAME];
    span->length = (size_t)(at - span->text);
    machine->have |= 1ull << step->slot;
    return at;
}

/* A step that is not one of the loop's own. */
static const uint8_t *take(struct remed_log_machine *machine, const struct remed_log_step *step,
                           const uint8_t *at, const uint8_t *end)
{
    switch (step->code) {
    case REMED_CODE_FIELD:
        return step->type == REMED_TYPE_UNTIL || step->type == REMED_TYPE_ESCAPED
                   ? read_until(machine, step, at, end)
                   : remed_log_read(machine, step->type, step->slot, at, end);
    case REMED_CODE_BEFORE:
        return literal_at(machine, step, at, end) ? at : NULL;
    case REMED_CODE_NOT:
        return literal_at(machine, step, at, end) ? NULL : at;
    case REMED_CODE_OPEN:
        machine->span[step->slot - REMED_SLOT_NAME].text = at;
        return at;
    case REMED_CODE_CLOSE:
        return close_span(machine, step, at);
    case REMED_CODE_WALK:
        return remed_log_walk_run(
            machine, REMED_ITEM(machine->rules->walks, struct remed_log_walk, step->target), at,
            end);
    default: /* REMED_CODE_END */
        return skip_blanks(at, end) == end ? end : NULL;
    }
}

static void trace(struct remed_log_machine *machine, const struct remed_log_step *step,
                  const uint8_t *at)
{
    if (at < machine->far)
        return;
    machine->far = at;
    machine->far_line = step->line;
    machine->far_column = step->column;
}

/* Keeps the text between two places, where somebody asks for it. */
static inline const uint8_t *keep(struct remed_log_machine *machine, unsigned slot,
                                  const uint8_t *at, const uint8_t *next)
{
    if (slot == REMED_SLOT_NONE || next == NULL)
        return next;
    machine->span[slot - REMED_SLOT_NAME] = (struct remed_log_span){at, (size_t)(next - at)};
    machine->have |= 1ull << slot;
    return next;
}

/* What is behind a step that does not branch, or NULL. */
static inline const uint8_t *pass(struct remed_log_machine *machine,
                                  const struct remed_log_step *step, const uint8_t *at,
                                  const uint8_t *end)
{
    const uint8_t *next;
    switch (step->code) {
    case REMED_CODE_LITERAL:
        return literal_at(machine, step, at, end) ? at + step->length : NULL;
    case REMED_CODE_IP:
        next = remed_scan_ip(at, end, &machine->endpoint[step->slot / 2]);
        machine->have |= (uint64_t)(next != NULL) << step->slot;
        return next;
    case REMED_CODE_PORT:
        next = remed_scan_port(at, end, &machine->port[step->slot / 2]);
        machine->have |= (uint64_t)(next != NULL) << step->slot;
        return next;
    case REMED_CODE_WORD:
        return keep(machine, step->slot, at, skip_word(at, end));
    case REMED_CODE_PROTO:
        next = remed_scan_protocol(at, end, &machine->protocol);
        machine->have |= (uint64_t)(next != NULL) << REMED_SLOT_PROTO;
        return next;
    case REMED_CODE_NAME:
        return keep(machine, step->slot, at, skip_name(at, end));
    case REMED_CODE_DIGITS:
        return keep(machine, step->slot, at, skip_digits(at, end));
    case REMED_CODE_BLANKS:
        return skip_blanks(at, end);
    case REMED_CODE_FIND:
        next = find(machine, step, at, end);
        return next != NULL ? next + step->length : NULL;
    case REMED_CODE_LACKS:
        return (size_t)(end - at) < step->length || find(machine, step, at, end) == NULL ? at
                                                                                         : NULL;
    case REMED_CODE_REST:
        return end;
    default:
        return take(machine, step, at, end);
    }
}

bool remed_log_machine_run(struct remed_log_machine *machine, uint32_t start, const uint8_t *at,
                           const uint8_t *end)
{
    const struct remed_log_step *const steps = machine->rules->steps.items;
    const struct remed_log_step *step = steps + start;
    struct frame frames[REMED_LOG_DEPTH];
    unsigned depth = 0;
    for (;;) {
        REMED_LOG_WORK(1);
        if (step->code < REMED_CODE_TRY) {
            const uint8_t *next = pass(machine, step, at, end);
            if (step->advance == 2 && next != NULL) {
                step++;
                next = literal_at(machine, step, next, end) ? next + step->length : NULL;
            }
            if (REMED_LIKELY(next != NULL)) {
                at = next;
                step++;
                continue;
            }
            if (machine->tracing)
                trace(machine, step, at);
            if (depth == 0)
                return false;
            depth--;
            at = frames[depth].at;
            machine->have = frames[depth].have;
            step = steps + frames[depth].target;
        } else if (step->code == REMED_CODE_COMMIT) {
            depth--;
            step = steps + step->target;
        } else if (step->code == REMED_CODE_MATCH) {
            machine->at = at;
            if (machine->tracing)
                trace(machine, step, at);
            return true;
        } else if (step->first < 256 && (at == end || *at != step->first)) {
            step = steps + step->target;
        } else {
            frames[depth++] = (struct frame){step->target, at, machine->have};
            step++;
        }
    }
}
