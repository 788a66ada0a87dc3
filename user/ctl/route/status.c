// SPDX-License-Identifier: Apache-2.0
/* route/status.c: GET /v1/status and /v1/healthz: the daemon, its agents, and every account with its windows, raise and rules. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/jsonw.h"
#include "base/str.h"
#include "ctl/agents.h"
#include "ctl/config/config.h"
#include "ctl/endpoints.h"
#include "ctl/openings.h"
#include "ctl/route/route.h"
#include "ctl/config/rules_yaml.h"
#include "ctl/units.h"
#include "ctl_abi.h"
#include "spend/budget/budget.h"
#include "kern/gate.h"
#include "spend/ledger/ledger.h"

#define SECOND_NS INT64_C(1000000000)

struct writing {
	struct jsonw *w;
	const struct control *c;
	int64_t now_s;
	const char *zone; /* of the account that is being written */
};

/* ---- windows */

static void put_moment(struct jsonw *w, const char *key, int64_t at_s)
{
	char mem[32];

	jsonw_cstr(w, key, at_s ? units_show_time(at_s * SECOND_NS, false, mem, sizeof(mem)) : NULL);
}

/* As a clock on the account's wall shows it. */
static void put_local(const struct writing *wr, const char *key, int64_t at_s)
{
	char mem[32];

	jsonw_cstr(wr->w, key, at_s ? units_show_local(wr->zone, at_s, mem, sizeof(mem)) : NULL);
}

static void put_window(const struct writing *wr, enum window_kind kind, const struct window_view *v)
{
	struct jsonw *w = wr->w;

	jsonw_object(w, units_window_names[kind]);
	if (v->limited) {
		jsonw_usd(w, "limit", v->limit);
		jsonw_usd(w, "spent", v->spent);
		jsonw_usd(w, "held", v->held);
		jsonw_usd(w, "left", v->limit - v->spent - v->held);
		if (v->raised)
			jsonw_usd(w, "raised", v->raised);
	} else {
		jsonw_null(w, "limit");
		jsonw_usd(w, "spent", v->spent);
		jsonw_usd(w, "held", v->held);
		jsonw_null(w, "left");
	}
	put_moment(w, "resets_at", v->end_s);
	put_local(wr, "resets_local", v->end_s);
	jsonw_close(w);
}

/* ---- raise */

static void put_raise(const struct writing *wr, const struct account_view *v)
{
	if (!v->raise_until_s) {
		jsonw_null(wr->w, "raise");
		return;
	}
	jsonw_object(wr->w, "raise");
	for (int k = 0; k < WINDOW_COUNT; k++)
		if (v->windows[k].raised)
			jsonw_usd(wr->w, units_window_names[k], v->windows[k].raised);
	put_moment(wr->w, "until", v->raise_until_s);
	put_local(wr, "until_local", v->raise_until_s);
	jsonw_close(wr->w);
}

/* ---- rules */

static void say_globs(char *ret, size_t size, const char *word, const char (*globs)[RULES_GLOB_MAX], size_t n)
{
	size_t used = strlen(ret);

	for (size_t i = 0; i < n && used < size; i++)
		used += (size_t)snprintf(ret + used, size - used, "%s%s%s", i ? ", " : used ? "; " : "", i ? "" : word, globs[i]);
}

/* What the rule says, in a few words. */
static const char *say_rule(const struct rules *r, enum rule rule, const struct rule_view *v, char *ret, size_t size)
{
	char usd[32], within[32];

	ret[0] = '\0';
	if (rule == RULE_MODELS) {
		say_globs(ret, size, "only ", r->allow, r->nallow);
		say_globs(ret, size, "never ", r->deny, r->ndeny);
	} else if (rule == RULE_LOOP) {
		(void)snprintf(ret, size, "the same %lld times within %s", (long long)r->loop_times,
			       units_show_ns(r->loop_within_s * SECOND_NS, within, sizeof(within)));
	} else if (rule == RULE_BURN) {
		(void)snprintf(ret, size, "%lld times the budget's pace within %s", (long long)r->burn_times,
			       units_show_ns(r->burn_within_s * SECOND_NS, within, sizeof(within)));
	} else if (rule == RULE_PER_CALL) {
		(void)snprintf(ret, size, "%s", usd_show_short(r->per_call, usd, sizeof(usd)));
	} else if (rule == RULE_MODEL_LIMIT) {
		(void)snprintf(ret, size, "below");
	} else {
		(void)snprintf(ret, size, "%lld", (long long)v->limit);
	}
	return ret;
}

