// SPDX-License-Identifier: Apache-2.0
/* price/read.h: between price.c (files, providers, models) and price/keys.c (the keys of one price). */
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

int price_read_no_memory(struct price_reader *rd);
int price_read_text(struct price_reader *rd, const struct yaml_node *n, const char *key, const char **ret);
int price_read_date(struct price_reader *rd, const struct yaml_node *n, const char *key, int64_t *ret);
int price_read_reported(struct price_reader *rd, const struct yaml_node *n, enum price_reported *ret);
/* All keys of a price into *p, which is initialised; but not its aliases. */
int price_read_entry(struct price_reader *rd, const struct yaml_node *n, struct price *p);

#endif
