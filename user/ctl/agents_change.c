// SPDX-License-Identifier: Apache-2.0
/*
 * agents_change.c: what people change in the registry. Each change is checked, applied, saved, audited, in this order; when it
 * cannot be recorded it is taken back, so that nothing is in force that the audit trail does not know.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "ctl/agents_own.h"
#include "ctl/config/config.h"
#include "ctl/config/rules_yaml.h"
#include "ctl/units.h"
#include "ctl_abi.h"
#include "kern/gate.h"
#include "spend/audit.h"
#include "spend/replay.h"
#include "spend/budget/zone.h"

static int64_t now_s(void)
{
	return clock_realtime_ns() / 1000000000;
}

/* ---- saving and auditing */

static const char *kind_of(const struct seat *s)
{
	return s->is_agent ? "agent" : "account";
}

/* Of what the config defines only a pause and a raise are taken from here again, and where it last stood. */
static int save(struct agents *a, const struct seat *s, bool removed)
{
	struct ledger_agent row = { .flags = s->flags | (s->from_config ? SAVED_FROM_CONFIG : 0) | (s->temporary ? SAVED_TEMPORARY : 0) |
					     (s->is_agent ? 0 : SAVED_GROUP) };
	int r = ledger_save_account(a->env.ledger, &s->spec, removed);

	memcpy(row.name, s->spec.name, sizeof(row.name));
	memcpy(row.account, s->spec.name, sizeof(row.account));
	memcpy(row.cgroup, s->cgroup, sizeof(row.cgroup));
	/* A group of ours has no such row, and one from a time when the config had its name would hide it. */
	if (r == 0)
		r = ledger_save_agent(a->env.ledger, &row, removed || (!s->is_agent && !s->from_config));
	return r;
}

/* old NULL: made; fresh NULL: removed. */
static int record(struct agents *a, const struct seat *old, const struct seat *fresh, const char *who, const char *verb, struct err *e)
{
	const struct seat *s = fresh ? fresh : old;
	struct buf before, after;
	char words[32];

	buf_init(&before, LEDGER_CHANGE_JSON_MAX);
	buf_init(&after, LEDGER_CHANGE_JSON_MAX);
	(void)snprintf(words, sizeof(words), "%s %s", kind_of(s), verb);
	int r = save(a, s, !fresh);

	if (r == 0 && old)
		r = seat_write(old, fresh, &before);
	if (r == 0 && fresh)
		r = seat_write(fresh, old, &after);
	struct ledger_change change = {
		.who = who, .verb = words, .subject = s->spec.name, .before = buf_ptr(&before), .after = buf_ptr(&after),
		.at_ns = clock_realtime_ns(),
	};

	if (r == 0)
		r = ledger_changed(a->env.ledger, &change);
	if (r < 0)
		(void)err_set(e, EIO, "%s \"%s\": the ledger could not record the change (%s), so it was not made; see `purse doctor`",
			      kind_of(s), s->spec.name, strerror(-r));
	else
		log_info("agents", "%s: %s %s: %s -> %s", who, words, s->spec.name, old ? change.before : "none", fresh ? change.after : "none");
	buf_done(&before);
	buf_done(&after);
	return r < 0 ? -EIO : 0;
}

/* ---- the change itself, on a seat */

static int apply_rules(struct seat *s, const struct agent_change *c, struct err *e)
{
	const struct rules none = { 0 };
	struct rules fresh;
	struct err why = { "" };

	if (!c->has_rules)
		return 0;
	if (c->rules[0] == '\0') {
		s->spec.rules = none;
		return 0;
	}
	if (rules_merge(&s->spec.rules, str_of(c->rules), &fresh, &why) < 0)
		return err_set(e, EINVAL, "%s \"%s\": rules: %s", kind_of(s), s->spec.name, why.text);
	s->spec.rules = fresh;
	return 0;
}

