// SPDX-License-Identifier: Apache-2.0
/*
 * events.h: the last CTL_EVENTS_KEPT refusals of the gate (and what else was ended for it), and a feed of new ones, as NDJSON lines. Kept in memory only: what has to
 * last is in the ledger. UDP that the gate refuses to the same process name and port within EVENTS_FOLD_NS of the last is one line with a
 * count. For the main loop's thread only.
 */
#ifndef PURSE_CTL_EVENTS_H
#define PURSE_CTL_EVENTS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "gate_abi.h"

#define EVENTS_FOLD_NS INT64_C(60000000000)

struct events;
struct gate;
struct loop;

/* Reads the gate's ring from the loop; loop NULL: only events_put (tests). */
int events_new(struct gate *gate, struct loop *loop, struct events **ret, struct err *e);
void events_free(struct events *ev); /* NULL ok; followers must be gone */

/* Hears of everything that is read from the ring, before it is folded; one, for as long as ev lives. */
void events_tap(struct events *ev, void (*fn)(void *ctx, const struct gate_event *event), void *ctx);

/* agent "" = none. at_ns: realtime. */
void events_put(struct events *ev, const struct gate_event *event, const char *agent, int64_t at_ns);
/* n connections of that agent, from before or past the egress, were ended (ctl/agents_flows.h). */
void events_put_ended(struct events *ev, const char *agent, uint64_t cgroup_id, size_t n, int64_t at_ns);
/*
 * What the daemon tells by itself, in the same form: word for machines, text for people, both static; NULL: as the event's reason has them.
 * The same word by the same process name and agent, to the same port, is one line with a count, like UDP.
 */
void events_told(struct events *ev, const struct gate_event *event, const char *word, const char *text, const char *agent, int64_t at_ns);
/* The newest `most` kept ones, oldest first, one JSON object a line. */
int events_write(const struct events *ev, size_t most, struct buf *out);

/* Embedded in whoever follows. fn gets each new line, with its LF; it may unfollow itself inside. */
struct events_follower {
	struct list node;
	void (*fn)(void *ctx, const char *line, size_t n);
	void *ctx;
};
void events_follow(struct events *ev, struct events_follower *f);
void events_unfollow(struct events_follower *f);

#endif
