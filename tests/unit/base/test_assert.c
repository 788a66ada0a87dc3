// SPDX-License-Identifier: Apache-2.0
/* test_assert.c: a broken invariant ends the process with SIGABRT and says where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"

static void a_true_one_does_nothing(void **state)
{
	int calls = 0;

	ASSERT(++calls == 1);
	assert_int_equal(calls, 1);
}

static void a_false_one_aborts_with_place_and_condition(void **state)
{
	char text[512] = "";
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		const struct rlimit none = { 0 };

		(void)setrlimit(RLIMIT_CORE, &none);
		(void)signal(SIGABRT, SIG_DFL);
		(void)dup2(fds[1], STDERR_FILENO);
		ASSERT(2 + 2 == 5);
		_exit(0);
	}
	(void)close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, "2 + 2 == 5"));
	assert_non_null(strstr(text, "test_assert.c:"));
	assert_int_equal(text[strlen(text) - 1], '\n');
	(void)close(fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_true_one_does_nothing),
		cmocka_unit_test(a_false_one_aborts_with_place_and_condition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
