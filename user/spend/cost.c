// SPDX-License-Identifier: Apache-2.0
/*
 * cost.c: a price and a usage become nano-dollars. The rates are chosen first (cost_rates.c), then counts are multiplied and summed in
 * 128 bits, then factors are put on, then it is rounded once, up. Pure. In doubt the dearer. What a call can cost before it is made is
 * cost_bounds.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "spend/cost_own.h"

/* ---- the one rounding */

static int round_up(wide sum, wide unit, nanousd *ret)
{
	wide nano;

	/* Most calls: 64 bits are enough, and much faster to divide. */
	if (unit == FEMTOUSD_PER_NANOUSD && sum >= 0 && sum <= INT64_MAX - FEMTOUSD_PER_NANOUSD) {
		*ret = ((int64_t)sum + FEMTOUSD_PER_NANOUSD - 1) / FEMTOUSD_PER_NANOUSD;
		return 0;
	}
	if (__builtin_add_overflow(sum, unit - 1, &nano))
		return -EOVERFLOW;
	nano /= unit;
	if (nano > INT64_MAX)
		return -EOVERFLOW;
	*ret = (nanousd)nano;
	return 0;
}

int cost_round(const struct price *p, const struct cost_terms *t, wide tokens, wide fees, nanousd *ret)
{
	const int64_t factors[] = { t->multiplier_pct > 0 ? (int64_t)t->multiplier_pct * 10 : 1000, rates_fast_permille(p, t),
				    rates_geo_permille(p, t), rates_regional_permille(p, t) };
	wide unit = FEMTOUSD_PER_NANOUSD, sum;

	for (size_t i = 0; i < sizeof(factors) / sizeof(factors[0]); i++) {
		if (factors[i] < 0)
			return -ENODATA;
		if (factors[i] == 1000)
			continue;
		if (__builtin_mul_overflow(tokens, (wide)factors[i], &tokens) || __builtin_mul_overflow(fees, (wide)1000, &fees))
			return -EOVERFLOW;
		unit *= 1000;
	}
	return __builtin_add_overflow(tokens, fees, &sum) ? -EOVERFLOW : round_up(sum, unit, ret);
}

/* ---- tokens */

static int64_t take(int64_t *rest, int64_t part, bool *clamped)
{
	int64_t n = part < 0 ? 0 : min64(part, *rest);

	*clamped |= n != part;
	*rest -= n;
	return n;
}

/* Parts are taken out of the whole one after the other, so that what overlaps is paid once, at the rate of the more special. */
wide cost_input(const struct rates *r, const struct usage *u, bool *clamped)
{
	int64_t whole = INT64_MAX, rest = take(&whole, u->input, clamped);
	int64_t w1h = take(&rest, u->cache_write_1h, clamped);
	int64_t w5m = take(&rest, u->cache_write_5m, clamped);
	int64_t audio = take(&rest, u->audio_input, clamped);
	int64_t image = take(&rest, u->image_input, clamped);
	int64_t video = take(&rest, u->video_input, clamped);
	int64_t audio_left = audio, image_left = image, read_whole = u->cache_read > 0 ? u->cache_read : 0;

	*clamped |= u->cache_read < 0;
	/* The part of both: its tokens are in audio (or image) already, so they are no more to be taken from what is left. */
	int64_t audio_read = take(&audio_left, min64(u->audio_cache_read, read_whole), clamped);
	read_whole -= audio_read;
	int64_t image_read = take(&image_left, min64(u->image_cache_read, read_whole), clamped);
	read_whole -= image_read;
	int64_t read = take(&rest, read_whole, clamped);

	*clamped |= audio_read != u->audio_cache_read || image_read != u->image_cache_read;
	return (wide)w1h * r->cache_write_1h + (wide)w5m * r->cache_write_5m + (wide)audio_left * r->audio_input +
	       (wide)audio_read * r->audio_cache_read + (wide)image_left * r->image_input + (wide)image_read * r->image_cache_read +
	       (wide)video * r->video_input + (wide)read * r->cache_read + (wide)rest * r->input;
}

static wide output_cost(const struct rates *r, const struct usage *u, bool *clamped)
{
	int64_t whole = INT64_MAX, rest = take(&whole, u->output, clamped);
	int64_t audio = take(&rest, u->audio_output, clamped);
	int64_t image = take(&rest, u->image_output, clamped);
	int64_t reasoning = take(&rest, u->reasoning, clamped);

	return (wide)audio * r->audio_output + (wide)image * r->image_output + (wide)reasoning * r->reasoning + (wide)rest * r->output;
}

/* ---- what is not tokens */

struct item {
	int64_t count;
	femtousd each;
	bool or_tokens; /* some models bill the same work in tokens: once those are counted, they count */
};

