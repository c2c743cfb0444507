/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file json.h
 * Records as JSON (libremediate-json): one object a line, for people and for other tools
 * (docs/records.md).
 *
 * Threads: no state.
 */
#ifndef REMEDIATE_JSON_H
#define REMEDIATE_JSON_H

#include <remediate/error.h>
#include <remediate/state.h>

REMED_BEGIN_DECLS

/** What a JSON object may leave out. */
struct remed_json_defaults {
    size_t size;        /**< sizeof this struct */
    const char *domain; /**< NULL: the object must say */
    const char *origin; /**< NULL: "" */
    uint64_t epoch;     /**< taken when the object says none; at most ::REMED_NUMBER_MAX */
    uint64_t sequence;  /**< taken when the object says none; at most ::REMED_NUMBER_MAX */
    uint64_t observed;  /**< taken when the object says none */
    uint32_t source;    /**< enum remed_learned, taken when the object says none */
    uint32_t reserved;  /**< zero */
};

/**
 * Writes a record as one JSON object, without a newline. Fields that this version does not know are
 * not shown.
 * @param record not NULL, with domain and body
 * @param[out] text @p size bytes, NUL-terminated when it fits; may be NULL with size 0
 * @param size bytes at @p text
 * @param[out] length bytes of the whole text without its NUL, also when it does not fit; not NULL
 * @return 0; ::REMED_EINVAL without domain or body; ::REMED_ELIMIT when it does not fit;
 *         ::REMED_ENOMEM
 */
REMED_API int remed_json_write(const struct remed_record *record, char *text, size_t size,
                               size_t *length);
/**
 * Reads a record from one JSON object. A number is a whole one, or its digits as a text, from 0 to the
 * greatest of its member; any other is an error, and none is rounded or cut.
 * @param record not NULL; holds the record on success, is empty on failure
 * @param text @p length bytes of UTF-8
 * @param length bytes at @p text, at most 1 MiB
 * @param defaults NULL: none
 * @param error filled on failure, with the column of a syntax error or the name of the wrong key;
 *        may be NULL
 * @return 0; ::REMED_ESYNTAX for no JSON; ::REMED_EFORMAT for JSON that is no record, a key that is
 *         not known or a number that does not fit included; ::REMED_EINVAL for @p defaults out of
 *         range, or with a reserved member that is not zero; ::REMED_ELIMIT; ::REMED_ENOMEM
 */
REMED_API int remed_json_read(struct remed_record *record, const char *text, size_t length,
                              const struct remed_json_defaults *defaults,
                              struct remed_error *error);

REMED_END_DECLS
#endif
