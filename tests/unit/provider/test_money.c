// SPDX-License-Identifier: Apache-2.0
/* test_money.c: amounts as providers write them, to the nano-dollar. */
#include "calls.h"

#include <errno.h>

#include "provider/money.h"

struct money_case {
	const char *text;
	int unit, r;
	nanousd want;
};

#define ZEROS20 "00000000000000000000"

static const struct money_case cases[] = {
	{ "0", 0, 0, 0 },
	{ "0.0", 0, 0, 0 },
	{ "-0", 0, 0, 0 },
	{ "-0.00e5", 0, 0, 0 },
	{ "1", 0, 0, 1000000000 },
	{ "0.00085", 0, 0, 850000 },
	{ "1.13e-05", 0, 0, 11300 },
	{ "1.13E-5", 0, 0, 11300 },
	{ "1.4e-05", 0, 0, 14000 },
	{ "12.5e+2", 0, 0, 1250000000000 },
	{ "0.0076509169000000005", 0, 0, 7650917 },
	{ "0.007650916999999999", 0, 0, 7650917 },
	{ "0.000000001", 0, 0, 1 },
	{ "0.0000000010", 0, 0, 1 },
	{ "0.00000000100000000000000001", 0, 0, 2 },
	{ "1e-9", 0, 0, 1 },
	{ "1e-10", 0, 0, 1 },
	{ "1e-99999999999999999999", 0, 0, 1 },
	{ "0e99999999999999999999", 0, 0, 0 },
	{ "0.1", 0, 0, 100000000 },
	{ "0.3", 0, 0, 300000000 },
	{ "9223372036.854775807", 0, 0, INT64_MAX },
	{ "0.0" ZEROS20 ZEROS20 "1e41", 0, 0, 100000000 },
	{ "1" ZEROS20 ZEROS20 "e-40", 0, 0, 1000000000 },
	/* ticks */
	{ "1330500", 10, 0, 133050 },
	{ "1", 10, 0, 1 },
	{ "10", 10, 0, 1 },
	{ "11", 10, 0, 2 },
	{ "1.3305e6", 10, 0, 133050 },
	/* seconds as milliseconds */
	{ "8.470000267028809", 6, 0, 8471 },
	{ "9", 6, 0, 9000 },
	/* not money */
	{ "-1", 0, -EINVAL, 0 },
	{ "-1e-30", 0, -EINVAL, 0 },
	{ "", 0, -EINVAL, 0 },
	{ "-", 0, -EINVAL, 0 },
	{ ".", 0, -EINVAL, 0 },
	{ "e5", 0, -EINVAL, 0 },
	{ "1e", 0, -EINVAL, 0 },
	{ "1e+", 0, -EINVAL, 0 },
	{ "1e5x", 0, -EINVAL, 0 },
	{ "1.2.3", 0, -EINVAL, 0 },
	{ "+1", 0, -EINVAL, 0 },
	{ "1,5", 0, -EINVAL, 0 },
	{ "0x10", 0, -EINVAL, 0 },
	{ "NaN", 0, -EINVAL, 0 },
	{ "Infinity", 0, -EINVAL, 0 },
	{ " 1", 0, -EINVAL, 0 },
	{ "1 ", 0, -EINVAL, 0 },
	{ "9223372036.854775808", 0, -ERANGE, 0 },
	{ "9223372036.8547758071", 0, -ERANGE, 0 },
	{ "1e10", 0, -ERANGE, 0 },
	{ "1e99999999999999999999", 0, -ERANGE, 0 },
	{ "1" ZEROS20 ZEROS20, 0, -ERANGE, 0 },
};

static void test_cases(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct money_case *c = &cases[i];
		struct str s = str_of(c->text);
		char *exact = malloc(s.n + 1); /* nothing readable behind the text, for the sanitizer */
		nanousd got = -77;
		int r;

		memcpy(exact, s.p, s.n);
		r = money_read((struct str){ .p = exact, .n = s.n }, c->unit, &got);
		free(exact);
		if (r != c->r || got != (c->r ? -77 : c->want))
			fail_msg("\"%s\" (unit %d): %d, %lld", c->text, c->unit, r, (long long)got);
	}
}

/* Whole nano-dollars written with nine decimals, in all their shifted spellings, come back as they were. */
static void test_round_trip(void **state)
{
	const unsigned seed = 20261124;
	uint64_t x = seed;

	print_message("seed %u\n", seed);
	for (int i = 0; i < 2000; i++) {
		char text[3][64];

		x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
		int64_t nano = (int64_t)(x >> (1 + i % 60));

		snprintf(text[0], sizeof(text[0]), "%lld.%09lld", (long long)(nano / 1000000000), (long long)(nano % 1000000000));
		snprintf(text[1], sizeof(text[1]), "%llde-9", (long long)nano);
		snprintf(text[2], sizeof(text[2]), "0.%019llde10", (long long)nano);
		for (int k = 0; k < 3; k++) {
			nanousd got = -1;

			assert_int_equal(money_read(str_of(text[k]), 0, &got), 0);
			if (got != nano)
				fail_msg("%s: %lld", text[k], (long long)got);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_cases), cmocka_unit_test(test_round_trip) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
