// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_h2.c: an HTTP/2 client that says anything. First byte, by bits: 1 purse answers and resets as it goes, else it only listens;
 * 2 a good beginning (preface, SETTINGS) is put in front; 4 the rest is frames in a short form (type, flags, stream, length, payload),
 * written out with their true heads. The next two: how the input is cut.
 *
 * Checked besides memory: a head, its body, its end and its close come in that order and once; what stands in a head may; one who only
 * listens hears the same whole and cut; what is pulled stays near its bound.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "base/str.h"
#include "wire/h2.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SETTINGS "\0\0\0\4\0\0\0\0\0"
/* :method GET, :scheme https, :path /, :authority "a.example" */
#define GET "\x82\x87\x84\x41\x09" "a.example"
#define POST "\x83\x87\x84\x41\x09" "a.example"

const struct str fuzz_seeds[] = {
	FUZZ_SEED("\0\1\1" PREFACE SETTINGS "\0\0\x0e\1\5\0\0\0\1" GET "\0\0\x0e\1\4\0\0\0\3" POST "\0\0\2\0\1\0\0\0\3hi"),
	FUZZ_SEED("\1\1\2" PREFACE SETTINGS "\0\0\x0e\1\5\0\0\0\1" GET "\0\0\0\4\1\0\0\0\0" "\0\0\4\3\0\0\0\0\1\0\0\0\x08"),
	/* HEADERS, CONTINUATION; DATA with padding; RST_STREAM; PING; WINDOW_UPDATE; GOAWAY; PRIORITY */
	FUZZ_SEED("\7\1\3" "\1\1\1\x0e" GET "\x09\4\1\0"
		  "\1\4\3\x0e" POST "\0\x08\3\4\1hi\0" "\0\1\3\1x" "\3\0\3\4\0\0\0\7" "\6\0\0\x08" "12345678" "\x08\0\0\4\0\0\1\0"),
	FUZZ_SEED("\6\1\4" "\1\5\1\x0e" GET "\1\5\3\x1e" GET "\x40\1x\3" "a=b" "\x40\2te\x08" "trailers" "\1\5\5\x12" GET "\x5c\1" "5" "\x80"
		  "\2\0\5\5\0\0\0\0\x10" "\7\0\0\x08\0\0\0\0\0\0\0\0"),
	FUZZ_SEED("\7\1\5" "\4\0\0\6\0\4\0\0\0\0" "\1\5\1\x0e" GET "\x08\0\1\4\x7f\xff\xff\xff" "\4\0\0\6\0\3\0\0\0\1" "\1\5\3\x0e" GET),
	FUZZ_SEED("\2\1\6" "\0\0\x0f\1\5\0\0\0\1\x3f\xe1\x1f\x82\x87\x84\x41\x09" "a.exampl"),
	FUZZ_SEEDS_END,
};

#define STREAMS 64
struct peer {
	struct h2 *h2;
	struct buf tale;
	bool answers;
	struct {
		int32_t id;
		bool ended;
	} open[2 * STREAMS];
	size_t nopen;
	uint32_t whims; /* what it does next */
};

static void put(struct peer *p, const void *what, size_t n)
{
	if (!p->answers)
		MUST(n == 0 || buf_append(&p->tale, what, n) == 0);
}

static size_t place_of(const struct peer *p, int32_t stream)
{
	for (size_t i = 0; i < p->nopen; i++)
		if (p->open[i].id == stream)
			return i;
	return SIZE_MAX;
}

/* Full answers, halves, out of order, resets, nothing. */
static void act(struct peer *p, int32_t stream)
{
	struct http_head head = { .status = 200, .length = HTTP_LENGTH_CHUNKED };
	const uint32_t whim = fuzz_random(&p->whims) % 8;

	if (!p->answers)
		return;
	if (whim == 0)
		h2_reset(p->h2, stream, 8);
	if (whim == 1)
		(void)h2_interim(p->h2, stream, 103);
	if (whim == 2)
		h2_goaway(p->h2);
	if (whim > 2) {
		MUST(http_add(&head, STR("X-A"), STR("b")) == 0);
		(void)h2_answer(p->h2, stream, &head, whim == 3);
		(void)h2_body(p->h2, stream, "hello", 5, whim == 4);
	}
	MUST(h2_queued(p->h2, stream) <= (8u << 20));
}

