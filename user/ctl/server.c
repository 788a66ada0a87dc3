// SPDX-License-Identifier: Apache-2.0
/*
 * server.c: the control API's socket: who gets in, the connections as a whole, and how they are handed over. One connection is server_conn.c's
 * business.
 */
#include "ctl/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"
#include "ctl/agents.h"
#include "ctl/server_own.h"
#include "ctl_abi.h"
#include "wire/h1.h"

#define ACCEPT_PAUSE_MS 1000 /* after accept failed for want of something */

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
	conn_want(c);
	return 0;
}

/* ---- answers that wait for old connections to be ended */

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

/* ---- a hand-over */

static void want_all(struct server *s)
{
	list_for_each_safe(node, next, &s->conns)
		conn_want(list_entry(node, struct conn, node));
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
	conn_want(c);
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
