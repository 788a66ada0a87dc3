// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * gate.bpf.c: the gate. The hooks of one cgroup tree, each a shell: collect who
 * and where to, ask verdict.h, act.
 *
 * Guarantees, for every process below the cgroup that it is attached to:
 *   - an agent's TCP connect to an LLM address or a captured port arrives at the
 *     daemon's listener or fails; so does one by fast open, MPTCP or io_uring;
 *   - the daemon knows which agent it is before it can accept: the flow is
 *     published in TCP_CONNECT_CB, which runs before the SYN leaves;
 *   - an agent's datagrams and hand-made packets do not reach an LLM address.
 * Why it cannot be forged: identity is the cgroup, kept by the kernel; what a
 * socket was told lives in its sk_storage, which no program but these sees. Decisions
 * come from pinned maps alone, so they stand when the daemon is gone; a heartbeat that is
 * too old is a denial. In doubt: deny, count, report.
 *
 * Does not cover: TUN and other ways onto the wire without a socket (drop CAP_NET_ADMIN); AF_PACKET, AF_XDP and other
 * families where lsm_cgroup is missing (drop CAP_NET_RAW, too); AF_UNIX to a helper outside; sockets that
 * a stranger connected and passed on (others: deny); root.
 */
/*
 * Of the kernel's types only the hooks' contexts are touched, and those are its stable interface. Without
 * relocations the compiler keeps each access one load at a fixed offset, which is what the verifier insists on.
 */
#define BPF_NO_PRESERVE_ACCESS_INDEX
#include "vmlinux.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "gate_abi.h"

#include "address.h"
#include "identity.h"
#include "maps.h"
#include "packet.h"
#include "report.h"
#include "verdict.h"

#define AF_INET6 10
#define SOCKET_STREAM 1 /* SOCK_STREAM */
#define LOOPBACK_IFINDEX 1 /* the first device of every network namespace */

/* What a cgroup program answers with. */
enum { REFUSE = 0, ALLOW = 1 };

static __always_inline struct gate_state *find_state(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&state, &zero);
}

/*
 * The coarse clock is some milliseconds behind and a tenth of the price. It does not count a suspend; a daemon that was
 * alive before one is alive after it.
 */
static __always_inline bool is_daemon_alive(const struct gate_state *st)
{
	/* The beat first, the clock after it: a beat that comes in between must not look like the future. */
	__u64 beat = *(volatile const __u64 *)&st->heartbeat_ns;

	barrier();
	return verdict_daemon_alive(st->abi_version, beat, st->stale_after_ns,
				    bpf_ktime_get_coarse_ns() + st->boot_offset_ns);
}

static __always_inline bool is_port_captured(const struct gate_state *st, __u16 port)
{
	for (int i = 0; i < GATE_PORTS_MAX; i++) {
		if (i >= st->nports)
			break;
		if (st->ports[i] == port)
			return true;
	}
	return false;
}

/* Takes the published flow back, unless the daemon has it. An entry with another birth is somebody else's. */
static __always_inline void forget_flow(struct gate_socket *s)
{
	struct gate_flow *flow;

	if (s->stage == GATE_SOCKET_PUBLISHED) {
		flow = bpf_map_lookup_elem(&flows, &s->key);
		if (flow && flow->born_ns == s->flow.born_ns)
			bpf_map_delete_elem(&flows, &s->key);
	}
	s->stage = GATE_SOCKET_PLAIN;
}

/* ---- connect and sendmsg */

/* One socket call that wants to go somewhere. */
struct attempt {
	union address dst;
	__u16 dport;
	__u16 protocol;
	__u64 netns_cookie;
	__u64 caller_cgroup;
	struct identity id;
};

static __always_inline int refuse(const struct attempt *r, enum gate_reason reason, int errnum)
{
	struct subject s = {
		.caller_cgroup = r->caller_cgroup,
		.agent_cgroup = r->id.agent_cgroup,
		.dport = r->dport,
		.protocol = r->protocol,
	};

	count(GATE_COUNT_DENY);
	if (r->id.who == VERDICT_IN_DOUBT)
		count(GATE_COUNT_IN_DOUBT);
	report(reason, has_set_retval ? errnum : 1 /* EPERM */, &s, &r->dst, true);
	set_errno(errnum);
	return REFUSE;
}

