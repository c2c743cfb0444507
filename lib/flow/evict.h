/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who goes when the table is full. Each flow stands in the ring of its class, in the order in which
 * it got there, so that a victim of any class is found at once.
 *
 * Newcomers are flows that have not talked both ways. The class of them with the most flows gives
 * one up: a flood evicts the flood. Flows that talked both ways go only where all newcomers hold
 * less than a 64th of the table: the one that was closed first; then, if they hold that much, the
 * oldest of those with one question and one answer, or a handshake and nothing since; then the one
 * among 16 that would expire first. Before anybody else go an idle one among them, and one that was
 * closed a minute ago: who was closed by a stranger has talked again by then.
 *
 * Threads: belongs to the table's thread.
 */
#ifndef REMED_FLOW_EVICT_H
#define REMED_FLOW_EVICT_H

#include "flow/table.h"

/* Puts a flow that stands in no ring at the end of one. */
void remed_flow_enlist(struct remed_flow_table *table, uint32_t number, unsigned class);
/* Takes a flow out of its ring. */
void remed_flow_delist(struct remed_flow_table *table, uint32_t number);
/* Frees one record. */
void remed_flow_make_room(struct remed_flow_table *table, uint64_t now);

#endif
