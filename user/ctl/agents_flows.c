// SPDX-License-Identifier: Apache-2.0
/* agents_flows.c: see agents_flows.h. Wants go to the thread in batches, and come back as results when it wakes the loop. */
#include "ctl/agents_flows.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"
#include "base/thread.h"
#include "gate_abi.h"
#include "kern/gate.h"

#define BATCH_MAX 256 /* of a round: whoever waits comes next */
#define PAUSE_TIMES 100

struct want {
	struct list node; /* on urgent, round or batch; when done on done */
	char agent[GATE_NAME_MAX];
	char *dir;
	uint64_t cgroup_id, ticket;
	enum flows_why why;
	size_t ended;
	int error; /* of this one */
	bool alone; /* a look at several had no room for all of it: one agent's namespaces take nobody else's place */
};

struct flows {
	struct gate *gate;
	struct loop_wake *wake;
	struct flows_calls calls;
	pthread_t thread;
	bool has_thread;
	uint64_t last; /* ticket */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t more;
	struct list urgent, round, done;
	bool is_round_running;
	uint64_t over; /* tickets up to this one */
	struct err error; /* of looks since the last time that somebody told */
	int64_t round_began_ns, round_took_ns;
	bool stops;    /* also read without the lock, by a look that is on */
};

static void want_free(struct want *w)
{
	list_remove(&w->node);
	free(w->dir);
	free(w);
}

/* ---- one look, on the thread */

static bool must_stop(void *ctx)
{
	const struct flows *f = ctx;

	return __atomic_load_n(&f->stops, __ATOMIC_RELAXED);
}

static int look(struct flows *f, struct want **wants, size_t n, struct err *e)
{
	struct gate_old of[BATCH_MAX] = { 0 };

	for (size_t i = 0; i < n; i++)
		of[i] = (struct gate_old){ .cgroup_dir = wants[i]->dir, .cgroup_id = wants[i]->cgroup_id };
	int r = gate_end_old_flows(f->gate, of, n, must_stop, f, e);

	for (size_t i = 0; i < n; i++) {
		wants[i]->ended += of[i].ended;
		wants[i]->error = of[i].error;
	}
	return r;
}

/* Under the lock. Those that somebody waits for, else the next part of a round. */
static size_t take_batch(struct flows *f, struct want **ret)
{
	struct list *from = list_empty(&f->urgent) ? &f->round : &f->urgent;
	size_t n = 0;

	list_for_each_safe(node, next, from) {
		struct want *w = list_entry(node, struct want, node);

		if (n == BATCH_MAX || (n > 0 && (w->alone || ret[0]->alone)))
			break;
		list_remove(node);
		ret[n++] = w;
	}
	f->is_round_running = n && from == &f->round;
	return n;
}

/* Under the lock. Tickets are over in the order in which they were given. */
static void give_back(struct flows *f, struct want **wants, size_t n, int64_t took_ns)
{
	struct list *again = f->is_round_running ? &f->round : &f->urgent;

	for (size_t i = 0; i < n; i++) {
		wants[i]->alone = wants[i]->error == -E2BIG && n > 1;
		if (!wants[i]->alone)
			list_add_tail(&f->done, &wants[i]->node);
	}
	/* In front, in their order. */
	for (size_t i = n; i-- > 0;)
		if (wants[i]->alone)
			list_add(again, &wants[i]->node);
	f->over = list_empty(&f->urgent) ? f->last : list_entry(f->urgent.next, struct want, node)->ticket - 1;
	if (f->is_round_running)
		f->round_took_ns += took_ns;
	f->is_round_running = false;
}

static void work(struct flows *f)
{
	struct want *batch[BATCH_MAX];
	size_t n = take_batch(f, batch);
	int64_t began = clock_boot_ns();
	struct err e = { "" };

	if (n == 0)
		return;
	(void)pthread_mutex_unlock(&f->lock);
	int r = look(f, batch, n, &e);

	(void)pthread_mutex_lock(&f->lock);
	/* Who stops has no time to tell. */
	if (r < 0 && r != -ECANCELED)
		f->error = e;
	give_back(f, batch, n, clock_boot_ns() - began);
}

static void *run(void *ctx)
{
	struct flows *f = ctx;

	(void)pthread_mutex_lock(&f->lock);
	while (!f->stops) {
		if (list_empty(&f->urgent) && list_empty(&f->round)) {
			(void)pthread_cond_wait(&f->more, &f->lock);
			continue;
		}
		work(f);
		loop_wake_send(f->wake);
	}
	(void)pthread_mutex_unlock(&f->lock);
	return NULL;
}

/* ---- what came of it, on the loop */

static void tell_one(struct flows *f, const struct want *w)
{
	static const char *const words[FLOWS_WHY_COUNT] = {
		[FLOWS_ENROLLED] = "from before its enrolment",
		[FLOWS_HALTED] = "past the egress, at its pause,",
		[FLOWS_ROUND] = "past the egress",
	};

	if (w->error == -E2BIG)
		log_warn(w->agent, "it has too many open descriptors or network namespaces to look through: not all connections from before are found; what "
			 "they send to LLM endpoints is dropped all the same");
	if (w->ended == 0)
		return;
	log_info(w->agent, "%zu open connections %s were ended", w->ended, words[w->why]);
	if (f->calls.ended)
		f->calls.ended(f->calls.ctx, w->agent, w->cgroup_id, w->ended);
}

