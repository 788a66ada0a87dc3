// SPDX-License-Identifier: Apache-2.0
/*
 * cost.h: what a call costs, and at most can cost. Pure, exact: sums in 128 bits, one rounding per call, up to the next
 * nano-dollar. The bound is a bound: for every usage within the bounds and the same terms, cost_of <= cost_ceiling
 * (tests/unit/spend/test_cost_property.c).
 */
#ifndef PURSE_SPEND_COST_H
#define PURSE_SPEND_COST_H

#include "spend/price/price.h"

/* What changes the price of a call besides its counts. Zero is: standard tier, no extras, time not known. */
struct cost_terms {
	enum tier tier;      /* UNKNOWN = dearest */
	bool fast;
	const char *geo;     /* "us"; NULL or "" = none; COST_ANYWHERE = not known: the dearest that the price lists */
	const char *region;  /* of the host that it is sent to, for models whose price has an uplift there; NULL or "" = none */
	int multiplier_pct;  /* of the host, by the config: 0 and 100 = none, 110 = a tenth more */
	int64_t at_s;        /* when it was asked for, unix seconds; 0 = not known: no cheaper hours */
	enum search_context search_context;
	const char *image_quality, *image_size; /* NULL or "" = not known: the dearest */
};
#define COST_ANYWHERE "*"

/* The bounds of a call before it is made. All >= 0. */
struct cost_bounds {
	int64_t input;       /* input tokens of one pass at most; capped by price->max_input when that is known */
	bool input_is_model_max; /* the body does not hold all input: use price->max_input (-ERANGE if unknown) */
	int64_t passes;      /* how often the model may be run over its input; 0 = 1 */
	int64_t output;      /* output tokens at most, all choices; -1 = use price->max_output x choices */
	int64_t choices;
	bool cache_write, cache_write_1h, audio;
	int64_t web_searches, file_searches, code_sessions, images, audio_ms, video_ms, characters, pages;
	struct cost_terms terms;
};

/* The dearest the call can be. 0 and *ret; -ERANGE: not bounded (e says which bound or price is missing); -EOVERFLOW. */
int cost_ceiling(const struct price *p, const struct cost_bounds *b, nanousd *ret, struct err *e);

/*
 * The exact cost of a usage. 0; -EOVERFLOW; -ENODATA: something was used, or a mode asked for, that has no price here. Parts larger
 * than their whole are NOT an error (money was spent): they are cut, *ret_clamped tells.
 */
int cost_of(const struct price *p, const struct usage *u, const struct cost_terms *t, nanousd *ret, bool *ret_clamped);

/*
 * When no usage came: input as bounded at the hold (or exact if the provider told it early), output = bytes of text / 3
 * rounded up, at most bounds->output; with hidden reasoning the whole output bound. Never above the hold, never zero
 * once anything was sent.
 */
int cost_estimate(const struct price *p, const struct cost_bounds *b, const struct usage *exact_input /* NULL */,
		  int64_t output_bytes, bool reasoning_hidden, nanousd hold, nanousd *ret);

/*
 * For a ledger row: which entry and which of its rates: "openai/gpt-5.4@2026-08-21+priority>272000". ">N": above that threshold,
 * "+TIER", "+fast", "+off_peak", "+geo:us". A model's name is cut in the middle rather than the rest lost. size >= 64.
 */
void cost_name(const struct price *p, const struct usage *u, const struct cost_terms *t, char *ret, size_t size);

#endif
