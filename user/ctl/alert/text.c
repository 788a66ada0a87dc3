// SPDX-License-Identifier: Apache-2.0
/* alert/text.c: see alert/text.h. */
#include "ctl/alert/text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/jsonw.h"
#include "base/str.h"
#include "ctl/units.h"

const char *const alert_kind_names[ALERT_KIND_COUNT] = {
	[ALERT_THRESHOLD] = "threshold",       [ALERT_FORECAST] = "forecast", [ALERT_REFUSED] = "refused",
	[ALERT_RULE] = "rule",		       [ALERT_OVERRUN] = "estimated_overrun", [ALERT_LEDGER] = "ledger_unhealthy",
	[ALERT_GATE] = "gate_detached",       [ALERT_TEST] = "test",
};

/* "today's" clock time where that is enough, else with the day. */
static const char *moment(const struct alert_fact *f, int64_t at_s, char *mem, size_t size)
{
	char now[32];

	units_show_local(f->zone, at_s, mem, size);
	units_show_local(f->zone, f->now_s, now, sizeof(now));
	if (strncmp(mem, now, 10) == 0)
		memmove(mem, mem + 11, strlen(mem + 11) + 1);
	return mem;
}

static const char *zone_of(const struct alert_fact *f)
{
	return f->zone[0] ? f->zone : "UTC";
}

static void say_threshold(const struct alert_fact *f, char *ret, size_t size)
{
	char spent[32], limit[32], left[32], until[32], reset[128] = "";
	const char *window = units_window_names[f->window];

	if (f->end_s)
		(void)snprintf(reset, sizeof(reset), "; it begins anew at %s (%s)", moment(f, f->end_s, until, sizeof(until)), zone_of(f));
	usd_show_short(f->spent, spent, sizeof(spent));
	usd_show_short(f->limit, limit, sizeof(limit));
	if (f->percent >= 100)
		(void)snprintf(ret, size, "%s: the %s budget is used up: %s of %s spent, new calls are refused%s", f->account, window, spent,
			       limit, reset);
	else
		(void)snprintf(ret, size, "%s: %u%% of the %s budget is spent: %s of %s, %s left%s", f->account, f->percent, window, spent,
			       limit, usd_show_short(f->limit - f->spent - f->held, left, sizeof(left)), reset);
}

static void say_forecast(const struct alert_fact *f, char *ret, size_t size)
{
	char at[32], limit[32], spent[32], rate[32], until[32], reset[128] = "";

	if (f->end_s)
		(void)snprintf(reset, sizeof(reset), ", before the reset at %s", moment(f, f->end_s, until, sizeof(until)));
	(void)snprintf(ret, size, "%s: at this rate the %s budget is used up at %s%s (%s): %s of %s spent, %s an hour of late", f->account,
		       units_window_names[f->window], moment(f, f->used_up_s, at, sizeof(at)), reset, zone_of(f),
		       usd_show_short(f->spent, spent, sizeof(spent)), usd_show_short(f->limit, limit, sizeof(limit)),
		       usd_show_short(f->per_hour, rate, sizeof(rate)));
}

static void say_refused(const struct alert_fact *f, char *ret, size_t size)
{
	char more[64] = "";

	if (f->count > 1)
		(void)snprintf(more, sizeof(more), " (%llu since the last alert)", (unsigned long long)f->count);
	if (f->why.reason == REFUSAL_RULE)
		(void)snprintf(ret, size, "%s: a call was refused by the rule %s%s%s%s", f->account, f->why.rule, f->why.detail[0] ? ": " : "",
			       f->why.detail, more);
	else if (f->why.reason == REFUSAL_BUDGET || f->why.reason == REFUSAL_BUDGET_HELD)
		(void)snprintf(ret, size, "%s: a call was refused: it did not fit the %s budget%s", f->account,
			       units_window_names[f->why.window], more);
	else
		(void)snprintf(ret, size, "%s: a call was refused: %s%s%s%s", f->account, units_refusal_names[f->why.reason],
			       f->why.detail[0] ? ": " : "", f->why.detail, more);
}

static void say_overrun(const struct alert_fact *f, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%llu call%s cost more than was held for %s: a provider billed more than its limits allow, or a price is "
		       "missing; see `purse ledger`", (unsigned long long)f->count, f->count == 1 ? "" : "s", f->count == 1 ? "it" : "them");
}

static void say_ledger(const struct alert_fact *f, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s", f->over ? "the ledger can write again" : "the ledger cannot write: new calls are refused until it can");
}

