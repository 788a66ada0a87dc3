// SPDX-License-Identifier: Apache-2.0
/* openings.c: see openings.h. One look = a list made on the loop's thread, filled in by another thread, taken back on the loop's. */
#include "ctl/openings.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/map.h"
#include "base/str.h"
#include "base/thread.h"
#include "ctl/agents.h"
#include "ctl/events.h"

#define LOOK_SHARE 100

struct entry {
	char name[GATE_NAME_MAX];
	char *dir;
	uint64_t cgroup_id;
	struct caps_agent found;
};
struct list_of {
	struct entry *v;
	size_t n, cap;
	bool no_memory;
};

/* Of an agent that has or had something open, for as long as it is there. */
struct known {
	uint64_t cgroup_id;
	uint32_t told; /* ways; what was told stays told, also when it is not so for a while */
	struct caps_agent found; /* at the last look; without its texts */
};

struct openings {
	struct loop_timer *timer;
	struct loop_wake *wake;
	const struct agents *agents;
	struct events *events;
	bool has_lsm;
	int64_t every_ms;
	struct map *known; /* by name */
	pthread_t thread;
	bool is_looking;
	/* The thread's while is_looking. */
	struct list_of looking;
	_Atomic bool stop;
	int64_t began_ns;
};

static void list_done(struct list_of *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].dir);
	free(l->v);
	*l = (struct list_of){ 0 };
}

static bool add(void *ctx, const struct agent_view *v)
{
	struct list_of *l = ctx;

	if (v->missing)
		return true;
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		struct entry *grown = reallocarray(l->v, cap, sizeof(*grown));

		l->no_memory = !grown;
		if (!grown)
			return false;
		l->v = grown;
		l->cap = cap;
	}
	struct entry *e = &l->v[l->n];

	*e = (struct entry){ .dir = strdup(v->dir), .cgroup_id = v->cgroup_id };
	l->no_memory = !e->dir;
	if (!e->dir)
		return false;
	(void)str_copy(e->name, sizeof(e->name), str_of(v->name));
	e->found.dir = e->dir;
	e->found.cgroup = e->dir + strlen(v->dir) - strlen(v->cgroup);
	l->n++;
	return true;
}

static void *run(void *ctx)
{
	struct openings *o = ctx;

	for (size_t i = 0; i < o->looking.n && !o->stop; i++)
		caps_look(&o->looking.v[i].found, o->has_lsm, &o->stop);
	loop_wake_send(o->wake);
	return NULL;
}

static void start(void *ctx)
{
	struct openings *o = ctx;

	agents_each(o->agents, add, &o->looking);
	o->began_ns = clock_boot_ns();
	o->is_looking = !o->looking.no_memory && thread_start(&o->thread, NULL, run, o) == 0;
	if (o->is_looking)
		return;
	list_done(&o->looking);
	loop_timer_set(o->timer, o->every_ms);
}

/* ---- telling */

/* An event for each, one line in the log for all. */
static void tell(struct openings *o, const struct entry *e, uint32_t ways)
{
	char all[512] = "";
	size_t n = 0;

	for (int w = 0; w < CAPS_WAY_COUNT; w++) {
		const struct caps_way_row *row = caps_way((enum caps_way)w);
		struct gate_event event = { .agent_cgroup = e->cgroup_id, .caller_cgroup = e->cgroup_id, .pid = (uint32_t)e->found.by[w].pid };

		if (!(ways & (1u << w)))
			continue;
		(void)snprintf(event.comm, sizeof(event.comm), "%s", e->found.by[w].comm);
		events_told(o->events, &event, row->word, row->text, e->name, clock_realtime_ns());
		int added = snprintf(all + n, sizeof(all) - n, "%s%s (%s[%d])", n ? ", " : "", row->needs, e->found.by[w].comm, e->found.by[w].pid);

		n += added > 0 && (size_t)added < sizeof(all) - n ? (size_t)added : 0;
	}
	if (n)
		log_warn(e->name, "ways past the gate are open to it: %s; `purse events` says what each allows", all);
}

/* From the old table into the new one: who is not on the list is forgotten. */
static void take(struct openings *o, const struct entry *e, struct map *into)
{
	struct known *k = map_remove(o->known, str_of(e->name));

	if (!k && !e->found.ways)
		return;
	k = k ? k : calloc(1, sizeof(*k));
	if (!k || map_put(into, str_of(e->name), k, NULL) < 0) {
		free(k);
		return;
	}
	/* Another cgroup of that name, another agent. */
	if (k->cgroup_id != e->cgroup_id)
		*k = (struct known){ .cgroup_id = e->cgroup_id };
	tell(o, e, e->found.ways & ~k->told);
	k->told |= e->found.ways;
	k->found = e->found;
	k->found.dir = k->found.cgroup = NULL;
}

static void take_all(struct openings *o)
{
	struct map *into = map_new();

	for (size_t i = 0; into && i < o->looking.n; i++)
		take(o, &o->looking.v[i], into);
	if (into) {
		map_free(o->known, free);
		o->known = into;
	}
	list_done(&o->looking);
}

static void is_done(void *ctx)
{
	struct openings *o = ctx;

	if (!o->is_looking)
		return;
	(void)pthread_join(o->thread, NULL);
	o->is_looking = false;
	take_all(o);
	int64_t share_ms = LOOK_SHARE * (clock_boot_ns() - o->began_ns) / 1000000;

	loop_timer_set(o->timer, share_ms > o->every_ms ? share_ms : o->every_ms);
}

const struct caps_agent *openings_find(const struct openings *o, const char *agent)
{
	const struct known *k = o ? map_find(o->known, str_of(agent)) : NULL;

	return k && k->found.ways ? &k->found : NULL;
}

/* ---- made and freed */

int openings_new(struct loop *loop, const struct agents *a, struct events *events, bool has_lsm, int64_t every_ms, struct openings **ret, struct err *e)
{
	struct openings *o = calloc(1, sizeof(*o));

	if (!o)
		return err_set(e, ENOMEM, "openings: out of memory");
	o->agents = a;
	o->events = events;
	o->has_lsm = has_lsm;
	o->every_ms = every_ms ? every_ms : OPENINGS_EVERY_MS;
	o->known = map_new();
	int r = o->known ? loop_wake_new(loop, is_done, o, &o->wake) : -ENOMEM;

	if (r == 0)
		r = loop_timer_new(loop, start, o, &o->timer);
	if (r < 0) {
		openings_free(o);
		return err_set(e, -r, "openings: %s", strerror(-r));
	}
	loop_timer_set(o->timer, 0);
	*ret = o;
	return 0;
}

void openings_free(struct openings *o)
{
	if (!o)
		return;
	o->stop = true;
	if (o->is_looking)
		(void)pthread_join(o->thread, NULL);
	if (o->timer)
		loop_timer_free(o->timer);
	if (o->wake)
		loop_wake_free(o->wake);
	list_done(&o->looking);
	map_free(o->known, free);
	free(o);
}
