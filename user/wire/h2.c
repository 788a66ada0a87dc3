// SPDX-License-Identifier: Apache-2.0
/*
 * h2.c: one HTTP/2 server connection on nghttp2 with memory in and out. nghttp2 checks framing, HPACK and the pseudo-header
 * rules; what may stand in a head is checked again by http.c, the same for both versions.
 */
#include "wire/h2.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/str.h"

#define STREAMS_MAX 100
#define STREAM_WINDOW (256 * 1024)
#define CONNECTION_WINDOW (1024 * 1024)
#define LOW_MARK (64 * 1024)
#define QUEUE_MAX (8 * 1024 * 1024)
#define GLITCHES_MAX 100
#define CONTINUATIONS_MAX 8
#define RESET_BURST 1000
#define RESETS_PER_S 33
#define FIELD_TEXT_MAX HTTP_HEAD_MAX

struct h2_stream {
	struct list link;
	int32_t id;
	struct http_head head; /* while it is being received; strings in text */
	char *text;
	size_t text_len;
	bool head_bad, head_told, host_seen, fin_told;
	struct buf queued; /* answer body */
	bool answer_fin;   /* no more is queued after this */
	bool deferred;     /* nghttp2 waits for h2_body */
	bool was_high;
};

struct h2 {
	const struct h2_calls *calls;
	void *ctx;
	nghttp2_session *session;
	struct list streams;
	int32_t highest; /* stream id seen: a lower, idle one is a connection error (RFC 9113 5.1.1) */
	unsigned glitches;
	bool goaway_sent;
};

/* ---- streams */

static struct h2_stream *stream_of(const struct h2 *h, int32_t id)
{
	return nghttp2_session_get_stream_user_data(h->session, id);
}

static void stream_free(struct h2_stream *st)
{
	list_remove(&st->link);
	buf_done(&st->queued);
	free(st->text);
	free(st);
}

static struct h2_stream *stream_new(struct h2 *h, int32_t id)
{
	struct h2_stream *st = calloc(1, sizeof *st);

	if (!st || !(st->text = malloc(FIELD_TEXT_MAX))) {
		free(st);
		return NULL;
	}
	st->id = id;
	buf_init(&st->queued, QUEUE_MAX);
	list_add_tail(&h->streams, &st->link);
	(void)nghttp2_session_set_stream_user_data(h->session, id, st);
	return st;
}

/* ---- reading heads */

static struct str keep(struct h2_stream *st, const uint8_t *p, size_t n)
{
	if (st->text_len + n > FIELD_TEXT_MAX) {
		st->head_bad = true;
		return STR("");
	}
	char *to = st->text + st->text_len;
	memcpy(to, p, n);
	st->text_len += n;
	return (struct str){ .p = to, .n = n };
}

static void take_pseudo(struct h2_stream *st, struct str name, struct str value)
{
	if (str_eq(name, STR(":method")))
		st->head.method = value;
	else if (str_eq(name, STR(":path")))
		st->head.target = value;
	else if (str_eq(name, STR(":authority")))
		st->head.authority = value;
	else if (!str_eq(name, STR(":scheme")) || !str_eq(value, STR("https")))
		st->head_bad = true;
}

