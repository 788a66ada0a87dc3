// SPDX-License-Identifier: Apache-2.0
/*
 * test_loop.c: descriptors, timers, wakes, deferred calls, signals; above all what
 * happens to an object that is freed while its event is already on the way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/loop.h"

#define MS INT64_C(1000000)

static int64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int setup(void **state)
{
	return loop_new((struct loop **)state);
}

static int teardown(void **state)
{
	loop_free(*state);
	return 0;
}

static void stop(void *ctx)
{
	loop_stop(ctx);
}

/* A test that hangs fails after this long. */
static void too_late(void *ctx)
{
	(void)ctx;
	fail_msg("the loop did not stop");
}

static void run(struct loop *l)
{
	struct loop_timer *guard;

	assert_int_equal(loop_timer_new(l, too_late, NULL, &guard), 0);
	loop_timer_set(guard, 10000);
	loop_run(l);
	loop_timer_free(guard);
}

/* Lets the loop turn for a while and come back. */
static void run_for(struct loop *l, int64_t ms)
{
	struct loop_timer *t;

	assert_int_equal(loop_timer_new(l, stop, l, &t), 0);
	loop_timer_set(t, ms);
	run(l);
	loop_timer_free(t);
}

/* One end of a socket pair that the test watches. */
struct end {
	struct loop *loop;
	struct loop_io *io;
	int fd, peer;
	unsigned calls, ready;
	unsigned stop_after;
	void (*then)(struct end *e);
};

static void end_ready(void *ctx, unsigned ready)
{
	struct end *e = ctx;

	e->ready = ready;
	if (++e->calls == e->stop_after)
		loop_stop(e->loop);
	if (e->then)
		e->then(e);
}

static void end_open(struct end *e, struct loop *l)
{
	int fds[2];

	*e = (struct end){ .loop = l };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	e->fd = fds[0];
	e->peer = fds[1];
	assert_int_equal(loop_io_new(l, e->fd, end_ready, e, &e->io), 0);
}

static void end_close(struct end *e)
{
	loop_io_free(e->io);
	(void)close(e->fd);
	(void)close(e->peer);
}

static void put(int fd)
{
	assert_int_equal(write(fd, "x", 1), 1);
}

static void get(int fd)
{
	char c[64];

	assert_true(read(fd, c, sizeof(c)) > 0);
}

/* ---- descriptors */

static void level_triggered_and_filtered(void **state)
{
	struct end e;

	end_open(&e, *state);
	put(e.peer);
	/* Nothing wanted, nothing heard. */
	run_for(*state, 20);
	assert_int_equal(e.calls, 0);
	/* Not read: comes again. */
	loop_io_want(e.io, LOOP_READ);
	e.stop_after = 3;
	run(*state);
	assert_int_equal(e.calls, 3);
	assert_int_equal(e.ready, LOOP_READ);
	get(e.fd);
	run_for(*state, 20);
	assert_int_equal(e.calls, 3);
	/* A socket with room is writable, and both come in one call. */
	put(e.peer);
	loop_io_want(e.io, LOOP_READ | LOOP_WRITE);
	e.stop_after = 4;
	run(*state);
	assert_int_equal(e.ready, LOOP_READ | LOOP_WRITE);
	loop_io_want(e.io, 0);
	run_for(*state, 20);
	assert_int_equal(e.calls, 4);
	end_close(&e);
}

static void sleep_now(struct end *e)
{
	loop_io_want(e->io, 0);
}

static void a_mask_change_counts_at_once(void **state)
{
	struct end e;

	end_open(&e, *state);
	e.then = sleep_now;
	loop_io_want(e.io, LOOP_WRITE);
	run_for(*state, 20);
	assert_int_equal(e.calls, 1);
	/* On and off again before the loop sees it. */
	loop_io_want(e.io, LOOP_WRITE);
	loop_io_want(e.io, 0);
	run_for(*state, 20);
	assert_int_equal(e.calls, 1);
	end_close(&e);
}

static struct end *victims[2];
static struct end *other;
static unsigned slept;

