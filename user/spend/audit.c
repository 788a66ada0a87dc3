// SPDX-License-Identifier: Apache-2.0
/* audit.c: see audit.h. Computes from the ledger and the slots what every word should be, then compares. Changes nothing. */
#include "spend/audit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/str.h"
#include "spend/places.h"
#include "spend/window.h"

#define NS_PER_S INT64_C(1000000000)

struct expected {
	nanousd spent[WINDOW_COUNT], held[WINDOW_COUNT];
};

struct audit {
	const struct gate_account *accounts;
	size_t naccounts;
	const struct gate_hold *holds;
	size_t nholds;
	struct ledger_view *view;
	struct places *places;
	struct map *by_name;       /* -> struct gate_account */
	struct expected *expected; /* per account, with all below */
	struct audit_report report;
	struct err *e;
	/* Whose hours are being added: they come account by account. */
	char name[GATE_NAME_MAX];
	uint32_t counts_at;
};

static bool is_used(const struct audit *a, uint64_t i)
{
	return i > 0 && i < a->naccounts && (a->accounts[i].flags & GATE_ACCOUNT_USED);
}

/* ---- the tree as the kernel sees it */

static int check_tree(struct audit *a, uint32_t i)
{
	const struct gate_account *row = &a->accounts[i];
	uint32_t at = i;

	if (memchr(row->name, '\0', sizeof(row->name)) == NULL || row->name[0] == '\0')
		return err_set(a->e, EUCLEAN, "account number %u has no proper name", i);
	for (int depth = 0; at; depth++) {
		if (depth == GATE_TREE_DEPTH || !is_used(a, at))
			return err_set(a->e, EUCLEAN, "account \"%s\": the accounts above it loop or do not exist", row->name);
		at = a->accounts[at].parent;
	}
	for (int k = 0; k < WINDOW_COUNT; k++)
		if (row->windows[k].start_s == BUDGET_CHANGING)
			return err_set(a->e, EAGAIN, "account \"%s\", %s: was being changed when the daemon stopped; start pursed, it makes all "
				       "balances anew from the ledger, then audit again", row->name, window_name((enum window_kind)k));
	return 0;
}

static int read_tree(struct audit *a)
{
	a->by_name = map_new();
	a->expected = calloc(a->naccounts, sizeof(*a->expected));
	if (!a->by_name || !a->expected)
		return err_set(a->e, ENOMEM, "audit: out of memory");
	for (uint32_t i = 1; i < a->naccounts; i++) {
		void *other = NULL;

		if (!is_used(a, i))
			continue;
		int r = check_tree(a, i);
		if (r < 0)
			return r;
		if (map_put(a->by_name, str_of(a->accounts[i].name), (void *)(uintptr_t)&a->accounts[i], &other) < 0)
			return err_set(a->e, ENOMEM, "audit: out of memory");
		if (other)
			return err_set(a->e, EUCLEAN, "account \"%s\" stands twice in the kernel's table", a->accounts[i].name);
		a->report.accounts++;
	}
	return 0;
}

static uint32_t lives(void *ctx, const char *name)
{
	const struct audit *a = ctx;
	const struct gate_account *row = map_find(a->by_name, str_of(name));

	return row ? (uint32_t)(row - a->accounts) : 0;
}

/* ---- what should be */

static bool window_has(const struct gate_window *w, int64_t at_s)
{
	return at_s >= w->start_s && (w->end_s == 0 || at_s < w->end_s);
}

/*
 * Up the tree, each account by its own window: one that nobody called for a while still stands in an hour that is over, while those above
 * it have moved on.
 */
static void add_spent(struct audit *a, uint32_t at, int64_t at_s, nanousd cost)
{
	a->report.spent += cost;
	if (at == 0)
		a->report.unplaced += cost;
	for (uint32_t i = at; i; i = a->accounts[i].parent)
		for (int k = 0; k < WINDOW_COUNT; k++)
			if (window_has(&a->accounts[i].windows[k], at_s))
				a->expected[i].spent[k] += cost;
}

static void add_held(struct audit *a, uint32_t at, int64_t at_s, nanousd amount)
{
	a->report.holds++;
	for (uint32_t i = at; i; i = a->accounts[i].parent)
		for (int k = 0; k < WINDOW_COUNT; k++)
			if (window_has(&a->accounts[i].windows[k], at_s))
				a->expected[i].held[k] += amount;
}

static void add_hour(void *ctx, const char *account, int64_t hour_s, nanousd cost, uint64_t calls)
{
	struct audit *a = ctx;

	(void)calls;
	if (strcmp(account, a->name) != 0 || account[0] == '\0') {
		(void)str_copy(a->name, sizeof(a->name), str_of(account));
		a->counts_at = places_living(a->places, account, lives, a, NULL, NULL);
	}
	add_spent(a, a->counts_at, hour_s, cost);
}

