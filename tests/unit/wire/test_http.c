// SPDX-License-Identifier: Apache-2.0
/* test_http.c: fields of a head, and which bytes may stand where. */
#include "cuts.h"

#include <errno.h>

#include "base/str.h"
#include "wire/http.h"

static struct http_head head;

static void fill(void)
{
	memset(&head, 0, sizeof(head));
	assert_int_equal(http_add(&head, STR("A"), STR("1")), 0);
	assert_int_equal(http_add(&head, STR("b"), STR("2")), 0);
	assert_int_equal(http_add(&head, STR("a"), STR("3")), 0);
	assert_int_equal(http_add(&head, STR("C"), STR("4")), 0);
}

static void check_fields(const char *expected)
{
	char got[256] = "";
	size_t at = 0;

	for (size_t i = 0; i < head.nfields; i++)
		at += (size_t)snprintf(got + at, sizeof(got) - at, "%.*s=%.*s;", STR_FMT(head.fields[i].name),
				       STR_FMT(head.fields[i].value));
	assert_string_equal(got, expected);
}

static void edits_fields(void **state)
{
	fill();
	assert_true(str_eq(http_find(&head, STR("a"))->value, STR("1")));
	assert_null(http_find(&head, STR("d")));
	assert_int_equal(http_count(&head, STR("A")), 2);
	assert_int_equal(http_count(&head, STR("x")), 0);
	http_drop(&head, STR("a"));
	check_fields("b=2;C=4;");
	http_drop(&head, STR("none"));
	check_fields("b=2;C=4;");

	fill();
	assert_int_equal(http_set(&head, STR("a"), STR("9")), 0);
	check_fields("A=9;b=2;C=4;");
	assert_int_equal(http_set(&head, STR("new"), STR("5")), 0);
	check_fields("A=9;b=2;C=4;new=5;");
	/* A name that is itself a field of the head being edited. */
	http_drop(&head, head.fields[1].name);
	check_fields("A=9;C=4;new=5;");
}

static void is_full_at_128(void **state)
{
	memset(&head, 0, sizeof(head));
	for (int i = 0; i < HTTP_FIELDS_MAX; i++)
		assert_int_equal(http_add(&head, STR("a"), STR("1")), 0);
	assert_int_equal(http_add(&head, STR("a"), STR("1")), -ENOSPC);
	assert_int_equal(http_set(&head, STR("b"), STR("1")), -ENOSPC);
	assert_int_equal(http_set(&head, STR("a"), STR("2")), 0);
	check_fields("a=2;");
}

