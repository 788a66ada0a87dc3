// SPDX-License-Identifier: Apache-2.0
/*
 * settle.c: the one place where a sent call becomes a charge, once per call id. What the provider reported decides, its own money before
 * its tokens; where it reported nothing, the documented estimate does, marked so. Unknown is never zero.
 *
 *   told by the provider                     | charge
 *   money, where its dialect has it          | that; with a key of the client's own (BYOK): the tokens' cost, and that as a fee on top
 *   money that cannot be                     | not believed, and said so: the tokens' cost, marked estimated
 *   tokens, searches, pictures, seconds …    | their exact cost, by the model, tier, speed and place in the answer
 *   the same, of a stream that was cut       | the larger of that and the estimate
 *   the same, in units that have no price    | the hold
 *   nothing                                  | by how it ended: the table of settle_rule.h
 *
 * Money cannot be: below zero, none at all for what costs something by the list, or over a dollar and a thousand times the hold.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/str.h"
#include "kern/gate.h"
#include "path/meter.h"
#include "path/money.h"
#include "path/prefix_call.h"
#include "path/roll.h"
#include "path/settle_rule.h"
#include "spend/price/price.h"

struct verdict {
	nanousd cost;
	bool estimated;
	struct cost_terms terms; /* as answered, where it says so */
	const struct price *price;
};

static const struct price *price_of(const struct exchange *x, const char *model)
{
	return model[0] ? price_find(x->prices, x->provider->prices_as, model, x->bounds.terms.at_s) : NULL;
}

/* Each part by its own model; one without a price makes the whole unknown. */
static bool cost_of_parts(const struct exchange *x, struct verdict *v)
{
	nanousd sum = 0;

	for (size_t i = 0; i < x->report.nparts; i++) {
		const struct usage_part *part = &x->report.parts[i];
		const struct price *p = part->model[0] ? price_of(x, part->model) : v->price;
		nanousd one;
		bool clamped;
		if (!p || cost_of(p, &part->usage, &v->terms, &one, &clamped) ||
		    __builtin_add_overflow(sum, one, &sum))
			return false;
	}
	v->cost = sum;
	return true;
}

static bool cost_of_report(const struct exchange *x, struct verdict *v)
{
	bool clamped = false;

	if (x->report.parts_overflow)
		return false;
	if (x->report.nparts)
		return cost_of_parts(x, v);
	if (cost_of(v->price, &x->report.usage, &v->terms, &v->cost, &clamped))
		return false;
	if (clamped)
		log_warn(x->who.subject, "call %llu: the provider's usage has a part larger than its whole",
			 (unsigned long long)x->call_id);
	return true;
}

/* As far as we know: the answer shows it, or the request or the model's name says so. */
static bool thinks_unseen(const struct exchange *x)
{
	return x->report.reasoning_hidden || (x->ask.output_sight == OUTPUT_HIDDEN && !x->report.reasoning_shown);
}

static bool is_success(const struct exchange *x) { return x->status >= 200 && x->status < 300; }

/* There is more output than the report says. Without a meter nothing of it was read. Errors have none. */
static bool missed(const struct exchange *x) { return is_success(x) && (!x->meter || meter_missed(x->meter)); }

/*
 * A stream that told its usage so far, and its end was not seen: message_start says the input, not yet the output. Also one that a
 * front closed in good form.
 */
static bool is_partial(const struct exchange *x)
{
	return x->ask.stream && !x->report.ended && (!x->answer_complete || missed(x) || x->report.input_exact);
}

static int64_t bytes_seen(const struct report *r) { return settle_text_bytes(r->output_bytes, r->output_events); }

/* Of a stream that was cut: text for the tokens that were made and billed, and were still on their way: a second at its pace. */
static int64_t bytes_in_flight(const struct exchange *x)
{
	int64_t since = x->bound.text_ns ? x->bound.text_ns : x->first_byte_ns;
	int64_t took = since ? clock_boot_ns() - since : 0;

	if (!is_partial(x))
		return 0;
	return BOUND_BYTES_PER_TOKEN *
	       bound_in_flight(x->provider->output_rate, bound_text_tokens(bytes_seen(&x->report)), took);
}

/* We ended it, not the provider; or it was silent for so long that we did. */
static bool we_gave_up(const struct exchange *x) { return x->timed_out || !x->up_ended; }

