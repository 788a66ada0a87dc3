// SPDX-License-Identifier: Apache-2.0
/* test_loop_io.c: watched descriptors; above all what happens to an object that is freed while its event is already on the way. */
#include <errno.h>
#include <stdlib.h>

#include "loop_test.h"

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
