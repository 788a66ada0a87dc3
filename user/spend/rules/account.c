// SPDX-License-Identifier: Apache-2.0
/*
 * rules/account.c: an account's rules are made, changed while calls are in flight, rolled with its windows, checked and freed. A change
 * keeps what the unchanged rules remember: who doubles requests_per_minute does not forget the last minute. Asking is rules/ask.c.
 */
#include "spend/rules/account.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"

/* ---- making */

static struct lately *lately_new(int64_t window_s)
{
	struct lately *l = malloc(sizeof(*l));

	if (l)
		lately_init(l, window_s);
	return l;
}

static bool make_sums(struct account_rules *r)
{
	if (rules_has(r, RULE_REQUESTS) && !(r->requests = lately_new(60)))
		return false;
	if (rules_has(r, RULE_TOKENS) && !(r->tokens = lately_new(60)))
		return false;
	return !rules_has(r, RULE_BURN) || (r->burn = lately_new(r->burn_within_s));
}

static bool make_globs(struct account_rules *r, const struct rules *from)
{
	if (!rules_has(r, RULE_MODELS))
		return true;
	r->globs = calloc(from->nallow + from->ndeny, sizeof(*r->globs));
	if (!r->globs)
		return false;
	r->nallow = from->nallow;
	r->ndeny = from->ndeny;
	memcpy(r->globs, from->allow, r->nallow * sizeof(*r->globs));
	memcpy(r->globs + r->nallow, from->deny, r->ndeny * sizeof(*r->globs));
	return true;
}

static bool make_models(struct account_rules *r, const struct rules *from)
{
	if (!from->nmodel_limits)
		return true;
	r->models = calloc(from->nmodel_limits, sizeof(*r->models));
	if (!r->models)
		return false;
	r->nmodels = from->nmodel_limits;
	for (size_t m = 0; m < r->nmodels; m++) {
		memcpy(r->models[m].models, from->model_limits[m].models, sizeof(r->models[m].models));
		for (int k = 0; k < WINDOW_COUNT; k++)
			r->models[m].windows[k].limit = from->model_limits[m].limits[k];
	}
	return true;
}

static struct account_rules *make(const struct rules *from)
{
	struct account_rules *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->has = rules_set(from);
	r->dry_run = from->dry_run;
	r->requests_per_minute = from->requests_per_minute;
	r->tokens_per_minute = from->tokens_per_minute;
	r->calls_in_flight = from->calls_in_flight;
	r->per_call = from->per_call;
	r->loop_times = from->loop_times;
	r->loop_within_s = from->loop_within_s;
	r->burn_times = from->burn_times;
	r->burn_within_s = from->burn_within_s;
	if (make_sums(r) && make_globs(r, from) && make_models(r, from))
		return r;
	rules_free(r);
	return NULL;
}

int rules_make(struct budget *b, const struct account_spec *spec, struct account_rules **ret, struct err *e)
{
	int bad = rules_check(&spec->rules, spec->name, e);

	if (bad < 0)
		return bad;
	*ret = NULL;
	if (!rules_any(&spec->rules))
		return 0;
	if (!b->tokens)
		b->tokens = calloc(b->nholds, sizeof(*b->tokens));
	if (b->tokens)
		*ret = make(&spec->rules);
	return *ret ? 0 : err_set(e, ENOMEM, "account \"%s\": out of memory for its rules", spec->name);
}

static void drop_models(struct account_rules *r)
{
	for (size_t m = 0; m < r->nmodels; m++)
		for (int k = 0; k < WINDOW_COUNT; k++)
			window_drop(&r->models[m].windows[k]);
	free(r->models);
}

void rules_free(struct account_rules *r)
{
	if (!r)
		return;
	drop_models(r);
	sightings_done(&r->loop);
	free(r->requests);
	free(r->tokens);
	free(r->burn);
	free(r->globs);
	free(r);
}

/* ---- changing */

/* What it remembers is of use only if the window is the same. */
static void keep_sum(struct lately **to, struct lately **from)
{
	if (!*to || !*from || (*to)->step_s != (*from)->step_s || (*to)->nsteps != (*from)->nsteps)
		return;
	free(*to);
	*to = *from;
	*from = NULL;
}

