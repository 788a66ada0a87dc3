// SPDX-License-Identifier: Apache-2.0
/* agents_audit.c: a seat as JSON, for the "before" and "after" of the audit trail: only what differs, all of what is new. */
#include <string.h>

#include "base/jsonw.h"
#include "base/str.h"
#include "ctl/agents_own.h"
#include "ctl/config/rules_yaml.h"
#include "ctl/units.h"
#include "gate_abi.h"

static void put_limit(struct jsonw *w, const char *key, int64_t limit)
{
	if (limit == GATE_NO_LIMIT)
		jsonw_null(w, key);
	else
		jsonw_usd(w, key, limit);
}

static void put_raise(struct jsonw *w, const struct account_spec *s)
{
	char mem[32];

	if (!s->raise_until_s) {
		jsonw_null(w, "raise");
		return;
	}
	jsonw_object(w, "raise");
	for (int k = 0; k < WINDOW_COUNT; k++)
		if (s->raise[k])
			jsonw_usd(w, units_window_names[k], s->raise[k]);
	jsonw_cstr(w, "until", units_show_time(s->raise_until_s * 1000000000, false, mem, sizeof(mem)));
	jsonw_close(w);
}

static void put_spec(struct jsonw *w, const struct account_spec *s, const struct account_spec *o, bool is_agent)
{
	char mem[8];

	for (int k = 0; k < WINDOW_COUNT; k++)
		if (o ? s->limits[k] != o->limits[k] : s->limits[k] != GATE_NO_LIMIT)
			put_limit(w, units_window_names[k], s->limits[k]);
	if (!o || strcmp(s->parent, o->parent) != 0)
		jsonw_cstr(w, is_agent ? "account" : "parent", s->parent);
	if (o ? s->floor != o->floor : s->floor != 0)
		jsonw_usd(w, "exhausted_below", s->floor);
	if (o ? strcmp(s->zone, o->zone) != 0 : s->zone[0] != '\0')
		jsonw_cstr(w, "timezone", s->zone[0] ? s->zone : "UTC");
	if (o ? s->reset_minute != o->reset_minute : s->reset_minute != 0)
		jsonw_cstr(w, "resets_at", units_show_minute(s->reset_minute, mem, sizeof(mem)));
	if (o ? s->clamp != o->clamp : s->clamp)
		jsonw_bool(w, "clamp", s->clamp);
	if (o ? memcmp(&s->rules, &o->rules, sizeof(s->rules)) != 0 : rules_any(&s->rules))
		rules_put(w, "rules", &s->rules);
	if (o ? memcmp(s->raise, o->raise, sizeof(s->raise)) != 0 || s->raise_until_s != o->raise_until_s : s->raise_until_s != 0)
		put_raise(w, s);
	if (o ? s->paused != o->paused : s->paused)
		jsonw_bool(w, "paused", s->paused);
}

static void put_agent(struct jsonw *w, const struct seat *s, const struct seat *o)
{
	uint32_t changed = o ? s->flags ^ o->flags : ~0u;

	if (!o || strcmp(s->cgroup, o->cgroup) != 0)
		jsonw_cstr(w, "cgroup", s->cgroup);
	if (changed & GATE_AGENT_EXPLAIN)
		jsonw_cstr(w, "on_exhausted", s->flags & GATE_AGENT_EXPLAIN ? "explain" : "refuse");
	if (changed & GATE_AGENT_FAIL_OPEN)
		jsonw_cstr(w, "on_failure", s->flags & GATE_AGENT_FAIL_OPEN ? "open" : "closed");
	if (!o && s->temporary)
		jsonw_bool(w, "temporary", true);
}

int seat_write(const struct seat *s, const struct seat *other, struct buf *out)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_object(&w, NULL);
	put_spec(&w, &s->spec, other ? &other->spec : NULL, s->is_agent);
	if (s->is_agent)
		put_agent(&w, s, other);
	jsonw_close(&w);
	int r = jsonw_end(&w);

	return r ? r : buf_append(out, "", 1);
}
