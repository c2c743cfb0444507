/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * URIs without their secrets, for messages. What is shown is what is known to be none: the scheme,
 * a user that is told apart from a password, hosts with a port of digits, the path, and the
 * parameters that are named below. All else is "***". So a URI that is written wrongly shows less,
 * never more: nothing is decoded, and where a text can be read in two ways, the one that hides more
 * is taken.
 *
 * Threads: no state.
 */
#include <remediate/transport.h>

#include "base/base.h"

#define SCHEME_MOST 31u
#define VALUE_MOST 256u

/* Parameters whose values are no secrets. The first that is not here ends what is shown. */
static const struct {
    const char *name;
    bool text; /* or a number with its unit */
} open_parameters[] = {
    {"cadir", true},
    {"cafile", true},
    {"cert", true},
    {"compact", false},
    {"db", false},
    {"group", true},
    {"heartbeat.interval.ms", false},
    {"linger.ms", false},
    {"maxlen", false},
    {"memory", false},
    {"message.timeout.ms", false},
    {"partitions", false},
    {"properties", true},
    {"replication", false},
    {"segment", false},
    {"servername", true},
    {"session.timeout.ms", false},
    {"socket.timeout.ms", false},
    {"ssl.ca.location", true},
    {"ssl.certificate.location", true},
    {"start", false},
    {"sync", false},
    {"timeout", false},
};

struct shown {
    char *text;
    size_t size, length; /* as snprintf: the length may be beyond the size */
};

static void show(struct shown *shown, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++, shown->length++) {
        bool printable = (unsigned char)text[i] >= 0x20 && text[i] != 0x7f;
        if (shown->length + 1 < shown->size)
            shown->text[shown->length] = printable ? text[i] : '?';
    }
}

static void show_mask(struct shown *shown)
{
    show(shown, "***", 3);
}

/* Letters, digits and what stands in `beside`. */
static bool is_plain(const char *text, size_t length, const char *beside)
{
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        bool usual = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!usual && (c == '\0' || strchr(beside, c) == NULL))
            return false;
    }
    return true;
}

static bool is_port(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return length > 0 && length <= 5;
}

