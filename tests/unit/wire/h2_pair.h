// SPDX-License-Identifier: Apache-2.0
/*
 * h2_pair.h: for tests: the HTTP/2 server with a tale of what it was told, nghttp2's client in memory, and frames written
 * by hand where no client would send them.
 */
#ifndef PURSE_TESTS_H2_PAIR_H
#define PURSE_TESTS_H2_PAIR_H

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "wire/h2.h"

/* ---- the server's side: what it was told becomes a tale */

struct seen {
	struct h2 *h2;
	struct buf tale;
	size_t body_bytes, drains, bodies;
	bool hold_window; /* do not give the window back */
	bool answer_at_once, answer_and_reset;
	int32_t last;
};

static inline void tell(struct seen *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline void tell(struct seen *s, const char *fmt, ...)
{
	char line[4096];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	assert_true(n >= 0);
	(void)buf_append(&s->tale, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

static const char *const lengths[] = { "none", "fixed", "chunked", "close" };

static inline void on_head(void *ctx, int32_t id, struct http_head *h, bool fin)
{
	static const struct http_field type = { { "Content-Type", 12 }, { "text/plain", 10 } };
	struct seen *s = ctx;

	s->last = id;
	tell(s, "head %d %.*s %.*s %.*s %s %lld%s%s", id, STR_FMT(h->method), STR_FMT(h->authority), STR_FMT(h->target),
	     lengths[h->length], (long long)h->content_length, fin ? " fin" : "", h->expect_continue ? " expects" : "");
	for (size_t i = 0; i < h->nfields; i++)
		tell(s, " [%.*s:%.*s]", STR_FMT(h->fields[i].name), STR_FMT(h->fields[i].value));
	tell(s, "\n");
	if (!s->answer_at_once)
		return;
	struct http_head answer = { .status = 200, .length = HTTP_LENGTH_CHUNKED };
	answer.fields[answer.nfields++] = type;
	assert_int_equal(h2_answer(s->h2, id, &answer, false), 0);
	assert_int_equal(h2_body(s->h2, id, "hello", 5, true), 0);
	if (s->answer_and_reset)
		h2_reset(s->h2, id, NGHTTP2_NO_ERROR);
}

static inline void on_body(void *ctx, int32_t id, const void *p, size_t n)
{
	struct seen *s = ctx;

	s->body_bytes += n;
	s->bodies++;
	if (!s->hold_window)
		h2_consumed(s->h2, id, n);
}

static inline void on_fin(void *ctx, int32_t id)
{
	struct seen *s = ctx;

	tell(s, "fin %d after %zu\n", id, s->body_bytes);
}

static inline void on_closed(void *ctx, int32_t id, bool by_peer_reset)
{
	tell(ctx, "closed %d%s\n", id, by_peer_reset ? " by peer" : "");
}

static inline void on_drain(void *ctx, int32_t id)
{
	((struct seen *)ctx)->drains++;
}

static const struct h2_calls calls = {
	.on_head = on_head, .on_body = on_body, .on_fin = on_fin, .on_closed = on_closed, .on_drain = on_drain,
};

static inline void seen_init(struct seen *s)
{
	*s = (struct seen){ 0 };
	buf_init(&s->tale, 1 << 22);
	assert_int_equal(h2_new(&calls, s, &s->h2), 0);
}

static inline void seen_done(struct seen *s)
{
	h2_free(s->h2);
	buf_done(&s->tale);
}

static inline bool tale_has(const struct seen *s, const char *what)
{
	return buf_len(&s->tale) && memmem(buf_ptr(&s->tale), buf_len(&s->tale), what, strlen(what));
}

static inline void assert_tale(struct seen *s, const char *expected)
{
	(void)buf_append(&s->tale, "", 1);
	assert_string_equal(buf_ptr(&s->tale), expected);
	buf_clear(&s->tale);
}

/* ---- the client's side */

struct client {
	nghttp2_session *ng;
	struct buf got; /* answer bodies */
	char head[2048]; /* answer heads */
	int closed;
	uint32_t last_code, goaway_code;
	bool goaway;
	/* request body */
	size_t to_send;
	bool stall;
};

static inline int c_header(nghttp2_session *ng, const nghttp2_frame *f, const uint8_t *n, size_t nn, const uint8_t *v, size_t nv,
		    uint8_t flags, void *ctx)
{
	struct client *c = ctx;
	size_t at = strlen(c->head);

	snprintf(c->head + at, sizeof(c->head) - at, "[%.*s:%.*s]", (int)nn, n, (int)nv, v);
	return 0;
}

static inline int c_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *ctx)
{
	return buf_append(&((struct client *)ctx)->got, p, n) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static inline int c_close(nghttp2_session *ng, int32_t id, uint32_t code, void *ctx)
{
	struct client *c = ctx;

	c->closed++;
	c->last_code = code;
	return 0;
}

static inline int c_frame(nghttp2_session *ng, const nghttp2_frame *f, void *ctx)
{
	struct client *c = ctx;

	if (f->hd.type == NGHTTP2_GOAWAY) {
		c->goaway = true;
		c->goaway_code = f->goaway.error_code;
	}
	return 0;
}

static inline void client_init(struct client *c)
{
	nghttp2_session_callbacks *cb;
	nghttp2_option *o;

	*c = (struct client){ 0 };
	buf_init(&c->got, 16 << 20);
	assert_int_equal(nghttp2_session_callbacks_new(&cb), 0);
	nghttp2_session_callbacks_set_on_header_callback(cb, c_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, c_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, c_close);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, c_frame);
	assert_int_equal(nghttp2_option_new(&o), 0);
	nghttp2_option_set_no_http_messaging(o, 1); /* may misbehave */
	assert_int_equal(nghttp2_session_client_new2(&c->ng, cb, c, o), 0);
	nghttp2_option_del(o);
	nghttp2_session_callbacks_del(cb);
	assert_int_equal(nghttp2_submit_settings(c->ng, NGHTTP2_FLAG_NONE, NULL, 0), 0);
}

static inline void client_done(struct client *c)
{
	nghttp2_session_del(c->ng);
	buf_done(&c->got);
}

static inline ssize_t c_source(nghttp2_session *ng, int32_t id, uint8_t *to, size_t n, uint32_t *flags, nghttp2_data_source *src,
			void *ctx)
{
	struct client *c = ctx;

	if (c->stall)
		return NGHTTP2_ERR_DEFERRED;
	if (n > c->to_send)
		n = c->to_send;
	memset(to, 'b', n);
	c->to_send -= n;
	if (!c->to_send)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

#define FIELDS_MAX 300
struct field {
	const char *name, *value;
};

/* body < 0: none. */
static inline int32_t client_ask(struct client *c, const struct field *f, size_t n, ssize_t body)
{
	nghttp2_nv nva[FIELDS_MAX];
	nghttp2_data_provider src = { .read_callback = c_source };

	for (size_t i = 0; i < n; i++)
		nva[i] = (nghttp2_nv){ (uint8_t *)(uintptr_t)f[i].name, (uint8_t *)(uintptr_t)f[i].value,
				       strlen(f[i].name), strlen(f[i].value), 0 };
	c->to_send = body > 0 ? (size_t)body : 0;
	int32_t id = nghttp2_submit_request(c->ng, NULL, nva, n, body < 0 ? NULL : &src, NULL);
	assert_true(id > 0);
	return id;
}

static const struct field post[] = {
	{ ":method", "POST" }, { ":scheme", "https" }, { ":authority", "api.example.com" }, { ":path", "/v1/chat?x=1" },
};
#define POST post, 4

/* All bytes both ways until nothing moves; 0 or what h2_feed said. */
static inline int pump_upto(struct client *c, struct seen *s, struct err *e, size_t upto, int rounds)
{
	for (int i = 0; i < rounds; i++) {
		const uint8_t *p;
		bool moved = false;
		for (ssize_t n; (n = nghttp2_session_mem_send(c->ng, &p)) > 0; moved = true) {
			int r = h2_feed(s->h2, p, (size_t)n, e);
			if (r) {
				struct buf last;
				buf_init(&last, 1 << 20);
				(void)h2_pull(s->h2, &last, 1 << 20);
				if (buf_len(&last))
					(void)nghttp2_session_mem_recv(c->ng, (uint8_t *)buf_ptr(&last), buf_len(&last));
				buf_done(&last);
				return r;
			}
		}
		struct buf out;
		buf_init(&out, 4 << 20);
		assert_int_equal(h2_pull(s->h2, &out, upto), 0);
		if (buf_len(&out)) {
			moved = true;
			ssize_t used = nghttp2_session_mem_recv(c->ng, (uint8_t *)buf_ptr(&out), buf_len(&out));
			assert_int_equal(used, buf_len(&out));
		}
		buf_done(&out);
		if (!moved)
			return 0;
	}
	return 0;
}

static inline int pump(struct client *c, struct seen *s, struct err *e)
{
	return pump_upto(c, s, e, 256 * 1024, 10000);
}

/* ---- frames by hand */

struct hand {
	struct seen s;
	struct buf out; /* what the server sent */
	struct err e;
	int r;
};

static inline void hand_feed(struct hand *h, const void *p, size_t n)
{
	if (!h->r)
		h->r = h2_feed(h->s.h2, p, n, &h->e);
	(void)h2_pull(h->s.h2, &h->out, 8 << 20);
}

static inline void hand_init(struct hand *h)
{
	static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

	*h = (struct hand){ 0 };
	seen_init(&h->s);
	buf_init(&h->out, 16 << 20);
	hand_feed(h, hello, sizeof(hello) - 1);
	assert_int_equal(h->r, 0);
	buf_clear(&h->out);
}

static inline void hand_done(struct hand *h)
{
	seen_done(&h->s);
	buf_done(&h->out);
}

static inline size_t frame(uint8_t *to, uint8_t type, uint8_t flags, uint32_t id, const void *p, size_t n)
{
	uint8_t head[9] = { (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, type, flags,
			    (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id };
	memcpy(to, head, 9);
	if (n)
		memcpy(to + 9, p, n);
	return 9 + n;
}

static inline void hand_frame(struct hand *h, uint8_t type, uint8_t flags, uint32_t id, const void *p, size_t n)
{
	static uint8_t bytes[9 + 16384];

	hand_feed(h, bytes, frame(bytes, type, flags, id, p, n));
}

/* POST https://a.example/ without the dynamic table. */
static const uint8_t block[] = "\x83\x87\x84\x01\x09" "a.example";
#define BLOCK block, sizeof(block) - 1

/* How many frames of that type the server sent, and the last one's error code (GOAWAY, RST_STREAM). */
static inline size_t count_sent(const struct hand *h, uint8_t type, uint32_t *code)
{
	const uint8_t *p = (const uint8_t *)buf_ptr(&h->out);
	size_t left = buf_len(&h->out), found = 0;

	while (left >= 9) {
		size_t n = ((size_t)p[0] << 16) | ((size_t)p[1] << 8) | p[2];
		if (p[3] == type) {
			const uint8_t *c = p + 9 + (type == NGHTTP2_GOAWAY ? 4 : 0);
			found++;
			if (code)
				*code = (uint32_t)c[0] << 24 | (uint32_t)c[1] << 16 | (uint32_t)c[2] << 8 | c[3];
		}
		assert_true(left >= 9 + n);
		p += 9 + n;
		left -= 9 + n;
	}
	return found;
}

static inline void ask(struct client *c, struct seen *s)
{
	struct err e = { 0 };

	client_init(c);
	seen_init(s);
	client_ask(c, POST, -1);
	assert_int_equal(pump(c, s, &e), 0);
	assert_true(tale_has(s, "head 1"));
}

#endif
