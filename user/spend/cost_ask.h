// SPDX-License-Identifier: Apache-2.0
/*
 * cost_ask.h: from what a request asks for (ask.h) to what it can cost: the one place, for the daemon's hold and for `purse estimate`,
 * which has to say the same. Pure.
 */
#ifndef PURSE_SPEND_COST_ASK_H
#define PURSE_SPEND_COST_ASK_H

#include "ask.h"
#include "spend/cost.h"

/*
 * The bounds of the request by itself. input is what its bytes allow; the terms of the host (region, multiplier_pct) and the time are the
 * caller's to add. -ERANGE: something that costs has no bound (e says what to declare). ret borrows the ask's words.
 */
int cost_ask_bounds(const struct ask *a, struct cost_bounds *ret, struct err *e);
/* Output tokens at most, all choices, by request or price; -1 = neither says. */
int64_t cost_output_most(const struct price *p, const struct cost_bounds *b);
/*
 * May this stream hold what it can have made by now instead of all that it may make (docs/holds.md)? Sound is not made at the pace of
 * text, and what comes in bursts at none. output_rate: the provider's, 0 = never.
 */
bool cost_ask_rolls(enum endpoint endpoint, const struct ask *a, int64_t output_rate);

#endif
