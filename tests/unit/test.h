/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one shape of a unit test file: it defines `test_suites`, and unit/main.c runs them with
 * CUnit. Allocate in setup, free in teardown: a FATAL assertion jumps over what follows it in the
 * case.
 */
#ifndef REMED_TEST_H
#define REMED_TEST_H

#include <CUnit/CUnit.h>
#include <stddef.h>

struct test_case {
    const char *name;
    void (*run)(void);
};

struct test_suite {
    const char *name;
    const struct test_case *cases; /* ends with a NULL name */
    void (*setup)(void);           /* before each case; may be NULL */
    void (*teardown)(void);        /* after each case; may be NULL */
};

extern const struct test_suite test_suites[]; /* ends with a NULL name */

#endif
