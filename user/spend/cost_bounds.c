// SPDX-License-Identifier: Apache-2.0
/*
 * cost_bounds.c: the most that a call can cost before it is made, and what it is charged when nobody says what it used. A bound
 * takes the dearest rate of each side at every context length that the input may have.
 */
#include <errno.h>

#include "spend/cost_own.h"

/* Clocks differ: so close to the end of cheaper hours the provider may see it the other way. */
#define EDGE_S 300

static int input_bound(const struct price *p, const struct cost_bounds *b, int64_t *ret, struct err *e)
{
	if (!rates_by_token(p)) {
		*ret = 0;
		return 0;
	}
	if (b->input_is_model_max && p->max_input < 0)
		return err_set(e, ERANGE, "model \"%s\": part of the input is not in the request (files, images or earlier turns by "
			       "reference) and the price list has no max_input for it; add max_input to its entry", p->model);
	int64_t n = b->input_is_model_max ? p->max_input : b->input;

	n = p->max_input >= 0 ? min64(n, p->max_input) : n;
	if (__builtin_mul_overflow(n, max64(b->passes, 1), ret))
		return err_set(e, EOVERFLOW, "model \"%s\": %lld passes over the input are too many", p->model, (long long)b->passes);
	return 0;
}

static int output_bound(const struct price *p, const struct cost_bounds *b, int64_t *ret, struct err *e)
{
	if (b->output >= 0 || !rates_by_token(p)) {
		*ret = max64(b->output, 0);
		return 0;
	}
	/* An embedding has no output. */
	if (p->max_output < 0 && p->sets[TIER_STANDARD].output == PRICE_UNKNOWN) {
		*ret = 0;
		return 0;
	}
	if (p->max_output < 0)
		return err_set(e, ERANGE, "model \"%s\": the request does not bound its output and the price list has no max_output for "
			       "it; set max_tokens in the request or max_output in the price list", p->model);
	if (__builtin_mul_overflow(p->max_output, max64(b->choices, 1), ret))
		return err_set(e, EOVERFLOW, "model \"%s\": %lld choices are too many", p->model, (long long)b->choices);
	return 0;
}

static bool near_an_edge(const struct price *p, int64_t at_s)
{
	return rates_off_peak(p, at_s - EDGE_S) == NULL || rates_off_peak(p, at_s + EDGE_S) == NULL;
}

/* Class by class the dearest, with up to so much input. */
static struct rates dearest_up_to(const struct price *p, const struct cost_terms *t, int64_t input)
{
	struct rates all = rates_pick(p, t, 0);

	if (p->noff_peak && near_an_edge(p, t->at_s)) {
		struct rates peak = rates_pick_peak(p, t, 0);

		rates_raise(&all, &peak);
	}
	for (size_t level = 1; level <= rates_crossed(p, input); level++) {
		struct rates above = rates_pick(p, t, level);

		rates_raise(&all, &above);
	}
	return all;
}

static femtousd input_rate(const struct rates *r, const struct cost_bounds *b)
{
	femtousd most = max64(max64(r->input, r->cache_read), max64(max64(r->image_input, r->image_cache_read), r->video_input));

	if (b->cache_write || b->cache_write_1h)
		most = max64(most, r->cache_write_5m);
	if (b->cache_write_1h)
		most = max64(most, r->cache_write_1h);
	return b->audio ? max64(most, max64(r->audio_input, r->audio_cache_read)) : most;
}

static femtousd output_rate(const struct rates *r, bool audio)
{
	femtousd most = max64(max64(r->output, r->reasoning), r->image_output);

	return audio ? max64(most, r->audio_output) : most;
}

/* ---- fees */

struct fee {
	const char *what, *key;
	int64_t count;
	femtousd each;
	bool or_tokens;
};

static int fee_bound(const struct price *p, const struct fee *f, wide *sum, struct err *e)
{
	if (f->count <= 0 || (f->each == PRICE_UNKNOWN && f->or_tokens && p->sets[TIER_STANDARD].input != PRICE_UNKNOWN))
		return 0;
	if (f->count > USAGE_TOKENS_MAX)
		return err_set(e, EOVERFLOW, "model \"%s\": more than %lld %s are asked for", p->model, (long long)USAGE_TOKENS_MAX, f->what);
	if (f->each == PRICE_UNKNOWN)
		return err_set(e, ERANGE, "model \"%s\": the price list has no %s price for the %s that this request may use; add one to its "
			       "entry", p->model, f->key, f->what);
	*sum += (wide)f->count * f->each;
	return 0;
}

