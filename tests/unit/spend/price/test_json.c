// SPDX-License-Identifier: Apache-2.0
/* The walk over JSON for imports, and exact numbers out of their text. */
#include <errno.h>

#include "spend/price/json.h"
#include "spend_test.h"

static void numbers_scale_exactly(void **state)
{
	static const struct {
		const char *text;
		int64_t factor;
		int pow10, want_error;
		int64_t want;
		bool rounded;
	} cases[] = {
		{ "0", 1, 15, 0, 0, false },
		{ "1.25e-06", 1, 15, 0, 1250000000, false },
		{ "5E-7", 1, 15, 0, 500000000, false },
		{ "0.00000125", 1, 15, 0, 1250000000, false },
		{ "2.9999900000000002e-06", 1, 15, 0, 2999990001, true }, /* float noise goes up */
		{ "1e-15", 1, 15, 0, 1, false },
		{ "1e-16", 1, 15, 0, 1, true }, /* never to zero */
		{ "1e-400", 1, 15, 0, 1, true },
		{ "1e-99999999999999999999", 1, 15, 0, 1, true },
		{ "0e99999", 1, 15, 0, 0, false },
		{ "0.1", 1, 9, 0, 100000000, false },
		{ "0.30", 1, 9, 0, 300000000, false },
		{ "15", 1, 9, 0, 15000000000, false },
		{ "1e3", 1, 0, 0, 1000, false },
		{ "128000.0", 1, 0, 0, 128000, false },
		{ "1.5", 1, 0, 0, 2, true },
		{ "3.81469e-08", 1048576, 15, 0, 39999923814400, false },
		{ "0.000000019", 1048576, 15, 0, 19922944000000, false },
		{ "123456789012345678901234567890123456789", 1, -30, 0, 123456790, true },
		{ "0.000000000000000000000000000000000000001", 1, 15, 0, 1, true },
		{ "1e30", 1, 15, -ERANGE, 0, false },
		{ "1e999999", 1, 15, -ERANGE, 0, false },
		{ "99999999999999999999999999999999999999999999", 1, 0, -ERANGE, 0, false },
		{ "-1", 1, 0, -EINVAL, 0, false },
		{ "", 1, 0, -EINVAL, 0, false },
		{ ".", 1, 0, -EINVAL, 0, false },
		{ "e5", 1, 0, -EINVAL, 0, false },
		{ "NaN", 1, 0, -EINVAL, 0, false },
		{ "true", 1, 0, -EINVAL, 0, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str s = { .p = cases[i].text, .n = strlen(cases[i].text) };
		int64_t n = -7;
		bool rounded = false;
		int r = pj_scale(s, cases[i].factor, cases[i].pow10, INT64_MAX, &n, &rounded);

		if (r != cases[i].want_error || (r == 0 && (n != cases[i].want || rounded != cases[i].rounded)))
			fail_msg("%s: %d, %lld (%d), wanted %d, %lld", cases[i].text, r, (long long)n, rounded, cases[i].want_error,
				 (long long)cases[i].want);
		assert_true(r == 0 || n == -7);
	}
}

static void members_come_in_their_order(void **state)
{
	static const char text[] = " {\"a\" : 1 ,\"b\\u0041\":\"x\\\"}\\n\", \"c\":[{\"]\":\"[\"},[],null,-2.5e1] ,\"\":{} } \0                                                                 ";
	size_t len = strlen(text);
	struct arena *a = arena_new(1 << 16);
	struct err e = { "" };
	struct str k;
	struct pj_value v, inner;

	assert_int_equal(price_json_check("t", text, len, &e), 0);
	struct pj_value root = price_json_root(text, len);
	struct pj_walk w = pj_walk(&root), in;

	assert_true(pj_next(&w, &k, &v) && v.kind == JSON_NUMBER && v.raw.n == 1 && k.n == 1);
	assert_true(pj_next(&w, &k, &v) && v.kind == JSON_STRING);
	struct str name = pj_text(a, k), value = pj_string(a, &v);

	assert_true(name.n == 2 && !memcmp(name.p, "bA", 2));
	assert_true(value.n == 4 && !memcmp(value.p, "x\"}\n", 4));
	assert_true(pj_next(&w, &k, &v) && v.kind == JSON_ARRAY);
	in = pj_walk(&v);
	assert_true(pj_next(&in, &k, &inner) && inner.kind == JSON_OBJECT && k.n == 0);
	assert_true(pj_next(&in, &k, &inner) && inner.kind == JSON_ARRAY && inner.raw.n == 2);
	assert_true(pj_next(&in, &k, &inner) && inner.kind == JSON_NULL);
	assert_true(pj_next(&in, &k, &inner) && inner.kind == JSON_NUMBER && inner.raw.n == 6);
	assert_false(pj_next(&in, &k, &inner));
	assert_true(pj_next(&w, &k, &v) && v.kind == JSON_OBJECT && k.n == 0);
	in = pj_walk(&v);
	assert_false(pj_next(&in, &k, &inner));
	assert_false(pj_next(&w, &k, &v));
	assert_true(pj_find(&root, "c", &v) && v.kind == JSON_ARRAY);
	assert_false(pj_find(&root, "d", &v));
	w = pj_walk(&(struct pj_value){ .kind = JSON_NUMBER, .raw = { "1", 1 } });
	assert_false(pj_next(&w, &k, &v));
	arena_free(a);
}

static void what_is_no_json_is_refused(void **state)
{
	static const char *const texts[] = { "", "{", "{\"a\":NaN}", "{\"a\":1,}", "[1,2", "{\"a\":Infinity}", "{'a':1}", "{\"a\":1} x", "{\"a\":.5}",
					     "{\"a\":01}", "\xff", "{\"a\":\"\x01\"}", "// c\n{}" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char padded[256] = { 0 };
		struct err e = { "" };

		(void)snprintf(padded, sizeof(padded), "%s", texts[i]);
		if (price_json_check("t.json", padded, strlen(texts[i]), &e) == 0)
			fail_msg("accepted: %s", texts[i]);
		assert_non_null(strstr(e.text, "t.json: is not JSON"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_scale_exactly),
		cmocka_unit_test(members_come_in_their_order),
		cmocka_unit_test(what_is_no_json_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
