// SPDX-License-Identifier: Apache-2.0
/*
 * events_door.h: where other threads leave what belongs into `purse events` (events.h is for the main loop alone): connections that the workers
 * refused, and what endpoints.h learned. Never waits; what does not fit until the main loop looks is counted as lost.
 */
#ifndef PURSE_CTL_EVENTS_DOOR_H
#define PURSE_CTL_EVENTS_DOOR_H

#include "base/err.h"
#include "gate_abi.h"
#include "terms.h"

#define EVENTS_DOOR_MAX 64

struct events;
struct events_door;
struct loop;

/* Opens and closes on the main loop's thread; until events_door_to said where to, what comes waits. */
int events_door_new(struct loop *loop, struct events_door **ret, struct err *e);
void events_door_free(struct events_door *d); /* NULL ok; nobody may be telling any more */
/* NULL: again nowhere. */
void events_door_to(struct events_door *d, struct events *ev);
/* Any thread. word and text: static, as in events_told; agent "" = none. */
void events_door_tell(struct events_door *d, const struct gate_flow *flow, const char *agent, const char *word, const char *text);
uint64_t events_door_lost(struct events_door *d);

#endif
