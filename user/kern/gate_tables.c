// SPDX-License-Identifier: Apache-2.0
/* gate_tables.c: the keyed maps as verbs: agents, endpoints, flows. One system call each; any thread. */
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/addr.h"
#include "base/clock.h"
#include "kern/gate_inside.h"

#define NO_PROVIDER 0xffff

static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b }; /* RFC 6052 section 2.1 */

/* ---- agents */

/* After the change of the map, never before: see caller_agent() in bpf/identity.h. */
static void bump_epoch(struct gate *g)
{
	(void)__atomic_add_fetch(&g->state->agents_epoch, 1, __ATOMIC_SEQ_CST);
}

int gate_enrol(struct gate *g, uint64_t cgroup_id, const struct gate_agent *a)
{
	int fd = g->map_fds[GATE_MAP_AGENTS];

	/* 0 is "nobody" everywhere in the gate. */
	if (cgroup_id == 0)
		return -EINVAL;
	/* Other flags or another account for the same agent: nothing that is remembered gets wrong. */
	if (bpf_map_update_elem(fd, &cgroup_id, a, BPF_EXIST) == 0)
		return 0;
	if (errno != ENOENT || bpf_map_update_elem(fd, &cgroup_id, a, BPF_ANY) < 0)
		return -errno;
	bump_epoch(g);
	return 0;
}

int gate_expel(struct gate *g, uint64_t cgroup_id)
{
	if (bpf_map_delete_elem(g->map_fds[GATE_MAP_AGENTS], &cgroup_id) < 0)
		return -errno;
	bump_epoch(g);
	return 0;
}

int gate_find_agent(struct gate *g, uint64_t cgroup_id, struct gate_agent *ret)
{
	return bpf_map_lookup_elem(g->map_fds[GATE_MAP_AGENTS], &cgroup_id, ret) < 0 ? -errno : 0;
}

void gate_each_agent(struct gate *g, bool (*fn)(void *ctx, uint64_t cgroup_id, const struct gate_agent *a), void *ctx)
{
	int fd = g->map_fds[GATE_MAP_AGENTS];
	uint64_t key = 0;
	uint64_t next;

	/* A key that vanishes meanwhile starts the walk again from the front; the bound keeps that finite. */
	for (int n = 0; n < 2 * GATE_AGENTS_MAX && bpf_map_get_next_key(fd, n ? &key : NULL, &next) == 0; n++) {
		struct gate_agent a;

		key = next;
		if (bpf_map_lookup_elem(fd, &key, &a) == 0 && !fn(ctx, key, &a))
			return;
	}
}

/* ---- endpoints */

static void make_key(struct gate_endpoint_key *key, const uint8_t addr[16], unsigned prefixlen)
{
	key->prefixlen = prefixlen;
	memcpy(key->addr, addr, sizeof(key->addr));
}

/* The NAT64 form of a v4 address or range. False: not v4, or wider than all of v4. */
static bool make_nat64_key(struct gate_endpoint_key *key, const uint8_t addr[16], unsigned prefixlen)
{
	if (prefixlen < 96 || !addr_is_v4(addr))
		return false;
	make_key(key, addr, prefixlen);
	memcpy(key->addr, nat64, sizeof(nat64));
	return true;
}

static bool is_llm(unsigned class)
{
	return class == GATE_CLASS_DEDICATED || class == GATE_CLASS_SHARED;
}

static int put_key(struct gate *g, const struct gate_endpoint_key *key, enum gate_class class, uint16_t provider)
{
	struct gate_endpoint value = { .class = (uint8_t)class, .provider = provider }, was = { .class = GATE_CLASS_OTHER };
	int fd = g->map_fds[GATE_MAP_ENDPOINTS];

	(void)bpf_map_lookup_elem(fd, key, &was);
	if (bpf_map_update_elem(fd, key, &value, BPF_ANY) < 0)
		return -errno;
	/* Somebody may have been there before it was one of ours. */
	if (is_llm(class) && !is_llm(was.class))
		gate_note_gap(g);
	return 0;
}

