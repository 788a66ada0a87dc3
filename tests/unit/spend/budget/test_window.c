// SPDX-License-Identifier: Apache-2.0
/* Windows against a calendar that is computed in another way (timegm of libc), and the days on which calendars go wrong. */
#include <time.h>

#include "spend/budget/window.h"
#include "budget_test.h"

struct bounds {
	enum window_kind kind;
	const char *at, *start, *end;
};

static void bounds_are_those_of_the_calendar(void **state)
{
	static const struct bounds cases[] = {
		{ WINDOW_HOUR, "2026-08-19 10:30:00", "2026-08-19 10:00:00", "2026-08-19 11:00:00" },
		{ WINDOW_HOUR, "2026-08-19 10:59:59", "2026-08-19 10:00:00", "2026-08-19 11:00:00" },
		{ WINDOW_HOUR, "2026-08-19 11:00:00", "2026-08-19 11:00:00", "2026-08-19 12:00:00" },
		{ WINDOW_DAY, "2026-12-31 23:59:59", "2026-12-31 00:00:00", "2027-01-01 00:00:00" },
		{ WINDOW_DAY, "2024-02-29 12:00:00", "2024-02-29 00:00:00", "2024-03-01 00:00:00" },
		{ WINDOW_WEEK, "2026-08-19 10:30:00", "2026-08-17 00:00:00", "2026-08-24 00:00:00" },
		{ WINDOW_WEEK, "2026-08-23 23:59:59", "2026-08-17 00:00:00", "2026-08-24 00:00:00" },
		{ WINDOW_WEEK, "2026-08-24 00:00:00", "2026-08-24 00:00:00", "2026-08-31 00:00:00" },
		{ WINDOW_WEEK, "2027-01-01 00:00:00", "2026-12-28 00:00:00", "2027-01-04 00:00:00" },
		{ WINDOW_WEEK, "1970-01-01 00:00:00", "1969-12-29 00:00:00", "1970-01-05 00:00:00" },
		{ WINDOW_MONTH, "2024-02-29 23:59:59", "2024-02-01 00:00:00", "2024-03-01 00:00:00" },
		{ WINDOW_MONTH, "2023-02-28 23:59:59", "2023-02-01 00:00:00", "2023-03-01 00:00:00" },
		{ WINDOW_MONTH, "2000-02-29 00:00:00", "2000-02-01 00:00:00", "2000-03-01 00:00:00" },
		{ WINDOW_MONTH, "2100-02-28 23:59:59", "2100-02-01 00:00:00", "2100-03-01 00:00:00" },
		{ WINDOW_MONTH, "2026-12-31 23:59:59", "2026-12-01 00:00:00", "2027-01-01 00:00:00" },
		{ WINDOW_MONTH, "2027-01-01 00:00:00", "2027-01-01 00:00:00", "2027-02-01 00:00:00" },
		{ WINDOW_MONTH, "2026-04-30 23:59:59", "2026-04-01 00:00:00", "2026-05-01 00:00:00" },
		{ WINDOW_MONTH, "1970-01-01 00:00:00", "1970-01-01 00:00:00", "1970-02-01 00:00:00" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t start, end;

		window_bounds(cases[i].kind, NULL, utc(cases[i].at), &start, &end);
		assert_int_equal(start, utc(cases[i].start));
		assert_int_equal(end, utc(cases[i].end));
	}
}

/* 130 years, a bit more than a day apart: every month agrees with libc, and neighbours touch. */
static void every_month_agrees_with_libc(void **state)
{
	for (int64_t t = 0; t < INT64_C(4102444800); t += 86400 + 7919) {
		int64_t start, end, next, ignored;
		struct tm tm;
		time_t now = t;

		window_bounds(WINDOW_MONTH, NULL, t, &start, &end);
		(void)gmtime_r(&now, &tm);
		tm.tm_mday = 1;
		tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
		assert_int_equal(start, timegm(&tm));
		tm.tm_mon++;
		assert_int_equal(end, timegm(&tm));
		for (int k = 0; k < WINDOW_TOTAL; k++) {
			window_bounds((enum window_kind)k, NULL, t, &start, &end);
			assert_true(start <= t && t < end);
			assert_int_equal(start % 3600, 0);
			window_bounds((enum window_kind)k, NULL, end, &next, &ignored);
			assert_int_equal(next, end);
			window_bounds((enum window_kind)k, NULL, end - 1, &next, &ignored);
			assert_int_equal(next, start);
		}
	}
}

static void total_never_ends(void **state)
{
	int64_t start = 1, end = 1;

	window_bounds(WINDOW_TOTAL, NULL, T0, &start, &end);
	assert_int_equal(start, 0);
	assert_int_equal(end, 0);
}

static void names_go_both_ways(void **state)
{
	enum window_kind k;

	for (int i = 0; i < WINDOW_COUNT; i++) {
		assert_int_equal(window_parse(window_name((enum window_kind)i), &k), 0);
		assert_int_equal(k, i);
	}
	assert_true(window_parse("", &k) < 0);
	assert_true(window_parse("days", &k) < 0);
	assert_string_equal(window_name((enum window_kind)99), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_are_those_of_the_calendar),
		cmocka_unit_test(every_month_agrees_with_libc),
		cmocka_unit_test(total_never_ends),
		cmocka_unit_test(names_go_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
