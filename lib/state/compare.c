/* SPDX-License-Identifier: BSD-3-Clause */
/* The comparing of compare.h. Threads: no state. */
#include "state/compare.h"

#include <stddef.h>

/* A field of a body struct. */
struct field {
    const char *name;
    size_t offset, size;
};

#define FIELD(type, member, text)                                                                  \
    {                                                                                              \
        text, offsetof(struct type, member), sizeof(((struct type *)0)->member)                    \
    }

static const struct field nat_fields[] = {FIELD(remed_nat_binding, protocol, "protocol"),
                                          FIELD(remed_nat_binding, inside, "inside"),
                                          FIELD(remed_nat_binding, outside, "outside"),
                                          FIELD(remed_nat_binding, remote, "remote"),
                                          {NULL, 0, 0}};
static const struct field lb_fields[] = {FIELD(remed_lb_assignment, protocol, "protocol"),
                                         FIELD(remed_lb_assignment, client, "client"),
                                         FIELD(remed_lb_assignment, service, "virtual"),
                                         FIELD(remed_lb_assignment, backend, "backend"),
                                         FIELD(remed_lb_assignment, backend_name, "backend"),
                                         {NULL, 0, 0}};
static const struct field session_fields[] = {
    FIELD(remed_session, protocol, "protocol"),
    FIELD(remed_session, client, "client"),
    FIELD(remed_session, server, "server"),
    FIELD(remed_session, client_outside, "client_outside"),
    FIELD(remed_session, server_inside, "server_inside"),
    FIELD(remed_session, tcp_state, "tcp_state"),
    FIELD(remed_session, window, "windows"),
    FIELD(remed_session, timeout, "timeout"),
    FIELD(remed_session, bytes, "bytes"),
    FIELD(remed_session, packets, "packets"),
    {NULL, 0, 0}};
static const struct field rule_fields[] = {FIELD(remed_flow_rule, table, "table"),
                                           FIELD(remed_flow_rule, priority, "priority"),
                                           FIELD(remed_flow_rule, cookie, "cookie"),
                                           {NULL, 0, 0}};
static const struct field counter_fields[] = {
    FIELD(remed_counter, name, "name"), FIELD(remed_counter, value, "value"), {NULL, 0, 0}};

static void add(char *text, size_t size, const char *name)
{
    size_t at = strlen(text), length = strlen(name);
    if (at + length + 2 > size)
        return;
    if (at > 0)
        text[at++] = ',';
    memcpy(text + at, name, length + 1);
}

static bool same_blob(const struct remed_blob *a, const struct remed_blob *b)
{
    return a->length == b->length && (a->length == 0 || memcmp(a->bytes, b->bytes, a->length) == 0);
}

void remed_body_differences(const struct remed_record *a, const struct remed_record *b, char *text,
                            size_t size)
{
    static const struct field *const fields[] = {
        [REMED_KIND_NAT_BINDING] = nat_fields, [REMED_KIND_LB_ASSIGNMENT] = lb_fields,
        [REMED_KIND_SESSION] = session_fields, [REMED_KIND_FLOW_RULE] = rule_fields,
        [REMED_KIND_COUNTER] = counter_fields, [REMED_KIND_OPAQUE] = NULL};
    text[0] = '\0';
    const uint8_t *x = (const uint8_t *)&a->body, *y = (const uint8_t *)&b->body;
    for (const struct field *field = fields[a->kind]; field != NULL && field->name != NULL; field++)
        if (memcmp(x + field->offset, y + field->offset, field->size) != 0)
            add(text, size, field->name);
    bool rule = a->kind == REMED_KIND_FLOW_RULE;
    if ((rule || a->kind == REMED_KIND_OPAQUE) && !same_blob(&a->blob[0], &b->blob[0]))
        add(text, size, rule ? "match" : "key");
    if ((rule || a->kind == REMED_KIND_OPAQUE) && !same_blob(&a->blob[1], &b->blob[1]))
        add(text, size, rule ? "actions" : "data");
    if (!same_blob(&a->body_extra.raw, &b->body_extra.raw))
        add(text, size, "unknown");
}
