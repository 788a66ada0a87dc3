// SPDX-License-Identifier: Apache-2.0
/* doctor_openings.h: out of the daemon's status, which ways past the gate are open to which agent, as one text per agent. */
#ifndef PURSE_CTL_DOCTOR_OPENINGS_H
#define PURSE_CTL_DOCTOR_OPENINGS_H

#include "base/buf.h"

/* say is called once per agent that has any, in the status' order. */
void doctor_openings(const struct buf *status, void (*say)(void *ctx, const char *agent, const char *text), void *ctx);

#endif
