/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the commands share: options, loading a policy, writing JSON, memory for large tables.
 *
 * Threads: the tool has one.
 */
#ifndef REMEDIATE_TOOL_H
#define REMEDIATE_TOOL_H

#include <remediate/pcap.h>
#include <remediate/remediate.h>
#include <stdarg.h>
#include <stdio.h>

enum exit_code { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

int command_mirror(int argc, char **argv);
int command_flows(int argc, char **argv);
int command_policy(int argc, char **argv);
int command_publish(int argc, char **argv);
int command_watch(int argc, char **argv);
int command_snapshot(int argc, char **argv);
int command_audit(int argc, char **argv);
int command_listen(int argc, char **argv);
int command_parse(int argc, char **argv);
int command_rules(int argc, char **argv);

/* Says "remediate: …" on standard error, without a secret of the arguments that are known. */
void know_arguments(int count, char **arguments);
void say(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));
/* The same without "remediate: ". */
void say_bare(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Says "remediate: …" on standard error; returns EXIT_FAILED, or EXIT_USAGE with a hint at --help.
 */
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int usage_error(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* After getopt_long returned '?' or ':'. */
int bad_option(const char *command, int found, char **argv);

/* A whole decimal number within bounds. */
bool read_number(const char *text, uint64_t least, uint64_t most, uint64_t *number);
/* 10ms, 5s, 2m, 1h, 1d. */
bool read_time(const char *text, uint64_t *ns);
/* 4096, 64kB, 64MiB, 1GiB. */
bool read_size(const char *text, uint64_t *bytes);
/* +1, -5:30, as seconds east of Greenwich. */
bool read_zone(const char *text, int32_t *seconds);
/* NAME=TIME for a flow timeout. */
bool read_timeout(const char *text, uint64_t timeouts[REMED_TIMEOUT_COUNT]);

/* A policy from a file, or from the text itself; complains with place and caret. NULL: it did. */
struct remed_policy *load_policy(const char *argument);

/* The whole of a file, to be freed; NULL: it complained. */
char *read_file(const char *path, size_t *length);
/* The line of a fault with a caret under its column, on standard error. */
void show_place(const char *text, size_t length, const struct remed_error *error);
/* A rule set by the name of a shipped one, or from a file; complains with place and caret. NULL: it
 * did. */
struct remed_log_rules *load_rules(const char *argument, const struct remed_log_rules_opts *opts);

/* Sets random seeds and an allocator for large tables. */
bool prepare_filter_opts(struct remed_filter_opts *opts);
extern const struct remed_allocator huge_memory;

/* Closes standard output, so that a full disk or a closed pipe is not success. */
int finish_output(int code);
/* Text as a JSON string with its quotes. */
void json_string(FILE *out, const char *text);
/* ISO 8601, UTC, with nanoseconds: 31 bytes with NUL. */
#define TIME_TEXT 40
void write_time(char *text, uint64_t ns);
/* "tcp", "udp", … or the number. */
void write_protocol(char *text, size_t size, unsigned protocol);
/* The text of a rule; to be freed. */
char *rule_text(const struct remed_policy *policy, size_t index);

struct report {
    const struct remed_policy *policy;
    const struct remed_filter *filter;
    const struct remed_pcap_source_stats *source; /* NULL for a file */
    const struct remed_pcap_sink_stats *sink;     /* NULL without an output */
    double seconds;
};
void report_json(FILE *out, const struct report *report);
void report_text(FILE *out, const struct report *report);

#endif
