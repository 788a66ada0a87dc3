// SPDX-License-Identifier: Apache-2.0
/*
 * budget/time.c: what changes in an account when time goes by: windows end and begin anew, a temporary raise is over, the calendar
 * becomes another one. An instance that is over is remembered while calls that began in it are in flight: its limit holds for them
 * still. What it does not do: know what time it is (an argument), or calendars (window.h).
 */
#include <stdlib.h>

#include "base/assert.h"
#include "spend/budget/own.h"
#include "spend/rules/account.h"

int64_t budget_now(struct budget *b, int64_t now_ns)
{
	if (now_ns > b->seen_ns)
		b->seen_ns = now_ns;
	return b->seen_ns;
}

/* ---- limits */

/* A limit that was raised out of all measure is still a limit. */
static nanousd limit_now(const struct account *a, int k)
{
	nanousd sum;

	if (a->limits[k] == GATE_NO_LIMIT || a->raise_until_s == 0)
		return a->limits[k];
	if (__builtin_add_overflow(a->limits[k], a->raise[k], &sum) || sum == GATE_NO_LIMIT)
		return GATE_NO_LIMIT - 1;
	return sum;
}

static void publish_limits(struct budget *b, uint32_t i)
{
	struct account *a = &b->accounts[i];

	for (int k = 0; k < WINDOW_COUNT; k++) {
		struct window_money *w = &a->windows[k];

		w->limit = limit_now(a, k);
		for (struct instance *in = &w->now; in; in = in->older)
			instance_excuse(in, w->limit);
		publish_window(b, i, k);
	}
}

void account_set_limits(struct budget *b, uint32_t i, const struct account_spec *spec, int64_t now_s)
{
	struct account *a = &b->accounts[i];

	for (int k = 0; k < WINDOW_COUNT; k++) {
		a->limits[k] = spec->limits[k];
		a->raise[k] = spec->raise[k];
	}
	a->raise_until_s = spec->raise_until_s > now_s ? spec->raise_until_s : 0;
	a->next_s = 0;
	publish_limits(b, i);
}

/* ---- instances */

/*
 * Without memory for it an instance that is over is forgotten: its holds are settled like any other, but do not count anywhere any more
 * and cannot be extended (window_at finds nothing).
 */
static void window_remember(struct window_money *w)
{
	struct instance *over = malloc(sizeof(*over));

	if (!over)
		return;
	*over = w->now;
	w->now.older = over;
}

void window_forget(struct window_money *w, struct instance *in)
{
	struct instance *before = &w->now;

	ASSERT(in != &w->now && in->held == 0);
	while (before->older != in)
		before = before->older;
	before->older = in->older;
	free(in);
}

void window_begin_empty(struct window_money *w)
{
	if (w->now.held > 0)
		window_remember(w);
	w->now.spent = w->now.held = w->now.excused = 0;
	w->in_doubt = false;
}

void window_drop(struct window_money *w)
{
	while (w->now.older) {
		struct instance *in = w->now.older;

		w->now.older = in->older;
		free(in);
	}
}

/* Accounts that roll one after another mostly share a calendar, and the lock is held: what was computed last is kept. */
static void begin_by(struct budget *b, struct window_money *w, int k, const struct calendar *cal, int64_t now_s)
{
	struct computed *last = &b->computed[k];

	if (last->calendar.zone != cal->zone || last->calendar.reset_minute != cal->reset_minute || now_s < last->start_s ||
	    now_s >= last->end_s) {
		last->calendar = *cal;
		window_bounds((enum window_kind)k, cal, now_s, &last->start_s, &last->end_s);
	}
	window_begin_empty(w);
	w->now.start_s = last->start_s;
	w->now.end_s = w->now.due_s = last->end_s;
}

