// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_packet.c: what an agent's hand-made packet may look like to bpf/packet.h, which is compiled here for the host. Checked besides
 * memory: a packet that goes on as it is holds no source route and no routing header by another reading of the same RFCs, and its address and
 * protocol are what that reading says.
 */
#include "fuzz.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "gate_abi.h"

/* ---- the kernel's side of it, as far as packet.h uses it */

#define PURSE_BPF_MAPS_H
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#undef __noinline
#define __noinline static __attribute__((noinline))
#define bpf_htons(x) htons(x)
#define bpf_htonl(x) htonl(x)

struct __sk_buff {
	__u32 protocol;
	const char *data;
	size_t n;
};

static int bpf_skb_load_bytes(const struct __sk_buff *skb, __u32 at, void *to, __u32 n)
{
	if (at > skb->n || skb->n - at < n)
		return -EFAULT;
	memcpy(to, skb->data + at, n);
	return 0;
}

static int endpoints;
static void *bpf_map_lookup_elem(void *map, const void *key)
{
	MUST(map && key);
	return NULL;
}

#include "../../bpf/packet.h"

/* ---- another reading */

struct reading {
	bool is_sent_on;
	int protocol; /* -1: the chain does not end in the packet */
};

/* RFC 791: LSRR and SSRR among well-formed options. */
static struct reading read_v4(const uint8_t *p, size_t n)
{
	struct reading r = { .protocol = p[9] };
	size_t end = (size_t)(p[0] & 15) * 4;

	for (size_t at = 20; at < end && at < n;) {
		uint8_t kind = p[at] & 0x7f; /* without the copied flag, which both always have */

		if (kind == 0)
			break;
		if (kind == 1 && !(p[at] & 0x80)) {
			at++;
			continue;
		}
		r.is_sent_on |= p[at] == 0x83 || p[at] == 0x89;
		if (at + 1 >= n || p[at + 1] < 2)
			break;
		at += p[at + 1];
	}
	return r;
}

/* RFC 8200: every extension header up to the first that is none. */
static struct reading read_v6(const uint8_t *p, size_t n)
{
	static const uint8_t extensions[] = { 0, 43, 44, 51, 60, 135 };
	struct reading r = { .protocol = -1 };
	size_t at = 40;
	int next = p[6];

	while (memchr(extensions, next, sizeof extensions)) {
		r.is_sent_on |= next == 43;
		if (at + 2 > n)
			return r;
		size_t len = next == 44 ? 8 : next == 51 ? ((size_t)p[at + 1] + 2) * 4 : ((size_t)p[at + 1] + 1) * 8;
		next = p[at];
		at += len;
	}
	r.protocol = next;
	return r;
}

const struct str fuzz_seeds[] = {
	/* the first byte chooses v4 or v6 */
	FUZZ_SEED("\x04\x45\0\0\x28\0\0\0\0\x40\x06\0\0\x0a\0\0\x01\xc6\x33\x64\x0a\x01\xbb\0\x50\0\0\0\0"),
	FUZZ_SEED("\x04\x48\0\0\x34\0\0\0\0\x40\x11\0\0\x0a\0\0\x01\xcb\0\x71\x01\x01\x01\x07\x03\x04\x83\x07\x04\xc6\x33\x64\x0a\0"),
	FUZZ_SEED("\x04\x47\0\0\x34\0\0\0\0\x40\x06\0\0\x0a\0\0\x01\xcb\0\x71\x01\x94\x04\0\0\x89\x03\x04\0"),
	FUZZ_SEED("\x06\x60\0\0\0\0\x14\x06\x40\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x10\x01\xbb\0\x50"),
	FUZZ_SEED("\x06\x60\0\0\0\0\x14\0\x40\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x10"
		  "\x3c\0\x01\x04\0\0\0\0\x2b\0\0\0\0\0\0\0\x06\x02\x04\x01\0\0\0\0"),
	FUZZ_SEED("\x06\x60\0\0\0\0\x14\x2c\x40\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x10"
		  "\x33\0\0\0\0\0\0\0\x3c\x01\0\0\0\0\0\0\0\0\0\0\x2b\0\x01\x04\0\0\0\0\x06\x02\x04\x01\0\0\0\0"),
	FUZZ_SEEDS_END,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packet p = { 0 };
	struct reading want;

	if (size < 2)
		return 0;
	bool is_v6 = data[0] & 2;
	const size_t n = size - 1;
	char *copy = fuzz_copy(data + 1, n);
	const uint8_t *bytes = (const uint8_t *)copy;
	struct __sk_buff skb = { .protocol = htons(is_v6 ? ETH_P_IPV6 : ETH_P_IP), .data = copy, .n = n };

	MUST(address_class(&p.dst) == GATE_CLASS_OTHER && endpoints == 0);
	if (data[0] & 1) {
		skb.protocol = htons(0x0806); /* neither */
		MUST(!packet_read(&skb, &p));
	} else if (packet_read(&skb, &p)) {
		MUST(n >= (is_v6 ? 40 : 20));
		want = is_v6 ? read_v6(bytes, n) : read_v4(bytes, n);
		MUST(p.is_rerouted || !want.is_sent_on);
		MUST(p.is_rerouted || want.protocol >= 0);
		MUST(p.is_rerouted ? !is_v6 || !p.is_tcp : p.is_tcp == (want.protocol == IPPROTO_TCP));
		MUST(address_is_v4(&p.dst) || is_v6);
		MUST(memcmp(is_v6 ? p.dst.b : p.dst.b + 12, bytes + (is_v6 ? 24 : 16), is_v6 ? 16 : 4) == 0);
	} else {
		MUST(n < (is_v6 ? 40 : 20));
	}
	free(copy);
	return 0;
}
