// SPDX-License-Identifier: Apache-2.0
/*
 * cmd/ledger_export.c: `purse ledger export`: what should be on a provider's invoice, and `--compare`: where the provider's own cost export
 * says something else. Days are UTC days, as providers count them; a month may be another zone's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/cmd/bill_compare.h"
#include "ctl/cmd/ledger.h"
#include "ctl/cmd/csv.h"
#include "ctl/records.h"
#include "ctl/cmd/table.h"
#include "ctl_abi.h"
#include "spend/budget/zone.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct flags {
	const char *provider, *month, *zone, *compare;
	int64_t since, until;
	bool by_day, csv;
};
#define AT(member) offsetof(struct flags, member)
static const struct args_row rows[] = {
	{ .name = "--provider", .type = ARGS_TEXT, .offset = AT(provider), .value = "NAME", .help = "whose invoice (required)" },
	{ .name = "--month", .type = ARGS_TEXT, .offset = AT(month), .value = "2026-11", .help = "of this month" },
	{ .name = "--zone", .type = ARGS_TEXT, .offset = AT(zone), .value = "ZONE", .help = "the month as it is there; default UTC" },
	{ .name = "--since", .type = ARGS_TIME, .offset = AT(since), .value = "T", .help = "instead of a month: from then …" },
	{ .name = "--until", .type = ARGS_TIME, .offset = AT(until), .value = "T", .help = "… to then" },
	{ .name = "--by-day", .type = ARGS_SWITCH, .offset = AT(by_day), .help = "each day (UTC) by itself" },
	{ .name = "--csv", .type = ARGS_SWITCH, .offset = AT(csv), .help = "comma-separated, with a head line" },
	{ .name = "--compare", .type = ARGS_TEXT, .offset = AT(compare), .value = "FILE.csv",
	  .help = "print where the provider's cost export (columns date, model, amount) says something else; exit code 1 if it does" },
};

static const struct command self_export = {
	.name = "ledger export", .usage = "--provider NAME --month 2026-11 [flags]",
	.help = "what should be on a provider's invoice, by model, tier and price",
};

/* ---- which time */

static int month_begin(const char *text, int add, const struct zone *z, int64_t *ret)
{
	struct tm tm = { .tm_mday = 1 };
	int year, month, n = 0;

	if (sscanf(text, "%4d-%2d%n", &year, &month, &n) != 2 || text[n] || n != 7 || year < 1971 || month < 1 || month > 12)
		return -EINVAL;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1 + add;
	int64_t local_s = timegm(&tm);

	*ret = z ? zone_first(z, local_s) : local_s;
	return 0;
}

static int time_of(const struct flags *f, struct ledger_query *q, struct err *e)
{
	const struct zone *z = NULL;

	if (!f->provider)
		return err_set(e, EINVAL, "--provider: say whose invoice");
	if (!f->month == !(f->since || f->until))
		return err_set(e, EINVAL, "say which time: --month 2026-11, or --since and --until");
	if (f->zone && zone_open(f->zone, &z, e) < 0)
		return -EINVAL;
	q->since_s = f->since;
	q->until_s = f->until;
	if (f->month && (month_begin(f->month, 0, z, &q->since_s) < 0 || month_begin(f->month, 1, z, &q->until_s) < 0))
		return err_set(e, EINVAL, "--month: \"%s\" is not a month; write e.g. 2026-11", f->month);
	return 0;
}

/* ---- as a table */

enum { F_DAY, F_MODEL, F_TIER, F_PRICE, F_CALLS, F_INPUT, F_CACHED, F_WRITTEN_5M, F_WRITTEN_1H, F_OUTPUT, F_REASONING, F_COST, F_CENTS, F_COUNT };
static const char *const fields[F_COUNT] = { "day",	      "model",		"tier",	  "price",     "calls", "input",     "cache_read",
					     "cache_write_5m", "cache_write_1h", "output", "reasoning", "cost",  "cost_cents" };
static const char *const heads[F_COUNT] = { "DAY",	  "MODEL",    "TIER",   "PRICE",	 "CALLS", "INPUT", "CACHED",
					    "WRITTEN 5M", "WRITTEN 1H", "OUTPUT", "REASONING", "COST",  "ON A BILL" };

struct shown {
	struct table t;
	int first; /* F_MODEL when not by day */
};

static void line(void *ctx, const char *const *v)
{
	struct shown *s = ctx;
	char mem[32];

	for (int i = s->first; i < F_COST; i++)
		table_cell(&s->t, v[i]);
	table_cell(&s->t, cli_usd(v[F_COST], mem, sizeof(mem)));
	table_cell(&s->t, cli_usd(v[F_CENTS], mem, sizeof(mem)));
}

