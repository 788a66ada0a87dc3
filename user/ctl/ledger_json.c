// SPDX-License-Identifier: Apache-2.0
/* ledger_json.c: see ledger_json.h. Amounts are decimal USD, exact to the nano-dollar. */
#include "ctl/ledger_json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "ctl/units.h"
#include "ctl_abi.h"
#include "spend/budget/window.h"

const char *const ledger_kind_names[LEDGER_KIND_COUNT] = {
	[LEDGER_CALLS] = "calls",   [LEDGER_REFUSALS] = "refusals", [LEDGER_CHANGES] = "changes",
	[LEDGER_GROUPS] = "groups", [LEDGER_BILL] = "bill",
};

#define NAME_OF(name) #name,
#define SUM_FIELDS "calls", "estimated", "unknown", "cost", "estimated_cost", "unknown_cost", LEDGER_USAGE(NAME_OF)
static const char *const call_fields[] = {
	"call_id", "started", "account", "agent", "comm", "pid", "provider", "model", "served_model", "endpoint", "tier", "input",
	"cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning", "audio_input", "audio_output", "web_searches",
	"usage_known", "held", "cost", "estimated", "price", "status", "end", "first_byte_us", "total_us", "request_id", "cgroup_id",
	/* Added later: at the end, so that columns keep their numbers. */
	"audio_cache_read", "image_input", "image_cache_read", "video_input", "image_output", "file_searches", "code_sessions", "images",
	"audio_ms", "video_ms", "characters", "pages", NULL,
};
static const char *const refusal_fields[] = { "at", "agent", "provider", "model", "reason", "account", "window", "limit", "spent", "held",
					      "needed", "resets_at", "detail", "rule", "retry_s", "dry_run", NULL };
static const char *const change_fields[] = { "at", "who", "what", "verb", "subject", "before", "after", NULL };
static const char *const group_fields[] = { "account", "agent", "provider", "model", "day", "hour", "pid", "cgroup", SUM_FIELDS NULL };
static const char *const bill_fields[] = { "day", "model", "tier", "price", "cost_cents", SUM_FIELDS NULL };

static const char *const *const fields[LEDGER_KIND_COUNT] = {
	[LEDGER_CALLS] = call_fields,   [LEDGER_REFUSALS] = refusal_fields, [LEDGER_CHANGES] = change_fields,
	[LEDGER_GROUPS] = group_fields, [LEDGER_BILL] = bill_fields,
};

const char *const *ledger_fields(const struct ledger_ask *a, size_t *ret_n)
{
	size_t n = 0;

	while (fields[a->kind][n])
		n++;
	*ret_n = n;
	return fields[a->kind];
}

/* ---- by */

/* By the bits of enum ledger_by. */
static const char *const by_names[LEDGER_BY_KINDS] = { "account", "agent", "provider", "model", "day", "hour", "pid", "cgroup" };

const char *ledger_by_name(int bit)
{
	return by_names[bit];
}

int ledger_by_parse(const char *words, unsigned *ret, struct err *e)
{
	struct str rest = str_of(words);
	unsigned by = 0;

	while (rest.n > 0) {
		struct str word = str_trim(str_cut(&rest, ','));
		int bit = 0;

		while (bit < LEDGER_BY_KINDS && !str_eq(word, str_of(by_names[bit])))
			bit++;
		if (bit == LEDGER_BY_KINDS)
			return err_set(e, EINVAL, "group by \"%.*s\": is not one of account, agent, provider, model, day, hour, pid, cgroup",
				       STR_FMT(word));
		by |= 1u << bit;
	}
	if (!by)
		return err_set(e, EINVAL, "group by: names nothing; write e.g. agent,day");
	*ret = by;
	return 0;
}

/* ---- rows */

#define PUT_USAGE(name) jsonw_i64(w, #name, u->name);

