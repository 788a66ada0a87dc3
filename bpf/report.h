// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* report.h: counters, events and the errno of a denial. It reports; it decides nothing. */
#ifndef PURSE_BPF_REPORT_H
#define PURSE_BPF_REPORT_H

#include "address.h"
#include "maps.h"

/*
 * Set between open and load. bpf_set_retval works in these hooks from 6.1; where it does not the verifier sees a
 * constant false and drops the call before it looks at it, and the application gets EPERM.
 */
const volatile bool has_set_retval = false;

static __always_inline void count(enum gate_counter which)
{
	__u32 key = which;
	__u64 *n = bpf_map_lookup_elem(&counters, &key);

	if (n)
		(*n)++; /* per CPU and not preempted by ourselves; a lost tick would harm nobody */
}

static __always_inline void set_errno(int errnum)
{
	if (has_set_retval)
		bpf_set_retval(-errnum);
}

/* What stands in an event beside the reason. */
struct subject {
	__u64 caller_cgroup;
	__u64 agent_cgroup;
	__u16 dport;
	__u16 protocol;
};

/* in_task: the current task is the one to name (not so in egress, which also runs in softirq). */
static __always_inline void report(enum gate_reason reason, int errnum, const struct subject *s, const union address *dst,
				   bool in_task)
{
	struct gate_event *ev = bpf_ringbuf_reserve(&events, sizeof(*ev), 0);

	if (!ev) {
		count(GATE_COUNT_EVENT_LOST);
		return;
	}
	__builtin_memset(ev, 0, sizeof(*ev));
	ev->time_ns = bpf_ktime_get_boot_ns();
	ev->caller_cgroup = s->caller_cgroup;
	ev->agent_cgroup = s->agent_cgroup;
	ev->reason = reason;
	__builtin_memcpy(ev->dst, dst->b, sizeof(ev->dst));
	ev->dport = s->dport;
	ev->protocol = s->protocol;
	ev->errnum = errnum;
	if (in_task) {
		ev->pid = bpf_get_current_pid_tgid() >> 32;
		bpf_get_current_comm(ev->comm, sizeof(ev->comm));
	}
	bpf_ringbuf_submit(ev, 0);
}

#endif