/* searches: at least so many, as they were told already. */
static int fees_bound(const struct price *p, const struct cost_bounds *b, int64_t searches, wide *ret, struct err *e)
{
	const struct cost_terms *t = &b->terms;
	femtousd search = p->per_web_search[(unsigned)t->search_context < SEARCH_CONTEXT_COUNT ? t->search_context : SEARCH_CONTEXT_UNKNOWN];
	const struct fee fees[] = {
		{ .what = "searches", .key = "web_search", .count = max64(b->web_searches, searches), .each = search },
		{ .what = "file searches", .key = "file_search", .count = b->file_searches, .each = p->per_file_search },
		{ .what = "code sessions", .key = "code_session", .count = b->code_sessions, .each = p->per_code_session },
		{ .what = "pages", .key = "page", .count = b->pages, .each = p->per_page },
		{ .what = "pictures", .key = "image", .count = b->images, .each = rates_image(p->images, p->nimages, t), .or_tokens = true },
		{ .what = "milliseconds of sound", .key = "audio_second", .count = b->audio_ms, .each = p->per_audio_ms, .or_tokens = true },
		{ .what = "milliseconds of video", .key = "video_second", .count = b->video_ms, .each = p->per_video_ms, .or_tokens = true },
		{ .what = "characters", .key = "character", .count = b->characters, .each = p->per_character, .or_tokens = true },
	};
	int r = 0;

	*ret = p->per_request;
	for (size_t i = 0; r == 0 && i < sizeof(fees) / sizeof(fees[0]); i++)
		r = fee_bound(p, &fees[i], ret, e);
	return r;
}

/* ---- the sum */

static int round_or_say(const struct price *p, const struct cost_terms *t, wide tokens, wide fees, nanousd *ret, struct err *e)
{
	int r = cost_round(p, t, tokens, fees, ret);

	if (r == -ENODATA && rates_fast_permille(p, t) < 0)
		return err_set(e, ERANGE, "model \"%s\": the price list has no price for its fast mode; add \"fast\" to its entry", p->model);
	if (r == -ENODATA)
		return err_set(e, ERANGE, "model \"%s\": the price list has no price for it in \"%s\"; add it under \"geo\" of its entry",
			       p->model, t->geo);
	if (r < 0)
		return err_set(e, EOVERFLOW, "model \"%s\": the cost of this call is out of range", p->model);
	return 0;
}

static int sum_bounds(const struct price *p, const struct cost_bounds *b, int64_t input, int64_t output, nanousd *ret,
		      struct err *e)
{
	wide fees, tokens = 0;
	int r;

	if (input > USAGE_TOKENS_MAX || output > USAGE_TOKENS_MAX)
		return err_set(e, EOVERFLOW, "model \"%s\": more than %lld tokens are asked for; lower max_tokens or the number of choices",
			       p->model, (long long)USAGE_TOKENS_MAX);
	if (rates_by_token(p)) {
		struct rates rates = dearest_up_to(p, &b->terms, input);
		femtousd out = output_rate(&rates, b->audio);

		if (output > 0 && out == PRICE_UNKNOWN)
			return err_set(e, ERANGE, "model \"%s\": the price list has no output price for it; it can be used for embeddings only",
				       p->model);
		tokens = (wide)input * input_rate(&rates, b) + (output > 0 ? (wide)output * out : 0);
	}
	r = fees_bound(p, b, 0, &fees, e);
	return r < 0 ? r : round_or_say(p, &b->terms, tokens, fees, ret, e);
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
static int exact_estimate(const struct price *p, const struct cost_bounds *b, const struct usage *u, int64_t output, nanousd *ret)
{
	bool clamped = false;
	wide fees, tokens = 0;

	if (u->input > USAGE_TOKENS_MAX || output > USAGE_TOKENS_MAX)
		return -ERANGE;
	if (rates_by_token(p)) {
		struct rates r = rates_pick(p, &b->terms, rates_crossed(p, u->input));
		femtousd out = output_rate(&r, b->audio);

		if (output > 0 && out == PRICE_UNKNOWN)
			return -ERANGE;
		tokens = cost_input(&r, u, &clamped) + (output > 0 ? (wide)output * out : 0);
	}
	if (fees_bound(p, b, u->web_searches, &fees, NULL) < 0)
		return -ERANGE;
	return round_or_say(p, &b->terms, tokens, fees, ret, NULL);
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
