// SPDX-License-Identifier: Apache-2.0
/*
 * serve_h1.c: HTTP/1.1 towards the agent: one exchange at a time; what is pipelined behind it waits in conn->in. While an
 * answer runs the connection is still read, so that an agent that leaves is noticed.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/loop.h"
#include "path/conn.h"
#include "path/exchange.h"
#include "wire/h1.h"

#define IDLE_MS (5 * 60 * 1000)
#define GRACE_MS 5000 /* for watch.c to answer first */
#define PIPELINED_MAX (64 * 1024)
#define ANSWERS_MAX 8 /* in one turn: an exchange gives its memory back at the turn's end */

struct h1_server {
	struct conn *conn;
	struct h1 *h1;
	struct exchange *x; /* the one that is open */
	bool request_done;  /* its request was read to the end */
	bool no_body;       /* and had nothing to read behind the head */
	bool in_head;       /* some of a head was read: it has its own deadline */
	bool keep, chunked; /* of the answer that is being written */
	unsigned nanswers;  /* since the last turn of next_request */
};

static int64_t idle_ms(const struct worker *w) { return w->leaving ? WORKER_LEAVE_IDLE_MS : IDLE_MS; }

static void h1_feed(struct h1_server *s, struct str *in);
static void wait_in_line(struct conn *c);

/* ---- the agent's side of an exchange */

static void op_interim(struct exchange *x, int status)
{
	struct h1_server *s = x->serve_ctx;
	struct http_head head = { .status = status, .reason = STR("Continue"), .keep_alive = true };

	if (!h1_write_response(&s->conn->out, &head))
		(void)conn_flush(s->conn);
}

static bool op_head(struct exchange *x, const struct http_head *from)
{
	struct h1_server *s = x->serve_ctx;
	struct http_head head = *from;

	s->keep = (s->request_done || s->no_body) && x->keep_alive && !x->worker->draining && !x->worker->leaving;
	head.http10 = x->is_http10;
	if (head.length == HTTP_LENGTH_CLOSE)
		head.length = HTTP_LENGTH_CHUNKED;
	if (head.length == HTTP_LENGTH_CHUNKED && head.http10) {
		head.length = HTTP_LENGTH_CLOSE;
		s->keep = false;
	}
	s->chunked = head.length == HTTP_LENGTH_CHUNKED;
	head.keep_alive = s->keep;
	return !h1_write_response(&s->conn->out, &head);
}

static bool op_body(struct exchange *x, const void *p, size_t n)
{
	struct h1_server *s = x->serve_ctx;

	if (!n)
		return true;
	/* Later than the provider's own timer, which ends the call with its reason. */
	conn_set_timeout(s->conn, x->worker->options->response_timeout_ms * 2);
	return !(s->chunked ? h1_write_chunk(&s->conn->out, p, n) : buf_append(&s->conn->out, p, n));
}

static void op_flush(struct exchange *x)
{
	struct h1_server *s = x->serve_ctx;
	(void)conn_flush(s->conn);
}

static size_t op_queued(const struct exchange *x)
{
	const struct h1_server *s = x->serve_ctx;
	return buf_len(&s->conn->out);
}

/* An answer runs, its body waits for room, or who does not read answers would get further ones. */
static bool must_wait(const struct h1_server *s)
{
	return (s->x && (s->request_done || s->x->step == STEP_ROUTE)) || s->nanswers >= ANSWERS_MAX || buf_len(&s->conn->out) > CONN_OUT_HIGH;
}

/* From the loop, not from fin: a train of pipelined refusals must not become a stack of calls. */
static void next_request(void *ctx)
{
	struct conn *c = ctx;
	struct h1_server *s = c->state; /* another stage's if it is not ours */
	struct buf waiting;

	if (c->closed || c->stage != &stage_h1)
		return;
	s->nanswers = 0;
	if (must_wait(s))
		return;
	waiting = c->in;
	buf_init(&c->in, waiting.max);
	struct str in = { .p = buf_ptr(&waiting), .n = buf_len(&waiting) };
	h1_feed(s, &in);
	if (c->closed || c->stage != &stage_h1)
		return buf_done(&waiting);
	buf_consume(&waiting, buf_len(&waiting) - in.n);
	if (!buf_len(&waiting))
		buf_done(&waiting);
	c->in = waiting;
	wait_in_line(c);
}

