// SPDX-License-Identifier: Apache-2.0
/* daemon/timers.c: what is done again and again, and how often. */
#include "daemon/daemon.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "ctl/agents.h"
#include "ctl/server.h"
#include "kern/gate.h"
#include "spend/budget/budget.h"
#include "upgrade.h"

#define FLOW_MAX_AGE_NS (30 * INT64_C(1000000000))
#define ROLL_AT_LEAST_MS 1000 /* also when the clock was set */
#define EMBEDDED_FIRST_NS (20 * INT64_C(1000000000))
#define EMBEDDED_GRACE_NS INT64_C(1000000000)

static void roll(struct daemon *d)
{
	(void)budget_roll(d->budget, now_s());
}

static void watch(struct daemon *d)
{
	agents_watch(d->agents);
	(void)upgrade_reap(d->upgrade);
	reap_successor(d);
}

static void reap(struct daemon *d)
{
	(void)gate_reap_flows(d->gate, FLOW_MAX_AGE_NS);
}

static void leases(struct daemon *d)
{
	int64_t now = clock_boot_ns();

	if (!d->is_embedded)
		return;
	if (d->server && server_leases(d->server) > 0)
		d->leased_ns = now;
	/* The first one has time to come; a next one may take over from the last. */
	if (now - (d->leased_ns ? d->leased_ns : d->started_ns + EMBEDDED_FIRST_NS) > EMBEDDED_GRACE_NS) {
		log_info("daemon", "the last run is over: stopping");
		loop_stop(d->loop);
	}
}

static void on_tick(void *ctx)
{
	struct tick *t = ctx;

	t->run(t->d);
	loop_timer_set(t->timer, t->every_ms);
}

void stop_timers(struct daemon *d)
{
	for (int i = 0; i < TICK_COUNT; i++)
		if (d->ticks[i].timer) {
			loop_timer_free(d->ticks[i].timer);
			d->ticks[i].timer = NULL;
		}
}

int start_timers(struct daemon *d, struct err *e)
{
	static const struct tick kinds[TICK_COUNT] = {
		[TICK_VERIFY] = { .run = verify_gate, .every_ms = 1000 },
		[TICK_BEAT] = { .run = beat_if_well, .every_ms = 250 },
		[TICK_ROLL] = { .run = roll, .every_ms = ROLL_AT_LEAST_MS },
		[TICK_ALERTS] = { .run = look_at_alerts, .every_ms = 1000 },
		[TICK_WATCH] = { .run = watch, .every_ms = 1000 },
		[TICK_REAP] = { .run = reap, .every_ms = 10000 },
		[TICK_LEASES] = { .run = leases, .every_ms = 250 },
		[TICK_CA] = { .run = renew_ca, .every_ms = 3600 * 1000 },
		[TICK_TRUST] = { .run = follow_trust, .every_ms = 30 * 1000 },
	};

	int r = 0;

	for (int i = 0; r == 0 && i < TICK_COUNT; i++) {
		d->ticks[i] = kinds[i];
		d->ticks[i].d = d;
		r = loop_timer_new(d->loop, on_tick, &d->ticks[i], &d->ticks[i].timer);
	}
	if (r < 0)
		(void)err_set(e, -r, "timers: %s", strerror(-r));
	if (r == 0)
		verify_gate(d);
	if (r == 0 && !d->is_gate_on) {
		*e = d->gate_error;
		r = -ENOLINK;
	}
	if (r < 0) {
		stop_timers(d);
		return r;
	}
	for (int i = 0; i < TICK_COUNT; i++)
		on_tick(&d->ticks[i]);
	return 0;
}
