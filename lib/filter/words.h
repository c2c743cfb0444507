/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The names that MATCH knows by heart: numbers by name, services, protocols, and the words of
 * pcap-filter(7) that it refuses. The core reads no file, so that a policy means the same
 * everywhere: the names are those that are on every system in /etc/services and /etc/protocols.
 *
 * Threads: constant.
 */
#ifndef REMED_FILTER_WORDS_H
#define REMED_FILTER_WORDS_H

#include "filter/lexer.h"

enum remed_number_kind {
    REMED_NUMBER_NONE, /* the token is none */
    REMED_NUMBER_GOOD,
    REMED_NUMBER_BAD /* one that can't be: *fault says why */
};

/* A whole word as a number of 32 bits: decimal, 0x… , octal with a leading 0, or a named constant
 * such as tcp-syn. */
enum remed_number_kind remed_word_number(const struct remed_token *token, uint32_t *number,
                                         const char **fault);

/* A service. `transports` are those that it uses, all of them where it uses TCP and UDP. A leading
 * backslash, with which libpcap marks a name, counts for nothing here and below. */
bool remed_word_service(const struct remed_token *token, uint32_t *port, uint8_t *transports);
bool remed_word_ip_protocol(const struct remed_token *token, uint32_t *protocol);
bool remed_word_ethertype(const struct remed_token *token, uint32_t *type);

/* A word of pcap-filter that MATCH has not: what to write instead. NULL for all other words. */
const char *remed_word_refused(const struct remed_token *token);
/* A word with a meaning of its own in MATCH, so that it can't be a value. */
bool remed_word_is_reserved(const struct remed_token *token);

#endif
