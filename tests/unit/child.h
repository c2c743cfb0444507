/* SPDX-License-Identifier: BSD-3-Clause */
/* A part of a test in a process of its own, for what changes all that one shares. What it says
 * comes by a pipe: under valgrind an exit code is valgrind's. */
#ifndef REMED_TEST_CHILD_H
#define REMED_TEST_CHILD_H

#include "unit/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs in a process of its own, as it changes what all of one share: its number, 0 when all is
 * well. The process does not end as others do: what the parent has is not its own to free. */
static inline int test_in_child(int (*run)(void))
{
    int ends[2], status;
    uint8_t said = 255;
    CU_ASSERT_EQUAL_FATAL(pipe2(ends, O_CLOEXEC), 0);
    int far = fcntl(ends[1], F_DUPFD_CLOEXEC, 200); /* out of the way */
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        close(ends[1]);
        said = (uint8_t)run();
        if (write(far, &said, 1) == 1)
            raise(SIGKILL);
        _exit(1);
    }
    CU_ASSERT_FATAL(child > 0);
    close(ends[1]);
    close(far);
    CU_ASSERT(read(ends[0], &said, 1) == 1);
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    close(ends[0]);
    return said;
}

#endif
