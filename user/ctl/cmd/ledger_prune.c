// SPDX-License-Identifier: Apache-2.0
/* cmd/ledger_prune.c: `purse ledger prune`: calls of long ago become sums per day. Only through the daemon, which writes it down. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/jsonw.h"
#include "ctl/cmd/ledger.h"
#include "ctl/records.h"
#include "ctl_abi.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct flags {
	const char *before, *keep;
};
#define AT(member) offsetof(struct flags, member)
static const struct args_row rows[] = {
	{ .name = "--before", .type = ARGS_TEXT, .offset = AT(before), .value = "DATE", .help = "calls that began before this day (UTC; required)" },
	{ .name = "--keep", .type = ARGS_TEXT, .offset = AT(keep), .value = "FILE",
	  .help = "write them there first, one JSON object a line; must not exist" },
};

static const struct command self_prune = {
	.name = "ledger prune", .usage = "--before DATE [--keep FILE]",
	.help = "turn calls of long ago into sums per day",
	.more = "What is left of a call is its part in the sums of its day, by account, agent, provider, model, tier and price. No sum changes. "
		"Refusals and the audit trail stay. Months that are not over cannot be pruned.",
};

/* The daemon's working directory is another one. */
static const char *absolute(const char *path, char *mem, size_t size)
{
	char here[700];

	if (path[0] == '/' || !getcwd(here, sizeof(here)))
		return path;
	(void)snprintf(mem, size, "%s/%s", here, path);
	return mem;
}

static void show(void *ctx, const char *const *v)
{
	char mem[32];

	(void)ctx;
	(void)printf("%s calls were pruned, %s; their sums per day stay\n", v[0], cli_usd(v[1], mem, sizeof(mem)));
}

int cmd_ledger_prune(struct cli *cli, const struct command *self, char **argv)
{
	static const char *const fields[] = { "calls", "cost" };
	struct client_answer a = { 0 };
	struct flags f = { 0 };
	struct args args;
	struct err e = { "" };
	struct jsonw w;
	struct buf body;
	char mem[1400];
	bool done;
	int exit_code = cli_args(cli, &self_prune, rows, COUNT(rows), &f, argv, 0, 0, &args, &done);

	(void)self;
	if (done)
		return exit_code;
	if (!f.before) {
		(void)err_set(&e, EINVAL, "--before: say from which day on the calls stay, e.g. 2026-08-01");
		return cli_usage(&self_prune, &e);
	}
	exit_code = cli_config(cli);
	if (exit_code)
		return exit_code;
	buf_init(&body, 8192);
	jsonw_init(&w, &body);
	jsonw_object(&w, NULL);
	jsonw_cstr(&w, "before", f.before);
	if (f.keep)
		jsonw_cstr(&w, "keep", absolute(f.keep, mem, sizeof(mem)));
	jsonw_close(&w);
	exit_code = jsonw_end(&w) < 0 || buf_append(&body, "", 1) < 0 ? PURSE_EXIT_FAILURE
								      : cli_call(cli, "POST", "/v1/ledger/prune", buf_ptr(&body), &a);
	buf_done(&body);
	if (exit_code)
		return exit_code;
	if (cli->json)
		exit_code = cli_print_json(&a);
	else if (records_read(&a.body, NULL, fields, COUNT(fields), show, NULL) < 0)
		exit_code = PURSE_EXIT_FAILURE;
	client_answer_done(&a);
	return exit_code;
}
