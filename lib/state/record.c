/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making, filling and reading records; the names of what is in them.
 *
 * Threads: one thread a record.
 */
#include "state/record.h"

int remed_record_new(struct remed_record **record, const struct remed_allocator *given)
{
    struct remed_allocator allocator = remed_allocator_or_default(given);
    struct remed_record *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return REMED_ENOMEM;
    made->allocator = allocator;
    *record = made;
    return 0;
}

void remed_record_clear(struct remed_record *record)
{
    record->kind = record->op = record->source = 0;
    record->domain_length = record->origin_length = 0;
    record->domain[0] = record->origin[0] = '\0';
    record->epoch = record->sequence = record->observed = record->expires = 0;
    record->blob[0].length = record->blob[1].length = 0;
    record->extra.count = record->extra.raw.length = 0;
    record->body_extra.count = record->body_extra.raw.length = 0;
}

void remed_record_free(struct remed_record *record)
{
    if (record == NULL)
        return;
    struct remed_allocator allocator = record->allocator;
    struct remed_blob *const blobs[] = {&record->blob[0], &record->blob[1], &record->extra.raw,
                                        &record->body_extra.raw};
    for (unsigned i = 0; i < 4; i++)
        remed_release(&allocator, blobs[i]->bytes, blobs[i]->room);
    remed_release(&allocator, record, sizeof *record);
}

static int blob_reserve(struct remed_blob *blob, size_t length,
                        const struct remed_allocator *allocator)
{
    size_t room = blob->room < 64 ? 64 : blob->room;
    while (room < length)
        room *= 2;
    if (room == blob->room)
        return 0;
    uint8_t *grown = remed_reallocate(allocator, blob->bytes, blob->room, room);
    if (grown == NULL)
        return REMED_ENOMEM;
    blob->bytes = grown;
    blob->room = (uint32_t)room;
    return 0;
}

int remed_record_reserve(struct remed_record *record)
{
    const struct remed_allocator *allocator = &record->allocator;
    int rc = blob_reserve(&record->blob[0], REMED_BLOB_MAX, allocator);
    if (rc == 0)
        rc = blob_reserve(&record->blob[1], REMED_BLOB_MAX, allocator);
    if (rc == 0)
        rc = blob_reserve(&record->extra.raw, REMED_EXTRA_MAX, allocator);
    return rc == 0 ? blob_reserve(&record->body_extra.raw, REMED_EXTRA_MAX, allocator) : rc;
}

int remed_blob_set(struct remed_blob *blob, const uint8_t *bytes, size_t length,
                   const struct remed_allocator *allocator)
{
    if (length > blob->room && blob_reserve(blob, length, allocator) < 0)
        return REMED_ENOMEM;
    if (length != 0)
        memmove(blob->bytes, bytes, length);
    blob->length = (uint32_t)length;
    return 0;
}

void remed_record_head_init(struct remed_record_head *head, size_t size)
{
    const struct remed_record_head defaults = {.size = size, .domain = "", .origin = ""};
    remed_stats_copy(head, size, &defaults, sizeof defaults);
}

/* Bytes of the character at `text`, 0 when it is no character to be shown. */
static size_t character(const uint8_t *text, size_t left)
{
    if (text[0] < 0x80)
        return text[0] >= 0x20 && text[0] != 0x7f ? 1 : 0;
    size_t length = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    if (text[0] < 0xc2 || text[0] > 0xf4 || length > left)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xf0 && text[1] < 0x90);
    bool beyond = (text[0] == 0xed && text[1] > 0x9f) || (text[0] == 0xf4 && text[1] > 0x8f);
    bool control = text[0] == 0xc2 && text[1] < 0xa0;
    return overlong || beyond || control ? 0 : length;
}

bool remed_is_plain_text(const char *text, size_t length)
{
    if (REMED_LIKELY(remed_is_plain_ascii(text, length)))
        return true;
    for (size_t at = 0, step; at < length; at += step) {
        step = character((const uint8_t *)text + at, length - at);
        if (step == 0)
            return false;
    }
    return true;
}

static int check_name(const char *what, const char *name, size_t least, struct remed_error *error)
{
    size_t length = remed_text_length(name, REMED_NAME_MAX + 1);
    if (length < least)
        return remed_error_set(error, REMED_EINVAL, "the %s is empty", what);
    if (length > REMED_NAME_MAX)
        return remed_error_set(error, REMED_EINVAL, "the %s is longer than %d bytes", what,
                               REMED_NAME_MAX);
    if (!remed_is_plain_text(name, length))
        return remed_error_set(error, REMED_EINVAL,
                               "the %s is no UTF-8 text, or has control characters", what);
    return 0;
}

