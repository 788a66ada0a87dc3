// SPDX-License-Identifier: Apache-2.0
/*
 * prefix_call.h: the bound of a call's input by what earlier calls of the same account reported (prefix.h): looked up before the hold,
 * learned when the call is settled. docs/holds.md, "Input that is known".
 */
#ifndef PURSE_PATH_PREFIX_CALL_H
#define PURSE_PATH_PREFIX_CALL_H

#include "path/exchange.h"

/* Before the hold, with the body still there: sets x->fingerprint and x->input_bound, which is never above the bytes' bound. */
void prefix_seek(struct exchange *x);
/* When the report is complete: remembers what it says about this request's beginnings, if it is exact and can be. */
void prefix_learn(struct exchange *x);

#endif
