// SPDX-License-Identifier: Apache-2.0
/*
 * cost.c: a price and a usage (or the bounds of one) become nano-dollars. All rates are resolved first (fallbacks, tier, long
 * context), then counts are multiplied and summed in 128 bits, then rounded once, up. Pure. In doubt the dearer.
 */
#include "spend/cost.h"

#include <errno.h>
#include <string.h>

typedef __int128 wide; /* femto-dollars x 100 (the multiplier is in per cent) */

static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static femtousd or_else(femtousd rate, femtousd fallback) { return rate == PRICE_UNKNOWN ? fallback : rate; }

/* ---- rates */

static bool is_sold(const struct rates *r) { return r->input != PRICE_UNKNOWN; }

/* Fills what the list left out, as price.h says. `output` stays unknown where a model has none. */
static struct rates resolved(const struct rates *r)
{
	struct rates full = *r;

	full.cache_read = or_else(r->cache_read, r->input);
	full.cache_write_5m = or_else(r->cache_write_5m, r->input);
	full.cache_write_1h = or_else(r->cache_write_1h, r->cache_write_5m == PRICE_UNKNOWN ? r->input : 2 * r->input);
	full.reasoning = or_else(r->reasoning, r->output);
	full.audio_input = or_else(r->audio_input, r->input);
	full.audio_output = or_else(r->audio_output, r->output);
	return full;
}

/* Class by class the dearest of both. PRICE_UNKNOWN is below every price. */
static void raise_to(struct rates *to, const struct rates *r)
{
	if (!is_sold(r))
		return;
	struct rates full = resolved(r);

	to->input = max64(to->input, full.input);
	to->cache_read = max64(to->cache_read, full.cache_read);
	to->cache_write_5m = max64(to->cache_write_5m, full.cache_write_5m);
	to->cache_write_1h = max64(to->cache_write_1h, full.cache_write_1h);
	to->output = max64(to->output, full.output);
	to->reasoning = max64(to->reasoning, full.reasoning);
	to->audio_input = max64(to->audio_input, full.audio_input);
	to->audio_output = max64(to->audio_output, full.audio_output);
}

static struct rates dearest(const struct price *p, bool is_long)
{
	struct rates all = resolved(&p->standard);

	raise_to(&all, &p->flex);
	raise_to(&all, &p->priority);
	raise_to(&all, &p->batch);
	if (is_long) {
		raise_to(&all, &p->long_standard);
		raise_to(&all, &p->long_flex);
		raise_to(&all, &p->long_priority);
	}
	return all;
}

static const struct rates *listed(const struct price *p, enum tier tier, bool is_long)
{
	switch (tier) {
	case TIER_STANDARD:
		return is_long ? &p->long_standard : &p->standard;
	case TIER_FLEX:
		return is_long ? &p->long_flex : &p->flex;
	case TIER_PRIORITY:
		return is_long ? &p->long_priority : &p->priority;
	case TIER_BATCH:
		return is_long ? NULL : &p->batch;
	default:
		return NULL;
	}
}

static struct rates rates_of(const struct price *p, enum tier tier, bool is_long)
{
	const struct rates *r = listed(p, tier, is_long);

	return r && is_sold(r) ? resolved(r) : dearest(p, is_long);
}

static bool is_long_context(const struct price *p, int64_t input)
{
	return p->long_threshold > 0 && input > p->long_threshold;
}

/* ---- the one rounding */

static wide percent(int multiplier_pct) { return multiplier_pct > 0 ? multiplier_pct : 100; }

/* tokens is uplifted by the host's multiplier, flat (requests, searches) is not. */
static int to_nanousd(wide tokens, wide flat, int multiplier_pct, nanousd *ret)
{
	const wide unit = (wide)FEMTOUSD_PER_NANOUSD * 100;
	wide nano = (tokens * percent(multiplier_pct) + flat * 100 + unit - 1) / unit;

	if (nano > INT64_MAX)
		return -EOVERFLOW;
	*ret = (nanousd)nano;
	return 0;
}

/* ---- usage */

static int64_t take(int64_t *rest, int64_t part, bool *clamped)
{
	int64_t n = part < 0 ? 0 : min64(part, *rest);

	*clamped |= n != part;
	*rest -= n;
	return n;
}

