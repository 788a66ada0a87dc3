// SPDX-License-Identifier: Apache-2.0
/*
 * fakes.h: a gate, cgroups, a ledger and a CA in plain memory, under the real names: what ctl/ calls is linked to these, so the tests
 * need neither root nor a kernel. Include once per test program. Budgets are the real ones.
 */
#ifndef TEST_FAKES_H
#define TEST_FAKES_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "kern/cgroup.h"
#include "kern/gate.h"
#include "spend/audit.h"
#include "spend/budget/budget.h"
#include "spend/ledger/ledger.h"
#include "spend/ledger/prune.h"
#include "spend/ledger/sums.h"
#include "spend/replay.h"
#include "wire/ca.h"

#define FAKE_MAX 64

/* ---- cgroups: a set of paths with ids */
static struct {
	char dir[256];
	uint64_t id;
} fake_cgroups[FAKE_MAX];
static uint64_t fake_next_id = 100;
static int fake_cgroup_error; /* of every look */

static inline uint64_t fake_cgroup_id(const char *dir)
{
	for (int i = 0; i < FAKE_MAX; i++)
		if (fake_cgroups[i].id && strcmp(fake_cgroups[i].dir, dir) == 0)
			return fake_cgroups[i].id;
	return 0;
}

static inline void fake_cgroup_vanish(const char *dir)
{
	for (int i = 0; i < FAKE_MAX; i++)
		if (strcmp(fake_cgroups[i].dir, dir) == 0)
			fake_cgroups[i].id = 0;
}

int cgroup_mount(char *ret, size_t size, struct err *e)
{
	(void)snprintf(ret, size, "/cg");
	return 0;
}

/* We (0) are in none: nothing is made below it. All others are here. */
static char fake_place[64] = "/user.slice";

int cgroup_of(int pid, char *ret, size_t size, struct err *e)
{
	if (pid == 0 || !fake_place[0])
		return err_set(e, ENOENT, "no cgroup");
	(void)snprintf(ret, size, "%s", fake_place);
	return 0;
}

int cgroup_remove(const char *dir)
{
	return 0;
}

int cgroup_id(const char *dir, uint64_t *ret, struct err *e)
{
	if (fake_cgroup_error)
		return err_set(e, fake_cgroup_error, "%s: cannot open", dir);
	*ret = fake_cgroup_id(dir);
	return *ret ? 0 : err_set(e, ENOENT, "%s: no such cgroup", dir);
}

int cgroup_make(const char *dir, struct err *e)
{
	if (fake_cgroup_id(dir))
		return 0;
	for (int i = 0; i < FAKE_MAX; i++) {
		if (fake_cgroups[i].id)
			continue;
		fake_cgroups[i].id = fake_next_id++;
		(void)snprintf(fake_cgroups[i].dir, sizeof(fake_cgroups[i].dir), "%s", dir);
		return 0;
	}
	return err_set(e, ENOSPC, "%s: no room", dir);
}

/* ---- the gate */
static struct {
	uint64_t id;
	struct gate_agent agent;
} fake_agents[FAKE_MAX];
static struct fake_endpoint {
	bool used;
	uint8_t addr[16];
	uint8_t class;
	uint16_t provider;
	unsigned prefixlen;
} fake_endpoints[1024];
static struct gate_state fake_state;
static int fake_enrol_error;

int gate_enrol(struct gate *g, uint64_t id, const struct gate_agent *a)
{
	int place = -1;

	if (fake_enrol_error)
		return fake_enrol_error;
	for (int i = FAKE_MAX; i-- > 0;)
		if (fake_agents[i].id == 0 && place < 0)
			place = i;
	for (int i = 0; i < FAKE_MAX; i++)
		if (fake_agents[i].id == id)
			place = i;
	if (place < 0)
		return -E2BIG;
	fake_agents[place].id = id;
	fake_agents[place].agent = *a;
	return 0;
}

int gate_expel(struct gate *g, uint64_t id)
{
	for (int i = 0; i < FAKE_MAX; i++)
		if (id && fake_agents[i].id == id) {
			fake_agents[i].id = 0;
			return 0;
		}
	return -ENOENT;
}

