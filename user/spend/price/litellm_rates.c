// SPDX-License-Identifier: Apache-2.0
/*
 * price/litellm_rates.c: what a token costs in LiteLLM's file: the names BASE[_above_Nk_tokens][_TIER], steps of input, cheaper hours.
 * Fees are litellm_fees.c, pictures litellm_pictures.c.
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "spend/price/litellm.h"

/* ---- the grammar of field names */

static const struct { const char *base; size_t at; } token_bases[] = {
	{ "input_cost_per_token", offsetof(struct rates, input) },
	{ "output_cost_per_token", offsetof(struct rates, output) },
	{ "cache_read_input_token_cost", offsetof(struct rates, cache_read) },
	{ "input_cost_per_token_cache_hit", offsetof(struct rates, cache_read) },
	{ "cache_creation_input_token_cost", offsetof(struct rates, cache_write_5m) },
	{ "cache_creation_input_token_cost_above_1hr", offsetof(struct rates, cache_write_1h) },
	{ "output_cost_per_reasoning_token", offsetof(struct rates, reasoning) },
	{ "input_cost_per_audio_token", offsetof(struct rates, audio_input) },
	{ "output_cost_per_audio_token", offsetof(struct rates, audio_output) },
	{ "cache_read_input_audio_token_cost", offsetof(struct rates, audio_cache_read) },
	{ "cache_creation_input_audio_token_cost", offsetof(struct rates, audio_cache_read) },
	{ "input_cost_per_image_token", offsetof(struct rates, image_input) },
	{ "output_cost_per_image_token", offsetof(struct rates, image_output) },
	{ "cache_read_input_image_token_cost", offsetof(struct rates, image_cache_read) },
	{ "input_cost_per_video_token", offsetof(struct rates, video_input) },
};

static const struct { const char *suffix; unsigned set; } tier_suffixes[] = {
	{ "_flex", TIER_FLEX }, { "_priority", TIER_PRIORITY }, { "_batches", TIER_BATCH }, { "_fast", RATE_SET_FAST },
};

static bool cut_suffix(struct str *s, struct str suffix)
{
	if (s->n <= suffix.n || !str_ends(*s, suffix))
		return false;
	s->n -= suffix.n;
	return true;
}

/* "…_above_272k_tokens": cut off and read. */
static bool cut_above(struct str *s, int64_t *ret)
{
	struct str rest = *s;
	size_t digits;
	int64_t n;

	*ret = -1;
	if (!cut_suffix(&rest, STR("k_tokens")))
		return true;
	for (digits = 0; digits < rest.n && rest.p[rest.n - 1 - digits] >= '0' && rest.p[rest.n - 1 - digits] <= '9'; digits++)
		;
	struct str number = { .p = rest.p + rest.n - digits, .n = digits };

	rest.n -= digits;
	if (str_to_i64(number, &n) < 0 || n > USAGE_TOKENS_MAX / 1000 || !cut_suffix(&rest, STR("_above_")))
		return false;
	*s = rest;
	*ret = n * 1000;
	return true;
}

bool lite_read_name(struct str name, struct lite_field *ret)
{
	*ret = (struct lite_field){ .set = TIER_STANDARD };
	for (size_t i = 0; i < sizeof(tier_suffixes) / sizeof(tier_suffixes[0]); i++)
		if (cut_suffix(&name, str_of(tier_suffixes[i].suffix))) {
			ret->set = tier_suffixes[i].set;
			break;
		}
	if (!cut_above(&name, &ret->above))
		return false;
	for (size_t i = 0; i < sizeof(token_bases) / sizeof(token_bases[0]); i++)
		if (str_eq(name, str_of(token_bases[i].base))) {
			ret->at = token_bases[i].at;
			return true;
		}
	return false;
}

/* ---- steps of input */

static struct lite_level *level_at(struct lite *l, int64_t above)
{
	for (size_t i = 0; i < l->nlevels; i++)
		if (l->levels[i].above == above)
			return &l->levels[i];
	if (l->nlevels > LITE_LEVELS_MAX)
		return NULL;
	struct lite_level *new = &l->levels[l->nlevels++];

