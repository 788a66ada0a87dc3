// SPDX-License-Identifier: Apache-2.0
/* test_h1_write.c: what the HTTP/1 writer writes, and what it will not. That the reader reads it back is in test_h1.c. */
#include "h1_tale.h"

#include <errno.h>

static void check_written(int ret, struct buf *out, const char *expected)
{
	assert_int_equal(ret, 0);
	assert_int_equal(buf_append(out, "", 1), 0);
	assert_string_equal(buf_ptr(out), expected);
	buf_clear(out);
}

static struct http_head head_of(enum http_length length, int64_t n)
{
	struct http_head h = { .method = STR("POST"), .target = STR("/v1/x?y"), .authority = STR("a.example"),
			       .status = 200, .reason = STR("OK"), .length = length, .content_length = n,
			       .keep_alive = true };

	(void)http_add(&h, STR("Content-Length"), STR("99"));
	(void)http_add(&h, STR("X-One"), STR("1"));
	(void)http_add(&h, STR("transfer-encoding"), STR("chunked"));
	(void)http_add(&h, STR("Connection"), STR("x"));
	(void)http_add(&h, STR("x-two"), STR(""));
	return h;
}

static void writes_requests(void **state)
{
	struct buf out;
	struct http_head h;

	buf_init(&out, 1 << 20);
	h = head_of(HTTP_LENGTH_FIXED, 12);
	check_written(h1_write_request(&out, &h), &out,
		      "POST /v1/x?y HTTP/1.1\r\nHost: a.example\r\nX-One: 1\r\nx-two: \r\nContent-Length: 12\r\n\r\n");
	h = head_of(HTTP_LENGTH_CHUNKED, 0);
	h.keep_alive = false;
	(void)http_add(&h, STR("HOST"), STR("b.example"));
	check_written(h1_write_request(&out, &h), &out,
		      "POST /v1/x?y HTTP/1.1\r\nHost: a.example\r\nX-One: 1\r\nx-two: \r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
	h = head_of(HTTP_LENGTH_NONE, 0);
	check_written(h1_write_request(&out, &h), &out,
		      "POST /v1/x?y HTTP/1.1\r\nHost: a.example\r\nX-One: 1\r\nx-two: \r\n\r\n");
	buf_done(&out);
}

static void writes_responses(void **state)
{
	struct buf out;
	struct http_head h;

	buf_init(&out, 1 << 20);
	h = head_of(HTTP_LENGTH_FIXED, INT64_C(9007199254740992));
	check_written(h1_write_response(&out, &h), &out,
		      "HTTP/1.1 200 OK\r\nX-One: 1\r\nx-two: \r\nContent-Length: 9007199254740992\r\n\r\n");
	h = head_of(HTTP_LENGTH_CHUNKED, 0);
	h.reason = STR("");
	check_written(h1_write_response(&out, &h), &out,
		      "HTTP/1.1 200 \r\nX-One: 1\r\nx-two: \r\nTransfer-Encoding: chunked\r\n\r\n");
	h = head_of(HTTP_LENGTH_CLOSE, 0);
	check_written(h1_write_response(&out, &h), &out,
		      "HTTP/1.1 200 OK\r\nX-One: 1\r\nx-two: \r\nConnection: close\r\n\r\n");
	h = head_of(HTTP_LENGTH_NONE, 0);
	h.http10 = true;
	check_written(h1_write_response(&out, &h), &out,
		      "HTTP/1.1 200 OK\r\nX-One: 1\r\nx-two: \r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
	h = head_of(HTTP_LENGTH_NONE, 0);
	h.status = 204;
	h.keep_alive = false;
	check_written(h1_write_response(&out, &h), &out,
		      "HTTP/1.1 204 OK\r\nX-One: 1\r\nx-two: \r\nConnection: close\r\n\r\n");
	h.status = 304;
	check_written(h1_write_response(&out, &h), &out,
		      "HTTP/1.1 304 OK\r\nX-One: 1\r\nx-two: \r\nConnection: close\r\n\r\n");
	h = (struct http_head){ .status = 100, .reason = STR("Continue") };
	check_written(h1_write_response(&out, &h), &out, "HTTP/1.1 100 Continue\r\n\r\n");
	buf_done(&out);
}

static void writes_chunks(void **state)
{
	struct buf out;

	buf_init(&out, 100);
	assert_int_equal(h1_write_chunk(&out, "hello", 5), 0);
	assert_int_equal(h1_write_chunk(&out, "0123456789abcdefg", 17), 0);
	assert_int_equal(h1_write_chunk(&out, "", 0), -EINVAL);
	assert_int_equal(h1_write_chunk(&out, "x", 1 << 20), -EMSGSIZE);
	assert_int_equal(h1_write_chunk(&out, "x", SIZE_MAX), -EMSGSIZE);
	check_written(h1_write_last_chunk(&out), &out, "5\r\nhello\r\n11\r\n0123456789abcdefg\r\n0\r\n\r\n");
	buf_done(&out);
}

static const struct {
	const char *name;
	struct str method, target, authority, field, value, reason;
	int status;
	enum http_length length;
	int64_t content_length;
	bool request_fails, response_fails;
} unwritable[] = {
	{ .name = "CR LF in a value", .value = S("a\r\nX: y"), .request_fails = true, .response_fails = true },
	{ .name = "NUL in a value", .value = S("a\0"), .request_fails = true, .response_fails = true },
	{ .name = "blank before a value", .value = S(" a"), .request_fails = true, .response_fails = true },
	{ .name = "LF in a name", .field = S("a\nb"), .request_fails = true, .response_fails = true },
	{ .name = "blank in a name", .field = S("a b"), .request_fails = true, .response_fails = true },
	{ .name = "bad value of a field left out", .field = S("connection"), .value = S("\n"), .request_fails = true, .response_fails = true },
	{ .name = "blank in the target", .target = S("/a b"), .request_fails = true },
	{ .name = "absolute target", .target = S("http://a/"), .request_fails = true },
	{ .name = "no token method", .method = S("GET /"), .request_fails = true },
	{ .name = "CR LF in the authority", .authority = S("a\r\nX: y"), .request_fails = true },
	{ .name = "CR in the reason", .reason = S("a\rb"), .response_fails = true },
	{ .name = "status 99", .status = 99, .response_fails = true },
	{ .name = "status 1000", .status = 1000, .response_fails = true },
	{ .name = "body with 204", .status = 204, .length = HTTP_LENGTH_CHUNKED, .response_fails = true },
	{ .name = "length with 204", .status = 204, .length = HTTP_LENGTH_FIXED, .content_length = 1, .response_fails = true },
	{ .name = "body with 100", .status = 100, .length = HTTP_LENGTH_CLOSE, .request_fails = true, .response_fails = true },
	{ .name = "negative length", .length = HTTP_LENGTH_FIXED, .content_length = -1, .request_fails = true, .response_fails = true },
	{ .name = "request until close", .length = HTTP_LENGTH_CLOSE, .request_fails = true },
};

static struct str or_else(struct str s, struct str other)
{
	return s.p ? s : other;
}

static void writes_nothing_bad(void **state)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < sizeof(unwritable) / sizeof(unwritable[0]); i++) {
		struct http_head h = {
			.method = or_else(unwritable[i].method, STR("GET")),
			.target = or_else(unwritable[i].target, STR("/")),
			.authority = or_else(unwritable[i].authority, STR("a")),
			.reason = unwritable[i].reason,
			.status = unwritable[i].status ? unwritable[i].status : 200,
			.length = unwritable[i].length,
			.content_length = unwritable[i].content_length,
		};

		print_message("  %s\n", unwritable[i].name);
		(void)http_add(&h, or_else(unwritable[i].field, STR("x")), unwritable[i].value);
		assert_int_equal(h1_write_request(&out, &h), unwritable[i].request_fails ? -EINVAL : 0);
		assert_true(!unwritable[i].request_fails || buf_len(&out) == 0);
		buf_clear(&out);
		assert_int_equal(h1_write_response(&out, &h), unwritable[i].response_fails ? -EINVAL : 0);
		assert_true(!unwritable[i].response_fails || buf_len(&out) == 0);
		buf_clear(&out);
	}
	buf_done(&out);
}

static void writes_no_more_than_fits(void **state)
{
	struct http_head h = { .method = STR("GET"), .target = STR("/"), .authority = STR("a"), .status = 200 };
	struct str big = repeat("", "x", HTTP_HEAD_MAX, "");
	struct buf out;

	buf_init(&out, 64);
	assert_int_equal(h1_write_request(&out, &h), -EMSGSIZE);
	assert_int_equal(buf_len(&out), 0);
	buf_done(&out);
	buf_init(&out, 1 << 20);
	(void)http_add(&h, STR("x"), big);
	assert_int_equal(h1_write_request(&out, &h), -EMSGSIZE);
	assert_int_equal(h1_write_response(&out, &h), -EMSGSIZE);
	assert_int_equal(buf_len(&out), 0);
	buf_done(&out);
	free((char *)(uintptr_t)big.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_requests),
		cmocka_unit_test(writes_responses),
		cmocka_unit_test(writes_chunks),
		cmocka_unit_test(writes_nothing_bad),
		cmocka_unit_test(writes_no_more_than_fits),
	};

	print_message("seed %u\n", CUTS_SEED);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
