// SPDX-License-Identifier: Apache-2.0
/*
 * window.h: which instance of a window a moment belongs to. Pure.
 *
 * Days, weeks (Monday) and months begin at reset_minute of the zone's day. Where that local time does not exist, at the first moment after
 * the gap; where it comes twice, at the earlier. Hours are the full hours on the zone's clock; a transition that shifts their grid (Lord Howe
 * moves its clock by 30 minutes) makes the hour that it falls into longer, none is ever shorter than an hour. Neighbours touch: the end of an
 * instance is the beginning of the next.
 */
#ifndef PURSE_SPEND_WINDOW_H
#define PURSE_SPEND_WINDOW_H

#include "terms.h"

struct zone;

/* All zero = UTC, midnight. */
struct calendar {
	const struct zone *zone; /* NULL = UTC */
	int32_t reset_minute;    /* 0..1439 */
};

/* [*ret_start, *ret_end) holds now_s; TOTAL: [0, 0) = never ends. now_s >= 0. cal NULL = UTC, midnight. */
void window_bounds(enum window_kind kind, const struct calendar *cal, int64_t now_s, int64_t *ret_start, int64_t *ret_end);
/* The first moment at or after at_s at which an instance begins; not for TOTAL. */
int64_t window_next(enum window_kind kind, const struct calendar *cal, int64_t at_s);
const char *window_name(enum window_kind kind); /* "hour" … "total" */
int window_parse(const char *name, enum window_kind *ret); /* -EINVAL */

#endif
