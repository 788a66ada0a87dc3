// SPDX-License-Identifier: Apache-2.0
/* test_arena.c: alignment, zeroes, the maximum, reuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

static void aligned_zeroed_and_apart(void **state)
{
	struct arena *a = arena_new(1 << 20);
	unsigned char *before = NULL;

	assert_non_null(a);
	for (size_t n = 0; n < 600; n++) {
		unsigned char *p = arena_alloc(a, n);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 16, 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xee, n);
		assert_ptr_not_equal(p, before);
		before = p;
	}
	arena_free(a);
	arena_free(NULL);
}

static void reset_memory_is_zeroed_again(void **state)
{
	struct arena *a = arena_new(1 << 20);

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 100; i++) {
			char *p = arena_alloc(a, 1000);

			assert_non_null(p);
			assert_int_equal(p[0] | p[999], 0);
			memset(p, 'x', 1000);
		}
		arena_reset(a);
	}
	arena_free(a);
}

static void the_maximum_holds(void **state)
{
	static const struct {
		size_t max, n;
		bool fits;
	} cases[] = {
		{ 0, 1, false },
		{ 100, 100, true },
		{ 100, 101, false },
		{ 1 << 20, 1 << 20, true },
		{ 1 << 20, (1 << 20) + 1, false },
		{ 1 << 20, SIZE_MAX, false },
		{ 1 << 20, SIZE_MAX - 7, false },
		{ SIZE_MAX, SIZE_MAX, false },
		{ SIZE_MAX, SIZE_MAX / 2 + 17, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena *a = arena_new(cases[i].max);

		assert_int_equal(arena_alloc(a, cases[i].n) != NULL, cases[i].fits);
		arena_free(a);
	}
}

static void small_pieces_reach_the_maximum_and_stop(void **state)
{
	struct arena *a = arena_new(10000);
	size_t n = 0;

	while (arena_alloc(a, 1))
		n++;
	assert_int_equal(n, 625);
	assert_null(arena_alloc(a, 1));
	arena_reset(a);
	assert_non_null(arena_alloc(a, 10000));
	arena_free(a);
}

/* Rounding up to 16 must not carry the count past the maximum, where the rest would wrap. */
static void an_odd_maximum_is_one_too(void **state)
{
	struct arena *a = arena_new(100);

	assert_non_null(arena_alloc(a, 100));
	assert_null(arena_alloc(a, 1));
	assert_null(arena_alloc(a, 1000));
	arena_free(a);
}

static void copies_strings(void **state)
{
	struct arena *a = arena_new(64);
	struct str s = arena_str(a, "a\0b!", 3);

	assert_int_equal(s.n, 3);
	assert_memory_equal(s.p, "a\0b\0", 4);
	s = arena_str(a, NULL, 0);
	assert_non_null(s.p);
	assert_int_equal(s.n, 0);
	assert_string_equal(s.p, "");
	assert_null(arena_str(a, "x", SIZE_MAX).p);
	assert_null(arena_str(a, "0123456789012345678901234567890123456789", 40).p);
	arena_free(a);
}

static void prints(void **state)
{
	struct arena *a = arena_new(64);

	assert_string_equal(arena_printf(a, "%s-%d", "x", 12), "x-12");
	assert_string_equal(arena_printf(a, "%s", ""), "");
	assert_null(arena_printf(a, "%100d", 1));
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aligned_zeroed_and_apart),
		cmocka_unit_test(reset_memory_is_zeroed_again),
		cmocka_unit_test(the_maximum_holds),
		cmocka_unit_test(small_pieces_reach_the_maximum_and_stop),
		cmocka_unit_test(an_odd_maximum_is_one_too),
		cmocka_unit_test(copies_strings),
		cmocka_unit_test(prints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
