// SPDX-License-Identifier: Apache-2.0
/*
 * splice.c: the side road for what is not LLM traffic: bytes go both ways unchanged. A named connection is dialled at an
 * address that *purse* resolves for that name (the agent's own choice of address proves nothing), and never at one where
 * only LLM traffic lives; one without a name goes to the address that was asked for. One whose name may be hidden (ECH) or that has none
 * does not go to a front that LLM hosts share either.
 *
 * Two things are still looked at, since the first bytes do not bind the rest: a second ClientHello (second.h), and without TLS the lines that
 * an HTTP server would take for a request to somebody else (plain.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/addr.h"
#include "base/log.h"
#include "base/loop.h"
#include "kern/gate.h"
#include "path/conn.h"
#include "path/denial.h"
#include "path/dial.h"
#include "path/names.h"
#include "path/plain.h"
#include "path/second.h"
#include "path/tunnel.h"
#include "wire/hello.h"

#define PIPE_BYTES (64 * 1024)
#define MOVES_MAX 16
#define IDLE_MS (15 * 60 * 1000)

struct splice;

/* One direction. */
struct flow_pipe {
	int from, to;
	struct buf queued;
	size_t cleared;   /* of queued, from its front: may go out. SIZE_MAX = all */
	bool ended, told; /* from said EOF; to was told */
	bool (*look)(struct splice *s, const char *fresh, size_t n); /* false: no further */
};

struct splice {
	struct conn *conn; /* owns the agent's descriptor and everything about identity */
	struct names_wait *name;
	struct dial *dial;
	int fd;
	struct loop_io *io;
	struct flow_pipe up, down;
	bool has_connection; /* a second one of its agent's share */
	struct second second; /* TLS */
	struct plain *plain;  /* no TLS */
	bool is_mute;         /* nothing of the agent's goes on: a proxy that has refused */
};

static void splice_close_state(struct conn *c)
{
	struct splice *s = c->state;

	names_cancel(s->name);
	dial_cancel(s->dial);
	loop_io_free(s->io);
	if (s->fd >= 0)
		close(s->fd);
	if (s->has_connection)
		share_give(c->place.agent, SHARE_CONNECTIONS, 1);
	buf_done(&s->up.queued);
	buf_done(&s->down.queued);
	free(s->plain);
	free(s);
	c->state = NULL;
}

/* ---- what is still looked at */

static bool refuse(struct splice *s, enum denial why)
{
	denial_tell(s->conn, why, s->second.sni[0] ? s->second.sni : NULL);
	return false;
}

static bool look_at_plain(struct splice *s, const char *fresh, size_t n)
{
	switch (plain_feed(s->plain, fresh, n)) {
	case PLAIN_LLM:
		return refuse(s, DENIAL_PLAIN_HTTP);
	case PLAIN_HIDDEN:
		return refuse(s, DENIAL_TUNNEL);
	default:
		return true;
	}
}

static bool look_at_second(struct splice *s)
{
	struct flow_pipe *up = &s->up;
	enum second_verdict v = SECOND_PASS;

	ASSERT(up->cleared == SIZE_MAX || up->cleared <= buf_len(&up->queued));
	if (s->second.waits_for == SECOND_SERVER)
		return true;
	if (s->second.waits_for == SECOND_AGENT)
		v = second_agent(&s->second, buf_ptr(&up->queued) + up->cleared, buf_len(&up->queued) - up->cleared);
	if (v == SECOND_PASS)
		up->cleared = SIZE_MAX;
	/* As much as is ever held, and still not the hello that has to come. */
	if (v == SECOND_REFUSE || (v == SECOND_HOLD && buf_len(&up->queued) >= PIPE_BYTES))
		return refuse(s, DENIAL_SECOND_NAME);
	return true;
}

static bool look_up(struct splice *s, const char *fresh, size_t n)
{
	if (s->is_mute)
		return false;
	if (s->plain)
		return look_at_plain(s, fresh, n);
	return s->up.cleared == SIZE_MAX || look_at_second(s);
}

static bool look_down(struct splice *s, const char *fresh, size_t n)
{
	if (s->plain || s->second.waits_for != SECOND_SERVER)
		return true;
	second_server(&s->second, fresh, n);
	return look_at_second(s);
}

/* ---- bytes */

static size_t pipe_sendable(const struct flow_pipe *p)
{
	return buf_len(&p->queued) < p->cleared ? buf_len(&p->queued) : p->cleared;
}

