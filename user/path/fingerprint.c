// SPDX-License-Identifier: Apache-2.0
/* fingerprint.c: polynomials over the integers modulo 2^61 - 1, whose remainder is two shifts. Seven bytes at a time, four lanes. */
#include "path/fingerprint.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define PRIME ((UINT64_C(1) << 61) - 1)
#define LIMB 7 /* bytes: always below the prime */
#define LANES 4

/* (h + limb) x key; h and the result are below 2^61 + 8, not yet below the prime. */
static inline uint64_t step(uint64_t h, uint64_t limb, uint64_t key)
{
	unsigned __int128 product = (unsigned __int128)(h + limb) * key;
	uint64_t sum = ((uint64_t)product & PRIME) + (uint64_t)(product >> 61);

	return (sum & PRIME) + (sum >> 61);
}

/* Two loads that overlap: seven bytes through memory would wait for each other. */
static inline uint64_t limb_at(const char *p)
{
	uint32_t low, high;

	memcpy(&low, p, sizeof low);
	memcpy(&high, p + LIMB - sizeof high, sizeof high);
	return low | (uint64_t)(high >> 8) << 32;
}

static void take(const struct fingerprint_key *k, struct str s, uint64_t h[LANES])
{
	const uint64_t k0 = k->lane[0], k1 = k->lane[1], k2 = k->lane[2], k3 = k->lane[3];
	uint64_t h0 = h[0], h1 = h[1], h2 = h[2], h3 = h[3];
	char rest[LANES * LIMB] = { 0 };

	for (; s.n >= sizeof rest; s.p += sizeof rest, s.n -= sizeof rest) {
		h0 = step(h0, limb_at(s.p), k0);
		h1 = step(h1, limb_at(s.p + LIMB), k1);
		h2 = step(h2, limb_at(s.p + 2 * LIMB), k2);
		h3 = step(h3, limb_at(s.p + 3 * LIMB), k3);
	}
	if (s.n)
		memcpy(rest, s.p, s.n);
	h[0] = step(h0, limb_at(rest), k0);
	h[1] = step(h1, limb_at(rest + LIMB), k1);
	h[2] = step(h2, limb_at(rest + 2 * LIMB), k2);
	h[3] = step(h3, limb_at(rest + 3 * LIMB), k3);
}

int fingerprint_key_new(struct fingerprint_key *ret)
{
	struct fingerprint_key k;
	uint64_t *words[] = { &k.lane[0], &k.lane[1], &k.lane[2], &k.lane[3], &k.last };

	if (getrandom(&k, sizeof k, 0) != sizeof k)
		return -EIO;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		*words[i] = *words[i] % (PRIME - 2) + 2; /* 0 and 1 would hash nothing */
	*ret = k;
	return 0;
}

uint64_t fingerprint(const struct fingerprint_key *k, const struct str *parts, size_t nparts)
{
	uint64_t h[LANES] = { 0 }, sum = 0;

	for (size_t i = 0; i < nparts; i++) {
		take(k, parts[i], h);
		/* The length, so that "ab", "c" is not "a", "bc", nor zeros at the end nothing. */
		h[0] = step(h[0], (uint64_t)parts[i].n + 1, k->lane[0]);
	}
	for (int i = 0; i < LANES; i++)
		sum = step(sum, h[i] % PRIME, k->last);
	sum %= PRIME;
	return sum ? sum : 1;
}
