// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * identity.h: who is behind a socket, and whether they can pay. By cgroup only:
 * the cgroup of the task that made the socket (sk_storage, written in
 * sock_create) and that of the task that uses it, each resolved to the deepest
 * enrolled cgroup above it. Never by pid, name, mark or source port: an agent
 * can choose those, and cannot leave its cgroup.
 */
#ifndef PURSE_BPF_IDENTITY_H
#define PURSE_BPF_IDENTITY_H

#include "maps.h"
#include "report.h"
#include "verdict.h"

/*
 * The loops below are global functions: the verifier reads each once, by itself. Inlined, every way out of them is a
 * state of its own for all that follows, and older kernels give up at a million instructions.
 */

struct identity {
	enum verdict_who who;
	enum verdict_credit credit;
	__u64 agent_cgroup; /* key in agents; 0 = a stranger */
	__u32 account;
	__u32 flags; /* enum gate_agent_flag */
};

/* Stands for "deeper than we look": matches no cgroup and no other answer. */
#define AGENT_UNKNOWN (~0ULL)

/*
 * From the root down, so that the end of the path tells its depth; the last hit is the deepest. A task that sits
 * below GATE_CGROUP_DEPTH levels may be an agent that we cannot see: in doubt.
 */
__noinline __u64 walk_caller(void)
{
	__u64 found = 0;

	for (int level = 0; level < GATE_CGROUP_DEPTH; level++) {
		__u64 id = bpf_get_current_ancestor_cgroup_id(level);

		if (!id)
			return found;
		if (bpf_map_lookup_elem(&agents, &id))
			found = id;
	}
	return bpf_get_current_ancestor_cgroup_id(GATE_CGROUP_DEPTH) ? AGENT_UNKNOWN : found;
}

static __always_inline __u64 caller_agent(struct gate_state *st, __u64 cgroup)
{
	struct gate_identity *known = bpf_map_lookup_elem(&identities, &cgroup);
	struct gate_identity fresh = { .cgroup = cgroup };

	if (known) {
		__u64 epoch = *(volatile __u64 *)&known->epoch;
		__u64 agent = *(volatile __u64 *)&known->agent;

		if (epoch == *(volatile __u64 *)&st->agents_epoch && *(volatile __u64 *)&known->cgroup == cgroup)
			return agent;
	}
	/*
	 * Enrolment changes `agents` first and the epoch after it. This reads the epoch with a full barrier and walks
	 * after it: what the walk missed makes the epoch differ from the one that is remembered here.
	 */
	fresh.epoch = __sync_fetch_and_add(&st->agents_epoch, 0);
	fresh.agent = walk_caller();
	(void)bpf_map_update_elem(&identities, &cgroup, &fresh, BPF_ANY);
	return fresh.agent;
}

/* The same walk over the cgroup of the socket that a packet belongs to. */
__noinline __u64 packet_agent(struct __sk_buff *skb)
{
	__u64 found = 0;

	for (int level = 0; level < GATE_CGROUP_DEPTH; level++) {
		__u64 id = bpf_skb_ancestor_cgroup_id(skb, level);

		if (!id)
			return found;
		if (bpf_map_lookup_elem(&agents, &id))
			found = id;
	}
	return bpf_skb_ancestor_cgroup_id(skb, GATE_CGROUP_DEPTH) ? AGENT_UNKNOWN : found;
}

static __always_inline bool account_has_credit(const struct gate_account *a)
{
	__s64 floor = *(volatile const __s64 *)&a->floor_nanousd;

	for (int i = 0; i < 5; i++) {
		/* One load each: the daemon changes them under us. */
		__s64 left = *(volatile const __s64 *)&a->windows[i].left_nanousd;
		__s64 limit = *(volatile const __s64 *)&a->windows[i].limit_nanousd;

		if (!verdict_window_has_credit(left, limit, floor))
			return false;
	}
	return true;
}

#define CREDIT_UNKNOWN (-1) /* the chain is broken: bad index, unused row, a loop */

/* From the account to the top: enum verdict_credit or CREDIT_UNKNOWN. */
__noinline int find_credit(__u32 index)
{
	int credit = VERDICT_IN_CREDIT;

	for (int depth = 0; depth < GATE_TREE_DEPTH; depth++) {
		struct gate_account *a = bpf_map_lookup_elem(&accounts, &index);

		/* Row 0 is never used. */
		if (!a || !(a->flags & GATE_ACCOUNT_USED))
			return CREDIT_UNKNOWN;
		if (a->flags & GATE_ACCOUNT_PAUSED)
			credit = VERDICT_IS_PAUSED;
		else if (credit == VERDICT_IN_CREDIT && !account_has_credit(a))
			credit = VERDICT_NO_CREDIT;
		index = a->parent;
		if (index == 0)
			return credit;
	}
	return CREDIT_UNKNOWN;
}

/* creator: key in agents or 0. One that was expelled since is a stranger. */
static __always_inline void identify(__u64 creator, __u64 caller, struct identity *id)
{
	struct gate_agent *agent;
	int credit;

	__builtin_memset(id, 0, sizeof(*id));
	if (creator && creator != caller && !bpf_map_lookup_elem(&agents, &creator))
		creator = 0;
	if (!creator && !caller)
		return;
	id->who = VERDICT_IN_DOUBT;
	id->agent_cgroup = caller && caller != AGENT_UNKNOWN ? caller : creator;
	if (caller == AGENT_UNKNOWN || (creator && caller && creator != caller))
		return;
	agent = bpf_map_lookup_elem(&agents, &id->agent_cgroup);
	/* It was there a moment ago. Expelled in between: the next try is a stranger's, this one is in doubt. */
	if (!agent)
		return;
	id->account = agent->account;
	id->flags = agent->flags;
	credit = find_credit(id->account);
	if (credit == CREDIT_UNKNOWN)
		return;
	id->credit = id->flags & GATE_AGENT_PAUSED ? VERDICT_IS_PAUSED : credit;
	id->who = VERDICT_AGENT;
}

#endif
