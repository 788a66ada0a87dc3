// SPDX-License-Identifier: Apache-2.0
/* test_units.c: durations, sizes, names, cgroup paths, moments; and the nearest word. */
#include "cm.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "ctl/nearest.h"
#include "ctl/units.h"

static void durations(void **state)
{
	static const struct {
		const char *text;
		int ret;
		int64_t ns;
	} cases[] = {
		{ "2s", 0, 2000000000 },       { "500ms", 0, 500000000 }, { "10m", 0, 600000000000 },
		{ "1h", 0, 3600000000000 },    { "7d", 0, 604800000000000 }, { "0s", 0, 0 },
		{ "2", -EINVAL, 0 },           { "", -EINVAL, 0 },        { "s", -EINVAL, 0 },
		{ "-2s", -EINVAL, 0 },         { "2 s", -EINVAL, 0 },     { "2S", -EINVAL, 0 },
		{ "1.5s", -EINVAL, 0 },        { "1s1s", -EINVAL, 0 },    { "+1s", -EINVAL, 0 },
		{ "99999999999999d", -ERANGE, 0 }, { "99999999999999999999s", -ERANGE, 0 },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t ns = -7;
		char mem[32];

		assert_int_equal(units_to_ns(str_of(cases[i].text), &ns), cases[i].ret);
		if (cases[i].ret == 0) {
			int64_t again;

			assert_int_equal(ns, cases[i].ns);
			assert_int_equal(units_to_ns(str_of(units_show_ns(ns, mem, sizeof(mem))), &again), 0);
			assert_int_equal(again, ns);
		} else {
			assert_int_equal(ns, -7);
		}
	}
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		int ret;
		int64_t bytes;
	} cases[] = {
		{ "0", 0, 0 },         { "4096", 0, 4096 },      { "64KiB", 0, 65536 },
		{ "32MiB", 0, 32 << 20 }, { "1GiB", 0, 1 << 30 }, { "32MB", -EINVAL, 0 },
		{ "MiB", -EINVAL, 0 }, { "32 MiB", -EINVAL, 0 }, { "-1", -EINVAL, 0 },
		{ "9999999999999GiB", -ERANGE, 0 },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t v = -7, again;
		char mem[32];

		assert_int_equal(units_to_bytes(str_of(cases[i].text), &v), cases[i].ret);
		if (cases[i].ret)
			continue;
		assert_int_equal(v, cases[i].bytes);
		assert_int_equal(units_to_bytes(str_of(units_show_bytes(v, mem, sizeof(mem))), &again), 0);
		assert_int_equal(again, v);
	}
}

static void names(void **state)
{
	static const struct {
		struct str name;
		bool good;
	} cases[] = {
		{ STR("a"), true },
		{ STR("team-a.b_C9"), true },
		{ STR("12345678901234567890123456789012345678901234567"), true },
		{ STR("123456789012345678901234567890123456789012345678"), false },
		{ STR(""), false },
		{ STR(".."), false },
		{ STR("-a"), false },
		{ STR(".a"), false },
		{ STR("a/b"), false },
		{ STR("a b"), false },
		{ STR("a\nb"), false },
		{ STR("a\0b"), false },
		{ STR("\xc3\xa4"), false },
		{ STR("none"), false },
		{ STR("None"), false },
		{ STR("all"), false },
		{ STR("purse.daemon"), false },
		{ STR("nonesuch"), true },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err e = { "" };
		int r = units_check_name(cases[i].name, &e);

		assert_int_equal(r, cases[i].good ? 0 : -EINVAL);
		assert_int_equal(e.text[0] != '\0', !cases[i].good);
	}
}

static void cgroups(void **state)
{
	static const struct {
		struct str path;
		bool good;
	} cases[] = {
		{ STR("/a"), true },     { STR("/a/b.c"), true }, { STR("/..a/b.."), true }, { STR("/"), false },
		{ STR(""), false },      { STR("a"), false },     { STR("/a/"), false },     { STR("//a"), false },
		{ STR("/a//b"), false }, { STR("/."), false },    { STR("/a/.."), false },   { STR("/../a"), false },
		{ STR("/a\nb"), false }, { STR("/a\0b"), false },
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(units_check_cgroup(cases[i].path, NULL), cases[i].good ? 0 : -EINVAL);
}

static void moments(void **state)
{
	const int64_t now = 1787220000; /* 2026-08-20T10:00:00Z */
	static const struct {
		const char *text;
		int64_t s; /* -1 = refused */
	} cases[] = {
		{ "2h", 1787220000 - 7200 },
		{ "7d", 1787220000 - 7 * 86400 },
		{ "99999d", 0 },
		{ "today", 1787184000 },
		{ "2026-08-20", 1787184000 },
		{ "2026-08-20T10:00:00Z", 1787220000 },
		{ "2026-08-20T10:00:00", 1787220000 },
		{ "2026-08-20T10:00", 1787220000 },
		{ "2026-08-20 10:00", 1787220000 },
		{ "@1700000000", 1700000000 },
		{ "@", -1 },
		{ "2026-8-1x", -1 },
		{ "2026-13-01", -1 },
		{ "2026-08-20T10:00:00+02:00", -1 },
		{ "yesterday", -1 },
		{ "", -1 },
		{ "5", -1 },
		{ "1969-12-31", -1 },
	};
	char mem[32];

	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t s = 0;
		int r = units_to_time(str_of(cases[i].text), now, &s);

		if ((cases[i].s < 0) != (r < 0) || (r == 0 && s != cases[i].s))
			fail_msg("%s: %d, %lld", cases[i].text, r, (long long)s);
	}
	assert_string_equal(units_show_time(now * 1000000000, false, mem, sizeof(mem)), "2026-08-20T10:00:00Z");
	assert_string_equal(units_show_time(now * 1000000000 + 7999999, true, mem, sizeof(mem)), "2026-08-20T10:00:00.007Z");
}

static void all_words_are_there(void **state)
{
	for (int i = 0; i < WINDOW_COUNT; i++)
		assert_non_null(units_window_names[i]);
	for (int i = 0; i < ENDPOINT_COUNT; i++)
		assert_non_null(units_endpoint_names[i]);
	for (int i = 0; i < TIER_COUNT; i++)
		assert_non_null(units_tier_names[i]);
	for (int i = 0; i < REFUSAL_REASON_COUNT; i++)
		assert_non_null(units_refusal_names[i]);
}

static void nearest(void **state)
{
	static const struct {
		const char *wrong, *want;
	} cases[] = {
		{ "dya", "day" },     { "agnets", "agents" }, { "worker", "workers" }, { "listen-port", "listen_port" },
		{ "xyzzy", NULL },    { "", NULL },           { "d", NULL },           { "DAY", NULL },
		{ "0123456789012345678901234567890123456789012345678901234567890123456789", NULL },
	};
	static const char *const known[] = { "agents", "day", "workers", "listen_port", "hour" };

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct nearest n;

		nearest_init(&n, str_of(cases[i].wrong));
		for (size_t k = 0; k < COUNT(known); k++)
			nearest_offer(&n, known[k]);
		if (cases[i].want)
			assert_string_equal(nearest_word(&n), cases[i].want);
		else
			assert_null(nearest_word(&n));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations), cmocka_unit_test(sizes),   cmocka_unit_test(names),
		cmocka_unit_test(cgroups),   cmocka_unit_test(moments), cmocka_unit_test(all_words_are_there),
		cmocka_unit_test(nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
