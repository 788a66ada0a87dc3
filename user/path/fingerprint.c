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

/* Whole strides of LANES x LIMB bytes; returns how many bytes that were. */
static size_t take_whole(const struct fingerprint_key *k, const char *p, size_t n, uint64_t h[LANES])
{
	const uint64_t k0 = k->lane[0], k1 = k->lane[1], k2 = k->lane[2], k3 = k->lane[3];
	uint64_t h0 = h[0], h1 = h[1], h2 = h[2], h3 = h[3];
	const char *from = p;

	for (; n >= LANES * LIMB; p += LANES * LIMB, n -= LANES * LIMB) {
		h0 = step(h0, limb_at(p), k0);
		h1 = step(h1, limb_at(p + LIMB), k1);
		h2 = step(h2, limb_at(p + 2 * LIMB), k2);
		h3 = step(h3, limb_at(p + 3 * LIMB), k3);
	}
	h[0] = h0;
	h[1] = h1;
	h[2] = h2;
	h[3] = h3;
	return (size_t)(p - from);
}

static void take(const struct fingerprint_key *k, struct str s, uint64_t h[LANES])
{
	char rest[LANES * LIMB] = { 0 };
	size_t n = take_whole(k, s.p, s.n, h);

	if (s.n > n)
		memcpy(rest, s.p + n, s.n - n);
	h[0] = step(h[0], limb_at(rest), k->lane[0]);
	h[1] = step(h[1], limb_at(rest + LIMB), k->lane[1]);
	h[2] = step(h[2], limb_at(rest + 2 * LIMB), k->lane[2]);
	h[3] = step(h[3], limb_at(rest + 3 * LIMB), k->lane[3]);
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

static uint64_t end(const struct fingerprint_key *k, const uint64_t h[LANES])
{
	uint64_t sum = 0;

	for (int i = 0; i < LANES; i++)
		sum = step(sum, h[i] % PRIME, k->last);
	sum %= PRIME;
	return sum ? sum : 1;
}

static void take_part(const struct fingerprint_key *k, struct str part, size_t whole, uint64_t h[LANES])
{
	take(k, part, h);
	/* The length, so that "ab", "c" is not "a", "bc", nor zeros at the end nothing. */
	h[0] = step(h[0], (uint64_t)whole + 1, k->lane[0]);
}

uint64_t fingerprint(const struct fingerprint_key *k, const struct str *parts, size_t nparts)
{
	uint64_t h[LANES] = { 0 };

	for (size_t i = 0; i < nparts; i++)
		take_part(k, parts[i], parts[i].n, h);
	return end(k, h);
}

size_t fingerprint_blocks(const struct fingerprint_key *k, const struct str *parts, size_t nparts, struct str body, size_t until,
			  uint64_t *blocks, size_t most, uint64_t *ret_whole)
{
	size_t whole = body.n, n = 0;
	uint64_t h[LANES] = { 0 };

	_Static_assert(FINGERPRINT_BLOCK % (LANES * LIMB) == 0, "a block is a number of whole strides");
	for (size_t i = 0; i < nparts; i++)
		take_part(k, parts[i], parts[i].n, h);
	for (; n < most && body.n >= FINGERPRINT_BLOCK && (n + 1) * FINGERPRINT_BLOCK <= until; n++) {
		take_whole(k, body.p, FINGERPRINT_BLOCK, h);
		blocks[n] = end(k, h);
		body.p += FINGERPRINT_BLOCK;
		body.n -= FINGERPRINT_BLOCK;
	}
	take_part(k, body, whole, h);
	*ret_whole = end(k, h);
	return n;
}
