/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records from their wire form (docs/wire.md), which anyone may have written. Whatever the bytes
 * are, the result is a record that remed_record_set_body() would have taken, or an error.
 *
 * Threads: no state.
 */
#include "state/record.h"

/* Elements of an array that may be missing at its end. */
static inline bool has_more(struct remed_reader *reader, uint32_t *left)
{
    if (*left == 0 || reader->code != 0)
        return false;
    (*left)--;
    return true;
}

static inline void need(struct remed_reader *reader, uint32_t *left, uint32_t count,
                        const char *why)
{
    if (REMED_UNLIKELY(*left < count))
        remed_reader_fail(reader, REMED_EFORMAT, why);
    else
        *left -= count;
}

static void keep_rest(struct remed_record *record, struct remed_reader *reader,
                      struct remed_extra *extra, uint32_t left)
{
    const uint8_t *begin = reader->at;
    if (left == 0 || reader->code != 0)
        return;
    for (uint32_t i = 0; i < left && reader->code == 0; i++)
        remed_reader_skip(reader, REMED_SKIP_BUDGET);
    if (reader->code == 0 && (size_t)(reader->at - begin) > REMED_EXTRA_MAX)
        remed_reader_fail(reader, REMED_ELIMIT, "fewer unknown fields");
    if (reader->code != 0)
        return;
    if (remed_blob_set(&extra->raw, begin, (size_t)(reader->at - begin), &record->allocator) < 0)
        remed_reader_fail(reader, REMED_ENOMEM, "memory");
    extra->count = left;
}

/* Short texts, as most are: two words, masked to the length and looked at in registers. Zeros are
 * written behind the text; `text` has 16 bytes and a NUL at least. */
static inline bool read_short_text(struct remed_reader *reader, char *text, size_t *length)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const uint64_t blank = 0x2020202020202020u, all = UINT64_MAX;
    const uint8_t *at = reader->at;
    uint64_t words[2];
    if (REMED_UNLIKELY(reader->code != 0 || remed_reader_left(reader) < 17 || at[0] < 0xa1 ||
                       at[0] > 0xaf))
        return false;
    unsigned got = at[0] & 15;
    uint64_t first = got < 8 ? ~(all << 8 * got) : all;
    uint64_t second = got > 8 ? all >> 8 * (16 - got) : 0;
    memcpy(words, at + 1, 16);
    words[0] &= first;
    words[1] &= second;
    if (REMED_UNLIKELY((remed_not_plain(words[0] | (blank & ~first)) |
                        remed_not_plain(words[1] | (blank & ~second))) != 0))
        return false;
    memcpy(text, words, 16);
    text[16] = '\0';
    *length = got;
    reader->at += 1 + got;
    return true;
#else
    (void)reader, (void)text, (void)length;
    return false;
#endif
}

static inline void read_text(struct remed_reader *reader, char *text, size_t most, uint8_t *length,
                             const char *why)
{
    size_t got;
    if (REMED_LIKELY(read_short_text(reader, text, &got))) {
        if (length != NULL)
            *length = (uint8_t)got;
        return;
    }
    const uint8_t *bytes = remed_read_blob(reader, true, most, &got, why);
    if (REMED_UNLIKELY(bytes == NULL))
        return;
    memcpy(text, bytes, got);
    text[got] = '\0';
    if (length != NULL)
        *length = (uint8_t)got;
    if (REMED_UNLIKELY(!remed_is_plain_text(text, got)))
        remed_reader_fail(reader, REMED_EFORMAT, why);
}

static void read_blob(struct remed_record *record, struct remed_reader *reader, unsigned index,
                      size_t most, const char *why)
{
    size_t length;
    const uint8_t *bytes = remed_read_blob(reader, false, most, &length, why);
    if (bytes != NULL &&
        remed_blob_set(&record->blob[index], bytes, length, &record->allocator) < 0)
        remed_reader_fail(reader, REMED_ENOMEM, "memory");
}

