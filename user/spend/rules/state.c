// SPDX-License-Identifier: Apache-2.0
/* rules/state.c: see rules/state.h. No rule is known here; which sum belongs to which rule is rules/ask.c. */
#include "spend/rules/state.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* ---- sums */

#define SUM_MAX (INT64_MAX / 2)

void lately_init(struct lately *l, int64_t window_s)
{
	ASSERT(window_s > 0);
	*l = (struct lately){ .step_s = (window_s + LATELY_STEPS - 1) / LATELY_STEPS };
	l->nsteps = (window_s + l->step_s - 1) / l->step_s;
}

/* One place more than steps in the window: the step being filled is not over. */
static int64_t places(const struct lately *l)
{
	return l->nsteps + 1;
}

static void move_on(struct lately *l, int64_t now_s)
{
	int64_t step = now_s / l->step_s;

	if (step - l->newest >= places(l)) {
		memset(l->at, 0, sizeof(l->at));
		l->sum = 0;
		l->newest = step;
	}
	while (l->newest < step) {
		int64_t *oldest = &l->at[++l->newest % places(l)];

		l->sum -= *oldest;
		*oldest = 0;
	}
}

void lately_add(struct lately *l, int64_t now_s, int64_t n)
{
	move_on(l, now_s);
	n = n > SUM_MAX - l->sum ? SUM_MAX - l->sum : n;
	l->at[l->newest % places(l)] += n;
	l->sum += n;
}

int64_t lately_sum(struct lately *l, int64_t now_s)
{
	move_on(l, now_s);
	return l->sum;
}

int64_t lately_wait_s(struct lately *l, int64_t now_s, int64_t n)
{
	int64_t gone = 0;

	move_on(l, now_s);
	for (int64_t step = l->newest - l->nsteps; step <= l->newest; step++) {
		if (step < 0)
			continue;
		gone += l->at[step % places(l)];
		if (gone >= n) {
			int64_t wait_s = (step + places(l)) * l->step_s - now_s;

			return wait_s > 0 ? wait_s : 1;
		}
	}
	return 0;
}

/* ---- sightings */

void sightings_done(struct sightings *s)
{
	free(s->ring);
	free(s->chains);
	*s = (struct sightings){ 0 };
}

/* Fingerprints are hashes already, but of what may be only their low bits. */
static uint32_t chain_of(const struct sightings *s, uint64_t fingerprint)
{
	return (uint32_t)((fingerprint * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (s->cap - 1);
}

static bool is_kept(const struct sightings *s, uint32_t number)
{
	return number && s->n - number < s->cap;
}

/* Seconds since; modulo 2^32, as at_s. */
static int64_t age_s(const struct sighting *at, int64_t now_s)
{
	return (int64_t)((uint32_t)now_s - at->at_s);
}

int64_t sightings_count(const struct sightings *s, uint64_t fingerprint, int64_t now_s, int64_t within_s, int64_t most,
			int64_t *ret_oldest_s)
{
	int64_t n = 0;

	if (!s->cap)
		return 0;
	for (uint32_t i = s->chains[chain_of(s, fingerprint)]; n < most && is_kept(s, i);) {
		const struct sighting *at = &s->ring[i & (s->cap - 1)];

		/* Older ones follow. <= : its second may have been over only just now. */
		if (age_s(at, now_s) > within_s)
			break;
		if (at->fingerprint == fingerprint) {
			n++;
			*ret_oldest_s = now_s - age_s(at, now_s);
		}
		i = at->before;
	}
	return n;
}

static void put(struct sightings *s, uint64_t fingerprint, uint32_t at_s)
{
	uint32_t *chain = &s->chains[chain_of(s, fingerprint)];

	s->n++;
	s->ring[s->n & (s->cap - 1)] = (struct sighting){ .fingerprint = fingerprint, .before = *chain, .at_s = at_s };
	*chain = s->n;
}

/* Everything is put again, oldest first, since both places and chains go by the size. */
static void grow(struct sightings *s, uint32_t cap)
{
	struct sightings bigger = { .cap = cap, .ring = calloc(cap, sizeof(*s->ring)), .chains = calloc(cap, sizeof(*s->chains)) };

	if (!bigger.ring || !bigger.chains) {
		sightings_done(&bigger);
		return;
	}
	for (uint32_t left = s->n < s->cap ? s->n : s->cap; left-- > 0;) {
		const struct sighting *at = &s->ring[(s->n - left) & (s->cap - 1)];

		put(&bigger, at->fingerprint, at->at_s);
	}
	sightings_done(s);
	*s = bigger;
}

static void make_room(struct sightings *s, int64_t now_s, int64_t within_s)
{
	if (!s->cap) {
		grow(s, SIGHTINGS_MIN);
		return;
	}
	/* Numbers come round once in four billion requests; then all is forgotten rather than chained wrongly. */
	if (s->n == UINT32_MAX) {
		memset(s->chains, 0, s->cap * sizeof(*s->chains));
		s->n = 0;
	}
	const struct sighting *next = &s->ring[(s->n + 1) & (s->cap - 1)];

	if (s->n >= s->cap && s->cap < SIGHTINGS_MAX && age_s(next, now_s) <= within_s)
		grow(s, 2 * s->cap);
}

void sightings_add(struct sightings *s, uint64_t fingerprint, int64_t now_s, int64_t within_s)
{
	make_room(s, now_s, within_s);
	if (s->cap)
		put(s, fingerprint, (uint32_t)now_s);
}
