// SPDX-License-Identifier: Apache-2.0
/* budget_flags.h: the flags that say what an agent or an account may do, shared by agent, account and run; and the request
 * body that they become. */
#ifndef PURSE_CTL_BUDGET_FLAGS_H
#define PURSE_CTL_BUDGET_FLAGS_H

#include "base/buf.h"
#include "ctl/args.h"

struct budget_flags {
	struct args_usd limits[WINDOW_COUNT];
	struct args_usd floor;
	const char *parent; /* --account or --parent; NULL = not given */
	const char *cgroup, *on_exhausted, *on_failure;
};
/* Groups have the limits, and --parent instead of --account. */
extern const struct args_row budget_flag_rows[];
extern const struct args_row budget_group_rows[];
extern const size_t budget_flag_nrows, budget_group_nrows;

/* name NULL: for PATCH. */
int budget_flags_body(const struct budget_flags *f, const char *name, bool temporary, struct buf *out);
bool budget_flags_any(const struct budget_flags *f);

#endif
