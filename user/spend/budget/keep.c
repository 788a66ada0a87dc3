// SPDX-License-Identifier: Apache-2.0
/*
 * budget/keep.c: a hand-over as the budget sees it: calls of another process whose holds go on here (docs/upgrade.md), and a start that the
 * kernel does not notice. What it does not do: talk to that process (path/money.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "spend/budget/own.h"
#include "spend/rules/account.h"

void budget_set_owner(struct budget *b, uint32_t owner)
{
	(void)pthread_mutex_lock(&b->lock);
	b->owner = owner;
	(void)pthread_mutex_unlock(&b->lock);
}

void budget_keep(struct budget *b, const uint32_t *owners, size_t n)
{
	(void)pthread_mutex_lock(&b->lock);
	ASSERT(!b->is_open && n <= BUDGET_KEEP_MAX);
	memcpy(b->keep, owners, n * sizeof(*owners));
	b->nkeep = (uint32_t)n;
	(void)pthread_mutex_unlock(&b->lock);
}

bool budget_keeps(struct budget *b, const struct gate_hold *h)
{
	for (uint32_t i = 0; i < b->nkeep; i++)
		if (h->owner == b->keep[i] && h->owner)
			return slot_is_open(h);
	return false;
}

/* Where its account is gone there is no window to count in, and nothing it could be charged to later: an orphan. */
static bool keep_hold(struct budget *b, uint32_t slot)
{
	struct gate_hold *h = &b->holds[slot];

	if (!budget_keeps(b, h) || !account_is_valid(b, h->account) || strcmp(b->old[h->account].name, b->accounts[h->account].name) != 0)
		return false;
	b->accounts[h->account].nholds++;
	for_chain(b, i, h->account)
		for (int k = 0; k < WINDOW_COUNT; k++) {
			struct window_money *w = &b->accounts[i].windows[k];
			struct instance *in = window_at(w, h->started_realtime_ns);

			/* Begun in a window that is over: what it takes there counts nowhere any more, as after a restart. */
			if (!in)
				continue;
			in->held += h->amount_nanousd;
			instance_excuse(in, w->limit);
			publish_window(b, i, k);
		}
	rules_keep(b, slot);
	return true;
}

size_t budget_keep_holds(struct budget *b)
{
	size_t n = 0;

	(void)pthread_mutex_lock(&b->lock);
	ASSERT(!b->is_open);
	for (uint32_t s = 0; s < b->nholds && b->nkeep; s++) {
		struct gate_hold *h = &b->holds[s];

		if (!budget_keeps(b, h))
			continue;
		if (keep_hold(b, s)) {
			n++;
			continue;
		}
		/* Its process has it in hand and sends it, if it has not yet: that it was not, nobody here could know. */
		h->owner = 0;
		slot_set_state(h, GATE_HOLD_SENT);
	}
	(void)pthread_mutex_unlock(&b->lock);
	return n;
}

size_t budget_holds_of(struct budget *b, uint32_t owner, struct orphan *ret, size_t n)
{
	size_t found = 0;

	(void)pthread_mutex_lock(&b->lock);
	ASSERT(b->is_open && owner);
	for (uint32_t s = 0; s < b->nholds; s++) {
		const struct gate_hold *h = &b->holds[s];

		if (h->owner != owner || !slot_is_open(h))
			continue;
		if (found < n) {
			ret[found] = (struct orphan){ .slot = s, .hold = *h };
			memcpy(ret[found].name, b->accounts[h->account].name, sizeof(ret->name));
			memcpy(ret[found].account, ret[found].name, sizeof(ret->account));
		}
		found++;
	}
	(void)pthread_mutex_unlock(&b->lock);
	return found;
}

/* ---- a start that the kernel does not notice: it works on a copy of the rows, which takes their place in budget_open */

int budget_take(struct gate_account *accounts, size_t naccounts, struct gate_hold *holds, size_t nholds, struct budget **ret)
{
	struct gate_account *copy = naccounts < 2 ? NULL : calloc(naccounts, sizeof(*copy));

	if (!copy)
		return naccounts < 2 ? -EINVAL : -ENOMEM;
	memcpy(copy, accounts, naccounts * sizeof(*copy));
	int r = budget_new(copy, naccounts, holds, nholds, ret);

	if (r < 0)
		free(copy);
	else
		(*ret)->real_rows = accounts;
	return r;
}

/* Before anything is published at the open. Words that do not change are written as they are. */
void budget_show_rows(struct budget *b)
{
	struct gate_account *copy = b->rows;

	if (!b->real_rows)
		return;
	b->rows = b->real_rows;
	b->real_rows = NULL;
	for (uint32_t i = 1; i < b->naccounts; i++) {
		struct gate_account *to = &b->rows[i];

		if (!b->accounts[i].used) {
			if (to->name[0])
				wipe_row(to);
			continue;
		}
		if (strcmp(to->name, copy[i].name) != 0)
			wipe_row(to);
		memcpy(to->name, copy[i].name, sizeof(to->name));
		__atomic_store_n(&to->parent, copy[i].parent, __ATOMIC_RELEASE);
		__atomic_store_n(&to->floor_nanousd, copy[i].floor_nanousd, __ATOMIC_RELEASE);
	}
	free(copy);
}
