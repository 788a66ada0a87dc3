// SPDX-License-Identifier: Apache-2.0
/*
 * alerts.h: who is told that money runs out. Once a second the main loop lets it look at the balances (alert/watch.h); what there is to
 * tell is written to the state file by a thread of its own and then handed to the senders (alert/send.h), one thread for each place. So
 * nothing here makes a call or the loop wait, and what was told stays told over a restart: delivered at least once, told once.
 *
 * alerts_refused may be called on any thread, the rest on the main loop's.
 */
#ifndef PURSE_CTL_ALERTS_H
#define PURSE_CTL_ALERTS_H

#include "base/buf.h"
#include "base/err.h"
#include "terms.h"

struct agents;
struct alerts;
struct budget;
struct config;

struct alerts_env {
	const struct config *config;
	const char *state_path;  /* copied; "" = remembers nothing (tests) */
	int64_t first_wait_ms;   /* of the senders; 0 = theirs */
};
/* No alerts in the config: no threads, and all below is cheap. */
int alerts_new(const struct alerts_env *env, struct alerts **ret, struct err *e);
/* What is not delivered yet is so at the next start. NULL ok. */
void alerts_free(struct alerts *a);

/* What is looked at, and how the machine is. */
struct alerts_health {
	const struct agents *agents;
	struct budget *budget;
	bool ledger_ok, gate_ok;
	const char *gate_text;
	uint64_t overruns; /* calls that cost more than was held for them, since the start */
};
void alerts_tick(struct alerts *a, const struct alerts_health *h, int64_t now_s);
/* A refusal, as it is on record. Kept until the next tick, at most 256 of them. */
void alerts_refused(struct alerts *a, const char *agent, const struct refusal *why);

/* Sends a test to every place of that alert. -ENOENT with e. */
int alerts_test(struct alerts *a, const char *name, int64_t now_s, struct err *e);
/* {"alerts":[…],"fired":[…],"dropped":N} */
int alerts_write(struct alerts *a, struct buf *out);

#endif
