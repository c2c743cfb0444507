/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Canonical keys: domain with a NUL, the kind, then what identifies the entry, in a form that has
 * just one writing. An endpoint is its IP version (0: absent), address and port, big-endian.
 *
 * Threads: no state.
 */
#include "state/record.h"

static void put_endpoint(struct remed_writer *writer, const struct remed_endpoint *endpoint)
{
    uint8_t port[2] = {(uint8_t)(endpoint->port >> 8), (uint8_t)endpoint->port};
    remed_write_bytes(writer, &endpoint->ip_version, 1);
    if (endpoint->ip_version == 0)
        return;
    remed_write_bytes(writer, endpoint->address, remed_address_length(endpoint->ip_version));
    remed_write_bytes(writer, port, sizeof port);
}

static void put_number(struct remed_writer *writer, uint32_t value)
{
    uint8_t bytes[4];
    remed_store_big(bytes, value, 4);
    remed_write_bytes(writer, bytes, sizeof bytes);
}

static void put_identity(struct remed_writer *writer, const struct remed_record *record)
{
    const union remed_body *body = &record->body;
    switch (record->kind) {
    case REMED_KIND_NAT_BINDING:
        remed_write_bytes(writer, &body->nat_binding.protocol, 1);
        put_endpoint(writer, &body->nat_binding.inside);
        put_endpoint(writer, &body->nat_binding.remote);
        break;
    case REMED_KIND_LB_ASSIGNMENT:
        remed_write_bytes(writer, &body->lb_assignment.protocol, 1);
        put_endpoint(writer, &body->lb_assignment.client);
        put_endpoint(writer, &body->lb_assignment.service);
        break;
    case REMED_KIND_SESSION:
        remed_write_bytes(writer, &body->session.protocol, 1);
        put_endpoint(writer, &body->session.client);
        put_endpoint(writer, &body->session.server);
        break;
    case REMED_KIND_FLOW_RULE:
        put_number(writer, body->flow_rule.table);
        put_number(writer, body->flow_rule.priority);
        remed_write_bytes(writer, record->blob[0].bytes, record->blob[0].length);
        break;
    case REMED_KIND_COUNTER:
        remed_write_bytes(writer, body->counter.name, strlen(body->counter.name));
        break;
    default:
        remed_write_bytes(writer, record->blob[0].bytes, record->blob[0].length);
    }
}

size_t remed_record_key(const struct remed_record *record, uint8_t *key, size_t size)
{
    uint8_t none[1];
    if (key == NULL)
        key = none, size = 0;
    struct remed_writer writer = {key, key + size, 0};
    if (record->kind == 0 || record->domain_length == 0)
        return 0;
    remed_write_bytes(&writer, record->domain, (size_t)record->domain_length + 1);
    remed_write_bytes(&writer, &record->kind, 1);
    put_identity(&writer, record);
    return writer.length;
}
