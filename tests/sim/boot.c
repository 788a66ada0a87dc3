// SPDX-License-Identifier: Apache-2.0
/*
 * boot.c: deaths and starts of the simulated daemon: what the model may expect afterwards, and the start itself, in the order that
 * budget.h and replay.h ask for, by the real code.
 */
#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spend/ledger/db.h"
#include "spend/replay.h"
#include "world.h"

#define DOUBT_NS (48 * 3600 * NS)
#define ROLL(n) dice_roll(&w->dice, n)
#define LUCK(percent) dice_luck(&w->dice, percent)

/* The daemon's ledger makes its file itself, empty, before SQLite opens it: this one stays so. What SQLite writes is on the simulated disk. */
static char path[64];

/* ---- the ledger's calls, as the daemon answers them, but later */

static void row_is_durable(void *ctx, uint32_t slot)
{
	struct world *w = ctx;
	struct model *m = &w->model;

	for (size_t i = m->first_open; i < m->ncalls; i++) {
		struct call *c = &m->calls[i];

		if ((c->state != CALL_CHARGED && c->state != CALL_GIVEN_UP) || c->slot != slot)
			continue;
		c->state = c->state == CALL_CHARGED ? CALL_ROWED : CALL_FORGOTTEN;
		w->durable[w->ndurable++] = slot;
		return;
	}
	broken("the ledger says that slot %u is durable; it is neither charged nor given up", slot);
}

static void health(void *ctx, bool healthy, const char *why)
{
	struct world *w = ctx;

	(void)why;
	budget_close_holds(w->budget, !healthy);
	w->model.holds_closed = !healthy;
}

void slot_settled(struct world *w, size_t which)
{
	uint32_t slot = w->durable[which];

	say("slot %u settled", slot);
	w->durable[which] = w->durable[--w->ndurable];
	budget_settled(w->budget, slot);
	for (size_t i = w->model.first_open; i < w->model.ncalls; i++) {
		struct call *c = &w->model.calls[i];

		if (c->slot == slot && (c->state == CALL_ROWED || c->state == CALL_FORGOTTEN))
			c->state = c->state == CALL_ROWED ? CALL_OVER : CALL_GONE;
	}
	w->settled++;
}

void flush(struct world *w)
{
	for (int i = 0; i < SIMDISK_FAULT_COUNT; i++)
		if (i != SIMDISK_DEATH)
			simdisk_fault(w->disk, (enum simdisk_fault)i, 0, 0);
	for (int tries = 0; tries < 8; tries++) {
		/* Somebody writes something: a ledger that failed finds out that it works again. */
		if (ledger_change(w->ledger, "sim", "flush", w->now_ns) == 0 && ledger_queued(w->ledger) == 0 && ledger_is_healthy(w->ledger)) {
			w->flaky = false;
			return;
		}
		if (simdisk_is_dead(w->disk))
			return;
	}
	broken("the disk is well, and the ledger does not write: %zu queued, %s", ledger_queued(w->ledger),
	       ledger_is_healthy(w->ledger) ? "healthy" : "not healthy");
}

/* ---- rows, read past all of our own code */

struct row {
	uint64_t id;
	char account[48], end[24];
	nanousd cost;
	int64_t started_ns;
};

