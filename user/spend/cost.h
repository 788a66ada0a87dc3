// SPDX-License-Identifier: Apache-2.0
/*
 * cost.h: what a call costs, and at most can cost. Pure, exact: sums in 128 bits of femto-dollars, one rounding per call, up
 * to the next nano-dollar.
 */
#ifndef PURSE_SPEND_COST_H
#define PURSE_SPEND_COST_H

#include "spend/price.h"

/* The bounds of a call before it is made. All >= 0. */
struct cost_bounds {
	int64_t input;       /* input tokens at most; capped by price->max_input when that is known */
	bool input_is_model_max; /* the body does not hold all input: use price->max_input (-ERANGE if unknown) */
	int64_t output;      /* output tokens at most, all choices; -1 = use price->max_output x choices */
	int64_t choices;
	bool cache_write, cache_write_1h, audio;
	enum tier tier;      /* UNKNOWN = dearest */
	int64_t web_searches;
	int multiplier_pct;  /* host uplift: 100 = none, 110 = regional */
};

/* The dearest the call can be. 0 and *ret; -ERANGE: not bounded (e says which bound is missing); -EOVERFLOW. */
int cost_ceiling(const struct price *p, const struct cost_bounds *b, nanousd *ret, struct err *e);

/* The exact cost of a usage. tier UNKNOWN = dearest. 0; -EINVAL: parts larger than their whole were clamped is NOT an
 * error (money was spent): *ret_clamped tells; -EOVERFLOW; -ENODATA: a unit without a price (web search). */
int cost_of(const struct price *p, const struct usage *u, enum tier tier, int multiplier_pct, nanousd *ret,
	    bool *ret_clamped);

/*
 * When no usage came: input as bounded at the hold (or exact if the provider told it early), output = bytes of text / 3
 * rounded up, at most bounds->output; with hidden reasoning the whole output bound. Never above the hold, never zero
 * once anything was sent.
 */
int cost_estimate(const struct price *p, const struct cost_bounds *b, const struct usage *exact_input /* NULL */,
		  int64_t output_bytes, bool reasoning_hidden, nanousd hold, nanousd *ret);

#endif
