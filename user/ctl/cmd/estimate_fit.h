// SPDX-License-Identifier: Apache-2.0
/* cmd/estimate_fit.h: would an agent's call of so much be let through now? The daemon knows (GET /v1/agents/NAME/fit). */
#ifndef PURSE_CTL_CMD_ESTIMATE_FIT_H
#define PURSE_CTL_CMD_ESTIMATE_FIT_H

#include "base/jsonw.h"
#include "ctl/cmd/cmd.h"

struct estimate_fit {
	bool asked; /* all zero = nobody asked, and nothing is shown */
	bool fits, clamps;
	char agent[64], why[512], affords[32]; /* affords "" = no limit */
};

int estimate_fit_ask(struct cli *cli, const char *agent, const char *provider, const char *model, nanousd amount, struct estimate_fit *ret);
void estimate_fit_put(const struct estimate_fit *f, struct jsonw *w); /* a member "fit" */
void estimate_fit_show(const struct estimate_fit *f);

#endif
