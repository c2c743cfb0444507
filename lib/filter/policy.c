/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policies: from text to rules. Rules are lines (or parts between semicolons); `limit` and `preset`
 * are lines of their own.
 *
 * Threads: a policy never changes after parsing.
 */
#include "filter/match.h"
#include "filter/policy.h"
#include "filter/units.h"

#include <stdio.h>

#define SIDE_IN 1u
#define SIDE_OUT 2u
#define MAX_TEXT (16u << 20)

struct parser {
    struct remed_lexer lexer;
    struct remed_error *error;
    struct remed_policy *policy;
    struct remed_growing rules;
    uint32_t max_rules, max_depth;
    uint32_t preset_line; /* within a preset: the line that named it */
};

static const struct {
    const char *name;
    enum remed_action action;
} actions[] = {{"none", REMED_ACTION_NONE},         {"all", REMED_ACTION_ALL},
               {"syn", REMED_ACTION_SYN},           {"handshake", REMED_ACTION_HANDSHAKE},
               {"first", REMED_ACTION_FIRST},       {"first", REMED_ACTION_FIRST_EACH},
               {"first", REMED_ACTION_FIRST_BYTES}, {"sample", REMED_ACTION_SAMPLE},
               {"close", REMED_ACTION_CLOSE}};

const char *remed_action_name(unsigned action)
{
    static const char *const names[] = {"none",       "all",         "syn",    "handshake", "first",
                                        "first-each", "first-bytes", "sample", "close"};
    return action < sizeof names / sizeof *names ? names[action] : "unknown";
}

static int read_first(struct parser *parser, struct remed_policy_rule *rule)
{
    const struct remed_token *token = &parser->lexer.token;
    if (remed_token_number(token, &rule->amount) && rule->amount > 0) {
        remed_lexer_next(&parser->lexer);
        if (remed_token_is(&parser->lexer.token, "each")) {
            rule->action = REMED_ACTION_FIRST_EACH;
            remed_lexer_next(&parser->lexer);
        }
        return 0;
    }
    if (!remed_read_units(token, remed_size_units, &rule->amount))
        return remed_expected(&parser->lexer, parser->error,
                              "a number of packets above 0, or of bytes such as 64kB");
    rule->action = REMED_ACTION_FIRST_BYTES;
    remed_lexer_next(&parser->lexer);
    return 0;
}

static int read_sample(struct parser *parser, struct remed_policy_rule *rule)
{
    struct remed_token token = parser->lexer.token;
    if (token.kind == REMED_TOKEN_WORD && token.length > 2 && memcmp(token.text, "1/", 2) == 0) {
        token.text += 2;
        token.length -= 2;
        if (remed_token_number(&token, &rule->amount) && rule->amount > 0) {
            remed_lexer_next(&parser->lexer);
            return 0;
        }
    }
    return remed_expected(&parser->lexer, parser->error, "a share of the flows such as 1/8");
}

/* The action that a mistyped word is closest to: same letters but for one, or two swapped. */
static const char *likely_action(const struct remed_token *token)
{
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        size_t length = strlen(actions[i].name), different = 0, common = 0;
        for (size_t j = 0; j < length && j < token->length; j++) {
            different += actions[i].name[j] != token->text[j];
            common += memchr(token->text, actions[i].name[j], token->length) != NULL;
        }
        bool close = token->length + 1 >= length && length + 1 >= token->length;
        if (token->kind == REMED_TOKEN_WORD && close && (different <= 2 || common + 1 >= length) &&
            common * 3 >= length * 2)
            return actions[i].name;
    }
    return NULL;
}

static int unknown_action(struct parser *parser)
{
    const char *likely = likely_action(&parser->lexer.token);
    char what[120];
    snprintf(what, sizeof what, "an action (none, all, syn, handshake, close, first, sample%s%s%s)",
             likely != NULL ? "; did you mean '" : "", likely != NULL ? likely : "",
             likely != NULL ? "'?" : "");
    return remed_expected(&parser->lexer, parser->error, what);
}

static int read_action(struct parser *parser, struct remed_policy_rule *rule)
{
    size_t i = 0, count = sizeof actions / sizeof *actions;
    while (i < count && !remed_token_is(&parser->lexer.token, actions[i].name))
        i++;
    if (i == count)
        return unknown_action(parser);
    rule->action = actions[i].action;
    remed_lexer_next(&parser->lexer);
    if (rule->action == REMED_ACTION_FIRST)
        return read_first(parser, rule);
    return rule->action == REMED_ACTION_SAMPLE ? read_sample(parser, rule) : 0;
}

