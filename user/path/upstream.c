// SPDX-License-Identifier: Apache-2.0
/*
 * upstream.c: HTTP/1.1 over TLS towards providers, with a pool of idle connections per worker. A connection carries one request at a
 * time and goes back to the pool only after a complete answer whose sender keeps it alive.
 *
 * Life of an upstream: (names -> dial -> handshake | pooled) -> sending -> answering -> gone. Starting happens from a
 * deferred call, so that no callback runs inside upstream_start.
 */
#include "path/upstream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/str.h"
#include "path/dial.h"
#include "path/names.h"
#include "wire/h1.h"
#include "wire/tls.h"

#define IDLE_MAX 64                       /* per worker */
#define IDLE_NS INT64_C(30000000000)
#define PIECES_MAX 8
#define LATE_MS 1000
#define RIDE_ALONG (16 * 1024)
#define UPSTREAM_MAGIC 0x75707374u

/* A TCP + TLS connection to a provider. Owned by an upstream, or idle in the pool. */
struct link {
	struct upstreams *pool;
	struct list idle; /* pool->idle, newest first */
	struct upstream *up; /* NULL = idle */
	char host[256];
	uint16_t port;
	int fd;
	struct loop_io *io;
	struct tls *tls;
	struct h1 *h1;
	bool ready; /* handshake done and verified */
	int64_t idle_until_ns; /* boot clock */
};

struct upstreams {
	struct worker *worker;
	struct list idle;
	size_t nidle;
};

struct upstream {
	unsigned magic;
	struct upstreams *pool;
	const struct path_provider *provider;
	char host[256];
	struct str pieces[PIECES_MAX]; /* [0] is the written head */
	size_t npieces, piece;
	struct buf head_bytes;
	const struct upstream_calls *calls;
	void *ctx;
	struct names_wait *name;
	struct dial *dial;
	struct link *link;
	struct loop_timer *timer;
	bool is_head, sent, all_sent, answered, paused, gone;
	bool send_broke; /* the provider takes no more: perhaps it has said why */
	bool is_late;    /* its time was over a moment ago: what has arrived meanwhile is looked at first */
	bool read_wants_write, write_wants_read; /* TLS waits for the other direction (tls_blocked_on) */
};

/* ---- links */

static void link_free(struct link *l)
{
	if (!l)
		return;
	if (!l->up && l->idle.next) {
		list_remove(&l->idle);
		l->pool->nidle--;
	}
	loop_io_free(l->io);
	tls_free(l->tls);
	h1_free(l->h1);
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}

static void link_ready(void *ctx, unsigned ready);

static struct link *link_new(struct upstreams *pool, const char *host, uint16_t port, int fd)
{
	struct link *l = calloc(1, sizeof *l);
	if (!l) {
		close(fd);
		return NULL;
	}
	l->pool = pool;
	l->fd = fd;
	l->port = port;
	(void)snprintf(l->host, sizeof l->host, "%s", host);
	l->h1 = h1_new(H1_RESPONSES);
	if (!l->h1 || loop_io_new(pool->worker->loop, fd, link_ready, l, &l->io) ||
	    tls_connect_new(path_client_tls(pool->worker->path), fd, host, &l->tls)) {
		l->up = (struct upstream *)l; /* not in the pool */
		link_free(l);
		return NULL;
	}
	return l;
}

/* A second less than the provider says that it waits: our next request should not meet its goodbye. */
static int64_t idle_for_ns(const struct http_head *answer)
{
	int64_t said = (answer->keep_alive_s - 1) * INT64_C(1000000000);

	return answer->keep_alive_s && said < IDLE_NS ? said : IDLE_NS;
}

static void link_to_pool(struct link *l)
{
	struct upstreams *pool = l->pool;

	l->up = NULL;
	l->idle_until_ns = clock_boot_ns() + idle_for_ns(h1_head(l->h1));
	list_add(&pool->idle, &l->idle);
	pool->nidle++;
	loop_io_want(l->io, LOOP_READ); /* a close while idle is seen at once */
	if (pool->nidle > IDLE_MAX)
		link_free(list_entry(pool->idle.prev, struct link, idle));
}

/*
 * Anything readable on an idle link is its end (or session tickets, which tls_read takes without giving bytes). One that asks for an answer
 * inside TLS and does not take it (key updates against a full socket) is no use either: what it sent would wake us without end.
 */
static bool link_is_quiet(struct link *l)
{
	char byte;

	return tls_read(l->tls, &byte, 1) == -EAGAIN && tls_blocked_on(l->tls) == TLS_WANT_READ;
}

