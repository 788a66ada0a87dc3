// SPDX-License-Identifier: Apache-2.0
/*
 * caps.h: which ways past the gate stay open to the processes of an agent, by what they hold: capabilities that no cgroup hook answers, and a
 * cgroup tree that they may write. `purse run` takes both away; agents that others start may have them, and then it is said (docs/control.md).
 *
 * A thread counts with its effective and permitted capabilities, as root also with what it regains at an exec (its bounding set, unless
 * no_new_privs). Only in our own user namespace: in one of its own a process is root over what it made there, not over the machine.
 * Not looked at: setuid programs it could start, groups, services that do what it asks.
 */
#ifndef PURSE_KERN_CAPS_H
#define PURSE_KERN_CAPS_H

#include <sys/types.h>

#include "base/err.h"
#include "terms.h"

enum caps_way {
	CAPS_PACKET = 0, /* only where this kernel has no lsm_cgroup */
	CAPS_TUNNEL,
	CAPS_BPF,
	CAPS_ADMIN,
	CAPS_PTRACE,
	CAPS_KERNEL,
	CAPS_CGROUP,
	CAPS_WAY_COUNT,
};
struct caps_way_row {
	const char *word;  /* "open-packet": for machines */
	const char *needs; /* "CAP_NET_RAW" */
	const char *text;  /* "way open with CAP_NET_RAW: packet sockets, …" */
	uint64_t any_of;   /* capabilities, as bits */
};
const struct caps_way_row *caps_way(enum caps_way w);

/* ---- one thread */
struct caps_thread {
	uid_t uid; /* effective */
	uint64_t held, bounding;
	bool no_new_privs;
};
/* One line of /proc/PID/status after the other, into zeros. */
void caps_take_line(struct caps_thread *t, const char *line);
/* Bits by enum caps_way, all but CAPS_CGROUP. has_lsm: probe_has_lsm_cgroup(). */
uint32_t caps_ways_of(const struct caps_thread *t, bool has_lsm);
/* A line of /proc/PID/mountinfo: a cgroup2 mount that may be written and shows more than `cgroup` and below. */
bool caps_line_shows_more(const char *line, const char *cgroup);

/* ---- an agent */
struct caps_agent {
	const char *dir, *cgroup; /* mount + cgroup, and the latter alone */
	uint32_t ways;
	struct {
		int pid; /* one that has it */
		char comm[16];
	} by[CAPS_WAY_COUNT];
};
/* Looks at every thread of every process of the cgroup and those below; *stop ends it early. Fills ways and by. Any thread. */
void caps_look(struct caps_agent *a, bool has_lsm, const _Atomic bool *stop);

#endif
