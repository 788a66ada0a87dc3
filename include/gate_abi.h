// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause OR Apache-2.0
/*
 * gate_abi.h: what the gate (bpf/) and the daemon (user/) share: the keys and
 * values of the pinned maps. Included by both sides and nothing else of ours
 * is. Fixed-width types, explicit padding, sizes asserted below.
 *
 * Byte order: addresses are in network order as they stand on the wire; IPv4
 * is stored v4-mapped (::ffff:a.b.c.d). Ports are in HOST order everywhere in
 * this file. Times are CLOCK_BOOTTIME nanoseconds unless the name ends in _s
 * (unix seconds) or says realtime.
 *
 * A change of any layout here raises GATE_ABI_VERSION and gets a row in
 * user/kern/gate_layout.c, by which a start takes older maps over (docs/upgrade.md).
 */
#ifndef PURSE_GATE_ABI_H
#define PURSE_GATE_ABI_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#define GATE_ABI_VERSION 1

#define GATE_AGENTS_MAX 16384
#define GATE_ACCOUNTS_MAX 16384 /* index 0 is never used: "no account" */
#define GATE_HOLDS_MAX 16384    /* calls in flight on one node */
#define GATE_ENDPOINTS_MAX 65536
#define GATE_FLOWS_MAX 65536
#define GATE_EVENTS_BYTES (1 << 20)
#define GATE_PORTS_MAX 16
#define GATE_LISTENERS_MAX 2048 /* network namespaces with an egress listener at once */

#define GATE_NAME_MAX 48    /* agent and account names, with the NUL */
#define GATE_MODEL_MAX 80   /* model names in a hold slot, with the NUL */
#define GATE_COMM_MAX 16    /* TASK_COMM_LEN */
#define GATE_TREE_DEPTH 8   /* an account and at most 7 above it */
#define GATE_CGROUP_DEPTH 24 /* how many cgroup levels an identity is looked up on */

/* ---- agents: hash, cgroup id (u64) -> struct gate_agent. Daemon writes, gate reads. */
enum gate_agent_flag {
	GATE_AGENT_PAUSED = 1 << 0,       /* deny as if out of credit */
	GATE_AGENT_EXPLAIN = 1 << 1,      /* on_exhausted: explain */
	GATE_AGENT_FAIL_OPEN = 1 << 2,    /* on_failure: open */
};
struct gate_agent {
	__u32 account; /* index into accounts */
	__u32 flags;   /* enum gate_agent_flag */
	char name[GATE_NAME_MAX];
};

/*
 * ---- accounts: array, BPF_F_MMAPABLE. Daemon writes, gate reads the same words.
 * A window without a limit has limit_nanousd = GATE_NO_LIMIT and is skipped.
 * left_nanousd = limit - spent, holds not taken off: "out of credit" for the
 * gate is left <= floor, for any window of the account or one above it.
 * Promise P1 is held <= left for every window at every instant.
 */
#define GATE_NO_LIMIT 0x7fffffffffffffffLL
struct gate_window {
	__s64 left_nanousd; /* limit - spent in this window; signed */
	__s64 held_nanousd; /* sum of the holds that count in this window */
	__s64 limit_nanousd;
	__s64 start_s; /* this window instance: [start_s, end_s) unix seconds */
	__s64 end_s;   /* 0 = never ends */
};
enum gate_account_flag {
	GATE_ACCOUNT_USED = 1 << 0,
	GATE_ACCOUNT_PAUSED = 1 << 1,
};
struct gate_account {
	char name[GATE_NAME_MAX];
	__u32 parent; /* index, 0 = top */
	__u32 flags;  /* enum gate_account_flag */
	__s64 floor_nanousd; /* at or below this much left the gate refuses; default 0 */
	struct gate_window windows[5]; /* by enum window_kind */
	__u64 calls;    /* charged calls since the daemon started */
	__u64 refusals; /* refused calls, counter */
};

/*
 * ---- holds: array, BPF_F_MMAPABLE. One slot per call in flight. Only the
 * daemon touches it; it lives in kernel memory so that it outlives the daemon.
 * `state` is written last (release) when a slot is filled and first when it is freed.
 */
