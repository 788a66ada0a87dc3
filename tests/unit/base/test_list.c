// SPDX-License-Identifier: Apache-2.0
/* test_list.c: the ring, and the locals that clean up (cleanup.h): both are headers only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>

#include "base/cleanup.h"
#include "base/list.h"

struct item {
	int n;
	struct list node;
};

static int sum(struct list *l)
{
	int s = 0;

	list_for_each(pos, l)
		s = s * 10 + list_entry(pos, struct item, node)->n;
	return s;
}

static void keeps_order_and_forgives_double_removal(void **state)
{
	struct item a = { .n = 1 }, b = { .n = 2 }, c = { .n = 3 };
	struct list l;

	list_init(&l);
	assert_true(list_empty(&l));
	list_add_tail(&l, &b.node);
	list_add_tail(&l, &c.node);
	list_add(&l, &a.node);
	assert_int_equal(sum(&l), 123);
	list_remove(&b.node);
	list_remove(&b.node);
	assert_int_equal(sum(&l), 13);
	list_for_each_safe(pos, tmp, &l)
		list_remove(pos);
	assert_true(list_empty(&l));
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void locals_clean_up_unless_taken(void **state)
{
	int inner, kept;
	char *moved;

	{
		CLEANUP_CLOSE int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		CLEANUP_CLOSE int other = open("/dev/null", O_RDONLY | O_CLOEXEC);
		CLEANUP_FREE char *p = malloc(10);
		CLEANUP_FREE char *q = malloc(10);

		assert_true(fd >= 0 && other >= 0 && p && q);
		inner = fd;
		kept = TAKE_FD(other);
		moved = TAKE(q);
		assert_int_equal(other, -1);
		assert_null(q);
	}
	assert_false(is_open(inner));
	assert_true(is_open(kept));
	(void)close(kept);
	free(moved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_order_and_forgives_double_removal),
		cmocka_unit_test(locals_clean_up_unless_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
