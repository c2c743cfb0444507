/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file entropy.h
 * Where secrets of hashes come from.
 *
 * Every table of the library that strangers' bytes reach hashes with a secret, so that nobody can
 * choose keys that collide. A host may give the secret itself (`seed` in the options of the object).
 * Where it is all zeros, the library draws one when the object is made: from the host's function
 * where the options have one, else from the system (getrandom(2)).
 *
 * Threads: the library calls the function only from the thread that makes the object.
 */
#ifndef REMEDIATE_ENTROPY_H
#define REMEDIATE_ENTROPY_H

#include <remediate/export.h>
#include <stddef.h>

REMED_BEGIN_DECLS

/** A source of random bytes: one function and its context. Used while an object is made. */
struct remed_entropy {
    void *context; /**< handed back to `fill` untouched */
    /**
     * Fills memory with random bytes that nobody can guess.
     * @param context the source's context
     * @param[out] bytes @p length of them
     * @param length bytes wanted, at most 64
     * @return 0; any other value: there are none, and the object is not made (::REMED_EIO)
     */
    int (*fill)(void *context, void *bytes, size_t length);
};

REMED_END_DECLS
#endif
