// SPDX-License-Identifier: Apache-2.0
/* calls.c: steps of calls: a hold, sent, given up, extended, charged, settled, the ledger's rows durable. */
#include "steps.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "spend/ledger/db.h"
#include "tear.h"

static nanousd any_amount(struct world *w)
{
	static const nanousd most[] = { 3, 100, 1000, 1000, 5000, 50000 };

	return 1 + (nanousd)ROLL((uint64_t)most[ROLL(6)]);
}

const char *any_model(struct world *w)
{
	static const char *const models[] = { "mini", "large", "odd" };

	return models[ROLL(3)];
}

static void not_granted(struct world *w, const struct hold_request *r, int account, int result, const struct refusal *why)
{
	struct model *m = &w->model;

	w->refusals++;
	if (m->holds_closed) {
		if (result != -EOWNERDEAD || why->reason != REFUSAL_LEDGER)
			broken("holds are closed, but the answer is %d", result);
		return;
	}
	if (result == -ENOSPC) {
		if (model_busy(m) < SLOTS)
			broken("no free slot, but only %zu of %d are taken", model_busy(m), SLOTS);
		return;
	}
	if (result != -EDQUOT)
		broken("a hold answered %d", result);
	if (why->rule[0]) {
		model_rule_refused(m, account, r->model, r->amount, m->seen_ns, why);
	} else if (why->reason == REFUSAL_PAUSED) {
		int at = name_find(why->account);

		if (at == NOBODY || !m->places[at].spec.paused || !model_is_below(m, account, at))
			broken("refused as paused by \"%s\", which is not", why->account);
	} else {
		model_refused(m, account, m->seen_ns, r->amount, why);
		/* used up, or only held? */
		struct sums s = model_sums(m, name_find(why->account), m->places[name_find(why->account)].windows[why->window].start_s,
					   m->places[name_find(why->account)].windows[why->window].end_s);

		if (why->held != s.held || why->needed != r->amount || (why->spent + r->amount > why->limit) != (why->reason == REFUSAL_BUDGET))
			broken("the refusal by %s says needed %" PRId64 ", held %" PRId64 ", reason %d", why->account, why->needed, why->held, (int)why->reason);
	}
}

/* Written ahead: the daemon tells the ledger of every hold. Here a tenth is forgotten, to see that nothing depends on it but power cuts. */
static void tell_hold(struct world *w, struct call *c)
{
	struct ledger_hold h = { .call_id = c->id, .comm = "sim", .pid = 42, .cgroup_id = 77, .provider = "fake",
				 .endpoint = ENDPOINT_OPENAI_CHAT, .amount = c->amount, .started_ns = c->started_ns };

	if (LUCK(10))
		return;
	(void)snprintf(h.account, sizeof(h.account), "%s", name_of(c->account));
	(void)snprintf(h.agent, sizeof(h.agent), "%s", name_of(c->account));
	(void)snprintf(h.model, sizeof(h.model), "%s", c->model);
	ledger_hold(w->ledger, &h);
	c->told = c->amount;
}

