// SPDX-License-Identifier: Apache-2.0
/*
 * daemon/events.c: what is told of agents: by the gate (also to whoever has to do something about it), by the threads of the path, and what they could do
 * past the gate.
 */
#include "daemon/daemon.h"

#include "base/clock.h"
#include "ctl/agents.h"
#include "ctl/agents_flows.h"
#include "ctl/events.h"
#include "ctl/events_door.h"
#include "ctl/openings.h"
#include "ctl/server.h"
#include "kern/gate.h"
#include "kern/probe.h"
#include "path/path.h"

/* An agent in a network namespace where nobody listens yet: it made a socket there, or was refused already. */
static void heard_from_gate(void *ctx, const struct gate_event *event)
{
	struct daemon *d = ctx;

	if ((event->reason == GATE_REASON_LOOK || event->reason == GATE_REASON_NETNS) && event->agent_cgroup)
		path_look(d->path, event->agent_cgroup, (int)event->pid);
	if (event->reason == GATE_REASON_EGRESS && event->agent_cgroup)
		agents_saw_drop(d->agents, event->agent_cgroup);
}

static void flows_ended(void *ctx, const char *agent, uint64_t cgroup_id, size_t n)
{
	struct daemon *d = ctx;

	events_put_ended(d->events, agent, cgroup_id, n, clock_realtime_ns());
}

static void flows_over(void *ctx)
{
	struct daemon *d = ctx;

	if (d->server)
		server_look_again(d->server);
}

int start_events(struct daemon *d, struct err *e)
{
	const struct flows_calls calls = { .ended = flows_ended, .over = flows_over, .ctx = d };
	int r = events_new(d->gate, d->loop, &d->events, e);

	if (r < 0)
		return r;
	events_tap(d->events, heard_from_gate, d);
	agents_tell(d->agents, &calls);
	events_door_to(d->door, d->events);
	return 0;
}

void stop_events(struct daemon *d)
{
	events_door_to(d->door, NULL);
	events_free(d->events);
}

int start_openings(struct daemon *d, struct err *e)
{
	return openings_new(d->loop, d->agents, d->events, probe_has_lsm_cgroup(), 0, &d->openings, e);
}

void stop_openings(struct daemon *d)
{
	openings_free(d->openings);
}

int start_door(struct daemon *d, struct err *e)
{
	return events_door_new(d->loop, &d->door, e);
}

void stop_door(struct daemon *d)
{
	events_door_free(d->door);
}
