// SPDX-License-Identifier: Apache-2.0
/*
 * h2.c: one HTTP/2 server connection on nghttp2 with memory in and out. nghttp2 checks framing, HPACK and the order of
 * pseudo-header fields; what may stand in a head is h2_head.c's business, what nghttp2 1.52 does not bound h2_guard.c's.
 */
#include "wire/h2.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/str.h"
#include "wire/h2_guard.h"
#include "wire/h2_head.h"

#define STREAMS_MAX 100
#define STREAM_WINDOW (256 * 1024)
#define CONNECTION_WINDOW (1024 * 1024)
#define LOW_MARK (64 * 1024)
#define QUEUE_MAX (8 * 1024 * 1024)
#define CONTINUATIONS_MAX 8
#define RESET_BURST 1000
#define RESETS_PER_S 33
#define TINY_WINDOW_UPDATE 256
/* What a client may still send after it has its whole answer, before its stream is reset. */
#define DISCARD_MAX (1024 * 1024)
#define ANSWER_HEAD_MAX (256 * 1024)

struct h2_stream {
	struct list link; /* h2->streams */
	int32_t id;
	struct h2_head *head;       /* while it is being received */
	bool told, fin_told;        /* on_head, on_fin (or on_head with fin) were called */
	bool answered, answer_fin;  /* h2_answer was called; nothing is queued after this */
	bool answer_sent;           /* END_STREAM is on its way */
	bool deferred;              /* nghttp2 waits for h2_body */
	bool was_high;              /* on_drain is owed */
	bool reset_by_peer, reset_by_caller;
	size_t unconsumed;          /* body bytes that were told and not given back */
	size_t discarded;
	struct buf queued;          /* answer body */
	uint64_t sent;              /* of it */
};

struct h2 {
	const struct h2_calls *calls;
	void *ctx;
	nghttp2_session *session;
	struct list streams;
	size_t nhigh; /* streams to which on_drain is owed */
	struct h2_guard guard;
	const char *dying; /* why no further request is taken; NULL = all is well */
	bool notice_sent, goaway_sent;
};

/* ---- ends that the peer brings about */

/* From here on nghttp2 takes no frame of any stream any more. */
static void die(struct h2 *h, uint32_t code, const char *why)
{
	if (h->dying)
		return;
	h->dying = why;
	(void)nghttp2_session_terminate_session(h->session, code);
}

/* NULL: go on. */
static void count(struct h2 *h, const char *enough)
{
	if (enough)
		die(h, NGHTTP2_ENHANCE_YOUR_CALM, enough);
}

/* Frames of unknown types are not told to us; skipping one costs no more than receiving it. */
static bool is_noise(const nghttp2_frame *frame)
{
	switch (frame->hd.type) {
	case NGHTTP2_PING:
	case NGHTTP2_PRIORITY:
		return true;
	case NGHTTP2_SETTINGS:
		return !(frame->hd.flags & NGHTTP2_FLAG_ACK);
	case NGHTTP2_DATA:
		return frame->hd.length == frame->data.padlen && !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
	case NGHTTP2_WINDOW_UPDATE:
		return frame->window_update.window_size_increment < TINY_WINDOW_UPDATE;
	default:
		return false;
	}
}

/* ---- streams */

static struct h2_stream *stream_find(const struct h2 *h, int32_t id)
{
	return nghttp2_session_get_stream_user_data(h->session, id);
}

static void stream_free(struct h2_stream *st)
{
	list_remove(&st->link);
	h2_head_free(st->head);
	buf_done(&st->queued);
	free(st);
}

static struct h2_stream *stream_new(struct h2 *h, int32_t id)
{
	struct h2_stream *st = calloc(1, sizeof(*st));

	if (!st)
		return NULL;
	st->head = h2_head_new();
	if (!st->head || nghttp2_session_set_stream_user_data(h->session, id, st)) {
		h2_head_free(st->head);
		free(st);
		return NULL;
	}
	st->id = id;
	buf_init(&st->queued, QUEUE_MAX);
	list_add_tail(&h->streams, &st->link);
	return st;
}

