// SPDX-License-Identifier: Apache-2.0
/* test_loop.c: timers, wakes, deferred calls, signals, the end of a loop. Descriptors are test_loop_io.c. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "loop_test.h"

/* ---- timers */

struct tick {
	struct loop *loop;
	struct loop_timer *timer;
	int64_t at;
	unsigned fired, again;
};

static void tick(void *ctx)
{
	struct tick *t = ctx;

	t->at = now_ns();
	t->fired++;
	if (t->fired <= t->again)
		loop_timer_set(t->timer, 0);
}

static void never_early(void **state)
{
	struct tick t = { .loop = *state };

	assert_int_equal(loop_timer_new(*state, tick, &t, &t.timer), 0);
	for (int ms = 0; ms < 30; ms += 3) {
		int64_t set;

		/* Time passes between making the loop and setting the timer; it must not count. */
		(void)nanosleep(&(struct timespec){ .tv_nsec = 2500000 }, NULL);
		set = now_ns();
		loop_timer_set(t.timer, ms);
		run_for(*state, ms + 10);
		assert_true(t.at - set >= ms * MS);
	}
	assert_int_equal(t.fired, 10);
	loop_timer_free(t.timer);
	loop_timer_free(NULL);
}

static void moves_stops_and_takes_negatives(void **state)
{
	struct tick t = { .loop = *state };

	assert_int_equal(loop_timer_new(*state, tick, &t, &t.timer), 0);
	loop_timer_stop(t.timer);
	loop_timer_set(t.timer, 5);
	loop_timer_set(t.timer, 60000);
	run_for(*state, 20);
	assert_int_equal(t.fired, 0);
	loop_timer_set(t.timer, 5);
	loop_timer_stop(t.timer);
	run_for(*state, 20);
	assert_int_equal(t.fired, 0);
	loop_timer_set(t.timer, INT64_MAX);
	run_for(*state, 5);
	assert_int_equal(t.fired, 0);
	loop_timer_set(t.timer, -5);
	run_for(*state, 20);
	assert_int_equal(t.fired, 1);
	loop_timer_free(t.timer);
}

/* In its own callback, with 0: other things go on. */
static void a_timer_of_zero_lets_others_run(void **state)
{
	struct tick t = { .loop = *state, .again = 1000000 };
	struct end e;

	end_open(&e, *state);
	put(e.peer);
	loop_io_want(e.io, LOOP_READ);
	e.stop_after = 3;
	assert_int_equal(loop_timer_new(*state, tick, &t, &t.timer), 0);
	loop_timer_set(t.timer, 0);
	run(*state);
	assert_int_equal(e.calls, 3);
	loop_timer_free(t.timer);
	end_close(&e);
}

static void free_own_timer(void *ctx)
{
	struct tick *t = ctx;

	t->fired++;
	loop_timer_free(t->timer);
	loop_stop(t->loop);
}

static void a_timer_may_free_itself(void **state)
{
	struct tick t = { .loop = *state };

	assert_int_equal(loop_timer_new(*state, free_own_timer, &t, &t.timer), 0);
	loop_timer_set(t.timer, 1);
	run(*state);
	assert_int_equal(t.fired, 1);
}

struct clockwork {
	struct loop *loop;
	int64_t first, second, real;
};

static void read_clock(void *ctx)
{
	struct clockwork *c = ctx;

	c->first = loop_now_ns(c->loop);
	(void)nanosleep(&(struct timespec){ .tv_nsec = 3000000 }, NULL);
	c->second = loop_now_ns(c->loop);
	c->real = now_ns();
	loop_stop(c->loop);
}

static void now_stands_still_within_a_turn(void **state)
{
	struct clockwork c = { .loop = *state };
	struct loop_timer *t;
	int64_t before = loop_now_ns(*state);

	/* Outside of loop_run it is just the clock. */
	(void)nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	assert_true(loop_now_ns(*state) - before >= 2 * MS);
	assert_int_equal(loop_timer_new(*state, read_clock, &c, &t), 0);
	loop_timer_set(t, 5);
	run(*state);
	assert_int_equal(c.first, c.second);
	assert_true(c.real - c.first >= 3 * MS);
	assert_true(c.first - before >= 7 * MS);
	assert_true(c.first <= c.real);
	loop_timer_free(t);
}

