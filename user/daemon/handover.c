// SPDX-License-Identifier: Apache-2.0
/*
 * daemon/handover.c: what one of two daemons stops and starts while the other takes over: upgrade.h has the order, docs/upgrade.md the reasons.
 */
#include "daemon/daemon.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "ctl/config/config.h"
#include "ctl/handover.h"
#include "ctl/server.h"
#include "kern/gate.h"
#include "path/money.h"
#include "path/path.h"
#include "upgrade.h"

#define LEAVE_MAX_NS (3600 * INT64_C(1000000000)) /* for the calls of one that handed over */
#define LEAVE_LOOK_MS 200

static bool is_calm(void *ctx)
{
	struct daemon *d = ctx;

	return server_pause(d->server);
}

static void freeze(void *ctx)
{
	struct daemon *d = ctx;

	money_freeze(d->money);
	path_pause(d->path);
	upgrade_pause_elders(d->upgrade);
	stop_handed(d);
}

static int resume(void *ctx)
{
	struct daemon *d = ctx;
	struct err e = { "" };

	d->is_resuming = true;
	/* The other one's programs may be under the links: no tampering, and no alarm. What cannot be put back verify_gate finds. */
	(void)gate_repair(d->gate, &e);
	int r = start_handed(d, &e);

	d->is_resuming = false;
	if (r == 0)
		r = upgrade_serve(d->upgrade, d->budget, d->ledger, &e);
	if (r < 0) {
		log_error("upgrade", "what was handed over cannot be taken back: %s", e.text);
		return r;
	}
	if (path_resume(d->path) < 0)
		log_error("upgrade", "network namespaces are not watched any more; start this daemon again");
	money_thaw(d->money, d->budget, d->ledger);
	set_control(d);
	server_resume(d->server);
	if (d->is_stop_asked)
		loop_stop(d->loop);
	return 0;
}

static void look_whether_over(void *ctx)
{
	struct daemon *d = ctx;

	if (path_is_over(d->path) || clock_boot_ns() > d->leave_until_ns) {
		loop_stop(d->loop);
		return;
	}
	loop_timer_set(d->leave_timer, LEAVE_LOOK_MS);
}

static void leave(void *ctx)
{
	struct daemon *d = ctx;

	d->leave_until_ns = clock_boot_ns() + LEAVE_MAX_NS;
	path_leave(d->path);
	stop_server(d);
	if (loop_timer_new(d->loop, look_whether_over, d, &d->leave_timer) < 0 || d->is_stop_asked)
		loop_stop(d->loop);
	else
		look_whether_over(d);
}

static void end_now(void *ctx, int64_t ms)
{
	struct daemon *d = ctx;

	log_info("upgrade", "the daemon that took over stops: calls in flight here have %lld seconds", (long long)(ms / 1000));
	loop_stop(d->loop);
}

static void stop_calls_here(void *ctx, uint32_t account)
{
	struct daemon *d = ctx;

	path_stop_calls(d->path, account);
}

int start_upgrade(struct daemon *d, struct err *e)
{
	static const struct upgrade_calls calls = { .calm = is_calm, .freeze = freeze, .resume = resume, .leave = leave, .end = end_now,
						    .stop_calls = stop_calls_here };
	char path[1200];

	(void)config_place(d->config->run_dir, HANDOVER_NAME, path, sizeof(path));
	d->upgrade = upgrade_new(&calls, d, path);
	return d->upgrade ? 0 : err_set(e, ENOMEM, "out of memory");
}

void stop_upgrade(struct daemon *d)
{
	if (d->leave_timer)
		loop_timer_free(d->leave_timer);
	upgrade_free(d->upgrade);
}

int meet_earlier(struct daemon *d, struct err *e)
{
	return d->takes_over ? upgrade_meet(d->upgrade, e) : 0;
}

int take_over(struct daemon *d, struct err *e)
{
	return upgrade_is_taking(d->upgrade) ? upgrade_take(d->upgrade, e) : 0;
}

int start_elders(struct daemon *d, struct err *e)
{
	return upgrade_serve(d->upgrade, d->budget, d->ledger, e);
}

void stop_elders(struct daemon *d)
{
	/* A take-over that failed: its calls are not ours. */
	if (!upgrade_is_taking(d->upgrade))
		upgrade_wait_elders(d->upgrade, DRAIN_MS + 1000);
	else
		upgrade_pause_elders(d->upgrade);
}

int settle_in(struct daemon *d, struct err *e)
{
	struct upgrade_env env = { .loop = d->loop, .gate = d->gate, .path = d->path, .server = d->server, .money = d->money };

	gate_sign_lock(d->gate);
	return upgrade_settle(d->upgrade, &env, e);
}
