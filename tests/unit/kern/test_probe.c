// SPDX-License-Identifier: Apache-2.0
/* Every question gets an answer in words; a short array is not overrun; without privileges the essential ones say so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kern/probe.h"

#define MANY 32

static void answers_everything(void **unused)
{
	struct probe_result r[MANY];
	size_t n = probe_run(r, MANY);

	assert_in_range(n, 5, MANY);
	for (size_t i = 0; i < n; i++) {
		assert_non_null(r[i].name);
		assert_true(r[i].text[0] != '\0');
		print_message("%-18s %d  %s\n", r[i].name, r[i].state, r[i].text);
	}
}

static void short_array(void **unused)
{
	struct probe_result r[3] = { [2] = { .name = "untouched" } };

	assert_true(probe_run(r, 2) > 2);
	assert_string_equal(r[2].name, "untouched");
	assert_true(probe_run(NULL, 0) > 2);
}

static void without_privileges(void **unused)
{
	struct probe_result r[MANY];
	int status;
	pid_t pid;

	if (geteuid() != 0) {
		print_message("skipped: needs root to give privileges up\n");
		skip();
	}
	pid = fork();
	if (pid == 0) {
		bool said = false;
		size_t n;

		if (setuid(65534) != 0)
			_exit(2);
		n = probe_run(r, MANY);
		for (size_t i = 0; i < n; i++)
			said |= strcmp(r[i].name, "privileges") == 0 && r[i].state == PROBE_MISSING_ESSENTIAL &&
				strstr(r[i].text, "needs root");
		_exit(said && !probe_has_set_retval() ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_everything),
		cmocka_unit_test(short_array),
		cmocka_unit_test(without_privileges),
	};

	return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
