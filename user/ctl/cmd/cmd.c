// SPDX-License-Identifier: Apache-2.0
/* cmd.c: the table of commands and what they share. */
#include "ctl/cmd/cmd.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/jsonw.h"
#include "base/clock.h"
#include "base/str.h"
#include "ctl/records.h"
#include "ctl_abi.h"
#include "spend/ledger/ledger.h"

const struct command commands[] = {
	{ "run", "[flags] [--] CMD ARGS…", "run CMD as an agent with a budget", NULL, cmd_run },
	{ "status", "", "daemon, agents, accounts and what is left", NULL, cmd_status },
	{ "agent", "add|set|raise|pause|resume|kill|rm NAME [flags]", "agents: who is metered", NULL, cmd_agent },
	{ "account", "add|set|raise|pause|resume|kill|rm NAME [flags]", "accounts that agents share", NULL, cmd_account },
	{ "ledger", "[export|prune] [flags]", "calls, refusals and changes on record", NULL, cmd_ledger },
	{ "alerts", "[test NAME]", "who was told of what, and whether it arrived", NULL, cmd_alerts },
	{ "events", "[-f]", "what the gate refused lately", NULL, cmd_events },
	{ "endpoints", "", "LLM addresses that the gate knows, and how it knows them", NULL, cmd_endpoints },
	{ "prices", "[show MODEL|history MODEL|import FILE|reload] [flags]", "the price list", NULL, cmd_prices },
	{ "estimate", "FILE|- [--provider P] [--endpoint E] [--agent NAME]", "what a request body would cost, without sending it", NULL, cmd_estimate },
	{ "trust", "install|env|show", "how clients come to trust purse's certificates", NULL, cmd_trust },
	{ "doctor", "[--bypass]", "what this machine can do and what is wrong", NULL, cmd_doctor },
	{ "audit", "", "do balances, holds and ledger agree?", NULL, cmd_audit },
	{ "config", "check|show [FILE]", "check a config file, show what is in force", NULL, cmd_config },
	{ "uninstall", "", "take the gate off this machine: enforcement ends", NULL, cmd_uninstall },
	{ 0 },
};

#define AT(member) offsetof(struct cli, member)
const struct args_row cli_rows[] = {
	{ .name = "--config", .letter = 'c', .type = ARGS_TEXT, .offset = AT(config_flag), .value = "FILE",
	  .help = "config file; default $" PURSE_CONFIG_ENV ", else " PURSE_CONFIG_PATH },
	{ .name = "--json", .type = ARGS_SWITCH, .offset = AT(json), .help = "machine-readable output" },
	{ .name = "--help", .letter = 'h', .type = ARGS_SWITCH, .offset = AT(help), .help = "this text" },
	{ .name = "--version", .letter = 'V', .type = ARGS_SWITCH, .offset = AT(version), .help = "print the version" },
};
const size_t cli_nrows = sizeof(cli_rows) / sizeof(cli_rows[0]);

int cli_fail(const struct err *e, int exit_code)
{
	(void)fflush(stdout);
	(void)fprintf(stderr, "purse: %s\n", e->text);
	return exit_code;
}

int cli_usage(const struct command *self, const struct err *e)
{
	(void)fprintf(stderr, "purse %s: %s\nusage: purse %s%s%s\n", self->name, e->text, self->name, self->usage[0] ? " " : "", self->usage);
	return PURSE_EXIT_USAGE;
}

static void print_help(const struct command *self, const struct args_row *rows, size_t nrows)
{
	(void)printf("usage: purse %s%s%s\n%s.\n", self->name, self->usage[0] ? " " : "", self->usage, self->help);
	if (self->more)
		(void)printf("\n%s\n", self->more);
	if (nrows) {
		(void)printf("\nflags:\n");
		args_help(stdout, rows, nrows);
	}
	(void)printf("\nglobal flags:\n");
	args_help(stdout, cli_rows, cli_nrows);
}

int cli_args(struct cli *cli, const struct command *self, const struct args_row *rows, size_t nrows, void *into,
	     char **argv, size_t min, size_t max, struct args *ret, bool *ret_done)
{
	struct args_table tables[] = { { rows, nrows, into }, { cli_rows, cli_nrows, cli } };
	struct err e = { "" };
	bool is_run = max > ARGS_WORDS_MAX;

	*ret_done = true;
	if (args_read(tables, 2, argv, is_run, cli_now_s(), ret, &e) < 0) {
		/* `purse run --help` and the like work beside other mistakes. */
		return cli_usage(self, &e);
	}
	if (cli->help) {
		print_help(self, rows, nrows);
		return PURSE_EXIT_OK;
	}
	if (!is_run && ret->rest)
		for (char **word = ret->rest; *word && ret->nwords < ARGS_WORDS_MAX; word++)
			ret->words[ret->nwords++] = *word;
	if (!is_run && (ret->nwords < min || ret->nwords > max)) {
		if (ret->nwords > max)
			(void)err_set(&e, EINVAL, "\"%s\" is one word too many", ret->words[max]);
		else
			(void)err_set(&e, EINVAL, "a word is missing");
		return cli_usage(self, &e);
	}
	*ret_done = false;
	return PURSE_EXIT_OK;
}

