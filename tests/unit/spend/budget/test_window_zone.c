// SPDX-License-Identifier: Apache-2.0
/*
 * Windows by the calendar of a place: tables of the moments at which calendars go wrong, and random places and moments against a slow model
 * that shares nothing with window.c: it walks minute by minute with libc's clock and says where a new day, week or month is seen for the
 * first time.
 */
#include <time.h>

#include "spend/budget/window.h"
#include "spend/budget/zone.h"
#include "budget_test.h"

static struct calendar calendar(const char *zone, int reset_minute)
{
	struct calendar cal = { .reset_minute = reset_minute };
	struct err e = { "" };

	if (zone_open(zone, &cal.zone, &e) < 0)
		fail_msg("%s", e.text);
	return cal;
}

/* All in UTC. */
static const struct bounds {
	const char *zone;
	int reset_minute;
	enum window_kind kind;
	const char *at, *start, *end;
} cases[] = {
	/* an ordinary day, and reset times */
	{ "Europe/Berlin", 0, WINDOW_DAY, "2026-08-19 10:30:00", "2026-08-18 22:00:00", "2026-08-19 22:00:00" },
	{ "Europe/Berlin", 0, WINDOW_DAY, "2026-08-19 21:59:59", "2026-08-18 22:00:00", "2026-08-19 22:00:00" },
	{ "Europe/Berlin", 0, WINDOW_DAY, "2026-08-19 22:00:00", "2026-08-19 22:00:00", "2026-08-20 22:00:00" },
	{ "Europe/Berlin", 9 * 60, WINDOW_DAY, "2026-08-19 06:59:59", "2026-08-18 07:00:00", "2026-08-19 07:00:00" },
	{ "Europe/Berlin", 9 * 60, WINDOW_DAY, "2026-08-19 07:00:00", "2026-08-19 07:00:00", "2026-08-20 07:00:00" },
	{ "", 23 * 60 + 59, WINDOW_DAY, "2026-08-19 23:58:59", "2026-08-18 23:59:00", "2026-08-19 23:59:00" },
	{ "", 23 * 60 + 59, WINDOW_DAY, "2026-08-19 23:59:00", "2026-08-19 23:59:00", "2026-08-20 23:59:00" },
	{ "", 6 * 60, WINDOW_DAY, "1970-01-01 00:00:00", "1969-12-31 06:00:00", "1970-01-01 06:00:00" },
	/* daylight saving: days of 23 and 25 hours, the hour that is missing, the hour that comes twice */
	{ "Europe/Berlin", 0, WINDOW_DAY, "2026-03-29 12:00:00", "2026-03-28 23:00:00", "2026-03-29 22:00:00" },
	{ "Europe/Berlin", 0, WINDOW_DAY, "2026-10-25 12:00:00", "2026-10-24 22:00:00", "2026-10-25 23:00:00" },
	{ "America/New_York", 0, WINDOW_DAY, "2026-03-08 12:00:00", "2026-03-08 05:00:00", "2026-03-09 04:00:00" },
	{ "America/New_York", 150, WINDOW_DAY, "2026-03-08 06:59:59", "2026-03-07 07:30:00", "2026-03-08 07:00:00" },
	{ "America/New_York", 150, WINDOW_DAY, "2026-03-08 07:00:00", "2026-03-08 07:00:00", "2026-03-09 06:30:00" },
	{ "America/New_York", 90, WINDOW_DAY, "2026-11-01 05:29:59", "2026-10-31 05:30:00", "2026-11-01 05:30:00" },
	{ "America/New_York", 90, WINDOW_DAY, "2026-11-01 05:30:00", "2026-11-01 05:30:00", "2026-11-02 06:30:00" },
	{ "America/New_York", 90, WINDOW_DAY, "2026-11-01 06:15:00", "2026-11-01 05:30:00", "2026-11-02 06:30:00" }, /* second 01:15 */
	{ "America/New_York", 90, WINDOW_DAY, "2026-11-01 06:30:00", "2026-11-01 05:30:00", "2026-11-02 06:30:00" }, /* second 01:30 */
	/* midnight itself does not exist, or comes twice */
	{ "America/Havana", 0, WINDOW_DAY, "2026-03-08 04:59:59", "2026-03-07 05:00:00", "2026-03-08 05:00:00" },
	{ "America/Havana", 0, WINDOW_DAY, "2026-03-08 05:00:00", "2026-03-08 05:00:00", "2026-03-09 04:00:00" },
	{ "America/Havana", 0, WINDOW_DAY, "2026-11-01 05:30:00", "2026-11-01 04:00:00", "2026-11-02 05:00:00" },
	{ "Atlantic/Azores", 30, WINDOW_DAY, "2026-10-25 01:10:00", "2026-10-25 00:30:00", "2026-10-26 01:30:00" }, /* second 00:10 */
	/* the ends of the world, quarters of hours, a day that never was */
	{ "Pacific/Kiritimati", 0, WINDOW_DAY, "2026-08-19 09:59:59", "2026-08-18 10:00:00", "2026-08-19 10:00:00" },
	{ "Pacific/Kiritimati", 0, WINDOW_DAY, "2026-08-19 10:00:00", "2026-08-19 10:00:00", "2026-08-20 10:00:00" },
	{ "Etc/GMT+12", 0, WINDOW_DAY, "2026-08-19 11:59:59", "2026-08-18 12:00:00", "2026-08-19 12:00:00" },
	{ "Etc/GMT+12", 0, WINDOW_DAY, "2026-08-19 12:00:00", "2026-08-19 12:00:00", "2026-08-20 12:00:00" },
	{ "Asia/Kathmandu", 0, WINDOW_DAY, "2026-08-19 18:15:00", "2026-08-19 18:15:00", "2026-08-20 18:15:00" },
	{ "Pacific/Apia", 0, WINDOW_DAY, "2011-12-30 09:59:59", "2011-12-29 10:00:00", "2011-12-30 10:00:00" },
	{ "Pacific/Apia", 0, WINDOW_DAY, "2011-12-30 10:00:00", "2011-12-30 10:00:00", "2011-12-31 10:00:00" },
	{ "Pacific/Apia", 720, WINDOW_DAY, "2011-12-30 10:00:00", "2011-12-30 10:00:00", "2011-12-30 22:00:00" },
	{ "Australia/Lord_Howe", 0, WINDOW_DAY, "2026-10-03 20:00:00", "2026-10-03 13:30:00", "2026-10-04 13:00:00" },
	{ "Australia/Lord_Howe", 0, WINDOW_DAY, "2026-04-04 20:00:00", "2026-04-04 13:00:00", "2026-04-05 13:30:00" },
	/* hours: full ones on that clock */
	{ "Europe/Berlin", 0, WINDOW_HOUR, "2026-08-19 10:59:59", "2026-08-19 10:00:00", "2026-08-19 11:00:00" },
	{ "Europe/Berlin", 17, WINDOW_HOUR, "2026-08-19 10:59:59", "2026-08-19 10:00:00", "2026-08-19 11:00:00" }, /* no reset time for hours */
	{ "Europe/Berlin", 0, WINDOW_HOUR, "2026-10-25 00:30:00", "2026-10-25 00:00:00", "2026-10-25 01:00:00" }, /* first 02:30 */
	{ "Europe/Berlin", 0, WINDOW_HOUR, "2026-10-25 01:30:00", "2026-10-25 01:00:00", "2026-10-25 02:00:00" }, /* second 02:30 */
	{ "Europe/Berlin", 0, WINDOW_HOUR, "2026-03-29 01:00:00", "2026-03-29 01:00:00", "2026-03-29 02:00:00" },
	{ "Asia/Kathmandu", 0, WINDOW_HOUR, "2026-08-19 10:14:59", "2026-08-19 09:15:00", "2026-08-19 10:15:00" },
	{ "Asia/Kathmandu", 0, WINDOW_HOUR, "2026-08-19 10:15:00", "2026-08-19 10:15:00", "2026-08-19 11:15:00" },
	{ "Asia/Kolkata", 0, WINDOW_HOUR, "2026-08-19 10:29:59", "2026-08-19 09:30:00", "2026-08-19 10:30:00" },
	{ "Australia/Lord_Howe", 0, WINDOW_HOUR, "2026-08-19 10:29:59", "2026-08-19 09:30:00", "2026-08-19 10:30:00" },
	{ "Australia/Lord_Howe", 0, WINDOW_HOUR, "2026-12-19 10:29:59", "2026-12-19 10:00:00", "2026-12-19 11:00:00" },
	/* 02:00 becomes 02:30 at 15:30 UTC: the hour from 01:00 goes on to 03:00; 02:00 becomes 01:30 at 15:00: it goes on to 02:00 */
	{ "Australia/Lord_Howe", 0, WINDOW_HOUR, "2026-10-03 14:29:59", "2026-10-03 13:30:00", "2026-10-03 14:30:00" },
	{ "Australia/Lord_Howe", 0, WINDOW_HOUR, "2026-10-03 14:30:00", "2026-10-03 14:30:00", "2026-10-03 16:00:00" },
	{ "Australia/Lord_Howe", 0, WINDOW_HOUR, "2026-10-03 15:45:00", "2026-10-03 14:30:00", "2026-10-03 16:00:00" },
	{ "Australia/Lord_Howe", 0, WINDOW_HOUR, "2026-10-03 16:00:00", "2026-10-03 16:00:00", "2026-10-03 17:00:00" },
	{ "Australia/Lord_Howe", 0, WINDOW_HOUR, "2026-04-04 15:10:00", "2026-04-04 14:00:00", "2026-04-04 15:30:00" },
	{ "Australia/Lord_Howe", 0, WINDOW_HOUR, "2026-04-04 15:30:00", "2026-04-04 15:30:00", "2026-04-04 16:30:00" },
	/* weeks begin on Monday, there */
	{ "Europe/Berlin", 0, WINDOW_WEEK, "2026-08-23 21:59:59", "2026-08-16 22:00:00", "2026-08-23 22:00:00" },
	{ "Europe/Berlin", 0, WINDOW_WEEK, "2026-08-23 22:00:00", "2026-08-23 22:00:00", "2026-08-30 22:00:00" },
	{ "Europe/Berlin", 0, WINDOW_WEEK, "2026-03-29 12:00:00", "2026-03-22 23:00:00", "2026-03-29 22:00:00" },
	{ "Europe/Berlin", 0, WINDOW_WEEK, "2026-10-25 22:30:00", "2026-10-18 22:00:00", "2026-10-25 23:00:00" },
	{ "America/Los_Angeles", 8 * 60, WINDOW_WEEK, "2027-01-01 00:00:00", "2026-12-28 16:00:00", "2027-01-04 16:00:00" },
	{ "Pacific/Kiritimati", 0, WINDOW_WEEK, "2026-08-23 10:00:00", "2026-08-23 10:00:00", "2026-08-30 10:00:00" },
	{ "Pacific/Apia", 0, WINDOW_WEEK, "2011-12-31 00:00:00", "2011-12-26 10:00:00", "2012-01-01 10:00:00" }, /* a week of six days */
	/* months and leap years */
	{ "Europe/Berlin", 0, WINDOW_MONTH, "2026-03-31 21:59:59", "2026-02-28 23:00:00", "2026-03-31 22:00:00" },
	{ "Europe/Berlin", 0, WINDOW_MONTH, "2026-03-31 22:00:00", "2026-03-31 22:00:00", "2026-04-30 22:00:00" },
	{ "Europe/Berlin", 0, WINDOW_MONTH, "2024-02-29 22:59:59", "2024-01-31 23:00:00", "2024-02-29 23:00:00" },
	{ "Pacific/Auckland", 0, WINDOW_MONTH, "2023-12-31 10:59:59", "2023-11-30 11:00:00", "2023-12-31 11:00:00" },
	{ "Pacific/Auckland", 0, WINDOW_MONTH, "2023-12-31 11:00:00", "2023-12-31 11:00:00", "2024-01-31 11:00:00" },
	{ "Etc/GMT+12", 0, WINDOW_MONTH, "2024-03-01 11:59:59", "2024-02-01 12:00:00", "2024-03-01 12:00:00" },
	{ "America/New_York", 0, WINDOW_MONTH, "2100-02-28 12:00:00", "2100-02-01 05:00:00", "2100-03-01 05:00:00" },
	{ "America/New_York", 0, WINDOW_DAY, "2150-07-04 12:00:00", "2150-07-04 04:00:00", "2150-07-05 04:00:00" },
};

