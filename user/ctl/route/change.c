// SPDX-License-Identifier: Apache-2.0
/* route/change.c: control requests that change something: bodies to struct agent_change, and the answers. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/jsonw.h"
#include "base/str.h"
#include "ctl/agents.h"
#include "ctl/body.h"
#include "ctl/route/route.h"
#include "ctl/units.h"
#include "spend/ledger/ledger.h"

#define AT(member) offsetof(struct agent_change, member)
#define LIMIT(word, kind) \
	{ .key = word, .type = BODY_LIMIT, .offset = AT(limits) + (kind) * sizeof(int64_t), \
	  .has_offset = AT(has_limit) + (kind) * sizeof(bool) }

/* Groups know the rows up to `rules`; the first one is for POST only. */
static const struct body_row rows[] = {
	{ .key = "name", .type = BODY_TEXT, .required = true, .offset = AT(name), .size = GATE_NAME_MAX,
	  .has_offset = SIZE_MAX },
	LIMIT("hour", WINDOW_HOUR),
	LIMIT("day", WINDOW_DAY),
	LIMIT("week", WINDOW_WEEK),
	LIMIT("month", WINDOW_MONTH),
	LIMIT("total", WINDOW_TOTAL),
	{ .key = "parent", .type = BODY_TEXT, .offset = AT(parent), .size = GATE_NAME_MAX,
	  .has_offset = AT(has_parent) },
	{ .key = "exhausted_below", .type = BODY_USD, .offset = AT(floor), .has_offset = AT(has_floor) },
	{ .key = "timezone", .type = BODY_TEXT, .offset = AT(zone), .size = 48, .has_offset = AT(has_zone) },
	{ .key = "resets_at", .type = BODY_TEXT, .offset = AT(resets_at), .size = 8, .has_offset = AT(has_resets_at) },
	{ .key = "clamp", .type = BODY_BOOL, .offset = AT(clamp), .has_offset = AT(has_clamp) },
	{ .key = "rules", .type = BODY_OBJECT, .offset = AT(rules), .size = sizeof(((struct agent_change *)0)->rules),
	  .has_offset = AT(has_rules) },
	{ .key = "cgroup", .type = BODY_TEXT, .offset = AT(cgroup), .size = 512, .has_offset = AT(has_cgroup) },
	{ .key = "on_exhausted", .type = BODY_WORD, .offset = AT(explain), .has_offset = AT(has_on_exhausted),
	  .words = { "refuse", "explain" } },
	{ .key = "on_failure", .type = BODY_WORD, .offset = AT(fail_open), .has_offset = AT(has_on_failure),
	  .words = { "closed", "open" } },
	{ .key = "temporary", .type = BODY_BOOL, .offset = AT(temporary), .has_offset = SIZE_MAX },
};
#define ROWS_ALL (sizeof(rows) / sizeof(rows[0]))
#define ROWS_OF_GROUPS 12

static void answer_done(struct answer *a, const char *name, const char *note)
{
	struct jsonw w;

	answer_begin(&w, a);
	jsonw_cstr(&w, "name", name);
	if (note && note[0])
		jsonw_cstr(&w, "note", note);
	answer_finish(&w, a);
}

static bool take_name(const struct request *r, char *ret, struct answer *a)
{
	if (str_copy(ret, GATE_NAME_MAX, r->name))
		return true;
	answer_refuse(a, 404, "\"%.*s\" is longer than any name", 60, r->name.p);
	return false;
}

static void add(const struct control *c, const struct request *r, struct answer *a, bool is_agent)
{
	struct agent_change change = { 0 };
	struct agent_view v;
	struct jsonw w;
	struct err e = { "" };
	int ret = body_read(rows, is_agent ? ROWS_ALL : ROWS_OF_GROUPS, r->body, &change, &e);

	change.is_agent = is_agent;
	if (ret == 0)
		ret = agents_add(c->agents, &change, r->who, &e);
	if (ret < 0) {
		answer_error(a, ret, &e);
		return;
	}
	a->status = 201;
	a->waits_for = is_agent ? agents_ticket(c->agents) : 0;
	if (!is_agent || agents_find(c->agents, change.name, &v) < 0) {
		answer_done(a, change.name, NULL);
		return;
	}
	answer_begin(&w, a);
	jsonw_cstr(&w, "name", v.name);
	jsonw_cstr(&w, "cgroup", v.cgroup);
	jsonw_cstr(&w, "cgroup_dir", v.dir);
	jsonw_i64(&w, "cgroup_id", (int64_t)v.cgroup_id);
	answer_finish(&w, a);
}

static void set(const struct control *c, const struct request *r, struct answer *a, bool is_agent)
{
	struct agent_change change = { 0 };
	char note[128] = "";
	struct err e = { "" };

	/* The name stands in the path, so the first row is left out; what is temporary stays so. */
	int ret = body_read(rows + 1, (is_agent ? ROWS_ALL - 1 : ROWS_OF_GROUPS) - 1, r->body, &change, &e);
	if (ret == 0 && !take_name(r, change.name, a))
		return;
	change.is_agent = is_agent;
	if (ret == 0)
		ret = agents_set(c->agents, &change, r->who, note, sizeof(note), &e);
	if (ret < 0) {
		answer_error(a, ret, &e);
		return;
	}
	a->waits_for = change.has_cgroup ? agents_ticket(c->agents) : 0;
	answer_done(a, change.name, note);
}

