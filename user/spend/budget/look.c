// SPDX-License-Identifier: Apache-2.0
/*
 * budget/look.c: the ends of a budget's life (new, what an earlier daemon left, open, free) and everything that only looks: views,
 * snapshots, the check of P1 and of the sums of holds.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "spend/budget/own.h"
#include "spend/rules/account.h"
#include "spend/budget/window.h"

/* ---- new, free */

/* Order: no account, then no credit, then the rest. A wiped row denies: it is no account, and left 0 is not above floor 0. */
void wipe_row(struct gate_account *row)
{
	(void)__atomic_exchange_n(&row->flags, 0, __ATOMIC_ACQ_REL);
	for (int k = 0; k < WINDOW_COUNT; k++)
		(void)__atomic_exchange_n(&row->windows[k].left_nanousd, 0, __ATOMIC_ACQ_REL);
	memset(row, 0, sizeof(*row));
}

/* Also what a start that failed has closed: it is the only place that tells whose the calls in flight are. */
static void keep_old_row(struct old_row *to, const struct gate_account *from)
{
	if (!from->name[0])
		return;
	memcpy(to->name, from->name, sizeof(to->name));
	to->name[sizeof(to->name) - 1] = '\0';
	to->parent = from->parent;
	for (int k = 0; k < WINDOW_COUNT; k++) {
		to->start_s[k] = from->windows[k].start_s;
		to->end_s[k] = from->windows[k].end_s;
	}
}

/* A slot is whatever a crash left. Strings end, amounts are not negative, a state nobody knows counts as sent: towards over. */
static void tame_slot(struct gate_hold *h)
{
	if (h->state > GATE_HOLD_CHARGED)
		h->state = GATE_HOLD_SENT;
	h->amount_nanousd = h->amount_nanousd < 0 ? 0 : h->amount_nanousd > SPENT_MAX ? SPENT_MAX : h->amount_nanousd;
	h->cost_nanousd = h->cost_nanousd < 0 ? h->amount_nanousd : h->cost_nanousd > SPENT_MAX ? SPENT_MAX : h->cost_nanousd;
	h->started_realtime_ns = h->started_realtime_ns < 0 ? 0 : h->started_realtime_ns;
	h->comm[sizeof(h->comm) - 1] = h->model[sizeof(h->model) - 1] = '\0';
	h->provider_name[sizeof(h->provider_name) - 1] = '\0';
}

/* Denies like a wiped one, but a start that fails from here on leaves the next one the names that the holds need. */
static void close_row(struct gate_account *row)
{
	(void)__atomic_exchange_n(&row->flags, 0, __ATOMIC_ACQ_REL);
	for (int k = 0; k < WINDOW_COUNT; k++)
		(void)__atomic_exchange_n(&row->windows[k].left_nanousd, 0, __ATOMIC_ACQ_REL);
}

/* Nobody has come back for these by the time the budget opens, and no hold needs them any more. */
static void wipe_old_rows(struct budget *b)
{
	for (uint32_t i = 1; i < b->naccounts; i++)
		if (!b->accounts[i].used && b->rows[i].name[0])
			wipe_row(&b->rows[i]);
}

static void take_over(struct budget *b)
{
	for (uint32_t i = 0; i < b->naccounts; i++) {
		if (i > 0)
			keep_old_row(&b->old[i], &b->rows[i]);
		close_row(&b->rows[i]);
	}
	for (uint32_t s = b->nholds; s-- > 0;) {
		struct gate_hold *h = &b->holds[s];

		if (slot_state(h) == GATE_HOLD_FREE) {
			b->free_slots[b->nfree++] = s; /* low numbers on top */
			continue;
		}
		tame_slot(h);
		if (h->call_id > b->last_id && h->call_id < INT64_MAX)
			b->last_id = h->call_id;
	}
}

int budget_new(struct gate_account *accounts, size_t naccounts, struct gate_hold *holds, size_t nholds,
	       struct budget **ret)
{
	if (naccounts < 2 || naccounts > UINT32_MAX || nholds < 1 || nholds > UINT32_MAX)
		return -EINVAL;
	struct budget *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->rows = accounts;
	b->naccounts = (uint32_t)naccounts;
	b->holds = holds;
	b->nholds = (uint32_t)nholds;
	b->end = 1;
	b->accounts = calloc(naccounts, sizeof(*b->accounts));
	b->old = calloc(naccounts, sizeof(*b->old));
	b->free_slots = calloc(nholds, sizeof(*b->free_slots));
	b->by_name = map_new();
	(void)pthread_mutex_init(&b->lock, NULL);
	if (!b->accounts || !b->old || !b->free_slots || !b->by_name) {
		budget_free(b);
		return -ENOMEM;
	}
	take_over(b);
	*ret = b;
	return 0;
}

