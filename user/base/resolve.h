// SPDX-License-Identifier: Apache-2.0
/*
 * resolve.h: asks for the addresses of a name, and how long the answer is good. It blocks: for threads that may (loop_resolve uses it).
 * Honours /etc/hosts, resolv.conf and nsswitch.conf as they are at the time of the call. c-ares asks, because getaddrinfo tells no TTL;
 * where c-ares knows no answer (other sources of nsswitch, search lists, no name server) the system's resolver has a try.
 * Caches nothing.
 */
#ifndef PURSE_BASE_RESOLVE_H
#define PURSE_BASE_RESOLVE_H

#include <stdint.h>
#include <sys/socket.h>

#define RESOLVE_ADDRS_MAX 128
#define RESOLVE_DEADLINE_MS 10000
#define RESOLVE_TTL_UNKNOWN_S 30 /* what ttl_s says when nobody told */

struct resolved {
	unsigned n; /* 0: error says why */
	unsigned ttl_s; /* least of the whole chain, as told: may be 0. Only with n > 0 */
	char error[128];
	struct sockaddr_storage addrs[RESOLVE_ADDRS_MAX];
};

/* Never fails but in its answer. Thread-safe. */
void resolve(const char *host, uint16_t port, struct resolved *ret);

#endif
