/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file log.h
 * The log hook: objects with something to say hand finished messages to the host.
 *
 * Threads: the hook is called from the thread that uses the object; errno is kept around the call.
 */
#ifndef REMEDIATE_LOG_H
#define REMEDIATE_LOG_H

#include <remediate/export.h>

REMED_BEGIN_DECLS

/** How grave a message is, as in syslog. */
enum remed_log_level {
    REMED_LOG_ERROR = 3,
    REMED_LOG_WARNING = 4,
    REMED_LOG_NOTICE = 5,
    REMED_LOG_INFO = 6,
    REMED_LOG_DEBUG = 7
};

/** A hook for one object. Copied by the object; a NULL `write` silences it. */
struct remed_log {
    void *context; /**< handed back to `write` untouched; must outlive the object */
    /**
     * Takes one message.
     * @param context the hook's context
     * @param level how grave it is
     * @param module a static string: the module that speaks ("pcap", "filter")
     * @param message NUL-terminated, one line, valid only during the call
     */
    void (*write)(void *context, enum remed_log_level level, const char *module,
                  const char *message);
};

REMED_END_DECLS
#endif