void budget_free(struct budget *b)
{
	if (!b)
		return;
	(void)pthread_mutex_destroy(&b->lock);
	map_free(b->by_name, NULL);
	for (uint32_t i = 0; b->accounts && i < b->end; i++) {
		account_drop_windows(&b->accounts[i]);
		rules_free(b->accounts[i].rules);
	}
	if (b->real_rows)
		free(b->rows);
	free(b->tokens);
	free(b->free_slots);
	free(b->old);
	free(b->accounts);
	free(b);
}

/* A hold from further ahead was stamped by a clock that was wrong: windows do not follow it. */
#define ORPHAN_AHEAD_NS (48 * 3600 * NS_PER_S)

void budget_seed(struct budget *b, uint64_t call_id, int64_t seen_ns)
{
	int64_t latest = seen_ns;

	(void)pthread_mutex_lock(&b->lock);
	for (uint32_t s = 0; !b->is_open && s < b->nholds; s++) {
		int64_t started_ns = b->holds[s].started_realtime_ns;

		if (slot_state(&b->holds[s]) != GATE_HOLD_FREE && started_ns > latest && started_ns <= seen_ns + ORPHAN_AHEAD_NS)
			latest = started_ns;
	}
	seen_ns = latest;
	if (call_id > b->last_id && call_id < INT64_MAX)
		b->last_id = call_id;
	(void)budget_now(b, seen_ns);
	(void)pthread_mutex_unlock(&b->lock);
}

void budget_open(struct budget *b)
{
	(void)pthread_mutex_lock(&b->lock);
	wipe_old_rows(b);
	budget_show_rows(b);
	b->is_open = true;
	for (uint32_t i = 1; i < b->end; i++) {
		if (!b->accounts[i].used)
			continue;
		(void)account_roll(b, i, b->seen_ns / NS_PER_S);
		for (int k = 0; k < WINDOW_COUNT; k++)
			publish_window(b, i, k);
		publish_flags(b, i);
	}
	free(b->old);
	b->old = NULL;
	(void)pthread_mutex_unlock(&b->lock);
}

bool budget_is_open(struct budget *b)
{
	(void)pthread_mutex_lock(&b->lock);
	bool is_open = b->is_open;

	(void)pthread_mutex_unlock(&b->lock);
	return is_open;
}

/* ---- orphans */

/* What account number `i` of the earlier daemon is called today: itself or the first above it that still exists. */
static const struct account *living(const struct budget *b, uint32_t i)
{
	for (int depth = 0; depth < GATE_TREE_DEPTH && i > 0 && i < b->naccounts; depth++) {
		const struct account *a = b->old[i].name[0] ? map_find(b->by_name, str_of(b->old[i].name)) : NULL;

		if (a)
			return a;
		i = b->old[i].parent;
	}
	return NULL;
}

static void describe_orphan(const struct budget *b, uint32_t slot, struct orphan *ret)
{
	*ret = (struct orphan){ .slot = slot, .hold = b->holds[slot] };
	if (!b->old || ret->hold.account >= b->naccounts)
		return;
	const struct account *a = living(b, ret->hold.account);

	memcpy(ret->name, b->old[ret->hold.account].name, sizeof(ret->name));
	memcpy(ret->account, a ? a->name : ret->name, sizeof(ret->account));
}

size_t budget_orphans(struct budget *b, struct orphan *ret, size_t n)
{
	size_t found = 0;

	(void)pthread_mutex_lock(&b->lock);
	ASSERT(!b->is_open);
	for (uint32_t s = 0; s < b->nholds; s++) {
		uint32_t state = slot_state(&b->holds[s]);

		if (budget_keeps(b, &b->holds[s]))
			continue;
		if (state == GATE_HOLD_HELD)
			slot_free(b, s);
		if (state != GATE_HOLD_SENT && state != GATE_HOLD_CHARGED)
			continue;
		if (found < n)
			describe_orphan(b, s, &ret[found]);
		found++;
	}
	(void)pthread_mutex_unlock(&b->lock);
	return found;
}

