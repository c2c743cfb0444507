/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datagrams, a message each, many a system call. What the kernel drops for want of room it counts
 * by socket; that counter (the one SO_RXQ_OVFL hands along with datagrams) is read when it is asked
 * for, so that drops behind the last datagram count too.
 *
 * Threads: one thread a listener.
 */
#include "backend/syslog/listener.h"

#include "driver/syslog/syslog.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>

#define BATCH 32
#define DATAGRAM_MAX 65536u

struct datagrams {
    size_t room; /* for each */
    struct mmsghdr headers[BATCH];
    struct iovec vectors[BATCH];
    struct sockaddr_storage from[BATCH];
    uint8_t *bytes;
};

int remed_datagrams_init(struct remed_listener *listener)
{
    if (listener->datagrams != NULL)
        return 0;
    struct datagrams *made = remed_allocate(&listener->allocator, sizeof *made);
    if (made == NULL)
        return REMED_ENOMEM;
    made->room = listener->opts.max_line < DATAGRAM_MAX ? listener->opts.max_line : DATAGRAM_MAX;
    made->bytes = remed_allocate(&listener->allocator, BATCH * made->room);
    if (made->bytes == NULL) {
        remed_release(&listener->allocator, made, sizeof *made);
        return REMED_ENOMEM;
    }
    listener->datagrams = made;
    return 0;
}

void remed_datagrams_fini(struct remed_listener *listener)
{
    if (listener->datagrams == NULL)
        return;
    remed_release(&listener->allocator, listener->datagrams->bytes,
                  BATCH * listener->datagrams->room);
    remed_release(&listener->allocator, listener->datagrams, sizeof *listener->datagrams);
}

bool remed_from_sockaddr(const struct sockaddr *from, uint8_t *family, uint8_t address[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    *family = 0;
    if (from->sa_family == AF_INET) {
        memcpy(address, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
        *family = 4;
    } else if (from->sa_family == AF_INET6) {
        memcpy(address, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
        *family = 6;
        if (memcmp(address, mapped, sizeof mapped) == 0) {
            memmove(address, address + 12, 4);
            *family = 4;
        }
    }
    return *family != 0;
}

void remed_datagrams_count_drops(struct remed_listener *listener, struct input *input)
{
    uint32_t values[SK_MEMINFO_VARS];
    socklen_t size = sizeof values;
    if (getsockopt(input->watch.fd, SOL_SOCKET, SO_MEMINFO, values, &size) < 0 ||
        size < sizeof *values * (SK_MEMINFO_DROPS + 1))
        return;
    remed_source(listener, input->row)->dropped += values[SK_MEMINFO_DROPS] - input->dropped;
    input->dropped = values[SK_MEMINFO_DROPS];
}

static void hand_out_one(struct remed_listener *listener, const struct input *input,
                         const struct mmsghdr *header)
{
    uint8_t family, address[16];
    const uint8_t *text = header->msg_hdr.msg_iov->iov_base;
    uint32_t row = input->row;
    if (header->msg_hdr.msg_namelen >= sizeof(sa_family_t) &&
        remed_from_sockaddr(header->msg_hdr.msg_name, &family, address))
        row = remed_source_address(listener, input->row, family, address);
    if ((header->msg_hdr.msg_flags & MSG_TRUNC) != 0) {
        remed_source(listener, row)->oversize++;
        return;
    }
    size_t length = remed_syslog_trim(text, header->msg_len);
    if (length > 0)
        remed_listener_line(listener, row, (const char *)text, length, false);
}

void remed_datagrams_hand_out(struct remed_listener *listener)
{
    struct rest *rest = &listener->rest;
    while (rest->at < rest->end && !listener->stopped)
        hand_out_one(listener, rest->datagrams, &listener->datagrams->headers[rest->at++]);
    if (rest->at == rest->end)
        *rest = (struct rest){.at = 0};
}

static int receive(struct datagrams *datagrams, int fd)
{
    for (unsigned i = 0; i < BATCH; i++) {
        datagrams->vectors[i] = (struct iovec){.iov_base = datagrams->bytes + i * datagrams->room,
                                               .iov_len = datagrams->room};
        datagrams->headers[i].msg_hdr = (struct msghdr){.msg_name = &datagrams->from[i],
                                                        .msg_namelen = sizeof *datagrams->from,
                                                        .msg_iov = &datagrams->vectors[i],
                                                        .msg_iovlen = 1};
    }
    return recvmmsg(fd, datagrams->headers, BATCH, MSG_DONTWAIT, NULL);
}

void remed_datagrams_ready(struct remed_listener *listener, struct watch *watch, uint32_t events)
{
    struct input *input = (struct input *)(void *)watch;
    (void)events;
    int count = receive(listener->datagrams, watch->fd);
    if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        if (!input->failing)
            remed_listener_say(listener, REMED_LOG_WARNING, "%s: cannot read: %s; tried again",
                               remed_source(listener, input->row)->name, strerror(errno));
        input->failing = true;
        remed_listener_pause(listener, input);
    }
    if (count <= 0)
        return;
    input->failing = false;
    listener->received = remed_listener_clock();
    listener->rest = (struct rest){.datagrams = input, .end = (size_t)count};
    remed_datagrams_hand_out(listener);
}
