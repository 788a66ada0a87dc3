// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_sse.c: bytes to the event splitter. First byte: the maximum of an event; the next two: how the input is cut.
 *
 * Checked besides memory: the raws of all facts are the input; whole and cut input tell the same events; data stands
 * where it is said to stand.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "base/json.h"
#include "wire/sse.h"

const struct str fuzz_seeds[] = {
	FUZZ_SEED("\xff\1\1event: x\ndata: {\"a\":1}\n\ndata: a\ndata: b\n\n: c\n\ndata: [DONE]\n\n"),
	FUZZ_SEED("\xff\1\2\xef\xbb\xbf" "data: a\r\n\r\nevent: y\r\ndata: b\r\n\r\n"),
	FUZZ_SEED("\xff\1\3data: a\r\rdata\r\rdata: c"),
	FUZZ_SEED("\x08\1\4data: 0123456789\n\ndata: a\r\n\r\n\n\r\n\r"),
	FUZZ_SEEDS_END,
};

static void put(struct buf *b, const void *p, size_t n)
{
	MUST(n == 0 || buf_append(b, p, n) == 0);
}

static void check_event(const struct sse_event *ev)
{
	volatile char sum = 0;

	for (size_t i = 0; i < ev->data.n + JSON_PADDING; i++)
		sum = (char)(sum + ev->data.p[i]);
	if (ev->data_at >= 0)
		MUST(ev->data.p == ev->raw.p + ev->data_at && (size_t)ev->data_at + ev->data.n <= ev->raw.n);
	MUST(ev->has_data || (ev->data.n == 0 && ev->data_at == -1));
}

static void tell(enum sse_fact fact, const struct sse_event *ev, struct buf *tale, struct buf *raws)
{
	MUST(fact != SSE_NO_MEMORY);
	if (fact == SSE_MORE)
		return;
	put(raws, ev->raw.p, ev->raw.n);
	if (fact == SSE_OVERFLOW)
		return;
	check_event(ev);
	put(tale, &ev->has_data, sizeof(ev->has_data));
	put(tale, &ev->data_at, sizeof(ev->data_at));
	put(tale, &ev->name.n, sizeof(ev->name.n));
	put(tale, ev->name.p, ev->name.n);
	put(tale, &ev->data.n, sizeof(ev->data.n));
	put(tale, ev->data.p, ev->data.n);
	put(tale, ev->raw.p, ev->raw.n);
}

static void run(size_t max, uint32_t cuts, struct str in, struct buf *tale)
{
	const struct str all = in;
	struct sse *s = sse_new(max);
	struct buf raws;
	struct sse_event ev;
	enum sse_fact fact;

	MUST(s);
	buf_init(tale, 1 << 26);
	buf_init(&raws, 1 << 20);
	while (in.n) {
		const size_t n = fuzz_piece(&cuts, in.n);
		char *piece = fuzz_copy(in.p, n);
		struct str rest = { piece, n };

		do {
			fact = sse_next(s, &rest, &ev);
			tell(fact, &ev, tale, &raws);
		} while (fact != SSE_MORE);
		MUST(rest.n == 0);
		free(piece);
		in.p += n;
		in.n -= n;
	}
	fact = sse_end(s, &ev);
	tell(fact, &ev, tale, &raws);
	MUST(sse_end(s, &ev) == SSE_MORE);
	MUST(buf_len(&raws) == all.n && (all.n == 0 || memcmp(buf_ptr(&raws), all.p, all.n) == 0));
	buf_done(&raws);
	sse_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole, cut;
	struct str in;
	size_t max;

	if (size < 3 || size > 65536)
		return 0;
	in = (struct str){ (const char *)data + 3, size - 3 };
	max = data[0] == 0xff ? 1 << 20 : data[0];
	run(max, 0, in, &whole);
	run(max, (uint32_t)data[1] << 8 | data[2] | 0x10000, in, &cut);
	MUST(buf_len(&whole) == buf_len(&cut));
	MUST(buf_len(&whole) == 0 || memcmp(buf_ptr(&whole), buf_ptr(&cut), buf_len(&whole)) == 0);
	buf_done(&whole);
	buf_done(&cut);
	return 0;
}
