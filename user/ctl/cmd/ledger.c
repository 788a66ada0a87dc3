// SPDX-License-Identifier: Apache-2.0
/*
 * cmd/ledger.c: `purse ledger`: rows and sums as table, JSON or CSV. Asks the daemon; when none runs it opens the ledger itself, so that
 * what `purse run` spent can be looked at afterwards. `ledger export` and `ledger prune` have files of their own.
 */
#include "base/cleanup.h"
#include "ctl/cmd/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/cmd/csv.h"
#include "ctl/records.h"
#include "ctl/cmd/table.h"
#include "ctl_abi.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define STATUS_ANY (-1)

struct flags {
	const char *agent, *account, *model, *provider, *by;
	int64_t since, until, limit, pid, cgroup, status;
	struct args_usd min_cost;
	bool refusals, changes, csv, estimated;
};
#define AT(member) offsetof(struct flags, member)
static const struct args_row rows[] = {
	{ .name = "--agent", .type = ARGS_TEXT, .offset = AT(agent), .value = "NAME", .help = "of this agent only" },
	{ .name = "--account", .type = ARGS_TEXT, .offset = AT(account), .value = "NAME", .help = "charged to this account itself" },
	{ .name = "--model", .type = ARGS_TEXT, .offset = AT(model), .value = "MODEL", .help = "for this model only" },
	{ .name = "--provider", .type = ARGS_TEXT, .offset = AT(provider), .value = "NAME",
	  .help = "at this provider only" },
	{ .name = "--pid", .type = ARGS_INT, .offset = AT(pid), .min = 1, .max = UINT32_MAX, .value = "N", .help = "of this process" },
	{ .name = "--cgroup", .type = ARGS_INT, .offset = AT(cgroup), .min = 1, .max = INT64_MAX, .value = "ID",
	  .help = "of the cgroup with this id" },
	{ .name = "--status", .type = ARGS_INT, .offset = AT(status), .min = 0, .max = 999, .value = "N",
	  .help = "answered with this HTTP status; 0: no answer came" },
	{ .name = "--estimated", .type = ARGS_SWITCH, .offset = AT(estimated), .help = "charged on an estimate" },
	{ .name = "--min-cost", .type = ARGS_AMOUNT, .offset = AT(min_cost), .value = "USD", .help = "that cost as much or more" },
	{ .name = "--since", .type = ARGS_TIME, .offset = AT(since), .value = "T",
	  .help = "2h, 7d, today, 2026-08-21, 2026-08-21T10:00:00Z" },
	{ .name = "--until", .type = ARGS_TIME, .offset = AT(until), .value = "T", .help = "the same forms" },
	{ .name = "--limit", .letter = 'n', .type = ARGS_INT, .offset = AT(limit), .min = 1, .max = CTL_LEDGER_ROWS_MAX,
	  .value = "N", .help = "newest N rows, default 100; N groups, default all" },
	{ .name = "--group-by", .type = ARGS_TEXT, .offset = AT(by), .value = "WORDS",
	  .help = "sums instead of rows, by agent, account, provider, model, day, hour, pid, cgroup; several with commas" },
	{ .name = "--refusals", .type = ARGS_SWITCH, .offset = AT(refusals), .help = "what was refused, and why" },
	{ .name = "--changes", .type = ARGS_SWITCH, .offset = AT(changes), .help = "who changed what" },
	{ .name = "--csv", .type = ARGS_SWITCH, .offset = AT(csv), .help = "comma-separated, with a head line" },
};

/* ---- where the rows come from */

static int add_number(struct buf *out, const char *key, int64_t v, int64_t if_not)
{
	char mem[32];

	if (v == if_not)
		return 0;
	(void)snprintf(mem, sizeof(mem), "%lld", (long long)v);
	return client_query(out, key, mem);
}

static int add_text(struct buf *out, const char *key, const char *v)
{
	return v ? client_query(out, key, v) : 0;
}

static int add_by(struct buf *out, unsigned by)
{
	char mem[96] = "";

	for (int bit = 0; bit < LEDGER_BY_KINDS; bit++)
		if (by >> bit & 1) {
			(void)strncat(mem, mem[0] ? "," : "", sizeof(mem) - strlen(mem) - 1);
			(void)strncat(mem, ledger_by_name(bit), sizeof(mem) - strlen(mem) - 1);
		}
	return mem[0] ? client_query(out, "by", mem) : 0;
}

