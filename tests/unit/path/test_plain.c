// SPDX-License-Identifier: Apache-2.0
/* test_plain.c: which plain HTTP requests mean an LLM host: whole, byte by byte, and in the ways that servers read more than one would think. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "path/plain.h"

static bool is_llm(void *ctx, const char *host) { return strcmp(host, "api.openai.com") == 0; }

static const struct {
	const char *text;
	enum plain_verdict is;
} rows[] = {
	{ "GET / HTTP/1.1\r\nHost: api.openai.com\r\n", PLAIN_LLM },
	{ "GET / HTTP/1.1\r\nhOsT:API.OpenAI.com\r\n", PLAIN_LLM },
	{ "GET / HTTP/1.1\r\nhost: api.openai.com:80\r\n", PLAIN_LLM },
	{ "GET / HTTP/1.1\r\nhost:\t api.openai.com. \r\n", PLAIN_LLM },
	{ "GET / HTTP/1.1\r\nhost : api.openai.com\r\n", PLAIN_LLM },
	{ "GET / HTTP/1.1\r\n host: api.openai.com\r\n", PLAIN_LLM },
	{ "GET / HTTP/1.1\nhost: api.openai.com\n", PLAIN_LLM },
	{ "GET / HTTP/1.1\r\nhost: other.test\r\nhost: api.openai.com\r\n", PLAIN_LLM },
	{ "GET / HTTP/1.1\r\nx: y\rhost: api.openai.com\r\n", PLAIN_LLM },
	{ "GET / HTTP/1.1\r\nhost: user@api.openai.com\r\n", PLAIN_LLM },
	{ "GET http://api.openai.com/v1/models HTTP/1.1\r\n", PLAIN_LLM },
	{ "GET  http://u:p@api.openai.com:80/v1 HTTP/1.1\r\n", PLAIN_LLM },
	{ "GET //api.openai.com/v1 HTTP/1.1\r\n", PLAIN_LLM },
	{ "CONNECT api.openai.com:443 HTTP/1.1\r\n", PLAIN_LLM },
	/* What servers skip, fold and cut. */
	{ "\r\n\r\nGET / HTTP/1.1\r\nHost: api.openai.com\r\n", PLAIN_LLM },
	{ "\r\nGET http://api.openai.com/v1 HTTP/1.1\r\n", PLAIN_LLM },
	{ "GET / HTTP/1.1\r\nHost:\r\n  api.openai.com\r\n", PLAIN_LLM },
	{ "GET / HTTP/1.1\r\nHost:\n\tapi.openai.com\n", PLAIN_LLM },
	{ "GET / HTTP/1.1\r\nhost: a@b@api.openai.com\r\n", PLAIN_LLM },
	{ "GET\thttp://api.openai.com/ HTTP/1.1\r\n", PLAIN_LLM },
	{ "CONNECT other.test:443 HTTP/1.1\r\n", PLAIN_HIDDEN },
	{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", PLAIN_HIDDEN },
	{ "GET / HTTP/1.1\r\nHost: other.test\r\nUpgrade: websocket, h2c\r\n", PLAIN_HIDDEN },
	{ "GET / HTTP/1.1\r\nHost: other.test\r\nUpgrade:h2c\r\n", PLAIN_HIDDEN },
	{ "OPTIONS * HTTP/1.1\r\nHost: other.test\r\nupgrade: TLS/1.0\r\n", PLAIN_HIDDEN },
	{ "GET / HTTP/1.1\r\nHost: other.test\r\nUpgrade: h2\r\n\r\n", PLAIN_OTHER },
	{ "GET / HTTP/1.1\r\nHost: other.test\r\nUpgrade: websocket\r\n\r\n", PLAIN_OTHER },
	{ "GET / HTTP/1.1\r\nHost: other.test\r\nx:\r\n api.openai.com\r\n\r\n", PLAIN_OTHER },
	{ "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n", PLAIN_OTHER },
	{ "GET /api.openai.com HTTP/1.1\r\nHost: other.test\r\n\r\n", PLAIN_OTHER },
	{ "GET / HTTP/1.1\r\nHost: xapi.openai.com\r\n\r\n", PLAIN_OTHER },
	{ "GET / HTTP/1.1\r\nx-host: api.openai.com\r\n\r\n", PLAIN_OTHER },
	{ "POST / HTTP/1.1\r\nhost: other.test\r\n\r\nhost: api.openai.com\r\n", PLAIN_OTHER }, /* a body */
	{ "GET / HTTP/1.0\r\n\r\n", PLAIN_OTHER },
	{ "GET / HTTP/1.1\r\nhost: api.openai.com", PLAIN_MORE },
	{ "GET / HTTP/1.1", PLAIN_MORE },
	{ "", PLAIN_MORE },
};

