// SPDX-License-Identifier: Apache-2.0
/*
 * serve_h2.c: HTTP/2 towards the agent: an exchange per stream, each one routed, priced and charged on its own.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/loop.h"
#include "path/conn.h"
#include "path/exchange.h"
#include "wire/h2.h"

#define IDLE_MS (5 * 60 * 1000)
#define REFUSED_STREAM 7 /* RFC 9113 section 7 */
#define INTERNAL_ERROR 2

struct h2_server {
	struct conn *conn;
	struct h2 *h2;
	struct list streams;
	bool inside; /* in h2_feed or h2_pull: callbacks run, pushing must wait */
};

struct h2_stream {
	struct h2_server *server;
	struct list link;
	int32_t id;
	struct exchange *x;
	uint64_t seen_sent;  /* of its answer, when it was last looked at */
	int64_t stalled_ns;  /* boot clock: since when it is the same, with more to send; 0 = it is not */
};

static int64_t idle_ms(const struct worker *w) { return w->leaving ? WORKER_LEAVE_IDLE_MS : IDLE_MS; }

/* ---- writing */

static void push(struct h2_server *s)
{
	struct conn *c = s->conn;

	if (s->inside)
		return; /* whoever is inside pushes afterwards */
	do {
		size_t before = buf_len(&c->out);
		s->inside = true;
		int r = h2_pull(s->h2, &c->out, CONN_OUT_HIGH);
		s->inside = false;
		if (r)
			return conn_close(c);
		if (buf_len(&c->out) == before && !before)
			break;
		r = conn_flush(c);
		if (r)
			return; /* closed, or the rest goes when the socket takes it */
	} while (!c->closed);
	if (h2_wants_close(s->h2))
		conn_finish(c);
}

static void push_soon(void *ctx)
{
	struct conn *c = ctx;
	if (!c->closed && c->stage == &stage_h2)
		push(c->state);
}

/* ---- the agent's side of an exchange */

static void op_interim(struct exchange *x, int status)
{
	struct h2_stream *st = x->serve_ctx;
	(void)h2_interim(st->server->h2, st->id, status);
	push(st->server);
}

static bool op_head(struct exchange *x, const struct http_head *head)
{
	struct h2_stream *st = x->serve_ctx;
	return !h2_answer(st->server->h2, st->id, head, false);
}

static bool op_body(struct exchange *x, const void *p, size_t n)
{
	struct h2_stream *st = x->serve_ctx;

	/* Later than the provider's own timer, which ends the call with its reason. */
	conn_set_timeout(st->server->conn, x->worker->options->response_timeout_ms * 2);
	return !n || !h2_body(st->server->h2, st->id, p, n, false);
}

/* Pushing may close the connection, which frees server and stream: it is left to the end of the turn. */
static void stream_over(struct h2_stream *st)
{
	struct conn *c = st->server->conn;

	st->x = NULL;
	(void)loop_defer(c->worker->loop, push_soon, c);
}

static void op_fin(struct exchange *x)
{
	struct h2_stream *st = x->serve_ctx;

	if (h2_body(st->server->h2, st->id, NULL, 0, true))
		h2_reset(st->server->h2, st->id, INTERNAL_ERROR);
	stream_over(st);
}

static void op_abort(struct exchange *x)
{
	struct h2_stream *st = x->serve_ctx;

	/* What is queued (an error event) goes out first where it can; then the stream ends as broken. */
	push(st->server);
	if (!x->serve)
		return;
	h2_reset(st->server->h2, st->id, INTERNAL_ERROR);
	stream_over(st);
}

static void op_flush(struct exchange *x) { push(((struct h2_stream *)x->serve_ctx)->server); }

static size_t op_queued(const struct exchange *x)
{
	const struct h2_stream *st = x->serve_ctx;
	return h2_queued(st->server->h2, st->id);
}

static const struct serve_ops ops = {
	.interim = op_interim,
	.head = op_head,
	.body = op_body,
	.fin = op_fin,
	.abort = op_abort,
	.flush = op_flush,
	.queued = op_queued,
};

/* ---- requests */

static struct h2_stream *stream_find(struct h2_server *s, int32_t id)
{
	list_for_each(pos, &s->streams) {
		struct h2_stream *st = list_entry(pos, struct h2_stream, link);
		if (st->id == id)
			return st;
	}
	return NULL;
}

static void on_head(void *ctx, int32_t id, struct http_head *head, bool fin)
{
	struct h2_server *s = ctx;
	struct conn *c = s->conn;
	struct h2_stream *st = c->worker->draining ? NULL : calloc(1, sizeof *st);

	if (st) {
		st->server = s;
		st->id = id;
		st->x = exchange_new(c, &ops, st, head);
	}
	if (!st || !st->x) {
		free(st);
		return h2_reset(s->h2, id, REFUSED_STREAM);
	}
	list_add_tail(&s->streams, &st->link);
	conn_rouse(c);
	/* A connection that came in on the way out: it has this one, and is told before the answer ends. */
	if (c->worker->leaving)
		h2_notice(s->h2);
	conn_set_timeout(c, c->worker->options->response_timeout_ms * 2);
	exchange_begin(st->x);
	if (fin && st->x)
		exchange_body_end(st->x);
}

static void on_body(void *ctx, int32_t id, const void *p, size_t n)
{
	struct h2_server *s = ctx;
	struct h2_stream *st = stream_find(s, id);

	if (st && st->x)
		(void)exchange_body(st->x, p, n);
	h2_consumed(s->h2, id, n);
}

static void on_fin(void *ctx, int32_t id)
{
	struct h2_stream *st = stream_find(ctx, id);

	if (st && st->x)
		exchange_body_end(st->x);
}

