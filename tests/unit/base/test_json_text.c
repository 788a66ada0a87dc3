// SPDX-License-Identifier: Apache-2.0
/* test_json_text.c: numbers within their bounds, hexadecimal digits, unescaping in exactly sized memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void measures_numbers(void **state)
{
	static const struct {
		const char *text;
		size_t n; /* 0 = none */
		bool is_int;
		int64_t v;
	} cases[] = {
		{ "0", 1, true, 0 },	   { "12,", 2, true, 12 },     { "12x", 2, true, 12 },	 { "-5", 2, true, -5 },
		{ "-0", 2, false, 0 },	   { "1.5e-7]", 6, false, 0 }, { "1e5", 3, false, 0 },	 { "0.", 0, false, 0 },
		{ "00", 0, false, 0 },	   { "-", 0, false, 0 },       { "", 0, false, 0 },	 { "1e", 0, false, 0 },
		{ "1e+", 0, false, 0 },	   { "x", 0, false, 0 },       { "9223372036854775807", 19, true, INT64_MAX },
		{ "9223372036854775808", 19, false, 0 },
		{ "-9223372036854775808", 20, true, INT64_MIN },
		{ "-9223372036854775809", 20, false, 0 },
		{ "18446744073709551617", 20, false, 0 },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t n = strlen(cases[i].text);
		/* No byte more than the text: a read too far is ASan's to see. */
		char *mem = malloc(n ? n : 1);
		bool is_int = false;
		int64_t v = 0;

		memcpy(mem, cases[i].text, n);
		assert_int_equal(json_number(mem, n, &is_int, &v), cases[i].n);
		if (cases[i].n) {
			assert_int_equal(is_int, cases[i].is_int);
			assert_int_equal(v, cases[i].v);
		}
		free(mem);
	}
}

static void reads_hex(void **state)
{
	assert_int_equal(json_hex4("0000"), 0);
	assert_int_equal(json_hex4("aBcD"), 0xabcd);
	assert_int_equal(json_hex4("FFFF"), 0xffff);
	assert_int_equal(json_hex4("00g0"), -1);
	assert_int_equal(json_hex4("/000"), -1);
	assert_int_equal(json_hex4("@000"), -1);
	assert_int_equal(json_hex4("\""), -1);
}

static void unescapes_into_no_more_than_the_source(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "\\n\\\\\\\"x", "\n\\\"x" },
		{ "\\u00e9\\u20ac\\ud83d\\ude00", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\\ud83d", "\xef\xbf\xbd" },
		{ "\\ud83d\\u0041", "\xef\xbf\xbd" "A" },
		{ "\\ude00\\ud83d", "\xef\xbf\xbd\xef\xbf\xbd" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t n = strlen(cases[i].in);
		char *in = malloc(n ? n : 1), *out = malloc(n ? n : 1);

		memcpy(in, cases[i].in, n);
		assert_int_equal(json_unescape(in, in + n, out), strlen(cases[i].out));
		assert_memory_equal(out, cases[i].out, strlen(cases[i].out));
		free(in);
		free(out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(measures_numbers),
		cmocka_unit_test(reads_hex),
		cmocka_unit_test(unescapes_into_no_more_than_the_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
