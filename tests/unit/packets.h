/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One packet of each kind that the parser knows. What matters is from 10.0.0.1 or 2001:db8::1 to
 * 192.0.2.2 or 2001:db8:1::2; the ends of a tunnel are 8 and 9.
 */
#ifndef REMED_TEST_PACKETS_H
#define REMED_TEST_PACKETS_H

#include "unit/layers.h"

static inline void tcp_syn(struct pile *p)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 6, 1, 2, 0, 0);
    pile_tcp(p, 40000, 80, REMED_TCP_SYN);
}

static inline void tcp_options(struct pile *p)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 6, 1, 2, 10, 0x4000);
    pile_tcp(p, 80, 40000, REMED_TCP_ACK);
}

static inline void udp(struct pile *p)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 17, 1, 2, 0, 0);
    pile_udp(p, 5000, 53);
}

static inline void udp_lite(struct pile *p)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 136, 1, 2, 0, 0);
    pile_udp(p, 5000, 53);
}

static inline void sctp(struct pile *p)
{
    pile_ethernet(p, 0x86dd);
    pile_ip6(p, 132, 1, 2);
    PILE_ADD(p, WORD(5000), WORD(36412), 0, 0, 0, 1, 0, 0, 0, 0);
}

static inline void dccp(struct pile *p)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 33, 1, 2, 0, 0);
    PILE_ADD(p, WORD(5000), WORD(5001), 3, 0, 0, 0, 0, 0, 0, 0);
}

static inline void esp(struct pile *p)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 50, 1, 2, 0, 0);
    PILE_ADD(p, 1, 2, 3, 4, 5, 6, 7, 8);
}

static inline void echo(struct pile *p)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 1, 1, 2, 0, 0);
    PILE_ADD(p, 8, 0, 0, 0, WORD(777), 0, 1);
}

static inline void echo6(struct pile *p)
{
    pile_ethernet(p, 0x86dd);
    pile_ip6(p, 58, 1, 2);
    PILE_ADD(p, 129, 0, 0, 0, WORD(777), 0, 1);
}

static inline void router_advertisement(struct pile *p)
{
    pile_ethernet(p, 0x86dd);
    pile_ip6(p, 58, 1, 2);
    PILE_ADD(p, 134, 0, 0, 0, 64, 0, 0, 30);
}

/* A router's word on the segment 1:40000 to 2:80, sent to 1. */
static inline void icmp_error(struct pile *p)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 1, 99, 1, 0, 0);
    PILE_ADD(p, 11, 0, 0, 0, 0, 0, 0, 0);
    pile_ip4(p, 6, 1, 2, 0, 0);
    PILE_ADD(p, WORD(40000), WORD(80), 1, 2, 3, 4);
}

static inline void icmp6_error(struct pile *p)
{
    pile_ethernet(p, 0x86dd);
    pile_ip6(p, 58, 99, 1);
    PILE_ADD(p, 2, 0, 0, 0, 0, 0, 5, 0);
    pile_ip6(p, 17, 1, 2);
    pile_udp(p, 5000, 53);
}

static inline void vlan(struct pile *p)
{
    pile_ethernet(p, 0x8100);
    pile_vlan(p, 0x2000 | 42, 0x800);
    pile_ip4(p, 17, 1, 2, 0, 0);
    pile_udp(p, 5000, 53);
}

static inline void qinq(struct pile *p)
{
    pile_ethernet(p, 0x88a8);
    pile_vlan(p, 100, 0x8100);
    pile_vlan(p, 42, 0x86dd);
    pile_ip6(p, 17, 1, 2);
    pile_udp(p, 5000, 53);
}

static inline void mpls(struct pile *p)
{
    pile_ethernet(p, 0x8847);
    pile_mpls(p, 0);
    pile_mpls(p, 1);
    pile_ip4(p, 17, 1, 2, 0, 0);
    pile_udp(p, 5000, 53);
}

static inline void pseudowire(struct pile *p)
{
    pile_ethernet(p, 0x8847);
    pile_mpls(p, 1);
    PILE_ADD(p, 0, 0, 0, 0);
    udp(p);
}

