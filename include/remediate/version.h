/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file version.h
 * The library's version: of the headers (macros) and of the code at run time (functions).
 */
#ifndef REMEDIATE_VERSION_H
#define REMEDIATE_VERSION_H

#include <remediate/export.h>
#include <stdint.h>

REMED_BEGIN_DECLS

/** Raised when the ABI breaks; also the SONAME's number. */
#define REMED_VERSION_MAJOR 0
/** Raised with new functions. */
#define REMED_VERSION_MINOR 1
/** Raised with corrections. */
#define REMED_VERSION_PATCH 0
/** The version of these headers. */
#define REMED_VERSION "0.1.0"

/** The version of the library at run time, "0.1.0". @return static string */
REMED_API const char *remed_version(void);

REMED_END_DECLS
#endif
