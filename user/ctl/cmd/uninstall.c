// SPDX-License-Identifier: Apache-2.0
/* cmd/uninstall.c: `purse uninstall`: the gate's links and pins go; ledger, config and certificates stay. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl/cmd/cmd.h"
#include "ctl_abi.h"
#include "kern/gate.h"

int cmd_uninstall(struct cli *cli, const struct command *self, char **argv)
{
	char lock[1200];
	struct err e = { "" };
	struct args args;
	bool done;
	int exit_code = cli_args(cli, self, NULL, 0, NULL, argv, 0, 0, &args, &done);

	if (done)
		return exit_code;
	exit_code = cli_config(cli);
	if (exit_code)
		return exit_code;
	(void)config_place(cli->config->run_dir, PURSE_LOCK_NAME, lock, sizeof(lock));
	struct gate_options o = {
		.pin_dir = cli->config->bpffs, .lock_path = lock,
		.cgroup_root = strcmp(cli->config->cgroup_root, "auto") == 0 ? NULL : cli->config->cgroup_root,
	};
	if (gate_remove(&o, &e) < 0)
		return cli_fail(&e, PURSE_EXIT_FAILURE);
	(void)printf("gate removed: agents are no longer held back on this machine\nkept: %s (ledger, certificates); delete it to "
		     "forget all\n", cli->config->state_dir);
	return PURSE_EXIT_OK;
}