static void table(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct bounds *c = &cases[i];
		struct calendar cal = calendar(c->zone, c->reset_minute);
		int64_t start, end;

		window_bounds(c->kind, &cal, utc(c->at), &start, &end);
		if (start != utc(c->start) || end != utc(c->end))
			fail_msg("%s +%d %s %s: from %lld to %lld, off by %lld and %lld s", c->zone, c->reset_minute, window_name(c->kind),
				 c->at, (long long)start, (long long)end, (long long)(start - utc(c->start)),
				 (long long)(end - utc(c->end)));
	}
}

static void no_calendar_is_utc_at_midnight(void **state)
{
	struct calendar cal = { 0 };
	unsigned rnd = 5;

	for (int i = 0; i < 10000; i++) {
		int64_t t = (int64_t)rand_r(&rnd) * 4, a[2], b[2];

		for (int k = 0; k < WINDOW_COUNT; k++) {
			window_bounds((enum window_kind)k, NULL, t, &a[0], &a[1]);
			window_bounds((enum window_kind)k, &cal, t, &b[0], &b[1]);
			assert_memory_equal(a, b, sizeof(a));
		}
	}
}

/* ---- the slow model */

static int64_t local_of(int64_t t)
{
	time_t now = t;
	struct tm tm;

	(void)localtime_r(&now, &tm);
	return t + tm.tm_gmtoff;
}

