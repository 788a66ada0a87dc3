// SPDX-License-Identifier: Apache-2.0
/* loop_test.h: what the tests of the loop share: one loop for each test, a run that cannot hang, an end of a socket pair that is watched. */
#ifndef PURSE_TEST_LOOP_H
#define PURSE_TEST_LOOP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/loop.h"

#define MS INT64_C(1000000)

static inline int64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline int setup(void **state)
{
	return loop_new((struct loop **)state);
}

static inline int teardown(void **state)
{
	loop_free(*state);
	return 0;
}

static inline void stop(void *ctx)
{
	loop_stop(ctx);
}

/* A test that hangs fails after this long. */
static inline void too_late(void *ctx)
{
	(void)ctx;
	fail_msg("the loop did not stop");
}

static inline void run(struct loop *l)
{
	struct loop_timer *guard;

	assert_int_equal(loop_timer_new(l, too_late, NULL, &guard), 0);
	loop_timer_set(guard, 10000);
	loop_run(l);
	loop_timer_free(guard);
}

/* Lets the loop turn for a while and come back. */
static inline void run_for(struct loop *l, int64_t ms)
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

static inline void end_ready(void *ctx, unsigned ready)
{
	struct end *e = ctx;

	e->ready = ready;
	if (++e->calls == e->stop_after)
		loop_stop(e->loop);
	if (e->then)
		e->then(e);
}

static inline void end_open(struct end *e, struct loop *l)
{
	int fds[2];

	*e = (struct end){ .loop = l };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	e->fd = fds[0];
	e->peer = fds[1];
	assert_int_equal(loop_io_new(l, e->fd, end_ready, e, &e->io), 0);
}

static inline void end_close(struct end *e)
{
	loop_io_free(e->io);
	(void)close(e->fd);
	(void)close(e->peer);
}

static inline void put(int fd)
{
	assert_int_equal(write(fd, "x", 1), 1);
}

static inline void get(int fd)
{
	char c[64];

	assert_true(read(fd, c, sizeof(c)) > 0);
}

static inline void free_self(struct end *e)
{
	loop_io_free(e->io);
	e->io = NULL;
	(void)close(e->fd);
	e->fd = -1;
}

#define LOOP_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

#endif