static unsigned side_of(const struct remed_token *token)
{
    return remed_token_is(token, "in")     ? SIDE_IN
           : remed_token_is(token, "out")  ? SIDE_OUT
           : remed_token_is(token, "both") ? SIDE_IN | SIDE_OUT
                                           : 0;
}

static int read_refresh(struct parser *parser, struct remed_policy_rule *rule)
{
    if (rule->refresh != 0)
        return remed_expected(&parser->lexer, parser->error, "one refresh only");
    remed_lexer_next(&parser->lexer);
    if (!remed_read_units(&parser->lexer.token, remed_time_units, &rule->refresh))
        return remed_expected(&parser->lexer, parser->error,
                              "a time such as 10s (ns, us, ms, s, m, h, d)");
    remed_lexer_next(&parser->lexer);
    return 0;
}

static int read_close(struct parser *parser, struct remed_policy_rule *rule)
{
    if (rule->close != 0 || rule->action == REMED_ACTION_CLOSE)
        return remed_expected(&parser->lexer, parser->error, "one close only");
    rule->close = 1;
    remed_lexer_next(&parser->lexer);
    return 0;
}

static int read_side(struct parser *parser, struct remed_policy_rule *rule, bool *sided)
{
    unsigned side = side_of(&parser->lexer.token);
    if (side == 0 || *sided)
        return remed_expected(&parser->lexer, parser->error,
                              *sided ? "close, refresh, or the end of the rule"
                                     : "close, refresh, in, out or both");
    rule->sides = (uint8_t)side;
    *sided = true;
    remed_lexer_next(&parser->lexer);
    return 0;
}

static int read_qualifiers(struct parser *parser, struct remed_policy_rule *rule)
{
    bool sided = false;
    int rc = 0;
    while (rc == 0 && remed_token_is(&parser->lexer.token, ",")) {
        remed_lexer_next(&parser->lexer);
        if (remed_token_is(&parser->lexer.token, "refresh"))
            rc = read_refresh(parser, rule);
        else if (remed_token_is(&parser->lexer.token, "close"))
            rc = read_close(parser, rule);
        else
            rc = read_side(parser, rule, &sided);
    }
    return rc;
}

static int end_statement(struct parser *parser, const char *what)
{
    enum remed_token_kind kind = parser->lexer.token.kind;
    if (kind == REMED_TOKEN_LINE || kind == REMED_TOKEN_END)
        return 0;
    return remed_expected(&parser->lexer, parser->error, what);
}

static int add_rule(struct parser *parser, const struct remed_rule *rule)
{
    struct remed_policy *policy = parser->policy;
    if (parser->rules.count >= parser->max_rules)
        return remed_error_at(parser->error, REMED_ELIMIT, rule->data.line, 1, "more than %u rules",
                              parser->max_rules);
    struct remed_rule *place = remed_grow(&parser->rules, sizeof *place, &policy->allocator);
    if (place == NULL)
        return remed_error_set(parser->error, REMED_ENOMEM, "no memory for the policy");
    *place = *rule;
    return 0;
}

static int read_rule(struct parser *parser)
{
    struct remed_policy *policy = parser->policy;
    struct remed_rule rule = {.data = {.sides = SIDE_IN | SIDE_OUT}};
    rule.data.line = parser->preset_line != 0 ? parser->preset_line : parser->lexer.token.line;
    int rc = remed_match_compile(&rule.match, &parser->lexer, parser->max_depth, &policy->allocator,
                                 parser->error);
    if (rc < 0)
        return rc;
    if (remed_token_is(&parser->lexer.token, ":")) {
        remed_lexer_next(&parser->lexer);
        rc = read_action(parser, &rule.data);
    } else {
        rc = remed_expected(&parser->lexer, parser->error, "'and', 'or' or ':' and an action");
    }
    if (rc == 0)
        rc = read_qualifiers(parser, &rule.data);
    if (rc == 0)
        rc = end_statement(parser, "',' or the end of the rule");
    if (rc == 0)
        rc = add_rule(parser, &rule);
    if (rc < 0)
        remed_match_free(rule.match, &policy->allocator);
    return rc;
}

