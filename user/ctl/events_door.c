// SPDX-License-Identifier: Apache-2.0
/* events_door.c: see events_door.h. */
#include "ctl/events_door.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/str.h"
#include "ctl/events.h"

struct left {
	struct gate_event event;
	char agent[GATE_NAME_MAX];
	const char *word, *text;
	int64_t at_ns;
};

struct events_door {
	struct loop_wake *wake;
	struct events *ev; /* main loop only */

	pthread_mutex_t lock;
	struct left left[EVENTS_DOOR_MAX];
	size_t n;
	uint64_t lost;
};

static size_t take_all(struct events_door *d, struct left *ret)
{
	size_t n;

	(void)pthread_mutex_lock(&d->lock);
	n = d->n;
	memcpy(ret, d->left, n * sizeof(*ret));
	d->n = 0;
	(void)pthread_mutex_unlock(&d->lock);
	return n;
}

static void carry(void *ctx)
{
	struct events_door *d = ctx;
	struct left took[EVENTS_DOOR_MAX];
	size_t n = d->ev ? take_all(d, took) : 0;

	for (size_t i = 0; i < n; i++)
		events_told(d->ev, &took[i].event, took[i].word, took[i].text, took[i].agent, took[i].at_ns);
}

void events_door_tell(struct events_door *d, const struct gate_flow *flow, const char *agent, const char *word, const char *text)
{
	struct left one = {
		.event = { .time_ns = (uint64_t)clock_boot_ns(), .caller_cgroup = flow->agent_cgroup, .agent_cgroup = flow->agent_cgroup,
			   .pid = flow->pid, .dport = flow->dport, .protocol = IPPROTO_TCP },
		.word = word, .text = text, .at_ns = clock_realtime_ns(),
	};

	memcpy(one.event.dst, flow->dst, sizeof(one.event.dst));
	memcpy(one.event.comm, flow->comm, sizeof(one.event.comm));
	(void)str_copy(one.agent, sizeof(one.agent), str_of(agent));
	(void)pthread_mutex_lock(&d->lock);
	if (d->n < EVENTS_DOOR_MAX)
		d->left[d->n++] = one;
	else
		d->lost++;
	(void)pthread_mutex_unlock(&d->lock);
	loop_wake_send(d->wake);
}

void events_door_to(struct events_door *d, struct events *ev)
{
	d->ev = ev;
	carry(d);
}

uint64_t events_door_lost(struct events_door *d)
{
	(void)pthread_mutex_lock(&d->lock);
	uint64_t lost = d->lost;
	(void)pthread_mutex_unlock(&d->lock);
	return lost;
}

int events_door_new(struct loop *loop, struct events_door **ret, struct err *e)
{
	struct events_door *d = calloc(1, sizeof(*d));

	if (!d)
		return err_set(e, ENOMEM, "events: out of memory");
	(void)pthread_mutex_init(&d->lock, NULL);
	int r = loop_wake_new(loop, carry, d, &d->wake);
	if (r < 0) {
		events_door_free(d);
		return err_set(e, -r, "events: no door for other threads: %s", strerror(-r));
	}
	*ret = d;
	return 0;
}

void events_door_free(struct events_door *d)
{
	if (!d)
		return;
	if (d->wake)
		loop_wake_free(d->wake);
	(void)pthread_mutex_destroy(&d->lock);
	free(d);
}
