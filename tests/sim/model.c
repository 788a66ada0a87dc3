// SPDX-License-Identifier: Apache-2.0
/* model.c: see model.h. */
#include "model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "calendar.h"

void model_init(struct model *m)
{
	memset(m, 0, sizeof(*m));
	m->calls = calloc(CALLS_MAX, sizeof(*m->calls));
	if (!m->calls)
		abort();
	for (int i = 0; i < NAMES; i++)
		m->places[i].parent = NOBODY;
}

void model_done(struct model *m)
{
	free(m->calls);
}

/* ---- the tree */

const char *name_of(int name)
{
	static const char *const names[NAMES] = { "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "b0", "b1", "b2",
						  "b3", "b4", "b5", "b6", "b7", "b8", "b9" };

	return name == NOBODY ? "" : names[name];
}

int name_find(const char *text)
{
	for (int i = 0; i < NAMES; i++)
		if (strcmp(text, name_of(i)) == 0)
			return i;
	return NOBODY;
}

bool model_is_below(const struct model *m, int name, int top)
{
	for (; name != NOBODY; name = m->places[name].parent)
		if (name == top)
			return true;
	return false;
}

int model_depth(const struct model *m, int name)
{
	int n = 0;

	for (; name != NOBODY; name = m->places[name].parent)
		n++;
	return n;
}

int model_height(const struct model *m, int name)
{
	int most = 1;

	for (int i = 0; i < NAMES; i++) {
		int levels = model_depth(m, i) - model_depth(m, name) + 1;

		if (m->places[i].lives && model_is_below(m, i, name) && levels > most)
			most = levels;
	}
	return most;
}

bool model_has_children(const struct model *m, int name)
{
	for (int i = 0; i < NAMES; i++)
		if (m->places[i].lives && m->places[i].parent == name)
			return true;
	return false;
}

bool model_has_slots(const struct model *m, int name)
{
	for (size_t i = m->first_open; i < m->ncalls; i++)
		if (m->calls[i].account == name && m->calls[i].state < CALL_OVER)
			return true;
	return false;
}

int model_living(const struct model *m, int name)
{
	for (int steps = 0; name != NOBODY && steps <= NAMES; steps++) {
		if (m->places[name].lives)
			return name;
		name = m->places[name].parent;
	}
	return NOBODY;
}

nanousd model_limit(const struct model *m, int name, int k)
{
	const struct account_spec *s = &m->places[name].spec;

	if (s->limits[k] == GATE_NO_LIMIT)
		return GATE_NO_LIMIT;
	return s->limits[k] + (m->seen_ns / NS < s->raise_until_s ? s->raise[k] : 0);
}

/* ---- the calls */

struct call *model_add_call(struct model *m)
{
	if (m->ncalls == CALLS_MAX)
		abort();
	struct call *c = &m->calls[m->ncalls++];

	memset(c, 0, sizeof(*c));
	return c;
}

struct call *model_find_call(struct model *m, uint64_t id)
{
	size_t from = 0, to = m->ncalls;

	while (from < to) {
		size_t middle = (from + to) / 2;

		if (m->calls[middle].id == id)
			return &m->calls[middle];
		if (m->calls[middle].id < id)
			from = middle + 1;
		else
			to = middle;
	}
	return NULL;
}

size_t model_busy(const struct model *m)
{
	size_t n = 0;

	for (size_t i = m->first_open; i < m->ncalls; i++)
		n += m->calls[i].state < CALL_OVER;
	return n;
}

bool call_is_held(const struct call *c)
{
	return c->state == CALL_HELD || c->state == CALL_SENT;
}

bool call_is_spent(const struct call *c)
{
	return c->state == CALL_CHARGED || c->state == CALL_ROWED || c->state == CALL_OVER;
}

static bool is_within(int64_t at_ns, int64_t start_s, int64_t end_s)
{
	int64_t at_s = at_ns / NS;

	return at_s >= start_s && (end_s == 0 || at_s < end_s);
}

struct sums model_sums(const struct model *m, int name, int64_t start_s, int64_t end_s)
{
	struct sums sums = { 0 };

