// SPDX-License-Identifier: Apache-2.0
/* daemon/heartbeat.c: is the gate as it should be, and do our workers turn? Only then does it hear of us. What is gone is put back at once. */
#include "daemon/daemon.h"

#include <errno.h>

#include "base/log.h"
#include "kern/gate.h"
#include "path/path.h"
#include "upgrade.h"

/* The gate denies at once, not only after the last beat went stale. */
void stop_beating(struct daemon *d)
{
	__atomic_store_n(&gate_state(d->gate)->heartbeat_ns, 0, __ATOMIC_RELEASE);
}

void beat_if_well(struct daemon *d)
{
	/* Not while the ledger is unwell: agents are then answered with the reason, which needs the daemon. */
	d->is_beating = d->is_gate_on && path_is_alive(d->path);
	if (d->is_beating)
		gate_beat(d->gate);
}

/* Detached, replaced or unpinned by somebody: said aloud, put back at once, said again. While it is off the gate gets no beat. */
void verify_gate(struct daemon *d)
{
	bool was_ok = d->gate_ok;

	/* Programs are being put in the place of ours. */
	if (upgrade_is_meeting(d->upgrade))
		return;
	int r = gate_verify(d->gate, &d->gate_error);

	if (r < 0)
		d->gate_problem = d->gate_error;
	/* One agent lives where the gate is not: nothing to put back, and no reason to deny the others. */
	if (r < 0 && r != -EXDEV) {
		stop_beating(d);
		log_error("daemon", "%s; putting it back", d->gate_problem.text);
		r = gate_repair(d->gate, &d->gate_error);
		d->gate_repairs += r == 0 || r == -EXDEV;
	}
	d->gate_ok = r == 0;
	d->is_gate_on = r == 0 || r == -EXDEV;
	if (was_ok && !d->gate_ok)
		log_error("daemon", "%s%s", d->gate_error.text, d->is_gate_on ? "" :
			  "; it cannot be put back: agents are denied where the gate still is");
	if (!was_ok && d->gate_ok)
		log_info("gate", "attached as it should be");
}
