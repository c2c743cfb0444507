/* SPDX-License-Identifier: BSD-3-Clause */
/* The shipped rule sets as bytes. Threads: constant. */
#ifndef REMEDIATE_RULE_SETS_H
#define REMEDIATE_RULE_SETS_H

#include <stddef.h>

struct rule_set {
    const char *name; /* NULL behind the last */
    const char *text; /* `length` bytes, no NUL */
    size_t length;
};

extern const struct rule_set rule_sets[];

#endif
