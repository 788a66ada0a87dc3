// SPDX-License-Identifier: Apache-2.0
/*
 * gate_migrate.c: maps of an older layout become ours while the programs go on denying. The new set of pins is made beside the old one, in a
 * folder of its own: what did not change is pinned there once more, what did is made anew and copied. Then the programs under the links
 * are swapped one by one (gate_load.c), each of them with all of its maps. Then the two folders change places, which is one step for
 * whoever looks. So there are two states only: before it the old set is whole and what stands beside it means nothing, after it the
 * new one is. A start after a crash redoes the one or cleans up after the other.
 *
 * Nobody writes to the old maps meanwhile: the locks are ours, so no daemon lives, and programs write to `flows`, `sockets`, `counters` and
 * `events` alone. Both daemons are dead to the programs (the new state has no heartbeat): agents are denied until the start is done.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/crash.h"
#include "base/log.h"
#include "kern/gate_layout.h"

#define KEY_MAX 64

struct staying {
	const struct gate *gate;
	const struct gate_layout *older;
};

static int pin_once_more(void *ctx, const char *from, const char *name, struct err *e)
{
	const struct staying *s = ctx;
	char to[PATH_MAX];

	if (gate_layout_convert(s->older, name))
		return 0;
	gate_pin_path(s->gate, GATE_MAPS_NEXT, name, to);
	CLEANUP_CLOSE int fd = bpf_obj_get(from);

	if (fd < 0 || bpf_obj_pin(fd, to) < 0)
		return err_set(e, errno, "gate: cannot pin %s as %s: %s", from, to, strerror(errno));
	return 0;
}

/* All that is pinned, not only what user space knows by name: `sockets` is among it. */
static int pin_what_stays(const struct gate *g, const struct gate_layout *older, struct err *e)
{
	struct staying s = { .gate = g, .older = older };
	char path[PATH_MAX];

	gate_pin_path(g, "maps", "", path);
	return gate_each_pin(path, pin_once_more, &s, e);
}

int gate_migrate_begin(struct gate *g, const struct gate_layout *older, struct err *e)
{
	char path[PATH_MAX];
	int ret = gate_migrate_clean(g, e);

	if (ret < 0)
		return ret;
	(void)snprintf(path, sizeof(path), "%s/" GATE_MAPS_NEXT, g->pin_dir);
	if (mkdir(path, 0700) < 0)
		return err_set(e, errno, "gate: cannot make %s: %s", path, strerror(errno));
	CRASH_POINT("migrate-begun");
	g->maps_folder = GATE_MAPS_NEXT;
	return pin_what_stays(g, older, e);
}

/* ---- copies */

struct copying {
	const struct gate_convert *row;
	int from, to;
	void *old, *fresh, *zeros;
	size_t fresh_size;
};

static int copy_value(const struct copying *c, const void *key)
{
	if (bpf_map_lookup_elem(c->from, key, c->old) < 0)
		return errno == ENOENT ? 0 : -errno;
	memset(c->fresh, 0, c->fresh_size);
	c->row->convert(c->old, c->fresh);
	/* An array is made of zeros. */
	if (memcmp(c->fresh, c->zeros, c->fresh_size) == 0 && gate_map_is_array(c->row->map))
		return 0;
	return bpf_map_update_elem(c->to, key, c->fresh, BPF_ANY) < 0 ? -errno : 0;
}

static int copy_values(const struct copying *c, size_t most)
{
	uint8_t key[KEY_MAX], next[KEY_MAX];
	bool more = bpf_map_get_next_key(c->from, NULL, next) == 0;
	int ret = 0;

	/* Bounded: nothing writes to it, but a walk of a hash has no other end that is certain. */
	for (size_t n = 0; ret == 0 && more; n++) {
		if (n > most)
			return -ELOOP;
		memcpy(key, next, sizeof(key));
		ret = copy_value(c, key);
		more = bpf_map_get_next_key(c->from, key, next) == 0;
	}
	return ret;
}

