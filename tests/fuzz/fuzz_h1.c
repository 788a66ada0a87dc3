// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_h1.c: bytes to the HTTP/1.1 parser. First byte: side, answer to HEAD; the next two: how the input is cut.
 *
 * Checked besides memory: whole and cut input tell the same; facts come within a bound; a head that was read can be
 * written, and what is written reads back as the same head, in one way.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "base/str.h"
#include "wire/h1.h"

const struct str fuzz_seeds[] = {
	FUZZ_SEED("\0\1\1GET /v1/models HTTP/1.1\r\nHost: a.example\r\nConnection: x, close\r\nX: y\r\n\r\n"),
	FUZZ_SEED("\0\1\2POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello"
		  "GET / HTTP/1.0\r\nHost: b:1\r\nConnection: keep-alive\r\n\r\n"),
	FUZZ_SEED("\0\1\3POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0a\r\n0123456789\r\n0\r\nX: y\r\n\r\n"),
	FUZZ_SEED("\1\1\4HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
	FUZZ_SEED("\1\1\5HTTP/1.1 204 No\r\n\r\nHTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\nHTTP/1.0 200 OK\r\n\r\nuntil the end"),
	FUZZ_SEED("\3\1\6HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 2\r\nUpgrade: h2\r\n\r\nno"),
	FUZZ_SEEDS_END,
};

static bool is_same_head(const struct http_head *a, const struct http_head *b)
{
	if (!str_eq(a->method, b->method) || !str_eq(a->target, b->target) || !str_eq(a->authority, b->authority) ||
	    a->status != b->status || a->keep_alive != b->keep_alive)
		return false;
	return a->length == b->length && a->content_length == b->content_length;
}

/* An interim answer's and a 304's connection and length are not carried over in full: only that it reads is checked. */
static void check_rewrite(enum h1_side side, bool no_body, const struct http_head *head)
{
	struct h1 *again = h1_new(side);
	struct buf out;
	struct str in, body;

	MUST(again);
	buf_init(&out, 2 * HTTP_HEAD_MAX);
	MUST((side == H1_REQUESTS ? h1_write_request(&out, head) : h1_write_response(&out, head)) == 0);
	in = (struct str){ buf_ptr(&out), buf_len(&out) };
	if (no_body)
		h1_expect_no_body(again);
	MUST(h1_next(again, &in, &body, NULL) == H1_HEAD);
	MUST(in.n == 0);
	if (side == H1_REQUESTS)
		MUST(is_same_head(head, h1_head(again)));
	else
		MUST(head->status == h1_head(again)->status && str_eq(head->reason, h1_head(again)->reason));
	h1_free(again);
	buf_done(&out);
}

/* No value that the parser lets through may hold a byte that could end a line. */
static void check_fields(const struct http_head *head)
{
	for (size_t i = 0; i < head->nfields; i++) {
		MUST(http_is_token(head->fields[i].name) && http_is_value(head->fields[i].value));
		MUST(!http_is_hop(head->fields[i].name));
	}
}

static void put(struct buf *tale, const void *p, size_t n)
{
	MUST(n == 0 || buf_append(tale, p, n) == 0);
}

static void tell_head(struct buf *tale, const struct http_head *h)
{
	const int64_t numbers[] = { h->status, h->length, h->content_length, h->keep_alive, h->expect_continue, h->upgrade };

	put(tale, numbers, sizeof(numbers));
	put(tale, h->method.p, h->method.n);
	put(tale, h->target.p, h->target.n);
	put(tale, h->authority.p, h->authority.n);
	for (size_t i = 0; i < h->nfields; i++) {
		put(tale, h->fields[i].name.p, h->fields[i].name.n);
		put(tale, ":", 1);
		put(tale, h->fields[i].value.p, h->fields[i].value.n);
	}
}

/* True if the parser goes on. */
static bool feed(struct h1 *p, enum h1_side side, bool no_body, struct str in, struct buf *tale)
{
	const char *end = in.p + in.n;
	struct str body;
	enum h1_fact fact;
	/* At least two bytes make a fact, but for the END of a head without body. */
	size_t bound = 2 * in.n + 4;

	while ((fact = h1_next(p, &in, &body, NULL)) != H1_MORE) {
		MUST(bound--);
		if (fact == H1_BODY) {
			MUST(body.n > 0 && body.p + body.n <= end);
			put(tale, body.p, body.n);
			continue;
		}
		put(tale, &fact, sizeof(fact));
		if (fact == H1_BAD)
			return false;
		if (fact == H1_HEAD) {
			check_fields(h1_head(p));
			check_rewrite(side, no_body, h1_head(p));
			tell_head(tale, h1_head(p));
		}
	}
	MUST(in.n == 0);
	return true;
}

static void run(uint8_t flags, uint32_t cuts, struct str in, struct buf *tale)
{
	const enum h1_side side = flags & 1 ? H1_RESPONSES : H1_REQUESTS;
	const bool no_body = side == H1_RESPONSES && (flags & 2);
	struct h1 *p = h1_new(side);
	enum h1_fact fact;
	bool goes_on = true;

	MUST(p);
	buf_init(tale, 1 << 24);
	if (no_body)
		h1_expect_no_body(p);
	while (in.n && goes_on) {
		const size_t n = fuzz_piece(&cuts, in.n);
		char *piece = fuzz_copy(in.p, n);

		goes_on = feed(p, side, no_body, (struct str){ piece, n }, tale);
		free(piece);
		in.p += n;
		in.n -= n;
	}
	fact = h1_eof(p, NULL);
	put(tale, &fact, sizeof(fact));
	h1_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole, cut;
	struct str in;

	if (size < 3)
		return 0;
	in = (struct str){ (const char *)data + 3, size - 3 };
	run(data[0], 0, in, &whole);
	run(data[0], (uint32_t)data[1] << 8 | data[2] | 0x10000, in, &cut);
	MUST(buf_len(&whole) == buf_len(&cut) && memcmp(buf_ptr(&whole), buf_ptr(&cut), buf_len(&whole)) == 0);
	buf_done(&whole);
	buf_done(&cut);
	return 0;
}
