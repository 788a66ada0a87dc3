// SPDX-License-Identifier: Apache-2.0
/*
 * loop.c: base/loop.h on libuv 1.44; the only file that sees libuv (with loop_resolve.c).
 *
 * Two things here are not libuv's own:
 * - Masks are written down by loop_io_want and given to libuv just before it polls, since each
 *   uv_poll_start costs system calls even when nothing changed in the end.
 * - Deferred calls run between the callbacks of a turn and its end.
 *
 * libuv closes handles asynchronously, but uv_close on a poll handle takes the
 * descriptor out of epoll and out of the events already fetched, so that the
 * caller may close it, and a new handle may use the same number, at once.
 */
#include "base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/log.h"
#include "base/loop_own.h"

#define CLOSE_TURNS_MAX 1000
#define RESOLVE_DRAIN_MS 1000

struct loop_io {
	uv_poll_t handle;
	struct loop *loop;
	loop_io_fn fn;
	void *ctx;
	struct list changed; /* on loop->changed while want may differ from applied */
	unsigned want;
	unsigned applied;
};

struct loop_timer {
	uv_timer_t handle;
	struct loop *loop;
	void (*fn)(void *ctx);
	void *ctx;
};

struct loop_wake {
	uv_async_t handle;
	void (*fn)(void *ctx);
	void *ctx;
};

struct signal_watch {
	uv_signal_t handle;
	void (*fn)(void *ctx, int signum);
	void *ctx;
};

/* Every handle that we allocate carries its memory in data. */
static void free_closed(uv_handle_t *h)
{
	free(h->data);
}

static int64_t monotonic_ns(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* ---- deferred calls */

/* Runs what stands on the list now; what those add waits for the next round. */
static void deferred_run(struct loop *l)
{
	size_t n = l->ndeferred;

	for (size_t i = 0; i < n; i++) {
		/* A copy, since the call may make the array grow. */
		struct deferred d = l->deferred[i];

		d.fn(d.ctx);
	}
	l->ndeferred -= n;
	if (l->ndeferred)
		memmove(l->deferred, l->deferred + n, l->ndeferred * sizeof(*l->deferred));
}

int loop_defer(struct loop *l, void (*fn)(void *ctx), void *ctx)
{
	if (l->ndeferred == l->deferred_cap) {
		size_t cap = l->deferred_cap ? l->deferred_cap * 2 : 64;
		struct deferred *mem = realloc(l->deferred, cap * sizeof(*mem));

		if (!mem)
			return -ENOMEM;
		l->deferred = mem;
		l->deferred_cap = cap;
	}
	l->deferred[l->ndeferred++] = (struct deferred){ .fn = fn, .ctx = ctx };
	return 0;
}

/* ---- the turn */

static void io_apply(struct loop_io *io);

static void never(uv_idle_t *h)
{
	(void)h;
}

/* After timers, before the poll. */
static void before_poll(uv_prepare_t *h)
{
	struct loop *l = h->data;

	deferred_run(l);
	while (!list_empty(&l->changed)) {
		struct loop_io *io = list_entry(l->changed.next, struct loop_io, changed);

		list_remove(&io->changed);
		io_apply(io);
	}
	/* An active idle handle keeps the poll from blocking while deferred calls wait. */
	if (l->ndeferred)
		(void)uv_idle_start(&l->idle, never);
	else
		(void)uv_idle_stop(&l->idle);
	l->now_known = false;
}

static void after_poll(uv_check_t *h)
{
	struct loop *l = h->data;

	deferred_run(l);
	l->now_known = false;
}

int64_t loop_now_ns(struct loop *l)
{
	if (!l->running)
		return monotonic_ns();
	if (!l->now_known) {
		l->now_ns = monotonic_ns();
		l->now_known = true;
	}
	return l->now_ns;
}

/*
 * A look-up may hold its thread for ten seconds, and libuv has four of them for all loops together. Read once, when the first is needed;
 * who set it knows better.
 */
#define POOL_BASE 8
#define POOL_MOST 256
static void size_pool(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN), n = POOL_BASE + LOOP_THREADS_EACH * (cpus > 0 ? cpus : 1);
	char text[24];

	(void)snprintf(text, sizeof(text), "%ld", n < POOL_MOST ? n : POOL_MOST);
	(void)setenv("UV_THREADPOOL_SIZE", text, 0);
}

