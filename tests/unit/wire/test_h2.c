// SPDX-License-Identifier: Apache-2.0
/*
 * test_h2.c: the HTTP/2 server against nghttp2's client in memory: requests good and bad, windows, ends. Answers are
 * test_h2_answers.c, peers that mean harm test_h2_hostile.c.
 */
#include "h2_pair.h"

/* ---- good requests */

static void test_requests(void **state)
{
	static const struct {
		const char *name;
		struct field f[12];
		ssize_t body;
		const char *tale;
	} rows[] = {
		{ "no body", { { ":method", "GET" }, { ":scheme", "https" }, { ":authority", "a.example" }, { ":path", "/" } },
		  -1, "head 1 GET a.example / none 0 fin\n" },
		{ "body without length", { { ":method", "POST" }, { ":scheme", "https" }, { ":authority", "a.example:443" },
					   { ":path", "/v1?q" } },
		  10, "head 1 POST a.example:443 /v1?q chunked 0\nfin 1 after 10\n" },
		{ "body with length", { { ":method", "POST" }, { ":scheme", "https" }, { ":authority", "a.example" },
					{ ":path", "/" }, { "content-length", "10" }, { "x-b", "2" }, { "x-a", "1" } },
		  10, "head 1 POST a.example / fixed 10 [content-length:10] [x-b:2] [x-a:1]\nfin 1 after 10\n" },
		{ "empty body that says so", { { ":method", "POST" }, { ":scheme", "https" }, { ":authority", "a.example" },
					       { ":path", "/" }, { "content-length", "0" } },
		  -1, "head 1 POST a.example / fixed 0 fin [content-length:0]\n" },
		{ "empty DATA at the end", { { ":method", "POST" }, { ":scheme", "https" }, { ":authority", "a.example" },
					     { ":path", "/" } },
		  0, "head 1 POST a.example / chunked 0\nfin 1 after 0\n" },
		{ "host instead of :authority", { { ":method", "GET" }, { ":scheme", "https" }, { ":path", "/" },
						  { "host", "a.example" } },
		  -1, "head 1 GET a.example / none 0 fin\n" },
		{ "both, equal but for case", { { ":method", "GET" }, { ":scheme", "https" }, { ":authority", "a.example" },
						{ ":path", "/" }, { "host", "A.example" } },
		  -1, "head 1 GET a.example / none 0 fin\n" },
		{ "te and trailer and expect are ours", { { ":method", "POST" }, { ":scheme", "https" },
							  { ":authority", "a.example" }, { ":path", "/" },
							  { "te", "trailers" }, { "trailer", "x" },
							  { "expect", "100-continue" }, { "z", "1" } },
		  3, "head 1 POST a.example / chunked 0 expects [z:1]\nfin 1 after 3\n" },
		{ "cookie crumbs as they came", { { ":method", "GET" }, { ":scheme", "https" }, { ":authority", "a.example" },
						  { ":path", "/" }, { "cookie", "a=1" }, { "x", "" }, { "cookie", "b=2" } },
		  -1, "head 1 GET a.example / none 0 fin [cookie:a=1] [x:] [cookie:b=2]\n" },
		{ "OPTIONS *", { { ":method", "OPTIONS" }, { ":scheme", "https" }, { ":authority", "a.example" },
				 { ":path", "*" } },
		  -1, "head 1 OPTIONS a.example * none 0 fin\n" },
		{ "bytes over 0x7f", { { ":method", "GET" }, { ":scheme", "https" }, { ":authority", "a.example" },
				       { ":path", "/" }, { "x", "\xc3\xa4" } },
		  -1, "head 1 GET a.example / none 0 fin [x:\xc3\xa4]\n" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct client c;
		struct seen s;
		struct err e = { 0 };
		size_t n = 0;
		client_init(&c);
		seen_init(&s);
		while (rows[i].f[n].name)
			n++;
		client_ask(&c, rows[i].f, n, rows[i].body);
		if (pump(&c, &s, &e))
			fail_msg("%s: %s", rows[i].name, e.text);
		assert_tale(&s, rows[i].tale);
		client_done(&c);
		seen_done(&s);
	}
}

/* ---- bad heads: the stream is reset, the connection goes on, nobody hears of it */

static const struct {
	const char *name;
	struct field f[8];
	ssize_t body;
} bad_heads[] = {
#define M { ":method", "POST" }
#define S { ":scheme", "https" }
#define A { ":authority", "a.example" }
#define P { ":path", "/" }
	{ "no method", { S, A, P }, -1 },
	{ "no scheme", { M, A, P }, -1 },
	{ "no path", { M, S, A }, -1 },
	{ "no authority at all", { M, S, P }, -1 },
	{ "empty path", { M, S, A, { ":path", "" } }, -1 },
	{ "path without slash", { M, S, A, { ":path", "v1/x" } }, -1 },
	{ "absolute path", { M, S, A, { ":path", "https://b.example/" } }, -1 },
	{ "star for POST", { M, S, A, { ":path", "*" } }, -1 },
	{ "path with a space", { M, S, A, { ":path", "/v1 HTTP/1.1" } }, -1 },
	{ "path with a fragment", { M, S, A, { ":path", "/v1#x" } }, -1 },
	{ "path with CR LF", { M, S, A, { ":path", "/v1\r\nx: y" } }, -1 },
	{ "path over 0x7f", { M, S, A, { ":path", "/\xc3\xa4" } }, -1 },
	{ "plain http", { M, { ":scheme", "http" }, A, P }, -1 },
	{ "method with a space", { { ":method", "POST /x" }, S, A, P }, -1 },
	{ "empty method", { { ":method", "" }, S, A, P }, -1 },
	{ "CONNECT", { { ":method", "CONNECT" }, A }, -1 },
	{ "CONNECT with a path", { { ":method", "CONNECT" }, S, A, P }, -1 },
	{ "extended CONNECT", { { ":method", "CONNECT" }, { ":protocol", "websocket" }, S, A, P }, -1 },
	{ "empty authority", { M, S, { ":authority", "" }, P }, -1 },
	{ "userinfo", { M, S, { ":authority", "u@a.example" }, P }, -1 },
	{ "authority with a slash", { M, S, { ":authority", "a.example/x" }, P }, -1 },
	{ "authority with a space", { M, S, { ":authority", "a.example b" }, P }, -1 },
	{ "host differs", { M, S, A, P, { "host", "b.example" } }, -1 },
	{ "host differs by a port", { M, S, A, P, { "host", "a.example:443" } }, -1 },
	{ "two hosts", { M, S, A, P, { "host", "a.example" }, { "host", "a.example" } }, -1 },
	{ "empty host", { M, S, P, { "host", "" } }, -1 },
	{ "two paths", { M, S, A, P, { ":path", "/x" } }, -1 },
	{ "two methods", { M, M, S, A, P }, -1 },
	{ "unknown pseudo-header", { M, S, A, P, { ":foo", "x" } }, -1 },
	{ "pseudo-header of an answer", { M, S, A, P, { ":status", "200" } }, -1 },
	{ "pseudo-header behind a field", { M, S, A, { "x", "y" }, P }, -1 },
	{ "connection", { M, S, A, P, { "connection", "close" } }, -1 },
	{ "keep-alive", { M, S, A, P, { "keep-alive", "1" } }, -1 },
	{ "proxy-connection", { M, S, A, P, { "proxy-connection", "close" } }, -1 },
	{ "transfer-encoding", { M, S, A, P, { "transfer-encoding", "chunked" } }, 5 },
	{ "upgrade", { M, S, A, P, { "upgrade", "h2c" } }, -1 },
	{ "te other than trailers", { M, S, A, P, { "te", "gzip" } }, -1 },
	{ "te with more", { M, S, A, P, { "te", "trailers, gzip" } }, -1 },
	{ "an unknown expectation", { M, S, A, P, { "expect", "x" } }, -1 },
	{ "empty name", { M, S, A, P, { "", "y" } }, -1 },
	{ "name with a space", { M, S, A, P, { "x a", "y" } }, -1 },
	{ "name with a colon", { M, S, A, P, { "x:", "y" } }, -1 },
	{ "name with CR LF", { M, S, A, P, { "x\r\ny", "y" } }, -1 },
	{ "value with LF", { M, S, A, P, { "x", "a\nb" } }, -1 },
	{ "value with CR", { M, S, A, P, { "x", "a\rb" } }, -1 },
	{ "value with CR LF and a request", { M, S, A, P, { "x", "a\r\n\r\nPOST / HTTP/1.1\r\n" } }, -1 },
	{ "value with DEL", { M, S, A, P, { "x", "a\x7f" } }, -1 },
	{ "value with a leading blank", { M, S, A, P, { "x", " a" } }, -1 },
	{ "value with a trailing tab", { M, S, A, P, { "x", "a\t" } }, -1 },
	{ "content-length not digits", { M, S, A, P, { "content-length", "+5" } }, 5 },
	{ "content-length a list", { M, S, A, P, { "content-length", "5, 5" } }, 5 },
	{ "content-length twice", { M, S, A, P, { "content-length", "5" }, { "content-length", "5" } }, 5 },
	{ "content-length huge", { M, S, A, P, { "content-length", "99999999999999999999" } }, 5 },
	{ "content-length empty", { M, S, A, P, { "content-length", "" } }, 5 },
	{ "content-length without a body", { M, S, A, P, { "content-length", "5" } }, -1 },
#undef M
#undef S
#undef A
#undef P
};

static void test_bad_heads(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_heads) / sizeof(bad_heads[0]); i++) {
		struct client c;
		struct seen s;
		struct err e = { 0 };
		size_t n = 0;
		client_init(&c);
		seen_init(&s);
		while (n < 8 && bad_heads[i].f[n].name)
			n++;
		client_ask(&c, bad_heads[i].f, n, bad_heads[i].body);
		if (pump(&c, &s, &e))
			fail_msg("%s: %s", bad_heads[i].name, e.text);
		if (buf_len(&s.tale))
			fail_msg("%s: \"%.*s\"", bad_heads[i].name, (int)buf_len(&s.tale), buf_ptr(&s.tale));
		if (c.closed != 1 || c.last_code != NGHTTP2_PROTOCOL_ERROR)
			fail_msg("%s: closed %d, code %u", bad_heads[i].name, c.closed, c.last_code);
		/* The next stream is none the worse. */
		client_ask(&c, POST, -1);
		assert_int_equal(pump(&c, &s, &e), 0);
		assert_tale(&s, "head 3 POST api.example.com /v1/chat?x=1 none 0 fin\n");
		client_done(&c);
		seen_done(&s);
	}
}

