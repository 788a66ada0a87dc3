// SPDX-License-Identifier: Apache-2.0
/* test_thread.c: no signal reaches it, and the mask of who made it is as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>

#include "base/thread.h"

static void *look(void *ret)
{
	(void)pthread_sigmask(SIG_SETMASK, NULL, ret);
	return NULL;
}

static void takes_no_signals(void **state)
{
	sigset_t before, after, there;
	pthread_t thread;

	(void)pthread_sigmask(SIG_SETMASK, NULL, &before);
	assert_int_equal(thread_start(&thread, NULL, look, &there), 0);
	(void)pthread_join(thread, NULL);
	(void)pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int n = 1; n < SIGRTMAX; n++) {
		assert_int_equal(sigismember(&after, n), sigismember(&before, n));
		/* KILL and STOP cannot be blocked, and two are the C library's own. */
		if (n != SIGKILL && n != SIGSTOP && (n < 32 || n >= SIGRTMIN))
			assert_int_equal(sigismember(&there, n), 1);
	}
}

static void says_why_there_is_none(void **state)
{
	pthread_attr_t attr;
	pthread_t thread;

	assert_int_equal(pthread_attr_init(&attr), 0);
	assert_int_equal(pthread_attr_setstacksize(&attr, (size_t)1 << 46), 0); /* more than there is */
	assert_true(thread_start(&thread, &attr, look, NULL) < 0);
	(void)pthread_attr_destroy(&attr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_no_signals),
		cmocka_unit_test(says_why_there_is_none),
	};

	return cmocka_run_group_tests_name("base/thread", tests, NULL, NULL);
}
