// SPDX-License-Identifier: Apache-2.0
/*
 * daemon/books.c: where the money is: budget, ledger and agents, in the order in which a start needs them (spend/replay.h), and the door
 * before them that the path uses (path/money.h).
 */
#include "daemon/daemon.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "ctl/agents.h"
#include "ctl/alert/alerts.h"
#include "ctl/config/config.h"
#include "ctl_abi.h"
#include "kern/gate.h"
#include "path/money.h"
#include "spend/budget/budget.h"
#include "spend/ledger/ledger.h"
#include "spend/replay.h"
#include "upgrade.h"

static void row_is_durable(void *ctx, uint32_t slot)
{
	struct daemon *d = ctx;

	budget_settled(d->budget, slot);
}

static void ledger_health(void *ctx, bool healthy, const char *why)
{
	struct daemon *d = ctx;

	/* The ledger has logged why. */
	budget_close_holds(d->budget, !healthy);
}

static void refusal_is_recorded(void *ctx, const char *agent, const struct refusal *why)
{
	struct daemon *d = ctx;

	alerts_refused(d->alerts, agent, why);
}

int start_budget(struct daemon *d, struct err *e)
{
	bool takes = upgrade_is_taking(d->upgrade) || d->is_resuming;
	uint32_t owners[BUDGET_KEEP_MAX + 1];
	size_t n = upgrade_owners(d->upgrade, owners);
	int r = (takes ? budget_take : budget_new)(gate_accounts(d->gate), GATE_ACCOUNTS_MAX, gate_holds(d->gate), GATE_HOLDS_MAX,
						   &d->budget);

	if (r < 0)
		return err_set(e, -r, "budget: %s", strerror(-r));
	/* Ours, when it was not taken from us after all. */
	if (d->is_resuming)
		owners[n++] = gate_start(d->gate);
	budget_set_owner(d->budget, gate_start(d->gate));
	budget_keep(d->budget, owners, n);
	return 0;
}

void stop_budget(struct daemon *d)
{
	budget_free(d->budget);
}

int start_ledger(struct daemon *d, struct err *e)
{
	static const struct ledger_calls calls = { .durable = row_is_durable, .health = ledger_health, .refused = refusal_is_recorded };
	char path[1200];

	(void)config_place(d->config->state_dir, PURSE_LEDGER_NAME, path, sizeof(path));
	return ledger_open(path, &calls, d, &d->ledger, e);
}

void stop_ledger(struct daemon *d)
{
	if (ledger_close(d->ledger) < 0)
		log_error("ledger", "rows stayed unwritten; their calls are still in the gate's memory and are taken up at the "
			  "next start (not after a reboot)");
}

/* Balances from the ledger, then what was in flight when an earlier daemon died; spend/replay.h has the order. */
static int replay(struct daemon *d, struct err *e)
{
	struct replay_counts n = { 0 };
	int64_t now = now_s();
	char cost[32];
	int r = replay_begin(d->budget, d->ledger, clock_realtime_ns(), e);

	if (r == 0)
		r = agents_load(d->agents, now, e);
	if (r == 0)
		r = replay_finish(d->budget, d->ledger, now, &n, e);
	if (r < 0)
		return r;
	if (n.orphans_sent + n.orphans_charged + n.orphans_known > 0)
		log_warn("ledger", "%zu calls were in flight when the last daemon ended: charged at their whole hold; %zu were charged "
			 "and are written now; %zu were on record (%s)", n.orphans_sent, n.orphans_charged, n.orphans_known,
			 usd_show(n.orphans_cost, cost, sizeof(cost)));
	if (n.kept > 0)
		log_info("upgrade", "%zu calls in flight go on", n.kept);
	budget_open(d->budget);
	return 0;
}

int start_agents(struct daemon *d, struct err *e)
{
	struct agents_env env = { .config = d->config, .gate = d->gate, .budget = d->budget, .ledger = d->ledger, .loop = d->loop };
	int r = agents_new(&env, &d->agents, e);

	if (r < 0)
		return r;
	r = replay(d, e);
	if (r == 0)
		r = agents_enrol(d->agents, e);
	if (r < 0)
		agents_free(d->agents);
	return r;
}

void stop_agents(struct daemon *d)
{
	agents_free(d->agents);
}

int start_money(struct daemon *d, struct err *e)
{
	int r = money_new(d->budget, d->ledger, &d->money);

	return r < 0 ? err_set(e, -r, "out of memory") : 0;
}

void stop_money(struct daemon *d)
{
	money_free(d->money);
}
