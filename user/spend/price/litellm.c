// SPDX-License-Identifier: Apache-2.0
/*
 * price/litellm.c: LiteLLM's flat price file. One object; a model's field is BASE[_above_Nk_tokens][_TIER], USD per unit; N is read from
 * the name. What a field of ours is called there stands in the tables below. Three names there do not mean what they say:
 * cache_creation_input_audio_token_cost is the price of *reading* cached sound; input_cost_per_image is one picture made, on image models only;
 * and two names (input_, output_) for one charge are not added up.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "spend/price/import_own.h"

#define LEVELS_MAX 8

/* One step of input, and everything that is charged above it. */
struct level {
	int64_t above; /* -1 = none */
	struct rates sets[RATE_SETS];
};

struct lite {
	struct price_import *im;
	struct price p;
	struct level levels[LEVELS_MAX + 1]; /* [0] is the base */
	size_t nlevels;
	const char *mode;
	femtousd image, pixel, pixel_read, character, second, video_second, query;
	bool claims_cache, is_zero;
};

/* ---- names of providers and models */

/* What is not here keeps its name. vertex_ai-… of any kind is vertex_ai. */
static const struct { const char *theirs, *ours; } provider_names[] = {
	{ "text-completion-openai", "openai" }, { "bedrock_converse", "bedrock" }, { "bedrock_mantle", "bedrock-mantle" },
	{ "cohere_chat", "cohere" }, { "together_ai", "together" }, { "fireworks_ai", "fireworks" },
	{ "fireworks_ai-embedding-models", "fireworks" }, { "azure_text", "azure" }, { "text-completion-codestral", "codestral" },
};

static const char *provider_of(struct price_import *im, struct str theirs)
{
	for (size_t i = 0; i < sizeof(provider_names) / sizeof(provider_names[0]); i++)
		if (str_eq(theirs, str_of(provider_names[i].theirs)))
			return provider_names[i].ours;
	if (str_starts(theirs, STR("vertex_ai")))
		return "vertex_ai";
	return theirs.n > 0 && theirs.n < PRICE_PROVIDER_MAX ? import_text(im, theirs) : "";
}

/* "mistral/mistral-large" of provider mistral is mistral-large. */
static struct str without_provider(struct str key, struct str theirs)
{
	struct str rest = key, first = str_cut(&rest, '/');

	if (first.n == key.n)
		return key;
	if (str_eq(first, theirs) || (str_starts(theirs, first) && (theirs.p[first.n] == '-' || theirs.p[first.n] == '_')))
		return rest;
	return key;
}

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

