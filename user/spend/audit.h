// SPDX-License-Identifier: Apache-2.0
/*
 * audit.h: the proof that the kernel's balances are the ledger's (promise P4): for every account and window
 *
 *   spent  = what the ledger's rows of the account, of all below it and of removed ones that stood there add up to since the window's
 *            start, plus calls that are charged but whose row is not durable yet (slots in CHARGED)
 *   held   = the holds in flight (slots in HELD and SENT)
 *   spent + held <= limit (P1)
 *
 * the same for limits on models (with a live budget: they live in the daemon alone), every hold that is written ahead has its slot, and
 * ledger_check is clean. With a live budget both sides are read at one instant (the budget's lock is held while the ledger's moment is
 * fixed, some microseconds). Without one the mapped arrays are taken as they are: the daemon must not be running.
 */
#ifndef PURSE_SPEND_AUDIT_H
#define PURSE_SPEND_AUDIT_H

#include "spend/budget/budget.h"
#include "spend/ledger/ledger.h"

struct audit_input {
	struct budget *budget; /* live; NULL = the arrays below */
	const struct gate_account *accounts;
	size_t naccounts;
	const struct gate_hold *holds;
	size_t nholds;
	struct ledger *ledger;
};

struct audit_report {
	size_t accounts, windows; /* compared */
	size_t holds;             /* in flight */
	size_t pending;           /* charged, row not durable at that instant */
	size_t over_limit;        /* windows with spent above the limit: a limit was cut, or a provider billed more than was held */
	size_t models;            /* limits on models compared … */
	size_t models_moving;     /* … and those that calls were changing meanwhile: not compared */
	size_t ahead;             /* holds that are written ahead in the ledger */
	size_t open_stale;        /* of these, without a slot: the next start charges them */
	uint64_t first_stale;     /* call id */
	nanousd open_cost;        /* of open_stale */
	nanousd spent;            /* sum over all rows and pending calls */
	nanousd unplaced;         /* part of it: spent by accounts that are gone and had nothing above them that still exists */
};

/*
 * 0; -EUCLEAN: e names the first disagreement with both figures; -EAGAIN: the arrays are half way through a change or a start
 * (e says what to do); others: the ledger cannot be read.
 */
int audit_run(const struct audit_input *in, struct audit_report *ret, struct err *e);

/* The same computation put to use: windows that a moved account left in doubt (budget_in_doubt) are put right. While calls run. */
int audit_doubts(struct budget *b, struct ledger *l, struct err *e);

#endif
