// SPDX-License-Identifier: Apache-2.0
/* test_usd.c: money in and out. What is shown must read back as the same amount. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define USD NANOUSD_PER_USD
#define BAD INT64_MIN

static void reads_amounts(void **state)
{
	static const struct {
		const char *text;
		nanousd strict, bare; /* BAD = -EINVAL */
	} cases[] = {
		{ "12.50USD", 12 * USD + USD / 2, 12 * USD + USD / 2 },
		{ "$12.50", 12 * USD + USD / 2, 12 * USD + USD / 2 },
		{ "$12.50 USD", 12 * USD + USD / 2, 12 * USD + USD / 2 },
		{ "12.5 usd", 12 * USD + USD / 2, 12 * USD + USD / 2 },
		{ " 12.5\tUsd ", 12 * USD + USD / 2, 12 * USD + USD / 2 },
		{ "0.000001USD", 1000, 1000 },
		{ "0.000000001USD", 1, 1 },
		{ "0USD", 0, 0 },
		{ "$0", 0, 0 },
		{ "0001USD", USD, USD },
		{ "25", BAD, 25 * USD },
		{ "0.1", BAD, USD / 10 },
		{ "9000000000USD", 9000000000 * USD, 9000000000 * USD },
		{ "9000000000.000000000USD", 9000000000 * USD, 9000000000 * USD },
		{ "9000000000.000000001USD", BAD, BAD },
		{ "9000000001USD", BAD, BAD },
		{ "99999999999999999999999999999USD", BAD, BAD },
		{ "18446744073709551617USD", BAD, BAD },
		{ "0.0000000001USD", BAD, BAD },
		{ "0.0000000000USD", BAD, BAD },
		{ "0.1234567891USD", BAD, BAD },
		{ "12 EUR", BAD, BAD },
		{ "12EUR", BAD, BAD },
		{ "EUR12", BAD, BAD },
		{ "USD 12", BAD, BAD },
		{ "USD", BAD, BAD },
		{ "$", BAD, BAD },
		{ "$$1", BAD, BAD },
		{ "$ 1", BAD, BAD },
		{ "", BAD, BAD },
		{ "-1USD", BAD, BAD },
		{ "+1USD", BAD, BAD },
		{ "$-1", BAD, BAD },
		{ "1,5USD", BAD, BAD },
		{ "1,000USD", BAD, BAD },
		{ "1_000USD", BAD, BAD },
		{ ".5USD", BAD, BAD },
		{ "5.USD", BAD, BAD },
		{ "1.2.3USD", BAD, BAD },
		{ "1e3USD", BAD, BAD },
		{ "0x10USD", BAD, BAD },
		{ "1 2USD", BAD, BAD },
		{ "1USDUSD", BAD, BAD },
		{ "1USD.", BAD, BAD },
		{ "1\nUSD", BAD, BAD },
		{ "infUSD", BAD, BAD },
		{ "nanUSD", BAD, BAD },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		for (int bare = 0; bare < 2; bare++) {
			nanousd want = bare ? cases[i].bare : cases[i].strict, v = BAD;
			int r = str_to_usd(str_of(cases[i].text), bare, &v);

			if (r != (want == BAD ? -EINVAL : 0) || v != want)
				fail_msg("\"%s\" bare=%d: %d, %lld", cases[i].text, bare, r, (long long)v);
		}
	}
	assert_int_equal(str_to_usd((struct str){ "1USD\0", 5 }, false, &(nanousd){ 0 }), -EINVAL);
	assert_int_equal(str_to_usd((struct str){ NULL, 0 }, true, &(nanousd){ 0 }), -EINVAL);
}

static void shows_amounts(void **state)
{
	static const struct {
		nanousd v;
		const char *exact, *brief;
	} cases[] = {
		{ 0, "0.00USD", "$0.00" },
		{ 1, "0.000000001USD", "$0.00" },
		{ -1, "-0.000000001USD", "$0.00" },
		{ 49999, "0.000049999USD", "$0.00" },
		{ 50000, "0.00005USD", "$0.0001" },
		{ -50000, "-0.00005USD", "-$0.0001" },
		{ 12 * USD + USD / 2, "12.50USD", "$12.50" },
		{ USD / 8, "0.125USD", "$0.125" },
		{ 1 * USD + 234567891, "1.234567891USD", "$1.2346" },
		{ 999999999, "0.999999999USD", "$1.00" },
		{ 10 * USD, "10.00USD", "$10.00" },
		{ 100 * USD, "100.00USD", "$100.00" },
		{ INT64_MAX, "9223372036.854775807USD", "$9223372036.8548" },
		{ INT64_MIN, "-9223372036.854775808USD", "-$9223372036.8548" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[32];

		assert_ptr_equal(usd_show(cases[i].v, text, sizeof(text)), text);
		assert_string_equal(text, cases[i].exact);
		assert_string_equal(usd_show_short(cases[i].v, text, sizeof(text)), cases[i].brief);
	}
}

static void what_is_shown_reads_back(void **state)
{
	unsigned seed = 11;

	print_message("seed %u\n", seed);
	srand(seed);
	for (int i = 0; i < 20000; i++) {
		uint64_t bits = (uint64_t)rand() << 31 ^ (uint64_t)rand() << 62 ^ (uint64_t)rand();
		nanousd v = (nanousd)((bits >> (rand() % 62)) % (9000000000ull * 1000000000ull + 1)), back;
		char text[32];

		assert_int_equal(str_to_usd(str_of(usd_show(v, text, sizeof(text))), false, &back), 0);
		assert_int_equal(back, v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_amounts),
		cmocka_unit_test(shows_amounts),
		cmocka_unit_test(what_is_shown_reads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
