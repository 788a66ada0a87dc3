// SPDX-License-Identifier: Apache-2.0
/*
 * assert.h: checks that stay on in release builds. Only for our own mistakes:
 * nothing that a peer, a file or a user sends may trip one. A tripped one prints
 * place and condition and aborts: the gate then fails closed and the next
 * start settles what was in flight.
 */
#ifndef PURSE_BASE_ASSERT_H
#define PURSE_BASE_ASSERT_H

_Noreturn void purse_assert_failed(const char *cond, const char *file, int line);
#define ASSERT(cond) \
	do { \
		if (__builtin_expect(!(cond), 0)) \
			purse_assert_failed(#cond, __FILE__, __LINE__); \
	} while (0)

#endif
