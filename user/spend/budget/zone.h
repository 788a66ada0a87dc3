// SPDX-License-Identifier: Apache-2.0
/*
 * zone.h: what a clock on a wall somewhere reads: IANA time zones. A zone is opened once and stays as it is until the daemon ends (new
 * tzdata needs a restart), so that a boundary never moves under a window that is open. Thread-safe; looking up does no I/O.
 */
#ifndef PURSE_SPEND_ZONE_H
#define PURSE_SPEND_ZONE_H

#include "base/err.h"
#include "terms.h"

struct zone;

/* *ret lives for ever; NULL for "", "UTC" and "Etc/UTC". -EINVAL: not the name of a zone that is installed here. Reads files. */
int zone_open(const char *name, const struct zone **ret, struct err *e);
/* Seconds east of UTC at that moment. */
int32_t zone_offset(const struct zone *z, int64_t at_s);
/*
 * The first moment at which the local clock reads local_s (seconds since 1970-01-01 00:00 local) or has gone past it: a time that does not
 * exist is the first moment after the gap, one that comes twice is the earlier.
 */
int64_t zone_first(const struct zone *z, int64_t local_s);

#endif