struct field {
	size_t at; /* of which rate */
	unsigned set;
	int64_t above; /* -1 = none */
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

static bool read_name(struct str name, struct field *ret)
{
	*ret = (struct field){ .set = TIER_STANDARD };
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

static struct level *level_at(struct lite *l, int64_t above)
{
	for (size_t i = 0; i < l->nlevels; i++)
		if (l->levels[i].above == above)
			return &l->levels[i];
	if (l->nlevels > LEVELS_MAX)
		return NULL;
	struct level *new = &l->levels[l->nlevels++];

	new->above = above;
	memset(new->sets, 0xff, sizeof(new->sets));
	return new;
}

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static int take_token_price(struct lite *l, struct str key, const struct pj_value *v, const struct field *f)
{
	struct level *level = level_at(l, f->above);
	femtousd price = PRICE_UNKNOWN;
	int r = level ? import_price(l->im, key, v, 1, 0, IMPORT_TOKEN_MAX, &price)
		      : import_complain(l->im, key, v, "is one long-context step too many; at most 8 are read");

	if (r == 0 && price != PRICE_UNKNOWN) {
		femtousd *rate = (femtousd *)((char *)&level->sets[f->set] + f->at);

		*rate = larger(*rate, price); /* two names for one charge: the dearer */
	}
	return r;
}

/* ---- other fields */

static int not_mapped(struct lite *l, struct str key)
{
	const char *what = import_text(l->im, key);

	return what ? import_note(l->im, IMPORT_NOT_MAPPED, what) : import_no_memory(l->im);
}

static bool is_mode(const struct lite *l, const char *mode) { return !strcmp(l->mode, mode); }

static bool makes_images(const struct lite *l) { return is_mode(l, "image_generation") || is_mode(l, "image_edit"); }
static bool is_sound(const struct lite *l) { return is_mode(l, "audio_transcription") || is_mode(l, "audio_speech"); }
static bool is_search(const struct lite *l) { return is_mode(l, "rerank") || is_mode(l, "search"); }

/* Fees: where they go, of which modes, per how many of our unit. Of several names for one place the dearest counts. */
static bool any_mode(const struct lite *l) { (void)l; return true; }
static bool is_video(const struct lite *l) { return is_mode(l, "video_generation"); }
static bool is_speech(const struct lite *l) { return is_mode(l, "audio_speech"); }

static const struct {
	const char *key;
	bool (*of)(const struct lite *l);
	size_t at;  /* in struct lite */
	int pow10;  /* per second -> per millisecond is -3 */
} fee_fields[] = {
	{ "input_cost_per_image", makes_images, offsetof(struct lite, image), 0 },
	{ "output_cost_per_image", makes_images, offsetof(struct lite, image), 0 },
	{ "input_cost_per_character", is_speech, offsetof(struct lite, character), 0 },
	{ "output_cost_per_character", is_speech, offsetof(struct lite, character), 0 },
	{ "input_cost_per_second", is_sound, offsetof(struct lite, second), -3 },
	{ "output_cost_per_second", is_sound, offsetof(struct lite, second), -3 },
	{ "output_cost_per_second", is_video, offsetof(struct lite, video_second), -3 },
	{ "output_cost_per_video_per_second", is_video, offsetof(struct lite, video_second), -3 },
	{ "output_cost_per_second_1080p", is_video, offsetof(struct lite, video_second), -3 },
	{ "input_cost_per_query", is_search, offsetof(struct lite, query), 0 },
	{ "input_cost_per_request", any_mode, offsetof(struct lite, query), 0 },
	{ "ocr_cost_per_page", any_mode, offsetof(struct lite, p.per_page), 0 },
	{ "code_interpreter_cost_per_session", any_mode, offsetof(struct lite, p.per_code_session), 0 },
};

/* Fees stand in our lists per thousand with nine decimals: a thousand femto-dollars each is the least. */
static femtousd up_to_thousand(femtousd v) { return v > 0 ? (v + 999) / 1000 * 1000 : v; }

/* 1 = taken. */
static int take_fee(struct lite *l, struct str key, const struct pj_value *v)
{
	for (size_t i = 0; i < sizeof(fee_fields) / sizeof(fee_fields[0]); i++) {
		femtousd *at = (femtousd *)((char *)l + fee_fields[i].at), price = PRICE_UNKNOWN;
		int r;

		if (!str_eq(key, str_of(fee_fields[i].key)) || !fee_fields[i].of(l))
			continue;
		r = import_price(l->im, key, v, 1, fee_fields[i].pow10, fee_fields[i].pow10 ? IMPORT_TOKEN_MAX : IMPORT_FEE_MAX, &price);
		*at = larger(*at, fee_fields[i].pow10 || fee_fields[i].at == offsetof(struct lite, character) ? price : up_to_thousand(price));
		return r < 0 ? r : 1;
	}
	return 0;
}

/* "…/1024-x-1024/…" in a name -> pixels; 0 = none. */
static int64_t pixels_in(struct str name, struct str *ret_size)
{
	struct str rest = name;

	for (bool more = true; more;) {
		struct str part = str_cut(&rest, '/'), tail = part, side = str_cut(&tail, 'x');
		int64_t a, b;

		more = part.p + part.n < name.p + name.n;
		if (side.n > 1 && side.p[side.n - 1] == '-' && tail.n > 1 && tail.p[0] == '-') {
			side.n--;
			tail = (struct str){ .p = tail.p + 1, .n = tail.n - 1 };
		}
		if (side.n < part.n && str_to_i64(side, &a) == 0 && str_to_i64(tail, &b) == 0 && a > 0 && b > 0 && a < 100000 && b < 100000) {
			*ret_size = part;
			return a * b;
		}
	}
	return 0;
}

static int take_pixels(struct lite *l, struct str key, const struct pj_value *v)
{
	struct str size;
	int64_t pixels = pixels_in(str_of(l->im->model), &size);
	femtousd price = PRICE_UNKNOWN;
	int r;

	if (!pixels || !makes_images(l))
		return not_mapped(l, key);
	r = import_price(l->im, key, v, pixels, 0, IMPORT_FEE_MAX, &price);
	*(key.p[0] == 'i' ? &l->pixel_read : &l->pixel) = up_to_thousand(price);
	return r;
}

static int take_search(struct lite *l, struct str key, const struct pj_value *v)
{
	static const char *const sizes[SEARCH_CONTEXT_COUNT] = { "", "search_context_size_low", "search_context_size_medium", "search_context_size_high" };
	femtousd *fee = l->p.per_web_search, most = PRICE_UNKNOWN;
	struct pj_walk w = pj_walk(v);
	struct pj_value one;
	struct str k;
	int r = v->kind == JSON_OBJECT ? import_check_members(l->im, v) : 0;

	if (v->kind == JSON_NUMBER) {
		r = import_price(l->im, key, v, 1, 0, IMPORT_FEE_MAX, &most);
	} else if (v->kind != JSON_OBJECT) {
		return import_complain(l->im, key, v, "is no set of prices by size; an object or a number is expected");
	}
	while (r == 0 && pj_next(&w, &k, &one)) {
		unsigned i = 1;

		while (i < SEARCH_CONTEXT_COUNT && !str_eq(k, str_of(sizes[i])))
			i++;
		if (i == SEARCH_CONTEXT_COUNT)
			r = not_mapped(l, k);
		else
			r = import_price(l->im, k, &one, 1, 0, IMPORT_FEE_MAX, &fee[i]);
		most = i < SEARCH_CONTEXT_COUNT ? larger(most, fee[i]) : most;
	}
	most = up_to_thousand(most);
	fee[0] = most;
	for (unsigned i = 1; i < SEARCH_CONTEXT_COUNT; i++)
		fee[i] = fee[i] == PRICE_UNKNOWN ? most : up_to_thousand(fee[i]);
	return r;
}

static int take_factor(struct lite *l, struct str key, const struct pj_value *v, int32_t *ret)
{
	bool rounded = false;
	int64_t f = 0;

	if (v->kind != JSON_NUMBER || v->raw.p[0] == '-' || pj_scale(v->raw, 1, 3, 1000000, &f, &rounded) < 0 || f < 1)
		return import_complain(l->im, key, v, "is no factor; a number from 0.001 to 1000 is expected");
	l->im->fields++;
	*ret = (int32_t)f;
	return 0;
}

static int add_factor(struct lite *l, const struct price_factor **list, size_t *n, const char *name, int32_t permille)
{
	struct price_factor *more = arena_alloc(l->im->arena, (*n + 1) * sizeof(*more));

	if (!more)
		return import_no_memory(l->im);
	if (*n)
		memcpy(more, *list, *n * sizeof(*more));
	more[(*n)++] = (struct price_factor){ .name = name, .permille = permille };
	*list = more;
	return 0;
}

static int take_specific(struct lite *l, struct str key, const struct pj_value *v)
{
	struct pj_walk w = pj_walk(v);
	struct pj_value one;
	struct str k;
	int r = v->kind == JSON_OBJECT ? import_check_members(l->im, v) : not_mapped(l, key);

	while (r == 0 && pj_next(&w, &k, &one)) {
		int32_t f = 0;

		if (str_eq(k, STR("fast")))
			r = take_factor(l, k, &one, &l->p.fast_permille);
		else if (str_eq(k, STR("us")) || str_eq(k, STR("eu")))
			r = take_factor(l, k, &one, &f);
		else
			r = not_mapped(l, key);
		if (r == 0 && f)
			r = add_factor(l, &l->p.geo, &l->p.ngeo, str_eq(k, STR("us")) ? "us" : "eu", f);
	}
	return r;
}

static int take_regional(struct lite *l, struct str key, const struct pj_value *v)
{
	int32_t f;
	int r = take_factor(l, key, v, &f);

	return r < 0 ? r : add_factor(l, &l->p.regional, &l->p.nregional, str_ends(key, STR("_eu")) ? "eu" : "us", f);
}

/* One of tiered_pricing: all of a request whose input is above the first number of its range. */
static int take_step(struct lite *l, const struct pj_value *step)
{
	struct pj_value range, from = { 0 }, v;
	struct level found = { .above = -1 };
	struct pj_walk w;
	struct str k;
	bool rounded = false;
	int r = import_check_members(l->im, step);

	memset(found.sets, 0xff, sizeof(found.sets));
	if (r < 0 || !pj_find(step, "range", &range))
		return r < 0 ? r : not_mapped(l, STR("tiered_pricing (without range)"));
	w = pj_walk(&range);
	if (!pj_next(&w, &k, &from) || from.kind != JSON_NUMBER || pj_scale(from.raw, 1, 0, USAGE_TOKENS_MAX, &found.above, &rounded) < 0)
		return import_complain(l->im, STR("tiered_pricing.range"), &range, "is no range of tokens; [from, to] is expected");
	w = pj_walk(step);
	while (r == 0 && pj_next(&w, &k, &v)) {
		struct field f;

		if (str_eq(k, STR("range")))
			continue;
		if (!read_name(k, &f) || f.above >= 0)
			r = not_mapped(l, k);
		else
			r = import_price(l->im, k, &v, 1, 0, IMPORT_TOKEN_MAX, (femtousd *)((char *)&found.sets[f.set] + f.at));
	}
	/* A step without an input rate is ignored by those who made the format. */
	if (r < 0 || found.sets[TIER_STANDARD].input == PRICE_UNKNOWN)
		return r < 0 ? r : not_mapped(l, STR("tiered_pricing (step without input)"));
	struct level *level = level_at(l, found.above);

	if (!level)
		return import_complain(l->im, STR("tiered_pricing"), step, "is one step too many; at most 8 are read");
	/* Without rates for the cache its own input rate holds, not the model's cache rate. */
	struct rates *r0 = &found.sets[TIER_STANDARD];

	r0->cache_read = r0->cache_read == PRICE_UNKNOWN ? r0->input : r0->cache_read;
	r0->cache_write_5m = r0->cache_write_5m == PRICE_UNKNOWN ? r0->input : r0->cache_write_5m;
	memcpy(level->sets, found.sets, sizeof(found.sets));
	return 0;
}

static int take_steps(struct lite *l, struct str key, const struct pj_value *v)
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
static int take_off_peak(struct lite *l, struct str key, const struct pj_value *v)
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
		struct field f;

		if (str_eq(k, STR("hours_utc")))
			sure = read_windows(l, &one, o) == 0;
		else if (read_name(k, &f) && f.set == TIER_STANDARD && f.above < 0)
			r = import_price(l->im, k, &one, 1, 0, IMPORT_TOKEN_MAX, (femtousd *)((char *)&o->rates + f.at));
		else
			sure = false; /* days, time zones and what else may stand there */
	}
	if (r < 0 || !sure)
		return r < 0 ? r : not_mapped(l, key);
	l->p.off_peak = o;
	l->p.noff_peak = 1;
	return 0;
}