#define S(literal) { literal, sizeof(literal) - 1 }
static const struct {
	bool (*ask)(struct str s);
	struct str s;
	bool expected;
} questions[] = {
	{ http_is_token, S("Content-Type"), true },
	{ http_is_token, S("!#$%&'*+-.^_`|~09azAZ"), true },
	{ http_is_token, S(""), false },
	{ http_is_token, S("a b"), false },
	{ http_is_token, S("a:"), false },
	{ http_is_token, S("a\0"), false },
	{ http_is_token, S("a\r"), false },
	{ http_is_token, S("a\x80"), false },
	{ http_is_token, S("a\x7f"), false },
	{ http_is_token, S("a/b"), false },
	{ http_is_token, S("\"a\""), false },
	{ http_is_value, S(""), true },
	{ http_is_value, S("a b\tc"), true },
	{ http_is_value, S("\xc3\xa9t\xc3\xa9"), true },
	{ http_is_value, S(" a"), false },
	{ http_is_value, S("a "), false },
	{ http_is_value, S("a\t"), false },
	{ http_is_value, S(" "), false },
	{ http_is_value, S("a\rb"), false },
	{ http_is_value, S("a\nb"), false },
	{ http_is_value, S("a\0b"), false },
	{ http_is_value, S("a\x7f"), false },
	{ http_is_value, S("a\x1b"), false },
	{ http_is_target, S("/"), true },
	{ http_is_target, S("/v1/chat/completions?a=b&c={d}|e"), true },
	{ http_is_target, S("*"), true },
	{ http_is_target, S("**"), false },
	{ http_is_target, S(""), false },
	{ http_is_target, S("v1"), false },
	{ http_is_target, S("http://a/b"), false },
	{ http_is_target, S("/a b"), false },
	{ http_is_target, S("/a#b"), false },
	{ http_is_target, S("/a\tb"), false },
	{ http_is_target, S("/\xc3\xa9"), false },
	{ http_is_target, S("/a\0"), false },
	{ http_is_authority, S("api.example.com"), true },
	{ http_is_authority, S("api.example.com:443"), true },
	{ http_is_authority, S("api.example.com:"), true },
	{ http_is_authority, S("127.0.0.1:8080"), true },
	{ http_is_authority, S("[::1]"), true },
	{ http_is_authority, S("[2001:db8::1]:443"), true },
	{ http_is_authority, S("[::ffff:192.0.2.1]"), true },
	{ http_is_authority, S(""), false },
	{ http_is_authority, S(":443"), false },
	{ http_is_authority, S("a:443:443"), false },
	{ http_is_authority, S("a:x"), false },
	{ http_is_authority, S("a:123456"), false },
	{ http_is_authority, S("user@a"), false },
	{ http_is_authority, S("a/b"), false },
	{ http_is_authority, S("a b"), false },
	{ http_is_authority, S("a,b:1,2"), false },
	{ http_is_authority, S("[]"), false },
	{ http_is_authority, S("[::1"), false },
	{ http_is_authority, S("[::1]x"), false },
	{ http_is_authority, S("[g::1]"), false },
	{ http_is_authority, S("[a[b]"), false },
	{ http_is_authority, S("a]"), false },
	{ http_is_authority, S("a?b"), false },
	{ http_is_authority, S("a\0"), false },
	{ http_is_hop, S("Connection"), true },
	{ http_is_hop, S("TRANSFER-encoding"), true },
	{ http_is_hop, S("te"), true },
	{ http_is_hop, S("upgrade"), true },
	{ http_is_hop, S("Content-Length"), false },
	{ http_is_hop, S("t"), false },
	{ http_is_hop, S(""), false },
};

static void knows_what_may_stand(void **state)
{
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		if (questions[i].ask(questions[i].s) != questions[i].expected) {
			fprintf(stderr, "row %zu: \"%.*s\"\n", i, STR_FMT(questions[i].s));
			fail();
		}
	}
}

/* Every byte at every place of a value: reading eight at a time must say what reading one at a time says. */
static void knows_each_byte_of_a_value(void **state)
{
	char text[20];

	for (size_t n = 3; n <= sizeof(text); n++) {
		for (size_t at = 1; at < n - 1; at++) {
			for (unsigned c = 0; c < 256; c++) {
				memset(text, c % 2 ? 'x' : 0xe9, n);
				text[at] = (char)c;
				assert_int_equal(http_is_value((struct str){ text, n }), c == '\t' || (c >= 0x20 && c != 0x7f));
			}
		}
	}
}

static const struct {
	struct str s;
	int64_t expected; /* -1: refused */
} lengths[] = {
	{ S("0"), 0 },
	{ S("17"), 17 },
	{ S("0017"), 17 },
	{ S("9007199254740992"), INT64_C(9007199254740992) },
	{ S("9007199254740993"), -1 },
	{ S("18446744073709551617"), -1 },
	{ S("99999999999999999999999999999999999999999999"), -1 },
	{ S(""), -1 },
	{ S("+1"), -1 },
	{ S("-1"), -1 },
	{ S("1 "), -1 },
	{ S("0x1"), -1 },
	{ S("1,1"), -1 },
	{ S("1\0"), -1 },
	{ S("\xd9\xa1"), -1 },
};

static void reads_lengths(void **state)
{
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		int64_t n = -1;
		int ret = http_read_length(lengths[i].s, &n);

		assert_int_equal(ret, lengths[i].expected < 0 ? -EINVAL : 0);
		assert_int_equal(n, lengths[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edits_fields),
		cmocka_unit_test(is_full_at_128),
		cmocka_unit_test(knows_what_may_stand),
		cmocka_unit_test(knows_each_byte_of_a_value),
		cmocka_unit_test(reads_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
