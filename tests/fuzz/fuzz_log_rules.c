/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rule sets as text: what does not compile says where; what compiles runs on lines, and never gives
 * a record that can't be encoded.
 */
#include <remediate/log_rules.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds)
        abort();
}

static void on_record(void *context, size_t line, const struct remed_record *record)
{
    static uint8_t wire[REMED_RECORD_MAX];
    size_t length;
    (void)context;
    (void)line;
    check(remed_record_encode(record, wire, sizeof wire, &length) == 0);
}

static void run(const struct remed_log_rules *rules)
{
    static const char *const lines[] = {
        "<134>1 2026-11-24T10:00:00Z host app - - - a=\"1.2.3.4\" b=5 c=\"x\\\"y",
        "Nov 24 10:00:00 host kernel: IN= OUT=lo SRC=1.2.3.4 DST=1.2.3.5 PROTO=TCP SPT=1 DPT=2",
        "1,2,\"3,4\",1.2.3.4:5,[2001:db8::1]:80,tcp,udp", "a: 1.2.3.4, b: 5", ""};
    struct remed_log_parser *parser = NULL;
    struct remed_log_parser_opts opts;
    remed_log_parser_opts_init(&opts, sizeof opts);
    opts.domain = "fuzz";
    opts.record = on_record;
    check(remed_log_parser_new(&parser, rules, &opts, NULL) == 0);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const struct remed_log_line line = {.text = lines[i], .length = strlen(lines[i])};
        struct remed_log_trace traces[4];
        remed_log_parser_run(parser, &line, 1, NULL);
        remed_log_parser_explain(parser, &line, traces, 4);
    }
    remed_log_parser_free(parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct remed_log_rules *rules = NULL;
    struct remed_error error;
    if (remed_log_rules_parse(&rules, NULL, (const char *)data, size, &error) < 0) {
        check(rules == NULL && error.message[0] != '\0');
        check(error.code != REMED_ESYNTAX || (error.line > 0 && error.column > 0));
        return 0;
    }
    check(remed_log_rules_count(rules) > 0);
    run(rules);
    remed_log_rules_free(rules);
    return 0;
}