static inline void pppoe(struct pile *p)
{
    pile_ethernet(p, 0x8864);
    PILE_ADD(p, 0x11, 0, 0, 1, 0, 30, 0, 0x21);
    pile_ip4(p, 17, 1, 2, 0, 0);
    pile_udp(p, 5000, 53);
}

static inline void snap(struct pile *p)
{
    pile_ethernet(p, 36);
    PILE_ADD(p, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0);
    pile_ip4(p, 17, 1, 2, 0, 0);
    pile_udp(p, 5000, 53);
}

static inline void bare_ip(struct pile *p)
{
    pile_ip4(p, 17, 1, 2, 0, 0);
    pile_udp(p, 5000, 53);
}

static inline void bare_ip6(struct pile *p)
{
    pile_ip6(p, 17, 1, 2);
    pile_udp(p, 5000, 53);
}

static inline void null_little(struct pile *p)
{
    PILE_ADD(p, 2, 0, 0, 0);
    bare_ip(p);
}

static inline void null_big(struct pile *p)
{
    PILE_ADD(p, 0, 0, 0, 30);
    bare_ip6(p);
}

static inline void cooked(struct pile *p)
{
    PILE_ADD(p, 0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0);
    bare_ip(p);
}

static inline void cooked2(struct pile *p)
{
    PILE_ADD(p, 0x86, 0xdd, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0);
    bare_ip6(p);
}

static inline void ppp(struct pile *p)
{
    PILE_ADD(p, 0xff, 3, 0, 0x21);
    bare_ip(p);
}

static inline void extensions(struct pile *p)
{
    pile_ethernet(p, 0x86dd);
    pile_ip6(p, 0, 1, 2);
    pile_extension(p, 60);
    pile_extension(p, 43);
    pile_extension(p, 51);
    PILE_ADD(p, 6, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2);
    pile_tcp(p, 40000, 80, REMED_TCP_ACK);
}

static inline void first_fragment(struct pile *p)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 17, 1, 2, 0, 0x2000);
    pile_udp(p, 5000, 53);
}

static inline void first_fragment6(struct pile *p)
{
    pile_ethernet(p, 0x86dd);
    pile_ip6(p, 44, 1, 2);
    pile_ip6_fragment(p, 17, 1);
    pile_udp(p, 5000, 53);
}

static inline void atomic_fragment6(struct pile *p)
{
    pile_ethernet(p, 0x86dd);
    pile_ip6(p, 44, 1, 2);
    pile_ip6_fragment(p, 17, 0);
    pile_udp(p, 5000, 53);
}

static inline void ipip(struct pile *p)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 4, 8, 9, 0, 0);
    bare_ip(p);
}

static inline void six_in_four(struct pile *p)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 41, 8, 9, 0, 0);
    bare_ip6(p);
}

static inline void gre(struct pile *p)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 47, 8, 9, 0, 0);
    pile_gre(p, 0xb000, 0x800);
    bare_ip(p);
}

static inline void gre_bridged(struct pile *p)
{
    pile_ethernet(p, 0x86dd);
    pile_ip6(p, 47, 8, 9);
    pile_gre(p, 0x2000, 0x6558);
    vlan(p);
}

static inline void pptp(struct pile *p)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 47, 8, 9, 0, 0);
    PILE_ADD(p, 0x30, 0x81, 0x88, 0x0b, 0, 30, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 3, 0, 0x21);
    bare_ip(p);
}

static inline void vxlan(struct pile *p)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 17, 8, 9, 0, 0);
    pile_udp(p, 51000, 4789);
    PILE_ADD(p, 8, 0, 0, 0, 0, 0, 77, 0);
    udp(p);
}

static inline void geneve(struct pile *p)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 17, 8, 9, 0, 0);
    pile_udp(p, 51000, 6081);
    PILE_ADD(p, 1, 0, 0x65, 0x58, 0, 0, 77, 0, 1, 2, 3, 4);
    udp(p);
}

