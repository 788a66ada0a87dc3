// SPDX-License-Identifier: Apache-2.0
/*
 * worker.c: a thread's life: makes its loop, its pool, its name cache; takes connections until told to stop; then lets
 * calls in flight finish until the drain deadline, settles what is left and frees everything.
 */
#include "path/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/thread.h"
#include "path/shares.h"
#include "path/conn.h"
#include "path/exchange.h"
#include "path/listening.h"
#include "path/names.h"
#include "path/room.h"
#include "path/upstream.h"

#define TICK_MS 200
#define LOOK_NS INT64_C(1000000000)

static void drain_begin(struct worker *w)
{
	w->draining = true;
	listening_free_all(w);
}

/* A call is over when it is settled, but the end of its answer may still wait for the agent to read it. */
static bool answers_are_out(struct worker *w)
{
	list_for_each(pos, &w->conns)
		if (conn_is_busy(list_entry(pos, struct conn, link)))
			return false;
	return true;
}

/* Cutting an exchange settles it at once; its conn goes with it or below. */
static void drain_step(struct worker *w)
{
	if (clock_boot_ns() >= w->drain_until_ns)
		while (!list_empty(&w->exchanges))
			exchange_cut(list_entry(w->exchanges.next, struct exchange, link));
	else if (!list_empty(&w->exchanges) || !answers_are_out(w))
		return;
	list_for_each_safe(pos, tmp, &w->conns)
		conn_close(list_entry(pos, struct conn, link));
	loop_stop(w->loop);
}

void worker_stop_calls(struct worker *w, uint32_t account)
{
	(void)pthread_mutex_lock(&w->stop_lock);
	uint32_t *more = realloc(w->stops, (w->nstops + 1) * sizeof *more);
	if (more) {
		w->stops = more;
		w->stops[w->nstops++] = account;
	}
	(void)pthread_mutex_unlock(&w->stop_lock);
	if (!more)
		log_error("egress", "no memory to stop calls; ask again");
	if (w->started)
		loop_wake_send(w->wake);
}

static void take_stops(struct worker *w)
{
	(void)pthread_mutex_lock(&w->stop_lock);
	uint32_t *stops = w->stops;
	size_t n = w->nstops;
	w->stops = NULL;
	w->nstops = 0;
	(void)pthread_mutex_unlock(&w->stop_lock);
	for (size_t i = 0; i < n; i++)
		watch_stop_calls(w, stops[i]);
	free(stops);
}

static void listen_to_all(struct worker *w)
{
	int r = listening_sync(w, path_listenings(w->path));

	if (r < 0)
		log_error("egress", "worker %u: cannot take up a listener: %s; trying again", w->index, strerror(-r));
}

static void leave_begin(struct worker *w)
{
	w->leaving = true;
	listening_free_all(w);
	list_for_each_safe(pos, tmp, &w->conns) {
		struct conn *c = list_entry(pos, struct conn, link);

		if (c->stage->leaving)
			c->stage->leaving(c);
	}
}

void worker_wake(struct worker *w)
{
	if (w->started)
		loop_wake_send(w->wake);
}

/* Places that went to newer connections of the same agent, on whichever worker these are. */
static void shed_chosen(struct worker *w)
{
	struct place *p;

	while ((p = shares_chosen(path_shares(w->path), w->index)))
		conn_shed(list_entry(p, struct conn, place));
}

static void woken(void *ctx)
{
	struct worker *w = ctx;

	take_stops(w);
	shed_chosen(w);
	if (!path_is_stopping(w->path, &w->drain_until_ns)) {
		if (path_is_leaving(w->path) && !w->leaving)
			leave_begin(w);
		if (!w->leaving)
			listen_to_all(w);
		return;
	}
	if (!w->draining)
		drain_begin(w);
	drain_step(w);
}

static void ticked(void *ctx)
{
	struct worker *w = ctx;
	int64_t now = clock_boot_ns();

	atomic_store_explicit(&w->turned_ns, now, memory_order_relaxed);
	upstreams_prune(w->upstreams, now);
	watch_tick(w);
	room_tick(w, now);
	if (now - w->looked_ns >= LOOK_NS) {
		w->looked_ns = now;
		conns_look(w, now);
	}
	if (w->draining)
		drain_step(w);
	else if (w->leaving)
		atomic_store(&w->is_over, list_empty(&w->conns) && list_empty(&w->exchanges));
	else {
		listening_want(w, true);
		listen_to_all(w);
	}
	loop_timer_set(w->tick, TICK_MS);
}

static void worker_free_parts(struct worker *w)
{
	listening_free_all(w);
	loop_timer_free(w->tick);
	loop_wake_free(w->wake);
	upstreams_free(w->upstreams);
	names_free(w->names);
	json_free(w->json);
	free(w->scratch);
	free(w->stops);
	w->stops = NULL;
	w->nstops = 0;
	if (w->loop)
		loop_free(w->loop);
	w->loop = NULL;
}

static int worker_make_parts(struct worker *w)
{
	int r = loop_new(&w->loop);

	if (!r)
		r = loop_wake_new(w->loop, woken, w, &w->wake);
	if (!r)
		r = loop_timer_new(w->loop, ticked, w, &w->tick);
	if (!r)
		r = listening_sync(w, path_listenings(w->path));
	if (!r)
		r = names_new(w->loop, &w->names);
	if (!r)
		r = upstreams_new(w, &w->upstreams);
	if (!r && !(w->json = json_new()))
		r = -ENOMEM;
	if (!r && !(w->scratch = calloc(1, WORKER_SCRATCH + JSON_PADDING)))
		r = -ENOMEM;
	return r;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	ticked(w);
	loop_run(w->loop);
	worker_free_parts(w);
	return NULL;
}

int worker_start(struct worker *w, struct path *p, unsigned index, struct err *e)
{

	w->path = p;
	w->options = path_options_of(p);
	w->env = path_env_of(p);
	w->index = index;
	(void)pthread_mutex_init(&w->stop_lock, NULL);
	list_init(&w->conns);
	list_init(&w->exchanges);
	list_init(&w->waiting);
	list_init(&w->listens);
	atomic_store(&w->turned_ns, clock_boot_ns());

	int r = worker_make_parts(w);
	if (!r)
		r = thread_start(&w->thread, NULL, worker_main, w);
	if (r) {
		worker_free_parts(w);
		return err_set(e, -r, "egress: worker %u: %s", index, strerror(-r));
	}
	w->started = true;
	return 0;
}

void worker_stop_join(struct worker *w)
{
	if (!w->started)
		return;
	loop_wake_send(w->wake);
	pthread_join(w->thread, NULL);
	(void)pthread_mutex_destroy(&w->stop_lock);
	w->started = false;
}