	for (size_t i = 0; i < m->ncalls; i++) {
		const struct call *c = &m->calls[i];

		if (!is_within(c->started_ns, start_s, end_s) || !model_is_below(m, model_living(m, c->account), name))
			continue;
		sums.spent += call_is_spent(c) ? c->cost : 0;
		sums.held += call_is_held(c) ? c->amount : 0;
	}
	return sums;
}

/* All sums of all living accounts in one walk over the list; the same as model_sums for each. */
typedef struct sums all_sums[NAMES][WINDOW_COUNT];

static void sum_up(const struct model *m, const struct gate_account *rows, all_sums ret)
{
	int counts_at[NAMES];

	memset(ret, 0, sizeof(all_sums));
	for (int i = 0; i < NAMES; i++)
		counts_at[i] = model_living(m, i);
	for (size_t i = 0; i < m->ncalls; i++) {
		const struct call *c = &m->calls[i];
		nanousd spent = call_is_spent(c) ? c->cost : 0, held = call_is_held(c) ? c->amount : 0;

		if (spent + held == 0)
			continue;
		for (int at = counts_at[c->account]; at != NOBODY; at = m->places[at].parent) {
			const struct gate_window *w = rows[m->places[at].index].windows;

			for (int k = 0; k < WINDOW_COUNT; k++)
				if (is_within(c->started_ns, w[k].start_s, w[k].end_s)) {
					ret[at][k].spent += spent;
					ret[at][k].held += held;
				}
		}
	}
}

/* ---- windows */

static const char *const window_names[WINDOW_COUNT] = { "hour", "day", "week", "month", "total" };

static void look_at_instance(struct model *m, int name, int k, int64_t start_s, int64_t end_s, enum look how)
{
	struct seen_window *old = &m->places[name].windows[k];
	int64_t now_s = m->seen_ns / NS;
	bool is_known = m->places[name].windows_known;

	if (is_known && old->start_s == start_s && old->end_s == end_s)
		return;
	if (k == WINDOW_TOTAL ? start_s != 0 || end_s != 0 : start_s >= end_s)
		broken("%s/%s: the instance [%" PRId64 ", %" PRId64 ") is none", name_of(name), window_names[k], start_s, end_s);
	if (k == WINDOW_TOTAL)
		return;
	const struct account_spec *s = &m->places[name].spec;
	/* Another calendar: the window that is open ends later, never sooner than it was opened with. */
	bool was_stretched = is_known && old->start_s == start_s;

	if (was_stretched && (end_s < old->due_s || how == LOOK_STRICT))
		broken("%s/%s: the instance that began at %" PRId64 " ended at %" PRId64 ", now at %" PRId64, name_of(name), window_names[k],
		       old->start_s, old->end_s, end_s);
	/* Invariant 4: a window is granted once. */
	if (is_known && !was_stretched && start_s < old->end_s)
		broken("%s/%s: an instance that begins at %" PRId64 " after one that lasts until %" PRId64, name_of(name), window_names[k],
		       start_s, old->end_s);
	if (!was_stretched && (now_s < start_s || now_s >= end_s))
		broken("%s/%s: [%" PRId64 ", %" PRId64 ") does not hold the time, %" PRId64, name_of(name), window_names[k], start_s,
		       end_s, now_s);
	if (!calendar_begins((enum window_kind)k, s->zone, s->reset_minute, end_s))
		broken("%s/%s: nothing ends at %" PRId64 " in zone \"%s\" minute %d", name_of(name), window_names[k], end_s, s->zone,
		       s->reset_minute);
	/* In the step that changes the calendar an instance may begin by the old one and end by the new one. */
	bool is_regular = how == LOOK_STRICT || (how == LOOK_START && !m->places[name].is_stretched);

	if (!was_stretched && is_regular && !calendar_begins((enum window_kind)k, s->zone, s->reset_minute, start_s))
		broken("%s/%s: nothing begins at %" PRId64 " in zone \"%s\" minute %d", name_of(name), window_names[k], start_s, s->zone,
		       s->reset_minute);
	if (!was_stretched && is_regular && !calendar_is_one((enum window_kind)k, s->zone, s->reset_minute, start_s, end_s))
		broken("%s/%s: [%" PRId64 ", %" PRId64 ") is more than one in zone \"%s\" minute %d", name_of(name), window_names[k], start_s,
		       end_s, s->zone, s->reset_minute);
}

