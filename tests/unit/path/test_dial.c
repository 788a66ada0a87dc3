// SPDX-License-Identifier: Apache-2.0
/* Dialling: the next address after a dead one, the deadline, cancelling; names: cached and failing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "base/loop.h"
#include "path/dial.h"
#include "path/names.h"

struct world {
	struct loop *loop;
	struct sockaddr_storage listening, dead;
	int listener, fd;
	unsigned calls, naddrs;
	char error[128];
};

static struct sockaddr_storage loopback(int fd)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&ss;
	socklen_t len = sizeof *v4;

	v4->sin_family = AF_INET;
	v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	return ss;
}

static void world_open(struct world *w)
{
	*w = (struct world){ .fd = -1 };
	assert_int_equal(loop_new(&w->loop), 0);
	w->listener = socket(AF_INET, SOCK_STREAM, 0);
	w->listening = loopback(w->listener);
	assert_int_equal(listen(w->listener, 8), 0);
	/* A port that was just given back refuses. */
	int gone = socket(AF_INET, SOCK_STREAM, 0);
	w->dead = loopback(gone);
	close(gone);
}

static void world_close(struct world *w)
{
	if (w->fd >= 0)
		close(w->fd);
	close(w->listener);
	loop_free(w->loop);
}

static void dialled(void *ctx, int fd, const char *error)
{
	struct world *w = ctx;

	w->calls++;
	w->fd = fd;
	strncpy(w->error, error ? error : "", sizeof w->error - 1);
	loop_stop(w->loop);
}

static void second_address_is_tried(void **state)
{
	struct world w;
	struct dial *d;

	world_open(&w);
	struct sockaddr_storage addrs[] = { w.dead, w.listening };
	assert_int_equal(dial_start(w.loop, -1, addrs, 2, 2000, dialled, &w, &d), 0);
	assert_int_equal(w.calls, 0); /* never inside dial_start */
	loop_run(w.loop);
	assert_true(w.fd >= 0);
	assert_int_equal(w.calls, 1);
	world_close(&w);
}

static void all_dead_says_why(void **state)
{
	struct world w;
	struct dial *d;

	world_open(&w);
	assert_int_equal(dial_start(w.loop, -1, &w.dead, 1, 2000, dialled, &w, &d), 0);
	loop_run(w.loop);
	assert_int_equal(w.fd, -1);
	assert_non_null(strstr(w.error, "refused"));
	world_close(&w);
}

static void stop(void *ctx) { loop_stop(ctx); }

static void a_cancelled_dial_is_silent(void **state)
{
	struct world w;
	struct dial *d;
	struct loop_timer *t;

	world_open(&w);
	assert_int_equal(dial_start(w.loop, -1, &w.listening, 1, 2000, dialled, &w, &d), 0);
	dial_cancel(d);
	assert_int_equal(loop_timer_new(w.loop, stop, w.loop, &t), 0);
	loop_timer_set(t, 30);
	loop_run(w.loop);
	loop_timer_free(t);
	assert_int_equal(w.calls, 0);
	world_close(&w);
}

static void named(void *ctx, const struct sockaddr_storage *addrs, unsigned n, const char *error)
{
	struct world *w = ctx;

	w->calls++;
	w->naddrs = n;
	if (n)
		w->listening = addrs[0];
	strncpy(w->error, error ? error : "", sizeof w->error - 1);
	loop_stop(w->loop);
}

static void a_name_is_resolved_then_cached(void **state)
{
	struct world w;
	struct names *names;
	struct names_wait *wait;

	world_open(&w);
	assert_int_equal(names_new(w.loop, &names), 0);
	for (uint16_t port = 1; port <= 2; port++) {
		assert_int_equal(names_get(names, NAMES_OURS, "localhost", port, named, &w, &wait), 0);
		loop_run(w.loop);
		assert_true(w.naddrs > 0);
		assert_int_equal(((struct sockaddr_in *)&w.listening)->sin_port, htons(port));
	}
	assert_int_equal(w.calls, 2);
	assert_int_equal(names_get(names, NAMES_OURS, "no-such-name.invalid", 1, named, &w, &wait), 0);
	loop_run(w.loop);
	assert_int_equal(w.naddrs, 0);
	assert_true(w.error[0]);
	names_free(names);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(second_address_is_tried),
		cmocka_unit_test(all_dead_says_why),
		cmocka_unit_test(a_cancelled_dial_is_silent),
		cmocka_unit_test(a_name_is_resolved_then_cached),
	};
	return cmocka_run_group_tests_name("path/dial", tests, NULL, NULL);
}
