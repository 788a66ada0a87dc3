// SPDX-License-Identifier: Apache-2.0
/* world.c: the steps. Each does one thing to the real code, tells the model what should follow, and looks. Crashes are in boot.c. */
#include "world.h"

#include <inttypes.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calendar.h"
#include "spend/audit.h"
#include "spend/ledger/db.h"
#include "spend/replay.h"
#include "tear.h"

uint64_t dice_roll(struct dice *d, uint64_t n)
{
	uint64_t z = d->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (z ^ (z >> 31)) % n;
}

bool dice_luck(struct dice *d, uint64_t percent)
{
	return dice_roll(d, 100) < percent;
}

#define ROLL(n) dice_roll(&w->dice, n)
#define LUCK(percent) dice_luck(&w->dice, percent)

static int64_t seen_now(struct world *w)
{
	struct model *m = &w->model;

	m->seen_ns = w->now_ns > m->seen_ns ? w->now_ns : m->seen_ns;
	return m->seen_ns;
}

/* Of those who hand in whole seconds: time does not go on within one. */
static void seen_second(struct world *w)
{
	int64_t ns = w->now_ns / NS * NS;

	w->model.seen_ns = ns > w->model.seen_ns ? ns : w->model.seen_ns;
}

static int any_living(struct world *w)
{
	int found = NOBODY, n = 0;

	for (int i = 0; i < NAMES; i++)
		if (w->model.places[i].lives && ROLL((uint64_t)++n) == 0)
			found = i;
	return found;
}

/* A call in one of the states of the mask, by chance: ends come in any order. */
static struct call *any_call(struct world *w, unsigned mask)
{
	struct model *m = &w->model;
	struct call *found = NULL;
	int n = 0;

	for (size_t i = m->first_open; i < m->ncalls; i++)
		if ((mask >> m->calls[i].state & 1) && ROLL((uint64_t)++n) == 0)
			found = &m->calls[i];
	return found;
}

/* ---- calls */

static nanousd any_amount(struct world *w)
{
	static const nanousd most[] = { 3, 100, 1000, 1000, 5000, 50000 };

	return 1 + (nanousd)ROLL((uint64_t)most[ROLL(6)]);
}

static const char *any_model(struct world *w)
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

static void step_hold(struct world *w)
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
static void holds_are_durable(struct world *w)
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

static void step_sent(struct world *w)
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

static void step_give_up(struct world *w)
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
static void step_extend(struct world *w)
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

static void step_charge(struct world *w)
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

static void step_settled(struct world *w)
{
	if (w->ndurable == 0)
		return;
	slot_settled(w, ROLL(w->ndurable));
	model_look(&w->model, w->rows, w->holds, LOOK_STRICT);
}

static void step_ledger(struct world *w)
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

/* ---- accounts */

static const char *any_zone(struct world *w)
{
	static const char *const zones[] = { "", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe",
					     "Pacific/Kiritimati", "America/St_Johns", "Pacific/Apia" };

	return w->temper.zones ? zones[ROLL(8)] : "";
}

static void any_limits(struct world *w, int64_t *limits)
{
	for (int k = 0; k < WINDOW_COUNT; k++) {
		nanousd most = (w->temper.small_limits ? 3000 : 100000) * (k + 1);

		limits[k] = LUCK(55) ? GATE_NO_LIMIT : LUCK(5) ? 0 : (nanousd)ROLL((uint64_t)most);
	}
}

static void change_spec(struct world *w, struct account_spec *s)
{
	if (LUCK(70))
		any_limits(w, s->limits);
	if (LUCK(20))
		s->paused = !s->paused && LUCK(40);
	if (LUCK(10))
		s->floor = (nanousd)ROLL(100);
	if (w->temper.rules && LUCK(30)) {
		s->rules = (struct rules){ .per_call = LUCK(50) ? 0 : 1 + (nanousd)ROLL(20000), .calls_in_flight = LUCK(50) ? 0 : 1 + (int64_t)ROLL(12) };
		s->rules.nmodel_limits = LUCK(50);
		if (s->rules.nmodel_limits) {
			(void)snprintf(s->rules.model_limits[0].models, RULES_GLOB_MAX, "%s", any_model(w));
			any_limits(w, s->rules.model_limits[0].limits);
			s->rules.model_limits[0].limits[WINDOW_TOTAL] = (nanousd)ROLL(200000);
		}
	}
	if (w->temper.zones && LUCK(15)) {
		(void)snprintf(s->zone, sizeof(s->zone), "%s", any_zone(w));
		s->reset_minute = LUCK(50) ? 0 : (int32_t)ROLL(1440);
	}
	if (w->temper.raises && LUCK(20)) {
		for (int k = 0; k < WINDOW_COUNT; k++)
			s->raise[k] = s->limits[k] == GATE_NO_LIMIT ? 0 : (nanousd)ROLL(5000);
		s->raise_until_s = w->now_ns / NS + (int64_t)ROLL(7200) - 60;
	}
}

