// SPDX-License-Identifier: Apache-2.0
/*
 * budget_tree.c: accounts: make, change, move, pause, remove. The tree is small and deep at most GATE_TREE_DEPTH; every
 * change happens under the lock and moves the money with it. What it does not do: remember accounts over a restart (ledger).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "spend/budget_own.h"
#include "spend/window.h"

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

static bool is_below(const struct budget *b, uint32_t i, uint32_t top)
{
	for_chain(b, at, i)
		if (at == top)
			return true;
	return false;
}

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

static int make(struct budget *b, const char *name, int64_t now_s, uint32_t *ret, struct err *e)
{
	uint32_t i = choose_index(b, name);

	if (i == 0)
		return err_set(e, ENOSPC, "account \"%s\": all %u places are taken; remove accounts that are not used any more", name,
			       b->naccounts - 1);
	struct account *a = &b->accounts[i];

	*a = (struct account){ 0 };
	(void)str_copy(a->name, sizeof(a->name), str_of(name));
	if (map_put(b->by_name, str_of(a->name), a, NULL) < 0)
		return err_set(e, ENOMEM, "account \"%s\": out of memory", name);
	for (int k = 0; k < WINDOW_COUNT; k++)
		window_bounds((enum window_kind)k, now_s, &a->windows[k].start_s, &a->windows[k].end_s);
	a->used = true;
	b->end = i + 1 > b->end ? i + 1 : b->end;
	wipe_row(&b->rows[i]);
	memcpy(b->rows[i].name, a->name, sizeof(a->name));
	*ret = i;
	return 0;
}

/* ---- moving */

/* An account's money counts in everything above it: it goes to the new ones first, then leaves the old ones. */
static void move_money(struct budget *b, uint32_t i, uint32_t from, uint32_t to, int sign)
{
	for_chain(b, at, from) {
		if (to && is_below(b, to, at))
			break; /* above both: nothing changes from here on */
		for (int k = 0; k < WINDOW_COUNT; k++) {
			struct window_money *w = &b->accounts[at].windows[k];
			const struct window_money *mine = &b->accounts[i].windows[k];

			window_spend(w, sign * mine->spent);
			w->held += sign * mine->held;
			window_excuse(w);
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
}

static void roll_chain(struct budget *b, uint32_t from, int64_t now_s)
{
	for_chain(b, i, from)
		(void)account_roll(b, i, now_s);
}

static int set_account(struct budget *b, const struct account_spec *spec, int64_t now_s, uint32_t *ret_index, struct err *e)
{
	if (!name_is_good(spec->name))
		return err_set(e, EINVAL, "account name \"%.47s\": 1 to %d letters, digits, '.', '_' or '-' are wanted", spec->name,
			       GATE_NAME_MAX - 1);
	uint32_t parent = 0, i = index_of(b, spec->name);
	int r = check_numbers(spec, e);

	if (r == 0)
		r = check_parent(b, spec, i, &parent, e);
	if (r == 0 && i == 0)
		r = make(b, spec->name, now_s, &i, e);
	if (r < 0)
		return r;
	roll_chain(b, i, now_s);
	roll_chain(b, parent, now_s);
	set_parent(b, i, parent);

	struct account *a = &b->accounts[i];

	a->paused = spec->paused;
	a->floor = spec->floor;
	__atomic_store_n(&b->rows[i].floor_nanousd, a->floor, __ATOMIC_RELEASE);
	for (int k = 0; k < WINDOW_COUNT; k++) {
		a->windows[k].limit = spec->limits[k];
		window_excuse(&a->windows[k]);
		publish_window(b, i, k);
	}
	publish_flags(b, i); /* last: from here on the gate takes the row for an account */
	if (ret_index)
		*ret_index = i;
	return 0;
}

int budget_set_account(struct budget *b, const struct account_spec *spec, int64_t now_s, uint32_t *ret_index,
		       struct err *e)
{
	(void)pthread_mutex_lock(&b->lock);
	int r = set_account(b, spec, budget_now(b, now_s * NS_PER_S) / NS_PER_S, ret_index, e);

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

/* ---- what the ledger says was spent */

struct restored {
	const nanousd *spent;
	const int64_t *start_s; /* NULL = whatever instance it is */
	int sign;
};

static void spend_up(struct budget *b, uint32_t from, const struct restored *what, uint32_t not_above)
{
	for_chain(b, i, from) {
		if (not_above && is_below(b, not_above, i))
			break;
		for (int k = 0; k < WINDOW_COUNT; k++) {
			struct window_money *w = &b->accounts[i].windows[k];
			nanousd amount = what->spent[k];

			if (amount == 0 || (what->start_s && what->start_s[k] != w->start_s))
				continue;
			/* What is taken away is the ledger's word: it may be more than stands here, never below nothing. */
			if (what->sign < 0 && amount > w->spent)
				amount = w->spent;
			window_spend(w, what->sign * amount);
			window_excuse(w);
			publish_window(b, i, k);
		}
	}
}

void budget_restore_from(struct budget *b, uint32_t account, const nanousd spent[WINDOW_COUNT],
			 const int64_t start_s[WINDOW_COUNT], uint32_t counted_at)
{
	const struct restored more = { spent, start_s, +1 }, less = { spent, start_s, -1 };

	(void)pthread_mutex_lock(&b->lock);
	ASSERT(account_is_valid(b, account) && (!counted_at || account_is_valid(b, counted_at)));
	roll_chain(b, account, b->seen_ns / NS_PER_S);
	roll_chain(b, counted_at, b->seen_ns / NS_PER_S);
	spend_up(b, account, &more, counted_at);
	spend_up(b, counted_at, &less, account);
	(void)pthread_mutex_unlock(&b->lock);
}

void budget_restore(struct budget *b, uint32_t account, const nanousd spent[WINDOW_COUNT])
{
	budget_restore_from(b, account, spent, NULL, 0);
}