/* ---- looking */

static void look_at_window(struct model *m, int name, int k, const struct gate_window *w, struct sums should, enum look how)
{
	struct seen_window *old = &m->places[name].windows[k];
	nanousd spent = w->limit_nanousd - w->left_nanousd, sum = spent + w->held_nanousd;
	bool is_same = m->places[name].windows_known && old->start_s == w->start_s;

	look_at_instance(m, name, k, w->start_s, w->end_s, how);
	if (w->limit_nanousd != model_limit(m, name, k) && m->places[name].spec.raise_until_s == 0)
		broken("%s/%s: the limit is %" PRId64 ", should be %" PRId64, name_of(name), window_names[k], (int64_t)w->limit_nanousd,
		       model_limit(m, name, k));
	if (m->in_doubt ? spent < should.spent : spent != should.spent) /* invariant 2 */
		broken("%s/%s: spent is %" PRId64 ", the calls add up to %" PRId64, name_of(name), window_names[k], spent, should.spent);
	if (w->held_nanousd != should.held)
		broken("%s/%s: held is %" PRId64 ", the calls add up to %" PRId64, name_of(name), window_names[k], (int64_t)w->held_nanousd,
		       should.held);
	/* Invariant 1: nothing but an edit, a move or a bill above its hold lifts the sum above the limit. */
	if (how == LOOK_STRICT && is_same && old->limit == model_limit(m, name, k) && sum > old->sum && sum > model_limit(m, name, k))
		broken("%s/%s: spent %" PRId64 " + held %" PRId64 " rose from %" PRId64 " above the limit %" PRId64, name_of(name),
		       window_names[k], spent, (int64_t)w->held_nanousd, old->sum, model_limit(m, name, k));
	/* Invariant 4: spent only grows within an instance, but for money that moves to another place in the tree. */
	if (how == LOOK_STRICT && is_same && spent < old->spent)
		broken("%s/%s: spent fell from %" PRId64 " to %" PRId64, name_of(name), window_names[k], old->spent, spent);
	if (m->places[name].windows_known && old->start_s != w->start_s)
		m->places[name].past[k][m->places[name].npast[k]++ % PAST] = *old;
	int64_t due_s = is_same ? old->due_s : how == LOOK_STRICT ? w->end_s : 0;

	*old = (struct seen_window){ .due_s = due_s, .start_s = w->start_s, .end_s = w->end_s, .spent = spent, .sum = sum, .limit = model_limit(m, name, k) };
}

static void look_at_slots(const struct model *m, const struct gate_hold *holds)
{
	static const uint32_t slot_states[] = {
		[CALL_HELD] = GATE_HOLD_HELD, [CALL_SENT] = GATE_HOLD_SENT, [CALL_CHARGED] = GATE_HOLD_CHARGED, [CALL_ROWED] = GATE_HOLD_CHARGED,
		[CALL_GIVEN_UP] = GATE_HOLD_HELD, [CALL_FORGOTTEN] = GATE_HOLD_HELD,
	};

	for (size_t i = m->first_open; i < m->ncalls; i++) {
		const struct call *c = &m->calls[i];

		if (c->state >= CALL_OVER)
			continue;
		const struct gate_hold *h = &holds[c->slot];
		nanousd amount = call_is_held(c) || call_is_spent(c) ? c->amount : 0;

		if (h->call_id != c->id || h->state != slot_states[c->state] || h->amount_nanousd != amount ||
		    h->started_realtime_ns != c->started_ns || (call_is_spent(c) && h->cost_nanousd != c->cost))
			broken("slot %u: call %" PRIu64 " state %u amount %" PRId64 " cost %" PRId64 "; should be call %" PRIu64
			       " state %u amount %" PRId64 " cost %" PRId64, c->slot, (uint64_t)h->call_id, h->state,
			       (int64_t)h->amount_nanousd, (int64_t)h->cost_nanousd, c->id, slot_states[c->state], amount, c->cost);
	}
}