/* What the docs say: the parent exists, is not below, and the tree is deep at most GATE_TREE_DEPTH. */
static bool may_stand_below(const struct model *m, int name, int parent)
{
	if (parent == NOBODY)
		return model_height(m, name) <= GATE_TREE_DEPTH;
	if (!m->places[parent].lives || (m->places[name].lives && model_is_below(m, parent, name)))
		return false;
	int height = m->places[name].lives ? model_height(m, name) : 1;

	return model_depth(m, parent) + height <= GATE_TREE_DEPTH;
}

static int living_count(const struct model *m)
{
	int n = 0;

	for (int i = 0; i < NAMES; i++)
		n += m->places[i].lives;
	return n;
}

/* A move between calendars is put right by the ledger, as soon as it can be read. */
static void settle_doubts(struct world *w)
{
	struct err e = { "" };

	w->model.in_doubt = budget_in_doubt(w->budget, NULL, 0) > 0;
	if (!w->model.in_doubt)
		return;
	model_look(&w->model, w->rows, w->holds, LOOK_LOOSE);
	int r = audit_doubts(w->budget, w->ledger, &e);

	if (simdisk_is_dead(w->disk))
		return;
	if (r < 0 && !w->flaky)
		broken("doubts could not be settled: %s", e.text);
	w->model.in_doubt = r < 0;
}

static void recount_models(struct world *w, uint32_t index)
{
	struct err e = { "" };

	if (replay_models(w->budget, w->ledger, index, &e) < 0 && !w->flaky && !simdisk_is_dead(w->disk))
		broken("limits on models could not be counted: %s", e.text);
}

/* A new account that could not be saved goes again, and the money that came with its name goes to where the ledger still sees it. */
static void take_back(struct world *w, int name, const struct place *was)
{
	struct model *m = &w->model;
	int p_was = m->places[name].parent, counts_at = was->parent == NOBODY ? NOBODY : model_living(m, was->parent);
	struct account_spec spec = m->places[name].spec;
	struct err e = { "" };

	if (was->lives || model_has_slots(m, name) || model_has_children(m, name) || model_depth(m, counts_at) == GATE_TREE_DEPTH)
		return;
	(void)snprintf(spec.parent, sizeof(spec.parent), "%s", name_of(counts_at));
	if (budget_set_account(w->budget, &spec, w->now_ns / NS, NULL, &e) < 0 || budget_remove_account(w->budget, name_of(name), &e) < 0)
		broken("taking back %s: %s", name_of(name), e.text);
	m->places[name] = *was;
	settle_doubts(w);
	if (p_was != NOBODY)
		recount_models(w, m->places[p_was].index);
	if (counts_at != NOBODY)
		recount_models(w, m->places[counts_at].index);
	if (simdisk_is_dead(w->disk))
		return;
	model_look(m, w->rows, w->holds, LOOK_LOOSE);
}