int cli_config_load(struct cli *cli, struct err *e)
{
	int r = 0;

	if (cli->config)
		return 0;
	config_resolve(cli->config_flag, &cli->config_path, &cli->config_named);
	r = config_load(cli->config_path, cli->config_named, &cli->config, e);
	if (r == 0 && config_place(cli->config->run_dir, PURSE_SOCKET_NAME, cli->socket, sizeof(cli->socket)) < 0)
		r = err_set(e, ENAMETOOLONG, "run_dir \"%s\" is too long for a socket", cli->config->run_dir);
	return r;
}

int cli_config(struct cli *cli)
{
	struct err e = { "" };

	return cli_config_load(cli, &e) < 0 ? cli_fail(&e, PURSE_EXIT_FAILURE) : PURSE_EXIT_OK;
}

int cli_call(struct cli *cli, const char *method, const char *target, const char *body, struct client_answer *ret)
{
	struct err e = { "" };
	int exit_code = cli_config(cli);

	if (exit_code)
		return exit_code;
	int r = client_call(cli->socket, method, target, body, ret, &e);
	if (r < 0)
		return cli_fail(&e, r == -ENOTCONN ? PURSE_EXIT_NO_DAEMON : PURSE_EXIT_FAILURE);
	if (ret->status >= 200 && ret->status < 300)
		return PURSE_EXIT_OK;
	record_field(&ret->body, "error.message", e.text, sizeof(e.text));
	if (!e.text[0])
		(void)err_set(&e, EPROTO, "the daemon answered %d to %s %s", ret->status, method, target);
	client_answer_done(ret);
	return cli_fail(&e, PURSE_EXIT_FAILURE);
}

int cli_peek_ledger(struct cli *cli, struct ledger **ret)
{
	struct err e = { "" };
	char path[1200];

	(void)config_place(cli->config->state_dir, PURSE_LEDGER_NAME, path, sizeof(path));
	if (access(path, F_OK) < 0) {
		(void)err_set(&e, ENOTCONN, "no daemon is running, and there is no ledger at %s", path);
		return cli_fail(&e, PURSE_EXIT_NO_DAEMON);
	}
	if (ledger_peek(path, ret, &e) < 0)
		return cli_fail(&e, PURSE_EXIT_FAILURE);
	return PURSE_EXIT_OK;
}

int cli_print_json(const struct client_answer *a)
{
	size_t n = buf_len(&a->body);

	if (n > 0 && fwrite(buf_ptr(&a->body), 1, n, stdout) != n)
		return PURSE_EXIT_FAILURE;
	if (n > 0 && buf_ptr(&a->body)[n - 1] != '\n')
		(void)putchar('\n');
	return fflush(stdout) ? PURSE_EXIT_FAILURE : PURSE_EXIT_OK;
}

int cli_get(struct cli *cli, const char *target, struct client_answer *ret, bool *ret_done)
{
	int exit_code = cli_call(cli, "GET", target, NULL, ret);

	*ret_done = exit_code || cli->json;
	if (exit_code == PURSE_EXIT_OK && cli->json) {
		exit_code = cli_print_json(ret);
		client_answer_done(ret);
	}
	return exit_code;
}

void cli_json_begin(struct jsonw *w, struct client_answer *a)
{
	*a = (struct client_answer){ 0 };
	buf_init(&a->body, CTL_ANSWER_MAX);
	jsonw_init(w, &a->body);
	jsonw_object(w, NULL);
}

int cli_json_print(struct jsonw *w, struct client_answer *a)
{
	jsonw_close(w);
	int exit_code = jsonw_end(w) < 0 ? PURSE_EXIT_FAILURE : cli_print_json(a);

	client_answer_done(a);
	return exit_code;
}

const char *cli_usd(const char *amount, char *mem, size_t size)
{
	bool negative = amount[0] == '-';
	nanousd v;

	if (!amount[0])
		return "-";
	if (str_to_usd(str_of(amount + negative), true, &v) < 0)
		return amount;
	/* Below a cent every digit counts: "$0.00" would look free. */
	if (v > 0 && v < NANOUSD_PER_USD / 100)
		(void)snprintf(mem, size, "%s$%s", negative ? "-" : "", amount + negative);
	else
		(void)usd_show_short(negative ? -v : v, mem, size);
	return mem;
}

int64_t cli_now_s(void)
{
	return clock_realtime_ns() / 1000000000;
}