/* An endpoint out of the bin; false when the bin is too short or the shape is none. */
static inline bool unpack(struct remed_endpoint *endpoint, unsigned shape, const uint8_t **at,
                          const uint8_t *end)
{
    unsigned length = shape == 1 ? 4 : shape == 2 ? 16 : 0;
    memset(endpoint, 0, sizeof *endpoint);
    if (shape == 0)
        return true;
    if (REMED_UNLIKELY(length == 0 || (size_t)(end - *at) < length + 2))
        return false;
    if (length == 4)
        memcpy(endpoint->address, *at, 4);
    else
        memcpy(endpoint->address, *at, 16);
    endpoint->port = (uint16_t)((*at)[length] << 8 | (*at)[length + 1]);
    endpoint->ip_version = length == 4 ? 4 : 6;
    *at += length + 2;
    return true;
}

static void read_packed(struct remed_reader *reader, uint8_t *protocol,
                        struct remed_endpoint *const *endpoints, unsigned count)
{
    size_t length;
    *protocol = (uint8_t)remed_read_uint(reader, UINT8_MAX, "a protocol");
    unsigned shape = (unsigned)remed_read_uint(reader, UINT8_MAX, "the shape of the endpoints");
    const uint8_t *at = remed_read_blob(reader, false, 72, &length, "endpoints");
    const uint8_t *end = at != NULL ? at + length : NULL;
    if (REMED_UNLIKELY(at == NULL))
        return;
    bool fits = shape >> 2 * count == 0;
    for (unsigned i = 0; i < count; i++)
        fits = fits && unpack(endpoints[i], shape >> 2 * i & 3, &at, end);
    if (REMED_UNLIKELY(!fits || at != end))
        remed_reader_fail(reader, REMED_EFORMAT, "endpoints of that shape");
}

static void read_nat_binding(struct remed_record *record, struct remed_reader *reader,
                             uint32_t *left)
{
    struct remed_nat_binding *body = &record->body.nat_binding;
    struct remed_endpoint *const endpoints[] = {&body->inside, &body->outside, &body->remote};
    need(reader, left, 3, "a nat-binding of 3 elements");
    memset(body->reserved, 0, sizeof body->reserved);
    read_packed(reader, &body->protocol, endpoints, 3);
}

static void read_lb_assignment(struct remed_record *record, struct remed_reader *reader,
                               uint32_t *left)
{
    struct remed_lb_assignment *body = &record->body.lb_assignment;
    struct remed_endpoint *const endpoints[] = {&body->client, &body->service, &body->backend};
    need(reader, left, 3, "an lb-assignment of 3 elements");
    memset(body, 0, sizeof *body);
    read_packed(reader, &body->protocol, endpoints, 3);
    if (has_more(reader, left))
        read_text(reader, body->backend_name, REMED_TEXT_MAX, NULL, "the backend's name");
}

static void read_window(struct remed_reader *reader, struct remed_tcp_window *window)
{
    uint32_t count = remed_read_array(reader, "a window");
    if (count == 0)
        return;
    if (count != 4)
        remed_reader_fail(reader, REMED_EFORMAT, "a window of 4 numbers");
    window->end = (uint32_t)remed_read_uint(reader, UINT32_MAX, "a sequence number");
    window->max_end = (uint32_t)remed_read_uint(reader, UINT32_MAX, "a sequence number");
    window->max_window = (uint32_t)remed_read_uint(reader, UINT32_MAX, "a window");
    window->scale = (uint8_t)remed_read_uint(reader, 14, "a window scale");
    window->known = 1;
}

