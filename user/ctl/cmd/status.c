// SPDX-License-Identifier: Apache-2.0
/* cmd/status.c: `purse status`: the daemon's own words as tables. */
#include <stdlib.h>
#include <string.h>

#include "ctl/cmd/cmd.h"
#include "ctl/records.h"
#include "ctl/cmd/table.h"
#include "ctl/units.h"
#include "ctl_abi.h"

static bool is_true(const char *word)
{
	return strcmp(word, "true") == 0;
}

/* ---- daemon */

enum { D_VERSION, D_PID, D_UPTIME, D_HEALTHY, D_PORT4, D_PORT6, D_IN_FLIGHT, D_LEDGER, D_GATE, D_PROBLEM, D_COUNT };
static const char *const daemon_fields[D_COUNT] = {
	[D_VERSION] = "daemon.version", [D_PID] = "daemon.pid", [D_UPTIME] = "daemon.uptime_s",
	[D_HEALTHY] = "daemon.healthy", [D_PORT4] = "daemon.port4", [D_PORT6] = "daemon.port6",
	[D_IN_FLIGHT] = "daemon.in_flight", [D_LEDGER] = "daemon.ledger_healthy", [D_GATE] = "daemon.gate_ok",
	[D_PROBLEM] = "daemon.gate_problem",
};

static void show_daemon(void *ctx, const char *const *v)
{
	long up = strtol(v[D_UPTIME], NULL, 10);

	(void)printf("pursed %s, pid %s, up %ldd %02ld:%02ld:%02ld: %s\n", v[D_VERSION], v[D_PID], up / 86400, up / 3600 % 24,
		     up / 60 % 60, up % 60, is_true(v[D_HEALTHY]) ? "healthy" : "NOT HEALTHY");
	(void)printf("listening on 127.0.0.1:%s", v[D_PORT4]);
	if (strcmp(v[D_PORT6], "0") != 0)
		(void)printf(" and [::1]:%s", v[D_PORT6]);
	(void)printf(", %s calls in flight\n", v[D_IN_FLIGHT]);
	if (!is_true(v[D_LEDGER]))
		(void)printf("ledger: cannot write; new calls are refused until it can\n");
	if (!is_true(v[D_GATE]))
		(void)printf("%s\n", v[D_PROBLEM][0] ? v[D_PROBLEM] : "gate: not verified");
}

/* ---- other network namespaces: one line, the first few by name */

enum { N_INODE, N_AGENT, N_PORT6, N_COUNT };
static const char *const namespace_fields[N_COUNT] = { [N_INODE] = "inode", [N_AGENT] = "agent", [N_PORT6] = "port6" };
#define NAMESPACES_SHOWN 8

static void show_namespace(void *ctx, const char *const *v)
{
	unsigned *shown = ctx;

	if (++*shown <= NAMESPACES_SHOWN)
		(void)printf("%s %s (net:[%s]%s)", *shown > 1 ? "," : "", v[N_AGENT], v[N_INODE], strcmp(v[N_PORT6], "0") ? "" : ", no ::1");
}

static int show_namespaces(const struct buf *json)
{
	char count[24];
	unsigned shown = 0;

	record_field(json, "daemon.counts.namespaces", count, sizeof(count));
	long n = strtol(count, NULL, 10);

	if (n <= 0)
		return 0;
	(void)printf("listening in %ld other network namespace%s:", n, n == 1 ? "" : "s");
	int r = records_read(json, "namespaces[]", namespace_fields, N_COUNT, show_namespace, &shown);

	(void)printf("%s\n", n > NAMESPACES_SHOWN ? ", …" : "");
	return r;
}

/* ---- agents */

enum { G_NAME, G_CGROUP, G_ID, G_MISSING, G_PAUSED, G_EXHAUSTED, G_FAILURE, G_COUNT };
static const char *const agent_fields[G_COUNT] = {
	[G_NAME] = "name", [G_CGROUP] = "cgroup", [G_ID] = "cgroup_id", [G_MISSING] = "cgroup_missing",
	[G_PAUSED] = "paused", [G_EXHAUSTED] = "on_exhausted", [G_FAILURE] = "on_failure",
};
static const char *const agent_heads[] = { "AGENT", "STATE", "CGROUP", "ON_EXHAUSTED", "ON_FAILURE" };

static void show_agent(void *ctx, const char *const *v)
{
	struct table *t = ctx;

	table_cell(t, v[G_NAME]);
	table_cell(t, is_true(v[G_MISSING]) ? "cgroup gone" : is_true(v[G_PAUSED]) ? "paused" : "enrolled");
	table_cell(t, v[G_CGROUP]);
	table_cell(t, v[G_EXHAUSTED]);
	table_cell(t, v[G_FAILURE]);
}

