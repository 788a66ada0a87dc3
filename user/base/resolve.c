// SPDX-License-Identifier: Apache-2.0
/* resolve.c: see resolve.h. c-ares shows nowhere else. A channel per question: it reads resolv.conf anew, and no lock is needed. */
#include "base/resolve.h"

#include <ares.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TIMEOUT_MS 2500 /* of the first try; the second one gets more */
#define TRIES 2
#define HOST_MAX 255

struct question {
	struct resolved *to;
	uint16_t port;
	bool done;
	int status;
};

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void take(struct resolved *to, const struct sockaddr *sa, socklen_t len, uint16_t port)
{
	struct sockaddr_storage *ss = &to->addrs[to->n];

	if (!sa || len > sizeof(*ss) || to->n == RESOLVE_ADDRS_MAX)
		return;
	memset(ss, 0, sizeof(*ss));
	memcpy(ss, sa, len);
	if (sa->sa_family == AF_INET)
		((struct sockaddr_in *)ss)->sin_port = htons(port);
	else if (sa->sa_family == AF_INET6)
		((struct sockaddr_in6 *)ss)->sin6_port = htons(port);
	else
		return;
	to->n++;
}

/* ---- c-ares */

static void answered(void *ctx, int status, int timeouts, struct ares_addrinfo *ai)
{
	struct question *q = ctx;
	unsigned ttl = UINT32_MAX;

	q->done = true;
	q->status = status;
	if (!ai)
		return;
	for (const struct ares_addrinfo_cname *c = ai->cnames; c; c = c->next)
		if ((unsigned)c->ttl < ttl)
			ttl = (unsigned)c->ttl;
	for (const struct ares_addrinfo_node *n = ai->nodes; n; n = n->ai_next) {
		if ((unsigned)n->ai_ttl < ttl)
			ttl = (unsigned)n->ai_ttl;
		take(q->to, n->ai_addr, (socklen_t)n->ai_addrlen, q->port);
	}
	q->to->ttl_s = ttl;
	ares_freeaddrinfo(ai);
}

static void wait_once(ares_channel ch, int64_t most_ms)
{
	ares_socket_t socks[ARES_GETSOCK_MAXNUM];
	struct pollfd fds[ARES_GETSOCK_MAXNUM];
	struct timeval tv, most = { most_ms / 1000, (most_ms % 1000) * 1000 };
	unsigned bits = (unsigned)ares_getsock(ch, socks, ARES_GETSOCK_MAXNUM);
	const struct timeval *left = ares_timeout(ch, &most, &tv);
	nfds_t n = 0;

	for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
		/* What ARES_GETSOCK_READABLE and _WRITABLE say, without their shift into the sign. */
		short events = (short)((bits >> i & 1 ? POLLIN : 0) | (bits >> (i + ARES_GETSOCK_MAXNUM) & 1 ? POLLOUT : 0));

		if (events)
			fds[n++] = (struct pollfd){ .fd = socks[i], .events = events };
	}
	(void)poll(fds, n, (int)(left->tv_sec * 1000 + left->tv_usec / 1000) + 1);
	for (nfds_t i = 0; i < n; i++)
		if (fds[i].revents)
			ares_process_fd(ch, fds[i].revents & (POLLIN | POLLERR | POLLHUP) ? fds[i].fd : ARES_SOCKET_BAD,
					fds[i].revents & POLLOUT ? fds[i].fd : ARES_SOCKET_BAD);
	ares_process_fd(ch, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* what has timed out */
}

static void open_library(void) { (void)ares_library_init(ARES_LIB_INIT_ALL); }

/* An ARES_ status. */
static int ask_ares(const char *host, uint16_t port, struct resolved *ret)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	/* No search list: what is asked for here are whole names; a short one gets its answer from the system's resolver. */
	struct ares_options o = { .flags = ARES_FLAG_NOSEARCH, .timeout = TIMEOUT_MS, .tries = TRIES };
	const struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct question q = { .to = ret, .port = port, .status = ARES_ENOTINITIALIZED };
	int64_t until = now_ms() + RESOLVE_DEADLINE_MS;
	ares_channel ch;

	(void)pthread_once(&once, open_library);
	int r = ares_init_options(&ch, &o, ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
	if (r != ARES_SUCCESS)
		return r;
	ares_getaddrinfo(ch, host, NULL, &hints, answered, &q);
	for (int64_t left; !q.done && (left = until - now_ms()) > 0;)
		wait_once(ch, left);
	ares_destroy(ch); /* answers what is still open */
	return q.status == ARES_EDESTRUCTION ? ARES_ETIMEOUT : q.status;
}

/* ---- the system's */

static void ask_system(const char *host, uint16_t port, struct resolved *ret)
{
	/* No AI_ADDRCONFIG: it makes glibc deny "localhost" where only loopback is up. */
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	int r = getaddrinfo(host, NULL, &hints, &list);

	ret->ttl_s = RESOLVE_TTL_UNKNOWN_S;
	if (r) {
		(void)snprintf(ret->error, sizeof(ret->error), "%s", gai_strerror(r));
		return;
	}
	for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
		take(ret, ai->ai_addr, ai->ai_addrlen, port);
	freeaddrinfo(list);
}

void resolve(const char *host, uint16_t port, struct resolved *ret)
{
	ret->n = ret->ttl_s = 0;
	ret->error[0] = '\0';
	if (!host[0] || strlen(host) > HOST_MAX) {
		(void)snprintf(ret->error, sizeof(ret->error), "not a host name: %zu bytes, expected 1 to %d", strlen(host), HOST_MAX);
		return;
	}
	int r = ask_ares(host, port, ret);

	/* The same name servers would let the system's resolver wait or fail likewise. */
	if (!ret->n && r != ARES_ETIMEOUT && r != ARES_ESERVFAIL)
		ask_system(host, port, ret);
	if (!ret->n && (r == ARES_ETIMEOUT || r == ARES_ESERVFAIL || !ret->error[0]))
		(void)snprintf(ret->error, sizeof(ret->error), "%s", r == ARES_SUCCESS ? "no address of a usable family" : ares_strerror(r));
}