/* ---- wakes */

#define SENDERS 4
#define SENDS 2000

struct inbox {
	struct loop *loop;
	struct loop_wake *wake;
	unsigned sent; /* atomic */
	unsigned seen, calls;
};

static void *send_often(void *ctx)
{
	struct inbox *in = ctx;

	for (int i = 0; i < SENDS; i++) {
		__atomic_fetch_add(&in->sent, 1, __ATOMIC_SEQ_CST);
		loop_wake_send(in->wake);
	}
	return NULL;
}

static void look_into(void *ctx)
{
	struct inbox *in = ctx;

	in->calls++;
	in->seen = __atomic_load_n(&in->sent, __ATOMIC_SEQ_CST);
	if (in->seen == SENDERS * SENDS)
		loop_stop(in->loop);
}

/* Sends may merge, but the last one is never lost. */
static void threads_wake_the_loop(void **state)
{
	struct inbox in = { .loop = *state };
	pthread_t threads[SENDERS];

	assert_int_equal(loop_wake_new(*state, look_into, &in, &in.wake), 0);
	for (int i = 0; i < SENDERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, send_often, &in), 0);
	run(*state);
	for (int i = 0; i < SENDERS; i++)
		(void)pthread_join(threads[i], NULL);
	assert_int_equal(in.seen, SENDERS * SENDS);
	assert_true(in.calls >= 1 && in.calls <= SENDERS * SENDS);
	loop_wake_free(in.wake);
	loop_wake_free(NULL);
}

static void a_freed_wake_is_silent(void **state)
{
	struct inbox in = { .loop = *state };

	assert_int_equal(loop_wake_new(*state, look_into, &in, &in.wake), 0);
	loop_wake_send(in.wake);
	loop_wake_free(in.wake);
	run_for(*state, 10);
	assert_int_equal(in.calls, 0);
}

/* ---- deferred calls */

static char order[64];

struct step {
	struct loop *loop;
	const char *name;
	struct step *next; /* deferred by this one */
};

static void take_step(void *ctx)
{
	struct step *s = ctx;

	(void)strcat(order, s->name);
	if (s->next)
		assert_int_equal(loop_defer(s->loop, take_step, s->next), 0);
	else if (*s->name == '.')
		loop_stop(s->loop);
}

static void defer_two(void *ctx)
{
	struct step *s = ctx;

	assert_int_equal(loop_defer(s[0].loop, take_step, &s[0]), 0);
	assert_int_equal(loop_defer(s[1].loop, take_step, &s[1]), 0);
	(void)strcat(order, "t");
}

static void deferred_run_after_callbacks_in_order(void **state)
{
	struct step last = { .loop = *state, .name = "." }, b = { .loop = *state, .name = "b", .next = &last };
	struct step two[] = { { .loop = *state, .name = "a", .next = &b }, { .loop = *state, .name = "c" } };
	struct loop_timer *t;
	int64_t from = now_ns();

	order[0] = '\0';
	assert_int_equal(loop_timer_new(*state, defer_two, two, &t), 0);
	loop_timer_set(t, 1);
	run(*state);
	assert_string_equal(order, "tacb.");
	/* A chain of deferred calls waits for no event: only the guard would come, in ten seconds. */
	assert_true(now_ns() - from < 5000 * MS);
	loop_timer_free(t);
}

static void count_up(void *ctx)
{
	++*(unsigned *)ctx;
}

static void many_deferred_calls(void **state)
{
	unsigned n = 0;

	for (int i = 0; i < 1000; i++)
		assert_int_equal(loop_defer(*state, count_up, &n), 0);
	assert_int_equal(n, 0);
	run_for(*state, 5);
	assert_int_equal(n, 1000);
}