/* false: broken, or refused. */
static bool pipe_move(struct splice *s, struct flow_pipe *p)
{
	/* Bounded, so that one fat transfer does not starve the calls: what is left wakes us again. */
	for (int i = 0; i < MOVES_MAX; i++) {
		if (!p->ended && buf_len(&p->queued) < PIPE_BYTES) {
			char *to = buf_reserve(&p->queued, PIPE_BYTES);
			ssize_t got = to ? recv(p->from, to, PIPE_BYTES, MSG_DONTWAIT) : -1;
			if (!to || (got < 0 && errno != EAGAIN && errno != EINTR))
				return false;
			if (got == 0)
				p->ended = true;
			if (got > 0) {
				buf_grew(&p->queued, (size_t)got);
				if (!p->look(s, to, (size_t)got))
					return false;
			}
		}
		if (!pipe_sendable(p))
			break;
		ssize_t sent = send(p->to, buf_ptr(&p->queued), pipe_sendable(p), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (sent < 0)
			return false;
		buf_consume(&p->queued, (size_t)sent);
		if (p->cleared != SIZE_MAX)
			p->cleared -= (size_t)sent;
	}
	if (buf_len(&p->queued))
		return true;
	buf_done(&p->queued); /* most spliced connections are idle most of the time */
	if (p->ended && !p->told) {
		p->told = true;
		(void)shutdown(p->to, SHUT_WR);
	}
	return true;
}

static unsigned pipe_wants_from(const struct flow_pipe *p)
{
	return !p->ended && buf_len(&p->queued) < PIPE_BYTES ? LOOP_READ : 0;
}

static unsigned pipe_wants_to(const struct flow_pipe *p) { return pipe_sendable(p) ? LOOP_WRITE : 0; }

static void splice_move(struct splice *s)
{
	struct conn *c = s->conn;

	if (s->fd < 0)
		return; /* still dialling: the agent's bytes wait in the socket */
	bool is_held = s->up.cleared != SIZE_MAX;
	if (!pipe_move(s, &s->up) || !pipe_move(s, &s->down) || (s->up.told && s->down.told))
		return conn_close(c);
	if (is_held && s->up.cleared == SIZE_MAX && !pipe_move(s, &s->up))
		return conn_close(c);
	conn_set_timeout(c, IDLE_MS);
	loop_io_want(s->io, pipe_wants_from(&s->down) | pipe_wants_to(&s->up));
	c->wants = pipe_wants_from(&s->up);
	c->tls_wants_write = pipe_wants_to(&s->down) != 0;
	loop_io_want(c->io, c->wants | pipe_wants_to(&s->down));
}

static void splice_readable(struct conn *c) { splice_move(c->state); }

static void splice_timeout(struct conn *c)
{
	log_info(c->who.subject, "spliced connection closed: idle for 15 minutes");
	conn_close(c);
}

static const struct stage stage_splice = {
	.name = "splice",
	.readable = splice_readable,
	.writable = splice_readable,
	.timeout = splice_timeout,
	.close = splice_close_state,
};

static void peer_ready(void *ctx, unsigned ready) { splice_move(ctx); }

static void connected(void *ctx, int fd, const char *error)
{
	struct splice *s = ctx;
	struct conn *c = s->conn;

	s->dial = NULL;
	if (fd < 0) {
		log_info(c->who.subject, "splice to %s: %s", s->second.sni[0] ? s->second.sni : "the address asked for", error);
		return conn_close(c);
	}
	s->fd = fd;
	s->up.from = s->down.to = c->fd;
	s->up.to = s->down.from = fd;
	if (loop_io_new(c->worker->loop, fd, peer_ready, s, &s->io))
		return conn_close(c);
	WORKER_COUNT(c->worker, spliced, 1);
	splice_move(s);
}

static enum gate_class class_of(struct conn *c, const uint8_t addr[16])
{
	struct gate_endpoint found;

	return gate_find_endpoint(c->worker->env->gate, addr, &found) ? GATE_CLASS_OTHER : (enum gate_class)found.class;
}

/*
 * Also what an agent dials itself without coming here (loopback, link-local: exempt): no name out there has any business leading to it.
 * *ret_is_front: LLM hosts are served there, among others or not.
 */
static bool is_forbidden(struct splice *s, const struct sockaddr_storage *ss, bool *ret_is_front)
{
	uint8_t addr[16];

	/* What is no IP address cannot be dialled: keep away from it. */
	if (!addr_from_sockaddr(ss, addr, NULL) || addr_is_special(addr))
		return true;
	enum gate_class class = class_of(s->conn, addr);
	*ret_is_front |= class == GATE_CLASS_DEDICATED || class == GATE_CLASS_SHARED;
	return class == GATE_CLASS_DEDICATED || (class == GATE_CLASS_SHARED && (s->second.has_ech || !s->second.sni[0]));
}

static void splice_dial(struct splice *s, const struct sockaddr_storage *addrs, unsigned n)
{
	struct conn *c = s->conn;
	struct sockaddr_storage good[NAMES_ADDRS_MAX];
	unsigned ngood = 0;
	bool is_front = false;

	for (unsigned i = 0; i < n && ngood < NAMES_ADDRS_MAX; i++)
		if (!is_forbidden(s, &addrs[i], &is_front))
			good[ngood++] = addrs[i];
	/* What is not listed of a front's addresses leads to the same front. */
	if (!ngood || (is_front && s->second.has_ech)) {
		(void)refuse(s, is_front && s->second.has_ech ? DENIAL_ECH : DENIAL_LANDS);
		return conn_close(c);
	}
	if (dial_start(c->worker->loop, c->fd, good, ngood, c->worker->options->connect_timeout_ms, connected, s, &s->dial))
		conn_close(c);
}

static void resolved(void *ctx, const struct sockaddr_storage *addrs, unsigned n, const char *error)
{
	struct splice *s = ctx;

	s->name = NULL;
	if (!n) {
		log_info(s->conn->who.subject, "splice: cannot resolve %s: %s", s->second.sni, error);
		return conn_close(s->conn);
	}
	splice_dial(s, addrs, n);
}

/* NULL: no memory. */
static struct splice *splice_new(struct conn *c, const struct hello *h)
{
	struct splice *s = calloc(1, sizeof *s);
	struct plain *plain = h ? NULL : calloc(1, sizeof *plain);

	if (!s || (!h && !plain)) {
		free(s);
		free(plain);
		return NULL;
	}
	s->conn = c;
	s->fd = -1;
	buf_init(&s->up.queued, 4 * PIPE_BYTES);
	buf_init(&s->down.queued, 4 * PIPE_BYTES);
	s->up.cleared = h ? h->bytes : SIZE_MAX;
	s->down.cleared = SIZE_MAX;
	s->up.look = look_up;
	s->down.look = look_down;
	s->plain = plain;
	if (plain) {
		*plain = (struct plain){ .is_llm = conn_is_llm_host, .ctx = c };
	} else {
		second_begin(&s->second, h);
	}
	return s;
}

/* A tunnel has its connection already, and the place for it. */
static void go_on(struct splice *s)
{
	s->fd = tunnel_take(s->conn->tunnel, &s->down.queued, &s->is_mute);
	if (s->fd < 0 || !s->down.look(s, buf_ptr(&s->down.queued), buf_len(&s->down.queued)))
		return conn_close(s->conn);
	connected(s, s->fd, NULL);
}

void splice_begin(struct conn *c, const struct hello *h)
{
	struct splice *s = splice_new(c, h);
	if (!s)
		return conn_close(c);
	c->state = s;
	conn_set_stage(c, &stage_splice);
	conn_set_timeout(c, c->worker->options->connect_timeout_ms * 2);
	conn_read_more(c, false);

	if (s->plain && !look_at_plain(s, buf_ptr(&c->in), buf_len(&c->in)))
		return conn_close(c);
	/* Before anything of the other side is looked at: `cleared` counts from here. */
	if (buf_append(&s->up.queued, buf_ptr(&c->in), buf_len(&c->in)))
		return conn_close(c);
	buf_clear(&c->in);
	if (c->tunnel)
		return go_on(s);
	s->has_connection = conn_take_onward(c->worker, c->place.agent, &c->who);
	if (!s->has_connection)
		return conn_close(c);
	if (!s->second.sni[0]) {
		struct sockaddr_storage to = addr_to_sockaddr(c->who.flow.dst, c->who.flow.dport);
		splice_dial(s, &to, 1);
	} else if (names_get(c->worker->names, c->who.flow.account, s->second.sni, c->who.flow.dport, resolved, s, &s->name)) {
		conn_close(c);
	}
}
