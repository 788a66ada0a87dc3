// SPDX-License-Identifier: Apache-2.0
/*
 * jail.h: what `purse run` does to its child between fork and exec: into the cgroup, inherited descriptors closed (a socket made
 * elsewhere keeps its maker's identity), cgroup file systems read-only, the capabilities dropped that reach the network or other processes past the gate, another user if
 * asked for, certificates in the environment.
 */
#ifndef PURSE_CTL_JAIL_H
#define PURSE_CTL_JAIL_H

#include "base/err.h"
#include "terms.h"

struct jail {
	const char *cgroup_dir;
	const char *trust_dir;
	const char *user;     /* NULL = stay who we are */
	uint64_t keep_caps;   /* bit per capability that is not dropped after all */
};

/* The names of --keep-cap ("CAP_NET_RAW", "net_raw", a comma between several) as bits; refuses what is not dropped anyway. */
int jail_keep_caps(const char *names, uint64_t *ret, struct err *e);
const char *jail_dropped(void); /* what is dropped, for people: "CAP_NET_RAW, …" */
/* Does the child run as root? Then it is not held: what only root may write or ask is a way out, and nothing here closes it. */
bool jail_is_root(const struct jail *j);
/* In the child; on failure it must not exec. Descriptors above 2 are marked close-on-exec. */
int jail_enter(const struct jail *j, struct err *e);

#endif