/* ---- one model */

static const struct { const char *key; int (*take)(struct lite *l, struct str key, const struct pj_value *v); } other_fields[] = {
	{ "search_context_cost_per_query", take_search },
	{ "provider_specific_entry", take_specific },
	{ "regional_processing_uplift_multiplier_eu", take_regional },
	{ "regional_processing_uplift_multiplier_us", take_regional },
	{ "tiered_pricing", take_steps },
	{ "off_peak_pricing", take_off_peak },
	{ "input_cost_per_pixel", take_pixels },
	{ "output_cost_per_pixel", take_pixels },
};

static bool contains(struct str s, const char *word)
{
	return memmem(s.p, s.n, word, strlen(word)) != NULL;
}

static bool is_about_money(struct str key)
{
	return contains(key, "cost") || contains(key, "pric") || contains(key, "multiplier") || contains(key, "billing");
}

static int take_field(struct lite *l, struct str key, const struct pj_value *v)
{
	struct field f;
	int r;

	if (read_name(key, &f))
		return take_token_price(l, key, v, &f);
	r = take_fee(l, key, v);
	if (r)
		return r < 0 ? r : 0;
	for (size_t i = 0; i < sizeof(other_fields) / sizeof(other_fields[0]); i++)
		if (str_eq(key, str_of(other_fields[i].key)))
			return v->kind == JSON_NULL ? 0 : other_fields[i].take(l, key, v);
	if (str_eq(key, STR("max_input_tokens")))
		import_limit(v, &l->p.max_input);
	else if (str_eq(key, STR("max_output_tokens")))
		import_limit(v, &l->p.max_output);
	else if (str_eq(key, STR("supports_prompt_caching")))
		l->claims_cache = str_eq(v->raw, STR("true"));
	else if (is_about_money(key))
		return not_mapped(l, key);
	return 0;
}

