/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records from JSON that a person wrote: what is missing is filled in, what is not known is an
 * error with its name, since a mistyped key would otherwise be lost in silence.
 *
 * Threads: no state.
 */
#include "backend/json/json.h"

#include <inttypes.h>
#include <stdlib.h>

#define MAX_TEXT (1u << 20)

struct reading {
    struct remed_error *error;
    int code;
    uint8_t *blob[2]; /* decoded bytes, owned */
};

static int wrong(struct reading *reading, const char *key, const char *what)
{
    if (reading->code == 0)
        reading->code =
            remed_error_set(reading->error, REMED_EFORMAT, "%s: expected %s", key, what);
    return reading->code;
}

/* All keys of an object are among `names`, which ends with NULL. */
static void check_keys(struct reading *reading, json_t *object, const char *const *names)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        const char *const *known = names;
        while (*known != NULL && strcmp(*known, key) != 0)
            known++;
        if (*known == NULL && reading->code == 0)
            reading->code = remed_error_set(reading->error, REMED_EFORMAT, "%s: no such key", key);
    }
}

/* Digits and nothing else, of a number that fits. */
static bool parse_digits(const char *text, uint64_t *number)
{
    *number = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        unsigned digit = (unsigned)(unsigned char)*text - '0';
        if (digit > 9 || *number > (UINT64_MAX - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    return true;
}

/* A whole number, or its digits as a text: JSON's own numbers end at 2^63. Nothing is rounded, cut
 * or taken for the greatest that there is. */
static uint64_t number_of(struct reading *reading, const char *key, const json_t *value,
                          uint64_t most)
{
    uint64_t number = 0;
    bool is_whole = false;
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        number = (uint64_t)json_integer_value(value);
        is_whole = true;
    } else if (json_is_string(value)) {
        is_whole = strlen(json_string_value(value)) == json_string_length(value) &&
                   parse_digits(json_string_value(value), &number);
    }
    if (is_whole && number <= most)
        return number;
    if (reading->code == 0)
        reading->code = remed_error_set(reading->error, REMED_EFORMAT,
                                        "%s: expected a whole number of 0 to %" PRIu64, key, most);
    return 0;
}

static uint64_t read_number(struct reading *reading, json_t *object, const char *key, uint64_t most,
                            uint64_t missing)
{
    const json_t *value = json_object_get(object, key);
    return value == NULL || json_is_null(value) ? missing : number_of(reading, key, value, most);
}

static const char *read_text(struct reading *reading, json_t *object, const char *key,
                             const char *missing)
{
    json_t *value = json_object_get(object, key);
    if (value == NULL || json_is_null(value))
        return missing;
    if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value)) {
        wrong(reading, key, "a text");
        return missing;
    }
    return json_string_value(value);
}

static void read_endpoint(struct reading *reading, json_t *object, const char *key,
                          struct remed_endpoint *endpoint)
{
    const char *text = read_text(reading, object, key, NULL);
    if (text != NULL && remed_endpoint_parse(endpoint, text, strlen(text)) < 0)
        wrong(reading, key, "an address such as 10.0.0.1:80 or [2001:db8::1]:80");
}

static uint8_t read_protocol(struct reading *reading, json_t *object)
{
    json_t *value = json_object_get(object, "protocol");
    uint8_t protocol = 0;
    if (json_is_string(value) && remed_json_protocol_number(json_string_value(value), &protocol))
        return protocol;
    if (!json_is_integer(value))
        wrong(reading, "protocol", "tcp, udp, icmp, … or a number");
    return (uint8_t)read_number(reading, object, "protocol", UINT8_MAX, 0);
}

/* A text, or {"hex": …}. */
static uint8_t *read_bytes(struct reading *reading, json_t *object, const char *key, unsigned slot,
                           uint32_t *length)
{
    static const char *const names[] = {"hex", NULL};
    json_t *value = json_object_get(object, key);
    json_t *coded = json_object_get(value, "hex");
    if (json_is_object(value))
        check_keys(reading, value, names);
    const char *text = json_string_value(coded != NULL ? coded : value);
    size_t size = json_string_length(coded != NULL ? coded : value);
    *length = 0;
    if (value == NULL)
        return NULL;
    if (text == NULL || (coded != NULL && size % 2 != 0)) {
        wrong(reading, key, "a text or {\"hex\": …}");
        return NULL;
    }
    uint8_t *bytes = malloc(size + 1);
    reading->blob[slot] = bytes;
    if (bytes == NULL) {
        reading->code = remed_error_set(reading->error, REMED_ENOMEM, "no memory for %s", key);
        return NULL;
    }
    if (coded == NULL)
        memcpy(bytes, text, size);
    for (size_t i = 0; coded != NULL && i < size; i += 2) {
        int high = remed_hex_digit(text[i]), low = remed_hex_digit(text[i + 1]);
        if (high < 0 || low < 0)
            wrong(reading, key, "hexadecimal digits");
        bytes[i / 2] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
    }
    *length = (uint32_t)(coded != NULL ? size / 2 : size);
    return bytes;
}

