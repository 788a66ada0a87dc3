// SPDX-License-Identifier: Apache-2.0
/*
 * rules/move.c: what rules are told about a call once it is held: it began, it holds more, it is over; and how much of a hold model
 * limits and per_call leave room for. The money of a model limit moves as that of the account's windows does (budget.c).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "spend/rules/account.h"

/* ---- model limits */

/* An instance that is not known was over before the limit was made. */
static nanousd model_room(struct window_money *w, int64_t started_ns, nanousd own)
{
	const struct instance *in = window_at(w, started_ns);
	nanousd others = in ? in->held - own : 0;

	return in && w->limit != GATE_NO_LIMIT ? w->limit - in->spent - others : SPENT_MAX;
}

/* What stops a call at a model limit: used up before merely held, longest window first. */
struct model_claim {
	nanousd amount;                  /* what it wants to hold */
	const struct model_money *money; /* NULL = nothing stops it */
	int window;
	const struct instance *in;
	nanousd own; /* what it holds already */
	bool is_held;
};

static void model_money_stops(struct model_money *m, int64_t started_ns, nanousd own, struct model_claim *c)
{
	for (int k = WINDOW_COUNT - 1; k >= 0; k--) {
		struct window_money *w = &m->windows[k];

		if (c->amount <= model_room(w, started_ns, own))
			continue;
		const struct instance *in = window_at(w, started_ns);
		bool is_held = c->amount <= w->limit - in->spent;

		if (c->money && (is_held || !c->is_held))
			continue;
		*c = (struct model_claim){ .amount = c->amount, .money = m, .window = k, .in = in, .own = own, .is_held = is_held };
	}
}

static void model_claim_explain(const struct model_claim *c, const char *account, struct refusal *ret)
{
	*ret = (struct refusal){
		.reason = c->is_held ? REFUSAL_BUDGET_HELD : REFUSAL_BUDGET,
		.window = (enum window_kind)c->window,
		.limit = c->money->windows[c->window].limit,
		.spent = c->in->spent,
		.held = c->in->held - c->own,
		.needed = c->amount,
		.reset_s = c->in->end_s,
	};
	(void)str_copy(ret->account, sizeof(ret->account), str_of(account));
	(void)str_copy(ret->rule, sizeof(ret->rule), str_of(rule_name(RULE_MODEL_LIMIT)));
	(void)str_copy(ret->detail, sizeof(ret->detail), str_of(c->money->models));
}

/* What a call does to one model limit: its hold changes by `held`, and `cost` is spent. */
static void move_model(struct model_money *m, const struct gate_hold *h, nanousd held, nanousd cost, bool is_over)
{
	for (int k = 0; k < WINDOW_COUNT; k++) {
		struct window_money *w = &m->windows[k];
		struct instance *in = window_at(w, h->started_realtime_ns);

		if (!in)
			continue;
		in->held += held;
		ASSERT(in->held >= 0);
		instance_spend(in, cost);
		if (in == &w->now)
			m->recount[k] = m->recount[k] > SPENT_MAX - cost ? SPENT_MAX : m->recount[k] + cost;
		if (is_over && (cost > -held || in->spent + in->held <= w->limit))
			instance_excuse(in, w->limit);
		if (in != &w->now && in->held == 0)
			window_forget(w, in);
	}
}

static void move_models(struct account_rules *a, const struct gate_hold *h, nanousd held, nanousd cost, bool is_over)
{
	for (size_t m = 0; m < a->nmodels; m++)
		if (model_money_is_for(&a->models[m], h))
			move_model(&a->models[m], h, held, cost, is_over);
}

/* ---- a call begins */

/* Sums of 16384 calls and of a minute must stay far inside 64 bits. */
#define CALL_TOKENS_MAX INT64_C(1000000000000)

int64_t rules_held_tokens(int64_t tokens)
{
	return tokens < 0 ? 0 : tokens > CALL_TOKENS_MAX ? CALL_TOKENS_MAX : tokens;
}

