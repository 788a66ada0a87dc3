// SPDX-License-Identifier: Apache-2.0
/* loop_own.h: the inside of a loop, for loop.c and loop_resolve.c only (it shows libuv). */
#ifndef PURSE_BASE_LOOP_OWN_H
#define PURSE_BASE_LOOP_OWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/list.h"

struct deferred {
	void (*fn)(void *ctx);
	void *ctx;
};

struct loop {
	uv_loop_t uv;
	uv_prepare_t prepare;
	uv_check_t check;
	uv_idle_t idle;
	struct list changed; /* struct loop_io whose mask is to be given to libuv */
	struct deferred *deferred;
	size_t ndeferred, deferred_cap;
	unsigned nresolves; /* look-ups under way, cancelled ones too */
	int64_t now_ns;
	bool now_known;
	bool running;
};

#endif
