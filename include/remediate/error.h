/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file error.h
 * Error codes and the error object.
 *
 * Every function that can fail returns 0 (or a count) on success and a negative
 * `REMED_E…` code on failure. Those that read text or files also fill a caller's
 * `struct remed_error` with a message and, for text, the place of the fault.
 *
 * Threads: no state; every function here may be called from any thread.
 */
#ifndef REMEDIATE_ERROR_H
#define REMEDIATE_ERROR_H

#include <remediate/export.h>
#include <stdbool.h>
#include <stdint.h>

REMED_BEGIN_DECLS

/** Error codes. Codes at or below ::REMED_EFATAL leave the object unusable but for `_free`. */
enum remed_error_code {
    REMED_OK = 0,              /**< no error */
    REMED_EINVAL = -1,         /**< an argument is out of its range or NULL where it may not be */
    REMED_ESYNTAX = -2,        /**< text does not follow its grammar; line and column are set */
    REMED_ELIMIT = -3,         /**< a stated limit would be passed */
    REMED_EUNSUPPORTED = -4,   /**< well-formed, but this build or platform cannot do it */
    REMED_ENOENT = -5,         /**< no such file, interface, preset or entry */
    REMED_EFORMAT = -6,        /**< a file or message is damaged or of an unknown format */
    REMED_ETRUNCATED = -7,     /**< a file or message ends in the middle of a record */
    REMED_EPERM = -8,          /**< the operating system denies it, or a signature */
    REMED_EAGAIN = -9,         /**< nothing to do yet; call again (retriable) */
    REMED_EBUSY = -10,         /**< a queue or device is full; call again later (retriable) */
    REMED_EIO = -11,           /**< reading or writing failed */
    REMED_EFATAL = -100,       /**< not returned itself: the head of the fatal band */
    REMED_ENOMEM = -101,       /**< the allocator returned NULL */
    REMED_EINTERNAL = -102     /**< a broken invariant: a bug in the library */
};

/** Bytes that `remed_error.message` holds, the closing NUL included. */
#define REMED_ERROR_MESSAGE_SIZE 240

/**
 * What went wrong, for people. Lives in the caller's memory; nothing in it is owned.
 * A function that takes one accepts NULL and then only returns the code.
 */
struct remed_error {
    int32_t code;                            /**< the code that was also returned */
    uint32_t line;                           /**< line of the fault from 1, 0 where there is none */
    uint32_t column;                         /**< byte column from 1, 0 where there is none */
    uint32_t reserved;                       /**< zero */
    char message[REMED_ERROR_MESSAGE_SIZE];  /**< NUL-terminated, no newline, never empty on error */
};

/**
 * Names an error code.
 * @param code any value, a code of enum remed_error_code or not
 * @return a static string, never NULL; "unknown error" for other values
 */
REMED_API const char *remed_strerror(int code);

/** Tells whether after @p code the object may only be freed. @param code any value
 *  @return true when it may */
REMED_API bool remed_err_is_fatal(int code);

/** Tells whether the same call may succeed later, unchanged. @param code any value
 *  @return true when it may */
REMED_API bool remed_err_is_retriable(int code);

REMED_END_DECLS
#endif
