// SPDX-License-Identifier: Apache-2.0
/* test_err.c: texts of errors: set, prefixed, too long, built from themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/err.h"

static void sets_text_and_sign(void **state)
{
	struct err e;

	assert_int_equal(err_set(&e, EINVAL, "budget \"%s\": %d", "bot", 7), -EINVAL);
	assert_string_equal(e.text, "budget \"bot\": 7");
	/* A function that already has a negative code passes it on. */
	assert_int_equal(err_set(&e, -ENOENT, "x"), -ENOENT);
	assert_int_equal(err_set(NULL, EPERM, "%d", 1), -EPERM);
}

static void prefixes(void **state)
{
	struct err e;

	(void)err_set(&e, EIO, "read failed");
	assert_int_equal(err_prefix(&e, -EIO, "ledger %s", "a.db"), -EIO);
	assert_int_equal(err_prefix(&e, -EIO, "start"), -EIO);
	assert_string_equal(e.text, "start: ledger a.db: read failed");
	assert_int_equal(err_prefix(NULL, -5, "x"), -5);
}

static void may_quote_itself(void **state)
{
	struct err e;

	(void)err_set(&e, EIO, "inner");
	(void)err_set(&e, EIO, "outer(%s)", e.text);
	assert_string_equal(e.text, "outer(inner)");
}

static void cuts_what_does_not_fit(void **state)
{
	struct err e;
	char big[3000];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	(void)err_set(&e, EIO, "%s", big);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	(void)err_prefix(&e, -EIO, "%s", big);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	(void)err_set(&e, EIO, "%s", big);
	(void)err_prefix(&e, -EIO, "who");
	assert_memory_equal(e.text, "who: xxx", 8);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_text_and_sign),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(may_quote_itself),
		cmocka_unit_test(cuts_what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
