// SPDX-License-Identifier: Apache-2.0
/*
 * tunnel.c: see tunnel.h. Where a tunnel leads is the proxy's to say, so purse asks for the addresses of the name meanwhile: when they are an LLM's, what
 * is said inside is judged as if they had been dialled. Not known (a network whose names only the proxy can resolve): as if they are others'.
 *
 * The proxy's refusals pass with "Connection: close" added: the next CONNECT comes on a connection of its own, so that nobody has to agree where an
 * answer ends.
 */
#include "path/tunnel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/log.h"
#include "base/loop.h"
#include "kern/gate.h"
#include "path/conn.h"
#include "path/dial.h"
#include "path/names.h"
#include "path/tunnel_head.h"

#define ANSWER_MS 60000 /* the proxy dials first */
#define NAMES_MS 2000   /* after that */

#define YES "HTTP/1.1 200 Connection established\r\n\r\n"
#define NO_PROXY "purse: the proxy asked for does not answer.\n"

struct tunnel {
	struct conn *conn;
	struct tunnel_head head;
	struct names_wait *name;
	struct dial *dial;
	int fd;
	struct loop_io *io;
	bool has_connection; /* a second one of its agent's share */
	struct buf up;   /* what is left of the head */
	struct buf down; /* the answer, then what came behind it */
	struct tunnel_answer answer; /* status 0: not yet */
};

static void rest(struct tunnel *t)
{
	names_cancel(t->name);
	dial_cancel(t->dial);
	loop_io_free(t->io);
	t->name = NULL;
	t->dial = NULL;
	t->io = NULL;
}

void tunnel_free(struct tunnel *t)
{
	if (!t)
		return;
	rest(t);
	if (t->fd >= 0)
		close(t->fd);
	if (t->has_connection)
		share_give(t->conn->place.agent, SHARE_CONNECTIONS, 1);
	buf_done(&t->up);
	buf_done(&t->down);
	free(t);
}

bool tunnel_is_to_proxy(const struct conn *c)
{
	const struct path_options *o = c->worker->options;
	const struct gate_flow *to = &c->who.flow;

	for (size_t i = 0; i < o->nproxies; i++)
		if (o->proxies[i].port == to->dport && memcmp(o->proxies[i].addr, to->dst, sizeof(to->dst)) == 0)
			return true;
	return false;
}

const char *tunnel_llm_host(const struct tunnel *t)
{
	return t && t->head.is_llm ? t->head.host : NULL;
}

int tunnel_take(struct tunnel *t, struct buf *to, bool *ret_is_refusal)
{
	int fd = t->fd;

	if (buf_append(to, buf_ptr(&t->down), buf_len(&t->down)))
		return -ENOMEM;
	buf_done(&t->down);
	t->fd = -1;
	*ret_is_refusal = t->answer.status > 299;
	return fd;
}

/* Into a socket that has taken nothing yet, so that a head always fits. */
static bool say(int fd, const char *p, size_t n)
{
	return send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n;
}

static void answer_no_proxy(struct tunnel *t, const char *why)
{
	struct conn *c = t->conn;

	log_info(c->who.subject, "tunnel through a proxy: %s", why);
	rest(t);
	conn_read_more(c, true);
	conn_answer_plain(c, "502 Bad Gateway", NO_PROXY);
}

/* ---- the answer */

static void pass_refusal(struct tunnel *t)
{
	static const char last[] = "Connection: close\r\n\r\n";
	struct conn *c = t->conn;

	rest(t);
	if (!say(c->fd, buf_ptr(&t->down), t->answer.bytes - 2) || !say(c->fd, last, sizeof(last) - 1))
		return conn_close(c);
	buf_consume(&t->down, t->answer.bytes);
	/* It was for a tunnel that there is not. */
	buf_clear(&c->in);
	splice_begin(c, NULL);
}

static void open_tunnel(struct tunnel *t)
{
	struct conn *c = t->conn;

	rest(t);
	if (!say(c->fd, buf_ptr(&t->down), t->answer.bytes))
		return conn_close(c);
	buf_consume(&t->down, t->answer.bytes);
	sniff_again(c);
}

static void answered(struct tunnel *t)
{
	if (t->answer.status > 299)
		return pass_refusal(t);
	if (!t->name)
		return open_tunnel(t);
	loop_io_want(t->io, 0);
	conn_set_timeout(t->conn, NAMES_MS);
}

static void read_answer(struct tunnel *t)
{
	char *to = buf_reserve(&t->down, 1024);
	ssize_t got = to ? recv(t->fd, to, 1024, MSG_DONTWAIT) : -1;
	struct err e = { "" };

	if (to && got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0)
		return answer_no_proxy(t, "the proxy went away");
	buf_grew(&t->down, (size_t)got);
	switch (tunnel_read_answer(buf_ptr(&t->down), buf_len(&t->down), &t->answer, &e)) {
	case TUNNEL_MORE:
		return;
	case TUNNEL_HEAD:
		return answered(t);
	default:
		return answer_no_proxy(t, e.text);
	}
}