enum gate_hold_state {
	GATE_HOLD_FREE = 0,
	GATE_HOLD_HELD = 1,    /* money held, nothing went upstream: crash = release */
	GATE_HOLD_SENT = 2,    /* bytes may have gone upstream: crash = charge `amount`, estimated */
	GATE_HOLD_CHARGED = 3, /* `cost` is final; row may not be durable yet: crash = write the row */
};
struct gate_hold {
	__u32 state;
	__u32 account;
	__u64 call_id;
	__s64 amount_nanousd;
	__s64 cost_nanousd;       /* valid in CHARGED */
	__s64 started_realtime_ns; /* decides the window instance, also after a restart */
	__u64 cgroup_id;
	__u32 pid;
	__u16 provider; /* index into the configured providers */
	__u16 endpoint; /* enum endpoint */
	__u8 estimated; /* valid in CHARGED */
	__u8 pad[3];
	__u32 owner; /* the process that has the call: gate_state.generation of its start; 0 = not told (docs/upgrade.md) */
	char comm[GATE_COMM_MAX];
	char model[GATE_MODEL_MAX];
	char provider_name[32];
};

/* ---- endpoints: LPM trie. Daemon writes, gate reads. */
enum gate_class {
	GATE_CLASS_OTHER = 0,     /* what a miss means */
	GATE_CLASS_DEDICATED = 1, /* only LLM traffic lives there */
	GATE_CLASS_SHARED = 2,    /* a front shared with other services */
	GATE_CLASS_EXEMPT = 3,    /* loopback, link-local, cluster ranges */
};
struct gate_endpoint_key {
	__u32 prefixlen; /* 0..128 over addr */
	__u8 addr[16];
};
struct gate_endpoint {
	__u8 class; /* enum gate_class */
	__u8 pad;
	__u16 provider; /* index into the configured providers; 0xffff = none */
};

/*
 * ---- flows: hash. sock_ops writes before the SYN leaves, the daemon looks up
 * and deletes on accept; no entry = the daemon closes the connection.
 */
struct gate_flow_key {
	__u64 netns_cookie;
	__u8 addr[16]; /* the connecting socket's local address, v4-mapped */
	__u16 port;    /* its local port */
	__u16 pad[3];
};
enum gate_flow_flag {
	GATE_FLOW_NO_CREDIT = 1 << 0, /* redirected only to be explained: answer 402 */
	GATE_FLOW_STRANGER = 1 << 1,  /* not an agent (others: deny): splice non-LLM only */
};
struct gate_flow {
	__u64 agent_cgroup; /* key in agents; 0 for a stranger */
	__u64 born_ns;      /* for the reaper */
	__u32 account;
	__u32 flags;  /* enum gate_flow_flag */
	__u8 dst[16]; /* what the application asked for */
	__u16 dport;
	__u8 class; /* enum gate_class of dst */
	__u8 pad;
	__u32 pid; /* tgid of the connecting process */
	char comm[GATE_COMM_MAX];
};

/*
 * ---- listeners: hash, netns cookie (u64) -> struct gate_listener. Daemon writes, gate reads: where a redirect may go in that
 * network namespace, and which ports nobody else may bind there. No row: no redirect. Rows of a dead daemon keep its ports for it.
 */
struct gate_listener {
	__u16 port4; /* on 127.0.0.1; 0 = none */
	__u16 port6; /* on ::1; 0 = none */
};

/* ---- state: array with one element, BPF_F_MMAPABLE. Daemon writes, gate reads. */
struct gate_state {
	__u32 abi_version; /* GATE_ABI_VERSION; 0 = never initialised: treated as stale */
	__u32 others_deny; /* 1 = others: deny */
	__u64 heartbeat_ns; /* CLOCK_BOOTTIME of the daemon's last beat */
	__u64 stale_after_ns; /* a beat older than this = daemon dead */
	__u64 netns_cookie; /* the daemon's own; programs look in `listeners`, where it has a row too */
	__u64 daemon_cgroup; /* exempt, exact match (not its children); 0 = none */
	__u16 port4; /* egress listener on 127.0.0.1 */
	__u16 port6; /* egress listener on ::1; 0 = none, v6 agents are denied */
	__u16 nports;
	__u16 ports[GATE_PORTS_MAX]; /* captured ports of class OTHER; default 443 */
	__u16 pad;
	__u64 generation; /* counts daemon starts */
	__u64 agents_epoch; /* counts changes of the set of agents: what a program remembers of an older set is void */
	__u64 boot_offset_ns; /* CLOCK_BOOTTIME - CLOCK_MONOTONIC at the last beat: programs read the cheap clock and add it */
};

