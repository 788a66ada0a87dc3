// SPDX-License-Identifier: Apache-2.0
/*
 * gate_maps.c: the arrays that daemon and kernel share word by word, and the
 * few words of `state` that steer the programs. Who may spend what is spend/'s.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "kern/gate_inside.h"

/* The kernel rounds every element up to 8 bytes; ours are, so that a C array fits over the map. */
_Static_assert(sizeof(struct gate_account) % 8 == 0, "stride");
_Static_assert(sizeof(struct gate_hold) % 8 == 0, "stride");
_Static_assert(sizeof(struct gate_state) % 8 == 0, "stride");

#define ACCOUNTS_BYTES (GATE_ACCOUNTS_MAX * sizeof(struct gate_account))
#define HOLDS_BYTES (GATE_HOLDS_MAX * sizeof(struct gate_hold))
#define STATE_BYTES sizeof(struct gate_state)

static int map_array(struct gate *g, enum gate_map m, size_t bytes, void *ret, struct err *e)
{
	int prot = g->is_readonly ? PROT_READ : PROT_READ | PROT_WRITE;
	void *p = mmap(NULL, bytes, prot, MAP_SHARED, g->map_fds[m], 0);

	if (p == MAP_FAILED)
		return err_set(e, errno, "gate: cannot map the pinned array %s: %s", gate_map_name(m), strerror(errno));
	*(void **)ret = p;
	return 0;
}

/* The kernel maps an array only through a descriptor that may write; a mapping for reading is what keeps a peek from it. */
bool gate_map_is_array(enum gate_map m)
{
	return m == GATE_MAP_ACCOUNTS || m == GATE_MAP_HOLDS || m == GATE_MAP_STATE;
}

int gate_maps_open(struct gate *g, struct err *e)
{
	int ret = 0;

	for (int m = 0; m < GATE_MAP_COUNT; m++) {
		LIBBPF_OPTS(bpf_obj_get_opts, opts,
			    .file_flags = g->is_readonly && !gate_map_is_array((enum gate_map)m) ? BPF_F_RDONLY : 0);
		char path[PATH_MAX];

		/* The ring has one reader, the daemon. */
		if (m == GATE_MAP_EVENTS && g->is_readonly)
			continue;
		gate_pin_path(g, g->maps_folder, gate_map_name((enum gate_map)m), path);
		g->map_fds[m] = bpf_obj_get_opts(path, &opts);
		/* Newer than the layout's first version: what a daemon of before has pinned may be looked at all the same. */
		if (m == GATE_MAP_LISTENERS && g->is_readonly && g->map_fds[m] < 0 && errno == ENOENT)
			continue;
		if (g->map_fds[m] < 0)
			return err_set(e, errno, "gate: cannot open the map pinned at %s: %s", path, strerror(errno));
	}
	ret = map_array(g, GATE_MAP_ACCOUNTS, ACCOUNTS_BYTES, &g->accounts, e);
	if (ret == 0)
		ret = map_array(g, GATE_MAP_HOLDS, HOLDS_BYTES, &g->holds, e);
	if (ret == 0)
		ret = map_array(g, GATE_MAP_STATE, STATE_BYTES, &g->state, e);
	return ret;
}

static uint32_t map_id(int fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &size) < 0 ? 0 : info.id;
}

static int verify_pin(struct gate *g, int dir, int m, struct err *e)
{
	const struct gate_pin pin = { .fd = g->map_fds[m], .id_of = map_id };

	return gate_pin_verify(g, dir, "maps", gate_map_name((enum gate_map)m), &pin, &g->map_pin_inos[m], e);
}

int gate_maps_verify_pins(struct gate *g, struct err *e)
{
	CLEANUP_CLOSE int dir = gate_pins_dir(g, "maps");
	int ret = 0;

	for (int m = 0; ret == 0 && m < GATE_MAP_COUNT; m++)
		ret = verify_pin(g, dir, m, e);
	return ret;
}

int gate_maps_pin_again(struct gate *g, struct err *e)
{
	CLEANUP_CLOSE int dir = gate_pins_dir(g, "maps");
	char path[PATH_MAX];
	int ret = 0;

	for (int m = 0; ret == 0 && m < GATE_MAP_COUNT; m++) {
		if (verify_pin(g, dir, m, NULL) == 0)
			continue;
		gate_pin_path(g, "maps", gate_map_name((enum gate_map)m), path);
		ret = gate_pin_replace(path, g->map_fds[m], e);
	}
	return ret;
}

