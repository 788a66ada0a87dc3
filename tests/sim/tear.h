// SPDX-License-Identifier: Apache-2.0
/*
 * tear.h: what the arrays look like between two instructions. Armed, the next stretch between tear_on and tear_off runs instruction by
 * instruction, and at the n-th both arrays are copied: that is what a process that is killed there leaves behind. x86-64; elsewhere
 * the copy is made at the end of the stretch.
 */
#ifndef PURSE_TESTS_SIM_TEAR_H
#define PURSE_TESTS_SIM_TEAR_H

#include <stddef.h>
#include <stdint.h>

struct tear_copy {
	void *to;
	const void *from;
	size_t n;
};
void tear_arm(const struct tear_copy copies[2], uint64_t seed);
void tear_on(void); /* nothing, unless armed */
void tear_off(void);

#endif
