// SPDX-License-Identifier: Apache-2.0
/* process.h: the daemon as a process: its limits, its folders, a cgroup of its own that the gate lets pass. */
#ifndef PURSE_CTL_PROCESS_H
#define PURSE_CTL_PROCESS_H

#include <sys/types.h>

#include "base/err.h"
#include "terms.h"

/* umask 077; descriptors up to the hard limit; no core files and no tracing by others (keys and prompts are in memory). */
int process_harden(struct err *e);
/* A folder that only we enter: made 0700 with what is missing above it 0755; refused when it is somebody else's. */
int process_make_dir(const char *path, struct err *e);

/*
 * The gate exempts the daemon's cgroup, so nobody else may be in it. Stays where it is when that is a cgroup with nothing but us
 * (a service manager's), else moves to PURSE_DAEMON_CGROUP. *ret_id: its id. was (512 bytes): where to go back to, "" = stayed.
 */
int process_take_cgroup(char *was, size_t size, uint64_t *ret_id, struct err *e);
/* The cgroup that process `pid` is in, for a take-over from it: that one is exempt already. */
int process_join_cgroup(pid_t pid, char *was, size_t size, uint64_t *ret_id, struct err *e);
/* systemd's notification: ready, and the main process is this one. Nothing where nobody asked for it. */
void process_tell_manager(void);
void process_leave_cgroup(const char *was);

#endif
