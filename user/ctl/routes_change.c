// SPDX-License-Identifier: Apache-2.0
/* routes_change.c: control requests that change something: bodies to struct agent_change, and the answers. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/jsonw.h"
#include "base/str.h"
#include "ctl/agents.h"
#include "ctl/body.h"
#include "ctl/route.h"
#include "spend/ledger.h"

#define AT(member) offsetof(struct agent_change, member)
#define LIMIT(word, kind) \
	{ .key = word, .type = BODY_LIMIT, .offset = AT(limits) + (kind) * sizeof(int64_t), \
	  .has_offset = AT(has_limit) + (kind) * sizeof(bool) }

/* Groups know the rows up to `exhausted_below`; the first one is for POST only. */
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
	{ .key = "cgroup", .type = BODY_TEXT, .offset = AT(cgroup), .size = 512, .has_offset = AT(has_cgroup) },
	{ .key = "on_exhausted", .type = BODY_WORD, .offset = AT(explain), .has_offset = AT(has_on_exhausted),
	  .words = { "refuse", "explain" } },
	{ .key = "on_failure", .type = BODY_WORD, .offset = AT(fail_open), .has_offset = AT(has_on_failure),
	  .words = { "closed", "open" } },
	{ .key = "temporary", .type = BODY_BOOL, .offset = AT(temporary), .has_offset = SIZE_MAX },
};
#define ROWS_ALL (sizeof(rows) / sizeof(rows[0]))
#define ROWS_OF_GROUPS 8

static void answer_done(struct answer *a, const char *name, const char *note)
{
	struct jsonw w;

	jsonw_init(&w, a->body);
	jsonw_object(&w, NULL);
	jsonw_cstr(&w, "name", name);
	if (note && note[0])
		jsonw_cstr(&w, "note", note);
	jsonw_close(&w);
	if (jsonw_end(&w) < 0)
		answer_refuse(a, 500, "out of memory");
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
	if (!is_agent || agents_find(c->agents, change.name, &v) < 0) {
		answer_done(a, change.name, NULL);
		return;
	}
	jsonw_init(&w, a->body);
	jsonw_object(&w, NULL);
	jsonw_cstr(&w, "name", v.name);
	jsonw_cstr(&w, "cgroup", v.cgroup);
	jsonw_cstr(&w, "cgroup_dir", v.dir);
	jsonw_i64(&w, "cgroup_id", (int64_t)v.cgroup_id);
	jsonw_close(&w);
	(void)jsonw_end(&w);
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
	if (ret < 0)
		answer_error(a, ret, &e);
	else
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

static void halt(const struct control *c, const struct request *r, struct answer *a, bool paused)
{
	char name[GATE_NAME_MAX];
	struct err e = { "" };

	if (!take_name(r, name, a))
		return;
	int ret = agents_pause(c->agents, name, paused, r->who, &e);
	if (ret < 0)
		answer_error(a, ret, &e);
	else
		answer_done(a, name, NULL);
}

void route_agent_add(const struct control *c, const struct request *r, struct answer *a)
{
	add(c, r, a, true);
}

void route_account_add(const struct control *c, const struct request *r, struct answer *a)
{
	add(c, r, a, false);
}

void route_agent_set(const struct control *c, const struct request *r, struct answer *a)
{
	set(c, r, a, true);
}

void route_account_set(const struct control *c, const struct request *r, struct answer *a)
{
	set(c, r, a, false);
}

void route_agent_remove(const struct control *c, const struct request *r, struct answer *a)
{
	drop(c, r, a, true);
}

void route_account_remove(const struct control *c, const struct request *r, struct answer *a)
{
	drop(c, r, a, false);
}

void route_agent_pause(const struct control *c, const struct request *r, struct answer *a)
{
	halt(c, r, a, true);
}

void route_agent_resume(const struct control *c, const struct request *r, struct answer *a)
{
	halt(c, r, a, false);
}

void route_reload(const struct control *c, const struct request *r, struct answer *a)
{
	struct err e = { "" };
	int ret = c->reload(c->daemon, &e);

	if (ret == 0)
		(void)ledger_change(c->ledger, r->who, "prices reloaded", clock_realtime_ns());
	if (ret < 0)
		answer_error(a, ret, &e);
	else
		answer_done(a, "prices", "everything else in the config file needs a restart of pursed");
}