static void read_pair(struct reading *reading, json_t *object, const char *key, uint64_t values[2])
{
    const json_t *array = json_object_get(object, key);
    if (array == NULL || json_is_null(array))
        return;
    if (json_array_size(array) != 2) {
        wrong(reading, key, "two numbers");
        return;
    }
    for (unsigned i = 0; i < 2; i++)
        values[i] = number_of(reading, key, json_array_get(array, i), UINT64_MAX);
}

static void read_windows(struct reading *reading, json_t *object, struct remed_session *session)
{
    static const char *const names[] = {"end", "max_end", "max_window", "scale", NULL};
    json_t *array = json_object_get(object, "windows");
    if (array == NULL || json_is_null(array))
        return;
    if (json_array_size(array) != 2)
        wrong(reading, "windows", "two windows");
    for (unsigned i = 0; i < 2 && reading->code == 0; i++) {
        json_t *from = json_array_get(array, i);
        struct remed_tcp_window *window = &session->window[i];
        if (json_is_null(from))
            continue;
        if (!json_is_object(from))
            wrong(reading, "windows", "two windows, or null for one that is not known");
        check_keys(reading, from, names);
        window->end = (uint32_t)read_number(reading, from, "end", UINT32_MAX, 0);
        window->max_end = (uint32_t)read_number(reading, from, "max_end", UINT32_MAX, 0);
        window->max_window = (uint32_t)read_number(reading, from, "max_window", UINT32_MAX, 0);
        window->scale = (uint8_t)read_number(reading, from, "scale", 14, 0);
        window->known = 1;
    }
}

static size_t read_nat_binding(struct reading *reading, json_t *object,
                               struct remed_nat_binding *body)
{
    static const char *const names[] = {"protocol", "inside", "outside", "remote", NULL};
    check_keys(reading, object, names);
    body->protocol = read_protocol(reading, object);
    read_endpoint(reading, object, "inside", &body->inside);
    read_endpoint(reading, object, "outside", &body->outside);
    read_endpoint(reading, object, "remote", &body->remote);
    return sizeof *body;
}

static void copy_text(struct reading *reading, const char *key, char to[REMED_TEXT_MAX + 1],
                      const char *text)
{
    size_t length = strlen(text);
    if (length > REMED_TEXT_MAX)
        wrong(reading, key, "a shorter text");
    else
        memcpy(to, text, length + 1);
}

/* "backend" may be an address or, where the source only names it, a name. */
static size_t read_lb_assignment(struct reading *reading, json_t *object,
                                 struct remed_lb_assignment *body)
{
    static const char *const names[] = {"protocol", "client",       "virtual",
                                        "backend",  "backend_name", NULL};
    check_keys(reading, object, names);
    body->protocol = read_protocol(reading, object);
    read_endpoint(reading, object, "client", &body->client);
    read_endpoint(reading, object, "virtual", &body->service);
    const char *backend = read_text(reading, object, "backend", "");
    if (remed_endpoint_parse(&body->backend, backend, strlen(backend)) < 0)
        copy_text(reading, "backend", body->backend_name, backend);
    const char *name = read_text(reading, object, "backend_name", "");
    if (*name != '\0')
        copy_text(reading, "backend_name", body->backend_name, name);
    return sizeof *body;
}

static size_t read_session(struct reading *reading, json_t *object, struct remed_session *body)
{
    static const char *const names[] = {
        "protocol",      "client",    "server",     "client_outside",
        "server_inside", "tcp_state", "timeout_ns", "bytes",
        "packets",       "windows",   NULL};
    check_keys(reading, object, names);
    body->protocol = read_protocol(reading, object);
    read_endpoint(reading, object, "client", &body->client);
    read_endpoint(reading, object, "server", &body->server);
    read_endpoint(reading, object, "client_outside", &body->client_outside);
    read_endpoint(reading, object, "server_inside", &body->server_inside);
    const char *state = read_text(reading, object, "tcp_state", "none");
    while (body->tcp_state < REMED_TCP_STATE_COUNT &&
           strcmp(remed_tcp_state_name(body->tcp_state), state) != 0)
        body->tcp_state++;
    if (body->tcp_state == REMED_TCP_STATE_COUNT)
        wrong(reading, "tcp_state", "a TCP state such as established");
    body->timeout = read_number(reading, object, "timeout_ns", UINT64_MAX, 0);
    read_pair(reading, object, "bytes", body->bytes);
    read_pair(reading, object, "packets", body->packets);
    read_windows(reading, object, body);
    return sizeof *body;
}