/* What stands in c->in has its turn when what it waits for is over; until then no more than PIPELINED_MAX is taken. */
static void wait_in_line(struct conn *c)
{
	struct h1_server *s = c->state;

	conn_read_more(c, buf_len(&c->in) < PIPELINED_MAX);
	/* Otherwise op_fin or h1_writable say it. */
	if (buf_len(&c->in) && s->nanswers >= ANSWERS_MAX)
		(void)loop_defer(c->worker->loop, next_request, c);
}

static void op_fin(struct exchange *x)
{
	struct h1_server *s = x->serve_ctx;
	struct conn *c = s->conn;

	if (s->chunked)
		(void)h1_write_last_chunk(&c->out);
	s->x = NULL;
	s->chunked = false;
	s->nanswers++;
	if (!s->keep)
		return conn_finish(c);
	if (conn_flush(c) == -ECONNRESET)
		return;
	conn_set_timeout(c, idle_ms(c->worker));
	if (buf_len(&c->in))
		(void)loop_defer(c->worker->loop, next_request, c);
	else
		conn_rest(c);
}

static void op_more(struct exchange *x)
{
	struct h1_server *s = x->serve_ctx;

	(void)loop_defer(s->conn->worker->loop, next_request, s->conn);
}

static void op_abort(struct exchange *x)
{
	struct h1_server *s = x->serve_ctx;

	s->x = NULL;
	conn_finish(s->conn);
}

static const struct serve_ops ops = {
	.interim = op_interim,
	.head = op_head,
	.body = op_body,
	.fin = op_fin,
	.abort = op_abort,
	.flush = op_flush,
	.queued = op_queued,
	.more = op_more,
};

/* ---- requests */

static void answer_bad(struct h1_server *s, int status, struct str reason, const char *why)
{
	struct conn *c = s->conn;
	struct http_head head = { .status = status, .reason = reason, .length = HTTP_LENGTH_FIXED };

	log_info(c->who.subject, "bad HTTP/1 request to %s: %s", c->sni, why);
	WORKER_COUNT(c->worker, refused, 1);
	if (s->x) {
		struct exchange *x = s->x;
		s->x = NULL;
		exchange_agent_gone(x);
	}
	(void)http_add(&head, STR("x-should-retry"), STR("false"));
	(void)h1_write_response(&c->out, &head);
	conn_finish(c);
}

static void begin(struct h1_server *s)
{
	struct conn *c = s->conn;
	struct exchange *x;

	if (c->worker->draining)
		return conn_finish(c);
	conn_rouse(c);
	s->request_done = s->chunked = s->in_head = false;
	s->no_body = h1_head(s->h1)->length == HTTP_LENGTH_NONE;
	conn_set_timeout(c, c->worker->options->request_timeout_ms + GRACE_MS);
	x = exchange_new(c, &ops, s, h1_head(s->h1));
	if (!x) {
		log_error(c->who.subject, "no memory for an exchange");
		return conn_close(c);
	}
	s->x = x;
	exchange_begin(x);
}

static void take_fact(struct h1_server *s, enum h1_fact fact, struct str body, const struct err *e)
{
	switch (fact) {
	case H1_HEAD:
		return begin(s);
	case H1_BODY:
		/* An exchange that is over before its body came has ended this server too (op_head: keep is false). */
		(void)exchange_body(s->x, body.p, body.n);
		return;
	case H1_END:
		s->request_done = true;
		if (s->x) {
			conn_set_timeout(s->conn, s->conn->worker->options->response_timeout_ms * 2);
			exchange_body_end(s->x);
		}
		return;
	case H1_BAD:
		return answer_bad(s, 400, STR("Bad Request"), e->text);
	case H1_MORE:
		return;
	}
}

