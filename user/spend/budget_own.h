// SPDX-License-Identifier: Apache-2.0
/*
 * budget_own.h: the inside of struct budget, for budget.c (calls), budget_tree.c (accounts) and budget_look.c (views, checks,
 * start). Everything here is called with the lock held.
 *
 * Ours is the truth in plain memory (struct window_money); the mapped rows are a publication of it, word by word.
 */
#ifndef PURSE_SPEND_BUDGET_OWN_H
#define PURSE_SPEND_BUDGET_OWN_H

#include <pthread.h>

#include "base/map.h"
#include "spend/budget.h"

#define NS_PER_S INT64_C(1000000000)
/* Sums saturate here, so that limit - spent - held never leaves 64 bits. 4.6e9 USD. */
#define SPENT_MAX (INT64_MAX / 2)

struct window_money {
	nanousd spent, held;
	nanousd limit; /* GATE_NO_LIMIT = none */
	/*
	 * P1 is spent + held <= limit. Where a person cut the limit, moved money in, or a provider billed more than was held, the sum
	 * may stand above it; excused is how high, and it may not rise from there. 0 = nothing to excuse.
	 */
	nanousd excused;
	int64_t start_s, end_s; /* end 0 = never */
};

struct account {
	bool used, paused;
	uint32_t parent;
	uint32_t nholds;    /* slots of this very account that are not free */
	uint32_t nchildren;
	nanousd floor;
	struct window_money windows[WINDOW_COUNT];
	char name[GATE_NAME_MAX];
};

/* A row as an earlier daemon left it: what its holds' account numbers meant. */
struct old_row {
	char name[GATE_NAME_MAX];
	uint32_t parent;
};

struct budget {
	pthread_mutex_t lock;
	struct gate_account *rows;
	struct account *accounts;
	struct old_row *old;     /* NULL once open */
	uint32_t naccounts, end; /* end: one past the highest index in use */
	struct map *by_name;     /* -> struct account */
	struct gate_hold *holds;
	uint32_t nholds;
	uint32_t *free_slots; /* a stack */
	uint32_t nfree;
	uint64_t last_id;
	int64_t seen_ns; /* the latest moment that any caller named */
	bool is_open, holds_closed;
};

/* From an account up to the top. */
#define for_chain(b, i, from) for (uint32_t i = (from); i; i = (b)->accounts[i].parent)

static inline bool account_is_valid(const struct budget *b, uint32_t i)
{
	return i > 0 && i < b->naccounts && b->accounts[i].used;
}

/* Time only goes forward here: an earlier `now` is taken for the latest seen, so no window is ever opened twice. */
int64_t budget_now(struct budget *b, int64_t now_ns);
/* Windows whose end has passed begin anew. Returns the earliest end. */
int64_t account_roll(struct budget *b, uint32_t i, int64_t now_s);
/* Does a call that was held at `started_ns` count in the instance that w is in now? */
static inline bool window_has(const struct window_money *w, int64_t started_ns)
{
	int64_t s = started_ns / NS_PER_S;

	return s >= w->start_s && (w->end_s == 0 || s < w->end_s);
}

/* ---- publication: truth -> mapped row */
void publish_held(struct budget *b, uint32_t i, int w);
void publish_left(struct budget *b, uint32_t i, int w);
void publish_window(struct budget *b, uint32_t i, int w); /* all words; marked BUDGET_CHANGING meanwhile */
void publish_flags(struct budget *b, uint32_t i);
void wipe_row(struct gate_account *row);

/* ---- money */
void window_spend(struct window_money *w, nanousd amount); /* amount < 0 takes away */
void window_excuse(struct window_money *w); /* what stands above the limit now is known and allowed */
void slot_set_state(struct gate_hold *h, uint32_t state);
uint32_t slot_state(const struct gate_hold *h);
void slot_free(struct budget *b, uint32_t slot);

#endif
