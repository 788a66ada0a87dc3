// SPDX-License-Identifier: Apache-2.0
/* agents.c: the registry: start and looking. Changes that people ask for are in agents_change.c, those that happen in agents_watch.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "ctl/agents_own.h"
#include "ctl/config/config.h"
#include "ctl/units.h"
#include "ctl_abi.h"
#include "kern/cgroup.h"
#include "kern/gate.h"
#include "spend/replay.h"

/* ---- seats */

struct seat *seat_new(const char *name)
{
	struct seat *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	list_init(&s->node);
	(void)str_copy(s->spec.name, sizeof(s->spec.name), str_of(name));
	for (int w = 0; w < WINDOW_COUNT; w++)
		s->spec.limits[w] = GATE_NO_LIMIT;
	return s;
}

void seat_free(struct seat *s)
{
	if (!s)
		return;
	free(s->dir);
	free(s);
}

struct seat *seat_find(const struct agents *a, const char *name)
{
	return map_find(a->by_name, str_of(name));
}

int seat_join(struct agents *a, struct seat *s)
{
	if (seat_find(a, s->spec.name))
		return -EEXIST;
	int r = map_put(a->by_name, str_of(s->spec.name), s, NULL);
	if (r == 0)
		list_add_tail(&a->seats, &s->node);
	return r;
}

void seat_leave(struct agents *a, struct seat *s)
{
	(void)map_remove(a->by_name, str_of(s->spec.name));
	list_remove(&s->node);
	agents_unwatch(a, s);
	seat_free(s);
}

int seat_set_cgroup(struct agents *a, struct seat *s, const char *cgroup, struct err *e)
{
	char mine[512];
	struct err why;

	int n = cgroup[0] ? snprintf(mine, sizeof(mine), "%s", cgroup)
			  : snprintf(mine, sizeof(mine), "%s%s/%s", a->below, PURSE_AGENTS_CGROUP, s->spec.name);
	if (n < 0 || (size_t)n >= sizeof(mine))
		return err_set(e, ENAMETOOLONG, "agent \"%s\": cgroup path is too long; give a shorter one with --cgroup",
			       s->spec.name);
	if (units_check_cgroup(str_of(mine), &why) < 0)
		return err_set(e, EINVAL, "agent \"%s\": cgroup \"%s\" %s", s->spec.name, mine, why.text);
	size_t root = strlen(a->below);

	if (strncmp(mine, a->below, root) != 0 || mine[root] != '/')
		return err_set(e, EINVAL,
			       "agent \"%s\": cgroup \"%s\" is not below cgroup_root \"%s%s\", where the gate is "
			       "attached; write e.g. %s%s/%s", s->spec.name, mine, a->mount, a->below, a->below,
			       PURSE_AGENTS_CGROUP, s->spec.name);
	list_for_each(node, &a->seats) {
		const struct seat *other = list_entry(node, struct seat, node);

		if (other != s && other->is_agent && strcmp(other->cgroup, mine) == 0)
			return err_set(e, EEXIST, "agent \"%s\": cgroup \"%s\" is already that of agent \"%s\"; give "
				       "each its own", s->spec.name, mine, other->spec.name);
	}
	char *dir;

	if (asprintf(&dir, "%s%s", a->mount, mine) < 0)
		return err_set(e, ENOMEM, "agent \"%s\": out of memory", s->spec.name);
	free(s->dir);
	s->dir = dir;
	s->is_watched = false;
	(void)str_copy(s->cgroup, sizeof(s->cgroup), str_of(mine));
	return 0;
}

int seat_open_account(struct agents *a, struct seat *s, int64_t now_s, struct err *e)
{
	return replay_account(a->env.budget, a->env.ledger, &s->spec, now_s, &s->index, e);
}

int seat_tell_gate(struct agents *a, const struct seat *s, struct err *e)
{
	struct gate_agent row = { .account = s->index, .flags = s->flags };

	if (s->cgroup_id == 0)
		return 0;
	(void)str_copy(row.name, sizeof(row.name), str_of(s->spec.name));
	int r = gate_enrol(a->env.gate, s->cgroup_id, &row);
	if (r < 0)
		return err_set(e, -r, "agent \"%s\": cannot be enrolled in the gate: %s; see `purse doctor`",
			       s->spec.name, strerror(-r));
	return 0;
}

