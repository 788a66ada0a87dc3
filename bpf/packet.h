// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * packet.h: what a packet on its way out really is: where the wire takes it and whether a header sends it on from
 * there. connect and sendmsg see the address in the socket call; a source route or a routing header makes
 * that a mere stop on the way. Only looks; judges nothing.
 */
#ifndef PURSE_BPF_PACKET_H
#define PURSE_BPF_PACKET_H

#include "address.h"

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define IPV4_HEADER 20
#define IPV6_HEADER 40
#define IPV4_OPTIONS_MAX 40
#define IPV6_NEXT_HEADER 6
#define IPV6_DESTINATION 24
#define PACKET_REROUTED (-1)
#define IPV6_CHAIN_MAX 8 /* more extension headers than this nobody sends in earnest */

struct packet {
	union address dst;
	bool is_tcp;
	bool is_rerouted; /* also when the headers could not be read to their end */
};

/* Global functions for the verifier's sake, as in identity.h. */

/* RFC 791 section 3.1: END and NOP are one byte, every other option has its length in the second. */
__noinline int ipv4_is_rerouted(struct __sk_buff *skb, __u32 len)
{
	enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_LOOSE_ROUTE = 131, OPTION_STRICT_ROUTE = 137 };
	__u32 at = 0;

	for (int i = 0; i < IPV4_OPTIONS_MAX; i++) {
		__u8 option[2];

		if (at >= len)
			return false;
		if (bpf_skb_load_bytes(skb, IPV4_HEADER + at, option, 1))
			return true;
		if (option[0] == OPTION_END)
			return false;
		if (option[0] == OPTION_NOP) {
			at++;
			continue;
		}
		if (option[0] == OPTION_LOOSE_ROUTE || option[0] == OPTION_STRICT_ROUTE)
			return true;
		if (bpf_skb_load_bytes(skb, IPV4_HEADER + at + 1, option + 1, 1) || option[1] < 2)
			return true;
		at += option[1];
	}
	return true;
}

/* RFC 8200 section 4: the protocol at the end of the chain of extension headers, or PACKET_REROUTED. */
__noinline int ipv6_last_protocol(struct __sk_buff *skb)
{
	enum { HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, AUTHENTICATION = 51, DESTINATION = 60, MOBILITY = 135 };
	__u32 at = IPV6_HEADER;
	__u8 next;

	if (bpf_skb_load_bytes(skb, IPV6_NEXT_HEADER, &next, 1))
		return PACKET_REROUTED;
	for (int i = 0; i < IPV6_CHAIN_MAX; i++) {
		__u8 header[2];

		if (next == ROUTING)
			return PACKET_REROUTED;
		if (next != HOP_BY_HOP && next != FRAGMENT && next != AUTHENTICATION && next != DESTINATION &&
		    next != MOBILITY)
			return next;
		if (bpf_skb_load_bytes(skb, at, header, sizeof(header)))
			return PACKET_REROUTED;
		if (next == FRAGMENT)
			at += 8;
		else if (next == AUTHENTICATION)
			at += (header[1] + 2) * 4;
		else
			at += (header[1] + 1) * 8;
		next = header[0];
	}
	return PACKET_REROUTED;
}

/* False: neither IPv4 nor IPv6, or cut short. */
static __always_inline bool packet_read(struct __sk_buff *skb, struct packet *p)
{
	int protocol;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		__u32 h[IPV4_HEADER / 4];
		__u32 words;

		if (bpf_skb_load_bytes(skb, 0, h, sizeof(h)))
			return false;
		words = ((__u8 *)h)[0] & 0xf;
		protocol = ((__u8 *)h)[9];
		p->dst = address_v4(h[4]);
		p->is_rerouted = words != 5 && (words < 5 || ipv4_is_rerouted(skb, (words - 5) * 4));
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		if (bpf_skb_load_bytes(skb, IPV6_DESTINATION, p->dst.b, sizeof(p->dst.b)))
			return false;
		protocol = ipv6_last_protocol(skb);
		p->is_rerouted = protocol == PACKET_REROUTED;
	} else {
		return false;
	}
	p->is_tcp = protocol == IPPROTO_TCP;
	return true;
}

#endif