static void read_session(struct remed_record *record, struct remed_reader *reader, uint32_t *left)
{
    struct remed_session *body = &record->body.session;
    struct remed_endpoint *const endpoints[] = {&body->client, &body->server, &body->client_outside,
                                                &body->server_inside};
    need(reader, left, 3, "a session of 3 elements");
    memset(body, 0, sizeof *body);
    read_packed(reader, &body->protocol, endpoints, 4);
    if (has_more(reader, left)) {
        body->tcp_state =
            (uint8_t)remed_read_uint(reader, REMED_TCP_STATE_COUNT - 1, "a TCP state");
        need(reader, left, 1, "a timeout");
        body->timeout = remed_read_uint(reader, UINT64_MAX, "a timeout");
    }
    if (has_more(reader, left)) {
        if (remed_read_array(reader, "counters") != 4)
            remed_reader_fail(reader, REMED_EFORMAT, "4 counters");
        body->bytes[0] = remed_read_uint(reader, UINT64_MAX, "bytes");
        body->bytes[1] = remed_read_uint(reader, UINT64_MAX, "bytes");
        body->packets[0] = remed_read_uint(reader, UINT64_MAX, "packets");
        body->packets[1] = remed_read_uint(reader, UINT64_MAX, "packets");
    }
    if (has_more(reader, left)) {
        need(reader, left, 1, "two windows");
        read_window(reader, &body->window[0]);
        read_window(reader, &body->window[1]);
    }
}

static void read_flow_rule(struct remed_record *record, struct remed_reader *reader, uint32_t *left)
{
    struct remed_flow_rule *body = &record->body.flow_rule;
    need(reader, left, 5, "a flow-rule of 5 elements");
    memset(body, 0, sizeof *body);
    body->table = (uint32_t)remed_read_uint(reader, UINT32_MAX, "a table");
    body->priority = (uint32_t)remed_read_uint(reader, UINT32_MAX, "a priority");
    body->cookie = remed_read_uint(reader, UINT64_MAX, "a cookie");
    read_blob(record, reader, 0, REMED_KEY_MAX, "a match");
    read_blob(record, reader, 1, REMED_BLOB_MAX, "actions");
    body->match_length = record->blob[0].length;
    body->actions_length = record->blob[1].length;
    body->match = record->blob[0].bytes;
    body->actions = record->blob[1].bytes;
}

static void read_counter(struct remed_record *record, struct remed_reader *reader, uint32_t *left)
{
    struct remed_counter *body = &record->body.counter;
    need(reader, left, 2, "a counter of 2 elements");
    memset(body, 0, sizeof *body);
    read_text(reader, body->name, REMED_TEXT_MAX, NULL, "a counter's name");
    body->value = remed_read_uint(reader, UINT64_MAX, "a value");
}

static void read_opaque(struct remed_record *record, struct remed_reader *reader, uint32_t *left)
{
    struct remed_opaque *body = &record->body.opaque;
    need(reader, left, 2, "an opaque body of 2 elements");
    memset(body, 0, sizeof *body);
    read_blob(record, reader, 0, REMED_KEY_MAX, "a key");
    read_blob(record, reader, 1, REMED_BLOB_MAX, "data");
    body->key_length = record->blob[0].length;
    body->data_length = record->blob[1].length;
    body->key = record->blob[0].bytes;
    body->data = record->blob[1].bytes;
}

static void read_body(struct remed_record *record, struct remed_reader *reader, unsigned kind)
{
    uint32_t left = remed_read_array(reader, "a body");
    if (reader->code != 0)
        return;
    switch (kind) {
    case REMED_KIND_NAT_BINDING:
        read_nat_binding(record, reader, &left);
        break;
    case REMED_KIND_LB_ASSIGNMENT:
        read_lb_assignment(record, reader, &left);
        break;
    case REMED_KIND_SESSION:
        read_session(record, reader, &left);
        break;
    case REMED_KIND_FLOW_RULE:
        read_flow_rule(record, reader, &left);
        break;
    case REMED_KIND_COUNTER:
        read_counter(record, reader, &left);
        break;
    default:
        read_opaque(record, reader, &left);
    }
    keep_rest(record, reader, &record->body_extra, left);
}

