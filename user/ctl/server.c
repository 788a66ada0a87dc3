// SPDX-License-Identifier: Apache-2.0
/*
 * server.c: connections of the control API. One request at a time per connection: while one is being answered nothing is read,
 * so that what a peer can make us keep is one request and one answer. wire/h1.h reads, route.h decides.
 */
#include "ctl/server.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"
#include "ctl/agents.h"
#include "ctl/events.h"
#include "ctl/peer.h"
#include "ctl/route/route.h"
#include "ctl_abi.h"
#include "wire/h1.h"

#define JOBS_MAX 8
#define FOLLOW_BACKLOG_MAX (256 * 1024) /* a follower that is so far behind is dropped */
#define ACCEPT_PAUSE_MS 1000            /* after accept failed for want of something */

struct job;

struct conn {
	struct list node; /* on server.conns */
	struct server *s;
	int fd;
	struct loop_io *io;
	struct loop_timer *timer;
	struct h1 *parser;
	struct buf in, body, out;
	struct request request; /* method and path point into the parser's head */
	struct peer peer;
	bool is_owner;
	bool has_head;  /* between H1_HEAD and H1_END */
	bool busy;      /* a job runs for it, or its answer is held back */
	bool is_endless; /* the answer has no end: events or a lease */
	bool follows, leases;
	bool last;      /* close once `out` is written */
	bool keep_alive;
	struct events_follower follower;
	struct job *job;
	struct answer held; /* held.waits_for != 0: until agents_is_over */
	struct buf held_body;
};

/* A slow request on a thread of its own. Outlives its connection if that goes away. */
struct job {
	struct list node; /* on server.jobs */
	struct server *s;
	struct conn *conn; /* loop's thread only; NULL = nobody waits any more */
	const struct route *route;
	struct request request; /* copies: */
	char method[16], path[256], query[2048], name[256];
	struct buf body;
	struct buf out;
	struct answer answer;
	pthread_t thread;
	bool done; /* under server.lock */
};

struct server {
	struct loop *loop;
	const struct control *control;
	char path[108];
	int64_t idle_ms, wait_ms;
	int fd;
	bool is_paused, keeps_file;
	struct loop_io *io;
	struct loop_timer *resume;
	struct loop_wake *wake;
	struct list conns, jobs;
	unsigned nconns, nleases, njobs, nheld; /* leases are conns, but not counted in nconns */
	pthread_mutex_t lock; /* guards job.done */
};

static void conn_step(struct conn *c);

/* ---- connections: made and freed in one place */

static void conn_free(struct conn *c)
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

static void want(struct conn *c)
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
		want(c);
}

/* The answer has begun and will not end. */
static void conn_go_on(struct conn *c, enum answer_length length)
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
static bool conn_answer(struct conn *c, const struct answer *a)
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
	c->has_head = false;
	buf_clear(&c->body);
	buf_shrink(&c->body);
	if (a->length == ANSWER_WHOLE)
		loop_timer_set(c->timer, c->s->idle_ms);
	else
		conn_go_on(c, a->length);
	return conn_flush(c);
}

static bool conn_refuse(struct conn *c, int status, const char *text)
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

static void conn_let_go(struct conn *c)
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

static struct conn *find_over(const struct server *s)
{
	list_for_each(node, &s->conns) {
		struct conn *c = list_entry(node, struct conn, node);

		if (c->held.waits_for && agents_is_over(s->control->agents, c->held.waits_for))
			return c;
	}
	return NULL;
}

void server_look_again(struct server *s)
{
	struct conn *c;

	/* From the front each time: an answer may end its connection, or another one. */
	while (s->nheld > 0 && (c = find_over(s)) != NULL)
		conn_let_go(c);
}

static void conn_timeout(void *ctx)
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

/* ---- slow requests */

static void *job_run(void *ctx)
{
	struct job *j = ctx;
	struct server *s = j->s;

	j->route->run(s->control, &j->request, &j->answer);
	(void)pthread_mutex_lock(&s->lock);
	j->done = true;
	(void)pthread_mutex_unlock(&s->lock);
	loop_wake_send(s->wake);
	return NULL;
}

static void job_free(struct job *j)
{
	if (j->conn)
		j->conn->job = NULL;
	list_remove(&j->node);
	j->s->njobs--;
	buf_done(&j->body);
	buf_done(&j->out);
	free(j);
}

static void jobs_done(void *ctx)
{
	struct server *s = ctx;

	list_for_each_safe(node, next, &s->jobs) {
		struct job *j = list_entry(node, struct job, node);

		(void)pthread_mutex_lock(&s->lock);
		bool done = j->done;
		(void)pthread_mutex_unlock(&s->lock);
		if (!done)
			continue;
		(void)pthread_join(j->thread, NULL);
		struct conn *c = j->conn;
		bool alive = c != NULL;

		if (c) {
			c->busy = false;
			c->job = NULL;
			j->conn = NULL;
			alive = conn_answer(c, &j->answer);
		}
		job_free(j);
		if (alive)
			conn_step(c);
	}
}