static void test_nul_in_a_value(void **state)
{
	nghttp2_nv nva[5];
	struct client c;
	struct seen s;
	struct err e = { 0 };

	(void)state;
	client_init(&c);
	seen_init(&s);
	for (size_t i = 0; i < 4; i++)
		nva[i] = (nghttp2_nv){ (uint8_t *)(uintptr_t)post[i].name, (uint8_t *)(uintptr_t)post[i].value,
				       strlen(post[i].name), strlen(post[i].value), 0 };
	nva[4] = (nghttp2_nv){ (uint8_t *)(uintptr_t) "x", (uint8_t *)(uintptr_t) "a\0b", 1, 3, 0 };
	assert_int_equal(nghttp2_submit_request(c.ng, NULL, nva, 5, NULL, NULL), 1);
	assert_int_equal(pump(&c, &s, &e), 0);
	assert_int_equal(buf_len(&s.tale), 0);
	assert_int_equal(c.last_code, NGHTTP2_PROTOCOL_ERROR);
	client_done(&c);
	seen_done(&s);
}

/* A body that is shorter or longer than it said. */
static void test_body_against_content_length(void **state)
{
	static const struct field f[] = {
		{ ":method", "POST" }, { ":scheme", "https" }, { ":authority", "a.example" }, { ":path", "/" },
		{ "content-length", "10" },
	};
	(void)state;
	for (int body = 9; body <= 11; body++) {
		struct client c;
		struct seen s;
		struct err e = { 0 };
		client_init(&c);
		seen_init(&s);
		client_ask(&c, f, 5, body);
		assert_int_equal(pump(&c, &s, &e), 0);
		assert_int_equal(tale_has(&s, "fin 1"), body == 10);
		assert_int_equal(tale_has(&s, "closed 1\n"), body != 10);
		client_done(&c);
		seen_done(&s);
	}
}

