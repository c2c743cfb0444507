/* SPDX-License-Identifier: BSD-3-Clause */
/* Loading rule sets: the shipped ones by name, others from files. Threads: one. */
#include "tool.h"

#include "rule_sets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE (16u << 20)

char *read_file(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    size_t room = 65536;
    char *text = file != NULL ? malloc(room) : NULL;
    *length = 0;
    while (text != NULL) {
        *length += fread(text + *length, 1, room - *length, file);
        if (*length < room || room > MAX_FILE)
            break;
        char *grown = realloc(text, room *= 2);
        if (grown == NULL)
            free(text);
        text = grown;
    }
    if (file == NULL || text == NULL || ferror(file)) {
        fail("%s: %s", path, strerror(errno));
        free(text);
        text = NULL;
    }
    if (file != NULL)
        fclose(file);
    return text;
}

static struct remed_log_rules *compile(const char *name, const char *text, size_t length,
                                       const struct remed_log_rules_opts *opts)
{
    struct remed_log_rules *rules = NULL;
    struct remed_error error;
    if (remed_log_rules_parse(&rules, opts, text, length, &error) == 0)
        return rules;
    if (error.line == 0) {
        fail("%s: %s", name, error.message);
        return NULL;
    }
    say_bare("%s:%u:%u: %s\n", name, error.line, error.column, error.message);
    show_place(text, length, &error);
    return NULL;
}

struct remed_log_rules *load_rules(const char *argument, const struct remed_log_rules_opts *opts)
{
    for (const struct rule_set *set = rule_sets; set->name != NULL; set++)
        if (strcmp(set->name, argument) == 0)
            return compile(argument, set->text, set->length, opts);
    if (strpbrk(argument, "/.") == NULL) {
        fail("no rule set '%s' is shipped ('remediate rules list' names them); a file is given "
             "with its path",
             argument);
        return NULL;
    }
    size_t length;
    char *text = read_file(argument, &length);
    struct remed_log_rules *rules = text != NULL ? compile(argument, text, length, opts) : NULL;
    free(text);
    return rules;
}