static bool copy_request(struct job *j, const struct request *r)
{
	j->request = *r;
	j->request.peer = NULL; /* the connection may go */
	if (!str_copy(j->method, sizeof(j->method), r->method) || !str_copy(j->path, sizeof(j->path), r->path) ||
	    !str_copy(j->query, sizeof(j->query), r->query) || !str_copy(j->name, sizeof(j->name), r->name) ||
	    buf_append(&j->body, r->body.p, r->body.n) < 0)
		return false;
	j->request.method = str_of(j->method);
	j->request.path = str_of(j->path);
	j->request.query = str_of(j->query);
	j->request.name = str_of(j->name);
	j->request.body = (struct str){ .p = buf_ptr(&j->body), .n = buf_len(&j->body) };
	return true;
}

/* false: the connection is gone. */
static bool conn_start_job(struct conn *c, const struct route *route)
{
	struct server *s = c->s;
	struct job *j = s->njobs < JOBS_MAX ? calloc(1, sizeof(*j)) : NULL;

	if (!j)
		return conn_refuse(c, 503, "too many slow requests at once; try again in a moment");
	j->s = s;
	j->route = route;
	buf_init(&j->body, CTL_REQUEST_MAX);
	buf_init(&j->out, CTL_ANSWER_MAX);
	j->answer = (struct answer){ .status = 200, .type = "application/json", .body = &j->out };
	list_add_tail(&s->jobs, &j->node);
	s->njobs++;
	if (!copy_request(j, &c->request)) {
		job_free(j);
		return conn_refuse(c, 400, "the request's path or query is too long");
	}
	if (pthread_create(&j->thread, NULL, job_run, j) != 0) {
		job_free(j);
		return conn_refuse(c, 503, "no thread for a slow request; try again in a moment");
	}
	j->conn = c;
	c->job = j;
	c->busy = true;
	loop_timer_stop(c->timer);
	return true;
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
	c->has_head = true;
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

static void conn_step(struct conn *c)
{
	bool more = false;

	/* One request at a time: the next one waits until the answer is written. */
	while (!more && !c->busy && !c->s->is_paused && !c->last && !c->is_endless && buf_len(&c->out) == 0)
		if (!conn_fact(c, &more))
			return;
	if (buf_len(&c->out) > 0 && !conn_flush(c))
		return;
	want(c);
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
			want(c);
		return;
	}
	conn_step(c);
}

static void conn_ready(void *ctx, unsigned ready)
{
	struct conn *c = ctx;

	if (ready & LOOP_WRITE) {
		if (!conn_flush(c))
			return;
		if (buf_len(&c->out) == 0) {
			conn_step(c);
			return;
		}
		want(c);
		return;
	}
	if (ready & LOOP_READ)
		conn_readable(c);
}

/* Agents do not get so many that nobody else comes through to stop them. */
static bool has_room(const struct server *s, const struct peer *peer)
{
	unsigned from_agents = 0;

	list_for_each(node, &s->conns)
		from_agents += list_entry(node, struct conn, node)->peer.place != PEER_OUTSIDE;
	return s->nconns < CTL_CONNS_MAX && s->nleases < CTL_LEASES_MAX && (peer->place == PEER_OUTSIDE || from_agents < CTL_AGENT_CONNS_MAX);
}

int server_adopt(struct server *s, int fd)
{
	static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
	struct peer peer = { .pidfd = -1 };
	struct conn *c = NULL;
	int r = peer_of(fd, &peer);

	if (r == 0) {
		peer_look(&peer, s->control->agents);
		r = has_room(s, &peer) ? 0 : -EBUSY;
		c = r == 0 ? calloc(1, sizeof(*c)) : NULL;
	}
	if (!c) {
		(void)send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		(void)close(fd);
		peer_done(&peer);
		return r < 0 ? r : -ENOMEM;
	}
	c->s = s;
	c->fd = fd;
	buf_init(&c->in, CTL_REQUEST_MAX + 16384);
	buf_init(&c->body, CTL_REQUEST_MAX);
	buf_init(&c->out, CTL_ANSWER_MAX + 4096);
	buf_init(&c->held_body, 0);
	list_add_tail(&s->conns, &c->node);
	s->nconns++;
	c->peer = peer;
	c->request.uid = peer.uid;
	c->request.pid = peer.pid;
	c->request.peer = &c->peer;
	c->is_owner = peer.uid == 0 || peer.uid == geteuid();
	c->parser = h1_new(H1_REQUESTS);
	if (!c->parser || loop_io_new(s->loop, fd, conn_ready, c, &c->io) < 0 ||
	    loop_timer_new(s->loop, conn_timeout, c, &c->timer) < 0) {
		conn_free(c);
		return -ENOMEM;
	}
	loop_timer_set(c->timer, s->idle_ms);
	want(c);
	return 0;
}

/* ---- a hand-over */

static void want_all(struct server *s)
{
	list_for_each_safe(node, next, &s->conns)
		want(list_entry(node, struct conn, node));
	if (s->io)
		loop_io_want(s->io, s->is_paused ? 0 : LOOP_READ);
}

bool server_pause(struct server *s)
{
	s->is_paused = true;
	want_all(s);
	return s->njobs == 0 && s->nheld == 0;
}

