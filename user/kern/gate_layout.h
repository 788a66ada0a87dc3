// SPDX-License-Identifier: Apache-2.0
/*
 * gate_layout.h: layouts of pinned maps that are older than GATE_ABI_VERSION and how each becomes ours. Inside kern/ and for its tests.
 * gate_migrate.c has the order; docs/upgrade.md says how to add one.
 *
 * A map that is not named in an older layout is the same in ours, and is used again as it is. `sockets` always is: user space cannot
 * walk it, and it holds who made every socket that lives; what is new goes into a map beside it.
 */
#ifndef PURSE_KERN_GATE_LAYOUT_H
#define PURSE_KERN_GATE_LAYOUT_H

#include "kern/gate_inside.h"

#define GATE_CONVERTS_MAX 8

/* One map that differs: in the size or meaning of its values, its room or its flags. Never in its keys: that is another map, with another name. */
struct gate_convert {
	enum gate_map map;
	size_t value_size; /* there, then */
	/*
	 * One value into one of ours, which comes zeroed. NULL: the map begins empty (flows, events, counters only: an agent of a lost
	 * flow tries again).
	 */
	void (*convert)(const void *old, void *ret);
};

struct gate_layout {
	uint32_t version; /* 0 ends a table */
	struct gate_convert converts[GATE_CONVERTS_MAX];
	size_t nconverts;
};

/* Which maps are pinned, and of which layout they are: NULL = ours, or none yet. -EPROTO: newer, or unknown. */
int gate_layout_look(const struct gate *g, bool ret_missing[GATE_MAP_COUNT], const struct gate_layout **ret_older, struct err *e);
/* How that map differs; NULL: it does not. `state` always does, if only in its version. */
const struct gate_convert *gate_layout_convert(const struct gate_layout *l, const char *map_name);

#endif
