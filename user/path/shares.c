// SPDX-License-Identifier: Apache-2.0
/* shares.c: see shares.h. An agent without anything has no record. */
#include "path/shares.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/map.h"

#define TELL_NS INT64_C(60000000000)

struct share {
	struct shares *shares;
	uint64_t agent;
	unsigned refs;
	uint64_t has[SHARE_COUNT];
	struct list resting; /* struct place, longest first */
	uint64_t nrefused;   /* since it was told */
	int64_t told_ns;     /* 0 = never */
};

struct shares {
	pthread_mutex_t lock; /* everything, also of agents and places */
	struct share_limit limits[SHARE_COUNT];
	uint64_t used[SHARE_COUNT];
	struct map *agents;  /* the 8 bytes of its number -> struct share */
	unsigned workers;
	struct list chosen[]; /* by worker: struct place */
};

static struct str key_of(const uint64_t *agent)
{
	return (struct str){ .p = (const char *)agent, .n = sizeof *agent };
}

int shares_new(const struct share_limit limits[SHARE_COUNT], unsigned workers, struct shares **ret)
{
	struct shares *b = calloc(1, sizeof *b + workers * sizeof b->chosen[0]);

	if (!b || !(b->agents = map_new())) {
		free(b);
		return -ENOMEM;
	}
	(void)pthread_mutex_init(&b->lock, NULL);
	for (int k = 0; k < SHARE_COUNT; k++)
		b->limits[k] = limits[k];
	b->workers = workers;
	for (unsigned i = 0; i < workers; i++)
		list_init(&b->chosen[i]);
	*ret = b;
	return 0;
}

void shares_free(struct shares *b)
{
	if (!b)
		return;
	map_free(b->agents, free);
	(void)pthread_mutex_destroy(&b->lock);
	free(b);
}

/* ---- agents */

static struct share *agent_new(struct shares *b, uint64_t agent)
{
	struct share *a = calloc(1, sizeof *a);

	if (!a)
		return NULL;
	a->shares = b;
	a->agent = agent;
	list_init(&a->resting);
	if (map_put(b->agents, key_of(&a->agent), a, NULL)) {
		free(a);
		return NULL;
	}
	return a;
}

struct share *share_get(struct shares *b, uint64_t agent)
{
	(void)pthread_mutex_lock(&b->lock);
	struct share *a = map_find(b->agents, key_of(&agent));

	if (!a)
		a = agent_new(b, agent);
	if (a)
		a->refs++;
	(void)pthread_mutex_unlock(&b->lock);
	return a;
}

struct share *share_ref(struct share *a)
{
	(void)pthread_mutex_lock(&a->shares->lock);
	a->refs++;
	(void)pthread_mutex_unlock(&a->shares->lock);
	return a;
}

/* With the lock. An agent that was just told about stays known, or leaving and coming back would tell it each time. */
static void unref(struct share *a)
{
	if (--a->refs)
		return;
	for (int k = 0; k < SHARE_COUNT; k++)
		ASSERT(!a->has[k]);
	ASSERT(list_empty(&a->resting));
	if (a->told_ns)
		return;
	(void)map_remove(a->shares->agents, key_of(&a->agent));
	free(a);
}

void share_unref(struct share *a)
{
	if (!a)
		return;
	struct shares *b = a->shares;

	(void)pthread_mutex_lock(&b->lock);
	unref(a);
	(void)pthread_mutex_unlock(&b->lock);
}

/* ---- counting, with the lock */

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* The most that it can have: has + n <= 2 * (free - n) is n <= (2 * free - has) / 3. */
static uint64_t most(const struct share *a, enum share_kind kind)
{
	const struct shares *b = a->shares;
	const struct share_limit *l = &b->limits[kind];
	uint64_t left = l->all > b->used[kind] ? l->all - b->used[kind] : 0, has = a->has[kind];
	uint64_t share = 2 * left > has ? (2 * left - has) / 3 : 0;

	return least(has + share, l->agent);
}

static void add(struct share *a, enum share_kind kind, uint64_t n)
{
	a->has[kind] += n;
	a->shares->used[kind] += n;
}

static void drop(struct share *a, enum share_kind kind, uint64_t n)
{
	ASSERT(a->has[kind] >= n && a->shares->used[kind] >= n);
	a->has[kind] -= n;
	a->shares->used[kind] -= n;
}

