// SPDX-License-Identifier: Apache-2.0
/*
 * price/own.h: inside this folder: the table behind a price list, for price.c (which fills it) and find.c (which owns it and looks things
 * up); rates by name; texts as numbers.
 */
#ifndef PURSE_SPEND_PRICE_OWN_H
#define PURSE_SPEND_PRICE_OWN_H

#include "spend/price/price.h"

#define PRICE_NAME_MAX 128
#define PRICE_PROVIDER_MAX 64
/* Dearer than this per million tokens (or per thousand requests) is a slip of the unit. */
#define PRICE_MAX_USD INT64_C(1000000)

/* One model of one provider: its prices in time. */
struct price_entry {
	const char *model;
	unsigned file;      /* which file it is from: a later one takes its names away */
	unsigned names;     /* how many names still lead here */
	struct price **prices;
	size_t n;
};

struct price_list *price_list_new(void);
void price_list_next_file(struct price_list *l);
int price_list_finish(struct price_list *l, int error, struct price_list **ret); /* on error frees l; returns error */
void *price_list_room(struct price_list *l, size_t n); /* zeroed, lives as long as l; NULL = no memory */
const char *price_list_text(struct price_list *l, struct str s); /* a copy that lives as long as l; NULL = no memory */
struct price_entry *price_list_entry(struct price_list *l, const char *provider, struct str model);
struct price *price_entry_add(struct price_list *l, struct price_entry *entry);
/* Lets (provider, name) lead to entry. -EEXIST: it leads somewhere by the same file already (again to the same entry as alias: fine). */
int price_list_name(struct price_list *l, const char *provider, struct str name, struct price_entry *entry, bool is_alias);

femtousd *price_rate_by_key(struct rates *r, struct str key); /* NULL: no rate has that name */

/* Exact decimal text x scale. -EINVAL not a plain number, -EDOM too many decimals, -ERANGE above max. */
int price_decimal(struct str s, int max_decimals, int64_t scale, int64_t max, int64_t *ret);
int price_date(struct str s, int64_t *ret_s);
/* "16:30-00:30" -> minutes of the day. */
int price_window(struct str s, int *ret_from, int *ret_to);

#endif
