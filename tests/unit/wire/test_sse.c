// SPDX-License-Identifier: Apache-2.0
/*
 * test_sse.c: event streams, whole and in every cut: what the fields say, and that the raws of all facts are the input.
 */
#include "cuts.h"

#include <time.h>

#include "base/json.h"
#include "base/str.h"
#include "wire/sse.h"

struct teller {
	struct sse *sse;
	struct buf raws;
	size_t max;
	unsigned overflows;
};

/* Line ends as letters, so that the expectations can be read. */
static void put_visible(struct buf *tale, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\n')
			(void)buf_append(tale, "\\n", 2);
		else if (s.p[i] == '\r')
			(void)buf_append(tale, "\\r", 2);
		else
			(void)buf_append(tale, &s.p[i], 1);
}

static void check_padding(struct str data)
{
	volatile char sum = 0;

	/* AddressSanitizer sees a read that is not ours. */
	for (size_t i = 0; i < JSON_PADDING; i++)
		sum = (char)(sum + data.p[data.n + i]);
}

static void tell_fact(struct teller *t, enum sse_fact fact, const struct sse_event *ev, struct buf *tale)
{
	if (fact == SSE_MORE)
		return;
	assert_int_not_equal(fact, SSE_NO_MEMORY);
	assert_int_equal(buf_append(&t->raws, ev->raw.p, ev->raw.n), 0);
	if (fact == SSE_OVERFLOW) {
		if (t->overflows++ == 0)
			(void)buf_append(tale, "overflow;", 9);
		return;
	}
	t->overflows = 0;
	check_padding(ev->data);
	if (ev->data_at >= 0) {
		assert_true(ev->has_data);
		assert_ptr_equal(ev->data.p, ev->raw.p + ev->data_at);
		assert_true((size_t)ev->data_at + ev->data.n <= ev->raw.n);
	}
	put_visible(tale, ev->name);
	(void)buf_append(tale, "|", 1);
	put_visible(tale, ev->data);
	(void)buf_printf(tale, "|%s", !ev->has_data ? "-" : ev->data_at < 0 ? "+" : "");
	put_visible(tale, ev->raw);
	(void)buf_append(tale, ";", 1);
}

static void *begin(void *ctx)
{
	struct teller *t = cuts_copy(ctx, sizeof(*t));

	t->sse = sse_new(t->max);
	assert_non_null(t->sse);
	buf_init(&t->raws, 1 << 24);
	return t;
}

static void feed(void *parser, struct str in, struct buf *tale)
{
	struct teller *t = parser;
	struct sse_event ev;
	enum sse_fact fact;

	do {
		fact = sse_next(t->sse, &in, &ev);
		tell_fact(t, fact, &ev, tale);
	} while (fact != SSE_MORE);
	assert_int_equal(in.n, 0);
}

static void end(void *parser, struct buf *tale)
{
	struct teller *t = parser;
	struct sse_event ev;
	enum sse_fact fact = sse_end(t->sse, &ev);

	tell_fact(t, fact, &ev, tale);
	assert_int_equal(sse_end(t->sse, &ev), SSE_MORE);
	/* The last line of a tale: all raws. */
	(void)buf_append(tale, "\n", 1);
	(void)buf_append(tale, buf_ptr(&t->raws), buf_len(&t->raws));
	buf_done(&t->raws);
	sse_free(t->sse);
	free(t);
}

static void check_tale(size_t max, struct str in, const char *expected)
{
	struct teller teller = { .max = max };
	const struct cuts_run run = { .begin = begin, .feed = feed, .end = end, .ctx = &teller };
	const char *raws;
	struct buf tale;

	cuts_check(&run, in, &tale);
	/* What was told must not hold a raw line end, so the first one ends it. */
	raws = memchr(buf_ptr(&tale), '\n', buf_len(&tale));
	assert_non_null(raws);
	assert_int_equal(buf_len(&tale) - 1 - (size_t)(raws + 1 - buf_ptr(&tale)), in.n);
	if (in.n)
		assert_memory_equal(raws + 1, in.p, in.n);
	if (expected && (strlen(expected) != (size_t)(raws - buf_ptr(&tale)) ||
			 memcmp(expected, buf_ptr(&tale), strlen(expected)) != 0)) {
		fprintf(stderr, "told:     %.*s\nexpected: %s\n", (int)(raws - buf_ptr(&tale)), buf_ptr(&tale), expected);
		fail();
	}
	buf_done(&tale);
}