void gate_maps_close(struct gate *g)
{
	if (g->accounts)
		(void)munmap(g->accounts, ACCOUNTS_BYTES);
	if (g->holds)
		(void)munmap(g->holds, HOLDS_BYTES);
	if (g->state)
		(void)munmap(g->state, STATE_BYTES);
	for (int m = 0; m < GATE_MAP_COUNT; m++)
		cleanup_close_(&g->map_fds[m]);
}

struct gate_account *gate_accounts(struct gate *g)
{
	return g->accounts;
}

struct gate_hold *gate_holds(struct gate *g)
{
	return g->holds;
}

struct gate_state *gate_state(struct gate *g)
{
	return g->state;
}

bool gate_is_fresh(const struct gate *g)
{
	return g->is_fresh;
}

/* ---- state: single words that programs read at any moment */

#define STORE(where, value) __atomic_store_n(&(where), (value), __ATOMIC_RELEASE)

void gate_set_listeners(struct gate *g, uint16_t port4, uint16_t port6, uint64_t netns_cookie)
{
	ASSERT(!g->is_readonly);
	g->told.listeners = true;
	g->told.netns_cookie = netns_cookie;
	g->told.port4 = port4;
	g->told.port6 = port6;
	if (g->state->netns_cookie != netns_cookie)
		(void)gate_drop_listener(g, g->state->netns_cookie);
	STORE(g->state->port4, port4);
	STORE(g->state->port6, port6);
	STORE(g->state->netns_cookie, netns_cookie);
	/* The first rows are always there to be had: the path opens its own listener before any other. */
	(void)gate_put_listener(g, netns_cookie, port4, port6);
}

void gate_set_policy(struct gate *g, bool others_deny, const uint16_t *ports, size_t nports, uint64_t stale_after_ns)
{
	ASSERT(!g->is_readonly && nports <= GATE_PORTS_MAX);
	g->told.policy = true;
	g->told.others_deny = others_deny;
	g->told.nports = (uint16_t)nports;
	memmove(g->told.ports, ports, nports * sizeof(*ports));
	g->told.stale_after_ns = stale_after_ns;
	/* The count last: a port that stays captured is never missing while the list grows. */
	for (size_t i = 0; i < nports; i++)
		STORE(g->state->ports[i], ports[i]);
	STORE(g->state->nports, (uint16_t)nports);
	STORE(g->state->stale_after_ns, stale_after_ns);
	STORE(g->state->others_deny, others_deny ? 1 : 0);
}

void gate_set_daemon_cgroup(struct gate *g, uint64_t cgroup_id)
{
	ASSERT(!g->is_readonly);
	g->told.daemon_cgroup = cgroup_id;
	STORE(g->state->daemon_cgroup, cgroup_id);
}

void gate_beat(struct gate *g)
{
	struct timespec monotonic;
	int64_t boot_ns = clock_boot_ns();
	int64_t last_ns = (int64_t)g->state->heartbeat_ns;

	ASSERT(!g->is_readonly);
	(void)clock_gettime(CLOCK_MONOTONIC, &monotonic);
	STORE(g->state->boot_offset_ns, (uint64_t)(boot_ns - monotonic.tv_sec * INT64_C(1000000000) - monotonic.tv_nsec));
	STORE(g->state->heartbeat_ns, (uint64_t)boot_ns);
	/*
	 * For so long (half of it, so that no doubt remains) nobody served, and agents that fail open went where they liked. The clock is read after the
	 * beat: no program can have found the old one staler than this.
	 */
	if (last_ns == 0 || clock_boot_ns() - last_ns > (int64_t)(g->state->stale_after_ns / 2))
		gate_note_gap(g);
}

void gate_counters(struct gate *g, uint64_t ret[GATE_COUNT_COUNT])
{
	int ncpus = libbpf_num_possible_cpus();
	CLEANUP_FREE uint64_t *per_cpu = ncpus > 0 ? calloc((size_t)ncpus, sizeof(*per_cpu)) : NULL;

	memset(ret, 0, GATE_COUNT_COUNT * sizeof(*ret));
	for (uint32_t c = 0; per_cpu && c < GATE_COUNT_COUNT; c++) {
		if (bpf_map_lookup_elem(g->map_fds[GATE_MAP_COUNTERS], &c, per_cpu) < 0)
			continue;
		for (int cpu = 0; cpu < ncpus; cpu++)
			ret[c] += per_cpu[cpu];
	}
}
