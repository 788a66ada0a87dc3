// SPDX-License-Identifier: Apache-2.0
/*
 * agents_change.c: what people change in the registry. Each change is checked, applied, saved, audited, in this order; when it
 * cannot be recorded it is taken back, so that nothing is in force that the audit trail does not know.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "ctl/agents_own.h"
#include "ctl/units.h"
#include "ctl_abi.h"
#include "kern/gate.h"

static int64_t now_s(void)
{
	return clock_realtime_ns() / 1000000000;
}

/* ---- the audit line */

struct line {
	char text[256];
	size_t n;
};

static void say(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct line *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(l->text + l->n, sizeof(l->text) - l->n, fmt, ap);
	va_end(ap);
	if (n > 0)
		l->n = l->n + (size_t)n < sizeof(l->text) ? l->n + (size_t)n : sizeof(l->text) - 1;
}

static void describe(struct line *l, const struct seat *s, const struct agent_change *c)
{
	char usd[32];

	say(l, "%s \"%s\"", s->is_agent ? "agent" : "account", s->spec.name);
	for (int w = 0; w < WINDOW_COUNT; w++)
		if (c->has_limit[w])
			say(l, " %s=%s", units_window_names[w],
			    c->limits[w] == GATE_NO_LIMIT ? "none" : usd_show(c->limits[w], usd, sizeof(usd)));
	if (c->has_parent)
		say(l, " %s=%s", s->is_agent ? "account" : "parent", c->parent[0] ? c->parent : "none");
	if (c->has_floor)
		say(l, " exhausted_below=%s", usd_show(c->floor, usd, sizeof(usd)));
	if (s->is_agent && c->has_on_exhausted)
		say(l, " on_exhausted=%s", c->explain ? "explain" : "refuse");
	if (s->is_agent && c->has_on_failure)
		say(l, " on_failure=%s", c->fail_open ? "open" : "closed");
	if (s->is_agent && c->has_cgroup)
		say(l, " cgroup=%s", s->cgroup);
}

/* ---- saving */

static int save(struct agents *a, const struct seat *s, bool removed)
{
	int r = 0;

	/* What the config defines is not the ledger's to remember, but for a pause and for where it last stood. */
	if (!s->from_config || removed)
		r = ledger_save_account(a->env.ledger, &s->spec, removed);
	if (r == 0 && s->is_agent) {
		struct ledger_agent row = { .flags = s->flags | (s->from_config ? SAVED_FROM_CONFIG : 0) |
						     (s->temporary ? SAVED_TEMPORARY : 0) };

		memcpy(row.name, s->spec.name, sizeof(row.name));
		memcpy(row.account, s->spec.name, sizeof(row.account));
		memcpy(row.cgroup, s->cgroup, sizeof(row.cgroup));
		r = ledger_save_agent(a->env.ledger, &row, removed);
	}
	return r;
}

static int record(struct agents *a, const struct seat *s, bool removed, const char *who, const char *what,
		  struct err *e)
{
	int r = save(a, s, removed);

	if (r == 0)
		r = ledger_change(a->env.ledger, who, what, clock_realtime_ns());
	if (r < 0)
		return err_set(e, EIO, "%s \"%s\": the ledger could not record the change (%s), so it was not made; "
			       "see `purse doctor`", s->is_agent ? "agent" : "account", s->spec.name, strerror(-r));
	log_info("agents", "%s: %s", who, what);
	return 0;
}

/* ---- the change itself, on a seat */

static int apply_values(struct agents *a, struct seat *s, const struct agent_change *c, struct err *e)
{
	if (c->has_parent) {
		if (c->parent[0] && !seat_find(a, c->parent))
			return err_set(e, ENOENT, "%s \"%s\": the account above it, \"%s\", does not exist; make it "
				       "with `purse account add %s`", s->is_agent ? "agent" : "account", s->spec.name,
				       c->parent, c->parent);
		memcpy(s->spec.parent, c->parent, sizeof(s->spec.parent));
	}
	for (int w = 0; w < WINDOW_COUNT; w++)
		if (c->has_limit[w])
			s->spec.limits[w] = c->limits[w];
	if (c->has_floor)
		s->spec.floor = c->floor;
	if (c->has_on_exhausted)
		s->flags = (s->flags & ~(uint32_t)GATE_AGENT_EXPLAIN) | (c->explain ? GATE_AGENT_EXPLAIN : 0);
	if (c->has_on_failure)
		s->flags = (s->flags & ~(uint32_t)GATE_AGENT_FAIL_OPEN) | (c->fail_open ? GATE_AGENT_FAIL_OPEN : 0);
	return 0;
}