#define S(literal) { literal, sizeof(literal) - 1 }
/* name|data|raw; a "-" before raw: no data; a "+": data from several lines */
static const struct {
	const char *name;
	struct str in;
	const char *expected;
} streams[] = {
	{ "nothing", S(""), "" },
	{ "one", S("data: a\n\n"), "|a|data: a\\n\\n;" },
	{ "named", S("event: x\ndata: a\n\n"), "x|a|event: x\\ndata: a\\n\\n;" },
	{ "data before event", S("data: a\nevent: x\n\n"), "x|a|data: a\\nevent: x\\n\\n;" },
	{ "two", S("data: a\n\ndata: b\n\n"), "|a|data: a\\n\\n;|b|data: b\\n\\n;" },
	{ "CRLF", S("event: x\r\ndata: a\r\n\r\ndata: b\r\n\r\n"), "x|a|event: x\\r\\ndata: a\\r\\n\\r\\n;|b|data: b\\r\\n\\r\\n;" },
	{ "CR", S("event: x\rdata: a\r\rdata: b\r\r"), "x|a|event: x\\rdata: a\\r\\r;|b|data: b\\r\\r;" },
	{ "CR, then LF", S("data: a\r\r\ndata: b\r\r\n"), "|a|data: a\\r\\r;|b|\\ndata: b\\r\\r;||-\\n;" },
	{ "LF, then CRLF", S("data: a\n\r\ndata: b\n\r\n"), "|a|data: a\\n\\r\\n;|b|data: b\\n\\r\\n;" },
	{ "LF, then CR", S("data: a\n\rdata: b\n\r"), "|a|data: a\\n\\r;|b|data: b\\n\\r;" },
	{ "CRLF, then LF", S("data: a\r\n\ndata: b\r\n\n"), "|a|data: a\\r\\n\\n;|b|data: b\\r\\n\\n;" },
	{ "CRLF, then CR", S("data: a\r\n\rdata: b\r\n\r"), "|a|data: a\\r\\n\\r;|b|data: b\\r\\n\\r;" },
	{ "several data lines", S("data: a\ndata: b\ndata:\ndata: d\n\n"), "|a\\nb\\n\\nd|+data: a\\ndata: b\\ndata:\\ndata: d\\n\\n;" },
	{ "two empty data lines", S("data\ndata\n\n"), "|\\n|+data\\ndata\\n\\n;" },
	{ "one empty data line", S("data\n\ndata:\n\ndata: \n\n"), "||data\\n\\n;||data:\\n\\n;||data: \\n\\n;" },
	{ "one blank goes, the others stay", S("data:  a  \n\n"), "| a  |data:  a  \\n\\n;" },
	{ "no blank", S("data:a\nevent:x\n\n"), "x|a|data:a\\nevent:x\\n\\n;" },
	{ "the last event name wins", S("event: x\nevent: y\ndata: a\n\n"), "y|a|event: x\\nevent: y\\ndata: a\\n\\n;" },
	{ "an empty event name", S("event: x\nevent\ndata: a\n\n"), "|a|event: x\\nevent\\ndata: a\\n\\n;" },
	{ "a comment", S(": keep-alive\n\n"), "||-: keep-alive\\n\\n;" },
	{ "a comment in an event", S("data: a\n:\n: b\n\n"), "|a|data: a\\n:\\n: b\\n\\n;" },
	{ "other fields", S("id: 7\nretry: 9\nfoo: x\nbar\ndata: a\n\n"), "|a|id: 7\\nretry: 9\\nfoo: x\\nbar\\ndata: a\\n\\n;" },
	{ "names that are nearly data", S("Data: a\ndata : b\n data: c\ndatax: d\ndat: e\n\n"),
	  "||-Data: a\\ndata : b\\n data: c\\ndatax: d\\ndat: e\\n\\n;" },
	{ "colons in data", S("data: a: b:c\n\n"), "|a: b:c|data: a: b:c\\n\\n;" },
	{ "blank lines alone", S("\n\r\n\n"), "||-\\n;||-\\r\\n;||-\\n;" },
	{ "more blank lines", S("data: a\n\n\n\ndata: b\n\n"), "|a|data: a\\n\\n;||-\\n;||-\\n;|b|data: b\\n\\n;" },
	{ "BOM", S("\xef\xbb\xbf" "data: a\n\n"), "|a|\xef\xbb\xbf" "data: a\\n\\n;" },
	{ "BOM alone on its line", S("\xef\xbb\xbf\ndata: a\n\n"), "||-\xef\xbb\xbf\\n;|a|data: a\\n\\n;" },
	{ "BOM not at the start", S("data: a\n\n\xef\xbb\xbf" "data: b\n\n"), "|a|data: a\\n\\n;||-\xef\xbb\xbf" "data: b\\n\\n;" },
	{ "two BOMs", S("\xef\xbb\xbf\xef\xbb\xbf" "data: a\n\n"), "||-\xef\xbb\xbf\xef\xbb\xbf" "data: a\\n\\n;" },
	{ "half a BOM", S("\xef\xbb\n\n"), "||-\xef\xbb\\n\\n;" },
	{ "utf-8 in data", S("data: \xe2\x82\xac\xf0\x9f\x92\xb0\n\n"), "|\xe2\x82\xac\xf0\x9f\x92\xb0|data: \xe2\x82\xac\xf0\x9f\x92\xb0\\n\\n;" },
	{ "no last blank line", S("data: a\n\ndata: b\n"), "|a|data: a\\n\\n;|b|data: b\\n;" },
	{ "no last line end", S("data: a\n\nevent: x\ndata: b"), "|a|data: a\\n\\n;x|b|event: x\\ndata: b;" },
	{ "last line end is CR", S("data: b\r"), "|b|data: b\\r;" },
	{ "last blank line is CR", S("data: b\r\n\r"), "|b|data: b\\r\\n\\r;" },
	{ "cut in a name", S("data: a\nda"), "|a|data: a\\nda;" },
	{ "no event but a word", S("hello"), "||-hello;" },
};

