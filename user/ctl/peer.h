// SPDX-License-Identifier: Apache-2.0
/*
 * peer.h: who is at the other end of a control connection: which user, which process, and whether that process is an agent's. Root
 * inside an agent's cgroup is that agent; it may look, but what it could change is its own budget.
 *
 * The process is the one that called connect(2): the kernel says so and keeps a handle on it (SO_PEERPIDFD, Linux 6.5), so that another process which
 * gets its number later is not taken for it. Before 6.5 there is the number only, and the handle is made here: between connect and accept
 * the number can become another's, for one who goes through all numbers while the daemon does not answer.
 *
 * Not answered: who else has the connection. Somebody outside of all agents who hands one in could as well ask in the agent's name.
 */
#ifndef PURSE_CTL_PEER_H
#define PURSE_CTL_PEER_H

#include <sys/types.h>

#include "terms.h"

struct agents;

enum peer_place {
	PEER_UNKNOWN = 0, /* cannot be told: counts as inside */
	PEER_IN_AGENT,
	PEER_OUTSIDE,
};

struct peer {
	uid_t uid;
	pid_t pid; /* in our pid namespace; 0 = it is in none that we see */
	int pidfd; /* -1 = gone */
	enum peer_place place;
	char why[700]; /* PEER_IN_AGENT: which one, PEER_UNKNOWN: what is missing, as a sentence */
};

/* Negative errno: fd is no connected unix socket. */
int peer_of(int fd, struct peer *ret);
void peer_done(struct peer *p);
/* Where it is now. Once seen in an agent it stays there: a connection does not get better. */
void peer_look(struct peer *p, const struct agents *a);

#endif
