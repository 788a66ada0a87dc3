// SPDX-License-Identifier: Apache-2.0
/* loop_resolve.c: names to addresses, in libuv's thread pool. Caches nothing; the caller knows what may be kept. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "base/loop_own.h"

#define ADDRS_MAX 64

struct loop_resolve {
	uv_getaddrinfo_t req;
	struct loop *loop;
	loop_resolve_fn fn; /* NULL = cancelled */
	void *ctx;
	uint16_t port;
};

static bool take_addr(struct sockaddr_storage *to, const struct addrinfo *from, uint16_t port)
{
	if (!from->ai_addr || from->ai_addrlen > sizeof(*to))
		return false;
	memset(to, 0, sizeof(*to));
	memcpy(to, from->ai_addr, from->ai_addrlen);
	if (from->ai_family == AF_INET)
		((struct sockaddr_in *)to)->sin_port = htons(port);
	else if (from->ai_family == AF_INET6)
		((struct sockaddr_in6 *)to)->sin6_port = htons(port);
	else
		return false;
	return true;
}

static void resolve_tell(struct loop_resolve *r, int status, const struct addrinfo *list)
{
	struct sockaddr_storage addrs[ADDRS_MAX];
	char text[128] = "no address of a usable family";
	unsigned n = 0;

	for (const struct addrinfo *ai = status < 0 ? NULL : list; ai && n < ADDRS_MAX; ai = ai->ai_next)
		n += take_addr(&addrs[n], ai, r->port);
	if (status < 0)
		(void)uv_strerror_r(status, text, sizeof(text));
	r->fn(r->ctx, addrs, n, n ? NULL : text);
}

static void resolve_done(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
	struct loop_resolve *r = req->data;

	r->loop->nresolves--;
	if (r->fn)
		resolve_tell(r, status, list);
	uv_freeaddrinfo(list);
	free(r);
}

int loop_resolve(struct loop *l, const char *host, uint16_t port, loop_resolve_fn fn, void *ctx,
		 struct loop_resolve **ret)
{
	/* No AI_ADDRCONFIG: it makes glibc deny "localhost" where only loopback is up. */
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct loop_resolve *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return -ENOMEM;
	r->req.data = r;
	r->loop = l;
	r->fn = fn;
	r->ctx = ctx;
	r->port = port;
	e = uv_getaddrinfo(&l->uv, &r->req, resolve_done, host, NULL, &hints);
	if (e < 0) {
		free(r);
		/* libuv's own codes (UV_EAI_NAME and such) lie below every errno. */
		return e < -1000 ? -EINVAL : e;
	}
	l->nresolves++;
	*ret = r;
	return 0;
}

void loop_resolve_cancel(struct loop_resolve *r)
{
	if (!r)
		return;
	r->fn = NULL;
	/* Fails when a thread works on it already; then it ends quietly in resolve_done. */
	(void)uv_cancel((uv_req_t *)&r->req);
}