static int each_row(void (*fn)(struct world *w, const struct row *), struct world *w)
{
	sqlite3 *sql = NULL;
	sqlite3_stmt *st = NULL;
	int n = 0;

	if (sqlite3_open_v2(path, &sql, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(sql, "SELECT call_id, account, cost_nanousd, started_ns, end FROM calls ORDER BY call_id", -1, &st, NULL) !=
		    SQLITE_OK)
	{
		if (!simdisk_is_dead(w->disk))
			broken("the ledger cannot be read: %s", sqlite3_errmsg(sql));
		(void)sqlite3_close(sql);
		return 0;
	}
	while (sqlite3_step(st) == SQLITE_ROW) {
		struct row r = { .id = (uint64_t)sqlite3_column_int64(st, 0),
				 .cost = sqlite3_column_int64(st, 2),
				 .started_ns = sqlite3_column_int64(st, 3) };

		(void)snprintf(r.account, sizeof(r.account), "%s", (const char *)sqlite3_column_text(st, 1));
		(void)snprintf(r.end, sizeof(r.end), "%s", (const char *)sqlite3_column_text(st, 4));
		fn(w, &r);
		n++;
	}
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(sql);
	return n;
}

static void check_row(struct world *w, const struct row *r)
{
	struct call *c = model_find_call(&w->model, r->id);

	if (!c)
		broken("the ledger has call %" PRIu64 " of %s, which never was", r->id, r->account);
	if (!call_is_spent(c) || c->cost != r->cost || c->started_ns != r->started_ns || strcmp(r->account, name_of(c->account)) != 0)
		broken("the ledger's row of call %" PRIu64 ": %s, cost %" PRId64 ", began %" PRId64 "; should be %s, %" PRId64 ", %" PRId64
		       " (state %d)", r->id, r->account, r->cost, r->started_ns, name_of(c->account), c->cost, c->started_ns, c->state);
}

void reconcile(struct world *w)
{
	int n = each_row(check_row, w), least = 0, most = 0;

	if (simdisk_is_dead(w->disk))
		return;
	for (size_t i = 0; i < w->model.ncalls; i++) {
		enum call_state s = w->model.calls[i].state;

		least += s == CALL_ROWED || s == CALL_OVER;
		most += s == CALL_ROWED || s == CALL_OVER || s == CALL_CHARGED;
	}
	if (n < least || n > most) /* a row that was acknowledged is there */
		broken("the ledger has %d rows, should be %d to %d", n, least, most);
}

/* ---- what a death means for the model */

static void torn(struct world *w, struct call *c)
{
	const struct gate_hold *h = &w->holds[c->slot];

	c->is_torn = false;
	if (c->state == CALL_GONE || c->state == CALL_GIVEN_UP || h->call_id != c->id)
		return;
	/* Where it stopped shows in the slot; what stands there must be the step before or the step after, whole. */
	if (c->amount != c->old_amount && h->amount_nanousd == c->old_amount)
		c->amount = c->old_amount;
	if (c->state == CALL_SENT && c->old_state == CALL_HELD && h->state == GATE_HOLD_HELD)
		c->state = CALL_HELD;
	if (c->state == CALL_CHARGED && h->state != GATE_HOLD_CHARGED) {
		c->state = h->state == GATE_HOLD_HELD ? CALL_HELD : CALL_SENT;
		if (c->state != c->old_state)
			broken("a charge of slot %u that was cut short left state %u", c->slot, h->state);
	}
}

static void calls_without_daemon(struct world *w)
{
	struct model *m = &w->model;

	for (size_t i = 0; i < m->ncalls; i++) {
		struct call *c = &m->calls[i];

		if (c->is_torn)
			torn(w, c);
		if (c->state == CALL_HELD || c->state == CALL_GIVEN_UP || c->state == CALL_FORGOTTEN) { /* nothing went upstream */
			c->state = CALL_GONE;
		} else if (c->state == CALL_SENT) { /* invariant 9: towards over */
			c->state = CALL_CHARGED;
			c->cost = c->amount;
		} else if (c->state == CALL_ROWED) {
			c->state = CALL_OVER;
		}
	}
}

static void calls_without_machine(struct world *w)
{
	struct model *m = &w->model;

	for (size_t i = 0; i < m->ncalls; i++) {
		struct call *c = &m->calls[i];

		if (c->state == CALL_ROWED)
			c->state = CALL_OVER;
		if (c->state == CALL_FORGOTTEN)
			c->state = CALL_GONE;
		c->may_be_lost = c->state < CALL_OVER;
		c->is_torn = false;
	}
}

static void mark_known(struct world *w, const struct row *r)
{
	struct call *c = model_find_call(&w->model, r->id);

	if (!c)
		broken("the ledger has call %" PRIu64 " of %s, which never was", r->id, r->account);
	bool is_ahead = strcmp(r->end, "power-cut") == 0 && c->state != CALL_OVER;

	/* Charged by what was written ahead: at least an eighth below what was told last, never above what was held. */
	if (is_ahead && (r->cost > c->amount || !c->told || (c->may_be_lost && r->cost + r->cost / 8 + 1 < c->ahead)))
		broken("call %" PRIu64 " held %" PRId64 ", told %" PRId64 ", ahead %" PRId64 "; the ledger charged %" PRId64, c->id, c->amount, c->told,
		       c->ahead, r->cost);
	if (is_ahead && !c->may_be_lost)
		broken("call %" PRIu64 " was charged for a power cut that was none", c->id);
	if (!is_ahead && c->may_be_lost && (c->state != CALL_CHARGED || r->cost != c->cost))
		broken("call %" PRIu64 " cost %" PRId64 " (state %d), the ledger says %" PRId64, c->id, c->cost, (int)c->state, r->cost);
	/* Also one that was given up, and nobody could say so any more: towards over. */
	if (is_ahead)
		c->cost = r->cost;
	if (is_ahead || c->may_be_lost || c->state == CALL_CHARGED)
		c->state = CALL_OVER; /* its row got in, its callback did not come */
	c->may_be_lost = false;
	check_row(w, r);
}

/* Calls that have neither row nor slot are known to nobody after a death: their ids may come again. */
static void drop_lost(struct world *w)
{
	struct model *m = &w->model;
	size_t n = 0;

	for (size_t i = 0; i < m->ncalls; i++)
		if (m->calls[i].may_be_lost && m->calls[i].ahead && m->calls[i].state != CALL_GIVEN_UP)
			broken("call %" PRIu64 " was written ahead at %" PRId64 ", and is lost", m->calls[i].id, m->calls[i].ahead);
	for (size_t i = 0; i < m->ncalls; i++)
		if (!m->calls[i].may_be_lost && m->calls[i].state != CALL_GONE)
			m->calls[n++] = m->calls[i];
	m->ncalls = n;
	m->first_open = 0;
}

/* ---- a start */

struct loaded {
	struct account_spec specs[NAMES];
	bool found[NAMES];
};

static void load(void *ctx, const struct account_spec *s)
{
	struct loaded *l = ctx;
	int name = name_find(s->name);

	if (name == NOBODY)
		broken("the ledger knows an account \"%s\"", s->name);
	l->specs[name] = *s;
	l->found[name] = true;
}

static bool spec_is(const struct account_spec *s, const struct place *p)
{
	return strcmp(s->parent, name_of(p->parent)) == 0 && memcmp(s->limits, p->spec.limits, sizeof(s->limits)) == 0 &&
	       s->paused == p->spec.paused && s->floor == p->spec.floor && strcmp(s->zone, p->spec.zone) == 0 &&
	       s->reset_minute == p->spec.reset_minute && memcmp(s->raise, p->spec.raise, sizeof(s->raise)) == 0 &&
	       s->raise_until_s == p->spec.raise_until_s && s->rules.per_call == p->spec.rules.per_call &&
	       s->rules.calls_in_flight == p->spec.rules.calls_in_flight && s->rules.nmodel_limits == p->spec.rules.nmodel_limits;
}

/* What the ledger remembers is what was confirmed; of a change that was not, either side of it. */
static void compare_accounts(struct world *w, const struct loaded *l)
{
	struct model *m = &w->model;

	for (int i = 0; i < NAMES; i++) {
		struct place *p = &m->places[i];
		bool is_now = p->lives == l->found[i] && (!p->lives || spec_is(&l->specs[i], p));

		for (int side = 0; !is_now && i == w->doubtful && side < 2; side++) {
			const struct place *it = side ? &w->doubtful_new : &w->doubtful_was;
			uint32_t index = p->index;

			if (it->lives != l->found[i] || (it->lives && !spec_is(&l->specs[i], it)))
				continue;
			*p = *it;
			p->index = index;
			p->windows_known = false;
			p->is_stretched = true;
			is_now = true;
		}
		if (!is_now)
			broken("%s: the ledger remembers it as %s below \"%s\", day %" PRId64 ", paused %d", name_of(i),
			       l->found[i] ? "living" : "gone", l->specs[i].parent, (int64_t)l->specs[i].limits[WINDOW_DAY], l->specs[i].paused);
	}
	w->doubtful = NOBODY;
}

/* An account that was never confirmed is gone, its calls are not: they are charged to the first above it that is still there. */
static void rehome(struct model *m, const int parents[NAMES])
{
	for (size_t i = 0; i < m->ncalls; i++) {
		struct call *c = &m->calls[i];

		for (int at = c->account; c->state == CALL_CHARGED && at != NOBODY && !m->places[c->account].lives; at = parents[at])
			if (m->places[at].lives)
				c->account = at;
	}
}

static int make_accounts(struct world *w, const struct loaded *l, struct err *e)
{
	bool made[NAMES] = { false };
	int r = 0, n = -1;

	while (n != 0 && r == 0) {
		n = 0;
		for (int i = 0; r == 0 && i < NAMES; i++) {
			int parent = name_find(l->specs[i].parent);

			if (!l->found[i] || made[i] || (parent != NOBODY && !made[parent]))
				continue;
			r = replay_account(w->budget, w->ledger, &l->specs[i], w->now_ns / NS, &w->model.places[i].index, e);
			made[i] = true;
			n++;
		}
	}
	return r;
}

static int try_boot(struct world *w, struct loaded *l, struct err *e)
{
	static const struct ledger_calls calls = { .durable = row_is_durable, .health = health };
	struct replay_counts counts;
	int r = budget_new(w->rows, ROWS, w->holds, SLOTS, &w->budget);

	if (r == 0)
		r = ledger_open_stepped(path, &calls, w, &w->ledger, e);
	if (r == 0)
		r = replay_begin(w->budget, w->ledger, w->now_ns, e);
	memset(l, 0, sizeof(*l));
	if (r == 0)
		r = ledger_each_account(w->ledger, load, l);
	if (r == 0)
		r = make_accounts(w, l, e);
	if (r == 0)
		r = replay_finish(w->budget, w->ledger, w->now_ns / NS, &counts, e);
	if (r < 0 || simdisk_is_dead(w->disk))
		return r < 0 ? r : -EIO;
	budget_open(w->budget);
	return 0;
}

static void shut(struct world *w)
{
	(void)ledger_close(w->ledger);
	budget_free(w->budget);
	w->ledger = NULL;
	w->budget = NULL;
	w->ndurable = 0;
	w->model.holds_closed = w->model.in_doubt = false;
	w->flaky = false;
}

static void copy_arrays(void *ctx)
{
	struct world *w = ctx;

	memcpy(w->rows_at_death, w->rows, ROWS * sizeof(*w->rows));
	memcpy(w->holds_at_death, w->holds, SLOTS * sizeof(*w->holds));
}

static void take_arrays_of_death(struct world *w)
{
	memcpy(w->rows, w->rows_at_death, ROWS * sizeof(*w->rows));
	memcpy(w->holds, w->holds_at_death, SLOTS * sizeof(*w->holds));
}

static int64_t newest_row; /* of each_row */
static void note_newest(struct world *w, const struct row *r)
{
	(void)w;
	newest_row = r->started_ns > newest_row ? r->started_ns : newest_row;
}

/* Time goes on above all that was ever seen, unless that was more than two days ahead. */
static int64_t seen_by_start(struct world *w)
{
	newest_row = 0;
	(void)each_row(note_newest, w);
	int64_t seen = newest_row <= w->now_ns + DOUBT_NS && newest_row > w->now_ns ? newest_row : w->now_ns, latest = seen;

	for (int s = 0; s < SLOTS; s++) {
		const struct gate_hold *h = &w->holds_before[s];

		if (h->state != GATE_HOLD_FREE && h->started_realtime_ns > latest && h->started_realtime_ns <= seen + DOUBT_NS)
			latest = h->started_realtime_ns;
	}
	return latest;
}

void boot(struct world *w)
{
	struct loaded l;
	struct err e = { "" };
	int r;

	/*
	 * A clock that is more than two days behind what was seen is believed by a start: windows then follow it, and rows from "the future"
	 * count only from the next start after they have come to be. Not simulated: the sums would differ meanwhile, by design.
	 */
	if (w->now_ns < w->model.seen_ns - DOUBT_NS + 60 * NS)
		w->now_ns = w->model.seen_ns - DOUBT_NS + 60 * NS;
	/* Sometimes the start itself meets a bad disk, or dies. */
	for (int tries = 0;; tries++) {
		bool is_bad = tries < 2 && LUCK(w->temper.faults ? 15 : 0);

		if (is_bad) {
			simdisk_fault(w->disk, (enum simdisk_fault)ROLL(SIMDISK_FAULT_COUNT), 1 + ROLL(200), 1 + ROLL(3));
			w->flaky = true;
		}
		memcpy(w->holds_before, w->holds, SLOTS * sizeof(*w->holds));
		r = try_boot(w, &l, &e);
		w->starts++;
		if (r == 0)
			break;
		if (!is_bad)
			broken("the start failed: %d %s", r, e.text);
		say("the start failed: %.80s", e.text);
		if (simdisk_is_dead(w->disk))
			take_arrays_of_death(w);
		simdisk_process_dies(w->disk);
		shut(w);
	}
	int parents[NAMES];

	for (int i = 0; i < NAMES; i++)
		parents[i] = w->model.places[i].parent;
	compare_accounts(w, &l);
	rehome(&w->model, parents);
	for (int i = 0; i < SIMDISK_FAULT_COUNT; i++)
		simdisk_fault(w->disk, (enum simdisk_fault)i, 0, 0);

	int64_t seen_ns = seen_by_start(w);

	for (int i = 0; i < NAMES && seen_ns < w->model.seen_ns; i++)
		w->model.places[i].windows_known = false; /* the clock went back, or the newest calls are lost */
	w->model.seen_ns = seen_ns;
}

/* A start after the machine was on: every call is accounted for. */
static void boot_warm(struct world *w)
{
	calls_without_daemon(w);
	boot(w);
	(void)each_row(mark_known, w);
	drop_lost(w);
	model_look(&w->model, w->rows, w->holds, LOOK_START);
}

void crash(struct world *w)
{
	w->crashes++;
	simdisk_process_dies(w->disk);
	shut(w);
	boot_warm(w);
}

void death_strikes(struct world *w)
{
	w->crashes++;
	take_arrays_of_death(w);
	simdisk_process_dies(w->disk);
	shut(w);
	boot_warm(w);
}

void stop_and_start(struct world *w)
{
	(void)ledger_step(w->ledger);
	while (w->ndurable && !simdisk_is_dead(w->disk))
		slot_settled(w, 0);
	if (simdisk_is_dead(w->disk)) {
		death_strikes(w);
		return;
	}
	shut(w);
	if (simdisk_is_dead(w->disk))
		take_arrays_of_death(w);
	simdisk_process_dies(w->disk);
	boot_warm(w);
}

void power_cut(struct world *w)
{
	w->power_cuts++;
	simdisk_power_cut(w->disk);
	shut(w);
	memset(w->rows, 0, ROWS * sizeof(*w->rows));
	memset(w->holds, 0, SLOTS * sizeof(*w->holds));
	calls_without_machine(w);
	for (int i = 0; i < NAMES; i++)
		w->model.places[i].windows_known &= !w->model.places[i].is_stretched;
	boot(w);
	flush(w);
	(void)each_row(mark_known, w);
	drop_lost(w);
	model_look(&w->model, w->rows, w->holds, LOOK_START);
	reconcile(w);
}

/* ---- the world's own begin and end */

static void *array(size_t n)
{
	void *p = calloc(1, n);

	if (!p)
		abort();
	return p;
}

void world_init(struct world *w, uint64_t seed)
{
	/* 2026-01-01 and some: near month, year and clock changes too. */
	static const int64_t starts_s[] = { 1767225600, 1774745000, 1792890000, 1772323000, 1798761000, 1830297000 };

	memset(w, 0, sizeof(*w));
	w->dice.state = seed;
	model_init(&w->model);
	w->rows = array(ROWS * sizeof(*w->rows));
	w->holds = array(SLOTS * sizeof(*w->holds));
	w->rows_at_death = array(ROWS * sizeof(*w->rows));
	w->holds_at_death = array(SLOTS * sizeof(*w->holds));
	w->holds_before = array(SLOTS * sizeof(*w->holds));
	w->doubtful = NOBODY;
	w->now_ns = (starts_s[ROLL(6)] + (int64_t)ROLL(200000)) * NS + (int64_t)ROLL(NS);
	w->temper = (struct temper){
		.calls = 40, .tree = (unsigned)ROLL(40), .clock = (unsigned)ROLL(40), .crashes = LUCK(40) ? 0 : (unsigned)ROLL(6),
		.faults = LUCK(50) ? 0 : (unsigned)ROLL(6), .syncs = 1 + (unsigned)ROLL(LUCK(50) ? 10 : 60), .small_limits = LUCK(50),
		.zones = LUCK(50), .raises = LUCK(50), .rules = LUCK(40),
	};
	(void)snprintf(path, sizeof(path), "/tmp/purse-sim-%d/ledger.db", getpid());
	w->disk = simdisk_new(seed ^ UINT64_C(0x5eed));
	simdisk_clock(w->disk, w->now_ns);
	simdisk_on_death(w->disk, copy_arrays, w);
	boot(w);
	model_look(&w->model, w->rows, w->holds, LOOK_START);
}

void world_done(struct world *w)
{
	simdisk_process_dies(w->disk);
	shut(w);
	simdisk_free(w->disk);
	model_done(&w->model);
	free(w->rows);
	free(w->holds);
	free(w->rows_at_death);
	free(w->holds_at_death);
	free(w->holds_before);
}