static void put_rule(struct jsonw *w, const char *account, const struct rules *r, enum rule rule, const struct rule_view *v)
{
	bool is_money = rule == RULE_BURN || rule == RULE_PER_CALL;
	bool has_seen = rule == RULE_IN_FLIGHT || rule == RULE_REQUESTS || rule == RULE_TOKENS || rule == RULE_BURN;
	/* How much burns too fast hangs on each window's limit and length. */
	bool has_limit = rule == RULE_PER_CALL || rule == RULE_LOOP || (has_seen && rule != RULE_BURN);
	char text[512];

	jsonw_object(w, NULL);
	jsonw_cstr(w, "account", account);
	jsonw_cstr(w, "rule", rule_name(rule));
	jsonw_cstr(w, "says", say_rule(r, rule, v, text, sizeof(text)));
	if (!has_seen)
		jsonw_null(w, "now");
	else if (is_money)
		jsonw_usd(w, "now", v->seen);
	else
		jsonw_i64(w, "now", v->seen);
	if (!has_limit)
		jsonw_null(w, "limit");
	else if (is_money)
		jsonw_usd(w, "limit", v->limit);
	else
		jsonw_i64(w, "limit", v->limit);
	jsonw_bool(w, "dry_run", v->dry_run);
	jsonw_i64(w, "refused", (int64_t)v->refused);
	jsonw_i64(w, "would_refuse", (int64_t)v->would_refuse);
	jsonw_close(w);
}

static void put_model_limit(const struct writing *wr, const char *account, const struct model_limit_view *v)
{
	jsonw_object(wr->w, NULL);
	jsonw_cstr(wr->w, "account", account);
	jsonw_cstr(wr->w, "models", v->models);
	jsonw_object(wr->w, "windows");
	for (int k = 0; k < WINDOW_COUNT; k++)
		if (v->windows[k].limited)
			put_window(wr, (enum window_kind)k, &v->windows[k]);
	jsonw_close(wr->w);
	jsonw_close(wr->w);
}

static void put_rules(const struct writing *wr, const struct account_spec *spec, uint32_t index)
{
	struct jsonw *w = wr->w;
	struct rules_view v;

	rules_put(w, "rules", &spec->rules);
	if (!rules_any(&spec->rules) || budget_rules_view(wr->c->budget, index, wr->now_s * SECOND_NS, &v) < 0)
		return;
	jsonw_array(w, "rule_figures");
	for (int r = 0; r < RULE_COUNT; r++)
		if (v.v[r].set)
			put_rule(w, spec->name, &spec->rules, (enum rule)r, &v.v[r]);
	jsonw_close(w);
	jsonw_array(w, "model_limits");
	for (size_t i = 0; i < v.nmodel_limits; i++)
		put_model_limit(wr, spec->name, &v.model_limits[i]);
	jsonw_close(w);
}

/* ---- accounts, agents, endpoints */

static bool put_account(void *ctx, const char *name, uint32_t index)
{
	struct writing *wr = ctx;
	struct jsonw *w = wr->w;
	const struct account_spec *spec = agents_spec(wr->c->agents, name);
	struct account_view v;
	char mem[8];

	if (!spec || budget_view(wr->c->budget, index, wr->now_s, &v) < 0)
		return true;
	wr->zone = spec->zone;
	jsonw_object(w, NULL);
	jsonw_cstr(w, "name", name);
	jsonw_cstr(w, "parent", v.parent[0] ? v.parent : NULL);
	jsonw_bool(w, "paused", v.paused);
	jsonw_usd(w, "exhausted_below", v.floor);
	jsonw_cstr(w, "timezone", spec->zone[0] ? spec->zone : "UTC");
	jsonw_cstr(w, "resets_at", units_show_minute(spec->reset_minute, mem, sizeof(mem)));
	jsonw_bool(w, "clamp", spec->clamp);
	jsonw_i64(w, "calls", (int64_t)v.calls);
	jsonw_i64(w, "refusals", (int64_t)v.refusals);
	jsonw_object(w, "windows");
	for (int k = 0; k < WINDOW_COUNT; k++)
		if (v.windows[k].limited || k == WINDOW_TOTAL)
			put_window(wr, (enum window_kind)k, &v.windows[k]);
	jsonw_close(w);
	put_raise(wr, &v);
	put_rules(wr, spec, index);
	jsonw_close(w);
	return true;
}

static void put_openings(struct jsonw *w, const struct caps_agent *found)
{
	jsonw_array(w, "open_ways");
	for (int i = 0; found && i < CAPS_WAY_COUNT; i++) {
		const struct caps_way_row *row = caps_way((enum caps_way)i);

		if (!(found->ways & (1u << i)))
			continue;
		jsonw_object(w, NULL);
		jsonw_cstr(w, "way", row->word);
		jsonw_cstr(w, "needs", row->needs);
		jsonw_cstr(w, "text", row->text);
		jsonw_i64(w, "pid", found->by[i].pid);
		jsonw_cstr(w, "comm", found->by[i].comm);
		jsonw_close(w);
	}
	jsonw_close(w);
}