static bool take(struct share *a, enum share_kind kind, uint64_t n)
{
	uint64_t can = most(a, kind), has = a->has[kind];

	if (can < has || can - has < n)
		return false;
	add(a, kind, n);
	return true;
}

bool share_take(struct share *a, enum share_kind kind, uint64_t n)
{
	(void)pthread_mutex_lock(&a->shares->lock);
	bool taken = take(a, kind, n);

	(void)pthread_mutex_unlock(&a->shares->lock);
	return taken;
}

void share_give(struct share *a, enum share_kind kind, uint64_t n)
{
	(void)pthread_mutex_lock(&a->shares->lock);
	drop(a, kind, n);
	(void)pthread_mutex_unlock(&a->shares->lock);
}

void share_view(struct share *a, enum share_kind kind, uint64_t *ret_has, uint64_t *ret_most)
{
	(void)pthread_mutex_lock(&a->shares->lock);
	*ret_has = a->has[kind];
	*ret_most = most(a, kind);
	(void)pthread_mutex_unlock(&a->shares->lock);
}

uint64_t share_refused(struct share *a, int64_t now_ns)
{
	uint64_t n = 0;

	(void)pthread_mutex_lock(&a->shares->lock);
	a->nrefused++;
	if (!a->told_ns || now_ns - a->told_ns >= TELL_NS) {
		n = a->nrefused;
		a->nrefused = 0;
		a->told_ns = now_ns;
	}
	(void)pthread_mutex_unlock(&a->shares->lock);
	return n;
}

/* ---- places */

/* With the lock. The count stays: it is the newcomer's now. */
static bool choose(struct share *a, unsigned *ret_worker)
{
	if (list_empty(&a->resting))
		return false;
	struct place *p = list_entry(a->resting.next, struct place, link);

	list_remove(&p->link);
	list_add_tail(&a->shares->chosen[p->worker], &p->link);
	p->state = PLACE_IS_CHOSEN;
	*ret_worker = p->worker;
	return true;
}

static bool take_place(struct share *a, unsigned *ret_worker)
{
	*ret_worker = SHARES_NOBODY;
	return take(a, SHARE_CONNECTIONS, 1) || choose(a, ret_worker);
}

bool share_take_place(struct share *a, unsigned *ret_worker)
{
	(void)pthread_mutex_lock(&a->shares->lock);
	bool taken = take_place(a, ret_worker);

	(void)pthread_mutex_unlock(&a->shares->lock);
	return taken;
}

bool place_open(struct place *p, struct share *a, unsigned worker, unsigned *ret_worker)
{
	ASSERT(worker < a->shares->workers);
	(void)pthread_mutex_lock(&a->shares->lock);
	bool taken = take_place(a, ret_worker);

	if (taken) {
		*p = (struct place){ .agent = a, .worker = worker, .state = PLACE_BUSY };
		list_init(&p->link);
		a->refs++;
	}
	(void)pthread_mutex_unlock(&a->shares->lock);
	return taken;
}

void place_close(struct place *p)
{
	struct share *a = p->agent;

	if (!a)
		return;
	struct shares *b = a->shares;

	(void)pthread_mutex_lock(&b->lock);
	list_remove(&p->link);
	if (p->state != PLACE_IS_CHOSEN)
		drop(a, SHARE_CONNECTIONS, 1);
	p->agent = NULL;
	unref(a);
	(void)pthread_mutex_unlock(&b->lock);
}

void place_rest(struct place *p)
{
	struct share *a = p->agent;

	(void)pthread_mutex_lock(&a->shares->lock);
	if (p->state == PLACE_BUSY) {
		p->state = PLACE_RESTS;
		list_add_tail(&a->resting, &p->link);
	}
	(void)pthread_mutex_unlock(&a->shares->lock);
}

void place_rouse(struct place *p)
{
	struct share *a = p->agent;

	(void)pthread_mutex_lock(&a->shares->lock);
	if (p->state == PLACE_IS_CHOSEN)
		add(a, SHARE_CONNECTIONS, 1);
	list_remove(&p->link);
	p->state = PLACE_BUSY;
	(void)pthread_mutex_unlock(&a->shares->lock);
}

struct place *shares_chosen(struct shares *b, unsigned worker)
{
	struct place *p = NULL;

	(void)pthread_mutex_lock(&b->lock);
	if (!list_empty(&b->chosen[worker])) {
		p = list_entry(b->chosen[worker].next, struct place, link);
		list_remove(&p->link);
	}
	(void)pthread_mutex_unlock(&b->lock);
	return p;
}
