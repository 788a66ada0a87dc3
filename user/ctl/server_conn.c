// SPDX-License-Identifier: Apache-2.0
/*
 * server_conn.c: one connection of the control API. One request at a time: while one is being answered nothing is read, so that what a peer can
 * make us keep is one request and one answer. wire/h1.h reads, route.h decides.
 */
#include "ctl/server_own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"
#include "ctl/agents.h"
#include "ctl_abi.h"
#include "wire/h1.h"

#define FOLLOW_BACKLOG_MAX (256 * 1024) /* a follower that is so far behind is dropped */

void conn_free(struct conn *c)
{
	if (c->follows)
		events_unfollow(&c->follower);
	if (c->job)
		c->job->conn = NULL;
	if (c->io)
		loop_io_free(c->io);
	if (c->timer)
		loop_timer_free(c->timer);
	h1_free(c->parser);
	buf_done(&c->in);
	buf_done(&c->body);
	buf_done(&c->out);
	peer_done(&c->peer);
	if (c->held.waits_for)
		c->s->nheld--;
	buf_done(&c->held_body);
	(void)close(c->fd);
	list_remove(&c->node);
	if (c->leases)
		c->s->nleases--;
	else
		c->s->nconns--;
	free(c);
}

/* ---- writing */

void conn_want(struct conn *c)
{
	bool reads = !c->busy && !c->last && buf_len(&c->out) == 0 && !c->s->is_paused;

	/* Who has an endless answer says nothing more, but its going away shows as readable. */
	loop_io_want(c->io, (reads || c->is_endless ? LOOP_READ : 0) | (buf_len(&c->out) ? LOOP_WRITE : 0));
}

/* false: the connection is gone. */
static bool conn_flush(struct conn *c)
{
	while (buf_len(&c->out) > 0) {
		ssize_t n = send(c->fd, buf_ptr(&c->out), buf_len(&c->out), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			conn_free(c);
			return false;
		}
		buf_consume(&c->out, (size_t)n);
		if (!c->is_endless)
			loop_timer_set(c->timer, c->s->idle_ms);
	}
	if (buf_len(&c->out) == 0) {
		buf_shrink(&c->out);
		if (c->last) {
			conn_free(c);
			return false;
		}
	}
	return true;
}

static int put_head(struct conn *c, const struct answer *a)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = { { 200, "OK" }, { 201, "Created" }, { 400, "Bad Request" }, { 403, "Forbidden" },
			{ 404, "Not Found" }, { 405, "Method Not Allowed" }, { 408, "Request Timeout" },
			{ 409, "Conflict" }, { 413, "Content Too Large" }, { 500, "Internal Server Error" },
			{ 503, "Service Unavailable" }, { 507, "Insufficient Storage" } };
	struct http_head h = { .status = a->status, .keep_alive = c->keep_alive };

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == a->status)
			h.reason = str_of(reasons[i].reason);
	(void)http_add(&h, STR("Content-Type"), str_of(a->type));
	(void)http_add(&h, STR("Cache-Control"), STR("no-store"));
	if (a->allow)
		(void)http_add(&h, STR("Allow"), str_of(a->allow));
	h.length = a->length != ANSWER_WHOLE ? HTTP_LENGTH_CHUNKED : HTTP_LENGTH_FIXED;
	h.content_length = (int64_t)buf_len(a->body);
	return h1_write_response(&c->out, &h);
}

static void follow_line(void *ctx, const char *line, size_t n)
{
	struct conn *c = ctx;

	if (buf_len(&c->out) + n > FOLLOW_BACKLOG_MAX || h1_write_chunk(&c->out, line, n) < 0) {
		log_warn("control", "pid %d: follows events but does not read them, closed", (int)c->request.pid);
		conn_free(c);
		return;
	}
	if (conn_flush(c))
		conn_want(c);
}

/* The answer has begun and will not end. */
void conn_go_on(struct conn *c, enum answer_length length)
{
	struct server *s = c->s;

	c->is_endless = true;
	loop_timer_stop(c->timer);
	if (length == ANSWER_EVENTS) {
		c->follows = true;
		c->follower = (struct events_follower){ .fn = follow_line, .ctx = c };
		events_follow(s->control->events, &c->follower);
	} else {
		c->leases = true;
		s->nconns--;
		s->nleases++;
	}
}

/* Puts the answer on its way and makes the connection ready for what comes next. false: it is gone. */
bool conn_answer(struct conn *c, const struct answer *a)
{
	int r = put_head(c, a);
	size_t n = buf_len(a->body);

	if (r == 0 && n > 0)
		r = a->length != ANSWER_WHOLE ? h1_write_chunk(&c->out, buf_ptr(a->body), n) : buf_append(&c->out, buf_ptr(a->body), n);
	if (r < 0) {
		log_error("control", "an answer of %zu bytes cannot be written: %s", n, strerror(-r));
		conn_free(c);
		return false;
	}
	c->last = !c->keep_alive && a->length == ANSWER_WHOLE;
	buf_clear(&c->body);
	buf_shrink(&c->body);
	if (a->length == ANSWER_WHOLE)
		loop_timer_set(c->timer, c->s->idle_ms);
	else
		conn_go_on(c, a->length);
	return conn_flush(c);
}

