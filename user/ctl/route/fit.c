// SPDX-License-Identifier: Apache-2.0
/*
 * route/fit.c: GET /v1/agents/NAME/fit: would a call of so much be let through right now, and if not, what stands against it? Asks budget and rules
 * for what they say at this moment; nothing is held, nothing counted. What only a real request shows is not asked: the loop breaker, the
 * burn-rate breaker, tokens per minute.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/jsonw.h"
#include "base/str.h"
#include "ctl/agents.h"
#include "ctl/route/route.h"
#include "ctl/units.h"
#include "spend/budget/budget.h"
#include "spend/rules/rules.h"

#define UNLIMITED (GATE_NO_LIMIT / 4) /* what the budget says where there is no limit is above it */

struct fit {
	struct budget *budget;
	int64_t now_ns;
	char provider[64], model[160];
	nanousd amount;
	/* The account that is asked now, from the agent's own upwards. */
	const struct account_spec *spec;
	uint32_t index;
	struct account_view view;
	struct rules_view rules;
	char why[512]; /* "" = nothing stands against it */
};

static bool is_on(const struct fit *f, enum rule r)
{
	return f->rules.v[r].set && !f->rules.v[r].dry_run;
}

static bool any_glob(const struct fit *f, const char (*globs)[RULES_GLOB_MAX], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (rules_glob(globs[i], f->provider, f->model))
			return true;
	return false;
}

static void ask_models(struct fit *f)
{
	const struct rules *r = &f->spec->rules;

	if (is_on(f, RULE_MODELS) && (any_glob(f, r->deny, r->ndeny) || (r->nallow > 0 && !any_glob(f, r->allow, r->nallow))))
		(void)snprintf(f->why, sizeof(f->why), "the rule models of %s does not allow %s", f->view.name, f->model);
}

static void ask_counts(struct fit *f)
{
	static const struct {
		enum rule rule;
		const char *text;
	} counts[] = { { RULE_IN_FLIGHT, "in flight" }, { RULE_REQUESTS, "within a minute" } };

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		const struct rule_view *v = &f->rules.v[counts[i].rule];

		if (is_on(f, counts[i].rule) && v->seen >= v->limit)
			(void)snprintf(f->why, sizeof(f->why), "%s has %lld calls %s, and may have %lld", f->view.name, (long long)v->seen, counts[i].text,
				       (long long)v->limit);
	}
}

static void ask_window(struct fit *f, const char *of, enum window_kind kind, const struct window_view *v, nanousd floor)
{
	char left[32], limit[32], resets[40] = "";
	nanousd n = v->limit - v->spent - v->held;

	if (!v->limited || (n >= f->amount && v->limit - v->spent > floor))
		return;
	if (v->end_s)
		(void)units_show_local(f->spec->zone, v->end_s, resets, sizeof(resets));
	(void)snprintf(f->why, sizeof(f->why), "the %s budget of %s%s has %s left of %s%s%s", units_window_names[kind], f->view.name, of,
		       usd_show(n > 0 ? n : 0, left, sizeof(left)), usd_show(v->limit, limit, sizeof(limit)), resets[0] ? "; it begins anew at " : "",
		       resets);
}

static void ask_money(struct fit *f)
{
	char usd[32], of[RULES_GLOB_MAX + 8];

	for (int k = 0; k < WINDOW_COUNT; k++)
		ask_window(f, "", (enum window_kind)k, &f->view.windows[k], f->view.floor);
	for (size_t i = 0; is_on(f, RULE_MODEL_LIMIT) && i < f->rules.nmodel_limits; i++) {
		(void)snprintf(of, sizeof(of), " for %s", f->rules.model_limits[i].models);
		for (int k = 0; rules_glob(f->rules.model_limits[i].models, f->provider, f->model) && k < WINDOW_COUNT; k++)
			ask_window(f, of, (enum window_kind)k, &f->rules.model_limits[i].windows[k], 0);
	}
	if (is_on(f, RULE_PER_CALL) && f->amount > f->spec->rules.per_call)
		(void)snprintf(f->why, sizeof(f->why), "the rule per_call of %s allows %s", f->view.name,
			       usd_show(f->spec->rules.per_call, usd, sizeof(usd)));
}

/* The nearest account's reason stays; a pause, wherever it is, comes before all. What waiting does not help is said last, so that it is what stays. */
static void ask_account(struct fit *f)
{
	if (!f->why[0]) {
		ask_money(f);
		ask_counts(f);
		ask_models(f);
	}
	if (f->view.paused)
		(void)snprintf(f->why, sizeof(f->why), "%s is paused", f->view.name);
}

/* False: no such account. */
static bool look(struct fit *f, const struct agents *agents, const char *name)
{
	f->spec = agents_spec(agents, name);
	f->index = budget_find(f->budget, name);
	return f->spec && f->index && budget_view(f->budget, f->index, f->now_ns / 1000000000, &f->view) == 0 &&
	       budget_rules_view(f->budget, f->index, f->now_ns, &f->rules) == 0;
}

static bool take_query(const struct request *r, struct fit *f, struct answer *a)
{
	char amount[40] = "";
	bool bad = false, worse = false, worst = false;

	(void)query_find(r->query, "provider", f->provider, sizeof(f->provider), &bad);
	(void)query_find(r->query, "model", f->model, sizeof(f->model), &worse);
	(void)query_find(r->query, "amount", amount, sizeof(amount), &worst);
	if (!bad && !worse && !worst && f->provider[0] && f->model[0] && str_to_usd(str_of(amount), true, &f->amount) == 0 && f->amount >= 0)
		return true;
	answer_refuse(a, 400, "what is to fit? write e.g. ?provider=openai&model=gpt-5&amount=0.25");
	return false;
}

void route_agent_fit(const struct control *c, const struct request *r, struct answer *a)
{
	struct fit f = { .budget = c->budget, .now_ns = clock_realtime_ns() };
	char name[GATE_NAME_MAX], above[GATE_NAME_MAX];
	struct jsonw w;
	bool clamps = false;

	if (!str_copy(name, sizeof(name), r->name) || agents_find(c->agents, name, &(struct agent_view){ 0 }) < 0) {
		answer_refuse(a, 404, "agent \"%.*s\" does not exist; `purse status` lists those that do", (int)(r->name.n > 60 ? 60 : r->name.n), r->name.p);
		return;
	}
	if (!take_query(r, &f, a))
		return;
	(void)snprintf(above, sizeof(above), "%s", name);
	while (above[0] && look(&f, c->agents, above)) {
		clamps = clamps || f.spec->clamp;
		ask_account(&f);
		(void)snprintf(above, sizeof(above), "%s", f.view.parent);
	}
	nanousd most = budget_afford(c->budget, budget_find(c->budget, name), f.model, f.now_ns);

	/* The budget has the last word: also when holds are closed. */
	if (!f.why[0] && most < f.amount)
		(void)snprintf(f.why, sizeof(f.why), "no call is let through at the moment; `purse doctor` says why");
	answer_begin(&w, a);
	jsonw_cstr(&w, "agent", name);
	jsonw_bool(&w, "fits", !f.why[0]);
	jsonw_cstr(&w, "why", f.why[0] ? f.why : NULL);
	jsonw_usd(&w, "amount", f.amount);
	if (most < UNLIMITED)
		jsonw_usd(&w, "affords", most);
	else
		jsonw_null(&w, "affords");
	jsonw_bool(&w, "clamp", clamps);
	answer_finish(&w, a);
}
