// SPDX-License-Identifier: Apache-2.0
/*
 * older.h: a gate of an older layout for tests, since there has been none yet: today's programs over maps whose values differ, attached and
 * pinned as a pursed of that version would have left them. Two layouts, so that every map is converted in one and used again in the other.
 * Where programs look into a value ours stands first in it; holds, which only user space reads, are in another order altogether.
 */
#ifndef PURSE_TESTS_BPF_OLDER_H
#define PURSE_TESTS_BPF_OLDER_H

#include "acts.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "gate.skel.h"
#include "kern/gate_layout.h"

enum { MONEY_DIFFERS = 1000, TABLES_DIFFER = 1001 };

struct old_account {
	struct gate_account a;
	__u64 more_calls; /* had a word of its own */
	__u64 unused;
};
struct old_hold {
	__u64 call_id;
	__s64 amount, cost, started;
	__u64 cgroup_id;
	char model[GATE_MODEL_MAX];
	char comm[GATE_COMM_MAX];
	__u32 pid, account;
	__u16 provider, endpoint;
	__u8 estimated, state;
	__u8 pad[2];
};
struct old_state {
	struct gate_state s;
	__u64 unused;
};
/* Programs write the front of what they know of a flow: it is shorter. */
struct old_flow {
	__u64 words[7];
};
struct old_agent {
	struct gate_agent a;
	__u64 unused;
};
struct old_endpoint {
	struct gate_endpoint e;
	__u32 unused;
};
struct old_listener {
	struct gate_listener l;
	__u32 unused;
};

static void convert_account(const void *old, void *ret)
{
	const struct old_account *o = old;
	struct gate_account *a = ret;

	*a = o->a;
	a->calls += o->more_calls;
}

static void convert_hold(const void *old, void *ret)
{
	const struct old_hold *o = old;
	struct gate_hold *h = ret;

	h->state = o->state;
	h->account = o->account;
	h->call_id = o->call_id;
	h->amount_nanousd = o->amount;
	h->cost_nanousd = o->cost;
	h->started_realtime_ns = o->started;
	h->cgroup_id = o->cgroup_id;
	h->pid = o->pid;
	h->provider = o->provider;
	h->endpoint = o->endpoint;
	h->estimated = o->estimated;
	memcpy(h->comm, o->comm, sizeof(h->comm));
	memcpy(h->model, o->model, sizeof(h->model));
	if (o->state != GATE_HOLD_FREE)
		(void)snprintf(h->provider_name, sizeof(h->provider_name), "provider-%u", o->provider);
}

#define CONVERT_FIRST(name, type)                             \
	static void convert_##name(const void *old, void *ret) \
	{                                                      \
		memcpy(ret, old, sizeof(type));                \
	}
CONVERT_FIRST(state, struct gate_state)
CONVERT_FIRST(agent, struct gate_agent)
CONVERT_FIRST(endpoint, struct gate_endpoint)
CONVERT_FIRST(listener, struct gate_listener)

static const struct gate_layout older_layouts[] = {
	{
		.version = MONEY_DIFFERS,
		.converts = {
			{ GATE_MAP_ACCOUNTS, sizeof(struct old_account), convert_account },
			{ GATE_MAP_HOLDS, sizeof(struct old_hold), convert_hold },
			{ GATE_MAP_STATE, sizeof(struct old_state), convert_state },
			{ GATE_MAP_FLOWS, sizeof(struct old_flow), NULL },
		},
		.nconverts = 4,
	},
	{
		.version = TABLES_DIFFER,
		.converts = {
			{ GATE_MAP_AGENTS, sizeof(struct old_agent), convert_agent },
			{ GATE_MAP_ENDPOINTS, sizeof(struct old_endpoint), convert_endpoint },
			{ GATE_MAP_LISTENERS, sizeof(struct old_listener), convert_listener },
		},
		.nconverts = 3,
	},
	{ .version = 0 },
};

static const struct gate_layout *older_layout(uint32_t version)
{
	const struct gate_layout *l = older_layouts;

	while (l->version != version)
		l++;
	return l;
}

static int older_map(const char *name)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/maps/%s", rig.pin_dir, name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	return fd;
}

/* value: of any size that is not more than the map's; the rest is zeros. */
static void older_put(const char *name, const void *key, const void *value, size_t size)
{
	struct bpf_map_info info = { 0 };
	uint32_t info_size = sizeof(info);
	uint8_t whole[512] = { 0 };
	int fd = older_map(name);

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &info_size), 0);
	assert_true(size <= info.value_size && info.value_size <= sizeof(whole));
	memcpy(whole, value, size);
	assert_int_equal(bpf_map_update_elem(fd, key, whole, BPF_ANY), 0);
	(void)close(fd);
}

/* The first word of the state, whatever else is in it. */
static void older_say_version(uint32_t version)
{
	uint8_t value[512];
	uint32_t zero = 0;
	int fd = older_map("state");

	assert_int_equal(bpf_map_lookup_elem(fd, &zero, value), 0);
	memcpy(value, &version, sizeof(version));
	assert_int_equal(bpf_map_update_elem(fd, &zero, value, BPF_ANY), 0);
	(void)close(fd);
}

/* ---- the whole gate: also once more over its own pins, as a start of that version would do. Nothing stays open here. */

static void older_attach(struct bpf_program *prog, int root)
{
	struct bpf_link *link;
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/links/%s", rig.pin_dir, bpf_program__name(prog));
	link = bpf_link__open(path);
	if (link) {
		assert_int_equal(bpf_link__update_program(link, prog), 0);
	} else {
		link = bpf_program__attach_cgroup(prog, root);
		assert_non_null(link);
		assert_int_equal(bpf_link__pin(link, path), 0);
	}
	(void)bpf_link__destroy(link);
}

static void older_start(uint32_t version)
{
	const struct gate_layout *l = older_layout(version);
	/* It has something to say about every map that is not as the object says. */
	libbpf_print_fn_t before = libbpf_set_print(NULL);
	struct gate_bpf *skel = gate_bpf__open();
	int root = open(rig.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct bpf_program *prog;
	struct bpf_map *map;
	char path[256];

	assert_non_null(skel);
	(void)mkdir(rig.pin_dir, 0700);
	(void)snprintf(path, sizeof(path), "%s/maps", rig.pin_dir);
	(void)mkdir(path, 0700);
	(void)snprintf(path, sizeof(path), "%s/links", rig.pin_dir);
	(void)mkdir(path, 0700);
	bpf_object__for_each_map(map, skel->obj) {
		if (strchr(bpf_map__name(map), '.') || map == skel->maps.identities)
			continue;
		(void)snprintf(path, sizeof(path), "%s/maps/%s", rig.pin_dir, bpf_map__name(map));
		assert_int_equal(bpf_map__set_pin_path(map, path), 0);
		for (size_t i = 0; i < l->nconverts; i++)
			if (strcmp(gate_map_name(l->converts[i].map), bpf_map__name(map)) == 0)
				assert_int_equal(bpf_map__set_value_size(map, (uint32_t)l->converts[i].value_size), 0);
	}
	skel->rodata->has_set_retval = probe_has_set_retval();
	(void)bpf_program__set_autoload(skel->progs.gate_family, probe_has_lsm_cgroup());
	assert_int_equal(gate_bpf__load(skel), 0);
	bpf_object__for_each_program(prog, skel->obj)
		if (bpf_program__autoload(prog))
			older_attach(prog, root);
	(void)close(root);
	gate_bpf__destroy(skel);
	(void)libbpf_set_print(before);
}

#endif