static void drop(const struct control *c, const struct request *r, struct answer *a, bool is_agent)
{
	char name[GATE_NAME_MAX], note[128] = "";
	struct err e = { "" };

	if (!take_name(r, name, a))
		return;
	int ret = agents_remove(c->agents, name, is_agent, r->who, note, sizeof(note), &e);
	if (ret < 0)
		answer_error(a, ret, &e);
	else
		answer_done(a, name, note);
}

static void halt(const struct control *c, const struct request *r, struct answer *a, bool is_agent, enum agent_halt how)
{
	char name[GATE_NAME_MAX];
	struct err e = { "" };
	uint32_t index = 0;

	if (!take_name(r, name, a))
		return;
	int ret = agents_halt(c->agents, name, is_agent, how, r->who, &index, &e);
	if (ret < 0) {
		answer_error(a, ret, &e);
		return;
	}
	/* Paused first, so that no new call slips in behind the cut ones. */
	if (how == AGENT_KILL)
		c->stop_calls(c->daemon, index);
	a->waits_for = how == AGENT_RESUME ? 0 : agents_ticket(c->agents);
	answer_done(a, name, NULL);
}

/* ---- raises */

struct raise_body {
	int64_t raise[WINDOW_COUNT];
	char span[32], until[40];
	bool has_span, has_until;
};
#undef AT
#define AT(member) offsetof(struct raise_body, member)
#define RAISE(word, kind) \
	{ .key = word, .type = BODY_USD, .offset = AT(raise) + (kind) * sizeof(int64_t), .has_offset = SIZE_MAX }
static const struct body_row raise_rows[] = {
	RAISE("hour", WINDOW_HOUR),
	RAISE("day", WINDOW_DAY),
	RAISE("week", WINDOW_WEEK),
	RAISE("month", WINDOW_MONTH),
	RAISE("total", WINDOW_TOTAL),
	{ .key = "for", .type = BODY_TEXT, .offset = AT(span), .size = 32, .has_offset = AT(has_span) },
	{ .key = "until", .type = BODY_TEXT, .offset = AT(until), .size = 40, .has_offset = AT(has_until) },
};
#undef AT

static int take_until(const struct raise_body *b, int64_t *ret, struct err *e)
{
	int64_t now = clock_realtime_ns() / 1000000000, ns;

	if (b->has_span == b->has_until)
		return err_set(e, EINVAL, "for, until: one of the two says when the raise ends; write e.g. \"for\":\"2h\"");
	if (b->has_until) {
		if (units_to_time(str_of(b->until), now, ret) < 0 || *ret <= 0)
			return err_set(e, EINVAL, "until: \"%s\" is not a moment; write e.g. 2026-08-21T18:00:00Z", b->until);
		return 0;
	}
	if (units_to_ns(str_of(b->span), &ns) < 0 || ns < 1000000000)
		return err_set(e, EINVAL, "for: \"%s\" is not a duration; write e.g. 2h", b->span);
	*ret = now + ns / 1000000000;
	return 0;
}

static void raise_limits(const struct control *c, const struct request *r, struct answer *a, bool is_agent, bool ends)
{
	struct raise_body body = { 0 };
	struct agent_raise raise = { .is_agent = is_agent };
	struct err e = { "" };
	int ret = ends ? 0 : body_read(raise_rows, sizeof(raise_rows) / sizeof(raise_rows[0]), r->body, &body, &e);

	if (ret == 0 && !ends)
		ret = take_until(&body, &raise.until_s, &e);
	if (ret == 0 && !take_name(r, raise.name, a))
		return;
	memcpy(raise.raise, body.raise, sizeof(raise.raise));
	if (ret == 0)
		ret = agents_raise(c->agents, &raise, r->who, &e);
	if (ret < 0)
		answer_error(a, ret, &e);
	else
		answer_done(a, raise.name, NULL);
}

#define ROUTE(name, call) \
	void name(const struct control *c, const struct request *r, struct answer *a) \
	{ \
		call; \
	}
ROUTE(route_agent_add, add(c, r, a, true))
ROUTE(route_account_add, add(c, r, a, false))
ROUTE(route_agent_set, set(c, r, a, true))
ROUTE(route_account_set, set(c, r, a, false))
ROUTE(route_agent_remove, drop(c, r, a, true))
ROUTE(route_account_remove, drop(c, r, a, false))
ROUTE(route_agent_pause, halt(c, r, a, true, AGENT_PAUSE))
ROUTE(route_account_pause, halt(c, r, a, false, AGENT_PAUSE))
ROUTE(route_agent_resume, halt(c, r, a, true, AGENT_RESUME))
ROUTE(route_account_resume, halt(c, r, a, false, AGENT_RESUME))
ROUTE(route_agent_kill, halt(c, r, a, true, AGENT_KILL))
ROUTE(route_account_kill, halt(c, r, a, false, AGENT_KILL))
ROUTE(route_agent_raise, raise_limits(c, r, a, true, false))
ROUTE(route_account_raise, raise_limits(c, r, a, false, false))
ROUTE(route_agent_lower, raise_limits(c, r, a, true, true))
ROUTE(route_account_lower, raise_limits(c, r, a, false, true))

void route_reload(const struct control *c, const struct request *r, struct answer *a)
{
	struct err e = { "" };
	int ret = c->reload(c->daemon, &e);

	if (ret == 0)
		(void)ledger_change(c->ledger, r->who, "prices reload", clock_realtime_ns());
	if (ret < 0)
		answer_error(a, ret, &e);
	else
		answer_done(a, "prices", "everything else in the config file needs a restart of pursed");
}