void ledger_json_call(struct jsonw *w, const struct ledger_call *c)
{
	const struct usage *u = &c->usage;
	char mem[32];

	jsonw_i64(w, "call_id", (int64_t)c->call_id);
	jsonw_cstr(w, "account", c->account);
	jsonw_cstr(w, "agent", c->agent);
	jsonw_cstr(w, "comm", c->comm);
	jsonw_i64(w, "pid", c->pid);
	jsonw_i64(w, "cgroup_id", (int64_t)c->cgroup_id);
	jsonw_cstr(w, "provider", c->provider);
	jsonw_cstr(w, "model", c->model);
	jsonw_cstr(w, "served_model", c->served_model);
	jsonw_cstr(w, "endpoint", (unsigned)c->endpoint < ENDPOINT_COUNT ? units_endpoint_names[c->endpoint] : "unknown");
	jsonw_cstr(w, "tier", (unsigned)c->tier < TIER_COUNT ? units_tier_names[c->tier] : "unknown");
	LEDGER_USAGE(PUT_USAGE)
	jsonw_bool(w, "usage_known", c->usage_known);
	jsonw_usd(w, "held", c->held);
	jsonw_usd(w, "cost", c->cost);
	jsonw_bool(w, "estimated", c->estimated);
	jsonw_cstr(w, "price", c->price);
	jsonw_i64(w, "status", c->status);
	jsonw_cstr(w, "end", c->end);
	jsonw_cstr(w, "started", units_show_time(c->started_ns, true, mem, sizeof(mem)));
	jsonw_i64(w, "first_byte_us", c->first_byte_us);
	jsonw_i64(w, "total_us", c->total_us);
	jsonw_cstr(w, "request_id", c->request_id);
}

static void put_refusal(struct jsonw *w, const struct ledger_row *row)
{
	const struct refusal *why = &row->why;
	bool money = why->reason == REFUSAL_BUDGET || why->reason == REFUSAL_BUDGET_HELD;
	char mem[32];

	jsonw_cstr(w, "at", units_show_time(row->at_ns, true, mem, sizeof(mem)));
	jsonw_cstr(w, "agent", row->who);
	jsonw_cstr(w, "provider", row->call.provider);
	jsonw_cstr(w, "model", row->call.model);
	jsonw_cstr(w, "reason", (unsigned)why->reason < REFUSAL_REASON_COUNT ? units_refusal_names[why->reason] : "unknown");
	jsonw_cstr(w, "account", why->account[0] ? why->account : NULL);
	jsonw_cstr(w, "window", money && (unsigned)why->window < WINDOW_COUNT ? units_window_names[why->window] : NULL);
	jsonw_usd(w, "limit", why->limit);
	jsonw_usd(w, "spent", why->spent);
	jsonw_usd(w, "held", why->held);
	jsonw_usd(w, "needed", why->needed);
	jsonw_cstr(w, "resets_at", why->reset_s ? units_show_time(why->reset_s * 1000000000, false, mem, sizeof(mem)) : NULL);
	jsonw_cstr(w, "detail", why->detail);
	jsonw_cstr(w, "rule", why->rule[0] ? why->rule : NULL);
	jsonw_i64(w, "retry_s", why->retry_s);
	jsonw_bool(w, "dry_run", row->dry_run);
}

static void put_change(struct jsonw *w, const struct ledger_row *row)
{
	char mem[32];

	jsonw_cstr(w, "at", units_show_time(row->at_ns, true, mem, sizeof(mem)));
	jsonw_cstr(w, "who", row->who);
	jsonw_cstr(w, "what", row->what);
	jsonw_cstr(w, "verb", row->verb);
	jsonw_cstr(w, "subject", row->subject[0] ? row->subject : NULL);
	/* JSON as a text: what an older or a newer version wrote is shown as it stands. */
	jsonw_cstr(w, "before", row->before && row->before[0] ? row->before : NULL);
	jsonw_cstr(w, "after", row->after && row->after[0] ? row->after : NULL);
}

static void put_sum(struct jsonw *w, const struct ledger_sum *s)
{
	const struct usage *u = &s->usage;

	jsonw_i64(w, "calls", s->calls);
	jsonw_i64(w, "estimated", s->estimated);
	jsonw_i64(w, "unknown", s->unknown);
	jsonw_usd(w, "cost", s->cost);
	jsonw_usd(w, "estimated_cost", s->estimated_cost);
	jsonw_usd(w, "unknown_cost", s->unknown_cost);
	LEDGER_USAGE(PUT_USAGE)
}

struct listing {
	struct jsonw *w;
	const struct ledger_ask *ask;
	struct ledger_sum sum; /* of all rows */
};

static void put_row(void *ctx, const struct ledger_row *row)
{
	struct listing *l = ctx;

	jsonw_object(l->w, NULL);
	if (l->ask->kind == LEDGER_REFUSALS) {
		put_refusal(l->w, row);
	} else if (l->ask->kind == LEDGER_CHANGES) {
		put_change(l->w, row);
	} else {
		ledger_json_call(l->w, &row->call);
		ledger_sum_call(&l->sum, &row->call);
	}
	jsonw_close(l->w);
}