static void take_field(struct h2_stream *st, struct str name, struct str value)
{
	if (!http_is_token(name) || !http_is_value(value))
		st->head_bad = true;
	else if (str_eq(name, STR("host"))) {
		/* :authority and host must agree: which one the provider believes is not ours to guess (RFC 9113 8.3.1). */
		if (st->host_seen || (st->head.authority.n && !str_eq_nocase(st->head.authority, value)))
			st->head_bad = true;
		st->host_seen = true;
		st->head.authority = value;
	} else if (str_eq(name, STR("te"))) {
		st->head_bad |= !str_eq_nocase(value, STR("trailers"));
	} else if (str_eq(name, STR("expect"))) {
		st->head.expect_continue = str_eq_nocase(value, STR("100-continue"));
		st->head_bad |= !st->head.expect_continue;
	} else if (http_is_hop(name)) {
		st->head_bad |= !str_eq(name, STR("trailer"));
	} else if (http_add(&st->head, name, value)) {
		st->head_bad = true;
	}
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t nname,
		     const uint8_t *value, size_t nvalue, uint8_t flags, void *ctx)
{
	struct h2 *h = ctx;
	struct h2_stream *st = stream_of(h, frame->hd.stream_id);

	if (!st || st->head_told)
		return 0; /* trailers: checked by nghttp2, dropped */
	struct str n = keep(st, name, nname), v = str_trim(keep(st, value, nvalue));
	if (nname && name[0] == ':')
		take_pseudo(st, n, v);
	else
		take_field(st, n, v);
	return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
	struct h2 *h = ctx;
	int32_t id = frame->hd.stream_id;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	if (id > h->highest)
		h->highest = id;
	return stream_new(h, id) ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* Fixes the body length; false = the head may not stand. */
static bool finish_head(struct h2_stream *st, bool fin)
{
	struct http_head *head = &st->head;
	const struct http_field *f = http_find(head, STR("content-length"));

	if (st->head_bad || !http_is_token(head->method) || str_eq(head->method, STR("CONNECT")) ||
	    !http_is_target(head->target) || !http_is_authority(head->authority) ||
	    (head->target.p[0] == '*' && !str_eq(head->method, STR("OPTIONS"))))
		return false;
	head->keep_alive = true;
	head->length = fin ? HTTP_LENGTH_NONE : HTTP_LENGTH_CHUNKED;
	if (!f)
		return true;
	if (http_count(head, STR("content-length")) != 1 || http_read_length(f->value, &head->content_length) ||
	    (fin && head->content_length))
		return false;
	if (!fin)
		head->length = HTTP_LENGTH_FIXED;
	return true;
}

static void glitch(struct h2 *h) { h->glitches++; }

static void tell_head(struct h2 *h, struct h2_stream *st, bool fin)
{
	st->head_told = true;
	if (!finish_head(st, fin)) {
		glitch(h);
		st->fin_told = true;
		h2_reset(h, st->id, NGHTTP2_PROTOCOL_ERROR);
		return;
	}
	if (fin)
		st->fin_told = true;
	h->calls->on_head(h->ctx, st->id, &st->head, fin);
	/* The callee copied what it wants. */
	free(st->text);
	st->text = NULL;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
	struct h2 *h = ctx;
	struct h2_stream *st;
	bool fin = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	st = stream_of(h, frame->hd.stream_id);
	if (!st)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && !st->head_told) {
		tell_head(h, st, fin);
		return 0;
	}
	if (fin && !st->fin_told) {
		st->fin_told = true;
		h->calls->on_fin(h->ctx, st->id);
	}
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *ctx)
{
	struct h2 *h = ctx;
	struct h2_stream *st = stream_of(h, id);

	if (st && st->head_told && !st->fin_told)
		h->calls->on_body(h->ctx, id, p, n);
	else
		(void)nghttp2_session_consume(session, id, n);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *ctx)
{
	struct h2 *h = ctx;
	struct h2_stream *st = stream_of(h, id);

	if (!st)
		return 0;
	/* A reset that our own rules provoked is a glitch too (MadeYouReset, CVE-2025-8671). */
	if (code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_FLOW_CONTROL_ERROR || code == NGHTTP2_STREAM_CLOSED)
		glitch(h);
	(void)nghttp2_session_set_stream_user_data(session, id, NULL);
	if (st->head_told)
		h->calls->on_closed(h->ctx, id, code != NGHTTP2_NO_ERROR);
	stream_free(st);
	return 0;
}

static int on_bad_frame(nghttp2_session *session, const nghttp2_frame *frame, int why, void *ctx)
{
	glitch(ctx);
	return 0;
}

