// SPDX-License-Identifier: Apache-2.0
/*
 * agents_flows.h: what agents have open past the egress is ended (gate_end_old_flows), on a thread of its own: thousands of processes,
 * descriptors or namespaces take seconds, and the main loop has a heart to beat. Asked in the order "first the gate knows, then this", so that
 * nothing new comes up behind the look.
 *
 * One look at a time, for all that were asked for meanwhile: those that somebody waits for first, then rounds over all agents in parts.
 * For the main loop's thread only.
 */
#ifndef PURSE_CTL_AGENTS_FLOWS_H
#define PURSE_CTL_AGENTS_FLOWS_H

#include "base/err.h"
#include "terms.h"

struct flows;
struct gate;
struct loop;

enum flows_why {
	FLOWS_ENROLLED, /* waited for, like the next */
	FLOWS_HALTED,
	FLOWS_ROUND,    /* no one waits */
	FLOWS_WHY_COUNT,
};

/* On the loop, after a look. ended: of one agent, if any were. over: what flows_is_over says has changed. Members may be NULL. */
struct flows_calls {
	void (*ended)(void *ctx, const char *agent, uint64_t cgroup_id, size_t n);
	void (*over)(void *ctx);
	void *ctx;
};

/* loop NULL: no thread, looks are made within flows_end (tests). */
int flows_new(struct gate *gate, struct loop *loop, struct flows **ret, struct err *e);
/* Stops a look that is on, within milliseconds unless the kernel keeps it; what was not looked at is left. NULL ok. */
void flows_free(struct flows *f);
void flows_tell(struct flows *f, const struct flows_calls *calls);

/* One agent, as it is enrolled now; one that is expelled meanwhile keeps what it has. Out of memory: logged, and the gate still drops what such flows send. */
void flows_end(struct flows *f, const char *agent, const char *dir, uint64_t cgroup_id, enum flows_why why);
/* The last that somebody waits for, and whether it, and all before it, are done. 0 is always over. */
uint64_t flows_last(const struct flows *f);
bool flows_is_over(struct flows *f, uint64_t ticket);
/* No round is on, and the last one is as long ago as keeps them to a hundredth of the time (but never longer than FLOWS_PAUSE_MAX_NS). */
bool flows_may_begin_round(struct flows *f);
#define FLOWS_PAUSE_MAX_NS INT64_C(30000000000)

#endif
