// SPDX-License-Identifier: Apache-2.0
/* loop_resolve.c: names to addresses, in libuv's thread pool. Caches nothing; the caller knows what may be kept. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "base/loop_own.h"
#include "base/resolve.h"

#define HOST_BYTES 256

struct loop_resolve {
	uv_work_t req;
	struct loop *loop;
	loop_resolve_fn fn; /* NULL = cancelled */
	void *ctx;
	uint16_t port;
	char host[HOST_BYTES];
	struct resolved answer;
};

static void resolve_work(uv_work_t *req)
{
	struct loop_resolve *r = req->data;

	resolve(r->host, r->port, &r->answer);
}

static void resolve_done(uv_work_t *req, int status)
{
	struct loop_resolve *r = req->data;
	const struct resolved *a = &r->answer;

	r->loop->nresolves--;
	if (r->fn)
		r->fn(r->ctx, a->addrs, a->n, a->ttl_s, a->n ? NULL : a->error);
	free(r);
}

int loop_resolve(struct loop *l, const char *host, uint16_t port, loop_resolve_fn fn, void *ctx,
		 struct loop_resolve **ret)
{
	struct loop_resolve *r;

	if (!host[0] || strlen(host) >= HOST_BYTES)
		return -EINVAL;
	r = malloc(sizeof(*r)); /* large, and filled by resolve() */
	if (!r)
		return -ENOMEM;
	memset(r, 0, offsetof(struct loop_resolve, answer));
	r->req.data = r;
	r->loop = l;
	r->fn = fn;
	r->ctx = ctx;
	r->port = port;
	(void)snprintf(r->host, sizeof(r->host), "%s", host);
	int e = uv_queue_work(&l->uv, &r->req, resolve_work, resolve_done);
	if (e < 0) {
		free(r);
		return e;
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
