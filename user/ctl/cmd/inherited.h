// SPDX-License-Identifier: Apache-2.0
/*
 * cmd/inherited.h: what `purse run` may hand down to its child as 0, 1 and 2 (all else is closed). Files, terminals, pipes and unix sockets may be;
 * not what was made outside and leads past the gate: connections to elsewhere, packet and raw sockets, io_uring, and folders or
 * cgroup files, which show mounts of the namespace that the child leaves.
 *
 * Unix sockets: service managers and ssh give them. That descriptors can come in over one needs a process outside that sends them.
 */
#ifndef PURSE_CTL_INHERITED_H
#define PURSE_CTL_INHERITED_H

#include "base/err.h"

/* -EPERM with the reason; a closed descriptor is fine. Ours are looked at: before the fork is as good as after it. */
int inherited_check(struct err *e);

#endif
