// SPDX-License-Identifier: Apache-2.0
/*
 * names.c: a small cache over loop_resolve, for as long as DNS says, within bounds. Failures are not cached. An answer that is only there from
 * the cache is given by loop_defer, so that the callback never runs inside names_get.
 */
#include "path/names.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "base/map.h"
#include "base/str.h"

#define FRESH_LEAST_S 5
#define FRESH_MOST_S 300
#define CACHED_MAX 1024

struct cached {
	int64_t until_ns;
	unsigned n;
	struct sockaddr_storage addrs[NAMES_ADDRS_MAX];
};

struct names {
	struct loop *loop;
	struct map *cache; /* host -> struct cached */
};

struct names_wait {
	struct names *names;
	char host[256];
	uint16_t port;
	names_fn fn; /* NULL = cancelled, waiting for its deferred end */
	void *ctx;
	struct loop_resolve *query;
	struct cached hit;
};

int names_new(struct loop *l, struct names **ret)
{
	struct names *n = calloc(1, sizeof *n);
	if (!n || !(n->cache = map_new())) {
		free(n);
		return -ENOMEM;
	}
	n->loop = l;
	*ret = n;
	return 0;
}

void names_free(struct names *n)
{
	if (!n)
		return;
	map_free(n->cache, free);
	free(n);
}

static void set_port(struct sockaddr_storage *ss, uint16_t port)
{
	if (ss->ss_family == AF_INET)
		((struct sockaddr_in *)ss)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)ss)->sin6_port = htons(port);
}

/* Full of names that nobody asked for again, or that an agent made up: starting anew costs each a look-up. */
static void make_room(struct names *n)
{
	struct map *fresh = map_count(n->cache) < CACHED_MAX ? NULL : map_new();

	if (!fresh)
		return;
	map_free(n->cache, free);
	n->cache = fresh;
}

static void remember(struct names *n, const char *host, const struct sockaddr_storage *addrs, unsigned count, unsigned ttl_s)
{
	make_room(n);
	struct cached *c = map_count(n->cache) < CACHED_MAX ? calloc(1, sizeof *c) : NULL;
	unsigned fresh_s = ttl_s < FRESH_LEAST_S ? FRESH_LEAST_S : ttl_s > FRESH_MOST_S ? FRESH_MOST_S : ttl_s;
	void *old = NULL;

	if (!c)
		return;
	c->until_ns = loop_now_ns(n->loop) + (int64_t)fresh_s * 1000000000;
	c->n = count;
	memcpy(c->addrs, addrs, count * sizeof *addrs);
	if (map_put(n->cache, str_of(host), c, &old))
		free(c);
	free(old);
}

static void resolved(void *ctx, const struct sockaddr_storage *addrs, unsigned n, unsigned ttl_s, const char *error)
{
	struct names_wait *w = ctx;

	if (n > NAMES_ADDRS_MAX)
		n = NAMES_ADDRS_MAX;
	if (n)
		remember(w->names, w->host, addrs, n, ttl_s);
	w->fn(w->ctx, addrs, n, error);
	free(w);
}

static void answered_from_cache(void *ctx)
{
	struct names_wait *w = ctx;

	if (w->fn)
		w->fn(w->ctx, w->hit.addrs, w->hit.n, NULL);
	free(w);
}

int names_get(struct names *n, const char *host, uint16_t port, names_fn fn, void *ctx, struct names_wait **ret)
{
	struct names_wait *w = calloc(1, sizeof *w);
	if (!w)
		return -ENOMEM;
	*w = (struct names_wait){ .names = n, .port = port, .fn = fn, .ctx = ctx };
	(void)snprintf(w->host, sizeof w->host, "%s", host);

	const struct cached *c = map_find(n->cache, str_of(host));
	int r;
	if (c && c->until_ns > loop_now_ns(n->loop)) {
		w->hit = *c;
		for (unsigned i = 0; i < w->hit.n; i++)
			set_port(&w->hit.addrs[i], port);
		r = loop_defer(n->loop, answered_from_cache, w);
	} else {
		if (c)
			free(map_remove(n->cache, str_of(host)));
		r = loop_resolve(n->loop, host, port, resolved, w, &w->query);
	}
	if (r) {
		free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void names_cancel(struct names_wait *w)
{
	if (!w)
		return;
	if (!w->query) {
		w->fn = NULL; /* the deferred call frees it */
		return;
	}
	loop_resolve_cancel(w->query);
	free(w);
}
