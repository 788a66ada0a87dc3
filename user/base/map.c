// SPDX-License-Identifier: Apache-2.0
/*
 * map.c: linear probing, at most three quarters full, removal by shifting back (no
 * tombstones). Keys may come from agents, so the hash is SipHash-1-3 (Aumasson and
 * Bernstein, "SipHash: a fast short-input PRF") under a per-process random key.
 */
#include "base/map.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define SLOTS_MIN ((size_t)16)

struct slot {
	char *key; /* NULL = empty */
	size_t n;
	uint64_t hash;
	void *value;
};

struct map {
	struct slot *slots;
	size_t nslots; /* 0 or a power of two */
	size_t count;
};

static uint64_t seed[2];
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void seed_make(void)
{
	if (getrandom(seed, sizeof(seed), 0) != sizeof(seed)) {
		/* Cannot happen since Linux 3.17; guessable is still better than fixed. */
		struct timespec ts = { 0 };

		(void)clock_gettime(CLOCK_MONOTONIC, &ts);
		seed[0] = (uint64_t)(uintptr_t)&ts;
		seed[1] = (uint64_t)ts.tv_nsec * UINT64_C(0x9e3779b97f4a7c15);
	}
}

static inline uint64_t rotl(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] = rotl(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] = rotl(v[2], 32);
}

static uint64_t hash_of(struct str key)
{
	uint64_t v[4] = { seed[0] ^ UINT64_C(0x736f6d6570736575), seed[1] ^ UINT64_C(0x646f72616e646f6d),
			  seed[0] ^ UINT64_C(0x6c7967656e657261), seed[1] ^ UINT64_C(0x7465646279746573) };
	uint64_t last = (uint64_t)key.n << 56, m;
	size_t i = 0;

	for (; key.n - i >= 8; i += 8) {
		memcpy(&m, key.p + i, 8);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	for (int shift = 0; i < key.n; i++, shift += 8)
		last |= (uint64_t)(unsigned char)key.p[i] << shift;
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int r = 0; r < 3; r++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct map *map_new(void)
{
	(void)pthread_once(&seed_once, seed_make);
	return calloc(1, sizeof(struct map));
}

void map_free(struct map *m, void (*free_value)(void *))
{
	if (!m)
		return;
	for (size_t i = 0; i < m->nslots; i++) {
		if (!m->slots[i].key)
			continue;
		free(m->slots[i].key);
		if (free_value)
			free_value(m->slots[i].value);
	}
	free(m->slots);
	free(m);
}

/* The slot with this key, or the empty one where it belongs. Needs an empty slot to end. */
static struct slot *probe(struct slot *slots, size_t nslots, struct str key, uint64_t hash)
{
	size_t i = hash & (nslots - 1);

	while (slots[i].key) {
		if (slots[i].hash == hash && slots[i].n == key.n && (!key.n || !memcmp(slots[i].key, key.p, key.n)))
			break;
		i = (i + 1) & (nslots - 1);
	}
	return &slots[i];
}

static int grow(struct map *m)
{
	size_t nslots = m->nslots ? m->nslots * 2 : SLOTS_MIN;
	struct slot *slots;

	if (nslots < m->nslots)
		return -ENOMEM;
	slots = calloc(nslots, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->nslots; i++) {
		struct slot *s = &m->slots[i];

		if (s->key)
			*probe(slots, nslots, (struct str){ .p = s->key, .n = s->n }, s->hash) = *s;
	}
	free(m->slots);
	m->slots = slots;
	m->nslots = nslots;
	return 0;
}

int map_put(struct map *m, struct str key, void *value, void **ret_old)
{
	uint64_t hash = hash_of(key);
	struct slot *s;
	char *copy;

	if (m->count >= m->nslots / 4 * 3) {
		int r = grow(m);

		if (r < 0)
			return r;
	}
	s = probe(m->slots, m->nslots, key, hash);
	if (s->key) {
		if (ret_old)
			*ret_old = s->value;
		s->value = value;
		return 0;
	}
	copy = key.n < SIZE_MAX ? malloc(key.n + 1) : NULL;
	if (!copy)
		return -ENOMEM;
	if (key.n)
		memcpy(copy, key.p, key.n);
	copy[key.n] = '\0';
	*s = (struct slot){ .key = copy, .n = key.n, .hash = hash, .value = value };
	m->count++;
	if (ret_old)
		*ret_old = NULL;
	return 0;
}

void *map_find(const struct map *m, struct str key)
{
	return m->nslots ? probe(m->slots, m->nslots, key, hash_of(key))->value : NULL;
}

/* Closes the hole at i: pulls back every follower whose home is not behind the hole. */
static void shift_back(struct map *m, size_t i)
{
	size_t mask = m->nslots - 1;

	for (size_t j = (i + 1) & mask; m->slots[j].key; j = (j + 1) & mask) {
		size_t home = m->slots[j].hash & mask;

		if (((j - home) & mask) >= ((j - i) & mask)) {
			m->slots[i] = m->slots[j];
			i = j;
		}
	}
	m->slots[i] = (struct slot){ 0 };
}

void *map_remove(struct map *m, struct str key)
{
	struct slot *s;
	void *value;

	if (!m->nslots)
		return NULL;
	s = probe(m->slots, m->nslots, key, hash_of(key));
	if (!s->key)
		return NULL;
	value = s->value;
	free(s->key);
	m->count--;
	shift_back(m, (size_t)(s - m->slots));
	return value;
}

size_t map_count(const struct map *m)
{
	return m->count;
}

void map_each(const struct map *m, bool (*fn)(void *ctx, struct str key, void *value), void *ctx)
{
	for (size_t i = 0; i < m->nslots; i++) {
		const struct slot *s = &m->slots[i];

		if (s->key && !fn(ctx, (struct str){ .p = s->key, .n = s->n }, s->value))
			return;
	}
}
