// SPDX-License-Identifier: Apache-2.0
/* alert/watch.c: see alert/watch.h. */
#include "ctl/alert/watch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define DAY_S 86400

/* ---- pace */

static void feed(struct watch *w, const struct config_alert *c, nanousd spent, int64_t now_s)
{
	double tau_s = (double)c->pace_ns / 1e9;

	if (w->seen_s == 0 || now_s < w->seen_s) {
		w->seen_s = now_s;
		w->seen_spent = spent;
		return;
	}
	/* Less than before: money moved with an account, nothing was spent. */
	nanousd fresh = spent > w->seen_spent ? spent - w->seen_spent : 0;

	w->per_s = w->per_s * exp(-(double)(now_s - w->seen_s) / tau_s) + (double)fresh / tau_s;
	w->seen_s = now_s;
	w->seen_spent = spent;
}

/* When the window is used up at that pace; 0 = not before it ends. One that never ends counts for a day. */
static int64_t used_up_at(const struct watch *w, const struct window_view *v, int64_t now_s)
{
	nanousd left = v->limit - v->spent;
	int64_t end_s = v->end_s ? v->end_s : now_s + DAY_S;

	if (left <= 0 || w->per_s <= 0 || (double)left / w->per_s >= (double)(end_s - now_s))
		return 0;
	return now_s + (int64_t)((double)left / w->per_s);
}

/* ---- thresholds */

static bool is_crossed(const struct watched *x, const struct window_view *v, const struct account_view *a, unsigned percent)
{
	if (percent >= 100)
		return x->refused || (v->limit > 0 && v->limit - v->spent <= a->floor);
	return v->limit > 0 && (__int128)v->spent * 100 >= (__int128)v->limit * percent;
}

static struct alert_fact fact_of(enum alert_kind kind, enum window_kind k, const struct window_view *v)
{
	return (struct alert_fact){
		.kind = kind, .window = k, .limit = v->limit, .spent = v->spent, .held = v->held, .start_s = v->start_s, .end_s = v->end_s,
	};
}

static void watch_window(struct watch *w, const struct config_alert *c, const struct account_view *a, enum window_kind k, int64_t now_s,
			 watch_tell_fn tell, void *ctx)
{
	const struct window_view *v = &a->windows[k];
	struct watched *x = &w->windows[k];

	if (x->start_s != v->start_s)
		*x = (struct watched){ .start_s = v->start_s };
	/* With room again, by a raise or a greater limit, what did not fit is no news. */
	if (x->refused && v->limit - v->spent - v->held > v->limit / 10)
		x->refused = false;
	for (size_t i = 0; i < c->at.n; i++) {
		bool crossed = is_crossed(x, v, a, c->at.v[i]), told = x->told & (1u << i);
		struct alert_fact f = fact_of(ALERT_THRESHOLD, k, v);

		x->told = crossed ? x->told | 1u << i : x->told & ~(1u << i);
		f.percent = c->at.v[i];
		if (crossed && !told)
			tell(ctx, &f);
	}
	int64_t at_s = c->forecast && !(x->told & 1u << WATCH_FORECAST) && !x->refused ? used_up_at(w, v, now_s) : 0;

	if (at_s) {
		struct alert_fact f = fact_of(ALERT_FORECAST, k, v);

		x->told |= 1u << WATCH_FORECAST;
		f.used_up_s = at_s;
		f.per_hour = (nanousd)fmin(w->per_s * 3600, 9e18);
		tell(ctx, &f);
	}
}

void watch_account(struct watch *w, const struct config_alert *c, const struct account_view *v, int64_t now_s, watch_tell_fn tell,
		   void *ctx)
{
	feed(w, c, v->windows[WINDOW_TOTAL].spent, now_s);
	for (int k = 0; k < WINDOW_COUNT; k++)
		if (v->windows[k].limited && (c->windows == 0 || c->windows & (INT64_C(1) << k)))
			watch_window(w, c, v, (enum window_kind)k, now_s, tell, ctx);
}

void watch_refused(struct watch *w, enum window_kind window)
{
	w->windows[window].refused = true;
}

bool watch_when(struct watch *w, const struct config_alert *c, enum config_when when, uint64_t count, int64_t now_s, uint64_t *ret_count)
{
	w->since[when] += count;
	if (w->since[when] == 0 || (w->when_s[when] && now_s >= w->when_s[when] && now_s - w->when_s[when] < c->repeat_ns / 1000000000))
		return false;
	w->when_s[when] = now_s;
	*ret_count = w->since[when];
	w->since[when] = 0;
	return true;
}

/* ---- over a restart */

void watch_show_told(const struct watched *w, const struct config_alert *c, char *ret, size_t size)
{
	size_t n = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < c->at.n && n < size; i++)
		if (w->told & (1u << i))
			n += (size_t)snprintf(ret + n, size - n, "%s%u", n ? " " : "", c->at.v[i]);
	if (w->told & 1u << WATCH_FORECAST && n < size)
		n += (size_t)snprintf(ret + n, size - n, "%sforecast", n ? " " : "");
	if (w->refused && n < size)
		(void)snprintf(ret + n, size - n, "%srefused", n ? " " : "");
}

void watch_read_told(struct watched *w, const struct config_alert *c, struct str words)
{
	int64_t percent;

	while (words.n > 0) {
		struct str word = str_cut(&words, ' ');

		if (str_eq(word, STR("forecast")))
			w->told |= 1u << WATCH_FORECAST;
		w->refused = w->refused || str_eq(word, STR("refused"));
		for (size_t i = 0; i < c->at.n; i++)
			if (str_to_i64(word, &percent) == 0 && percent == c->at.v[i])
				w->told |= 1u << i;
	}
}