static struct link *link_from_pool(struct upstreams *pool, const char *host, uint16_t port)
{
	list_for_each_safe(pos, tmp, &pool->idle) {
		struct link *l = list_entry(pos, struct link, idle);
		if (l->port != port || strcmp(l->host, host))
			continue;
		if (clock_boot_ns() >= l->idle_until_ns || !link_is_quiet(l)) {
			link_free(l);
			continue;
		}
		list_remove(&l->idle);
		pool->nidle--;
		return l;
	}
	return NULL;
}

/* ---- ends of an upstream */

static void upstream_free(void *ctx)
{
	struct upstream *up = ctx;

	up->magic = 0;
	free(up);
}

static void upstream_let_go(struct upstream *up)
{
	up->gone = true;
	names_cancel(up->name);
	dial_cancel(up->dial);
	loop_timer_free(up->timer);
	buf_done(&up->head_bytes);
	link_free(up->link);
	up->name = NULL;
	up->dial = NULL;
	up->timer = NULL;
	up->link = NULL;
	(void)loop_defer(up->pool->worker->loop, upstream_free, up);
}

static void upstream_failed(struct upstream *up, enum refusal_reason why, const char *text)
{
	if (up->gone)
		return;
	WORKER_COUNT(up->pool->worker, upstream_failed, 1);
	upstream_let_go(up);
	up->calls->failed(up->ctx, why, text);
}

static void upstream_ended(struct upstream *up, bool keep)
{
	if (keep) {
		link_to_pool(up->link);
		up->link = NULL;
	}
	upstream_let_go(up);
	up->calls->end(up->ctx);
}

void upstream_cancel(struct upstream *up)
{
	if (!up->gone)
		upstream_let_go(up);
}

static void timed_out(void *ctx)
{
	struct upstream *up = ctx;
	char text[96];

	/* A loop that stood still (a hand-over) runs its timers before it looks at sockets. */
	if (!up->is_late) {
		up->is_late = true;
		return loop_timer_set(up->timer, LATE_MS);
	}
	(void)snprintf(text, sizeof text, up->link && up->link->ready ? "silent for %lld s" : "no connection within %lld s",
		       (long long)((up->link && up->link->ready ? up->pool->worker->options->response_timeout_ms :
								  up->pool->worker->options->connect_timeout_ms) /
				   1000));
	upstream_failed(up, REFUSAL_UPSTREAM_TIMEOUT, text);
}

static void expect_progress(struct upstream *up)
{
	up->is_late = false;
	loop_timer_set(up->timer, up->pool->worker->options->response_timeout_ms);
}

/* ---- sending */

static void upstream_watch(struct upstream *up)
{
	unsigned wants = up->paused ? 0 : LOOP_READ;

	if (up->link && !up->all_sent && !up->send_broke)
		wants |= LOOP_WRITE;
	/* The bytes that wait, or the room that there is, would wake us without end. */
	if (up->read_wants_write && (wants & LOOP_READ))
		wants = (wants & ~LOOP_READ) | LOOP_WRITE;
	else if (up->write_wants_read && (wants & LOOP_WRITE))
		wants = (wants & ~LOOP_WRITE) | LOOP_READ;
	if (up->link)
		loop_io_want(up->link->io, wants);
}

static void upstream_read(struct upstream *up);

/* It may have answered before it hung up (413, 401): that is worth more than our complaint. The reading finds the end. */
static void send_broke(struct upstream *up)
{
	up->send_broke = true;
	upstream_read(up);
	if (!up->gone)
		upstream_watch(up);
}

static void upstream_send(struct upstream *up)
{
	if (!up->sent) {
		up->sent = true;
		expect_progress(up);
		if (up->is_head)
			h1_expect_no_body(up->link->h1);
		up->calls->sent(up->ctx);
	}
	while (up->piece < up->npieces) {
		struct str *s = &up->pieces[up->piece];
		if (!s->n) {
			up->piece++;
			continue;
		}
		ssize_t n = tls_write(up->link->tls, s->p, s->n);
		up->write_wants_read = n == -EAGAIN && tls_blocked_on(up->link->tls) == TLS_WANT_READ;
		if (n == -EAGAIN)
			return upstream_watch(up);
		if (n <= 0)
			return send_broke(up);
		s->p += n;
		s->n -= (size_t)n;
	}
	up->all_sent = true;
	buf_done(&up->head_bytes);
	up->calls->all_sent(up->ctx);
	expect_progress(up);
	upstream_watch(up);
}

/* ---- answering */

