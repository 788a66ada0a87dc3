// SPDX-License-Identifier: Apache-2.0
/* replay.c: see replay.h. Reads the ledger, writes the budget; the only place that joins the two besides audit.c. */
#include "spend/replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "spend/ledger/places.h"
#include "spend/replay_own.h"

#define NS_PER_S INT64_C(1000000000)
#define CLOCK_DOUBT_NS (48 * 3600 * NS_PER_S)

static void nothing(void *ctx)
{
	(void)ctx;
}

/* ---- holds that were written ahead */

struct slots {
	struct budget *budget;
	struct map *by_id; /* call id -> struct gate_hold, of slots in use */
	const struct gate_hold *holds;
};

static struct str id_key(const uint64_t *id)
{
	return (struct str){ (const char *)id, sizeof(*id) };
}

static int find_slots(const struct budget_snapshot *s, struct slots *ret)
{
	ret->by_id = map_new();
	if (!ret->by_id)
		return -ENOMEM;
	for (size_t i = 0; i < s->nholds; i++) {
		struct gate_hold *h = &s->holds[i];
		uint64_t id = h->call_id;

		if (h->state != GATE_HOLD_FREE && map_put(ret->by_id, id_key(&id), h, NULL) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* With its slot gone the machine went down, not only the daemon: whatever was sent is charged. Towards over, never dropped. */
static enum ledger_fate fate(void *ctx, const struct ledger_hold *hold)
{
	const struct slots *s = ctx;
	const struct gate_hold *h = map_find(s->by_id, id_key(&hold->call_id));

	if (!h)
		return LEDGER_HOLD_CHARGE;
	return h->state == GATE_HOLD_HELD && !budget_keeps(s->budget, h) ? LEDGER_HOLD_DROP : LEDGER_HOLD_KEEP;
}

static int settle_power_cut(struct budget *b, struct ledger *l, struct err *e)
{
	struct budget_snapshot snapshot = { 0 };
	struct ledger_taken taken = { 0 };
	struct slots slots = { .budget = b };
	char usd[32];
	int r = budget_snapshot(b, nothing, NULL, &snapshot);

	if (r == 0)
		r = find_slots(&snapshot, &slots);
	if (r < 0)
		(void)err_set(e, -r, "calls in flight: out of memory");
	else
		r = ledger_take_holds(l, fate, &slots, &taken, e);
	map_free(slots.by_id, NULL);
	free(snapshot.accounts);
	free(snapshot.holds);
	if (r == 0 && taken.charged)
		log_warn("ledger", "%zu calls were in flight when the machine went down: charged at what was held for them (%s)", taken.charged,
			 usd_show(taken.cost, usd, sizeof(usd)));
	return r;
}

int replay_begin(struct budget *b, struct ledger *l, int64_t now_ns, struct err *e)
{
	if (now_ns < 0)
		return err_set(e, EINVAL, "the clock stands before 1970; set it");
	int64_t newest = 0;
	uint64_t last_id = 0;
	int r = settle_power_cut(b, l, e);

	if (r == 0)
		r = ledger_newest(l, &last_id, &newest, e);
	if (r < 0)
		return r;
	int64_t seen = newest > now_ns ? newest : now_ns;

	if (newest > now_ns + CLOCK_DOUBT_NS) {
		log_warn("ledger", "the newest call began %lld hours from now: the clock was wrong then or is now; windows follow the clock",
			 (long long)((newest - now_ns) / NS_PER_S / 3600));
		seen = now_ns;
	} else if (newest > now_ns) {
		log_warn("ledger", "the clock is %lld s behind the newest call; windows wait until it has caught up",
			 (long long)((newest - now_ns) / NS_PER_S));
	}
	budget_seed(b, last_id, seen);
	return 0;
}

/* ---- one account */

static uint32_t lives(void *ctx, const char *name)
{
	return budget_find(ctx, name);
}

/* What counts for a name that lives again: its own, and that of removed accounts below it. */
struct comeback {
	struct budget *b;
	struct ledger *l;
	struct places *places;
	const char *name;
	/* The sum that is being made. */
	int64_t from_s, to_s;
	nanousd sum;
	int error;
	struct err *e;
};

static void add_spent(struct comeback *c, const char *account)
{
	nanousd one = 0;

	if (c->error == 0)
		c->error = ledger_spent_between(c->l, account, c->from_s, c->to_s, &one, c->e);
	if (c->error == 0 && __builtin_add_overflow(c->sum, one, &c->sum))
		c->sum = INT64_MAX;
}

/* A removed account below the one that comes back: its money counts there again. */
static void add_if_below(void *ctx, const char *account, const char *parent)
{
	struct comeback *c = ctx;
	bool passes;

	(void)parent;
	if (strcmp(account, c->name) == 0 || budget_find(c->b, account))
		return;
	(void)places_living(c->places, account, lives, c->b, c->name, &passes);
	if (passes)
		add_spent(c, account);
}

static int spent_of(void *ctx, int64_t from_s, int64_t to_s, nanousd *ret)
{
	struct comeback *c = ctx;

	c->from_s = from_s;
	c->to_s = to_s;
	c->sum = 0;
	add_spent(c, c->name);
	if (c->places && c->error == 0)
		places_each(c->places, add_if_below, c);
	*ret = c->sum;
	return c->error;
}

static int read_places(struct ledger *l, struct places **ret, struct err *e)
{
	struct ledger_view *v;
	int r = ledger_view_open(l, &v, e);

	if (r < 0)
		return r;
	r = ledger_view_begin(v);
	if (r == 0)
		r = places_read(v, ret);
	if (r < 0)
		(void)err_set(e, -r, "ledger: the places of accounts cannot be read: %s", strerror(-r));
	ledger_view_close(v);
	return r;
}

static uint32_t parent_of(struct budget *b, const char *name)
{
	struct account_view v;

	if (budget_view(b, budget_find(b, name), 0, &v) < 0 || !v.parent[0])
		return 0;
	return budget_find(b, v.parent);
}

/* Limits on models where the account's money counted until now: they have less. Until they know it they refuse too early, never too late. */
static void models_without_it(struct budget *b, struct ledger *l, uint32_t index, uint32_t counted_at)
{
	struct err e;

	if (counted_at && budget_is_open(b) && !budget_is_below(b, index, counted_at) && replay_models(b, l, counted_at, &e) < 0)
		log_warn("ledger", "%s", e.text);
}

int replay_account(struct budget *b, struct ledger *l, const struct account_spec *spec, int64_t now_s, uint32_t *ret_index,
		   struct err *e)
{
	struct comeback c = { .b = b, .l = l, .name = spec->name, .e = e };
	bool is_new = budget_find(b, spec->name) == 0;
	uint32_t index, counted_at = is_new ? 0 : parent_of(b, spec->name);
	int r = 0;

	/* During a start nothing of what is gone counts yet: replay_finish sees to it. */
	if (is_new && budget_is_open(b)) {
		r = read_places(l, &c.places, e);
		if (r == 0)
			counted_at = places_living(c.places, spec->name, lives, b, NULL, NULL);
	}
	if (r == 0)
		r = budget_set_account(b, spec, now_s, &index, e);
	if (r == 0 && is_new) {
		r = budget_restore_by(b, index, counted_at, spent_of, &c);
		if (r == 0 && budget_is_open(b))
			r = replay_models(b, l, index, e);
		/* Where its money counted until now there is less of it. */
		if (r == 0 && counted_at)
			r = replay_models(b, l, counted_at, e);
		if (r < 0)
			(void)budget_remove_account(b, spec->name, NULL);
	}
	if (r == 0)
		models_without_it(b, l, index, counted_at);
	if (r == 0 && ret_index)
		*ret_index = index;
	places_free(c.places);
	return r;
}

void replay_take_back(struct budget *b, struct ledger *l, const struct account_spec *spec, int64_t now_s)
{
	struct account_spec back = *spec;
	struct places *places = NULL;
	struct account_view above;
	struct err e = { "" };
	uint32_t from = parent_of(b, spec->name), to = 0;

	if (read_places(l, &places, &e) == 0) {
		const char *parent = places_parent(places, spec->name);

		to = parent && *parent ? places_living(places, parent, lives, b, NULL, NULL) : 0;
		back.parent[0] = '\0';
		if (to && budget_view(b, to, now_s, &above) == 0)
			memcpy(back.parent, above.name, sizeof(back.parent));
		if (budget_set_account(b, &back, now_s, NULL, &e) < 0)
			log_warn("ledger", "%s", e.text);
		places_free(places);
	} else {
		log_warn("ledger", "%s", e.text);
	}
	if (budget_remove_account(b, spec->name, &e) < 0)
		log_warn("ledger", "%s", e.text);
	for (int side = 0; side < 2; side++) {
		uint32_t at = side ? to : from;

		if (at && from != to && budget_is_open(b) && replay_models(b, l, at, &e) < 0)
			log_warn("ledger", "%s", e.text);
	}
}

/* ---- accounts that are gone: each of them counts where it stood, at the first account above it that lives */

struct gone {
	struct budget *b;
	struct ledger *l;
	const struct places *places;
	char name[GATE_NAME_MAX];
	size_t names;
	int error;
	struct err *e;
};

static int spent_of_gone(void *ctx, int64_t from_s, int64_t to_s, nanousd *ret)
{
	const struct gone *g = ctx;

	return ledger_spent_between(g->l, g->name, from_s, to_s, ret, g->e);
}

static void gone_hour(void *ctx, const struct ledger_hour *h)
{
	struct gone *g = ctx;

	if (g->error < 0 || strcmp(h->account, g->name) == 0)
		return;
	(void)str_copy(g->name, sizeof(g->name), str_of(h->account));
	uint32_t at = budget_find(g->b, g->name) ? 0 : places_living(g->places, g->name, lives, g->b, NULL, NULL);

	if (!at)
		return;
	g->error = budget_restore_by(g->b, at, 0, spent_of_gone, g);
	g->names++;
}

static int restore_gone(struct budget *b, struct ledger *l, struct ledger_view *v, const struct places *places, size_t *ret_names,
			struct err *e)
{
	struct gone g = { .b = b, .l = l, .places = places, .e = e };
	int r = ledger_view_hours(v, NULL, gone_hour, &g);

	if (r < 0)
		return err_set(e, -r, "ledger: what removed accounts spent cannot be read: %s; see `purse audit`", strerror(-r));
	*ret_names = g.names;
	return g.error;
}

/* Where every living account stands, for the day when it is gone. */
static int save_places(struct budget *b, struct ledger *l, const struct places *known)
{
	uint32_t end = (uint32_t)budget_accounts_end(b);
	struct ledger_place *places = calloc(end ? end : 1, sizeof(*places));
	size_t n = 0;

	if (!places)
		return -ENOMEM;
	for (uint32_t i = 1; i < end; i++) {
		struct account_view v;

		if (budget_view(b, i, 0, &v) < 0)
			continue;
		const char *parent = places_parent(known, v.name);

		if (parent && strcmp(parent, v.parent) == 0)
			continue;
		memcpy(places[n].account, v.name, sizeof(v.name));
		memcpy(places[n].parent, v.parent, sizeof(v.parent));
		n++;
	}
	int r = ledger_save_places(l, places, n);

	free(places);
	return r;
}

/* ---- calls that were in flight */

static void queue_row(struct ledger *l, const struct orphan *o, nanousd cost)
{
	const struct gate_hold *h = &o->hold;
	bool was_charged = h->state == GATE_HOLD_CHARGED;
	struct ledger_call c = {
		.call_id = h->call_id,
		.pid = h->pid,
		.cgroup_id = h->cgroup_id,
		.endpoint = h->endpoint < ENDPOINT_COUNT ? (enum endpoint)h->endpoint : ENDPOINT_UNKNOWN,
		.tier = TIER_UNKNOWN,
		.held = h->amount_nanousd,
		.cost = cost,
		.estimated = was_charged ? h->estimated : true,
		.started_ns = h->started_realtime_ns,
		.first_byte_us = -1,
		.total_us = -1,
		.slot = o->slot,
	};

	(void)snprintf(c.account, sizeof(c.account), "%s", o->account[0] ? o->account : "unknown");
	(void)snprintf(c.agent, sizeof(c.agent), "%s", o->name[0] ? o->name : "unknown");
	(void)snprintf(c.comm, sizeof(c.comm), "%s", h->comm);
	(void)snprintf(c.provider, sizeof(c.provider), "%s", h->provider_name);
	(void)snprintf(c.model, sizeof(c.model), "%s", h->model);
	(void)snprintf(c.end, sizeof(c.end), "%s", was_charged ? "replayed" : "orphan");
	ledger_call(l, &c);
}

static int settle_orphans(struct budget *b, struct ledger *l, struct replay_counts *counts, struct err *e)
{
	counts->kept = budget_keep_holds(b);
	size_t n = budget_orphans(b, NULL, 0);
	struct orphan *orphans = calloc(n ? n : 1, sizeof(*orphans));
	int is_known = 0;

	if (!orphans)
		return err_set(e, ENOMEM, "calls in flight: out of memory");
	(void)budget_orphans(b, orphans, n);
	for (size_t i = 0; i < n && is_known >= 0; i++) {
		const struct orphan *o = &orphans[i];
		bool was_charged = o->hold.state == GATE_HOLD_CHARGED;
		nanousd cost = was_charged ? o->hold.cost_nanousd : o->hold.amount_nanousd;

		/* Taken for unknown it would count twice: by its slot and by its row. */
		is_known = ledger_has_call(l, o->hold.call_id, e);
		if (is_known < 0)
			continue;
		budget_adopt(b, o->slot, cost, is_known);
		counts->orphans_known += (size_t)is_known;
		if (is_known)
			continue;
		counts->orphans_sent += !was_charged;
		counts->orphans_charged += was_charged;
		counts->orphans_cost += cost;
		queue_row(l, o, cost);
	}
	free(orphans);
	return is_known < 0 ? is_known : 0;
}

void replay_abandoned(struct budget *b, struct ledger *l, uint32_t owner, struct replay_counts *ret)
{
	size_t n = budget_holds_of(b, owner, NULL, 0);
	struct orphan *left = calloc(n ? n : 1, sizeof(*left));

	*ret = (struct replay_counts){ 0 };
	if (!left) {
		log_error("ledger", "%zu calls of a process that is gone: out of memory; their holds stay until the next start", n);
		return;
	}
	n = budget_holds_of(b, owner, left, n);
	for (size_t i = 0; i < n; i++) {
		const struct gate_hold *h = &left[i].hold;

		if (h->state == GATE_HOLD_HELD) {
			budget_give_up(b, left[i].slot);
			ledger_hold_over(l, h->call_id, left[i].slot);
			continue;
		}
		(void)budget_charge(b, left[i].slot, h->amount_nanousd, true);
		queue_row(l, &left[i], h->amount_nanousd);
		ret->orphans_sent++;
		ret->orphans_cost += h->amount_nanousd;
	}
	free(left);
}

int replay_finish(struct budget *b, struct ledger *l, int64_t now_s, struct replay_counts *ret, struct err *e)
{
	struct replay_counts counts = { 0 };
	struct places *places = NULL;
	struct ledger_view *v = NULL;
	int r = ledger_view_open(l, &v, e);

	if (r < 0)
		return r;
	(void)budget_roll(b, now_s);
	r = ledger_view_begin(v);
	if (r == 0)
		r = places_read(v, &places);
	if (r < 0)
		(void)err_set(e, -r, "ledger: the places of accounts cannot be read: %s; see `purse audit`", strerror(-r));
	if (r == 0)
		r = restore_gone(b, l, v, places, &counts.gone_accounts, e);
	if (r == 0)
		r = replay_models_all(b, v, places, e);
	ledger_view_close(v);
	if (r == 0 && (r = save_places(b, l, places)) < 0)
		(void)err_set(e, -r, "ledger: the places of accounts cannot be written: %s", strerror(-r));
	places_free(places);
	if (r == 0)
		r = settle_orphans(b, l, &counts, e);
	if (r == 0)
		*ret = counts;
	return r;
}
