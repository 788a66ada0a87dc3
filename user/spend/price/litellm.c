// SPDX-License-Identifier: Apache-2.0
/*
 * price/litellm.c: LiteLLM's flat price file. One object; a model's field is BASE[_above_Nk_tokens][_TIER], USD per unit; N is read from
 * the name. This file walks over it and judges each model; what the fields mean is litellm_rates.c, litellm_fees.c, litellm_pictures.c.
 * Three names there do not mean what they say: cache_creation_input_audio_token_cost is the price of *reading* cached sound;
 * input_cost_per_image is one picture made, on image models only; and two names (input_, output_) for one charge are not added up.
 */
#include <string.h>

#include "base/str.h"
#include "spend/price/litellm.h"

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

/* ---- one field */

int lite_not_mapped(struct lite *l, struct str key)
{
	const char *what = import_text(l->im, key);

	return what ? import_note(l->im, IMPORT_NOT_MAPPED, what) : import_no_memory(l->im);
}

static const struct { const char *key; int (*take)(struct lite *l, struct str key, const struct pj_value *v); } other_fields[] = {
	{ "search_context_cost_per_query", lite_take_search },
	{ "provider_specific_entry", lite_take_specific },
	{ "regional_processing_uplift_multiplier_eu", lite_take_regional },
	{ "regional_processing_uplift_multiplier_us", lite_take_regional },
	{ "tiered_pricing", lite_take_steps },
	{ "off_peak_pricing", lite_take_off_peak },
	{ "input_cost_per_pixel", lite_take_pixels },
	{ "output_cost_per_pixel", lite_take_pixels },
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
	struct lite_field f;
	int r;

	if (lite_read_name(key, &f))
		return lite_take_token_price(l, key, v, &f);
	r = lite_take_fee(l, key, v);
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
		return lite_not_mapped(l, key);
	return 0;
}

/* ---- one model */

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

	if (lite_is_mode(l, "embedding") && r->output == 0)
		r->output = PRICE_UNKNOWN;
	if (r->input != PRICE_UNKNOWN && r->output != PRICE_UNKNOWN)
		return is_free(r) && !has_unit_price(p) && !(lite_is_search(l) && p->per_web_search[0] > 0) ? "costs nothing, or nobody knows: no price is not price zero" : NULL;
	if (r->input == PRICE_UNKNOWN && lite_says_anything(r))
		return "has rates, but none for input";
	if (lite_is_mode(l, "embedding") && r->input > 0)
		return NULL;
	p->is_media = true;
	if (has_unit_price(p) || (r->input > 0 && (lite_makes_images(l) || lite_is_sound(l))))
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
	int r = lite_put_levels(l);

	l->p.per_audio_ms = l->second;
	l->p.per_video_ms = l->video_second;
	l->p.per_character = l->character;
	l->p.per_request = l->query > 0 ? l->query : 0;
	if (r == 0 && lite_makes_images(l))
		r = lite_put_image(l);
	if (r < 0)
		return r;
	if (l->p.model[0] == '\0' || strlen(l->p.model) >= PRICE_NAME_MAX)
		return skip(l, "has a name that is too long");
	struct import_entry *there = import_find(l->im, l->p.provider, l->p.model);

	if (there && l->p.nimages)
		return lite_join_image(l, there);
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