static void test_head_bounds(void **state)
{
	struct field f[FIELDS_MAX];
	char big[61 * 1024];

	(void)state;
	memcpy(f, post, sizeof(post));
	for (size_t i = 4; i < FIELDS_MAX; i++)
		f[i] = (struct field){ "x", "y" };
	memset(big, 'v', sizeof(big));
	for (int row = 0; row < 4; row++) {
		struct client c;
		struct seen s;
		struct err e = { 0 };
		client_init(&c);
		seen_init(&s);
		f[4] = (struct field){ "x", "y" };
		size_t n = 4 + HTTP_FIELDS_MAX + (row == 1); /* one field too many */
		if (row >= 2) {
			/* 60 kB fit; 66 kB as two fields do not. */
			big[sizeof(big) - 1] = '\0';
			f[4] = (struct field){ "x", big };
			f[5] = (struct field){ "x", big + sizeof(big) - 6 * 1024 };
			n = row == 2 ? 5 : 6;
		}
		client_ask(&c, f, n, -1);
		assert_int_equal(pump(&c, &s, &e), 0);
		assert_int_equal(tale_has(&s, "head 1"), row == 0 || row == 2);
		assert_int_equal(c.closed, row == 1 || row == 3);
		f[5] = (struct field){ "x", "y" };
		client_done(&c);
		seen_done(&s);
	}
}

