// SPDX-License-Identifier: Apache-2.0
/* test_hmac.c: the test cases of RFC 4231 (1, 2, 6, 7), and an empty key and text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "wire/hmac.h"

static void as_the_rfc_has_it(void **state)
{
	char long_key[131];

	memset(long_key, 0xaa, sizeof(long_key));
	const struct {
		struct str key, text;
		const char *hex;
	} cases[] = {
		{ STR("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"), STR("Hi There"),
		  "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
		{ STR("Jefe"), STR("what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
		{ { long_key, sizeof(long_key) }, STR("Test Using Larger Than Block-Size Key - Hash Key First"),
		  "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
		{ { long_key, sizeof(long_key) },
		  STR("This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before "
		      "being used by the HMAC algorithm."),
		  "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2" },
		{ { NULL, 0 }, STR(""), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char hex[HMAC_HEX_MAX];

		assert_int_equal(hmac_sha256(cases[i].key, cases[i].text, hex), 0);
		assert_string_equal(hex, cases[i].hex);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_the_rfc_has_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