/* Remembers in the socket what sock_ops will publish. */
static __always_inline bool remember_flow(struct bpf_sock *sk, const struct attempt *r,
					  __u32 class, __u32 flow_flags)
{
	struct gate_socket *s = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);

	if (!s)
		return false;
	s->stage = GATE_SOCKET_REDIRECTED;
	s->key.netns_cookie = r->netns_cookie;
	s->flow.agent_cgroup = r->id.agent_cgroup;
	s->flow.account = r->id.account;
	s->flow.flags = flow_flags;
	__builtin_memcpy(s->flow.dst, r->dst.b, sizeof(s->flow.dst));
	s->flow.dport = r->dport;
	s->flow.class = class;
	s->flow.pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(s->flow.comm, sizeof(s->flow.comm));
	return true;
}

/* Mapped stays mapped, or a V6ONLY-like path would have no route; native v6 goes to ::1. */
static __always_inline void rewrite_v6(struct bpf_sock_addr *ctx, bool is_v4, __u16 port)
{
	ctx->user_ip6[0] = 0;
	ctx->user_ip6[1] = 0;
	ctx->user_ip6[2] = is_v4 ? V4_MAPPED : 0;
	ctx->user_ip6[3] = is_v4 ? V4_LOOPBACK : bpf_htonl(1);
	ctx->user_port = bpf_htons(port);
}

static __always_inline void rewrite_v4(struct bpf_sock_addr *ctx, __u16 port)
{
	ctx->user_ip4 = V4_LOOPBACK;
	ctx->user_port = bpf_htons(port);
}

/* The port of the listener in that namespace; 0 = none. A function of its own for the verifier's sake, like those in identity.h. */
__noinline int find_listener(__u64 netns_cookie, bool is_v4)
{
	struct gate_listener *listener = bpf_map_lookup_elem(&listeners, &netns_cookie);

	if (!listener)
		return 0;
	return is_v4 ? listener->port4 : listener->port6;
}

/*
 * The way of all six hooks. `dst` is the address in the call, whatever family the caller wrote beside it: an
 * unconnected UDP sendto with AF_UNSPEC goes where the address says.
 */
static __always_inline int judge(struct bpf_sock_addr *ctx, union address dst, bool is_v6_hook)
{
	/* Each field of the context is read once: an address kept for a second read is a pointer the verifier refuses. */
	struct attempt r = { .dst = dst, .dport = bpf_ntohs((__u16)ctx->user_port), .protocol = ctx->protocol };
	struct bpf_sock *sk = ctx->sk;
	struct verdict_input in = { 0 };
	struct gate_socket *socket;
	struct gate_state *st;
	struct verdict v;
	__u64 caller, creator;
	__u16 port;
	bool is_v4;

	count(GATE_COUNT_CONNECT);
	st = find_state();
	if (!st || !sk) {
		count(GATE_COUNT_NO_STATE);
		set_errno(VERDICT_EACCES);
		return REFUSE;
	}
	r.caller_cgroup = bpf_get_current_cgroup_id();
	caller = caller_agent(st, r.caller_cgroup);
	socket = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	creator = socket ? socket->creator : 0;
	in.is_tcp = r.protocol == IPPROTO_TCP;
	/* A socket connects anew: what it was told before is void, whatever comes out below. */
	if (socket && in.is_tcp)
		forget_flow(socket);
	/* What verdict() answers in this row whatever the destination is. */
	if (!caller && !creator && !st->others_deny) {
		count(GATE_COUNT_PASS_STRANGER);
		return ALLOW;
	}

	address_resolve_any(&r.dst, sk->src_ip4);
	in.class = address_class(&r.dst);
	in.port_is_captured = is_port_captured(st, r.dport);
	in.port_is_https = r.dport == VERDICT_PORT_HTTPS;
	if (verdict_is_plain(&in)) {
		count(caller || creator ? GATE_COUNT_PASS : GATE_COUNT_PASS_STRANGER);
		return ALLOW;
	}

	identify(creator, caller, &r.id);
	is_v4 = address_is_v4(&r.dst);
	r.netns_cookie = bpf_get_netns_cookie(ctx);
	port = find_listener(r.netns_cookie, is_v4);
	in.who = r.id.who;
	in.credit = r.id.credit;
	in.agent_flags = r.id.flags;
	in.daemon_alive = is_daemon_alive(st);
	in.others_deny = st->others_deny;
	in.is_daemon = r.id.who == VERDICT_STRANGER && st->daemon_cgroup && st->daemon_cgroup == r.caller_cgroup;
	in.listener_in_reach = port && (!sk->bound_dev_if || sk->bound_dev_if == LOOPBACK_IFINDEX);
	in.to_listener = port && r.dport == port && address_is_loopback(&r.dst);

	v = verdict(&in);
	if (v.action == VERDICT_PASS) {
		count(in.who == VERDICT_STRANGER ? GATE_COUNT_PASS_STRANGER : GATE_COUNT_PASS);
		return ALLOW;
	}
	if (v.action != VERDICT_REDIRECT)
		return refuse(&r, v.reason, v.errnum);
	if (!remember_flow(sk, &r, in.class, v.flow_flags)) {
		count(GATE_COUNT_STORAGE_FAIL);
		return refuse(&r, GATE_REASON_TABLE_FULL, VERDICT_EACCES);
	}
	if (is_v6_hook)
		rewrite_v6(ctx, is_v4, port);
	else
		rewrite_v4(ctx, port);
	count(GATE_COUNT_REDIRECT);
	return ALLOW;
}