void step_hold(struct world *w)
{
	struct model *m = &w->model;
	int account = any_living(w);
	struct refusal why = { 0 };
	uint32_t slot = 0;
	uint64_t id = 0;

	if (account == NOBODY)
		return;
	struct hold_request r = {
		.account = m->places[account].index,
		.amount = any_amount(w),
		.cgroup_id = 77,
		.pid = 42,
		.comm = "sim",
		.model = any_model(w),
		.provider_name = "fake",
		.now_ns = w->now_ns,
		.tokens = (int64_t)ROLL(1000),
	};
	int64_t started_ns = seen_now(w);
	tear_on();
	int result = budget_hold(w->budget, &r, &slot, &id, &why);

	tear_off();

	say("hold %s %" PRId64 " -> %d slot %u", name_of(account), r.amount, result, slot);
	if (result < 0) {
		model_look(m, w->rows, w->holds, LOOK_STRICT);
		not_granted(w, &r, account, result, &why);
		return;
	}
	if (m->holds_closed)
		broken("granted while the ledger cannot write");
	if (m->ncalls && id <= m->calls[m->ncalls - 1].id)
		broken("call id %" PRIu64 " is not above the last, %" PRIu64, id, m->calls[m->ncalls - 1].id);
	struct gate_hold h;

	budget_get_hold(w->budget, slot, &h);
	if (h.started_realtime_ns != started_ns)
		broken("the call began at %" PRId64 ", should be %" PRId64, (int64_t)h.started_realtime_ns, started_ns);
	struct call *c = model_add_call(m);

	*c = (struct call){ .id = id, .account = account, .slot = slot, .model = r.model, .state = CALL_HELD, .amount = r.amount, .started_ns = started_ns };
	w->holds_given++;
	model_look(m, w->rows, w->holds, LOOK_STRICT);
	(void)model_granted(m, account, started_ns, false);
	for (int at = account; at != NOBODY; at = m->places[at].parent)
		if (m->places[at].spec.paused)
			broken("granted, though %s is paused", name_of(at));
	model_rules_hold(m, c, true);
	tell_hold(w, c);
	for (int at = account; at != NOBODY; at = m->places[at].parent)
		for (int k = 0; k < WINDOW_TOTAL; k++) {
			const struct gate_window *win = &w->rows[m->places[at].index].windows[k];

			if (started_ns / NS < win->start_s || started_ns / NS >= win->end_s)
				broken("granted in an instance of %s that is over", name_of(at));
		}
}

/* After a commit: what was told of calls that are still open is on the disk. */
void holds_are_durable(struct world *w)
{
	for (size_t i = w->model.first_open; i < w->model.ncalls; i++) {
		struct call *c = &w->model.calls[i];

		if (call_is_held(c))
			c->ahead = c->told;
	}
}

static void before(struct world *w, struct call *c)
{
	w->touched = c;
	c->old_state = c->state;
	c->old_amount = c->amount;
}

void step_sent(struct world *w)
{
	struct call *c = any_call(w, 1u << CALL_HELD);

	if (!c)
		return;
	say("sent slot %u", c->slot);
	before(w, c);
	tear_on();
	budget_sent(w->budget, c->slot);
	tear_off();
	c->state = CALL_SENT;
	model_look(&w->model, w->rows, w->holds, LOOK_STRICT);
}

void step_give_up(struct world *w)
{
	struct call *c = any_call(w, 1u << CALL_HELD);

	if (!c)
		return;
	say("give up slot %u", c->slot);
	before(w, c);
	tear_on();
	budget_give_up(w->budget, c->slot);
	tear_off();
	c->state = CALL_GIVEN_UP;
	model_look(&w->model, w->rows, w->holds, LOOK_STRICT);
	ledger_hold_over(w->ledger, c->id, c->slot);
}

