// SPDX-License-Identifier: Apache-2.0
/* test_json_paths.c: the tree made of a table of paths, and that malformed paths (our bugs) assert. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json_paths.h"

static void paths_share_their_beginning(void **state)
{
	static const struct json_want wants[] = { { "a.b", 1 }, { "a.c[]", 2 }, { "a.c[].d", 3 }, { "**.b", 4 } };
	struct json_plans plans = { 0 };
	struct json_plan *p = json_plans_find(&plans, wants, 4);
	uint16_t a, c, d;

	assert_non_null(p);
	assert_true(p->has_deep);
	/* root, deep, a, b, c, c[], d, b below deep */
	assert_int_equal(p->nnodes, 8);
	a = json_path_child(p, JSON_PATH_ROOT, STR("a"));
	assert_int_not_equal(a, JSON_PATH_NONE);
	assert_int_equal(p->nodes[a].first_id, JSON_PATH_NONE);
	assert_int_equal(json_path_child(p, a, STR("d")), JSON_PATH_NONE);
	c = json_path_child(p, a, STR("c"));
	d = json_path_child(p, p->nodes[c].element, STR("d"));
	assert_int_equal(p->ids[p->nodes[d].first_id].id, 3);
	assert_int_not_equal(json_path_child(p, JSON_PATH_DEEP, STR("b")), JSON_PATH_NONE);
	assert_ptr_equal(json_plans_find(&plans, wants, 4), p);
	assert_ptr_not_equal(json_plans_find(&plans, wants, 3), p);
	assert_ptr_equal(json_plans_find(&plans, wants, 4), p);
	json_plans_done(&plans);
	json_plans_done(&plans);
}

static void an_empty_table_is_a_table(void **state)
{
	struct json_plans plans = { 0 };

	assert_non_null(json_plans_find(&plans, NULL, 0));
	assert_false(json_plans_find(&plans, NULL, 0)->has_deep);
	json_plans_done(&plans);
}

static bool aborts(const char *path)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		const struct rlimit none = { 0 };
		struct json_plans plans = { 0 };

		(void)setrlimit(RLIMIT_CORE, &none);
		(void)signal(SIGABRT, SIG_DFL);
		(void)close(STDERR_FILENO);
		(void)json_plans_find(&plans, (struct json_want[]){ { path, 1 } }, 1);
		json_plans_done(&plans);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void malformed_paths_assert(void **state)
{
	static const char *const bad[] = { "a..b", ".a", "a.[]", "**.", "**.[]", "**..a" };
	static const char *const good[] = { "", "a", "[]", "[][].a", "**.a[].b", "a[][]", "**" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (!aborts(bad[i]))
			fail_msg("\"%s\" was taken", bad[i]);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (aborts(good[i]))
			fail_msg("\"%s\" was not taken", good[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_share_their_beginning),
		cmocka_unit_test(an_empty_table_is_a_table),
		cmocka_unit_test(malformed_paths_assert),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