static int read_limit(struct parser *parser)
{
    if (parser->policy->rules.limit != 0)
        return remed_expected(&parser->lexer, parser->error, "one limit only");
    remed_lexer_next(&parser->lexer);
    if (!remed_read_units(&parser->lexer.token, remed_rate_units, &parser->policy->rules.limit))
        return remed_expected(&parser->lexer, parser->error,
                              "a rate such as 50Mbit (bit, kbit, Mbit, Gbit, Tbit)");
    remed_lexer_next(&parser->lexer);
    return end_statement(parser, "the end of the line");
}

static int read_statements(struct parser *parser);

static int expand(struct parser *parser, const char *text, uint32_t line)
{
    const struct remed_lexer outer = parser->lexer;
    remed_lexer_init(&parser->lexer, text, strlen(text));
    parser->preset_line = line;
    int rc = read_statements(parser);
    parser->preset_line = 0;
    parser->lexer = outer;
    return rc;
}

static int read_preset(struct parser *parser)
{
    const char *name, *text;
    remed_lexer_next(&parser->lexer);
    for (size_t i = 0; remed_policy_preset(i, &name, &text) == 0; i++) {
        if (!remed_token_is(&parser->lexer.token, name))
            continue;
        uint32_t line = parser->lexer.token.line;
        remed_lexer_next(&parser->lexer);
        int rc = end_statement(parser, "the end of the line");
        return rc < 0 ? rc : expand(parser, text, line);
    }
    return remed_expected(&parser->lexer, parser->error,
                          "the name of a preset (nat, lb, ids, firewall)");
}

static int read_statements(struct parser *parser)
{
    int rc = 0;
    while (rc == 0 && parser->lexer.token.kind != REMED_TOKEN_END) {
        if (parser->lexer.token.kind == REMED_TOKEN_LINE)
            remed_lexer_next(&parser->lexer);
        else if (remed_token_is(&parser->lexer.token, "limit"))
            rc = read_limit(parser);
        else if (remed_token_is(&parser->lexer.token, "preset"))
            rc = read_preset(parser);
        else
            rc = read_rule(parser);
    }
    return rc;
}

void remed_policy_opts_init(struct remed_policy_opts *opts, size_t size)
{
    const struct remed_policy_opts defaults = {.size = size, .max_rules = 4096, .max_depth = 64};
    remed_stats_copy(opts, size, &defaults, sizeof defaults);
}

static int check_opts(const struct remed_policy_opts *opts, size_t length,
                      struct remed_error *error)
{
    if (opts->max_rules == 0 || opts->max_rules > 65535)
        return remed_error_set(error, REMED_EINVAL, "max_rules must be 1 to 65535");
    if (opts->max_depth == 0 || opts->max_depth > 256)
        return remed_error_set(error, REMED_EINVAL, "max_depth must be 1 to 256");
    if (length > MAX_TEXT)
        return remed_error_set(error, REMED_ELIMIT, "the policy is longer than %u bytes", MAX_TEXT);
    return 0;
}

static int parse_into(struct remed_policy *policy, const struct remed_policy_opts *opts,
                      const char *text, size_t length, struct remed_error *error)
{
    struct parser parser = {.error = error,
                            .policy = policy,
                            .max_rules = opts->max_rules,
                            .max_depth = opts->max_depth};
    remed_lexer_init(&parser.lexer, text, length);
    int rc = read_statements(&parser);
    policy->rules.rule = parser.rules.items;
    policy->rules.count = parser.rules.count;
    policy->room = parser.rules.room;
    if (rc == 0 && policy->rules.count == 0)
        rc = remed_error_at(error, REMED_ESYNTAX, parser.lexer.token.line,
                            parser.lexer.token.column, "expected a rule, found an empty policy");
    return rc;
}

int remed_policy_parse(struct remed_policy **policy, const struct remed_policy_opts *given,
                       const char *text, size_t length, struct remed_error *error)
{
    struct remed_policy_opts opts;
    remed_policy_opts_init(&opts, sizeof opts);
    int rc = given != NULL ? remed_opts_copy(&opts, sizeof opts, given, "policy", error) : 0;
    if (rc == 0)
        rc = check_opts(&opts, length, error);
    if (rc < 0)
        return rc;
    struct remed_allocator allocator = remed_allocator_or_default(opts.allocator);
    struct remed_policy *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for the policy");
    made->allocator = allocator;
    rc = parse_into(made, &opts, text, length, error);
    if (rc < 0)
        remed_policy_free(made);
    else
        *policy = made;
    return rc;
}
