// SPDX-License-Identifier: Apache-2.0
/*
 * exchange.c: the table of steps and the one driver. A step says next, wait, refused or failed; the driver moves on, or
 * walks back over the undos. Until the first byte went upstream, walking back releases the hold; from then on every end
 * goes through settle.
 */
#include "path/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"
#include "path/meter.h"
#include "spend/price/price.h"

#define EXCHANGE_MAGIC 0x78636867u
#define ARENA_MAX (1024 * 1024)

/* The body arrives by itself; exchange_body_end() goes on. */
static enum stepped body_run(struct exchange *x)
{
	if (x->agent_waits_100) {
		x->agent_waits_100 = false;
		if (x->serve)
			x->serve->interim(x, 100);
	}
	return STEP_WAIT;
}

static const struct {
	const char *name;
	enum stepped (*run)(struct exchange *x);
	void (*undo)(struct exchange *x);
} steps[STEP_COUNT] = {
	[STEP_ROUTE] = { "route", route_run, NULL },
	[STEP_BODY] = { "body", body_run, NULL },
	[STEP_PARSE] = { "parse", parse_run, NULL },
	[STEP_RESERVE] = { "reserve", reserve_run, reserve_undo },
	[STEP_FORWARD] = { "forward", forward_run, forward_undo },
	[STEP_SETTLE] = { "settle", settle_run, NULL },
};

static int copy_head(struct exchange *x, const struct http_head *from)
{
	struct http_head *to = arena_alloc(x->arena, sizeof *to);

	x->request = to;
	x->path = arena_alloc(x->arena, EXCHANGE_PATH_MAX);
	if (!to || !x->path)
		return -1;
	*to = *from;
	x->is_head = str_eq(from->method, STR("HEAD"));
	x->is_http10 = from->http10;
	x->keep_alive = from->keep_alive;
	to->method = arena_str(x->arena, from->method.p, from->method.n);
	to->target = arena_str(x->arena, from->target.p, from->target.n);
	to->authority = arena_str(x->arena, from->authority.p, from->authority.n);
	for (size_t i = 0; i < from->nfields; i++) {
		to->fields[i].name = arena_str(x->arena, from->fields[i].name.p, from->fields[i].name.n);
		to->fields[i].value = arena_str(x->arena, from->fields[i].value.p, from->fields[i].value.n);
		if (!to->fields[i].name.p || !to->fields[i].value.p)
			return -1;
	}
	return to->method.p && to->target.p && to->authority.p ? 0 : -1;
}

/* Prompts are kept no longer than needed, and count no longer than they are kept. */
static void body_over(struct exchange *x)
{
	room_give_body(x);
	buf_done(&x->body);
}

static void exchange_free(void *ctx)
{
	struct exchange *x = ctx;

	meter_free(x->meter);
	body_over(x);
	price_list_unref(x->prices);
	arena_free(x->arena);
	x->magic = 0;
	free(x);
}

/* Over: no callback and no server knows it after this. Freed at the end of the turn, when the stack has let go of it. */
static void exchange_over(struct exchange *x)
{
	ASSERT(!x->ended && !x->up);
	ASSERT(x->hold == HOLD_NONE || x->hold == HOLD_OVER);
	x->ended = true;
	x->serve = NULL;
	room_give(x);
	list_remove(&x->link);
	WORKER_COUNT(x->worker, exchanges_open, -1);
	CRASH_POINT("closed");
	(void)loop_defer(x->worker->loop, exchange_free, x);
}

/* Walks back from where it stands; whatever may have cost money is settled. */
static void exchange_walk_back(struct exchange *x)
{
	for (int s = x->step; s >= 0; s--)
		if (steps[s].undo)
			steps[s].undo(x);
	if (x->hold == HOLD_SENT)
		(void)settle_run(x);
}

static void exchange_break(struct exchange *x)
{
	log_debug(x->who.subject, "exchange %llu: %s: walks back", (unsigned long long)x->call_id, steps[x->step].name);
	/* Answering may find the agent gone, which must not walk back a second time. */
	x->breaking = true;
	exchange_walk_back(x);
	if (x->serve && x->refusal.reason != REFUSAL_NONE)
		refuse_answer(x);
	else if (x->serve)
		x->serve->abort(x);
	exchange_over(x);
}