static __always_inline union address v6_of(const struct bpf_sock_addr *ctx)
{
	return (union address){ .w = { ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3] } };
}

SEC("cgroup/connect4")
int gate_connect4(struct bpf_sock_addr *ctx)
{
	return judge(ctx, address_v4(ctx->user_ip4), false);
}

SEC("cgroup/connect6")
int gate_connect6(struct bpf_sock_addr *ctx)
{
	return judge(ctx, v6_of(ctx), true);
}

SEC("cgroup/sendmsg4")
int gate_sendmsg4(struct bpf_sock_addr *ctx)
{
	return judge(ctx, address_v4(ctx->user_ip4), false);
}

SEC("cgroup/sendmsg6")
int gate_sendmsg6(struct bpf_sock_addr *ctx)
{
	return judge(ctx, v6_of(ctx), true);
}

/*
 * ---- bind: the port of a listener is the daemon's, also in the moments when it does not listen (a crash, a restart): who
 * had it then would be handed the connections of others
 */

static __always_inline bool takes_our_port(const union address *a, __u16 port, const struct gate_listener *l)
{
	bool is_any = !a->w[0] && !a->w[1] && !a->w[3] && (!a->w[2] || a->w[2] == V4_MAPPED);

	return (port == l->port4 || port == l->port6) && (is_any || address_is_loopback(a));
}

static __always_inline int judge_bind(struct bpf_sock_addr *ctx, union address at)
{
	struct attempt r = { .dst = at, .dport = bpf_ntohs((__u16)ctx->user_port), .protocol = ctx->protocol };
	struct gate_listener *listener;
	struct gate_state *st;
	__u64 caller;

	/* The kernel chooses: not one that is taken. */
	if (!r.dport || ctx->type != SOCKET_STREAM)
		return ALLOW;
	r.netns_cookie = bpf_get_netns_cookie(ctx);
	listener = bpf_map_lookup_elem(&listeners, &r.netns_cookie);
	if (!listener || !takes_our_port(&at, r.dport, listener))
		return ALLOW;
	r.caller_cgroup = bpf_get_current_cgroup_id();
	st = find_state();
	if (st && st->daemon_cgroup && st->daemon_cgroup == r.caller_cgroup)
		return ALLOW;
	caller = st ? caller_agent(st, r.caller_cgroup) : 0;
	r.id.agent_cgroup = caller == AGENT_UNKNOWN ? 0 : caller;
	return refuse(&r, GATE_REASON_OUR_PORT, VERDICT_EADDRINUSE);
}

SEC("cgroup/bind4")
int gate_bind4(struct bpf_sock_addr *ctx)
{
	return judge_bind(ctx, address_v4(ctx->user_ip4));
}

SEC("cgroup/bind6")
int gate_bind6(struct bpf_sock_addr *ctx)
{
	return judge_bind(ctx, v6_of(ctx));
}

/* ---- getpeername: the application sees what it asked for */

