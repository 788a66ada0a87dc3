// SPDX-License-Identifier: Apache-2.0
/* calendar.h: when windows begin, by the C library's time zones: the model's second opinion on user/spend/budget/window.c and zone.cc. Slow. */
#ifndef PURSE_TESTS_SIM_CALENDAR_H
#define PURSE_TESTS_SIM_CALENDAR_H

#include "terms.h"

/* Does an instance of that kind begin at at_s? */
bool calendar_begins(enum window_kind kind, const char *zone, int32_t reset_minute, int64_t at_s);
/* Both are beginnings: is there none in between? */
bool calendar_is_one(enum window_kind kind, const char *zone, int32_t reset_minute, int64_t start_s, int64_t end_s);

#endif
