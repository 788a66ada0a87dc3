// SPDX-License-Identifier: Apache-2.0
/*
 * prefix.c: a set-associative table: a hash has PREFIX_WAYS places, the entry that was put there longest ago gives way. No lists, no
 * allocation after the start, so that what an agent sends cannot make it larger or slower.
 */
#include "path/prefix.h"

#include <pthread.h>
#include <stdlib.h>

#define DISTRUSTED_MAX 64
/* So many known beginnings of a request are looked at, the longest first. */
#define BEST_OF 8

struct entry {
	uint64_t scope, model, hash; /* hash 0 = free */
	uint64_t tails[BODY_TAILS_MAX];
	int64_t tokens;
	int64_t put_ns;
};

struct prefix_table {
	pthread_mutex_t lock;
	struct entry sets[PREFIX_SETS][PREFIX_WAYS];
	struct {
		uint64_t model;
		int64_t until_ns;
	} distrusted[DISTRUSTED_MAX];
};

struct prefix_table *prefix_new(void)
{
	struct prefix_table *t = calloc(1, sizeof *t);

	if (t)
		pthread_mutex_init(&t->lock, NULL);
	return t;
}

void prefix_free(struct prefix_table *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static struct entry *set_of(struct prefix_table *t, uint64_t scope, uint64_t hash)
{
	return t->sets[(hash ^ (scope >> 7)) % PREFIX_SETS];
}

static struct entry *find(struct prefix_table *t, uint64_t scope, uint64_t hash)
{
	struct entry *set = set_of(t, scope, hash);

	for (size_t i = 0; i < PREFIX_WAYS; i++)
		if (set[i].hash == hash && set[i].scope == scope)
			return &set[i];
	return NULL;
}

static bool is_distrusted(const struct prefix_table *t, uint64_t model, int64_t now_ns)
{
	for (size_t i = 0; i < DISTRUSTED_MAX; i++)
		if (t->distrusted[i].model == model && t->distrusted[i].until_ns > now_ns)
			return true;
	return false;
}

/* What of the request stands in the entry's request too, behind the beginning. */
static int64_t tails_in(const struct entry *e, const struct prefix_request *r)
{
	bool used[BODY_TAILS_MAX] = { false };
	int64_t bytes = 0;

	for (size_t i = 0; i < BODY_TAILS_MAX; i++)
		for (size_t k = 0; r->tails[i] && k < BODY_TAILS_MAX; k++) {
			if (used[k] || e->tails[k] != r->tails[i])
				continue;
			used[k] = true;
			bytes += r->tail_bytes[i];
			break;
		}
	return bytes;
}

static int64_t bound_by(const struct entry *e, const struct prefix_request *r, int64_t beginning)
{
	int64_t fresh = r->bytes - beginning - tails_in(e, r), bound;

	if (fresh < 0 || __builtin_add_overflow(e->tokens, fresh, &bound) || __builtin_add_overflow(bound, PREFIX_SLACK, &bound))
		return INT64_MAX;
	return bound;
}

int64_t prefix_bound(struct prefix_table *t, const struct prefix_request *r, int64_t now_ns)
{
	int64_t least = INT64_MAX;
	int looks = 0;

	pthread_mutex_lock(&t->lock);
	bool believed = !is_distrusted(t, r->model, now_ns);
	/* Each beginning is one of all shorter ones: the best of them counts, which need not be the longest. */
	for (size_t i = r->nblocks; believed && i > 0 && looks < BEST_OF; i--) {
		const struct entry *e = find(t, r->scope, r->blocks[i - 1]);
		if (!e || now_ns - e->put_ns >= PREFIX_TTL_NS)
			continue;
		looks++;
		int64_t bound = bound_by(e, r, (int64_t)i * r->block);
		least = bound < least ? bound : least;
	}
	pthread_mutex_unlock(&t->lock);
	return least;
}

size_t prefix_keeps(size_t nblocks, size_t ret[PREFIX_KEPT_MAX])
{
	size_t n = 0, step = 1, back[PREFIX_KEPT_MAX];

	for (size_t at = 1; at <= nblocks && n < PREFIX_KEPT_MAX; at += step) {
		back[n++] = nblocks - at;
		if (n > PREFIX_KEPT_DENSE)
			step *= 2;
	}
	for (size_t i = 0; i < n; i++)
		ret[i] = back[n - 1 - i];
	return n;
}

static bool same_tails(const struct entry *e, const uint64_t tails[BODY_TAILS_MAX])
{
	for (size_t i = 0; i < BODY_TAILS_MAX; i++)
		if (e->tails[i] != tails[i])
			return false;
	return true;
}

static struct entry *oldest(struct entry *set)
{
	struct entry *e = set;

	for (size_t i = 0; i < PREFIX_WAYS; i++) {
		if (!set[i].hash)
			return &set[i];
		if (set[i].put_ns < e->put_ns)
			e = &set[i];
	}
	return e;
}

void prefix_put(struct prefix_table *t, const struct prefix_memo *m, int64_t tokens, int64_t now_ns)
{
	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < m->n; i++) {
		struct entry *e = find(t, m->scope, m->hashes[i]);
		/* Both are true. The smaller one bounds better; it keeps its age, or it would never be looked at again. */
		if (e && same_tails(e, m->tails) && e->tokens <= tokens && now_ns - e->put_ns < PREFIX_TTL_NS)
			continue;
		if (!e)
			e = oldest(set_of(t, m->scope, m->hashes[i]));
		*e = (struct entry){ .scope = m->scope, .model = m->model, .hash = m->hashes[i], .tokens = tokens, .put_ns = now_ns };
		for (size_t k = 0; k < BODY_TAILS_MAX; k++)
			e->tails[k] = m->tails[k];
	}
	pthread_mutex_unlock(&t->lock);
}

void prefix_distrust(struct prefix_table *t, uint64_t model, int64_t now_ns)
{
	size_t at = 0;

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < DISTRUSTED_MAX; i++) {
		if (t->distrusted[i].model == model) {
			at = i;
			break;
		}
		if (t->distrusted[i].until_ns < t->distrusted[at].until_ns)
			at = i;
	}
	t->distrusted[at].model = model;
	t->distrusted[at].until_ns = now_ns + PREFIX_DISTRUST_NS;
	for (size_t s = 0; s < PREFIX_SETS; s++)
		for (size_t i = 0; i < PREFIX_WAYS; i++)
			if (t->sets[s][i].model == model)
				t->sets[s][i] = (struct entry){ 0 };
	pthread_mutex_unlock(&t->lock);
}
