/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Secrets of hashes (remediate/entropy.h): what the host gave, or freshly drawn where it gave
 * zeros.
 *
 * Threads: no state.
 */
#ifndef REMED_BASE_ENTROPY_H
#define REMED_BASE_ENTROPY_H

#include <remediate/entropy.h>
#include "base/base.h"

/* A table's secret: from `seed`, or drawn when that is zeros. `entropy` NULL: the system's.
 * REMED_EIO when there are no random bytes. */
int remed_entropy_secret(uint64_t secret[2], const uint64_t seed[2],
                         const struct remed_entropy *entropy, struct remed_error *error);

#endif
