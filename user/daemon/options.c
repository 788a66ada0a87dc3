// SPDX-License-Identifier: Apache-2.0
/* daemon/options.c: see daemon/options.h. */
#include "daemon/options.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"
#include "ctl/args.h"
#include "ctl_abi.h"

static const struct args_row rows[] = {
	{ .name = "--config", .letter = 'c', .type = ARGS_TEXT, .offset = offsetof(struct options, config), .value = "FILE",
	  .help = "default $" PURSE_CONFIG_ENV ", else " PURSE_CONFIG_PATH },
	{ .name = "--debug", .type = ARGS_SWITCH, .offset = offsetof(struct options, debug), .help = "log more" },
	{ .name = "--embedded", .type = ARGS_SWITCH, .offset = offsetof(struct options, embedded),
	  .help = "stop after the last `purse run` (which uses this)" },
	{ .name = "--take-over", .type = ARGS_SWITCH, .offset = offsetof(struct options, take_over),
	  .help = "from the daemon that runs, with its calls in flight; starts plainly where none does" },
	{ .name = "--help", .letter = 'h', .type = ARGS_SWITCH, .offset = offsetof(struct options, help), .help = "this text" },
	{ .name = "--version", .letter = 'V', .type = ARGS_SWITCH, .offset = offsetof(struct options, version),
	  .help = "print the version" },
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static int read_words(char **argv, struct options *ret)
{
	struct args_table table = { rows, ROW_COUNT, ret };
	struct args args = { 0 };
	struct err e = { "" };

	if (args_read(&table, 1, argv, false, 0, &args, &e) == 0 && args.nwords > 0)
		(void)err_set(&e, EINVAL, "\"%s\": pursed takes no words; commands are for purse", args.words[0]);
	if (e.text[0])
		(void)fprintf(stderr, "pursed: %s\n", e.text);
	return e.text[0] ? PURSE_EXIT_USAGE : PURSE_EXIT_OK;
}

static void help(void)
{
	(void)printf("usage: pursed [flags]      (version %s)\nRuns in the foreground and logs to stderr. SIGTERM: drain and stop. SIGHUP: load prices "
		     "again. SIGUSR2: start the binary anew, which takes over.\n", PURSE_VERSION);
	args_help(stdout, rows, ROW_COUNT);
}

int options_read(char **argv, struct options *ret, bool *ret_over)
{
	int exit_code = read_words(argv, ret);

	*ret_over = exit_code || ret->help || ret->version;
	if (exit_code)
		return exit_code;
	if (ret->help)
		help();
	else if (ret->version)
		(void)printf("pursed %s\n", PURSE_VERSION);
	return PURSE_EXIT_OK;
}
