/* SPDX-License-Identifier: BSD-3-Clause */
/* The transports that the core itself has. Threads: constant. */
#ifndef REMED_REPOSITORY_DRIVERS_H
#define REMED_REPOSITORY_DRIVERS_H

#include <remediate/transport.h>

extern const struct remed_transport_driver remed_memory_driver;
extern const struct remed_transport_driver remed_file_driver;

#endif