void seat_expel(struct agents *a, struct seat *s)
{
	int r = s->cgroup_id ? gate_expel(a->env.gate, s->cgroup_id) : 0;

	if (r < 0 && r != -ENOENT)
		log_error("gate", "agent \"%s\": cgroup id %llu cannot be expelled: %s", s->spec.name,
			  (unsigned long long)s->cgroup_id, strerror(-r));
	s->cgroup_id = 0;
}

int seat_enrol(struct agents *a, struct seat *s, struct err *e)
{
	uint64_t id = 0, old = s->cgroup_id;
	struct gate_agent known;
	int r = cgroup_make(s->dir, e);

	if (r == 0)
		r = cgroup_id(s->dir, &id, e);
	if (r < 0)
		return err_prefix(e, r, "agent \"%s\"", s->spec.name);
	s->cgroup_id = id;
	bool is_new = gate_find_agent(a->env.gate, id, &known) < 0;

	r = seat_tell_gate(a, s, e);
	if (r < 0)
		s->cgroup_id = old;
	else if (old && old != id)
		(void)gate_expel(a->env.gate, old);
	/* What it has open towards LLMs from before counts no more. */
	if (r == 0 && is_new)
		flows_end(a->flows, s->spec.name, s->dir, id, FLOWS_ENROLLED);
	return r;
}

/* ---- made and freed */

static int find_root(struct agents *a, const char *cgroup_root, struct err *e)
{
	size_t n;
	int r = cgroup_mount(a->mount, sizeof(a->mount), e);

	if (r < 0)
		return r;
	if (strcmp(cgroup_root, "auto") == 0)
		return 0;
	n = strlen(a->mount);
	if (strncmp(cgroup_root, a->mount, n) != 0 || (cgroup_root[n] != '/' && cgroup_root[n] != '\0'))
		return err_set(e, EINVAL, "cgroup_root: \"%s\" is not below the cgroup2 mount %s; write e.g. auto",
			       cgroup_root, a->mount);
	if (!str_copy(a->below, sizeof(a->below), str_of(cgroup_root + n)))
		return err_set(e, ENAMETOOLONG, "cgroup_root: \"%s\" is too long", cgroup_root);
	return 0;
}

int agents_new(const struct agents_env *env, struct agents **ret, struct err *e)
{
	struct agents *a = calloc(1, sizeof(*a));

	if (!a)
		return err_set(e, ENOMEM, "agents: out of memory");
	a->env = *env;
	list_init(&a->seats);
	a->notify_fd = -1;
	a->round_epoch = UINT64_MAX; /* the first look is at all: what is captured may be more than it was */
	a->by_name = map_new();
	int r = a->by_name ? find_root(a, env->config->cgroup_root, e) : err_set(e, ENOMEM, "agents: out of memory");
	if (r == 0)
		r = flows_new(env->gate, env->loop, &a->flows, e);
	if (r < 0) {
		agents_free(a);
		return r;
	}
	agents_watch_begin(a);
	*ret = a;
	return 0;
}

void agents_free(struct agents *a)
{
	if (!a)
		return;
	agents_watch_end(a);
	flows_free(a->flows);
	list_for_each_safe(node, next, &a->seats)
		seat_free(list_entry(node, struct seat, node));
	map_free(a->by_name, NULL);
	free(a);
}

/* ---- start */

static void take_terms(struct account_spec *spec, const struct config_terms *t)
{
	(void)str_copy(spec->zone, sizeof(spec->zone), str_of(t->timezone));
	spec->reset_minute = (int32_t)t->resets_at;
	spec->clamp = t->clamp;
	if (t->rules)
		spec->rules = *t->rules;
}

