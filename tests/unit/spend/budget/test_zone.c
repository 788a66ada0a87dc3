// SPDX-License-Identifier: Apache-2.0
/*
 * Zones against the clock of libc (another reader of the same files), at the places where clocks jump, long after the last transition on
 * file, and with names that are none.
 */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "spend/budget/zone.h"
#include "budget_test.h"

static const struct zone *zone(const char *name)
{
	const struct zone *z = NULL;
	struct err e = { "" };

	if (zone_open(name, &z, &e) < 0)
		fail_msg("%s", e.text);
	return z;
}

static void names(void **state)
{
	static const char *const bad[] = {
		"Europe/Berln", "europe/berlin ", "Mars/Olympus", "/usr/share/zoneinfo/Europe/Berlin", "../zoneinfo/Europe/Berlin",
		"file:Europe/Berlin", "localtime", "libc:localtime", "Europe//Berlin", "Europe/", "/", ".", "..", "Europe", "zone.tab",
		"Fixed/UTC+01:00:00", "right/Europe/Berlin", "UTC ", " ", "Europe/Berlin\n", "Europe\\Berlin", "\xc3\xa4",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	};
	static const char *const good[] = { "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+12", "Etc/GMT-14", "GMT", "EST5EDT",
					    "America/Port-au-Prince", "Asia/Kathmandu" };
	const struct zone *z;
	struct err e;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e.text[0] = '\0';
		assert_int_equal(zone_open(bad[i], &z, &e), -EINVAL);
		assert_non_null(strstr(e.text, "Europe/Berlin")); /* says what is wanted */
		assert_int_equal(zone_open(bad[i], &z, NULL), -EINVAL); /* and again, now that it may be remembered */
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_non_null(zone(good[i]));
		assert_ptr_equal(zone(good[i]), zone(good[i])); /* opened once */
	}
	assert_null(zone(""));
	assert_null(zone("UTC"));
	assert_null(zone("Etc/UTC"));
}

static void where_clocks_jump(void **state)
{
	static const struct {
		const char *zone, *local, *first; /* first: UTC */
	} cases[] = {
		{ "Europe/Berlin", "2026-03-29 01:59:59", "2026-03-29 00:59:59" },
		{ "Europe/Berlin", "2026-03-29 02:00:00", "2026-03-29 01:00:00" }, /* does not exist */
		{ "Europe/Berlin", "2026-03-29 02:30:00", "2026-03-29 01:00:00" },
		{ "Europe/Berlin", "2026-03-29 03:00:00", "2026-03-29 01:00:00" },
		{ "Europe/Berlin", "2026-10-25 02:30:00", "2026-10-25 00:30:00" }, /* twice: the earlier */
		{ "Europe/Berlin", "2026-10-25 03:00:00", "2026-10-25 02:00:00" },
		{ "America/New_York", "2026-03-08 02:30:00", "2026-03-08 07:00:00" },
		{ "America/New_York", "2026-11-01 01:30:00", "2026-11-01 05:30:00" },
		{ "America/Havana", "2026-03-08 00:00:00", "2026-03-08 05:00:00" }, /* midnight does not exist */
		{ "Australia/Lord_Howe", "2026-10-04 02:15:00", "2026-10-03 15:30:00" },
		{ "Australia/Lord_Howe", "2026-04-05 01:45:00", "2026-04-04 14:45:00" },
		{ "Pacific/Apia", "2011-12-30 12:00:00", "2011-12-30 10:00:00" }, /* a day that never was */
		{ "Pacific/Apia", "2011-12-31 00:00:00", "2011-12-30 10:00:00" },
		{ "Asia/Kathmandu", "2026-08-19 00:00:00", "2026-08-18 18:15:00" },
		{ "Pacific/Kiritimati", "2026-08-19 00:00:00", "2026-08-18 10:00:00" },
		{ "Etc/GMT+12", "2026-08-19 00:00:00", "2026-08-19 12:00:00" },
		{ "Europe/Berlin", "2100-07-01 00:00:00", "2100-06-30 22:00:00" }, /* by rule, not on file */
		{ "Europe/Berlin", "2100-01-01 00:00:00", "2099-12-31 23:00:00" },
		{ "America/New_York", "2250-07-01 00:00:00", "2250-07-01 04:00:00" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (zone_first(zone(cases[i].zone), utc(cases[i].local)) != utc(cases[i].first))
			fail_msg("%s %s: got %lld, want %lld", cases[i].zone, cases[i].local,
				 (long long)zone_first(zone(cases[i].zone), utc(cases[i].local)), (long long)utc(cases[i].first));
}

/* Up to the year 2200, so mostly beyond what stands in the files. */
static void agrees_with_libc(void **state)
{
	static const char *const all[] = { "Europe/Berlin", "Europe/Dublin", "America/New_York", "America/Sao_Paulo", "America/Santiago",
					   "Australia/Lord_Howe", "Asia/Kathmandu", "Asia/Tehran", "Africa/Cairo", "Pacific/Chatham",
					   "Atlantic/Azores", "Antarctica/Troll", "Pacific/Apia", "Etc/GMT-14" };
	unsigned rnd = 2037;

	print_message("seed %u\n", rnd);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const struct zone *z = zone(all[i]);

		assert_int_equal(setenv("TZ", all[i], 1), 0);
		tzset();
		for (int n = 0; n < 20000; n++) {
			time_t t = (time_t)rand_r(&rnd) * 7 / 2 + rand_r(&rnd) % 1000;
			struct tm tm;

			(void)localtime_r(&t, &tm);
			assert_int_equal(zone_offset(z, t), tm.tm_gmtoff);
			int64_t local = t + tm.tm_gmtoff, first = zone_first(z, local);

			assert_true(first <= t); /* the earlier, if it comes twice */
			assert_int_equal(first + zone_offset(z, first), local);
		}
	}
	assert_int_equal(unsetenv("TZ"), 0);
}

static void *look(void *arg)
{
	static const char *const some[] = { "Europe/Paris", "Asia/Tokyo", "America/Denver", "Africa/Lagos", "Nowhere/Land" };
	unsigned rnd = *(unsigned *)arg;

	for (int i = 0; i < 20000; i++) {
		const struct zone *z;
		int k = rand_r(&rnd) % 5;

		if ((zone_open(some[k], &z, NULL) < 0) != (k == 4))
			abort();
		if (k == 1 && zone_offset(z, rand_r(&rnd)) != 9 * 3600)
			abort();
	}
	return NULL;
}

static void many_threads(void **state)
{
	pthread_t threads[4];
	unsigned seeds[4] = { 1, 2, 3, 4 };

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, look, &seeds[i]), 0);
	for (int i = 0; i < 4; i++)
		(void)pthread_join(threads[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(where_clocks_jump),
		cmocka_unit_test(agrees_with_libc),
		cmocka_unit_test(many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
