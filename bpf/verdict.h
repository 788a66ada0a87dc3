// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * verdict.h: the decision of the gate as pure functions. Plain C without
 * helpers or maps: it compiles into the BPF object and on the host, where
 * tests/unit/kern/test_verdict.c walks through the whole table. Who asks, where to and
 * whether the daemon lives is collected by the hook shells; what follows from it
 * stands here and nowhere else.
 *
 *                             dedicated      shared         other, captured  other
 *   agent, in credit          redirect       redirect       redirect         pass
 *   agent, out of credit      deny [1]       redirect [2]   redirect [2]     pass
 *   agent, daemon dead        deny           deny           deny [3]         pass
 *   stranger, others: deny    deny           redirect [4]   pass             pass
 *   stranger, others: allow   pass           pass           pass             pass
 *   identity in doubt         deny           deny           deny             pass
 *   UDP of an agent           deny           deny           deny             pass
 *
 * [1] on_exhausted: explain redirects with GATE_FLOW_NO_CREDIT.
 * [2] with GATE_FLOW_NO_CREDIT: the daemon answers 402, forwards nothing.
 * [3] on_failure: open passes.
 * [4] with GATE_FLOW_STRANGER; denied while the daemon is dead; UDP is denied.
 *
 * Exempt destinations, the egress listener and the daemon itself pass in every
 * row. A redirect that cannot arrive (no listener in that namespace, no port
 * for that family, socket tied to a device) is a denial.
 */
#ifndef PURSE_BPF_VERDICT_H
#define PURSE_BPF_VERDICT_H

#ifndef __bpf__
#include <stdbool.h>
#endif
#include "gate_abi.h"

/* The same on every architecture that purse runs on; BPF has no <errno.h>. */
#define VERDICT_EACCES 13
#define VERDICT_EADDRINUSE 98
#define VERDICT_ECONNREFUSED 111
#define VERDICT_EDQUOT 122

#define VERDICT_PORT_HTTPS 443
/* A heartbeat from the future is a clock that was read a moment earlier on another CPU, not a liar. */
#define VERDICT_CLOCK_SLACK_NS 1000000000LL

enum verdict_who {
	VERDICT_STRANGER = 0, /* neither creator nor caller is an agent */
	VERDICT_AGENT,
	VERDICT_IN_DOUBT,     /* two different agents, bad account, nested too deep */
};

enum verdict_credit {
	VERDICT_IN_CREDIT = 0,
	VERDICT_NO_CREDIT,
	VERDICT_IS_PAUSED,
};

enum verdict_action {
	VERDICT_PASS = 0,
	VERDICT_REDIRECT,
	VERDICT_DENY,
};

struct verdict_input {
	enum verdict_who who;
	enum verdict_credit credit; /* of an agent */
	__u32 agent_flags;          /* enum gate_agent_flag, of an agent */
	__u32 class;                /* enum gate_class; an unknown value counts as dedicated */
	bool is_tcp;                /* false: UDP and everything else that has a connect hook */
	bool port_is_captured;      /* one of gate_state.ports */
	bool port_is_https;         /* 443, captured or not */
	bool daemon_alive;
	bool others_deny;
	bool is_daemon;             /* the caller is in the daemon's own cgroup and nobody is an agent */
	bool to_listener;           /* the destination is the egress listener */
	bool listener_in_reach;     /* a redirect from this socket would arrive */
};

struct verdict {
	enum verdict_action action;
	enum gate_reason reason; /* of a denial */
	int errnum;              /* of a denial, positive */
	__u32 flow_flags;        /* of a redirect, enum gate_flow_flag */
};

#define VERDICT_INLINE static inline __attribute__((always_inline))

VERDICT_INLINE int verdict_errnum(enum gate_reason reason)
{
	if (reason == GATE_REASON_NO_CREDIT || reason == GATE_REASON_PAUSED)
		return VERDICT_EDQUOT;
	if (reason == GATE_REASON_DAEMON_DEAD)
		return VERDICT_ECONNREFUSED;
	return VERDICT_EACCES;
}

VERDICT_INLINE struct verdict verdict_pass(void)
{
	return (struct verdict){ .action = VERDICT_PASS };
}

VERDICT_INLINE struct verdict verdict_deny(enum gate_reason reason)
{
	return (struct verdict){ .action = VERDICT_DENY, .reason = reason, .errnum = verdict_errnum(reason) };
}

VERDICT_INLINE struct verdict verdict_redirect(const struct verdict_input *in, __u32 flow_flags)
{
	if (!in->listener_in_reach)
		return verdict_deny(GATE_REASON_NETNS);
	return (struct verdict){ .action = VERDICT_REDIRECT, .flow_flags = flow_flags };
}

VERDICT_INLINE struct verdict verdict_stranger(const struct verdict_input *in)
{
	if (!in->others_deny || in->class == GATE_CLASS_OTHER)
		return verdict_pass();
	/* A shared front cannot be told apart by address; over UDP nobody reads the name for us. */
	if (!in->is_tcp)
		return verdict_deny(GATE_REASON_UDP);
	if (in->class != GATE_CLASS_SHARED)
		return verdict_deny(GATE_REASON_NOT_AGENT);
	if (!in->daemon_alive)
		return verdict_deny(GATE_REASON_DAEMON_DEAD);
	return verdict_redirect(in, GATE_FLOW_STRANGER);
}