/* One fact; false = stop looking. nleft: bytes behind the fact; behind an answer they make the link useless. */
static bool answer_fact(struct upstream *up, enum h1_fact fact, struct str body, size_t nleft, const struct err *e)
{
	struct link *l = up->link;
	struct http_head *head = h1_head(l->h1);

	switch (fact) {
	case H1_MORE:
		return false;
	case H1_HEAD:
		if (head->status >= 200) {
			up->answered = true;
			up->calls->head(up->ctx, head);
		}
		return !up->gone;
	case H1_BODY:
		up->calls->body(up->ctx, body.p, body.n);
		return !up->gone;
	case H1_END:
		if (head->status < 200)
			return true;
		upstream_ended(up, head->keep_alive && up->all_sent && !nleft && h1_is_idle(l->h1) && !tls_has_pending(l->tls));
		return false;
	case H1_BAD:
		upstream_failed(up, REFUSAL_UPSTREAM_PROTOCOL, e->text);
		return false;
	}
	return false;
}

static void answer_closed(struct upstream *up, ssize_t why)
{
	struct err e = { 0 };

	/* Without close_notify the end of a close-delimited answer proves nothing (truncation). */
	if (why == 0 && h1_eof(up->link->h1, &e) == H1_END && up->answered)
		return upstream_ended(up, false);
	upstream_failed(up, REFUSAL_UPSTREAM_PROTOCOL,
			up->answered ? "the connection closed in the middle of the answer" :
			!up->all_sent ? "the connection broke while sending" :
				       "the connection closed without an answer");
}

static void read_pending(void *ctx);

static void upstream_read(struct upstream *up)
{
	char *scratch = up->pool->worker->scratch;
	bool all_read = false;

	/* Bounded, so that one fat stream does not starve the others; what is left wakes us again. */
	for (int i = 0; i < 8 && !up->gone && !up->paused; i++) {
		ssize_t got = tls_read(up->link->tls, scratch, WORKER_SCRATCH);
		all_read = got == -EAGAIN;
		up->read_wants_write = all_read && tls_blocked_on(up->link->tls) == TLS_WANT_WRITE;
		if (all_read)
			break;
		if (got <= 0)
			return answer_closed(up, got);
		struct str in = { .p = scratch, .n = (size_t)got }, body = { 0 };
		struct err e = { 0 };
		enum h1_fact fact;
		do
			fact = h1_next(up->link->h1, &in, &body, &e);
		while (answer_fact(up, fact, body, in.n, &e));
	}
	if (up->gone)
		return;
	/* While the agent is slow the provider is not silent. */
	if (!up->paused)
		expect_progress(up);
	if (!up->paused && tls_has_pending(up->link->tls))
		(void)loop_defer(up->pool->worker->loop, read_pending, up);
	up->calls->batch(up->ctx, all_read);
}

static void read_pending(void *ctx)
{
	struct upstream *up = ctx;

	if (!up->gone && !up->paused && up->link && up->link->ready)
		upstream_read(up);
}

/* ---- connecting */

static void handshake(struct upstream *up)
{
	struct err e = { 0 };

	switch (tls_handshake(up->link->tls, &e)) {
	case TLS_WANT_READ:
		return loop_io_want(up->link->io, LOOP_READ);
	case TLS_WANT_WRITE:
		return loop_io_want(up->link->io, LOOP_WRITE);
	case TLS_FAILED:
		return upstream_failed(up, tls_failed_on_cert(up->link->tls) ? REFUSAL_UPSTREAM_CERT :
									     REFUSAL_UPSTREAM_UNREACHABLE, e.text);
	case TLS_DONE:
		up->link->ready = true;
		upstream_send(up);
	}
}

static void link_ready(void *ctx, unsigned ready)
{
	struct link *l = ctx;
	struct upstream *up = l->up;

	if (!up)
		return link_is_quiet(l) ? (void)0 : link_free(l);
	if (!l->ready)
		return handshake(up);
	const bool send = (ready & LOOP_WRITE) || (up->write_wants_read && (ready & LOOP_READ));
	const bool read = (ready & LOOP_READ) || (up->read_wants_write && (ready & LOOP_WRITE));
	/* Read first: an answer that came before the connection broke is lost to a write. */
	if (read)
		upstream_read(up);
	if (send && !up->gone && !up->all_sent && !up->send_broke)
		upstream_send(up);
	if (!up->gone)
		upstream_watch(up);
}

static void connected(void *ctx, int fd, const char *error)
{
	struct upstream *up = ctx;

	up->dial = NULL;
	if (fd < 0)
		return upstream_failed(up, REFUSAL_UPSTREAM_UNREACHABLE, error);
	up->link = link_new(up->pool, up->host, up->provider->port, fd);
	if (!up->link)
		return upstream_failed(up, REFUSAL_UPSTREAM_UNREACHABLE, "no memory for a connection");
	up->link->up = up;
	WORKER_COUNT(up->pool->worker, upstream_conns, 1);
	handshake(up);
}