bool conn_refuse(struct conn *c, int status, const char *text)
{
	struct buf body;
	struct answer a = { .body = &body };

	buf_init(&body, 4096);
	answer_refuse(&a, status, "%s", text);
	c->keep_alive = false;
	bool alive = conn_answer(c, &a);

	buf_done(&body);
	return alive;
}

/* ---- answers that wait for old connections to be ended */

static void conn_hold(struct conn *c, const struct answer *a)
{
	c->held = *a;
	c->held_body = *a->body;
	c->busy = true;
	c->s->nheld++;
	loop_timer_set(c->timer, c->s->wait_ms);
}

void conn_let_go(struct conn *c)
{
	struct answer a = c->held;
	struct buf body = c->held_body;

	a.body = &body;
	buf_init(&c->held_body, 0);
	c->held.waits_for = 0;
	c->s->nheld--;
	c->busy = false;
	bool alive = conn_answer(c, &a);

	buf_done(&body);
	if (alive)
		conn_step(c);
}

void conn_timeout(void *ctx)
{
	struct conn *c = ctx;

	if (c->held.waits_for) {
		log_warn("control", "old connections are still being looked for after %lld ms; pid %d is answered now", (long long)c->s->wait_ms,
			 (int)c->peer.pid);
		conn_let_go(c);
		return;
	}
	log_debug("control", "pid %d: idle for too long, closed", (int)c->peer.pid);
	conn_free(c);
}

/* ---- reading */

static void take_head(struct conn *c)
{
	struct http_head *h = h1_head(c->parser);
	struct str target = h->target;

	c->request.method = h->method;
	c->request.path = str_cut(&target, '?');
	c->request.query = target;
	c->request.name = STR("");
	c->keep_alive = h->keep_alive;
	if (h->expect_continue)
		(void)buf_printf(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
}

static bool conn_run(struct conn *c)
{
	struct buf body;
	struct answer a = { .status = 200, .type = "application/json", .body = &body };
	/* Makes the padding exist also where there is no body. */
	char *p = buf_reserve(&c->body, 1);
	bool alive;

	if (!p)
		return conn_refuse(c, 500, "out of memory");
	c->request.body = (struct str){ .p = buf_ptr(&c->body), .n = buf_len(&c->body) };
	buf_init(&body, CTL_ANSWER_MAX);
	peer_look(&c->peer, c->s->control->agents);
	const struct route *route = route_find(&c->request, c->is_owner, &a);

	if (route && route->slow) {
		alive = conn_start_job(c, route);
	} else {
		if (route)
			route->run(c->s->control, &c->request, &a);
		if (a.waits_for && !agents_is_over(c->s->control->agents, a.waits_for)) {
			conn_hold(c, &a);
			return true;
		}
		alive = conn_answer(c, &a);
	}
	buf_done(&body);
	return alive;
}

/* One fact out of `in`. false: the connection is gone. *ret_more: nothing further without more bytes. */
static bool conn_fact(struct conn *c, bool *ret_more)
{
	struct str in = { .p = buf_ptr(&c->in), .n = buf_len(&c->in) }, piece = { 0 };
	struct err e = { "" };
	enum h1_fact fact = h1_next(c->parser, &in, &piece, &e);
	bool alive = true;

	*ret_more = fact == H1_MORE;
	if (fact == H1_HEAD)
		take_head(c);
	else if (fact == H1_BODY && buf_append(&c->body, piece.p, piece.n) < 0)
		alive = conn_refuse(c, 413, "the body is larger than 64 KiB");
	else if (fact == H1_BAD)
		alive = conn_refuse(c, 400, e.text);
	else if (fact == H1_END)
		alive = conn_run(c);
	if (alive)
		buf_consume(&c->in, buf_len(&c->in) - in.n);
	return alive;
}

void conn_step(struct conn *c)
{
	bool more = false;

	/* One request at a time: the next one waits until the answer is written. */
	while (!more && !c->busy && !c->s->is_paused && !c->last && !c->is_endless && buf_len(&c->out) == 0)
		if (!conn_fact(c, &more))
			return;
	if (buf_len(&c->out) > 0 && !conn_flush(c))
		return;
	conn_want(c);
}

static void conn_readable(struct conn *c)
{
	char mem[16384];
	ssize_t n = recv(c->fd, mem, sizeof(mem), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_free(c);
		return;
	}
	if (c->is_endless)
		return;
	if (buf_append(&c->in, mem, (size_t)n) < 0) {
		if (conn_refuse(c, 413, "the request is larger than 64 KiB"))
			conn_want(c);
		return;
	}
	conn_step(c);
}

void conn_ready(void *ctx, unsigned ready)
{
	struct conn *c = ctx;

	if (ready & LOOP_WRITE) {
		if (!conn_flush(c))
			return;
		if (buf_len(&c->out) == 0) {
			conn_step(c);
			return;
		}
		conn_want(c);
		return;
	}
	if (ready & LOOP_READ)
		conn_readable(c);
}
