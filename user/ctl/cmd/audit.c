// SPDX-License-Identifier: Apache-2.0
/*
 * cmd/audit.c: `purse audit`: do the kernel's balances, the holds and the ledger's rows agree? Asks the daemon; when none runs it compares
 * the pinned maps with the ledger file itself, changing nothing.
 */
#include <errno.h>
#include <string.h>

#include "ctl/cmd/cmd.h"
#include "ctl/records.h"
#include "ctl/route/route.h"
#include "ctl_abi.h"
#include "kern/gate.h"
#include "spend/audit.h"
#include "spend/ledger/ledger.h"

/* Without the maps (after a reboot) the ledger can still be checked for itself. */
static int audit_ledger_alone(struct ledger *l, struct client_answer *ret)
{
	struct err e = { "" };
	int r = ledger_check(l, &e);

	buf_init(&ret->body, 65536);
	if (r == 0)
		return buf_printf(&ret->body, "{\"clean\":true,\"problem\":null,\"accounts\":0,\"windows\":0,\"holds\":0,\"pending\":0,"
				  "\"over_limit\":0,\"spent\":\"0.00\",\"unplaced\":\"0.00\",\"note\":\"no maps are pinned (pursed has not run since "
				  "boot), so only the ledger was checked\"}") < 0 ? PURSE_EXIT_FAILURE : PURSE_EXIT_OK;
	client_answer_done(ret);
	return cli_fail(&e, PURSE_EXIT_FAILURE);
}

static int audit_alone(struct cli *cli, struct client_answer *ret)
{
	struct ledger *l = NULL;
	struct gate *g = NULL;
	struct err e = { "" };
	int exit_code = cli_peek_ledger(cli, &l);

	if (exit_code)
		return exit_code;
	int r = gate_peek(cli->config->bpffs, &g, &e);

	if (r == -ENOENT) {
		exit_code = audit_ledger_alone(l, ret);
	} else if (r < 0) {
		exit_code = cli_fail(&e, PURSE_EXIT_FAILURE);
	} else {
		struct audit_input in = { .accounts = gate_accounts(g), .naccounts = GATE_ACCOUNTS_MAX, .holds = gate_holds(g),
					  .nholds = GATE_HOLDS_MAX, .ledger = l };

		buf_init(&ret->body, 65536);
		(void)route_audit_write(&in, &ret->body);
	}
	gate_close(g);
	(void)ledger_close(l);
	return exit_code;
}

enum { F_CLEAN, F_PROBLEM, F_ACCOUNTS, F_WINDOWS, F_HOLDS, F_PENDING, F_OVER, F_SPENT, F_UNPLACED, F_NOTE, F_MODELS, F_CUT, F_CUT_COST,
       F_COUNT };
static const char *const fields[F_COUNT] = { "clean", "problem",  "accounts", "windows",      "holds",     "pending",	"over_limit",
					     "spent", "unplaced", "note",     "model_limits", "power_cut", "power_cut_cost" };

static void show(void *ctx, const char *const *v)
{
	bool *is_clean = ctx;
	char mem[32];

	*is_clean = strcmp(v[F_CLEAN], "true") == 0;
	if (!*is_clean) {
		(void)printf("NOT CLEAN: %s\n", v[F_PROBLEM]);
		return;
	}
	if (v[F_NOTE][0]) {
		(void)printf("clean, as far as it can be told: %s\n", v[F_NOTE]);
		return;
	}
	(void)printf("clean: %s windows of %s accounts agree with the ledger; %s on record\n", v[F_WINDOWS], v[F_ACCOUNTS],
		     cli_usd(v[F_SPENT], mem, sizeof(mem)));
	(void)printf("%s calls in flight, %s charged and about to be written\n", v[F_HOLDS], v[F_PENDING]);
	if (v[F_MODELS][0] && strcmp(v[F_MODELS], "0") != 0)
		(void)printf("%s limits on models agree, too\n", v[F_MODELS]);
	if (v[F_CUT][0] && strcmp(v[F_CUT], "0") != 0)
		(void)printf("%s calls were in flight when the machine went down: the next start charges them (%s)\n", v[F_CUT],
			     cli_usd(v[F_CUT_COST], mem, sizeof(mem)));
	if (strcmp(v[F_OVER], "0") != 0)
		(void)printf("%s windows stand above their limit: it was cut, or a provider billed more than was held\n", v[F_OVER]);
	if (strspn(v[F_UNPLACED], "0.") != strlen(v[F_UNPLACED]))
		(void)printf("%s was spent by accounts that are gone\n", cli_usd(v[F_UNPLACED], mem, sizeof(mem)));
}

static void look(void *ctx, const char *const *v)
{
	*(bool *)ctx = strcmp(v[F_CLEAN], "true") == 0;
}

int cmd_audit(struct cli *cli, const struct command *self, char **argv)
{
	struct client_answer a = { 0 };
	struct args args;
	bool done, is_clean = false;
	int exit_code = cli_args(cli, self, NULL, 0, NULL, argv, 0, 0, &args, &done);

	if (done)
		return exit_code;
	exit_code = cli_config(cli);
	if (exit_code == PURSE_EXIT_OK)
		exit_code = client_is_up(cli->socket) ? cli_call(cli, "GET", "/v1/audit", NULL, &a) : audit_alone(cli, &a);
	if (exit_code)
		return exit_code;
	/* The padding that the reader needs. */
	if (!buf_reserve(&a.body, 1) || records_read(&a.body, NULL, fields, F_COUNT, cli->json ? look : show, &is_clean) < 0)
		is_clean = false;
	if (cli->json)
		(void)cli_print_json(&a);
	client_answer_done(&a);
	return is_clean ? PURSE_EXIT_OK : PURSE_EXIT_FAILURE;
}