static size_t read_flow_rule(struct reading *reading, json_t *object, struct remed_flow_rule *body)
{
    static const char *const names[] = {"table", "priority", "cookie", "match", "actions", NULL};
    check_keys(reading, object, names);
    body->table = (uint32_t)read_number(reading, object, "table", UINT32_MAX, 0);
    body->priority = (uint32_t)read_number(reading, object, "priority", UINT32_MAX, 0);
    body->cookie = read_number(reading, object, "cookie", UINT64_MAX, 0);
    body->match = read_bytes(reading, object, "match", 0, &body->match_length);
    body->actions = read_bytes(reading, object, "actions", 1, &body->actions_length);
    return sizeof *body;
}

static size_t read_counter(struct reading *reading, json_t *object, struct remed_counter *body)
{
    static const char *const names[] = {"name", "value", NULL};
    check_keys(reading, object, names);
    copy_text(reading, "name", body->name, read_text(reading, object, "name", ""));
    body->value = read_number(reading, object, "value", UINT64_MAX, 0);
    return sizeof *body;
}

static size_t read_opaque(struct reading *reading, json_t *object, struct remed_opaque *body)
{
    static const char *const names[] = {"key", "data", NULL};
    check_keys(reading, object, names);
    body->key = read_bytes(reading, object, "key", 0, &body->key_length);
    body->data = read_bytes(reading, object, "data", 1, &body->data_length);
    return sizeof *body;
}

static size_t read_body(struct reading *reading, json_t *object, unsigned kind,
                        union remed_any_body *body)
{
    switch (kind) {
    case REMED_KIND_NAT_BINDING:
        return read_nat_binding(reading, object, &body->nat_binding);
    case REMED_KIND_LB_ASSIGNMENT:
        return read_lb_assignment(reading, object, &body->lb_assignment);
    case REMED_KIND_SESSION:
        return read_session(reading, object, &body->session);
    case REMED_KIND_FLOW_RULE:
        return read_flow_rule(reading, object, &body->flow_rule);
    case REMED_KIND_COUNTER:
        return read_counter(reading, object, &body->counter);
    default:
        return read_opaque(reading, object, &body->opaque);
    }
}

/* None is before 1970 or beyond the 64 bits of nanoseconds; and 1970 itself, as a number, would say
 * that there is no time at all: an entry that is long over would never be. */
static uint64_t read_time(struct reading *reading, json_t *object, const char *key,
                          uint64_t missing)
{
    const char *text = read_text(reading, object, key, NULL);
    uint64_t ns = missing;
    if (text != NULL && (!remed_json_parse_time(text, &ns) || ns == 0))
        wrong(reading, key,
              "a time such as 2026-11-23T10:00:00Z, after 1970 and before 2554-07-21");
    return ns;
}

static unsigned read_name(struct reading *reading, json_t *object, const char *key,
                          const char *(*name)(unsigned), unsigned from, unsigned missing)
{
    const char *text = read_text(reading, object, key, NULL);
    if (text == NULL)
        return missing;
    for (unsigned i = from; name(i) != NULL; i++)
        if (strcmp(name(i), text) == 0)
            return i;
    wrong(reading, key, "one of its names (docs/records.md)");
    return missing;
}

static void read_head(struct reading *reading, json_t *object,
                      const struct remed_json_defaults *defaults, struct remed_record_head *head)
{
    head->domain =
        read_text(reading, object, "domain", defaults->domain != NULL ? defaults->domain : "");
    head->origin =
        read_text(reading, object, "origin", defaults->origin != NULL ? defaults->origin : "");
    const char *op = read_text(reading, object, "op", "upsert");
    head->op = strcmp(op, "remove") == 0 ? REMED_OP_REMOVE : REMED_OP_UPSERT;
    if (head->op == REMED_OP_UPSERT && strcmp(op, "upsert") != 0)
        wrong(reading, "op", "upsert or remove");
    head->source = read_name(reading, object, "source", remed_learned_name, 0, defaults->source);
    head->epoch = read_number(reading, object, "epoch", REMED_NUMBER_MAX, defaults->epoch);
    head->sequence = read_number(reading, object, "sequence", REMED_NUMBER_MAX, defaults->sequence);
    head->observed = read_time(reading, object, "observed", defaults->observed);
    head->expires = read_time(reading, object, "expires", 0);
}

