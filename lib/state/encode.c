/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records to their wire form (docs/wire.md).
 *
 * Threads: no state.
 */
#include "state/compare.h"

/* An endpoint's address and port. */
static inline void write_endpoint(struct remed_writer *writer,
                                  const struct remed_endpoint *endpoint)
{
    const uint8_t port[2] = {(uint8_t)(endpoint->port >> 8), (uint8_t)endpoint->port};
    if (endpoint->ip_version == 4)
        remed_write_bytes(writer, endpoint->address, 4);
    else if (endpoint->ip_version == 6)
        remed_write_bytes(writer, endpoint->address, 16);
    else
        return;
    remed_write_bytes(writer, port, sizeof port);
}

/* Protocol, shape, endpoints: how the bodies with endpoints begin. Endpoints go together: two bits
 * each tell the IP version, and one bin holds address and port. */
static inline void write_endpoints(struct remed_writer *writer, unsigned protocol,
                                   const struct remed_endpoint *const *endpoints, unsigned count)
{
    unsigned shape = 0, length = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned version = endpoints[i]->ip_version;
        shape |= (version == 4 ? 1u : version == 6 ? 2u : 0u) << 2 * i;
        length += version == 4 ? 6 : version == 6 ? 18 : 0;
    }
    remed_write_uint(writer, protocol);
    remed_write_uint(writer, shape);
    remed_write_tagged(writer, 0xc4, length, 1);
    for (unsigned i = 0; i < count; i++)
        write_endpoint(writer, endpoints[i]);
}

static void begin_body(struct remed_writer *writer, const struct remed_record *record,
                       uint32_t count)
{
    remed_write_array(writer, count + record->body_extra.count);
}

static void write_nat_binding(struct remed_writer *writer, const struct remed_record *record)
{
    const struct remed_nat_binding *body = &record->body.nat_binding;
    const struct remed_endpoint *const endpoints[] = {&body->inside, &body->outside, &body->remote};
    begin_body(writer, record, 3);
    write_endpoints(writer, body->protocol, endpoints, 3);
}

static void write_lb_assignment(struct remed_writer *writer, const struct remed_record *record)
{
    const struct remed_lb_assignment *body = &record->body.lb_assignment;
    const struct remed_endpoint *const endpoints[] = {&body->client, &body->service,
                                                      &body->backend};
    size_t name = strlen(body->backend_name);
    bool named = name != 0 || record->body_extra.count != 0;
    begin_body(writer, record, named ? 4 : 3);
    write_endpoints(writer, body->protocol, endpoints, 3);
    if (named)
        remed_write_str(writer, body->backend_name, name);
}

/* A window is four numbers, or none. */
static void write_window(struct remed_writer *writer, const struct remed_tcp_window *window)
{
    remed_write_array(writer, window->known != 0 ? 4 : 0);
    if (window->known == 0)
        return;
    remed_write_uint(writer, window->end);
    remed_write_uint(writer, window->max_end);
    remed_write_uint(writer, window->max_window);
    remed_write_uint(writer, window->scale);
}

static void write_session(struct remed_writer *writer, const struct remed_record *record)
{
    const struct remed_session *body = &record->body.session;
    const struct remed_endpoint *const endpoints[] = {&body->client, &body->server,
                                                      &body->client_outside, &body->server_inside};
    bool windows =
        body->window[0].known != 0 || body->window[1].known != 0 || record->body_extra.count != 0;
    bool counted =
        windows || (body->bytes[0] | body->bytes[1] | body->packets[0] | body->packets[1]) != 0;
    bool timed = counted || body->tcp_state != 0 || body->timeout != 0;
    begin_body(writer, record, 3 + (timed ? 2u : 0) + (counted ? 1u : 0) + (windows ? 2u : 0));
    write_endpoints(writer, body->protocol, endpoints, 4);
    if (timed) {
        remed_write_uint(writer, body->tcp_state);
        remed_write_uint(writer, body->timeout);
    }
    if (counted) {
        remed_write_array(writer, 4);
        remed_write_uint(writer, body->bytes[0]);
        remed_write_uint(writer, body->bytes[1]);
        remed_write_uint(writer, body->packets[0]);
        remed_write_uint(writer, body->packets[1]);
    }
    if (windows) {
        write_window(writer, &body->window[0]);
        write_window(writer, &body->window[1]);
    }
}

static void write_body(struct remed_writer *writer, const struct remed_record *record)
{
    switch (record->kind) {
    case REMED_KIND_NAT_BINDING:
        write_nat_binding(writer, record);
        break;
    case REMED_KIND_LB_ASSIGNMENT:
        write_lb_assignment(writer, record);
        break;
    case REMED_KIND_SESSION:
        write_session(writer, record);
        break;
    case REMED_KIND_FLOW_RULE:
        begin_body(writer, record, 5);
        remed_write_uint(writer, record->body.flow_rule.table);
        remed_write_uint(writer, record->body.flow_rule.priority);
        remed_write_uint(writer, record->body.flow_rule.cookie);
        remed_write_bin(writer, record->blob[0].bytes, record->blob[0].length);
        remed_write_bin(writer, record->blob[1].bytes, record->blob[1].length);
        break;
    case REMED_KIND_COUNTER:
        begin_body(writer, record, 2);
        remed_write_str(writer, record->body.counter.name, strlen(record->body.counter.name));
        remed_write_uint(writer, record->body.counter.value);
        break;
    default:
        begin_body(writer, record, 2);
        remed_write_bin(writer, record->blob[0].bytes, record->blob[0].length);
        remed_write_bin(writer, record->blob[1].bytes, record->blob[1].length);
    }
    remed_write_bytes(writer, record->body_extra.raw.bytes, record->body_extra.raw.length);
}

size_t remed_body_write(const struct remed_record *record, uint8_t *bytes, size_t size)
{
    struct remed_writer writer = {bytes, bytes + size, 0};
    write_body(&writer, record);
    return writer.length;
}

int remed_record_encode(const struct remed_record *record, uint8_t *bytes, size_t size,
                        size_t *length)
{
    uint8_t none[1];
    *length = 0;
    if (record->kind == 0 || record->domain_length == 0)
        return REMED_EINVAL;
    if (record->epoch > REMED_NUMBER_MAX || record->sequence > REMED_NUMBER_MAX)
        return REMED_EINVAL; /* nobody would ever read it */
    if (bytes == NULL)
        bytes = none, size = 0;
    struct remed_writer writer = {bytes, bytes + size, 0};
    bool expires = record->expires != 0 || record->extra.count != 0;
    remed_write_array(&writer, (expires ? 9 : 8) + record->extra.count);
    remed_write_uint(&writer, REMED_WIRE_VERSION);
    remed_write_uint(&writer, (uint64_t)record->kind << 3 | record->op << 2 | record->source);
    remed_write_str(&writer, record->domain, record->domain_length);
    remed_write_str(&writer, record->origin, record->origin_length);
    remed_write_uint(&writer, record->epoch);
    remed_write_uint(&writer, record->sequence);
    remed_write_uint(&writer, record->observed);
    write_body(&writer, record);
    if (expires)
        remed_write_uint(&writer, record->expires);
    remed_write_bytes(&writer, record->extra.raw.bytes, record->extra.raw.length);
    *length = writer.length;
    return writer.length <= size && writer.length <= REMED_RECORD_MAX ? 0 : REMED_ELIMIT;
}
