// SPDX-License-Identifier: Apache-2.0
/* cli.c: `purse`: finds the command in the table (ctl/cmd/cmd.c) and runs it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ctl/cmd/cmd.h"
#include "ctl/nearest.h"
#include "ctl_abi.h"

static int print_usage(FILE *to)
{
	(void)fprintf(to, "usage: purse [flags] COMMAND …\nThe kernel holds the purse strings: budgets for what agents spend on "
			  "LLM calls.\n\ncommands:\n");
	for (const struct command *c = commands; c->name; c++)
		(void)fprintf(to, "  %-10s %s\n", c->name, c->help);
	(void)fprintf(to, "\nflags, before or behind the command:\n");
	args_help(to, cli_rows, cli_nrows);
	(void)fprintf(to, "\n`purse COMMAND --help` says more. Exit codes: 0 ok, 1 failure, 2 usage, 3 no daemon running.\n");
	return to == stdout ? PURSE_EXIT_OK : PURSE_EXIT_USAGE;
}

static const struct command *find_command(const char *name, struct nearest *near)
{
	nearest_init(near, (struct str){ .p = name, .n = strlen(name) });
	for (const struct command *c = commands; c->name; c++) {
		if (strcmp(c->name, name) == 0)
			return c;
		nearest_offer(near, c->name);
	}
	return NULL;
}

static int refuse_command(const char *name, const struct nearest *near)
{
	(void)fprintf(stderr, "purse: \"%s\" is not a command", name);
	if (nearest_word(near))
		(void)fprintf(stderr, "; did you mean \"%s\"?\n", nearest_word(near));
	else
		(void)fprintf(stderr, "; `purse --help` lists them\n");
	return PURSE_EXIT_USAGE;
}

/* help COMMAND: what COMMAND --help says. */
static int help(struct cli *cli, const char *name)
{
	static char flag[] = "--help";
	struct nearest near;
	const struct command *c = name ? find_command(name, &near) : NULL;

	if (!name)
		return print_usage(stdout);
	return c ? c->run(cli, c, (char *[]){ flag, NULL }) : refuse_command(name, &near);
}

int main(int argc, char **argv)
{
	struct cli cli = { 0 };
	struct args_table global = { cli_rows, cli_nrows, &cli };
	struct args args = { 0 };
	struct nearest near;
	struct err e = { "" };

	/* `purse ledger | head` is no accident. */
	(void)signal(SIGPIPE, SIG_DFL);
	if (args_read(&global, 1, argv + 1, true, 0, &args, &e) < 0) {
		(void)fprintf(stderr, "purse: %s\n", e.text);
		return PURSE_EXIT_USAGE;
	}
	if (cli.version)
		return printf("purse %s\n", PURSE_VERSION) < 0;
	if (!args.rest || !args.rest[0])
		return print_usage(cli.help ? stdout : stderr);
	if (strcmp(args.rest[0], "help") == 0)
		return help(&cli, args.rest[1]);
	const struct command *c = find_command(args.rest[0], &near);

	if (!c)
		return refuse_command(args.rest[0], &near);
	int exit_code = c->run(&cli, c, args.rest + 1);

	config_free(cli.config);
	return exit_code;
}