void model_look(struct model *m, const struct gate_account *rows, const struct gate_hold *holds, enum look how)
{
	static all_sums should;

	while (m->first_open < m->ncalls && m->calls[m->first_open].state >= CALL_OVER)
		m->first_open++;
	sum_up(m, rows, should);
	for (int i = 0; i < NAMES; i++) {
		struct place *p = &m->places[i];
		const struct gate_account *row = &rows[p->index];

		if (!p->lives)
			continue;
		if (strcmp(row->name, name_of(i)) != 0 || !(row->flags & GATE_ACCOUNT_USED) ||
		    !(row->flags & GATE_ACCOUNT_PAUSED) != !p->spec.paused)
			broken("%s: its row is \"%.47s\", flags %u", name_of(i), row->name, row->flags);
		if (row->parent != (p->parent == NOBODY ? 0 : m->places[p->parent].index))
			broken("%s: the row above it is %u", name_of(i), row->parent);
		for (int k = 0; k < WINDOW_COUNT; k++)
			look_at_window(m, i, k, &row->windows[k], should[i][k], how);
		p->windows_known = true;
	}
	look_at_slots(m, holds);
}

/* The instance of a window that holds started_ns: the one that is open, or one that is over. NULL: not known. */
static const struct seen_window *instance_at(const struct model *m, int name, int k, int64_t started_ns)
{
	const struct place *p = &m->places[name];

	if (is_within(started_ns, p->windows[k].start_s, p->windows[k].end_s))
		return &p->windows[k];
	for (size_t i = p->npast[k] > PAST ? p->npast[k] - PAST : 0; i < p->npast[k]; i++)
		if (is_within(started_ns, p->past[k][i % PAST].start_s, p->past[k][i % PAST].end_s))
			return &p->past[k][i % PAST];
	return NULL;
}

nanousd model_granted(const struct model *m, int account, int64_t started_ns, bool has_moved)
{
	nanousd least = INT64_MAX;

	for (int at = account; at != NOBODY; at = m->places[at].parent)
		for (int k = 0; k < WINDOW_COUNT; k++) {
			const struct seen_window *w = instance_at(m, at, k, started_ns);
			nanousd limit = model_limit(m, at, k);

			if (limit == GATE_NO_LIMIT || !w || (has_moved && w != &m->places[at].windows[k]))
				continue;
			struct sums s = model_sums(m, at, w->start_s, w->end_s);

			if (s.spent + s.held > limit) /* invariant 1 */
				broken("granted, though %s/%s then has spent %" PRId64 " + held %" PRId64 " of %" PRId64, name_of(at), window_names[k],
				       s.spent, s.held, limit);
			least = limit - s.spent - s.held < least ? limit - s.spent - s.held : least;
		}
	return least;
}

void model_refused(const struct model *m, int account, int64_t started_ns, nanousd more, const struct refusal *why)
{
	int at = name_find(why->account);

	if (at == NOBODY || !model_is_below(m, account, at) || why->window >= WINDOW_COUNT)
		broken("refused by account \"%s\", which is not above %s", why->account, name_of(account));
	const struct seen_window *w = instance_at(m, at, why->window, started_ns);
	nanousd limit = model_limit(m, at, why->window);

	if (!w)
		return; /* one that ended long ago */
	struct sums s = model_sums(m, at, w->start_s, w->end_s);

	if (limit == GATE_NO_LIMIT || (s.spent + s.held + more <= limit && !m->in_doubt))
		broken("refused, though %s/%s has spent %" PRId64 " + held %" PRId64 " of %" PRId64 " and %" PRId64 " fits", why->account,
		       window_names[why->window], s.spent, s.held, limit, more);
	if ((why->spent != s.spent && !m->in_doubt) || why->limit != limit || why->reset_s != w->end_s)
		broken("the refusal by %s/%s says spent %" PRId64 ", held %" PRId64 " of %" PRId64 ", reset %" PRId64 "; should be %" PRId64 ", %" PRId64
		       " of %" PRId64 ", %" PRId64, why->account, window_names[why->window], why->spent, why->held, why->limit, why->reset_s, s.spent,
		       s.held, limit, w->end_s);
}

/* ---- rules */

nanousd model_most_per_call(const struct model *m, int account)
{
	nanousd most = INT64_MAX;

	for (int at = account; at != NOBODY; at = m->places[at].parent)
		if (m->places[at].spec.rules.per_call && m->places[at].spec.rules.per_call < most)
			most = m->places[at].spec.rules.per_call;
	return most;
}