static bool counts_are_sane(const struct usage *u)
{
	const int64_t counts[] = { u->input, u->cache_read, u->cache_write_5m, u->cache_write_1h, u->output, u->reasoning,
				   u->audio_input, u->audio_output, u->web_searches };

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (counts[i] > USAGE_TOKENS_MAX)
			return false;
	return true;
}

/* Parts are taken out of the whole from the dearest to the cheapest, so that what overlaps is paid once, at the dearer rate. */
static wide input_cost(const struct rates *r, const struct usage *u, bool *clamped)
{
	int64_t rest = 0, whole = INT64_MAX;

	rest = take(&whole, u->input, clamped);
	int64_t w1h = take(&rest, u->cache_write_1h, clamped);
	int64_t w5m = take(&rest, u->cache_write_5m, clamped);
	int64_t audio = take(&rest, u->audio_input, clamped);
	int64_t read = take(&rest, u->cache_read, clamped);

	return (wide)w1h * r->cache_write_1h + (wide)w5m * r->cache_write_5m + (wide)audio * r->audio_input +
	       (wide)read * r->cache_read + (wide)rest * r->input;
}

static wide output_cost(const struct rates *r, const struct usage *u, bool *clamped)
{
	int64_t rest = 0, whole = INT64_MAX;

	rest = take(&whole, u->output, clamped);
	int64_t audio = take(&rest, u->audio_output, clamped);
	int64_t reasoning = take(&rest, u->reasoning, clamped);

	return (wide)audio * r->audio_output + (wide)reasoning * r->reasoning + (wide)rest * r->output;
}

static int flat_cost(const struct price *p, int64_t searches, wide *ret)
{
	if (searches > 0 && p->per_web_search == PRICE_UNKNOWN)
		return -ENODATA;
	*ret = (wide)p->per_request + (searches > 0 ? (wide)searches * p->per_web_search : 0);
	return 0;
}

int cost_of(const struct price *p, const struct usage *u, enum tier tier, int multiplier_pct, nanousd *ret, bool *ret_clamped)
{
	bool clamped = u->web_searches < 0;
	wide flat;

	if (!counts_are_sane(u))
		return -EOVERFLOW;
	struct rates r = rates_of(p, tier, is_long_context(p, u->input));

	if (u->output > 0 && r.output == PRICE_UNKNOWN)
		return -ENODATA;
	if (flat_cost(p, u->web_searches, &flat) < 0)
		return -ENODATA;
	wide tokens = input_cost(&r, u, &clamped) + output_cost(&r, u, &clamped);
	int error = to_nanousd(tokens, flat, multiplier_pct, ret);

	if (error == 0 && ret_clamped)
		*ret_clamped = clamped;
	return error;
}

/* ---- bounds */

static int input_bound(const struct price *p, const struct cost_bounds *b, int64_t *ret, struct err *e)
{
	if (b->input_is_model_max && p->max_input < 0)
		return err_set(e, ERANGE, "model \"%s\": part of the input is not in the request (files, images or earlier turns by "
			       "reference) and the price list has no max_input for it; add max_input to its entry", p->model);
	int64_t n = b->input_is_model_max ? p->max_input : b->input;

	*ret = p->max_input >= 0 ? min64(n, p->max_input) : n;
	return 0;
}

static int output_bound(const struct price *p, const struct cost_bounds *b, int64_t *ret, struct err *e)
{
	if (b->output >= 0) {
		*ret = b->output;
		return 0;
	}
	if (p->max_output < 0)
		return err_set(e, ERANGE, "model \"%s\": the request does not bound its output and the price list has no max_output for "
			       "it; set max_tokens in the request or max_output in the price list", p->model);
	if (__builtin_mul_overflow(p->max_output, max64(b->choices, 1), ret))
		return err_set(e, EOVERFLOW, "model \"%s\": %lld choices are too many", p->model, (long long)b->choices);
	return 0;
}

