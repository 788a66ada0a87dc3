// SPDX-License-Identifier: Apache-2.0
/* daemon/alerts.c: what the alerts look at, once a second. */
#include "daemon/daemon.h"

#include "ctl/alert/alerts.h"
#include "ctl/config/config.h"
#include "ctl_abi.h"
#include "kern/gate.h"
#include "path/path.h"
#include "spend/ledger/ledger.h"

int start_alerts(struct daemon *d, struct err *e)
{
	char path[1200];

	(void)config_place(d->config->state_dir, PURSE_ALERTS_NAME, path, sizeof(path));
	struct alerts_env env = { .config = d->config, .state_path = path };

	return alerts_new(&env, &d->alerts, e);
}

void stop_alerts(struct daemon *d)
{
	alerts_free(d->alerts);
}

void look_at_alerts(struct daemon *d)
{
	struct path_counts c;
	/* What was put back between two looks was gone all the same. */
	bool gate_ok = d->gate_ok && d->gate_repairs == d->told_repairs;

	path_count(d->path, &c);
	d->told_repairs = d->gate_repairs;
	struct alerts_health h = {
		.agents = d->agents, .budget = d->budget,
		.ledger_ok = ledger_is_healthy(d->ledger), .gate_ok = gate_ok, .gate_text = d->gate_problem.text, .overruns = c.overruns,
	};

	alerts_tick(d->alerts, &h, now_s());
}