int loop_new(struct loop **ret)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, size_pool);

	struct loop *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	r = uv_loop_init(&l->uv);
	if (r < 0) {
		free(l);
		return r;
	}
	list_init(&l->changed);
	/* None of these can fail. Being active, they also keep uv_run from ending for want of work. */
	(void)uv_prepare_init(&l->uv, &l->prepare);
	(void)uv_check_init(&l->uv, &l->check);
	(void)uv_idle_init(&l->uv, &l->idle);
	l->prepare.data = l->check.data = l;
	(void)uv_prepare_start(&l->prepare, before_poll);
	(void)uv_check_start(&l->check, after_poll);
	*ret = l;
	return 0;
}

void loop_run(struct loop *l)
{
	l->running = true;
	l->now_known = false;
	(void)uv_run(&l->uv, UV_RUN_DEFAULT);
	l->running = false;
}

void loop_stop(struct loop *l)
{
	uv_stop(&l->uv);
}

/* ---- the end of a loop */

struct leftovers {
	struct loop *loop;
	unsigned n;
};

static void close_leftover(uv_handle_t *h, void *ctx)
{
	struct leftovers *left = ctx;
	struct loop *l = left->loop;

	if (uv_is_closing(h))
		return;
	if (h == (uv_handle_t *)&l->prepare || h == (uv_handle_t *)&l->check || h == (uv_handle_t *)&l->idle) {
		uv_close(h, NULL);
		return;
	}
	if (h->type != UV_SIGNAL)
		left->n++;
	uv_close(h, free_closed);
}

/* Cancelled look-ups may still sit in a thread that writes into the loop when it is done. */
static bool resolves_ended(struct loop *l)
{
	int64_t until = monotonic_ns() + RESOLVE_DRAIN_MS * INT64_C(1000000);

	while (l->nresolves && monotonic_ns() < until) {
		struct timespec ms = { .tv_nsec = 1000000 };

		(void)uv_run(&l->uv, UV_RUN_NOWAIT);
		if (l->nresolves)
			(void)nanosleep(&ms, NULL);
	}
	return l->nresolves == 0;
}

void loop_free(struct loop *l)
{
	struct leftovers left = { .loop = l };
	int turns = 0;

	if (!l)
		return;
	while (l->ndeferred && turns++ < CLOSE_TURNS_MAX)
		deferred_run(l);
	uv_walk(&l->uv, close_leftover, &left);
	if (left.n)
		log_warn("loop", "%u objects were not freed before their loop", left.n);
	if (!resolves_ended(l)) {
		/* Better a leak at the end of a process than memory that a thread still writes to. */
		log_warn("loop", "%u name look-ups are still running; their loop's memory is left behind",
			 l->nresolves);
		return;
	}
	for (turns = 0; uv_loop_close(&l->uv) == UV_EBUSY; turns++) {
		ASSERT(turns < CLOSE_TURNS_MAX);
		(void)uv_run(&l->uv, UV_RUN_NOWAIT);
	}
	free(l->deferred);
	free(l);
}

/* ---- descriptors */

static void io_ready(uv_poll_t *h, int status, int events)
{
	struct loop_io *io = h->data;
	unsigned ready = 0;

	if (status < 0) {
		/* libuv has stopped the handle; on again before the next poll unless the owner says otherwise. */
		io->applied = 0;
		if (list_empty(&io->changed))
			list_add_tail(&io->loop->changed, &io->changed);
		ready = LOOP_READ | LOOP_WRITE;
	} else {
		ready |= events & UV_READABLE ? LOOP_READ : 0;
		ready |= events & UV_WRITABLE ? LOOP_WRITE : 0;
		/* Fetched before the owner changed its mind in this turn. */
		ready &= io->want;
	}
	if (ready && io->want)
		io->fn(io->ctx, ready);
}

