// SPDX-License-Identifier: Apache-2.0
/* conn.c: the plumbing of an agent's connection. What its bytes mean is the stages' business. */
#include "path/conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "path/tunnel.h"
#include "wire/hello.h"
#include "wire/tls.h"

#define CONN_MAGIC 0x636f6e6eu
#define CONN_IN_MAX (256 * 1024)
#define LINGER_MS 2000
#define WRITING_MS 1000
#define LATE_MS 1000
#define LINGER_READS 16

static void conn_watch(struct conn *c)
{
	unsigned events = c->wants;

	if (buf_len(&c->out) || c->tls_wants_write)
		events |= LOOP_WRITE;
	/* The bytes that wait would wake us without end. */
	if (c->read_wants_write && (events & LOOP_READ))
		events = (events & ~LOOP_READ) | LOOP_WRITE;
	loop_io_want(c->io, events);
}

static void conn_ready(void *ctx, unsigned ready)
{
	struct conn *c = ctx;

	ASSERT(c->magic == CONN_MAGIC);
	if (ready & LOOP_WRITE) {
		c->tls_wants_write = false;
		ready |= c->read_wants_write && (c->wants & LOOP_READ) ? LOOP_READ : 0;
		c->read_wants_write = false;
		if ((!c->tls || conn_flush(c) == 0) && !c->closed && c->stage->writable)
			c->stage->writable(c);
	}
	/* A write may have closed it; a stage that does not read still learns of a hang-up. */
	if ((ready & LOOP_READ) && !c->closed)
		c->stage->readable(c);
	if (!c->closed)
		conn_watch(c);
}

static void conn_timed_out(void *ctx)
{
	struct conn *c = ctx;

	ASSERT(c->magic == CONN_MAGIC);
	/* Whether it takes what it was told is conns_look's business. */
	if (buf_len(&c->out))
		return loop_timer_set(c->timer, WRITING_MS);
	/* A loop that stood still (a hand-over) runs its timers before it looks at sockets. */
	if (!c->is_late) {
		c->is_late = true;
		return loop_timer_set(c->timer, LATE_MS);
	}
	c->stage->timeout(c);
}

static int conn_take_place(struct conn *c, struct worker *w, const struct identity *who)
{
	struct share *a = share_get(path_shares(w->path), who->flow.agent_cgroup);
	unsigned wake;

	if (!a)
		return -ENOMEM;
	bool taken = place_open(&c->place, a, w->index, &wake);

	if (taken)
		path_wake_worker(w->path, wake);
	else
		accept_tell_share(w, a, who);
	share_unref(a);
	return taken ? 0 : -EBUSY;
}

bool conn_take_onward(struct worker *w, struct share *a, const struct identity *who)
{
	unsigned wake;
	bool taken = share_take_place(a, &wake);

	if (taken)
		path_wake_worker(w->path, wake);
	else
		accept_tell_share(w, a, who);
	return taken;
}

bool conn_is_llm_host(void *ctx, const char *host)
{
	const struct conn *c = ctx;
	uint16_t unused;

	return path_provider_of(c->worker->path, host, &unused) != NULL;
}

int conn_new(struct worker *w, int fd, const struct identity *who, const struct stage *first, struct conn **ret)
{
	struct conn *c = calloc(1, sizeof *c);
	int r = c ? conn_take_place(c, w, who) : -ENOMEM;

	if (!r)
		r = loop_io_new(w->loop, fd, conn_ready, c, &c->io);
	if (!r)
		r = loop_timer_new(w->loop, conn_timed_out, c, &c->timer);
	if (r) {
		if (c) {
			loop_io_free(c->io);
			place_close(&c->place);
		}
		free(c);
		close(fd);
		return r;
	}
	c->magic = CONN_MAGIC;
	c->worker = w;
	c->fd = fd;
	c->who = *who;
	c->stage = first;
	buf_init(&c->in, CONN_IN_MAX);
	buf_init(&c->out, CONN_OUT_MAX);
	list_add_tail(&w->conns, &c->link);
	WORKER_COUNT(w, conns, 1);
	WORKER_COUNT(w, conns_open, 1);
	c->wants = LOOP_READ;
	conn_watch(c);
	*ret = c;
	return 0;
}

static void conn_free(void *ctx)
{
	struct conn *c = ctx;

	c->magic = 0;
	free(c);
}

void conn_close(struct conn *c)
{
	if (c->closed)
		return;
	c->closed = true;
	if (c->stage->close)
		c->stage->close(c);
	tunnel_free(c->tunnel);
	list_remove(&c->link);
	loop_io_free(c->io);
	loop_timer_free(c->timer);
	if (c->tls)
		tls_shutdown(c->tls);
	tls_free(c->tls);
	if (c->fd >= 0)
		close(c->fd);
	place_close(&c->place);
	buf_done(&c->in);
	buf_done(&c->out);
	WORKER_COUNT(c->worker, conns_open, -1);
	/* The stack above may still look at c->closed. Without memory to defer, it leaks 1 kB rather than being used after free. */
	(void)loop_defer(c->worker->loop, conn_free, c);
}

bool conn_is_busy(struct conn *c)
{
	return buf_len(&c->out) || (c->stage->busy && c->stage->busy(c));
}

void conn_rest(struct conn *c)
{
	if (!c->closed && !conn_is_busy(c))
		place_rest(&c->place);
}