/* nghttp2 ignores HEADERS on a lower, idle stream id; RFC 9113 5.1.1 wants a connection error. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *ctx)
{
	struct h2 *h = ctx;

	if (hd->type != NGHTTP2_HEADERS || hd->stream_id >= h->highest || !(hd->stream_id & 1))
		return 0;
	if (nghttp2_session_find_stream(session, hd->stream_id))
		return 0; /* trailers */
	glitch(h);
	(void)nghttp2_session_terminate_session(session, NGHTTP2_PROTOCOL_ERROR);
	return 0;
}

/* ---- life */

static int make_session(struct h2 *h)
{
	nghttp2_session_callbacks *cb = NULL;
	nghttp2_option *opt = NULL;
	int r = -ENOMEM;

	if (nghttp2_session_callbacks_new(&cb) || nghttp2_option_new(&opt))
		goto out;
	nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_bad_frame);
	nghttp2_option_set_no_auto_window_update(opt, 1);
	nghttp2_option_set_max_outbound_ack(opt, 1000);
	nghttp2_option_set_max_settings(opt, 32);
	nghttp2_option_set_max_continuations(opt, CONTINUATIONS_MAX);
	nghttp2_option_set_stream_reset_rate_limit(opt, RESET_BURST, RESETS_PER_S);
	nghttp2_option_set_no_closed_streams(opt, 1);
	if (!nghttp2_session_server_new2(&h->session, cb, h, opt))
		r = 0;
out:
	nghttp2_option_del(opt);
	nghttp2_session_callbacks_del(cb);
	return r;
}

int h2_new(const struct h2_calls *calls, void *ctx, struct h2 **ret)
{
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS_MAX },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_MAX },
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
	};
	struct h2 *h = calloc(1, sizeof *h);

	if (!h)
		return -ENOMEM;
	h->calls = calls;
	h->ctx = ctx;
	list_init(&h->streams);
	if (make_session(h) ||
	    nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings) ||
	    nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW)) {
		h2_free(h);
		return -ENOMEM;
	}
	*ret = h;
	return 0;
}

void h2_free(struct h2 *h)
{
	if (!h)
		return;
	while (!list_empty(&h->streams))
		stream_free(list_entry(h->streams.next, struct h2_stream, link));
	nghttp2_session_del(h->session);
	free(h);
}

int h2_feed(struct h2 *h, const void *p, size_t n, struct err *e)
{
	ssize_t used = nghttp2_session_mem_recv(h->session, p, n);

	if (used < 0)
		return err_set(e, EPROTO, "HTTP/2: %s", nghttp2_strerror((int)used));
	if (h->glitches <= GLITCHES_MAX)
		return 0;
	(void)nghttp2_session_terminate_session(h->session, NGHTTP2_ENHANCE_YOUR_CALM);
	return err_set(e, EPROTO, "HTTP/2: over %d protocol errors on one connection", GLITCHES_MAX);
}

static void tell_drained(struct h2 *h)
{
	list_for_each_safe(pos, tmp, &h->streams) {
		struct h2_stream *st = list_entry(pos, struct h2_stream, link);
		if (!st->was_high || buf_len(&st->queued) >= LOW_MARK)
			continue;
		st->was_high = false;
		h->calls->on_drain(h->ctx, st->id);
	}
}

int h2_pull(struct h2 *h, struct buf *out, size_t upto)
{
	while (buf_len(out) < upto) {
		const uint8_t *p;
		ssize_t n = nghttp2_session_mem_send(h->session, &p);
		if (n < 0)
			return -EPROTO;
		if (n == 0)
			break;
		int r = buf_append(out, p, (size_t)n);
		if (r)
			return r;
	}
	tell_drained(h);
	return 0;
}

bool h2_wants_close(const struct h2 *h)
{
	return !nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session);
}

/* ---- answers */

