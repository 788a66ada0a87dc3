// SPDX-License-Identifier: Apache-2.0
/*
 * budget/tree.c: accounts: make, change, move, pause, remove. The tree is small and deep at most GATE_TREE_DEPTH; every
 * change happens under the lock and moves the money with it. What it does not do: remember accounts over a restart (ledger).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "spend/budget/own.h"
#include "spend/rules/account.h"
#include "spend/budget/window.h"
#include "spend/budget/zone.h"

static bool name_is_good(const char *name)
{
	size_t n = strnlen(name, GATE_NAME_MAX);

	if (n == 0 || n == GATE_NAME_MAX)
		return false;
	return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

static uint32_t index_of(const struct budget *b, const char *name)
{
	const struct account *a = map_find(b->by_name, str_of(name));

	return a ? (uint32_t)(a - b->accounts) : 0;
}

/* ---- checks, all before anything changes */

static unsigned depth_of(const struct budget *b, uint32_t i)
{
	unsigned n = 0;

	for_chain(b, at, i)
		n++;
	return n;
}

/* Levels from i down to its lowest descendant, i included. */
static unsigned height_of(const struct budget *b, uint32_t i)
{
	unsigned most = 1;

	if (b->accounts[i].nchildren == 0)
		return 1;
	for (uint32_t k = 1; k < b->end; k++)
		if (b->accounts[k].used && is_below(b, k, i)) {
			unsigned levels = depth_of(b, k) - depth_of(b, i) + 1;

			most = levels > most ? levels : most;
		}
	return most;
}

static int check_numbers(const struct account_spec *spec, struct err *e)
{
	for (int k = 0; k < WINDOW_COUNT; k++)
		if (spec->limits[k] < 0)
			return err_set(e, EINVAL, "account \"%s\": the %s limit is negative; write 0USD to allow nothing", spec->name,
				       window_name((enum window_kind)k));
	for (int k = 0; k < WINDOW_COUNT; k++)
		if (spec->raise[k] < 0)
			return err_set(e, EINVAL, "account \"%s\": the raise of the %s limit is negative; a raise adds, set a lower limit to cut",
				       spec->name, window_name((enum window_kind)k));
	if (spec->raise_until_s < 0)
		return err_set(e, EINVAL, "account \"%s\": the raise ends before 1970", spec->name);
	if (spec->reset_minute < 0 || spec->reset_minute >= 24 * 60)
		return err_set(e, EINVAL, "account \"%s\": windows cannot begin at minute %d of the day; 00:00 to 23:59 is wanted",
			       spec->name, spec->reset_minute);
	if (spec->floor < 0)
		return err_set(e, EINVAL, "account \"%s\": exhausted_below is negative; write 0USD or more", spec->name);
	return 0;
}

static int check_parent(const struct budget *b, const struct account_spec *spec, uint32_t self, uint32_t *ret_parent,
			struct err *e)
{
	uint32_t parent = 0;

	if (spec->parent[0]) {
		if (!name_is_good(spec->parent) || !(parent = index_of(b, spec->parent)))
			return err_set(e, ENOENT, "account \"%s\": the account above it, \"%.47s\", does not exist; make that one first",
				       spec->name, spec->parent);
		if (self && is_below(b, parent, self))
			return err_set(e, ELOOP, "account \"%s\": \"%s\" is below it already; an account cannot be above itself",
				       spec->name, spec->parent);
	}
	if (depth_of(b, parent) + (self ? height_of(b, self) : 1) > GATE_TREE_DEPTH)
		return err_set(e, E2BIG, "account \"%s\": below \"%s\" the tree is more than %d levels deep; put it higher up",
			       spec->name, spec->parent, GATE_TREE_DEPTH);
	*ret_parent = parent;
	return 0;
}

/* ---- making */

static bool was_called(const struct budget *b, uint32_t i, const char *name)
{
	return b->old && strcmp(b->old[i].name, name) == 0;
}

/* The number it had before, since pinned agents and holds still carry it; else one that nobody had; else any. */
static uint32_t choose_index(const struct budget *b, const char *name)
{
	uint32_t fresh = 0, any = 0;

	for (uint32_t i = 1; i < b->naccounts; i++) {
		if (b->accounts[i].used)
			continue;
		if (was_called(b, i, name))
			return i;
		any = any ? any : i;
		if (!fresh && (!b->old || !b->old[i].name[0])) {
			fresh = i;
			if (!b->old)
				break;
		}
	}
	return fresh ? fresh : any;
}