static int add_slots(struct audit *a)
{
	for (size_t s = 0; s < a->nholds; s++) {
		const struct gate_hold *h = &a->holds[s];
		uint32_t i = is_used(a, h->account) ? h->account : 0;

		if (h->state == GATE_HOLD_CHARGED) {
			int known = ledger_view_has_call(a->view, h->call_id);
			if (known < 0)
				return err_set(a->e, -known, "audit: the ledger cannot be read: %s", strerror(-known));
			a->report.pending += !known;
			if (!known)
				add_spent(a, i, h->started_realtime_ns / NS_PER_S, h->cost_nanousd);
		} else if (h->state != GATE_HOLD_FREE) {
			add_held(a, i, h->started_realtime_ns / NS_PER_S, h->amount_nanousd);
		}
	}
	return 0;
}

/* ---- what is */

static int compare_window(struct audit *a, uint32_t i, int k)
{
	const struct gate_window *w = &a->accounts[i].windows[k];
	nanousd spent = w->limit_nanousd - w->left_nanousd;
	const char *name = a->accounts[i].name, *window = window_name((enum window_kind)k);

	if (spent != a->expected[i].spent[k])
		return err_set(a->e, EUCLEAN, "account \"%s\", %s: the kernel says %lld nano-dollars are spent, the ledger says %lld", name,
			       window, (long long)spent, (long long)a->expected[i].spent[k]);
	if (w->held_nanousd != a->expected[i].held[k])
		return err_set(a->e, EUCLEAN, "account \"%s\", %s: the kernel says %lld nano-dollars are held, the calls in flight add up to "
			       "%lld", name, window, (long long)w->held_nanousd, (long long)a->expected[i].held[k]);
	if (w->held_nanousd > w->left_nanousd)
		a->report.over_limit++;
	a->report.windows++;
	return 0;
}

static int compare(struct audit *a)
{
	int r = 0;

	for (uint32_t i = 1; r == 0 && i < a->naccounts; i++)
		for (int k = 0; r == 0 && is_used(a, i) && k < WINDOW_COUNT; k++)
			r = compare_window(a, i, k);
	return r;
}

/* Only for arrays without a daemon: a live budget knows which excess an operator or a provider caused. */
static int check_p1(struct audit *a)
{
	for (uint32_t i = 1; i < a->naccounts; i++)
		for (int k = 0; is_used(a, i) && k < WINDOW_COUNT; k++) {
			const struct gate_window *w = &a->accounts[i].windows[k];

			/* Spent alone may exceed a limit that was cut; what is held above it was never allowed, or the cut was just now. */
			if (w->held_nanousd > 0 && w->held_nanousd > w->left_nanousd)
				return err_set(a->e, EUCLEAN, "account \"%s\", %s: held %lld is more than the %lld nano-dollars left; if its limit was "
					       "not cut while calls were in flight (`purse ledger --changes`), this is a breach of the cap",
					       a->accounts[i].name, window_name((enum window_kind)k), (long long)w->held_nanousd,
					       (long long)w->left_nanousd);
		}
	return 0;
}

static int audit(struct audit *a)
{
	int r = read_tree(a);

	if (r < 0)
		return r;
	r = places_read(a->view, &a->places);
	if (r == 0)
		r = ledger_view_hours(a->view, add_hour, a);
	if (r < 0)
		return err_set(a->e, -r, "audit: the ledger cannot be read: %s", strerror(-r));
	r = add_slots(a);
	if (r < 0)
		return r;
	return compare(a);
}

struct moment {
	struct ledger_view *view;
	int error;
};

static void fix_moment(void *ctx)
{
	struct moment *m = ctx;

	m->error = ledger_view_begin(m->view);
}

/* Both sides at one instant. */
static int take_live(struct audit *a, struct budget *b, struct budget_snapshot *ret)
{
	struct moment m = { .view = a->view };
	int r = budget_snapshot(b, fix_moment, &m, ret);

	if (r < 0)
		return err_set(a->e, -r, "audit: out of memory");
	a->accounts = ret->accounts;
	a->naccounts = ret->naccounts;
	a->holds = ret->holds;
	a->nholds = ret->nholds;
	if (m.error < 0)
		return err_set(a->e, -m.error, "audit: the ledger cannot be read: %s", strerror(-m.error));
	if (!ret->open)
		return err_set(a->e, EAGAIN, "audit: the daemon is still starting; ask again in a moment");
	return 0;
}

static int take_offline(struct audit *a, const struct audit_input *in)
{
	int r = ledger_view_begin(a->view);

	if (r < 0)
		return err_set(a->e, -r, "audit: the ledger cannot be read: %s", strerror(-r));
	a->accounts = in->accounts;
	a->naccounts = in->naccounts;
	a->holds = in->holds;
	a->nholds = in->nholds;
	return 0;
}

int audit_run(const struct audit_input *in, struct audit_report *ret, struct err *e)
{
	struct audit a = { .e = e };
	struct budget_snapshot snapshot = { 0 };
	int r = ledger_check(in->ledger, e);

	if (r == 0)
		r = ledger_view_open(in->ledger, &a.view, e);
	if (r == 0)
		r = in->budget ? take_live(&a, in->budget, &snapshot) : take_offline(&a, in);
	if (r == 0)
		r = audit(&a);
	if (r == 0)
		r = in->budget ? budget_check(in->budget, e) : check_p1(&a);
	if (r == 0)
		*ret = a.report;
	ledger_view_close(a.view);
	places_free(a.places);
	map_free(a.by_name, NULL);
	free(a.expected);
	free(snapshot.accounts);
	free(snapshot.holds);
	return r;
}
