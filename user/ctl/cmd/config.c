// SPDX-License-Identifier: Apache-2.0
/* cmd/config.c: `purse config check|show [FILE]`. Needs no daemon. */
#include <errno.h>
#include <string.h>

#include "ctl/cmd/cmd.h"
#include "ctl_abi.h"

static int show(struct cli *cli)
{
	struct client_answer a = { 0 };
	int exit_code = PURSE_EXIT_FAILURE;

	buf_init(&a.body, CTL_ANSWER_MAX);
	if ((cli->json ? config_show_json(cli->config, &a.body) : config_show(cli->config, &a.body)) == 0)
		exit_code = cli_print_json(&a);
	client_answer_done(&a);
	return exit_code;
}

static int check(struct cli *cli)
{
	const struct config *c = cli->config;

	if (cli->json)
		return show(cli);
	(void)printf("%s: good: %zu providers, %zu accounts, %zu agents\n", c->path[0] ? c->path : "built-in defaults",
		     c->providers.n, c->accounts.n, c->agents.n);
	return PURSE_EXIT_OK;
}

int cmd_config(struct cli *cli, const struct command *self, char **argv)
{
	struct err e = { "" };
	struct args args;
	bool done;
	int exit_code = cli_args(cli, self, NULL, 0, NULL, argv, 1, 2, &args, &done);

	if (done)
		return exit_code;
	if (strcmp(args.words[0], "check") != 0 && strcmp(args.words[0], "show") != 0) {
		(void)err_set(&e, EINVAL, "\"%s\" is not check or show", args.words[0]);
		return cli_usage(self, &e);
	}
	if (args.nwords == 2)
		cli->config_flag = args.words[1];
	exit_code = cli_config(cli);
	if (exit_code)
		return exit_code;
	return args.words[0][0] == 'c' ? check(cli) : show(cli);
}
