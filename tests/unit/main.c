/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The shared main of all unit tests. CUnit 2.1-3 returns success from a run with failed tests and
 * calls a failed suite setup no failure, so the counts are looked at here: failures, failed suites,
 * or no test run at all make the exit code 1.
 */
#include "unit/test.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>

static int add_suite(const struct test_suite *suite)
{
    CU_pSuite added = CU_add_suite_with_setup_and_teardown(suite->name, NULL, NULL, suite->setup,
                                                           suite->teardown);
    if (added == NULL)
        return -1;
    for (const struct test_case *test = suite->cases; test->name != NULL; test++)
        if (CU_add_test(added, test->name, test->run) == NULL)
            return -1;
    return 0;
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS)
        return EXIT_FAILURE;
    for (const struct test_suite *suite = test_suites; suite->name != NULL; suite++)
        if (add_suite(suite) < 0) {
            fprintf(stderr, "cannot add suite %s: %s\n", suite->name, CU_get_error_msg());
            return EXIT_FAILURE;
        }
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failure_records() + CU_get_number_of_suites_failed();
    unsigned run = CU_get_number_of_tests_run();
    CU_cleanup_registry();
    return failed == 0 && run > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
