// SPDX-License-Identifier: Apache-2.0
/*
 * test_crash.c: crash points. Compiled in here whatever the build says, so the source
 * is included; the archive's object is empty without CRASH=1.
 */
#ifndef PURSE_CRASH_POINTS
#define PURSE_CRASH_POINTS
#endif
#include "base/crash.c"

#include <stdbool.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/wait.h>

#define THREADS 4
#define PASSES 20000

/* Passes "here" up to limit times and exits with the count of those that returned. */
static int status_of(const char *wanted, int limit)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (wanted)
			(void)setenv("PURSE_CRASH", wanted, 1);
		else
			(void)unsetenv("PURSE_CRASH");
		for (int i = 0; i < limit; i++) {
			CRASH_POINT("elsewhere");
			CRASH_POINT("here");
		}
		_exit(42);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void dies_where_told(void **state)
{
	static const struct {
		const char *wanted;
		int passes;
		bool dies;
	} cases[] = {
		{ NULL, 5, false },
		{ "", 5, false },
		{ "here", 1, true },
		{ "here:1", 1, true },
		{ "here:3", 2, false },
		{ "here:3", 3, true },
		{ "her", 5, false },
		{ "heree", 5, false },
		{ "here:", 5, false },
		{ "here:x", 5, false },
		{ "here:0", 5, false },
		{ "here:-1", 5, false },
		{ "nowhere", 5, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int status = status_of(cases[i].wanted, cases[i].passes);

		if (cases[i].dies)
			assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		else
			assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	}
}

static void *pass_often(void *arg)
{
	for (int i = 0; i < PASSES; i++)
		CRASH_POINT("busy");
	return arg;
}

static int status_of_threads(const char *wanted)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		pthread_t threads[THREADS];

		(void)setenv("PURSE_CRASH", wanted, 1);
		for (int i = 0; i < THREADS; i++)
			(void)pthread_create(&threads[i], NULL, pass_often, NULL);
		for (int i = 0; i < THREADS; i++)
			(void)pthread_join(threads[i], NULL);
		_exit(42);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* Not one pass is lost between threads: the last one dies, one more would not come. */
static void counts_over_threads(void **state)
{
	int status = status_of_threads("busy:80000");

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	status = status_of_threads("busy:80001");
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dies_where_told),
		cmocka_unit_test(counts_over_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
