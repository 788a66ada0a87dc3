// SPDX-License-Identifier: Apache-2.0
/*
 * names.c: a cache and a queue over loop_resolve. A look-up that nobody waits for any more still has its thread until it ends, so it goes
 * on counting, and its answer is kept. An answer from the cache is given by loop_defer, so that no callback runs inside names_get.
 */
#include "path/names.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/loop.h"
#include "base/map.h"
#include "base/str.h"

#define NS_PER_S 1000000000LL
#define FRESH_LEAST_S 5
#define FRESH_MOST_S 300
#define FAILED_S 5
#define STALE_MOST_S 3600 /* names of ours */
#define CACHED_MAX 1024   /* on each shelf */
/* Of names of agents, in one worker. LOOP_THREADS_EACH is the threads that there are for them. */
#define ASKED_AT_ONCE LOOP_THREADS_EACH
#define ASKED_AT_ONCE_EACH (ASKED_AT_ONCE / 2)
#define WAITING_EACH 64

struct answer {
	int64_t until_ns;
	unsigned n; /* 0: it failed */
	char error[128];
	struct sockaddr_storage addrs[NAMES_ADDRS_MAX];
};

enum shelf { OURS, OTHERS, SHELVES };

struct names {
	struct loop *loop;
	struct map *cache[SHELVES]; /* host -> struct answer */
	struct list asked, queued;  /* of struct question */
};

/* One name that is being looked up, or will be. */
struct question {
	struct names *names;
	struct list node;
	uint32_t asker; /* the first one; it is counted for it */
	char host[256];
	struct loop_resolve *query; /* NULL = queued */
	struct list waits;
};

struct names_wait {
	struct list node; /* on the waits of a question; alone = to be answered from the cache, deferred */
	uint16_t port;
	names_fn fn; /* NULL = cancelled, waiting for its deferred end */
	void *ctx;
	struct answer hit;
};

int names_new(struct loop *l, struct names **ret)
{
	struct names *n = calloc(1, sizeof *n);

	if (!n)
		return -ENOMEM;
	n->loop = l;
	list_init(&n->asked);
	list_init(&n->queued);
	for (int i = 0; i < SHELVES; i++)
		if (!(n->cache[i] = map_new())) {
			names_free(n);
			return -ENOMEM;
		}
	*ret = n;
	return 0;
}

static void free_questions(struct list *l)
{
	list_for_each_safe(node, next, l) {
		struct question *q = list_entry(node, struct question, node);

		loop_resolve_cancel(q->query);
		free(q);
	}
}

void names_free(struct names *n)
{
	if (!n)
		return;
	free_questions(&n->asked);
	free_questions(&n->queued);
	for (int i = 0; i < SHELVES; i++)
		map_free(n->cache[i], free);
	free(n);
}

/* ---- the cache */

static enum shelf shelf_of(uint32_t asker) { return asker == NAMES_OURS ? OURS : OTHERS; }

/* Full of names that nobody asked for again, or that an agent made up: starting anew costs each a look-up. */
static void make_room(struct map **shelf)
{
	struct map *fresh = map_count(*shelf) < CACHED_MAX ? NULL : map_new();

	if (!fresh)
		return;
	map_free(*shelf, free);
	*shelf = fresh;
}

static void remember(struct names *n, const struct question *q, const struct answer *a)
{
	struct map **shelf = &n->cache[shelf_of(q->asker)];
	void *old = NULL;

	/* Better the last good one, as long as that may be used. */
	if (!a->n && q->asker == NAMES_OURS)
		return;
	make_room(shelf);
	struct answer *kept = map_count(*shelf) < CACHED_MAX ? malloc(sizeof *kept) : NULL;
	if (!kept)
		return;
	*kept = *a;
	if (map_put(*shelf, str_of(q->host), kept, &old))
		free(kept);
	free(old);
}

static const struct answer *find_cached(struct names *n, uint32_t asker, const char *host, bool *ret_is_fresh)
{
	struct map *shelf = n->cache[shelf_of(asker)];
	const struct answer *a = map_find(shelf, str_of(host));
	int64_t over_ns = a ? loop_now_ns(n->loop) - a->until_ns : 0;

	*ret_is_fresh = a && over_ns < 0;
	if (!a || *ret_is_fresh || (asker == NAMES_OURS && over_ns < STALE_MOST_S * NS_PER_S))
		return a;
	free(map_remove(shelf, str_of(host)));
	return NULL;
}

/* ---- the waiting */

static void set_port(struct sockaddr_storage *ss, uint16_t port)
{
	if (ss->ss_family == AF_INET)
		((struct sockaddr_in *)ss)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)ss)->sin6_port = htons(port);
}

/* The last that is heard of this wait. */
static void tell(struct names_wait *w, const struct answer *a)
{
	struct answer mine = *a;

	for (unsigned i = 0; i < mine.n; i++)
		set_port(&mine.addrs[i], w->port);
	if (w->fn)
		w->fn(w->ctx, mine.addrs, mine.n, mine.n ? NULL : mine.error);
	free(w);
}