static inline void gtp(struct pile *p)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 17, 8, 9, 0, 0);
    pile_udp(p, 2152, 2152);
    PILE_ADD(p, 0x34, 255, 0, 36, 0, 0, 0, 9, 0, 0, 0, 0x85, 1, 0, 0, 0);
    bare_ip(p);
}

static inline void gre_in_vxlan(struct pile *p)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 17, 8, 9, 0, 0);
    pile_udp(p, 51000, 4789);
    PILE_ADD(p, 8, 0, 0, 0, 0, 0, 77, 0);
    gre(p);
}

static inline void pile_gre_in(struct pile *p, unsigned flags, unsigned type)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 47, 8, 9, 0, 0);
    pile_gre(p, flags, type);
}

static inline void erspan1(struct pile *p)
{
    pile_gre_in(p, 0, 0x88be);
    udp(p);
}

static inline void erspan2(struct pile *p)
{
    pile_gre_in(p, 0x1000, 0x88be);
    PILE_ADD(p, 0x10, 1, 0, 1, 0, 0, 0, 0);
    qinq(p);
}

static inline void erspan3(struct pile *p)
{
    pile_gre_in(p, 0x1000, 0x22eb);
    PILE_ADD(p, 0x20, 1, 0, 1, 1, 2, 3, 4, 0, 0, 0, 0);
    vlan(p);
}

/* With its subheader, and IP inside without Ethernet. */
static inline void erspan3_ip(struct pile *p)
{
    pile_gre_in(p, 0x1000, 0x22eb);
    PILE_ADD(p, 0x20, 1, 0, 1, 1, 2, 3, 4, 0, 0, 0x08, 0x01, 1, 2, 3, 4, 5, 6, 7, 8);
    bare_ip6(p);
}

static inline void gre_mpls(struct pile *p)
{
    pile_gre_in(p, 0x2000, 0x8847);
    pile_mpls(p, 0);
    pile_mpls(p, 1);
    bare_ip(p);
}

static inline void gre_nsh(struct pile *p)
{
    pile_gre_in(p, 0, 0x894f);
    PILE_ADD(p, 0, 2, 2, 3, 0, 0, 0, 1);
    udp(p);
}

static inline void gre_metadata(struct pile *p)
{
    pile_gre_in(p, 0x2000, 0x8909);
    PILE_ADD(p, 8, 0, 1, 1, 0, 1, 0, 9);
    bare_ip(p);
}

static inline void eoip(struct pile *p)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 47, 8, 9, 0, 0);
    PILE_ADD(p, 0x20, 1, 0x64, 0, 0, 42, 7, 0);
    udp(p);
}

static inline void ether_ip(struct pile *p)
{
    pile_ethernet(p, 0x86dd);
    pile_ip6(p, 97, 8, 9);
    PILE_ADD(p, 0x30, 0);
    udp(p);
}

static inline void mpls_in_ip(struct pile *p)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 137, 8, 9, 0, 0);
    pile_mpls(p, 1);
    bare_ip6(p);
}

static inline void four_in_six(struct pile *p)
{
    pile_ethernet(p, 0x86dd);
    pile_ip6(p, 4, 8, 9);
    bare_ip(p);
}

static inline void six_in_six(struct pile *p)
{
    pile_ethernet(p, 0x86dd);
    pile_ip6(p, 60, 8, 9);
    pile_extension(p, 41);
    bare_ip6(p);
}

static inline void pile_udp_tunnel(struct pile *p, unsigned port)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 17, 8, 9, 0, 0);
    pile_udp(p, 51000, port);
}

static inline void gre_in_udp(struct pile *p)
{
    pile_udp_tunnel(p, 4754);
    pile_gre(p, 0x2000, 0x6558);
    udp(p);
}

static inline void gre_in_udp6(struct pile *p)
{
    pile_ethernet(p, 0x86dd);
    pile_ip6(p, 17, 8, 9);
    pile_udp(p, 51000, 4754);
    pile_gre(p, 0, 0x86dd);
    bare_ip6(p);
}

