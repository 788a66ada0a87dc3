// SPDX-License-Identifier: Apache-2.0
/* daemon/prices.c: the price lists: read at the start, and again when asked to; wrong ones leave the old ones in force. */
#include "daemon/daemon.h"

#include "base/log.h"
#include "ctl/config/config.h"
#include "path/path.h"
#include "spend/price/price.h"

int start_prices(struct daemon *d, struct err *e)
{
	int r = price_list_load(d->config->prices.v, d->config->prices.n, &d->prices, e);

	if (r == 0)
		log_info("prices", "%zu models", price_list_count(d->prices));
	return r;
}

void stop_prices(struct daemon *d)
{
	price_list_unref(d->prices);
}

int reload_prices(void *ctx, struct err *e)
{
	struct daemon *d = ctx;
	struct price_list *fresh = NULL;
	int r = price_list_load(d->config->prices.v, d->config->prices.n, &fresh, e);

	if (r < 0)
		return r;
	path_set_prices(d->path, fresh);
	price_list_unref(d->prices);
	d->prices = fresh;
	log_info("prices", "loaded again: %zu models; everything else in the config needs a restart", price_list_count(fresh));
	return 0;
}
