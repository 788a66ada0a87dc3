// SPDX-License-Identifier: Apache-2.0
/* test_loop_resolve.c: names to addresses without a network: localhost, literals, errors, cancelling at each moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include "base/loop.h"

struct answer {
	struct loop *loop;
	struct loop_resolve *resolve;
	unsigned calls, n;
	struct sockaddr_storage addrs[8];
	char error[128];
};

static void take(void *ctx, const struct sockaddr_storage *addrs, unsigned n, unsigned ttl_s, const char *error)
{
	struct answer *a = ctx;

	a->calls++;
	a->n = n;
	assert_true(!n == !!error);
	if (error)
		(void)strncpy(a->error, error, sizeof(a->error) - 1);
	memcpy(a->addrs, addrs, (n < 8 ? n : 8) * sizeof(*addrs));
	loop_stop(a->loop);
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

static void ask(struct answer *a, struct loop *l, const char *host, uint16_t port)
{
	*a = (struct answer){ .loop = l };
	assert_int_equal(loop_resolve(l, host, port, take, a, &a->resolve), 0);
}

static bool is_loopback(const struct sockaddr_storage *ss, uint16_t port)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)ss;

	if (ss->ss_family == AF_INET)
		return v4->sin_addr.s_addr == htonl(INADDR_LOOPBACK) && ntohs(v4->sin_port) == port;
	return ss->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) && ntohs(v6->sin6_port) == port;
}

static void finds_localhost_and_literals(void **state)
{
	static const char *const hosts[] = { "localhost", "127.0.0.1", "::1" };

	for (size_t i = 0; i < 3; i++) {
		struct answer a;

		ask(&a, *state, hosts[i], 4141);
		/* Never from inside the call. */
		assert_int_equal(a.calls, 0);
		loop_run(*state);
		assert_int_equal(a.calls, 1);
		assert_true(a.n >= 1);
		for (unsigned k = 0; k < a.n; k++)
			assert_true(is_loopback(&a.addrs[k], 4141));
	}
}

static void errors_have_a_text(void **state)
{
	struct answer a;

	/* Not a name at all, so nobody is asked. */
	ask(&a, *state, "no such name", 1);
	loop_run(*state);
	assert_int_equal(a.calls, 1);
	assert_int_equal(a.n, 0);
	assert_true(strlen(a.error) > 3);
}

static void bad_hosts_fail_at_once_or_by_answer(void **state)
{
	struct answer a = { .loop = *state };
	char longest[600];

	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	if (loop_resolve(*state, longest, 1, take, &a, &a.resolve) < 0)
		return;
	loop_run(*state);
	assert_int_equal(a.n, 0);
}

static void turn(struct loop *l, unsigned ms);

static void cancelled_ones_are_silent(void **state)
{
	/* More than libuv has threads, so some wait in its queue and some are under way. */
	struct answer a[16];

	for (size_t i = 0; i < 16; i++)
		ask(&a[i], *state, "localhost", 1);
	for (size_t i = 0; i < 16; i++)
		loop_resolve_cancel(a[i].resolve);
	loop_resolve_cancel(NULL);
	turn(*state, 50);
	for (size_t i = 0; i < 16; i++)
		assert_int_equal(a[i].calls, 0);
}

static void stop(void *ctx)
{
	loop_stop(ctx);
}

static void turn(struct loop *l, unsigned ms)
{
	struct loop_timer *t;

	assert_int_equal(loop_timer_new(l, stop, l, &t), 0);
	loop_timer_set(t, ms);
	loop_run(l);
	loop_timer_free(t);
}

/* Done in its thread, but not yet told: the cancel still wins. */
static void cancelled_after_the_thread_was_done(void **state)
{
	struct answer a;

	ask(&a, *state, "127.0.0.1", 1);
	(void)nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	loop_resolve_cancel(a.resolve);
	turn(*state, 20);
	assert_int_equal(a.calls, 0);
}

static void cancel_own(void *ctx, const struct sockaddr_storage *addrs, unsigned n, unsigned ttl_s, const char *error)
{
	struct answer *a = ctx;

	a->calls++;
	loop_resolve_cancel(a->resolve);
	loop_stop(a->loop);
}

static void cancelling_inside_the_callback_is_harmless(void **state)
{
	struct answer a = { .loop = *state };

	assert_int_equal(loop_resolve(*state, "127.0.0.1", 1, cancel_own, &a, &a.resolve), 0);
	loop_run(*state);
	assert_int_equal(a.calls, 1);
}

static void a_loop_may_end_while_cancelled_ones_run(void **state)
{
	struct loop *l;
	struct answer a[16];

	for (int round = 0; round < 20; round++) {
		assert_int_equal(loop_new(&l), 0);
		for (size_t i = 0; i < 16; i++)
			ask(&a[i], l, "localhost", 1);
		for (size_t i = 0; i < 16; i++)
			loop_resolve_cancel(a[i].resolve);
		loop_free(l);
		for (size_t i = 0; i < 16; i++)
			assert_int_equal(a[i].calls, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(finds_localhost_and_literals, setup, teardown),
		cmocka_unit_test_setup_teardown(errors_have_a_text, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_hosts_fail_at_once_or_by_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(cancelled_ones_are_silent, setup, teardown),
		cmocka_unit_test_setup_teardown(cancelled_after_the_thread_was_done, setup, teardown),
		cmocka_unit_test_setup_teardown(cancelling_inside_the_callback_is_harmless, setup, teardown),
		cmocka_unit_test_setup_teardown(a_loop_may_end_while_cancelled_ones_run, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