/* The dearest that a token of each side can cost, with up to `input` tokens of context. */
static void bound_rates(const struct price *p, const struct cost_bounds *b, int64_t input, femtousd *ret_in, femtousd *ret_out)
{
	struct rates r = rates_of(p, b->tier, false);

	if (is_long_context(p, input)) {
		struct rates above = rates_of(p, b->tier, true);

		raise_to(&r, &above);
	}
	*ret_in = max64(r.input, r.cache_read);
	if (b->cache_write || b->cache_write_1h)
		*ret_in = max64(*ret_in, r.cache_write_5m);
	if (b->cache_write_1h)
		*ret_in = max64(*ret_in, r.cache_write_1h);
	*ret_out = max64(r.output, r.reasoning);
	if (b->audio) {
		*ret_in = max64(*ret_in, r.audio_input);
		*ret_out = max64(*ret_out, r.audio_output);
	}
}

static int sum_bounds(const struct price *p, const struct cost_bounds *b, int64_t input, int64_t output, nanousd *ret,
		      struct err *e)
{
	femtousd in_rate, out_rate;
	wide flat;

	if (input > USAGE_TOKENS_MAX || output > USAGE_TOKENS_MAX || b->web_searches > USAGE_TOKENS_MAX)
		return err_set(e, EOVERFLOW, "model \"%s\": more than %lld tokens are asked for; lower max_tokens or the number of choices",
			       p->model, (long long)USAGE_TOKENS_MAX);
	bound_rates(p, b, input, &in_rate, &out_rate);
	if (output > 0 && out_rate == PRICE_UNKNOWN)
		return err_set(e, ERANGE, "model \"%s\": the price list has no output price for it; it can be used for embeddings only",
			       p->model);
	if (flat_cost(p, b->web_searches, &flat) < 0)
		return err_set(e, ERANGE, "model \"%s\": the price list has no web_search price for it; add one to its entry", p->model);
	wide tokens = (wide)input * in_rate + (output > 0 ? (wide)output * out_rate : 0);

	if (to_nanousd(tokens, flat, b->multiplier_pct, ret) < 0)
		return err_set(e, EOVERFLOW, "model \"%s\": the cost of this call is out of range", p->model);
	return 0;
}

int cost_ceiling(const struct price *p, const struct cost_bounds *b, nanousd *ret, struct err *e)
{
	int64_t input = 0, output = 0;
	int r = input_bound(p, b, &input, e);

	if (r == 0)
		r = output_bound(p, b, &output, e);
	return r < 0 ? r : sum_bounds(p, b, input, output, ret, e);
}

/* ---- estimate */

/* An exact input as a price of its own: what it costs, with the output that was seen at the dearest output rate. */
static int exact_estimate(const struct price *p, const struct cost_bounds *b, const struct usage *exact, int64_t output,
			  nanousd *ret)
{
	struct usage u = *exact;
	bool is_long = is_long_context(p, u.input), clamped = false;
	struct rates r = rates_of(p, b->tier, is_long);
	wide flat;

	if (!counts_are_sane(&u) || (output > 0 && r.output == PRICE_UNKNOWN))
		return -ERANGE;
	if (flat_cost(p, max64(b->web_searches, u.web_searches), &flat) < 0)
		return -ERANGE;
	femtousd out_rate = max64(r.output, r.reasoning);

	out_rate = b->audio ? max64(out_rate, r.audio_output) : out_rate;
	return to_nanousd(input_cost(&r, &u, &clamped) + (output > 0 ? (wide)output * out_rate : 0), flat, b->multiplier_pct, ret);
}

int cost_estimate(const struct price *p, const struct cost_bounds *b, const struct usage *exact_input, int64_t output_bytes,
		  bool reasoning_hidden, nanousd hold, nanousd *ret)
{
	int64_t input = 0, output = 0, seen = output_bytes > 0 ? output_bytes / 3 + (output_bytes % 3 != 0) : 0;
	int r = input_bound(p, b, &input, NULL);

	if (r == 0)
		r = output_bound(p, b, &output, NULL);
	if (r < 0)
		return r;
	if (!reasoning_hidden)
		output = min64(output, seen);
	r = exact_input ? exact_estimate(p, b, exact_input, output, ret) : sum_bounds(p, b, input, output, ret, NULL);
	if (r == 0)
		*ret = min64(hold, max64(*ret, 1));
	return r;
}
