// SPDX-License-Identifier: Apache-2.0
/*
 * test_second.c: what follows a first ClientHello: nothing is held longer than until a ServerHello, and after a HelloRetryRequest only the same
 * name passes. Every case in steps of every size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "path/second.h"
#include "wire/hello.h"

#define RETRY "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c"
#define RANDOM "0123456789abcdef0123456789abcdef"
#define SERVER(random) "\x16\x03\x03\x00\x2c\x02\x00\x00\x28\x03\x03" random "\x00\x13\x01\x00\x00\x00"
#define CCS "\x14\x03\x03\x00\x01\x01"
#define EARLY "\x17\x03\x03\x00\x05" "early"
#define WARNING "\x15\x03\x03\x00\x02\x01\x70"
#define HELLO(length, extensions) "\x16\x03\x03\x00" length extensions
#define START(body, length) "\x01\x00\x00" body "\x03\x03" RANDOM "\x00\x00\x02\x13\x01\x01\x00\x00" length
#define HELLO_A HELLO("\x3b", START("\x37", "\x0c") "\x00\x00\x00\x08\x00\x06\x00\x00\x03" "a.a")
#define HELLO_B HELLO("\x3b", START("\x37", "\x0c") "\x00\x00\x00\x08\x00\x06\x00\x00\x03" "b.b")
#define HELLO_ODD HELLO("\x3b", START("\x37", "\x0c") "\x00\x00\x00\x08\x00\x06\x00\x00\x03" "a b")
#define HELLO_NONE HELLO("\x2f", START("\x2b", "\x00"))
#define HELLO_A_ECH HELLO("\x40", START("\x3c", "\x11") "\x00\x00\x00\x08\x00\x06\x00\x00\x03" "a.a" "\xfe\x0d\x00\x01\x01")

struct bytes {
	const char *p;
	size_t n;
};
#define B(literal) { literal, sizeof(literal) - 1 }

static const struct {
	const char *name;
	struct bytes first, server, agent;
	enum second_verdict is; /* SECOND_PASS also when nobody had to be asked */
} rows[] = {
	{ "a ServerHello", B(HELLO_A), B(SERVER(RANDOM)), B(""), SECOND_PASS },
	{ "a ServerHello behind a warning", B(HELLO_A), B(WARNING SERVER(RANDOM)), B(""), SECOND_PASS },
	{ "a fatal alert", B(HELLO_A), B("\x15\x03\x03\x00\x02\x02\x28"), B(""), SECOND_PASS },
	{ "no TLS", B(HELLO_A), B("HTTP/1.0 400 Bad Request\r\n"), B(""), SECOND_PASS },
	{ "no answer yet", B(HELLO_A), B("\x16\x03\x03\x00\x2c\x02"), B(HELLO_B), SECOND_HOLD },
	{ "retry, the same name", B(HELLO_A), B(SERVER(RETRY)), B(HELLO_A), SECOND_PASS },
	{ "retry, the same name, as middleboxes like it", B(HELLO_A), B(SERVER(RETRY)), B(CCS HELLO_A), SECOND_PASS },
	{ "retry, behind early data", B(HELLO_A), B(SERVER(RETRY)), B(EARLY EARLY CCS HELLO_A), SECOND_PASS },
	{ "retry, an alert", B(HELLO_A), B(SERVER(RETRY)), B("\x15\x03\x03\x00\x02\x02\x28"), SECOND_PASS },
	{ "retry, nothing yet", B(HELLO_A), B(SERVER(RETRY)), B(CCS), SECOND_HOLD },
	{ "retry, half a hello", B(HELLO_A), B(SERVER(RETRY)), B("\x16\x03\x03\x00\x3b\x01\x00\x00\x37\x03\x03"), SECOND_HOLD },
	{ "retry, another name", B(HELLO_A), B(SERVER(RETRY)), B(HELLO_B), SECOND_REFUSE },
	{ "retry, another name, behind early data", B(HELLO_A), B(SERVER(RETRY)), B(EARLY CCS HELLO_B), SECOND_REFUSE },
	{ "retry behind a warning, another name", B(HELLO_A), B(WARNING SERVER(RETRY)), B(HELLO_B), SECOND_REFUSE },
	{ "retry, no name", B(HELLO_A), B(SERVER(RETRY)), B(HELLO_NONE), SECOND_REFUSE },
	{ "retry, a name where there was none", B(HELLO_NONE), B(SERVER(RETRY)), B(HELLO_A), SECOND_REFUSE },
	{ "retry, no name both times", B(HELLO_NONE), B(SERVER(RETRY)), B(HELLO_NONE), SECOND_PASS },
	{ "retry, an odd name where there was none", B(HELLO_NONE), B(SERVER(RETRY)), B(HELLO_ODD), SECOND_REFUSE },
	{ "retry, ECH where there was none", B(HELLO_A), B(SERVER(RETRY)), B(HELLO_A_ECH), SECOND_REFUSE },
	{ "retry, ECH both times", B(HELLO_A_ECH), B(SERVER(RETRY)), B(HELLO_A_ECH), SECOND_PASS },
	{ "retry, a broken hello", B(HELLO_A), B(SERVER(RETRY)), B(HELLO("\x05", "\x01\x00\x00\x01\x03")), SECOND_REFUSE },
	{ "retry, another record", B(HELLO_A), B(SERVER(RETRY)), B("GET / HTTP/1.1\r\n"), SECOND_REFUSE },
	{ "a ServerHello in pieces, a key exchange", B(HELLO_A), B("\x16\x03\x03\x00\x01\x02"), B("\x16\x03\x03\x00\x02\x10\x00"), SECOND_PASS },
	{ "a ServerHello in pieces, another name", B(HELLO_A), B("\x16\x03\x03\x00\x01\x02"), B(HELLO_B), SECOND_REFUSE },
};

static enum second_verdict run(size_t i, size_t step)
{
	struct bytes server = rows[i].server, agent = rows[i].agent;
	enum second_verdict v = SECOND_HOLD;
	struct second s;
	struct hello h;
	struct err e = { "" };

	if (hello_parse(rows[i].first.p, rows[i].first.n, &h, &e) != HELLO_TLS)
		fail_msg("%s: %s", rows[i].name, e.text);
	second_begin(&s, &h);
	for (size_t at = 0; at < server.n && s.waits_for == SECOND_SERVER; at += step)
		second_server(&s, server.p + at, step < server.n - at ? step : server.n - at);
	if (s.waits_for == SECOND_OVER)
		return SECOND_PASS;
	for (size_t n = step; v == SECOND_HOLD && s.waits_for == SECOND_AGENT; n += step) {
		v = second_agent(&s, agent.p, n < agent.n ? n : agent.n);
		if (n >= agent.n)
			break;
	}
	assert_int_equal(v == SECOND_PASS, s.waits_for == SECOND_OVER);
	return v;
}

static void second_hellos(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t step = 1; step < 200; step++)
			if (run(i, step) != rows[i].is)
				fail_msg("%s, in steps of %zu: %d", rows[i].name, step, (int)run(i, step));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(second_hellos) };

	return cmocka_run_group_tests_name("path/second", tests, NULL, NULL);
}