/* As the control side does it: the budget, then the ledger; if the ledger cannot, the budget goes back. */
static void set_account(struct world *w, int name, const struct account_spec *spec, int parent)
{
	struct model *m = &w->model;
	struct place *p = &m->places[name], was = *p;
	struct err e = { "" };
	uint32_t index = 0;
	bool may = may_stand_below(m, name, parent) && (p->lives || living_count(m) < ROWS - 1);
	int r = replay_account(w->budget, w->ledger, spec, w->now_ns / NS, &index, &e);

	if (simdisk_is_dead(w->disk))
		return;
	(void)budget_roll(w->budget, w->now_ns / NS);
	seen_second(w);
	if (r < 0 && w->flaky) {
		model_look(m, w->rows, w->holds, LOOK_LOOSE);
		return;
	}
	if ((r == 0) != may)
		broken("account %s below \"%s\": %d %s", spec->name, spec->parent, r, e.text);
	if (r < 0) {
		model_look(m, w->rows, w->holds, LOOK_STRICT);
		return;
	}
	if (p->lives && p->index != index)
		broken("%s was row %u, now %u", name_of(name), p->index, index);
	if (!was.lives || was.parent != parent || strcmp(was.spec.zone, spec->zone) != 0 || was.spec.reset_minute != spec->reset_minute)
		for (size_t i = m->first_open; i < m->ncalls; i++)
			m->calls[i].has_moved = true;
	*p = (struct place){ .lives = true, .parent = parent, .spec = *spec, .index = index, .windows_known = was.lives && was.windows_known,
			      .is_stretched = was.lives && (was.is_stretched || strcmp(was.spec.zone, spec->zone) != 0 ||
							    was.spec.reset_minute != spec->reset_minute) };
	memcpy(p->windows, was.windows, sizeof(p->windows));
	memcpy(p->past, was.past, sizeof(p->past));
	memcpy(p->npast, was.npast, sizeof(p->npast));
	w->doubtful = name;
	w->doubtful_was = was;
	w->doubtful_new = *p;
	settle_doubts(w);
	recount_models(w, index);
	if (simdisk_is_dead(w->disk))
		return;
	model_look(m, w->rows, w->holds, LOOK_LOOSE);
	r = ledger_save_account(w->ledger, spec, false);
	if (simdisk_is_dead(w->disk))
		return;
	if (r < 0 && !w->flaky)
		broken("account %s was not saved: %d", spec->name, r);
	/* One that failed may still have got in: then the next start finds it. What stands in the budget is what was confirmed. */
	if (r == 0) {
		w->doubtful = NOBODY;
		return;
	}
	say("set %s could not be saved", name_of(name));
	take_back(w, name, &was);
}

static void step_set(struct world *w)
{
	struct model *m = &w->model;
	int name = (int)ROLL(NAMES), parent = m->places[name].parent;
	struct account_spec spec = { 0 };

	if (w->doubtful != NOBODY)
		return;
	if (m->places[name].lives) {
		spec = m->places[name].spec;
		if (LUCK(25))
			parent = (int)ROLL(NAMES + 1) - 1;
	} else {
		any_limits(w, spec.limits);
		parent = LUCK(20) ? NOBODY : LUCK(90) ? any_living(w) : (int)ROLL(NAMES);
		(void)snprintf(spec.zone, sizeof(spec.zone), "%s", parent != NOBODY && LUCK(80) ? m->places[parent].spec.zone : any_zone(w));
		spec.reset_minute = parent != NOBODY ? m->places[parent].spec.reset_minute : 0;
	}
	change_spec(w, &spec);
	(void)snprintf(spec.name, sizeof(spec.name), "%s", name_of(name));
	(void)snprintf(spec.parent, sizeof(spec.parent), "%s", name_of(parent));
	say("set %s%s below \"%s\" day %" PRId64 " total %" PRId64 " zone %s+%d%s", name_of(name), m->places[name].lives ? "" : " (new)",
	    spec.parent, (int64_t)spec.limits[WINDOW_DAY], (int64_t)spec.limits[WINDOW_TOTAL], spec.zone, spec.reset_minute,
	    spec.paused ? " paused" : "");
	set_account(w, name, &spec, parent);
}

static void step_pause(struct world *w)
{
	int name = any_living(w);

	if (name == NOBODY || w->doubtful != NOBODY)
		return;
	bool paused = LUCK(40);

	say("pause %s %d", name_of(name), paused);
	w->doubtful = name;
	w->doubtful_was = w->model.places[name];
	if (budget_pause(w->budget, name_of(name), paused) < 0)
		broken("%s cannot be paused", name_of(name));
	w->model.places[name].spec.paused = paused;
	w->doubtful_new = w->model.places[name];
	model_look(&w->model, w->rows, w->holds, LOOK_STRICT);
	int r = ledger_save_account(w->ledger, &w->model.places[name].spec, false);

	if (!simdisk_is_dead(w->disk) && r == 0)
		w->doubtful = NOBODY;
}

