// SPDX-License-Identifier: Apache-2.0
/* fingerprint.c: polynomials over the integers modulo 2^61 - 1, whose remainder is two shifts. Seven bytes at a time, four lanes. */
#include "path/fingerprint.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define PRIME ((UINT64_C(1) << 61) - 1)
#define LIMB 7 /* bytes: always below the prime */
#define LANES 4

/* (h + limb) x key */
static uint64_t step(uint64_t h, uint64_t limb, uint64_t key)
{
	unsigned __int128 product = (unsigned __int128)(h + limb) * key;
	uint64_t low = (uint64_t)product & PRIME, high = (uint64_t)(product >> 61);

	low += high;
	low = (low & PRIME) + (low >> 61);
	return low >= PRIME ? low - PRIME : low;
}

static uint64_t limb_at(const char *p)
{
	uint64_t v = 0;

	memcpy(&v, p, LIMB);
	return v;
}

static void take(const struct fingerprint_key *k, struct str s, uint64_t h[LANES])
{
	char rest[LANES * LIMB] = { 0 };

	for (; s.n >= sizeof rest; s.p += sizeof rest, s.n -= sizeof rest)
		for (int i = 0; i < LANES; i++)
			h[i] = step(h[i], limb_at(s.p + i * LIMB), k->lane[i]);
	if (s.n)
		memcpy(rest, s.p, s.n);
	for (int i = 0; i < LANES; i++)
		h[i] = step(h[i], limb_at(rest + i * LIMB), k->lane[i]);
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
		sum = step(sum, h[i], k->last);
	return sum ? sum : 1;
}