static void loop_free_runs_what_was_deferred(void **state)
{
	struct loop *l;
	unsigned n = 0;
	struct step inner = { .name = "i" }, outer = { .name = "o", .next = &inner };

	assert_int_equal(loop_new(&l), 0);
	order[0] = '\0';
	inner.loop = outer.loop = l;
	assert_int_equal(loop_defer(l, count_up, &n), 0);
	assert_int_equal(loop_defer(l, take_step, &outer), 0);
	loop_free(l);
	assert_int_equal(n, 1);
	assert_string_equal(order, "oi");
}

static void free_end(void *ctx)
{
	free_self(ctx);
}

static void defer_free(struct end *e)
{
	loop_io_want(e->io, 0);
	assert_int_equal(loop_defer(e->loop, free_end, e), 0);
	loop_stop(e->loop);
}

/* Stopping the loop in the same turn must not lose the deferred free. */
static void a_stopped_turn_still_runs_its_deferred_calls(void **state)
{
	struct end e;

	end_open(&e, *state);
	put(e.peer);
	e.then = defer_free;
	loop_io_want(e.io, LOOP_READ);
	run(*state);
	assert_null(e.io);
	end_close(&e);
}

/* ---- signals, stopping, the end */

static int got_signal;

static void signalled(void *ctx, int signum)
{
	got_signal = signum;
	loop_stop(ctx);
}

static void hears_signals(void **state)
{
	assert_int_equal(loop_signal(*state, SIGUSR1, signalled, *state), 0);
	assert_int_equal(loop_signal(*state, SIGUSR2, signalled, *state), 0);
	assert_int_equal(kill(getpid(), SIGUSR2), 0);
	run(*state);
	assert_int_equal(got_signal, SIGUSR2);
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	run(*state);
	assert_int_equal(got_signal, SIGUSR1);
	assert_int_equal(loop_signal(*state, SIGKILL, signalled, NULL), -EINVAL);
}

static void a_stop_before_run_ends_it_at_once(void **state)
{
	loop_stop(*state);
	run(*state);
}

static void forgotten_objects_are_closed_with_the_loop(void **state)
{
	struct loop *l;
	struct loop_timer *t;
	struct loop_wake *w;
	struct end e;

	assert_int_equal(loop_new(&l), 0);
	end_open(&e, l);
	loop_io_want(e.io, LOOP_READ);
	assert_int_equal(loop_timer_new(l, too_late, NULL, &t), 0);
	loop_timer_set(t, 0);
	assert_int_equal(loop_wake_new(l, too_late, NULL, &w), 0);
	loop_wake_send(w);
	loop_free(l);
	loop_free(NULL);
	(void)close(e.fd);
	(void)close(e.peer);
}

static void *own_loop(void *arg)
{
	struct loop *l;

	if (loop_new(&l) < 0)
		return NULL;
	for (int i = 0; i < 5; i++)
		run_for(l, 1);
	loop_free(l);
	return arg;
}

static void each_thread_has_its_own(void **state)
{
	pthread_t threads[4];
	void *r;

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, own_loop, state), 0);
	for (int i = 0; i < 4; i++) {
		(void)pthread_join(threads[i], &r);
		assert_ptr_equal(r, state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(never_early),
		LOOP_TEST(moves_stops_and_takes_negatives),
		LOOP_TEST(a_timer_of_zero_lets_others_run),
		LOOP_TEST(a_timer_may_free_itself),
		LOOP_TEST(now_stands_still_within_a_turn),
		LOOP_TEST(threads_wake_the_loop),
		LOOP_TEST(a_freed_wake_is_silent),
		LOOP_TEST(deferred_run_after_callbacks_in_order),
		LOOP_TEST(many_deferred_calls),
		LOOP_TEST(loop_free_runs_what_was_deferred),
		LOOP_TEST(a_stopped_turn_still_runs_its_deferred_calls),
		LOOP_TEST(hears_signals),
		LOOP_TEST(a_stop_before_run_ends_it_at_once),
		LOOP_TEST(forgotten_objects_are_closed_with_the_loop),
		LOOP_TEST(each_thread_has_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