void server_resume(struct server *s)
{
	s->is_paused = false;
	want_all(s);
	/* What came in before the pause and was not looked at. */
	list_for_each_safe(node, next, &s->conns)
		conn_step(list_entry(node, struct conn, node));
}

void server_each_open(const struct server *s, void (*fn)(void *ctx, int fd, bool is_lease), void *ctx)
{
	if (s->fd >= 0)
		fn(ctx, s->fd, false);
	list_for_each(node, &s->conns) {
		const struct conn *c = list_entry(node, struct conn, node);

		if (c->leases)
			fn(ctx, c->fd, true);
	}
}

void server_leave(struct server *s)
{
	s->keeps_file = true;
}

int server_adopt_lease(struct server *s, int fd)
{
	int r = server_adopt(s, fd);

	if (r < 0)
		return r;
	struct conn *c = list_entry(s->conns.prev, struct conn, node);

	conn_go_on(c, ANSWER_LEASE);
	want(c);
	return 0;
}

unsigned server_conns(const struct server *s)
{
	return s->nconns;
}

unsigned server_leases(const struct server *s)
{
	return s->nleases;
}

/* ---- listening */

static void accept_resume(void *ctx)
{
	struct server *s = ctx;

	if (!s->is_paused)
		loop_io_want(s->io, LOOP_READ);
}

static void accept_some(void *ctx, unsigned ready)
{
	struct server *s = ctx;
	int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		(void)server_adopt(s, fd);
		return;
	}
	if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
		return;
	/* Out of descriptors or memory: the loop would spin on it. */
	log_error("control", "accept: %s; trying again in a second", strerror(errno));
	loop_io_want(s->io, 0);
	loop_timer_set(s->resume, ACCEPT_PAUSE_MS);
}

static int hear(struct server *s, struct err *e)
{
	int r = loop_io_new(s->loop, s->fd, accept_some, s, &s->io);

	if (r == 0)
		r = loop_timer_new(s->loop, accept_resume, s, &s->resume);
	if (r < 0)
		return err_set(e, -r, "control socket %s: %s", s->path, strerror(-r));
	loop_io_want(s->io, LOOP_READ);
	return 0;
}

static int listen_on(struct server *s, struct err *e)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (!str_copy(un.sun_path, sizeof(un.sun_path), str_of(s->path)))
		return err_set(e, ENAMETOOLONG, "control socket: the path \"%s\" is too long for a socket; choose a shorter "
			       "run_dir", s->path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return err_set(e, errno, "control socket: %s", strerror(errno));
	(void)unlink(s->path);
	/* Mode first, listening second: nobody connects in between. */
	if (bind(s->fd, (struct sockaddr *)&un, sizeof(un)) < 0 || chmod(s->path, 0600) < 0 || listen(s->fd, 64) < 0)
		return err_set(e, errno, "control socket %s: %s", s->path, strerror(errno));
	return hear(s, e);
}

int server_new(struct loop *loop, const struct control *c, const struct server_options *o, struct server **ret,
	       struct err *e)
{
	struct server *s = calloc(1, sizeof(*s));
	int r = 0;

	if (!s)
		return err_set(e, ENOMEM, "control socket: out of memory");
	s->loop = loop;
	s->control = c;
	s->fd = o->listen_fd > 0 ? o->listen_fd : -1;
	s->idle_ms = o->idle_ms ? o->idle_ms : CTL_IDLE_MS;
	s->wait_ms = o->wait_ms ? o->wait_ms : CTL_WAIT_MS;
	list_init(&s->conns);
	list_init(&s->jobs);
	(void)pthread_mutex_init(&s->lock, NULL);
	r = loop_wake_new(loop, jobs_done, s, &s->wake);
	if (r < 0)
		(void)err_set(e, -r, "control socket: %s", strerror(-r));
	if (r == 0 && o->socket_path) {
		if (str_copy(s->path, sizeof(s->path), str_of(o->socket_path)))
			r = s->fd >= 0 ? hear(s, e) : listen_on(s, e);
		else
			r = err_set(e, ENAMETOOLONG, "control socket: \"%s\" is too long for a socket; choose a shorter "
				    "run_dir", o->socket_path);
	}
	if (r < 0)
		server_free(s);
	else
		*ret = s;
	return r;
}

void server_free(struct server *s)
{
	if (!s)
		return;
	if (s->io)
		loop_io_free(s->io);
	if (s->resume)
		loop_timer_free(s->resume);
	if (s->fd >= 0) {
		(void)close(s->fd);
		if (!s->keeps_file)
			(void)unlink(s->path);
	}
	list_for_each_safe(node, next, &s->conns)
		conn_free(list_entry(node, struct conn, node));
	list_for_each_safe(node, next, &s->jobs) {
		struct job *j = list_entry(node, struct job, node);

		(void)pthread_join(j->thread, NULL);
		job_free(j);
	}
	ASSERT(s->nconns == 0 && s->nleases == 0 && s->njobs == 0 && s->nheld == 0);
	if (s->wake)
		loop_wake_free(s->wake);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}
