// SPDX-License-Identifier: Apache-2.0
/* endpoint_proof.c: see endpoint_proof.h. A ring of those that wait, a few slots for those under way, a ring of failures. */
#include "ctl/endpoint_proof.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/loop.h"
#include "wire/tls.h"

struct slot {
	struct prover *prover;
	bool used;
	struct proof what;
	int fd;
	struct loop_io *io;
	struct loop_timer *timer;
	struct tls *tls; /* NULL until connected */
};

struct failure {
	struct proof what;
	int64_t until_ns; /* 0 = empty */
};

struct prover {
	struct loop *loop;
	struct tls_ctx *client;
	proof_fn fn;
	void *ctx;
	struct loop_timer *begin; /* set while something waits */
	bool is_set;
	int64_t last_ns;
	struct proof waiting[PROOF_WAITING_MAX];
	unsigned first, nwaiting;
	struct slot slots[PROOF_AT_ONCE];
	struct failure failures[PROOF_FAILED_MAX];
	unsigned next_failure;
	struct proof_counts counts;
};

static bool is_same(const struct proof *a, const struct proof *b)
{
	return a->port == b->port && memcmp(a->addr, b->addr, 16) == 0 && strcmp(a->name, b->name) == 0;
}

static void begin_soon(struct prover *p)
{
	int64_t since_ms = (loop_now_ns(p->loop) - p->last_ns) / 1000000;

	if (p->is_set || !p->nwaiting)
		return;
	p->is_set = true;
	loop_timer_set(p->begin, since_ms >= PROOF_EVERY_MS ? 0 : PROOF_EVERY_MS - since_ms);
}

/* ---- one under way */

static void slot_clear(struct slot *s)
{
	tls_free(s->tls);
	loop_io_free(s->io);
	if (s->fd >= 0)
		close(s->fd);
	if (s->timer)
		loop_timer_stop(s->timer);
	s->tls = NULL;
	s->io = NULL;
	s->fd = -1;
	s->used = false;
}

static bool is_own(int fd)
{
	struct sockaddr_storage here = { 0 }, there = { 0 };
	socklen_t n = sizeof(here), m = sizeof(there);
	uint8_t a[16], b[16];

	return !getsockname(fd, (struct sockaddr *)&here, &n) && !getpeername(fd, (struct sockaddr *)&there, &m) &&
	       addr_from_sockaddr(&here, a, NULL) && addr_from_sockaddr(&there, b, NULL) && memcmp(a, b, 16) == 0;
}

static void slot_end(struct slot *s, const char *why)
{
	struct prover *p = s->prover;
	struct proof what = s->what;
	bool own = !why && is_own(s->fd);

	slot_clear(s);
	if (why) {
		struct failure *f = &p->failures[p->next_failure++ % PROOF_FAILED_MAX];

		f->what = what;
		f->until_ns = loop_now_ns(p->loop) + PROOF_FAILED_S * INT64_C(1000000000);
		p->counts.failed++;
	} else {
		p->counts.proven++;
	}
	begin_soon(p);
	p->fn(p->ctx, &what, why, own);
}

static void slot_handshake(struct slot *s)
{
	struct err e = { "" };

	switch (tls_handshake(s->tls, &e)) {
	case TLS_WANT_READ:
		return loop_io_want(s->io, LOOP_READ);
	case TLS_WANT_WRITE:
		return loop_io_want(s->io, LOOP_WRITE);
	case TLS_FAILED:
		return slot_end(s, e.text[0] ? e.text : "TLS handshake failed");
	case TLS_DONE:
		tls_shutdown(s->tls);
		return slot_end(s, NULL);
	}
}

static void slot_ready(void *ctx, unsigned ready)
{
	struct slot *s = ctx;
	int failed = 0;
	socklen_t len = sizeof(failed);

	if (!s->tls) {
		if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &failed, &len))
			failed = errno;
		if (failed)
			return slot_end(s, strerror(failed));
		int r = tls_connect_new(s->prover->client, s->fd, s->what.name, &s->tls);
		if (r < 0)
			return slot_end(s, strerror(-r));
	}
	slot_handshake(s);
}

