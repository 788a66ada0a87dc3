// SPDX-License-Identifier: Apache-2.0
/* test_str.c: comparisons, cutting, numbers, and host names: what a name is and what only looks like one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void compares(void **state)
{
	static const struct {
		struct str a, b;
		bool eq, nocase, starts, ends;
	} cases[] = {
		{ { "", 0 }, { NULL, 0 }, true, true, true, true },
		{ { NULL, 0 }, { "x", 1 }, false, false, false, false },
		{ { "abc", 3 }, { "abc", 3 }, true, true, true, true },
		{ { "abc", 3 }, { "ABC", 3 }, false, true, false, false },
		{ { "abc", 3 }, { "ab", 2 }, false, false, true, false },
		{ { "abc", 3 }, { "bc", 2 }, false, false, false, true },
		{ { "ab", 2 }, { "abc", 3 }, false, false, false, false },
		/* '@' and '`' lie 0x20 apart, as letters do, and are none. */
		{ { "@", 1 }, { "`", 1 }, false, false, false, false },
		{ { "[", 1 }, { "{", 1 }, false, false, false, false },
		{ { "\xc3\x84", 2 }, { "\xc3\xa4", 2 }, false, false, false, false },
		{ { "a\0b", 3 }, { "a\0c", 3 }, false, false, false, false },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(str_eq(cases[i].a, cases[i].b), cases[i].eq);
		assert_int_equal(str_eq_nocase(cases[i].a, cases[i].b), cases[i].nocase);
		assert_int_equal(str_starts(cases[i].a, cases[i].b), cases[i].starts);
		assert_int_equal(str_ends(cases[i].a, cases[i].b), cases[i].ends);
	}
	assert_int_equal(str_of(NULL).n, 0);
	assert_int_equal(str_of("four").n, 4);
}

