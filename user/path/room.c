// SPDX-License-Identifier: Apache-2.0
/* room.c: see room.h. */
#include "path/room.h"

#include "base/clock.h"
#include "base/log.h"
#include "path/shares.h"
#include "path/exchange.h"

#define GROW_BYTES (64 * 1024)

void room_init(struct room *r, struct share *agent)
{
	*r = (struct room){ .agent = agent ? share_ref(agent) : NULL };
	list_init(&r->waiting);
}

/* ---- saying no */

static enum stepped no_connection(struct exchange *x)
{
	uint64_t has, most;

	share_view(x->room.agent, SHARE_CONNECTIONS, &has, &most);
	return refuse_because(x, REFUSAL_OVER_SHARE, "%s has %llu connections in use, its share of them now is %llu (connections_per_agent, connections_max)",
			      x->who.subject, (unsigned long long)has, (unsigned long long)most);
}

static enum stepped no_memory(struct exchange *x)
{
	uint64_t has, most;

	share_view(x->room.agent, SHARE_BODIES, &has, &most);
	return refuse_because(x, REFUSAL_OVER_SHARE, "%s has %llu MiB of request bodies in memory, its share now is %llu MiB (bodies_per_agent, bodies_max)",
			      x->who.subject, (unsigned long long)has >> 20, (unsigned long long)most >> 20);
}

/* ---- taking */

static bool take_body(struct exchange *x, uint64_t n)
{
	struct room *r = &x->room;

	if (n <= r->body)
		return true;
	if (r->agent && !share_take(r->agent, SHARE_BODIES, n - r->body))
		return false;
	r->body = n;
	return true;
}

static bool take_connection(struct exchange *x)
{
	struct room *r = &x->room;

	if (!r->agent)
		return true;
	r->has_connection = conn_take_onward(x->worker, r->agent, &x->who);
	return r->has_connection;
}

static uint64_t declared(const struct exchange *x)
{
	return x->request->length == HTTP_LENGTH_FIXED ? (uint64_t)x->request->content_length : 0;
}

int room_take(struct exchange *x)
{
	struct room *r = &x->room;

	if (!take_connection(x))
		return no_connection(x);
	if (take_body(x, declared(x)))
		return STEP_NEXT;
	if (!x->serve || !x->serve->more)
		return no_memory(x);
	r->until_ns = clock_boot_ns() + ROOM_WAIT_NS;
	list_add_tail(&x->worker->waiting, &r->waiting);
	return STEP_WAIT;
}

/* By lumps: one lock for many small pieces. */
bool room_grow(struct exchange *x, size_t n)
{
	uint64_t lump = ((uint64_t)n + GROW_BYTES - 1) / GROW_BYTES * GROW_BYTES;

	if (n <= x->room.body || take_body(x, lump) || take_body(x, n))
		return true;
	(void)no_memory(x);
	return false;
}

/* ---- giving */

void room_give_body(struct exchange *x)
{
	if (x->room.agent && x->room.body)
		share_give(x->room.agent, SHARE_BODIES, x->room.body);
	x->room.body = 0;
}

void room_give(struct exchange *x)
{
	struct room *r = &x->room;

	list_remove(&r->waiting);
	room_give_body(x);
	if (r->has_connection)
		share_give(r->agent, SHARE_CONNECTIONS, 1);
	r->has_connection = false;
	share_unref(r->agent);
	r->agent = NULL;
}

/* ---- those that wait */

static void go_on(struct exchange *x)
{
	exchange_go_on(x);
	if (!x->ended && x->serve)
		x->serve->more(x);
}

void room_tick(struct worker *w, int64_t now_ns)
{
	struct list ready;

	/* From lists of our own: what one that goes on does may end another. */
	list_init(&ready);
	list_for_each_safe(pos, tmp, &w->waiting) {
		struct exchange *x = list_entry(pos, struct exchange, room.waiting);

		if (!take_body(x, declared(x)) && now_ns < x->room.until_ns)
			continue;
		list_remove(pos);
		list_add_tail(&ready, pos);
	}
	while (!list_empty(&ready)) {
		struct exchange *x = list_entry(ready.next, struct exchange, room.waiting);

		list_remove(&x->room.waiting);
		if (x->room.body) {
			go_on(x);
			continue;
		}
		(void)no_memory(x);
		exchange_stop(x, "refused");
	}
}