/* ---- accounts: one line per window */

enum { A_NAME, A_PARENT, A_PAUSED, A_ZONE, A_CALLS, A_REFUSALS, A_RAISED_UNTIL, A_WINDOWS };
enum { W_LIMIT, W_SPENT, W_HELD, W_LEFT, W_RESETS, W_RAISED, W_FIELDS };
static const char *const window_fields[W_FIELDS] = { "limit", "spent", "held", "left", "resets_local", "raised" };
static const char *const account_heads[] = { "ACCOUNT", "ABOVE", "WINDOW", "SPENT", "HELD", "LIMIT", "LEFT", "RESETS",
					     "CALLS*", "REFUSED*" };

/* "2026-11-25 00:00 Europe/Berlin" */
static const char *local(const char *at, const char *zone, char *mem, size_t size)
{
	if (!at[0])
		return "";
	(void)snprintf(mem, size, "%s %s", at, zone);
	return mem;
}

/* A raised limit carries a mark; the line below the table says until when. */
static const char *limit(const char *const *x, char *mem, size_t size)
{
	char usd[64];

	(void)snprintf(mem, size, "%s%s", cli_usd(x[W_LIMIT], usd, sizeof(usd)), x[W_RAISED][0] ? "^" : "");
	return mem;
}

static void show_account(void *ctx, const char *const *v)
{
	struct table *t = ctx;
	bool first = true;
	char mem[96];

	for (int w = 0; w < WINDOW_COUNT; w++) {
		const char *const *x = v + A_WINDOWS + w * W_FIELDS;

		if (!x[W_SPENT][0])
			continue;
		table_cellf(t, "%s%s", first ? v[A_NAME] : "", first && is_true(v[A_PAUSED]) ? " (paused)" : first ? "" : " ");
		table_cell(t, first ? v[A_PARENT] : " ");
		table_cell(t, units_window_names[w]);
		table_cell(t, cli_usd(x[W_SPENT], mem, sizeof(mem)));
		table_cell(t, cli_usd(x[W_HELD], mem, sizeof(mem)));
		table_cell(t, limit(x, mem, sizeof(mem)));
		table_cell(t, cli_usd(x[W_LEFT], mem, sizeof(mem)));
		table_cell(t, local(x[W_RESETS], v[A_ZONE], mem, sizeof(mem)));
		table_cell(t, first ? v[A_CALLS] : " ");
		table_cell(t, first ? v[A_REFUSALS] : " ");
		first = false;
	}
}

static void show_raise(void *ctx, const char *const *v)
{
	char mem[96];

	if (!v[A_RAISED_UNTIL][0])
		return;
	(void)printf("^ %s is raised until %s:", v[A_NAME], local(v[A_RAISED_UNTIL], v[A_ZONE], mem, sizeof(mem)));
	for (int w = 0; w < WINDOW_COUNT; w++) {
		const char *raised = v[A_WINDOWS + w * W_FIELDS + W_RAISED];

		if (raised[0])
			(void)printf(" %s +%s", units_window_names[w], cli_usd(raised, mem, sizeof(mem)));
	}
	(void)printf("\n");
}

static int show_accounts(const struct buf *json)
{
	const char *fields[A_WINDOWS + WINDOW_COUNT * W_FIELDS] = { "name", "parent", "paused", "timezone", "calls", "refusals",
								     "raise.until_local" };
	char paths[WINDOW_COUNT * W_FIELDS][48];
	struct table t;

	for (int i = 0; i < WINDOW_COUNT * W_FIELDS; i++) {
		(void)snprintf(paths[i], sizeof(paths[i]), "windows.%s.%s", units_window_names[i / W_FIELDS],
			       window_fields[i % W_FIELDS]);
		fields[A_WINDOWS + i] = paths[i];
	}
	table_init(&t, account_heads, 10, 0x378);
	int r = records_read(json, "accounts[]", fields, A_WINDOWS + WINDOW_COUNT * W_FIELDS, show_account, &t);
	if (table_rows(&t)) {
		(void)printf("\n");
		table_print(&t, stdout);
		(void)printf("* since the daemon's start; `purse ledger` has all\n");
		if (r == 0)
			r = records_read(json, "accounts[]", fields, A_WINDOWS + WINDOW_COUNT * W_FIELDS, show_raise, NULL);
	}
	return r;
}

/* ---- rules */