/* ---- to the proxy */

static void proxy_ready(void *ctx, unsigned ready)
{
	struct tunnel *t = ctx;

	if (t->answer.status)
		return;
	if (buf_len(&t->up)) {
		ssize_t sent = send(t->fd, buf_ptr(&t->up), buf_len(&t->up), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return answer_no_proxy(t, strerror(errno));
		buf_consume(&t->up, sent > 0 ? (size_t)sent : 0);
		loop_io_want(t->io, LOOP_READ | (buf_len(&t->up) ? LOOP_WRITE : 0));
	}
	if (ready & LOOP_READ)
		read_answer(t);
}

static void connected(void *ctx, int fd, const char *error)
{
	struct tunnel *t = ctx;

	t->dial = NULL;
	if (fd < 0)
		return answer_no_proxy(t, error);
	t->fd = fd;
	if (loop_io_new(t->conn->worker->loop, fd, proxy_ready, t, &t->io))
		return conn_close(t->conn);
	loop_io_want(t->io, LOOP_READ | LOOP_WRITE);
	conn_set_timeout(t->conn, ANSWER_MS);
}

/* ---- whom it leads to */

static void judge(struct tunnel *t, const uint8_t addr[16])
{
	struct gate_flow *flow = &t->conn->who.flow;
	struct gate_endpoint found;

	if (gate_find_endpoint(t->conn->worker->env->gate, addr, &found))
		return;
	if (found.class == GATE_CLASS_DEDICATED || (found.class == GATE_CLASS_SHARED && flow->class != GATE_CLASS_DEDICATED))
		flow->class = found.class;
}

static void resolved(void *ctx, const struct sockaddr_storage *addrs, unsigned n, const char *error)
{
	struct tunnel *t = ctx;
	uint8_t addr[16];

	t->name = NULL;
	for (unsigned i = 0; i < n; i++)
		if (addr_from_sockaddr(&addrs[i], addr, NULL))
			judge(t, addr);
	if (t->answer.status)
		open_tunnel(t);
}

/* ---- the stage */

static void tunnel_readable(struct conn *c) { /* the agent's bytes wait in the socket */ }

static void tunnel_timeout(struct conn *c)
{
	if (c->tunnel->answer.status)
		return open_tunnel(c->tunnel); /* without the name's addresses */
	answer_no_proxy(c->tunnel, "no answer in time");
}

static const struct stage stage_tunnel = { .name = "tunnel", .readable = tunnel_readable, .timeout = tunnel_timeout };

static void begin_ours(struct tunnel *t)
{
	struct conn *c = t->conn;

	c->who.flow.class = GATE_CLASS_DEDICATED;
	if (!say(c->fd, YES, sizeof YES - 1))
		return conn_close(c);
	sniff_again(c);
}

static void begin_others(struct tunnel *t)
{
	struct conn *c = t->conn;
	struct sockaddr_storage proxy = addr_to_sockaddr(c->who.flow.dst, c->who.flow.dport);
	const int64_t connect_ms = c->worker->options->connect_timeout_ms;

	conn_set_stage(c, &stage_tunnel);
	conn_set_timeout(c, connect_ms * 2);
	conn_read_more(c, false);
	t->has_connection = conn_take_onward(c->worker, c->place.agent, &c->who);
	if (!t->has_connection)
		return conn_close(c);
	if (!t->head.host[0])
		judge(t, t->head.to.addr);
	else if (names_get(c->worker->names, c->who.flow.account, t->head.host, t->head.to.port, resolved, t, &t->name))
		return conn_close(c);
	if (dial_start(c->worker->loop, c->fd, &proxy, 1, connect_ms, connected, t, &t->dial))
		conn_close(c);
}

void tunnel_begin(struct conn *c, const struct tunnel_head *h)
{
	struct tunnel *t = calloc(1, sizeof *t);

	if (!t)
		return conn_close(c);
	c->tunnel = t;
	t->conn = c;
	t->head = *h;
	t->fd = -1;
	buf_init(&t->up, TUNNEL_HEAD_MAX);
	buf_init(&t->down, 2 * TUNNEL_HEAD_MAX);
	/* The address asked for was the proxy's. */
	c->who.flow.class = GATE_CLASS_OTHER;
	if (!h->is_llm && buf_append(&t->up, buf_ptr(&c->in), h->bytes))
		return conn_close(c);
	buf_consume(&c->in, h->bytes);
	if (h->is_llm)
		begin_ours(t);
	else
		begin_others(t);
}