enum { S_CALLS, S_COST, S_CENTS, S_ESTIMATED, S_ESTIMATED_COST, S_UNKNOWN, S_UNKNOWN_COST, S_COUNT };
static const char *const sum_fields[S_COUNT] = { "sums.calls", "sums.cost", "sums.cost_cents", "sums.estimated", "sums.estimated_cost",
						 "sums.unknown", "sums.unknown_cost" };
static void sums(void *ctx, const char *const *v)
{
	char a[32], b[32];

	(void)ctx;
	(void)printf("\n%s calls: %s, on a bill %s\n", v[S_CALLS], cli_usd(v[S_COST], a, sizeof(a)), cli_usd(v[S_CENTS], b, sizeof(b)));
	(void)printf("of it estimated: %s in %s calls; of these without any usage told: %s in %s calls\n",
		     cli_usd(v[S_ESTIMATED_COST], a, sizeof(a)), v[S_ESTIMATED], cli_usd(v[S_UNKNOWN_COST], b, sizeof(b)), v[S_UNKNOWN]);
}

static int print_table(const struct ledger_ask *ask, const struct client_answer *a)
{
	struct shown s = { .first = ask->by_day ? F_DAY : F_MODEL };
	unsigned left = 4 - (unsigned)s.first;

	table_init(&s.t, heads + s.first, F_COUNT - (size_t)s.first, ~0u << left);
	int r = records_read(&a->body, "bill[]", fields, F_COUNT, line, &s);

	table_print(&s.t, stdout);
	return r == 0 ? records_read(&a->body, NULL, sum_fields, S_COUNT, sums, NULL) : r;
}

/* ---- against the provider's own */

static int read_file(const char *path, struct buf *ret, struct err *e)
{
	FILE *f = fopen(path, "re");
	size_t n = 1;

	if (!f)
		return err_set(e, errno, "--compare: %s: %s", path, strerror(errno));
	buf_init(ret, 64u << 20);
	while (n > 0) {
		char *to = buf_reserve(ret, 65536);

		n = to ? fread(to, 1, 65536, f) : 0;
		buf_grew(ret, n);
		if (!to) {
			(void)fclose(f);
			buf_done(ret);
			return err_set(e, EMSGSIZE, "--compare: %s is longer than 64 MiB", path);
		}
	}
	(void)fclose(f);
	return 0;
}

static int compare(const struct cli *cli, const struct flags *f, const struct ledger_query *q, const struct client_answer *a)
{
	struct buf text;
	struct err e = { "" };
	bool agrees = false;
	int r = read_file(f->compare, &text, &e);

	if (r < 0)
		return cli_fail(&e, PURSE_EXIT_FAILURE);
	const struct bill_compare in = { .name = f->compare, .text = buf_ptr(&text) ? buf_ptr(&text) : "", .len = buf_len(&text),
					 .from_s = q->since_s, .to_s = q->until_s, .ours = &a->body, .json = cli->json, .csv = f->csv };

	r = bill_compare(&in, stdout, &agrees, &e);
	buf_done(&text);
	if (r < 0)
		return cli_fail(&e, PURSE_EXIT_FAILURE);
	return agrees ? PURSE_EXIT_OK : PURSE_EXIT_FAILURE;
}

int cmd_ledger_export(struct cli *cli, const struct command *self, char **argv)
{
	struct ledger_ask ask = { .kind = LEDGER_BILL };
	struct client_answer a = { 0 };
	struct flags f = { 0 };
	struct args args;
	struct err e = { "" };
	bool done;
	int exit_code = cli_args(cli, &self_export, rows, COUNT(rows), &f, argv, 0, 0, &args, &done);

	(void)self;
	if (done)
		return exit_code;
	if (f.csv && cli->json)
		(void)err_set(&e, EINVAL, "--csv and --json: choose one");
	if (e.text[0] || time_of(&f, &ask.q, &e) < 0)
		return cli_usage(&self_export, &e);
	ask.q.provider = f.provider;
	ask.by_day = f.by_day || f.compare;
	exit_code = ledger_fetch(cli, &ask, &a);
	if (exit_code)
		return exit_code;
	if (f.compare)
		exit_code = compare(cli, &f, &ask.q, &a);
	else if (cli->json)
		exit_code = cli_print_json(&a);
	else if ((f.csv ? ledger_print_csv(&ask, &a) : print_table(&ask, &a)) < 0)
		exit_code = PURSE_EXIT_FAILURE;
	client_answer_done(&a);
	return exit_code;
}
