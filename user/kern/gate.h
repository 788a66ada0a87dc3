// SPDX-License-Identifier: Apache-2.0
/*
 * gate.h: the BPF side seen from user space: probe, load, attach, pin; its maps as verbs. libbpf's types show only in the .c files of kern/.
 *
 * gate_open either finds the pinned maps of an earlier run and uses them again (balances and holds survive the daemon) or
 * makes new ones; loads the programs fresh; updates pinned links in place (BPF_LINK_UPDATE, enforcement never off) or
 * attaches and pins new ones. Two daemons: an flock on a file in run_dir and one on the pin folder itself make the second refuse.
 * Maps of an older layout (GATE_ABI_VERSION) that is known: taken over, with enforcement never off (gate_migrate.c, docs/upgrade.md). Of a newer
 * or unknown one: refused with a text that says what to do.
 *
 * gate_open: -EBUSY: another daemon holds a lock (a child by plain fork keeps it, exec drops it); -EPROTO: a layout that cannot be taken over;
 * what the kernel says when it refuses the programs, with the verifier's last words in the text. A start that fails half-way
 * leaves attached what is attached: a state of zeros is a dead daemon, so agents are denied.
 */
#ifndef PURSE_KERN_GATE_H
#define PURSE_KERN_GATE_H

#include "base/err.h"
#include "gate_abi.h"
#include "terms.h"

struct gate;
struct gate_layout;

struct gate_options {
	const char *pin_dir;     /* "/sys/fs/bpf/purse"; its parent must be on bpffs (it is mounted at /sys/fs/bpf if it is not) */
	const char *cgroup_root; /* directory on a cgroup2 mount, or NULL = the mount's root */
	const char *lock_path;   /* "/run/purse/gate.lock" */
	/* > 0: the locks, from the process that hands over; gate_open takes the descriptors, also on failure */
	int inherited_lock, inherited_pins;
	const struct gate_layout *more_layouts; /* for tests: older ones beside those that are known (gate_layout.h) */
};

int gate_open(const struct gate_options *o, struct gate **ret, struct err *e);
/* Leaves links and maps pinned: agents stay denied. */
void gate_close(struct gate *g);
/* Removes links and pins: enforcement ends. For `purse uninstall`. Needs no open gate. */
int gate_remove(const struct gate_options *o, struct err *e);

/* ---- the mapped arrays */
struct gate_account *gate_accounts(struct gate *g); /* GATE_ACCOUNTS_MAX */
struct gate_hold *gate_holds(struct gate *g);       /* GATE_HOLDS_MAX */
struct gate_state *gate_state(struct gate *g);
/*
 * A hand-over: the locks as descriptors, borrowed. Each is one lock however many processes have it, and free when the last of them is gone.
 * gate_sign_lock: our process id stands in them from now on. gate_start: which start of a daemon this one is, never 0 (wraps).
 */
int gate_lock_fd(const struct gate *g);
int gate_pins_fd(const struct gate *g); /* of the pin folder */
void gate_sign_lock(const struct gate *g);
uint32_t gate_start(const struct gate *g);
bool gate_is_fresh(const struct gate *g); /* maps were made by this open (reboot or first start) */
/* Maps only, read-only, no attach: for `audit`, `status` and `doctor` when no daemon runs. */
int gate_peek(const char *pin_dir, struct gate **ret, struct err *e);

/* ---- listeners, liveness */
/*
 * Where redirects go in a network namespace, and whose ports these are: until the row is dropped nobody but the daemon's own cgroup
 * may bind them there. Ports in host order, 0 = none of that family; netns_cookie by SO_NETNS_COOKIE of the listener. Any thread.
 * gate_set_listeners: of the daemon's own namespace; it goes into gate_state too.
 */
void gate_set_listeners(struct gate *g, uint16_t port4, uint16_t port6, uint64_t netns_cookie);
int gate_put_listener(struct gate *g, uint64_t netns_cookie, uint16_t port4, uint16_t port6); /* -E2BIG: GATE_LISTENERS_MAX */
int gate_drop_listener(struct gate *g, uint64_t netns_cookie);				      /* -ENOENT */
void gate_clear_listeners(struct gate *g); /* what an earlier daemon left: its ports are free again, nothing is redirected */
/* fn may be NULL. Returns how many. Also on a gate that was only looked at (gate_peek). */
size_t gate_each_listener(struct gate *g, void (*fn)(void *ctx, uint64_t netns_cookie, const struct gate_listener *l), void *ctx);
void gate_set_policy(struct gate *g, bool others_deny, const uint16_t *ports, size_t nports, uint64_t stale_after_ns);
void gate_set_daemon_cgroup(struct gate *g, uint64_t cgroup_id);
void gate_beat(struct gate *g); /* any thread */
/*
 * Is everything as this process made it? Links attached to the cgroup that was asked for, with our programs; pins there and ours; the policy, the
 * listener's row and the layout version as they were told. 0, or -ENOLINK with the first that is not. One agent per call is looked at more closely: -EXDEV:
 * our programs are not in effect in its cgroup (all others are enforced). Every second; some tens of microseconds.
 */
