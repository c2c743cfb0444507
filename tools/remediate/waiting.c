/* SPDX-License-Identifier: BSD-3-Clause */
/* The telling of waiting.h. Threads: one. */
#include "waiting.h"

#include "carry.h"

#include <string.h>

#define SECOND 1000000000ull

void waiting_init(struct waiting *waiting, const char *uri)
{
    memset(waiting, 0, sizeof *waiting);
    remed_uri_redacted(uri, waiting->who, sizeof waiting->who);
}

static void waiting_say(struct waiting *waiting, const char *text, uint64_t until, uint64_t now)
{
    if (until == UINT64_MAX)
        fprintf(stderr, "remediate: %s: waits: %s\n", waiting->who, text);
    else
        fprintf(stderr, "remediate: %s: waits: %s; gives up in %.1f s\n", waiting->who, text,
                until > now ? (double)(until - now) / (double)SECOND : 0.0);
    snprintf(waiting->said, sizeof waiting->said, "%s", text);
    waiting->said_at = now;
}

static void waiting_is_over(struct waiting *waiting)
{
    fprintf(stderr, "remediate: %s: there again\n", waiting->who);
    waiting->said[0] = '\0';
    waiting->clear_since = 0;
}

void waiting_look(struct waiting *waiting, const char *text, uint64_t until, uint64_t now)
{
    char own[WAITING_TEXT];
    snprintf(own, sizeof own, "%s", text); /* as it is kept, to be compared */
    if (own[0] == '\0') {
        waiting->since = 0;
        if (waiting->said[0] != '\0' && waiting->clear_since == 0)
            waiting->clear_since = now;
        if (waiting->clear_since != 0 && now - waiting->clear_since >= SECOND)
            waiting_is_over(waiting);
        return;
    }
    waiting->clear_since = 0;
    if (waiting->since == 0)
        waiting->since = now;
    bool anew = strcmp(own, waiting->said) != 0;
    bool due = now - waiting->since >= SECOND && now - waiting->said_at >= SECOND;
    if (anew && (due || (waiting->said[0] != '\0' && now - waiting->said_at >= SECOND)))
        waiting_say(waiting, own, until, now);
}

void waiting_end(struct waiting *waiting)
{
    if (waiting->said[0] != '\0' && waiting->clear_since != 0)
        waiting_is_over(waiting);
}
