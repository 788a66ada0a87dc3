// SPDX-License-Identifier: Apache-2.0
/*
 * probe.h: what this kernel and machine can do for purse, asked in one place and answered with a reason. For `purse doctor`
 * and for gate_open, which refuses to start without what is essential.
 */
#ifndef PURSE_KERN_PROBE_H
#define PURSE_KERN_PROBE_H

#include <stdbool.h>
#include <stddef.h>

enum probe_state { PROBE_OK, PROBE_MISSING_OPTIONAL, PROBE_MISSING_ESSENTIAL };
struct probe_result {
	const char *name;  /* "bpf set_retval", "cgroup v2", … */
	enum probe_state state;
	char text[256];    /* what was found; what is lost without it; what to do */
};
/* Returns how many results there are; fills up to n. Needs root for the whole truth and says so where it lacks it. */
size_t probe_run(struct probe_result *ret, size_t n);
/* true: bpf_set_retval works in connect hooks (6.1+), so errnos can be told. */
bool probe_has_set_retval(void);

/* true: the bpf security module runs and takes cgroup programs (6.0+), so socket families can be refused. */
bool probe_has_lsm_cgroup(void);

#endif
