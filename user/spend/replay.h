// SPDX-License-Identifier: Apache-2.0
/*
 * replay.h: from the ledger and the holds of a dead daemon back to balances. The daemon's start:
 *
 *   budget_new, ledger_open
 *   replay_begin      calls whose hold slot did not survive a power cut are charged; call ids and time go on above all that was ever seen
 *   replay_account    for each account, parents first: made, and what it spent counts again
 *   replay_finish     what removed accounts spent counts above them; calls that were in flight are charged, their rows queued
 *   budget_open
 *
 * replay_account also serves at run time: an account that comes back under an old name brings what it spent with it, and it is
 * counted once. Removing one is budget_remove_account and ledger_save_account(removed): what it spent stays with those above it.
 */
#ifndef PURSE_SPEND_REPLAY_H
#define PURSE_SPEND_REPLAY_H

#include "spend/budget/budget.h"
#include "spend/ledger/ledger.h"

struct replay_counts {
	size_t gone_accounts;  /* removed ones whose spending counts above them */
	size_t orphans_sent;   /* in flight when the daemon died: charged at their whole hold, end "orphan" */
	size_t orphans_charged; /* charged, row not yet durable: the row is written now */
	size_t orphans_known;  /* charged, row was durable: the slot is freed */
	nanousd orphans_cost;  /* of the first two */
	size_t kept;           /* of a process that handed over (budget_keep): they go on */
};

/* now_ns: realtime. A ledger whose newest call is more than two days ahead of the clock is taken for a clock that was wrong then. */
int replay_begin(struct budget *b, struct ledger *l, int64_t now_ns, struct err *e);
/* budget_set_account, and if it is new its balance. ret_index may be NULL. On an error nothing was made. */
int replay_account(struct budget *b, struct ledger *l, const struct account_spec *spec, int64_t now_s, uint32_t *ret_index,
		   struct err *e);
/*
 * At run time, when limits on models were made or changed, or the account moved: what was spent under its limits on models and those above
 * it is counted anew from the ledger. Nothing to do: returns at once.
 */
int replay_models(struct budget *b, struct ledger *l, uint32_t account, struct err *e);
/* A process that handed over is gone: what it held is charged as after a crash (orphans_sent, orphans_cost) or given back. Any thread. */
void replay_abandoned(struct budget *b, struct ledger *l, uint32_t owner, struct replay_counts *ret);
/*
 * Takes a *new* account of replay_account back, when what followed (the row in the ledger) failed: the money that came with its name goes to
 * where the ledger still sees it, then the account goes. If the ledger cannot be read, the money stays with those above it.
 */
void replay_take_back(struct budget *b, struct ledger *l, const struct account_spec *spec, int64_t now_s);
int replay_finish(struct budget *b, struct ledger *l, int64_t now_s, struct replay_counts *ret, struct err *e);

#endif
