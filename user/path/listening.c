// SPDX-License-Identifier: Apache-2.0
/* listening.c: see listening.h. */
#include "path/listening.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/loop.h"
#include "path/conn.h"
#include "path/worker.h"

static void unref(struct listening *one)
{
	if (atomic_fetch_sub(&one->refs, 1) != 1)
		return;
	(void)close(one->fd);
	free(one);
}

void listenings_init(struct listenings *l)
{
	(void)pthread_mutex_init(&l->lock, NULL);
	list_init(&l->all);
	atomic_store(&l->changes, 1);
}

void listenings_done(struct listenings *l)
{
	list_for_each_safe(pos, next, &l->all)
		listenings_drop(l, list_entry(pos, struct listening, link));
	(void)pthread_mutex_destroy(&l->lock);
}

struct listening *listenings_add(struct listenings *l, int fd, uint64_t netns_cookie)
{
	struct listening *one = calloc(1, sizeof(*one));

	if (!one) {
		(void)close(fd);
		return NULL;
	}
	one->fd = fd;
	one->netns_cookie = netns_cookie;
	atomic_store(&one->refs, 1);
	(void)pthread_mutex_lock(&l->lock);
	list_add_tail(&l->all, &one->link);
	atomic_fetch_add(&l->changes, 1);
	(void)pthread_mutex_unlock(&l->lock);
	return one;
}

void listenings_drop(struct listenings *l, struct listening *one)
{
	if (!one)
		return;
	(void)pthread_mutex_lock(&l->lock);
	list_remove(&one->link);
	atomic_fetch_add(&l->changes, 1);
	(void)pthread_mutex_unlock(&l->lock);
	unref(one);
}

/* ---- a worker's side */

static void ready(void *ctx, unsigned what)
{
	struct worker_listen *l = ctx;

	(void)what;
	accept_ready(l->worker, l->on);
}

static void let_go(struct worker_listen *l)
{
	list_remove(&l->link);
	loop_io_free(l->io);
	unref(l->on);
	free(l);
}

static int take_up(struct worker *w, struct listening *one)
{
	struct worker_listen *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->worker = w;
	l->on = one;
	int r = loop_io_new(w->loop, one->fd, ready, l, &l->io);

	if (r < 0) {
		free(l);
		return r;
	}
	atomic_fetch_add(&one->refs, 1);
	list_add_tail(&w->listens, &l->link);
	loop_io_want(l->io, w->is_deaf ? 0 : LOOP_READ);
	return 0;
}

/*
 * Both lists grow at their ends only, and keep their order when something is taken out: one walk side by side. A dropped listening is
 * freed only after every worker let go of it, so its address is not another's while it is compared here.
 */
int listening_sync(struct worker *w, struct listenings *l)
{
	struct list *mine = w->listens.next;
	int r = 0;

	if (w->listens_seen == atomic_load(&l->changes))
		return 0;
	(void)pthread_mutex_lock(&l->lock);
	w->listens_seen = atomic_load(&l->changes);
	list_for_each(pos, &l->all) {
		struct listening *one = list_entry(pos, struct listening, link);

		while (mine != &w->listens && list_entry(mine, struct worker_listen, link)->on != one) {
			struct list *gone = mine;

			mine = mine->next;
			let_go(list_entry(gone, struct worker_listen, link));
		}
		if (mine != &w->listens) {
			mine = mine->next;
			continue;
		}
		r = take_up(w, one);
		if (r < 0)
			break;
	}
	while (r == 0 && mine != &w->listens) {
		struct list *gone = mine;

		mine = mine->next;
		let_go(list_entry(gone, struct worker_listen, link));
	}
	if (r < 0)
		w->listens_seen = 0;
	(void)pthread_mutex_unlock(&l->lock);
	return r;
}

void listening_want(struct worker *w, bool on)
{
	if (w->is_deaf == !on)
		return;
	w->is_deaf = !on;
	list_for_each(pos, &w->listens)
		loop_io_want(list_entry(pos, struct worker_listen, link)->io, on ? LOOP_READ : 0);
}

void listening_free_all(struct worker *w)
{
	list_for_each_safe(pos, next, &w->listens)
		let_go(list_entry(pos, struct worker_listen, link));
}