/* ---- events: ring buffer of struct gate_event. Gate writes, daemon reads. */
enum gate_reason {
	GATE_REASON_NONE = 0,
	GATE_REASON_NO_CREDIT,   /* EDQUOT */
	GATE_REASON_PAUSED,      /* EDQUOT */
	GATE_REASON_DAEMON_DEAD, /* ECONNREFUSED */
	GATE_REASON_NOT_AGENT,   /* others: deny; EACCES */
	GATE_REASON_IDENTITY,    /* creator and caller are different agents; EACCES */
	GATE_REASON_UDP,         /* UDP to an LLM address, or UDP 443; EACCES */
	GATE_REASON_SOCKET_TYPE, /* raw, MPTCP or another refused socket; EACCES (sock_create: EPERM) */
	GATE_REASON_NETNS,       /* redirect asked from a namespace without a listener; EACCES */
	GATE_REASON_EGRESS,      /* a packet that connect did not see; dropped */
	GATE_REASON_TABLE_FULL,  /* flows full or storage failed; EACCES */
	GATE_REASON_OUR_PORT,    /* bind to a port of an egress listener, by anybody; EADDRINUSE */
	GATE_REASON_LOOK,        /* no refusal: an agent made a socket in a namespace without a listener; errnum 0 */
	GATE_REASON_OLD_FLOW,    /* never by the gate: the daemon ended connections past the egress; ECONNABORTED */
	GATE_REASON_COUNT,
};
struct gate_event {
	__u64 time_ns;
	__u64 caller_cgroup;
	__u64 agent_cgroup; /* 0 = no agent */
	__u32 reason;       /* enum gate_reason */
	__u32 pid;
	__u8 dst[16];
	__u16 dport;
	__u16 protocol; /* IPPROTO_* */
	__u32 errnum;   /* what the application got */
	char comm[GATE_COMM_MAX];
};

/* ---- counters: per-CPU array of u64, by this enum. */
enum gate_counter {
	GATE_COUNT_CONNECT = 0,   /* hook runs, all */
	GATE_COUNT_PASS_STRANGER, /* not an agent, passed */
	GATE_COUNT_PASS,          /* agent, not captured */
	GATE_COUNT_REDIRECT,
	GATE_COUNT_DENY,
	GATE_COUNT_FLOW_FULL,
	GATE_COUNT_STORAGE_FAIL,
	GATE_COUNT_EVENT_LOST,
	GATE_COUNT_NO_STATE, /* state element missing: denied */
	GATE_COUNT_EGRESS_DROP,
	GATE_COUNT_IN_DOUBT, /* identity could not be told: mismatch, bad account index, nested too deep */
	GATE_COUNT_COUNT,
};

#ifndef __bpf__
_Static_assert(sizeof(struct gate_agent) == 56, "layout");
_Static_assert(sizeof(struct gate_window) == 40, "layout");
_Static_assert(sizeof(struct gate_account) == 280, "layout");
_Static_assert(sizeof(struct gate_hold) == 192, "layout");
_Static_assert(sizeof(struct gate_endpoint_key) == 20, "layout");
_Static_assert(sizeof(struct gate_flow_key) == 32, "layout");
_Static_assert(sizeof(struct gate_flow) == 64, "layout");
_Static_assert(sizeof(struct gate_state) == 104, "layout");
_Static_assert(sizeof(struct gate_listener) == 4, "layout");
_Static_assert(sizeof(struct gate_event) == 72, "layout");
#endif

#endif
