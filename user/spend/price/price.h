// SPDX-License-Identifier: Apache-2.0
/*
 * price.h: the price list. Rates are exact: integers of 1e-15 USD (femto-dollars) per token or per item. No double
 * anywhere. Loaded from YAML (deploy/prices.yaml and the user's own files over it), immutable once loaded and
 * reference-counted, so that a call keeps the list it was held at while a new one is put in place.
 *
 * A price is found by (provider name, model, time). Unknown is an answer of its own: NULL, never zero.
 * The file format stands in docs/prices.md, in short at the head of price.c. What a price means for a call is cost.h.
 */
#ifndef PURSE_SPEND_PRICE_H
#define PURSE_SPEND_PRICE_H

#include "base/err.h"
#include "terms.h"

typedef int64_t femtousd; /* 1e-15 USD, >= 0; PRICE_UNKNOWN where the list says nothing */
#define PRICE_UNKNOWN (-1)
#define FEMTOUSD_PER_NANOUSD INT64_C(1000000)

/* Per token. What is unknown falls back as cost.c's resolved() says; a set without an input rate is not sold. */
struct rates {
	femtousd input;
	femtousd cache_read;     /* unknown = input */
	femtousd cache_write_5m; /* unknown = input */
	femtousd cache_write_1h; /* unknown = 2 x input if cache_write_5m is known, else input */
	femtousd output;
	femtousd reasoning;      /* unknown = output */
	femtousd audio_input;    /* unknown = input */
	femtousd audio_cache_read; /* unknown = the dearer of audio_input, if that is known, and cache_read */
	femtousd audio_output;   /* unknown = output */
	femtousd image_input;    /* unknown = input */
	femtousd image_cache_read; /* as audio_cache_read */
	femtousd image_output;   /* unknown = output */
	femtousd video_input;    /* unknown = input */
};
#define RATES_COUNT (sizeof(struct rates) / sizeof(femtousd))

/* The sets of rates of a price: by enum tier up to batch, then the fast mode where it has rates of its own. */
#define RATE_SETS (TIER_BATCH + 2)
#define RATE_SET_FAST (TIER_BATCH + 1)

/*
 * Long context is a cliff: with more input than `above` the whole request is charged at these. The highest that is crossed counts.
 */
struct price_long {
	int64_t above;
	bool inclusive; /* already at `above` */
	struct rates sets[RATE_SETS];
};

/* Cheaper hours, UTC. The rates replace those of the standard tier, below every long-context threshold; nothing else. */
struct price_off_peak {
	struct { int16_t from_min, to_min; } windows[8]; /* minutes of the day, [from, to); to <= from: over midnight, of the day it began on */
	unsigned nwindows; /* 0 = all day */
	uint8_t days;      /* bit 0 = Monday; 0 = every day */
	struct rates rates; /* unknown = as the standard rate */
};

/* What a factor hangs on: "us" -> 1100 (1.1). */
struct price_factor {
	const char *name;
	int32_t permille;
};

/* A picture that is made, charged by the piece. "" = any. */
struct price_image {
	const char *quality, *size;
	femtousd each;
};

enum search_context { SEARCH_CONTEXT_UNKNOWN = 0 /* = dearest */, SEARCH_CONTEXT_LOW, SEARCH_CONTEXT_MEDIUM, SEARCH_CONTEXT_HIGH, SEARCH_CONTEXT_COUNT };

/* What becomes of money that the provider itself reports. */
enum price_reported { PRICE_REPORTED_WINS = 0, PRICE_REPORTED_IGNORED, PRICE_REPORTED_COUNT };

struct price {
	const char *provider, *model; /* model: the listed name; aliases point to the same price */
	const char *source;           /* where the figures are from, and when they were read */
	const char *as_of;            /* "2026-08-21" */
	int64_t from_s, to_s;         /* valid in [from, to) unix seconds; 0 = open */
	bool is_media;                /* tokens without a rate are not billed: something else is */
	struct rates sets[RATE_SETS]; /* not sold (no input rate) = priced as the dearest that may stand for it */
	const struct price_long *longs; /* ascending by `above` */
	size_t nlongs;
	const struct price_off_peak *off_peak; /* the first that holds counts */
	size_t noff_peak;
	int32_t fast_permille;        /* fast mode as a factor on all token rates; 0 = none given */
	const struct price_factor *geo; /* by where the request wants to be served; on tokens, not on fees */
	size_t ngeo;
	const struct price_factor *regional; /* by the host that it is sent to */
	size_t nregional;
	femtousd per_request;         /* 0 if none */
	femtousd per_web_search[SEARCH_CONTEXT_COUNT]; /* [UNKNOWN] is the dearest; unknown if the list says nothing, like all below */
	femtousd per_file_search, per_code_session;
	femtousd per_audio_ms, per_video_ms, per_character, per_page;
	const struct price_image *images;
	size_t nimages;
	enum price_reported reported;
	int64_t max_input;       /* tokens; -1 unknown */
	int64_t max_output;      /* tokens, of one choice or picture; -1 unknown */
};

/* The rates of a set by their names in a list; ends with a NULL key. */
struct price_rate_row {
	const char *key;
	size_t at;
};
extern const struct price_rate_row price_rate_rows[RATES_COUNT + 1];
extern const char *const price_set_words[RATE_SETS];
femtousd *price_rate(struct rates *r, size_t row);

struct price_list;

/* paths: later files replace entries (provider, model) of earlier ones. Errors name file, line, key, value. */
int price_list_load(const char *const *paths, size_t npaths, struct price_list **ret, struct err *e);
int price_list_parse(const char *name, const char *text, size_t len, struct price_list **ret, struct err *e);
struct price_list *price_list_ref(struct price_list *l);
void price_list_unref(struct price_list *l); /* NULL ok; thread-safe */

/*
 * The entry valid at that time. Exact name first, then aliases; a dated suffix (-2026-01-31, -20260131, @…) that is not listed
 * falls back to its undated name. NULL = unknown price.
 */
const struct price *price_find(const struct price_list *l, const char *provider, const char *model, int64_t at_s);
size_t price_list_count(const struct price_list *l);
const struct price *price_list_at(const struct price_list *l, size_t i); /* for `purse prices` */

/* The other names that lead to p's model, in no order; they live as long as l, which nobody else may use meanwhile. At most `most` are told; returns how many. */
size_t price_list_aliases(struct price_list *l, const struct price *p, const char **ret, size_t most);

/* A price that says nothing at all yet: everything unknown. */
void price_init(struct price *p);

#endif