static void answered_from_cache(void *ctx)
{
	struct names_wait *w = ctx;

	tell(w, &w->hit);
}

static void ask_queued(struct names *n);

static void resolved(void *ctx, const struct sockaddr_storage *addrs, unsigned n, unsigned ttl_s, const char *error)
{
	struct question *q = ctx;
	struct names *names = q->names;
	struct answer a = { .n = n < NAMES_ADDRS_MAX ? n : NAMES_ADDRS_MAX };
	unsigned good_s = !n ? FAILED_S : ttl_s < FRESH_LEAST_S ? FRESH_LEAST_S : ttl_s > FRESH_MOST_S ? FRESH_MOST_S : ttl_s;

	a.until_ns = loop_now_ns(names->loop) + good_s * NS_PER_S;
	if (a.n)
		memcpy(a.addrs, addrs, a.n * sizeof *addrs);
	(void)snprintf(a.error, sizeof a.error, "%s", error ? error : "");
	list_remove(&q->node);
	remember(names, q, &a);
	/* One may cancel another of them, or ask anew. */
	while (!list_empty(&q->waits)) {
		struct names_wait *w = list_entry(q->waits.next, struct names_wait, node);

		list_remove(&w->node);
		tell(w, &a);
	}
	free(q);
	ask_queued(names);
}

/* ---- the asking */

static bool may_ask(const struct names *n, uint32_t asker)
{
	unsigned all = 0, each = 0;

	if (asker == NAMES_OURS)
		return true;
	list_for_each(node, &n->asked) {
		const struct question *q = list_entry(node, struct question, node);

		all += q->asker != NAMES_OURS;
		each += q->asker == asker;
	}
	return all < ASKED_AT_ONCE && each < ASKED_AT_ONCE_EACH;
}

static int ask(struct question *q)
{
	int r = loop_resolve(q->names->loop, q->host, 0, resolved, q, &q->query);

	if (!r)
		list_add_tail(&q->names->asked, &q->node);
	return r;
}

static void ask_queued(struct names *n)
{
	list_for_each_safe(node, next, &n->queued) {
		struct question *q = list_entry(node, struct question, node);

		if (list_empty(&q->waits)) {
			list_remove(&q->node);
			free(q);
		} else if (may_ask(n, q->asker)) {
			list_remove(&q->node);
			if (ask(q))
				return resolved(q, NULL, 0, 0, "no memory"); /* which comes back here for the others */
		}
	}
}

/* Also what waits in the queue of the same asker; of another's it would wait behind that one's others. */
static struct question *find_question(struct names *n, uint32_t asker, const char *host)
{
	list_for_each(node, &n->asked) {
		struct question *q = list_entry(node, struct question, node);

		if (shelf_of(q->asker) == shelf_of(asker) && !strcmp(q->host, host))
			return q;
	}
	list_for_each(node, &n->queued) {
		struct question *q = list_entry(node, struct question, node);

		if (q->asker == asker && !strcmp(q->host, host))
			return q;
	}
	return NULL;
}

static unsigned count_queued(const struct names *n, uint32_t asker)
{
	unsigned count = 0;

	list_for_each(node, &n->queued)
		count += list_entry(node, struct question, node)->asker == asker;
	return count;
}

static int question_new(struct names *n, uint32_t asker, const char *host, struct question **ret)
{
	struct question *q;

	if (strlen(host) >= sizeof q->host)
		return -EINVAL;
	if (asker != NAMES_OURS && count_queued(n, asker) >= WAITING_EACH)
		return -EBUSY;
	q = calloc(1, sizeof *q);
	if (!q)
		return -ENOMEM;
	q->names = n;
	q->asker = asker;
	list_init(&q->waits);
	(void)snprintf(q->host, sizeof q->host, "%s", host);
	int r = 0;
	if (may_ask(n, asker))
		r = ask(q);
	else
		list_add_tail(&n->queued, &q->node);
	if (r) {
		free(q);
		return r;
	}
	*ret = q;
	return 0;
}

/* The question that stands, or a new one. */
static int question_get(struct names *n, uint32_t asker, const char *host, struct question **ret)
{
	*ret = find_question(n, asker, host);
	return *ret ? 0 : question_new(n, asker, host, ret);
}

int names_get(struct names *n, uint32_t asker, const char *host, uint16_t port, names_fn fn, void *ctx, struct names_wait **ret)
{
	struct question *q = NULL;
	bool is_fresh;
	struct names_wait *w = malloc(sizeof *w);

	if (!w)
		return -ENOMEM;
	*w = (struct names_wait){ .port = port, .fn = fn, .ctx = ctx };
	list_init(&w->node);
	const struct answer *known = find_cached(n, asker, host, &is_fresh);
	int r = known && is_fresh ? 0 : question_get(n, asker, host, &q);
	if (known) {
		w->hit = *known;
		r = loop_defer(n->loop, answered_from_cache, w); /* that it is asked for again is a favour */
	} else if (!r) {
		list_add_tail(&q->waits, &w->node);
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
	if (list_empty(&w->node)) {
		w->fn = NULL; /* the deferred call frees it */
		return;
	}
	list_remove(&w->node);
	free(w);
}
