/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What became of a line of a log, for people who write rules.
 *
 * Threads: the tool has one.
 */
#ifndef REMEDIATE_EXPLAIN_H
#define REMEDIATE_EXPLAIN_H

#include "tool.h"

/* Right after the parser ran the line: the outcome, the rule, what it read, and how far each rule
 * got. */
void explain_line(const struct remed_log_rules *rules, struct remed_log_parser *parser,
                  const struct remed_log_line *line, const struct remed_log_verdict *verdict,
                  uint64_t number, bool json);

#endif
