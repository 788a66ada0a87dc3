// SPDX-License-Identifier: Apache-2.0
/*
 * world.c: which step comes, by chance, and the steps of time, of looking and of what goes wrong; calls are calls.c, accounts accounts.c.
 * Each does one thing to the real code, tells the model what should follow, and looks. Crashes are in boot.c.
 */
#include "steps.h"

#include <inttypes.h>
#include <string.h>

#include "spend/audit.h"
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

int64_t seen_now(struct world *w)
{
	struct model *m = &w->model;

	m->seen_ns = w->now_ns > m->seen_ns ? w->now_ns : m->seen_ns;
	return m->seen_ns;
}

/* Of those who hand in whole seconds: time does not go on within one. */
void seen_second(struct world *w)
{
	int64_t ns = w->now_ns / NS * NS;

	w->model.seen_ns = ns > w->model.seen_ns ? ns : w->model.seen_ns;
}

int any_living(struct world *w)
{
	int found = NOBODY, n = 0;

	for (int i = 0; i < NAMES; i++)
		if (w->model.places[i].lives && ROLL((uint64_t)++n) == 0)
			found = i;
	return found;
}

/* A call in one of the states of the mask, by chance: ends come in any order. */
struct call *any_call(struct world *w, unsigned mask)
{
	struct model *m = &w->model;
	struct call *found = NULL;
	int n = 0;

	for (size_t i = m->first_open; i < m->ncalls; i++)
		if ((mask >> m->calls[i].state & 1) && ROLL((uint64_t)++n) == 0)
			found = &m->calls[i];
	return found;
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
