/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Live capture of Ethernet interfaces by the kernel's ring of blocks (AF_PACKET, TPACKET_V3).
 *
 * Packets lie in a block one behind the other, so the ring holds as many as fit by their bytes, and
 * a burst of small ones costs no more than its size. A block is handed out when it is full or 4 ms
 * old, whichever is first. Packets are handed out where they lie; a block goes back to the kernel
 * with the first read after its last packet.
 *
 * Each packet comes with what the kernel knows of its offloads (a virtio_net header): the checksum
 * is still to be made, or it was merged of segments of one size. That is handed out in `offload`
 * and `segment`, so that what sends the packet can send what was on the wire. A VLAN tag that the
 * interface took out is put back.
 *
 * When the ring is full, the kernel drops what arrives until a block is given back. Blocks are
 * given back one by one and in order of arrival, so that drops come in many short gaps, and meet a
 * flow by its share of the packets, not by what it is.
 *
 * Threads: one thread a source.
 */
#include "backend/pcap/source.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRESH_MS 4u /* a packet waits no longer in a block that does not fill */
#define SMALLEST_BLOCK (64u << 10)
#define LONGEST_FRAME (68u << 10) /* merged, with headers; a longer one (BIG TCP) is cut */
#define FEWEST_BLOCKS 4u
#define VNET_BYTES 10u /* struct virtio_net_hdr, which the kernel puts in front of the frame */
#define VNET_NEEDS_CHECKSUM 1u
#define VNET_TCP4 1u
#define VNET_TCP6 4u
#define VNET_UDP 5u
#define VNET_ECN 0x80u
#define VLAN_BYTES 4u

struct ring {
    int fd;
    uint8_t *map;
    size_t map_size;
    uint32_t block_size, block_count;
    uint32_t block;               /* the one at hand */
    uint32_t left;                /* packets of it that are not handed out yet */
    const uint8_t *next;          /* the next one; NULL: the block is the kernel's */
    bool loopback;                /* each packet shows twice: going out, and coming in */
    uint64_t missed;              /* by the interface, when it was asked last */
    struct remed_headers headers; /* scratch */
    char name[IFNAMSIZ];
};

/* What the kernel says of a frame's offloads. */
struct offloads {
    uint8_t flags, merged;
    uint16_t header_length, segment, checksum_start, checksum_offset;
};

static int explain_errno(const struct ring *ring, const char *what, struct remed_error *error)
{
    int why = errno;
    int code = why == EPERM || why == EACCES ? REMED_EPERM
               : why == ENOMEM               ? REMED_ENOMEM
                                             : REMED_EIO;
    return remed_error_set(error, code, "%s: %s: %s", ring->name, what, strerror(why));
}

static int say_down(const struct ring *ring, struct remed_error *error)
{
    if (if_nametoindex(ring->name) == 0)
        return remed_error_set(error, REMED_EIO, "%s: the interface is gone", ring->name);
    return remed_error_set(error, REMED_EIO,
                           "%s: the interface is down; bring it up ('ip link set %s up') first",
                           ring->name, ring->name);
}

static int check_hardware(struct ring *ring, struct remed_error *error)
{
    struct ifreq request;
    memset(&request, 0, sizeof request);
    memcpy(request.ifr_name, ring->name, sizeof request.ifr_name);
    if (ioctl(ring->fd, SIOCGIFHWADDR, &request) < 0)
        return explain_errno(ring, "no hardware type", error);
    unsigned type = request.ifr_hwaddr.sa_family;
    ring->loopback = type == ARPHRD_LOOPBACK;
    if (type != ARPHRD_ETHER && type != ARPHRD_LOOPBACK)
        return remed_error_set(error, REMED_EUNSUPPORTED, "%s: not Ethernet", ring->name);
    return 0;
}

/* Blocks are as large as the longest packet needs, and there are as many as the buffer has room
 * for. */