/* What an agent has open, by its folder; looked for on whatever thread. A look waits while fake_looks_held, and says so. */
static struct {
	char dir[256];
	size_t open;
} fake_open[FAKE_MAX];
static _Atomic bool fake_looks_held, fake_look_waits;
static _Atomic int fake_looks, fake_looked_at;
static _Atomic uint64_t fake_old_epoch;

int gate_end_old_flows(struct gate *g, struct gate_old *of, size_t n, bool (*stop)(void *ctx), void *ctx, struct err *e)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	fake_looks++;
	fake_looked_at += (int)n;
	while (fake_looks_held && !stop(ctx)) {
		fake_look_waits = true;
		(void)nanosleep(&ms, NULL);
	}
	fake_look_waits = false;
	if (stop && stop(ctx))
		return err_set(e, ECANCELED, "stopped");
	for (size_t i = 0; i < n; i++) {
		of[i].ended = 0;
		of[i].error = strcmp(of[i].cgroup_dir, "/cg/crowd") == 0 || (strcmp(of[i].cgroup_dir, "/cg/crowded") == 0 && n > 1) ? -E2BIG : 0;
		for (int j = 0; j < FAKE_MAX; j++)
			if (fake_open[j].open && strcmp(fake_open[j].dir, of[i].cgroup_dir) == 0) {
				of[i].ended += fake_open[j].open;
				fake_open[j].open = 0;
			}
	}
	return 0;
}

uint64_t gate_old_epoch(const struct gate *g)
{
	return fake_old_epoch;
}

int gate_find_agent(struct gate *g, uint64_t id, struct gate_agent *ret)
{
	for (int i = 0; i < FAKE_MAX; i++)
		if (id && fake_agents[i].id == id) {
			*ret = fake_agents[i].agent;
			return 0;
		}
	return -ENOENT;
}

void gate_each_agent(struct gate *g, bool (*fn)(void *ctx, uint64_t id, const struct gate_agent *a), void *ctx)
{
	for (int i = 0; i < FAKE_MAX; i++)
		if (fake_agents[i].id && !fn(ctx, fake_agents[i].id, &fake_agents[i].agent))
			return;
}

static inline struct fake_endpoint *fake_endpoint(const uint8_t addr[16])
{
	for (int i = 0; i < 1024; i++)
		if (fake_endpoints[i].used && memcmp(fake_endpoints[i].addr, addr, 16) == 0)
			return &fake_endpoints[i];
	return NULL;
}

int gate_put_endpoint(struct gate *g, const uint8_t addr[16], unsigned prefixlen, enum gate_class class, uint16_t provider)
{
	struct fake_endpoint *at = fake_endpoint(addr);

	for (int i = 0; i < 1024 && !at; i++)
		if (!fake_endpoints[i].used)
			at = &fake_endpoints[i];
	if (!at || prefixlen > 128)
		return -E2BIG;
	*at = (struct fake_endpoint){ .used = true, .class = (uint8_t)class, .provider = provider, .prefixlen = prefixlen };
	memcpy(at->addr, addr, 16);
	return 0;
}

int gate_drop_endpoint(struct gate *g, const uint8_t addr[16], unsigned prefixlen)
{
	struct fake_endpoint *at = fake_endpoint(addr);

	if (!at)
		return -ENOENT;
	at->used = false;
	return 0;
}

void gate_each_endpoint(struct gate *g, bool (*fn)(void *ctx, const uint8_t addr[16], unsigned prefixlen, const struct gate_endpoint *e), void *ctx)
{
	for (int i = 0; i < 1024; i++) {
		const struct fake_endpoint *f = &fake_endpoints[i];
		struct gate_endpoint e = { .class = f->class, .provider = f->provider };

		if (f->used && !fn(ctx, f->addr, f->prefixlen, &e))
			return;
	}
}

struct gate_state *gate_state(struct gate *g)
{
	return &fake_state;
}