static int info_of(int fd, struct bpf_map_info *ret)
{
	uint32_t size = sizeof(*ret);

	memset(ret, 0, sizeof(*ret));
	return bpf_obj_get_info_by_fd(fd, ret, &size) < 0 ? -errno : 0;
}

static int copy_map(const struct gate *g, const struct gate_convert *row, struct err *e)
{
	const char *name = gate_map_name(row->map);
	struct bpf_map_info from, to;
	char path[PATH_MAX];

	gate_pin_path(g, "maps", name, path);
	CLEANUP_CLOSE int fd = bpf_obj_get(path);

	if (fd < 0 && errno == ENOENT)
		return 0;
	int ret = fd < 0 ? -errno : info_of(fd, &from);

	if (ret == 0)
		ret = info_of(g->map_fds[row->map], &to);
	if (ret < 0)
		return err_set(e, -ret, "gate: cannot open %s: %s", path, strerror(-ret));
	if (from.key_size != to.key_size || from.key_size > KEY_MAX)
		return err_set(e, EPROTO, "gate: keys of the map pinned at %s have %u bytes, %u are expected", path, from.key_size, to.key_size);
	CLEANUP_FREE void *old = calloc(1, from.value_size);
	CLEANUP_FREE void *fresh = calloc(1, to.value_size);
	CLEANUP_FREE void *zeros = calloc(1, to.value_size);

	if (!old || !fresh || !zeros)
		return err_set(e, ENOMEM, "gate: out of memory");
	const struct copying c = { .row = row, .from = fd, .to = g->map_fds[row->map], .old = old, .fresh = fresh, .zeros = zeros,
				   .fresh_size = to.value_size };

	ret = copy_values(&c, from.max_entries);
	return ret == 0 ? 0 : err_set(e, -ret, "gate: cannot copy the map pinned at %s into its new layout: %s; nothing was changed", path, strerror(-ret));
}

static bool may_begin_empty(enum gate_map m)
{
	return m == GATE_MAP_FLOWS || m == GATE_MAP_EVENTS || m == GATE_MAP_COUNTERS;
}

int gate_migrate_copy(struct gate *g, const struct gate_layout *older, struct err *e)
{
	int ret = 0;

	CRASH_POINT("migrate-loaded");
	for (int m = 0; ret == 0 && m < GATE_MAP_COUNT; m++) {
		const struct gate_convert *row = gate_layout_convert(older, gate_map_name((enum gate_map)m));

		if (!row)
			continue;
		ASSERT(row->convert || may_begin_empty(row->map));
		if (row->convert)
			ret = copy_map(g, row, e);
		CRASH_POINT("migrate-copied");
	}
	if (ret == 0)
		__atomic_store_n(&g->state->heartbeat_ns, 0, __ATOMIC_RELEASE);
	return ret;
}

/* ---- the end */

int gate_migrate_commit(struct gate *g, const struct gate_layout *older, struct err *e)
{
	char now[PATH_MAX], next[PATH_MAX];
	struct err ignored = { "" };

	(void)snprintf(now, sizeof(now), "%s/maps", g->pin_dir);
	(void)snprintf(next, sizeof(next), "%s/" GATE_MAPS_NEXT, g->pin_dir);
	CRASH_POINT("migrate-attached");
	if (renameat2(AT_FDCWD, now, AT_FDCWD, next, RENAME_EXCHANGE) < 0)
		return err_set(e, errno, "gate: cannot exchange %s and %s: %s", now, next, strerror(errno));
	CRASH_POINT("migrate-exchanged");
	g->maps_folder = "maps";
	log_info("gate", "maps of layout version %u were taken over into version %d", older->version, GATE_ABI_VERSION);
	if (gate_migrate_clean(g, &ignored) < 0)
		log_warn("gate", "%s; the next start tries again", ignored.text);
	return 0;
}

int gate_migrate_clean(const struct gate *g, struct err *e)
{
	return gate_pins_remove_folder(g->pin_dir, GATE_MAPS_NEXT, false, e);
}