static int make(struct budget *b, const char *name, const struct calendar *calendar, int64_t now_s, uint32_t *ret, struct err *e)
{
	uint32_t i = choose_index(b, name);

	if (i == 0)
		return err_set(e, ENOSPC, "account \"%s\": all %u places are taken; remove accounts that are not used any more", name,
			       b->naccounts - 1);
	struct account *a = &b->accounts[i];

	*a = (struct account){ .calendar = *calendar };
	(void)str_copy(a->name, sizeof(a->name), str_of(name));
	if (map_put(b->by_name, str_of(a->name), a, NULL) < 0)
		return err_set(e, ENOMEM, "account \"%s\": out of memory", name);
	account_open_windows(a, was_called(b, i, name) ? &b->old[i] : NULL, now_s);
	a->used = true;
	b->end = i + 1 > b->end ? i + 1 : b->end;
	wipe_row(&b->rows[i]);
	memcpy(b->rows[i].name, a->name, sizeof(a->name));
	*ret = i;
	return 0;
}

/* ---- moving */

/*
 * What of an account's money counts in an instance above it: exactly that of a window of its own which began at the same moment. Where
 * calendars differ only the ledger knows; until budget_correct, what comes is taken at the most and what goes at the least that it can be.
 * A window of any kind that began earlier holds at least as much, one that began later at most as much.
 */
static nanousd spent_since(const struct account *a, const struct instance *there, bool at_most, bool *ret_exact)
{
	nanousd most = a->windows[WINDOW_TOTAL].now.spent, least = 0;

	*ret_exact = false;
	for (int k = 0; k < WINDOW_COUNT; k++) {
		const struct instance *in = &a->windows[k].now;

		if (in->start_s == there->start_s && !a->windows[k].in_doubt) {
			*ret_exact = true;
			return in->spent;
		}
		if (in->start_s <= there->start_s)
			most = in->spent < most ? in->spent : most;
		else if (!a->windows[k].in_doubt) /* what is in doubt stands there at the most */
			least = in->spent > least ? in->spent : least;
	}
	return at_most ? most : least;
}

/* Windows that are over are not corrected any more: they only bound what their calls still take. */
static nanousd spent_then(const struct account *a, int k, const struct instance *there, bool at_most)
{
	bool is_exact;

	for (const struct instance *in = a->windows[k].now.older; in; in = in->older)
		if (in->start_s == there->start_s && in->end_s == there->end_s)
			return in->spent;
	return at_most ? spent_since(a, there, true, &is_exact) : 0;
}

static void move_spent(const struct account *mine, struct window_money *w, int k, int sign)
{
	bool is_exact;
	nanousd amount = spent_since(mine, &w->now, sign > 0, &is_exact);

	if (sign < 0 && amount > w->now.spent)
		amount = w->now.spent;
	instance_spend(&w->now, sign * amount);
	w->in_doubt |= !is_exact;
	for (struct instance *in = w->now.older; in; in = in->older) {
		amount = spent_then(mine, k, in, sign > 0);
		instance_spend(in, sign > 0 ? amount : -(amount < in->spent ? amount : in->spent));
	}
}

static void move_hold(struct account *to, const struct gate_hold *h, int sign)
{
	for (int k = 0; k < WINDOW_COUNT; k++) {
		struct window_money *w = &to->windows[k];
		struct instance *in = window_at(w, h->started_realtime_ns);

		if (!in)
			continue;
		in->held += sign * h->amount_nanousd;
		ASSERT(in->held >= 0);
		if (in != &w->now && in->held == 0)
			window_forget(w, in);
	}
}

/* Before budget_open what stands in the slots belongs to an earlier daemon. */
static bool slot_counts(const struct budget *b, uint32_t slot, uint32_t top)
{
	return b->is_open && slot_is_open(&b->holds[slot]) && is_below(b, b->holds[slot].account, top);
}

/* An account's money counts in everything above it: it goes to the new ones first, then leaves the old ones. */
static void move_money(struct budget *b, uint32_t i, uint32_t from, uint32_t to, int sign)
{
	for_chain(b, at, from) {
		struct account *a = &b->accounts[at];

		if (to && is_below(b, to, at))
			break; /* above both: nothing changes from here on */
		for (int k = 0; k < WINDOW_COUNT; k++)
			move_spent(&b->accounts[i], &a->windows[k], k, sign);
		for (uint32_t s = 0; s < b->nholds; s++)
			if (slot_counts(b, s, i))
				move_hold(a, &b->holds[s], sign);
		for (int k = 0; k < WINDOW_COUNT; k++) {
			for (struct instance *in = &a->windows[k].now; in; in = in->older)
				instance_excuse(in, a->windows[k].limit);
			publish_window(b, at, k);
		}
	}
}

static void set_parent(struct budget *b, uint32_t i, uint32_t parent)
{
	struct account *a = &b->accounts[i];
	uint32_t old = a->parent;

	if (old == parent)
		return;
	move_money(b, i, parent, old, +1);
	move_money(b, i, old, parent, -1);
	if (old)
		b->accounts[old].nchildren--;
	if (parent)
		b->accounts[parent].nchildren++;
	a->parent = parent;
	__atomic_store_n(&b->rows[i].parent, parent, __ATOMIC_RELEASE);
	rules_recount_flight(b);
}

