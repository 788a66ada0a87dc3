// SPDX-License-Identifier: Apache-2.0
/*
 * rules/account.h: what one account's rules are and remember, and how the budget asks and tells them. For spend/budget/ and spend/rules/ only;
 * everything here is called with the budget's lock held. An account without rules has none of this (NULL); one that has some has
 * memory for those. What they are asked and told, in the life of a hold:
 *
 *   rules_ask (before fits)   rules_take (it is held)   rules_room, rules_extend   rules_charge or rules_release
 */
#ifndef PURSE_SPEND_RULES_ACCOUNT_H
#define PURSE_SPEND_RULES_ACCOUNT_H

#include "spend/budget/own.h"
#include "spend/rules/state.h"

/* A limit for some models: windows that open and end with the account's own. Money is counted where there is no limit, too. */
struct model_money {
	char models[RULES_GLOB_MAX];
	struct window_money windows[WINDOW_COUNT];
	nanousd recount[WINDOW_COUNT]; /* of the instance that is open; see budget_recount_models */
};

struct account_rules {
	uint32_t has, dry_run; /* bit per enum rule */
	int64_t requests_per_minute, tokens_per_minute, calls_in_flight;
	nanousd per_call;
	int64_t loop_times, loop_within_s, burn_times, burn_within_s;

	/* Each NULL or empty without its rule. */
	struct lately *requests, *tokens, *burn;
	struct sightings loop;
	char (*globs)[RULES_GLOB_MAX]; /* allow, then deny */
	size_t nallow, ndeny;
	struct model_money *models;
	size_t nmodels;
	bool recounting;

	/* Of calls in flight here and below: how many, and the tokens held for them. */
	struct flight {
		int64_t calls, tokens;
	} flight, counted; /* counted: scratch of rules_count_flight and the check */
	uint64_t refused[RULE_COUNT], would_refuse[RULE_COUNT];
};

static inline bool rules_has(const struct account_rules *r, enum rule rule)
{
	return r->has >> rule & 1;
}

static inline bool rules_are_dry(const struct account_rules *r, enum rule rule)
{
	return r->dry_run >> rule & 1;
}

/* Calls of which models a limit is for is asked in the form that a hold slot keeps, so that each step of a call finds the same. */
static inline bool model_money_is_for(const struct model_money *m, const struct gate_hold *h)
{
	return rules_glob(m->models, h->provider_name, h->model);
}

/* ---- one account's (rules/account.c) */

/* Checks and makes; *ret is NULL for no rules. -EINVAL, -ENOMEM. Nothing of the budget changes but room for tokens. */
int rules_make(struct budget *b, const struct account_spec *spec, struct account_rules **ret, struct err *e);
/* Puts them in the place of the account's old ones (takes ownership; NULL ok); what did not change keeps its state. */
void rules_replace(struct budget *b, uint32_t i, struct account_rules *fresh);
void rules_free(struct account_rules *r); /* NULL ok */
/* Counts what is in flight anew, in all accounts: an account moved, and the calls in flight with it. */
void rules_recount_flight(struct budget *b);
/* The account's window k began anew, or has other bounds. */
void rules_roll(struct budget *b, uint32_t i, int k);
/* For budget_check: figures in flight, and P1 of model limits. */
int rules_check_state(struct budget *b, struct err *e);

/* ---- a call (rules/ask.c: before; rules/move.c: once it is held) */

/* Where nobody has rules, a hold pays for no more than looking whether that is so. */
int rules_ask_chain(struct budget *b, const struct hold_request *r, int64_t now_s, struct refusal *ret_why);
static inline int rules_ask(struct budget *b, const struct hold_request *r, int64_t now_s, struct refusal *ret_why) /* 0, -EDQUOT */
{
	if (r->notes)
		r->notes->n = 0;
	return b->nruled ? rules_ask_chain(b, r, now_s, ret_why) : 0;
}
void rules_take_chain(struct budget *b, uint32_t slot, const struct hold_request *r, int64_t now_s);
static inline void rules_take(struct budget *b, uint32_t slot, const struct hold_request *r, int64_t now_s)
{
	/* Also without rules, once there were some: there may be again while this call is in flight. */
	if (b->tokens)
		rules_take_chain(b, slot, r, now_s);
}
void rules_saw(struct budget *b, const struct hold_request *r, int64_t now_s); /* a request that went on, or was refused as a loop */
int64_t rules_held_tokens(int64_t tokens); /* within what can be summed up */
/* How high the whole hold may go, `wish` at most; when that is not enough: which rule stops at_least. -EDQUOT */
nanousd rules_room(struct budget *b, const struct gate_hold *h, nanousd wish);
int rules_explain(struct budget *b, const struct gate_hold *h, nanousd at_least, struct refusal *ret_why);
/* One account's rules on money, whether in dry-run or not. True = it stops that much. */
bool rules_stop_per_call(const struct account *a, nanousd amount, struct refusal *ret);
bool rules_stop_model(const struct account *a, const struct gate_hold *h, nanousd amount, struct refusal *ret);
void rules_extend(struct budget *b, const struct gate_hold *h, nanousd more);
void rules_charge_chain(struct budget *b, uint32_t slot, nanousd cost);
static inline void rules_charge(struct budget *b, uint32_t slot, nanousd cost)
{
	if (b->nruled)
		rules_charge_chain(b, slot, cost);
}
void rules_release_chain(struct budget *b, uint32_t slot);
static inline void rules_release(struct budget *b, uint32_t slot)
{
	if (b->nruled)
		rules_release_chain(b, slot);
}
void rules_adopt(struct budget *b, const struct gate_hold *h, nanousd cost); /* an orphan: never in flight here */
void rules_keep(struct budget *b, uint32_t slot); /* a hand-over: it goes on */
nanousd rules_afford(struct budget *b, uint32_t account, const char *model, nanousd most);

#endif
