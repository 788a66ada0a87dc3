// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* address.h: 16-byte addresses, IPv4 as v4-mapped, and the class that `endpoints` gives them. */
#ifndef PURSE_BPF_ADDRESS_H
#define PURSE_BPF_ADDRESS_H

#include "maps.h"

union address {
	__u8 b[16];
	__u32 w[4]; /* network order, as in the socket address */
};

#define V4_MAPPED bpf_htonl(0x0000ffff)
#define V4_LOOPBACK bpf_htonl(0x7f000001)

static __always_inline union address address_v4(__u32 v4)
{
	return (union address){ .w = { 0, 0, V4_MAPPED, v4 } };
}

static __always_inline bool address_is_v4(const union address *a)
{
	return a->w[0] == 0 && a->w[1] == 0 && a->w[2] == V4_MAPPED;
}

static __always_inline bool address_is_loopback(const union address *a)
{
	if (address_is_v4(a))
		return (a->w[3] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
	return a->w[0] == 0 && a->w[1] == 0 && a->w[2] == 0 && a->w[3] == bpf_htonl(1);
}

/*
 * What the kernel will make of an address of zeros: IPv4 means the socket's own address, or loopback when it has none;
 * IPv6 means ::1, or 127.0.0.1 on a socket bound to a v4-mapped address, which has a src_v4.
 */
static __always_inline void address_resolve_any(union address *a, __u32 src_v4)
{
	if (a->w[0] || a->w[1] || a->w[3])
		return;
	if (a->w[2] == V4_MAPPED)
		a->w[3] = src_v4 ? src_v4 : V4_LOOPBACK;
	else if (a->w[2] == 0 && src_v4)
		*a = address_v4(V4_LOOPBACK);
	else if (a->w[2] == 0)
		a->w[3] = bpf_htonl(1);
}

static __always_inline __u32 address_class(const union address *a)
{
	struct gate_endpoint_key key = { .prefixlen = 128 };
	struct gate_endpoint *found;

	__builtin_memcpy(key.addr, a->b, sizeof(key.addr));
	found = bpf_map_lookup_elem(&endpoints, &key);
	return found ? found->class : GATE_CLASS_OTHER;
}

#endif