/* When its windows begin, clamp, rules. */
static int apply_terms(struct agents *a, struct seat *s, const struct agent_change *c, struct err *e)
{
	const struct config *config = a->env.config;
	const struct zone *ignored;

	if (c->has_zone) {
		if (zone_open(c->zone, &ignored, NULL) < 0)
			return err_set(e, EINVAL, "%s \"%s\": \"%s\" is not a time zone that this machine knows; write e.g. Europe/Berlin",
				       kind_of(s), s->spec.name, c->zone);
		(void)str_copy(s->spec.zone, sizeof(s->spec.zone), str_of(c->zone[0] ? c->zone : config->timezone));
	}
	if (c->has_resets_at && c->resets_at[0] == '\0')
		s->spec.reset_minute = (int32_t)config->resets_at;
	else if (c->has_resets_at && units_to_minute(str_of(c->resets_at), &s->spec.reset_minute) < 0)
		return err_set(e, EINVAL, "%s \"%s\": \"%s\" is not a time of day; write e.g. 06:00", kind_of(s), s->spec.name, c->resets_at);
	if (c->has_clamp)
		s->spec.clamp = c->clamp;
	return apply_rules(s, c, e);
}

static int apply_values(struct agents *a, struct seat *s, const struct agent_change *c, struct err *e)
{
	if (c->has_parent) {
		if (c->parent[0] && !seat_find(a, c->parent))
			return err_set(e, ENOENT, "%s \"%s\": the account above it, \"%s\", does not exist; make it "
				       "with `purse account add %s`", kind_of(s), s->spec.name, c->parent,
				       c->parent);
		memcpy(s->spec.parent, c->parent, sizeof(s->spec.parent));
	}
	for (int w = 0; w < WINDOW_COUNT; w++)
		if (c->has_limit[w])
			s->spec.limits[w] = c->limits[w];
	if (c->has_floor)
		s->spec.floor = c->floor;
	int r = apply_terms(a, s, c, e);

	if (r < 0)
		return r;
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
	(void)str_copy(s->spec.zone, sizeof(s->spec.zone), str_of(a->env.config->timezone));
	s->spec.reset_minute = (int32_t)a->env.config->resets_at;
	r = apply_values(a, s, c, e);
	if (r == 0 && s->is_agent)
		r = seat_set_cgroup(a, s, c->has_cgroup ? c->cgroup : "", e);
	if (r == 0)
		r = seat_open_account(a, s, now_s(), e);
	if (r < 0) {
		seat_leave(a, s);
		return r;
	}
	r = s->is_agent ? seat_enrol(a, s, e) : 0;
	if (r == 0)
		r = record(a, NULL, s, who, "add", e);
	if (r < 0) {
		seat_expel(a, s);
		replay_take_back(a->env.budget, a->env.ledger, &s->spec, now_s());
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

/* Where a change began. The directory is the seat's own and not among it. */
static void put_back(struct seat *s, const struct seat *old)
{
	s->spec = old->spec;
	s->flags = old->flags;
}

/* Records what is in force now. On failure spec and flags are as they were. */
/* Where limits on models are new, or others above it count now: what was spent before is in the ledger. */
static int recount(struct agents *a, const struct seat *s, const struct seat *old, struct err *e)
{
	const struct rules *now = &s->spec.rules, *then = &old->spec.rules;
	bool moved = strcmp(s->spec.parent, old->spec.parent) != 0;
	int r = 0;

	if (moved || now->nmodel_limits != then->nmodel_limits || memcmp(now->model_limits, then->model_limits, sizeof(now->model_limits)) != 0)
		r = replay_models(a->env.budget, a->env.ledger, budget_find(a->env.budget, s->spec.name), e);
	if (r == 0 && moved && old->spec.parent[0]) /* where it came from has less now */
		r = replay_models(a->env.budget, a->env.ledger, budget_find(a->env.budget, old->spec.parent), e);
	return r == 0 && moved ? audit_doubts(a->env.budget, a->env.ledger, e) : r;
}

static int push_and_record(struct agents *a, struct seat *s, const struct seat *old, const char *who, const char *verb, struct err *e)
{
	int r = push(a, s, e);

	if (r == 0)
		r = recount(a, s, old, e);
	if (r == 0)
		r = record(a, old, s, who, verb, e);
	if (r < 0) {
		struct err ignored;

		put_back(s, old);
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

	if (!s)
		return r;
	struct seat old = *s;

	r = apply_values(a, s, c, e);
	if (r == 0 && s->is_agent && c->has_cgroup)
		r = move(a, s, c->cgroup, e);
	if (r < 0) {
		put_back(s, &old);
		return r;
	}
	r = push_and_record(a, s, &old, who, "set", e);
	if (r == 0)
		note_config(s, ret_note, size);
	return r;
}

/* Calls in flight go through the egress and are not touched: the path ends them, with an answer. */
static void end_flows_below(struct agents *a, const struct seat *top)
{
	list_for_each(node, &a->seats) {
		const struct seat *s = list_entry(node, struct seat, node);

		if (s->is_agent && s->cgroup_id && budget_is_below(a->env.budget, s->index, top->index))
			flows_end(a->flows, s->spec.name, s->dir, s->cgroup_id, FLOWS_HALTED);
	}
}

int agents_halt(struct agents *a, const char *name, bool is_agent, enum agent_halt how, const char *who, uint32_t *ret_index,
		struct err *e)
{
	static const char *const verbs[] = { [AGENT_PAUSE] = "pause", [AGENT_RESUME] = "resume", [AGENT_KILL] = "kill" };
	int r = 0;
	struct seat *s = find_kind(a, name, is_agent, &r, e);

	if (!s)
		return r;
	struct seat old = *s;

	s->spec.paused = how != AGENT_RESUME;
	s->flags = (s->flags & ~(uint32_t)GATE_AGENT_PAUSED) | (s->spec.paused ? GATE_AGENT_PAUSED : 0);
	r = push_and_record(a, s, &old, who, verbs[how], e);
	if (r < 0)
		return r;
	if (how != AGENT_RESUME)
		end_flows_below(a, s);
	*ret_index = s->index;
	return 0;
}

/* ---- raises */

static int check_raise(const struct seat *s, const struct agent_raise *r, int64_t now, struct err *e)
{
	bool any = false;

	if (r->until_s <= now || r->until_s > now + AGENT_RAISE_LONGEST_S)
		return err_set(e, EINVAL, "%s \"%s\": a raise ends between now and %d days from now; write e.g. --for 2h", kind_of(s),
			       s->spec.name, AGENT_RAISE_LONGEST_S / 86400);
	for (int k = 0; k < WINDOW_COUNT; k++) {
		if (r->raise[k] > 0 && s->spec.limits[k] == GATE_NO_LIMIT)
			return err_set(e, EINVAL, "%s \"%s\": has no %s limit that could be raised; `purse status` shows those it has",
				       kind_of(s), s->spec.name, units_window_names[k]);
		any = any || r->raise[k] > 0;
	}
	if (!any)
		return err_set(e, EINVAL, "%s \"%s\": nothing to raise; write e.g. --day 10USD", kind_of(s), s->spec.name);
	return 0;
}

int agents_raise(struct agents *a, const struct agent_raise *raise, const char *who, struct err *e)
{
	int r = 0;
	struct seat *s = find_kind(a, raise->name, raise->is_agent, &r, e);

	if (!s)
		return r;
	if (raise->until_s)
		r = check_raise(s, raise, now_s(), e);
	else if (!s->spec.raise_until_s)
		r = err_set(e, EINVAL, "%s \"%s\": no raise is on", kind_of(s), s->spec.name);
	if (r < 0)
		return r;
	struct seat old = *s;

	memset(s->spec.raise, 0, sizeof(s->spec.raise));
	if (raise->until_s)
		memcpy(s->spec.raise, raise->raise, sizeof(s->spec.raise));
	s->spec.raise_until_s = raise->until_s;
	return push_and_record(a, s, &old, who, "raise", e);
}

/* The budget knows by itself when a raise is over; this is for whoever looks, and for the audit trail. */
void agents_end_raises(struct agents *a, int64_t now)
{
	struct err why = { "" };

	list_for_each(node, &a->seats) {
		struct seat *s = list_entry(node, struct seat, node);

		if (!s->spec.raise_until_s || s->spec.raise_until_s > now)
			continue;
		struct seat old = *s;

		memset(s->spec.raise, 0, sizeof(s->spec.raise));
		s->spec.raise_until_s = 0;
		if (push_and_record(a, s, &old, "purse", "raise", &why) < 0)
			log_error("agents", "%s", why.text);
	}
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
	struct err ignored;

	if (!s)
		return r;
	struct seat old = *s;

	s->flags |= GATE_AGENT_PAUSED;
	s->spec.paused = true;
	r = push(a, s, e);
	if (r == 0)
		r = budget_remove_account(a->env.budget, name, e);
	if (r < 0) {
		put_back(s, &old);
		(void)push(a, s, &ignored);
		return r;
	}
	r = record(a, &old, NULL, who, "rm", e);
	if (r < 0) {
		/* Back in place, and the books are closed by the ledger's own state. */
		put_back(s, &old);
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
