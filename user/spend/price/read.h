// SPDX-License-Identifier: Apache-2.0
/*
 * price/read.h: between price.c (files, providers, models), price/keys.c (the keys of one price) and what stands under a key: values.c,
 * tiers.c, off_peak.c. A read function has the value under `key`, which is what its complaint names.
 */
#ifndef PURSE_SPEND_PRICE_READ_H
#define PURSE_SPEND_PRICE_READ_H

#include "base/yaml.h"
#include "spend/price/own.h"

struct price_reader {
	const struct yaml *y;
	const char *file;
	struct err *e;
	struct price_list *list;
	const char *provider, *source, *as_of; /* what an entry inherits */
	enum price_reported reported;
};

#define COMPLAIN(rd, node, key, ...) yaml_complain((rd)->y, node, (rd)->e, key, __VA_ARGS__)

/* 1 USD per million (tokens, characters, milliseconds) = 1e9 fUSD each; per thousand (requests, searches, pictures) = 1e12. */
#define USD_PER_MILLION (FEMTOUSD_PER_NANOUSD * 1000)
#define USD_PER_THOUSAND (FEMTOUSD_PER_NANOUSD * 1000000)

/* ---- values.c */

int price_read_no_memory(struct price_reader *rd);
/* scale: how many femto-dollars 1 USD of the written unit is, per token or item. */
int price_read_usd(struct price_reader *rd, const struct yaml_node *n, const char *key, int64_t scale, femtousd *ret);
int price_read_tokens(struct price_reader *rd, const struct yaml_node *n, const char *key, int64_t *ret);
/* In thousandths: 0.001 to 1000. */
int price_read_factor(struct price_reader *rd, const struct yaml_node *n, const char *key, int32_t *ret);
int price_read_text(struct price_reader *rd, const struct yaml_node *n, const char *key, const char **ret);
int price_read_date(struct price_reader *rd, const struct yaml_node *n, const char *key, int64_t *ret);
int price_read_reported(struct price_reader *rd, const struct yaml_node *n, enum price_reported *ret);

/* One of a kind, or a list of them: how many, which, and room for as many of size bytes. */
#define PRICE_SEVERAL_MAX 16
size_t price_read_count(const struct yaml_node *n);
const struct yaml_node *price_read_one(const struct yaml_node *n, size_t i);
void *price_read_several(struct price_reader *rd, const struct yaml_node *n, const char *key, size_t size, int *ret_error);

/* ---- tiers.c, off_peak.c: needs_output: the model's standard has a rate for output, so each set must too */

int price_read_tier(struct price_reader *rd, const struct yaml_node *n, const char *tier, bool needs_output, struct rates *ret);
int price_read_long_context(struct price_reader *rd, const struct yaml_node *n, bool needs_output, struct price *p);
int price_read_off_peak(struct price_reader *rd, const struct yaml_node *n, struct price *p);
int price_check_off_peak(struct price_reader *rd, const struct yaml_node *n, struct price *p); /* after all other keys of the price */

/* ---- keys.c */

/* All keys of a price into *p, which is initialised; but not its aliases. */
int price_read_entry(struct price_reader *rd, const struct yaml_node *n, struct price *p);

#endif
