/* SPDX-License-Identifier: BSD-3-Clause */
/* What the commands share: complaints, numbers, policies, text. Threads: one. */
#include "tool.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define MAX_POLICY_BYTES (16u << 20)

int fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return EXIT_FAILED;
}

int usage_error(const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    fprintf(stderr, "\nTry 'remediate%s%s --help'.\n", *command != '\0' ? " " : "", command);
    va_end(arguments);
    return EXIT_USAGE;
}

int bad_option(const char *command, int found, char **argv)
{
    const char *option = argv[optind - 1];
    char name[64];
    if (optopt > 0 && optopt < 256 && strncmp(option, "--", 2) != 0)
        snprintf(name, sizeof name, "-%c", optopt);
    else /* its value is nobody's business */
        snprintf(name, sizeof name, "%.*s", (int)strcspn(option, "="), option);
    if (found == ':')
        return usage_error(command, "option '%s' needs a value", name);
    return usage_error(command, "'%s' is no option%s", name,
                       option[strcspn(option, "=")] != '\0' ? ", or takes no value" : "");
}

bool read_number(const char *text, uint64_t least, uint64_t most, uint64_t *number)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && *number >= least && *number <= most;
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* A whole number and its unit. */
static bool read_units(const char *text, const struct unit *units, uint64_t *value)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    for (; errno == 0 && units->name != NULL; units++)
        if (strcmp(end, units->name) == 0 && number <= UINT64_MAX / units->factor) {
            *value = number * units->factor;
            return true;
        }
    return false;
}

bool read_time(const char *text, uint64_t *ns)
{
    static const struct unit units[] = {{"ms", 1000000ull},       {"s", 1000000000ull},
                                        {"m", 60000000000ull},    {"h", 3600000000000ull},
                                        {"d", 86400000000000ull}, {NULL, 0}};
    return read_units(text, units, ns);
}

bool read_size(const char *text, uint64_t *bytes)
{
    static const struct unit units[] = {{"", 1},           {"kB", 1000},      {"KiB", 1u << 10},
                                        {"MB", 1000000},   {"MiB", 1u << 20}, {"GB", 1000000000},
                                        {"GiB", 1u << 30}, {NULL, 0}};
    return read_units(text, units, bytes);
}

bool read_zone(const char *text, int32_t *seconds)
{
    unsigned hours, minutes = 0;
    char sign = '+', end;
    if (*text == '+' || *text == '-')
        sign = *text++;
    int got = sscanf(text, "%2u:%2u%c", &hours, &minutes, &end);
    if (got < 1 || got > 2 || (got == 1 && strlen(text) > 2) || hours > 23 || minutes > 59)
        return false;
    *seconds = (int32_t)(hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
    return true;
}

bool read_timeout(const char *text, uint64_t timeouts[REMED_TIMEOUT_COUNT])
{
    static const char *const names[REMED_TIMEOUT_COUNT] = {
        "tcp-opening", "tcp-open", "tcp-closing", "tcp-closed", "udp", "icmp", "sctp", "other"};
    const char *equals = strchr(text, '=');
    for (unsigned name = 0; equals != NULL && name < REMED_TIMEOUT_COUNT; name++)
        if (strlen(names[name]) == (size_t)(equals - text) &&
            strncmp(names[name], text, (size_t)(equals - text)) == 0)
            return read_time(equals + 1, &timeouts[name]);
    return false;
}

void show_place(const char *text, size_t length, const struct remed_error *error)
{
    const char *line = text, *end = text + length;
    for (uint32_t i = 1; i < error->line && line < end; i++) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        line = newline != NULL ? newline + 1 : end;
    }
    const char *stop = memchr(line, '\n', (size_t)(end - line));
    int shown = (int)((stop != NULL ? stop : end) - line);
    if (error->line == 0 || shown > 200)
        return;
    say_bare("  %.*s\n  ", shown, line); /* an argument may be the text */
    for (uint32_t i = 1; i < error->column; i++)
        fputc(i <= (uint32_t)shown && line[i - 1] == '\t' ? '\t' : ' ', stderr);
    fputs("^\n", stderr);
}

