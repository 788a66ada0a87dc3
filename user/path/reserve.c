// SPDX-License-Identifier: Apache-2.0
/*
 * reserve.c: nothing is forwarded without a hold. Finds the price, computes the dearest the call can be and
 * holds that much in every window up the account tree, or refuses.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "path/exchange.h"
#include "spend/budget.h"
#include "spend/price.h"

static int bounds_of(const struct exchange *x, struct cost_bounds *ret, struct err *e)
{
	const struct ask *a = &x->ask;
	int64_t output = -1;

	if (a->unbounded_tools || a->max_searches < 0)
		return err_set(e, ERANGE, "the tools of this request may loop without a bound; declare one (max_tool_calls, max_uses)");
	if (a->max_output >= 0 && __builtin_mul_overflow(a->max_output, a->choices, &output))
		return err_set(e, ERANGE, "the output bound is out of range");
	*ret = (struct cost_bounds){
		.input = a->body_bytes + a->extra_input_tokens,
		.input_is_model_max = a->input_hidden,
		.output = output,
		.choices = a->choices,
		.cache_write = a->cache_write,
		.cache_write_1h = a->cache_write_1h,
		.audio = a->audio,
		.tier = a->tier,
		.web_searches = a->max_searches,
		.multiplier_pct = x->provider->multiplier_pct,
	};
	return 0;
}

/*
 * A connection that the gate let in only to be told why: nothing of it is forwarded while the account still is at or below its
 * floor, whether or not this call would fit.
 */
static bool still_out_of_credit(struct exchange *x)
{
	struct budget *b = x->worker->env->budget;
	int64_t now_s = clock_realtime_ns() / 1000000000;
	struct account_view v;

	for (uint32_t a = x->who.flow.account; a && !budget_view(b, a, now_s, &v); a = budget_find(b, v.parent)) {
		if (v.paused) {
			x->refusal = (struct refusal){ .reason = REFUSAL_PAUSED };
			(void)snprintf(x->refusal.account, sizeof x->refusal.account, "%s", v.name);
			return true;
		}
		for (int w = 0; w < WINDOW_COUNT; w++) {
			const struct window_view *win = &v.windows[w];
			if (!win->limited || win->limit - win->spent > v.floor)
				continue;
			x->refusal = (struct refusal){ .reason = REFUSAL_BUDGET, .window = (enum window_kind)w,
						       .limit = win->limit, .spent = win->spent, .held = win->held,
						       .needed = x->held, .reset_s = win->end_s };
			(void)snprintf(x->refusal.account, sizeof x->refusal.account, "%s", v.name);
			return true;
		}
		if (!v.parent[0])
			break;
	}
	return false;
}

static enum stepped refused(struct exchange *x)
{
	budget_count_refusal(x->worker->env->budget, x->who.flow.account);
	return STEP_REFUSED;
}

enum stepped reserve_run(struct exchange *x)
{
	struct budget *b = x->worker->env->budget;
	int64_t now_ns = clock_realtime_ns();
	struct err e = { 0 };

	if (x->endpoint == ENDPOINT_FREE)
		return STEP_NEXT;
	/* Again, since the body may have taken its time: the account's place in the table may be another's by now. */
	if (identity_refresh(x->worker, &x->who))
		return refuse_because(x, REFUSAL_BAD_REQUEST, "%s was removed while its request came", x->who.subject);
	x->prices = path_prices(x->worker->path);
	x->price = price_find(x->prices, x->provider->prices_as, x->ask.model, now_ns / 1000000000);
	if (!x->price)
		return refuse_because(x, REFUSAL_UNKNOWN_MODEL, "%s", x->ask.model);
	if (bounds_of(x, &x->bounds, &e) || cost_ceiling(x->price, &x->bounds, &x->held, &e))
		return refuse_because(x, REFUSAL_BAD_REQUEST, "%.200s", e.text);
	if (x->held <= 0)
		x->held = 1; /* a priced model that is free of charge still takes a slot */
	if ((x->who.flow.flags & GATE_FLOW_NO_CREDIT) && still_out_of_credit(x))
		return refused(x);

	struct hold_request r = {
		.account = x->who.flow.account,
		.amount = x->held,
		.cgroup_id = x->who.flow.agent_cgroup,
		.pid = x->who.flow.pid,
		.provider = x->provider_index,
		.endpoint = (uint16_t)x->endpoint,
		.comm = x->who.flow.comm,
		.model = x->ask.model,
		.provider_name = x->provider->name,
		.now_ns = now_ns,
	};
	if (budget_hold(b, &r, &x->slot, &x->call_id, &x->refusal))
		return refused(x);
	x->hold = HOLD_HELD;
	return STEP_NEXT;
}

void reserve_undo(struct exchange *x)
{
	if (x->hold != HOLD_HELD)
		return;
	budget_release(x->worker->env->budget, x->slot);
	x->hold = HOLD_OVER;
}
