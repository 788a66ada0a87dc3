// SPDX-License-Identifier: Apache-2.0
/*
 * test_h2_hostile.c: frames that no client would send: breaches of the protocol, floods, bombs. Each has a bound, and
 * each ends as RFC 9113 says.
 */
#include "h2_pair.h"

/* nghttp2's client lowers names: by hand. */
static void test_upper_case(void **state)
{
	struct hand h;
	uint32_t code = 0;

	(void)state;
	hand_init(&h);
	hand_frame(&h, NGHTTP2_HEADERS, 5, 1, "\x83\x87\x84\x01\x01" "a" "\x00\x01" "X" "\x01" "y", 11);
	assert_int_equal(h.r, 0);
	assert_int_equal(buf_len(&h.s.tale), 0);
	assert_int_equal(count_sent(&h, NGHTTP2_RST_STREAM, &code), 1);
	assert_int_equal(code, NGHTTP2_PROTOCOL_ERROR);
	hand_frame(&h, NGHTTP2_HEADERS, 5, 3, "\x83\x87\x84\x01\x01" "a" "\x00\x01" "x" "\x01" "y", 11);
	assert_true(tale_has(&h.s, "[x:y]"));
	hand_done(&h);
}

static void test_a_lower_idle_stream_is_a_connection_error(void **state)
{
	struct hand h;
	uint32_t code = 0;

	(void)state;
	hand_init(&h);
	hand_frame(&h, NGHTTP2_HEADERS, 5, 5, BLOCK);
	assert_int_equal(h.r, 0);
	hand_frame(&h, NGHTTP2_HEADERS, 5, 3, BLOCK);
	assert_int_equal(h.r, -EPROTO);
	assert_non_null(strstr(h.e.text, "lower"));
	assert_int_equal(count_sent(&h, NGHTTP2_GOAWAY, &code), 1);
	assert_int_equal(code, NGHTTP2_PROTOCOL_ERROR);
	assert_tale(&h.s, "head 5 POST a.example / none 0 fin\n");
	assert_true(h2_wants_close(h.s.h2));
	hand_done(&h);

	/* In one piece with a good request behind it: that one is not served any more. */
	uint8_t all[256];
	size_t n = 0;
	hand_init(&h);
	n += frame(all + n, NGHTTP2_HEADERS, 5, 5, BLOCK);
	n += frame(all + n, NGHTTP2_HEADERS, 5, 1, BLOCK);
	n += frame(all + n, NGHTTP2_HEADERS, 5, 7, BLOCK);
	hand_feed(&h, all, n);
	assert_int_equal(h.r, -EPROTO);
	assert_tale(&h.s, "head 5 POST a.example / none 0 fin\n");
	hand_done(&h);
}

/* What runs when the connection fails is not completed any more. */
static void test_nothing_is_told_after_a_connection_error(void **state)
{
	struct hand h;
	uint8_t all[256];
	size_t n = 0;

	(void)state;
	hand_init(&h);
	n += frame(all + n, NGHTTP2_HEADERS, 4, 5, BLOCK);
	n += frame(all + n, NGHTTP2_HEADERS, 5, 1, BLOCK);
	n += frame(all + n, NGHTTP2_DATA, 1, 5, "body", 4);
	hand_feed(&h, all, n);
	assert_int_equal(h.r, -EPROTO);
	assert_int_equal(h.s.bodies, 0);
	assert_tale(&h.s, "head 5 POST a.example / chunked 0\n");
	hand_done(&h);
}

/* Trailers that cross our reset are no crime. */
static void test_headers_on_a_closed_stream_are_not(void **state)
{
	struct hand h;

	(void)state;
	hand_init(&h);
	hand_frame(&h, NGHTTP2_HEADERS, 4, 1, BLOCK);
	h2_reset(h.s.h2, 1, NGHTTP2_CANCEL);
	hand_frame(&h, NGHTTP2_HEADERS, 5, 3, BLOCK);
	hand_frame(&h, NGHTTP2_HEADERS, 5, 1, "\x00\x01x\x01y", 5);
	assert_int_equal(h.r, 0);
	hand_frame(&h, NGHTTP2_HEADERS, 5, 5, BLOCK);
	assert_int_equal(h.r, 0);
	assert_true(tale_has(&h.s, "head 5"));
	assert_int_equal(count_sent(&h, NGHTTP2_GOAWAY, NULL), 0);
	hand_done(&h);
}

