// SPDX-License-Identifier: Apache-2.0
/* accounts.c: steps of accounts: made, changed, moved, paused, removed, also by an edit that is not confirmed. */
#include "steps.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "spend/audit.h"
#include "spend/replay.h"

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
void settle_doubts(struct world *w)
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

void step_set(struct world *w)
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

void step_pause(struct world *w)
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

void step_remove(struct world *w)
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