static void tell(void *ctx)
{
	struct flows *f = ctx;
	struct list done;
	struct err e;

	list_init(&done);
	(void)pthread_mutex_lock(&f->lock);
	e = f->error;
	f->error.text[0] = '\0';
	list_for_each_safe(node, next, &f->done) {
		list_remove(node);
		list_add_tail(&done, node);
	}
	(void)pthread_mutex_unlock(&f->lock);
	if (list_empty(&done))
		return;
	if (e.text[0])
		log_warn("agents", "%s", e.text);
	list_for_each_safe(node, next, &done) {
		struct want *w = list_entry(node, struct want, node);

		tell_one(f, w);
		want_free(w);
	}
	if (f->calls.over)
		f->calls.over(f->calls.ctx);
}

/* ---- asking */

static struct want *want_new(const char *agent, const char *dir, uint64_t cgroup_id, enum flows_why why)
{
	struct want *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	list_init(&w->node);
	(void)str_copy(w->agent, sizeof(w->agent), str_of(agent));
	w->dir = strdup(dir);
	w->cgroup_id = cgroup_id;
	w->why = why;
	if (w->dir)
		return w;
	want_free(w);
	return NULL;
}

void flows_end(struct flows *f, const char *agent, const char *dir, uint64_t cgroup_id, enum flows_why why)
{
	struct want *w = want_new(agent, dir, cgroup_id, why);

	if (!w) {
		log_error(agent, "out of memory: what it has open from before is not ended; what that sends to LLM endpoints is dropped all the same");
		return;
	}
	(void)pthread_mutex_lock(&f->lock);
	if (why == FLOWS_ROUND && list_empty(&f->round) && !f->is_round_running) {
		f->round_began_ns = clock_boot_ns();
		f->round_took_ns = 0;
	}
	if (why != FLOWS_ROUND)
		w->ticket = ++f->last;
	list_add_tail(why == FLOWS_ROUND ? &f->round : &f->urgent, &w->node);
	(void)pthread_cond_signal(&f->more);
	if (!f->has_thread)
		work(f);
	(void)pthread_mutex_unlock(&f->lock);
	if (!f->has_thread)
		tell(f);
}

uint64_t flows_last(const struct flows *f)
{
	return f->last;
}

bool flows_is_over(struct flows *f, uint64_t ticket)
{
	(void)pthread_mutex_lock(&f->lock);
	bool is_over = ticket <= f->over;

	(void)pthread_mutex_unlock(&f->lock);
	return is_over;
}

bool flows_may_begin_round(struct flows *f)
{
	(void)pthread_mutex_lock(&f->lock);
	int64_t pause = f->round_took_ns < FLOWS_PAUSE_MAX_NS / PAUSE_TIMES ? f->round_took_ns * PAUSE_TIMES : FLOWS_PAUSE_MAX_NS;
	bool may = list_empty(&f->round) && !f->is_round_running && clock_boot_ns() - f->round_began_ns >= pause;

	(void)pthread_mutex_unlock(&f->lock);
	return may;
}

/* ---- made and freed */

static int start_thread(struct flows *f, struct loop *loop, struct err *e)
{
	int r = loop_wake_new(loop, tell, f, &f->wake);

	if (r == 0)
		r = thread_start(&f->thread, NULL, run, f);
	if (r < 0)
		return err_set(e, -r, "agents: no thread that ends old connections: %s", strerror(-r));
	f->has_thread = true;
	(void)pthread_setname_np(f->thread, "old-flows");
	return 0;
}

int flows_new(struct gate *gate, struct loop *loop, struct flows **ret, struct err *e)
{
	struct flows *f = calloc(1, sizeof(*f));

	if (!f)
		return err_set(e, ENOMEM, "agents: out of memory");
	f->gate = gate;
	list_init(&f->urgent);
	list_init(&f->round);
	list_init(&f->done);
	(void)pthread_mutex_init(&f->lock, NULL);
	(void)pthread_cond_init(&f->more, NULL);
	int r = loop ? start_thread(f, loop, e) : 0;

	if (r < 0)
		flows_free(f);
	else
		*ret = f;
	return r;
}

static void free_all(struct list *l)
{
	list_for_each_safe(node, next, l)
		want_free(list_entry(node, struct want, node));
}

void flows_free(struct flows *f)
{
	if (!f)
		return;
	(void)pthread_mutex_lock(&f->lock);
	__atomic_store_n(&f->stops, true, __ATOMIC_RELAXED);
	(void)pthread_cond_signal(&f->more);
	(void)pthread_mutex_unlock(&f->lock);
	if (f->has_thread)
		(void)pthread_join(f->thread, NULL);
	if (f->wake)
		loop_wake_free(f->wake);
	free_all(&f->urgent);
	free_all(&f->round);
	free_all(&f->done);
	(void)pthread_cond_destroy(&f->more);
	(void)pthread_mutex_destroy(&f->lock);
	free(f);
}

void flows_tell(struct flows *f, const struct flows_calls *calls)
{
	f->calls = *calls;
}