/* A streamed call needs more than it holds. */
void step_extend(struct world *w)
{
	struct model *m = &w->model;
	struct call *c = any_call(w, 1u << CALL_HELD | 1u << CALL_SENT);

	if (!c)
		return;
	nanousd at_least = c->amount + (nanousd)ROLL(200) - 50, wish = at_least + (nanousd)ROLL(5000), amount = 0, was = c->amount;
	struct refusal why = { 0 };

	if (at_least < 1)
		at_least = 1;
	(void)seen_now(w); /* a raise that is over by now does not count */
	before(w, c);
	tear_on();
	int r = budget_extend(w->budget, c->slot, at_least, wish, w->now_ns, &amount, &why);

	tear_off();
	say("extend slot %u from %" PRId64 " to at least %" PRId64 ", wish %" PRId64 " -> %d %" PRId64, c->slot, was, at_least, wish, r, amount);
	if (r < 0) {
		model_look(m, w->rows, w->holds, LOOK_STRICT);
		if (r != -EDQUOT || at_least <= was)
			broken("an extension answered %d", r);
		if (why.rule[0] && !c->has_moved)
			model_rule_refused(m, c->account, c->model, strcmp(why.rule, "per_call") ? at_least - was : at_least, c->started_ns, &why);
		else if (!c->has_moved)
			model_refused(m, c->account, c->started_ns, at_least - was, &why);
		return;
	}
	if (amount < was || (amount < at_least && was < at_least) || amount > (wish > was ? wish : was))
		broken("extended to %" PRId64, amount);
	c->amount = amount;
	model_look(m, w->rows, w->holds, LOOK_STRICT);
	if (amount > was) {
		nanousd left = model_granted(m, c->account, c->started_ns, c->has_moved);

		model_rules_hold(m, c, false);
		if (amount < wish && amount < model_most_per_call(m, c->account) && left > 0 && !c->has_moved && !model_has_model_limits(m, c->account))
			broken("extended to %" PRId64 " only, %" PRId64 " more would fit", amount, left);
	}
	if (c->told) {
		ledger_hold_grew(w->ledger, c->id, amount);
		c->told = amount;
	}
}

static void offer_row(struct world *w, const struct call *c)
{
	struct ledger_call row = {
		.call_id = c->id,
		.comm = "sim",
		.pid = 42,
		.cgroup_id = 77,
		.provider = "fake",
		.endpoint = ENDPOINT_OPENAI_CHAT,
		.usage_known = true,
		.held = c->amount,
		.cost = c->cost,
		.status = 200,
		.end = "done",
		.started_ns = c->started_ns,
		.slot = c->slot,
	};

	(void)snprintf(row.account, sizeof(row.account), "%s", name_of(c->account));
	(void)snprintf(row.agent, sizeof(row.agent), "%s", name_of(c->account));
	(void)snprintf(row.model, sizeof(row.model), "%s", c->model);
	ledger_call(w->ledger, &row);
}

void step_charge(struct world *w)
{
	struct call *c = any_call(w, 1u << CALL_SENT | 1u << CALL_HELD);

	if (!c)
		return;
	/* Mostly below the hold; none at all; exactly it; now and then a provider bills more than was held. */
	uint64_t kind = ROLL(20);
	nanousd cost = kind == 0 ? 0 : kind == 1 ? c->amount : kind == 2 ? c->amount + (nanousd)ROLL(1000) : (nanousd)ROLL((uint64_t)c->amount + 1);

	say("charge slot %u: %" PRId64 " of %" PRId64, c->slot, cost, c->amount);
	before(w, c);
	tear_on();
	nanousd overrun = budget_charge(w->budget, c->slot, cost, false);

	tear_off();

	c->state = CALL_CHARGED;
	c->cost = cost;
	if (overrun != (cost > c->amount ? cost - c->amount : 0))
		broken("the overrun is %" PRId64, overrun);
	model_look(&w->model, w->rows, w->holds, cost > c->amount ? LOOK_LOOSE : LOOK_STRICT);
	offer_row(w, c);
	/* A second settle changes nothing: invariant 3. */
	if (LUCK(2)) {
		(void)budget_charge(w->budget, c->slot, cost + 1, true);
		model_look(&w->model, w->rows, w->holds, LOOK_STRICT);
	}
}

void step_settled(struct world *w)
{
	if (w->ndurable == 0)
		return;
	slot_settled(w, ROLL(w->ndurable));
	model_look(&w->model, w->rows, w->holds, LOOK_STRICT);
}

void step_ledger(struct world *w)
{
	int r = ledger_step(w->ledger);

	say("ledger step -> %d, %zu durable", r, w->ndurable);
	if (simdisk_is_dead(w->disk))
		return;
	if (r < 0 && !w->flaky)
		broken("the ledger could not write: %d", r);
	if (r == 0)
		holds_are_durable(w);
	model_look(&w->model, w->rows, w->holds, LOOK_STRICT);
}
