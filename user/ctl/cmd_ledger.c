// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_ledger.c: `purse ledger`: rows as table, JSON or CSV. Asks the daemon; when none runs it opens the ledger itself, so that what
 * `purse run` spent can be looked at afterwards.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/cmd.h"
#include "ctl/records.h"
#include "ctl/route.h"
#include "ctl/table.h"
#include "ctl_abi.h"
#include "spend/ledger.h"

struct flags {
	const char *agent, *model, *provider;
	int64_t since, until, limit;
	bool refusals, changes, csv;
};
#define AT(member) offsetof(struct flags, member)
static const struct args_row rows[] = {
	{ .name = "--agent", .type = ARGS_TEXT, .offset = AT(agent), .value = "NAME", .help = "of this agent only" },
	{ .name = "--model", .type = ARGS_TEXT, .offset = AT(model), .value = "MODEL", .help = "for this model only" },
	{ .name = "--provider", .type = ARGS_TEXT, .offset = AT(provider), .value = "NAME",
	  .help = "at this provider only" },
	{ .name = "--since", .type = ARGS_TIME, .offset = AT(since), .value = "T",
	  .help = "2h, 7d, today, 2026-08-21, 2026-08-21T10:00:00Z" },
	{ .name = "--until", .type = ARGS_TIME, .offset = AT(until), .value = "T", .help = "the same forms" },
	{ .name = "--limit", .letter = 'n', .type = ARGS_INT, .offset = AT(limit), .min = 1, .max = CTL_LEDGER_ROWS_MAX,
	  .value = "N", .help = "newest N rows, default 100" },
	{ .name = "--refusals", .type = ARGS_SWITCH, .offset = AT(refusals), .help = "what was refused, and why" },
	{ .name = "--changes", .type = ARGS_SWITCH, .offset = AT(changes), .help = "who changed which limit" },
	{ .name = "--csv", .type = ARGS_SWITCH, .offset = AT(csv), .help = "comma-separated, with a head line" },
};

/* ---- where the rows come from */

static int target_of(const struct flags *f, const char *kind, struct buf *out)
{
	char mem[32];
	int r = buf_printf(out, "/v1/ledger");

	if (r == 0)
		r = client_query(out, "kind", kind);
	if (r == 0 && f->agent)
		r = client_query(out, "agent", f->agent);
	if (r == 0 && f->model)
		r = client_query(out, "model", f->model);
	if (r == 0 && f->provider)
		r = client_query(out, "provider", f->provider);
	for (int i = 0; r == 0 && i < 3; i++) {
		static const char *const keys[] = { "since", "until", "limit" };
		int64_t values[] = { f->since, f->until, f->limit };

		(void)snprintf(mem, sizeof(mem), "%lld", (long long)values[i]);
		if (values[i])
			r = client_query(out, keys[i], mem);
	}
	return r ? r : buf_append(out, "", 1);
}

static int read_alone(struct cli *cli, const struct flags *f, struct client_answer *ret)
{
	struct ledger_query q = {
		.agent = f->agent, .model = f->model, .provider = f->provider, .since_s = f->since, .until_s = f->until,
		.limit = f->limit, .refusals = f->refusals, .changes = f->changes,
	};
	struct ledger *l = NULL;
	struct err e = { "" };
	int exit_code = cli_peek_ledger(cli, &l);

	if (exit_code)
		return exit_code;
	buf_init(&ret->body, CTL_ANSWER_MAX);
	int r = route_ledger_write(l, &q, &ret->body, &e);

	(void)ledger_close(l);
	if (r == 0)
		return PURSE_EXIT_OK;
	client_answer_done(ret);
	return cli_fail(&e, PURSE_EXIT_FAILURE);
}

static int fetch(struct cli *cli, const struct flags *f, const char *kind, struct client_answer *ret)
{
	int exit_code = cli_config(cli);
	struct buf target;

	if (exit_code)
		return exit_code;
	if (!client_is_up(cli->socket))
		return read_alone(cli, f, ret);
	buf_init(&target, 8192);
	exit_code = target_of(f, kind, &target) < 0 ? PURSE_EXIT_USAGE
						    : cli_call(cli, "GET", buf_ptr(&target), NULL, ret);
	buf_done(&target);
	return exit_code;
}

/* ---- as CSV: every field (RFC 4180) */

static const char *const call_fields[] = {
	"call_id", "started", "account", "agent", "comm", "pid", "provider", "model", "served_model", "endpoint", "tier", "input",
	"cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning", "audio_input", "audio_output", "web_searches",
	"usage_known", "held", "cost", "estimated", "price", "status", "end", "first_byte_us", "total_us", "request_id",
};
static const char *const refusal_fields[] = { "at", "agent", "provider", "model", "reason", "account", "window", "limit",
					      "spent", "held", "needed", "resets_at", "detail" };