static int by_above(const struct level *a, const struct level *b) { return (a->above > b->above) - (a->above < b->above); }

static void sort_levels(struct lite *l)
{
	for (size_t i = 2; i < l->nlevels; i++)
		for (size_t k = i; k > 1 && by_above(&l->levels[k - 1], &l->levels[k]) > 0; k--) {
			struct level swap = l->levels[k];

			l->levels[k] = l->levels[k - 1];
			l->levels[k - 1] = swap;
		}
}

static bool says_anything(const struct rates *r)
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
			if (says_anything(&sets[set]))
				import_fill(&sets[set], &sets[TIER_STANDARD]);
	}
}

static int put_levels(struct lite *l)
{
	struct price_long *longs = arena_alloc(l->im->arena, l->nlevels * sizeof(*longs));

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

/* A picture's name there is [PROVIDER/][QUALITY/][SIZE/][STEPS/]MODEL. */
static int put_image(struct lite *l)
{
	struct price_image *image = arena_alloc(l->im->arena, sizeof(*image));
	struct str size = STR(""), name = str_of(l->p.model), quality = STR("");
	/* A price of pixels that come in, and none of those that go out, is what a picture made costs. Both: what comes in has no counter of ours. */
	femtousd each = larger(l->image, l->pixel > 0 ? l->pixel : larger(l->pixel, l->pixel_read));

	if (l->pixel > 0 && l->pixel_read > 0 && not_mapped(l, STR("input_cost_per_pixel")) < 0)
		return -ENOMEM;

	if (!image)
		return import_no_memory(l->im);
	if (pixels_in(name, &size)) {
		size_t before = (size_t)(size.p - name.p), after = before + size.n;
		struct str steps = { .p = name.p + after + 1, .n = name.n > after ? name.n - after - 1 : 0 }, rest = steps;
		struct str first = str_cut(&rest, '/');

		quality = before > 1 ? (struct str){ .p = name.p, .n = before - 1 } : quality;
		if (str_ends(first, STR("-steps"))) {
			quality = first;
			steps = rest;
		}
		name = steps;
	}
	if (each == PRICE_UNKNOWN)
		return 0;
	char text[32];
	size_t n = 0;

	for (size_t i = 0; i < size.n && n < sizeof(text); i++)
		if (size.p[i] != '-')
			text[n++] = size.p[i];
	image->quality = import_text(l->im, quality);
	image->size = import_text(l->im, (struct str){ .p = text, .n = n });
	image->each = each;
	l->p.model = import_text(l->im, name);
	l->p.images = image;
	l->p.nimages = 1;
	return image->quality && image->size && l->p.model ? 0 : import_no_memory(l->im);
}

/* The prices of pictures of one model come one by one. */
static int join_image(struct lite *l, struct import_entry *to)
{
	size_t n = to->price.nimages;
	struct price_image *all = arena_alloc(l->im->arena, (n + 1) * sizeof(*all));

	if (!all)
		return import_no_memory(l->im);
	if (n)
		memcpy(all, to->price.images, n * sizeof(*all));
	for (size_t i = 0; i < n; i++)
		if (!strcmp(all[i].quality, l->p.images->quality) && !strcmp(all[i].size, l->p.images->size)) {
			all[i].each = larger(all[i].each, l->p.images->each);
			to->price.images = all;
			return 0;
		}
	all[n] = l->p.images[0];
	to->price.images = all;
	to->price.nimages = n + 1;
	return 0;
}

static int skip(struct lite *l, const char *why) { return import_note(l->im, IMPORT_SKIPPED, why); }

static bool is_free(const struct rates *r) { return r->input == 0 && (r->output == 0 || r->output == PRICE_UNKNOWN); }

static bool has_unit_price(const struct price *p)
{
	return p->nimages || p->per_audio_ms > 0 || p->per_video_ms > 0 || p->per_character > 0 || p->per_page > 0 || p->per_request > 0;
}

/* Why it cannot be a price of ours; NULL = it can. May turn it into media or an embedding. */
static const char *no_price(struct lite *l)
{
	struct price *p = &l->p;
	struct rates *r = &p->sets[TIER_STANDARD];

	if (is_mode(l, "embedding") && r->output == 0)
		r->output = PRICE_UNKNOWN;
	if (r->input != PRICE_UNKNOWN && r->output != PRICE_UNKNOWN)
		return is_free(r) && !has_unit_price(p) && !(is_search(l) && p->per_web_search[0] > 0) ? "costs nothing, or nobody knows: no price is not price zero" : NULL;
	if (r->input == PRICE_UNKNOWN && says_anything(r))
		return "has rates, but none for input";
	if (is_mode(l, "embedding") && r->input > 0)
		return NULL;
	p->is_media = true;
	if (has_unit_price(p) || (r->input > 0 && (makes_images(l) || is_sound(l))))
		return NULL;
	return "has no price that a call can be charged by";
}

static int note_derived(struct lite *l)
{
	const struct rates *r = &l->p.sets[TIER_STANDARD];
	int e = 0;

	if (r->cache_write_5m > 0 && r->cache_write_1h == PRICE_UNKNOWN)
		e = import_note(l->im, IMPORT_DERIVED, "cache_write_1h: twice input");
	if (e == 0 && l->claims_cache && r->input > 0 && r->cache_read == PRICE_UNKNOWN)
		e = import_note(l->im, IMPORT_FLAG, "claims a prompt cache, but has no price for reading it: charged as input");
	return e;
}

/* Cheaper hours that are dearer are none; our list would refuse them. */
static int check_hours(struct lite *l)
{
	for (size_t row = 0; l->p.noff_peak && row < RATES_COUNT; row++) {
		struct rates cheap = l->p.off_peak->rates;

		if (*price_rate(&cheap, row) > *price_rate(&l->p.sets[TIER_STANDARD], row)) {
			l->p.noff_peak = 0;
			return import_note(l->im, IMPORT_FLAG, "off-peak is dearer than peak: left out");
		}
	}
	return 0;
}

static int finish_model(struct lite *l)
{
	const char *why;
	int r;

	sort_levels(l);
	lowest_step_is_base(l);
	fill_sets(l);
	r = put_levels(l);
	l->p.per_audio_ms = l->second;
	l->p.per_video_ms = l->video_second;
	l->p.per_character = l->character;
	l->p.per_request = l->query > 0 ? l->query : 0;
	if (r == 0 && makes_images(l))
		r = put_image(l);
	if (r < 0)
		return r;
	if (l->p.model[0] == '\0' || strlen(l->p.model) >= PRICE_NAME_MAX)
		return skip(l, "has a name that is too long");
	struct import_entry *there = import_find(l->im, l->p.provider, l->p.model);

	if (there && l->p.nimages)
		return join_image(l, there);
	if (there && there->price.nimages && there->price.sets[TIER_STANDARD].input == PRICE_UNKNOWN) {
		/* The model itself, after its pictures. */
		l->p.images = there->price.images;
		l->p.nimages = there->price.nimages;
		why = no_price(l);
		if (!why)
			there->price = l->p;
		return 0;
	}
	why = no_price(l);
	if (why)
		return skip(l, why);
	if (there)
		return skip(l, price_compare(&there->price, &l->p) ? "has the name of another model that has another price" : "stands there already");
	r = note_derived(l);
	r = r < 0 ? r : check_hours(l);
	r = r < 0 ? r : import_check(l->im, &l->p);
	return r < 0 ? r : import_add(l->im, &l->p, NULL, 0);
}

static int read_model(struct price_import *im, struct str key, const struct pj_value *v)
{
	struct pj_value provider, mode;
	struct str theirs = pj_find(v, "litellm_provider", &provider) ? pj_string(im->arena, &provider) : STR("");
	struct str mode_text = pj_find(v, "mode", &mode) ? pj_string(im->arena, &mode) : STR("");
	struct lite l = {
		.im = im, .nlevels = 1, .levels[0].above = -1, .image = PRICE_UNKNOWN, .pixel = PRICE_UNKNOWN, .pixel_read = PRICE_UNKNOWN, .character = PRICE_UNKNOWN,
		.second = PRICE_UNKNOWN, .video_second = PRICE_UNKNOWN, .query = PRICE_UNKNOWN,
	};
	struct pj_walk w = pj_walk(v);
	struct pj_value field;
	struct str k;
	int r;

	memset(l.levels[0].sets, 0xff, sizeof(l.levels[0].sets));
	price_init(&l.p);
	l.mode = import_text(im, mode_text);
	l.p.provider = provider_of(im, theirs);
	l.p.model = import_text(im, without_provider(key, theirs));
	if (!l.mode || !l.p.provider || !l.p.model)
		return import_no_memory(im);
	l.p.source = im->o->source;
	l.p.as_of = im->o->as_of;
	im->provider = l.p.provider;
	im->model = l.p.model;
	if (!import_wants(im, l.p.provider))
		return 0;
	im->models++;
	if (!l.p.provider[0])
		return skip(&l, "has no provider");
	r = import_check_members(im, v);
	while (r == 0 && pj_next(&w, &k, &field))
		r = take_field(&l, k, &field);
	return r < 0 ? r : finish_model(&l);
}

/* Not models: an entry that explains the format, and rules for names. */
static bool is_model(struct str key, const struct pj_value *v)
{
	return v->kind == JSON_OBJECT && !str_eq(key, STR("sample_spec")) && !str_eq(key, STR("fallback_generalizations"));
}

int import_litellm(struct price_import *im, const struct pj_value *root)
{
	struct pj_walk w = pj_walk(root);
	struct map *seen = map_new();
	struct pj_value v;
	struct str k;
	int r = seen ? 0 : import_no_memory(im);

	while (r == 0 && pj_next(&w, &k, &v)) {
		struct str key = pj_text(im->arena, k);
		void *old = NULL;

		im->model = NULL;
		if (!key.p || map_put(seen, key, im, &old) < 0)
			r = import_no_memory(im);
		else if (old)
			r = import_complain(im, key, &v, "stands twice in this file; which of the two is meant cannot be known");
		else if (is_model(key, &v))
			r = read_model(im, key, &v);
	}
	map_free(seen, NULL);
	return r;
}
