// SPDX-License-Identifier: Apache-2.0
/*
 * ports.h: which ports a listener of ours takes. The gate keeps a port for a dead daemon against a bind() that names it; against the kernel's own choice
 * (bind to port 0, listen() without bind) no hook can, so that an agent could ask until it has it, and be handed the connections of
 * others while the last beat still counts. Ports outside of net.ipv4.ip_local_port_range, which is for both families, are never the kernel's choice.
 */
#ifndef PURSE_KERN_PORTS_H
#define PURSE_KERN_PORTS_H

#include "terms.h"

struct ports_range {
	uint16_t first, last; /* both are in it */
};

/* Of the calling thread's network namespace. Negative errno. */
int ports_range(struct ports_range *ret);
bool ports_is_outside(const struct ports_range *r, uint16_t port);
/* The n-th (from 0) to try: those above the range upwards, then those below it downwards to 1024. 0 = no more. Always the same order. */
uint16_t ports_outside(const struct ports_range *r, unsigned n);

#endif
