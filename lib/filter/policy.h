/* SPDX-License-Identifier: BSD-3-Clause */
/* The policy object, for the files that parse and print it. Threads: constant after parsing. */
#ifndef REMED_FILTER_POLICY_H
#define REMED_FILTER_POLICY_H

#include "filter/rules.h"

struct remed_policy {
    struct remed_rules rules;
    size_t room; /* rules that the array has room for */
    struct remed_allocator allocator;
};

#endif
