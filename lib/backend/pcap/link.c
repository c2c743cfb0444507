/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether an output's link is up. A frame sent to an interface without a carrier is lost without an
 * error from the kernel, so each write looks first.
 *
 * Threads: one thread a sink.
 */
#include "backend/pcap/injector.h"

#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>

const char *remed_link_words(enum remed_link link)
{
    return link == REMED_LINK_OFF          ? "the interface is down"
           : link == REMED_LINK_NO_CARRIER ? "the link is down: no carrier"
                                           : "the link is up";
}

/* The interface's name may have changed; its number does not. */
static bool find_again(struct remed_injector *injector)
{
    return if_indextoname((unsigned)injector->index, injector->interface) != NULL;
}

static int ask_interface(struct remed_pcap_sink *sink, unsigned long request, struct ifreq *answer,
                         struct remed_error *error)
{
    struct remed_injector *injector = sink->injector;
    for (unsigned tries = 0; tries < 2; tries++) {
        memset(answer, 0, sizeof *answer);
        memcpy(answer->ifr_name, injector->interface, sizeof answer->ifr_name);
        if (ioctl(sink->fd, request, answer) == 0)
            return 0;
        if (errno != ENODEV || !find_again(injector))
            break;
    }
    return errno == ENODEV || errno == ENXIO
               ? remed_error_set(error, REMED_EIO, "%s: the interface is gone", sink->name)
               : remed_error_set(error, REMED_EIO, "%s: %s", sink->name, strerror(errno));
}

static void tell_link(struct remed_pcap_sink *sink, enum remed_link link)
{
    struct remed_injector *injector = sink->injector;
    char text[256];
    if (link != REMED_LINK_UP)
        snprintf(text, sizeof text, "%s: %s; copies are lost until it is back", sink->name,
                 remed_link_words(link));
    else
        snprintf(text, sizeof text, "%s: the link is up again; %llu copies were lost", sink->name,
                 (unsigned long long)(sink->stats.link_lost - injector->lost_before));
    if (link == REMED_LINK_UP || injector->link == REMED_LINK_UP)
        injector->lost_before = sink->stats.link_lost;
    if (sink->opts.log.write != NULL)
        sink->opts.log.write(sink->opts.log.context, REMED_LOG_WARNING, "pcap", text);
}

int remed_link_check(struct remed_pcap_sink *sink, struct remed_error *error)
{
    struct remed_injector *injector = sink->injector;
    struct ifreq flags, mtu;
    int rc = ask_interface(sink, SIOCGIFFLAGS, &flags, error);
    if (rc == 0)
        rc = ask_interface(sink, SIOCGIFMTU, &mtu, error);
    if (rc < 0)
        return rc;
    injector->mtu = (uint32_t)mtu.ifr_mtu;
    enum remed_link link = (flags.ifr_flags & IFF_UP) == 0        ? REMED_LINK_OFF
                           : (flags.ifr_flags & IFF_RUNNING) == 0 ? REMED_LINK_NO_CARRIER
                                                                  : REMED_LINK_UP;
    if (link != injector->link)
        tell_link(sink, link);
    injector->link = link;
    return 0;
}
