// SPDX-License-Identifier: Apache-2.0
/*
 * gate.c: opens and closes the gate: the order of things, and what is undone
 * when one fails. What fails half-way leaves attached what is attached: closed, not open.
 */
#include "kern/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "kern/cgroup.h"
#include "kern/gate_layout.h"

#define STALE_AFTER_NS (5 * INT64_C(1000000000)) /* until gate_set_policy says otherwise */
static const uint16_t default_ports[] = { 443 };

static int new_gate(const char *pin_dir, struct gate **ret, struct err *e)
{
	struct gate *g = calloc(1, sizeof(*g));
	size_t n = strlen(pin_dir);

	if (!g)
		return err_set(e, ENOMEM, "gate: out of memory");
	while (n > 1 && pin_dir[n - 1] == '/')
		n--;
	if (n >= sizeof(g->pin_dir)) {
		free(g);
		return err_set(e, ENAMETOOLONG, "pin_dir: a path of %zu bytes is too long", n);
	}
	memcpy(g->pin_dir, pin_dir, n);
	g->maps_folder = "maps";
	g->lock_fd = g->pins_fd = -1;
	g->root_fd = -1;
	for (int m = 0; m < GATE_MAP_COUNT; m++)
		g->map_fds[m] = -1;
	*ret = g;
	return 0;
}

