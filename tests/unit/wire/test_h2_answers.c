// SPDX-License-Identifier: Apache-2.0
/* test_h2_answers.c: answers of the HTTP/2 server: their heads, their shapes, and bodies that must wait. */
#include "h2_pair.h"

static struct http_head answer_of(int status)
{
	struct http_head h = { .status = status, .length = HTTP_LENGTH_CHUNKED };

	assert_int_equal(http_add(&h, STR("Content-Type"), STR("text/plain")), 0);
	assert_int_equal(http_add(&h, STR("Connection"), STR("close")), 0);
	assert_int_equal(http_add(&h, STR("Transfer-Encoding"), STR("chunked")), 0);
	assert_int_equal(http_add(&h, STR("Content-Length"), STR("999")), 0);
	assert_int_equal(http_add(&h, STR("X-Request-ID"), STR("AbC")), 0);
	return h;
}

static void test_answers(void **state)
{
	struct client c;
	struct seen s;
	struct err e = { 0 };

	(void)state;
	ask(&c, &s);
	struct http_head h = answer_of(200);
	assert_int_equal(h2_body(s.h2, 1, "x", 1, false), -EINVAL); /* before the head */
	assert_int_equal(h2_interim(s.h2, 1, 100), 0);
	assert_int_equal(h2_interim(s.h2, 1, 200), -EINVAL);
	assert_int_equal(h2_answer(s.h2, 1, &h, false), 0);
	assert_int_equal(h2_answer(s.h2, 1, &h, false), -EINVAL);
	assert_int_equal(h2_interim(s.h2, 1, 100), -EINVAL);
	assert_int_equal(pump(&c, &s, &e), 0);
	assert_string_equal(c.head, "[:status:100][:status:200][content-type:text/plain][x-request-id:AbC]");
	/* Chunks pass one by one, as they come. */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(h2_body(s.h2, 1, "chunk", 5, false), 0);
		assert_int_equal(h2_queued(s.h2, 1), 5);
		assert_int_equal(pump(&c, &s, &e), 0);
		assert_int_equal(buf_len(&c.got), 5 * (i + 1));
		assert_int_equal(h2_queued(s.h2, 1), 0);
		assert_int_equal(h2_sent(s.h2, 1), 5 * (i + 1));
	}
	assert_int_equal(h2_sent(s.h2, 3), 0);
	assert_int_equal(h2_body(s.h2, 1, NULL, 0, false), 0);
	assert_int_equal(h2_body(s.h2, 1, NULL, 0, true), 0);
	assert_int_equal(h2_body(s.h2, 1, "x", 1, false), -EINVAL);
	assert_int_equal(pump(&c, &s, &e), 0);
	assert_int_equal(c.closed, 1);
	assert_int_equal(c.last_code, NGHTTP2_NO_ERROR);
	assert_true(tale_has(&s, "closed 1\n"));
	/* Gone: every call knows. */
	assert_int_equal(h2_answer(s.h2, 1, &h, false), -ENOENT);
	assert_int_equal(h2_body(s.h2, 1, "x", 1, true), -ENOENT);
	assert_int_equal(h2_interim(s.h2, 1, 100), -ENOENT);
	assert_int_equal(h2_queued(s.h2, 1), 0);
	h2_reset(s.h2, 1, 2);
	h2_consumed(s.h2, 1, 10);
	h2_reset(s.h2, 77, 2);
	client_done(&c);
	seen_done(&s);
}

static void test_answer_shapes(void **state)
{
	struct client c;
	struct seen s;
	struct err e = { 0 };

	(void)state;
	ask(&c, &s);
	struct http_head h = { .status = 402, .length = HTTP_LENGTH_FIXED, .content_length = 3 };
	assert_int_equal(h2_answer(s.h2, 1, &h, false), 0);
	assert_int_equal(h2_body(s.h2, 1, "abc", 3, true), 0);
	assert_int_equal(pump(&c, &s, &e), 0);
	assert_string_equal(c.head, "[:status:402][content-length:3]");
	assert_int_equal(c.closed, 1);
	client_done(&c);
	seen_done(&s);

	ask(&c, &s);
	h = (struct http_head){ .status = 204 };
	assert_int_equal(h2_answer(s.h2, 1, &h, true), 0);
	assert_int_equal(h2_body(s.h2, 1, "abc", 3, true), -EINVAL);
	assert_int_equal(pump(&c, &s, &e), 0);
	assert_string_equal(c.head, "[:status:204]");
	assert_int_equal(c.closed, 1);
	client_done(&c);
	seen_done(&s);

	/* What a provider must not have said does not go on. */
	static const struct http_field evil[] = {
		{ { "x", 1 }, { "a\r\nb", 4 } }, { { "x y", 3 }, { "a", 1 } }, { { "", 0 }, { "a", 1 } },
		{ { "x", 1 }, { "a\0", 2 } },
	};
	ask(&c, &s);
	for (size_t i = 0; i < sizeof(evil) / sizeof(evil[0]); i++) {
		h = (struct http_head){ .status = 200, .nfields = 1 };
		h.fields[0] = evil[i];
		assert_int_equal(h2_answer(s.h2, 1, &h, true), -EINVAL);
	}
	h = (struct http_head){ .status = 100 };
	assert_int_equal(h2_answer(s.h2, 1, &h, true), -EINVAL);
	h = (struct http_head){ .status = 1000 };
	assert_int_equal(h2_answer(s.h2, 1, &h, true), -EINVAL);
	client_done(&c);
	seen_done(&s);
}