static void choose_sizes(struct ring *ring, const struct remed_pcap_source_opts *opts)
{
    uint32_t needed = opts->snap_length < LONGEST_FRAME ? opts->snap_length : LONGEST_FRAME;
    ring->block_size = SMALLEST_BLOCK;
    while (ring->block_size < needed + 4096)
        ring->block_size *= 2;
    ring->block_count = opts->buffer_bytes / ring->block_size;
    if (ring->block_count < FEWEST_BLOCKS)
        ring->block_count = FEWEST_BLOCKS;
}

static int set_ring(struct ring *ring, struct remed_error *error)
{
    int version = TPACKET_V3, one = 1;
    const struct tpacket_req3 request = {.tp_block_size = ring->block_size,
                                         .tp_block_nr = ring->block_count,
                                         .tp_frame_size = 2048,
                                         .tp_frame_nr =
                                             ring->block_count * (ring->block_size / 2048),
                                         .tp_retire_blk_tov = FRESH_MS};
    if (setsockopt(ring->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) < 0 ||
        setsockopt(ring->fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one) < 0)
        return remed_error_set(error, REMED_EUNSUPPORTED, "%s: no ring of blocks", ring->name);
    if (setsockopt(ring->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) < 0)
        return explain_errno(ring, "no ring of that size", error);
    ring->map_size = (size_t)ring->block_size * ring->block_count;
    ring->map = mmap(NULL, ring->map_size, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
    if (ring->map != MAP_FAILED)
        return 0;
    ring->map = NULL;
    return explain_errno(ring, "cannot map the ring", error);
}

/* The kernel cuts packets by what a filter returns. */
static int set_snap_length(struct ring *ring, uint32_t snap_length, struct remed_error *error)
{
    struct sock_filter take = BPF_STMT(BPF_RET | BPF_K, snap_length);
    const struct sock_fprog program = {.len = 1, .filter = &take};
    if (setsockopt(ring->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0)
        return explain_errno(ring, "no snap length", error);
    return 0;
}

static int bind_ring(struct ring *ring, bool promiscuous, struct remed_error *error)
{
    const int index = (int)if_nametoindex(ring->name);
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = index};
    int why = 0;
    socklen_t length = sizeof why;
    if (bind(ring->fd, (struct sockaddr *)(void *)&address, sizeof address) < 0)
        return explain_errno(ring, "cannot capture", error);
    if (getsockopt(ring->fd, SOL_SOCKET, SO_ERROR, &why, &length) == 0 && why == ENETDOWN)
        return say_down(ring, error);
    const struct packet_mreq member = {.mr_ifindex = index, .mr_type = PACKET_MR_PROMISC};
    if (promiscuous &&
        setsockopt(ring->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &member, sizeof member) < 0)
        return explain_errno(ring, "no promiscuous mode", error);
    return 0;
}

static uint8_t *ring_block(const struct ring *ring)
{
    return ring->map + (size_t)ring->block * ring->block_size;
}

static uint32_t *block_status(const struct ring *ring)
{
    struct tpacket_block_desc *block = (struct tpacket_block_desc *)(void *)ring_block(ring);
    return &block->hdr.bh1.block_status;
}

static bool block_is_ours(const struct ring *ring)
{
    return (__atomic_load_n(block_status(ring), __ATOMIC_ACQUIRE) & TP_STATUS_USER) != 0;
}

/* Gives back the block whose packets are all handed out. */
static void give_back_block(struct ring *ring)
{
    __atomic_store_n(block_status(ring), TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    ring->block = ring->block + 1 < ring->block_count ? ring->block + 1 : 0;
    ring->next = NULL;
}

static bool open_block(struct ring *ring)
{
    if (!block_is_ours(ring))
        return false;
    const uint8_t *at = ring_block(ring);
    const struct tpacket_block_desc *block = (const struct tpacket_block_desc *)(const void *)at;
    ring->left = block->hdr.bh1.num_pkts;
    ring->next = at + block->hdr.bh1.offset_to_first_pkt;
    return true;
}

static uint8_t ring_side(const struct remed_pcap_source *source, unsigned kind)
{
    if (source->opts.side != REMED_SIDE_UNKNOWN)
        return (uint8_t)source->opts.side;
    return kind == PACKET_OUTGOING ? REMED_SIDE_OUT : REMED_SIDE_IN;
}

/* Tells offloads in the packet's own words. */
static void describe_offloads(struct ring *ring, struct remed_packet *packet,
                              const struct offloads *offloads, uint32_t inserted)
{
    unsigned merged = offloads->merged & ~VNET_ECN;
    if ((offloads->flags & VNET_NEEDS_CHECKSUM) != 0)
        packet->offload |= REMED_OFFLOAD_CHECKSUM;
    if (offloads->segment != 0 &&
        (merged == VNET_TCP4 || merged == VNET_TCP6 || merged == VNET_UDP)) {
        packet->offload |= merged == VNET_UDP ? REMED_OFFLOAD_UDP : REMED_OFFLOAD_TCP;
        packet->segment = offloads->segment;
    }
    if (packet->offload == 0 || (offloads->flags & VNET_NEEDS_CHECKSUM) == 0)
        return;
    remed_packet_parse(packet, REMED_SCOPE_OUTER, &ring->headers);
    if (ring->headers.transport != offloads->checksum_start + inserted)
        packet->offload |= REMED_OFFLOAD_INNER;
}

/* Puts the tag back that the interface took out; the bytes in front are ours. */
static uint8_t *insert_tag(uint8_t *frame, const struct tpacket3_hdr *header)
{
    unsigned type = (header->tp_status & TP_STATUS_VLAN_TPID_VALID) != 0 ? header->hv1.tp_vlan_tpid
                                                                         : ETH_P_8021Q;
    unsigned tag = header->hv1.tp_vlan_tci;
    memmove(frame - VLAN_BYTES, frame, 2 * ETH_ALEN);
    frame -= VLAN_BYTES;
    frame[12] = (uint8_t)(type >> 8);
    frame[13] = (uint8_t)type;
    frame[14] = (uint8_t)(tag >> 8);
    frame[15] = (uint8_t)tag;
    return frame;
}

/* The packet at `next`; false for one that is not to be handed out. */
static bool take_frame(struct remed_pcap_source *source, struct ring *ring,
                       struct remed_packet *packet)
{
    struct tpacket3_hdr *header = (struct tpacket3_hdr *)(uintptr_t)ring->next;
    const uint8_t *at = ring->next;
    const struct sockaddr_ll *from =
        (const struct sockaddr_ll *)(const void *)(at + TPACKET_ALIGN(sizeof *header));
    ring->next += header->tp_next_offset;
    if (ring->loopback && from->sll_pkttype == PACKET_OUTGOING)
        return false;
    uint8_t *frame = (uint8_t *)header + header->tp_mac;
    struct offloads offloads;
    memcpy(&offloads, frame - VNET_BYTES, sizeof offloads);
    bool tagged =
        (header->tp_status & TP_STATUS_VLAN_VALID) != 0 && header->tp_snaplen >= 2 * ETH_ALEN;
    uint32_t inserted = tagged ? VLAN_BYTES : 0;
    if (tagged)
        frame = insert_tag(frame, header);
    *packet = (struct remed_packet){
        .data = frame,
        .captured = header->tp_snaplen + inserted,
        .wire = header->tp_len + inserted,
        .time = header->tp_sec * REMED_NS_PER_S + header->tp_nsec,
        .link_type = REMED_LINK_ETHERNET,
        .side = ring_side(source, from->sll_pkttype),
    };
    /* of a packet that the block cut, rather than the snap length, the kernel tells nothing */
    bool told =
        header->tp_snaplen == header->tp_len || header->tp_snaplen == source->opts.snap_length;
    if (told && (offloads.flags != 0 || offloads.merged != 0))
        describe_offloads(ring, packet, &offloads, inserted);
    return true;
}

/* Down or gone is told once all that came before was handed out. */
static int nothing_there(struct remed_pcap_source *source, struct ring *ring,
                         struct remed_error *error)
{
    int why = 0;
    socklen_t length = sizeof why;
    if (source->stop)
        return 0;
    if (getsockopt(ring->fd, SOL_SOCKET, SO_ERROR, &why, &length) < 0 || why == 0)
        return REMED_EAGAIN;
    if (why == ENETDOWN)
        return say_down(ring, error);
    return remed_error_set(error, REMED_EIO, "%s: capture ended: %s", ring->name, strerror(why));
}

static int read_ring(struct remed_pcap_source *source, struct remed_packet *packets, size_t count,
                     struct remed_error *error)
{
    struct ring *ring = source->live_state;
    size_t n = 0;
    do {
        if (ring->next != NULL && ring->left == 0)
            give_back_block(ring);
        if (ring->next == NULL && !open_block(ring))
            return nothing_there(source, ring, error);
        while (n < count && ring->left > 0) {
            ring->left--;
            n += take_frame(source, ring, &packets[n]);
        }
    } while (n == 0);
    return (int)n;
}

static bool ring_ready(const struct remed_pcap_source *source)
{
    const struct ring *ring = source->live_state;
    return ring->next != NULL ? ring->left > 0 : block_is_ours(ring);
}

static int ring_fd(const struct remed_pcap_source *source)
{
    const struct ring *ring = source->live_state;
    return ring->fd;
}

/* Packets that the interface or its driver had no room for. */
static uint64_t missed_packets(const struct ring *ring)
{
    struct ifaddrs *all = NULL;
    uint64_t missed = ring->missed;
    if (getifaddrs(&all) < 0)
        return missed;
    for (const struct ifaddrs *one = all; one != NULL; one = one->ifa_next)
        if (one->ifa_addr != NULL && one->ifa_addr->sa_family == AF_PACKET &&
            one->ifa_data != NULL && strcmp(one->ifa_name, ring->name) == 0) {
            struct rtnl_link_stats stats;
            memcpy(&stats, one->ifa_data, sizeof stats);
            missed = (uint64_t)stats.rx_missed_errors + stats.rx_fifo_errors;
        }
    freeifaddrs(all);
    return missed;
}

static void ring_stats(struct remed_pcap_source *source)
{
    struct ring *ring = source->live_state;
    struct tpacket_stats_v3 stats;
    socklen_t length = sizeof stats;
    if (getsockopt(ring->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &length) == 0) {
        source->stats.kernel_received += stats.tp_packets; /* reading sets them to 0 */
        source->stats.kernel_dropped += stats.tp_drops;
    }
    uint64_t missed = missed_packets(ring);
    source->stats.interface_dropped += missed - ring->missed;
    ring->missed = missed;
}

static void close_ring(struct remed_pcap_source *source)
{
    struct ring *ring = source->live_state;
    if (ring->map != NULL)
        munmap(ring->map, ring->map_size);
    if (ring->fd >= 0)
        close(ring->fd);
    remed_release(&source->allocator, ring, sizeof *ring);
}

static const struct remed_live_ops ring_ops = {.read = read_ring,
                                               .fd = ring_fd,
                                               .ready = ring_ready,
                                               .stats = ring_stats,
                                               .close = close_ring};

static int begin_ring(struct ring *ring, const struct remed_pcap_source_opts *opts,
                      struct remed_error *error)
{
    ring->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (ring->fd < 0)
        return explain_errno(ring, "cannot capture", error);
    choose_sizes(ring, opts);
    int rc = check_hardware(ring, error);
    if (rc == 0)
        rc = set_ring(ring, error);
    if (rc == 0)
        rc = set_snap_length(ring, opts->snap_length, error);
    if (rc == 0)
        rc = bind_ring(ring, opts->promiscuous != 0, error);
    return rc;
}

int remed_ring_begin(struct remed_pcap_source *source, const char *interface,
                     struct remed_error *error)
{
    if (strlen(interface) >= IFNAMSIZ)
        return remed_error_set(error, REMED_ENOENT, "%s: no such interface", interface);
    struct ring *ring = remed_allocate(&source->allocator, sizeof *ring);
    if (ring == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory to capture");
    ring->fd = -1;
    memcpy(ring->name, interface, strlen(interface));
    source->live_state = ring;
    source->live = &ring_ops;
    int rc = begin_ring(ring, &source->opts, error);
    if (rc < 0)
        return rc;
    ring->missed = missed_packets(ring);
    source->link_type = REMED_LINK_ETHERNET;
    source->nanoseconds = true;
    source->parse = read_ring;
    return 0;
}
