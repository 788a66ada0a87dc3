// SPDX-License-Identifier: Apache-2.0
/*
 * roll.h: the rolling hold of a stream: at any time enough for its input and what can have been made by now, and by the time that a
 * cancel would be noticed (bound.h). docs/holds.md has the way and the figures. Between reserve (which takes the first hold) and settle.
 */
#ifndef PURSE_PATH_ROLL_H
#define PURSE_PATH_ROLL_H

#include "path/exchange.h"

/* After x->bounds, x->held and x->ceiling are known: if this call rolls, x->held becomes its first hold. */
void roll_begin(struct exchange *x);
/* The request is about to leave. */
void roll_sent(struct exchange *x);
/* What was read is in x->report. all_read: nothing that has arrived is left unread. */
void roll_saw(struct exchange *x, bool all_read);
/* Raises the hold if it has to be. false: what is needed does not fit, x->refusal says why: stop the call. */
bool roll_covers(struct exchange *x);

/* The dearest that this call can be with so much output; with the exact input once the provider has told it. */
int roll_cost(const struct exchange *x, int64_t output, nanousd *ret);
/* The most output, up to `most`, with which the call costs no more than amount; -1 = none at all. */
int64_t roll_afforded(const struct exchange *x, nanousd amount, int64_t most);

#endif
