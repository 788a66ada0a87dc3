// SPDX-License-Identifier: Apache-2.0
/*
 * sockets.h: sockets that are open already, which no connect hook will ever see again: found through sock_diag and ended with
 * SOCK_DESTROY (TCP since Linux 4.5, UDP since 4.9; needs CONFIG_INET_DIAG_DESTROY and CAP_NET_ADMIN over the namespace).
 * A TCP peer gets a reset; the owner's next call answers ECONNABORTED.
 *
 * Whose a socket is: it was made in the cgroup or one below it (INET_DIAG_CGROUP_ID, Linux 5.8), or a process there has it open, wherever
 * it was made. Looked at in the caller's network namespace and in that of every process in these cgroups. What it cannot see: a socket
 * in a namespace where none of these processes is, held by a process elsewhere. The gate's egress hook still drops what that sends.
 */
#ifndef PURSE_KERN_SOCKETS_H
#define PURSE_KERN_SOCKETS_H

#include "base/err.h"
#include "terms.h"

struct socket_seen {
	int protocol;    /* IPPROTO_TCP or IPPROTO_UDP; connected ones only */
	uint8_t dst[16]; /* v4 as v4-mapped */
	uint16_t dport;  /* host order */
	uint64_t netns_cookie; /* where it is; 0 = this kernel does not tell */
};

struct sockets_owner {
	const char *dir; /* its cgroup */
	size_t ended;    /* answer: how many */
	int error;       /* answer: 0; -ENOENT: no such cgroup; -E2BIG: it has more descriptors or namespaces than are looked through */
};

/* Asked from several threads, one at a time. */
struct sockets_job {
	struct sockets_owner *owners;
	size_t n;
	bool (*pick)(void *ctx, size_t owner, const struct socket_seen *s);
	bool (*stop)(void *ctx); /* asked often; true ends it where it is. NULL ok */
	void *ctx;
};

/*
 * Ends every socket of each owner (and below) that pick() says yes to: one walk over all owners' processes, then one dump for each namespace that
 * they are in. 0 also if there were none; -ECANCELED: stopped; -ENOTSUP: this kernel cannot end sockets; others name what could not be read,
 * after all else was done. Blocks: some 100 us a process, 10 us a descriptor, some ms for 10,000 sockets of a namespace. Thread-safe.
 */
int sockets_end(struct sockets_job *job, struct err *e);

/* Can this kernel end sockets at all? 0; -ENOTSUP (CONFIG_INET_DIAG_DESTROY); -ENOENT: not those of that protocol (a module that is not there). */
int sockets_can_end(int protocol);

#endif