static int target_of(const struct ledger_ask *a, struct buf *out)
{
	const struct ledger_query *q = &a->q;
	int r = buf_printf(out, "/v1/ledger");

	r = r ? r : client_query(out, "kind", ledger_kind_names[a->kind]);
	r = r ? r : add_text(out, "agent", q->agent);
	r = r ? r : add_text(out, "account", q->account);
	r = r ? r : add_text(out, "model", q->model);
	r = r ? r : add_text(out, "provider", q->provider);
	r = r ? r : add_number(out, "since", q->since_s, 0);
	r = r ? r : add_number(out, "until", q->until_s, 0);
	r = r ? r : add_number(out, "limit", q->limit, 0);
	r = r ? r : add_number(out, "pid", q->pid, 0);
	r = r ? r : add_number(out, "cgroup", (int64_t)q->cgroup_id, 0);
	r = r ? r : add_number(out, "status", q->status < 0 ? 0 : q->status ? q->status : STATUS_ANY, STATUS_ANY);
	r = r ? r : add_text(out, "estimated", q->estimated ? "1" : NULL);
	r = r ? r : add_number(out, "min_cost", q->min_cost, 0);
	r = r ? r : add_text(out, "by_day", a->by_day ? "1" : NULL);
	r = r ? r : add_by(out, a->by);
	return r ? r : buf_append(out, "", 1);
}

static int read_alone(struct cli *cli, const struct ledger_ask *ask, struct client_answer *ret)
{
	struct ledger *l = NULL;
	struct err e = { "" };
	int exit_code = cli_peek_ledger(cli, &l);

	if (exit_code)
		return exit_code;
	buf_init(&ret->body, CTL_ANSWER_MAX);
	int r = ledger_json(l, ask, &ret->body, &e);

	(void)ledger_close(l);
	/* The padding that readers of JSON need. */
	if (r == 0 && buf_reserve(&ret->body, 1))
		return PURSE_EXIT_OK;
	client_answer_done(ret);
	return cli_fail(&e, PURSE_EXIT_FAILURE);
}

int ledger_fetch(struct cli *cli, const struct ledger_ask *ask, struct client_answer *ret)
{
	int exit_code = cli_config(cli);
	struct buf target;

	if (exit_code)
		return exit_code;
	if (!client_is_up(cli->socket))
		return read_alone(cli, ask, ret);
	buf_init(&target, 8192);
	exit_code = target_of(ask, &target) < 0 ? PURSE_EXIT_USAGE : cli_call(cli, "GET", buf_ptr(&target), NULL, ret);
	buf_done(&target);
	return exit_code;
}

/* ---- as CSV: every field */

static void csv_line(void *ctx, const char *const *values)
{
	csv_row(stdout, values, *(const size_t *)ctx);
}

static const char *list_of(const struct ledger_ask *ask, char *mem, size_t size)
{
	(void)snprintf(mem, size, "%s[]", ledger_kind_names[ask->kind]);
	return mem;
}

int ledger_print_csv(const struct ledger_ask *ask, const struct client_answer *a)
{
	char list[32];
	size_t n;
	const char *const *fields = ledger_fields(ask, &n);

	csv_row(stdout, fields, n);
	return records_read(&a->body, list_of(ask, list, sizeof(list)), fields, n, csv_line, &n);
}

/* ---- as tables */

struct shown {
	struct table t;
	const struct ledger_ask *ask;
};

enum { C_STARTED, C_AGENT, C_PROVIDER, C_MODEL, C_INPUT, C_CACHED, C_OUTPUT, C_COST, C_STATUS, C_END, C_KNOWN, C_ESTIMATED, C_COUNT };
static const char *const call_fields[C_COUNT] = { "started", "agent", "provider", "model", "input", "cache_read", "output", "cost", "status",
						  "end", "usage_known", "estimated" };
static const char *const call_heads[] = { "STARTED", "AGENT", "PROVIDER", "MODEL", "INPUT", "CACHED", "OUTPUT", "COST", "STATUS",
					  "END" };
static void call_row(void *ctx, const char *const *v)
{
	struct table *t = &((struct shown *)ctx)->t;
	bool known = strcmp(v[C_KNOWN], "true") == 0;
	char mem[32];

	for (int i = 0; i < C_COST; i++)
		table_cell(t, i >= C_INPUT && !known ? "?" : v[i]);
	/* An estimate says so. */
	table_cellf(t, "%s%s", strcmp(v[C_ESTIMATED], "true") == 0 ? "~" : "", cli_usd(v[C_COST], mem, sizeof(mem)));
	table_cell(t, v[C_STATUS]);
	table_cell(t, v[C_END]);
}

enum { R_AT, R_AGENT, R_PROVIDER, R_MODEL, R_REASON, R_ACCOUNT, R_WINDOW, R_LIMIT, R_SPENT, R_NEEDED, R_DETAIL, R_RULE, R_DRY, R_COUNT };
static const char *const refusal_fields[R_COUNT] = { "at",    "agent",  "provider", "model", "reason", "account", "window", "limit",
						     "spent", "needed", "detail",   "rule",  "dry_run" };