static void dial_addresses(struct upstream *up, const struct sockaddr_storage *addrs, unsigned n)
{
	struct worker *w = up->pool->worker;

	if (dial_start(w->loop, -1, addrs, n, w->options->connect_timeout_ms, connected, up, &up->dial))
		upstream_failed(up, REFUSAL_UPSTREAM_UNREACHABLE, "no memory");
}

static void resolved(void *ctx, const struct sockaddr_storage *addrs, unsigned n, const char *error)
{
	struct upstream *up = ctx;
	char text[160];

	up->name = NULL;
	if (n)
		return dial_addresses(up, addrs, n);
	(void)snprintf(text, sizeof text, "cannot resolve %.80s: %.60s", up->host, error ? error : "no address");
	upstream_failed(up, REFUSAL_UPSTREAM_UNREACHABLE, text);
}

static void upstream_begin(void *ctx)
{
	struct upstream *up = ctx;
	struct worker *w = up->pool->worker;

	if (up->gone)
		return;
	up->link = link_from_pool(up->pool, up->host, up->provider->port);
	if (up->link) {
		up->link->up = up;
		WORKER_COUNT(w, upstream_reused, 1);
		return upstream_send(up);
	}
	up->is_late = false;
	loop_timer_set(up->timer, w->options->connect_timeout_ms);
	if (up->provider->naddrs)
		return dial_addresses(up, up->provider->addrs, (unsigned)up->provider->naddrs);
	if (names_get(w->names, NAMES_OURS, up->host, up->provider->port, resolved, up, &up->name))
		upstream_failed(up, REFUSAL_UPSTREAM_UNREACHABLE, "no memory");
}

/* A small body rides in the head's TLS record: one write, one segment. */
static int set_pieces(struct upstream *up, const struct str *body, size_t npieces)
{
	size_t total = 0;

	for (size_t i = 0; i < npieces; i++)
		total += body[i].n;
	const bool small = total <= RIDE_ALONG;
	for (size_t i = 0; small && i < npieces; i++)
		if (buf_append(&up->head_bytes, body[i].p, body[i].n))
			return -ENOMEM;
	up->pieces[0] = (struct str){ .p = buf_ptr(&up->head_bytes), .n = buf_len(&up->head_bytes) };
	up->npieces = 1;
	if (small)
		return 0;
	memcpy(&up->pieces[1], body, npieces * sizeof *body);
	up->npieces += npieces;
	return 0;
}

int upstream_start(struct upstreams *u, const struct path_provider *p, const char *host, const struct http_head *head,
		   const struct str *body, size_t npieces, const struct upstream_calls *calls, void *ctx,
		   struct upstream **ret)
{
	struct upstream *up = calloc(1, sizeof *up);

	ASSERT(npieces + 1 <= PIECES_MAX);
	if (!up)
		return -ENOMEM;
	*up = (struct upstream){ .magic = UPSTREAM_MAGIC, .pool = u, .provider = p, .calls = calls, .ctx = ctx };
	(void)snprintf(up->host, sizeof up->host, "%s", host);
	buf_init(&up->head_bytes, HTTP_HEAD_MAX + 1024 + RIDE_ALONG);

	int r = h1_write_request(&up->head_bytes, head);
	if (!r)
		r = set_pieces(up, body, npieces);
	if (!r)
		r = loop_timer_new(u->worker->loop, timed_out, up, &up->timer);
	if (!r)
		r = loop_defer(u->worker->loop, upstream_begin, up);
	if (r) {
		loop_timer_free(up->timer);
		buf_done(&up->head_bytes);
		free(up);
		return r;
	}
	up->is_head = str_eq(head->method, STR("HEAD"));
	*ret = up;
	return 0;
}

void upstream_pause(struct upstream *up, bool on)
{
	if (up->gone || up->paused == on)
		return;
	up->paused = on;
	if (on)
		loop_timer_stop(up->timer); /* the agent is slow, not the provider */
	else
		expect_progress(up);
	upstream_watch(up);
	if (!on && tls_has_pending(up->link->tls))
		(void)loop_defer(up->pool->worker->loop, read_pending, up);
}

/* ---- the pool */

int upstreams_new(struct worker *w, struct upstreams **ret)
{
	struct upstreams *u = calloc(1, sizeof *u);
	if (!u)
		return -ENOMEM;
	u->worker = w;
	list_init(&u->idle);
	*ret = u;
	return 0;
}

void upstreams_free(struct upstreams *u)
{
	if (!u)
		return;
	while (!list_empty(&u->idle))
		link_free(list_entry(u->idle.next, struct link, idle));
	free(u);
}

void upstreams_prune(struct upstreams *u, int64_t now_ns)
{
	list_for_each_safe(pos, tmp, &u->idle) {
		struct link *l = list_entry(pos, struct link, idle);
		if (now_ns >= l->idle_until_ns)
			link_free(l);
	}
}