static void step_remove(struct world *w)
{
	struct model *m = &w->model;
	int name = any_living(w);
	struct err e = { "" };

	if (name == NOBODY || w->doubtful != NOBODY)
		return;
	struct place *p = &m->places[name];
	bool may = !model_has_children(m, name) && !model_has_slots(m, name);
	int r = budget_remove_account(w->budget, name_of(name), &e);

	say("remove %s -> %d", name_of(name), r);
	if ((r == 0) != may)
		broken("removing %s: %d %s", name_of(name), r, e.text);
	if (r < 0)
		return;
	w->doubtful = name;
	w->doubtful_was = *p;
	p->lives = p->windows_known = false;
	w->doubtful_new = *p;
	model_look(m, w->rows, w->holds, LOOK_STRICT);
	r = ledger_save_account(w->ledger, &p->spec, true);
	if (!simdisk_is_dead(w->disk) && r == 0)
		w->doubtful = NOBODY;
}

/* ---- time */

static void step_clock(struct world *w)
{
	static const int64_t jumps_s[] = { 1, 30, 600, 3600, 3 * 3600, 86400, 7 * 86400, 31 * 86400 };
	int64_t old_ns = w->now_ns;
	int name = any_living(w);

	if (LUCK(60)) {
		w->now_ns += (int64_t)ROLL(2 * NS);
	} else if (LUCK(40) && name != NOBODY) {
		/* To the edge of a window, one second before, on it, one behind. */
		const struct gate_window *win = &w->rows[w->model.places[name].index].windows[ROLL(WINDOW_TOTAL)];

		if (win->end_s > 0 && win->end_s * NS > w->now_ns)
			w->now_ns = (win->end_s - 1 + (int64_t)ROLL(3)) * NS - (int64_t)ROLL(2);
	} else if (LUCK(70)) {
		w->now_ns += jumps_s[ROLL(LUCK(20) ? 8 : 5)] * NS;
	} else {
		w->now_ns -= jumps_s[ROLL(LUCK(10) ? 7 : 5)] * NS;
	}
	say("clock %+.3f s", (double)(w->now_ns - old_ns) / 1e9);
	simdisk_clock(w->disk, w->now_ns);
}

static void step_roll(struct world *w)
{
	say("roll");
	int64_t next = budget_roll(w->budget, w->now_ns / NS);

	seen_second(w);
	if (next <= w->model.seen_ns / NS)
		broken("the next window ends at %" PRId64 ", which is over", next);
	model_look(&w->model, w->rows, w->holds, LOOK_STRICT);
}

/* ---- looking */

static void step_check(struct world *w)
{
	struct err e = { "" };

	say("check");
	if (budget_check(w->budget, &e) < 0)
		broken("budget_check: %s", e.text);
}

static void step_audit(struct world *w)
{
	struct audit_input in = { .budget = w->budget, .ledger = w->ledger };
	struct audit_report report = { 0 };
	struct err e = { "" };

	if (w->flaky)
		return;
	say("audit");
	w->audits++;
	settle_doubts(w);
	int r = audit_run(&in, &report, &e);

	if (simdisk_is_dead(w->disk))
		return;
	if (r < 0)
		broken("audit: %s", e.text);
	model_look(&w->model, w->rows, w->holds, LOOK_STRICT);
	if (LUCK(20))
		reconcile(w);
}

/* ---- what goes wrong */

static void step_fault(struct world *w)
{
	enum simdisk_fault fault = (enum simdisk_fault)ROLL(SIMDISK_FAULT_COUNT - 1);
	bool is_over = LUCK(50);

	say(is_over ? "the disk is well again" : "the disk will fail, kind %d", (int)fault);
	for (int i = 0; i < SIMDISK_FAULT_COUNT && is_over; i++)
		simdisk_fault(w->disk, (enum simdisk_fault)i, 0, 0);
	if (!is_over && fault != SIMDISK_READ_EIO)
		simdisk_fault(w->disk, fault, 1 + ROLL(40), 1 + ROLL(3));
	w->flaky = w->flaky || !is_over;
	if (is_over)
		flush(w);
}