static void splits_streams(void **state)
{
	for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		print_message("  %s\n", streams[i].name);
		check_tale(1 << 20, streams[i].in, streams[i].expected);
	}
}

static void takes_nul_in_data(void **state)
{
	struct sse *s = sse_new(1000);
	struct str in = STR("data: a\0b\n\n");
	struct sse_event ev;

	assert_int_equal(sse_next(s, &in, &ev), SSE_EVENT);
	assert_true(str_eq(ev.data, STR("a\0b")));
	sse_free(s);
	sse_free(NULL);
}

/* A bare-CR stream must not hold its event back until the next byte. */
static void tells_at_once(void **state)
{
	static const struct str whole[] = { S("data: a\n\n"), S("data: a\r\n\r\n"), S("data: a\r\r") };
	struct sse_event ev;

	for (size_t i = 0; i < 3; i++) {
		struct sse *s = sse_new(1000);
		struct str in = whole[i];

		assert_int_equal(sse_next(s, &in, &ev), SSE_EVENT);
		assert_int_equal(ev.raw.n, whole[i].n);
		sse_free(s);
	}
}

static const struct {
	const char *name;
	size_t max;
	struct str in;
	const char *expected;
} overflows[] = {
	{ "just fits", 9, S("data: a\n\n"), "|a|data: a\\n\\n;" },
	{ "one over", 8, S("data: a\n\n"), "overflow;" },
	{ "goes on with the next", 12, S("data: 0123456789\n\ndata: a\n\n"), "overflow;|a|data: a\\n\\n;" },
	{ "twice", 12, S("data: 0123456789\n\ndata: 0123456789\n\nid:\n\n"), "overflow;||-id:\\n\\n;" },
	{ "a fit between", 12, S("data: 0123456789\n\ndata: b\n\ndata: 0123456789\n\n"), "overflow;|b|data: b\\n\\n;overflow;" },
	{ "many short lines", 12, S("a\nb\nc\nd\ne\nf\ng\nh\n\ndata: a\n\n"), "overflow;|a|data: a\\n\\n;" },
	{ "CRLF", 12, S("data: 0123456789\r\n\r\ndata: a\r\n\r\n"), "overflow;|a|data: a\\r\\n\\r\\n;" },
	{ "over by the LF of the last CRLF", 10, S("data: a\r\n\r\nid:\r\n\r\n"), "overflow;||-id:\\r\\n\\r\\n;" },
	{ "over by the LF of the last CRLF, CR follows", 10, S("data: a\r\n\r\n\rdata: b\r\n\r"),
	  NULL },
	{ "CR", 12, S("data: 0123456789\r\rdata: a\r\r"), "overflow;|a|data: a\\r\\r;" },
	{ "CR end, unread", 12, S("data: 0123456789\r\n\rdata: a\r\n\r"), "overflow;|a|data: a\\r\\n\\r;" },
	{ "unfinished", 12, S("data: 0123456789"), "overflow;" },
	{ "no room at all", 0, S("data: a\n\n\n"), NULL },
	{ "BOM and no room", 2, S("\xef\xbb\xbf\n\n\n"), "overflow;||-\\n;||-\\n;" },
};