static void sleep_other(struct end *e)
{
	loop_io_want(e->io, 0);
	if (other->calls == 0) {
		slept++;
		loop_io_want(other->io, 0);
	}
}

/* Both events were fetched together; the first callback puts the other to sleep. */
static void a_fetched_event_is_dropped_when_unwanted(void **state)
{
	struct end a, b;

	end_open(&a, *state);
	end_open(&b, *state);
	put(a.peer);
	put(b.peer);
	a.then = b.then = sleep_other;
	loop_io_want(a.io, LOOP_READ);
	loop_io_want(b.io, LOOP_READ);
	other = &b;
	/* Whichever comes first: b never hears, or b came first and then hears once. */
	run_for(*state, 20);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls + slept, 1);
	end_close(&a);
	end_close(&b);
}

static unsigned wrong;

static void turn_other(struct end *e)
{
	struct end *o = e == victims[0] ? victims[1] : victims[0];

	if (e->calls == 1 && o->calls == 0) {
		loop_io_want(e->io, 0);
		loop_io_want(o->io, LOOP_WRITE);
	} else {
		wrong += e->ready != LOOP_WRITE;
		loop_io_want(e->io, 0);
	}
}

/* The same, but the other then wants something else: it hears that, not what was fetched. */
static void a_fetched_event_of_the_old_mask_is_dropped(void **state)
{
	struct end a, b;

	end_open(&a, *state);
	end_open(&b, *state);
	put(a.peer);
	put(b.peer);
	a.then = b.then = turn_other;
	victims[0] = &a;
	victims[1] = &b;
	wrong = 0;
	loop_io_want(a.io, LOOP_READ);
	loop_io_want(b.io, LOOP_READ);
	run_for(*state, 20);
	assert_int_equal(a.calls + b.calls, 2);
	assert_int_equal(wrong, 0);
	end_close(&a);
	end_close(&b);
}

static void freed_while_its_mask_waits(void **state)
{
	struct end e;

	end_open(&e, *state);
	loop_io_want(e.io, LOOP_WRITE);
	end_close(&e);
	end_open(&e, *state);
	loop_io_want(e.io, LOOP_WRITE);
	run_for(*state, 3);
	loop_io_want(e.io, LOOP_READ);
	end_close(&e);
	run_for(*state, 3);
}

static void hang_up_comes_as_read(void **state)
{
	struct end e;
	char c;

	end_open(&e, *state);
	loop_io_want(e.io, LOOP_READ);
	e.stop_after = 1;
	(void)close(e.peer);
	run(*state);
	assert_true(e.ready & LOOP_READ);
	assert_int_equal(read(e.fd, &c, 1), 0);
	e.peer = -1;
	end_close(&e);
}

/* A TCP connection whose peer resets it. */
static void reset_pair(int fds[2])
{
	struct sockaddr_storage addr = { .ss_family = AF_UNSPEC };
	socklen_t n = sizeof(addr);
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(listen(server, 1), 0);
	assert_int_equal(getsockname(server, (struct sockaddr *)&addr, &n), 0);
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fds[0], (struct sockaddr *)&addr, n), 0);
	fds[1] = accept(server, NULL, NULL);
	assert_true(fds[1] >= 0);
	(void)close(server);
}