static char *read_policy_file(FILE *file, size_t *length)
{
    size_t room = 4096;
    char *text = malloc(room);
    *length = 0;
    while (text != NULL) {
        *length += fread(text + *length, 1, room - *length, file);
        if (*length < room || room > MAX_POLICY_BYTES)
            break;
        room *= 2;
        char *grown = realloc(text, room);
        if (grown == NULL)
            free(text);
        text = grown;
    }
    return text;
}

static struct remed_policy *parse(const char *name, const char *text, size_t length)
{
    struct remed_policy *policy = NULL;
    struct remed_error error;
    if (remed_policy_parse(&policy, NULL, text, length, &error) == 0)
        return policy;
    if (error.line == 0) {
        fail("%s: %s", name, error.message);
        return NULL;
    }
    say_bare("%s:%u:%u: %s\n", name, error.line, error.column, error.message);
    show_place(text, length, &error);
    return NULL;
}

struct remed_policy *load_policy(const char *argument)
{
    if (strstr(argument, "://") != NULL) { /* its text would be quoted with the fault */
        fail("%s: is no policy and no file with one", argument);
        return NULL;
    }
    FILE *file = strcmp(argument, "-") == 0 ? stdin : fopen(argument, "rb");
    /* What is no file and could be no file's name either is the text itself. No policy has an '@',
     * but a URI with a slash too few has, behind its password. */
    if (file == NULL && strchr(argument, '@') != NULL) {
        fail("%s: is no policy and no file with one", argument);
        return NULL;
    }
    if (file == NULL && strpbrk(argument, ": \n;") != NULL)
        return parse("policy", argument, strlen(argument));
    if (file == NULL) {
        fail("%s: %s", argument, strerror(errno));
        return NULL;
    }
    size_t length;
    char *text = read_policy_file(file, &length);
    bool broken = text == NULL || ferror(file);
    if (file != stdin)
        fclose(file);
    struct remed_policy *policy = NULL;
    if (broken)
        fail("%s: cannot read the policy", argument);
    else
        policy = parse(argument, text, length);
    free(text);
    return policy;
}

bool prepare_filter_opts(struct remed_filter_opts *opts)
{
    remed_filter_opts_init(opts, sizeof *opts);
    opts->allocator = &huge_memory;
    return getrandom(opts->seed, sizeof opts->seed, 0) == (ssize_t)sizeof opts->seed;
}

int finish_output(int code)
{
    if ((fflush(stdout) != 0 || ferror(stdout) != 0) && code == EXIT_OK)
        return fail("cannot write to standard output: %s", strerror(errno));
    return code;
}

void json_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if (*c < 0x20)
            fprintf(out, "\\u%04x", *c);
        else
            fputc(*c, out);
    }
    fputc('"', out);
}

void write_time(char *text, uint64_t ns)
{
    time_t seconds = (time_t)(ns / 1000000000u);
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL) {
        snprintf(text, TIME_TEXT, "%llu", (unsigned long long)ns);
        return;
    }
    size_t at = strftime(text, TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + at, TIME_TEXT - at, ".%09lluZ", (unsigned long long)(ns % 1000000000u));
}

void write_protocol(char *text, size_t size, unsigned protocol)
{
    static const struct {
        unsigned number;
        const char *name;
    } names[] = {{1, "icmp"},  {2, "igmp"},   {4, "ipip"},   {6, "tcp"},
                 {17, "udp"},  {33, "dccp"},  {41, "ipv6"},  {47, "gre"},
                 {50, "esp"},  {51, "ah"},    {58, "icmp6"}, {89, "ospf"},
                 {103, "pim"}, {112, "vrrp"}, {132, "sctp"}, {136, "udplite"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].number == protocol) {
            snprintf(text, size, "%s", names[i].name);
            return;
        }
    snprintf(text, size, "%u", protocol);
}

char *rule_text(const struct remed_policy *policy, size_t index)
{
    size_t length = remed_policy_print_rule(policy, index, NULL, 0);
    char *text = malloc(length + 1);
    if (text != NULL)
        remed_policy_print_rule(policy, index, text, length + 1);
    return text;
}
