// SPDX-License-Identifier: Apache-2.0
/*
 * cmd.h: what every command of `purse` gets and may use: the global flags, the config, the daemon's answers. One command is one
 * file, cmd_NAME.c, and one row in the table of cmd.c. A command returns the exit code (ctl_abi.h).
 */
#ifndef PURSE_CTL_CMD_H
#define PURSE_CTL_CMD_H

#include <stdio.h>

#include "ctl/args.h"
#include "ctl/cmd/client.h"
#include "ctl/config/config.h"
#include "terms.h"

struct ledger;

struct cli {
	const char *config_path; /* -c, else $PURSE_CONFIG, else the usual place */
	bool config_named;       /* one of the first two: the file has to exist */
	bool json, help, version;
	const char *config_flag; /* -c as given, NULL = not */
	struct config *config;   /* after cli_config */
	char socket[128];        /* after cli_config */
};

struct command {
	const char *name;
	const char *usage; /* behind the name */
	const char *help;
	const char *more; /* text for `purse COMMAND --help`, may be NULL */
	int (*run)(struct cli *cli, const struct command *self, char **argv); /* argv: behind the name */
};
extern const struct command commands[]; /* ends in a row without a name */
extern const struct args_row cli_rows[];
extern const size_t cli_nrows;

/* ---- helpers; those that return int return an exit code, PURSE_EXIT_OK = go on */
int cli_fail(const struct err *e, int exit_code); /* "purse: TEXT" on stderr */
int cli_usage(const struct command *self, const struct err *e);
/* Reads flags and words; prints help and stops (*ret_done) when asked for it. min..max: how many words. */
int cli_args(struct cli *cli, const struct command *self, const struct args_row *rows, size_t nrows, void *into,
	     char **argv, size_t min, size_t max, struct args *ret, bool *ret_done);
int cli_config(struct cli *cli);
int cli_config_load(struct cli *cli, struct err *e); /* the same, for those who tell it in their own way */
/* A call that has to succeed: anything else is printed and becomes the exit code. Then client_answer_done. */
int cli_call(struct cli *cli, const char *method, const char *target, const char *body, struct client_answer *ret);
/* GET for showing: with --json the answer is printed as it came, and *ret_done says that this was all. */
int cli_get(struct cli *cli, const char *target, struct client_answer *ret, bool *ret_done);
/* Without a daemon: its ledger, to read only. Then ledger_close. */
int cli_peek_ledger(struct cli *cli, struct ledger **ret);
/* The answer as it came, with a line end. */
int cli_print_json(const struct client_answer *a);
/* A JSON object of a command's own making: begun here, filled by the caller, closed and printed there. */
struct jsonw;
void cli_json_begin(struct jsonw *w, struct client_answer *a);
int cli_json_print(struct jsonw *w, struct client_answer *a); /* frees a; an exit code */
/* "0.0123" -> "$0.0123"; "" -> "-". mem >= 32. */
const char *cli_usd(const char *amount, char *mem, size_t size);
int64_t cli_now_s(void);

int cmd_run(struct cli *cli, const struct command *self, char **argv);
int cmd_status(struct cli *cli, const struct command *self, char **argv);
int cmd_agent(struct cli *cli, const struct command *self, char **argv);
int cmd_account(struct cli *cli, const struct command *self, char **argv);
int cmd_ledger(struct cli *cli, const struct command *self, char **argv);
int cmd_endpoints(struct cli *cli, const struct command *self, char **argv);
int cmd_alerts(struct cli *cli, const struct command *self, char **argv);
int cmd_events(struct cli *cli, const struct command *self, char **argv);
int cmd_prices(struct cli *cli, const struct command *self, char **argv);
int cmd_estimate(struct cli *cli, const struct command *self, char **argv);
int cmd_trust(struct cli *cli, const struct command *self, char **argv);
int cmd_doctor(struct cli *cli, const struct command *self, char **argv);
int cmd_audit(struct cli *cli, const struct command *self, char **argv);
int cmd_config(struct cli *cli, const struct command *self, char **argv);
int cmd_uninstall(struct cli *cli, const struct command *self, char **argv);

#endif