VERDICT_INLINE struct verdict verdict_agent(const struct verdict_input *in)
{
	bool is_other = in->class == GATE_CLASS_OTHER;
	bool in_credit = in->credit == VERDICT_IN_CREDIT;

	if (!in->is_tcp)
		return verdict_deny(GATE_REASON_UDP);
	/* Before credit: balances of a dead daemon are old, and this is what somebody has to repair. */
	if (!in->daemon_alive) {
		if (is_other && (in->agent_flags & GATE_AGENT_FAIL_OPEN))
			return verdict_pass();
		return verdict_deny(GATE_REASON_DAEMON_DEAD);
	}
	if (in_credit)
		return verdict_redirect(in, 0);
	if (is_other || in->class == GATE_CLASS_SHARED || (in->agent_flags & GATE_AGENT_EXPLAIN))
		return verdict_redirect(in, GATE_FLOW_NO_CREDIT);
	return verdict_deny(in->credit == VERDICT_NO_CREDIT ? GATE_REASON_NO_CREDIT : GATE_REASON_PAUSED);
}

/*
 * What is neither an LLM address nor on a captured port is none of our business, whoever asks: the hooks leave here
 * before they look up who. Without a name to read, UDP to port 443 or a captured one may be HTTP/3 to an address that
 * we have not learned.
 */
VERDICT_INLINE bool verdict_is_plain(const struct verdict_input *in)
{
	if (in->class == GATE_CLASS_EXEMPT)
		return true;
	return in->class == GATE_CLASS_OTHER && !in->port_is_captured && (in->is_tcp || !in->port_is_https);
}

/* May this socket connect, or send a datagram, to that address? */
VERDICT_INLINE struct verdict verdict(const struct verdict_input *in)
{
	if (verdict_is_plain(in) || in->to_listener || in->is_daemon)
		return verdict_pass();
	if (in->who == VERDICT_STRANGER)
		return verdict_stranger(in);
	if (in->who != VERDICT_AGENT)
		return verdict_deny(GATE_REASON_IDENTITY);
	return verdict_agent(in);
}

/*
 * The second lock, per packet on its way out: what connect and sendmsg did not
 * see. No redirect here and no port: an agent's packet to an LLM address has no
 * business outside the daemon, whatever made it.
 */
struct verdict_packet_input {
	enum verdict_who who; /* by the socket's cgroup; there is no caller */
	__u32 class;
	bool is_tcp;
	bool is_rerouted;     /* IPv4 source route, IPv6 routing header, or a header we could not read */
	bool others_deny;
	bool is_daemon;
};

/* True: let it go. */
VERDICT_INLINE bool verdict_packet(const struct verdict_packet_input *in)
{
	bool is_llm = in->class != GATE_CLASS_OTHER && in->class != GATE_CLASS_EXEMPT;

	if (in->is_daemon)
		return true;
	if (in->who != VERDICT_STRANGER)
		return !is_llm && !in->is_rerouted;
	if (!in->others_deny)
		return true;
	if (in->is_rerouted)
		return false;
	/* A connection to a shared front that is older than us may go on: new ones are spliced. */
	if (in->class == GATE_CLASS_SHARED)
		return in->is_tcp;
	return !is_llm;
}

/* May an agent make this socket? Only what the other hooks see in full: TCP and UDP. */
VERDICT_INLINE bool verdict_socket(__u32 family, __u32 type, __u32 protocol)
{
	enum { FAMILY_INET = 2, FAMILY_INET6 = 10, TYPE_STREAM = 1, TYPE_DGRAM = 2, PROTO_TCP = 6, PROTO_UDP = 17 };

	if (family != FAMILY_INET && family != FAMILY_INET6)
		return false;
	return (type == TYPE_STREAM && protocol == PROTO_TCP) || (type == TYPE_DGRAM && protocol == PROTO_UDP);
}

/*
 * And of which family at all, where the kernel lets us ask (lsm_cgroup)? Names, not numbers, so that a family of tomorrow is
 * refused: packet, XDP, vsock, SMC and the like reach a wire, or a helper, past every other hook.
 */
VERDICT_INLINE bool verdict_family(int family)
{
	enum { FAMILY_UNIX = 1, FAMILY_INET = 2, FAMILY_INET6 = 10, FAMILY_NETLINK = 16, FAMILY_ALG = 38 };

	return family == FAMILY_UNIX || family == FAMILY_INET || family == FAMILY_INET6 || family == FAMILY_NETLINK ||
	       family == FAMILY_ALG;
}

/* `now_ns` must be read after the heartbeat. */
VERDICT_INLINE bool verdict_daemon_alive(__u32 abi_version, __u64 heartbeat_ns, __u64 stale_after_ns, __u64 now_ns)
{
	__s64 age_ns = (__s64)(now_ns - heartbeat_ns);

	if (abi_version != GATE_ABI_VERSION || heartbeat_ns == 0)
		return false;
	if (age_ns < 0)
		return age_ns >= -VERDICT_CLOCK_SLACK_NS;
	return (__u64)age_ns <= stale_after_ns;
}

/* One window: is there anything left to spend? */
VERDICT_INLINE bool verdict_window_has_credit(__s64 left_nanousd, __s64 limit_nanousd, __s64 floor_nanousd)
{
	return limit_nanousd == GATE_NO_LIMIT || left_nanousd > floor_nanousd;
}

#endif
