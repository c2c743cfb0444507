/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * remediate rules: lists the shipped rule sets, prints one to be copied, and checks one.
 *
 * Threads: one.
 */
#include "tool.h"

#include "rule_sets.h"

#include <getopt.h>
#include <string.h>

static const char help[] =
    "Usage: remediate rules list [--json]\n"
    "       remediate rules print NAME\n"
    "       remediate rules check NAME|FILE [--json]\n"
    "Rule sets turn lines of a middlebox's log into records ('remediate parse').\n"
    "'list' names those that are shipped, 'print' prints one, to be copied and edited;\n"
    "'check' compiles one and lists its rules, and which of them may take lines from others.\n"
    "\n"
    "      --json        one JSON object a set, or a rule\n"
    "  -h, --help        this help\n";

static void print_events(uint32_t events, const char *quote)
{
    const char *separator = "";
    for (unsigned i = 0; i < REMED_LOG_EVENT_COUNT; i++)
        if ((events >> i & 1) != 0) {
            printf("%s%s%s%s", separator, quote, remed_log_event_name(i), quote);
            separator = ",";
        }
}

static void print_kinds(uint32_t kinds, const char *quote)
{
    const char *separator = "";
    for (unsigned i = 0; i < 32; i++)
        if ((kinds >> i & 1) != 0 && remed_kind_name(i) != NULL) {
            printf("%s%s%s%s", separator, quote, remed_kind_name(i), quote);
            separator = ",";
        }
}

static int list(bool json)
{
    for (const struct rule_set *set = rule_sets; set->name != NULL; set++) {
        struct remed_log_rules *rules = load_rules(set->name, NULL);
        uint32_t kinds = 0;
        if (rules == NULL)
            return EXIT_FAILED;
        struct remed_log_rule rule;
        for (size_t i = 0; remed_log_rules_get(rules, i, &rule, sizeof rule) == 0; i++)
            kinds |= rule.kinds;
        printf(json ? "{\"name\":\"%s\",\"rules\":%zu,\"records\":[" : "%-16s %3zu rules  ",
               set->name, remed_log_rules_count(rules));
        if (json) {
            print_kinds(kinds, "\"");
            fputs("],\"title\":", stdout);
            json_string(stdout, remed_log_rules_title(rules));
            puts("}");
        } else {
            printf("%s  (", remed_log_rules_title(rules));
            print_kinds(kinds, "");
            puts(")");
        }
        remed_log_rules_free(rules);
    }
    return EXIT_OK;
}

static int print(const char *name)
{
    for (const struct rule_set *set = rule_sets; set->name != NULL; set++)
        if (strcmp(set->name, name) == 0) {
            fwrite(set->text, 1, set->length, stdout);
            return EXIT_OK;
        }
    return fail("no rule set '%s' is shipped", name);
}

static void on_notice(void *context, enum remed_log_level level, const char *module,
                      const char *message)
{
    (void)level;
    (void)module;
    fprintf(stderr, "%s:%s\n", (const char *)context, message);
}

static int check(char *name, bool json)
{
    struct remed_log_rules_opts opts;
    struct remed_log_rule rule;
    remed_log_rules_opts_init(&opts, sizeof opts);
    opts.log.context = name;
    opts.log.write = on_notice;
    struct remed_log_rules *rules = load_rules(name, &opts);
    if (rules == NULL)
        return EXIT_FAILED;
    for (size_t i = 0; remed_log_rules_get(rules, i, &rule, sizeof rule) == 0; i++) {
        printf(json ? "{\"rule\":\"%s\",\"line\":%u,\"records\":[" : "%-24s line %-4u ", rule.name,
               rule.line);
        print_kinds(rule.kinds, json ? "\"" : "");
        fputs(json ? "],\"events\":[" : "  ", stdout);
        print_events(rule.events, json ? "\"" : "");
        puts(json ? "]}" : "");
    }
    if (!json)
        printf("ok, %zu rules\n", remed_log_rules_count(rules));
    remed_log_rules_free(rules);
    return EXIT_OK;
}

int command_rules(int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    bool json = false;
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return EXIT_OK;
        }
        if (option != 'j')
            return bad_option("rules", option, argv);
        json = true;
    }
    const char *what = optind < argc ? argv[optind] : "";
    int left = argc - optind;
    if (strcmp(what, "list") == 0 && left == 1)
        return list(json);
    if (strcmp(what, "print") == 0 && left == 2)
        return print(argv[optind + 1]);
    if (strcmp(what, "check") == 0 && left == 2)
        return check(argv[optind + 1], json);
    return usage_error("rules", "list, print NAME or check NAME|FILE is needed");
}