static void io_apply(struct loop_io *io)
{
	int events = (io->want & LOOP_READ ? UV_READABLE : 0) | (io->want & LOOP_WRITE ? UV_WRITABLE : 0);
	int r;

	if (io->want == io->applied)
		return;
	r = events ? uv_poll_start(&io->handle, events, io_ready) : uv_poll_stop(&io->handle);
	/* Fails only when another handle of this loop watches the same descriptor. */
	ASSERT(r == 0);
	io->applied = io->want;
}

int loop_io_new(struct loop *l, int fd, loop_io_fn fn, void *ctx, struct loop_io **ret)
{
	struct loop_io *io = calloc(1, sizeof(*io));
	int r;

	if (!io)
		return -ENOMEM;
	r = uv_poll_init(&l->uv, &io->handle, fd);
	if (r < 0) {
		free(io);
		return r;
	}
	io->handle.data = io;
	io->loop = l;
	io->fn = fn;
	io->ctx = ctx;
	list_init(&io->changed);
	*ret = io;
	return 0;
}

void loop_io_want(struct loop_io *io, unsigned events)
{
	io->want = events & (LOOP_READ | LOOP_WRITE);
	if (io->want != io->applied && list_empty(&io->changed))
		list_add_tail(&io->loop->changed, &io->changed);
}

void loop_io_free(struct loop_io *io)
{
	if (!io)
		return;
	list_remove(&io->changed);
	uv_close((uv_handle_t *)&io->handle, free_closed);
}

/* ---- timers */

static void timer_fired(uv_timer_t *h)
{
	struct loop_timer *t = h->data;

	t->fn(t->ctx);
}

int loop_timer_new(struct loop *l, void (*fn)(void *ctx), void *ctx, struct loop_timer **ret)
{
	struct loop_timer *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	(void)uv_timer_init(&l->uv, &t->handle);
	t->handle.data = t;
	t->loop = l;
	t->fn = fn;
	t->ctx = ctx;
	*ret = t;
	return 0;
}

/*
 * libuv counts from the (whole) millisecond at which the turn began. We count from now and
 * add one for the cut-off part, so a timer is never early, and one that is set to 0 in its own
 * callback does not keep the turn from ending.
 */
void loop_timer_set(struct loop_timer *t, int64_t after_ms)
{
	uint64_t ms = after_ms > 0 ? (uint64_t)after_ms : 0;

	uv_update_time(&t->loop->uv);
	(void)uv_timer_start(&t->handle, timer_fired, ms + 1, 0);
}

void loop_timer_stop(struct loop_timer *t)
{
	(void)uv_timer_stop(&t->handle);
}

void loop_timer_free(struct loop_timer *t)
{
	if (t)
		uv_close((uv_handle_t *)&t->handle, free_closed);
}

/* ---- waking from other threads */

static void woken(uv_async_t *h)
{
	struct loop_wake *w = h->data;

	w->fn(w->ctx);
}

int loop_wake_new(struct loop *l, void (*fn)(void *ctx), void *ctx, struct loop_wake **ret)
{
	struct loop_wake *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->fn = fn;
	w->ctx = ctx;
	r = uv_async_init(&l->uv, &w->handle, woken);
	if (r < 0) {
		free(w);
		return r;
	}
	w->handle.data = w;
	*ret = w;
	return 0;
}

void loop_wake_send(struct loop_wake *w)
{
	(void)uv_async_send(&w->handle);
}

void loop_wake_free(struct loop_wake *w)
{
	if (w)
		uv_close((uv_handle_t *)&w->handle, free_closed);
}

/* ---- signals: they last as long as the loop */

static void signal_came(uv_signal_t *h, int signum)
{
	struct signal_watch *s = h->data;

	s->fn(s->ctx, signum);
}

int loop_signal(struct loop *l, int signum, void (*fn)(void *ctx, int signum), void *ctx)
{
	struct signal_watch *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	r = uv_signal_init(&l->uv, &s->handle);
	if (r < 0) {
		free(s);
		return r;
	}
	s->handle.data = s;
	s->fn = fn;
	s->ctx = ctx;
	r = uv_signal_start(&s->handle, signal_came, signum);
	if (r < 0)
		uv_close((uv_handle_t *)&s->handle, free_closed);
	return r;
}
