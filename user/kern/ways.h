// SPDX-License-Identifier: Apache-2.0
/*
 * ways.h: the ways round the gate that are known, tried out. Each is tried by a child of its own in the cgroup of an agent that is
 * enrolled, against an address that is listed as an LLM's. Nothing is sent but connection requests and single bytes; where the gate
 * works not even these leave the machine. `purse doctor --bypass` runs them on a user's node, tests/bpf/ on every kernel.
 */
#ifndef PURSE_KERN_WAYS_H
#define PURSE_KERN_WAYS_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/err.h"
#include "terms.h"

enum way_end {
	WAY_BLOCKED = 0, /* the kernel said no */
	WAY_CAPTURED,    /* it led to the egress listener on loopback */
	WAY_OPEN,        /* it would have reached the address, or nothing kept it from doing so */
	WAY_UNTESTED,    /* not possible here; the text says why */
	WAY_END_COUNT,
};

/* What an agent needs for it beside its own code. */
enum way_need {
	WAY_NEEDS_NOTHING = 0,
	WAY_NEEDS_CAPS,   /* a capability that `purse run` takes away */
	WAY_NEEDS_HELPER, /* a process outside that is no agent and helps it: `others: deny` closes it, `purse run` inherits nothing */
	WAY_NEEDS_PEER,   /* somebody at the other end who passes it on to the Internet; only lsm_cgroup sees such sockets */
	WAY_NEED_COUNT,
};

struct way_targets {
	const char *cgroup_dir; /* of the agent; made below it: nested groups */
	const char *outside_dir; /* a cgroup that is no agent's, for accomplices; NULL = those ways are not tested */
	struct sockaddr_in v4;  /* an LLM address and port; sin_family 0 = none */
	struct sockaddr_in6 v6;
};

struct way_result {
	const char *name; /* static */
	const char *why;  /* static: what it tries, one line */
	enum way_end end;
	enum way_need need;
	char text[160];   /* "EACCES", "socket(AF_PACKET): no such family here" … */
};

size_t ways_count(void);
/* Way number i < ways_count(). Blocks up to some seconds. Needs root (own children, cgroups, namespaces). */
void ways_try(size_t i, const struct way_targets *t, struct way_result *ret);
const char *way_need_text(enum way_need need); /* "", or half a sentence */
const char *way_end_text(enum way_end end); /* "blocked", "captured", "OPEN", "not tested" */

#endif
