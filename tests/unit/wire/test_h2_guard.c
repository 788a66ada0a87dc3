// SPDX-License-Identifier: Apache-2.0
/* test_h2_guard.c: the bounds of one connection, with a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/h2_guard.h"

static int64_t now;

static int64_t clock_of_ours(void)
{
	return now;
}

static void test_glitches(void **state)
{
	struct h2_guard g;

	(void)state;
	h2_guard_init(&g, clock_of_ours);
	for (int i = 0; i < H2_GLITCHES_MAX; i++)
		assert_null(h2_guard_glitch(&g));
	assert_non_null(h2_guard_glitch(&g));
}

static void test_refused(void **state)
{
	struct h2_guard g;

	(void)state;
	h2_guard_init(&g, clock_of_ours);
	for (int i = 0; i < H2_REFUSED_MAX; i++)
		assert_null(h2_guard_refused(&g));
	assert_non_null(h2_guard_refused(&g));
}

/* A keep-alive ping each second is no flood, for years; a burst is; a burst after a quiet time is not. */
static void test_noise(void **state)
{
	static const struct {
		int64_t every_ns;
		int frames, ends_at; /* -1 = never */
	} rows[] = {
		{ 1000000000, 100000, -1 },
		{ 3100000, 100000, -1 },      /* 322/s */
		{ 2900000, 100000, 1000 },    /* 345/s */
		{ 0, 100000, 1000 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct h2_guard g;
		int n = 1;
		now = 77;
		h2_guard_init(&g, clock_of_ours);
		for (; n <= rows[i].frames; n++) {
			now += rows[i].every_ns;
			if (h2_guard_noise(&g))
				break;
		}
		assert_int_equal(n, rows[i].ends_at < 0 ? rows[i].frames + 1 : rows[i].ends_at);
	}
	struct h2_guard g;
	h2_guard_init(&g, clock_of_ours);
	now += 60 * INT64_C(1000000000);
	for (int i = 0; i < 1999; i++)
		assert_null(h2_guard_noise(&g));
	assert_non_null(h2_guard_noise(&g));
}

static void test_ids(void **state)
{
	static const struct {
		int32_t ids[8];
		int bad; /* index of the first that is refused, -1 = none */
	} rows[] = {
		{ { 1, 3, 5, 7 }, -1 },
		{ { 1, 1, 3, 1 }, -1 }, /* trailers, or late ones */
		{ { 3, 1 }, 1 },
		{ { 5, 3 }, 1 },
		{ { 1, 9, 3 }, 2 },
		{ { 1, 9, 5 }, 2 },
		{ { 1, 9, 7 }, 2 },
		{ { 1, 9, 9, 1, 11, 7 }, 5 },
		{ { 5, 9, 7 }, 2 },
		{ { 5, 9, 3 }, 2 },
		{ { 5, 9, 5, 9 }, -1 },
		{ { 2, 0, 1, 4 }, -1 }, /* nghttp2's business */
		{ { 0x7fffffff, 1 }, 1 },
		{ { 0x7fffffff, 0x7fffffff }, -1 },
		{ { 0x7ffffffd, 0x7fffffff, 0x7ffffffb }, 2 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct h2_guard g;
		int bad = -1;
		h2_guard_init(&g, clock_of_ours);
		for (int k = 0; k < 8 && bad < 0 && (rows[i].ids[k] || k < 2); k++)
			if (h2_guard_id(&g, rows[i].ids[k]))
				bad = k;
		if (bad != rows[i].bad)
			fail_msg("row %zu: %d", i, bad);
	}
}

/* The list of what was left out is short; the oldest is forgotten. */
static void test_many_gaps(void **state)
{
	struct h2_guard g;

	(void)state;
	h2_guard_init(&g, clock_of_ours);
	for (int32_t id = 3; id < 4 * 1000; id += 4)
		assert_null(h2_guard_id(&g, id));
	assert_int_equal(g.ngaps, H2_GAPS_MAX);
	assert_null(h2_guard_id(&g, 1));
	assert_non_null(h2_guard_id(&g, g.highest - 2));
	assert_non_null(h2_guard_id(&g, g.highest - 2 - 4 * (H2_GAPS_MAX - 1)));
	assert_null(h2_guard_id(&g, g.highest - 2 - 4 * H2_GAPS_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_glitches),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_many_gaps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
