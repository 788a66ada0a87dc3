// SPDX-License-Identifier: Apache-2.0
/*
 * rules/state.h: what rules remember: sums of what was seen lately, and which requests were. Knows neither accounts nor budgets, has
 * no lock (the budget's guards it) and no clock: now_s is an argument and never falls (budget_now); an earlier one is taken
 * for the latest seen. Bounded at birth; a restart forgets it.
 */
#ifndef PURSE_SPEND_RULES_STATE_H
#define PURSE_SPEND_RULES_STATE_H

#include "terms.h"

/*
 * A sum over a sliding window, in at most LATELY_STEPS steps; a window that does not divide evenly becomes longer by less than a step.
 * Towards the strict side: what was added in a step counts until the whole window has passed after that step's end.
 */
#define LATELY_STEPS 60
struct lately {
	int64_t step_s;
	int64_t nsteps;
	int64_t newest; /* the step that is being filled: unix seconds / step_s */
	int64_t sum;
	int64_t at[LATELY_STEPS + 1]; /* by step number modulo nsteps + 1 */
};
void lately_init(struct lately *l, int64_t window_s);
void lately_add(struct lately *l, int64_t now_s, int64_t n); /* n >= 0; the sum stops at INT64_MAX / 2 */
int64_t lately_sum(struct lately *l, int64_t now_s);
/* Seconds until at least n of the sum have left the window; 0 = that many never leave. */
int64_t lately_wait_s(struct lately *l, int64_t now_s, int64_t n);

/*
 * Requests that were seen, by fingerprint: a ring of the last ones in which equal hashes are chained, newest first. It grows up to
 * SIGHTINGS_MAX while what would be overwritten still is inside the window; beyond that, or without memory, the oldest are
 * forgotten early (more than that many different requests within the window hide a slow loop; a fast one is seen still).
 */
#define SIGHTINGS_MIN 64
#define SIGHTINGS_MAX 2048
struct sighting {
	uint64_t fingerprint;
	uint32_t before; /* number of the one before it in its chain, 0 = none */
	uint32_t at_s;   /* unix seconds; the low 32 bits are enough */
};
struct sightings {
	uint32_t n;   /* number of the newest, from 1 */
	uint32_t cap; /* a power of two; 0 = nothing yet */
	struct sighting *ring; /* number n stands at n % cap */
	uint32_t *chains;      /* newest of each, by hash % cap */
};
void sightings_done(struct sightings *s);
/* How often it was seen within the last within_s seconds, at most `most`; *ret_oldest_s is when the oldest counted one was. */
int64_t sightings_count(const struct sightings *s, uint64_t fingerprint, int64_t now_s, int64_t within_s, int64_t most,
			int64_t *ret_oldest_s);
void sightings_add(struct sightings *s, uint64_t fingerprint, int64_t now_s, int64_t within_s);

#endif
