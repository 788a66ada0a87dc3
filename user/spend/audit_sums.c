// SPDX-License-Identifier: Apache-2.0
/*
 * audit_sums.c: from the ledger's rows and the slots to what should stand in every window. Hours count as wholes; an hour that some window
 * cuts is counted call by call.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "spend/audit_own.h"
#include "spend/budget/window.h"

#define HOUR_S INT64_C(3600)
#define BYTES_OF(p) ((struct str){ (const char *)(p), sizeof(*(p)) })

/* What is counted: one piece of spending. */
struct spending {
	uint32_t at; /* the account where it counts; 0 = nowhere */
	int64_t at_s;
	nanousd amount;
	const char *provider, *model;
	bool is_held;
};

static bool has(int64_t start_s, int64_t end_s, int64_t at_s)
{
	return at_s >= start_s && (end_s == 0 || at_s < end_s);
}

/*
 * Up the tree, each account by its own window: one that nobody called for a while still stands in an hour that is over, while those above
 * it have moved on.
 */
static void count(struct audit *a, const struct spending *s)
{
	for (uint32_t i = s->at; i; i = a->accounts[i].parent)
		for (int k = 0; k < WINDOW_COUNT; k++) {
			const struct gate_window *w = &a->accounts[i].windows[k];

			if (has(w->start_s, w->end_s, s->at_s))
				*(s->is_held ? &a->expected[i].held[k] : &a->expected[i].spent[k]) += s->amount;
		}
}

static bool is_below(const struct audit *a, uint32_t at, uint32_t top)
{
	while (at && at != top)
		at = a->accounts[at].parent;
	return at == top;
}

static void count_models(struct audit *a, const struct spending *s)
{
	for (size_t m = 0; m < a->nmodels; m++) {
		struct audit_models *one = &a->models[m];

		if (!s->at || !is_below(a, s->at, one->account) || !rules_glob(one->view.models, s->provider, s->model))
			continue;
		for (int k = 0; k < WINDOW_COUNT; k++)
			if (has(one->view.windows[k].start_s, one->view.windows[k].end_s, s->at_s))
				*(s->is_held ? &one->expected.held[k] : &one->expected.spent[k]) += s->amount;
	}
}

static void add(struct audit *a, const struct spending *s)
{
	if (s->is_held) {
		a->report.holds++;
	} else {
		a->report.spent += s->amount;
		a->report.unplaced += s->at ? 0 : s->amount;
	}
	count(a, s);
	count_models(a, s);
}

/* ---- the ledger */

static uint32_t lives(void *ctx, const char *name)
{
	const struct audit *a = ctx;
	const struct gate_account *row = map_find(a->by_name, str_of(name));

	return row ? (uint32_t)(row - a->accounts) : 0;
}

static uint32_t place_of(struct audit *a, const char *account)
{
	if (strcmp(account, a->name) != 0 || account[0] == '\0') {
		(void)str_copy(a->name, sizeof(a->name), str_of(account));
		a->counts_at = places_living(a->places, account, lives, a, NULL, NULL);
	}
	return a->counts_at;
}

static void add_hour(void *ctx, const struct ledger_hour *h)
{
	struct audit *a = ctx;
	const struct spending s = { .at = place_of(a, h->account), .at_s = h->at_s, .amount = h->cost, .provider = h->provider, .model = h->model };

	if (h->length_s == HOUR_S && map_find(a->cut_hours, BYTES_OF(&h->at_s)))
		return;
	add(a, &s);
}

static void add_call(void *ctx, const struct ledger_call *c)
{
	struct audit *a = ctx;
	const struct spending s = { .at = place_of(a, c->account), .at_s = c->started_ns / NS_PER_S, .amount = c->cost,
				    .provider = c->provider, .model = c->model };

	add(a, &s);
}

static int note_cut(struct audit *a, int64_t boundary_s)
{
	int64_t hour_s = boundary_s - boundary_s % HOUR_S;

	if (boundary_s <= 0 || hour_s == boundary_s)
		return 0;
	return map_put(a->cut_hours, BYTES_OF(&hour_s), a, NULL);
}

static int find_cuts(struct audit *a)
{
	int r = 0;

	a->cut_hours = map_new();
	if (!a->cut_hours)
		return -ENOMEM;
	for (uint32_t i = 1; i < a->naccounts; i++)
		for (int k = 0; r == 0 && audit_uses(a, i) && k < WINDOW_COUNT; k++) {
			r = note_cut(a, a->accounts[i].windows[k].start_s);
			if (r == 0)
				r = note_cut(a, a->accounts[i].windows[k].end_s);
		}
	return r;
}

struct cuts {
	struct audit *a;
	int error;
};

static bool add_cut_hour(void *ctx, struct str key, void *value)
{
	struct cuts *c = ctx;
	int64_t hour_s;

	(void)value;
	memcpy(&hour_s, key.p, sizeof(hour_s));
	c->error = ledger_view_calls(c->a->view, NULL, hour_s, hour_s + HOUR_S, add_call, c->a);
	return c->error == 0;
}

