// SPDX-License-Identifier: Apache-2.0
/* cmd/ledger.h: what `purse ledger` and its words share: asking the daemon or, when none runs, the ledger itself. */
#ifndef PURSE_CTL_CMD_LEDGER_H
#define PURSE_CTL_CMD_LEDGER_H

#include "ctl/cmd/cmd.h"
#include "ctl/ledger_json.h"

/* An exit code. The answer is that of GET /v1/ledger. */
int ledger_fetch(struct cli *cli, const struct ledger_ask *ask, struct client_answer *ret);
/* The answer's rows as CSV with a head line, on stdout. */
int ledger_print_csv(const struct ledger_ask *ask, const struct client_answer *a);

int cmd_ledger_export(struct cli *cli, const struct command *self, char **argv);
int cmd_ledger_prune(struct cli *cli, const struct command *self, char **argv);

#endif