static void step_crash(struct world *w)
{
	switch (ROLL(10)) {
	case 0:
	case 1:
		say("stopped and started");
		stop_and_start(w);
		break;
	case 2:
	case 3:
		say("power cut");
		power_cut(w);
		break;
	case 4:
	case 5:
	case 6:
		say("will die in the midst of a disk operation");
		simdisk_fault(w->disk, SIMDISK_DEATH, 1 + ROLL(60), 1);
		break;
	default:
		say("kill -9");
		crash(w);
	}
}

/* The next step on a call stops half way: the arrays are what a reader would have found between two instructions of it. */
static void step_torn(struct world *w);

static const struct step {
	void (*run)(struct world *w);
	unsigned weight; /* times one of the temper's */
	size_t temper;
} steps[] = {
	{ step_hold, 30, offsetof(struct temper, calls) },
	{ step_sent, 22, offsetof(struct temper, calls) },
	{ step_charge, 20, offsetof(struct temper, calls) },
	{ step_give_up, 5, offsetof(struct temper, calls) },
	{ step_extend, 12, offsetof(struct temper, calls) },
	{ step_settled, 22, offsetof(struct temper, calls) },
	{ step_ledger, 6, offsetof(struct temper, syncs) },
	{ step_set, 6, offsetof(struct temper, tree) },
	{ step_pause, 1, offsetof(struct temper, tree) },
	{ step_remove, 4, offsetof(struct temper, tree) },
	{ step_clock, 8, offsetof(struct temper, clock) },
	{ step_roll, 2, offsetof(struct temper, clock) },
	{ step_check, 2, offsetof(struct temper, calls) },
	{ step_audit, 1, offsetof(struct temper, syncs) },
	{ step_fault, 1, offsetof(struct temper, faults) },
	{ step_crash, 1, offsetof(struct temper, crashes) },
	{ step_torn, 4, offsetof(struct temper, crashes) },
};
#define NSTEPS (sizeof(steps) / sizeof(steps[0]))

static unsigned weight_of(const struct world *w, const struct step *s)
{
	return s->weight * *(const unsigned *)(const void *)((const char *)&w->temper + s->temper);
}

static void step_torn(struct world *w)
{
	static void (*const on_calls[])(struct world *) = { step_hold, step_sent, step_give_up, step_charge, step_extend };
	const struct tear_copy copies[2] = { { w->rows_at_death, w->rows, ROWS * sizeof(*w->rows) },
					     { w->holds_at_death, w->holds, SLOTS * sizeof(*w->holds) } };
	size_t ncalls = w->model.ncalls;

	memcpy(w->rows_at_death, w->rows, ROWS * sizeof(*w->rows));
	memcpy(w->holds_at_death, w->holds, SLOTS * sizeof(*w->holds));
	w->touched = NULL;
	tear_arm(copies, ROLL(UINT64_C(1) << 62));
	on_calls[ROLL(5)](w);
	tear_off();
	say("killed in the midst of it");
	/* A hold that is being taken was not sent: it is over, whether it had begun or not. */
	if (w->model.ncalls > ncalls)
		w->model.calls[ncalls].state = CALL_GONE;
	if (w->touched)
		w->touched->is_torn = true;
	death_strikes(w);
}

void world_step(struct world *w)
{
	unsigned all = 0, at;

	for (size_t i = 0; i < NSTEPS; i++)
		all += weight_of(w, &steps[i]);
	at = (unsigned)ROLL(all);
	for (size_t i = 0; i < NSTEPS; i++) {
		unsigned weight = weight_of(w, &steps[i]);

		if (at < weight) {
			steps[i].run(w);
			break;
		}
		at -= weight;
	}
	if (simdisk_is_dead(w->disk)) {
		say("died in it");
		death_strikes(w);
	}
}

void world_settle(struct world *w)
{
	struct err e = { "" };

	simdisk_fault(w->disk, SIMDISK_DEATH, 0, 0);
	flush(w);
	while (w->ndurable)
		slot_settled(w, 0);
	model_look(&w->model, w->rows, w->holds, LOOK_STRICT);
	step_audit(w);
	reconcile(w);
	if (budget_check(w->budget, &e) < 0)
		broken("budget_check: %s", e.text);
	/* Nothing leaks: what is in flight is what the model has in flight. */
	if (budget_in_flight(w->budget) != model_busy(&w->model))
		broken("%zu slots are taken, should be %zu", budget_in_flight(w->budget), model_busy(&w->model));
}
