// SPDX-License-Identifier: Apache-2.0
/*
 * money.h: what the path asks of budget and ledger, wherever these are. Mostly here; after a hand-over (docs/upgrade.md) in the
 * process that took over, and each verb is one question and one answer over a socket, while this process ends the calls that it has.
 * Money is in one place at any moment: while it moves, every verb waits (money_freeze to money_thaw), which is as long
 * as the new owner needs to read the ledger.
 *
 * The verbs are those of spend/budget/budget.h and spend/ledger/ledger.h by the same names and mean the same. Any thread.
 *
 * The other side is money_serve: a thread that answers one such process. When that process is gone, whatever way, what it still
 * held is charged or given back as after a crash: exactly once, since only the owner ever changes a slot.
 */
#ifndef PURSE_PATH_MONEY_H
#define PURSE_PATH_MONEY_H

#include "spend/budget/budget.h"
#include "spend/ledger/ledger.h"

struct money;

int money_new(struct budget *b, struct ledger *l, struct money **ret);
void money_free(struct money *m);
/* Returns when no verb is running; none begins before the thaw. Both on one thread. */
void money_freeze(struct money *m);
void money_thaw(struct money *m, struct budget *b, struct ledger *l); /* here again, maybe others than before */
/*
 * Elsewhere: takes the socket. lost is called once, on any thread, when the owner is gone: from then on nothing can be held, said to be sent
 * or charged, so it must not return (the slots are charged by the next start, as after any crash).
 */
void money_thaw_away(struct money *m, int fd, void (*lost)(void *ctx), void *ctx);
bool money_is_away(struct money *m);

int money_hold(struct money *m, const struct hold_request *r, uint32_t *ret_slot, uint64_t *ret_call_id, struct refusal *ret_why);
int money_extend(struct money *m, uint32_t slot, nanousd at_least, nanousd wish, int64_t now_ns, nanousd *ret_amount,
		 struct refusal *ret_why);
nanousd money_afford(struct money *m, uint32_t account, const char *model, int64_t now_ns);
bool money_is_below(struct money *m, uint32_t account, uint32_t top);
bool money_clamps(struct money *m, uint32_t account);
void money_count_tokens(struct money *m, uint32_t slot, int64_t tokens, int64_t now_ns);
void money_sent(struct money *m, uint32_t slot);
/*
 * Nothing of it was sent: budget_give_up and ledger_hold_over as one question. The slot stays until what was written ahead is gone from the
 * disk: wherever a process is killed, the next one finds a slot that says so, and charges nothing.
 */
void money_give_up(struct money *m, uint32_t slot, uint64_t call_id);
void money_count_refusal(struct money *m, uint32_t account);
void money_get_hold(struct money *m, uint32_t slot, struct gate_hold *ret);
uint32_t money_find(struct money *m, const char *name);
int money_view(struct money *m, uint32_t account, int64_t now_s, struct account_view *ret);
/* budget_charge and then ledger_call, as one question: a charge without its row would be written by the next start. Returns the overrun. */
nanousd money_charge(struct money *m, uint32_t slot, const struct ledger_call *c);
void money_write_hold(struct money *m, const struct ledger_hold *h);
void money_hold_grew(struct money *m, uint64_t call_id, nanousd amount);
void money_refusal(struct money *m, const char *agent, const char *provider, const char *model, const struct refusal *why, int64_t at_ns);
void money_note(struct money *m, const char *agent, const char *provider, const char *model, const struct refusal *why, int64_t at_ns);

/* ---- the owner's side */

/* Changes with every change of what goes over the socket: two versions that differ do not hand over to each other. */
uint64_t money_dialect(void);

struct money_serve;
/*
 * Answers the process that has the other end of fd, whose slots carry `owner`. gone (may be NULL): it is, and what it held is settled; on the
 * serving thread. The socket stays the caller's to close after money_serve_stop.
 */
int money_serve_start(int fd, uint32_t owner, struct budget *b, struct ledger *l, void (*gone)(void *ctx, uint32_t owner), void *ctx,
		      struct money_serve **ret);
/* After the question that is being answered; what comes later waits in the socket for whoever has it then. */
void money_serve_stop(struct money_serve *s);

#endif