static int open_root(struct gate *g, const char *cgroup_root, struct err *e)
{
	char mount_point[PATH_MAX];
	int ret = 0;

	if (!cgroup_root) {
		ret = cgroup_mount(mount_point, sizeof(mount_point), e);
		cgroup_root = mount_point;
	}
	if (ret == 0)
		ret = cgroup_id(cgroup_root, &g->root_id, e);
	if (ret < 0)
		return ret;
	g->root_fd = open(cgroup_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (g->root_fd < 0)
		return err_set(e, errno, "cgroup_root %s: cannot open: %s", cgroup_root, strerror(errno));
	return 0;
}

/*
 * Balances mean something only if all four were there: an agent's row points into accounts, a hold too. A half set
 * (somebody removed a pin) counts as fresh; agents whose account is an unused row are in doubt and denied.
 */
static bool are_fresh(const bool missing[GATE_MAP_COUNT])
{
	return missing[GATE_MAP_AGENTS] || missing[GATE_MAP_ACCOUNTS] || missing[GATE_MAP_HOLDS] || missing[GATE_MAP_STATE];
}

/* Before the programs run: a state of zeros is a dead daemon, which denies. */
static int init_state(struct gate *g, bool endpoints_are_new, struct err *e)
{
	int ret = endpoints_are_new ? gate_put_exempt(g, e) : 0;

	if (ret < 0)
		return ret;
	if (g->state->abi_version == 0)
		gate_set_policy(g, false, default_ports, 1, STALE_AFTER_NS);
	g->state->generation++;
	/* Of two starts that are alive at once; 0 is taken. */
	g->start = (uint32_t)g->state->generation ? (uint32_t)g->state->generation : 1;
	__atomic_store_n(&g->state->abi_version, GATE_ABI_VERSION, __ATOMIC_RELEASE);
	return 0;
}

/* Before anything that is pinned is touched. */
static int take_locks(struct gate *g, const struct gate_options *o, struct err *e)
{
	int ret = 0;

	if (o->inherited_lock > 0)
		g->lock_fd = o->inherited_lock;
	if (o->inherited_pins > 0)
		g->pins_fd = o->inherited_pins;
	if (g->lock_fd < 0)
		ret = gate_lock(o->lock_path, &g->lock_fd, e);
	/* Makes nothing that one who has them would not have. */
	if (ret == 0)
		ret = gate_pins_make(g, e);
	if (ret < 0)
		return ret;
	return g->pins_fd < 0 ? gate_lock_pins(g->pin_dir, &g->pins_fd, e) : gate_lock_check_pins(g, e);
}

/* Two daemons would write to two sets of balances. */
static int may_migrate(const struct gate *g, const struct gate_options *o, const struct gate_layout *older, struct err *e)
{
	if (!older || o->inherited_lock <= 0)
		return 0;
	return err_set(e, EPROTO,
		       "gate: the process that hands over has maps of layout version %u in %s, this pursed has version %d: a layout cannot change while "
		       "calls run; stop the one, then start the other: calls in flight have five seconds, nothing is forgotten, agents are denied meanwhile",
		       older->version, g->pin_dir, GATE_ABI_VERSION);
}

/* Programs and maps, not yet attached. */
static int load_all(struct gate *g, const struct gate_layout *older, struct err *e)
{
	int ret = older ? gate_migrate_begin(g, older, e) : gate_migrate_clean(g, e);

	if (ret == 0)
		ret = gate_load(g, e);
	if (ret == 0)
		ret = gate_maps_open(g, e);
	if (ret == 0 && older)
		ret = gate_migrate_copy(g, older, e);
	return ret == 0 ? gate_events_open(g, e) : ret;
}

static int open_all(struct gate *g, const struct gate_options *o, struct err *e)
{
	const struct gate_layout *older = NULL;
	bool missing[GATE_MAP_COUNT];
	int ret = take_locks(g, o, e);

	if (ret == 0)
		ret = open_root(g, o->cgroup_root, e);
	if (ret == 0)
		ret = gate_layout_look(g, missing, &older, e);
	if (ret == 0)
		ret = may_migrate(g, o, older, e);
	if (ret == 0)
		ret = load_all(g, older, e);
	if (ret == 0) {
		g->is_fresh = are_fresh(missing);
		/* Made but never declared usable: write the exemptions again, they may be incomplete. */
		ret = init_state(g, missing[GATE_MAP_ENDPOINTS] || missing[GATE_MAP_STATE], e);
	}
	if (ret == 0)
		ret = gate_attach(g, e);
	return ret == 0 && older ? gate_migrate_commit(g, older, e) : ret;
}

int gate_open(const struct gate_options *o, struct gate **ret, struct err *e)
{
	struct gate *g = NULL;
	int r = new_gate(o->pin_dir, &g, e);

	if (r < 0)
		return r;
	g->more_layouts = o->more_layouts;
	r = open_all(g, o, e);
	if (r < 0) {
		gate_close(g);
		return r;
	}
	*ret = g;
	return 0;
}

int gate_lock_fd(const struct gate *g)
{
	return g->lock_fd;
}

int gate_pins_fd(const struct gate *g)
{
	return g->pins_fd;
}

uint32_t gate_start(const struct gate *g)
{
	return g->start;
}

int gate_peek(const char *pin_dir, struct gate **ret, struct err *e)
{
	const struct gate_layout *older = NULL;
	bool missing[GATE_MAP_COUNT];
	struct gate *g = NULL;
	int r = new_gate(pin_dir, &g, e);

	if (r < 0)
		return r;
	g->is_readonly = true;
	r = gate_layout_look(g, missing, &older, e);
	if (r == 0 && older)
		r = err_set(e, EPROTO, "gate: maps pinned in %s have layout version %u, this purse has %d; start pursed, which takes them over, or use the "
			    "purse that goes with them", g->pin_dir, older->version, GATE_ABI_VERSION);
	if (r == 0 && are_fresh(missing))
		r = err_set(e, ENOENT, "gate: no maps pinned in %s: pursed has not run since boot, or pin_dir is another", g->pin_dir);
	if (r == 0)
		r = gate_maps_open(g, e);
	if (r < 0) {
		gate_close(g);
		return r;
	}
	*ret = g;
	return 0;
}

void gate_close(struct gate *g)
{
	if (!g)
		return;
	gate_events_close(g);
	gate_maps_close(g);
	gate_unload(g);
	cleanup_close_(&g->root_fd);
	/* Last: the next daemon may start from here on. */
	cleanup_close_(&g->pins_fd);
	cleanup_close_(&g->lock_fd);
	free(g);
}

int gate_remove(const struct gate_options *o, struct err *e)
{
	CLEANUP_CLOSE int lock = -1;
	CLEANUP_CLOSE int pins = -1;
	int ret = gate_lock(o->lock_path, &lock, e);

	if (ret == 0 && access(o->pin_dir, F_OK) == 0)
		ret = gate_lock_pins(o->pin_dir, &pins, e);
	return ret < 0 ? ret : gate_pins_remove(o->pin_dir, e);
}