/* A number that grows with each new day, week or month on that clock. */
static int64_t label(enum window_kind kind, int64_t local_s)
{
	time_t at = local_s;
	struct tm tm;

	(void)gmtime_r(&at, &tm);
	if (kind == WINDOW_MONTH)
		return tm.tm_year * 12 + tm.tm_mon;
	int64_t day = (local_s - ((local_s % 86400) + 86400) % 86400) / 86400;

	return kind == WINDOW_DAY ? day : (day - (tm.tm_wday + 6) % 7) / 7;
}

struct seen {
	int64_t start, end;
};

static struct seen walk(enum window_kind kind, int64_t now_s, int reset_minute, int64_t back_s)
{
	int64_t t = (now_s - back_s) / 60 * 60, shift = kind == WINDOW_HOUR ? 0 : reset_minute * 60, most = INT64_MIN, began = 0;

	for (;; t += 60) {
		int64_t local = local_of(t) - shift;
		bool begins;

		if (kind == WINDOW_HOUR)
			begins = local % 3600 == 0 && t - began >= 3600;
		else
			begins = label(kind, local) > most;
		if (!begins)
			continue;
		if (t > now_s)
			return (struct seen){ began, t };
		began = t;
		most = label(kind, local);
	}
}

static void random_places_against_the_slow_model(void **state)
{
	static const char *const zones[] = {
		"Europe/Berlin", "Europe/Dublin", "America/New_York", "America/Havana", "America/Santiago", "America/Sao_Paulo",
		"Australia/Lord_Howe", "Australia/Adelaide", "Asia/Kathmandu", "Asia/Tehran", "Asia/Beirut", "Asia/Gaza", "Africa/Cairo",
		"Africa/Casablanca", "Pacific/Chatham", "Pacific/Apia", "Pacific/Kiritimati", "Etc/GMT+12", "Etc/GMT-14",
		"Atlantic/Azores", "Antarctica/Troll", "America/St_Johns", "UTC",
	};
	static const int64_t back_s[] = {
		[WINDOW_HOUR] = 12 * 3600, [WINDOW_DAY] = 5 * 86400, [WINDOW_WEEK] = 16 * 86400, [WINDOW_MONTH] = 65 * 86400,
	};
	static const int rounds[] = { [WINDOW_HOUR] = 300, [WINDOW_DAY] = 60, [WINDOW_WEEK] = 8, [WINDOW_MONTH] = 2 };
	unsigned rnd = 20261124;
	size_t n = 0;

	print_message("seed %u\n", rnd);
	for (size_t z = 0; z < sizeof(zones) / sizeof(zones[0]); z++) {
		assert_int_equal(setenv("TZ", zones[z], 1), 0);
		tzset();
		for (int k = 0; k < WINDOW_TOTAL; k++)
			for (int i = 0; i < rounds[k]; i++, n++) {
				struct calendar cal = calendar(zones[z], rand_r(&rnd) % 3 ? rand_r(&rnd) % 1440 : rand_r(&rnd) % 7 * 30);
				int64_t t = 86400 * 120 + (int64_t)rand_r(&rnd) * 2 + rand_r(&rnd) % 86400;

				/* Every other one next to a transition, if there is one within a year. */
				if (i % 2) {
					int64_t low = t, high = t;
					int32_t was = (int32_t)(local_of(low) - low);

					while (high < t + 366 * INT64_C(86400) && local_of(high) - high == was)
						low = high, high += 86400;
					while (high - low > 1)
						*(local_of((low + high) / 2) - (low + high) / 2 == was ? &low : &high) = (low + high) / 2;
					t = high - 7200 + rand_r(&rnd) % 14400;
				}
				struct seen want = walk((enum window_kind)k, t, cal.reset_minute, back_s[k]);
				int64_t start, end;

				window_bounds((enum window_kind)k, &cal, t, &start, &end);
				if (start != want.start || end != want.end)
					fail_msg("%s +%d %s at %lld: %lld to %lld, the model says %lld to %lld", zones[z], cal.reset_minute,
						 window_name((enum window_kind)k), (long long)t, (long long)start, (long long)end,
						 (long long)want.start, (long long)want.end);
			}
	}
	assert_int_equal(unsetenv("TZ"), 0);
	print_message("%zu windows\n", n);
}