static void test_trailers(void **state)
{
	static nghttp2_nv good = { (uint8_t *)"x-sum", (uint8_t *)"1", 5, 1, 0 };
	static nghttp2_nv bad = { (uint8_t *)":path", (uint8_t *)"/", 5, 1, 0 };
	static nghttp2_nv worse = { (uint8_t *)"x", (uint8_t *)"a\nb", 1, 3, 0 };
	nghttp2_nv *rows[] = { &good, &bad, &worse };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct client c;
		struct seen s;
		struct err e = { 0 };
		client_init(&c);
		seen_init(&s);
		c.stall = true;
		client_ask(&c, POST, 5);
		assert_int_equal(pump(&c, &s, &e), 0);
		assert_int_equal(nghttp2_submit_trailer(c.ng, 1, rows[i], 1), 0);
		assert_int_equal(pump(&c, &s, &e), 0);
		if (i == 0)
			assert_tale(&s, "head 1 POST api.example.com /v1/chat?x=1 chunked 0\nfin 1 after 0\n");
		else
			assert_tale(&s, "head 1 POST api.example.com /v1/chat?x=1 chunked 0\nclosed 1\n");
		client_done(&c);
		seen_done(&s);
	}
}

/* ---- request bodies and windows */

static void test_a_body_larger_than_the_windows(void **state)
{
	struct client c;
	struct seen s;
	struct err e = { 0 };

	(void)state;
	client_init(&c);
	seen_init(&s);
	client_ask(&c, POST, 5 << 20);
	assert_int_equal(pump(&c, &s, &e), 0);
	assert_int_equal(s.body_bytes, 5 << 20);
	assert_true(tale_has(&s, "fin 1 after 5242880\n"));
	client_done(&c);
	seen_done(&s);
}

