// SPDX-License-Identifier: Apache-2.0
/* routes_read.c: control requests that look and change nothing. What they write is the command line's --json, word for word. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/jsonw.h"
#include "base/str.h"
#include "ctl/agents.h"
#include "ctl/config.h"
#include "ctl/endpoints.h"
#include "ctl/events.h"
#include "ctl/route.h"
#include "ctl/units.h"
#include "ctl_abi.h"
#include "kern/gate.h"
#include "spend/budget.h"
#include "spend/ledger.h"
#include "wire/ca.h"

static void begin(struct jsonw *w, struct answer *a)
{
	jsonw_init(w, a->body);
	jsonw_object(w, NULL);
}

static void finish(struct jsonw *w, struct answer *a)
{
	jsonw_close(w);
	if (jsonw_end(w) < 0)
		answer_refuse(a, 500, "the answer is longer than %d MiB; ask for less of it", CTL_ANSWER_MAX >> 20);
}

/* ---- gate, trust */

void route_gate(const struct control *c, const struct request *r, struct answer *a)
{
	const struct gate_state *s = gate_state(c->gate);
	uint64_t counters[GATE_COUNT_COUNT];
	struct daemon_view v = { 0 };
	struct jsonw w;

	c->describe(c->daemon, &v);
	gate_counters(c->gate, counters);
	begin(&w, a);
	jsonw_bool(&w, "links_ok", v.gate_ok);
	jsonw_cstr(&w, "problem", v.gate_text[0] ? v.gate_text : NULL);
	jsonw_i64(&w, "heartbeat_age_ms", (clock_boot_ns() - (int64_t)s->heartbeat_ns) / 1000000);
	jsonw_i64(&w, "stale_after_ms", (int64_t)s->stale_after_ns / 1000000);
	jsonw_bool(&w, "others_deny", s->others_deny);
	jsonw_i64(&w, "generation", (int64_t)s->generation);
	jsonw_i64(&w, "daemon_cgroup", (int64_t)s->daemon_cgroup);
	jsonw_object(&w, "counters");
	for (int i = 0; i < GATE_COUNT_COUNT; i++)
		jsonw_i64(&w, gate_counter_name((enum gate_counter)i), (int64_t)counters[i]);
	jsonw_close(&w);
	finish(&w, a);
}

void route_trust(const struct control *c, const struct request *r, struct answer *a)
{
	char fingerprint[128] = "", mem[32], path[1200];
	int64_t not_after_s = 0;
	struct jsonw w;

	ca_describe(c->ca, fingerprint, sizeof(fingerprint), &not_after_s);
	begin(&w, a);
	jsonw_cstr(&w, "fingerprint", fingerprint);
	jsonw_cstr(&w, "not_after", units_show_time(not_after_s * 1000000000, false, mem, sizeof(mem)));
	(void)snprintf(path, sizeof(path), "%s/root.pem", c->trust_dir);
	jsonw_cstr(&w, "root", path);
	(void)snprintf(path, sizeof(path), "%s/bundle.pem", c->trust_dir);
	jsonw_cstr(&w, "bundle", path);
	jsonw_array(&w, "names");
	for (size_t i = 0; i < c->config->providers.n; i++)
		for (size_t j = 0; j < c->config->providers.v[i].hosts.n; j++)
			jsonw_cstr(&w, NULL, c->config->providers.v[i].hosts.v[j]);
	jsonw_close(&w);
	finish(&w, a);
}

/* ---- events */

void route_events(const struct control *c, const struct request *r, struct answer *a)
{
	char mem[8];
	bool bad, follows = query_find(r->query, "follow", mem, sizeof(mem), &bad) && !bad && strcmp(mem, "1") == 0;

	a->type = "application/x-ndjson";
	a->length = follows ? ANSWER_EVENTS : ANSWER_WHOLE;
	/* Like tail -f: a few for context. */
	int ret = events_write(c->events, follows ? 10 : CTL_EVENTS_KEPT, a->body);
	if (ret < 0)
		answer_refuse(a, 500, "events: %s", strerror(-ret));
}

/* Held by each `purse run`: an embedded daemon lives as long as somebody holds one. */
void route_lease(const struct control *c, const struct request *r, struct answer *a)
{
	struct jsonw w;

	begin(&w, a);
	jsonw_i64(&w, "pid", getpid());
	finish(&w, a);
	a->length = ANSWER_LEASE;
}

/* ---- ledger */