/* After a client ended or reset its stream, more on it is a breach. */
static void test_frames_on_a_finished_stream(void **state)
{
	static const struct {
		const char *name;
		bool answered, reset;
		uint8_t type, flags;
		const void *p;
		size_t n;
	} rows[] = {
		{ "HEADERS before the answer", false, false, NGHTTP2_HEADERS, 5, BLOCK },
		{ "HEADERS behind the answer", true, false, NGHTTP2_HEADERS, 5, BLOCK },
		{ "DATA behind the answer", true, false, NGHTTP2_DATA, 0, "x", 1 },
		{ "HEADERS behind a reset", false, true, NGHTTP2_HEADERS, 5, BLOCK },
		{ "DATA behind a reset", false, true, NGHTTP2_DATA, 0, "x", 1 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hand h;
		uint32_t code = 0;
		hand_init(&h);
		h.s.answer_at_once = rows[i].answered;
		hand_frame(&h, NGHTTP2_HEADERS, 5, 1, BLOCK);
		if (rows[i].reset)
			hand_frame(&h, NGHTTP2_RST_STREAM, 0, 1, "\0\0\0\x08", 4);
		hand_frame(&h, rows[i].type, rows[i].flags, 1, rows[i].p, rows[i].n);
		if (count_sent(&h, NGHTTP2_GOAWAY, &code) != 1 || code != NGHTTP2_STREAM_CLOSED)
			fail_msg("%s: code %u", rows[i].name, code);
		hand_done(&h);
	}
}

static void test_too_many_streams(void **state)
{
	struct hand h;
	uint32_t code = 0;

	(void)state;
	hand_init(&h);
	for (uint32_t i = 0; i < 120; i++)
		hand_frame(&h, NGHTTP2_HEADERS, 4, 2 * i + 1, BLOCK);
	assert_int_equal(h.r, 0);
	assert_true(tale_has(&h.s, "head 199 "));
	assert_false(tale_has(&h.s, "head 201 "));
	assert_int_equal(count_sent(&h, NGHTTP2_RST_STREAM, &code), 20);
	assert_int_equal(code, NGHTTP2_REFUSED_STREAM);
	assert_int_equal(count_sent(&h, NGHTTP2_GOAWAY, NULL), 0);
	hand_done(&h);
}

/* One that reads neither our SETTINGS nor our refusals would make them pile up (160 bytes for 20). */
static void test_refusals_that_nobody_takes(void **state)
{
	struct hand h;
	uint8_t bytes[64];
	uint32_t id = 1, code = 0;

	(void)state;
	hand_init(&h);
	for (; id < 20000 && !h.r; id += 2)
		h.r = h2_feed(h.s.h2, bytes, frame(bytes, NGHTTP2_HEADERS, 4, id, BLOCK), &h.e);
	assert_int_equal(h.r, -EPROTO);
	assert_non_null(strstr(h.e.text, "beyond those that SETTINGS allow"));
	assert_in_range(id / 2, 1100, 1102);
	/* Nothing of what follows is looked at. */
	buf_clear(&h.s.tale);
	for (uint32_t i = 0; i < 1000; i++, id += 2)
		assert_int_equal(h2_feed(h.s.h2, bytes, frame(bytes, NGHTTP2_HEADERS, 4, id, BLOCK), &h.e), -EPROTO);
	assert_int_equal(buf_len(&h.s.tale), 0);
	(void)h2_pull(h.s.h2, &h.out, 8 << 20);
	assert_int_equal(count_sent(&h, NGHTTP2_GOAWAY, &code), 1);
	assert_int_equal(code, NGHTTP2_ENHANCE_YOUR_CALM);
	hand_done(&h);
}

/* CVE-2023-44487. */
static void test_rapid_reset(void **state)
{
	struct hand h;
	uint32_t id = 1;

	(void)state;
	hand_init(&h);
	for (; id < 20000 && !h2_wants_close(h.s.h2) && !h.r; id += 2) {
		hand_frame(&h, NGHTTP2_HEADERS, 4, id, BLOCK);
		hand_frame(&h, NGHTTP2_RST_STREAM, 0, id, "\0\0\0\x08", 4);
	}
	assert_in_range(id, 2 * 900, 2 * 1200);
	assert_int_equal(count_sent(&h, NGHTTP2_GOAWAY, NULL), 1);
	hand_done(&h);
}

/* CVE-2025-8671: the client provokes our resets. */
static void test_made_you_reset(void **state)
{
	static const struct {
		const char *name;
		uint8_t type, flags;
		const char *p;
		size_t n;
	} rows[] = {
		{ "window update of zero", NGHTTP2_WINDOW_UPDATE, 0, "\0\0\0\0", 4 },
		{ "window overflow", NGHTTP2_WINDOW_UPDATE, 0, "\x7f\xff\xff\xff", 4 },
		{ "trailers without end", NGHTTP2_HEADERS, 4, "\x00\x01x\x01y", 5 },
		{ "depends on itself", NGHTTP2_PRIORITY, 0, NULL, 5 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hand h;
		uint32_t id = 1, code = 0;
		hand_init(&h);
		for (; id < 4000 && !h.r && !h2_wants_close(h.s.h2); id += 2) {
			uint8_t self[5] = { 0, 0, (uint8_t)(id >> 8), (uint8_t)id, 1 };
			hand_frame(&h, NGHTTP2_HEADERS, 4, id, BLOCK);
			hand_frame(&h, rows[i].type, rows[i].flags, id, rows[i].p ? (const void *)rows[i].p : self,
				   rows[i].n);
		}
		if (id > 2 * 110 || count_sent(&h, NGHTTP2_GOAWAY, &code) != 1)
			fail_msg("%s: %u streams, %zu GOAWAYs", rows[i].name, id / 2, count_sent(&h, NGHTTP2_GOAWAY, &code));
		hand_done(&h);
	}
}

static void test_bad_heads_in_a_row(void **state)
{
	struct hand h;
	uint32_t id = 1, code = 0;

	(void)state;
	hand_init(&h);
	for (; id < 4000 && !h.r; id += 2)
		hand_frame(&h, NGHTTP2_HEADERS, 5, id, "\x83\x86\x84\x01\x01" "a", 6); /* http */
	assert_in_range(id, 2 * 100, 2 * 105);
	assert_non_null(strstr(h.e.text, "protocol errors"));
	assert_int_equal(count_sent(&h, NGHTTP2_GOAWAY, &code), 1);
	assert_int_equal(code, NGHTTP2_ENHANCE_YOUR_CALM);
	assert_int_equal(buf_len(&h.s.tale), 0);
	hand_done(&h);
}

/* Frames that are allowed, cost us and achieve nothing (CVE-2019-9512, 9513, 9515, 9518 and their kind). */
static void test_floods(void **state)
{
	static const struct {
		const char *name;
		uint8_t type, flags;
		uint32_t id;
		const char *p;
		size_t n;
	} rows[] = {
		{ "ping", NGHTTP2_PING, 0, 0, "12345678", 8 },
		{ "settings", NGHTTP2_SETTINGS, 0, 0, "\0\3\0\0\0\x64", 6 },
		{ "empty settings", NGHTTP2_SETTINGS, 0, 0, "", 0 },
		{ "priority", NGHTTP2_PRIORITY, 0, 1, "\0\0\0\x09\x01", 5 },
		{ "empty data", NGHTTP2_DATA, 0, 1, "", 0 },
		{ "data of padding", NGHTTP2_DATA, 8, 1, "\x03\0\0\0", 4 },
		{ "window updates of one byte", NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\1", 4 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hand h;
		int n = 0;
		uint32_t code = 0;
		hand_init(&h);
		hand_frame(&h, NGHTTP2_HEADERS, 4, 1, BLOCK);
		for (; n < 100000 && !h.r && !h2_wants_close(h.s.h2); n++)
			hand_frame(&h, rows[i].type, rows[i].flags, rows[i].id, rows[i].p, rows[i].n);
		if (n > 1100 || count_sent(&h, NGHTTP2_GOAWAY, &code) != 1)
			fail_msg("%s: %d frames", rows[i].name, n);
		assert_int_equal(code, NGHTTP2_ENHANCE_YOUR_CALM);
		hand_done(&h);
	}
}

/* Padding counts against the windows and is told to nobody: it gives itself back. */
static void test_padding_eats_no_window(void **state)
{
	static uint8_t data[1 + 1 + 255] = { 255, 'x' };
	struct hand h;

	(void)state;
	hand_init(&h);
	hand_frame(&h, NGHTTP2_HEADERS, 4, 1, BLOCK);
	for (int i = 0; i < 10000; i++)
		hand_frame(&h, NGHTTP2_DATA, 8, 1, data, sizeof(data));
	assert_int_equal(h.r, 0);
	assert_int_equal(h.s.body_bytes, 10000);
	assert_int_equal(count_sent(&h, NGHTTP2_GOAWAY, NULL) + count_sent(&h, NGHTTP2_RST_STREAM, NULL), 0);
	hand_done(&h);
}

/* CVE-2024-28182 and its kind: header blocks without end. */
static void test_continuation_flood(void **state)
{
	struct hand h;
	int n = 0;

	(void)state;
	hand_init(&h);
	hand_frame(&h, NGHTTP2_HEADERS, 1, 1, BLOCK);
	for (; n < 1000 && !h.r && !h2_wants_close(h.s.h2); n++)
		hand_frame(&h, NGHTTP2_CONTINUATION, 0, 1, "\x00\x01x\x01y", 5);
	assert_in_range(n, 1, 9);
	assert_int_equal(buf_len(&h.s.tale), 0);
	hand_done(&h);
}

/* A value of 4 kB in the dynamic table, referred to by one byte each: 16 kB on the wire would be 64 MB of head. */
static void test_hpack_bomb(void **state)
{
	static uint8_t bytes[16384];
	struct hand h;
	size_t n = 0;

	(void)state;
	hand_init(&h);
	memcpy(bytes, block, sizeof(block) - 1);
	n += sizeof(block) - 1;
	memcpy(bytes + n, "\x40\x01x\x7f\xa1\x1e", 6); /* literal, indexed; a value of 127 + 0x21 + 0x1e * 128 = 4000 */
	n += 6;
	memset(bytes + n, 'v', 4000);
	n += 4000;
	memset(bytes + n, 0xbe, sizeof(bytes) - n); /* the first entry of the dynamic table */
	hand_frame(&h, NGHTTP2_HEADERS, 5, 1, bytes, sizeof(bytes));
	assert_int_equal(h.r, 0);
	assert_int_equal(buf_len(&h.s.tale), 0);
	assert_int_equal(count_sent(&h, NGHTTP2_RST_STREAM, NULL), 1);
	/* The decoder's state is intact. */
	hand_frame(&h, NGHTTP2_HEADERS, 5, 3, BLOCK);
	assert_true(tale_has(&h.s, "head 3"));
	hand_done(&h);
}

static void test_connection_errors(void **state)
{
	static const struct {
		const char *name;
		uint8_t type, flags;
		uint32_t id;
		const char *p;
		size_t n;
	} rows[] = {
		{ "DATA on stream 0", NGHTTP2_DATA, 0, 0, "x", 1 },
		{ "HEADERS on stream 0", NGHTTP2_HEADERS, 5, 0, (const char *)block, sizeof(block) - 1 },
		{ "HEADERS on an even stream", NGHTTP2_HEADERS, 5, 2, (const char *)block, sizeof(block) - 1 },
		{ "DATA on an idle stream", NGHTTP2_DATA, 0, 9, "x", 1 },
		{ "RST_STREAM on an idle stream", NGHTTP2_RST_STREAM, 0, 9, "\0\0\0\0", 4 },
		{ "PUSH_PROMISE", NGHTTP2_PUSH_PROMISE, 4, 1, "\0\0\0\2\x82", 5 },
		{ "CONTINUATION out of nothing", NGHTTP2_CONTINUATION, 4, 1, "\x82", 1 },
		{ "PING of seven bytes", NGHTTP2_PING, 0, 0, "1234567", 7 },
		{ "SETTINGS of five bytes", NGHTTP2_SETTINGS, 0, 0, "12345", 5 },
		{ "window update of zero", NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\0", 4 },
		{ "HPACK index that is none", NGHTTP2_HEADERS, 5, 1, "\xff\x80\x01", 3 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hand h;
		hand_init(&h);
		hand_frame(&h, rows[i].type, rows[i].flags, rows[i].id, rows[i].p, rows[i].n);
		if (count_sent(&h, NGHTTP2_GOAWAY, NULL) != 1 || !h2_wants_close(h.s.h2))
			fail_msg("%s", rows[i].name);
		assert_int_equal(buf_len(&h.s.tale), 0);
		hand_done(&h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_upper_case),
		cmocka_unit_test(test_a_lower_idle_stream_is_a_connection_error),
		cmocka_unit_test(test_nothing_is_told_after_a_connection_error),
		cmocka_unit_test(test_headers_on_a_closed_stream_are_not),
		cmocka_unit_test(test_frames_on_a_finished_stream),
		cmocka_unit_test(test_too_many_streams),
		cmocka_unit_test(test_refusals_that_nobody_takes),
		cmocka_unit_test(test_rapid_reset),
		cmocka_unit_test(test_made_you_reset),
		cmocka_unit_test(test_bad_heads_in_a_row),
		cmocka_unit_test(test_floods),
		cmocka_unit_test(test_padding_eats_no_window),
		cmocka_unit_test(test_continuation_flood),
		cmocka_unit_test(test_hpack_bomb),
		cmocka_unit_test(test_connection_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
