// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * maps.h: every map of the gate: who writes, who reads, why that size. What
 * the rows mean stands in include/gate_abi.h. All but one are pinned under
 * their names, so that balances, holds and what a socket was told outlive the daemon.
 */
#ifndef PURSE_BPF_MAPS_H
#define PURSE_BPF_MAPS_H

/* Daemon writes on enrolment; every hook looks up. Preallocated: a lookup never meets an element in the making. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GATE_AGENTS_MAX);
	__type(key, __u64); /* cgroup id */
	__type(value, struct gate_agent);
} agents SEC(".maps");

/* Daemon writes through its mapping, with atomics; connect hooks read. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, GATE_ACCOUNTS_MAX);
	__type(key, __u32);
	__type(value, struct gate_account);
} accounts SEC(".maps");

/* Daemon only. No program looks at it: it is here because kernel memory outlives the daemon. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, GATE_HOLDS_MAX);
	__type(key, __u32);
	__type(value, struct gate_hold);
} holds SEC(".maps");

/* Daemon writes, every hook looks up. Room for all names' addresses and the providers' ranges, twice (NAT64 form). */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, GATE_ENDPOINTS_MAX);
	__type(key, struct gate_endpoint_key);
	__type(value, struct gate_endpoint);
} endpoints SEC(".maps");

/*
 * sock_ops writes and deletes, the daemon takes. Not LRU: to evict a flow is to lose who is calling. An entry lives
 * from the SYN to the accept, so the size is a burst of SYNs, not the connections that are open. Not preallocated:
 * 9 MB for a burst that hardly comes; no memory is "table full", which closes.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, GATE_FLOWS_MAX);
	__type(key, struct gate_flow_key);
	__type(value, struct gate_flow);
} flows SEC(".maps");

/* Daemon writes, connect and bind hooks look up. A row per network namespace that has an egress listener. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GATE_LISTENERS_MAX);
	__type(key, __u64); /* netns cookie */
	__type(value, struct gate_listener);
} listeners SEC(".maps");

/* Daemon writes through its mapping, every hook reads. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gate_state);
} state SEC(".maps");

/* Denials, struct gate_event. A full ring is counted (GATE_COUNT_EVENT_LOST); the denial stands. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, GATE_EVENTS_BYTES);
} events SEC(".maps");

/* By enum gate_counter. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, GATE_COUNT_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/*
 * Which agent a cgroup belongs to, as found by the last walk up its ancestors; good as long as `epoch` is
 * gate_state.agents_epoch. It makes the usual case one look-up whatever the depth. Programs only, and the one map
 * that is not pinned: it means nothing beside another `state`. An element may be recycled under a reader, so the
 * value says whose it is; written in the order of its fields, read backwards.
 */
struct gate_identity {
	__u64 cgroup;
	__u64 agent; /* key in agents, 0 = a stranger, AGENT_UNKNOWN */
	__u64 epoch;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64); /* cgroup id */
	__type(value, struct gate_identity);
} identities SEC(".maps");

/*
 * What we know of one socket. Made in sock_create for an agent's socket, and in connect for any that is redirected;
 * dies with the socket. Seen by programs only; a change of its layout raises GATE_ABI_VERSION too, since it is pinned.
 */
enum gate_socket_stage {
	GATE_SOCKET_PLAIN = 0,
	GATE_SOCKET_REDIRECTED, /* connect wrote `flow`; the SYN is not out yet */
	GATE_SOCKET_PUBLISHED,  /* `flow` stands in flows under `key`, unless the daemon took it */
};
struct gate_socket {
	__u64 creator; /* key in agents of who made it; 0 = a stranger or unknown */
	__u32 stage;   /* enum gate_socket_stage */
	__u32 pad;
	struct gate_flow_key key;
	struct gate_flow flow;
};
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct gate_socket);
} sockets SEC(".maps");

#endif
