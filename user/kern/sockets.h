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
};

/*
 * Ends every socket of the cgroup at `dir` (and below) that pick() says yes to. *ret_ended may be NULL. 0 also if there were none;
 * -ENOENT: no such cgroup; -ENOTSUP: this kernel cannot end sockets; others name what could not be read. Blocks for the time of a dump (some ms per 10,000 sockets).
 * Thread-safe.
 */
int sockets_end(const char *dir, bool (*pick)(void *ctx, const struct socket_seen *s), void *ctx, size_t *ret_ended, struct err *e);

#endif
