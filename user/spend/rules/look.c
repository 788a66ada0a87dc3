// SPDX-License-Identifier: Apache-2.0
/*
 * rules/look.c: rules as they stand, for people; and what the ledger says was spent under model limits: at a start, and when a limit
 * is made or an account moves while calls run. Declared in budget.h. What it does not do: read the ledger.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "spend/rules/account.h"

/* ---- looking */

static void show(struct rules_view *ret, enum rule rule, int64_t seen, int64_t limit)
{
	ret->v[rule].seen = seen;
	ret->v[rule].limit = limit;
}

static void show_models(const struct account_rules *a, struct rules_view *ret)
{
	ret->nmodel_limits = a->nmodels;
	for (size_t m = 0; m < a->nmodels; m++) {
		memcpy(ret->model_limits[m].models, a->models[m].models, sizeof(ret->model_limits[m].models));
		for (int k = 0; k < WINDOW_COUNT; k++) {
			const struct window_money *w = &a->models[m].windows[k];

			ret->model_limits[m].windows[k] = (struct window_view){
				.limited = w->limit != GATE_NO_LIMIT, .limit = w->limit, .spent = w->now.spent, .held = w->now.held,
				.start_s = w->now.start_s, .end_s = w->now.end_s,
			};
		}
	}
}

static void view(struct account_rules *a, int64_t now_s, struct rules_view *ret)
{
	*ret = (struct rules_view){ .any = true };
	for (unsigned k = 0; k < RULE_COUNT; k++) {
		ret->v[k].set = rules_has(a, (enum rule)k);
		ret->v[k].dry_run = rules_are_dry(a, (enum rule)k);
		ret->v[k].refused = a->refused[k];
		ret->v[k].would_refuse = a->would_refuse[k];
	}
	show(ret, RULE_PER_CALL, 0, a->per_call);
	show(ret, RULE_IN_FLIGHT, a->flight.calls, a->calls_in_flight);
	show(ret, RULE_REQUESTS, a->requests ? lately_sum(a->requests, now_s) : 0, a->requests_per_minute);
	show(ret, RULE_TOKENS, a->tokens ? lately_sum(a->tokens, now_s) + a->flight.tokens : 0, a->tokens_per_minute);
	show(ret, RULE_LOOP, 0, a->loop_times);
	show(ret, RULE_BURN, a->burn ? lately_sum(a->burn, now_s) : 0, 0);
	show_models(a, ret);
}

int budget_rules_view(struct budget *b, uint32_t account, int64_t now_ns, struct rules_view *ret)
{
	int r = -ENOENT;

	(void)pthread_mutex_lock(&b->lock);
	if (account_is_valid(b, account)) {
		int64_t now_s = budget_now(b, now_ns) / NS_PER_S;

		(void)account_roll(b, account, now_s);
		if (b->accounts[account].rules)
			view(b->accounts[account].rules, now_s, ret);
		else
			*ret = (struct rules_view){ .any = false };
		r = 0;
	}
	(void)pthread_mutex_unlock(&b->lock);
	return r;
}

/* ---- what the ledger says */

/* [at_s, at_s + length_s); a single call has no length. */
static bool holds_piece(const struct instance *in, const struct spent_piece *p)
{
	return p->at_s >= in->start_s && (in->end_s == 0 || p->at_s + (p->length_s ? p->length_s : 1) <= in->end_s);
}

static bool cuts_piece(const struct instance *in, const struct spent_piece *p)
{
	int64_t end_s = p->at_s + p->length_s;

	return (in->start_s > p->at_s && in->start_s < end_s) || (in->end_s > p->at_s && in->end_s < end_s);
}

static nanousd add_up(nanousd a, nanousd b)
{
	return b > SPENT_MAX - a ? SPENT_MAX : a + b;
}

/* -> it is cut here. */
static bool restore_window(struct budget *b, struct account_rules *a, struct model_money *m, int k, const struct spent_piece *p)
{
	struct window_money *w = &m->windows[k];

	if (p->of && !cuts_piece(&w->now, p->of))
		return false; /* the whole of it has been counted here */
	if (!p->of && cuts_piece(&w->now, p))
		return true;
	if (!holds_piece(&w->now, p))
		return false;
	if (b->is_open) {
		m->recount[k] = add_up(m->recount[k], p->cost);
	} else {
		instance_spend(&w->now, p->cost);
		instance_excuse(&w->now, w->limit);
	}
	return false;
}

bool budget_restore_model(struct budget *b, uint32_t account, const struct spent_piece *p)
{
	bool is_cut = false;

	ASSERT(p->cost >= 0 && p->length_s >= 0);
	(void)pthread_mutex_lock(&b->lock);
	if (account_is_valid(b, account))
		roll_chain(b, account, b->seen_ns / NS_PER_S);
	for_chain(b, i, account_is_valid(b, account) ? account : 0) {
		struct account_rules *a = b->accounts[i].rules;

		if (!a || (b->is_open && !a->recounting))
			continue;
		for (size_t m = 0; m < a->nmodels; m++)
			for (int k = 0; rules_glob(a->models[m].models, p->provider, p->model) && k < WINDOW_COUNT; k++)
				is_cut |= restore_window(b, a, &a->models[m], k, p);
	}
	(void)pthread_mutex_unlock(&b->lock);
	return is_cut;
}

/* ---- counting anew while calls run */

void budget_recount_models(struct budget *b, uint32_t account)
{
	struct account_rules *a = account_is_valid(b, account) ? b->accounts[account].rules : NULL;

	for (size_t m = 0; a && m < a->nmodels; m++)
		memset(a->models[m].recount, 0, sizeof(a->models[m].recount));
	if (a)
		a->recounting = true;
}

void budget_recounted(struct budget *b, uint32_t account)
{
	(void)pthread_mutex_lock(&b->lock);
	struct account_rules *a = account_is_valid(b, account) ? b->accounts[account].rules : NULL;

	for (size_t m = 0; a && a->recounting && m < a->nmodels; m++)
		for (int k = 0; k < WINDOW_COUNT; k++) {
			struct window_money *w = &a->models[m].windows[k];

			w->now.spent = a->models[m].recount[k];
			instance_excuse(&w->now, w->limit);
		}
	if (a)
		a->recounting = false;
	(void)pthread_mutex_unlock(&b->lock);
}
