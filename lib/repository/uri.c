/* SPDX-License-Identifier: BSD-3-Clause */
/* The URIs of uri.h. Threads: no state. */
#include "repository/uri.h"

#include "base/percent.h"
#include "filter/units.h"

static int bad(struct remed_error *error, const char *text, const char *why)
{
    char shown[160];
    size_t length = remed_uri_redacted(text, shown, sizeof shown);
    return remed_error_set(error, REMED_EINVAL, "'%s%s' is no URI of a transport: %s", shown,
                           length >= sizeof shown ? "..." : "", why);
}

static bool is_scheme(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.')))
            return false;
    }
    return length > 0;
}

static bool copy(char *to, size_t size, const char *from, size_t length)
{
    if (length >= size)
        return false;
    memcpy(to, from, length);
    to[length] = '\0';
    return true;
}

int remed_uri_parse(struct remed_uri_parts *parts, const char *text, struct remed_error *error)
{
    size_t length = remed_text_length(text, REMED_URI_MAX);
    const char *colon = memchr(text, ':', length), *end = text + length;
    memset(parts, 0, sizeof *parts);
    parts->uri = (struct remed_uri){parts->scheme, parts->host, parts->path, parts->query};
    if (length == REMED_URI_MAX)
        return bad(error, text, "it is too long");
    if (colon == NULL || !is_scheme(text, (size_t)(colon - text)) ||
        !copy(parts->scheme, sizeof parts->scheme, text, (size_t)(colon - text)))
        return bad(error, text, "it begins with no scheme, such as file:");
    const char *at = colon + 1;
    const char *query = memchr(at, '?', (size_t)(end - at));
    const char *stop = query != NULL ? query : end;
    if (stop - at >= 2 && at[0] == '/' && at[1] == '/') {
        at += 2;
        const char *slash = memchr(at, '/', (size_t)(stop - at));
        const char *host_end = slash != NULL ? slash : stop;
        if (!copy(parts->host, sizeof parts->host, at, (size_t)(host_end - at)))
            return bad(error, text, "its host is too long");
        at = host_end;
    }
    if (!remed_percent_decode(parts->path, sizeof parts->path, at, (size_t)(stop - at)))
        return bad(error, text, "its path is too long or badly escaped");
    if (query != NULL &&
        !copy(parts->query, sizeof parts->query, query + 1, (size_t)(end - query - 1)))
        return bad(error, text, "its query is too long");
    return 0;
}

/* The next name=value of a query. */
static bool next_pair(const char **at, const char **name, size_t *name_length, const char **value,
                      size_t *value_length)
{
    if (**at == '\0')
        return false;
    size_t length = strcspn(*at, "&");
    const char *equals = memchr(*at, '=', length);
    *name = *at;
    *name_length = equals != NULL ? (size_t)(equals - *at) : length;
    *value = equals != NULL ? equals + 1 : *at + length;
    *value_length = length - (size_t)(*value - *at);
    *at += length;
    if (**at == '&')
        (*at)++;
    return true;
}

int remed_uri_parameter(const struct remed_uri *uri, const char *name, char *value, size_t size)
{
    const char *at = uri->query, *key, *raw;
    size_t key_length, raw_length;
    while (next_pair(&at, &key, &key_length, &raw, &raw_length))
        if (key_length == strlen(name) && memcmp(key, name, key_length) == 0)
            return remed_percent_decode(value, size, raw, raw_length) ? 1 : REMED_EINVAL;
    return 0;
}

/* What stands behind an unescaped '&' may be the rest of a password. Names are of small letters. */
static bool may_be_name(const char *name, size_t length, bool has_value)
{
    for (size_t i = 0; i < length; i++)
        if (!(name[i] >= 'a' && name[i] <= 'z') && strchr("._-", name[i]) == NULL)
            return false;
    return has_value && length > 0 && length < 64;
}

int remed_uri_check(const struct remed_uri *uri, const char *const *names,
                    struct remed_error *error)
{
    const char *at = uri->query, *key, *raw;
    size_t key_length, raw_length;
    while (next_pair(&at, &key, &key_length, &raw, &raw_length)) {
        const char *const *known = names;
        while (*known != NULL &&
               (strlen(*known) != key_length || memcmp(*known, key, key_length) != 0))
            known++;
        if (*known == NULL && !may_be_name(key, key_length, raw != key + key_length))
            return remed_error_set(error, REMED_EINVAL,
                                   "%s: one of the parameters is no name=value; where a value has "
                                   "'&', write %%26",
                                   uri->scheme);
        if (*known == NULL)
            return remed_error_set(error, REMED_EINVAL, "%s: has no parameter '%.*s'", uri->scheme,
                                   (int)key_length, key);
    }
    return 0;
}

static int read_units(const struct remed_uri *uri, const char *name, const struct remed_unit *units,
                      const char *example, uint64_t *value, struct remed_error *error)
{
    char text[64];
    int found = remed_uri_parameter(uri, name, text, sizeof text);
    if (found == 0)
        return 0;
    struct remed_token token = {.kind = REMED_TOKEN_WORD, .text = text};
    token.length = found > 0 ? strlen(text) : 0;
    if (found < 0 || !remed_read_units(&token, units, value))
        return remed_error_set(error, REMED_EINVAL, "%s: %s is something like %s", uri->scheme,
                               name, example);
    return 0;
}

int remed_uri_time(const struct remed_uri *uri, const char *name, uint64_t *ns,
                   struct remed_error *error)
{
    return read_units(uri, name, remed_time_units, "10ms", ns, error);
}

int remed_uri_size(const struct remed_uri *uri, const char *name, uint64_t *bytes,
                   struct remed_error *error)
{
    return read_units(uri, name, remed_size_units, "64MiB", bytes, error);
}