static void trims(void **state)
{
	static const char *const cases[][2] = {
		{ "", "" }, { "  \t ", "" }, { " a b\t", "a b" }, { "a", "a" }, { "\na\r", "\na\r" },
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		assert_true(str_eq(str_trim(str_of(cases[i][0])), str_of(cases[i][1])));
	assert_int_equal(str_trim((struct str){ NULL, 0 }).n, 0);
}

static void cuts(void **state)
{
	struct str s = STR("a,,b");

	assert_true(str_eq(str_cut(&s, ','), STR("a")));
	assert_true(str_eq(str_cut(&s, ','), STR("")));
	assert_true(str_eq(str_cut(&s, ','), STR("b")));
	assert_int_equal(s.n, 0);
	assert_true(str_eq(str_cut(&s, ','), STR("")));
	s = STR("x,");
	assert_true(str_eq(str_cut(&s, ','), STR("x")));
	assert_int_equal(s.n, 0);
	s = (struct str){ NULL, 0 };
	assert_int_equal(str_cut(&s, ',').n, 0);
}

static void copies(void **state)
{
	char to[4];

	assert_true(str_copy(to, sizeof(to), STR("abc")));
	assert_string_equal(to, "abc");
	assert_false(str_copy(to, sizeof(to), STR("wxyz")));
	assert_string_equal(to, "wxy");
	assert_true(str_copy(to, sizeof(to), (struct str){ NULL, 0 }));
	assert_string_equal(to, "");
	assert_false(str_copy(to, 0, STR("a")));
}

static void reads_integers(void **state)
{
	static const struct {
		const char *text;
		int r;
		int64_t v;
	} cases[] = {
		{ "0", 0, 0 },
		{ "007", 0, 7 },
		{ "9223372036854775807", 0, INT64_MAX },
		{ "9223372036854775808", -ERANGE, 0 },
		{ "99999999999999999999999999", -ERANGE, 0 },
		{ "99999999999999999999999999x", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "1e3", -EINVAL, 0 },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t v = -77;

		assert_int_equal(str_to_i64(str_of(cases[i].text), &v), cases[i].r);
		assert_int_equal(v, cases[i].r == 0 ? cases[i].v : -77);
	}
	assert_int_equal(str_to_i64((struct str){ "1\0", 2 }, &(int64_t){ 0 }), -EINVAL);
}

#define L63 "a23456789012345678901234567890123456789012345678901234567890123"

static void reads_hosts(void **state)
{
	static const struct {
		const char *text;
		int r;
		const char *host;
		int port;
	} cases[] = {
		{ "api.openai.com", 0, "api.openai.com", -1 },
		{ "API.OpenAI.Com", 0, "api.openai.com", -1 },
		{ "api.openai.com.", 0, "api.openai.com", -1 },
		{ "api.openai.com:443", 0, "api.openai.com", 443 },
		{ "api.openai.com.:65535", 0, "api.openai.com", 65535 },
		{ "localhost", 0, "localhost", -1 },
		{ "_sip._tcp.example", 0, "_sip._tcp.example", -1 },
		{ "xn--bcher-kva.example", 0, "xn--bcher-kva.example", -1 },
		{ "r3---sn-4g5e.example", 0, "r3---sn-4g5e.example", -1 },
		{ "1.2.3.example", 0, "1.2.3.example", -1 },
		{ "4chan", 0, "4chan", -1 },
		{ L63 ".b", 0, L63 ".b", -1 },
		{ L63 "x.b", -EINVAL, NULL, 0 },
		/* 253 fit: three labels of 63, one of 61, three dots. */
		{ L63 "." L63 "." L63 ".a23456789012345678901234567890123456789012345678901234567890b", 0,
		  L63 "." L63 "." L63 ".a23456789012345678901234567890123456789012345678901234567890b", -1 },
		{ L63 "." L63 "." L63 ".a2345678901234567890123456789012345678901234567890123456789012", -EINVAL,
		  NULL, 0 },
		{ "", -EINVAL, NULL, 0 },
		{ ".", -EINVAL, NULL, 0 },
		{ "..", -EINVAL, NULL, 0 },
		{ "a..", -EINVAL, NULL, 0 },
		{ "a..b", -EINVAL, NULL, 0 },
		{ ".a", -EINVAL, NULL, 0 },
		{ ":443", -EINVAL, NULL, 0 },
		{ "a:", -EINVAL, NULL, 0 },
		{ "a:0", -EINVAL, NULL, 0 },
		{ "a:65536", -EINVAL, NULL, 0 },
		{ "a:443:443", -EINVAL, NULL, 0 },
		{ "a:+443", -EINVAL, NULL, 0 },
		{ "a: 443", -EINVAL, NULL, 0 },
		{ "a:000443", -EINVAL, NULL, 0 },
		{ "a:443.", -EINVAL, NULL, 0 },
		{ "a b", -EINVAL, NULL, 0 },
		{ " a", -EINVAL, NULL, 0 },
		{ "a\t", -EINVAL, NULL, 0 },
		{ "a/b", -EINVAL, NULL, 0 },
		{ "user@a", -EINVAL, NULL, 0 },
		{ "a,b", -EINVAL, NULL, 0 },
		{ "*.openai.com", -EINVAL, NULL, 0 },
		{ "-a.b", -EINVAL, NULL, 0 },
		{ "a-.b", -EINVAL, NULL, 0 },
		{ "b\xc3\xbc" "cher.example", -EINVAL, NULL, 0 },
		/* Addresses, in every writing that some resolver takes for one. */
		{ "127.0.0.1", -EINVAL, NULL, 0 },
		{ "127.0.0.1:443", -EINVAL, NULL, 0 },
		{ "127.0.0.1.", -EINVAL, NULL, 0 },
		{ "127.1", -EINVAL, NULL, 0 },
		{ "2130706433", -EINVAL, NULL, 0 },
		{ "0x7f000001", -EINVAL, NULL, 0 },
		{ "127.0.0.0X1", -EINVAL, NULL, 0 },
		{ "0x", -EINVAL, NULL, 0 },
		{ "api.example.8", -EINVAL, NULL, 0 },
		{ "[::1]", -EINVAL, NULL, 0 },
		{ "[::1]:443", -EINVAL, NULL, 0 },
		{ "::1", -EINVAL, NULL, 0 },
		{ "fe80::1%eth0", -EINVAL, NULL, 0 },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char host[254] = "untouched";
		int port = 77;
		int r = str_host(str_of(cases[i].text), host, sizeof(host), &port);

		if (r != cases[i].r)
			fail_msg("\"%s\": %d", cases[i].text, r);
		assert_string_equal(host, r == 0 ? cases[i].host : "untouched");
		assert_int_equal(port, r == 0 ? cases[i].port : 77);
		assert_int_equal(str_host(str_of(cases[i].text), host, sizeof(host), NULL), r);
	}
}

static void hosts_need_room_and_no_nul(void **state)
{
	char host[5];

	assert_int_equal(str_host(STR("abcd."), host, sizeof(host), NULL), 0);
	assert_int_equal(str_host(STR("abcde"), host, sizeof(host), NULL), -ENOSPC);
	assert_int_equal(str_host(STR("a"), host, 0, NULL), -ENOSPC);
	assert_int_equal(str_host((struct str){ "a\0b", 3 }, host, sizeof(host), NULL), -EINVAL);
	assert_int_equal(str_host((struct str){ "a\0", 2 }, host, sizeof(host), NULL), -EINVAL);
	assert_int_equal(str_host((struct str){ NULL, 0 }, host, sizeof(host), NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compares),
		cmocka_unit_test(trims),
		cmocka_unit_test(cuts),
		cmocka_unit_test(copies),
		cmocka_unit_test(reads_integers),
		cmocka_unit_test(reads_hosts),
		cmocka_unit_test(hosts_need_room_and_no_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
