// SPDX-License-Identifier: Apache-2.0
/*
 * budget/restore.c: what the ledger says was spent comes into the windows. Accounts above one another may count by different calendars, so
 * what an account spent "today" is another sum for each of them: the ledger is asked for each window by its own bounds.
 * What it does not do: read the ledger (replay.h).
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "spend/budget/own.h"

struct restored {
	const nanousd *spent;
	const int64_t *start_s; /* NULL = whatever instance it is */
	int sign;
};

static void add(struct budget *b, uint32_t i, int k, int sign, nanousd amount)
{
	struct window_money *w = &b->accounts[i].windows[k];

	/* What is taken away is the ledger's word: it may be more than stands here, never below nothing. */
	if (sign < 0 && amount > w->now.spent)
		amount = w->now.spent;
	instance_spend(&w->now, sign * amount);
	instance_excuse(&w->now, w->limit);
	publish_window(b, i, k);
}

static void spend_up(struct budget *b, uint32_t from, const struct restored *what, uint32_t not_above)
{
	for_chain(b, i, from) {
		if (not_above && is_below(b, not_above, i))
			break;
		for (int k = 0; k < WINDOW_COUNT; k++)
			if (what->spent[k] && (!what->start_s || what->start_s[k] == b->accounts[i].windows[k].now.start_s))
				add(b, i, k, what->sign, what->spent[k]);
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

/* ---- each window by its own bounds */

struct question {
	uint32_t i;
	int k, sign;
	int64_t start_s, end_s;
	nanousd spent;
};

struct questions {
	struct question v[2 * GATE_TREE_DEPTH * WINDOW_COUNT];
	size_t n;
};

static void ask_up(struct budget *b, struct questions *q, uint32_t from, int sign, uint32_t not_above)
{
	for_chain(b, i, from) {
		if (not_above && is_below(b, not_above, i))
			break;
		for (int k = 0; k < WINDOW_COUNT; k++) {
			const struct instance *in = &b->accounts[i].windows[k].now;

			ASSERT(q->n < sizeof(q->v) / sizeof(q->v[0]));
			q->v[q->n++] = (struct question){ .i = i, .k = k, .sign = sign, .start_s = in->start_s, .end_s = in->end_s };
		}
	}
}

static int answer(struct questions *q, budget_spent_fn spent, void *ctx)
{
	for (size_t n = 0; n < q->n; n++) {
		struct question *one = &q->v[n];
		size_t same = 0;

		while (q->v[same].start_s != one->start_s || q->v[same].end_s != one->end_s)
			same++;
		if (same < n) {
			one->spent = q->v[same].spent;
			continue;
		}
		int r = spent(ctx, one->start_s, one->end_s ? one->end_s : INT64_MAX, &one->spent);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A window that began anew meanwhile has nothing of it. */
static void apply(struct budget *b, const struct question *q)
{
	if (!account_is_valid(b, q->i) || b->accounts[q->i].windows[q->k].now.start_s != q->start_s || q->spent == 0)
		return;
	add(b, q->i, q->k, q->sign, q->spent);
}

int budget_restore_by(struct budget *b, uint32_t account, uint32_t counted_at, budget_spent_fn spent, void *ctx)
{
	struct questions q = { .n = 0 };

	(void)pthread_mutex_lock(&b->lock);
	ASSERT(account_is_valid(b, account) && (!counted_at || account_is_valid(b, counted_at)));
	roll_chain(b, account, b->seen_ns / NS_PER_S);
	roll_chain(b, counted_at, b->seen_ns / NS_PER_S);
	ask_up(b, &q, account, +1, counted_at);
	ask_up(b, &q, counted_at, -1, account);
	(void)pthread_mutex_unlock(&b->lock);
	int r = answer(&q, spent, ctx); /* reads a disk: not under the lock */
	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&b->lock);
	for (size_t n = 0; n < q.n; n++)
		apply(b, &q.v[n]);
	(void)pthread_mutex_unlock(&b->lock);
	return 0;
}

/* ---- windows in doubt */

size_t budget_in_doubt(struct budget *b, struct budget_doubt *ret, size_t n)
{
	size_t found = 0;

	(void)pthread_mutex_lock(&b->lock);
	for (uint32_t i = 1; i < b->end; i++)
		for (int k = 0; k < WINDOW_COUNT && b->accounts[i].used; k++) {
			const struct window_money *w = &b->accounts[i].windows[k];

			if (!w->in_doubt)
				continue;
			if (found < n)
				ret[found] = (struct budget_doubt){ .account = i, .kind = (enum window_kind)k, .start_s = w->now.start_s };
			found++;
		}
	(void)pthread_mutex_unlock(&b->lock);
	return found;
}

void budget_correct(struct budget *b, const struct budget_doubt *d, nanousd difference)
{
	(void)pthread_mutex_lock(&b->lock);
	if (account_is_valid(b, d->account) && b->accounts[d->account].windows[d->kind].now.start_s == d->start_s) {
		add(b, d->account, d->kind, difference < 0 ? -1 : +1, difference < 0 ? -difference : difference);
		b->accounts[d->account].windows[d->kind].in_doubt = false;
	}
	(void)pthread_mutex_unlock(&b->lock);
}