static void test_the_window_is_given_back_by_the_caller(void **state)
{
	struct client c;
	struct seen s;
	struct err e = { 0 };

	(void)state;
	client_init(&c);
	seen_init(&s);
	s.hold_window = true;
	client_ask(&c, POST, 1 << 20);
	assert_int_equal(pump(&c, &s, &e), 0);
	assert_int_equal(s.body_bytes, 256 * 1024);
	h2_consumed(s.h2, 1, 200 * 1024);
	assert_int_equal(pump(&c, &s, &e), 0);
	assert_int_equal(s.body_bytes, 456 * 1024);
	/* More than was taken is not given back. */
	h2_consumed(s.h2, 1, 100 << 20);
	assert_int_equal(pump(&c, &s, &e), 0);
	assert_int_equal(s.body_bytes, 712 * 1024);
	client_done(&c);
	seen_done(&s);
}

/* Streams that end with bytes that nobody gave back: the connection's window must not shrink for ever. */
static void test_the_connection_window_does_not_leak(void **state)
{
	struct client c;
	struct seen s;
	struct err e = { 0 };

	(void)state;
	client_init(&c);
	seen_init(&s);
	s.hold_window = true;
	for (int i = 0; i < 40; i++) {
		size_t before = s.body_bytes;
		int32_t id = client_ask(&c, POST, 1 << 20);
		assert_int_equal(pump(&c, &s, &e), 0);
		assert_int_equal(s.body_bytes - before, 256 * 1024);
		if (i & 1)
			assert_int_equal(nghttp2_submit_rst_stream(c.ng, 0, id, NGHTTP2_CANCEL), 0);
		else
			h2_reset(s.h2, id, NGHTTP2_CANCEL);
		assert_int_equal(pump(&c, &s, &e), 0);
	}
	client_done(&c);
	seen_done(&s);
}

/* The answer is there before the request is through: most clients send on, and must still get the answer. */
static void test_answer_before_the_end_of_the_request(void **state)
{
	struct client c;
	struct seen s;
	struct err e = { 0 };

	(void)state;
	/* A body that is not much longer is read to its end and dropped. */
	client_init(&c);
	seen_init(&s);
	s.answer_at_once = true;
	client_ask(&c, POST, 900 * 1024);
	assert_int_equal(pump(&c, &s, &e), 0);
	assert_int_equal(buf_len(&c.got), 5);
	assert_int_equal(s.bodies, 0);
	assert_int_equal(c.closed, 1);
	assert_int_equal(c.last_code, NGHTTP2_NO_ERROR);
	assert_int_equal(c.to_send, 0);
	client_done(&c);
	seen_done(&s);

	/* An endless one is told to stop, without an error (RFC 9113 8.1). */
	client_init(&c);
	seen_init(&s);
	s.answer_at_once = true;
	client_ask(&c, POST, 100 << 20);
	assert_int_equal(pump(&c, &s, &e), 0);
	assert_int_equal(buf_len(&c.got), 5);
	assert_int_equal(c.closed, 1);
	assert_int_equal(c.last_code, NGHTTP2_NO_ERROR);
	assert_true(c.to_send > 90 << 20);
	/* The connection lives. */
	client_ask(&c, POST, 100);
	assert_int_equal(pump(&c, &s, &e), 0);
	assert_int_equal(buf_len(&c.got), 10);
	client_done(&c);
	seen_done(&s);
}

/* ---- ends */

static void test_who_reset_it(void **state)
{
	struct client c;
	struct seen s;
	struct err e = { 0 };

	(void)state;
	client_init(&c);
	seen_init(&s);
	for (int i = 0; i < 2; i++) {
		c.stall = true;
		int32_t id = client_ask(&c, POST, 10);
		assert_int_equal(pump(&c, &s, &e), 0);
		if (i)
			h2_reset(s.h2, id, NGHTTP2_INTERNAL_ERROR);
		else
			assert_int_equal(nghttp2_submit_rst_stream(c.ng, 0, id, NGHTTP2_CANCEL), 0);
		assert_int_equal(pump(&c, &s, &e), 0);
	}
	assert_tale(&s, "head 1 POST api.example.com /v1/chat?x=1 chunked 0\nclosed 1 by peer\n"
			"head 3 POST api.example.com /v1/chat?x=1 chunked 0\nclosed 3\n");
	assert_int_equal(c.last_code, NGHTTP2_INTERNAL_ERROR);
	client_done(&c);
	seen_done(&s);
}