static void keep_money(struct model_money *to, struct model_money *from)
{
	for (int k = 0; k < WINDOW_COUNT; k++) {
		to->windows[k].now = from->windows[k].now;
		from->windows[k].now.older = NULL;
		to->recount[k] = from->recount[k];
		for (struct instance *in = &to->windows[k].now; in; in = in->older)
			instance_excuse(in, to->windows[k].limit);
	}
}

/* -> how many of the new model limits were there before. */
static size_t keep_models(struct account_rules *to, struct account_rules *from)
{
	size_t kept = 0;

	for (size_t m = 0; m < to->nmodels; m++)
		for (size_t f = 0; f < from->nmodels; f++)
			if (strcasecmp(to->models[m].models, from->models[f].models) == 0) {
				keep_money(&to->models[m], &from->models[f]);
				kept++;
			}
	return kept;
}

/* False: something in it must be counted from the calls in flight. */
static bool keep(struct account_rules *to, struct account_rules *from)
{
	keep_sum(&to->requests, &from->requests);
	keep_sum(&to->tokens, &from->tokens);
	keep_sum(&to->burn, &from->burn);
	if (rules_has(to, RULE_LOOP)) {
		to->loop = from->loop;
		from->loop = (struct sightings){ 0 };
	}
	to->flight = from->flight;
	to->recounting = from->recounting;
	for (unsigned k = 0; k < RULE_COUNT; k++)
		if (rules_has(to, (enum rule)k)) {
			to->refused[k] = from->refused[k];
			to->would_refuse[k] = from->would_refuse[k];
		}
	return keep_models(to, from) == to->nmodels;
}

static void take_bounds(struct window_money *to, const struct window_money *account)
{
	to->now.start_s = account->now.start_s;
	to->now.end_s = account->now.end_s;
}

/* ---- calls in flight, counted from their slots */

/* The sum of each model limit's holds comes to stand in `counted` of its instances. */
static void count_models(struct account_rules *r, const struct gate_hold *h)
{
	for (size_t m = 0; m < r->nmodels; m++)
		for (int k = 0; model_money_is_for(&r->models[m], h) && k < WINDOW_COUNT; k++) {
			struct instance *in = window_at(&r->models[m].windows[k], h->started_realtime_ns);

			if (in)
				in->counted += h->amount_nanousd;
		}
}

static void clear_counted(struct account_rules *r)
{
	r->counted = (struct flight){ 0 };
	for (size_t m = 0; m < r->nmodels; m++)
		for (int k = 0; k < WINDOW_COUNT; k++)
			for (struct instance *in = &r->models[m].windows[k].now; in; in = in->older)
				in->counted = 0;
}

static void count_call(struct budget *b, uint32_t slot, uint32_t only)
{
	const struct gate_hold *h = &b->holds[slot];

	for_chain(b, i, h->account) {
		struct account_rules *r = b->accounts[i].rules;

		if (!r || (only && i != only))
			continue;
		r->counted.calls++;
		r->counted.tokens += b->tokens[slot];
		count_models(r, h);
	}
}

/* Of one account, or of all (0). */
static void count_flight(struct budget *b, uint32_t only)
{
	uint32_t left = b->nholds - b->nfree;

	for (uint32_t i = only ? only : 1; i < (only ? only + 1 : b->end); i++)
		if (b->accounts[i].rules)
			clear_counted(b->accounts[i].rules);
	/* Before the start is over there are only orphans: nobody here waits for them. */
	for (uint32_t s = 0; b->is_open && left && s < b->nholds; s++) {
		left -= slot_state(&b->holds[s]) != GATE_HOLD_FREE;
		if (slot_is_open(&b->holds[s]) && account_is_valid(b, b->holds[s].account))
			count_call(b, s, only);
	}
}

static void adjust_window(struct window_money *w)
{
	struct instance *next;

	for (struct instance *in = &w->now; in; in = next) {
		next = in->older;
		in->held = in->counted;
		instance_excuse(in, w->limit);
		if (in != &w->now && in->held == 0)
			window_forget(w, in);
	}
}