static inline void mpls_in_udp(struct pile *p)
{
    pile_udp_tunnel(p, 6635);
    pile_mpls(p, 0);
    pile_mpls(p, 1);
    bare_ip(p);
}

static inline void vxlan_gpe(struct pile *p)
{
    pile_udp_tunnel(p, 4790);
    PILE_ADD(p, 0x0c, 0, 0, 1, 0, 0, 77, 0);
    bare_ip(p);
}

static inline void vxlan_gpe_nsh(struct pile *p)
{
    pile_udp_tunnel(p, 4790);
    PILE_ADD(p, 0x0c, 0, 0, 4, 0, 0, 77, 0, 0, 2, 2, 1, 0, 0, 0, 1);
    bare_ip(p);
}

static inline void geneve_ip(struct pile *p)
{
    pile_udp_tunnel(p, 6081);
    PILE_ADD(p, 0, 0, 0x86, 0xdd, 0, 0, 77, 0);
    bare_ip6(p);
}

static inline void l2tp(struct pile *p)
{
    pile_udp_tunnel(p, 1701);
    PILE_ADD(p, 0x4a, 2, 0, 60, 0, 1, 0, 2, 0, 3, 0, 4, 0, 2, 9, 9, 0xff, 3, 0, 0x21);
    bare_ip(p);
}

static inline void lisp(struct pile *p)
{
    pile_udp_tunnel(p, 4341);
    PILE_ADD(p, 0x80, 1, 2, 3, 0, 0, 0, 1);
    bare_ip(p);
}

static inline void vntag(struct pile *p)
{
    pile_ethernet(p, 0x8926);
    PILE_ADD(p, 0x80, 1, 0, 2, 0x81, 0);
    pile_vlan(p, 42, 0x800);
    bare_ip(p);
}

static inline void etag(struct pile *p)
{
    pile_ethernet(p, 0x893f);
    PILE_ADD(p, 0, 1, 0x20, 2, 0, 0, 8, 0);
    bare_ip(p);
}

static inline void hsr(struct pile *p)
{
    pile_ethernet(p, 0x892f);
    PILE_ADD(p, 0, 52, 0, 1, 8, 0);
    bare_ip(p);
}

static inline void metadata(struct pile *p)
{
    pile_ethernet(p, 0x8909);
    PILE_ADD(p, 1, 1, 0, 1, 0, 9, 8, 0);
    bare_ip(p);
}

static inline void provider_backbone(struct pile *p)
{
    pile_ethernet(p, 0x88e7);
    PILE_ADD(p, 0, 0, 0, 9);
    udp(p);
}

static inline void vntag_in_vxlan(struct pile *p)
{
    pile_udp_tunnel(p, 4789);
    PILE_ADD(p, 8, 0, 0, 0, 0, 0, 77, 0);
    vntag(p);
}

/* Three tunnels of different kinds. */
static inline void tunnels(struct pile *p)
{
    pile_udp_tunnel(p, 4789);
    PILE_ADD(p, 8, 0, 0, 0, 0, 0, 77, 0);
    pile_udp_tunnel(p, 4754);
    pile_gre(p, 0, 0x800);
    pile_ip4(p, 41, 8, 9, 0, 0);
    bare_ip6(p);
}

static inline void fragment_in_gre(struct pile *p)
{
    pile_gre_in(p, 0, 0x800);
    pile_ip4(p, 17, 1, 2, 0, 0x2000);
    pile_udp(p, 5000, 53);
}

/* The tunnel's own datagram is in fragments, of which this is the first. */
static inline void gre_in_fragments(struct pile *p)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 47, 8, 9, 0, 0x2000);
    pile_gre(p, 0, 0x800);
    bare_ip(p);
}

/* A port of VXLAN with something else behind it: stays what it is. */
static inline void not_vxlan(struct pile *p)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 17, 1, 2, 0, 0);
    pile_udp(p, 5000, 4789);
    PILE_ADD(p, 8, 0, 0, 0, 0, 0, 77, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x12, 0x34);
}

#endif