static bool counts_are_sane(const struct usage *u)
{
	int64_t counts[sizeof(*u) / sizeof(int64_t)];

	memcpy(counts, u, sizeof(counts));
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (counts[i] > USAGE_TOKENS_MAX)
			return false;
	return true;
}

static int item_cost(const struct item *item, bool tokens_billed, wide *sum, bool *clamped)
{
	*clamped |= item->count < 0;
	if (item->count <= 0 || (item->or_tokens && tokens_billed))
		return 0;
	if (item->each == PRICE_UNKNOWN)
		return -ENODATA;
	*sum += (wide)item->count * item->each;
	return 1;
}

static femtousd search_fee(const struct price *p, const struct cost_terms *t)
{
	return p->per_web_search[(unsigned)t->search_context < SEARCH_CONTEXT_COUNT ? t->search_context : SEARCH_CONTEXT_UNKNOWN];
}

/* -ENODATA, or how many kinds of items were paid for. */
static int items_cost(const struct price *p, const struct usage *u, const struct cost_terms *t, bool tokens_billed, wide *ret, bool *clamped)
{
	const struct item items[] = {
		{ .count = u->web_searches, .each = search_fee(p, t) },
		{ .count = u->file_searches, .each = p->per_file_search },
		{ .count = u->code_sessions, .each = p->per_code_session },
		{ .count = u->pages, .each = p->per_page },
		{ .count = u->images, .each = u->images > 0 ? rates_image(p->images, p->nimages, t) : 0, .or_tokens = true },
		{ .count = u->audio_ms, .each = p->per_audio_ms, .or_tokens = true },
		{ .count = u->video_ms, .each = p->per_video_ms, .or_tokens = true },
		{ .count = u->characters, .each = p->per_character, .or_tokens = true },
	};
	int paid = p->per_request > 0;

	*ret = p->per_request;
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		int r = item_cost(&items[i], tokens_billed, ret, clamped);

		if (r < 0)
			return r;
		paid += r;
	}
	return paid;
}

int cost_of(const struct price *p, const struct usage *u, const struct cost_terms *t, nanousd *ret, bool *ret_clamped)
{
	bool clamped = false, counted = u->input > 0 || u->output > 0, by_token = rates_by_token(p);
	wide fees, tokens = 0;

	if (!counts_are_sane(u))
		return -EOVERFLOW;
	int paid = items_cost(p, u, t, counted && by_token, &fees, &clamped);
	/* Tokens are not what this model is billed by: something else must be told. */
	if (paid < 0 || (!by_token && counted && paid == 0))
		return -ENODATA;
	if (by_token) {
		struct rates r = rates_pick(p, t, rates_crossed(p, u->input));

		if (u->output > 0 && r.output == PRICE_UNKNOWN)
			return -ENODATA;
		tokens = cost_input(&r, u, &clamped) + output_cost(&r, u, &clamped);
	}
	int error = cost_round(p, t, tokens, fees, ret);

	if (error == 0 && ret_clamped)
		*ret_clamped = clamped;
	return error;
}

/* ---- a name for it */

static const char *const tier_words[] = { "", "+flex", "+priority", "+batch", "+dearest" };

void cost_name(const struct price *p, const struct usage *u, const struct cost_terms *t, char *ret, size_t size)
{
	size_t crossed = rates_crossed(p, u->input), model_len = strlen(p->model);
	bool cheap = p->noff_peak && !crossed && t->tier == TIER_STANDARD && !t->fast && rates_off_peak(p, t->at_s);
	bool in_geo = rates_geo_permille(p, t) > 1000;
	char suffix[96], above[24] = "";

	if (crossed)
		(void)snprintf(above, sizeof above, ">%lld", (long long)p->longs[crossed - 1].above);
	int n = snprintf(suffix, sizeof suffix, "@%.10s%s%s%s%s%s%.12s", p->as_of, tier_words[t->tier <= TIER_UNKNOWN ? t->tier : TIER_UNKNOWN],
			 t->fast ? "+fast" : "", above, cheap ? "+off_peak" : "", in_geo ? "+geo:" : "", in_geo ? t->geo : "");
	size_t room = size - 1 - (size_t)n;
	size_t provider = strlen(p->provider) < room / 3 ? strlen(p->provider) : room / 3;

	room -= provider + 1;
	if (model_len <= room)
		(void)snprintf(ret, size, "%.*s/%s%s", (int)provider, p->provider, p->model, suffix);
	else /* the ends of names say more than their middle */
		(void)snprintf(ret, size, "%.*s/%.*s~%s%s", (int)provider, p->provider, (int)((room - 1) / 2), p->model,
			       p->model + model_len - (room - 1 - (room - 1) / 2), suffix);
}