static const char *const refusal_heads[] = { "AT", "AGENT", "PROVIDER", "MODEL", "REASON", "ACCOUNT", "WINDOW", "LIMIT", "SPENT",
					     "NEEDED", "DETAIL" };
static void refusal_row(void *ctx, const char *const *v)
{
	struct table *t = &((struct shown *)ctx)->t;
	char mem[32];

	for (int i = 0; i < R_REASON; i++)
		table_cell(t, v[i]);
	table_cellf(t, "%s%s%s%s", v[R_REASON], v[R_RULE][0] ? ": " : "", v[R_RULE], strcmp(v[R_DRY], "true") == 0 ? " (dry run)" : "");
	table_cell(t, v[R_ACCOUNT]);
	table_cell(t, v[R_WINDOW]);
	for (int i = R_LIMIT; i <= R_NEEDED; i++)
		table_cell(t, v[R_WINDOW][0] ? cli_usd(v[i], mem, sizeof(mem)) : "");
	table_cell(t, v[R_DETAIL]);
}

static const char *const change_fields[] = { "at", "who", "verb", "subject", "before", "after" };
static const char *const change_heads[] = { "AT", "WHO", "WHAT", "OF", "CHANGE" };
static void change_row(void *ctx, const char *const *v)
{
	struct table *t = &((struct shown *)ctx)->t;
	const char *before = v[4], *after = v[5];
	CLEANUP_FREE char *change = NULL;

	for (size_t i = 0; i < 4; i++)
		table_cell(t, v[i]);
	/* Both can be long: no column of its own for the one that is padded. */
	if (asprintf(&change, "%s%s%s", before, before[0] ? " -> " : "", after[0] ? after : before[0] ? "gone" : "") < 0)
		change = NULL;
	table_cell(t, change);
}

/* First the keys that were asked for, then the sums. */
enum { G_KEYS = LEDGER_BY_KINDS, G_CALLS = G_KEYS, G_INPUT, G_CACHED, G_OUTPUT, G_REASONING, G_ESTIMATED, G_COST, G_COUNT };
static const char *const group_fields[G_COUNT] = { "account", "agent",      "provider", "model",     "day",            "hour", "pid", "cgroup",
						   "calls",   "input",      "cache_read", "output", "reasoning", "estimated_cost", "cost" };
static const char *const group_heads[G_COUNT] = { "ACCOUNT", "AGENT",  "PROVIDER", "MODEL",     "DAY",       "HOUR", "PID", "CGROUP",
						  "CALLS",   "INPUT",  "CACHED",   "OUTPUT",    "REASONING", "ESTIMATED", "COST" };
static void group_row(void *ctx, const char *const *v)
{
	struct shown *s = ctx;
	char mem[32];

	for (int i = 0; i < G_ESTIMATED; i++)
		if (i >= G_KEYS || (s->ask->by >> i & 1))
			table_cell(&s->t, v[i]);
	table_cell(&s->t, strspn(v[G_ESTIMATED], "0.") == strlen(v[G_ESTIMATED]) ? "" : cli_usd(v[G_ESTIMATED], mem, sizeof(mem)));
	table_cell(&s->t, cli_usd(v[G_COST], mem, sizeof(mem)));
}

static size_t group_columns(const struct ledger_ask *ask, const char **ret_heads, unsigned *ret_right)
{
	size_t n = 0;

	*ret_right = 0;
	for (int i = 0; i < G_COUNT; i++)
		if (i >= G_KEYS || (ask->by >> i & 1)) {
			*ret_right |= i >= G_KEYS ? 1u << n : 0;
			ret_heads[n++] = group_heads[i];
		}
	return n;
}

static const struct kind {
	const char *const *fields;
	size_t nfields;
	const char *const *heads;
	size_t nheads;
	unsigned right;
	void (*row)(void *ctx, const char *const *values);
} kinds[LEDGER_KIND_COUNT] = {
	[LEDGER_CALLS] = { call_fields, C_COUNT, call_heads, COUNT(call_heads), 0xf0, call_row },
	[LEDGER_REFUSALS] = { refusal_fields, R_COUNT, refusal_heads, COUNT(refusal_heads), 0x380, refusal_row },
	[LEDGER_CHANGES] = { change_fields, COUNT(change_fields), change_heads, COUNT(change_heads), 0, change_row },
	[LEDGER_GROUPS] = { group_fields, G_COUNT, NULL, 0, 0, group_row },
};

enum { S_CALLS, S_INPUT, S_OUTPUT, S_COST, S_ESTIMATED, S_ESTIMATED_COST, S_PRUNED, S_COUNT };
static const char *const sum_fields[S_COUNT] = { "sums.calls", "sums.input", "sums.output", "sums.cost", "sums.estimated",
						 "sums.estimated_cost", "pruned" };
