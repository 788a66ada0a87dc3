// SPDX-License-Identifier: Apache-2.0
/*
 * daemon.c: `pursed`: its parts in the order in which they start; they stop in the reverse order. What each of them is, is in daemon/.
 *
 * The ledger starts after budget and alerts, since its writer frees hold slots and tells of refusals until it is closed.
 */
#include <signal.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/loop.h"
#include "ctl/config/config.h"
#include "ctl/process.h"
#include "ctl_abi.h"
#include "daemon/daemon.h"
#include "daemon/options.h"
#include "kern/gate.h"

static const struct part {
	const char *name;
	int (*start)(struct daemon *d, struct err *e);
	void (*stop)(struct daemon *d);
	bool handed; /* only one process at a time has it: a hand-over stops it in the one and starts it in the other */
} parts[] = {
	{ "loop", start_loop, stop_loop, false },
	{ "door", start_door, stop_door, false },
	{ "dirs", start_dirs, NULL, false },
	{ "upgrade", start_upgrade, stop_upgrade, false },
	{ "prices", start_prices, stop_prices, false },
	{ "ca", start_ca, stop_ca, false },
	{ "meet", meet_earlier, NULL, false },
	{ "gate", start_gate, stop_gate, false },
	{ "cgroup", start_cgroup, stop_cgroup, false },
	{ "take", take_over, NULL, false },
	{ "budget", start_budget, stop_budget, true },
	{ "alerts", start_alerts, stop_alerts, true },
	{ "ledger", start_ledger, stop_ledger, true },
	{ "agents", start_agents, stop_agents, true },
	{ "endpoints", start_endpoints, stop_endpoints, true },
	{ "elders", start_elders, stop_elders, false },
	{ "money", start_money, stop_money, false },
	{ "path", start_path, stop_path, false },
	{ "events", start_events, stop_events, true },
	{ "openings", start_openings, stop_openings, true },
	{ "timers", start_timers, stop_timers, true },
	{ "signals", start_signals, NULL, false },
	{ "control", start_server, stop_server, false },
	{ "settle", settle_in, NULL, false },
};
#define PART_COUNT (sizeof(parts) / sizeof(parts[0]))
_Static_assert(PART_COUNT <= PARTS_MAX, "is_up");

static void stop_from(struct daemon *d, size_t n)
{
	while (n-- > 0)
		if (d->is_up[n] && parts[n].stop)
			parts[n].stop(d);
}

void stop_handed(struct daemon *d)
{
	for (size_t n = PART_COUNT; n-- > 0;)
		if (parts[n].handed && d->is_up[n]) {
			parts[n].stop(d);
			d->is_up[n] = false;
		}
}

int start_handed(struct daemon *d, struct err *e)
{
	int r = 0;

	for (size_t n = 0; r == 0 && n < PART_COUNT; n++)
		if (parts[n].handed) {
			r = parts[n].start(d, e);
			d->is_up[n] = r == 0;
		}
	return r;
}

static struct daemon *daemon_new(const struct config *c, const struct options *o, int argc, char **argv)
{
	struct daemon *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->config = c;
	d->is_embedded = o->embedded;
	d->takes_over = o->take_over;
	d->started_ns = clock_boot_ns();
	(void)pthread_mutex_init(&d->sight_lock, NULL);
	remember_self(d, argc, argv);
	return d;
}

static void daemon_free(struct daemon *d)
{
	(void)pthread_mutex_destroy(&d->sight_lock);
	free(d);
}

static void run(struct daemon *d)
{
	log_info("daemon", "ready: version %s, listening on 127.0.0.1:%u and [::1]:%u, %zu providers, control %s/%s", PURSE_VERSION,
		 gate_state(d->gate)->port4, gate_state(d->gate)->port6, d->config->providers.n, d->config->run_dir, PURSE_SOCKET_NAME);
	process_tell_manager();
	loop_run(d->loop);
}

static int start_run_stop(struct daemon *d)
{
	struct err e = { "" };
	size_t n = 0;

	while (n < PART_COUNT && parts[n].start(d, &e) == 0)
		d->is_up[n++] = true;
	if (n < PART_COUNT)
		log_error("daemon", "cannot start (%s): %s", parts[n].name, e.text);
	else
		run(d);
	stop_from(d, n);
	return n < PART_COUNT ? PURSE_EXIT_FAILURE : PURSE_EXIT_OK;
}

int main(int argc, char **argv)
{
	struct options o = { 0 };
	struct config *c = NULL;
	struct err e = { "" };
	const char *path;
	bool named, over = false;
	int exit_code = options_read(argv + 1, &o, &over);

	if (over)
		return exit_code;
	if (o.debug)
		log_set_level(LOG_LEVEL_DEBUG);
	(void)signal(SIGPIPE, SIG_IGN);
	config_resolve(o.config, &path, &named);
	if (config_load(path, named, &c, &e) < 0) {
		log_error("config", "%s", e.text);
		return PURSE_EXIT_CONFIG;
	}
	struct daemon *d = daemon_new(c, &o, argc, argv);

	exit_code = d ? start_run_stop(d) : PURSE_EXIT_FAILURE;
	if (d)
		daemon_free(d);
	config_free(c);
	return exit_code;
}
