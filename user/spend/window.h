// SPDX-License-Identifier: Apache-2.0
/* window.h: which instance of a window a moment belongs to. Pure; UTC. */
#ifndef PURSE_SPEND_WINDOW_H
#define PURSE_SPEND_WINDOW_H

#include "terms.h"

/* [*ret_start, *ret_end) holds now_s; TOTAL: [0, 0) = never ends. now_s >= 0. */
void window_bounds(enum window_kind kind, int64_t now_s, int64_t *ret_start, int64_t *ret_end);
const char *window_name(enum window_kind kind); /* "hour" … "total" */
int window_parse(const char *name, enum window_kind *ret); /* -EINVAL */

#endif