static void sum_row(void *ctx, const char *const *v)
{
	char cost[32], estimated[32];

	(void)ctx;
	(void)printf("%s calls, %s tokens in, %s out, %s", v[S_CALLS], v[S_INPUT], v[S_OUTPUT], cli_usd(v[S_COST], cost, sizeof(cost)));
	if (strcmp(v[S_ESTIMATED], "0") != 0)
		(void)printf(", of which %s in %s calls is estimated", cli_usd(v[S_ESTIMATED_COST], estimated, sizeof(estimated)), v[S_ESTIMATED]);
	(void)printf("\n");
	if (strcmp(v[S_PRUNED], "true") == 0)
		(void)printf("calls that were pruned are not in it: only their sums by day are left (ask by day, in whole days)\n");
}

static int print_table(const struct ledger_ask *ask, const struct client_answer *a)
{
	const struct kind *k = &kinds[ask->kind];
	const char *heads[TABLE_COLUMNS_MAX];
	struct shown s = { .ask = ask };
	char list[32];

	if (ask->kind == LEDGER_GROUPS) {
		unsigned right;
		size_t n = group_columns(ask, heads, &right);

		table_init(&s.t, heads, n, right);
	} else {
		table_init(&s.t, k->heads, k->nheads, k->right);
	}
	int r = records_read(&a->body, list_of(ask, list, sizeof(list)), k->fields, k->nfields, k->row, &s);
	size_t n = table_rows(&s.t);

	table_print(&s.t, stdout);
	if (r == 0 && n == 0)
		(void)printf("nothing on record that matches\n");
	if (r == 0 && n > 0 && (ask->kind == LEDGER_CALLS || ask->kind == LEDGER_GROUPS))
		r = records_read(&a->body, NULL, sum_fields, S_COUNT, sum_row, NULL);
	return r;
}

/* ---- the command */

static int check_flags(const struct cli *cli, const struct flags *f, struct ledger_ask *ask, struct err *e)
{
	bool of_calls = f->pid || f->cgroup || f->status != STATUS_ANY || f->estimated || f->min_cost.given;

	if (f->refusals + f->changes + (f->by != NULL) > 1)
		return err_set(e, EINVAL, "--refusals, --changes and --group-by: choose one");
	if (f->csv && cli->json)
		return err_set(e, EINVAL, "--csv and --json: choose one");
	if (of_calls && (f->refusals || f->changes))
		return err_set(e, EINVAL, "--pid, --cgroup, --status, --estimated, --min-cost: are about calls, not refusals or changes");
	return f->by ? ledger_by_parse(f->by, &ask->by, e) : 0;
}

int cmd_ledger(struct cli *cli, const struct command *self, char **argv)
{
	struct flags f = { .status = STATUS_ANY };
	struct client_answer a = { 0 };
	struct args args;
	struct err e = { "" };
	bool done;

	if (argv[0] && strcmp(argv[0], "export") == 0)
		return cmd_ledger_export(cli, self, argv + 1);
	if (argv[0] && strcmp(argv[0], "prune") == 0)
		return cmd_ledger_prune(cli, self, argv + 1);
	int exit_code = cli_args(cli, self, rows, COUNT(rows), &f, argv, 0, 0, &args, &done);

	if (done)
		return exit_code;
	struct ledger_ask ask = {
		.kind = f.refusals ? LEDGER_REFUSALS : f.changes ? LEDGER_CHANGES : f.by ? LEDGER_GROUPS : LEDGER_CALLS,
		.q = { .agent = f.agent, .account = f.account, .model = f.model, .provider = f.provider, .since_s = f.since, .until_s = f.until,
		       .limit = f.limit ? f.limit : f.by ? CTL_LEDGER_ROWS_MAX : CTL_LEDGER_ROWS_DEFAULT, .pid = (uint32_t)f.pid,
		       .cgroup_id = (uint64_t)f.cgroup, .status = f.status == STATUS_ANY ? 0 : f.status == 0 ? -1 : (int)f.status,
		       .estimated = f.estimated, .min_cost = f.min_cost.v },
	};

	if (check_flags(cli, &f, &ask, &e) < 0)
		return cli_usage(self, &e);
	exit_code = ledger_fetch(cli, &ask, &a);
	if (exit_code)
		return exit_code;
	if (cli->json)
		exit_code = cli_print_json(&a);
	else if ((f.csv ? ledger_print_csv(&ask, &a) : print_table(&ask, &a)) < 0)
		exit_code = PURSE_EXIT_FAILURE;
	client_answer_done(&a);
	return exit_code;
}
