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
	const char *timezone, *resets_at, *clamp;
	/* Rules, as given; "none" takes one away. */
	const char *rpm, *tpm, *in_flight, *allow, *deny, *loop, *burn, *dry_run;
	struct args_usd per_call;
	struct args_texts model_limits;
	/* Of `raise` only. */
	const char *span, *until;
	bool end;
};
/* Groups have no flags of agents, and --parent instead of --account. */
extern const struct args_row budget_flag_rows[];
extern const struct args_row budget_group_rows[];
extern const size_t budget_flag_nrows, budget_group_nrows;
/* What ends a raise, to be read beside one of the above. */
extern const struct args_row budget_raise_rows[];
extern const size_t budget_raise_nrows;

/* name NULL: for PATCH. -EINVAL with e: a flag of a rule that cannot be read. */
int budget_flags_body(const struct budget_flags *f, const char *name, bool temporary, struct buf *out, struct err *e);
/* For `raise`: limits and when it ends. -EINVAL with e: something else is given, or not enough. */
int budget_flags_raise(const struct budget_flags *f, struct buf *out, struct err *e);
bool budget_flags_limit(const struct budget_flags *f); /* is any limit given? */
bool budget_flags_any(const struct budget_flags *f); /* but for those of `raise` */

#endif