static void a_reset_is_heard_and_not_lost(void **state)
{
	static const unsigned masks[] = { LOOP_READ, LOOP_WRITE, LOOP_READ | LOOP_WRITE };

	for (size_t i = 0; i < 3; i++) {
		const struct linger hard = { .l_onoff = 1 };
		struct end e = { .loop = *state };
		int fds[2];
		char c;

		reset_pair(fds);
		e.fd = fds[0];
		assert_int_equal(loop_io_new(*state, e.fd, end_ready, &e, &e.io), 0);
		assert_int_equal(setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
		(void)close(fds[1]);
		loop_io_want(e.io, masks[i]);
		/* libuv stops the handle on an error; whoever does not look must be told again. */
		e.stop_after = 3;
		run(*state);
		assert_int_equal(e.calls, 3);
		assert_true(e.ready & masks[i]);
		if (masks[i] & LOOP_READ)
			assert_true(e.ready & LOOP_READ);
		assert_int_equal(read(e.fd, &c, 1), -1);
		assert_int_equal(errno, ECONNRESET);
		loop_io_want(e.io, 0);
		e.calls = 0;
		run_for(*state, 10);
		assert_int_equal(e.calls, 0);
		loop_io_free(e.io);
		(void)close(e.fd);
	}
}

static void free_self(struct end *e)
{
	loop_io_free(e->io);
	e->io = NULL;
	(void)close(e->fd);
	e->fd = -1;
}

static void may_be_freed_inside_its_own_callback(void **state)
{
	struct end e;

	end_open(&e, *state);
	put(e.peer);
	e.then = free_self;
	loop_io_want(e.io, LOOP_READ | LOOP_WRITE);
	run_for(*state, 20);
	assert_int_equal(e.calls, 1);
	end_close(&e);
	loop_io_free(NULL);
}

static struct end reborn;
static unsigned killed;

/* Frees the other one, closes its fd and makes a new socket get the same number, all in one go. */
static void replace_other(struct end *e)
{
	struct end *v = victims[e == victims[0]];
	int old = v->fd, fds[2];

	loop_io_want(e->io, 0);
	if (killed++)
		return;
	loop_io_free(v->io);
	v->io = NULL;
	(void)close(v->fd);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	reborn = (struct end){ .loop = e->loop, .fd = old, .peer = fds[0] == old ? fds[1] : fds[0] };
	if (fds[0] != old && fds[1] != old)
		fail_msg("%d was not reused", old);
	v->fd = -1;
	assert_int_equal(loop_io_new(e->loop, old, end_ready, &reborn, &reborn.io), 0);
	loop_io_want(reborn.io, LOOP_READ);
}

/* The event of the freed one was fetched already; it must reach neither it nor the new owner of the number. */
static void a_reused_number_gets_no_old_event(void **state)
{
	for (int round = 0; round < 50; round++) {
		struct end a, b;

		end_open(&a, *state);
		end_open(&b, *state);
		put(a.peer);
		put(b.peer);
		a.then = b.then = replace_other;
		victims[0] = &a;
		victims[1] = &b;
		killed = 0;
		loop_io_want(a.io, LOOP_READ);
		loop_io_want(b.io, LOOP_READ);
		run_for(*state, 3);
		assert_int_equal(a.calls + b.calls, 1);
		assert_int_equal(reborn.calls, 0);
		/* And the new one works. */
		put(reborn.peer);
		reborn.stop_after = 1;
		run(*state);
		assert_int_equal(reborn.ready, LOOP_READ);
		end_close(&reborn);
		end_close(&a);
		end_close(&b);
	}
}

static void refuses_what_epoll_cannot_watch(void **state)
{
	struct end e;
	struct loop_io *io = NULL;
	char path[] = "/tmp/test_loop.XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	(void)unlink(path);
	assert_int_equal(loop_io_new(*state, fd, end_ready, NULL, &io), -EPERM);
	(void)close(fd);
	assert_int_equal(loop_io_new(*state, fd, end_ready, NULL, &io), -EBADF);
	end_open(&e, *state);
	loop_io_want(e.io, LOOP_READ);
	run_for(*state, 3);
	assert_int_equal(loop_io_new(*state, e.fd, end_ready, NULL, &io), -EEXIST);
	assert_null(io);
	end_close(&e);
}

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

#define LOOP_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(level_triggered_and_filtered),
		LOOP_TEST(a_mask_change_counts_at_once),
		LOOP_TEST(a_fetched_event_is_dropped_when_unwanted),
		LOOP_TEST(a_fetched_event_of_the_old_mask_is_dropped),
		LOOP_TEST(freed_while_its_mask_waits),
		LOOP_TEST(hang_up_comes_as_read),
		LOOP_TEST(a_reset_is_heard_and_not_lost),
		LOOP_TEST(may_be_freed_inside_its_own_callback),
		LOOP_TEST(a_reused_number_gets_no_old_event),
		LOOP_TEST(refuses_what_epoll_cannot_watch),
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