static void stream_reset(struct h2 *h, struct h2_stream *st, uint32_t code)
{
	st->reset_by_caller = true;
	(void)nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, st->id, code);
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *ctx)
{
	struct h2 *h = ctx;
	struct h2_stream *st = stream_find(h, id);

	if (!st)
		return 0;
	(void)nghttp2_session_set_stream_user_data(session, id, NULL);
	/* The stream's window died with it; the connection's goes on. */
	(void)nghttp2_session_consume_connection(session, st->unconsumed);
	h->nhigh -= st->was_high;
	if (st->told)
		h->calls->on_closed(h->ctx, id, st->reset_by_peer);
	stream_free(st);
	return 0;
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *ctx)
{
	struct h2 *h = ctx;
	const char *wrong = hd->type == NGHTTP2_HEADERS ? h2_guard_id(&h->guard, hd->stream_id) : NULL;

	if (wrong)
		die(h, NGHTTP2_PROTOCOL_ERROR, wrong);
	return 0;
}

/* ---- heads */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	return stream_new(ctx, frame->hd.stream_id) ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t nname,
		     const uint8_t *value, size_t nvalue, uint8_t flags, void *ctx)
{
	struct h2_stream *st = stream_find(ctx, frame->hd.stream_id);

	/* Trailers are checked by nghttp2 and dropped. */
	if (st && st->head)
		h2_head_field(st->head, (struct str){ (const char *)name, nname },
			      (struct str){ (const char *)value, nvalue });
	return 0;
}

/* By its manual nghttp2 leaves such a field out and goes on; the 1.52 we know resets. Said here, it is so in all. */
static int on_bad_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t nname,
			 const uint8_t *value, size_t nvalue, uint8_t flags, void *ctx)
{
	(void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_PROTOCOL_ERROR);
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void tell_head(struct h2 *h, struct h2_stream *st, bool fin)
{
	struct h2_head *collected = st->head;
	struct http_head *head = h2_head_finish(collected, fin);

	st->head = NULL;
	if (!head) {
		(void)nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_PROTOCOL_ERROR);
	} else {
		st->told = true;
		st->fin_told = fin;
		h->calls->on_head(h->ctx, st->id, head, fin);
	}
	h2_head_free(collected);
}

/* ---- bodies */

static bool is_listened_to(const struct h2_stream *st)
{
	return st->told && !st->fin_told && !st->answer_fin && !st->reset_by_caller;
}

/* The answer is complete, or never will be: the rest of the request is of no use, but many clients send it to its end
 * before they look at the answer. */
static void discard(struct h2 *h, struct h2_stream *st, size_t n)
{
	st->discarded += n;
	if (st->discarded <= DISCARD_MAX)
		(void)nghttp2_session_consume(h->session, st->id, n);
	else
		st->unconsumed += n; /* its window closes */
	if (st->discarded > DISCARD_MAX && st->answer_sent && !st->reset_by_caller)
		stream_reset(h, st, NGHTTP2_NO_ERROR); /* RFC 9113 8.1 */
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *ctx)
{
	struct h2 *h = ctx;
	struct h2_stream *st = stream_find(h, id);

	if (!st)
		(void)nghttp2_session_consume_connection(session, n);
	else if (!is_listened_to(st))
		discard(h, st, n);
	else {
		st->unconsumed += n;
		h->calls->on_body(h->ctx, id, p, n);
	}
	return 0;
}

void h2_consumed(struct h2 *h, int32_t id, size_t n)
{
	struct h2_stream *st = stream_find(h, id);

	/* A closed stream's bytes were given back when it closed. */
	if (!st)
		return;
	if (n > st->unconsumed)
		n = st->unconsumed;
	st->unconsumed -= n;
	(void)nghttp2_session_consume(h->session, id, n);
}

/* ---- frames */

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
	struct h2 *h = ctx;

	if (is_noise(frame))
		count(h, h2_guard_noise(&h->guard));
	struct h2_stream *st = stream_find(h, frame->hd.stream_id);

	if (!st)
		return 0;
	if (frame->hd.type == NGHTTP2_RST_STREAM)
		st->reset_by_peer = true;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	bool fin = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

	if (st->head) {
		tell_head(h, st, fin);
	} else if (fin && is_listened_to(st)) {
		st->fin_told = true;
		h->calls->on_fin(h->ctx, st->id);
	}
	return 0;
}

