// SPDX-License-Identifier: Apache-2.0
/* launch.h: starts pursed for the time of one `purse run` when none is running, and stops it again. */
#ifndef PURSE_CTL_LAUNCH_H
#define PURSE_CTL_LAUNCH_H

#include <sys/types.h>

#include "base/err.h"

struct cli;

/*
 * Runs the pursed that stands beside this program, else the one in PATH, with the same config, and waits until it is healthy (10 s).
 * Its log goes to <state_dir>/embedded.log and is shown when it fails. It stops by itself a second after the last lease
 * (client_lease) is gone. *ret_pid 0: another daemon was faster; nothing to stop.
 */
int launch_daemon(struct cli *cli, pid_t *ret_pid, struct err *e);
void launch_stop(pid_t pid); /* SIGTERM, waits; 0 ok */

#endif