void gate_counters(struct gate *g, uint64_t ret[GATE_COUNT_COUNT])
{
	for (int i = 0; i < GATE_COUNT_COUNT; i++)
		ret[i] = (uint64_t)i;
}

const char *gate_counter_name(enum gate_counter c)
{
	static char names[GATE_COUNT_COUNT][16];

	(void)snprintf(names[c], sizeof(names[c]), "counter%d", c);
	return names[c];
}

const char *gate_reason_text(enum gate_reason r)
{
	return "some reason";
}

int gate_events_fd(struct gate *g)
{
	return -1;
}

void gate_read_events(struct gate *g, void (*fn)(void *ctx, const struct gate_event *ev), void *ctx)
{
}

/* ---- the ledger */
static int fake_ledger_error; /* of every write */
static char fake_changes[FAKE_MAX][384];
static int fake_nchanges;
static struct account_spec fake_accounts[FAKE_MAX];
static struct ledger_agent fake_ledger_agents[FAKE_MAX];
static int fake_naccounts, fake_nledger_agents;
static struct {
	char account[GATE_NAME_MAX];
	nanousd spent;
} fake_spent[FAKE_MAX];

int ledger_change(struct ledger *l, const char *who, const char *what, int64_t at_ns)
{
	if (fake_ledger_error)
		return fake_ledger_error;
	if (fake_nchanges < FAKE_MAX)
		(void)snprintf(fake_changes[fake_nchanges++], sizeof(fake_changes[0]), "%s: %s", who, what);
	return 0;
}

int ledger_changed(struct ledger *l, const struct ledger_change *c)
{
	char what[320];

	(void)snprintf(what, sizeof(what), "%s %s %s -> %s", c->verb, c->subject, c->before && c->before[0] ? c->before : "none",
		       c->after && c->after[0] ? c->after : "none");
	return ledger_change(l, c->who, what, c->at_ns);
}

int ledger_save_account(struct ledger *l, const struct account_spec *a, bool removed)
{
	int i = 0;

	if (fake_ledger_error)
		return fake_ledger_error;
	while (i < fake_naccounts && strcmp(fake_accounts[i].name, a->name) != 0)
		i++;
	if (removed && i < fake_naccounts)
		fake_accounts[i] = fake_accounts[--fake_naccounts];
	if (!removed) {
		fake_naccounts += i == fake_naccounts;
		fake_accounts[i] = *a;
	}
	return 0;
}

int ledger_save_agent(struct ledger *l, const struct ledger_agent *a, bool removed)
{
	int i = 0;

	if (fake_ledger_error)
		return fake_ledger_error;
	while (i < fake_nledger_agents && strcmp(fake_ledger_agents[i].name, a->name) != 0)
		i++;
	if (removed && i < fake_nledger_agents)
		fake_ledger_agents[i] = fake_ledger_agents[--fake_nledger_agents];
	if (!removed) {
		fake_nledger_agents += i == fake_nledger_agents;
		fake_ledger_agents[i] = *a;
	}
	return 0;
}

int ledger_each_account(struct ledger *l, void (*fn)(void *ctx, const struct account_spec *), void *ctx)
{
	for (int i = 0; i < fake_naccounts; i++)
		fn(ctx, &fake_accounts[i]);
	return 0;
}

int ledger_each_agent(struct ledger *l, void (*fn)(void *ctx, const struct ledger_agent *), void *ctx)
{
	for (int i = 0; i < fake_nledger_agents; i++)
		fn(ctx, &fake_ledger_agents[i]);
	return 0;
}

void replay_take_back(struct budget *b, struct ledger *l, const struct account_spec *spec, int64_t now_s)
{
	(void)l;
	(void)now_s;
	(void)budget_remove_account(b, spec->name, NULL);
}

int replay_account(struct budget *b, struct ledger *l, const struct account_spec *spec, int64_t now_s, uint32_t *ret_index,
		   struct err *e)
{
	nanousd spent[WINDOW_COUNT] = { 0 };
	bool is_new = budget_find(b, spec->name) == 0;
	int r = budget_set_account(b, spec, now_s, ret_index, e);