	new->above = above;
	memset(new->sets, 0xff, sizeof(new->sets));
	return new;
}

int lite_take_token_price(struct lite *l, struct str key, const struct pj_value *v, const struct lite_field *f)
{
	struct lite_level *level = level_at(l, f->above);
	femtousd price = PRICE_UNKNOWN;
	int r = level ? import_price(l->im, key, v, 1, 0, IMPORT_TOKEN_MAX, &price)
		      : import_complain(l->im, key, v, "is one long-context step too many; at most 8 are read");

	if (r == 0 && price != PRICE_UNKNOWN) {
		femtousd *rate = (femtousd *)((char *)&level->sets[f->set] + f->at);

		*rate = lite_larger(*rate, price); /* two names for one charge: the dearer */
	}
	return r;
}

/* One of tiered_pricing: all of a request whose input is above the first number of its range. */
static int take_step(struct lite *l, const struct pj_value *step)
{
	struct pj_value range, from = { 0 }, v;
	struct lite_level found = { .above = -1 };
	struct pj_walk w;
	struct str k;
	bool rounded = false;
	int r = import_check_members(l->im, step);

	memset(found.sets, 0xff, sizeof(found.sets));
	if (r < 0 || !pj_find(step, "range", &range))
		return r < 0 ? r : lite_not_mapped(l, STR("tiered_pricing (without range)"));
	w = pj_walk(&range);
	if (!pj_next(&w, &k, &from) || from.kind != JSON_NUMBER || pj_scale(from.raw, 1, 0, USAGE_TOKENS_MAX, &found.above, &rounded) < 0)
		return import_complain(l->im, STR("tiered_pricing.range"), &range, "is no range of tokens; [from, to] is expected");
	w = pj_walk(step);
	while (r == 0 && pj_next(&w, &k, &v)) {
		struct lite_field f;

		if (str_eq(k, STR("range")))
			continue;
		if (!lite_read_name(k, &f) || f.above >= 0)
			r = lite_not_mapped(l, k);
		else
			r = import_price(l->im, k, &v, 1, 0, IMPORT_TOKEN_MAX, (femtousd *)((char *)&found.sets[f.set] + f.at));
	}
	/* A step without an input rate is ignored by those who made the format. */
	if (r < 0 || found.sets[TIER_STANDARD].input == PRICE_UNKNOWN)
		return r < 0 ? r : lite_not_mapped(l, STR("tiered_pricing (step without input)"));
	struct lite_level *level = level_at(l, found.above);

	if (!level)
		return import_complain(l->im, STR("tiered_pricing"), step, "is one step too many; at most 8 are read");
	/* Without rates for the cache its own input rate holds, not the model's cache rate. */
	struct rates *r0 = &found.sets[TIER_STANDARD];

	r0->cache_read = r0->cache_read == PRICE_UNKNOWN ? r0->input : r0->cache_read;
	r0->cache_write_5m = r0->cache_write_5m == PRICE_UNKNOWN ? r0->input : r0->cache_write_5m;
	memcpy(level->sets, found.sets, sizeof(found.sets));
	return 0;
}

int lite_take_steps(struct lite *l, struct str key, const struct pj_value *v)
{
	struct pj_walk w = pj_walk(v);
	struct pj_value step;
	struct str k;
	int r = v->kind == JSON_ARRAY ? 0 : import_complain(l->im, key, v, "is no list of steps");

	while (r == 0 && pj_next(&w, &k, &step))
		r = step.kind == JSON_OBJECT ? take_step(l, &step) : import_complain(l->im, key, &step, "is no step; an object is expected");
	return r;
}

/* ---- cheaper hours */

static int read_windows(struct lite *l, const struct pj_value *v, struct price_off_peak *o)
{
	struct pj_walk w = pj_walk(v);
	struct pj_value one = *v;
	struct str k;
	bool is_list = v->kind == JSON_ARRAY;

	while (!is_list || pj_next(&w, &k, &one)) {
		int from, to;
		struct str s = pj_string(l->im->arena, &one);

		if (o->nwindows == 8 || !s.p || price_window(s, &from, &to) < 0 || from == to)
			return -EINVAL;
		o->windows[o->nwindows].from_min = (int16_t)from;
		o->windows[o->nwindows++].to_min = (int16_t)to;
		if (!is_list)
			break;
	}
	return o->nwindows ? 0 : -EINVAL;
}

