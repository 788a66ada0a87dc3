// SPDX-License-Identifier: Apache-2.0
/*
 * watch.c: what is done to exchanges from outside of them: a few times a second, what time has brought (a body that does not end, a
 * silent stream whose hold has to grow, a stream that was read on without its agent for long enough); and an operator's kill.
 * Which exchanges are concerned is found first, and each is ended from a list of its own: ending one may end others.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "path/exchange.h"
#include "path/money.h"
#include "path/roll.h"

static bool body_is_late(const struct exchange *x, int64_t now)
{
	return x->step == STEP_BODY && now - x->started_ns > x->worker->options->request_timeout_ms * 1000000;
}

static bool was_read_long_enough(const struct exchange *x, int64_t now)
{
	return x->alone_until_ns && now >= x->alone_until_ns;
}

/* NULL = nothing is due; else the ledger's word for its end. */
static const char *due(struct exchange *x, int64_t now)
{
	if (body_is_late(x, now)) {
		WORKER_COUNT(x->worker, slow_requests, 1);
		(void)refuse_because(x, REFUSAL_SLOW_REQUEST, "the body did not come to its end within %lld s (request_timeout)",
				     (long long)(x->worker->options->request_timeout_ms / 1000));
		return "late";
	}
	if (x->step != STEP_FORWARD)
		return NULL;
	if (was_read_long_enough(x, now))
		return "agent-gone";
	if (roll_covers(x))
		return NULL;
	return x->serve ? "budget-cut" : "agent-gone";
}

/* Ends what was moved to `list`. */
static void end_all(struct list *list, const char *(*end_of)(struct exchange *x))
{
	while (!list_empty(list)) {
		struct exchange *x = list_entry(list->next, struct exchange, link);
		exchange_stop(x, end_of(x));
	}
}

static const char *own_end(struct exchange *x) { return x->end; }

void watch_tick(struct worker *w)
{
	int64_t now = clock_boot_ns();
	struct list over;

	list_init(&over);
	list_for_each_safe(pos, tmp, &w->exchanges) {
		struct exchange *x = list_entry(pos, struct exchange, link);
		const char *end = due(x, now);
		if (!end)
			continue;
		x->end = end;
		list_remove(&x->link);
		list_add_tail(&over, &x->link);
	}
	end_all(&over, own_end);
}

/* ---- kill */

static bool is_of(struct worker *w, const struct identity *who, uint32_t account)
{
	return money_is_below(w->env->money, who->flow.account, account);
}

static const char *killed(struct exchange *x)
{
	struct account_view v;

	x->refusal = (struct refusal){ .reason = REFUSAL_STOPPED };
	if (!money_view(x->worker->env->money, x->who.flow.account, clock_realtime_ns() / 1000000000, &v))
		(void)snprintf(x->refusal.account, sizeof x->refusal.account, "%s", v.name);
	return "killed";
}

void watch_stop_calls(struct worker *w, uint32_t account)
{
	struct list over;
	size_t n = 0;

	list_init(&over);
	list_for_each_safe(pos, tmp, &w->exchanges) {
		struct exchange *x = list_entry(pos, struct exchange, link);
		if (!is_of(w, &x->who, account))
			continue;
		list_remove(&x->link);
		list_add_tail(&over, &x->link);
		n++;
	}
	end_all(&over, killed);
	list_for_each_safe(pos, tmp, &w->conns) {
		struct conn *c = list_entry(pos, struct conn, link);
		struct identity who = c->who;
		/* As it is enrolled now; one that was expelled in between is refused with its next request. */
		if (!identity_refresh(w, &who) && is_of(w, &who, account))
			conn_say_goodbye(c);
	}
	if (n)
		log_info("egress", "worker %u: stopped %zu calls", w->index, n);
}