	for (int i = 0; i < FAKE_MAX; i++)
		for (int w = 0; w < WINDOW_COUNT; w++)
			if (strcmp(fake_spent[i].account, spec->name) == 0)
				spent[w] += fake_spent[i].spent;
	if (r == 0 && is_new)
		budget_restore(b, *ret_index, spent);
	return r;
}

int replay_models(struct budget *b, struct ledger *l, uint32_t account, struct err *e)
{
	return 0;
}

int audit_doubts(struct budget *b, struct ledger *l, struct err *e)
{
	return 0;
}

size_t ledger_queued(struct ledger *l)
{
	return 3;
}

static struct ledger_query fake_query; /* the last one asked */
static char fake_query_agent[GATE_NAME_MAX];
static int fake_rows = 1, fake_read_delay_ms;

int ledger_read(struct ledger *l, const struct ledger_query *q, void (*fn)(void *ctx, const struct ledger_row *), void *ctx,
		struct err *e)
{
	struct ledger_row row = { .at_ns = 1787220000000000000, .who = "uid 0", .what = "something \"quoted\"" };

	fake_query = *q;
	(void)snprintf(fake_query_agent, sizeof(fake_query_agent), "%s", q->agent ? q->agent : "");
	if (fake_read_delay_ms) {
		struct timespec t = { .tv_sec = fake_read_delay_ms / 1000, .tv_nsec = fake_read_delay_ms % 1000 * 1000000L };

		(void)nanosleep(&t, NULL);
	}
	(void)snprintf(row.call.agent, sizeof(row.call.agent), "bot");
	(void)snprintf(row.call.model, sizeof(row.call.model), "m-1");
	row.call.call_id = 7;
	row.call.cost = 123000;
	row.call.endpoint = ENDPOINT_OPENAI_CHAT;
	row.call.started_ns = row.at_ns;
	row.why = (struct refusal){ .reason = REFUSAL_BUDGET, .window = WINDOW_DAY, .limit = 25 * NANOUSD_PER_USD, .account = "bot" };
	for (int i = 0; i < fake_rows; i++)
		fn(ctx, &row);
	return 0;
}

/* ---- the ledger's sums and its pruning: nothing to tell */
void ledger_sum_call(struct ledger_sum *s, const struct ledger_call *c)
{
	s->calls++;
	s->cost += c->cost;
}

void ledger_sum_add(struct ledger_sum *s, const struct ledger_sum *other)
{
	s->calls += other->calls;
	s->cost += other->cost;
}

static unsigned fake_by; /* the last one asked */

int ledger_groups(struct ledger *l, const struct ledger_query *q, unsigned by, void (*fn)(void *ctx, const struct ledger_group *),
		  void *ctx, bool *ret_pruned, struct err *e)
{
	const struct ledger_group g = { .agent = "bot", .at_s = 1787220000, .sum = { .calls = 2, .cost = 5000000 } };

	fake_query = *q;
	fake_by = by;
	*ret_pruned = true;
	fn(ctx, &g);
	return 0;
}

int ledger_bill(struct ledger *l, const char *provider, int64_t from_s, int64_t to_s, bool by_day,
		void (*fn)(void *ctx, const struct ledger_bill_line *), void *ctx, struct err *e)
{
	const struct ledger_bill_line line = { .model = "m-1", .price = "list@1", .day_s = 1787184000, .sum = { .calls = 3, .cost = 1005000000 } };

	fn(ctx, &line);
	return 0;
}

static int64_t fake_pruned_before;

int ledger_prune(struct ledger *l, int64_t before_s, const struct ledger_keep *keep, struct ledger_pruned *ret, struct err *e)
{
	fake_pruned_before = before_s;
	*ret = (struct ledger_pruned){ .calls = 7, .cost = 1500000000 };
	return 0;
}

/* ---- the CA */
void ca_describe(struct ca *ca, char *ret_fingerprint, size_t size, int64_t *ret_not_after_s)
{
	(void)snprintf(ret_fingerprint, size, "AB:CD");
	*ret_not_after_s = 1787220000;
}

#endif