/* From one end to the next through forty years: neighbours touch, each holds its own ends, and hours are never shorter than hours. */
static void neighbours_touch(void **state)
{
	static const char *const zones[] = { "Australia/Lord_Howe", "America/Havana", "Pacific/Apia", "Africa/Casablanca", "Asia/Kathmandu",
					     "Europe/Berlin" };

	for (size_t z = 0; z < sizeof(zones) / sizeof(zones[0]); z++)
		for (int k = 0; k < WINDOW_TOTAL; k++) {
			struct calendar cal = calendar(zones[z], k == WINDOW_HOUR ? 0 : 150);
			int64_t t = utc("2000-05-01 00:00:00"), until = k == WINDOW_HOUR ? t + 86400 * 4000 : t + INT64_C(86400) * 14600;
			int64_t start, end, s, e;

			window_bounds((enum window_kind)k, &cal, t, &start, &end);
			while (start < until) {
				assert_true(end - start >= 3600);
				window_bounds((enum window_kind)k, &cal, end - 1, &s, &e);
				assert_true(s == start && e == end);
				assert_int_equal(window_next((enum window_kind)k, &cal, start), start);
				assert_int_equal(window_next((enum window_kind)k, &cal, start + 1), end);
				window_bounds((enum window_kind)k, &cal, end, &s, &e);
				assert_true(s == end && e > s);
				start = s;
				end = e;
			}
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(no_calendar_is_utc_at_midnight),
		cmocka_unit_test(neighbours_touch),
		cmocka_unit_test(random_places_against_the_slow_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
