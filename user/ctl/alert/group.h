// SPDX-License-Identifier: Apache-2.0
/*
 * alert/group.h: a cgroup of its own, below the daemon's, for one run of an alert's command: whatever the command starts and however that
 * detaches itself (setsid, double fork), it is in there, can be waited for, and is killed at once (cgroup.kill, Linux 5.14). The gate's exemption
 * of the daemon does not reach down into it. What moves itself to another cgroup by hand (systemd-run) is out of reach, as it is meant to be.
 *
 * Where none can be made all verbs do nothing, and the process group has to do.
 */
#ifndef PURSE_CTL_ALERT_GROUP_H
#define PURSE_CTL_ALERT_GROUP_H

#include "terms.h"

struct group {
	char dir[1200];   /* "" = none */
	int procs, events; /* cgroup.procs and cgroup.events; -1 */
};

/* One per thread at a time. */
void group_make(struct group *g);
/* The calling process goes in; for a child between vfork and exec. 0 or a positive errno. */
int group_enter(const struct group *g);
/* Nobody is in there; true where there is none. g->events is ready (POLLPRI) when that has changed. */
bool group_is_empty(const struct group *g);
void group_kill(const struct group *g);
/* Folder and descriptors. With somebody inside the folder stays, for group_sweep. */
void group_remove(struct group *g);

/* Those of daemons that are gone, with all that is in them. Before the first group_make. */
void group_sweep(void);

#endif
