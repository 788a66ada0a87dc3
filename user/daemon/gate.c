// SPDX-License-Identifier: Apache-2.0
/* daemon/gate.c: the gate. It stays pinned at the end: without a daemon agents are denied, not set free. */
#include "daemon/daemon.h"

#include <string.h>

#include "ctl/config/config.h"
#include "ctl_abi.h"
#include "kern/gate.h"
#include "upgrade.h"

int start_gate(struct daemon *d, struct err *e)
{
	const struct config *c = d->config;
	char lock[1200];

	(void)config_place(c->run_dir, PURSE_LOCK_NAME, lock, sizeof(lock));
	struct gate_options o = {
		.pin_dir = c->bpffs, .lock_path = lock,
		.cgroup_root = strcmp(c->cgroup_root, "auto") == 0 ? NULL : c->cgroup_root,
		.inherited_lock = upgrade_take_lock(d->upgrade), .inherited_pins = upgrade_take_pins(d->upgrade),
	};
	int r = gate_open(&o, &d->gate, e);

	/* Whatever an earlier daemon last said: nobody serves yet. But one that hands over does. */
	if (r == 0 && !upgrade_is_taking(d->upgrade))
		stop_beating(d);
	return r;
}

void stop_gate(struct daemon *d)
{
	/* Another one beats: who took over from us, or who did not get rid of it to us. */
	if (!upgrade_has_left(d->upgrade) && !upgrade_is_taking(d->upgrade))
		stop_beating(d);
	gate_close(d->gate);
}
