// SPDX-License-Identifier: Apache-2.0
/* daemon/ground.c: what the others stand on: the loop, the folders, a cgroup of its own that the gate lets pass. */
#include "daemon/daemon.h"

#include <string.h>

#include "base/log.h"
#include "base/loop.h"
#include "ctl/config/config.h"
#include "ctl/process.h"
#include "kern/gate.h"
#include "upgrade.h"

int start_loop(struct daemon *d, struct err *e)
{
	int r = loop_new(&d->loop);

	return r < 0 ? err_set(e, -r, "loop: %s", strerror(-r)) : 0;
}

void stop_loop(struct daemon *d)
{
	loop_free(d->loop);
}

int start_dirs(struct daemon *d, struct err *e)
{
	int r = process_harden(e);

	if (r == 0)
		r = process_make_dir(d->config->state_dir, e);
	return r ? r : process_make_dir(d->config->run_dir, e);
}

int start_cgroup(struct daemon *d, struct err *e)
{
	uint64_t id = 0;
	int r = upgrade_is_taking(d->upgrade)
			? process_join_cgroup(upgrade_from(d->upgrade), d->cgroup_was, sizeof(d->cgroup_was), &id, e)
			: process_take_cgroup(d->cgroup_was, sizeof(d->cgroup_was), &id, e);

	if (r < 0 && d->config->others == CONFIG_DENY)
		return err_prefix(e, r, "others: deny needs a cgroup for the daemon");
	if (r < 0)
		log_warn("daemon", "no cgroup of its own: %s", e->text);
	gate_set_daemon_cgroup(d->gate, r < 0 ? 0 : id);
	return 0;
}

void stop_cgroup(struct daemon *d)
{
	process_leave_cgroup(d->cgroup_was);
}