static void say_gate(const struct alert_fact *f, char *ret, size_t size)
{
	(void)snprintf(ret, size, f->over ? "the gate is attached as it should be again%.0s"
					  : "the gate is not attached as it should be: %.400s", f->detail);
}

static void say_test(const struct alert_fact *f, char *ret, size_t size)
{
	(void)snprintf(ret, size, "this is a test of the alert \"%s\"", f->alert);
}

void alert_say(const struct alert_fact *f, char *ret, size_t size)
{
	static void (*const says[ALERT_KIND_COUNT])(const struct alert_fact *f, char *ret, size_t size) = {
		[ALERT_THRESHOLD] = say_threshold, [ALERT_FORECAST] = say_forecast, [ALERT_REFUSED] = say_refused,
		[ALERT_RULE] = say_refused,	   [ALERT_OVERRUN] = say_overrun,   [ALERT_LEDGER] = say_ledger,
		[ALERT_GATE] = say_gate,	   [ALERT_TEST] = say_test,
	};

	says[f->kind](f, ret, size);
}

/* ---- JSON */

static void put_time(struct jsonw *w, const char *key, int64_t at_s)
{
	char mem[32];

	jsonw_cstr(w, key, at_s ? units_show_time(at_s * 1000000000, false, mem, sizeof(mem)) : NULL);
}

static void put_window(struct jsonw *w, const struct alert_fact *f)
{
	jsonw_cstr(w, "window", units_window_names[f->window]);
	if (f->kind == ALERT_THRESHOLD)
		jsonw_i64(w, "percent", f->percent);
	jsonw_usd(w, "limit", f->limit);
	jsonw_usd(w, "spent", f->spent);
	jsonw_usd(w, "held", f->held);
	jsonw_usd(w, "left", f->limit - f->spent - f->held);
	put_time(w, "began_at", f->start_s);
	put_time(w, "resets_at", f->end_s);
	jsonw_cstr(w, "timezone", zone_of(f));
	if (f->kind == ALERT_FORECAST) {
		put_time(w, "used_up_at", f->used_up_s);
		jsonw_usd(w, "per_hour", f->per_hour);
	}
}

static void put_refusal(struct jsonw *w, const struct alert_fact *f)
{
	const struct refusal *why = &f->why;
	bool money = why->reason == REFUSAL_BUDGET || why->reason == REFUSAL_BUDGET_HELD;

	jsonw_cstr(w, "reason", units_refusal_names[why->reason]);
	jsonw_cstr(w, "rule", why->rule[0] ? why->rule : NULL);
	jsonw_cstr(w, "window", money ? units_window_names[why->window] : NULL);
	jsonw_usd(w, "limit", why->limit);
	jsonw_usd(w, "spent", why->spent);
	jsonw_usd(w, "held", why->held);
	jsonw_usd(w, "needed", why->needed);
	put_time(w, "resets_at", why->reset_s);
	jsonw_cstr(w, "detail", why->detail);
	jsonw_i64(w, "count", (int64_t)f->count);
}

int alert_write(const struct alert_fact *f, const char *text, struct buf *out)
{
	char host[128] = "";
	struct jsonw w;

	(void)gethostname(host, sizeof(host) - 1);
	jsonw_init(&w, out);
	jsonw_object(&w, NULL);
	jsonw_cstr(&w, "id", f->id);
	jsonw_cstr(&w, "alert", f->alert);
	jsonw_cstr(&w, "kind", alert_kind_names[f->kind]);
	put_time(&w, "time", f->now_s);
	jsonw_cstr(&w, "host", host);
	jsonw_cstr(&w, "text", text);
	jsonw_cstr(&w, "account", f->account[0] ? f->account : NULL);
	if (f->kind == ALERT_THRESHOLD || f->kind == ALERT_FORECAST)
		put_window(&w, f);
	if (f->kind == ALERT_REFUSED || f->kind == ALERT_RULE)
		put_refusal(&w, f);
	if (f->kind == ALERT_OVERRUN)
		jsonw_i64(&w, "count", (int64_t)f->count);
	if (f->kind == ALERT_LEDGER || f->kind == ALERT_GATE)
		jsonw_bool(&w, "over", f->over);
	if (f->kind == ALERT_GATE && f->detail[0])
		jsonw_cstr(&w, "detail", f->detail);
	jsonw_close(&w);
	return jsonw_end(&w);
}