int gate_verify(struct gate *g, struct err *e);
/*
 * Puts back what gate_verify complains of: links attached and pinned again, programs put back, maps pinned again, words told again. Not when
 * the cgroup itself is gone, another daemon has the pins by now (-EBUSY), or an agent lives elsewhere (-EXDEV). 0 = gate_verify is content.
 * Agents are enforced from the moment the link is back; say it aloud all the same.
 */
int gate_repair(struct gate *g, struct err *e);

/*
 * ---- agents: key = cgroup id = inode number of the cgroup directory. In force, for the cgroup and all below it, when the call
 * returns. An agent whose cgroup lies deeper than GATE_CGROUP_DEPTH levels is not found by the gate: it is in doubt, and denied.
 */
int gate_enrol(struct gate *g, uint64_t cgroup_id, const struct gate_agent *a);
/*
 * Ends what these agents (and all below them) have open past the egress: connections to listed endpoints and to captured ports from before they were
 * enrolled, or the endpoint was listed, or while nobody served an agent that fails open. First the gate, then this: what is enrolled makes no new
 * ones. What goes through the egress stays: it is ended there, with an answer. sockets.h says what is found, what it costs and what is returned. Any thread.
 */
struct gate_old {
	const char *cgroup_dir;
	uint64_t cgroup_id; /* asked again at each socket: one that is no agent any more keeps what it has. 0 = not asked */
	size_t ended;       /* answers: how many; 0, or why not all: -ENOENT no such folder, -E2BIG too many to look through: with others, namespaces are shared */
	int error;
};
int gate_end_old_flows(struct gate *g, struct gate_old *of, size_t n, bool (*stop)(void *ctx), void *ctx, struct err *e);
/*
 * Another value than before: since then any agent may have such connections. An address came to the endpoints, or the heart beats again after it had
 * been stale, as at a start. Also without: a pause, since a socket may have been passed in. Any thread.
 */
uint64_t gate_old_epoch(const struct gate *g);
int gate_expel(struct gate *g, uint64_t cgroup_id); /* -ENOENT */
int gate_find_agent(struct gate *g, uint64_t cgroup_id, struct gate_agent *ret); /* -ENOENT */
/* fn returns false to stop. */
void gate_each_agent(struct gate *g, bool (*fn)(void *ctx, uint64_t cgroup_id, const struct gate_agent *a), void *ctx);

/* ---- endpoints. addr: 16 bytes, v4 as v4-mapped; prefixlen over 128 bits. Also puts the NAT64 form (64:ff9b::/96) of a v4 address. */
int gate_put_endpoint(struct gate *g, const uint8_t addr[16], unsigned prefixlen, enum gate_class class, uint16_t provider);
int gate_drop_endpoint(struct gate *g, const uint8_t addr[16], unsigned prefixlen);
/* All rows, exemptions and NAT64 forms, too. fn returns false to stop, and may not change the table. */
void gate_each_endpoint(struct gate *g, bool (*fn)(void *ctx, const uint8_t addr[16], unsigned prefixlen, const struct gate_endpoint *e), void *ctx);
/* Longest match, as the gate sees it. -ENOENT. */
int gate_find_endpoint(struct gate *g, const uint8_t addr[16], struct gate_endpoint *ret);

/* ---- flows: one take per accepted connection, any thread. peer: as accept(2) gives it. -ENOENT = a stranger. */
struct sockaddr_storage;
int gate_take_flow(struct gate *g, uint64_t netns_cookie, const struct sockaddr_storage *peer, struct gate_flow *ret);
size_t gate_reap_flows(struct gate *g, int64_t older_than_ns); /* returns how many it removed */

/* ---- events and counters */
int gate_events_fd(struct gate *g); /* readable when there are events; for loop_io */
void gate_read_events(struct gate *g, void (*fn)(void *ctx, const struct gate_event *ev), void *ctx); /* never blocks */
void gate_counters(struct gate *g, uint64_t ret[GATE_COUNT_COUNT]); /* summed over CPUs */
const char *gate_reason_text(enum gate_reason r);
const char *gate_counter_name(enum gate_counter c);

#endif
