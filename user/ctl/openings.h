// SPDX-License-Identifier: Apache-2.0
/*
 * openings.h: which ways past the gate stay open to each agent by what its processes hold (kern/caps.h). A thread looks every
 * OPENINGS_EVERY_MS, or less often where a look takes more than a hundredth of the time; each agent and way is told once, in the log and in
 * `purse events`, and what was found last is in the status and in `purse doctor`. Looks only, closes nothing. Main loop's thread.
 */
#ifndef PURSE_CTL_OPENINGS_H
#define PURSE_CTL_OPENINGS_H

#include "base/err.h"
#include "kern/caps.h"
#include "terms.h"

#define OPENINGS_EVERY_MS 2000

struct agents;
struct events;
struct loop;
struct openings;

/* The first look is at once. has_lsm: probe_has_lsm_cgroup(). every_ms 0 = OPENINGS_EVERY_MS. */
int openings_new(struct loop *loop, const struct agents *a, struct events *events, bool has_lsm, int64_t every_ms, struct openings **ret, struct err *e);
void openings_free(struct openings *o); /* waits for a look that is on; NULL ok */
/* At the last look; borrowed until the loop turns. NULL: nothing is open, or it was not there yet. o NULL ok. */
const struct caps_agent *openings_find(const struct openings *o, const char *agent);

#endif