/* What stands in brackets: digits of IPv6 with their colons. A zone that has more is not shown. */
static bool is_address(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (remed_hex_digit(text[i]) < 0 && (text[i] == '\0' || strchr(":.%", text[i]) == NULL))
            return false;
    return memchr(text, ':', length) != NULL;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Bytes of "scheme", 0 without one. */
static size_t scheme_length(const char *text, size_t length)
{
    const char *colon = memchr(text, ':', length);
    size_t scheme = colon != NULL ? (size_t)(colon - text) : 0;
    return scheme > 0 && scheme <= SCHEME_MOST && is_letter(*text) && is_plain(text, scheme, "+-.")
               ? scheme
               : 0;
}

static bool is_scheme(const char *text, size_t length, const char *name)
{
    return length == strlen(name) && memcmp(text, name, length) == 0;
}

/* "user:" is shown; a user without a password may be a token. */
static void show_user(struct shown *shown, const char *text, size_t length)
{
    const char *colon = memchr(text, ':', length);
    if (colon != NULL && colon + 1 < text + length && is_plain(text, (size_t)(colon - text), "._-"))
        show(shown, text, (size_t)(colon + 1 - text));
    show_mask(shown);
}

/* Bytes of the name or address that a host begins with; 0 when it has none that is plain. */
static size_t host_name_length(const char *text, size_t length)
{
    bool bracket = length > 0 && *text == '[';
    const char *stop = memchr(text, bracket ? ']' : ':', length);
    if (bracket)
        return stop != NULL && is_address(text + 1, (size_t)(stop - text - 1))
                   ? (size_t)(stop + 1 - text)
                   : 0;
    size_t name = stop != NULL ? (size_t)(stop - text) : length;
    return is_plain(text, name, "._-") ? name : 0;
}

/* One host with its port. What is no port may be a password that misses its '@'. */
static void show_host(struct shown *shown, const char *text, size_t length)
{
    size_t name = host_name_length(text, length);
    const char *rest = text + name;
    size_t left = length - name;
    show(shown, text, name);
    if (left == 0)
        return;
    if (*rest == ':')
        show(shown, ":", 1);
    if (name > 0 && *rest == ':' && is_port(rest + 1, left - 1))
        show(shown, rest + 1, left - 1);
    else
        show_mask(shown);
}

static void show_hosts(struct shown *shown, const char *text, size_t length)
{
    const char *end = text + length, *comma;
    while ((comma = memchr(text, ',', (size_t)(end - text))) != NULL) {
        show_host(shown, text, (size_t)(comma - text));
        show(shown, ",", 1);
        text = comma + 1;
    }
    show_host(shown, text, (size_t)(end - text));
}

/* Up to what may begin parameters, escaped or not. False: something was hidden. */
static bool show_path(struct shown *shown, const char *text, size_t length)
{
    size_t at = 0;
    for (; at < length && strchr("&;#=", text[at]) == NULL; at++) {
        int high = text[at] == '%' && length - at > 2 ? remed_hex_digit(text[at + 1]) : -1;
        int low = high >= 0 ? remed_hex_digit(text[at + 2]) : -1;
        if (low >= 0 && (high << 4 | low) != 0 && strchr("&;#=?@:", high << 4 | low) != NULL)
            break;
    }
    show(shown, text, at);
    if (at < length)
        show_mask(shown);
    return at == length;
}

/* 16384, 10ms, 64MiB. */
static bool is_quantity(const char *text, size_t length)
{
    size_t digits = 0;
    while (digits < length && text[digits] >= '0' && text[digits] <= '9')
        digits++;
    return digits > 0 && digits <= 20 && length - digits <= 3 &&
           is_plain(text + digits, length - digits, "");
}

static bool is_open(const char *pair, size_t length)
{
    const char *equals = memchr(pair, '=', length);
    size_t name = equals != NULL ? (size_t)(equals - pair) : 0;
    size_t value = name > 0 ? length - name - 1 : 0;
    if (name == 0 || value > VALUE_MOST || !is_plain(equals + 1, value, "._/:,+-"))
        return false;
    for (size_t i = 0; i < sizeof open_parameters / sizeof *open_parameters; i++)
        if (strlen(open_parameters[i].name) == name &&
            memcmp(open_parameters[i].name, pair, name) == 0)
            return open_parameters[i].text || is_quantity(equals + 1, value);
    return false;
}

/* Behind a value that is hidden nothing is shown: it may have an unescaped '&' in it. */
static void show_query(struct shown *shown, const char *text)
{
    show(shown, "?", 1);
    while (*text != '\0') {
        size_t length = strcspn(text, "&");
        if (!is_open(text, length)) {
            show_mask(shown);
            return;
        }
        length += text[length] == '&';
        show(shown, text, length);
        text += length;
    }
}

/* Where parameters may begin, also those that were written without their '?'. */
static const char *parameters_begin(const char *at)
{
    const char *separator = at + strcspn(at, "?&;#"), *path = strchr(at, '/');
    const char *equals = path != NULL ? strchr(path, '=') : NULL;
    return equals != NULL && equals < separator ? equals : separator;
}

/* With an '@' behind a '?' it is open where the password is: the first word is shown, if any. */
static void show_unclear(struct shown *shown, const char *text)
{
    size_t word = strcspn(text, ":/?@&;#=");
    if (text[word] == ':' && is_plain(text, word, "._-"))
        show(shown, text, word + 1);
    show_mask(shown);
}

/* What stands behind the scheme and its slashes. `hosts`: it begins with them. */
static void show_rest(struct shown *shown, const char *at, bool hosts)
{
    const char *end = at + strlen(at), *query = strchr(at, '?'), *user = strrchr(at, '@');
    const char *stop = query != NULL ? query : end;
    if (user != NULL && user > parameters_begin(at)) {
        show_unclear(shown, at);
        return;
    }
    if (user != NULL) {
        show_user(shown, at, (size_t)(user - at));
        show(shown, "@", 1);
        at = user + 1;
    }
    if (user != NULL || hosts) {
        const char *slash = memchr(at, '/', (size_t)(stop - at));
        const char *behind = slash != NULL ? slash : stop;
        show_hosts(shown, at, (size_t)(behind - at));
        at = behind;
    }
    if (show_path(shown, at, (size_t)(stop - at)) && query != NULL)
        show_query(shown, query + 1);
}

/* A file: URI without a host: its path may have any byte in it. */
static void show_file(struct shown *shown, const char *at)
{
    size_t length = strcspn(at, "?");
    if (show_path(shown, at, length) && at[length] == '?')
        show_query(shown, at + length + 1);
}

size_t remed_uri_redacted(const char *uri, char *text, size_t size)
{
    struct shown shown = {.text = text, .size = size};
    size_t scheme = scheme_length(uri, strlen(uri));
    const char *at = uri + scheme + (scheme > 0);
    size_t slashes = strspn(at, "/");
    bool file = is_scheme(uri, scheme, "file"), memory = is_scheme(uri, scheme, "memory");
    show(&shown, uri, (size_t)(at - uri));
    if (file && slashes != 2)
        show_file(&shown, at);
    else if (scheme > 0 && slashes == 0 && !memory && strchr(at, '@') == NULL)
        show(&shown, "***", *at != '\0' ? 3 : 0);
    else {
        show(&shown, at, slashes);
        show_rest(&shown, at + slashes, slashes == 2);
    }
    if (size > 0)
        text[shown.length < size ? shown.length : size - 1] = '\0';
    return shown.length;
}