void rules_saw(struct budget *b, const struct hold_request *r, int64_t now_s)
{
	for_chain(b, i, r->fingerprint ? r->account : 0) {
		struct account_rules *a = b->accounts[i].rules;

		if (a && rules_has(a, RULE_LOOP))
			sightings_add(&a->loop, r->fingerprint, now_s, a->loop_within_s);
	}
}

void rules_take_chain(struct budget *b, uint32_t slot, const struct hold_request *r, int64_t now_s)
{
	b->tokens[slot] = rules_held_tokens(r->tokens);
	if (!b->nruled)
		return;
	for_chain(b, i, r->account) {
		struct account_rules *a = b->accounts[i].rules;

		if (!a)
			continue;
		a->flight.calls++;
		a->flight.tokens += b->tokens[slot];
		if (a->requests)
			lately_add(a->requests, now_s, 1);
		move_models(a, &b->holds[slot], r->amount, 0, false);
	}
	rules_saw(b, r, now_s);
}

/* ---- it holds more */

/* Rates were asked when it began; an extension is only asked for its money. In dry-run it is not asked at all: one call is one note. */
static bool is_asked(const struct account_rules *a, enum rule rule)
{
	return a && rules_has(a, rule) && !rules_are_dry(a, rule);
}

static nanousd less(nanousd a, nanousd b)
{
	return a < b ? a : b;
}

static nanousd room_of_model(struct model_money *m, int64_t started_ns, nanousd own)
{
	nanousd most = SPENT_MAX;

	for (int k = 0; k < WINDOW_COUNT; k++)
		most = less(most, model_room(&m->windows[k], started_ns, own));
	return most;
}

nanousd rules_room(struct budget *b, const struct gate_hold *h, nanousd wish)
{
	nanousd most = wish;

	for_chain(b, i, b->nruled ? h->account : 0) {
		struct account_rules *a = b->accounts[i].rules;

		if (is_asked(a, RULE_PER_CALL))
			most = less(most, a->per_call);
		for (size_t m = 0; is_asked(a, RULE_MODEL_LIMIT) && m < a->nmodels; m++)
			if (model_money_is_for(&a->models[m], h))
				most = less(most, room_of_model(&a->models[m], h->started_realtime_ns, h->amount_nanousd));
	}
	return most;
}

nanousd rules_afford(struct budget *b, uint32_t account, const char *model, nanousd most)
{
	for_chain(b, i, b->nruled ? account : 0) {
		struct account_rules *a = b->accounts[i].rules;

		if (is_asked(a, RULE_PER_CALL))
			most = less(most, a->per_call);
		for (size_t m = 0; is_asked(a, RULE_MODEL_LIMIT) && m < a->nmodels; m++)
			if (rules_glob(a->models[m].models, NULL, model))
				most = less(most, room_of_model(&a->models[m], b->seen_ns, 0));
	}
	return most;
}

static void explain_per_call(const struct account *a, nanousd amount, struct refusal *ret)
{
	char limit[32], needed[32];

	*ret = (struct refusal){ .reason = REFUSAL_RULE, .limit = a->rules->per_call, .needed = amount };
	(void)str_copy(ret->account, sizeof(ret->account), str_of(a->name));
	(void)str_copy(ret->rule, sizeof(ret->rule), str_of(rule_name(RULE_PER_CALL)));
	(void)snprintf(ret->detail, sizeof(ret->detail), "limit %s per call, this one may cost %s",
		       usd_show(a->rules->per_call, limit, sizeof(limit)), usd_show(amount, needed, sizeof(needed)));
}

bool rules_stop_per_call(const struct account *a, nanousd amount, struct refusal *ret)
{
	if (amount <= a->rules->per_call)
		return false;
	explain_per_call(a, amount, ret);
	return true;
}