static int add_ledger(struct audit *a)
{
	struct cuts cuts = { .a = a };
	int r = find_cuts(a);

	if (r == 0)
		r = places_read(a->view, &a->places);
	if (r == 0)
		r = ledger_view_hours(a->view, NULL, add_hour, a);
	if (r == 0)
		map_each(a->cut_hours, add_cut_hour, &cuts);
	map_free(a->cut_hours, NULL);
	a->cut_hours = NULL;
	return r < 0 ? r : cuts.error;
}

/* ---- the slots */

static int add_slot(struct audit *a, const struct gate_hold *h)
{
	struct spending s = { .at = audit_uses(a, h->account) ? h->account : 0, .at_s = h->started_realtime_ns / NS_PER_S,
			      .amount = h->amount_nanousd, .provider = h->provider_name, .model = h->model, .is_held = true };
	uint64_t id = h->call_id;

	if (map_put(a->open, BYTES_OF(&id), (void *)(uintptr_t)h, NULL) < 0)
		return -ENOMEM;
	if (h->state == GATE_HOLD_HELD && !h->amount_nanousd)
		return 0; /* given up; it stands there until the ledger has forgotten it */
	if (h->state == GATE_HOLD_CHARGED) {
		int known = ledger_view_has_call(a->view, h->call_id);

		if (known < 0)
			return known;
		a->report.pending += !known;
		s.is_held = false;
		s.amount = h->cost_nanousd;
		if (known)
			return 0;
	}
	add(a, &s);
	return 0;
}

static int add_slots(struct audit *a)
{
	int r = 0;

	a->open = map_new();
	if (!a->open)
		return -ENOMEM;
	for (size_t s = 0; r == 0 && s < a->nholds; s++)
		if (a->holds[s].state != GATE_HOLD_FREE)
			r = add_slot(a, &a->holds[s]);
	return r;
}

/* Holds that are written ahead: each belongs to a slot. Without a daemon the next start sees to the others. */
static void look_at_hold(void *ctx, const struct ledger_hold *h)
{
	struct audit *a = ctx;

	a->report.ahead++;
	if (map_find(a->open, BYTES_OF(&h->call_id)))
		return;
	if (a->report.open_stale++ == 0)
		a->report.first_stale = h->call_id;
	a->report.open_cost += h->amount;
}

int audit_sum(struct audit *a)
{
	int r = add_ledger(a);

	if (r == 0)
		r = add_slots(a);
	if (r == 0)
		r = ledger_view_holds(a->view, look_at_hold, a);
	return r < 0 ? err_set(a->e, -r, "audit: the ledger cannot be read: %s", strerror(-r)) : 0;
}

/* ---- limits on models */

int audit_read_models(struct audit *a)
{
	uint32_t end = (uint32_t)budget_accounts_end(a->budget);

	for (uint32_t i = 1; i < end; i++) {
		struct rules_view v;

		if (budget_rules_view(a->budget, i, 0, &v) < 0 || !v.nmodel_limits)
			continue;
		struct audit_models *more = realloc(a->models, (a->nmodels + v.nmodel_limits) * sizeof(*more));

		if (!more)
			return err_set(a->e, ENOMEM, "audit: out of memory");
		a->models = more;
		for (size_t m = 0; m < v.nmodel_limits; m++)
			a->models[a->nmodels++] = (struct audit_models){ .account = i, .view = v.model_limits[m] };
	}
	return 0;
}

static bool same_windows(const struct window_view *a, const struct window_view *b)
{
	for (int k = 0; k < WINDOW_COUNT; k++)
		if (a[k].spent != b[k].spent || a[k].held != b[k].held || a[k].start_s != b[k].start_s)
			return false;
	return true;
}

/* As it was before the instant? Then it was so at the instant, too: spending only grows, and a hold that came and went left its mark in spent. */
static bool stood_still(struct audit *a, const struct audit_models *one)
{
	struct rules_view v;

	if (budget_rules_view(a->budget, one->account, 0, &v) < 0)
		return false;
	for (size_t m = 0; m < v.nmodel_limits; m++)
		if (strcmp(v.model_limits[m].models, one->view.models) == 0)
			return same_windows(v.model_limits[m].windows, one->view.windows);
	return false;
}

int audit_compare_models(struct audit *a)
{
	for (size_t m = 0; m < a->nmodels; m++) {
		const struct audit_models *one = &a->models[m];

		if (!audit_uses(a, one->account) || !stood_still(a, one)) {
			a->report.models_moving++;
			continue;
		}
		for (int k = 0; k < WINDOW_COUNT; k++) {
			const struct window_view *w = &one->view.windows[k];

			if (w->spent == one->expected.spent[k] && w->held == one->expected.held[k])
				continue;
			a->models_differ = true;
			return err_set(a->e, EUCLEAN, "account \"%s\", models \"%s\", %s: the rules say %lld nano-dollars spent and %lld held, "
				       "the ledger and the calls in flight say %lld and %lld", a->accounts[one->account].name,
				       one->view.models, window_name((enum window_kind)k), (long long)w->spent, (long long)w->held,
				       (long long)one->expected.spent[k], (long long)one->expected.held[k]);
		}
		a->report.models++;
	}
	return 0;
}