static void adopt(struct budget *b, uint32_t slot, nanousd cost)
{
	struct gate_hold *h = &b->holds[slot];
	const struct account *a = living(b, h->account);

	if (slot_state(h) == GATE_HOLD_SENT)
		h->estimated = 1;
	h->account = a ? (uint32_t)(a - b->accounts) : 0;
	h->cost_nanousd = cost;
	slot_set_state(h, GATE_HOLD_CHARGED);
	if (a)
		b->accounts[h->account].nholds++;
	for_chain(b, i, h->account)
		for (int k = 0; k < WINDOW_COUNT; k++) {
			struct window_money *w = &b->accounts[i].windows[k];

			if (!instance_has(&w->now, h->started_realtime_ns))
				continue;
			instance_spend(&w->now, cost);
			instance_excuse(&w->now, w->limit);
			publish_window(b, i, k);
		}
	rules_adopt(b, h, cost);
}

void budget_adopt(struct budget *b, uint32_t slot, nanousd cost, bool already_in_ledger)
{
	(void)pthread_mutex_lock(&b->lock);
	ASSERT(!b->is_open && slot < b->nholds && cost >= 0);
	ASSERT(slot_state(&b->holds[slot]) != GATE_HOLD_FREE);
	if (already_in_ledger)
		slot_free(b, slot); /* its money came back with budget_restore */
	else
		adopt(b, slot, cost);
	(void)pthread_mutex_unlock(&b->lock);
}

/* ---- looking */

static void view(const struct budget *b, uint32_t i, struct account_view *ret)
{
	const struct account *a = &b->accounts[i];

	*ret = (struct account_view){ .paused = a->paused, .floor = a->floor, .calls = b->rows[i].calls,
				      .refusals = b->rows[i].refusals, .raise_until_s = a->raise_until_s };
	memcpy(ret->name, a->name, sizeof(ret->name));
	if (a->parent)
		memcpy(ret->parent, b->accounts[a->parent].name, sizeof(ret->parent));
	for (int k = 0; k < WINDOW_COUNT; k++) {
		const struct window_money *w = &a->windows[k];

		ret->windows[k] = (struct window_view){
			.limited = w->limit != GATE_NO_LIMIT, .limit = w->limit, .raised = w->limit - a->limits[k], .spent = w->now.spent,
			.held = w->now.held, .start_s = w->now.start_s, .end_s = w->now.end_s,
		};
	}
}

int budget_view(struct budget *b, uint32_t account, int64_t now_s, struct account_view *ret)
{
	int r = -ENOENT;

	(void)pthread_mutex_lock(&b->lock);
	if (account_is_valid(b, account)) {
		(void)account_roll(b, account, budget_now(b, now_s * NS_PER_S) / NS_PER_S);
		view(b, account, ret);
		r = 0;
	}
	(void)pthread_mutex_unlock(&b->lock);
	return r;
}

size_t budget_accounts_end(struct budget *b)
{
	(void)pthread_mutex_lock(&b->lock);
	size_t end = b->end;

	(void)pthread_mutex_unlock(&b->lock);
	return end;
}

int64_t budget_roll(struct budget *b, int64_t now_s)
{
	int64_t next = INT64_MAX;

	(void)pthread_mutex_lock(&b->lock);
	now_s = budget_now(b, now_s * NS_PER_S) / NS_PER_S;
	for (uint32_t i = 1; i < b->end; i++) {
		int64_t end = b->accounts[i].used ? account_roll(b, i, now_s) : INT64_MAX;

		next = end < next ? end : next;
	}
	(void)pthread_mutex_unlock(&b->lock);
	return next;
}

size_t budget_in_flight(struct budget *b)
{
	(void)pthread_mutex_lock(&b->lock);
	size_t n = b->nholds - b->nfree;

	(void)pthread_mutex_unlock(&b->lock);
	return n;
}

