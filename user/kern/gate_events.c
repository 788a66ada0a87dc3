// SPDX-License-Identifier: Apache-2.0
/* gate_events.c: the ring of denials, and the words for reasons and counters. */
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "kern/gate_inside.h"

/* One visit: an agent that knocks without end must not keep the loop for itself. The descriptor stays readable. */
#define EVENTS_PER_READ 1024

static int take_event(void *ctx, void *data, size_t size)
{
	struct gate *g = ctx;

	if (size >= sizeof(struct gate_event) && g->read_event)
		g->read_event(g->read_ctx, data);
	return --g->read_left == 0 ? -EAGAIN : 0;
}

int gate_events_open(struct gate *g, struct err *e)
{
	g->ring = ring_buffer__new(g->map_fds[GATE_MAP_EVENTS], take_event, g, NULL);
	if (!g->ring)
		return err_set(e, errno, "gate: cannot open the ring of events: %s", strerror(errno));
	return 0;
}

void gate_events_close(struct gate *g)
{
	ring_buffer__free(g->ring);
	g->ring = NULL;
}

int gate_events_fd(struct gate *g)
{
	return g->ring ? ring_buffer__epoll_fd(g->ring) : -EBADF;
}

void gate_read_events(struct gate *g, void (*fn)(void *ctx, const struct gate_event *ev), void *ctx)
{
	if (!g->ring)
		return;
	g->read_event = fn;
	g->read_ctx = ctx;
	g->read_left = EVENTS_PER_READ;
	(void)ring_buffer__consume(g->ring);
	g->read_event = NULL;
}

static const char *const reason_texts[GATE_REASON_COUNT] = {
	[GATE_REASON_NONE] = "none",
	[GATE_REASON_NO_CREDIT] = "out of credit",
	[GATE_REASON_PAUSED] = "paused",
	[GATE_REASON_DAEMON_DEAD] = "the daemon is not running",
	[GATE_REASON_NOT_AGENT] = "not an enrolled agent",
	[GATE_REASON_IDENTITY] = "identity in doubt",
	[GATE_REASON_UDP] = "UDP to an LLM address or a captured port",
	[GATE_REASON_SOCKET_TYPE] = "socket type not allowed for agents",
	[GATE_REASON_NETNS] = "no listener in reach of this socket (network namespace, device or address family)",
	[GATE_REASON_EGRESS] = "packet to an LLM address outside the daemon",
	[GATE_REASON_TABLE_FULL] = "table full",
	[GATE_REASON_LOOK] = "an agent is in a network namespace without a listener",
	[GATE_REASON_OLD_FLOW] = "connections past the egress, from before, were ended",
	[GATE_REASON_OUR_PORT] = "bind to the port of purse's own listener",
};

const char *gate_reason_text(enum gate_reason r)
{
	return (unsigned)r < GATE_REASON_COUNT ? reason_texts[r] : "unknown reason";
}

static const char *const counter_names[GATE_COUNT_COUNT] = {
	[GATE_COUNT_CONNECT] = "connect",
	[GATE_COUNT_PASS_STRANGER] = "pass_stranger",
	[GATE_COUNT_PASS] = "pass",
	[GATE_COUNT_REDIRECT] = "redirect",
	[GATE_COUNT_DENY] = "deny",
	[GATE_COUNT_FLOW_FULL] = "flow_full",
	[GATE_COUNT_STORAGE_FAIL] = "storage_fail",
	[GATE_COUNT_EVENT_LOST] = "event_lost",
	[GATE_COUNT_NO_STATE] = "no_state",
	[GATE_COUNT_EGRESS_DROP] = "egress_drop",
	[GATE_COUNT_IN_DOUBT] = "in_doubt",
};

const char *gate_counter_name(enum gate_counter c)
{
	return (unsigned)c < GATE_COUNT_COUNT ? counter_names[c] : "unknown";
}