static int drop_key(struct gate *g, const struct gate_endpoint_key *key)
{
	return bpf_map_delete_elem(g->map_fds[GATE_MAP_ENDPOINTS], key) < 0 ? -errno : 0;
}

int gate_put_endpoint(struct gate *g, const uint8_t addr[16], unsigned prefixlen, enum gate_class class, uint16_t provider)
{
	struct gate_endpoint_key key;
	int ret;

	if (prefixlen > 128)
		return -EINVAL;
	make_key(&key, addr, prefixlen);
	ret = put_key(g, &key, class, provider);
	if (ret < 0 || !make_nat64_key(&key, addr, prefixlen))
		return ret;
	if (is_llm(class))
		return put_key(g, &key, class, provider);
	/* An exemption stays as narrow as it was written. */
	ret = drop_key(g, &key);
	return ret == -ENOENT ? 0 : ret;
}

/* What is never captured unless it is itself configured: this host and this link. */
static const struct {
	uint8_t addr[16];
	unsigned prefixlen;
} exempt[] = {
	{ .addr = { [10] = 0xff, [11] = 0xff, [12] = 127 }, .prefixlen = 96 + 8 },
	{ .addr = { [10] = 0xff, [11] = 0xff, [12] = 169, [13] = 254 }, .prefixlen = 96 + 16 },
	{ .addr = { [10] = 0xff, [11] = 0xff }, .prefixlen = 128 }, /* 0.0.0.0 */
	{ .addr = { [15] = 1 }, .prefixlen = 128 },                 /* ::1 */
	{ .addr = { 0xfe, 0x80 }, .prefixlen = 10 },
	{ .addr = { 0 }, .prefixlen = 128 }, /* :: */
};
#define EXEMPT_COUNT (sizeof(exempt) / sizeof(exempt[0]))

int gate_put_exempt(struct gate *g, struct err *e)
{
	for (size_t i = 0; i < EXEMPT_COUNT; i++) {
		int ret = gate_put_endpoint(g, exempt[i].addr, exempt[i].prefixlen, GATE_CLASS_EXEMPT, NO_PROVIDER);

		if (ret < 0)
			return err_set(e, ret, "gate: cannot write the default exemptions into `endpoints`: %s", strerror(-ret));
	}
	return 0;
}

int gate_drop_endpoint(struct gate *g, const uint8_t addr[16], unsigned prefixlen)
{
	struct gate_endpoint_key key;
	int ret;

	if (prefixlen > 128)
		return -EINVAL;
	if (make_nat64_key(&key, addr, prefixlen))
		(void)drop_key(g, &key);
	make_key(&key, addr, prefixlen);
	/* One that stood in the place of a default gives it back. */
	for (size_t i = 0; i < EXEMPT_COUNT; i++)
		if (exempt[i].prefixlen == prefixlen && memcmp(exempt[i].addr, addr, 16) == 0)
			return put_key(g, &key, GATE_CLASS_EXEMPT, NO_PROVIDER);
	ret = drop_key(g, &key);
	return ret;
}

void gate_each_endpoint(struct gate *g, bool (*fn)(void *ctx, const uint8_t addr[16], unsigned prefixlen, const struct gate_endpoint *e), void *ctx)
{
	int fd = g->map_fds[GATE_MAP_ENDPOINTS];
	struct gate_endpoint_key key, next;
	struct gate_endpoint value;
	bool more = bpf_map_get_next_key(fd, NULL, &next) == 0;

	while (more) {
		key = next;
		more = bpf_map_get_next_key(fd, &key, &next) == 0;
		if (bpf_map_lookup_elem(fd, &key, &value) == 0 && !fn(ctx, key.addr, key.prefixlen, &value))
			return;
	}
}

int gate_find_endpoint(struct gate *g, const uint8_t addr[16], struct gate_endpoint *ret)
{
	struct gate_endpoint_key key;

	make_key(&key, addr, 128);
	return bpf_map_lookup_elem(g->map_fds[GATE_MAP_ENDPOINTS], &key, ret) < 0 ? -errno : 0;
}