static nanousd estimate(const struct exchange *x, const struct price *p, enum settle_rule rule)
{
	const struct report *r = &x->report;
	bool input_only = rule == SETTLE_INPUT;
	/* There is output that the text does not show; unseen: or may be. */
	bool hidden = !input_only && (r->reasoning_hidden || x->was_paused || missed(x));
	bool unseen = hidden || (!input_only && thinks_unseen(x));
	int64_t bytes = input_only ? 0 : bytes_seen(r) + bytes_in_flight(x);
	nanousd cost;

	if (rule == SETTLE_HOLD)
		return x->held;
	/*
	 * What was thought unseen, waits unread since the agent reads slowly, or could not be read, is held by time: no more can have
	 * been made.
	 */
	if (unseen && x->rolls && !roll_cost(x, bound_tokens(&x->bound, clock_boot_ns()), &cost))
		return cost < x->held ? cost : x->held;
	if (cost_estimate(p, &x->bounds, r->input_exact ? &r->usage : NULL, bytes, hidden, x->held, &cost))
		return x->held;
	return cost;
}

/* ---- money as the provider told it */

#define HOLDS_AT_MOST 1000 /* a call that cost more times its hold than this was not that call */
#define ALWAYS_POSSIBLE (NANOUSD_PER_USD / HOLDS_AT_MOST) /* a model that is free by the list, and was not */

static bool is_absurd(const struct exchange *x, nanousd own)
{
	const struct report *r = &x->report;

	nanousd least = x->held > ALWAYS_POSSIBLE ? x->held : ALWAYS_POSSIBLE;

	return r->reported_bad || r->reported_cost / HOLDS_AT_MOST > least ||
	       (r->reported_cost == 0 && own != 0 && !r->reported_byok);
}

/* own: what the tokens cost by the list; -1 = not known. True: v->cost is what the provider says. */
static bool take_reported(const struct exchange *x, nanousd own, struct verdict *v)
{
	const struct report *r = &x->report;

	if ((r->reported_cost < 0 && !r->reported_bad) || v->price->reported == PRICE_REPORTED_IGNORED)
		return false;
	if (is_absurd(x, own)) {
		log_warn(x->who.subject, "call %llu (%s): the provider reports a cost of %lld nano-dollars, which cannot be: estimated",
			 (unsigned long long)x->call_id, x->ask.model, (long long)r->reported_cost);
		v->estimated = true;
		return false;
	}
	if (r->reported_byok)
		return own >= 0 && !__builtin_add_overflow(own, r->reported_cost, &v->cost);
	v->cost = r->reported_cost;
	v->estimated = false; /* whatever model it was served by */
	return true;
}

/* True: v->cost is what the provider told, in whatever way. */
static bool cost_as_told(const struct exchange *x, struct verdict *v)
{
	bool own = x->report.seen && !x->report.unpriced && cost_of_report(x, v);

	return take_reported(x, own ? v->cost : -1, v) || own;
}

static bool told(const struct report *r) { return r->seen || r->reported_cost > 0; }

/* The terms of the hold, with what the answer says of its own. */
static struct cost_terms terms_of(const struct exchange *x)
{
	const struct report *r = &x->report;
	struct cost_terms t = x->bounds.terms;

	if (r->tier_said)
		t.tier = r->tier;
	if (r->fast_said)
		t.fast = r->fast;
	if (r->geo_said)
		t.geo = r->geo;
	return t;
}

static struct verdict decide(const struct exchange *x)
{
	const struct report *r = &x->report;
	const struct price *served = price_of(x, r->model);
	const struct settle_facts facts = {
		.status = x->status,
		.streamed = x->ask.stream,
		.all_sent = !x->request,
		.complete = x->answer_complete,
		.gave_up = we_gave_up(x),
		.reported = told(r),
		.output_seen = r->output_seen,
		.missed = missed(x),
		.own_error = r->failed,
	};
	enum settle_rule rule = settle_rule(&facts);
	struct verdict v = {
		.price = served ? served : x->price,
		.terms = terms_of(x),
		/* Served by a model that has no price here: charged as the one asked for, and said so. */
		.estimated = r->model[0] && !served,
	};
	/* Where it was made has a price, and nobody said where: the dearest. */
	v.estimated |= v.price->ngeo && str_eq(str_of(v.terms.geo), STR(COST_ANYWHERE));