static void exchange_drive(struct exchange *x)
{
	if (x->stepping || x->ended)
		return;
	x->stepping = true;
	while (!x->ended) {
		enum stepped said = steps[x->step].run(x);
		log_debug(x->who.subject, "exchange %llu: %s: %d", (unsigned long long)x->call_id, steps[x->step].name,
			  said);
		if (said == STEP_WAIT)
			break;
		if (said != STEP_NEXT) {
			exchange_break(x);
			break;
		}
		if (x->step == STEP_SETTLE) {
			/* Charged first, then told: an agent that asks again at once finds the balance right. */
			if (x->serve)
				x->serve->fin(x);
			exchange_over(x);
			break;
		}
		x->step++;
	}
	x->stepping = false;
}

struct exchange *exchange_new(struct conn *c, const struct serve_ops *serve, void *serve_ctx,
			      const struct http_head *head)
{
	struct exchange *x = calloc(1, sizeof *x);
	if (!x || !(x->arena = arena_new(ARENA_MAX)) || copy_head(x, head)) {
		if (x)
			arena_free(x->arena);
		free(x);
		return NULL;
	}
	x->magic = EXCHANGE_MAGIC;
	x->worker = c->worker;
	x->who = c->who;
	memcpy(x->sni, c->sni, sizeof x->sni);
	x->provider = c->provider;
	x->provider_index = c->provider_index;
	x->started_ns = clock_boot_ns();
	x->serve = serve;
	x->serve_ctx = serve_ctx;
	x->agent_waits_100 = head->expect_continue;
	x->end = "done";
	room_init(&x->room, c->place.agent);
	buf_init(&x->body, c->worker->options->body_max);
	report_init(&x->report);
	list_add_tail(&c->worker->exchanges, &x->link);
	WORKER_COUNT(c->worker, exchanges, 1);
	WORKER_COUNT(c->worker, exchanges_open, 1);
	return x;
}

void exchange_forget_request(struct exchange *x)
{
	body_over(x);
	buf_init(&x->body, 1);
	arena_free(x->arena);
	x->arena = NULL;
	x->request = NULL;
	x->path = NULL;
}

void exchange_begin(struct exchange *x) { exchange_drive(x); }

bool exchange_body(struct exchange *x, const void *p, size_t n)
{
	if (x->ended)
		return false;
	ASSERT(x->magic == EXCHANGE_MAGIC && x->step == STEP_BODY);
	if (buf_len(&x->body) + n > x->worker->options->body_max)
		(void)refuse_because(x, REFUSAL_BODY_TOO_LARGE, "more than %zu bytes (body_max)", x->worker->options->body_max);
	else if (room_grow(x, buf_len(&x->body) + n) && !buf_append(&x->body, p, n))
		return true;
	else if (x->refusal.reason == REFUSAL_NONE)
		(void)refuse_because(x, REFUSAL_OVERLOADED, "no memory for the body");
	exchange_break(x);
	return false;
}

void exchange_body_end(struct exchange *x)
{
	if (!x->ended && x->step == STEP_BODY)
		exchange_go_on(x);
}

void exchange_go_on(struct exchange *x)
{
	ASSERT(x->magic == EXCHANGE_MAGIC && !x->stepping);
	x->step++;
	exchange_drive(x);
}

void exchange_fail(struct exchange *x)
{
	if (!x->ended && !x->breaking)
		exchange_break(x);
}

void exchange_agent_gone(struct exchange *x)
{
	x->serve = NULL;
	if (x->ended || x->breaking)
		return;
	if (x->step == STEP_FORWARD && forward_goes_on_alone(x))
		return;
	x->end = "agent-gone";
	exchange_break(x);
}

void exchange_agent_lost(struct exchange *x)
{
	if (x->ended || !x->serve)
		return;
	log_warn(x->who.subject, "call %llu: its answer cannot be handed on", (unsigned long long)x->call_id);
	x->serve->abort(x);
	exchange_agent_gone(x);
}

void exchange_drained(struct exchange *x)
{
	if (!x->ended && x->step == STEP_FORWARD)
		forward_drained(x);
}

void exchange_stop(struct exchange *x, const char *end)
{
	ASSERT(!x->stepping);
	if (x->ended || x->breaking)
		return;
	x->end = end;
	exchange_break(x);
}

void exchange_cut(struct exchange *x)
{
	x->end = "daemon-stop";
	exchange_break(x);
}