static void slot_late(void *ctx) { slot_end(ctx, "no TLS handshake within 5 s"); }

static int slot_open(struct slot *s)
{
	struct sockaddr_storage to = addr_to_sockaddr(s->what.addr, s->what.port);
	socklen_t len = to.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

	s->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || (connect(s->fd, (const struct sockaddr *)&to, len) && errno != EINPROGRESS))
		return -errno;
	int r = loop_io_new(s->prover->loop, s->fd, slot_ready, s, &s->io);
	if (r == 0)
		loop_io_want(s->io, LOOP_WRITE);
	return r;
}

static struct slot *free_slot(struct prover *p)
{
	for (int i = 0; i < PROOF_AT_ONCE; i++)
		if (!p->slots[i].used)
			return &p->slots[i];
	return NULL;
}

static void begin_next(void *ctx)
{
	struct prover *p = ctx;
	struct slot *s = free_slot(p);

	p->is_set = false;
	if (!s || !p->nwaiting)
		return; /* slot_end sets the timer again */
	s->used = true;
	s->what = p->waiting[p->first];
	p->first = (p->first + 1) % PROOF_WAITING_MAX;
	p->nwaiting--;
	p->last_ns = loop_now_ns(p->loop);
	p->counts.begun++;
	loop_timer_set(s->timer, PROOF_DEADLINE_MS);
	int r = slot_open(s);
	if (r < 0)
		return slot_end(s, strerror(-r));
	begin_soon(p);
}

/* ---- asked */

static bool failed_lately(const struct prover *p, const struct proof *what)
{
	int64_t now = loop_now_ns(p->loop);

	for (int i = 0; i < PROOF_FAILED_MAX; i++)
		if (p->failures[i].until_ns > now && is_same(&p->failures[i].what, what))
			return true;
	return false;
}

bool prover_ask(struct prover *p, const struct proof *what)
{
	for (int i = 0; i < PROOF_AT_ONCE; i++)
		if (p->slots[i].used && is_same(&p->slots[i].what, what))
			return false;
	for (unsigned i = 0; i < p->nwaiting; i++)
		if (is_same(&p->waiting[(p->first + i) % PROOF_WAITING_MAX], what))
			return false;
	if (failed_lately(p, what))
		return false;
	if (p->nwaiting == PROOF_WAITING_MAX) {
		p->counts.dropped++;
		return false;
	}
	p->waiting[(p->first + p->nwaiting++) % PROOF_WAITING_MAX] = *what;
	begin_soon(p);
	return true;
}

void prover_count(const struct prover *p, struct proof_counts *ret) { *ret = p->counts; }

int prover_new(struct loop *l, struct tls_ctx *client, proof_fn fn, void *ctx, struct prover **ret)
{
	struct prover *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->loop = l;
	p->fn = fn;
	p->ctx = ctx;
	p->last_ns = INT64_MIN / 2;
	for (int i = 0; i < PROOF_AT_ONCE; i++)
		p->slots[i] = (struct slot){ .prover = p, .fd = -1 };
	int r = loop_timer_new(l, begin_next, p, &p->begin);
	for (int i = 0; r == 0 && i < PROOF_AT_ONCE; i++)
		r = loop_timer_new(l, slot_late, &p->slots[i], &p->slots[i].timer);
	if (r < 0) {
		prover_free(p);
		return r;
	}
	p->client = tls_ctx_ref(client);
	*ret = p;
	return 0;
}

void prover_free(struct prover *p)
{
	if (!p)
		return;
	for (int i = 0; i < PROOF_AT_ONCE; i++) {
		slot_clear(&p->slots[i]);
		if (p->slots[i].timer)
			loop_timer_free(p->slots[i].timer);
	}
	if (p->begin)
		loop_timer_free(p->begin);
	tls_ctx_unref(p->client);
	free(p);
}