/* Of all that may be wrong with a frame only this is told before it is answered and costs memory each time. */
static int on_bad_frame(nghttp2_session *session, const nghttp2_frame *frame, int why, void *ctx)
{
	struct h2 *h = ctx;

	if (why == NGHTTP2_ERR_REFUSED_STREAM)
		count(h, h2_guard_refused(&h->guard));
	return 0;
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
	struct h2 *h = ctx;
	struct h2_stream *st = stream_find(h, frame->hd.stream_id);

	/* Resets that the peer provokes cost it nothing (MadeYouReset, CVE-2025-8671). */
	if (frame->hd.type == NGHTTP2_RST_STREAM && !(st && st->reset_by_caller) &&
	    frame->rst_stream.error_code != NGHTTP2_REFUSED_STREAM)
		count(h, h2_guard_glitch(&h->guard));
	if (!st || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
	    !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	st->answer_sent = true;
	discard(h, st, 0);
	return 0;
}

/* An answer whose head cannot be sent would leave the client waiting. */
static int on_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int why, void *ctx)
{
	struct h2 *h = ctx;
	struct h2_stream *st = stream_find(h, frame->hd.stream_id);

	if (st && frame->hd.type == NGHTTP2_HEADERS && !st->reset_by_caller)
		stream_reset(h, st, NGHTTP2_INTERNAL_ERROR);
	return 0;
}

/* ---- life */

static void set_callbacks(nghttp2_session_callbacks *cb)
{
	nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback(cb, on_bad_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_bad_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_not_sent);
}

/* Closed streams are kept (up to 100): without them nghttp2 takes frames on a finished stream for late ones and stays
 * silent, where RFC 9113 5.1 wants STREAM_CLOSED. */
static void set_options(nghttp2_option *opt)
{
	nghttp2_option_set_no_auto_window_update(opt, 1);
	nghttp2_option_set_max_outbound_ack(opt, 1000);
	nghttp2_option_set_max_settings(opt, 32);
	nghttp2_option_set_max_continuations(opt, CONTINUATIONS_MAX);
	nghttp2_option_set_stream_reset_rate_limit(opt, RESET_BURST, RESETS_PER_S);
	nghttp2_option_set_max_send_header_block_length(opt, ANSWER_HEAD_MAX);
}

static int session_new(struct h2 *h)
{
	nghttp2_session_callbacks *cb = NULL;
	nghttp2_option *opt = NULL;
	int r = -ENOMEM;

	if (nghttp2_session_callbacks_new(&cb) || nghttp2_option_new(&opt))
		goto out;
	set_callbacks(cb);
	set_options(opt);
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
	};
	struct h2 *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->calls = calls;
	h->ctx = ctx;
	h2_guard_init(&h->guard, clock_boot_ns);
	list_init(&h->streams);
	if (session_new(h) ||
	    nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, sizeof(settings) / sizeof(settings[0])) ||
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
		return err_set(e, used == NGHTTP2_ERR_NOMEM ? ENOMEM : EPROTO, "HTTP/2: %s",
			       nghttp2_strerror((int)used));
	if (h->dying)
		return err_set(e, EPROTO, "HTTP/2: %s", h->dying);
	return 0;
}

/* Called between frames, never from inside nghttp2: the callee may queue more. */
static void tell_drained(struct h2 *h)
{
	if (!h->nhigh)
		return;
	list_for_each_safe(pos, tmp, &h->streams) {
		struct h2_stream *st = list_entry(pos, struct h2_stream, link);
		if (!st->was_high || buf_len(&st->queued) >= LOW_MARK)
			continue;
		st->was_high = false;
		h->nhigh--;
		h->calls->on_drain(h->ctx, st->id);
	}
}

int h2_pull(struct h2 *h, struct buf *out, size_t upto)
{
	while (buf_len(out) < upto) {
		const uint8_t *p;
		ssize_t n = nghttp2_session_mem_send(h->session, &p);
		if (n < 0)
			return n == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO;
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

void h2_notice(struct h2 *h)
{
	if (h->notice_sent || h->goaway_sent)
		return;
	h->notice_sent = true;
	(void)nghttp2_submit_shutdown_notice(h->session);
}

void h2_goaway(struct h2 *h)
{
	if (h->goaway_sent)
		return;
	h->goaway_sent = true;
	(void)nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h->session),
				    NGHTTP2_NO_ERROR, NULL, 0);
}

void h2_reset(struct h2 *h, int32_t id, uint32_t error_code)
{
	struct h2_stream *st = stream_find(h, id);

	if (st && !st->reset_by_caller)
		stream_reset(h, st, error_code);
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
	if (take) {
		memcpy(to, buf_ptr(&st->queued), take);
		buf_consume(&st->queued, take);
		st->sent += take;
	}
	if (!buf_len(&st->queued)) {
		buf_shrink(&st->queued);
		if (st->answer_fin)
			*flags |= NGHTTP2_DATA_FLAG_EOF;
	}
	return (ssize_t)take;
}