static void put_call(struct jsonw *w, const struct ledger_call *c)
{
	char mem[32];

	jsonw_i64(w, "call_id", (int64_t)c->call_id);
	jsonw_cstr(w, "account", c->account);
	jsonw_cstr(w, "agent", c->agent);
	jsonw_cstr(w, "comm", c->comm);
	jsonw_i64(w, "pid", c->pid);
	jsonw_cstr(w, "provider", c->provider);
	jsonw_cstr(w, "model", c->model);
	jsonw_cstr(w, "served_model", c->served_model);
	jsonw_cstr(w, "endpoint", (unsigned)c->endpoint < ENDPOINT_COUNT ? units_endpoint_names[c->endpoint] : "unknown");
	jsonw_cstr(w, "tier", (unsigned)c->tier < TIER_COUNT ? units_tier_names[c->tier] : "unknown");
	jsonw_i64(w, "input", c->usage.input);
	jsonw_i64(w, "cache_read", c->usage.cache_read);
	jsonw_i64(w, "cache_write_5m", c->usage.cache_write_5m);
	jsonw_i64(w, "cache_write_1h", c->usage.cache_write_1h);
	jsonw_i64(w, "output", c->usage.output);
	jsonw_i64(w, "reasoning", c->usage.reasoning);
	jsonw_i64(w, "audio_input", c->usage.audio_input);
	jsonw_i64(w, "audio_output", c->usage.audio_output);
	jsonw_i64(w, "web_searches", c->usage.web_searches);
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
}

struct listing {
	struct jsonw *w;
	const struct ledger_query *q;
};

static void put_row(void *ctx, const struct ledger_row *row)
{
	struct listing *l = ctx;
	char mem[32];

	jsonw_object(l->w, NULL);
	if (l->q->refusals) {
		put_refusal(l->w, row);
	} else if (l->q->changes) {
		jsonw_cstr(l->w, "at", units_show_time(row->at_ns, true, mem, sizeof(mem)));
		jsonw_cstr(l->w, "who", row->who);
		jsonw_cstr(l->w, "what", row->what);
	} else {
		put_call(l->w, &row->call);
	}
	jsonw_close(l->w);
}

/* The same with and without a daemon: the command line calls it on a ledger that it opened itself. */
int route_ledger_write(struct ledger *l, const struct ledger_query *q, struct buf *out, struct err *e)
{
	struct jsonw w;
	struct listing listing = { .w = &w, .q = q };

	jsonw_init(&w, out);
	jsonw_object(&w, NULL);
	jsonw_array(&w, q->refusals ? "refusals" : q->changes ? "changes" : "calls");
	int r = ledger_read(l, q, put_row, &listing, e);
	jsonw_close(&w);
	jsonw_close(&w);
	if (jsonw_end(&w) < 0 && r == 0)
		r = err_set(e, EMSGSIZE, "ledger: the answer is longer than %d MiB; ask for less with --limit, --since or "
			    "--agent", CTL_ANSWER_MAX >> 20);
	return r;
}

/* One number of the query. false: *a refuses. */
static bool take_number(const struct request *r, const char *key, int64_t max, int64_t *ret, struct answer *a)
{
	char mem[32];
	bool bad;

	if (!query_find(r->query, key, mem, sizeof(mem), &bad))
		return true;
	if (!bad && str_to_i64(str_of(mem), ret) == 0 && *ret <= max)
		return true;
	answer_refuse(a, 400, "%s: is not a whole number up to %lld", key, (long long)max);
	return false;
}

static bool take_text(const struct request *r, const char *key, char *mem, size_t size, const char **ret,
		      struct answer *a)
{
	bool bad;

	if (!query_find(r->query, key, mem, size, &bad))
		return true;
	*ret = mem;
	if (bad)
		answer_refuse(a, 400, "%s: is not a text of at most %zu bytes", key, size - 1);
	return !bad;
}

void route_ledger(const struct control *c, const struct request *r, struct answer *a)
{
	struct ledger_query q = { .limit = CTL_LEDGER_ROWS_DEFAULT };
	char agent[GATE_NAME_MAX], model[GATE_MODEL_MAX], provider[32], kind[16];
	const char *wanted = "calls";
	struct err e = { "" };

	if (!take_text(r, "agent", agent, sizeof(agent), &q.agent, a) ||
	    !take_text(r, "model", model, sizeof(model), &q.model, a) ||
	    !take_text(r, "provider", provider, sizeof(provider), &q.provider, a) ||
	    !take_text(r, "kind", kind, sizeof(kind), &wanted, a) ||
	    !take_number(r, "since", INT64_C(1) << 40, &q.since_s, a) ||
	    !take_number(r, "until", INT64_C(1) << 40, &q.until_s, a) ||
	    !take_number(r, "limit", CTL_LEDGER_ROWS_MAX, &q.limit, a))
		return;
	q.refusals = strcmp(wanted, "refusals") == 0;
	q.changes = strcmp(wanted, "changes") == 0;
	if (!q.refusals && !q.changes && strcmp(wanted, "calls") != 0) {
		answer_refuse(a, 400, "kind: \"%s\" is not calls, refusals or changes", wanted);
		return;
	}
	int ret = route_ledger_write(c->ledger, &q, a->body, &e);
	if (ret < 0)
		answer_error(a, ret, &e);
}