static void tells_overflow_and_goes_on(void **state)
{
	for (size_t i = 0; i < sizeof(overflows) / sizeof(overflows[0]); i++) {
		print_message("  %s\n", overflows[i].name);
		check_tale(overflows[i].max, overflows[i].in, overflows[i].expected);
	}
}

/* Streams put together at random from the pieces that matter; every cut must tell the same, and the raws be the input. */
static void tells_the_same_in_every_cut(void **state)
{
	static const char *const parts[] = { "data: a", "data", "event: x", ":c", "\n", "\r", "\r\n", "\n\n", "\r\r", "\r\n\r\n",
					     "\xef\xbb\xbf", "data:xxxxxxxxxxxxxxxxxxxxxxx", " ", "id: 1" };
	uint32_t seed = CUTS_SEED;

	for (unsigned i = 0; i < 300; i++) {
		struct buf in;

		buf_init(&in, 1 << 16);
		for (unsigned n = cuts_random(&seed) % 30; n; n--) {
			const char *part = parts[cuts_random(&seed) % (sizeof(parts) / sizeof(parts[0]))];

			(void)buf_append(&in, part, strlen(part));
		}
		check_tale(i % 3 ? 1000 : cuts_random(&seed) % 40, (struct str){ buf_ptr(&in), buf_len(&in) }, NULL);
		buf_done(&in);
	}
}

static int64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Nanoseconds for one event of n bytes of data, fed in pieces. */
static int64_t cost_of_event(size_t n, size_t piece, const char *line_end)
{
	struct sse *s = sse_new(n + 100);
	char *text = malloc(n);
	struct str head = STR("data: "), tail = { line_end, strlen(line_end) };
	struct sse_event ev;
	int64_t start;

	assert_non_null(text);
	memset(text, 'x', n);
	start = now_ns();
	assert_int_equal(sse_next(s, &head, &ev), SSE_MORE);
	for (size_t at = 0; at < n; at += piece) {
		struct str in = { text + at, piece < n - at ? piece : n - at };

		assert_int_equal(sse_next(s, &in, &ev), SSE_MORE);
	}
	assert_int_equal(sse_next(s, &tail, &ev), SSE_EVENT);
	start = now_ns() - start;
	assert_int_equal(ev.data.n, n);
	sse_free(s);
	free(text);
	return start;
}

/* 4 MB in 64-byte pieces: a splitter that looks at old bytes again would look at 131 GB and take far longer than this. */
static void looks_at_a_byte_once(void **state)
{
	int64_t cost = cost_of_event(4 << 20, 64, "\r\n\r\n");

	print_message("4 MB event in 64 B pieces: %lld us; 500 kB in 1 kB pieces: %lld us\n", (long long)cost / 1000,
		      (long long)cost_of_event(500 * 1000, 1000, "\n\n") / 1000);
	assert_true(cost < INT64_C(2000000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits_streams),
		cmocka_unit_test(takes_nul_in_data),
		cmocka_unit_test(tells_at_once),
		cmocka_unit_test(tells_overflow_and_goes_on),
		cmocka_unit_test(tells_the_same_in_every_cut),
		cmocka_unit_test(looks_at_a_byte_once),
	};

	print_message("seed %u\n", CUTS_SEED);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