/* ---- listeners */

int gate_put_listener(struct gate *g, uint64_t netns_cookie, uint16_t port4, uint16_t port6)
{
	struct gate_listener l = { .port4 = port4, .port6 = port6 };

	return bpf_map_update_elem(g->map_fds[GATE_MAP_LISTENERS], &netns_cookie, &l, BPF_ANY) < 0 ? -errno : 0;
}

int gate_find_listener(struct gate *g, uint64_t netns_cookie, struct gate_listener *ret)
{
	return bpf_map_lookup_elem(g->map_fds[GATE_MAP_LISTENERS], &netns_cookie, ret) < 0 ? -errno : 0;
}

int gate_drop_listener(struct gate *g, uint64_t netns_cookie)
{
	return bpf_map_delete_elem(g->map_fds[GATE_MAP_LISTENERS], &netns_cookie) < 0 ? -errno : 0;
}

void gate_clear_listeners(struct gate *g)
{
	uint64_t cookie;

	for (int n = 0; n < 2 * GATE_LISTENERS_MAX; n++) {
		if (bpf_map_get_next_key(g->map_fds[GATE_MAP_LISTENERS], NULL, &cookie) < 0)
			break;
		(void)gate_drop_listener(g, cookie);
	}
}

size_t gate_each_listener(struct gate *g, void (*fn)(void *ctx, uint64_t netns_cookie, const struct gate_listener *l), void *ctx)
{
	int fd = g->map_fds[GATE_MAP_LISTENERS];
	uint64_t key, next;
	size_t seen = 0;

	if (fd < 0 || bpf_map_get_next_key(fd, NULL, &key) < 0)
		return 0;
	for (int n = 0; n < 2 * GATE_LISTENERS_MAX; n++) {
		bool more = bpf_map_get_next_key(fd, &key, &next) == 0;
		struct gate_listener l;

		if (bpf_map_lookup_elem(fd, &key, &l) == 0) {
			seen++;
			if (fn)
				fn(ctx, key, &l);
		}
		if (!more)
			break;
		key = next;
	}
	return seen;
}

/* ---- flows */

static int flow_key(struct gate_flow_key *key, uint64_t netns_cookie, const struct sockaddr_storage *peer)
{
	memset(key, 0, sizeof(*key));
	key->netns_cookie = netns_cookie;
	return addr_from_sockaddr(peer, key->addr, &key->port) ? 0 : -ENOENT;
}

int gate_take_flow(struct gate *g, uint64_t netns_cookie, const struct sockaddr_storage *peer, struct gate_flow *ret)
{
	struct gate_flow_key key;
	struct gate_flow flow;

	if (flow_key(&key, netns_cookie, peer) < 0)
		return -ENOENT;
	/* One call: two threads cannot both get it. */
	if (bpf_map_lookup_and_delete_elem(g->map_fds[GATE_MAP_FLOWS], &key, &flow) < 0)
		return -errno;
	*ret = flow;
	return 0;
}

size_t gate_reap_flows(struct gate *g, int64_t older_than_ns)
{
	int fd = g->map_fds[GATE_MAP_FLOWS];
	int64_t now = clock_boot_ns();
	struct gate_flow_key key, next;
	size_t reaped = 0;
	bool more = bpf_map_get_next_key(fd, NULL, &key) == 0;

	for (int n = 0; n < 2 * GATE_FLOWS_MAX && more; n++) {
		struct gate_flow flow;

		more = bpf_map_get_next_key(fd, &key, &next) == 0;
		/* Not atomic with the look: a port used again in between is reaped too early, and its connection closed. */
		if (bpf_map_lookup_elem(fd, &key, &flow) == 0 && now - (int64_t)flow.born_ns > older_than_ns &&
		    bpf_map_delete_elem(fd, &key) == 0)
			reaped++;
		key = next;
	}
	return reaped;
}
