/* SPDX-License-Identifier: BSD-3-Clause */
/* The version at run time. Threads: no state. */
#include <remediate/version.h>

const char *remed_version(void)
{
    return REMED_VERSION;
}
