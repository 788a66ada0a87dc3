// SPDX-License-Identifier: Apache-2.0
/*
 * ledger/prune.h: calls of long ago become sums per day. Rows move from calls and hours into days, oldest first, some thousand in one
 * transaction of the writer's, so that nobody waits for long; what was done is done when it is interrupted, and the rest can be done
 * later. No sum changes: what an account spent in all is the same before, meanwhile and after.
 *
 * Whether a window still needs the calls is not asked here: prune_run of replay.h's kind asks the budget first (spend/prune.h).
 */
#ifndef PURSE_SPEND_LEDGER_PRUNE_H
#define PURSE_SPEND_LEDGER_PRUNE_H

#include "spend/ledger/db.h"
#include "spend/ledger/tally.h"

struct prune_batch;

/* Where the rows go before they are taken away; on the writer's thread. Both 0 or a negative errno, which stops the pruning. */
struct ledger_keep {
	int (*row)(void *ctx, const struct ledger_call *c);
	int (*sync)(void *ctx); /* after each batch, before it is taken away */
	void *ctx;
};

struct ledger_pruned {
	uint64_t calls;
	nanousd cost;
};

/* before_s: begin of a UTC day. keep may be NULL. On an error *ret says what was done until then. */
int ledger_prune(struct ledger *l, int64_t before_s, const struct ledger_keep *keep, struct ledger_pruned *ret, struct err *e);

/* ---- for ledger/writer.c: one batch, inside the transaction that is open */
int prune_batch_write(struct prune_batch *b, struct ledger_db *db, struct tally *tally);

#endif
