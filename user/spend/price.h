// SPDX-License-Identifier: Apache-2.0
/*
 * price.h: the price list. Rates are exact: integers of 1e-15 USD (femto-dollars) per token or per item. No double
 * anywhere. Loaded from YAML (deploy/prices.yaml and the user's own files over it), immutable once loaded and
 * reference-counted, so that a call keeps the list it was held at while a new one is put in place.
 *
 * A price is found by (provider name, model, time). Unknown is an answer of its own: NULL, never zero.
 * The file format stands at the head of price.c and in docs/prices.md.
 */
#ifndef PURSE_SPEND_PRICE_H
#define PURSE_SPEND_PRICE_H

#include "base/err.h"
#include "terms.h"

typedef int64_t femtousd; /* 1e-15 USD, >= 0; PRICE_UNKNOWN where the list says nothing */
#define PRICE_UNKNOWN (-1)
#define FEMTOUSD_PER_NANOUSD INT64_C(1000000)

struct rates {
	femtousd input;
	femtousd cache_read;     /* unknown = input */
	femtousd cache_write_5m; /* unknown = input */
	femtousd cache_write_1h; /* unknown = 2 x input if cache_write_5m is known, else input */
	femtousd output;
	femtousd reasoning;      /* unknown = output */
	femtousd audio_input;    /* unknown = input */
	femtousd audio_output;   /* unknown = output */
};

struct price {
	const char *provider, *model; /* model: the listed name; aliases point to the same price */
	const char *source;           /* where the figures are from, and when they were read */
	const char *as_of;            /* "2026-08-21" */
	int64_t from_s, to_s;         /* valid in [from, to) unix seconds; 0 = open */
	struct rates standard;
	struct rates flex, priority, batch; /* all-unknown = tier not sold: priced as the dearest known */
	/* Long context is a cliff: total input > threshold moves the whole request to these (0 = no cliff). */
	int64_t long_threshold;
	struct rates long_standard, long_flex, long_priority;
	femtousd per_request;    /* 0 if none */
	femtousd per_web_search; /* unknown if the list says nothing */
	int64_t max_input;       /* tokens; -1 unknown */
	int64_t max_output;      /* tokens; -1 unknown */
};

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

#endif