static int check_name(const struct agent_change *c, struct err *e)
{
	struct err why;

	if (units_check_name(str_of(c->name), &why) < 0)
		return err_set(e, EINVAL, "%s: \"%s\" %s", c->is_agent ? "agent" : "account", c->name, why.text);
	return 0;
}

static struct seat *find_kind(struct agents *a, const char *name, bool is_agent, int *ret_error, struct err *e)
{
	struct seat *s = seat_find(a, name);
	const char *kind = is_agent ? "agent" : "account";

	if (s && s->is_agent == is_agent)
		return s;
	if (s)
		*ret_error = err_set(e, ENOENT, "%s \"%s\" does not exist, but %s of that name does; use `purse %s …`", kind,
				     name, is_agent ? "an account" : "an agent", is_agent ? "account" : "agent");
	else
		*ret_error = err_set(e, ENOENT, "%s \"%s\" does not exist; `purse status` lists all", kind, name);
	return NULL;
}

int agents_add(struct agents *a, const struct agent_change *c, const char *who, struct err *e)
{
	struct line what = { 0 };
	struct seat *s;
	int r = check_name(c, e);

	if (r < 0)
		return r;
	if (seat_find(a, c->name))
		return err_set(e, EEXIST, "%s \"%s\": the name is taken; change it with `purse %s set %s`, or choose "
			       "another name", c->is_agent ? "agent" : "account", c->name,
			       seat_find(a, c->name)->is_agent ? "agent" : "account", c->name);
	s = seat_new(c->name);
	if (!s || seat_join(a, s) < 0) {
		seat_free(s);
		return err_set(e, ENOMEM, "agent \"%s\": out of memory", c->name);
	}
	s->is_agent = c->is_agent;
	s->temporary = c->temporary && c->is_agent;
	r = apply_values(a, s, c, e);
	if (r == 0 && s->is_agent)
		r = seat_set_cgroup(a, s, c->has_cgroup ? c->cgroup : "", e);
	if (r == 0)
		r = seat_open_account(a, s, now_s(), e);
	if (r < 0) {
		seat_leave(a, s);
		return r;
	}
	describe(&what, s, c);
	say(&what, " added");
	r = s->is_agent ? seat_enrol(a, s, e) : 0;
	if (r == 0)
		r = record(a, s, false, who, what.text, e);
	if (r < 0) {
		seat_expel(a, s);
		(void)budget_remove_account(a->env.budget, s->spec.name, NULL);
		seat_leave(a, s);
	}
	return r;
}

/* Budget and gate as the seat says. */
static int push(struct agents *a, struct seat *s, struct err *e)
{
	int r = budget_set_account(a->env.budget, &s->spec, now_s(), NULL, e);

	return r == 0 && s->is_agent ? seat_tell_gate(a, s, e) : r;
}

/* Records what is in force now; what = the audit line. On failure the seat is as it was. */
static int push_and_record(struct agents *a, struct seat *s, const struct account_spec *old_spec, uint32_t old_flags,
			   const char *who, const char *what, struct err *e)
{
	int r = push(a, s, e);

	if (r == 0)
		r = record(a, s, false, who, what, e);
	if (r < 0) {
		struct err ignored;

		s->spec = *old_spec;
		s->flags = old_flags;
		if (push(a, s, &ignored) < 0)
			log_error("agents", "the change of \"%s\" could not be taken back: %s", s->spec.name, ignored.text);
	}
	return r;
}

