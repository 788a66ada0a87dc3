// SPDX-License-Identifier: Apache-2.0
/*
 * reserve.c: nothing is forwarded without a hold. Finds the price, computes the dearest the call can be and
 * holds that much in every window up the account tree, or refuses. A stream holds less and grows (roll.h); another call may
 * have its output limit lowered to what there is (clamp.c).
 */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/str.h"
#include "path/money.h"
#include "path/prefix_call.h"
#include "path/roll.h"
#include "spend/cost_ask.h"
#include "spend/price/price.h"

static int bounds_of(const struct exchange *x, struct cost_bounds *ret, struct err *e)
{
	int r = cost_ask_bounds(&x->ask, ret, e);

	if (r < 0)
		return r;
	ret->input = x->input_bound;
	ret->terms.region = x->region;
	ret->terms.multiplier_pct = x->provider->multiplier_pct;
	ret->terms.at_s = clock_realtime_ns() / 1000000000;
	return 0;
}

/*
 * What stands against any call of the account, whether or not this one would fit: a pause there or above it and, if credit is asked for, a
 * window that is at or below its floor. Sets x->refusal.
 */
static bool stands_against(struct exchange *x, bool asks_credit)
{
	struct money *m = x->worker->env->money;
	int64_t now_s = clock_realtime_ns() / 1000000000;
	struct account_view v;

	for (uint32_t a = x->who.flow.account; a && !money_view(m, a, now_s, &v); a = money_find(m, v.parent)) {
		if (v.paused) {
			x->refusal = (struct refusal){ .reason = REFUSAL_PAUSED };
			(void)snprintf(x->refusal.account, sizeof x->refusal.account, "%s", v.name);
			return true;
		}
		for (int w = 0; asks_credit && w < WINDOW_COUNT; w++) {
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
	money_count_refusal(x->worker->env->money, x->who.flow.account);
	return STEP_REFUSED;
}

/* A paused account gets nothing, also not what is free, on a connection that was there before. */
static enum stepped reserve_free(struct exchange *x) { return stands_against(x, false) ? refused(x) : STEP_NEXT; }

/* A regional host has its region in front: us.api.openai.com, unless the config says. What is none has no factor in any price. */
static void name_region(struct exchange *x)
{
	const char *said = x->provider->region;
	struct str rest = str_of(x->sni), first = str_cut(&rest, '.');

	if (!str_copy(x->region, sizeof x->region, said && said[0] ? str_of(said) : first))
		x->region[0] = '\0';
}

/* Pictures and sound are dearer than text: a price that knows text only is none for them. */
static int knows_what_is_made(const struct exchange *x, struct err *e)
{
	const struct price *p = x->price;
	const struct rates *r = &p->sets[TIER_STANDARD];
	bool pictures = p->nimages || r->image_output != PRICE_UNKNOWN;
	bool speech = p->per_character != PRICE_UNKNOWN || r->audio_output != PRICE_UNKNOWN;
	bool sound = p->per_audio_ms != PRICE_UNKNOWN || r->audio_input != PRICE_UNKNOWN;

	if (x->endpoint == ENDPOINT_OPENAI_IMAGES && !pictures)
		return err_set(e, ERANGE, "model \"%s\": the price list has no price for pictures of it; add image or image_output", p->model);
	if (x->endpoint == ENDPOINT_OPENAI_SPEECH && !speech)
		return err_set(e, ERANGE, "model \"%s\": the price list has no price for its speech; add character or audio_output", p->model);
	if (x->endpoint == ENDPOINT_OPENAI_TRANSCRIPTIONS && !sound)
		return err_set(e, ERANGE, "model \"%s\": the price list has no price for sound; add audio_second or audio_input", p->model);
	return 0;
}

static int price_it(struct exchange *x, struct err *e)
{
	name_region(x);
	prefix_seek(x);
	if (knows_what_is_made(x, e))
		return -1;
	if (bounds_of(x, &x->bounds, e) || cost_ceiling(x->price, &x->bounds, &x->ceiling, e))
		return -1;
	if (x->ceiling <= 0)
		x->ceiling = 1; /* a priced model that is free of charge still takes a slot */
	x->held = x->ceiling;
	return 0;
}

/* For rules on tokens: what the hold is for. */
int64_t reserve_tokens(const struct exchange *x)
{
	int64_t input = x->bounds.input, output = x->rolls ? x->covered : cost_output_most(x->price, &x->bounds), sum;

	if (x->price->max_input >= 0 && (x->bounds.input_is_model_max || input > x->price->max_input))
		input = x->price->max_input;
	return __builtin_add_overflow(input, output > 0 ? output : 0, &sum) ? INT64_MAX : sum;
}

/* The hold is written ahead: a power cut loses the slot. */
static void write_ahead(const struct exchange *x)
{
	struct ledger_hold h = {
		.call_id = x->call_id,
		.pid = x->who.flow.pid,
		.cgroup_id = x->who.flow.agent_cgroup,
		.endpoint = x->endpoint,
		.amount = x->held,
	};
	struct gate_hold slot;
	struct account_view v;

	money_get_hold(x->worker->env->money, x->slot, &slot);
	h.started_ns = slot.started_realtime_ns;
	if (!money_view(x->worker->env->money, x->who.flow.account, h.started_ns / 1000000000, &v))
		(void)snprintf(h.account, sizeof h.account, "%s", v.name);
	(void)snprintf(h.agent, sizeof h.agent, "%s", x->who.agent);
	(void)snprintf(h.comm, sizeof h.comm, "%.*s", (int)sizeof x->who.flow.comm, x->who.flow.comm);
	(void)snprintf(h.provider, sizeof h.provider, "%s", x->provider->name);
	(void)snprintf(h.model, sizeof h.model, "%s", x->ask.model);
	money_write_hold(x->worker->env->money, &h);
}

static int hold_it(struct exchange *x, int64_t now_ns)
{
	struct rule_notes notes = { 0 };
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
		.tokens = reserve_tokens(x),
		.fingerprint = x->fingerprint,
		.notes = &notes,
	};
	int error = money_hold(x->worker->env->money, &r, &x->slot, &x->call_id, &x->refusal);

	refuse_notes(x, &notes);
	return error;
}

/* What does not fit may fit with a lower output limit, where the account says so. */
static void fit_in(struct exchange *x, int64_t now_ns)
{
	struct money *m = x->worker->env->money;

	roll_begin(x);
	if (x->rolls || !money_clamps(m, x->who.flow.account))
		return;
	nanousd most = money_afford(m, x->who.flow.account, x->ask.model, now_ns);
	if (most < x->ceiling)
		(void)clamp_to(x, most);
}

enum stepped reserve_run(struct exchange *x)
{
	int64_t now_ns = clock_realtime_ns();
	struct err e = { 0 };

	/* Again, since the body may have taken its time: the account's place in the table may be another's by now. */
	if (identity_refresh(x->worker, &x->who))
		return refuse_because(x, REFUSAL_BAD_REQUEST, "%s was removed while its request came", x->who.subject);
	if (x->endpoint == ENDPOINT_FREE)
		return reserve_free(x);
	x->prices = path_prices(x->worker->path);
	x->price = price_find(x->prices, x->provider->prices_as, x->ask.model, now_ns / 1000000000);
	if (!x->price)
		return refuse_because(x, REFUSAL_UNKNOWN_MODEL, "%s", x->ask.model);
	if (price_it(x, &e))
		return refuse_because(x, REFUSAL_BAD_REQUEST, "%.200s", e.text);
	fit_in(x, now_ns);
	/* A connection that the gate let in only to be told why: nothing of it is forwarded. */
	if ((x->who.flow.flags & GATE_FLOW_NO_CREDIT) && stands_against(x, true))
		return refused(x);
	if (hold_it(x, now_ns))
		return refused(x);
	x->hold = HOLD_HELD;
	write_ahead(x);
	return STEP_NEXT;
}

void reserve_undo(struct exchange *x)
{
	if (x->hold != HOLD_HELD)
		return;
	money_give_up(x->worker->env->money, x->slot, x->call_id);
	x->hold = HOLD_OVER;
}