static void read_head(struct remed_record *record, struct remed_reader *reader)
{
    uint64_t version = remed_read_uint(reader, UINT64_MAX, "a version");
    if (REMED_UNLIKELY(version > REMED_WIRE_VERSION + 1 && reader->code == 0))
        remed_reader_fail(reader, REMED_EUNSUPPORTED, "a version that this library reads");
    unsigned tag = (unsigned)remed_read_uint(reader, 127, "kind, operation and source");
    record->kind = (uint8_t)(tag >> 3);
    record->op = (uint8_t)(tag >> 2 & 1);
    record->source = (uint8_t)(tag & 3);
    if (REMED_UNLIKELY(remed_body_size(record->kind) == 0 && reader->code == 0))
        remed_reader_fail(reader, REMED_EUNSUPPORTED, "a kind that this library knows");
    read_text(reader, record->domain, REMED_NAME_MAX, &record->domain_length, "a domain");
    read_text(reader, record->origin, REMED_NAME_MAX, &record->origin_length, "an origin");
    if (REMED_UNLIKELY(record->domain_length == 0))
        remed_reader_fail(reader, REMED_EFORMAT, "a domain");
    record->epoch = remed_read_uint(reader, REMED_NUMBER_MAX, "an epoch of at most 2^62");
    record->sequence = remed_read_uint(reader, REMED_NUMBER_MAX, "a sequence of at most 2^62");
    record->observed = remed_read_uint(reader, UINT64_MAX, "a time");
}

static int fail(struct remed_record *record, const struct remed_reader *reader,
                struct remed_error *error)
{
    remed_record_clear(record);
    return remed_error_set(error, reader->code, "byte %zu: expected %s",
                           (size_t)(reader->at - reader->begin), reader->why);
}

/* Of the commonest kind, what reading alone does not ensure: that the endpoints are there. */
static bool is_sound_binding(const struct remed_record *record)
{
    const struct remed_nat_binding *body = &record->body.nat_binding;
    return record->kind == REMED_KIND_NAT_BINDING && body->inside.ip_version != 0 &&
           (body->outside.ip_version != 0 || record->op == REMED_OP_REMOVE);
}

int remed_record_decode(struct remed_record *record, const uint8_t *bytes, size_t length,
                        struct remed_error *error)
{
    struct remed_reader reader = {.begin = bytes, .at = bytes, .end = bytes + length};
    remed_record_clear(record);
    if (length > REMED_RECORD_MAX)
        return remed_error_set(error, REMED_ELIMIT, "a record of %zu bytes, more than %d", length,
                               REMED_RECORD_MAX);
    uint32_t left = remed_read_array(&reader, "a record");
    need(&reader, &left, 8, "a record of 8 elements");
    read_head(record, &reader);
    if (reader.code == 0)
        read_body(record, &reader, record->kind);
    if (has_more(&reader, &left))
        record->expires = remed_read_uint(&reader, UINT64_MAX, "a time of expiry");
    keep_rest(record, &reader, &record->extra, left);
    if (reader.code == 0 && reader.at != reader.end)
        remed_reader_fail(&reader, REMED_EFORMAT, "the end");
    if (REMED_UNLIKELY(reader.code != 0))
        return fail(record, &reader, error);
    if (REMED_LIKELY(is_sound_binding(record)))
        return 0;
    int rc = remed_body_check(record->kind, &record->body, record->op, error);
    if (REMED_UNLIKELY(rc < 0)) {
        remed_record_clear(record);
        return rc == REMED_EINVAL ? REMED_EFORMAT : rc;
    }
    return 0;
}

int remed_record_measure(const uint8_t *bytes, size_t available, size_t *length)
{
    size_t within = available < REMED_RECORD_MAX ? available : REMED_RECORD_MAX;
    struct remed_reader reader = {.begin = bytes, .at = bytes, .end = bytes + within};
    *length = 0;
    uint8_t type = remed_read_type(&reader);
    if (reader.code == 0 && (type & 0xf0) != 0x90 && type != 0xdc && type != 0xdd)
        return REMED_EFORMAT;
    remed_reader_skip(&reader, REMED_SKIP_BUDGET);
    if (reader.code == REMED_ETRUNCATED && available > REMED_RECORD_MAX)
        return REMED_ELIMIT;
    *length = reader.code == 0 ? (size_t)(reader.at - reader.begin) : 0;
    return reader.code;
}
