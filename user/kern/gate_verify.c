// SPDX-License-Identifier: Apache-2.0
/*
 * gate_verify.c: once a second: does the kernel still have everything as this process made it, and where it matters? Links, programs, pins (ours
 * by id, not just something of that name), the words that steer the programs, the row that says where redirects go, and for one agent after
 * the other whether our programs are in effect in its cgroup. Some tens of microseconds; tests/bpf/test_gate_verify.c measures it.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "kern/cgroup.h"
#include "kern/gate_inside.h"

/* ---- words */

static int word_error(struct err *e, const char *what, unsigned long long found, unsigned long long expected)
{
	return err_set(e, ENOLINK, "gate: somebody wrote into the map `state`: %s is %llu, we wrote %llu", what, found, expected);
}

static int verify_words(struct gate *g, struct err *e)
{
	const struct gate_state *st = g->state;
	const struct gate_told *t = &g->told;
	const struct {
		const char *name;
		bool is_told;
		uint64_t found, expected;
	} words[] = {
		{ "abi_version", true, st->abi_version, GATE_ABI_VERSION },
		{ "others_deny", t->policy, st->others_deny, t->others_deny },
		{ "stale_after_ns", t->policy, st->stale_after_ns, t->stale_after_ns },
		{ "nports", t->policy, st->nports, t->nports },
		{ "daemon_cgroup", t->daemon_cgroup != 0, st->daemon_cgroup, t->daemon_cgroup },
		{ "netns_cookie", t->listeners, st->netns_cookie, t->netns_cookie },
		{ "port4", t->listeners, st->port4, t->port4 },
		{ "port6", t->listeners, st->port6, t->port6 },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].is_told && words[i].found != words[i].expected)
			return word_error(e, words[i].name, words[i].found, words[i].expected);
	for (uint16_t i = 0; t->policy && i < t->nports; i++)
		if (st->ports[i] != t->ports[i])
			return word_error(e, "a captured port", st->ports[i], t->ports[i]);
	return 0;
}

static int verify_row(struct gate *g, struct err *e)
{
	struct gate_listener row = { 0, 0 };
	const struct gate_told *t = &g->told;

	if (!t->listeners)
		return 0;
	if (bpf_map_lookup_elem(g->map_fds[GATE_MAP_LISTENERS], &t->netns_cookie, &row) < 0)
		return err_set(e, ENOLINK, "gate: our row in the map `listeners` is gone: %s", strerror(errno));
	if (row.port4 != t->port4 || row.port6 != t->port6)
		return err_set(e, ENOLINK, "gate: our row in the map `listeners` says ports %u and %u, we listen on %u and %u", row.port4,
			       row.port6, t->port4, t->port6);
	return 0;
}

/* Says again what was said. Copies: the verbs write to `told`, too. */
static void tell_again(struct gate *g)
{
	const struct gate_told t = g->told;

	if (t.policy)
		gate_set_policy(g, t.others_deny, t.ports, t.nports, t.stale_after_ns);
	if (t.daemon_cgroup)
		gate_set_daemon_cgroup(g, t.daemon_cgroup);
	if (t.listeners)
		gate_set_listeners(g, t.port4, t.port6, t.netns_cookie);
	/* The last: it says that all the rest means what we mean. */
	__atomic_store_n(&g->state->abi_version, GATE_ABI_VERSION, __ATOMIC_RELEASE);
}

/* ---- in effect */

/* One agent per call. One for which something is missing is looked at again until it is not. */
static int verify_sample(struct gate *g, struct err *e)
{
	int fd = g->map_fds[GATE_MAP_AGENTS];
	struct gate_agent a = { 0 };
	uint64_t id;

	if (bpf_map_get_next_key(fd, g->sample ? &g->sample : NULL, &id) < 0 && bpf_map_get_next_key(fd, NULL, &id) < 0)
		return 0;
	if (g->is_sample_missing && bpf_map_lookup_elem(fd, &g->sample, &a) == 0)
		id = g->sample;
	g->sample = id;
	g->is_sample_missing = false;

	CLEANUP_CLOSE int cgroup = cgroup_open(g->root_fd, id);
	const char *missing = cgroup < 0 ? NULL : gate_hooks_missing_in(g, cgroup);

	/* A cgroup that is gone has no processes; one that may not be opened (CAP_DAC_READ_SEARCH) is told by who looks for listeners. */
	if (!missing)
		return 0;
	g->is_sample_missing = true;
	(void)bpf_map_lookup_elem(fd, &id, &a);
	return err_set(e, EXDEV,
		       "gate: %s is not in effect for agent \"%.*s\" (cgroup id %llu): its cgroup is not below cgroup_root, so nothing holds it back; "
		       "move it there, or set a cgroup_root above it", missing, (int)sizeof(a.name), a.name, (unsigned long long)id);
}

/* ---- all of it */

int gate_verify(struct gate *g, struct err *e)
{
	static int (*const checks[])(struct gate *g, struct err *e) = {
		gate_hooks_verify, gate_maps_verify_pins, gate_lock_verify, verify_words, verify_row, verify_sample,
	};
	int ret = 0;

	ASSERT(!g->is_readonly);
	for (size_t i = 0; ret == 0 && i < sizeof(checks) / sizeof(checks[0]); i++)
		ret = checks[i](g, e);
	return ret;
}

int gate_repair(struct gate *g, struct err *e)
{
	int ret = gate_pins_make(g, e);

	ASSERT(!g->is_readonly);
	/* The folder was removed: somebody may have started on another one at its place. */
	if (ret == 0)
		ret = gate_lock_pins_again(g, e);
	if (ret == 0)
		ret = gate_maps_pin_again(g, e);
	if (ret == 0)
		ret = gate_hooks_repair(g, e);
	if (ret == 0 && (verify_words(g, NULL) < 0 || verify_row(g, NULL) < 0))
		tell_again(g);
	return ret < 0 ? ret : gate_verify(g, e);
}
