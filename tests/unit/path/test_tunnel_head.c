// SPDX-License-Identifier: Apache-2.0
/* test_tunnel_head.c: CONNECT and its answer: whole, byte by byte and cut at random; what two readers could read differently is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "path/tunnel_head.h"

static bool is_llm(void *ctx, const char *host) { return strcmp(host, "api.openai.com") == 0; }

#define V " HTTP/1.1\r\n"
static const struct {
	const char *text;
	enum tunnel_verdict is;
	const char *host; /* "" = an address */
	uint16_t port;
	bool is_llm;
} rows[] = {
	{ "CONNECT api.openai.com:443" V "\r\n", TUNNEL_HEAD, "api.openai.com", 443, true },
	{ "CONNECT API.OpenAI.com.:8443 HTTP/1.0\r\nHost: other.test\r\nProxy-Authorization: Basic x\r\n\r\n", TUNNEL_HEAD, "api.openai.com", 8443, true },
	{ "CONNECT other.test:443" V "Host: other.test:443\r\nUser-Agent: curl/8 HTTP/1.1\r\ncontent-length:\t0\r\n\r\n", TUNNEL_HEAD, "other.test", 443, false },
	{ "CONNECT 198.51.100.7:443" V "\r\n", TUNNEL_HEAD, "", 443, false },
	{ "CONNECT [2001:db8::1]:443" V "\r\n", TUNNEL_HEAD, "", 443, false },
	{ "CONNECT other.test:443" V "\r\nCONNECT api.openai.com:443" V "\r\n", TUNNEL_HEAD, "other.test", 443, false }, /* the tunnel's */
	{ "GET / HTTP/1.1\r\n\r\n", TUNNEL_OTHER, "", 0, false },
	{ "connect api.openai.com:443" V "\r\n", TUNNEL_OTHER, "", 0, false },
	{ "\r\nCONNECT other.test:443" V "\r\n", TUNNEL_OTHER, "", 0, false },
	{ "CONNECT\tother.test:443" V "\r\n", TUNNEL_OTHER, "", 0, false },
	{ "CONNECT other.test:443" V, TUNNEL_MORE, "", 0, false },
	{ "CONN", TUNNEL_MORE, "", 0, false },
	/* the target */
	{ "CONNECT other.test" V "\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT other.test:" V "\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT other.test:0" V "\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT other.test:65536" V "\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT  other.test:443" V "\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT other.test:443 " V "\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT other.test:443 api.openai.com:443" V "\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT u@other.test:443" V "\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT http://other.test:443" V "\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT 2130706433:443" V "\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT 0x7f.1:443" V "\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT 2001:db8::1:443" V "\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT other.test:443 HTTP/2.0\r\n\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT HTTP/1.1\r\n\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT \r\n\r\n", TUNNEL_BAD, "", 0, false },
	/* fields */
	{ "CONNECT other.test:443" V "Host: api.openai.com\r\n\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT other.test:443" V "X: y\nHost: z\r\n\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT other.test:443" V "X: y\rHost: z\r\n\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT other.test:443\nHost: z" V "\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT other.test:443" V "X: y\r\n folded\r\n\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT other.test:443" V "X : y\r\n\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT other.test:443" V ": y\r\n\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT other.test:443" V "none\r\n\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT other.test:443" V "Content-Length: 5\r\n\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT other.test:443" V "Transfer-Encoding: chunked\r\n\r\n", TUNNEL_BAD, "", 0, false },
	{ "CONNECT other.test:443" V "Upgrade: h2c\r\n\r\n", TUNNEL_BAD, "", 0, false },
};

/* Exactly n bytes, so that a sanitizer sees a step too far. */
static enum tunnel_verdict read_n(const char *text, size_t n, struct tunnel_head *h)
{
	char *copy = malloc(n ? n : 1);
	struct err e = { "" };

	memcpy(copy, text, n);
	enum tunnel_verdict v = tunnel_read_connect(copy, n, is_llm, NULL, h, &e);

	free(copy);
	return v;
}

