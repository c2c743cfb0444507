/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policies looked at: printed back, compared, walked, copied, freed.
 *
 * Threads: a policy never changes after parsing.
 */
#include "filter/match.h"
#include "filter/policy.h"
#include "filter/units.h"

#include <stdio.h>

#define TAIL_TEXT 160u

static int print_action(const struct remed_policy_rule *rule, char *text, size_t size)
{
    const unsigned long long amount = rule->amount;
    switch (rule->action) {
    case REMED_ACTION_FIRST:
        return snprintf(text, size, "first %llu", amount);
    case REMED_ACTION_FIRST_EACH:
        return snprintf(text, size, "first %llu each", amount);
    case REMED_ACTION_FIRST_BYTES: {
        int at = snprintf(text, size, "first ");
        return at + remed_write_units(text + at, size - (size_t)at, remed_size_units, rule->amount);
    }
    case REMED_ACTION_SAMPLE:
        return snprintf(text, size, "sample 1/%llu", amount);
    default:
        return snprintf(text, size, "%s", remed_action_name(rule->action));
    }
}

/* All behind MATCH. */
static void print_tail(const struct remed_policy_rule *rule, char *text)
{
    size_t at = (size_t)snprintf(text, TAIL_TEXT, " : ");
    at += (size_t)print_action(rule, text + at, TAIL_TEXT - at);
    if (rule->close != 0)
        at += (size_t)snprintf(text + at, TAIL_TEXT - at, ", close");
    if (rule->refresh != 0) {
        at += (size_t)snprintf(text + at, TAIL_TEXT - at, ", refresh ");
        at += (size_t)remed_write_units(text + at, TAIL_TEXT - at, remed_time_units, rule->refresh);
    }
    if (rule->sides != 3)
        snprintf(text + at, TAIL_TEXT - at, ", %s", rule->sides == 1 ? "in" : "out");
}

/* Appends as snprintf would: what does not fit is only counted. */
static size_t append(char *text, size_t size, size_t at, const char *what)
{
    size_t length = strlen(what);
    if (at < size) {
        size_t room = size - at - 1, copied = length < room ? length : room;
        memcpy(text + at, what, copied);
        text[at + copied] = '\0';
    }
    return at + length;
}

static size_t append_rule(const struct remed_rule *rule, char *text, size_t size, size_t at)
{
    char tail[TAIL_TEXT];
    print_tail(&rule->data, tail);
    at = append(text, size, at, rule->match != NULL ? rule->match->text : "any");
    return append(text, size, at, tail);
}

size_t remed_policy_print(const struct remed_policy *policy, char *text, size_t size)
{
    size_t at = append(text, size, 0, "");
    if (policy->rules.limit != 0) {
        char limit[TAIL_TEXT];
        remed_write_units(limit, sizeof limit, remed_rate_units, policy->rules.limit);
        at = append(text, size, at, "limit ");
        at = append(text, size, at, limit);
        at = append(text, size, at, "\n");
    }
    for (size_t i = 0; i < policy->rules.count; i++) {
        at = append_rule(&policy->rules.rule[i], text, size, at);
        at = append(text, size, at, "\n");
    }
    return at;
}

size_t remed_policy_print_rule(const struct remed_policy *policy, size_t index, char *text,
                               size_t size)
{
    if (index >= policy->rules.count)
        return 0;
    return append_rule(&policy->rules.rule[index], text, size, append(text, size, 0, ""));
}

bool remed_policy_equal(const struct remed_policy *a, const struct remed_policy *b)
{
    if (a->rules.count != b->rules.count || a->rules.limit != b->rules.limit)
        return false;
    for (size_t i = 0; i < a->rules.count; i++) {
        struct remed_policy_rule x = a->rules.rule[i].data, y = b->rules.rule[i].data;
        if (x.action != y.action || x.amount != y.amount || x.refresh != y.refresh ||
            x.sides != y.sides || x.close != y.close ||
            !remed_match_equal(a->rules.rule[i].match, b->rules.rule[i].match))
            return false;
    }
    return true;
}

size_t remed_policy_rules(const struct remed_policy *policy)
{
    return policy->rules.count;
}

int remed_policy_rule(const struct remed_policy *policy, size_t index,
                      struct remed_policy_rule *rule, size_t size)
{
    if (index >= policy->rules.count)
        return REMED_ENOENT;
    remed_stats_copy(rule, size, &policy->rules.rule[index].data,
                     sizeof policy->rules.rule[index].data);
    return 0;
}

uint64_t remed_policy_limit(const struct remed_policy *policy)
{
    return policy->rules.limit;
}

const struct remed_rules *remed_policy_rules_of(const struct remed_policy *policy)
{
    return &policy->rules;
}

static void free_matches(struct remed_rules *rules, const struct remed_allocator *allocator)
{
    for (size_t i = 0; i < rules->count; i++)
        remed_match_free(rules->rule[i].match, allocator);
}

int remed_rules_copy(struct remed_rules *copy, const struct remed_rules *rules,
                     const struct remed_allocator *allocator)
{
    *copy = (struct remed_rules){.count = rules->count, .limit = rules->limit};
    copy->rule = remed_allocate(allocator, rules->count * sizeof *copy->rule);
    int rc = copy->rule == NULL ? REMED_ENOMEM : 0;
    for (size_t i = 0; rc == 0 && i < rules->count; i++) {
        copy->rule[i].data = rules->rule[i].data;
        if (rules->rule[i].match != NULL)
            rc = remed_match_copy(&copy->rule[i].match, rules->rule[i].match, allocator);
    }
    if (rc < 0)
        remed_rules_fini(copy, allocator);
    return rc;
}

void remed_rules_fini(struct remed_rules *rules, const struct remed_allocator *allocator)
{
    if (rules->rule != NULL)
        free_matches(rules, allocator);
    remed_release(allocator, rules->rule, rules->count * sizeof *rules->rule);
    *rules = (struct remed_rules){NULL, 0, 0};
}

void remed_policy_free(struct remed_policy *policy)
{
    if (policy == NULL)
        return;
    struct remed_allocator allocator = policy->allocator;
    free_matches(&policy->rules, &allocator);
    remed_release(&allocator, policy->rules.rule, policy->room * sizeof *policy->rules.rule);
    remed_release(&allocator, policy, sizeof *policy);
}
