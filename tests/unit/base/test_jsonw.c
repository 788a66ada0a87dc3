// SPDX-License-Identifier: Apache-2.0
/* test_jsonw.c: what is written, byte for byte; that any bytes become JSON that json.h reads; sticky errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/jsonw.h"
#include "base/str.h"

static void writes_values_and_commas(void **state)
{
	struct jsonw w;
	struct buf b;

	buf_init(&b, 4096);
	jsonw_init(&w, &b);
	jsonw_object(&w, NULL);
	jsonw_cstr(&w, "a", "x");
	jsonw_cstr(&w, "none", NULL);
	jsonw_i64(&w, "min", INT64_MIN);
	jsonw_i64(&w, "max", INT64_MAX);
	jsonw_bool(&w, "t", true);
	jsonw_bool(&w, "f", false);
	jsonw_null(&w, "n");
	jsonw_array(&w, "list");
	jsonw_i64(&w, NULL, 1);
	jsonw_array(&w, NULL);
	jsonw_close(&w);
	jsonw_object(&w, NULL);
	jsonw_close(&w);
	jsonw_str(&w, NULL, STR("z"));
	jsonw_close(&w);
	jsonw_usd(&w, "cost", 123000);
	jsonw_usd(&w, "less", -NANOUSD_PER_USD);
	jsonw_str(&w, "k\"\n", (struct str){ NULL, 0 });
	jsonw_close(&w);
	assert_int_equal(jsonw_end(&w), 0);
	assert_int_equal(buf_append(&b, "", 1), 0);
	assert_string_equal(buf_ptr(&b), "{\"a\":\"x\",\"none\":null,\"min\":-9223372036854775808,"
					 "\"max\":9223372036854775807,\"t\":true,\"f\":false,\"n\":null,"
					 "\"list\":[1,[],{},\"z\"],\"cost\":\"0.000123\",\"less\":\"-1.00\",\"k\\\"\\n\":\"\"}");
	buf_done(&b);
}

static void escapes_strings(void **state)
{
	static const struct {
		struct str in;
		const char *out;
	} cases[] = {
		{ { "", 0 }, "\"\"" },
		{ { "a\"b\\c/d", 7 }, "\"a\\\"b\\\\c/d\"" },
		{ { "\b\f\n\r\t\x01\x1f\x7f", 8 }, "\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"" },
		{ { "a\0b", 3 }, "\"a\\u0000b\"" },
		{ { "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9 }, "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"" },
		/* One U+FFFD for each byte that is no part of a character: lone, overlong, surrogate, too high, cut. */
		{ { "\x80", 1 }, "\"\xef\xbf\xbd\"" },
		{ { "a\xffz", 3 }, "\"a\xef\xbf\xbdz\"" },
		{ { "\xc0\xaf", 2 }, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ { "\xed\xa0\x80", 3 }, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ { "\xf4\x90\x80\x80", 4 }, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ { "\xe2\x82", 2 }, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ { "\xe2\x82\"", 3 }, "\"\xef\xbf\xbd\xef\xbf\xbd\\\"\"" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct jsonw w;
		struct buf b;

		buf_init(&b, 4096);
		jsonw_init(&w, &b);
		jsonw_str(&w, NULL, cases[i].in);
		assert_int_equal(jsonw_end(&w), 0);
		assert_int_equal(buf_len(&b), strlen(cases[i].out));
		assert_memory_equal(buf_ptr(&b), cases[i].out, buf_len(&b));
		buf_done(&b);
	}
}

static void keep(void *ctx, int id, const struct json_value *v)
{
	struct buf *to = ctx;

	assert_int_equal(v->kind, JSON_STRING);
	assert_int_equal(buf_append(to, v->s.p, v->s.n), 0);
}

/* Random bytes as key and value. If they were UTF-8 they come back as they were. */
static void any_bytes_become_json(void **state)
{
	unsigned seed = 99;
	struct json *j = json_new();

	print_message("seed %u\n", seed);
	srand(seed);
	for (int round = 0; round < 3000; round++) {
		size_t n = (size_t)rand() % 64;
		char bytes[64], key[65];
		struct jsonw w;
		struct buf b, back;
		bool ascii = round % 2;

		for (size_t i = 0; i < n; i++) {
			bytes[i] = (char)(rand() % (ascii ? 128 : 256));
			key[i] = bytes[i] ? bytes[i] : 'k';
		}
		key[n] = '\0';
		buf_init(&b, 4096);
		buf_init(&back, 4096);
		jsonw_init(&w, &b);
		jsonw_array(&w, NULL);
		jsonw_str(&w, NULL, (struct str){ bytes, n });
		jsonw_object(&w, NULL);
		jsonw_null(&w, key);
		jsonw_close(&w);
		jsonw_close(&w);
		assert_int_equal(jsonw_end(&w), 0);
		/* The value alone: the element that is an object would be another kind. */
		assert_int_equal(json_scan(j, buf_ptr(&b), buf_len(&b), NULL, 0, keep, &back), 0);
		buf_clear(&b);
		jsonw_init(&w, &b);
		jsonw_str(&w, NULL, (struct str){ bytes, n });
		assert_int_equal(json_scan(j, buf_ptr(&b), buf_len(&b), (struct json_want[]){ { "", 1 } }, 1, keep, &back),
				 0);
		if (ascii) {
			assert_int_equal(buf_len(&back), n);
			if (n)
				assert_memory_equal(buf_ptr(&back), bytes, n);
		}
		buf_done(&b);
		buf_done(&back);
	}
	json_free(j);
}

static void a_failed_append_sticks(void **state)
{
	struct jsonw w;
	struct buf b;

	buf_init(&b, 8);
	jsonw_init(&w, &b);
	jsonw_array(&w, NULL);
	jsonw_cstr(&w, NULL, "too long for it");
	jsonw_i64(&w, NULL, 1);
	jsonw_close(&w);
	assert_int_equal(jsonw_end(&w), -EMSGSIZE);
	assert_true(buf_len(&b) <= 8);
	buf_done(&b);
}

static void nests_thirty_one_deep(void **state)
{
	struct jsonw w;
	struct buf b;

	buf_init(&b, 4096);
	jsonw_init(&w, &b);
	for (int i = 0; i < 31; i++)
		jsonw_array(&w, NULL);
	for (int i = 0; i < 31; i++)
		jsonw_close(&w);
	assert_int_equal(jsonw_end(&w), 0);
	assert_int_equal(buf_len(&b), 62);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_values_and_commas),
		cmocka_unit_test(escapes_strings),
		cmocka_unit_test(any_bytes_become_json),
		cmocka_unit_test(a_failed_append_sticks),
		cmocka_unit_test(nests_thirty_one_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
