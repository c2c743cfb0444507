/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a body must have to be one, by kind; and the names of kinds, sources and TCP states.
 *
 * Threads: no state.
 */
#include "state/record.h"

size_t remed_body_size(unsigned kind)
{
    static const size_t sizes[] = {
        [REMED_KIND_NAT_BINDING] = sizeof(struct remed_nat_binding),
        [REMED_KIND_LB_ASSIGNMENT] = sizeof(struct remed_lb_assignment),
        [REMED_KIND_SESSION] = sizeof(struct remed_session),
        [REMED_KIND_FLOW_RULE] = sizeof(struct remed_flow_rule),
        [REMED_KIND_COUNTER] = sizeof(struct remed_counter),
        [REMED_KIND_OPAQUE] = sizeof(struct remed_opaque),
    };
    return kind < sizeof sizes / sizeof *sizes ? sizes[kind] : 0;
}

const char *remed_kind_name(unsigned kind)
{
    static const char *const names[] = {NULL,        "nat-binding", "lb-assignment", "session",
                                        "flow-rule", "counter",     "opaque"};
    return kind < sizeof names / sizeof *names ? names[kind] : NULL;
}

const char *remed_learned_name(unsigned source)
{
    static const char *const names[] = {"mirrored", "inferred", "logged", "extracted"};
    return source < sizeof names / sizeof *names ? names[source] : NULL;
}

const char *remed_tcp_state_name(unsigned state)
{
    static const char *const names[REMED_TCP_STATE_COUNT] = {
        "none",       "syn-sent", "syn-received", "established", "fin-wait",
        "close-wait", "last-ack", "time-wait",    "closed"};
    return state < REMED_TCP_STATE_COUNT ? names[state] : NULL;
}

enum presence { OPTIONAL, NEEDED };

static int check_endpoint(const char *what, const struct remed_endpoint *endpoint,
                          enum presence presence, struct remed_error *error)
{
    static const uint8_t zeros[16];
    unsigned length = remed_address_length(endpoint->ip_version);
    if (endpoint->ip_version == 0 && presence == NEEDED)
        return remed_error_set(error, REMED_EINVAL, "%s is missing", what);
    if (endpoint->ip_version != 0 && length == 0)
        return remed_error_set(error, REMED_EINVAL, "%s has IP version %u", what,
                               endpoint->ip_version);
    if (memcmp(endpoint->address + length, zeros, 16 - length) != 0 || endpoint->reserved != 0 ||
        (length == 0 && endpoint->port != 0))
        return remed_error_set(error, REMED_EINVAL, "%s has bytes beyond its address", what);
    return 0;
}

static int check_reserved(const uint8_t *bytes, size_t length, struct remed_error *error)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != 0)
            return remed_error_set(error, REMED_EINVAL, "the body's reserved bytes are not zero");
    return 0;
}

static int check_text(const char *what, const char *text, size_t least, struct remed_error *error)
{
    size_t length = remed_text_length(text, REMED_TEXT_MAX + 1);
    if (length < least || length > REMED_TEXT_MAX || !remed_is_plain_text(text, length))
        return remed_error_set(error, REMED_EINVAL,
                               "%s must be %zu to %d bytes of UTF-8 without control characters",
                               what, least, REMED_TEXT_MAX);
    return 0;
}

static int check_nat_binding(const struct remed_nat_binding *body, enum presence outside,
                             struct remed_error *error)
{
    int rc = check_reserved(body->reserved, sizeof body->reserved, error);
    if (rc == 0)
        rc = check_endpoint("inside", &body->inside, NEEDED, error);
    if (rc == 0)
        rc = check_endpoint("outside", &body->outside, outside, error);
    return rc == 0 ? check_endpoint("remote", &body->remote, OPTIONAL, error) : rc;
}

static int check_lb_assignment(const struct remed_lb_assignment *body, enum presence backend,
                               struct remed_error *error)
{
    int rc = check_text("backend", body->backend_name, 0, error);
    if (body->backend_name[0] != '\0')
        backend = OPTIONAL;
    if (rc == 0)
        rc = check_reserved(body->reserved, sizeof body->reserved, error);
    if (rc == 0)
        rc = check_endpoint("client", &body->client, NEEDED, error);
    if (rc == 0)
        rc = check_endpoint("virtual", &body->service, NEEDED, error);
    return rc == 0 ? check_endpoint("backend", &body->backend, backend, error) : rc;
}

static int check_session(const struct remed_session *body, struct remed_error *error)
{
    int rc = check_reserved(body->reserved, sizeof body->reserved, error);
    for (unsigned i = 0; rc == 0 && i < 2; i++)
        rc = check_reserved(body->window[i].reserved, sizeof body->window[i].reserved, error);
    if (rc == 0)
        rc = check_endpoint("client", &body->client, NEEDED, error);
    if (rc == 0)
        rc = check_endpoint("server", &body->server, NEEDED, error);
    if (rc == 0)
        rc = check_endpoint("client_outside", &body->client_outside, OPTIONAL, error);
    if (rc == 0)
        rc = check_endpoint("server_inside", &body->server_inside, OPTIONAL, error);
    if (rc == 0 &&
        (body->tcp_state >= REMED_TCP_STATE_COUNT || body->window[0].scale > 14 ||
         body->window[1].scale > 14 || body->window[0].known > 1 || body->window[1].known > 1))
        rc = remed_error_set(error, REMED_EINVAL, "tcp_state or a window is out of range");
    return rc;
}

static int check_blob(const char *what, const uint8_t *bytes, size_t length, size_t least,
                      size_t most, struct remed_error *error)
{
    if (length < least || length > most || (bytes == NULL && length != 0))
        return remed_error_set(error, REMED_EINVAL, "%s must be %zu to %zu bytes", what, least,
                               most);
    return 0;
}

int remed_body_check(unsigned kind, const void *given, unsigned op, struct remed_error *error)
{
    const union remed_body *body = given;
    const size_t key = REMED_KEY_MAX - REMED_NAME_MAX - 16;
    enum presence presence = op == REMED_OP_REMOVE ? OPTIONAL : NEEDED;
    int rc;
    switch (kind) {
    case REMED_KIND_NAT_BINDING:
        return check_nat_binding(&body->nat_binding, presence, error);
    case REMED_KIND_LB_ASSIGNMENT:
        return check_lb_assignment(&body->lb_assignment, presence, error);
    case REMED_KIND_SESSION:
        return check_session(&body->session, error);
    case REMED_KIND_FLOW_RULE:
        rc =
            check_blob("match", body->flow_rule.match, body->flow_rule.match_length, 0, key, error);
        return rc == 0 ? check_blob("actions", body->flow_rule.actions,
                                    body->flow_rule.actions_length, 0, REMED_BLOB_MAX, error)
                       : rc;
    case REMED_KIND_COUNTER:
        return check_text("name", body->counter.name, 1, error);
    case REMED_KIND_OPAQUE:
        rc = check_blob("key", body->opaque.key, body->opaque.key_length, 1, key, error);
        return rc == 0 ? check_blob("data", body->opaque.data, body->opaque.data_length, 0,
                                    REMED_BLOB_MAX, error)
                       : rc;
    default:
        return remed_error_set(error, REMED_EINVAL, "no kind %u", kind);
    }
}