static void read_record(struct reading *reading, json_t *object,
                        const struct remed_json_defaults *defaults, struct remed_record *record)
{
    static const char *const names[] = {"domain",   "kind",   "op",     "epoch",
                                        "sequence", "origin", "source", "observed",
                                        "expires",  "body",   "line",   NULL};
    struct remed_record_head head;
    union remed_any_body body;
    json_t *inner = json_object_get(object, "body");
    remed_record_head_init(&head, sizeof head);
    memset(&body, 0, sizeof body);
    check_keys(reading, object, names);
    unsigned kind = read_name(reading, object, "kind", remed_kind_name, 1, 0);
    if (kind == 0)
        wrong(reading, "kind", "one of its names (docs/records.md)");
    if (!json_is_object(inner))
        wrong(reading, "body", "an object");
    read_head(reading, object, defaults, &head);
    size_t size = reading->code == 0 ? read_body(reading, inner, kind, &body) : 0;
    if (reading->code == 0)
        reading->code = remed_record_set_head(record, &head, reading->error);
    if (reading->code == 0)
        reading->code = remed_record_set_body(record, kind, &body, size, reading->error);
    if (reading->code == REMED_EINVAL)
        reading->code = REMED_EFORMAT;
}

/* The name of the member that a place of a text is in, which is JSON up to there; its length. */
static size_t name_before(const char *text, size_t end, const char **name)
{
    size_t found = 0;
    for (size_t i = 0; i < end; i++) {
        if (text[i] != '"')
            continue;
        size_t begin = ++i;
        while (i < end && text[i] != '"')
            i += text[i] == '\\' ? 2 : 1;
        size_t behind = i + 1;
        while (behind < end && (text[behind] == ' ' || text[behind] == '\t'))
            behind++;
        if (behind >= end || text[behind] != ':')
            continue;
        *name = text + begin;
        found = i - begin;
    }
    return found;
}

/* What is no JSON, or has a number that not even jansson has room for. Without memory it tells
 * nothing, or that code. */
static int refuse_text(const char *text, size_t length, const json_error_t *where,
                       struct remed_error *error)
{
    uint32_t column = where->column > 0 ? (uint32_t)where->column : 1;
    if (json_error_code(where) == json_error_out_of_memory || where->text[0] == '\0')
        return remed_error_set(error, REMED_ENOMEM, "no memory to read a line of JSON");
    if (json_error_code(where) != json_error_numeric_overflow)
        return remed_error_at(error, REMED_ESYNTAX, 1, column, "%s", where->text);
    const char *name = "";
    size_t end = where->position > 0 ? (size_t)where->position : 0;
    size_t found = name_before(text, end < length ? end : length, &name);
    return remed_error_at(error, REMED_EFORMAT, 1, column,
                          "%.*s: a number that does not fit into 64 bits",
                          (int)(found < 64 ? found : 64), name);
}

static int check_defaults(const struct remed_json_defaults *defaults, struct remed_error *error)
{
    if (defaults->reserved != 0)
        return remed_error_set(error, REMED_EINVAL, "JSON defaults: reserved is not zero");
    if (defaults->source > REMED_LEARNED_EXTRACTED || defaults->epoch > REMED_NUMBER_MAX ||
        defaults->sequence > REMED_NUMBER_MAX)
        return remed_error_set(error, REMED_EINVAL,
                               "JSON defaults: source, epoch or sequence out of range");
    return 0;
}

int remed_json_read(struct remed_record *record, const char *text, size_t length,
                    const struct remed_json_defaults *given, struct remed_error *error)
{
    struct remed_json_defaults defaults = {.size = sizeof defaults};
    struct reading reading = {.error = error};
    json_error_t where;
    remed_record_clear(record);
    if (given != NULL)
        reading.code = remed_opts_copy(&defaults, sizeof defaults, given, "JSON defaults", error);
    if (reading.code == 0)
        reading.code = check_defaults(&defaults, error);
    if (reading.code == 0 && length > MAX_TEXT)
        reading.code = remed_error_set(error, REMED_ELIMIT, "a line of more than 1 MiB");
    if (reading.code < 0)
        return reading.code;
    json_t *object = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
    if (object == NULL) /* jansson takes a moment's want of memory for bad syntax, too */
        object = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
    if (object == NULL)
        return refuse_text(text, length, &where, error);
    if (json_is_object(object))
        read_record(&reading, object, &defaults, record);
    else
        reading.code = remed_error_set(error, REMED_EFORMAT, "expected an object");
    json_decref(object);
    free(reading.blob[0]);
    free(reading.blob[1]);
    if (reading.code < 0)
        remed_record_clear(record);
    return reading.code;
}
