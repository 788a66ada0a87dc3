// SPDX-License-Identifier: Apache-2.0
/*
 * test_h2_head.c: heads out of fields, without the frame layer in front: what that refuses by itself is refused here
 * too, and the bounds are exact.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "wire/h2_head.h"

#define M ":method: POST\n"
#define S ":scheme: https\n"
#define A ":authority: a.example\n"
#define P ":path: /v1\n"

/* "name: value" lines; a colon in front belongs to the name. */
static struct http_head *make(struct h2_head **ret, const char *lines, bool fin)
{
	struct h2_head *h = h2_head_new();

	assert_non_null(h);
	while (*lines) {
		const char *end = strchr(lines, '\n'), *colon = strstr(lines, ": ");
		h2_head_field(h, (struct str){ lines, (size_t)(colon - lines) },
			      (struct str){ colon + 2, (size_t)(end - colon - 2) });
		lines = end + 1;
	}
	*ret = h;
	return h2_head_finish(h, fin);
}

static void test_rows(void **state)
{
	static const struct {
		const char *lines;
		bool fin, ok;
		size_t nfields;
		enum http_length length;
	} rows[] = {
		{ M S A P, true, true, 0, HTTP_LENGTH_NONE },
		{ M S A P, false, true, 0, HTTP_LENGTH_CHUNKED },
		{ M S A P "content-length: 7\n", false, true, 1, HTTP_LENGTH_FIXED },
		{ M S A P "content-length: 0\n", true, true, 1, HTTP_LENGTH_FIXED },
		{ M ":scheme: HTTPS\n" A P, true, true, 0, HTTP_LENGTH_NONE },
		{ M S P "host: a.example\n", true, true, 0, HTTP_LENGTH_NONE },
		{ M S A P "host: A.EXAMPLE\nx: 1\n", true, true, 1, HTTP_LENGTH_NONE },
		{ M S A P "x: 1\nx: 2\nx: 1\n", true, true, 3, HTTP_LENGTH_NONE },
		{ M S A P "te: Trailers\ntrailer: x\nexpect: 100-Continue\n", true, true, 0, HTTP_LENGTH_NONE },

		{ "", true, false, 0, 0 },
		{ S A P, true, false, 0, 0 },
		{ M A P, true, false, 0, 0 },
		{ M S P, true, false, 0, 0 },
		{ M S A, true, false, 0, 0 },
		{ M ":scheme: http\n" A P, true, false, 0, 0 },
		{ M ":scheme: ftp\n" A P, true, false, 0, 0 },
		{ M S A P ":status: 200\n", true, false, 0, 0 },
		{ M S A P ":protocol: websocket\n", true, false, 0, 0 },
		{ ":method: CONNECT\n" S A P, true, false, 0, 0 },
		{ M S A ":path: *\n", true, false, 0, 0 },
		{ M S A ":path: v1\n", true, false, 0, 0 },
		{ M S A P "host: b.example\n", true, false, 0, 0 },
		{ M S P "host: a.example\nhost: a.example\n", true, false, 0, 0 },
		{ M S A P "host: a.example\nhost: b.example\n", true, false, 0, 0 },
		{ M S ":authority: \n" P "host: a.example\n", true, false, 0, 0 },
		{ M S ":authority: u@a.example\n" P, true, false, 0, 0 },
		{ M S A P "X: 1\n", true, false, 0, 0 },
		{ M S A P "x y: 1\n", true, false, 0, 0 },
		{ M S A P ": 1\n", true, false, 0, 0 },
		{ M S A P "x:  1\n", true, false, 0, 0 },
		{ M S A P "x: 1\t\n", true, false, 0, 0 },
		{ M S A P "x: a\rb\n", true, false, 0, 0 },
		{ M S A P "connection: x\n", true, false, 0, 0 },
		{ M S A P "transfer-encoding: chunked\n", false, false, 0, 0 },
		{ M S A P "upgrade: x\n", true, false, 0, 0 },
		{ M S A P "keep-alive: x\n", true, false, 0, 0 },
		{ M S A P "proxy-connection: x\n", true, false, 0, 0 },
		{ M S A P "te: gzip\n", true, false, 0, 0 },
		{ M S A P "expect: something\n", true, false, 0, 0 },
		{ M S A P "content-length: 7\n", true, false, 0, 0 },
		{ M S A P "content-length: -7\n", false, false, 0, 0 },
		{ M S A P "content-length: 7\ncontent-length: 7\n", false, false, 0, 0 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct h2_head *h;
		const struct http_head *head = make(&h, rows[i].lines, rows[i].fin);
		if ((head != NULL) != rows[i].ok)
			fail_msg("row %zu: %s", i, rows[i].lines);
		if (head) {
			assert_int_equal(head->nfields, rows[i].nfields);
			assert_int_equal(head->length, rows[i].length);
			assert_true(str_eq(head->target, STR("/v1")));
			assert_true(str_eq_nocase(head->authority, STR("a.example")));
		}
		h2_head_free(h);
	}
	h2_head_free(NULL);
}

/* 64 KiB as RFC 9113 6.5.2 counts: names, values and 32 bytes each. */
static void test_the_list_is_bounded_to_the_byte(void **state)
{
	static char value[HTTP_HEAD_MAX];
	struct h2_head *h;

	(void)state;
	memset(value, 'v', sizeof(value));
	for (size_t over = 0; over <= 1; over++) {
		(void)make(&h, M S A P, true);
		size_t used = (7 + 4 + 32) + (7 + 5 + 32) + (10 + 9 + 32) + (5 + 3 + 32);
		h2_head_field(h, STR("x"), (struct str){ value, HTTP_HEAD_MAX - used - 33 + over });
		assert_int_equal(h2_head_finish(h, true) != NULL, over == 0);
		/* What comes after is not looked at, and does not overflow. */
		for (int i = 0; i < 10000; i++)
			h2_head_field(h, STR("x"), STR("yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"));
		assert_null(h2_head_finish(h, true));
		h2_head_free(h);
	}
	for (size_t n = HTTP_FIELDS_MAX; n <= HTTP_FIELDS_MAX + 1; n++) {
		(void)make(&h, M S A P, true);
		for (size_t i = 0; i < n; i++)
			h2_head_field(h, STR("x"), STR("y"));
		assert_int_equal(h2_head_finish(h, true) != NULL, n == HTTP_FIELDS_MAX);
		h2_head_free(h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_the_list_is_bounded_to_the_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