static void put_key(struct jsonw *w, unsigned by, const struct ledger_group *g)
{
	char mem[32];

	if (by & LEDGER_BY_ACCOUNT)
		jsonw_cstr(w, "account", g->account);
	if (by & LEDGER_BY_AGENT)
		jsonw_cstr(w, "agent", g->agent);
	if (by & LEDGER_BY_PROVIDER)
		jsonw_cstr(w, "provider", g->provider);
	if (by & LEDGER_BY_MODEL)
		jsonw_cstr(w, "model", g->model);
	if (by & (LEDGER_BY_DAY | LEDGER_BY_HOUR)) {
		(void)units_show_time(g->at_s * 1000000000, false, mem, sizeof(mem));
		if (by & LEDGER_BY_HOUR)
			jsonw_cstr(w, "hour", mem);
		mem[10] = '\0';
		if (by & LEDGER_BY_DAY)
			jsonw_cstr(w, "day", mem);
	}
	if (by & LEDGER_BY_PID)
		jsonw_i64(w, "pid", g->pid);
	if (by & LEDGER_BY_CGROUP)
		jsonw_i64(w, "cgroup", (int64_t)g->cgroup_id);
}

static void put_group(void *ctx, const struct ledger_group *g)
{
	struct listing *l = ctx;

	jsonw_object(l->w, NULL);
	put_key(l->w, l->ask->by, g);
	put_sum(l->w, &g->sum);
	jsonw_close(l->w);
	ledger_sum_add(&l->sum, &g->sum);
}

/* Half a cent and more is a cent, as on a bill. */
static void put_cents(struct jsonw *w, nanousd cost)
{
	char mem[48];
	int64_t cents = cost / 10000000 + (cost % 10000000 >= 5000000);

	(void)snprintf(mem, sizeof(mem), "%lld.%02lld", (long long)(cents / 100), (long long)(cents % 100));
	jsonw_cstr(w, "cost_cents", mem);
}

static void put_line(void *ctx, const struct ledger_bill_line *line)
{
	struct listing *l = ctx;
	char mem[32];

	jsonw_object(l->w, NULL);
	if (l->ask->by_day) {
		(void)units_show_time(line->day_s * 1000000000, false, mem, sizeof(mem));
		mem[10] = '\0';
		jsonw_cstr(l->w, "day", mem);
	}
	jsonw_cstr(l->w, "model", line->model);
	jsonw_cstr(l->w, "tier", (unsigned)line->tier < TIER_COUNT ? units_tier_names[line->tier] : "unknown");
	jsonw_cstr(l->w, "price", line->price);
	put_cents(l->w, line->sum.cost);
	put_sum(l->w, &line->sum);
	jsonw_close(l->w);
	ledger_sum_add(&l->sum, &line->sum);
}

static int put_rows(struct ledger *l, struct listing *listing, bool *ret_pruned, struct err *e)
{
	const struct ledger_ask *a = listing->ask;
	struct ledger_query q = a->q;

	if (a->kind == LEDGER_GROUPS)
		return ledger_groups(l, &q, a->by, put_group, listing, ret_pruned, e);
	if (a->kind == LEDGER_BILL)
		return ledger_bill(l, q.provider ? q.provider : "", q.since_s, q.until_s ? q.until_s : INT64_MAX, a->by_day, put_line,
				   listing, e);
	q.refusals = a->kind == LEDGER_REFUSALS;
	q.changes = a->kind == LEDGER_CHANGES;
	return ledger_read(l, &q, put_row, listing, e);
}

int ledger_json(struct ledger *l, const struct ledger_ask *a, struct buf *out, struct err *e)
{
	struct jsonw w;
	struct listing listing = { .w = &w, .ask = a };
	bool pruned = false;

	jsonw_init(&w, out);
	jsonw_object(&w, NULL);
	jsonw_array(&w, ledger_kind_names[a->kind]);
	int r = put_rows(l, &listing, &pruned, e);

	jsonw_close(&w);
	if (a->kind != LEDGER_REFUSALS && a->kind != LEDGER_CHANGES) {
		jsonw_object(&w, "sums");
		put_cents(&w, listing.sum.cost);
		put_sum(&w, &listing.sum);
		jsonw_close(&w);
	}
	if (a->kind == LEDGER_GROUPS)
		jsonw_bool(&w, "pruned", pruned);
	jsonw_close(&w);
	if (jsonw_end(&w) < 0 && r == 0)
		r = err_set(e, EMSGSIZE, "ledger: the answer is longer than %d MiB; ask for less with --limit, --since or "
			    "--agent", CTL_ANSWER_MAX >> 20);
	return r;
}