static nghttp2_nv field_of(struct str name, struct str value)
{
	return (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name.p, .namelen = name.n,
			     .value = (uint8_t *)(uintptr_t)value.p, .valuelen = value.n };
}

static struct str lower(char *to, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		to[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 32) : s.p[i];
	return (struct str){ .p = to, .n = s.n };
}

/* Everything of head that goes on; names get their lower-case copies behind one another in *names. */
static int answer_fields(const struct http_head *head, nghttp2_nv *fields, size_t *n, char *names)
{
	for (size_t i = 0; i < head->nfields; i++) {
		const struct http_field *f = &head->fields[i];
		if (http_is_hop(f->name) || str_eq_nocase(f->name, STR("content-length")))
			continue;
		if (!http_is_token(f->name) || !http_is_value(f->value))
			return -EINVAL;
		fields[(*n)++] = field_of(lower(names, f->name), f->value);
		names += f->name.n;
	}
	return 0;
}

static size_t names_size(const struct http_head *head)
{
	size_t total = 1;

	for (size_t i = 0; i < head->nfields; i++)
		total += head->fields[i].name.n;
	return total;
}

static int submit_answer(struct h2 *h, struct h2_stream *st, const struct http_head *head, bool fin, char *names)
{
	nghttp2_nv fields[HTTP_FIELDS_MAX + 2];
	nghttp2_data_provider body = { .source.ptr = st, .read_callback = read_queued };
	char status[16], length[24];
	size_t n = 0;

	(void)snprintf(status, sizeof(status), "%03d", head->status);
	fields[n++] = field_of(STR(":status"), str_of(status));
	int r = answer_fields(head, fields, &n, names);

	if (r)
		return r;
	if (head->length == HTTP_LENGTH_FIXED) {
		(void)snprintf(length, sizeof(length), "%lld", (long long)head->content_length);
		fields[n++] = field_of(STR("content-length"), str_of(length));
	}
	r = nghttp2_submit_response(h->session, st->id, fields, n, fin ? NULL : &body);
	return r == NGHTTP2_ERR_NOMEM ? -ENOMEM : r ? -EPROTO : 0;
}

int h2_answer(struct h2 *h, int32_t id, const struct http_head *head, bool fin)
{
	struct h2_stream *st = stream_find(h, id);

	if (!st)
		return -ENOENT;
	if (st->answered || head->status < 200 || head->status > 999)
		return -EINVAL;
	char *names = malloc(names_size(head));
	if (!names)
		return -ENOMEM;
	int r = submit_answer(h, st, head, fin, names);

	free(names);
	if (r)
		return r;
	st->answered = true;
	st->answer_fin = fin;
	return 0;
}

int h2_interim(struct h2 *h, int32_t id, int status)
{
	const struct h2_stream *st = stream_find(h, id);
	char text[16];

	if (!st)
		return -ENOENT;
	if (st->answered || status < 100 || status > 199)
		return -EINVAL;
	(void)snprintf(text, sizeof(text), "%d", status);
	nghttp2_nv field = field_of(STR(":status"), str_of(text));

	return nghttp2_submit_headers(h->session, NGHTTP2_FLAG_NONE, id, NULL, &field, 1, NULL) < 0 ? -EPROTO : 0;
}

int h2_body(struct h2 *h, int32_t id, const void *p, size_t n, bool fin)
{
	struct h2_stream *st = stream_find(h, id);

	if (!st)
		return -ENOENT;
	if (!st->answered || st->answer_fin)
		return -EINVAL;
	int r = n ? buf_append(&st->queued, p, n) : 0;

	if (r)
		return r;
	st->answer_fin = fin;
	if (!st->was_high && buf_len(&st->queued) >= LOW_MARK) {
		st->was_high = true;
		h->nhigh++;
	}
	if (!st->deferred || (!n && !fin))
		return 0;
	st->deferred = false;
	return nghttp2_session_resume_data(h->session, id) ? -EPROTO : 0;
}

uint64_t h2_sent(const struct h2 *h, int32_t id)
{
	const struct h2_stream *st = stream_find(h, id);

	return st ? st->sent : 0;
}

size_t h2_queued(const struct h2 *h, int32_t id)
{
	const struct h2_stream *st = stream_find(h, id);

	return st ? buf_len(&st->queued) : 0;
}
