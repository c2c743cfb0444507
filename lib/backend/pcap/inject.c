/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sending whole frames out of an interface, by a packet socket that receives nothing: libpcap's
 * handle would capture into a ring that nobody reads.
 *
 * A plain packet is sent from where it lies; others are taken apart into frames first (segment.c).
 * Every packet ends in one of two counters: sent whole, or refused.
 *
 * Threads: one thread a sink.
 */
#define _GNU_SOURCE /* sendmmsg */
#include "backend/pcap/injector.h"

#include <errno.h>
#include <net/if_arp.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LEAST_HOLD_MS 100u /* at close */
#define SEND_BUFFER (4 << 20)

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

static int open_socket(const char *interface, int *index, struct remed_error *error)
{
    if (*interface == '\0' || strlen(interface) >= IFNAMSIZ)
        return remed_error_set(error, REMED_ENOENT, "%s: no such interface", interface);
    *index = (int)if_nametoindex(interface);
    if (*index == 0)
        return remed_error_set(error, REMED_ENOENT, "%s: no such interface", interface);
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return remed_error_set(error, system_code(errno), "%s: %s", interface, strerror(errno));
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = *index};
    int rc = check_framing(fd, interface, error);
    if (rc == 0 && bind(fd, (struct sockaddr *)(void *)&address, sizeof address) < 0)
        rc = remed_error_set(error, system_code(errno), "%s: %s", interface, strerror(errno));
    const int room = SEND_BUFFER; /* less will do as well: what has no room waits */
    if (rc == 0 && setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

static int make_injector(struct remed_pcap_sink *sink, const char *interface,
                         struct remed_error *error)
{
    const struct remed_allocator *allocator = &sink->allocator;
    struct remed_injector *injector = remed_allocate(allocator, sizeof *injector);
    sink->injector = injector;
    if (injector == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory to send");
    injector->made = remed_allocate(allocator, REMED_BATCH_BYTES);
    injector->scratch = remed_allocate(allocator, REMED_LONGEST_FRAME);
    injector->part = remed_allocate(allocator, REMED_LONGEST_FRAME);
    injector->queue = remed_allocate(allocator, REMED_QUEUE_BYTES);
    if (injector->made == NULL || injector->scratch == NULL || injector->part == NULL ||
        injector->queue == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory to send");
    sink->fd = open_socket(interface, &injector->index, error);
    if (sink->fd < 0)
        return sink->fd;
    sink->owns_fd = true;
    memcpy(injector->interface, interface, strlen(interface));
    struct remed_log log = sink->opts.log; /* here the link is an error, not news */
    sink->opts.log.write = NULL;
    int rc = remed_link_check(sink, error);
    sink->opts.log = log;
    if (rc == 0 && injector->link != REMED_LINK_UP)
        return remed_error_set(
            error, injector->link == REMED_LINK_NO_CARRIER ? REMED_EAGAIN : REMED_EIO,
            "%s: %s; bring it up first", interface, remed_link_words(injector->link));
    return rc;
}

int remed_pcap_open_injector(struct remed_pcap_sink **sink, const char *interface,
                             const struct remed_pcap_sink_opts *given, struct remed_error *error)
{
    struct remed_pcap_sink *made = NULL;
    int rc = remed_sink_make(&made, interface, given, error);
    if (rc < 0)
        return rc;
    rc = make_injector(made, interface, error);
    if (rc < 0)
        remed_pcap_sink_close(made, NULL);
    else
        *sink = made;
    return rc;
}

void remed_injector_free(struct remed_pcap_sink *sink)
{
    struct remed_injector *injector = sink->injector;
    const struct remed_allocator *allocator = &sink->allocator;
    if (injector == NULL)
        return;
    remed_release(allocator, injector->made, REMED_BATCH_BYTES);
    remed_release(allocator, injector->scratch, REMED_LONGEST_FRAME);
    remed_release(allocator, injector->part, REMED_LONGEST_FRAME);
    remed_release(allocator, injector->queue, REMED_QUEUE_BYTES);
    remed_release(allocator, injector, sizeof *injector);
}

/* The frame's packet counts as refused, once however many of its frames were. */
static void refuse_frame(struct remed_pcap_sink *sink, const struct remed_outgoing *frame)
{
    struct remed_injector *injector = sink->injector;
    if (frame->packet == injector->refused)
        return;
    injector->refused = frame->packet;
    sink->stats.refused++;
    sink->stats.link_lost += injector->link != REMED_LINK_UP;
    const struct remed_packet packet = {.data = frame->bytes,
                                        .captured = frame->length,
                                        .wire = frame->length,
                                        .link_type = REMED_LINK_ETHERNET};
    if (sink->opts.refused != NULL)
        sink->opts.refused(sink->opts.refused_context, &packet);
}

static void count_sent(struct remed_pcap_sink *sink, const struct remed_outgoing *frame)
{
    sink->stats.bytes += frame->length;
    sink->stats.packets += frame->last && frame->packet != sink->injector->refused;
}

/* What becomes of a frame that was not sent for this reason. */
enum refusal { REFUSAL_WAIT, REFUSAL_FRAME, REFUSAL_LINK, REFUSAL_FATAL };

static enum refusal refusal_of(int why)
{
    switch (why) {
    case ENOBUFS:
    case EAGAIN:
    case ENOMEM:
        return REFUSAL_WAIT;
    case EMSGSIZE:
    case EINVAL:
        return REFUSAL_FRAME;
    case ENETDOWN:
    case ENETUNREACH:
        return REFUSAL_LINK;
    default:
        return REFUSAL_FATAL;
    }
}

static int say_failure(const struct remed_pcap_sink *sink, int why, struct remed_error *error)
{
    if (why == ENXIO || why == ENODEV)
        return remed_error_set(error, REMED_EIO, "%s: the interface is gone", sink->name);
    return remed_error_set(error, system_code(why), "%s: cannot send: %s", sink->name,
                           strerror(why));
}

/* Sends as many as there is room for: how many, and why no more. */
static uint32_t send_some(int fd, const struct remed_outgoing *frames, uint32_t count, int *why)
{
    struct mmsghdr messages[REMED_BATCH_FRAMES];
    struct iovec vectors[REMED_BATCH_FRAMES];
    memset(messages, 0, count * sizeof *messages);
    for (uint32_t i = 0; i < count; i++) {
        vectors[i] = (struct iovec){(void *)(uintptr_t)frames[i].bytes, frames[i].length};
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    uint32_t sent = 0;
    *why = 0;
    while (sent < count && *why == 0) {
        int got = sendmmsg(fd, messages + sent, count - sent, MSG_DONTWAIT);
        if (got > 0)
            sent += (uint32_t)got;
        else if (errno != EINTR)
            *why = errno;
    }
    return sent;
}

/*
 * Sends frames in order; one that is refused for itself is left out. Stops where one has to wait:
 * how many are done with, or negative.
 */
static int send_frames(struct remed_pcap_sink *sink, const struct remed_outgoing *frames,
                       uint32_t count, struct remed_error *error)
{
    uint32_t done = 0;
    while (done < count) {
        int why;
        uint32_t sent = send_some(sink->fd, frames + done, count - done, &why);
        for (uint32_t i = 0; i < sent; i++)
            count_sent(sink, &frames[done + i]);
        done += sent;
        enum refusal refusal = why != 0 ? refusal_of(why) : REFUSAL_WAIT;
        if (why == 0 || refusal == REFUSAL_WAIT)
            break;
        if (refusal == REFUSAL_FATAL)
            return say_failure(sink, why, error);
        int rc = refusal == REFUSAL_LINK ? remed_link_check(sink, error) : 0;
        if (rc < 0)
            return rc;
        refuse_frame(sink, &frames[done++]);
    }
    return (int)done;
}

/* Sends from the queue, as far as there is room. */
static int drain_queue(struct remed_pcap_sink *sink, struct remed_error *error)
{
    struct remed_injector *injector = sink->injector;
    while (injector->waiting > 0) {
        struct remed_outgoing frames[REMED_BATCH_FRAMES];
        uint32_t count = remed_queue_peek(injector, frames, REMED_BATCH_FRAMES);
        int done = send_frames(sink, frames, count, error);
        if (done < 0)
            return done;
        remed_queue_drop(injector, (uint32_t)done);
        if ((uint32_t)done < count)
            break;
    }
    return 0;
}

static void refuse_queue(struct remed_pcap_sink *sink)
{
    struct remed_outgoing frame;
    while (remed_queue_peek(sink->injector, &frame, 1) > 0) {
        refuse_frame(sink, &frame);
        remed_queue_drop(sink->injector, 1);
    }
}

/* Waits until some of the queue was sent: a full socket tells when, a full interface does not. */
static int wait_for_room(struct remed_pcap_sink *sink, uint32_t most_ms, struct remed_error *error)
{
    const uint32_t before = sink->injector->waiting;
    for (uint32_t waited = 0; waited < most_ms; waited++) {
        struct pollfd poller = {.fd = sink->fd, .events = POLLOUT};
        if (poll(&poller, 1, 1) > 0)
            poll(NULL, 0, 1);
        int rc = drain_queue(sink, error);
        if (rc < 0 || sink->injector->waiting < before)
            return rc;
    }
    return 0;
}

/* Behind those that wait already; refused when there is no room for long. */
static int queue_frame(struct remed_pcap_sink *sink, const struct remed_outgoing *frame,
                       struct remed_error *error)
{
    for (;;) {
        if (remed_queue_put(sink->injector, frame)) {
            sink->stats.retried++;
            return 0;
        }
        uint32_t before = sink->injector->waiting;
        int rc = wait_for_room(sink, sink->opts.hold_ms, error);
        if (rc < 0)
            return rc;
        if (sink->injector->waiting == before)
            break;
    }
    refuse_frame(sink, frame);
    return 0;
}

static int send_batch(struct remed_pcap_sink *sink, struct remed_error *error)
{
    struct remed_injector *injector = sink->injector;
    uint32_t count = injector->count, done = 0;
    injector->count = injector->made_used = 0;
    if (injector->waiting == 0) {
        int rc = send_frames(sink, injector->batch, count, error);
        if (rc < 0)
            return rc;
        done = (uint32_t)rc;
    }
    for (; done < count; done++) {
        int rc = queue_frame(sink, &injector->batch[done], error);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int add_frame(struct remed_pcap_sink *sink, const uint8_t *bytes, uint32_t length, bool last,
                     struct remed_error *error)
{
    struct remed_injector *injector = sink->injector;
    injector->batch[injector->count++] = (struct remed_outgoing){
        .bytes = bytes, .length = length, .last = last, .packet = injector->number};
    return injector->count == REMED_BATCH_FRAMES ? send_batch(sink, error) : 0;
}

/* One packet on its way through remed_frame_split(). */
struct splitting {
    struct remed_pcap_sink *sink;
    struct remed_error *error;
    uint64_t frames;
};

static int take_made(void *context, const uint8_t *bytes, uint32_t length, bool last)
{
    struct splitting *splitting = context;
    struct remed_pcap_sink *sink = splitting->sink;
    struct remed_injector *injector = sink->injector;
    if (length > REMED_BATCH_BYTES - injector->made_used) {
        int rc = send_batch(sink, splitting->error);
        if (rc < 0)
            return rc;
    }
    uint8_t *copy = injector->made + injector->made_used;
    memcpy(copy, bytes, length);
    injector->made_used += length;
    splitting->frames++;
    return add_frame(sink, copy, length, last, splitting->error);
}

/* A packet that is not as it was on the wire, or too long for the link. */
static int inject_split(struct remed_pcap_sink *sink, const struct remed_packet *packet, bool fits,
                        struct remed_error *error)
{
    struct remed_injector *injector = sink->injector;
    struct splitting splitting = {.sink = sink, .error = error};
    const struct remed_frame_sink frames = {.context = &splitting,
                                            .take = take_made,
                                            .scratch = injector->scratch,
                                            .part = injector->part,
                                            .identification = &injector->identification};
    int rc = remed_frame_split(packet, injector->mtu, &frames);
    if (splitting.frames > 1) {
        sink->stats.split_packets++;
        sink->stats.split_frames += splitting.frames;
    }
    if (rc != REMED_EUNSUPPORTED)
        return rc;
    /* only cut, by a snap length, and no IP that we could fill up: it goes as it is */
    if (splitting.frames == 0 && packet->offload == 0 && fits)
        return add_frame(sink, packet->data, packet->captured, true, error);
    const struct remed_outgoing frame = {
        .bytes = packet->data, .length = packet->captured, .packet = injector->number};
    refuse_frame(sink, &frame);
    return 0;
}

static int inject_packet(struct remed_pcap_sink *sink, const struct remed_packet *packet,
                         struct remed_error *error)
{
    struct remed_injector *injector = sink->injector;
    injector->number++;
    if (REMED_UNLIKELY(packet->link_type != REMED_LINK_ETHERNET))
        return remed_error_set(error, REMED_EUNSUPPORTED,
                               "%s: frames of link type %u cannot be sent on Ethernet", sink->name,
                               packet->link_type);
    bool fits = packet->captured <= injector->mtu + remed_frame_header(packet);
    if (REMED_LIKELY(fits && remed_frame_is_plain(packet)))
        return add_frame(sink, packet->data, packet->captured, true, error);
    return inject_split(sink, packet, fits, error);
}

static int refuse_all(struct remed_pcap_sink *sink, const struct remed_packet *packets,
                      size_t count)
{
    refuse_queue(sink);
    for (size_t i = 0; i < count; i++) {
        const struct remed_outgoing frame = {.bytes = packets[i].data,
                                             .length = packets[i].captured,
                                             .packet = ++sink->injector->number};
        refuse_frame(sink, &frame);
    }
    return 0;
}

int remed_inject(struct remed_pcap_sink *sink, const struct remed_packet *packets, size_t count,
                 struct remed_error *error)
{
    int rc = count > 0 ? remed_inject_waiting(sink, error) : 0;
    if (rc == 0 && sink->injector->link != REMED_LINK_UP)
        return refuse_all(sink, packets, count);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = inject_packet(sink, &packets[i], error);
    int sent = send_batch(sink, rc < 0 ? NULL : error);
    return rc < 0 ? rc : sent;
}

int remed_inject_waiting(struct remed_pcap_sink *sink, struct remed_error *error)
{
    int rc = remed_link_check(sink, error);
    if (rc < 0)
        return rc;
    if (sink->injector->link != REMED_LINK_UP)
        return refuse_all(sink, NULL, 0);
    return drain_queue(sink, error);
}

/* What still waits has the time of a hold; then it is refused, and counted as such. */
void remed_inject_rest(struct remed_pcap_sink *sink)
{
    uint32_t hold = sink->opts.hold_ms > LEAST_HOLD_MS ? sink->opts.hold_ms : LEAST_HOLD_MS;
    int rc = sink->injector->waiting > 0 ? remed_inject_waiting(sink, NULL) : 0;
    while (rc == 0 && sink->injector->waiting > 0) {
        uint32_t before = sink->injector->waiting;
        rc = wait_for_room(sink, hold, NULL);
        if (sink->injector->waiting == before)
            break;
    }
    refuse_queue(sink);
}