int remed_record_set_head(struct remed_record *record, const struct remed_record_head *given,
                          struct remed_error *error)
{
    struct remed_record_head head;
    remed_record_head_init(&head, sizeof head);
    int rc = remed_opts_copy(&head, sizeof head, given, "record head", error);
    if (rc < 0)
        return rc;
    if (head.origin == NULL)
        head.origin = "";
    if (head.domain == NULL)
        head.domain = "";
    rc = check_name("domain", head.domain, 1, error);
    if (rc == 0)
        rc = check_name("origin", head.origin, 0, error);
    if (rc < 0)
        return rc;
    if (head.reserved != 0)
        return remed_error_set(error, REMED_EINVAL, "the head's reserved is not zero");
    if (head.epoch > REMED_NUMBER_MAX || head.sequence > REMED_NUMBER_MAX)
        return remed_error_set(
            error, REMED_EINVAL, "%s %llu is above 2^62",
            head.epoch > REMED_NUMBER_MAX ? "epoch" : "sequence",
            (unsigned long long)(head.epoch > REMED_NUMBER_MAX ? head.epoch : head.sequence));
    if (head.op > REMED_OP_REMOVE || head.source > REMED_LEARNED_EXTRACTED)
        return remed_error_set(error, REMED_EINVAL, "op or source out of range");
    record->domain_length = (uint8_t)strlen(head.domain);
    record->origin_length = (uint8_t)strlen(head.origin);
    memmove(record->domain, head.domain, (size_t)record->domain_length + 1);
    memmove(record->origin, head.origin, (size_t)record->origin_length + 1);
    record->op = (uint8_t)head.op;
    record->source = (uint8_t)head.source;
    record->epoch = head.epoch;
    record->sequence = head.sequence;
    record->observed = head.observed;
    record->expires = head.expires;
    return 0;
}

void remed_record_head(const struct remed_record *record, struct remed_record_head *head,
                       size_t size)
{
    const struct remed_record_head own = {.size = size,
                                          .domain = record->domain,
                                          .origin = record->origin,
                                          .kind = record->kind,
                                          .op = record->op,
                                          .source = record->source,
                                          .epoch = record->epoch,
                                          .sequence = record->sequence,
                                          .observed = record->observed,
                                          .expires = record->expires};
    remed_stats_copy(head, size, &own, sizeof own);
}

/* Where a body's bytes lie. */
static unsigned blobs_of(unsigned kind, const union remed_body *body, const uint8_t *bytes[2],
                         uint32_t lengths[2])
{
    if (kind == REMED_KIND_FLOW_RULE) {
        bytes[0] = body->flow_rule.match;
        bytes[1] = body->flow_rule.actions;
        lengths[0] = body->flow_rule.match_length;
        lengths[1] = body->flow_rule.actions_length;
        return 2;
    }
    if (kind == REMED_KIND_OPAQUE) {
        bytes[0] = body->opaque.key;
        bytes[1] = body->opaque.data;
        lengths[0] = body->opaque.key_length;
        lengths[1] = body->opaque.data_length;
        return 2;
    }
    return 0;
}

int remed_record_set_body(struct remed_record *record, unsigned kind, const void *given,
                          size_t size, struct remed_error *error)
{
    union remed_body body;
    const uint8_t *bytes[2];
    uint32_t lengths[2];
    if (size != remed_body_size(kind) || size == 0)
        return remed_error_set(error, REMED_EINVAL, "no kind %u of %zu bytes", kind, size);
    memset(&body, 0, sizeof body);
    memcpy(&body, given, size);
    int rc = remed_body_check(kind, &body, record->op, error);
    if (rc < 0)
        return rc;
    unsigned blobs = blobs_of(kind, &body, bytes, lengths);
    for (unsigned i = 0; i < blobs; i++)
        if (remed_blob_set(&record->blob[i], bytes[i], lengths[i], &record->allocator) < 0) {
            remed_record_clear(record);
            return remed_error_set(error, REMED_ENOMEM, "no memory for the body");
        }
    record->kind = (uint8_t)kind;
    record->body = body;
    record->body_extra.count = record->body_extra.raw.length = 0;
    return 0;
}

int remed_record_body(const struct remed_record *record, unsigned kind, void *body, size_t size)
{
    union remed_body own = record->body;
    if (record->kind != kind || kind == 0)
        return REMED_ENOENT;
    if (kind == REMED_KIND_FLOW_RULE) {
        own.flow_rule.match = record->blob[0].bytes;
        own.flow_rule.actions = record->blob[1].bytes;
    } else if (kind == REMED_KIND_OPAQUE) {
        own.opaque.key = record->blob[0].bytes;
        own.opaque.data = record->blob[1].bytes;
    }
    remed_stats_copy(body, size, &own, remed_body_size(kind));
    return 0;
}

int remed_record_compare(const struct remed_record *a, const struct remed_record *b)
{
    if (a->epoch != b->epoch)
        return a->epoch > b->epoch ? 1 : -1;
    return a->sequence > b->sequence ? 1 : a->sequence < b->sequence ? -1 : 0;
}