static __always_inline struct gate_socket *redirected_socket(struct bpf_sock_addr *ctx)
{
	struct gate_socket *s = ctx->sk ? bpf_sk_storage_get(&sockets, ctx->sk, NULL, 0) : NULL;

	return s && s->stage != GATE_SOCKET_PLAIN ? s : NULL;
}

SEC("cgroup/getpeername4")
int gate_getpeername4(struct bpf_sock_addr *ctx)
{
	struct gate_socket *s = redirected_socket(ctx);

	if (s) {
		ctx->user_ip4 = ((union address *)s->flow.dst)->w[3];
		ctx->user_port = bpf_htons(s->flow.dport);
	}
	return ALLOW;
}

SEC("cgroup/getpeername6")
int gate_getpeername6(struct bpf_sock_addr *ctx)
{
	struct gate_socket *s = redirected_socket(ctx);

	if (s) {
		const union address *dst = (const union address *)s->flow.dst;

		ctx->user_ip6[0] = dst->w[0];
		ctx->user_ip6[1] = dst->w[1];
		ctx->user_ip6[2] = dst->w[2];
		ctx->user_ip6[3] = dst->w[3];
		ctx->user_port = bpf_htons(s->flow.dport);
	}
	return ALLOW;
}

/* ---- sock_create: who made it, and no sockets that the other hooks cannot see through */

SEC("cgroup/sock_create")
int gate_sock_create(struct bpf_sock *ctx)
{
	struct subject subject = { .caller_cgroup = bpf_get_current_cgroup_id(), .protocol = ctx->protocol };
	struct gate_state *st = find_state();
	union address none = { .w = { 0 } };
	struct gate_socket *s;
	__u64 caller, netns_cookie;

	if (!st) {
		count(GATE_COUNT_NO_STATE);
		return REFUSE;
	}
	caller = caller_agent(st, subject.caller_cgroup);
	/* No note for a stranger's socket: no creator and a stranger for a creator are the same to connect. */
	if (!caller)
		return ALLOW;
	/* Too deep to say whose it is: the hooks that see an address will be in doubt about it too. */
	if (caller != AGENT_UNKNOWN) {
		subject.agent_cgroup = caller;
		s = bpf_sk_storage_get(&sockets, ctx, NULL, BPF_SK_STORAGE_GET_F_CREATE);
		if (!s) {
			count(GATE_COUNT_STORAGE_FAIL);
			return REFUSE;
		}
		s->creator = caller;
	}
	if (verdict_socket(ctx->family, ctx->type, ctx->protocol)) {
		/* Told before it connects: while it looks up the name the daemon opens a listener there. Not to a ring that nobody reads. */
		netns_cookie = bpf_get_netns_cookie(ctx);
		if (!bpf_map_lookup_elem(&listeners, &netns_cookie) && is_daemon_alive(st))
			report(GATE_REASON_LOOK, 0, &subject, &none, true);
		return ALLOW;
	}
	count(GATE_COUNT_DENY);
	report(GATE_REASON_SOCKET_TYPE, 1 /* EPERM */, &subject, &none, true);
	return REFUSE;
}

/*
 * Optional: loaded where the bpf security module is on (6.0+). sock_create is for inet sockets only; this one sees every
 * family. The kernel's own sockets are not an agent's doing.
 */
SEC("lsm_cgroup/socket_create")
int gate_family(unsigned long long *ctx)
{
	int family = (int)ctx[0], protocol = (int)ctx[2], is_kernel = (int)ctx[3];
	struct subject subject = { .caller_cgroup = bpf_get_current_cgroup_id(), .protocol = protocol };
	struct gate_state *st = find_state();
	union address none = { .w = { 0 } };
	__u64 caller;

	if (is_kernel || verdict_family(family))
		return ALLOW;
	if (!st) {
		count(GATE_COUNT_NO_STATE);
		return REFUSE;
	}
	caller = caller_agent(st, subject.caller_cgroup);
	if (!caller)
		return ALLOW;
	count(GATE_COUNT_DENY);
	subject.agent_cgroup = caller == AGENT_UNKNOWN ? 0 : caller;
	report(GATE_REASON_SOCKET_TYPE, 1 /* EPERM */, &subject, &none, true);
	return REFUSE;
}

/* ---- sock_ops: publish the flow before the SYN leaves, take it back when the connection ends untaken */

