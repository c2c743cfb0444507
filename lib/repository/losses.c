/* SPDX-License-Identifier: BSD-3-Clause */
/* The losses of losses.h. Threads: belongs to one publisher. */
#include "repository/losses.h"

#include <stdio.h>

void remed_losses_add(struct remed_losses *losses, int code, const char *cause)
{
    unsigned at = 0;
    losses->total++;
    while (at < losses->kinds && losses->of[at].code != code)
        at++;
    if (at == REMED_LOSSES_MAX)
        at--;
    struct remed_loss *loss = &losses->of[at];
    if (at == losses->kinds) {
        losses->kinds++;
        loss->code = code;
        snprintf(loss->cause, sizeof loss->cause, "%s",
                 cause != NULL && cause[0] != '\0' ? cause : remed_strerror(code));
    }
    loss->count++;
}

void remed_losses_explain(struct remed_losses *losses, int code, const char *cause)
{
    for (unsigned i = 0; i < losses->kinds; i++) {
        struct remed_loss *loss = &losses->of[i];
        if (loss->code == code && strcmp(loss->cause, remed_strerror(code)) == 0)
            snprintf(loss->cause, sizeof loss->cause, "%s", cause);
    }
}

int remed_losses_tell(const struct remed_losses *losses, struct remed_error *error)
{
    char text[REMED_ERROR_MESSAGE_SIZE];
    size_t used = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < losses->kinds && used < sizeof text; i++) {
        const struct remed_loss *loss = &losses->of[i];
        const char *before = i > 0 ? "; " : "";
        int got = losses->kinds == 1
                      ? snprintf(text + used, sizeof text - used, "%s", loss->cause)
                      : snprintf(text + used, sizeof text - used, "%s%llu: %s", before,
                                 (unsigned long long)loss->count, loss->cause);
        used += got > 0 ? (size_t)got : 0;
    }
    bool one = losses->total == 1;
    return remed_error_set(error, REMED_EIO, "publisher: %llu record%s lost: %s",
                           (unsigned long long)losses->total, one ? " was" : "s were", text);
}
