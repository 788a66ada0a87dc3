// SPDX-License-Identifier: Apache-2.0
/*
 * alert/watch.h: one alert's eye on one account: which thresholds of which window were told, and how fast money goes of late. Pure: time and
 * balances are arguments, what is to be told goes to a function.
 *
 * A threshold is told once when it is crossed, and again only after it was uncrossed: in the next window, or when the limit went up. "100%"
 * is told when nothing more fits, which is mostly a little below the limit: when what is left is at the account's floor, or when a call was
 * refused for that window.
 */
#ifndef PURSE_CTL_ALERT_WATCH_H
#define PURSE_CTL_ALERT_WATCH_H

#include "ctl/alert/text.h"
#include "ctl/config/config.h"
#include "spend/budget/budget.h"

#define WATCH_FORECAST 16 /* bit in `told`; below: index into the alert's `at` */

struct watch {
	struct watched {
		int64_t start_s;    /* of the window that the rest is about */
		uint32_t told;
		bool refused;       /* a call did not fit */
	} windows[WINDOW_COUNT];
	int64_t when_s[CONFIG_WHEN_COUNT]; /* last told; 0 = never */
	uint64_t since[CONFIG_WHEN_COUNT]; /* and not told since */
	/* Spending per second, smoothed over the alert's `pace`: what was spent longer ago counts ever less. */
	double per_s;
	nanousd seen_spent;
	int64_t seen_s; /* 0 = nothing seen yet */
};

/* Fills in kind, window, figures; the rest of the fact is the caller's. */
typedef void (*watch_tell_fn)(void *ctx, struct alert_fact *f);
void watch_account(struct watch *w, const struct config_alert *c, const struct account_view *v, int64_t now_s, watch_tell_fn tell,
		   void *ctx);
/* A call of that account (or below it) did not fit that window. */
void watch_refused(struct watch *w, enum window_kind window);
/* count more of it happened: is it time to tell? Then *ret_count has all since the last time. */
bool watch_when(struct watch *w, const struct config_alert *c, enum config_when when, uint64_t count, int64_t now_s, uint64_t *ret_count);

/* What must be remembered over a restart, as words: "50 80 forecast"; "" = nothing. Reading keeps what this config knows. */
void watch_show_told(const struct watched *w, const struct config_alert *c, char *ret, size_t size);
void watch_read_told(struct watched *w, const struct config_alert *c, struct str words);

#endif
