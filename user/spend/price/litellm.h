// SPDX-License-Identifier: Apache-2.0
/*
 * price/litellm.h: between price/litellm.c (the walk over LiteLLM's file) and what reads its fields: litellm_rates.c, litellm_fees.c,
 * litellm_pictures.c. A take function has one field: 0 or a complaint; what it cannot place is noted.
 */
#ifndef PURSE_SPEND_PRICE_LITELLM_H
#define PURSE_SPEND_PRICE_LITELLM_H

#include <string.h>

#include "spend/price/import_own.h"

#define LITE_LEVELS_MAX 8

/* One step of input, and everything that is charged above it. */
struct lite_level {
	int64_t above; /* -1 = none */
	struct rates sets[RATE_SETS];
};

struct lite {
	struct price_import *im;
	struct price p;
	struct lite_level levels[LITE_LEVELS_MAX + 1]; /* [0] is the base */
	size_t nlevels;
	const char *mode;
	femtousd image, pixel, pixel_read, character, second, video_second, query;
	bool claims_cache;
};

int lite_not_mapped(struct lite *l, struct str key); /* notes a field about money that has no place with us */

static inline bool lite_is_mode(const struct lite *l, const char *mode) { return !strcmp(l->mode, mode); }
static inline bool lite_makes_images(const struct lite *l) { return lite_is_mode(l, "image_generation") || lite_is_mode(l, "image_edit"); }
static inline bool lite_is_sound(const struct lite *l) { return lite_is_mode(l, "audio_transcription") || lite_is_mode(l, "audio_speech"); }
static inline bool lite_is_search(const struct lite *l) { return lite_is_mode(l, "rerank") || lite_is_mode(l, "search"); }

static inline int64_t lite_larger(int64_t a, int64_t b) { return a > b ? a : b; }
/* Fees stand in our lists per thousand with nine decimals: a thousand femto-dollars each is the least. */
static inline femtousd lite_up_to_thousand(femtousd v) { return v > 0 ? (v + 999) / 1000 * 1000 : v; }

/* ---- rates */

/* Of which rate a name speaks. */
struct lite_field {
	size_t at; /* in struct rates */
	unsigned set;
	int64_t above; /* -1 = none */
};

/* False: the name is no price of a token. */
bool lite_read_name(struct str name, struct lite_field *ret);
int lite_take_token_price(struct lite *l, struct str key, const struct pj_value *v, const struct lite_field *f);
int lite_take_steps(struct lite *l, struct str key, const struct pj_value *v);
int lite_take_off_peak(struct lite *l, struct str key, const struct pj_value *v);
/* All levels in order, with what they leave unsaid, into l->p. */
int lite_put_levels(struct lite *l);
bool lite_says_anything(const struct rates *r);

/* ---- fees and factors */

int lite_take_fee(struct lite *l, struct str key, const struct pj_value *v); /* 1 = taken, 0 = it is none */
int lite_take_search(struct lite *l, struct str key, const struct pj_value *v);
int lite_take_specific(struct lite *l, struct str key, const struct pj_value *v);
int lite_take_regional(struct lite *l, struct str key, const struct pj_value *v);

/* ---- pictures */

int lite_take_pixels(struct lite *l, struct str key, const struct pj_value *v);
int lite_put_image(struct lite *l);
int lite_join_image(struct lite *l, struct import_entry *to); /* the prices of pictures of one model come one by one */

#endif