int budget_snapshot(struct budget *b, void (*at)(void *ctx), void *ctx, struct budget_snapshot *ret)
{
	struct budget_snapshot s = { 0 };

	(void)pthread_mutex_lock(&b->lock);
	s.naccounts = b->end;
	s.nholds = b->nholds;
	s.open = b->is_open;
	s.accounts = malloc(s.naccounts * sizeof(*s.accounts));
	s.holds = malloc(s.nholds * sizeof(*s.holds));
	bool ok = s.accounts && s.holds;

	if (ok) {
		memcpy(s.accounts, b->rows, s.naccounts * sizeof(*s.accounts));
		memcpy(s.holds, b->holds, s.nholds * sizeof(*s.holds));
		if (at)
			at(ctx);
	}
	(void)pthread_mutex_unlock(&b->lock);
	if (!ok) {
		free(s.accounts);
		free(s.holds);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

/* ---- checking */

static void count_from_nothing(struct account *a)
{
	for (int k = 0; k < WINDOW_COUNT; k++)
		for (struct instance *in = &a->windows[k].now; in; in = in->older)
			in->counted = 0;
}

static void count_holds(struct budget *b)
{
	for (uint32_t i = 1; i < b->end; i++)
		count_from_nothing(&b->accounts[i]);
	for (uint32_t s = 0; s < b->nholds; s++) {
		const struct gate_hold *h = &b->holds[s];

		if (!slot_is_open(h))
			continue;
		if (!account_is_valid(b, h->account))
			continue; /* an orphan before its adoption */
		for_chain(b, i, h->account)
			for (int k = 0; k < WINDOW_COUNT; k++) {
				struct instance *in = window_at(&b->accounts[i].windows[k], h->started_realtime_ns);

				if (in)
					in->counted += h->amount_nanousd;
			}
	}
}

static int check_instance(const struct budget *b, uint32_t i, int k, const struct instance *in, struct err *e)
{
	nanousd limit = b->accounts[i].windows[k].limit, most = in->excused > limit ? in->excused : limit;
	const char *name = b->accounts[i].name, *window = window_name((enum window_kind)k);

	if (b->is_open && in->held != in->counted)
		return err_set(e, EUCLEAN, "account \"%s\", %s from %lld: held is %lld, but its open holds add up to %lld nano-dollars", name,
			       window, (long long)in->start_s, (long long)in->held, (long long)in->counted);
	if (in != &b->accounts[i].windows[k].now && in->held == 0)
		return err_set(e, EUCLEAN, "account \"%s\", %s from %lld: is over and has no calls in flight, but is remembered", name, window,
			       (long long)in->start_s);
	if (in->spent + in->held > most)
		return err_set(e, EUCLEAN, "account \"%s\", %s from %lld: spent %lld + held %lld is more than the limit %lld", name, window,
			       (long long)in->start_s, (long long)in->spent, (long long)in->held, (long long)most);
	return 0;
}

static int check_window(const struct budget *b, uint32_t i, int k, struct err *e)
{
	const struct window_money *w = &b->accounts[i].windows[k];
	const struct gate_window *row = &b->rows[i].windows[k];
	nanousd left = b->is_open ? w->limit - w->now.spent : 0;

	for (const struct instance *in = &w->now; in; in = in->older) {
		int r = check_instance(b, i, k, in, e);

		if (r < 0)
			return r;
	}
	if (row->left_nanousd != left || row->held_nanousd != w->now.held || row->limit_nanousd != w->limit ||
	    row->start_s != w->now.start_s || row->end_s != w->now.end_s)
		return err_set(e, EUCLEAN, "account \"%s\", %s: the kernel's row says left %lld, held %lld, from %lld to %lld; the daemon left "
			       "%lld, held %lld, from %lld to %lld", b->accounts[i].name, window_name((enum window_kind)k),
			       (long long)row->left_nanousd, (long long)row->held_nanousd, (long long)row->start_s, (long long)row->end_s,
			       (long long)left, (long long)w->now.held, (long long)w->now.start_s, (long long)w->now.end_s);
	return 0;
}

int budget_check(struct budget *b, struct err *e)
{
	int r = 0;

	(void)pthread_mutex_lock(&b->lock);
	count_holds(b);
	for (uint32_t i = 1; r == 0 && i < b->end; i++)
		for (int k = 0; r == 0 && k < WINDOW_COUNT; k++)
			if (b->accounts[i].used)
				r = check_window(b, i, k, e);
	if (r == 0)
		r = rules_check_state(b, e);
	(void)pthread_mutex_unlock(&b->lock);
	return r;
}
