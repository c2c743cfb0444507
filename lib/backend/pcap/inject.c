/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sending whole frames out of an interface, by a packet socket that receives nothing: libpcap's
 * handle would capture into a ring that nobody reads.
 *
 * Threads: one thread a sink.
 */
#include "backend/pcap/sink.h"

#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netpacket/packet.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int system_code(int why)
{
    return why == EPERM || why == EACCES ? REMED_EPERM : why == ENODEV ? REMED_ENOENT : REMED_EIO;
}

/* Only Ethernet framing (loopback has it as well) is what captures of Ethernet hold. */
static int check_framing(int fd, const char *interface, struct remed_error *error)
{
    struct ifreq request;
    memset(&request, 0, sizeof request);
    memcpy(request.ifr_name, interface, strlen(interface));
    if (ioctl(fd, SIOCGIFHWADDR, &request) < 0)
        return remed_error_set(error, system_code(errno), "%s: %s", interface, strerror(errno));
    unsigned type = request.ifr_hwaddr.sa_family;
    if (type != ARPHRD_ETHER && type != ARPHRD_LOOPBACK)
        return remed_error_set(error, REMED_EUNSUPPORTED,
                               "%s: not an Ethernet interface (hardware type %u)", interface, type);
    return 0;
}

static int open_socket(const char *interface, struct remed_error *error)
{
    if (*interface == '\0' || strlen(interface) >= IFNAMSIZ)
        return remed_error_set(error, REMED_ENOENT, "%s: no such interface", interface);
    unsigned index = if_nametoindex(interface);
    if (index == 0)
        return remed_error_set(error, REMED_ENOENT, "%s: no such interface", interface);
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return remed_error_set(error, system_code(errno), "%s: %s", interface, strerror(errno));
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = (int)index};
    int rc = check_framing(fd, interface, error);
    if (rc == 0 && bind(fd, (struct sockaddr *)(void *)&address, sizeof address) < 0)
        rc = remed_error_set(error, system_code(errno), "%s: %s", interface, strerror(errno));
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

int remed_pcap_open_injector(struct remed_pcap_sink **sink, const char *interface,
                             const struct remed_pcap_sink_opts *given, struct remed_error *error)
{
    struct remed_pcap_sink *made = NULL;
    int rc = remed_sink_make(&made, interface, given, error);
    if (rc < 0)
        return rc;
    made->injects = true;
    made->fd = open_socket(interface, error);
    if (made->fd < 0) {
        rc = made->fd;
        remed_pcap_sink_close(made, NULL);
        return rc;
    }
    *sink = made;
    return 0;
}

/* Errors that concern one frame, or pass. */
static bool is_refusal(int why)
{
    return why == ENOBUFS || why == EAGAIN || why == EMSGSIZE || why == ENETDOWN || why == EINVAL ||
           why == ENETUNREACH;
}

int remed_inject(struct remed_pcap_sink *sink, const struct remed_packet *packets, size_t count,
                 struct remed_error *error)
{
    for (size_t i = 0; i < count; i++) {
        const struct remed_packet *packet = &packets[i];
        if (packet->link_type != REMED_LINK_ETHERNET)
            return remed_error_set(error, REMED_EUNSUPPORTED,
                                   "frames of link type %u cannot be sent on Ethernet",
                                   packet->link_type);
        ssize_t sent;
        do
            sent = send(sink->fd, packet->data, packet->captured, 0);
        while (sent < 0 && errno == EINTR);
        if (sent < 0 && !is_refusal(errno))
            return remed_error_set(error, system_code(errno), "cannot send: %s", strerror(errno));
        if (sent < 0) {
            sink->stats.refused++;
            continue;
        }
        sink->stats.packets++;
        sink->stats.bytes += packet->captured;
    }
    return 0;
}