	if (rule == SETTLE_NOTHING)
		return v;
	if (rule == SETTLE_REPORTED) {
		if (cost_as_told(x, &v) && !is_partial(x))
			return v;
		/* Told in units that have no price: the bound it was held at. */
		rule = is_partial(x) ? SETTLE_ESTIMATE : SETTLE_HOLD;
	}
	v.estimated = true;
	nanousd guess = estimate(x, v.price, rule);
	v.cost = guess > v.cost ? guess : v.cost;
	return v;
}

/* Sound tells no usage, but what it was made from was asked for: characters are counted in the request. */
static void usage_from_request(struct exchange *x)
{
	struct report *r = &x->report;

	if (x->endpoint != ENDPOINT_OPENAI_SPEECH || r->seen || r->failed || !x->answer_complete || !is_success(x))
		return;
	r->usage.characters = x->ask.characters;
	r->seen = x->ask.characters > 0;
}

static void fill_record(const struct exchange *x, const struct verdict *v, struct ledger_call *c)
{
	int64_t now = clock_boot_ns(), took = now - x->started_ns;

	*c = (struct ledger_call){
		.call_id = x->call_id,
		.pid = x->who.flow.pid,
		.cgroup_id = x->who.flow.agent_cgroup,
		.endpoint = x->endpoint,
		.tier = v->terms.tier,
		.usage = x->report.usage,
		.usage_known = x->report.seen,
		.held = x->held,
		.cost = v->cost,
		.estimated = v->estimated,
		.status = x->status,
		.started_ns = gate_holds(x->worker->env->gate)[x->slot].started_realtime_ns,
		.first_byte_us = x->first_byte_ns ? (x->first_byte_ns - x->started_ns) / 1000 : -1,
		.total_us = took / 1000,
		.slot = x->slot,
	};
	(void)snprintf(c->agent, sizeof c->agent, "%s", x->who.agent);
	(void)snprintf(c->account, sizeof c->account, "%s",
		       gate_accounts(x->worker->env->gate)[x->who.flow.account].name);
	(void)snprintf(c->comm, sizeof c->comm, "%.*s", (int)sizeof x->who.flow.comm, x->who.flow.comm);
	(void)snprintf(c->provider, sizeof c->provider, "%s", x->provider->name);
	(void)snprintf(c->model, sizeof c->model, "%s", x->ask.model);
	(void)snprintf(c->served_model, sizeof c->served_model, "%s", x->report.model);
	cost_name(v->price, &x->report.usage, &v->terms, c->price, sizeof c->price);
	(void)snprintf(c->end, sizeof c->end, "%s", x->end);
	(void)snprintf(c->request_id, sizeof c->request_id, "%s", x->request_id);
}

/* For rules on tokens. What was not reported counts as it was held. */
static void count_tokens(const struct exchange *x, const struct verdict *v)
{
	const struct usage *u = &x->report.usage;

	if (!v->estimated)
		money_count_tokens(x->worker->env->money, x->slot, x->report.seen ? u->input + u->output : 0, clock_realtime_ns());
}

enum stepped settle_run(struct exchange *x)
{
	const struct path_env *env = x->worker->env;
	struct ledger_call record;

	if (x->endpoint == ENDPOINT_FREE || x->hold != HOLD_SENT) {
		WORKER_COUNT(x->worker, free_calls, x->endpoint == ENDPOINT_FREE);
		return STEP_NEXT;
	}
	usage_from_request(x);
	struct verdict v = decide(x);
	/* A hold that turned out too small is no overrun while the budget has the rest. */
	if (x->rolls && v.cost > x->held) {
		struct refusal why;
		(void)money_extend(env->money, x->slot, v.cost, v.cost, clock_realtime_ns(), &x->held, &why);
	}
	prefix_learn(x);
	count_tokens(x, &v);
	fill_record(x, &v, &record);
	nanousd overrun = money_charge(env->money, x->slot, &record);
	x->hold = HOLD_OVER;

	WORKER_COUNT(x->worker, settled, 1);
	WORKER_COUNT(x->worker, estimated, v.estimated);
	if (overrun > 0) {
		WORKER_COUNT(x->worker, overruns, 1);
		log_warn(x->who.subject, "call %llu (%s) cost %lld nano-dollars more than its hold",
			 (unsigned long long)x->call_id, x->ask.model, (long long)overrun);
	}
	return STEP_NEXT;
}
