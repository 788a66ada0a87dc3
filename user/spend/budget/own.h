// SPDX-License-Identifier: Apache-2.0
/*
 * budget/own.h: the inside of struct budget, for budget.c (calls), budget/time.c (windows in time), budget/tree.c (accounts),
 * budget/restore.c (what the ledger says) and budget/look.c (views, checks, start). Everything here is called with the lock held.
 *
 * Ours is the truth in plain memory (struct window_money); the mapped rows are a publication of it, word by word.
 */
#ifndef PURSE_SPEND_BUDGET_OWN_H
#define PURSE_SPEND_BUDGET_OWN_H

#include <pthread.h>

#include "base/map.h"
#include "spend/budget/budget.h"
#include "spend/budget/window.h"

#define NS_PER_S INT64_C(1000000000)
/* Sums saturate here, so that limit - spent - held never leaves 64 bits. 4.6e9 USD. */
#define SPENT_MAX (INT64_MAX / 2)

/* One window once: this Monday, the hour from nine to ten. */
struct instance {
	int64_t start_s, end_s; /* end 0 = never */
	int64_t due_s;          /* the end as it was at first: calendars that change again and again do not push it further each time */
	nanousd spent, held;
	/*
	 * P1 is spent + held <= limit. Where a person cut the limit, a raise expired, money was moved in, or a provider billed more than was
	 * held, the sum may stand above it; excused is how high, and it may not rise from there. 0 = nothing to excuse.
	 */
	nanousd excused;
	nanousd counted;        /* scratch of budget_check */
	struct instance *older; /* over, but calls that began in it are still in flight; newest first */
};

struct window_money {
	nanousd limit; /* with the raise, as long as it lasts; GATE_NO_LIMIT = none. Holds for every instance that is remembered */
	struct instance now;
	bool in_doubt; /* money was moved in or out at an upper bound, since its calendar is another; budget_correct clears it */
};

struct account_rules; /* rules/account.h */

struct account {
	bool used, paused, clamp;
	uint32_t parent;
	uint32_t nholds;    /* slots of this very account that are not free */
	uint32_t nchildren;
	struct account_rules *rules; /* NULL = none; near `parent`, which every step of a call reads */
	nanousd floor;
	struct calendar calendar;
	nanousd limits[WINDOW_COUNT], raise[WINDOW_COUNT];
	int64_t raise_until_s; /* 0 = no raise, or over */
	int64_t next_s;        /* nothing changes by itself before then */
	struct window_money windows[WINDOW_COUNT];
	char name[GATE_NAME_MAX];
};

/* A row as an earlier daemon left it: what its holds' account numbers meant, and which windows were open. */
struct old_row {
	char name[GATE_NAME_MAX];
	uint32_t parent;
	int64_t start_s[WINDOW_COUNT], end_s[WINDOW_COUNT];
};

/* The bounds that were computed last, of each kind. */
struct computed {
	struct calendar calendar;
	int64_t start_s, end_s;
};

struct budget {
	pthread_mutex_t lock;
	struct computed computed[WINDOW_COUNT];
	struct gate_account *rows;
	struct gate_account *real_rows; /* rows is a copy until budget_open (budget_take) */
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
	uint32_t nruled; /* accounts that have rules */
	uint32_t owner, keep[BUDGET_KEEP_MAX], nkeep; /* a hand-over */
	int64_t *tokens; /* by slot: held, later used; NULL until somebody has rules */
};

/* From an account up to the top. */
#define for_chain(b, i, from) for (uint32_t i = (from); i; i = (b)->accounts[i].parent)

static inline bool account_is_valid(const struct budget *b, uint32_t i)
{
	return i > 0 && i < b->naccounts && b->accounts[i].used;
}

/* Is `i` that account, or below it? */
static inline bool is_below(const struct budget *b, uint32_t i, uint32_t top)
{
	for_chain(b, at, i)
		if (at == top)
			return true;
	return false;
}

/* Time only goes forward here: an earlier `now` is taken for the latest seen, so no window is ever opened twice. */
int64_t budget_now(struct budget *b, int64_t now_ns);

/* ---- windows in time (budget/time.c) */

/* Windows whose end has passed begin anew, a raise that is over goes. Returns when something changes next. */
int64_t account_roll_over(struct budget *b, uint32_t i, int64_t now_s);
static inline int64_t account_roll(struct budget *b, uint32_t i, int64_t now_s)
{
	int64_t next_s = b->accounts[i].next_s;

	return now_s < next_s ? next_s : account_roll_over(b, i, now_s);
}
void roll_chain(struct budget *b, uint32_t from, int64_t now_s);
/* Opens the windows of a new account: as the calendar says, or as they stood open when an earlier daemon ended (was may be NULL). */
void account_open_windows(struct account *a, const struct old_row *was, int64_t now_s);
/* Another zone or minute: each open window ends at the first boundary of the new kind at or after its first end. */
void account_set_calendar(struct account *a, const struct calendar *to, int64_t now_s);
void account_set_limits(struct budget *b, uint32_t i, const struct account_spec *spec, int64_t now_s);
/* Nothing is spent or held any more; what was is remembered if calls of it are in flight. The caller sets the new bounds. */
void window_begin_empty(struct window_money *w);
/* Forgets what is over. */
void window_drop(struct window_money *w);
void account_drop_windows(struct account *a);

static inline bool instance_has(const struct instance *in, int64_t started_ns)
{
	int64_t s = started_ns / NS_PER_S;

	return s >= in->start_s && (in->end_s == 0 || s < in->end_s);
}

/* The instance in which a call that was held at `started_ns` counts; NULL: it is over and nothing is known of it any more. */
static inline struct instance *window_at(struct window_money *w, int64_t started_ns)
{
	struct instance *in = &w->now;

	while (in && !instance_has(in, started_ns))
		in = in->older;
	return in;
}

/* `in` is over and has no holds left. */
void window_forget(struct window_money *w, struct instance *in);

/* ---- publication: truth -> mapped row */
void publish_held(struct budget *b, uint32_t i, int w);
void publish_left(struct budget *b, uint32_t i, int w);
void publish_window(struct budget *b, uint32_t i, int w); /* all words; marked BUDGET_CHANGING meanwhile */
void publish_flags(struct budget *b, uint32_t i);
void wipe_row(struct gate_account *row);

/* ---- money */
void instance_spend(struct instance *in, nanousd amount); /* amount < 0 takes away */
/* What stands above the limit now is known and allowed. */
void instance_excuse(struct instance *in, nanousd limit);
void slot_set_state(struct gate_hold *h, uint32_t state);
uint32_t slot_state(const struct gate_hold *h);
void slot_free(struct budget *b, uint32_t slot);
/* Given up, and the ledger may still have it: it counts nowhere. A hold that counts has an amount. */
static inline bool slot_is_given_up(const struct gate_hold *h)
{
	return slot_state(h) == GATE_HOLD_HELD && h->amount_nanousd == 0;
}
/* It counts. */
static inline bool slot_is_open(const struct gate_hold *h)
{
	return slot_state(h) == GATE_HOLD_SENT || (slot_state(h) == GATE_HOLD_HELD && h->amount_nanousd != 0);
}
void budget_show_rows(struct budget *b); /* budget/keep.c: in budget_open */

#endif
