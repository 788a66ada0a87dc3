// SPDX-License-Identifier: Apache-2.0
/*
 * ways_stage.h: a network namespace with nothing in it but a loopback device that has the LLM's addresses, and witnesses of what arrives there. What
 * gets past the gate arrives at ourselves; nothing can leave the machine.
 */
#ifndef PURSE_KERN_WAYS_STAGE_H
#define PURSE_KERN_WAYS_STAGE_H

#include "kern/ways_inside.h"

/* As `before` of a way: the process and its children are on the stage from here on. stage_behind: they go back home, a->stage stays. */
void stage_make(struct attempt *a);
void stage_behind(struct attempt *a);
/* The LLM's address with our witness's port. */
struct sockaddr_in stage_target(const struct attempt *a);
/* As `after`: whatever was said before, what arrived counts. stage_tell: bytes or datagrams; stage_tell_wire: any packet. */
void stage_tell(struct attempt *a);
void stage_tell_wire(struct attempt *a);

#endif