int64_t account_roll_over(struct budget *b, uint32_t i, int64_t now_s)
{
	struct account *a = &b->accounts[i];
	int64_t next = INT64_MAX;

	for (int k = 0; k < WINDOW_COUNT; k++) {
		struct window_money *w = &a->windows[k];

		if (w->now.end_s == 0)
			continue;
		if (now_s >= w->now.end_s) {
			begin_by(b, w, k, &a->calendar, now_s);
			rules_roll(b, i, k);
			publish_window(b, i, k);
		}
		next = w->now.end_s < next ? w->now.end_s : next;
	}
	if (a->raise_until_s && now_s >= a->raise_until_s) {
		a->raise_until_s = 0;
		publish_limits(b, i);
	}
	if (a->raise_until_s && a->raise_until_s < next)
		next = a->raise_until_s;
	return a->next_s = next;
}

void roll_chain(struct budget *b, uint32_t from, int64_t now_s)
{
	for_chain(b, i, from)
		(void)account_roll(b, i, now_s);
}

void account_drop_windows(struct account *a)
{
	for (int k = 0; k < WINDOW_COUNT; k++)
		window_drop(&a->windows[k]);
}

/* ---- calendars */

/* No window that its calendar opened is longer; a day has at most 25 hours, an hour 90 minutes. */
static const int64_t longest_s[WINDOW_COUNT] = {
	[WINDOW_HOUR] = 2 * 3600, [WINDOW_DAY] = 26 * 3600, [WINDOW_WEEK] = 7 * 86400 + 7200, [WINDOW_MONTH] = 31 * 86400 + 7200,
};

/*
 * Where a window ends that was to end at due_s when its calendar becomes `cal`. Never before now: calls that count in it would be found in
 * the next one too.
 */
static int64_t end_by(enum window_kind k, const struct calendar *cal, int64_t due_s, int64_t now_s)
{
	return window_next(k, cal, due_s > now_s ? due_s : now_s + 1);
}

/*
 * An old row is a claim. A window that really was open holds this moment, and ends soon; it may have begun a good while ago, if calendars were
 * changed again and again. To believe too much of that only makes the window longer.
 */
static bool was_open(const struct old_row *was, int k, int64_t now_s)
{
	return was->start_s[k] <= now_s && now_s < was->end_s[k] && was->start_s[k] > now_s - 50 * longest_s[k] &&
	       was->end_s[k] <= now_s + 2 * longest_s[k];
}

/*
 * The calendar may have become another one while no daemon ran: what was open stays open, as in account_set_calendar. The row does not say
 * when it was due at first, but that is not later than its end, nor than the longest window that begins there.
 */
static void stay_open(struct instance *in, enum window_kind k, const struct calendar *cal, const struct old_row *was, int64_t now_s)
{
	int64_t latest_s = was->start_s[k] + longest_s[k];

	in->start_s = was->start_s[k];
	in->end_s = was->end_s[k];
	in->due_s = in->end_s < latest_s ? in->end_s : latest_s;
	if (window_next(k, cal, in->end_s) != in->end_s)
		in->end_s = end_by(k, cal, in->due_s, now_s);
}

void account_open_windows(struct account *a, const struct old_row *was, int64_t now_s)
{
	for (int k = 0; k < WINDOW_COUNT; k++) {
		struct instance *in = &a->windows[k].now;

		window_bounds((enum window_kind)k, &a->calendar, now_s, &in->start_s, &in->end_s);
		in->due_s = in->end_s;
		if (was && k != WINDOW_TOTAL && was_open(was, k, now_s))
			stay_open(in, (enum window_kind)k, &a->calendar, was, now_s);
	}
	a->next_s = 0;
}

void account_set_calendar(struct account *a, const struct calendar *to, int64_t now_s)
{
	if (a->calendar.zone == to->zone && a->calendar.reset_minute == to->reset_minute)
		return;
	a->calendar = *to;
	for (int k = 0; k < WINDOW_TOTAL; k++)
		a->windows[k].now.end_s = end_by((enum window_kind)k, to, a->windows[k].now.due_s, now_s);
	a->next_s = 0;
}
