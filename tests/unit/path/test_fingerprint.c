// SPDX-License-Identifier: Apache-2.0
/* Fingerprints of requests: every byte counts, and where the parts end; each key has its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "path/fingerprint.h"

static uint64_t of(const struct fingerprint_key *k, struct str a, struct str b, struct str c)
{
	const struct str parts[] = { a, b, c };

	return fingerprint(k, parts, 3);
}

static void test_fingerprint(void **state)
{
	struct fingerprint_key k, other;
	char body[1000];

	assert_int_equal(fingerprint_key_new(&k), 0);
	assert_int_equal(fingerprint_key_new(&other), 0);
	memset(body, 'x', sizeof body);
	uint64_t whole = of(&k, STR("host"), STR("/p"), (struct str){ body, sizeof body });
	assert_true(whole != 0);
	assert_true(whole == of(&k, STR("host"), STR("/p"), (struct str){ body, sizeof body }));
	assert_true(whole != of(&other, STR("host"), STR("/p"), (struct str){ body, sizeof body }));
	/* Any byte, anywhere; and where the parts end. */
	for (size_t i = 0; i < sizeof body; i++) {
		body[i] ^= 1;
		assert_true(whole != of(&k, STR("host"), STR("/p"), (struct str){ body, sizeof body }));
		body[i] ^= 1;
	}
	for (size_t n = 0; n < sizeof body; n++)
		assert_true(whole != of(&k, STR("host"), STR("/p"), (struct str){ body, n }));
	assert_true(of(&k, STR("ab"), STR("c"), STR("")) != of(&k, STR("a"), STR("bc"), STR("")));
	assert_true(of(&k, STR("ab"), STR(""), STR("")) != of(&k, STR(""), STR("ab"), STR("")));
	assert_true(of(&k, STR("\0\0"), STR(""), STR("")) != of(&k, STR("\0"), STR(""), STR("")));
	/* Two equal lanes must not cancel out. */
	memset(body, 0xff, sizeof body);
	uint64_t ones = of(&k, STR(""), STR(""), (struct str){ body, 56 });
	body[0] = body[28] = 0;
	assert_true(ones != of(&k, STR(""), STR(""), (struct str){ body, 56 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fingerprint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