static int load_config(struct agents *a, struct err *e)
{
	const struct config *c = a->env.config;
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->accounts.n; i++) {
		const struct config_account *from = &c->accounts.v[i];
		struct seat *s = seat_new(from->name);

		r = s ? seat_join(a, s) : -ENOMEM;
		if (r < 0) {
			seat_free(s);
			break;
		}
		s->from_config = true;
		(void)str_copy(s->spec.parent, sizeof(s->spec.parent), str_of(from->parent));
		memcpy(s->spec.limits, from->limits, sizeof(s->spec.limits));
		take_terms(&s->spec, &from->terms);
	}
	for (size_t i = 0; r == 0 && i < c->agents.n; i++) {
		const struct config_agent *from = &c->agents.v[i];
		struct seat *s = seat_new(from->name);

		r = s ? seat_join(a, s) : -ENOMEM;
		if (r < 0) {
			seat_free(s);
			break;
		}
		s->from_config = s->is_agent = true;
		(void)str_copy(s->spec.parent, sizeof(s->spec.parent), str_of(from->account));
		memcpy(s->spec.limits, from->limits, sizeof(s->spec.limits));
		s->spec.floor = from->exhausted_below;
		take_terms(&s->spec, &from->terms);
		s->flags = (from->on_exhausted == CONFIG_EXPLAIN ? GATE_AGENT_EXPLAIN : 0) |
			   (from->on_failure == CONFIG_OPEN ? GATE_AGENT_FAIL_OPEN : 0);
		r = seat_set_cgroup(a, s, from->cgroup, e);
		if (r < 0)
			return r;
	}
	return r < 0 ? err_set(e, -r, "agents: cannot take the config's accounts: %s", strerror(-r)) : 0;
}

static void load_saved_account(void *ctx, const struct account_spec *spec)
{
	struct agents *a = ctx;
	struct seat *s = seat_find(a, spec->name);

	if (s) {
		/* The config defines it and its word counts, but for what somebody decided for a while. */
		memcpy(s->spec.raise, spec->raise, sizeof(s->spec.raise));
		s->spec.raise_until_s = spec->raise_until_s;
		return;
	}
	s = seat_new(spec->name);
	if (!s || seat_join(a, s) < 0) {
		seat_free(s);
		return;
	}
	s->spec = *spec;
}

static void load_saved_agent(void *ctx, const struct ledger_agent *row)
{
	struct agents *a = ctx;
	struct seat *s = seat_find(a, row->name);
	struct err why;

	if (s && s->from_config) {
		/* A pause is somebody's decision that a restart must not undo. */
		if (s->is_agent == !(row->flags & SAVED_GROUP) && (row->flags & GATE_AGENT_PAUSED)) {
			s->flags |= GATE_AGENT_PAUSED;
			s->spec.paused = true;
		}
		return;
	}
	if (row->flags & SAVED_FROM_CONFIG) { /* taken out of the config since */
		if (s)
			seat_leave(a, s);
		return;
	}
	if (!s) {
		log_error("ledger", "agent \"%s\" has no account of its own there: left out; add it again", row->name);
		return;
	}
	s->flags = row->flags & ~SAVED_BITS;
	s->temporary = row->flags & SAVED_TEMPORARY;
	if (seat_set_cgroup(a, s, row->cgroup, &why) < 0) {
		log_error("agents", "%s; left out, its account stays", why.text);
		return;
	}
	s->is_agent = true;
}

/* A run of `purse run` that nobody cleaned up after, whose cgroup is gone: nothing is left to meter. */
static void forget_temporary(struct agents *a)
{
	list_for_each_safe(node, next, &a->seats) {
		struct seat *s = list_entry(node, struct seat, node);
		uint64_t id;

		if (!s->is_agent || !s->temporary || cgroup_id(s->dir, &id, NULL) != -ENOENT)
			continue;
		struct ledger_agent row = { 0 };

		memcpy(row.name, s->spec.name, sizeof(row.name));
		(void)ledger_save_agent(a->env.ledger, &row, true);
		(void)ledger_save_account(a->env.ledger, &s->spec, true);
		log_info("agents", "temporary agent \"%s\" of an earlier run is gone with its cgroup", s->spec.name);
		seat_leave(a, s);
	}
}

/* Parents first. One whose parent is unknown or loops is kept, but paused: less than asked for, never more. */
static int place(struct agents *a, struct seat *s, int64_t now_s, struct err *e)
{
	struct seat *above = s->spec.parent[0] ? seat_find(a, s->spec.parent) : NULL;
	int r = 0;

	if (s->mark == SEAT_PLACED)
		return 0;
	s->mark = SEAT_VISITING;
	if (s->spec.parent[0] && (!above || above->mark == SEAT_VISITING)) {
		log_error("agents", "account \"%s\": the account above it, \"%s\", %s; it stays paused until `purse "
			  "agent set %s --account …` and `purse agent resume %s`", s->spec.name, s->spec.parent,
			  above ? "is also below it" : "does not exist any more", s->spec.name, s->spec.name);
		s->spec.parent[0] = '\0';
		s->spec.paused = true;
		s->flags |= GATE_AGENT_PAUSED;
	} else if (above) {
		r = place(a, above, now_s, e);
	}
	if (r == 0)
		r = seat_open_account(a, s, now_s, e);
	s->mark = SEAT_PLACED;
	return r;
}

