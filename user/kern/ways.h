// SPDX-License-Identifier: Apache-2.0
/*
 * ways.h: the ways round the gate that are known, tried out. Each is tried by a child of its own in the cgroup of an agent that is
 * enrolled, against an address that is listed as an LLM's. A way is "captured" only when purse has answered: it refuses plain HTTP with a
 * hint, and shows its own certificate for an LLM's name. To the address itself goes nothing but a connection request or a single byte, and
 * where the gate works not even that leaves the machine; what needs somebody who answers there has a network namespace of its own in
 * which the address is this machine's (ways_stage.h). `purse doctor --bypass` runs them on a user's node, tests/bpf/ on every kernel.
 */
#ifndef PURSE_KERN_WAYS_H
#define PURSE_KERN_WAYS_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/err.h"
#include "terms.h"

enum way_end {
	WAY_BLOCKED = 0, /* the kernel said no, or purse hung up */
	WAY_CAPTURED,    /* it led to purse, which answered */
	WAY_OPEN,        /* it would have reached the address, or nothing kept it from doing so */
	WAY_UNTESTED,    /* not possible here; the text says why, and what to do */
	WAY_BROKEN,      /* it led to the egress listener, where nobody answers: no way round, but agents cannot work either */
	WAY_END_COUNT,
};

/* What an agent needs for it beside its own code. */
enum way_need {
	WAY_NEEDS_NOTHING = 0,
	WAY_NEEDS_CAPS,   /* a capability that `purse run` takes away */
	WAY_NEEDS_CGROUP, /* to write the cgroup tree above its own; `purse run` shows it read-only */
	WAY_NEEDS_HELPER, /* a process outside that is no agent and helps it: `others: deny` closes it, `purse run` inherits nothing */
	WAY_NEEDS_PEER,   /* somebody at the other end who passes it on to the Internet; only lsm_cgroup sees such sockets */
	WAY_NEED_COUNT,
};

struct way_targets {
	const char *cgroup_dir; /* of the agent; made below it: nested groups */
	const char *outside_dir; /* a cgroup that is no agent's, for accomplices; NULL = those ways are not tested */
	struct sockaddr_in v4;  /* an LLM address and port; sin_family 0 = none */
	struct sockaddr_in6 v6;
	const char *host;       /* a configured name that these addresses serve; NULL = what is said to purse is not tested */
	uint16_t port4;         /* of the egress listener on 127.0.0.1; 0 = not known */
	int answer_ms;          /* how long purse may take to answer; 0 = 3 s */
	/* Makes a cgroup an agent's, or no agent's again. Called in a child process. Negative errno. NULL = those ways are not tested. */
	int (*enrol)(void *ctx, const char *dir, bool on);
	void *ctx;
};

struct way_result {
	unsigned no;      /* in the catalogue, where a way may have several forms */
	const char *name; /* static */
	const char *why;  /* static: what it tries, one line */
	enum way_end end;
	enum way_need need;
	char text[320];   /* "EACCES", "socket(AF_PACKET): no such family here" … */
};

/* In the order of the catalogue: numbers rise, none is left out. */
size_t ways_count(void);
/* Way number i < ways_count(). Blocks up to some seconds. Needs root (own children, cgroups, namespaces). */
void ways_try(size_t i, const struct way_targets *t, struct way_result *ret);
const char *way_need_text(enum way_need need); /* "", or half a sentence */
const char *way_end_text(enum way_end end); /* "blocked", "captured", "OPEN", "not tested", "BROKEN" */

#endif