static ssize_t read_queued(nghttp2_session *session, int32_t id, uint8_t *to, size_t n, uint32_t *flags,
			   nghttp2_data_source *source, void *ctx)
{
	struct h2_stream *st = source->ptr;
	size_t take = buf_len(&st->queued) < n ? buf_len(&st->queued) : n;

	if (!take && !st->answer_fin) {
		st->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	memcpy(to, buf_ptr(&st->queued), take);
	buf_consume(&st->queued, take);
	if (st->answer_fin && !buf_len(&st->queued))
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)take;
}

static nghttp2_nv nv(struct str name, struct str value)
{
	return (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name.p, .namelen = name.n,
			     .value = (uint8_t *)(uintptr_t)value.p, .valuelen = value.n };
}

static void lower(char *to, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		to[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 32) : s.p[i];
}

int h2_answer(struct h2 *h, int32_t id, const struct http_head *head, bool fin)
{
	struct h2_stream *st = stream_of(h, id);
	nghttp2_nv fields[HTTP_FIELDS_MAX + 2];
	char status[8], length[24], *names;
	size_t n = 0, total = 0;

	if (!st)
		return -ENOENT;
	for (size_t i = 0; i < head->nfields; i++)
		total += head->fields[i].name.n;
	names = malloc(total + 1);
	if (!names)
		return -ENOMEM;
	(void)snprintf(status, sizeof status, "%03d", head->status);
	fields[n++] = nv(STR(":status"), str_of(status));
	char *at = names;
	for (size_t i = 0; i < head->nfields; i++) {
		const struct http_field *f = &head->fields[i];
		if (http_is_hop(f->name) || str_eq_nocase(f->name, STR("content-length")))
			continue;
		lower(at, f->name);
		fields[n++] = nv((struct str){ .p = at, .n = f->name.n }, f->value);
		at += f->name.n;
	}
	if (head->length == HTTP_LENGTH_FIXED) {
		(void)snprintf(length, sizeof length, "%lld", (long long)head->content_length);
		fields[n++] = nv(STR("content-length"), str_of(length));
	}
	nghttp2_data_provider body = { .source.ptr = st, .read_callback = read_queued };
	int r = nghttp2_submit_response(h->session, id, fields, n, fin ? NULL : &body);
	free(names);
	return r ? -EPROTO : 0;
}

int h2_interim(struct h2 *h, int32_t id, int status)
{
	char text[8];

	(void)snprintf(text, sizeof text, "%03d", status);
	nghttp2_nv field = nv(STR(":status"), str_of(text));
	return nghttp2_submit_headers(h->session, NGHTTP2_FLAG_NONE, id, NULL, &field, 1, NULL) ? -EPROTO : 0;
}

int h2_body(struct h2 *h, int32_t id, const void *p, size_t n, bool fin)
{
	struct h2_stream *st = stream_of(h, id);
	int r;

	if (!st)
		return -ENOENT;
	r = n ? buf_append(&st->queued, p, n) : 0;
	if (r)
		return r;
	st->answer_fin |= fin;
	st->was_high |= buf_len(&st->queued) >= LOW_MARK;
	if (!st->deferred)
		return 0;
	st->deferred = false;
	return nghttp2_session_resume_data(h->session, id) ? -EPROTO : 0;
}

size_t h2_queued(const struct h2 *h, int32_t id)
{
	const struct h2_stream *st = stream_of(h, id);
	return st ? buf_len(&st->queued) : 0;
}

void h2_reset(struct h2 *h, int32_t id, uint32_t error_code)
{
	(void)nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, id, error_code);
}

void h2_consumed(struct h2 *h, int32_t id, size_t n) { (void)nghttp2_session_consume(h->session, id, n); }

void h2_goaway(struct h2 *h)
{
	if (h->goaway_sent)
		return;
	h->goaway_sent = true;
	(void)nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h->session),
				    NGHTTP2_NO_ERROR, NULL, 0);
}