static bool put_agent(void *ctx, const struct agent_view *v)
{
	struct writing *wr = ctx;
	struct jsonw *w = wr->w;

	jsonw_object(w, NULL);
	jsonw_cstr(w, "name", v->name);
	jsonw_cstr(w, "cgroup", v->cgroup);
	jsonw_i64(w, "cgroup_id", (int64_t)v->cgroup_id);
	jsonw_cstr(w, "cgroup_dir", v->dir);
	jsonw_bool(w, "cgroup_missing", v->missing);
	jsonw_cstr(w, "account", v->name);
	jsonw_bool(w, "paused", v->flags & GATE_AGENT_PAUSED);
	jsonw_cstr(w, "on_exhausted", v->flags & GATE_AGENT_EXPLAIN ? "explain" : "refuse");
	jsonw_cstr(w, "on_failure", v->flags & GATE_AGENT_FAIL_OPEN ? "open" : "closed");
	jsonw_bool(w, "in_config", v->from_config);
	jsonw_bool(w, "temporary", v->temporary);
	put_openings(w, openings_find(wr->c->openings, v->name));
	jsonw_close(w);
	return true;
}

static bool put_endpoint(void *ctx, size_t i, const struct endpoint_view *v)
{
	struct writing *wr = ctx;
	char mem[64];

	jsonw_object(wr->w, NULL);
	jsonw_cstr(wr->w, "provider", v->provider);
	jsonw_cstr(wr->w, "host", v->host);
	jsonw_cstr(wr->w, "known_by", v->fixed ? "config" : v->wildcard ? "sni" : "dns");
	jsonw_array(wr->w, "addresses");
	for (size_t j = 0; j < v->naddrs; j++)
		jsonw_cstr(wr->w, NULL, endpoints_address(wr->c->endpoints, i, j, mem, sizeof(mem)));
	jsonw_close(wr->w);
	jsonw_cstr(wr->w, "error", v->error[0] ? v->error : NULL);
	jsonw_close(wr->w);
	return true;
}

static bool is_healthy(const struct daemon_view *v)
{
	return v->path_alive && v->beating && v->gate_ok && v->ledger_healthy;
}

static void put_daemon(struct jsonw *w, const struct control *c, const struct daemon_view *v)
{
	jsonw_object(w, "daemon");
	jsonw_i64(w, "pid", getpid());
	jsonw_cstr(w, "version", PURSE_VERSION);
	jsonw_bool(w, "healthy", is_healthy(v));
	jsonw_i64(w, "uptime_s", v->uptime_s);
	jsonw_i64(w, "port4", v->port4);
	jsonw_i64(w, "port6", v->port6);
	jsonw_i64(w, "in_flight", (int64_t)budget_in_flight(c->budget));
	jsonw_bool(w, "ledger_healthy", v->ledger_healthy);
	jsonw_bool(w, "gate_ok", v->gate_ok);
	jsonw_cstr(w, "gate_problem", v->gate_text[0] ? v->gate_text : NULL);
	jsonw_i64(w, "ledger_queued", (int64_t)ledger_queued(c->ledger));
	jsonw_i64(w, "prices", (int64_t)v->prices);
	jsonw_i64(w, "leases", v->leases);
	jsonw_cstr(w, "config", c->config->path[0] ? c->config->path : NULL);
	jsonw_object(w, "counts");
	for (size_t i = 0; i < v->ncounts; i++)
		jsonw_i64(w, v->counts[i].name, (int64_t)v->counts[i].value);
	jsonw_close(w);
	jsonw_close(w);
}

/* Other network namespaces (containers) in which the daemon listens for agents. */
static void put_namespaces(struct jsonw *w, const struct control *c, const struct daemon_view *v)
{
	jsonw_array(w, "namespaces");
	for (size_t i = 0; i < v->namespaces && i < DAEMON_NAMESPACES_MAX; i++) {
		const struct namespace_view *n = &v->namespace[i];

		jsonw_object(w, NULL);
		jsonw_i64(w, "inode", (int64_t)n->inode);
		jsonw_cstr(w, "agent", agents_name_of(c->agents, n->agent));
		jsonw_i64(w, "pid", n->pid);
		jsonw_i64(w, "port4", n->port4);
		jsonw_i64(w, "port6", n->port6);
		jsonw_close(w);
	}
	jsonw_close(w);
}

void route_status(const struct control *c, const struct request *r, struct answer *a)
{
	struct daemon_view v = { 0 };
	struct jsonw w;
	struct writing wr = { .w = &w, .c = c, .now_s = clock_realtime_ns() / SECOND_NS };

	c->describe(c->daemon, &v);
	answer_begin(&w, a);
	put_daemon(&w, c, &v);
	put_namespaces(&w, c, &v);
	jsonw_array(&w, "agents");
	agents_each(c->agents, put_agent, &wr);
	jsonw_close(&w);
	jsonw_array(&w, "accounts");
	agents_each_account(c->agents, put_account, &wr);
	jsonw_close(&w);
	jsonw_array(&w, "endpoints");
	endpoints_each(c->endpoints, put_endpoint, &wr);
	jsonw_close(&w);
	answer_finish(&w, a);
}

void route_health(const struct control *c, const struct request *r, struct answer *a)
{
	struct daemon_view v = { 0 };
	struct jsonw w;

	c->describe(c->daemon, &v);
	answer_begin(&w, a);
	jsonw_bool(&w, "healthy", is_healthy(&v));
	answer_finish(&w, a);
	a->status = is_healthy(&v) ? 200 : 503;
}