int agents_load(struct agents *a, int64_t now_s, struct err *e)
{
	int r = load_config(a, e);

	if (r == 0 && (ledger_each_account(a->env.ledger, load_saved_account, a) < 0 ||
		       ledger_each_agent(a->env.ledger, load_saved_agent, a) < 0))
		r = err_set(e, EIO, "ledger: accounts and agents made at run time cannot be read; see `purse audit`");
	if (r < 0)
		return r;
	forget_temporary(a);
	list_for_each(node, &a->seats) {
		r = place(a, list_entry(node, struct seat, node), now_s, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What to expel, collected first: the map must not change while it is walked. */
struct leftovers {
	const struct agents *a;
	uint64_t *ids;
	size_t n, cap;
	bool no_memory;
};

static bool collect_leftover(void *ctx, uint64_t id, const struct gate_agent *row)
{
	struct leftovers *l = ctx;
	const struct seat *s = seat_find(l->a, row->name);

	if (s && s->is_agent && s->cgroup_id == id)
		return true;
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		uint64_t *ids = reallocarray(l->ids, cap, sizeof(*ids));

		if (!ids) {
			l->no_memory = true;
			return false;
		}
		l->ids = ids;
		l->cap = cap;
	}
	l->ids[l->n++] = id;
	log_warn("agents", "\"%s\" of an earlier run (cgroup id %llu) is not known any more: expelled", row->name,
		 (unsigned long long)id);
	return true;
}

int agents_enrol(struct agents *a, struct err *e)
{
	struct leftovers l = { .a = a };

	list_for_each(node, &a->seats) {
		struct seat *s = list_entry(node, struct seat, node);
		int r = s->is_agent ? seat_enrol(a, s, e) : 0;

		if (r < 0)
			return r;
	}
	gate_each_agent(a->env.gate, collect_leftover, &l);
	for (size_t i = 0; i < l.n; i++)
		(void)gate_expel(a->env.gate, l.ids[i]);
	free(l.ids);
	return l.no_memory ? err_set(e, ENOMEM, "agents: out of memory") : 0;
}

/* ---- looking */

static struct agent_view view_of(const struct seat *s)
{
	return (struct agent_view){
		.name = s->spec.name, .cgroup = s->cgroup, .dir = s->dir, .cgroup_id = s->cgroup_id,
		.flags = s->flags, .missing = s->cgroup_id == 0, .from_config = s->from_config,
		.temporary = s->temporary,
	};
}

void agents_each(const struct agents *a, bool (*fn)(void *ctx, const struct agent_view *v), void *ctx)
{
	list_for_each(node, &a->seats) {
		const struct seat *s = list_entry(node, struct seat, node);
		struct agent_view v = view_of(s);

		if (s->is_agent && !fn(ctx, &v))
			return;
	}
}

int agents_find(const struct agents *a, const char *name, struct agent_view *ret)
{
	const struct seat *s = seat_find(a, name);

	if (!s || !s->is_agent)
		return -ENOENT;
	*ret = view_of(s);
	return 0;
}

void agents_each_account(const struct agents *a, bool (*fn)(void *ctx, const char *name, uint32_t index), void *ctx)
{
	list_for_each(node, &a->seats) {
		const struct seat *s = list_entry(node, struct seat, node);

		if (!fn(ctx, s->spec.name, s->index))
			return;
	}
}

const struct account_spec *agents_spec(const struct agents *a, const char *name)
{
	const struct seat *s = seat_find(a, name);

	return s ? &s->spec : NULL;
}

void agents_tell(struct agents *a, const struct flows_calls *calls)
{
	flows_tell(a->flows, calls);
}

uint64_t agents_ticket(const struct agents *a)
{
	return flows_last(a->flows);
}

bool agents_is_over(const struct agents *a, uint64_t ticket)
{
	return flows_is_over(a->flows, ticket);
}

const char *agents_name_of(const struct agents *a, uint64_t id)
{
	list_for_each(node, &a->seats) {
		const struct seat *s = list_entry(node, struct seat, node);

		if (s->is_agent && s->cgroup_id == id && id != 0)
			return s->spec.name;
	}
	return NULL;
}