enum { R_ACCOUNT, R_RULE, R_SAYS, R_NOW, R_DRY_RUN, R_REFUSED, R_WOULD, R_COUNT };
static const char *const rule_fields[R_COUNT] = { "account", "rule", "says", "now", "dry_run", "refused", "would_refuse" };
static const char *const rule_heads[] = { "ACCOUNT", "RULE", "SAYS", "NOW", "REFUSED*", "WOULD REFUSE*" };

static void show_rule(void *ctx, const char *const *v)
{
	bool is_money = strcmp(v[R_RULE], "burn_rate") == 0;
	struct table *t = ctx;
	char now[96];

	table_cell(t, v[R_ACCOUNT]);
	table_cell(t, v[R_RULE]);
	table_cell(t, v[R_SAYS]);
	table_cell(t, is_money ? cli_usd(v[R_NOW], now, sizeof(now)) : v[R_NOW]);
	table_cell(t, is_true(v[R_DRY_RUN]) ? "dry run" : v[R_REFUSED]);
	table_cell(t, is_true(v[R_DRY_RUN]) ? v[R_WOULD] : "");
}

/* Model limits read like accounts' windows. */
enum { M_ACCOUNT, M_MODELS, M_WINDOWS };
static const char *const model_heads[] = { "ACCOUNT", "MODELS", "WINDOW", "SPENT", "HELD", "LIMIT", "LEFT" };

static void show_model_limit(void *ctx, const char *const *v)
{
	struct table *t = ctx;
	char mem[96];

	for (int w = 0; w < WINDOW_COUNT; w++) {
		const char *const *x = v + M_WINDOWS + w * W_FIELDS;

		if (!x[W_SPENT][0])
			continue;
		table_cell(t, v[M_ACCOUNT]);
		table_cell(t, v[M_MODELS]);
		table_cell(t, units_window_names[w]);
		table_cell(t, cli_usd(x[W_SPENT], mem, sizeof(mem)));
		table_cell(t, cli_usd(x[W_HELD], mem, sizeof(mem)));
		table_cell(t, cli_usd(x[W_LIMIT], mem, sizeof(mem)));
		table_cell(t, cli_usd(x[W_LEFT], mem, sizeof(mem)));
	}
}

static int show_rules(const struct buf *json)
{
	const char *fields[M_WINDOWS + WINDOW_COUNT * W_FIELDS] = { "account", "models" };
	char paths[WINDOW_COUNT * W_FIELDS][48];
	struct table t;

	table_init(&t, rule_heads, 6, 0x38);
	int r = records_read(json, "accounts[].rule_figures[]", rule_fields, R_COUNT, show_rule, &t);

	if (table_rows(&t)) {
		(void)printf("\n");
		table_print(&t, stdout);
	}
	for (int i = 0; i < WINDOW_COUNT * W_FIELDS; i++) {
		(void)snprintf(paths[i], sizeof(paths[i]), "windows.%s.%s", units_window_names[i / W_FIELDS],
			       window_fields[i % W_FIELDS]);
		fields[M_WINDOWS + i] = paths[i];
	}
	table_init(&t, model_heads, 7, 0x78);
	if (r == 0)
		r = records_read(json, "accounts[].model_limits[]", fields, M_WINDOWS + WINDOW_COUNT * W_FIELDS, show_model_limit, &t);
	if (table_rows(&t)) {
		(void)printf("\n");
		table_print(&t, stdout);
	}
	return r;
}

int cmd_status(struct cli *cli, const struct command *self, char **argv)
{
	struct client_answer a;
	struct args args;
	struct table t;
	bool done;
	int exit_code = cli_args(cli, self, NULL, 0, NULL, argv, 0, 0, &args, &done);

	if (done)
		return exit_code;
	exit_code = cli_get(cli, "/v1/status", &a, &done);
	if (done)
		return exit_code;
	int r = records_read(&a.body, NULL, daemon_fields, D_COUNT, show_daemon, NULL);
	if (r == 0)
		r = show_namespaces(&a.body);
	table_init(&t, agent_heads, 5, 0);
	if (r == 0)
		r = records_read(&a.body, "agents[]", agent_fields, G_COUNT, show_agent, &t);
	if (table_rows(&t)) {
		(void)printf("\n");
		table_print(&t, stdout);
	} else {
		(void)printf("\nno agents yet: `purse agent add NAME --day 25USD`, or `purse run -- CMD`\n");
	}
	if (r == 0)
		r = show_accounts(&a.body);
	if (r == 0)
		r = show_rules(&a.body);
	client_answer_done(&a);
	return r ? PURSE_EXIT_FAILURE : PURSE_EXIT_OK;
}