static __always_inline void publish_flow(struct bpf_sock_ops *ctx, struct gate_socket *s)
{
	/* Both read before the choice: merged into one load the verifier would see a modified context pointer. */
	union address local = {
		.w = { ctx->local_ip6[0], ctx->local_ip6[1], ctx->local_ip6[2], ctx->local_ip6[3] }
	};
	__u32 local_v4 = ctx->local_ip4;

	barrier_var(local_v4);
	if (ctx->family != AF_INET6)
		local = address_v4(local_v4);
	__builtin_memcpy(s->key.addr, local.b, sizeof(s->key.addr));
	s->key.port = ctx->local_port;
	s->flow.born_ns = bpf_ktime_get_boot_ns();
	/* Too late to refuse here; the daemon closes a connection that has no flow. */
	if (bpf_map_update_elem(&flows, &s->key, &s->flow, BPF_ANY)) {
		struct subject subject = {
			.agent_cgroup = s->flow.agent_cgroup,
			.dport = s->flow.dport,
			.protocol = IPPROTO_TCP,
		};

		count(GATE_COUNT_FLOW_FULL);
		report(GATE_REASON_TABLE_FULL, VERDICT_EACCES, &subject, (const union address *)s->flow.dst, false);
		return;
	}
	s->stage = GATE_SOCKET_PUBLISHED;
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
}

SEC("sockops")
int gate_sockops(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *sk;
	struct gate_socket *s;

	/* `reply` is left alone in all other calls: another program may have set it. */
	if (ctx->op != BPF_SOCK_OPS_TCP_CONNECT_CB && ctx->op != BPF_SOCK_OPS_STATE_CB)
		return ALLOW;
	if (ctx->op == BPF_SOCK_OPS_STATE_CB && ctx->args[1] != BPF_TCP_CLOSE)
		return ALLOW;
	sk = ctx->sk;
	s = sk ? bpf_sk_storage_get(&sockets, sk, NULL, 0) : NULL;
	if (!s || s->stage == GATE_SOCKET_PLAIN)
		return ALLOW;
	if (ctx->op == BPF_SOCK_OPS_TCP_CONNECT_CB)
		publish_flow(ctx, s);
	else
		forget_flow(s);
	return ALLOW;
}

/* ---- egress: the second lock */

SEC("cgroup_skb/egress")
int gate_egress(struct __sk_buff *skb)
{
	struct verdict_packet_input in = { 0 };
	struct packet p = { 0 };
	struct gate_state *st;
	__u64 agent;

	/* Dear look-ups last: most packets are not for an LLM and leave after one. */
	if (!packet_read(skb, &p))
		p.is_rerouted = true;
	if (!p.is_rerouted && address_is_loopback(&p.dst))
		return ALLOW;
	in.class = address_class(&p.dst);
	if (!p.is_rerouted && (in.class == GATE_CLASS_OTHER || in.class == GATE_CLASS_EXEMPT))
		return ALLOW;

	st = find_state();
	if (!st) {
		count(GATE_COUNT_NO_STATE);
		return REFUSE;
	}
	agent = packet_agent(skb);
	in.who = agent == AGENT_UNKNOWN ? VERDICT_IN_DOUBT : agent ? VERDICT_AGENT : VERDICT_STRANGER;
	in.is_tcp = p.is_tcp;
	in.is_rerouted = p.is_rerouted;
	in.others_deny = st->others_deny;
	in.is_daemon = !agent && st->daemon_cgroup && bpf_skb_cgroup_id(skb) == st->daemon_cgroup;
	if (verdict_packet(&in))
		return ALLOW;

	count(GATE_COUNT_EGRESS_DROP);
	if (in.who == VERDICT_IN_DOUBT)
		count(GATE_COUNT_IN_DOUBT);
	struct subject subject = {
		.caller_cgroup = bpf_skb_cgroup_id(skb),
		.agent_cgroup = agent == AGENT_UNKNOWN ? 0 : agent,
		.protocol = p.is_tcp ? IPPROTO_TCP : 0,
	};
	report(GATE_REASON_EGRESS, 1 /* EPERM */, &subject, &p.dst, false);
	return REFUSE;
}

char _license[] SEC("license") = "Dual BSD/GPL"; /* LSM programs want one that goes with the GPL */