static void on_head(void *ctx, int32_t stream, struct http_head *head, bool fin)
{
	struct peer *p = ctx;

	MUST(stream > 0 && place_of(p, stream) == SIZE_MAX);
	MUST(p->nopen < 2 * STREAMS);
	p->open[p->nopen].id = stream;
	p->open[p->nopen++].ended = fin;
	MUST(http_is_token(head->method) && http_is_target(head->target) && http_is_authority(head->authority));
	MUST(head->nfields <= HTTP_FIELDS_MAX);
	put(p, &stream, sizeof(stream));
	put(p, &fin, sizeof(fin));
	put(p, head->method.p, head->method.n);
	put(p, head->target.p, head->target.n);
	put(p, head->authority.p, head->authority.n);
	for (size_t i = 0; i < head->nfields; i++) {
		MUST(http_is_token(head->fields[i].name) && http_is_value(head->fields[i].value) && !http_is_hop(head->fields[i].name));
		put(p, head->fields[i].name.p, head->fields[i].name.n);
		put(p, head->fields[i].value.p, head->fields[i].value.n);
	}
	act(p, stream);
}

static void on_body(void *ctx, int32_t stream, const void *bytes, size_t n)
{
	struct peer *p = ctx;
	size_t at = place_of(p, stream);

	MUST(at != SIZE_MAX && !p->open[at].ended);
	put(p, bytes, n);
	if (p->answers)
		h2_consumed(p->h2, stream, n);
	act(p, stream);
}

static void on_fin(void *ctx, int32_t stream)
{
	struct peer *p = ctx;
	size_t at = place_of(p, stream);

	MUST(at != SIZE_MAX && !p->open[at].ended);
	p->open[at].ended = true;
	put(p, "fin", 3);
	act(p, stream);
}

static void on_closed(void *ctx, int32_t stream, bool by_peer_reset)
{
	struct peer *p = ctx;
	size_t at = place_of(p, stream);

	MUST(at != SIZE_MAX);
	p->open[at] = p->open[--p->nopen];
	put(p, by_peer_reset ? "reset" : "close", 5);
}

static void on_drain(void *ctx, int32_t stream)
{
	struct peer *p = ctx;

	MUST(place_of(p, stream) != SIZE_MAX);
	if (p->answers)
		(void)h2_body(p->h2, stream, "more", 4, true);
}

static const struct h2_calls calls = {
	.on_head = on_head, .on_body = on_body, .on_fin = on_fin, .on_closed = on_closed, .on_drain = on_drain
};

static int pull(struct peer *p)
{
	struct buf out;
	int ret;

	buf_init(&out, 1 << 22);
	ret = h2_pull(p->h2, &out, 1 << 20);
	MUST(buf_len(&out) <= (1 << 20) + (1 << 17));
	buf_done(&out);
	return ret;
}

static void run(bool answers, uint32_t cuts, struct str in, struct buf *ret_tale)
{
	struct peer p = { .answers = answers, .whims = (uint32_t)in.n * 7 + 1 };
	int ret = 0;

	buf_init(&p.tale, 1 << 24);
	MUST(h2_new(&calls, &p, &p.h2) == 0);
	while (in.n && ret == 0 && !h2_wants_close(p.h2)) {
		const size_t n = fuzz_piece(&cuts, in.n);
		char *piece = fuzz_copy(in.p, n);

		ret = h2_feed(p.h2, piece, n, NULL);
		if (ret == 0 && answers)
			ret = pull(&p);
		free(piece);
		in.p += n;
		in.n -= n;
	}
	(void)pull(&p);
	h2_free(p.h2);
	*ret_tale = p.tale;
}

static void put_frame(struct buf *out, struct str *in)
{
	const unsigned char *c = (const unsigned char *)in->p;
	const size_t n = c[3] < in->n - 4 ? c[3] : in->n - 4;
	const char head[9] = { 0, 0, (char)n, (char)c[0], (char)c[1], 0, 0, 0, (char)(c[2] & 0x7f) };

	MUST(buf_append(out, head, sizeof(head)) == 0);
	MUST(n == 0 || buf_append(out, in->p + 4, n) == 0);
	in->p += 4 + n;
	in->n -= 4 + n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf text, whole, cut;
	struct str in, all;

	if (size < 3)
		return 0;
	in = (struct str){ (const char *)data + 3, size - 3 };
	buf_init(&text, 1 << 20);
	if (data[0] & 2)
		MUST(buf_append(&text, PREFACE SETTINGS, sizeof(PREFACE SETTINGS) - 1) == 0);
	while ((data[0] & 4) && in.n >= 4)
		put_frame(&text, &in);
	MUST(in.n == 0 || buf_append(&text, in.p, in.n) == 0);
	all = (struct str){ buf_ptr(&text), buf_len(&text) };
	run(data[0] & 1, 0, all, &whole);
	run(data[0] & 1, (uint32_t)data[1] << 8 | data[2] | 0x10000, all, &cut);
	MUST((data[0] & 1) || fuzz_same(&whole, &cut));
	buf_done(&whole);
	buf_done(&cut);
	buf_done(&text);
	return 0;
}
