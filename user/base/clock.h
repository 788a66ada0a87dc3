// SPDX-License-Identifier: Apache-2.0
/* clock.h: the two clocks. Wall time decides windows; boot time measures durations. */
#ifndef PURSE_BASE_CLOCK_H
#define PURSE_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_realtime_ns(void);
/* CLOCK_BOOTTIME, what bpf_ktime_get_boot_ns() reads (5.8+); goes on during suspend. */
int64_t clock_boot_ns(void);

#endif