bool model_has_model_limits(const struct model *m, int account)
{
	for (int at = account; at != NOBODY; at = m->places[at].parent)
		if (m->places[at].spec.rules.nmodel_limits)
			return true;
	return false;
}

static int64_t in_flight(const struct model *m, int name)
{
	int64_t n = 0;

	for (size_t i = m->first_open; i < m->ncalls; i++)
		n += call_is_held(&m->calls[i]) && model_is_below(m, m->calls[i].account, name);
	return n;
}

/* Spent and held on a model in an instance; the simulator's globs are whole names. */
static nanousd on_model(const struct model *m, int name, const char *model, const struct seen_window *w)
{
	nanousd sum = 0;

	for (size_t i = 0; i < m->ncalls; i++) {
		const struct call *c = &m->calls[i];

		if (strcmp(c->model, model) == 0 && is_within(c->started_ns, w->start_s, w->end_s) &&
		    model_is_below(m, model_living(m, c->account), name))
			sum += call_is_spent(c) ? c->cost : call_is_held(c) ? c->amount : 0;
	}
	return sum;
}

void model_rules_hold(const struct model *m, const struct call *c, bool is_new)
{
	for (int at = c->account; at != NOBODY; at = m->places[at].parent) {
		const struct rules *r = &m->places[at].spec.rules;

		if (r->per_call && c->amount > r->per_call)
			broken("granted %" PRId64 ", though %s allows %" PRId64 " a call", c->amount, name_of(at), r->per_call);
		if (is_new && r->calls_in_flight && in_flight(m, at) > r->calls_in_flight)
			broken("granted, though %s allows %" PRId64 " calls in flight", name_of(at), r->calls_in_flight);
		for (size_t i = 0; i < r->nmodel_limits; i++)
			for (int k = 0; k < WINDOW_COUNT; k++)
				if (strcmp(r->model_limits[i].models, c->model) == 0 && r->model_limits[i].limits[k] != GATE_NO_LIMIT &&
				    is_within(c->started_ns, m->places[at].windows[k].start_s, m->places[at].windows[k].end_s) &&
				    on_model(m, at, c->model, &m->places[at].windows[k]) > r->model_limits[i].limits[k])
					broken("granted, though %s/%s has used %" PRId64 " of %" PRId64 " on model %s", name_of(at), window_names[k],
					       on_model(m, at, c->model, &m->places[at].windows[k]), (int64_t)r->model_limits[i].limits[k], c->model);
	}
}

void model_rule_refused(const struct model *m, int account, const char *asked_model, nanousd amount, int64_t started_ns,
			const struct refusal *why)
{
	int at = name_find(why->account);

	if (at == NOBODY || !model_is_below(m, account, at))
		broken("refused by the rules of \"%s\", which is not above %s", why->account, name_of(account));
	const struct rules *r = &m->places[at].spec.rules;

	if (strcmp(why->rule, "per_call") == 0) {
		if (!r->per_call || amount <= r->per_call)
			broken("refused %" PRId64 " by per_call %" PRId64, amount, r->per_call);
	} else if (strcmp(why->rule, "calls_in_flight") == 0) {
		if (!r->calls_in_flight || in_flight(m, at) < r->calls_in_flight)
			broken("refused by calls_in_flight of %s: %" PRId64 " of %" PRId64, name_of(at), in_flight(m, at), r->calls_in_flight);
	} else if (strncmp(why->rule, "model_limit", 11) == 0) {
		const struct seen_window *w = instance_at(m, at, why->window, started_ns);
		bool is_right = m->in_doubt || !w;

		for (size_t i = 0; !is_right && i < r->nmodel_limits; i++)
			is_right = strcmp(r->model_limits[i].models, asked_model) == 0 && r->model_limits[i].limits[why->window] != GATE_NO_LIMIT &&
				    on_model(m, at, asked_model, w) + amount > r->model_limits[i].limits[why->window];
		if (!is_right)
			broken("refused by the limit of %s on model %s: %" PRId64 " used, %" PRId64 " wanted", name_of(at), asked_model,
			       on_model(m, at, asked_model, w), amount);
	} else {
		broken("refused by the rule \"%s\", which nobody made", why->rule);
	}
}