/* A move to another cgroup: the new one is enrolled before the old one is let go. */
static int move(struct agents *a, struct seat *s, const char *cgroup, struct err *e)
{
	char old[512];
	int r;

	memcpy(old, s->cgroup, sizeof(old));
	r = seat_set_cgroup(a, s, cgroup, e);
	if (r == 0)
		r = seat_enrol(a, s, e);
	if (r < 0)
		(void)seat_set_cgroup(a, s, old, NULL);
	return r;
}

static void note_config(const struct seat *s, char *ret_note, size_t size)
{
	if (ret_note && size)
		(void)snprintf(ret_note, size, "%s", s->from_config ? "it is defined in the config file, which counts again "
							      "at the daemon's next start" : "");
}

int agents_set(struct agents *a, const struct agent_change *c, const char *who, char *ret_note, size_t size,
	       struct err *e)
{
	int r = 0;
	struct seat *s = find_kind(a, c->name, c->is_agent, &r, e);
	struct line what = { 0 };

	if (!s)
		return r;
	struct account_spec old_spec = s->spec;
	uint32_t old_flags = s->flags;

	r = apply_values(a, s, c, e);
	if (r == 0 && s->is_agent && c->has_cgroup)
		r = move(a, s, c->cgroup, e);
	if (r < 0) {
		s->spec = old_spec;
		s->flags = old_flags;
		return r;
	}
	describe(&what, s, c);
	r = push_and_record(a, s, &old_spec, old_flags, who, what.text, e);
	if (r == 0)
		note_config(s, ret_note, size);
	return r;
}

int agents_pause(struct agents *a, const char *name, bool paused, const char *who, struct err *e)
{
	int r = 0;
	struct seat *s = find_kind(a, name, true, &r, e);
	struct line what = { 0 };

	if (!s)
		return r;
	struct account_spec old_spec = s->spec;
	uint32_t old_flags = s->flags;

	s->spec.paused = paused;
	s->flags = (s->flags & ~(uint32_t)GATE_AGENT_PAUSED) | (paused ? GATE_AGENT_PAUSED : 0);
	say(&what, "agent \"%s\" %s", name, paused ? "paused" : "resumed");
	return push_and_record(a, s, &old_spec, old_flags, who, what.text, e);
}

/* The cgroup in the place where we make them; one that somebody chose is theirs, and one with processes in it stays. */
static void drop_cgroup(const struct agents *a, const struct seat *s)
{
	char ours[1100];

	if (!s->is_agent)
		return;
	(void)snprintf(ours, sizeof(ours), "%s%s" PURSE_AGENTS_CGROUP "/%s", a->mount, a->below, s->spec.name);
	if (strcmp(s->dir, ours) == 0)
		(void)rmdir(ours);
}

/*
 * Denied first, freed last: between "the account is gone" and "the agent is gone" nobody may connect on the name of an
 * account that another agent could be given.
 */
int agents_remove(struct agents *a, const char *name, bool is_agent, const char *who, char *ret_note, size_t size,
		  struct err *e)
{
	int r = 0;
	struct seat *s = find_kind(a, name, is_agent, &r, e);
	struct line what = { 0 };
	struct err ignored;

	if (!s)
		return r;
	uint32_t old_flags = s->flags;
	bool old_paused = s->spec.paused;

	s->flags |= GATE_AGENT_PAUSED;
	s->spec.paused = true;
	r = push(a, s, e);
	if (r == 0)
		r = budget_remove_account(a->env.budget, name, e);
	if (r < 0) {
		s->flags = old_flags;
		s->spec.paused = old_paused;
		(void)push(a, s, &ignored);
		return r;
	}
	say(&what, "%s \"%s\" removed", is_agent ? "agent" : "account", name);
	r = record(a, s, true, who, what.text, e);
	if (r < 0) {
		/* Back in place, and the books are closed by the ledger's own state. */
		s->flags = old_flags;
		s->spec.paused = old_paused;
		if (seat_open_account(a, s, now_s(), &ignored) < 0 || seat_tell_gate(a, s, &ignored) < 0)
			log_error("agents", "the removal of \"%s\" could not be taken back: %s", name, ignored.text);
		return r;
	}
	note_config(s, ret_note, size);
	seat_expel(a, s);
	drop_cgroup(a, s);
	seat_leave(a, s);
	return 0;
}
