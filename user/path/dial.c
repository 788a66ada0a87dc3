// SPDX-License-Identifier: Apache-2.0
/*
 * dial.c: one address at a time; each gets an equal share of what is left of the time, so that a dead first
 * address does not eat the whole budget.
 */
#include "path/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/loop.h"
#include "kern/netns.h"

#define DIAL_ADDRS_MAX 8

struct dial {
	struct loop *loop;
	struct sockaddr_storage addrs[DIAL_ADDRS_MAX];
	unsigned n, next;
	int64_t deadline_ns;
	int like, fd;
	struct loop_io *io;
	struct loop_timer *timer;
	dial_fn fn;
	void *ctx;
	int last_errno;
};

static void dial_try(struct dial *d);

static void dial_drop_socket(struct dial *d)
{
	loop_io_free(d->io);
	d->io = NULL;
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

static void dial_free(struct dial *d)
{
	dial_drop_socket(d);
	loop_timer_free(d->timer);
	free(d);
}

static void dial_done(struct dial *d, int fd)
{
	dial_fn fn = d->fn;
	void *ctx = d->ctx;
	char text[128];

	(void)snprintf(text, sizeof text, "cannot connect: %s", strerror(d->last_errno));
	dial_free(d);
	fn(ctx, fd, fd < 0 ? text : NULL);
}

static void dial_next(struct dial *d, int why)
{
	d->last_errno = why;
	dial_drop_socket(d);
	dial_try(d);
}

static void dial_writable(void *ctx, unsigned ready)
{
	struct dial *d = ctx;
	int failed = 0;
	socklen_t len = sizeof failed;

	if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &failed, &len))
		failed = errno;
	if (failed)
		return dial_next(d, failed);
	int fd = d->fd;
	loop_io_free(d->io);
	d->io = NULL;
	d->fd = -1;
	dial_done(d, fd);
}

static void dial_timeout(void *ctx) { dial_next(ctx, ETIMEDOUT); }

static int dial_open(struct dial *d, const struct sockaddr_storage *to)
{
	socklen_t len = to->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	int one = 1;

	if (d->like >= 0)
		d->fd = netns_socket(d->like, to->ss_family);
	else if ((d->fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) < 0)
		d->fd = -errno;
	if (d->fd < 0)
		return d->fd;
	(void)setsockopt(d->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(d->fd, (const struct sockaddr *)to, len) && errno != EINPROGRESS)
		return -errno;
	int r = loop_io_new(d->loop, d->fd, dial_writable, d, &d->io);
	if (!r)
		loop_io_want(d->io, LOOP_WRITE);
	return r;
}

/* Runs from a timer only, so that the callback never runs inside dial_start. */
static void dial_try(struct dial *d)
{
	while (d->next < d->n) {
		unsigned left = d->n - d->next;
		int64_t ms = (d->deadline_ns - loop_now_ns(d->loop)) / 1000000 / left;
		if (ms <= 0) {
			d->last_errno = ETIMEDOUT;
			break;
		}
		int r = dial_open(d, &d->addrs[d->next++]);
		if (!r)
			return loop_timer_set(d->timer, ms);
		d->last_errno = -r;
		dial_drop_socket(d);
	}
	dial_done(d, -1);
}

static bool is_writable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) > 0;
}

static void dial_begin(void *ctx)
{
	struct dial *d = ctx;

	/* A loop that stood still (a hand-over) runs its timers before it looks at sockets. */
	if (d->io && is_writable(d->fd))
		return dial_writable(d, LOOP_WRITE);
	if (d->io)
		return dial_timeout(d);
	dial_try(d);
}

int dial_start(struct loop *l, int like, const struct sockaddr_storage *addrs, unsigned n, int64_t timeout_ms, dial_fn fn,
	       void *ctx, struct dial **ret)
{
	struct dial *d = calloc(1, sizeof *d);
	if (!d)
		return -ENOMEM;
	d->loop = l;
	d->like = like;
	d->fd = -1;
	d->n = n < DIAL_ADDRS_MAX ? n : DIAL_ADDRS_MAX;
	memcpy(d->addrs, addrs, d->n * sizeof *addrs);
	d->deadline_ns = loop_now_ns(l) + timeout_ms * 1000000;
	d->fn = fn;
	d->ctx = ctx;
	d->last_errno = EHOSTUNREACH;
	int r = loop_timer_new(l, dial_begin, d, &d->timer);
	if (r) {
		free(d);
		return r;
	}
	loop_timer_set(d->timer, 0);
	*ret = d;
	return 0;
}

void dial_cancel(struct dial *d)
{
	if (d)
		dial_free(d);
}
