// SPDX-License-Identifier: Apache-2.0
/* cost_own.h: between cost_rates.c (which rates), cost.c (what a usage costs) and cost_bounds.c (what a call can cost at most). */
#ifndef PURSE_SPEND_COST_OWN_H
#define PURSE_SPEND_COST_OWN_H

#include "spend/cost.h"

typedef __int128 wide; /* femto-dollars */

static inline int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

/* Tokens are billed at all: always, but for media without token rates. */
bool rates_by_token(const struct price *p);
/* How many long-context thresholds so much input crosses. */
size_t rates_crossed(const struct price *p, int64_t input);
/* The rates of a request that crosses so many thresholds, without factors. Complete but for what a model does not make at all. */
struct rates rates_pick(const struct price *p, const struct cost_terms *t, size_t crossed);
/* The same, with no cheaper hours. */
struct rates rates_pick_peak(const struct price *p, const struct cost_terms *t, size_t crossed);
/* Class by class the dearer. PRICE_UNKNOWN is below every price. */
void rates_raise(struct rates *to, const struct rates *r);
/* The cheaper hours that hold at that time; NULL = none. */
const struct price_off_peak *rates_off_peak(const struct price *p, int64_t at_s);

/* 1000 = none. -1: a mode or place that has no price here. */
int64_t rates_fast_permille(const struct price *p, const struct cost_terms *t);
int64_t rates_geo_permille(const struct price *p, const struct cost_terms *t);
int64_t rates_regional_permille(const struct price *p, const struct cost_terms *t);

/* The dearest picture that fits the terms; PRICE_UNKNOWN = none does. */
femtousd rates_image(const struct price_image *images, size_t n, const struct cost_terms *t);

wide cost_input(const struct rates *r, const struct usage *u, bool *clamped);
/* All factors on `tokens`, none on `fees`, one rounding up. -ENODATA: a factor has no price; -EOVERFLOW. */
int cost_round(const struct price *p, const struct cost_terms *t, wide tokens, wide fees, nanousd *ret);

#endif