bool rules_stop_model(const struct account *a, const struct gate_hold *h, nanousd amount, struct refusal *ret)
{
	struct model_claim stop = { .amount = amount };

	for (size_t m = 0; m < a->rules->nmodels; m++)
		if (model_money_is_for(&a->rules->models[m], h))
			model_money_stops(&a->rules->models[m], h->started_realtime_ns, h->amount_nanousd, &stop);
	if (stop.money)
		model_claim_explain(&stop, a->name, ret);
	return stop.money;
}

int rules_explain(struct budget *b, const struct gate_hold *h, nanousd at_least, struct refusal *ret_why)
{
	for_chain(b, i, h->account) {
		const struct account *a = &b->accounts[i];
		bool is_call = is_asked(a->rules, RULE_PER_CALL) && rules_stop_per_call(a, at_least, ret_why);

		if (!is_call && !(is_asked(a->rules, RULE_MODEL_LIMIT) && rules_stop_model(a, h, at_least, ret_why)))
			continue;
		a->rules->refused[is_call ? RULE_PER_CALL : RULE_MODEL_LIMIT]++;
		return -EDQUOT;
	}
	ASSERT(!"nothing stops this hold");
	return -EDQUOT;
}

void rules_extend(struct budget *b, const struct gate_hold *h, nanousd more)
{
	for_chain(b, i, b->nruled ? h->account : 0)
		if (b->accounts[i].rules)
			move_models(b->accounts[i].rules, h, more, 0, false);
}

void budget_count_tokens(struct budget *b, uint32_t slot, int64_t tokens, int64_t now_ns)
{
	(void)pthread_mutex_lock(&b->lock);
	ASSERT(slot < b->nholds);

	(void)budget_now(b, now_ns);
	if (b->tokens && slot_is_open(&b->holds[slot])) {
		int64_t more = rules_held_tokens(tokens) - b->tokens[slot];

		b->tokens[slot] += more;
		for_chain(b, i, b->holds[slot].account)
			if (b->accounts[i].rules)
				b->accounts[i].rules->flight.tokens += more;
	}
	(void)pthread_mutex_unlock(&b->lock);
}

/* ---- it is over */

static void leave(struct budget *b, uint32_t slot, struct account_rules *a)
{
	a->flight.calls--;
	a->flight.tokens -= b->tokens[slot];
	ASSERT(a->flight.calls >= 0 && a->flight.tokens >= 0);
}

void rules_release_chain(struct budget *b, uint32_t slot)
{
	const struct gate_hold *h = &b->holds[slot];

	for_chain(b, i, h->account) {
		struct account_rules *a = b->accounts[i].rules;

		if (!a)
			continue;
		leave(b, slot, a);
		move_models(a, h, -h->amount_nanousd, 0, true);
	}
}

void rules_charge_chain(struct budget *b, uint32_t slot, nanousd cost)
{
	const struct gate_hold *h = &b->holds[slot];
	int64_t now_s = b->seen_ns / NS_PER_S;

	for_chain(b, i, h->account) {
		struct account_rules *a = b->accounts[i].rules;

		if (!a)
			continue;
		leave(b, slot, a);
		if (a->tokens)
			lately_add(a->tokens, now_s, b->tokens[slot]);
		if (a->burn)
			lately_add(a->burn, now_s, cost);
		move_models(a, h, -h->amount_nanousd, cost, true);
	}
}

/* Nothing of an orphan is held: it is as if it had held nothing, and cost that much. */
/* A call that another process began: what it was held for in tokens is not known here. */
void rules_keep(struct budget *b, uint32_t slot)
{
	if (!b->tokens)
		return;
	b->tokens[slot] = 0;
	for_chain(b, i, b->nruled ? b->holds[slot].account : 0) {
		struct account_rules *a = b->accounts[i].rules;

		if (!a)
			continue;
		a->flight.calls++;
		move_models(a, &b->holds[slot], b->holds[slot].amount_nanousd, 0, false);
	}
}

void rules_adopt(struct budget *b, const struct gate_hold *h, nanousd cost)
{
	for_chain(b, i, b->nruled ? h->account : 0)
		if (b->accounts[i].rules)
			move_models(b->accounts[i].rules, h, 0, cost, true);
}
