// SPDX-License-Identifier: Apache-2.0
/* cmd/prices.h: `purse prices` and its words; import has a file of its own. */
#ifndef PURSE_CTL_CMD_PRICES_H
#define PURSE_CTL_CMD_PRICES_H

#include "base/jsonw.h"
#include "ctl/cmd/cmd.h"
#include "spend/price/price.h"

/* The list that the config names. An exit code; then price_list_unref. */
int prices_in_force(struct cli *cli, struct price_list **ret);
void prices_json(struct jsonw *w, const char *key, const struct price *p);

int cmd_prices_import(struct cli *cli, const struct command *self, char **argv);

#endif