/* As large as HTTP/1.1 lets it in, which is more than nghttp2 sends by default. */
static void test_a_large_answer_head(void **state)
{
	static char big[32750 + 1];
	struct client c;
	struct seen s;
	struct err e = { 0 };

	(void)state;
	memset(big, 'v', sizeof(big) - 1);
	ask(&c, &s);
	struct http_head h = { .status = 200 };
	for (int i = 0; i < 2; i++)
		assert_int_equal(http_add(&h, STR("x"), str_of(big)), 0);
	assert_int_equal(h2_answer(s.h2, 1, &h, true), 0);
	assert_int_equal(pump(&c, &s, &e), 0);
	assert_int_equal(c.closed, 1);
	assert_int_equal(c.last_code, NGHTTP2_NO_ERROR);
	client_done(&c);
	seen_done(&s);
}

static void test_answer_from_inside_the_call(void **state)
{
	struct client c;
	struct seen s;
	struct err e = { 0 };

	(void)state;
	for (int reset = 0; reset < 2; reset++) {
		client_init(&c);
		seen_init(&s);
		s.answer_at_once = true;
		s.answer_and_reset = reset;
		for (int i = 0; i < 20; i++)
			client_ask(&c, POST, -1);
		assert_int_equal(pump(&c, &s, &e), 0);
		assert_int_equal(c.closed, 20);
		if (!reset)
			assert_int_equal(buf_len(&c.got), 100);
		client_done(&c);
		seen_done(&s);
	}
}

static void test_backpressure(void **state)
{
	static char piece[50000];
	struct client c;
	struct seen s;
	struct err e = { 0 };
	size_t sent = 0;

	(void)state;
	ask(&c, &s);
	struct http_head h = { .status = 200, .length = HTTP_LENGTH_CHUNKED };
	assert_int_equal(h2_answer(s.h2, 1, &h, false), 0);
	/* Below the low mark nobody is told; above it once. */
	assert_int_equal(h2_body(s.h2, 1, piece, sizeof(piece), false), 0);
	struct buf out;
	buf_init(&out, 1 << 20);
	assert_int_equal(h2_pull(s.h2, &out, 1 << 20), 0);
	assert_int_equal(s.drains, 0);
	buf_clear(&out);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(h2_body(s.h2, 1, piece, sizeof(piece), false), 0);
		sent += sizeof(piece);
	}
	/* The client's window of 64 kB - 1 holds the rest back. */
	assert_int_equal(h2_pull(s.h2, &out, 1 << 20), 0);
	assert_int_equal(h2_queued(s.h2, 1), sent + sizeof(piece) - 65535);
	assert_int_equal(h2_sent(s.h2, 1), 65535);
	assert_int_equal(s.drains, 0);
	buf_done(&out);
	client_done(&c);
	seen_done(&s);

	/* A client that reads: one drain for a full queue, and all bytes. */
	ask(&c, &s);
	assert_int_equal(h2_answer(s.h2, 1, &h, false), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(h2_body(s.h2, 1, piece, sizeof(piece), i == 19), 0);
	assert_int_equal(pump(&c, &s, &e), 0);
	assert_int_equal(buf_len(&c.got), 20 * sizeof(piece));
	assert_int_equal(s.drains, 1);
	client_done(&c);
	seen_done(&s);

	/* The queue has an end. */
	ask(&c, &s);
	assert_int_equal(h2_answer(s.h2, 1, &h, false), 0);
	int r = 0;
	for (int i = 0; i < 1000 && !r; i++)
		r = h2_body(s.h2, 1, piece, sizeof(piece), false);
	assert_int_equal(r, -EMSGSIZE);
	client_done(&c);
	seen_done(&s);
}

static void test_pull_in_small_portions(void **state)
{
	static char piece[300000];
	struct client c;
	struct seen s;
	struct err e = { 0 };

	(void)state;
	ask(&c, &s);
	struct http_head h = { .status = 200, .length = HTTP_LENGTH_CHUNKED };
	assert_int_equal(h2_answer(s.h2, 1, &h, false), 0);
	assert_int_equal(h2_body(s.h2, 1, piece, sizeof(piece), true), 0);
	struct buf out;
	buf_init(&out, 1 << 20);
	assert_int_equal(h2_pull(s.h2, &out, 1000), 0);
	assert_in_range(buf_len(&out), 1, 1000 + 16384 + 9);
	assert_int_equal(nghttp2_session_mem_recv(c.ng, (uint8_t *)buf_ptr(&out), buf_len(&out)), buf_len(&out));
	buf_done(&out);
	assert_int_equal(pump_upto(&c, &s, &e, 1, 100000), 0);
	assert_int_equal(buf_len(&c.got), sizeof(piece));
	client_done(&c);
	seen_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_answer_shapes),
		cmocka_unit_test(test_a_large_answer_head),
		cmocka_unit_test(test_answer_from_inside_the_call),
		cmocka_unit_test(test_backpressure),
		cmocka_unit_test(test_pull_in_small_portions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