static const char *const change_fields[] = { "at", "who", "what" };
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void csv_cell(const char *s, bool last)
{
	if (strpbrk(s, ",\"\r\n")) {
		(void)putchar('"');
		for (; *s; s++) {
			if (*s == '"')
				(void)putchar('"');
			(void)putchar(*s);
		}
		(void)putchar('"');
	} else {
		(void)fputs(s, stdout);
	}
	(void)fputs(last ? "\r\n" : ",", stdout);
}

static void csv_row(void *ctx, const char *const *values)
{
	const size_t *n = ctx;

	for (size_t i = 0; i < *n; i++)
		csv_cell(values[i], i + 1 == *n);
}

/* ---- as tables */

static const char *const call_heads[] = { "STARTED", "AGENT", "PROVIDER", "MODEL", "INPUT", "CACHED", "OUTPUT", "COST", "STATUS",
					  "END" };
static void call_row(void *ctx, const char *const *v)
{
	struct table *t = ctx;
	char mem[32];
	bool known = strcmp(v[20], "true") == 0;

	table_cell(t, v[1]);
	table_cell(t, v[3]);
	table_cell(t, v[6]);
	table_cell(t, v[7]);
	table_cell(t, known ? v[11] : "?");
	table_cell(t, known ? v[12] : "?");
	table_cell(t, known ? v[15] : "?");
	/* An estimate says so. */
	table_cellf(t, "%s%s", strcmp(v[23], "true") == 0 ? "~" : "", cli_usd(v[22], mem, sizeof(mem)));
	table_cell(t, v[25]);
	table_cell(t, v[26]);
}

static const char *const refusal_heads[] = { "AT", "AGENT", "PROVIDER", "MODEL", "REASON", "ACCOUNT", "WINDOW", "LIMIT", "SPENT",
					     "NEEDED", "DETAIL" };
static void refusal_row(void *ctx, const char *const *v)
{
	struct table *t = ctx;
	char mem[32];

	for (int i = 0; i < 7; i++)
		table_cell(t, v[i]);
	table_cell(t, v[6][0] ? cli_usd(v[7], mem, sizeof(mem)) : "");
	table_cell(t, v[6][0] ? cli_usd(v[8], mem, sizeof(mem)) : "");
	table_cell(t, v[6][0] ? cli_usd(v[10], mem, sizeof(mem)) : "");
	table_cell(t, v[12]);
}

static const char *const change_heads[] = { "AT", "WHO", "WHAT" };
static void change_row(void *ctx, const char *const *v)
{
	for (int i = 0; i < 3; i++)
		table_cell(ctx, v[i]);
}

static const struct kind {
	const char *name, *list;
	const char *const *fields;
	size_t nfields;
	const char *const *heads;
	size_t nheads;
	unsigned right;
	void (*row)(void *ctx, const char *const *values);
} kinds[] = {
	{ "calls", "calls[]", call_fields, COUNT(call_fields), call_heads, COUNT(call_heads), 0xf0, call_row },
	{ "refusals", "refusals[]", refusal_fields, COUNT(refusal_fields), refusal_heads, COUNT(refusal_heads), 0x380,
	  refusal_row },
	{ "changes", "changes[]", change_fields, COUNT(change_fields), change_heads, COUNT(change_heads), 0, change_row },
};

static int print_csv(const struct kind *k, const struct client_answer *a)
{
	size_t n = k->nfields;

	csv_row(&n, k->fields);
	return records_read(&a->body, k->list, k->fields, k->nfields, csv_row, &n);
}

static int print_table(const struct kind *k, const struct client_answer *a)
{
	struct table t;

	table_init(&t, k->heads, k->nheads, k->right);
	int r = records_read(&a->body, k->list, k->fields, k->nfields, k->row, &t);
	table_print(&t, stdout);
	return r;
}

int cmd_ledger(struct cli *cli, const struct command *self, char **argv)
{
	struct flags f = { .limit = CTL_LEDGER_ROWS_DEFAULT };
	struct client_answer a = { 0 };
	struct args args;
	struct err e = { "" };
	bool done;
	int exit_code = cli_args(cli, self, rows, COUNT(rows), &f, argv, 0, 0, &args, &done);

	if (done)
		return exit_code;
	if (f.refusals && f.changes)
		(void)err_set(&e, EINVAL, "--refusals and --changes: choose one");
	else if (f.csv && cli->json)
		(void)err_set(&e, EINVAL, "--csv and --json: choose one");
	if (e.text[0])
		return cli_usage(self, &e);
	const struct kind *k = &kinds[f.refusals ? 1 : f.changes ? 2 : 0];

	exit_code = fetch(cli, &f, k->name, &a);
	if (exit_code)
		return exit_code;
	if (cli->json)
		exit_code = cli_print_json(&a);
	else if ((f.csv ? print_csv(k, &a) : print_table(k, &a)) < 0)
		exit_code = PURSE_EXIT_FAILURE;
	client_answer_done(&a);
	return exit_code;
}