static void test_goaway(void **state)
{
	struct client c;
	struct seen s;
	struct err e = { 0 };

	(void)state;
	ask(&c, &s);
	h2_goaway(s.h2);
	h2_goaway(s.h2);
	assert_int_equal(pump(&c, &s, &e), 0);
	assert_true(c.goaway);
	assert_int_equal(c.goaway_code, NGHTTP2_NO_ERROR);
	assert_false(h2_wants_close(s.h2));
	/* What runs is finished; then there is nothing left. */
	struct http_head h = { .status = 200, .length = HTTP_LENGTH_CHUNKED };
	assert_int_equal(h2_answer(s.h2, 1, &h, false), 0);
	assert_int_equal(h2_body(s.h2, 1, "done", 4, true), 0);
	assert_int_equal(pump(&c, &s, &e), 0);
	assert_int_equal(buf_len(&c.got), 4);
	assert_true(h2_wants_close(s.h2));
	client_done(&c);
	seen_done(&s);
}

static void test_not_http2(void **state)
{
	static const char *const rows[] = { "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
					    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and so on and so on" };
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct seen s;
		struct err e = { 0 };
		seen_init(&s);
		assert_int_equal(h2_feed(s.h2, rows[i], strlen(rows[i]), &e), -EPROTO);
		assert_non_null(strstr(e.text, "HTTP/2: "));
		seen_done(&s);
	}
	h2_free(NULL);
}

/* The same bytes whole and byte by byte tell the same. */
static void test_byte_by_byte(void **state)
{
	struct client c;
	struct seen whole, bytes;
	struct err e = { 0 };
	struct buf in;
	const uint8_t *p;

	(void)state;
	client_init(&c);
	seen_init(&whole);
	seen_init(&bytes);
	buf_init(&in, 1 << 20);
	client_ask(&c, POST, -1);
	client_ask(&c, bad_heads[0].f, 3, -1);
	client_ask(&c, POST, 3000);
	for (ssize_t n; (n = nghttp2_session_mem_send(c.ng, &p)) > 0;)
		assert_int_equal(buf_append(&in, p, (size_t)n), 0);
	assert_int_equal(h2_feed(whole.h2, buf_ptr(&in), buf_len(&in), &e), 0);
	for (size_t i = 0; i < buf_len(&in); i++) {
		char one = buf_ptr(&in)[i];
		assert_int_equal(h2_feed(bytes.h2, &one, 1, &e), 0);
	}
	assert_true(tale_has(&whole, "fin 5 after 3000"));
	(void)buf_append(&whole.tale, "", 1);
	assert_tale(&bytes, buf_ptr(&whole.tale));
	buf_done(&in);
	client_done(&c);
	seen_done(&whole);
	seen_done(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_bad_heads),
		cmocka_unit_test(test_nul_in_a_value),
		cmocka_unit_test(test_body_against_content_length),
		cmocka_unit_test(test_head_bounds),
		cmocka_unit_test(test_trailers),
		cmocka_unit_test(test_a_body_larger_than_the_windows),
		cmocka_unit_test(test_the_window_is_given_back_by_the_caller),
		cmocka_unit_test(test_the_connection_window_does_not_leak),
		cmocka_unit_test(test_answer_before_the_end_of_the_request),
		cmocka_unit_test(test_who_reset_it),
		cmocka_unit_test(test_goaway),
		cmocka_unit_test(test_not_http2),
		cmocka_unit_test(test_byte_by_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