/* Hours that cannot be read with certainty are no cheaper hours: the dearer price stays. */
int lite_take_off_peak(struct lite *l, struct str key, const struct pj_value *v)
{
	struct price_off_peak *o = arena_alloc(l->im->arena, sizeof(*o));
	struct pj_walk w = pj_walk(v);
	struct pj_value one;
	struct str k;
	bool sure = v->kind == JSON_OBJECT && pj_find(v, "hours_utc", &one);
	int r = o ? import_check_members(l->im, v) : import_no_memory(l->im);

	if (r < 0)
		return r;
	memset(&o->rates, 0xff, sizeof(o->rates));
	while (r == 0 && sure && pj_next(&w, &k, &one)) {
		struct lite_field f;

		if (str_eq(k, STR("hours_utc")))
			sure = read_windows(l, &one, o) == 0;
		else if (lite_read_name(k, &f) && f.set == TIER_STANDARD && f.above < 0)
			r = import_price(l->im, k, &one, 1, 0, IMPORT_TOKEN_MAX, (femtousd *)((char *)&o->rates + f.at));
		else
			sure = false; /* days, time zones and what else may stand there */
	}
	if (r < 0 || !sure)
		return r < 0 ? r : lite_not_mapped(l, key);
	l->p.off_peak = o;
	l->p.noff_peak = 1;
	return 0;
}

/* ---- the steps as those of a price */

static int by_above(const struct lite_level *a, const struct lite_level *b) { return (a->above > b->above) - (a->above < b->above); }

static void sort_levels(struct lite *l)
{
	for (size_t i = 2; i < l->nlevels; i++)
		for (size_t k = i; k > 1 && by_above(&l->levels[k - 1], &l->levels[k]) > 0; k--) {
			struct lite_level swap = l->levels[k];

			l->levels[k] = l->levels[k - 1];
			l->levels[k - 1] = swap;
		}
}

bool lite_says_anything(const struct rates *r)
{
	struct rates copy = *r;

	for (size_t row = 0; row < RATES_COUNT; row++)
		if (*price_rate(&copy, row) != PRICE_UNKNOWN)
			return true;
	return false;
}

/* Without a flat price the lowest step is the price. */
static void lowest_step_is_base(struct lite *l)
{
	if (l->levels[0].sets[TIER_STANDARD].input != PRICE_UNKNOWN || l->nlevels < 2 || l->levels[1].above != 0)
		return;
	l->levels[0] = l->levels[1];
	l->nlevels--;
	memmove(&l->levels[1], &l->levels[2], (l->nlevels - 1) * sizeof(l->levels[0]));
}

/* Rates of a tier or of a step that are not told: taken from the standard of that step, or of the one below. */
static void fill_sets(struct lite *l)
{
	for (size_t i = 0; i < l->nlevels; i++) {
		struct rates *sets = l->levels[i].sets;
		struct rates *below = i ? &l->levels[i - 1].sets[TIER_STANDARD] : NULL;

		if (below)
			import_fill(&sets[TIER_STANDARD], below);
		for (unsigned set = TIER_FLEX; set < RATE_SETS; set++)
			if (lite_says_anything(&sets[set]))
				import_fill(&sets[set], &sets[TIER_STANDARD]);
	}
}

int lite_put_levels(struct lite *l)
{
	struct price_long *longs;

	sort_levels(l);
	lowest_step_is_base(l);
	fill_sets(l);
	longs = arena_alloc(l->im->arena, l->nlevels * sizeof(*longs));
	if (!longs)
		return import_no_memory(l->im);
	memcpy(l->p.sets, l->levels[0].sets, sizeof(l->p.sets));
	for (size_t i = 1; i < l->nlevels; i++) {
		longs[i - 1].above = l->levels[i].above;
		memcpy(longs[i - 1].sets, l->levels[i].sets, sizeof(longs->sets));
	}
	l->p.longs = longs;
	l->p.nlongs = l->nlevels - 1;
	return 0;
}
