// SPDX-License-Identifier: Apache-2.0
/* Where events end in what was passed on, and how much of the next piece still belongs to one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "path/tail.h"

static void test_tail(void **state)
{
	static const struct { const char *passed, *next; size_t whole; bool at_end; } cases[] = {
		{ "", "data: 1\n\n", 9, true },
		{ "", "data: 1\n\ndata: 2", 9, true },
		{ "data: 1\n\n", "data: 2", 0, true },
		{ "data: 1", "\n\ndata: 2", 2, false },
		{ "data: 1\n", "\ndata: 2\n", 1, false },
		{ "data: 1\r\n", "\r\ndata: 2\r\n", 2, false },
		{ "data: 1\r\n\r", "\ndata", 1, false },
		{ "data: 1\n\n", "data: 2\n\ndata: 3\n\n", 18, true },
		{ "data: 1\n\n", "\n", 1, true },
		{ "x", "", 0, false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		/* Byte by byte is the same as whole. */
		struct tail a = { 0 }, b = { 0 };
		tail_take(&a, cases[i].passed, strlen(cases[i].passed));
		for (size_t k = 0; k < strlen(cases[i].passed); k++)
			tail_take(&b, cases[i].passed + k, 1);
		assert_int_equal(tail_at_end(&a), cases[i].at_end);
		assert_int_equal(tail_at_end(&b), cases[i].at_end);
		assert_int_equal(tail_whole(&a, cases[i].next, strlen(cases[i].next)), cases[i].whole);
		assert_int_equal(tail_whole(&b, cases[i].next, strlen(cases[i].next)), cases[i].whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
