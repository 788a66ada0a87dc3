// SPDX-License-Identifier: Apache-2.0
/*
 * audit.c: see audit.h. Takes both sides at one instant, lets audit_sums.c compute from the ledger and the slots what every word should
 * be, then compares. Changes nothing.
 */
#include "spend/audit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "spend/audit_own.h"
#include "spend/budget/window.h"

/* ---- the tree as the kernel sees it */

static int check_tree(struct audit *a, uint32_t i)
{
	const struct gate_account *row = &a->accounts[i];
	uint32_t at = i;

	if (memchr(row->name, '\0', sizeof(row->name)) == NULL || row->name[0] == '\0')
		return err_set(a->e, EUCLEAN, "account number %u has no proper name", i);
	for (int depth = 0; at; depth++) {
		if (depth == GATE_TREE_DEPTH || !audit_uses(a, at))
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

		if (!audit_uses(a, i))
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
		for (int k = 0; r == 0 && audit_uses(a, i) && k < WINDOW_COUNT; k++)
			r = compare_window(a, i, k);
	return r;
}

/* Only for arrays without a daemon: a live budget knows which excess an operator or a provider caused. */
static int check_p1(struct audit *a)
{
	for (uint32_t i = 1; i < a->naccounts; i++)
		for (int k = 0; audit_uses(a, i) && k < WINDOW_COUNT; k++) {
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

	if (r == 0)
		r = audit_sum(a);
	if (r == 0)
		r = compare(a);
	return r == 0 ? audit_compare_models(a) : r;
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

static int open_and_take(struct audit *a, const struct audit_input *in, struct budget_snapshot *snapshot)
{
	int r = ledger_view_open(in->ledger, &a->view, a->e);

	if (r < 0)
		return r;
	return in->budget ? take_live(a, in->budget, snapshot) : take_offline(a, in);
}

static void audit_done(struct audit *a, struct budget_snapshot *snapshot)
{
	ledger_view_close(a->view);
	places_free(a->places);
	map_free(a->by_name, NULL);
	map_free(a->open, NULL);
	free(a->expected);
	free(a->models);
	free(snapshot->accounts);
	free(snapshot->holds);
}

/* Everything but the ledger for itself. */
static int audit_once(const struct audit_input *in, struct audit_report *ret, bool *ret_again, struct err *e)
{
	struct audit a = { .e = e, .budget = in->budget };
	struct budget_snapshot snapshot = { 0 };
	int r = in->budget ? audit_read_models(&a) : 0;

	if (r == 0)
		r = open_and_take(&a, in, &snapshot);
	if (r == 0)
		r = audit(&a);
	if (r == 0)
		r = in->budget ? budget_check(in->budget, e) : check_p1(&a);
	if (r == 0)
		*ret = a.report;
	*ret_again = a.models_differ;
	audit_done(&a, &snapshot);
	return r;
}

/* Limits on models are not read at the very instant: only what stays is wrong. */
#define TRIES 20
#define PAUSE_NS 100000000L

int audit_run(const struct audit_input *in, struct audit_report *ret, struct err *e)
{
	int r = ledger_check(in->ledger, e);

	if (r < 0)
		return r;
	bool again = true;

	for (int i = 0; again && i < TRIES; i++) {
		const struct timespec moment = { .tv_nsec = PAUSE_NS };

		if (i > 0)
			(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
		r = audit_once(in, ret, &again, e);
	}
	if (r < 0 || !in->budget || !ret->open_stale)
		return r;
	return err_set(e, EUCLEAN, "the ledger has %zu calls in flight that have no hold (the first: call %llu); the next start would charge them",
		       ret->open_stale, (unsigned long long)ret->first_stale);
}

int audit_doubts(struct budget *b, struct ledger *l, struct err *e)
{
	struct budget_doubt doubts[64];
	size_t n = budget_in_doubt(b, doubts, 64);
	struct audit a = { .e = e, .budget = b };
	struct budget_snapshot snapshot = { 0 };
	const struct audit_input in = { .budget = b, .ledger = l };

	if (n == 0)
		return 0;
	n = n > 64 ? 64 : n;
	int r = open_and_take(&a, &in, &snapshot);

	if (r == 0)
		r = read_tree(&a);
	if (r == 0)
		r = audit_sum(&a);
	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct budget_doubt *d = &doubts[i];
		const struct gate_window *w = &a.accounts[d->account].windows[d->kind];

		if (audit_uses(&a, d->account) && w->start_s == d->start_s)
			budget_correct(b, d, a.expected[d->account].spent[d->kind] - (w->limit_nanousd - w->left_nanousd));
	}
	audit_done(&a, &snapshot);
	return r;
}
