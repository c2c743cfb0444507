/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pipes in the place of files of records. catch_interrupts() comes first.
 *
 * Threads: one.
 */
#ifndef PIPE_INPUT_H
#define PIPE_INPUT_H

#include <stdbool.h>

/* Makes a pipe standard input, once somebody writes to it, and returns "-"; another path is
 * returned as it is, and "-" is what standard input was at first. NULL: it complained. */
const char *pipe_as_input(const char *path);

/* Whether standard input, when it is a pipe or a file, begins with the text (64 bytes at most).
 * Nothing of it is taken. */
bool input_begins_with(const char *text);

#endif
