/* SPDX-License-Identifier: BSD-3-Clause */
/* Records to JSON. Threads: no state. */
#include "backend/json/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A member that there was no memory for must not be left out in silence: *failed tells. */
static void put(bool *failed, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) < 0)
        *failed = true;
}

static void append(bool *failed, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) < 0)
        *failed = true;
}

/* jansson takes its integers as signed: what is above is written as text. */
static json_t *number(uint64_t value)
{
    char text[24];
    if (value <= INT64_MAX)
        return json_integer((json_int_t)value);
    snprintf(text, sizeof text, "%" PRIu64, value);
    return json_string(text);
}

static json_t *endpoint(const struct remed_endpoint *of)
{
    char text[REMED_ENDPOINT_PRINT_SIZE];
    remed_endpoint_print(of, text);
    return json_string(text);
}

static void add_endpoint(bool *failed, json_t *object, const char *key,
                         const struct remed_endpoint *of)
{
    if (of->ip_version != 0)
        put(failed, object, key, endpoint(of));
}

static json_t *protocol(unsigned value)
{
    const char *name = remed_json_protocol_name(value);
    return *name != '\0' ? json_string(name) : json_integer((json_int_t)value);
}

/* Text where it is plain, else {"hex": …}. */
static json_t *bytes(const uint8_t *of, size_t length)
{
    json_t *text = json_stringn(of != NULL ? (const char *)of : "", length);
    bool plain = text != NULL;
    for (size_t i = 0; i < length; i++)
        plain = plain && of[i] >= 0x20 && of[i] != 0x7f;
    if (plain)
        return text;
    json_decref(text);
    char *hex = malloc(2 * length + 1);
    if (hex == NULL)
        return NULL;
    hex[0] = '\0';
    for (size_t i = 0; i < length; i++)
        snprintf(hex + 2 * i, 3, "%02x", of[i]);
    json_t *object = json_pack("{s:s}", "hex", hex);
    free(hex);
    return object;
}

static json_t *pair(bool *failed, const uint64_t values[2])
{
    json_t *array = json_array();
    append(failed, array, number(values[0]));
    append(failed, array, number(values[1]));
    return array;
}

static json_t *window(const struct remed_tcp_window *of)
{
    if (of->known == 0)
        return json_null();
    return json_pack("{s:I,s:I,s:I,s:i}", "end", (json_int_t)of->end, "max_end",
                     (json_int_t)of->max_end, "max_window", (json_int_t)of->max_window, "scale",
                     (int)of->scale);
}

static void write_nat_binding(bool *failed, json_t *object, const struct remed_nat_binding *body)
{
    put(failed, object, "protocol", protocol(body->protocol));
    add_endpoint(failed, object, "inside", &body->inside);
    add_endpoint(failed, object, "outside", &body->outside);
    add_endpoint(failed, object, "remote", &body->remote);
}

static void write_lb_assignment(bool *failed, json_t *object,
                                const struct remed_lb_assignment *body)
{
    put(failed, object, "protocol", protocol(body->protocol));
    add_endpoint(failed, object, "client", &body->client);
    add_endpoint(failed, object, "virtual", &body->service);
    add_endpoint(failed, object, "backend", &body->backend);
    if (body->backend_name[0] != '\0')
        put(failed, object, "backend_name", json_string(body->backend_name));
}

static void write_session(bool *failed, json_t *object, const struct remed_session *body)
{
    put(failed, object, "protocol", protocol(body->protocol));
    add_endpoint(failed, object, "client", &body->client);
    add_endpoint(failed, object, "server", &body->server);
    add_endpoint(failed, object, "client_outside", &body->client_outside);
    add_endpoint(failed, object, "server_inside", &body->server_inside);
    if (body->tcp_state != 0)
        put(failed, object, "tcp_state", json_string(remed_tcp_state_name(body->tcp_state)));
    if (body->timeout != 0)
        put(failed, object, "timeout_ns", number(body->timeout));
    if ((body->bytes[0] | body->bytes[1]) != 0)
        put(failed, object, "bytes", pair(failed, body->bytes));
    if ((body->packets[0] | body->packets[1]) != 0)
        put(failed, object, "packets", pair(failed, body->packets));
    if (body->window[0].known != 0 || body->window[1].known != 0) {
        json_t *array = json_array();
        append(failed, array, window(&body->window[0]));
        append(failed, array, window(&body->window[1]));
        put(failed, object, "windows", array);
    }
}

static void write_flow_rule(bool *failed, json_t *object, const struct remed_flow_rule *body)
{
    put(failed, object, "table", number(body->table));
    put(failed, object, "priority", number(body->priority));
    put(failed, object, "cookie", number(body->cookie));
    put(failed, object, "match", bytes(body->match, body->match_length));
    put(failed, object, "actions", bytes(body->actions, body->actions_length));
}

static json_t *write_body(bool *failed, const struct remed_record *record, unsigned kind)
{
    union remed_any_body body;
    json_t *object = json_object();
    if (remed_record_body(record, kind, &body, sizeof body) < 0) {
        *failed = true;
        return object;
    }
    switch (kind) {
    case REMED_KIND_NAT_BINDING:
        write_nat_binding(failed, object, &body.nat_binding);
        break;
    case REMED_KIND_LB_ASSIGNMENT:
        write_lb_assignment(failed, object, &body.lb_assignment);
        break;
    case REMED_KIND_SESSION:
        write_session(failed, object, &body.session);
        break;
    case REMED_KIND_FLOW_RULE:
        write_flow_rule(failed, object, &body.flow_rule);
        break;
    case REMED_KIND_COUNTER:
        put(failed, object, "name", json_string(body.counter.name));
        put(failed, object, "value", number(body.counter.value));
        break;
    default:
        put(failed, object, "key", bytes(body.opaque.key, body.opaque.key_length));
        put(failed, object, "data", bytes(body.opaque.data, body.opaque.data_length));
    }
    return object;
}

static json_t *write_time(uint64_t ns)
{
    char text[REMED_TIME_TEXT];
    if (ns == 0)
        return json_null();
    remed_json_print_time(text, ns);
    return json_string(text);
}

static json_t *write_record(bool *failed, const struct remed_record *record,
                            const struct remed_record_head *head)
{
    json_t *object = json_object();
    put(failed, object, "domain", json_string(head->domain));
    put(failed, object, "kind", json_string(remed_kind_name(head->kind)));
    put(failed, object, "op", json_string(head->op == REMED_OP_REMOVE ? "remove" : "upsert"));
    put(failed, object, "epoch", number(head->epoch));
    put(failed, object, "sequence", number(head->sequence));
    put(failed, object, "origin", json_string(head->origin));
    put(failed, object, "source", json_string(remed_learned_name(head->source)));
    put(failed, object, "observed", write_time(head->observed));
    put(failed, object, "expires", write_time(head->expires));
    put(failed, object, "body", write_body(failed, record, head->kind));
    return object;
}

int remed_json_write(const struct remed_record *record, char *text, size_t size, size_t *length)
{
    struct remed_record_head head;
    remed_record_head(record, &head, sizeof head);
    *length = 0;
    if (head.kind == 0 || head.domain[0] == '\0')
        return REMED_EINVAL;
    bool failed = false;
    json_t *object = write_record(&failed, record, &head);
    *length = object != NULL && !failed ? json_dumpb(object, text, size, JSON_COMPACT) : 0;
    json_decref(object);
    if (*length == 0)
        return REMED_ENOMEM;
    if (*length < size)
        text[*length] = '\0';
    return *length < size ? 0 : REMED_ELIMIT;
}