static int set_account(struct budget *b, const struct account_spec *spec, const struct calendar *calendar, int64_t now_s,
		       uint32_t *ret_index, struct err *e)
{
	if (!name_is_good(spec->name))
		return err_set(e, EINVAL, "account name \"%.47s\": 1 to %d letters, digits, '.', '_' or '-' are wanted", spec->name,
			       GATE_NAME_MAX - 1);
	uint32_t parent = 0, i = index_of(b, spec->name);
	struct account_rules *rules = NULL;
	int r = check_numbers(spec, e);

	if (r == 0)
		r = check_parent(b, spec, i, &parent, e);
	if (r == 0)
		r = rules_make(b, spec, &rules, e);
	if (r == 0 && i == 0)
		r = make(b, spec->name, calendar, now_s, &i, e);
	if (r < 0) {
		rules_free(rules);
		return r;
	}
	roll_chain(b, i, now_s);
	roll_chain(b, parent, now_s);
	set_parent(b, i, parent);

	struct account *a = &b->accounts[i];

	a->paused = spec->paused;
	a->clamp = spec->clamp;
	a->floor = spec->floor;
	__atomic_store_n(&b->rows[i].floor_nanousd, a->floor, __ATOMIC_RELEASE);
	account_set_calendar(a, calendar, now_s);
	account_set_limits(b, i, spec, now_s); /* publishes the windows too */
	rules_replace(b, i, rules);
	publish_flags(b, i); /* last: from here on the gate takes the row for an account */
	if (ret_index)
		*ret_index = i;
	return 0;
}

int budget_set_account(struct budget *b, const struct account_spec *spec, int64_t now_s, uint32_t *ret_index,
		       struct err *e)
{
	struct calendar calendar = { .reset_minute = spec->reset_minute };
	int r = strnlen(spec->zone, sizeof(spec->zone)) == sizeof(spec->zone) ?
			err_set(e, EINVAL, "the name of its time zone is too long") :
			zone_open(spec->zone, &calendar.zone, e); /* may read files: not under the lock */

	if (r < 0)
		return err_prefix(e, r, "account \"%.47s\"", spec->name);
	(void)pthread_mutex_lock(&b->lock);
	r = set_account(b, spec, &calendar, budget_now(b, now_s * NS_PER_S) / NS_PER_S, ret_index, e);

	(void)pthread_mutex_unlock(&b->lock);
	return r;
}

/* ---- removing, pausing */

static int remove_account(struct budget *b, const char *name, struct err *e)
{
	uint32_t i = index_of(b, name);
	struct account *a = &b->accounts[i];

	if (i == 0)
		return err_set(e, ENOENT, "account \"%.47s\" does not exist", name);
	if (a->nchildren)
		return err_set(e, EBUSY, "account \"%s\" has %u accounts below it; remove or move them first", a->name, a->nchildren);
	if (a->nholds)
		return err_set(e, EBUSY, "account \"%s\" has %u calls in flight or not yet in the ledger; try again when they are over",
			       a->name, a->nholds);
	if (a->parent)
		b->accounts[a->parent].nchildren--;
	(void)map_remove(b->by_name, str_of(a->name));
	account_drop_windows(a);
	rules_replace(b, i, NULL);
	a->used = false;
	wipe_row(&b->rows[i]);
	while (b->end > 1 && !b->accounts[b->end - 1].used)
		b->end--;
	return 0;
}

int budget_remove_account(struct budget *b, const char *name, struct err *e)
{
	(void)pthread_mutex_lock(&b->lock);
	int r = remove_account(b, name, e);

	(void)pthread_mutex_unlock(&b->lock);
	return r;
}

int budget_pause(struct budget *b, const char *name, bool paused)
{
	(void)pthread_mutex_lock(&b->lock);
	uint32_t i = index_of(b, name);

	if (i) {
		b->accounts[i].paused = paused;
		publish_flags(b, i);
	}
	(void)pthread_mutex_unlock(&b->lock);
	return i ? 0 : -ENOENT;
}

uint32_t budget_find(struct budget *b, const char *name)
{
	(void)pthread_mutex_lock(&b->lock);
	uint32_t i = index_of(b, name);

	(void)pthread_mutex_unlock(&b->lock);
	return i;
}

bool budget_is_below(struct budget *b, uint32_t account, uint32_t top)
{
	(void)pthread_mutex_lock(&b->lock);
	bool below = account_is_valid(b, account) && account_is_valid(b, top) && is_below(b, account, top);

	(void)pthread_mutex_unlock(&b->lock);
	return below;
}

bool budget_clamps(struct budget *b, uint32_t account)
{
	bool clamps = false;

	(void)pthread_mutex_lock(&b->lock);
	for_chain(b, i, account_is_valid(b, account) ? account : 0)
		clamps |= b->accounts[i].clamp;
	(void)pthread_mutex_unlock(&b->lock);
	return clamps;
}