/* From its first byte on a head has as long as a body, however busily it drips. */
static void head_may_begin(struct h1_server *s)
{
	if (s->x || s->in_head || h1_is_idle(s->h1))
		return;
	s->in_head = true;
	conn_set_timeout(s->conn, s->conn->worker->options->request_timeout_ms);
}

/* Leaves in *in what has to wait. */
static void h1_feed(struct h1_server *s, struct str *in)
{
	struct conn *c = s->conn;

	while (!must_wait(s)) {
		struct str body = { 0 };
		struct err e = { 0 };
		enum h1_fact fact = h1_next(s->h1, in, &body, &e);
		if (fact == H1_MORE)
			return head_may_begin(s);
		take_fact(s, fact, body, &e);
		/* Answered and lingering, or closed: this server is gone. */
		if (c->closed || c->stage != &stage_h1)
			return;
	}
}

static void h1_take(struct conn *c, const char *p, size_t n)
{
	struct str in = { .p = p, .n = n };

	/* What waits came before. */
	if (!buf_len(&c->in))
		h1_feed(c->state, &in);
	if (c->closed || c->stage != &stage_h1 || !in.n)
		return;
	if (buf_append(&c->in, in.p, in.n))
		return conn_close(c);
	wait_in_line(c);
}

static void h1_readable(struct conn *c)
{
	char *scratch = c->worker->scratch;

	for (int i = 0; i < 8 && !c->closed && c->stage == &stage_h1; i++) {
		ssize_t got = conn_read(c, scratch, WORKER_SCRATCH);
		if (got <= 0)
			return;
		h1_take(c, scratch, (size_t)got);
		if (!c->closed && !(c->wants & LOOP_READ))
			return;
	}
	conn_read_soon(c);
}

static void h1_writable(struct conn *c)
{
	struct h1_server *s = c->state;

	if (s->x)
		exchange_drained(s->x);
	if (buf_len(&c->in))
		(void)loop_defer(c->worker->loop, next_request, c);
	else
		conn_rest(c);
}

static bool h1_busy(struct conn *c) { return ((struct h1_server *)c->state)->x != NULL; }

/* One that waits for a request gets one more: closing it now would meet it half-way. */
static void h1_leaving(struct conn *c)
{
	if (!h1_busy(c))
		conn_set_timeout(c, WORKER_LEAVE_IDLE_MS);
}

static void h1_timeout(struct conn *c)
{
	struct h1_server *s = c->state;

	if (s->in_head) {
		WORKER_COUNT(c->worker, slow_requests, 1);
		return answer_bad(s, 408, STR("Request Timeout"), "its head did not come to its end in time (request_timeout)");
	}
	if (s->x)
		log_info(c->who.subject, "connection to %s: no progress, closed", c->sni);
	conn_close(c);
}

static void h1_closed(struct conn *c)
{
	struct h1_server *s = c->state;
	struct exchange *x = s->x;

	s->x = NULL;
	if (x)
		exchange_agent_gone(x);
	h1_free(s->h1);
	free(s);
	c->state = NULL;
}

const struct stage stage_h1 = {
	.name = "http/1.1",
	.readable = h1_readable,
	.writable = h1_writable,
	.timeout = h1_timeout,
	.close = h1_closed,
	.leaving = h1_leaving,
	.busy = h1_busy,
};

void h1_server_begin(struct conn *c)
{
	struct h1_server *s = calloc(1, sizeof *s);
	if (!s || !(s->h1 = h1_new(H1_REQUESTS))) {
		free(s);
		return conn_close(c);
	}
	s->conn = c;
	c->state = s;
	conn_set_stage(c, &stage_h1);
	conn_set_timeout(c, idle_ms(c->worker));
	conn_rest(c);
	h1_readable(c);
}
