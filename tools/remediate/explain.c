/* SPDX-License-Identifier: BSD-3-Clause */
/* The explaining of explain.h. Threads: one. */
#include "explain.h"

#include <inttypes.h>
#include <string.h>

#define TRACES 64

static const char *rule_name(const struct remed_log_rules *rules, uint32_t index)
{
    struct remed_log_rule rule;
    if (remed_log_rules_get(rules, index, &rule, sizeof rule) < 0)
        return "begin";
    return rule.name;
}

static void add_field(const char *name, const char *value, bool json, bool *first)
{
    if (*value == '\0')
        return;
    if (json) {
        printf("%s\"%s\":", *first ? "" : ",", name);
        json_string(stdout, value);
    } else {
        printf("%s%s=%s", *first ? "      " : " ", name, value);
    }
    *first = false;
}

static void add_endpoint(const char *name, const struct remed_endpoint *endpoint, bool json,
                         bool *first)
{
    char text[REMED_ENDPOINT_PRINT_SIZE];
    remed_endpoint_print(endpoint, text);
    add_field(name, text, json, first);
}

static void print_fields(const struct remed_log_fields *fields, bool json)
{
    char text[160] = "";
    bool first = true;
    if (fields->protocol != UINT8_MAX)
        write_protocol(text, sizeof text, fields->protocol);
    add_field("protocol", text, json, &first);
    add_endpoint("source", &fields->source, json, &first);
    add_endpoint("destination", &fields->destination, json, &first);
    add_endpoint("source_after", &fields->source_after, json, &first);
    add_endpoint("destination_after", &fields->destination_after, json, &first);
    add_endpoint("backend", &fields->backend, json, &first);
    add_endpoint("virtual", &fields->service, json, &first);
    if (fields->backend_name != NULL && fields->backend_name_length < sizeof text) {
        memcpy(text, fields->backend_name, fields->backend_name_length);
        text[fields->backend_name_length] = '\0';
        for (char *c = text; *c != '\0'; c++)
            if ((unsigned char)*c >= 0x7f)
                *c = '?'; /* it may be no UTF-8 */
        add_field("backend_name", text, json, &first);
    }
    add_field("opener", fields->reversed ? "destination" : "", json, &first);
    write_time(text, fields->observed);
    add_field("observed", text, json, &first);
}

static void print_traces(const struct remed_log_rules *rules, const struct remed_log_trace *traces,
                         size_t count, bool json)
{
    for (size_t i = 0; i < count; i++) {
        const struct remed_log_trace *trace = &traces[i];
        if (json)
            printf("%s{\"rule\":\"%s\",\"matched\":%s,\"reached\":%u,\"step\":\"%u:%u\"}",
                   i > 0 ? "," : "", rule_name(rules, trace->rule),
                   trace->matched ? "true" : "false", trace->reached, trace->line, trace->column);
        else if (trace->matched)
            printf("      %s: matched\n", rule_name(rules, trace->rule));
        else
            printf("      %s: up to byte %u, then not what line %u, column %u says\n",
                   rule_name(rules, trace->rule), trace->reached, trace->line, trace->column);
    }
}

void explain_line(const struct remed_log_rules *rules, struct remed_log_parser *parser,
                  const struct remed_log_line *line, const struct remed_log_verdict *verdict,
                  uint64_t number, bool json)
{
    struct remed_log_trace traces[TRACES];
    struct remed_log_fields fields;
    bool known = remed_log_parser_fields(parser, &fields, sizeof fields) == 0;
    printf(json ? "{\"line\":%" PRIu64 ",\"outcome\":\"%s\"" : "%" PRIu64 ": %s", number,
           remed_log_outcome_name(verdict->outcome));
    if (verdict->rule != UINT32_MAX)
        printf(json ? ",\"rule\":\"%s\",\"event\":\"%s\"" : ", rule %s, event %s",
               rule_name(rules, verdict->rule), remed_log_event_name(verdict->event));
    fputs(json ? "" : "\n", stdout);
    if (known) {
        fputs(json ? ",\"fields\":{" : "", stdout);
        print_fields(&fields, json);
        fputs(json ? "}" : "\n", stdout);
    }
    size_t count = remed_log_parser_explain(parser, line, traces, TRACES);
    fputs(json ? ",\"tries\":[" : "", stdout);
    print_traces(rules, traces, count < TRACES ? count : TRACES, json);
    fputs(json ? "]}\n" : "", stdout);
}