void conn_rouse(struct conn *c)
{
	if (!c->closed)
		place_rouse(&c->place);
}

void conn_shed(struct conn *c)
{
	if (conn_is_busy(c))
		return conn_rouse(c);
	WORKER_COUNT(c->worker, shed, 1);
	if (c->stage->goodbye)
		c->stage->goodbye(c);
	conn_close(c);
}

/* A conn may go while others are looked at, but only the one that is looked at. */
void conns_look(struct worker *w, int64_t now_ns)
{
	list_for_each_safe(pos, tmp, &w->conns) {
		struct conn *c = list_entry(pos, struct conn, link);

		if (c->stalled_ns && now_ns - c->stalled_ns > w->options->stall_timeout_ms * 1000000) {
			WORKER_COUNT(w, stalled, 1);
			log_info(c->who.subject, "connection to %s closed: nothing of the answer was taken for %lld s (stall_timeout)", c->sni,
				 (long long)(w->options->stall_timeout_ms / 1000));
			conn_close(c);
		} else if (c->stage->look) {
			c->stage->look(c, now_ns);
		}
	}
}

void conn_set_stage(struct conn *c, const struct stage *s) { c->stage = s; }

void conn_set_timeout(struct conn *c, int64_t ms)
{
	c->is_late = false;
	if (ms)
		loop_timer_set(c->timer, ms);
	else
		loop_timer_stop(c->timer);
}

void conn_read_more(struct conn *c, bool on)
{
	unsigned wants = on ? LOOP_READ : 0;

	if (c->closed || c->wants == wants)
		return;
	c->wants = wants;
	conn_watch(c);
	if (on)
		conn_read_soon(c);
}

ssize_t conn_read(struct conn *c, void *p, size_t n)
{
	ssize_t got = tls_read(c->tls, p, n);

	if (got == -EAGAIN && tls_blocked_on(c->tls) == TLS_WANT_WRITE) {
		c->read_wants_write = true;
		conn_watch(c);
	}
	if (got > 0 || got == -EAGAIN)
		return got;
	conn_close(c);
	return -ECONNRESET;
}

static void read_soon(void *ctx)
{
	struct conn *c = ctx;

	if (!c->closed && (c->wants & LOOP_READ))
		c->stage->readable(c);
}

void conn_read_soon(struct conn *c)
{
	if (!c->closed && c->tls && tls_has_pending(c->tls))
		(void)loop_defer(c->worker->loop, read_soon, c);
}

int conn_flush(struct conn *c)
{
	while (!c->closed && buf_len(&c->out)) {
		ssize_t sent = tls_write(c->tls, buf_ptr(&c->out), buf_len(&c->out));
		if (sent == -EAGAIN) {
			if (!c->stalled_ns)
				c->stalled_ns = clock_boot_ns();
			conn_watch(c);
			return -EAGAIN;
		}
		if (sent <= 0) {
			conn_close(c);
			return -ECONNRESET;
		}
		buf_consume(&c->out, (size_t)sent);
		c->stalled_ns = 0;
	}
	if (c->closed)
		return -ECONNRESET;
	buf_shrink(&c->out);
	conn_watch(c);
	if (c->close_when_flushed) {
		c->close_when_flushed = false;
		conn_set_timeout(c, LINGER_MS);
		tls_shutdown(c->tls);
		(void)shutdown(c->fd, SHUT_WR);
	}
	return 0;
}

/* ---- the last stage: the peer may still be sending; closing now would reset away what we said */

static void linger_readable(struct conn *c)
{
	ssize_t got = 1;

	/* Bounded: a peer that sends as fast as we read must not keep the loop. */
	for (int i = 0; i < LINGER_READS && got > 0; i++)
		got = recv(c->fd, c->worker->scratch, WORKER_SCRATCH, MSG_DONTWAIT);
	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
		conn_close(c);
}

/* Closing while the peer still sends would reset away what it was told. */
static bool linger_busy(struct conn *c) { return true; }

const struct stage stage_linger = {
	.name = "linger",
	.readable = linger_readable,
	.timeout = conn_close,
	.busy = linger_busy,
};

void conn_finish(struct conn *c)
{
	if (c->closed || c->stage == &stage_linger)
		return;
	if (c->stage->close)
		c->stage->close(c);
	conn_set_stage(c, &stage_linger);
	c->close_when_flushed = true;
	conn_set_timeout(c, c->worker->options->response_timeout_ms);
	c->wants = LOOP_READ;
	(void)conn_flush(c);
}

void conn_answer_plain(struct conn *c, const char *status, const char *text)
{
	char answer[512];
	int n = snprintf(answer, sizeof answer, "HTTP/1.1 %s\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %zu\r\n"
						"connection: close\r\n\r\n%s", status, strlen(text), text);

	ASSERT((size_t)n < sizeof answer);
	(void)send(c->fd, answer, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)shutdown(c->fd, SHUT_WR);
	conn_set_stage(c, &stage_linger);
	conn_set_timeout(c, LINGER_MS);
	c->wants = LOOP_READ;
}

void conn_say_goodbye(struct conn *c)
{
	if (c->closed || c->stage == &stage_linger)
		return;
	if (c->stage->goodbye)
		c->stage->goodbye(c);
	else
		conn_finish(c);
}