static void recount(struct budget *b, uint32_t only)
{
	count_flight(b, only);
	for (uint32_t i = only ? only : 1; i < (only ? only + 1 : b->end); i++) {
		struct account_rules *r = b->accounts[i].rules;

		if (!r)
			continue;
		r->flight = r->counted;
		for (size_t m = 0; m < r->nmodels; m++)
			for (int k = 0; k < WINDOW_COUNT; k++)
				adjust_window(&r->models[m].windows[k]);
	}
}

void rules_recount_flight(struct budget *b)
{
	if (b->nruled)
		recount(b, 0);
}

void rules_replace(struct budget *b, uint32_t i, struct account_rules *fresh)
{
	struct account *a = &b->accounts[i];
	struct account_rules *old = a->rules;
	bool is_whole = !fresh || (old && keep(fresh, old));

	for (size_t m = 0; fresh && m < fresh->nmodels; m++)
		for (int k = 0; k < WINDOW_COUNT; k++)
			take_bounds(&fresh->models[m].windows[k], &a->windows[k]);
	b->nruled += fresh && !old;
	b->nruled -= old && !fresh;
	a->rules = fresh;
	rules_free(old);
	if (!is_whole)
		recount(b, i);
}

/* ---- time */

void rules_roll(struct budget *b, uint32_t i, int k)
{
	const struct account *a = &b->accounts[i];

	for (size_t m = 0; a->rules && m < a->rules->nmodels; m++) {
		struct model_money *money = &a->rules->models[m];

		window_begin_empty(&money->windows[k]);
		take_bounds(&money->windows[k], &a->windows[k]);
		money->recount[k] = 0;
	}
}

/* ---- checking */

static int check_instance(const struct account *a, const struct model_money *m, int k, const struct instance *in, struct err *e)
{
	nanousd limit = m->windows[k].limit, most = in->excused > limit ? in->excused : limit;
	const char *window = window_name((enum window_kind)k);

	if (in->held != in->counted)
		return err_set(e, EUCLEAN, "account \"%s\", model_limit \"%s\", %s: held is %lld, but its open holds add up to %lld nano-dollars",
			       a->name, m->models, window, (long long)in->held, (long long)in->counted);
	if (!rules_are_dry(a->rules, RULE_MODEL_LIMIT) && in->spent + in->held > most)
		return err_set(e, EUCLEAN, "account \"%s\", model_limit \"%s\", %s: spent %lld + held %lld is more than the limit %lld", a->name,
			       m->models, window, (long long)in->spent, (long long)in->held, (long long)most);
	if (in->spent > SPENT_MAX || in->spent < 0)
		return err_set(e, EUCLEAN, "account \"%s\", model_limit \"%s\", %s: spent is %lld", a->name, m->models, window,
			       (long long)in->spent);
	return 0;
}

static int check_models(const struct account *a, struct err *e)
{
	int bad = 0;

	for (size_t m = 0; m < a->rules->nmodels; m++)
		for (int k = 0; k < WINDOW_COUNT; k++)
			for (const struct instance *in = &a->rules->models[m].windows[k].now; bad == 0 && in; in = in->older)
				bad = check_instance(a, &a->rules->models[m], k, in, e);
	return bad;
}

int rules_check_state(struct budget *b, struct err *e)
{
	int bad = 0;

	if (!b->nruled || !b->is_open)
		return 0;
	count_flight(b, 0);
	for (uint32_t i = 1; bad == 0 && i < b->end; i++) {
		const struct account *a = &b->accounts[i];
		const struct account_rules *r = a->rules;

		if (!r)
			continue;
		if (r->flight.calls != r->counted.calls || r->flight.tokens != r->counted.tokens)
			bad = err_set(e, EUCLEAN, "account \"%s\": its rules see %lld calls and %lld tokens in flight, its open holds are %lld and %lld",
				      a->name, (long long)r->flight.calls, (long long)r->flight.tokens, (long long)r->counted.calls,
				      (long long)r->counted.tokens);
		else
			bad = check_models(a, e);
	}
	return bad;
}