static void on_closed(void *ctx, int32_t id, bool by_peer_reset)
{
	struct h2_server *s = ctx;
	struct h2_stream *st = stream_find(s, id);
	struct exchange *x;

	if (!st)
		return;
	x = st->x;
	st->x = NULL;
	list_remove(&st->link);
	free(st);
	if (x)
		exchange_agent_gone(x);
	if (!list_empty(&s->streams))
		return;
	conn_set_timeout(s->conn, idle_ms(s->conn->worker));
	conn_rest(s->conn);
}

static void on_drain(void *ctx, int32_t id)
{
	struct h2_stream *st = stream_find(ctx, id);

	if (st && st->x)
		exchange_drained(st->x);
}

static const struct h2_calls calls = {
	.on_head = on_head,
	.on_body = on_body,
	.on_fin = on_fin,
	.on_closed = on_closed,
	.on_drain = on_drain,
};

/* ---- the stage */

static void h2_readable(struct conn *c)
{
	struct h2_server *s = c->state;
	char *scratch = c->worker->scratch;

	for (int i = 0; i < 8 && !c->closed && c->stage == &stage_h2; i++) {
		struct err e = { 0 };
		ssize_t got = conn_read(c, scratch, WORKER_SCRATCH);
		if (got <= 0)
			break;
		s->inside = true;
		int r = h2_feed(s->h2, scratch, (size_t)got, &e);
		s->inside = false;
		push(s);
		if (r && !c->closed && c->stage == &stage_h2) {
			log_info(c->who.subject, "bad HTTP/2 to %s: %s", c->sni, e.text);
			conn_finish(c);
		}
	}
	conn_read_soon(c);
}

static void h2_writable(struct conn *c)
{
	push(c->state);
	if (!c->closed && c->stage == &stage_h2)
		conn_rest(c);
}

/* A client that opens no window for one stream, while others go on. */
static bool is_stalled(struct h2_server *s, struct h2_stream *st, int64_t now_ns)
{
	uint64_t sent = h2_sent(s->h2, st->id);
	bool moves = sent != st->seen_sent || !h2_queued(s->h2, st->id);

	st->seen_sent = sent;
	if (moves || !st->stalled_ns)
		st->stalled_ns = moves ? 0 : now_ns;
	return st->stalled_ns && now_ns - st->stalled_ns > s->conn->worker->options->stall_timeout_ms * 1000000;
}

static void h2_look(struct conn *c, int64_t now_ns)
{
	struct h2_server *s = c->state;
	bool any = false;

	list_for_each(pos, &s->streams) {
		struct h2_stream *st = list_entry(pos, struct h2_stream, link);

		if (!is_stalled(s, st, now_ns))
			continue;
		any = true;
		st->stalled_ns = 0;
		WORKER_COUNT(c->worker, stalled, 1);
		log_info(c->who.subject, "stream %d of a connection to %s reset: nothing of the answer was taken for %lld s (stall_timeout)", st->id,
			 c->sni, (long long)(c->worker->options->stall_timeout_ms / 1000));
		h2_reset(s->h2, st->id, INTERNAL_ERROR);
	}
	if (any)
		push(s);
}

/* A stream is there until its last byte was pulled. */
static bool h2_busy(struct conn *c) { return !list_empty(&((struct h2_server *)c->state)->streams); }

/* Told now, so that the client knows before its streams end; closing behind the last one would meet its next request half-way. */
static void h2_leaving(struct conn *c)
{
	struct h2_server *s = c->state;

	h2_notice(s->h2);
	if (list_empty(&s->streams))
		conn_set_timeout(c, WORKER_LEAVE_IDLE_MS);
	push(s);
}

static bool any_queued(struct h2_server *s)
{
	list_for_each(pos, &s->streams)
		if (h2_queued(s->h2, list_entry(pos, struct h2_stream, link)->id))
			return true;
	return false;
}

static void h2_goodbye(struct conn *c)
{
	struct h2_server *s = c->state;

	h2_goaway(s->h2);
	push(s);
	if (!c->closed && c->stage == &stage_h2)
		conn_finish(c);
}

/* A client that reads slowly is h2_look's business. */
static void h2_timeout(struct conn *c)
{
	if (any_queued(c->state))
		conn_set_timeout(c, idle_ms(c->worker));
	else
		h2_goodbye(c);
}

static void h2_closed(struct conn *c)
{
	struct h2_server *s = c->state;

	while (!list_empty(&s->streams)) {
		struct h2_stream *st = list_entry(s->streams.next, struct h2_stream, link);
		struct exchange *x = st->x;
		list_remove(&st->link);
		free(st);
		if (x)
			exchange_agent_gone(x);
	}
	h2_free(s->h2);
	free(s);
	c->state = NULL;
}

const struct stage stage_h2 = {
	.name = "http/2",
	.readable = h2_readable,
	.writable = h2_writable,
	.timeout = h2_timeout,
	.goodbye = h2_goodbye,
	.leaving = h2_leaving,
	.look = h2_look,
	.close = h2_closed,
	.busy = h2_busy,
};

void h2_server_begin(struct conn *c)
{
	struct h2_server *s = calloc(1, sizeof *s);
	if (!s || h2_new(&calls, s, &s->h2)) {
		free(s);
		return conn_close(c);
	}
	s->conn = c;
	list_init(&s->streams);
	c->state = s;
	conn_set_stage(c, &stage_h2);
	conn_set_timeout(c, idle_ms(c->worker));
	conn_rest(c);
	push(s);
	if (!c->closed && c->stage == &stage_h2)
		h2_readable(c);
}
