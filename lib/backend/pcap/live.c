/* SPDX-License-Identifier: BSD-3-Clause */
/* Live sources: which way of capturing an interface gets, and waiting. Threads: one a source. */
#include "backend/pcap/source.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>

static int begin_live(struct remed_pcap_source *source, const char *interface,
                      struct remed_error *error)
{
    if (strcmp(interface, "any") == 0)
        return remed_libpcap_begin(source, interface, error);
    if (if_nametoindex(interface) == 0)
        return remed_error_set(error, REMED_ENOENT, "%s: no such interface", interface);
    int rc = remed_ring_begin(source, interface, error);
    if (rc != REMED_EUNSUPPORTED)
        return rc;
    if (source->live != NULL)
        source->live->close(source);
    source->live = NULL;
    return remed_libpcap_begin(source, interface, error);
}

int remed_pcap_open_live(struct remed_pcap_source **source, const char *interface,
                         const struct remed_pcap_source_opts *opts, struct remed_error *error)
{
    return remed_source_make(source, interface, opts, begin_live, error);
}

int remed_live_wait(struct remed_pcap_source *source, int timeout_ms)
{
    struct pollfd poller = {.fd = source->live->fd(source), .events = POLLIN};
    if (source->stop)
        return 0;
    if (source->live->ready != NULL && source->live->ready(source))
        return 1;
    int ready = poll(&poller, 1, timeout_ms);
    if (ready < 0)
        return errno == EINTR ? 0 : REMED_EIO;
    return ready > 0;
}