static void connects(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const size_t n = strlen(rows[i].text);
		struct tunnel_head h = { .host = "" }, part;

		if (read_n(rows[i].text, n, &h) != rows[i].is)
			fail_msg("row %zu: %s", i, rows[i].text);
		if (rows[i].is == TUNNEL_HEAD) {
			assert_string_equal(h.host, rows[i].host);
			assert_int_equal(h.to.port, rows[i].port);
			assert_int_equal(h.is_llm, rows[i].is_llm);
			assert_ptr_equal(rows[i].text + h.bytes, strstr(rows[i].text, "\r\n\r\n") + 4);
		}
		/* What is decided of a part stays so, to the byte. */
		for (size_t k = 0; k < n; k++) {
			enum tunnel_verdict v = read_n(rows[i].text, k, &part);

			assert_true(v == TUNNEL_MORE || v == rows[i].is);
			if (v == TUNNEL_HEAD)
				assert_int_equal(part.bytes, h.bytes);
		}
	}
}

static void long_heads(void **state)
{
	static char text[TUNNEL_HEAD_MAX + 100];
	struct tunnel_head h;
	struct tunnel_answer a;
	struct err e;

	memset(text, 'a', sizeof(text));
	memcpy(text, "CONNECT other.test:443" V "X: ", sizeof("CONNECT other.test:443" V "X: ") - 1);
	assert_int_equal(read_n(text, TUNNEL_HEAD_MAX - 1, &h), TUNNEL_MORE);
	assert_int_equal(read_n(text, TUNNEL_HEAD_MAX, &h), TUNNEL_BAD);
	memcpy(text + TUNNEL_HEAD_MAX - 4, "\r\n\r\n", 4);
	assert_int_equal(read_n(text, TUNNEL_HEAD_MAX, &h), TUNNEL_HEAD);
	memmove(text + TUNNEL_HEAD_MAX - 3, "\r\n\r\n", 4);
	assert_int_equal(read_n(text, TUNNEL_HEAD_MAX + 1, &h), TUNNEL_BAD);
	assert_int_equal(tunnel_read_answer(text, TUNNEL_HEAD_MAX, &a, &e), TUNNEL_BAD);
	assert_int_equal(tunnel_read_answer(text, 100, &a, &e), TUNNEL_MORE);
}

static const struct {
	const char *text;
	enum tunnel_verdict is;
	unsigned status;
} answers[] = {
	{ "HTTP/1.1 200 Connection established\r\n\r\n", TUNNEL_HEAD, 200 }, { "HTTP/1.0 200\r\nVia: x\r\n\r\nSSH-2.0", TUNNEL_HEAD, 200 },
	{ "HTTP/1.1 407 no\r\nContent-Length: 5\r\n\r\nlogin", TUNNEL_HEAD, 407 },
	{ "HTTP/1.1 100 go on\r\n\r\n", TUNNEL_BAD, 0 }, { "HTTP/1.1 2000 x\r\n\r\n", TUNNEL_BAD, 0 }, { "HTTP/1.1 20x\r\n\r\n", TUNNEL_BAD, 0 },
	{ "HTTP/2 200 x\r\n\r\n", TUNNEL_BAD, 0 }, { "\r\n\r\n", TUNNEL_BAD, 0 }, { "HTTP/1.1 200 x\r\n", TUNNEL_MORE, 0 },
};

static void what_the_proxy_says(void **state)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct tunnel_answer a = { 0 };
		struct err e;
		const size_t n = strlen(answers[i].text);

		if (tunnel_read_answer(answers[i].text, n, &a, &e) != answers[i].is)
			fail_msg("answer %zu", i);
		assert_int_equal(a.status, answers[i].status);
		for (size_t k = 0; k < n; k++) {
			enum tunnel_verdict v = tunnel_read_answer(answers[i].text, k, &a, &e);

			assert_true(v == TUNNEL_MORE || v == answers[i].is);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(connects), cmocka_unit_test(long_heads), cmocka_unit_test(what_the_proxy_says) };

	return cmocka_run_group_tests_name("path/tunnel_head", tests, NULL, NULL);
}
