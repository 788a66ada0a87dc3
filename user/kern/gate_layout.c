// SPDX-License-Identifier: Apache-2.0
/* gate_layout.c: the table of older layouts, and whether what is pinned may be used. It opens maps to look at their layout only. */
#include "kern/gate_layout.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

/* ---- older layouts, newest first. There has been one only. */
static const struct gate_layout own_layouts[] = {
	{ .version = 0 },
};

/* Bytes of one value, by what the ABI header says; 0 = not checked (the ring has none). */
static const size_t value_sizes[GATE_MAP_COUNT] = {
	[GATE_MAP_AGENTS] = sizeof(struct gate_agent),	   [GATE_MAP_ACCOUNTS] = sizeof(struct gate_account),
	[GATE_MAP_HOLDS] = sizeof(struct gate_hold),	   [GATE_MAP_ENDPOINTS] = sizeof(struct gate_endpoint),
	[GATE_MAP_FLOWS] = sizeof(struct gate_flow),	   [GATE_MAP_STATE] = sizeof(struct gate_state),
	[GATE_MAP_COUNTERS] = sizeof(uint64_t),		   [GATE_MAP_LISTENERS] = sizeof(struct gate_listener),
};

static void same_state(const void *old, void *ret)
{
	memcpy(ret, old, sizeof(struct gate_state));
}

/* The version stands in it, so that it may never be shared by two layouts. */
static const struct gate_convert another_state = {
	.map = GATE_MAP_STATE, .value_size = sizeof(struct gate_state), .convert = same_state,
};

const struct gate_convert *gate_layout_convert(const struct gate_layout *l, const char *map_name)
{
	for (size_t i = 0; i < l->nconverts; i++)
		if (strcmp(gate_map_name(l->converts[i].map), map_name) == 0)
			return &l->converts[i];
	return strcmp(gate_map_name(GATE_MAP_STATE), map_name) == 0 ? &another_state : NULL;
}

static const struct gate_layout *find_in(const struct gate_layout *table, uint32_t version)
{
	for (; table && table->version; table++)
		if (table->version == version)
			return table;
	return NULL;
}

static int version_error(const struct gate *g, uint32_t found, struct err *e)
{
	return err_set(e, EPROTO,
		       "gate: maps pinned in %s have layout version %u, %s than %d, which this pursed has%s; start the pursed that made them, "
		       "or stop it with no call in flight, run `purse uninstall` (nothing is enforced from there to the next start) and start this "
		       "one: balances come back from the ledger", g->pin_dir, found, found > GATE_ABI_VERSION ? "newer" : "older", GATE_ABI_VERSION,
		       found > GATE_ABI_VERSION ? "" : " and does not know any more");
}

static int size_error(const struct gate *g, const char *map, unsigned found, size_t expected, struct err *e)
{
	return err_set(e, EPROTO,
		       "gate: values of the map pinned at %s/maps/%s have %u bytes, its layout version says %zu: not a map of purse; stop pursed with "
		       "no call in flight, run `purse uninstall` and start it: balances come back from the ledger", g->pin_dir, map, found, expected);
}

/* -ENOENT: not pinned. */
static int open_map(const struct gate *g, const char *name, int *ret_fd, struct bpf_map_info *ret_info, struct err *e)
{
	LIBBPF_OPTS(bpf_obj_get_opts, readonly, .file_flags = BPF_F_RDONLY);
	uint32_t size = sizeof(*ret_info);
	char path[PATH_MAX];

	gate_pin_path(g, "maps", name, path);
	CLEANUP_CLOSE int fd = bpf_obj_get_opts(path, &readonly);

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	memset(ret_info, 0, sizeof(*ret_info));
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, ret_info, &size) < 0)
		return err_set(e, errno, "gate: cannot open the map pinned at %s: %s", path, strerror(errno));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* The version is the first word of `state`, in every layout there will ever be. 0 = none, or its daemon died before it could say. */
static int read_version(const struct gate *g, uint32_t *ret, struct err *e)
{
	CLEANUP_CLOSE int fd = -1;
	struct bpf_map_info info;
	uint32_t zero = 0;
	int r = open_map(g, gate_map_name(GATE_MAP_STATE), &fd, &info, e);

	if (r == -ENOENT) {
		*ret = 0;
		return 0;
	}
	if (r < 0)
		return r;
	CLEANUP_FREE uint32_t *value = calloc(1, info.value_size + sizeof(*value));

	if (!value)
		return err_set(e, ENOMEM, "gate: out of memory");
	if (bpf_map_lookup_elem(fd, &zero, value) < 0)
		return err_set(e, errno, "gate: cannot read the map pinned in %s/maps/state: %s", g->pin_dir, strerror(errno));
	*ret = value[0];
	return 0;
}

static int check_map(const struct gate *g, enum gate_map m, const struct gate_layout *older, bool *ret_missing, struct err *e)
{
	const struct gate_convert *c = older ? gate_layout_convert(older, gate_map_name(m)) : NULL;
	size_t expected = c ? c->value_size : value_sizes[m];
	CLEANUP_CLOSE int fd = -1;
	struct bpf_map_info info;
	int r = open_map(g, gate_map_name(m), &fd, &info, e);

	*ret_missing = r == -ENOENT;
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return expected == 0 || expected == info.value_size ? 0 : size_error(g, gate_map_name(m), info.value_size, expected, e);
}

int gate_layout_look(const struct gate *g, bool ret_missing[GATE_MAP_COUNT], const struct gate_layout **ret_older, struct err *e)
{
	const struct gate_layout *older = NULL;
	uint32_t version = 0;
	int r = read_version(g, &version, e);

	if (r == 0 && version != 0 && version != GATE_ABI_VERSION) {
		older = find_in(own_layouts, version);
		if (!older)
			older = find_in(g->more_layouts, version);
		if (!older)
			return version_error(g, version, e);
	}
	for (int m = 0; r == 0 && m < GATE_MAP_COUNT; m++)
		r = check_map(g, (enum gate_map)m, older, &ret_missing[m], e);
	/* Nothing stands in there yet. */
	if (version == 0)
		ret_missing[GATE_MAP_STATE] = true;
	if (r == 0)
		*ret_older = older;
	return r;
}
