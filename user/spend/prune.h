// SPDX-License-Identifier: Apache-2.0
/*
 * prune.h: may the calls before a day be pruned? Not while a window that is open still needs them one by one: it may begin within a day,
 * and days are all that is left of what was pruned. Totals go on by days. The pruning itself: ledger/prune.h.
 */
#ifndef PURSE_SPEND_PRUNE_H
#define PURSE_SPEND_PRUNE_H

#include "spend/budget/budget.h"

/* The latest day (UTC) that may be given: for the accounts there are, and for any that is made from now on in any time zone. */
int64_t prune_latest(struct budget *b, int64_t now_s);
/* 0, or -EBUSY and which day would do; -EINVAL: not the begin of a UTC day. */
int prune_check(struct budget *b, int64_t before_s, int64_t now_s, struct err *e);

#endif
