/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines through several rule sets: the first that knows a line reads it. All records get their
 * sequence from the publisher, as one row, so that of two sets that speak of one flow the later
 * line wins. They wait in a ring of records that are made once.
 *
 * Threads: one.
 */
#include "listening.h"

#include <string.h>

bool interpreter_init(struct interpreter *interpreter)
{
    remed_log_parser_opts_init(&interpreter->opts, sizeof interpreter->opts);
    interpreter->opts.domain = "log";
    interpreter->opts.origin = "remediate";
    for (size_t i = 0; i < QUEUE_RECORDS; i++)
        if (remed_record_new(&interpreter->queue[i], NULL) < 0)
            return false;
    return true;
}

static void drop_rules(struct remed_log_rules **rules, struct remed_log_parser **parsers,
                       unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        remed_log_parser_free(parsers[i]);
        remed_log_rules_free(rules[i]);
    }
}

void interpreter_fini(struct interpreter *interpreter)
{
    drop_rules(interpreter->rules, interpreter->parsers, interpreter->count);
    for (size_t i = 0; i < QUEUE_RECORDS; i++)
        remed_record_free(interpreter->queue[i]);
}

static int copy_body(struct remed_record *to, const struct remed_record *from, unsigned kind)
{
    union {
        struct remed_nat_binding nat;
        struct remed_lb_assignment lb;
        struct remed_session session;
    } body;
    size_t size = kind == REMED_KIND_NAT_BINDING     ? sizeof body.nat
                  : kind == REMED_KIND_LB_ASSIGNMENT ? sizeof body.lb
                  : kind == REMED_KIND_SESSION       ? sizeof body.session
                                                     : 0;
    if (size == 0 || remed_record_body(from, kind, &body, size) < 0)
        return REMED_EUNSUPPORTED;
    return remed_record_set_body(to, kind, &body, size, NULL);
}

static void on_record(void *context, size_t line, const struct remed_record *record)
{
    struct interpreter *interpreter = context;
    struct remed_record_head head;
    (void)line;
    if (interpreter->held == QUEUE_RECORDS) {
        interpreter->failed++;
        return;
    }
    size_t at = (interpreter->begin + interpreter->held) % QUEUE_RECORDS;
    struct remed_record *copy = interpreter->queue[at];
    remed_record_clear(copy);
    remed_record_head(record, &head, sizeof head);
    head.sequence = 0; /* the publisher's to give */
    if (remed_record_set_head(copy, &head, NULL) < 0 || copy_body(copy, record, head.kind) < 0) {
        interpreter->failed++;
        return;
    }
    interpreter->held++;
    interpreter->records++;
}

int interpreter_load(struct interpreter *interpreter)
{
    struct remed_log_rules *rules[RULE_SETS_MAX] = {NULL};
    struct remed_log_parser *parsers[RULE_SETS_MAX] = {NULL};
    struct remed_error error;
    unsigned count = 0;
    interpreter->opts.record = on_record;
    interpreter->opts.context = interpreter;
    for (; count < RULE_SETS_MAX && interpreter->names[count] != NULL; count++) {
        rules[count] = load_rules(interpreter->names[count], NULL);
        if (rules[count] == NULL)
            break;
        if (remed_log_parser_new(&parsers[count], rules[count], &interpreter->opts, &error) < 0) {
            fail("%s", error.message);
            break;
        }
    }
    if (count < RULE_SETS_MAX && interpreter->names[count] != NULL) {
        drop_rules(rules, parsers, count + 1);
        return EXIT_FAILED;
    }
    drop_rules(interpreter->rules, interpreter->parsers, interpreter->count);
    memcpy(interpreter->rules, rules, sizeof rules);
    memcpy(interpreter->parsers, parsers, sizeof parsers);
    interpreter->count = count;
    return EXIT_OK;
}

/* The best that any set makes of a line. */
static uint8_t run(struct interpreter *interpreter, const struct remed_log_line *line)
{
    struct remed_log_verdict verdict;
    uint8_t best = REMED_LOG_FOREIGN;
    for (unsigned i = 0; i < interpreter->count && best <= REMED_LOG_UNMATCHED; i++) {
        remed_log_parser_run(interpreter->parsers[i], line, 1, &verdict);
        best = verdict.outcome > best ? verdict.outcome : best;
    }
    return best;
}

/* Rule sets know headers as their boxes write them. A relay's header of RFC 5424, with structured
 * data or without a time, is another: then what it carries is read alone, at the header's time. */
static uint8_t run_carried(struct interpreter *interpreter, const struct remed_log_line *line)
{
    const struct remed_syslog_context context = {.received = line->received,
                                                 .zone = interpreter->opts.zone};
    struct remed_syslog_message message;
    remed_syslog_read(&message, sizeof message, line->text, line->length, &context);
    if (message.format != REMED_SYSLOG_RFC5424 || message.message.length == 0)
        return REMED_LOG_FOREIGN;
    const struct remed_log_line carried = {
        .text = message.message.text, .length = message.message.length, .received = message.time};
    return run(interpreter, &carried);
}

bool interpreter_take(struct interpreter *interpreter, const struct remed_listener_line *line)
{
    const struct remed_log_line text = {
        .text = line->text, .length = line->length, .received = line->received};
    uint8_t best = run(interpreter, &text);
    if (best <= REMED_LOG_UNMATCHED) {
        uint8_t carried = run_carried(interpreter, &text);
        best = carried > best ? carried : best;
    }
    interpreter->lines++;
    interpreter->outcomes[best]++;
    return best > REMED_LOG_UNMATCHED;
}

bool interpreter_has_room(const struct interpreter *interpreter)
{
    return interpreter->held + LINE_RECORDS <= QUEUE_RECORDS;
}

struct remed_record *const *interpreter_waiting(const struct interpreter *interpreter,
                                                size_t *count)
{
    size_t together = QUEUE_RECORDS - interpreter->begin;
    *count = interpreter->held < together ? interpreter->held : together;
    return interpreter->queue + interpreter->begin;
}

void interpreter_pass(struct interpreter *interpreter, size_t count)
{
    interpreter->begin = (interpreter->begin + count) % QUEUE_RECORDS;
    interpreter->held -= count;
}
