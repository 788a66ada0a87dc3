// SPDX-License-Identifier: Apache-2.0
/*
 * gate_old.c: connections that the gate did not see, or let through when nobody served: which these are, and when there may be some. Finding and
 * ending them is sockets.h's.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "kern/gate_inside.h"
#include "kern/sockets.h"

struct look {
	struct gate *gate;
	const struct gate_old *of;
	bool (*stop)(void *ctx);
	void *ctx;
};

/*
 * A redirected connection is on its way through the egress, and ended there with an answer. It shows where it was redirected to, which counts
 * also where loopback is itself somebody's endpoint.
 */
static bool is_to_listener(struct gate *g, const struct socket_seen *s)
{
	struct gate_listener l;

	if (!addr_is_loopback(s->dst) || gate_find_listener(g, s->netns_cookie, &l) < 0)
		return false;
	uint16_t port = addr_is_v4(s->dst) ? l.port4 : l.port6;

	return port && s->dport == port;
}

/* What the gate would have taken or refused, had it seen the connect. */
static bool is_old(struct gate *g, const struct socket_seen *s)
{
	struct gate_endpoint found = { .class = GATE_CLASS_OTHER };

	(void)gate_find_endpoint(g, s->dst, &found);
	if (found.class == GATE_CLASS_EXEMPT || is_to_listener(g, s))
		return false;
	if (found.class != GATE_CLASS_OTHER)
		return true;
	if (s->protocol != IPPROTO_TCP)
		return s->dport == 443; /* QUIC */
	for (uint16_t i = 0; i < g->state->nports && i < GATE_PORTS_MAX; i++)
		if (g->state->ports[i] == s->dport)
			return true;
	return false;
}

static bool pick(void *ctx, size_t owner, const struct socket_seen *s)
{
	const struct look *l = ctx;
	uint64_t id = l->of[owner].cgroup_id;
	struct gate_agent a;

	/* Expelled while we were looking: what it has open is its own again. */
	return is_old(l->gate, s) && (id == 0 || gate_find_agent(l->gate, id, &a) == 0);
}

static bool is_stopped(void *ctx)
{
	const struct look *l = ctx;

	return l->stop && l->stop(l->ctx);
}

int gate_end_old_flows(struct gate *g, struct gate_old *of, size_t n, bool (*stop)(void *ctx), void *ctx, struct err *e)
{
	struct look l = { .gate = g, .of = of, .stop = stop, .ctx = ctx };
	struct sockets_owner *owners = calloc(n ? n : 1, sizeof(*owners));
	struct sockets_job job = { .owners = owners, .n = n, .pick = pick, .stop = is_stopped, .ctx = &l };

	if (!owners)
		return err_set(e, ENOMEM, "open sockets: out of memory");
	for (size_t i = 0; i < n; i++)
		owners[i].dir = of[i].cgroup_dir;
	int r = sockets_end(&job, e);

	for (size_t i = 0; i < n; i++) {
		of[i].ended = owners[i].ended;
		of[i].error = owners[i].error;
	}
	free(owners);
	return r;
}

/* ---- when there may be some */

void gate_note_gap(struct gate *g)
{
	(void)__atomic_add_fetch(&g->old_epoch, 1, __ATOMIC_RELEASE);
}

uint64_t gate_old_epoch(const struct gate *g)
{
	return __atomic_load_n(&g->old_epoch, __ATOMIC_ACQUIRE);
}
