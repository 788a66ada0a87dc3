// SPDX-License-Identifier: Apache-2.0
/*
 * price/litellm_fees.c: what LiteLLM's file charges by other units than tokens, and its factors: requests, seconds, characters, pages,
 * searches; fast mode and places.
 */
#include <string.h>

#include "base/str.h"
#include "spend/price/litellm.h"

static bool any_mode(const struct lite *l) { (void)l; return true; }
static bool is_video(const struct lite *l) { return lite_is_mode(l, "video_generation"); }
static bool is_speech(const struct lite *l) { return lite_is_mode(l, "audio_speech"); }

/* Fees: where they go, of which modes, per how many of our unit. Of several names for one place the dearest counts. */
static const struct {
	const char *key;
	bool (*of)(const struct lite *l);
	size_t at;  /* in struct lite */
	int pow10;  /* per second -> per millisecond is -3 */
} fee_fields[] = {
	{ "input_cost_per_image", lite_makes_images, offsetof(struct lite, image), 0 },
	{ "output_cost_per_image", lite_makes_images, offsetof(struct lite, image), 0 },
	{ "input_cost_per_character", is_speech, offsetof(struct lite, character), 0 },
	{ "output_cost_per_character", is_speech, offsetof(struct lite, character), 0 },
	{ "input_cost_per_second", lite_is_sound, offsetof(struct lite, second), -3 },
	{ "output_cost_per_second", lite_is_sound, offsetof(struct lite, second), -3 },
	{ "output_cost_per_second", is_video, offsetof(struct lite, video_second), -3 },
	{ "output_cost_per_video_per_second", is_video, offsetof(struct lite, video_second), -3 },
	{ "output_cost_per_second_1080p", is_video, offsetof(struct lite, video_second), -3 },
	{ "input_cost_per_query", lite_is_search, offsetof(struct lite, query), 0 },
	{ "input_cost_per_request", any_mode, offsetof(struct lite, query), 0 },
	{ "ocr_cost_per_page", any_mode, offsetof(struct lite, p.per_page), 0 },
	{ "code_interpreter_cost_per_session", any_mode, offsetof(struct lite, p.per_code_session), 0 },
};

int lite_take_fee(struct lite *l, struct str key, const struct pj_value *v)
{
	for (size_t i = 0; i < sizeof(fee_fields) / sizeof(fee_fields[0]); i++) {
		femtousd *at = (femtousd *)((char *)l + fee_fields[i].at), price = PRICE_UNKNOWN;
		int r;

		if (!str_eq(key, str_of(fee_fields[i].key)) || !fee_fields[i].of(l))
			continue;
		r = import_price(l->im, key, v, 1, fee_fields[i].pow10, fee_fields[i].pow10 ? IMPORT_TOKEN_MAX : IMPORT_FEE_MAX, &price);
		*at = lite_larger(*at, fee_fields[i].pow10 || fee_fields[i].at == offsetof(struct lite, character) ? price : lite_up_to_thousand(price));
		return r < 0 ? r : 1;
	}
	return 0;
}

int lite_take_search(struct lite *l, struct str key, const struct pj_value *v)
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
			r = lite_not_mapped(l, k);
		else
			r = import_price(l->im, k, &one, 1, 0, IMPORT_FEE_MAX, &fee[i]);
		most = i < SEARCH_CONTEXT_COUNT ? lite_larger(most, fee[i]) : most;
	}
	most = lite_up_to_thousand(most);
	fee[0] = most;
	for (unsigned i = 1; i < SEARCH_CONTEXT_COUNT; i++)
		fee[i] = fee[i] == PRICE_UNKNOWN ? most : lite_up_to_thousand(fee[i]);
	return r;
}

/* ---- factors */

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

int lite_take_specific(struct lite *l, struct str key, const struct pj_value *v)
{
	struct pj_walk w = pj_walk(v);
	struct pj_value one;
	struct str k;
	int r = v->kind == JSON_OBJECT ? import_check_members(l->im, v) : lite_not_mapped(l, key);

	while (r == 0 && pj_next(&w, &k, &one)) {
		int32_t f = 0;

		if (str_eq(k, STR("fast")))
			r = take_factor(l, k, &one, &l->p.fast_permille);
		else if (str_eq(k, STR("us")) || str_eq(k, STR("eu")))
			r = take_factor(l, k, &one, &f);
		else
			r = lite_not_mapped(l, key);
		if (r == 0 && f)
			r = add_factor(l, &l->p.geo, &l->p.ngeo, str_eq(k, STR("us")) ? "us" : "eu", f);
	}
	return r;
}

int lite_take_regional(struct lite *l, struct str key, const struct pj_value *v)
{
	int32_t f;
	int r = take_factor(l, key, v, &f);

	return r < 0 ? r : add_factor(l, &l->p.regional, &l->p.nregional, str_ends(key, STR("_eu")) ? "eu" : "us", f);
}
