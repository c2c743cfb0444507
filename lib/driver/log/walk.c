/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Walks over key=value text and over columns.
 *
 * The first occurrence of a key is the one that counts: what a client can put into a line (a URL, a
 * user's name) comes behind what the box wrote first, and must not overwrite it. A quote that is
 * never closed takes the rest of the line with it. Each byte is looked at a bounded number of
 * times.
 *
 * Threads: one thread a machine.
 */
#include "driver/log/machine.h"

#include "driver/log/scan.h"

#define KEY_MAX 48 /* longest key with blanks in it */

struct walking {
    struct remed_log_machine *machine;
    const struct remed_log_walk *walk;
    uint64_t seen; /* bit by entry */
};

enum taking { TAKE_ON, TAKE_STOP, TAKE_FAIL };

static const struct remed_log_entry *entries_of(const struct walking *walking)
{
    return REMED_ITEM(walking->machine->rules->entries, struct remed_log_entry,
                      walking->walk->entries);
}

/* What boxes write when there is no value. */
static bool is_empty(const uint8_t *text, size_t length)
{
    switch (length) {
    case 0:
        return true;
    case 1:
        return text[0] == '-';
    case 3:
        return memcmp(text, "N/A", 3) == 0 || memcmp(text, "n/a", 3) == 0;
    case 4:
        return memcmp(text, "None", 4) == 0 || memcmp(text, "none", 4) == 0;
    case 6:
        return memcmp(text, "(null)", 6) == 0;
    default:
        return false;
    }
}

static enum taking take_entry(struct walking *walking, unsigned index, const uint8_t *value,
                              size_t length)
{
    struct remed_log_machine *machine = walking->machine;
    const struct remed_log_entry *entry = entries_of(walking) + index;
    if ((walking->seen >> index & 1) != 0)
        return TAKE_ON;
    walking->seen |= 1ull << index;
    if (entry->stop)
        return TAKE_STOP;
    bool fits;
    if (entry->type == REMED_TYPE_NONE) {
        fits = length == entry->literal_length &&
               memcmp(value, remed_log_text(machine->rules, entry->literal), length) == 0;
    } else if (is_empty(value, length) || REMED_HAS(machine, entry->slot)) {
        return TAKE_ON;
    } else if (entry->type == REMED_TYPE_UNTIL) { /* the whole value, whatever it is */
        machine->span[entry->slot - REMED_SLOT_NAME] = (struct remed_log_span){value, length};
        machine->have |= 1ull << entry->slot;
        fits = true;
    } else {
        uint64_t have = machine->have;
        const uint8_t *end = value + length;
        const uint8_t *at = remed_log_read(machine, entry->type, entry->slot, value, end);
        fits = at == end || (at != NULL && entry->more && (*at == ':' || *at == '/' || *at == ' '));
        machine->have = fits ? machine->have : have;
        fits = fits || entry->optional != 0;
    }
    if (fits)
        return TAKE_ON;
    machine->far = machine->tracing ? value : machine->far;
    machine->far_line = entry->line;
    machine->far_column = entry->place;
    return TAKE_FAIL;
}

static enum taking take_key(struct walking *walking, const uint8_t *key, size_t length,
                            const uint8_t *value, size_t value_length)
{
    const struct remed_log_walk *walk = walking->walk;
    unsigned place = remed_log_key_hash(key, length);
    for (; walk->bucket[place] != 0; place = (place + 1) % REMED_LOG_BUCKETS) {
        const struct remed_log_entry *entry = entries_of(walking) + walk->bucket[place] - 1;
        if (entry->length == length &&
            remed_log_equal(
                key, (const uint8_t *)remed_log_text(walking->machine->rules, entry->text), length))
            return take_entry(walking, walk->bucket[place] - 1u, value, value_length);
    }
    return TAKE_ON;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* Behind the text of a quoted value whose first quote is at `at`; *length is the text's. */
static const uint8_t *quoted(const uint8_t *at, const uint8_t *end, size_t *length)
{
    const uint8_t *begin = ++at;
    while (at < end && *at != '"')
        at += *at == '\\' && end - at > 1 ? 2 : 1;
    *length = (size_t)(at - begin);
    REMED_LOG_WORK(*length);
    return at < end ? at + 1 : end;
}

static enum taking walk_equals(struct walking *walking, const uint8_t *at, const uint8_t *end)
{
    const uint8_t separator = (uint8_t)walking->walk->separator;
    const uint8_t tab = separator == ' ' ? '\t' : separator;
    enum taking taking = TAKE_ON;
    while (at < end && taking == TAKE_ON) {
        const uint8_t *key = at;
        size_t length;
        while (at < end && *at != '=' && *at != '"' && *at != separator && *at != tab)
            at++;
        if (at == end)
            break;
        if (*at == '"') {
            at = quoted(at, end, &length);
            continue;
        }
        if (*at != '=') {
            at++;
            continue;
        }
        size_t key_length = (size_t)(at - key);
        const uint8_t *value = ++at;
        if (at < end && *at == '"') {
            value++;
            at = quoted(at, end, &length);
        } else {
            while (at < end && *at != separator && *at != tab)
                at++;
            length = (size_t)(at - value);
        }
        REMED_LOG_WORK(at - key);
        taking = take_key(walking, key, key_length, value, length);
    }
    return taking;
}

static enum taking walk_colon(struct walking *walking, const uint8_t *at, const uint8_t *end)
{
    enum taking taking = TAKE_ON;
    while (at < end && taking == TAKE_ON) {
        while (at < end && (is_blank(*at) || *at == ';'))
            at++;
        const uint8_t *key = at;
        while (at < end && *at != ':' && *at != ';')
            at++;
        size_t key_length = (size_t)(at - key), length;
        while (at < end && *at == ':')
            at++;
        const uint8_t *value = at;
        if (at < end && *at == '"') {
            value++;
            at = quoted(at, end, &length);
        } else {
            while (at < end && *at != ';')
                at++;
            length = (size_t)(at - value);
        }
        REMED_LOG_WORK(at - key);
        taking = take_key(walking, key, key_length, value, length);
    }
    return taking;
}

/* Bytes of "Key: " here, 0 when it is no key. */
static size_t comma_key(const uint8_t *at, const uint8_t *end)
{
    size_t length = 0;
    while (length < KEY_MAX && at + length < end &&
           (remed_is_letter(at[length]) || remed_is_digit(at[length]) || at[length] == ' ' ||
            at[length] == '_' || at[length] == '-'))
        length++;
    REMED_LOG_WORK(length);
    return length > 0 && end - at > (ptrdiff_t)length + 1 && at[length] == ':' &&
                   at[length + 1] == ' '
               ? length
               : 0;
}

static enum taking walk_commas(struct walking *walking, const uint8_t *at, const uint8_t *end)
{
    enum taking taking = TAKE_ON;
    size_t key_length = comma_key(at, end);
    while (key_length != 0 && taking == TAKE_ON) {
        const uint8_t *key = at, *value = at + key_length + 2, *stop = value;
        size_t next = 0;
        while ((stop = memchr(stop, ',', (size_t)(end - stop))) != NULL) {
            next = end - stop > 2 && stop[1] == ' ' ? comma_key(stop + 2, end) : 0;
            if (next != 0)
                break;
            stop++;
        }
        const uint8_t *value_end = stop != NULL ? stop : end;
        REMED_LOG_WORK(value_end - value);
        taking = take_key(walking, key, key_length, value, (size_t)(value_end - value));
        at = stop != NULL ? stop + 2 : end;
        key_length = next;
    }
    return taking;
}

/* The next '=' that no backslash precedes. */
static const uint8_t *next_equals(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *begin = at;
    while (at < end && (at = memchr(at, '=', (size_t)(end - at))) != NULL) {
        REMED_LOG_WORK(at - begin);
        if (at == begin || at[-1] != '\\')
            return at;
        begin = ++at;
    }
    return NULL;
}

static enum taking walk_spaced(struct walking *walking, const uint8_t *at, const uint8_t *end)
{
    enum taking taking = TAKE_ON;
    const uint8_t *equals = next_equals(at, end);
    while (equals != NULL && taking == TAKE_ON) {
        const uint8_t *key = equals, *value = equals + 1, *value_end = end;
        while (key > at && !is_blank(key[-1]))
            key--;
        const uint8_t *next = next_equals(value, end);
        if (next != NULL)
            for (value_end = next; value_end > value && !is_blank(*value_end);)
                value_end--;
        at = value_end;
        REMED_LOG_WORK((next != NULL ? next : end) - value_end + (equals - key));
        while (value_end > value && is_blank(value_end[-1]))
            value_end--;
        size_t length = (size_t)(value_end - value);
        if (length >= 2 && value[0] == '"' && value[length - 1] == '"') {
            value++;
            length -= 2;
        }
        taking = take_key(walking, key, (size_t)(equals - key), value, length);
        equals = next;
    }
    return taking;
}

#define JSON_DEPTH 16u /* levels whose keys are looked at */
#define JSON_PATH 64u  /* bytes of a path that are */
#define NO_PATH SIZE_MAX

/* Where in a JSON text the walk stands. A key's path is the keys down to it with dots between. */
struct json {
    uint8_t path[JSON_PATH];
    size_t prefix[JSON_DEPTH + 1]; /* by level: bytes of the path above it; NO_PATH: none counts */
    uint32_t lists;                /* bit by level: it is an array */
    unsigned depth;
};

/* Into an object or an array that stands under the path's first `length` bytes. */
static void json_enter(struct json *json, size_t length, bool list)
{
    if (++json->depth > JSON_DEPTH)
        return;
    json->prefix[json->depth] = length;
    json->lists &= ~(1u << json->depth);
    json->lists |= (uint32_t)list << json->depth;
}

static size_t json_above(const struct json *json)
{
    return json->depth <= JSON_DEPTH ? json->prefix[json->depth] : NO_PATH;
}

/* Of an array only the first element counts: two would make one flow of two. */
static void json_next(struct json *json)
{
    if (json->depth <= JSON_DEPTH && (json->lists >> json->depth & 1) != 0)
        json->prefix[json->depth] = NO_PATH;
}

/* Bytes of the path with a key at its end. */
static size_t json_join(struct json *json, const uint8_t *key, size_t length)
{
    size_t above = json_above(json);
    if (above == NO_PATH || length > JSON_PATH || above + 1 + length > JSON_PATH)
        return NO_PATH;
    if (above > 0)
        json->path[above++] = '.';
    memcpy(json->path + above, key, length);
    return above + length;
}

static const uint8_t *json_blanks(const uint8_t *at, const uint8_t *end)
{
    while (at < end && (is_blank(*at) || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

/* Behind the value of a key, or into it. A number that the line's end cuts off is none. */
static const uint8_t *json_value(struct walking *walking, struct json *json, size_t path,
                                 const uint8_t *at, const uint8_t *end, enum taking *taking)
{
    const uint8_t *value = at;
    size_t length;
    if (at < end && (*at == '{' || *at == '[')) {
        json_enter(json, path, *at == '[');
        return at + 1;
    }
    bool text = at < end && *at == '"';
    if (text) {
        value++;
        at = quoted(at, end, &length);
    } else {
        while (at < end && *at != ',' && *at != '}' && *at != ']' && !is_blank(*at))
            at++;
        length = (size_t)(at - value);
    }
    REMED_LOG_WORK(at - value);
    bool none = !text && (at == end || (length == 4 && memcmp(value, "null", 4) == 0));
    if (path != NO_PATH && !none)
        *taking = take_key(walking, json->path, path, value, length);
    return at;
}

/* A string: a key with its value, or an array's element. */
static const uint8_t *json_string(struct walking *walking, struct json *json, const uint8_t *at,
                                  const uint8_t *end, enum taking *taking)
{
    const uint8_t *key = at + 1;
    size_t length;
    at = json_blanks(quoted(at, end, &length), end);
    if (at == end || *at != ':')
        return at;
    size_t path = json_join(json, key, length);
    return json_value(walking, json, path, json_blanks(at + 1, end), end, taking);
}

/* Up to the end of the outermost object or array. */
static enum taking walk_json(struct walking *walking, const uint8_t *at, const uint8_t *end)
{
    enum taking taking = TAKE_ON;
    struct json json = {.depth = 0};
    at = json_blanks(at, end);
    if (at == end || (*at != '{' && *at != '['))
        return TAKE_FAIL;
    do {
        uint8_t c = *at;
        REMED_LOG_WORK(1);
        if (c == '"') {
            at = json_string(walking, &json, at, end, &taking);
            continue;
        }
        if (c == '{' || c == '[')
            json_enter(&json, json.depth == 0 ? 0 : json_above(&json), c == '[');
        else if (c == '}' || c == ']')
            json.depth--;
        else if (c == ',')
            json_next(&json);
        at++;
    } while (at < end && json.depth > 0 && taking == TAKE_ON);
    return taking;
}

/* Behind the column at `at`, on its separator or at the end. */
static const uint8_t *column(const uint8_t *at, const uint8_t *end, char separator,
                             struct remed_log_span *value)
{
    bool in_quotes = at < end && *at == '"';
    const uint8_t *begin = in_quotes ? at + 1 : at;
    if (in_quotes) {
        for (at = begin; at < end && (*at != '"' || (at + 1 < end && at[1] == '"'));)
            at += *at == '"' ? 2 : 1;
        *value = (struct remed_log_span){begin, (size_t)(at - begin)};
    }
    const uint8_t *stop =
        at < end ? memchr(at, (unsigned char)separator, (size_t)(end - at)) : NULL;
    stop = stop != NULL ? stop : end;
    REMED_LOG_WORK(stop - begin);
    if (!in_quotes)
        *value = (struct remed_log_span){begin, (size_t)(stop - begin)};
    return stop;
}

static enum taking walk_columns(struct walking *walking, const uint8_t *at, const uint8_t *end)
{
    const struct remed_log_walk *walk = walking->walk;
    enum taking taking = TAKE_ON;
    for (unsigned number = walk->base; number <= walk->last && taking == TAKE_ON; number++) {
        struct remed_log_span value = {NULL, 0};
        at = column(at, end, walk->separator, &value);
        if (walk->bucket[number] != 0)
            taking = take_entry(walking, walk->bucket[number] - 1u, value.text, value.length);
        if (at == end)
            break;
        at++;
    }
    return taking;
}

const uint8_t *remed_log_walk_run(struct remed_log_machine *machine,
                                  const struct remed_log_walk *walk, const uint8_t *at,
                                  const uint8_t *end)
{
    struct walking walking = {machine, walk, 0};
    static enum taking (*const styles[])(struct walking *, const uint8_t *, const uint8_t *) = {
        [REMED_STYLE_EQUALS] = walk_equals, [REMED_STYLE_COLON] = walk_colon,
        [REMED_STYLE_COMMAS] = walk_commas, [REMED_STYLE_SPACED] = walk_spaced,
        [REMED_STYLE_JSON] = walk_json,     [REMED_STYLE_COLUMNS] = walk_columns,
    };
    if (styles[walk->style](&walking, at, end) == TAKE_FAIL)
        return NULL;
    return (walking.seen & walk->required) == walk->required ? end : NULL;
}