static void heads(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = strlen(rows[i].text);

		if (plain_read(rows[i].text, n, is_llm, NULL) != rows[i].is)
			fail_msg("row %zu: %s", i, rows[i].text);
		/* Byte by byte: more, until it is decided; what is decided stays so. */
		enum plain_verdict seen = PLAIN_MORE;
		for (size_t k = 0; k <= n; k++) {
			enum plain_verdict now = plain_read(rows[i].text, k, is_llm, NULL);

			assert_true(seen == PLAIN_MORE || now == seen);
			seen = now;
		}
		assert_int_equal(seen, rows[i].is);
	}
}

/* What follows the first head, on a connection that is kept alive. */
#define FIRST "POST / HTTP/1.1\r\nHost: other.test\r\ncontent-length: 5\r\n\r\nhello"
static const struct {
	const char *text;
	enum plain_verdict is;
} streams[] = {
	{ FIRST "GET /v1/models HTTP/1.1\r\nHost: api.openai.com\r\n", PLAIN_LLM },
	{ FIRST FIRST "GET / HTTP/1.1\r\nhost: other.test\r\n\r\nGET / HTTP/1.1\r\nhost: api.openai.com\r\n", PLAIN_LLM },
	{ FIRST "GET http://api.openai.com/v1 HTTP/1.1\r\n", PLAIN_LLM },
	{ FIRST "GET / HTTP/1.1\r\nhost:\r\n api.openai.com\r\n", PLAIN_LLM },
	{ FIRST "GET http://api.openai.com/v1 http/1.1000000000 \r\n", PLAIN_LLM },
	{ FIRST "\nCONNECT other.test:443 HTTP/1.1\r\n", PLAIN_HIDDEN },
	{ FIRST "\r\nGET / HTTP/1.1\r\nupgrade: h2c\r\n", PLAIN_HIDDEN },
	/* No matter where we think that a body ends. */
	{ "POST / HTTP/1.1\r\ncontent-length: 999\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nhost: api.openai.com\r\n", PLAIN_LLM },
	{ "SSH-2.0-x\r\n\0\0\1\n\r", PLAIN_MORE },
	{ FIRST "{\"host\": \"api.openai.com\", \"url\": \"https://api.openai.com/v1\"}\r\n" FIRST, PLAIN_MORE },
	{ FIRST "see api.openai.com, or CONNECT\r\n", PLAIN_MORE },
};

static void later_heads(void **state)
{
	for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		const size_t n = strlen(streams[i].text);

		for (size_t step = 1; step <= n; step++) {
			struct plain r = { .is_llm = is_llm };
			enum plain_verdict v = PLAIN_MORE;

			for (size_t at = 0; at < n && v == PLAIN_MORE; at += step)
				v = plain_feed(&r, streams[i].text + at, step < n - at ? step : n - at);
			if (v != streams[i].is)
				fail_msg("stream %zu in steps of %zu: %d", i, step, (int)v);
		}
	}
}

/* Of a line that is too long the front counts; the next one is read again. */
static void long_lines(void **state)
{
	static char text[3 * PLAIN_LINE_MAX];
	struct plain r = { .is_llm = is_llm }, late = { .is_llm = is_llm };

	memset(text, 'a', sizeof(text));
	assert_int_equal(plain_feed(&r, "GET /", 5), PLAIN_MORE);
	assert_int_equal(plain_feed(&r, text, sizeof(text)), PLAIN_MORE);
	assert_int_equal(plain_feed(&r, " HTTP/1.1\nhost:", 15), PLAIN_MORE);
	memset(text, ' ', sizeof(text));
	assert_int_equal(plain_feed(&r, text, sizeof(text)), PLAIN_MORE);
	assert_int_equal(plain_feed(&r, "api.openai.com\n", 15), PLAIN_LLM);
	memset(text, 'a', sizeof(text));
	assert_int_equal(plain_feed(&late, "GET / HTTP/1.1\n\nGET http://api.openai.com/", 42), PLAIN_MORE);
	assert_int_equal(plain_feed(&late, text, sizeof(text)), PLAIN_LLM);
}

static void long_heads(void **state)
{
	static char text[PLAIN_HEAD_MAX + 100];

	memset(text, 'a', sizeof(text));
	memcpy(text, "GET /", 5);
	assert_int_equal(plain_read(text, PLAIN_HEAD_MAX - 1, is_llm, NULL), PLAIN_MORE);
	assert_int_equal(plain_read(text, PLAIN_HEAD_MAX, is_llm, NULL), PLAIN_LONG);
	memset(text, 0, sizeof(text));
	memcpy(text, "GET \0\0\n\0:\0\n", 11);
	assert_int_equal(plain_read(text, sizeof(text), is_llm, NULL), PLAIN_LONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(heads), cmocka_unit_test(later_heads), cmocka_unit_test(long_lines), cmocka_unit_test(long_heads) };

	return cmocka_run_group_tests_name("path/plain", tests, NULL, NULL);
}
